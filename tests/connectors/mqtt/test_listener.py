"""The listener against devices that send exactly what the test says."""

import asyncio
import json
import socket

import argon2
import pytest

from connectors.mqtt.codec import encode
from connectors.mqtt.identity import Identities
from connectors.mqtt.packets import (
    V3,
    V5,
    Ack,
    Connect,
    Disconnect,
    Ping,
    Pubacks,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Type,
    Unsuback,
    Unsubscribe,
    Will,
)
from connectors.mqtt.properties import Property
from connectors.mqtt.reasons import Code
from twin.errors import ConfigError
from twin.model.line import Device
from twin.model.line import Listener as ListenerSettings
from twin.model.message import Flag, Kind

BOTH = pytest.mark.parametrize("version", [V3, V5])


@pytest.fixture
def folder(tmp_path):
    """A folder with a password file ``pw`` that says ``pw``."""
    (tmp_path / "pw").write_text("pw\n")
    return tmp_path


def states(intake):
    return [json.loads(payload)["state"] for _, payload, _ in intake.of(Kind.SOURCE)]


@BOTH
async def test_no_ack_before_durable(raw, intake, version):
    """PUBACK leaves after the commit and not a moment before."""
    intake.hold = True
    dev = await raw(version=version)
    dev.send(Publish("a", b"1", 1, 7), Publish("a", b"2", 1, 8))
    await intake.until(lambda: len(intake.payloads) == 2)
    assert await dev.silent()
    intake.commit()
    assert [await dev.get(), await dev.get()] == [Pubacks([7], [0]), Pubacks([8], [0])]


async def test_acks_in_receive_order_with_refusals(serve, intake, raw_type, folder):
    """A refusal does not overtake the acknowledgement of an earlier message."""
    device = Device(user="gw", password_file="pw", publish=["ok/#"])
    intake.hold = True
    async with serve(intake, device=[device], base_dir=folder) as listener:
        dev = await raw_type.connect(listener.port, user="gw", password=b"pw")
        dev.send(Publish("ok/1", b"1", 1, 1))
        await intake.until(lambda: len(intake.payloads) == 1)
        dev.send(Publish("no", b"2", 1, 2), Publish("no", b"3", 2, 3), Publish("no", b"4"))
        dev.send(Publish("ok/1", b"5", 1, 5), Publish("no", b"6", 1, 6))
        await intake.until(lambda: len(intake.payloads) == 2)
        assert await dev.silent()
        intake.commit()
        got = [await dev.get() for _ in range(5)]
        assert got == [
            Pubacks([1], [0]),
            Pubacks([2], [0x87]),
            Ack(Type.PUBREC, 3, 0x87),
            Pubacks([5], [0]),
            Pubacks([6], [0x87]),
        ]
        assert intake.payloads == [b"1", b"5"]
        assert listener.stats()["refused_messages"] == 4


@BOTH
async def test_flags_and_retain(raw, intake, version):
    """QoS and DUP are kept; a device's retain bit does not make its message stale."""
    dev = await raw(version=version)
    dev.send(Publish("a", b"0", 0, retain=True), Publish("a", b"1", 1, 1, dup=True, retain=True))
    await intake.until(lambda: len(intake.payloads) == 2)
    assert [f for _, _, f in intake.of(Kind.MESSAGE)] == [0, Flag.QOS1 | Flag.DUP]


@BOTH
async def test_qos2_is_taken_once(raw, intake, version):
    """A repeated QoS 2 message is answered again and stored once; PUBCOMP follows the commit."""
    dev = await raw(version=version)
    dev.send(Publish("a", b"x", 2, 9))
    assert await dev.get() == Ack(Type.PUBREC, 9)
    assert intake.blocks[-1].qos2 == [9]
    dev.send(Publish("a", b"x", 2, 9, dup=True))
    assert await dev.get() == Ack(Type.PUBREC, 9)
    intake.hold = True
    dev.send(Ack(Type.PUBREL, 9))
    await intake.until(lambda: intake.waiting)
    assert await dev.silent()
    intake.commit()
    assert await dev.get() == Ack(Type.PUBCOMP, 9)
    intake.hold = False
    dev.send(Publish("a", b"y", 2, 9))
    assert await dev.get() == Ack(Type.PUBREC, 9)
    assert intake.payloads == [b"x", b"y"]


async def test_qos2_survives_a_restart(serve, intake, raw_type):
    """A message stored before a restart is not taken again after it."""
    keep = {Property.SESSION_EXPIRY: 3600}
    async with serve(intake) as listener:
        dev = await raw_type.connect(listener.port, clean_start=False, properties=keep)
        dev.send(Publish("a", b"x", 2, 1))
        assert await dev.get() == Ack(Type.PUBREC, 1)
        dev.drop()
    async with serve(intake) as listener:
        dev = await raw_type.connect(listener.port, clean_start=False, properties=keep)
        assert dev.connack.session_present
        dev.send(Publish("a", b"x", 2, 1, dup=True), Ack(Type.PUBREL, 1))
        assert await dev.get() == Ack(Type.PUBREC, 1)
        assert await dev.get() == Ack(Type.PUBCOMP, 1)
        assert intake.payloads == [b"x"]
        assert intake.qos2_ids("mqtt:dev") == set()


async def test_stale_qos2_id_does_not_swallow(serve, intake, raw_type):
    """A session that ended with its connection leaves no packet ids behind."""
    for kw in ({"clean_start": True}, {"clean_start": False}):
        async with serve(intake) as listener:
            intake.ids["mqtt:dev"] = {1}
            dev = await raw_type.connect(listener.port, **kw)
            assert not dev.connack.session_present
            dev.send(Publish("a", b"new", 2, 1))
            assert await dev.get() == Ack(Type.PUBREC, 1)
            dev.drop()
    assert intake.payloads == [b"new", b"new"]


async def test_repeat_of_an_uncommitted_qos2_waits(raw, intake):
    """After a reconnect, PUBREC still waits for the commit of the first copy."""
    intake.hold = True
    keep = {"clean_start": False, "properties": {Property.SESSION_EXPIRY: 60}}
    dev = await raw(**keep)
    dev.send(Publish("a", b"x", 2, 1))
    await intake.until(lambda: intake.payloads == [b"x"])
    again = await raw(**keep)
    again.send(Publish("a", b"x", 2, 1, dup=True), Ping())
    assert await again.get() == Ping(response=True)
    assert await again.silent()
    intake.commit()
    assert await again.get() == Ack(Type.PUBREC, 1)
    assert intake.payloads == [b"x"]


async def test_mixed_qos_in_one_read(raw, intake):
    """Messages of all QoS levels in one read keep their order, ids stand beside QoS 2 only."""
    dev = await raw()
    dev.send(Publish("a", b"0"), Publish("b", b"1", 1, 1), Publish("c", b"2", 2, 2))
    assert await dev.get() == Pubacks([1], [0])
    assert await dev.get() == Ack(Type.PUBREC, 2)
    block = intake.blocks[-1]
    assert (block.topics, block.qos2) == (["a", "b", "c"], [0, 0, 2])


async def test_forbidden_topic_closes_3_1_1(serve, intake, raw_type, folder):
    """Version 3.1.1 cannot be told no: the connection is closed and nothing is acknowledged."""
    device = Device(user="gw", password_file="pw", publish=["ok/#"])
    async with serve(intake, device=[device], base_dir=folder) as listener:
        dev = await raw_type.connect(listener.port, version=V3, user="gw", password=b"pw")
        dev.send(Publish("no", b"2", 1, 2))
        assert await dev.get() is None
        assert intake.payloads == []


async def test_receive_maximum(serve, intake, raw_type):
    """A version 5 device with more in flight than allowed is disconnected with 0x93."""
    intake.hold = True
    async with serve(intake, receive_maximum=3) as listener:
        dev = await raw_type.connect(listener.port)
        assert dev.connack.properties[Property.RECEIVE_MAXIMUM] == 3
        dev.send(*(Publish("a", b"", 1, i) for i in (1, 2)), Publish("a", b"", 2, 3))
        await intake.until(lambda: len(intake.payloads) == 3)
        dev.send(Publish("a", b"", 2, 4))
        assert await dev.get() == Disconnect(Code.RECEIVE_MAXIMUM)
        assert await dev.get() is None
        assert listener.stats()["malformed_receive_maximum"] == 1
        assert len(intake.payloads) == 3


async def test_receive_maximum_is_given_back(serve, intake, raw_type):
    """Answered messages no longer count against the receive maximum."""
    async with serve(intake, receive_maximum=2) as listener:
        dev = await raw_type.connect(listener.port)
        for i in range(1, 10):
            dev.send(Publish("a", b"", 1, i), Publish("a", b"", 2, 100 + i))
            assert await dev.get() == Pubacks([i], [0])
            assert await dev.get() == Ack(Type.PUBREC, 100 + i)
            dev.send(Ack(Type.PUBREL, 100 + i))
            assert await dev.get() == Ack(Type.PUBCOMP, 100 + i)


@pytest.mark.parametrize("hashed", [False, True])
@BOTH
async def test_passwords(serve, intake, raw_type, tmp_path, version, hashed):
    """A password file holds the password or its argon2 hash; anything else is refused."""
    secret = (
        argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("pw")
        if hashed
        else "pw"
    )
    (tmp_path / "pw").write_text(secret + "\n")
    devices = [Device(user="gw", password_file="pw"), Device(user="open")]
    bad = 0x86 if version == V5 else 4
    async with serve(intake, tmp_path, device=devices, anonymous=False) as listener:
        for user, password, reason in [
            ("gw", b"pw", 0),
            ("gw", b"pw", 0),
            ("gw", b"no", bad),
            ("gw", None, bad),
            ("who", b"pw", bad),
            ("open", b"", bad),
            (None, None, 0x87 if version == V5 else 5),
        ]:
            dev = await raw_type.connect(
                listener.port, version=version, user=user, password=password
            )
            assert dev.connack.reason == reason, (user, password)
            dev.drop()
        assert listener.stats()["refused"] == 5


async def test_messages_behind_connect_wait_for_the_check(serve, intake, raw_type, tmp_path):
    """What a device sends without waiting for CONNACK is handled after its password was checked."""
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("pw")
    (tmp_path / "pw").write_text(hashed)
    async with serve(intake, tmp_path, device=[Device(user="gw", password_file="pw")]) as listener:
        dev = await raw_type.open(listener.port)
        dev.send(Connect("dev", user="gw", password=b"pw"), Publish("a", b"1", 1, 1))
        dev.send(Publish("a", b"2", 1, 2))
        assert (await dev.get()).reason == 0
        assert await dev.get() == Pubacks([1], [0])
        assert await dev.get() == Pubacks([2], [0])
        bad = await raw_type.open(listener.port)
        bad.send(Connect("bad", user="gw", password=b"no"), Publish("a", b"3", 1, 1))
        assert (await bad.get()).reason == 0x86
        assert await bad.get() is None
        assert intake.payloads == [b"1", b"2"]


async def test_takeover(raw, intake, listener):
    """The newest connection of a client id wins; the old one is told so and is not reported lost."""
    old = await raw()
    new = await raw()
    assert await old.get() == Disconnect(Code.TAKEN_OVER)
    assert await old.get() is None
    new.send(Publish("a", b"", 1, 1))
    assert await new.get() == Pubacks([1], [0])
    assert listener.stats()["takeovers"] == 1
    assert states(intake) == ["new"]


async def test_ack_does_not_cross_connections(raw, intake):
    """A commit for a connection that was taken over acknowledges nothing on the new one."""
    intake.hold = True
    old = await raw()
    old.send(Publish("a", b"old", 1, 1))
    await intake.until(lambda: intake.payloads == [b"old"])
    new = await raw()
    new.send(Publish("a", b"new", 1, 1))
    await intake.until(lambda: intake.payloads == [b"old", b"new"])
    intake.commit(2)  # the SOURCE block and the old message
    assert await new.silent()
    intake.commit()
    assert await new.get() == Pubacks([1], [0])
    assert await new.silent()


async def test_client_id_of_another_user_is_refused(serve, intake, raw_type, folder):
    """Nobody throws out a device that connected under another user name."""
    devices = [Device(user=u, password_file="pw") for u in ("a", "b")]
    async with serve(intake, folder, device=devices) as listener:
        first = await raw_type.connect(listener.port, user="a", password=b"pw")
        second = await raw_type.connect(listener.port, user="b", password=b"pw")
        assert second.connack.reason == Code.BAD_CLIENT_ID
        first.send(Ping())
        assert await first.get() == Ping(response=True)


@BOTH
async def test_will_of_a_lost_device(raw, intake, version):
    """A will is stored as a message when the connection breaks, and the source is marked lost."""
    dev = await raw(version=version, will=Will("a/state", b"gone", 1))
    dev.drop()
    await intake.until(lambda: intake.payloads)
    assert intake.of(Kind.MESSAGE) == [("a/state", b"gone", Flag.QOS1)]
    assert states(intake) == ["new", "lost"]
    await raw(version=version)
    assert states(intake) == ["new", "lost", "back"]


@BOTH
async def test_disconnect_drops_the_will(raw, intake, version, listener):
    """A normal DISCONNECT drops the will and is no loss of the source."""
    dev = await raw(version=version, will=Will("a/state", b"gone"))
    dev.send(Disconnect())
    assert await dev.get() is None
    await intake.until(lambda: listener.stats()["connections"] == 0)
    assert intake.payloads == []
    assert states(intake) == ["new"]


async def test_disconnect_with_will(raw, intake):
    """DISCONNECT with reason 0x04 keeps the will."""
    dev = await raw(will=Will("a/state", b"gone"))
    dev.send(Disconnect(Code.DISCONNECT_WITH_WILL))
    await intake.until(lambda: intake.payloads == [b"gone"])
    assert states(intake) == ["new"]


async def test_will_delay(raw, intake, listener):
    """A delayed will waits, and is dropped when the device is back in time."""
    keep = {Property.SESSION_EXPIRY: 60}
    will = Will("a/state", b"gone", properties={Property.WILL_DELAY: 30})
    dev = await raw(clean_start=False, properties=keep, will=will)
    dev.drop()
    await intake.until(lambda: states(intake) == ["new", "lost"])
    assert intake.payloads == []
    back = await raw(clean_start=False, properties=keep)
    assert back.connack.session_present
    assert listener.devices.all()[0].will_timer is None
    assert intake.payloads == []


async def test_will_delay_ends_with_the_session(raw, intake):
    """A will is published at the latest when the session ends."""
    will = Will("a/state", b"gone", properties={Property.WILL_DELAY: 30})
    dev = await raw(properties={Property.SESSION_EXPIRY: 1}, will=will)
    dev.drop()
    await intake.until(lambda: intake.payloads == [b"gone"])


async def test_clean_start_publishes_a_delayed_will(raw, intake):
    """A clean start ends the old session, and with it the delay of its will."""
    will = Will("a/state", b"gone", properties={Property.WILL_DELAY: 30})
    dev = await raw(properties={Property.SESSION_EXPIRY: 60}, will=will)
    dev.drop()
    await intake.until(lambda: states(intake) == ["new", "lost"])
    back = await raw(clean_start=True)
    assert not back.connack.session_present
    assert intake.payloads == [b"gone"]


async def test_will_to_a_forbidden_topic(serve, intake, raw_type, folder):
    """A will the device may not publish refuses the connection, so that it is not lost silently."""
    device = Device(user="gw", password_file="pw", publish=["ok/#"])
    async with serve(intake, folder, device=[device]) as listener:
        dev = await raw_type.connect(
            listener.port, user="gw", password=b"pw", will=Will("no", b"x")
        )
        assert dev.connack.reason == Code.NOT_AUTHORIZED


@BOTH
async def test_keepalive(raw, intake, version, listener):
    """A silent device is dropped after one and a half keep-alive intervals."""
    dev = await raw(version=version, keepalive_s=1)
    if version == V5:
        assert await dev.get() == Disconnect(Code.KEEP_ALIVE_TIMEOUT)
    assert await dev.get() is None
    await intake.until(lambda: states(intake) == ["new", "lost"])
    assert listener.stats()["keepalive_timeouts"] == 1


async def test_keepalive_rests_while_we_do_not_read(raw, intake, listener):
    """A device is not blamed for silence while linetwin has stopped reading."""
    intake.room = False
    dev = await raw(keepalive_s=1)
    dev.send(Publish("a", b"1", 1, 1))
    await intake.until(lambda: intake.resumes)
    dev.send(Publish("a", b"2", 1, 2))
    await asyncio.sleep(2.5)
    assert intake.payloads == [b"1"]
    assert listener.stats()["connections"] == 1
    intake.make_room()
    await intake.until(lambda: intake.payloads == [b"1", b"2"])


async def test_server_keep_alive(raw):
    """A version 5 device that asks for no keep-alive is given the longest one."""
    dev = await raw(keepalive_s=0)
    assert dev.connack.properties[Property.SERVER_KEEP_ALIVE] == 3600


async def test_no_connect_in_time(listener, raw_type, intake):
    """A connection that does not say who it is is closed after two seconds."""
    dev = await raw_type.open(listener.port)
    assert await dev.get() is None
    assert listener.stats()["late_connects"] == 1


async def test_connection_limit(serve, intake, raw_type):
    """One device too many is refused; a device may always replace its own connection."""
    async with serve(intake, max_connections=1) as listener:
        await raw_type.connect(listener.port, "one")
        assert (await raw_type.connect(listener.port, "two")).connack.reason == Code.QUOTA
        v3 = await raw_type.connect(listener.port, "two", V3)
        assert v3.connack.reason == 3
        again = await raw_type.connect(listener.port, "one")
        assert again.connack.reason == 0


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x36\x07\0\1a\0\1\0x", "malformed"),
        (b"\x30\x04\0\1+\0", "bad_topic"),
        (b"\x30\xff\xff\xff\x7f", "too_large"),
        (encode(Connect("x"), V5), "protocol_error"),
        (encode(Ack(Type.PUBREC, 1), V5), "protocol_error"),
        (b"\xf0\x00", "protocol_error"),
        (b"\x30\x07\0\1a\3\x23\0\x63", "bad_alias"),
    ],
)
async def test_malformed_is_told_and_counted(raw, listener, intake, data, name):
    """A version 5 device that breaks the protocol gets the reason; the listener counts it."""
    dev = await raw()
    dev.send(Publish("a", b"good", 1, 1), data)
    got = [await dev.get(), await dev.get()]
    assert Disconnect(Code[name.upper()]) in got
    assert intake.payloads == [b"good"]
    assert listener.stats()[f"malformed_{name}"] == 1


async def test_malformed_3_1_1_is_closed(raw, listener):
    """A version 3.1.1 device is closed without a packet it would not understand."""
    dev = await raw(version=V3)
    dev.send(b"\x00\x00")
    assert await dev.get() is None
    assert listener.stats()["malformed_malformed"] == 1


async def test_before_connect(listener, raw_type):
    """Noise instead of CONNECT is closed; an old protocol level is told so."""
    noise = await raw_type.open(listener.port)
    noise.send(b"GET / HTTP/1.1\r\n\r\n")
    assert await noise.get() is None
    old = await raw_type.open(listener.port, V3)
    old.send(bytes.fromhex("100f 0006 4d5149736470 03 02 003c 0001 61"))
    assert (await old.get()).reason == 1
    assert await old.get() is None


async def test_enhanced_authentication_is_refused(raw):
    """Authentication methods are not supported, and that is said."""
    dev = await raw(properties={Property.AUTH_METHOD: "SCRAM"})
    assert dev.connack.reason == Code.BAD_AUTH_METHOD


async def test_client_ids(raw, listener):
    """A device without a client id gets one; version 3.1.1 must then ask for a clean session."""
    one, two = await raw(""), await raw("")
    names = [d.connack.properties[Property.ASSIGNED_CLIENT_ID] for d in (one, two)]
    assert names == ["auto-1", "auto-2"]
    assert (await raw("", V3, clean_start=False)).connack.reason == 2
    assert (await raw("", V3)).connack.reason == 0
    assert (await raw("x" * 300)).connack.reason == Code.BAD_CLIENT_ID


async def test_session_present(raw, intake):
    """A session is there again while it has not expired, and gone after a clean start."""
    keep = {Property.SESSION_EXPIRY: 60}
    seen = []
    for clean, props in [(False, keep), (False, keep), (True, keep), (False, {}), (False, {})]:
        dev = await raw(clean_start=clean, properties=props)
        seen.append(dev.connack.session_present)
        dev.send(Disconnect())
        assert await dev.get() is None
        await asyncio.sleep(0.01)
    assert seen == [False, True, False, True, False]


ALARM = "twin/v1/site/line/alarm/x"


@BOTH
async def test_subscribe_to_alarms_only(raw, version):
    """Only filters of alarms are granted, at most with QoS 1; others are refused one by one."""
    dev = await raw(version=version)
    asked = [
        ("twin/v1/site/line/alarm/#", 2),
        ("twin/v1/+/line/alarm/x", 0),
        ("#", 1),
        ("twin/#", 1),
        ("spBv1.0/g/NCMD/n/#", 1),
        ("$share/g/twin/a/b/c/alarm/x", 1),
        ("a/b#", 1),
    ]
    dev.send(Subscribe(3, [Subscription(f, q) for f, q in asked]))
    no, bad = (0x87, 0x8F) if version == V5 else (0x80, 0x80)
    assert await dev.get() == Suback(3, [1, 0, no, no, no, no, bad])


@BOTH
async def test_alarms_reach_devices(raw, listener, version):
    """Alarm messages are sent to subscribers, kept ones also to those that come later."""
    one = await raw("one", version)
    one.send(Subscribe(1, [Subscription("twin/+/+/+/alarm/#", 1)]))
    await one.get()
    listener.publish(ALARM, b"1", True)
    listener.publish("twin/v1/site/line/other", b"2", False)
    assert await one.get() == Publish(ALARM, b"1", 1, 1)
    one.send(Ack(Type.PUBACK, 1))
    two = await raw("two", version)
    two.send(Subscribe(1, [Subscription("twin/+/+/+/alarm/#", 0)]))
    await two.get()
    assert await two.get() == Publish(ALARM, b"1", 0, 0, retain=True)
    listener.publish(ALARM, b"", True)
    assert await two.get() == Publish(ALARM, b"", 0, 0)
    assert listener.retained == {}
    two.send(Unsubscribe(2, ["twin/+/+/+/alarm/#", "x"]))
    assert await two.get() == Unsuback(2, [0, 0x11] if version == V5 else [])


async def test_unanswered_alarm_is_repeated(raw, listener, intake):
    """An alarm without PUBACK is repeated to the same session, then those missed follow."""
    keep = {Property.SESSION_EXPIRY: 60}
    dev = await raw(clean_start=False, properties={**keep, Property.RECEIVE_MAXIMUM: 1})
    dev.send(Subscribe(1, [Subscription("twin/+/+/+/alarm/#", 1)]))
    await dev.get()
    listener.publish(ALARM, b"1", False)
    listener.publish(ALARM, b"2", False)
    assert await dev.get() == Publish(ALARM, b"1", 1, 1)
    assert await dev.silent()
    dev.drop()
    await intake.until(lambda: states(intake) == ["new", "lost"])
    listener.publish(ALARM, b"3", False)
    back = await raw(clean_start=False, properties=keep)
    got = [await back.get() for _ in range(3)]
    assert got == [
        Publish(ALARM, b"1", 1, 1, dup=True),
        Publish(ALARM, b"2", 1, 2),
        Publish(ALARM, b"3", 1, 3),
    ]


async def test_too_large_alarm_is_counted(raw, listener):
    """A message larger than the device accepts is not sent, and counted."""
    dev = await raw(properties={Property.MAXIMUM_PACKET_SIZE: 50})
    dev.send(Subscribe(1, [Subscription("twin/+/+/+/alarm/#", 1)]))
    await dev.get()
    listener.publish(ALARM, bytes(100), False)
    listener.publish(ALARM, b"small", False)
    assert (await dev.get()).payload == b"small"
    assert listener.stats()["dropped_alarms"] == 1


async def test_shutdown_says_so(serve, intake, raw_type):
    """When linetwin stops, version 5 devices get the reason and no will is published."""
    async with serve(intake) as listener:
        dev = await raw_type.connect(listener.port, will=Will("a", b"gone"))
    assert await dev.get() == Disconnect(Code.SHUTTING_DOWN)
    assert await dev.get() is None
    assert intake.payloads == []


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0"},
        {"device": [Device(user="a", password_file="missing")]},
        {"device": [Device(user="a", publish=["a/#/b"])]},
        {"device": [Device(user="a", subscribe=["#"])]},
        {"device": [Device(user="a"), Device(user="a")]},
    ],
)
async def test_wrong_settings_refuse_to_start(serve, intake, tmp_path, settings):
    """Settings that cannot work, or would open linetwin to everybody, are an error."""
    with pytest.raises(ConfigError):
        async with serve(intake, tmp_path, **settings):
            pass


async def test_half_open_limit(listener, raw_type, intake):
    """More than a hundred connections that say nothing are closed at once."""
    quiet = [await raw_type.open(listener.port) for _ in range(100)]
    assert await (await raw_type.open(listener.port)).get() is None
    assert listener.stats()["refused_half_open"] == 1
    quiet[0].send(Connect("late"))
    assert (await quiet[0].get()).reason == 0


async def test_anonymous_only_on_this_machine(folder):
    """Clients from the network need a user name, whatever ``anonymous`` says."""
    who = Identities(ListenerSettings(device=[Device(user="gw", password_file="pw")]), folder)
    assert await who.check(None, None, local=True) is not None
    assert await who.check(None, None, local=False) is None
    assert (await who.check("gw", b"pw", local=False)).user == "gw"


async def test_device_that_reads_nothing_is_not_read(raw, listener):
    """A device that takes no answers is read no further: what waits for it stays bounded."""
    dev = await raw()
    dev.reader._transport.pause_reading()
    connection = next(iter(listener._open))
    sock = connection.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    connection.transport.set_write_buffer_limits(1024)
    async with asyncio.timeout(20):
        while not connection.held("unread"):
            dev.writer.write(b"\xc0\x00" * 10_000)
            await asyncio.sleep(0.001)
    dev.reader._transport.resume_reading()
    async with asyncio.timeout(20):
        while connection.held("unread"):
            await dev.reader.read(1 << 20)
            await asyncio.sleep(0)
