"""The ingest session against a real mosquitto."""

import asyncio
import contextlib
import json
import logging

import numpy as np
import pytest

from connectors.mqtt.session import Session
from twin.clock import SystemClock
from twin.errors import ConfigError
from twin.model.line import Broker
from twin.model.message import Flag, Kind

pytestmark = pytest.mark.peer


def entries(intake):
    return [json.loads(payload) for _, payload, _ in intake.of(Kind.SOURCE)]


def states(intake):
    return [e["state"] for e in entries(intake)]


@contextlib.asynccontextmanager
async def session(port, intake, base_dir, **settings):
    """A running session."""
    settings = {"topics": ["plant/#"], **settings}
    source = Session(
        Broker(host="127.0.0.1", port=port, **settings),
        "site-line-ingest",
        SystemClock(),
        base_dir,
        np.random.default_rng(1),
    )
    task = asyncio.create_task(source.run(intake))
    try:
        yield source
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def subscribed(broker, intake):
    """Wait until messages of the broker arrive (the filter is granted)."""
    before = len(intake.payloads)
    async with asyncio.timeout(30):
        while len(intake.payloads) == before:
            await broker.publish([b"ready"], qos=0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await intake.until(lambda: len(intake.payloads) > before)
    await asyncio.sleep(0.1)
    for block in intake.blocks:
        if block.kind is Kind.MESSAGE:
            for column in (block.topics, block.payloads, block.recv_ns, block.flags):
                column.clear()


async def test_everything_in_order(mosquitto, intake, tmp_path):
    """Messages arrive in order, with QoS 1, and are acknowledged."""
    async with session(mosquitto.port, intake, tmp_path) as source:
        await subscribed(mosquitto, intake)
        sent = [b"%d" % i for i in range(5000)]
        await mosquitto.publish(sent)
        await intake.until(lambda: len(intake.payloads) == 5000)
        assert intake.payloads == sent
        assert {f for _, _, f in intake.of(Kind.MESSAGE)} == {Flag.QOS1}
        assert source.stats()["connected"] == 1
    assert states(intake) == ["new"]


async def test_messages_wait_while_linetwin_is_away(mosquitto, intake, tmp_path):
    """What is published while linetwin is off comes when it is back."""
    async with session(mosquitto.port, intake, tmp_path):
        await subscribed(mosquitto, intake)
    await mosquitto.publish([b"%d" % i for i in range(300)])
    async with session(mosquitto.port, intake, tmp_path):
        await intake.until(lambda: len(intake.payloads) == 300)
    assert intake.payloads == [b"%d" % i for i in range(300)]
    assert [e["session_present"] for e in entries(intake)] == [False, True]


async def test_unacknowledged_comes_again(mosquitto, intake, tmp_path):
    """A message that was not durable when linetwin ended is delivered again."""
    async with session(mosquitto.port, intake, tmp_path):
        await subscribed(mosquitto, intake)
        intake.hold = True
        await mosquitto.publish([b"a"])
        await intake.until(lambda: len(intake.payloads) == 1)
        await mosquitto.publish([b"b", b"c"])
        await intake.until(lambda: len(intake.payloads) == 3)
        intake.commit(1)
        await asyncio.sleep(0.2)
    intake.hold = False
    intake.waiting.clear()
    intake.blocks.clear()
    async with session(mosquitto.port, intake, tmp_path):
        await intake.until(lambda: b"c" in intake.payloads)
        assert intake.payloads == [b"b", b"c"]
        assert all(f & Flag.DUP for _, _, f in intake.of(Kind.MESSAGE))


async def test_broker_killed_and_restarted(mosquitto, intake, tmp_path, caplog):
    """After kill -9 of the broker the session continues; lost and back are said once each."""
    caplog.set_level(logging.WARNING)
    async with session(mosquitto.port, intake, tmp_path):
        await subscribed(mosquitto, intake)
        await asyncio.sleep(1.5)  # a broker saves its sessions once a second
        await mosquitto.kill()
        await intake.until(lambda: states(intake) == ["new", "lost"])
        await asyncio.sleep(2.5)  # several attempts
        await mosquitto.start()
        await intake.until(lambda: states(intake) == ["new", "lost", "back"])
        await mosquitto.publish([b"after"])
        await intake.until(lambda: intake.payloads == [b"after"])
    said = [r.message for r in caplog.records]
    assert sum("source lost" in m for m in said) == 1
    assert sum("source back" in m for m in said) == 1


async def test_lost_session_is_a_possible_gap(mosquitto, intake, tmp_path):
    """A broker that forgot the session is subscribed to again, and the gap is journalled."""
    async with session(mosquitto.port, intake, tmp_path) as source:
        await subscribed(mosquitto, intake)
        await mosquitto.kill()
        mosquitto.forget()
        await mosquitto.start()
        await intake.until(lambda: states(intake) == ["new", "lost", "back"])
        assert [e.get("gap_possible") for e in entries(intake)] == [False, None, True]
        await subscribed(mosquitto, intake)
        await mosquitto.publish([b"after"])
        await intake.until(lambda: intake.payloads == [b"after"])
        assert source.stats()["sessions_lost"] == 1


async def test_stale_ack_deletes_nothing(mosquitto, intake, tmp_path):
    """Acknowledgements of an older connection are dropped: their ids belong to new messages now."""
    async with session(mosquitto.port, intake, tmp_path) as source:
        await subscribed(mosquitto, intake)
        intake.hold = True
        await mosquitto.publish([b"old-1", b"old-2", b"old-3"])
        await intake.until(lambda: len(intake.payloads) == 3)
        old = len(intake.waiting)
        await mosquitto.kill()
        mosquitto.forget()
        await mosquitto.start()
        await intake.until(lambda: states(intake) == ["new", "lost", "back"])
        async with asyncio.timeout(30):
            while len(intake.payloads) == 3:
                await mosquitto.publish([b"new"])
                await asyncio.sleep(0.2)
        count = len(intake.payloads) - 3
        intake.commit(old)
        await asyncio.sleep(0.2)
        assert source.stats()["stale_acks"] == 3
    intake.waiting.clear()
    intake.blocks.clear()
    intake.hold = False
    async with session(mosquitto.port, intake, tmp_path):
        await intake.until(lambda: len(intake.payloads) == count)
        assert set(intake.payloads) == {b"new"}


async def test_retained_is_marked(mosquitto, intake, tmp_path):
    """A message the broker kept is marked, a live one of the same topic is not."""
    from connectors.mqtt.codec import encode
    from connectors.mqtt.packets import V5, Connect, Publish

    _, writer = await asyncio.open_connection("127.0.0.1", mosquitto.port)
    writer.write(encode(Connect("kept"), V5) + encode(Publish("plant/k", b"old", retain=True), V5))
    await asyncio.sleep(0.3)
    async with session(mosquitto.port, intake, tmp_path):
        await intake.until(lambda: len(intake.payloads) == 1)
        writer.write(encode(Publish("plant/k", b"live", retain=True), V5))
        await intake.until(lambda: len(intake.payloads) == 2)
    writer.close()
    await writer.wait_closed()
    assert intake.of(Kind.MESSAGE) == [
        ("plant/k", b"old", Flag.RETAIN),
        ("plant/k", b"live", 0),
    ]


async def test_back_pressure(mosquitto, intake, tmp_path):
    """Without room reading stops, the connection lives on, and everything comes afterwards."""
    async with session(mosquitto.port, intake, tmp_path, keepalive_s=5) as source:
        await subscribed(mosquitto, intake)
        intake.room = False
        await mosquitto.publish([bytes(1000)] * 400)
        await intake.until(lambda: intake.resumes)
        stopped = len(intake.payloads)
        assert stopped < 400
        await asyncio.sleep(8)  # longer than 1.5 keep-alive intervals
        assert len(intake.payloads) == stopped
        intake.make_room()
        await intake.until(lambda: len(intake.payloads) == 400)
        assert source.stats()["connects"] == 1
    assert states(intake) == ["new"]


async def test_publish(mosquitto, intake, tmp_path):
    """A rebirth request goes out with QoS 0 or 1; without a connection that is said."""
    async with session(mosquitto.port, intake, tmp_path) as source:
        assert not source.publish("plant/cmd", b"early")
        await subscribed(mosquitto, intake)
        assert source.publish("plant/cmd", b"0")
        assert source.publish("plant/cmd", b"1", 1)
        await intake.until(lambda: len(intake.payloads) == 2)
        assert intake.payloads == [b"0", b"1"]


async def test_broker_absent_at_start(mosquitto, intake, tmp_path, caplog):
    """linetwin starts without the broker, says so once, and connects when it comes."""
    await mosquitto.kill()
    async with session(mosquitto.port, intake, tmp_path):
        await intake.until(lambda: states(intake) == ["lost"])
        await asyncio.sleep(1.5)
        await mosquitto.start()
        await intake.until(lambda: states(intake) == ["lost", "back"])
    assert sum("source lost" in r.message for r in caplog.records) == 1


async def test_refused_connection_in_words(tmp_path, free_port, intake, mosquitto):
    """A wrong password is said in words."""
    (mosquitto.folder / "passwords").write_text("")
    conf = mosquitto.folder / "mosquitto.conf"
    conf.write_text(
        conf.read_text().replace("allow_anonymous true", "allow_anonymous false")
        + f"password_file {mosquitto.folder}/passwords\n"
    )
    await mosquitto.kill()
    await mosquitto.start()
    (tmp_path / "pw").write_text("wrong\n")
    async with session(mosquitto.port, intake, tmp_path, user="me", password_file="pw"):
        await intake.until(lambda: entries(intake))
    assert "not authorized" in entries(intake)[0]["detail"]


async def test_two_clients_with_one_id(mosquitto, intake, tmp_path, caplog):
    """Clients that throw each other out are recognised by the rate, and waited for."""
    other = type(intake)()
    async with (
        session(mosquitto.port, intake, tmp_path) as one,
        session(mosquitto.port, other, tmp_path) as two,
    ):
        async with asyncio.timeout(40):
            while not (one.stats().get("fights") or two.stats().get("fights")):
                await asyncio.sleep(0.1)
    assert any("another client" in r.message for r in caplog.records)


@pytest.mark.parametrize(
    "settings",
    [
        {"topics": ["#"]},
        {"topics": ["a/#/b"]},
        {"topics": ["$share/g/a"]},
        {"password_file": "missing"},
        {"tls": True, "ca_file": "missing"},
    ],
)
def test_wrong_settings_refuse_to_start(tmp_path, settings):
    """Settings that cannot work are an error before any connection is made."""
    with pytest.raises(ConfigError):
        Session(Broker(host="h", **settings), "id", SystemClock(), tmp_path)
