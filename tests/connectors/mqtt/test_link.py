"""The client's end against a broker that does exactly what the test says."""

import asyncio
import contextlib
import json

import pytest

from connectors.mqtt.codec import Decoder, encode
from connectors.mqtt.link import Link, connected
from connectors.mqtt.packets import (
    V5,
    Connack,
    Connect,
    Disconnect,
    Ping,
    Pubacks,
    Publish,
    Suback,
    Subscribe,
    Subscription,
)
from connectors.mqtt.properties import Property
from connectors.mqtt.session import Session
from twin.clock import SystemClock
from twin.errors import SourceError
from twin.model.line import Broker
from twin.model.message import Kind


class FakeBroker:
    """Takes one connection after the other and answers CONNECT with ``connack``."""

    def __init__(self, connack):
        self.connack, self.got, self.writer = connack, [], None

    async def serve(self, reader, writer):
        decoder = Decoder(server=True, max_packet=1 << 20)
        self.writer = writer
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                for item in decoder.feed(data):
                    self.got.append(item)
                    if isinstance(item, Connect) and self.connack is not None:
                        self.send(self.connack)
        writer.close()

    def send(self, *packets):
        self.writer.write(b"".join(encode(p, V5) for p in packets))

    def count(self, kind):
        return sum(isinstance(item, kind) for item in self.got)

    async def until(self, done):
        async with asyncio.timeout(20):
            while not done():
                await asyncio.sleep(0.005)


@pytest.fixture
async def broker():
    fake = FakeBroker(Connack())
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    yield fake
    server.close()
    if fake.writer is not None:
        fake.writer.transport.abort()
    await asyncio.sleep(0)


@pytest.fixture
async def source(broker, intake, tmp_path):
    """A session connected to the fake broker."""
    made = Session(
        Broker(host="127.0.0.1", port=broker.port, topics=["a/#", "b"]),
        "me",
        SystemClock(),
        tmp_path,
    )
    task = asyncio.create_task(made.run(intake))
    await broker.until(lambda: broker.count(Subscribe))
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def link(connect, **kw):
    return lambda: Link(connect, max_packet=1000, take=lambda _: None, **kw)


async def test_acks_in_receive_order_after_commit(source, broker, intake):
    """The session acknowledges in the order it received, and only what is committed."""
    intake.hold = True
    intake.waiting.clear()
    broker.send(Publish("a/1", b"1", 1, 9), Publish("a/1", b"", 0), Publish("a/1", b"2", 1, 3))
    await intake.until(lambda: len(intake.payloads) == 3)
    broker.send(Publish("b", b"3", 1, 7), Publish("b", b"4", 1, 1))
    await intake.until(lambda: len(intake.payloads) == 5)
    intake.commit(1)
    await broker.until(lambda: broker.count(Pubacks))
    intake.commit()
    await broker.until(lambda: sum(len(i.ids) for i in broker.got if isinstance(i, Pubacks)) == 4)
    acks = [number for i in broker.got if isinstance(i, Pubacks) for number in i.ids]
    assert acks == [9, 3, 7, 1]


async def test_what_the_session_asks_for(source, broker):
    """Never a clean start, a session that outlives the connection, QoS 1 and explicit filters."""
    connect, subscribe = broker.got[:2]
    assert (connect.client_id, connect.clean_start) == ("me", False)
    assert connect.properties == {
        Property.SESSION_EXPIRY: 604_800,
        Property.RECEIVE_MAXIMUM: 1000,
        Property.MAXIMUM_PACKET_SIZE: 262_144,
    }
    assert subscribe.subscriptions == [
        Subscription("a/#", 1, retain_handling=1),
        Subscription("b", 1, retain_handling=1),
    ]


async def test_refused_subscription_is_logged(source, broker, caplog):
    """A filter the broker refuses is named with the reason, and counted."""
    broker.send(Suback(1, [1, 0x87]))
    await broker.until(lambda: source.stats().get("refused_subscriptions"))
    assert "subscription 'b' refused: not authorized (0x87)" in caplog.text


async def test_refused_publish_is_logged(source, broker, caplog):
    """A refused publish is named; its packet id may be used again."""
    assert source.publish("cmd", b"x", 1)
    await broker.until(lambda: broker.count(Subscribe) and len(broker.got) == 3)
    number = broker.got[2].ids[0]
    broker.writer.write(b"\x40\x03" + number.to_bytes(2) + b"\x87")
    await broker.until(lambda: source.stats().get("refused_publishes"))
    assert "publish to 'cmd': not authorized (0x87)" in caplog.text


async def test_broker_says_goodbye(source, broker, intake):
    """The broker's reason is in the journal entry of the loss."""
    broker.send(Disconnect(0x8B, {Property.REASON_STRING: "maintenance"}))
    await intake.until(lambda: len(intake.of(Kind.SOURCE)) == 2)
    lost = json.loads(intake.of(Kind.SOURCE)[1][1])
    assert lost["state"] == "lost"
    assert "server shutting down" in lost["detail"]
    assert "maintenance" in lost["detail"]


async def test_broker_that_breaks_the_protocol(source, broker, intake):
    """A malformed packet ends the connection; the session tells the broker why and comes back."""
    broker.writer.write(b"\x36\x05\0\1a\0\1")
    await intake.until(lambda: len(intake.of(Kind.SOURCE)) == 3)
    assert Disconnect(0x81) in broker.got
    assert [json.loads(p)["state"] for _, p, _ in intake.of(Kind.SOURCE)] == ["new", "lost", "back"]


async def test_qos2_is_not_taken_by_the_session(source, broker, intake):
    """A broker that sends QoS 2 to a QoS 1 subscription is told so; nothing is acknowledged."""
    broker.send(Publish("a/1", b"", 2, 1))
    await broker.until(lambda: Disconnect(0x9B) in broker.got)
    assert intake.payloads == []


async def test_refusal_in_words(broker):
    """A refused connection raises the reason in words, with the broker's own."""
    broker.connack = Connack(reason=0x86, properties={Property.REASON_STRING: "who?"})
    with pytest.raises(SourceError, match=r"bad user name or password \(0x86\): 'who\?'"):
        async with connected(link(Connect("x")), "127.0.0.1", broker.port):
            pass


async def test_silent_broker_is_noticed(broker):
    """A broker that answers no PINGREQ within the keep-alive is given up."""
    async with connected(link(Connect("x", keepalive_s=1)), "127.0.0.1", broker.port) as (it, _):
        assert "no answer" in await asyncio.wait_for(asyncio.shield(it.lost), 20)


async def test_pings_while_paused(broker):
    """While reading is paused PINGREQ still leaves, and its answer is not missed."""
    async with connected(link(Connect("x", keepalive_s=1)), "127.0.0.1", broker.port) as (it, _):
        await broker.until(lambda: broker.count(Ping) == 1)
        it.hold("full")
        await broker.until(lambda: broker.count(Ping) >= 6)
        assert not it.ended
        it.free("full")
        assert "no answer" in await asyncio.wait_for(asyncio.shield(it.lost), 20)


async def test_server_keep_alive_is_used(broker):
    """The broker's keep-alive replaces ours."""
    broker.connack = Connack(properties={Property.SERVER_KEEP_ALIVE: 1})
    async with connected(link(Connect("x", keepalive_s=600)), "127.0.0.1", broker.port):
        await broker.until(lambda: broker.count(Ping) == 2)
