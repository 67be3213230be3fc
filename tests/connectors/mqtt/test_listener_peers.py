"""The listener against clients that other people wrote."""

import asyncio
import shutil

import gmqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from twin.model.line import Device
from twin.model.message import Kind

pytestmark = pytest.mark.peer


async def tool(name, *args):
    """Run a mosquitto tool; exit code and what it printed."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    process = await asyncio.create_subprocess_exec(
        name, *args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
async def test_mosquitto_pub(listener, intake, version, qos):
    """mosquitto_pub delivers with every QoS and both versions, retained or not."""
    for extra in ([], ["-r"]):
        code, out = await tool(
            "mosquitto_pub", "-p", str(listener.port), "-V", version, "-q", qos,
            "-t", "a/b", "-m", "21.5", "-i", "tool", *extra,
        )  # fmt: skip
        assert (code, out) == (0, "")
    await intake.until(lambda: len(intake.payloads) == 2)
    assert intake.of(Kind.MESSAGE) == [("a/b", b"21.5", int(qos))] * 2
    assert intake.ids["mqtt:tool"] == set()


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
async def test_mosquitto_pub_waits_for_the_commit(listener, intake, version):
    """The tool does not end before the message is durable."""
    intake.hold = True
    job = asyncio.create_task(
        tool(
            "mosquitto_pub",
            "-p",
            str(listener.port),
            "-V",
            version,
            "-q",
            "1",
            "-t",
            "a",
            "-m",
            "x",
        )
    )
    await intake.until(lambda: intake.payloads == [b"x"])
    await asyncio.sleep(0.2)
    assert not job.done()
    intake.commit()
    assert await job == (0, "")


async def test_mosquitto_pub_is_told_no(serve, intake, tmp_path):
    """A wrong password and a forbidden topic are reported by the tool."""
    (tmp_path / "pw").write_text("secret")
    device = Device(user="gw", password_file="pw", publish=["ok/#"])
    async with serve(intake, tmp_path, device=[device], anonymous=False) as listener:
        base = ["-p", str(listener.port), "-V", "mqttv5", "-q", "1", "-m", "x", "-u", "gw"]
        code, out = await tool("mosquitto_pub", *base, "-P", "wrong", "-t", "ok/1")
        assert code != 0
        assert "Bad User" in out
        _, out = await tool("mosquitto_pub", *base, "-P", "secret", "-t", "no/1")
        assert "Not authorized" in out
        code, out = await tool("mosquitto_pub", *base, "-P", "secret", "-t", "ok/1")
        assert (code, out) == (0, "")
        assert intake.payloads == [b"x"]


async def test_mosquitto_sub_receives_alarms(listener):
    """mosquitto_sub gets kept and live alarms and is refused anything else."""
    topic = "twin/v1/site/line/alarm/x"
    listener.publish(topic, b"kept", True)
    job = asyncio.create_task(
        tool(
            "mosquitto_sub",
            "-p",
            str(listener.port),
            "-q",
            "1",
            "-t",
            "twin/+/+/+/alarm/#",
            "-C",
            "2",
        )
    )
    async with asyncio.timeout(20):
        while not any(s.outbound.subscriptions for s in listener.devices.all()):
            await asyncio.sleep(0.01)
    listener.publish(topic, b"live", False)
    assert await job == (0, "kept\nlive\n")
    _, out = await tool(
        "mosquitto_sub", "-p", str(listener.port), "-V", "mqttv5", "-t", "#", "-W", "5"
    )
    assert "denied" in out


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
async def test_paho(listener, intake, version):
    """paho delivers a mix of QoS levels exactly once."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="paho", protocol=version)
    keep = {}
    if version == paho.MQTTv5:
        keep["properties"] = Properties(PacketTypes.PUBLISH)
        keep["properties"].MessageExpiryInterval = 60
        keep["properties"].UserProperty = ("unit", "um")
    await asyncio.to_thread(client.connect, "127.0.0.1", listener.port)
    client.loop_start()
    sent = [client.publish(f"p/{i}", b"%d" % i, i % 3, **keep) for i in range(300)]
    await asyncio.to_thread(lambda: [m.wait_for_publish(20) for m in sent])
    client.disconnect()
    await asyncio.to_thread(client.loop_stop)
    await intake.until(lambda: len(intake.payloads) == 300)
    assert sorted(map(int, intake.payloads)) == list(range(300))
    assert intake.ids["mqtt:paho"] == set()
    assert listener.stats().get("malformed", 0) == 0


async def test_paho_topic_alias(listener, intake):
    """paho may use topic aliases up to the announced maximum."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="paho", protocol=paho.MQTTv5)
    await asyncio.to_thread(client.connect, "127.0.0.1", listener.port)
    client.loop_start()
    async with asyncio.timeout(20):
        while not client.is_connected():
            await asyncio.sleep(0.01)
    props = Properties(PacketTypes.PUBLISH)
    props.TopicAlias = 32
    for topic in ("long/topic/name", "", ""):
        message = client.publish(topic, b"x", 1, properties=props)
        await asyncio.to_thread(message.wait_for_publish, 20)
    client.disconnect()
    await asyncio.to_thread(client.loop_stop)
    assert [t for t, _, _ in intake.of(Kind.MESSAGE)] == ["long/topic/name"] * 3


async def test_gmqtt(listener, intake):
    """gmqtt delivers QoS 0 and 1 and receives an alarm."""
    client = gmqtt.Client("gmqtt")
    got = asyncio.get_running_loop().create_future()

    async def on_message(_client, topic, payload, _qos, _properties):
        got.set_result((topic, payload))
        return 0

    client.on_message = on_message
    await client.connect("127.0.0.1", listener.port)
    client.subscribe("twin/+/+/+/alarm/#", qos=1)
    for i in range(200):
        client.publish("g/x", b"%d" % i, qos=1)
    await intake.until(lambda: len(intake.payloads) == 200)
    listener.publish("twin/v1/s/l/alarm/x", b"!", False)
    assert await asyncio.wait_for(got, 20) == ("twin/v1/s/l/alarm/x", b"!")
    await client.disconnect()
    assert intake.payloads == [b"%d" % i for i in range(200)]


@pytest.mark.parametrize("version", ["mqttv311", "mqttv50"])
async def test_mosquitto_bridge(serve, intake, mosquitto, version):
    """A mosquitto bridge hands on what its devices publish."""
    async with serve(intake) as listener:
        await mosquitto.kill()
        conf = mosquitto.folder / "mosquitto.conf"
        conf.write_text(
            f"{conf.read_text()}connection twin\naddress 127.0.0.1:{listener.port}\n"
            f"topic plant/# out 1\nnotifications false\ncleansession false\n"
            f"restart_timeout 1\nbridge_protocol_version {version}\n"
        )
        await mosquitto.start()
        async with asyncio.timeout(20):
            while not listener.stats()["connections"]:
                await asyncio.sleep(0.05)
        await mosquitto.publish([b"x", b"y"])
        await intake.until(lambda: len(intake.payloads) == 2)
        assert intake.of(Kind.MESSAGE) == [("plant/x", b"x", 1), ("plant/x", b"y", 1)]
