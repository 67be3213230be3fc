"""The listener on the real journal."""

import asyncio

from connectors.mqtt.packets import Ack, Ping, Publish, Type
from connectors.mqtt.player import play
from connectors.mqtt.properties import Property
from twin.clock import SystemClock
from twin.journal.writer import Journal
from twin.model.message import Kind


def opened(folder):
    journal = Journal(folder, SystemClock(), code_version="test")
    journal.open()
    journal.start(asyncio.get_running_loop())
    return journal


def messages(journal):
    return [
        payload
        for part in journal.read(1, 1_000_000)
        if part.kind is Kind.MESSAGE
        for payload in part.payloads
    ]


async def test_acknowledged_is_in_the_journal(serve, tmp_path):
    """Everything the player got a PUBACK for is there after the journal was opened again."""
    journal = opened(tmp_path)
    async with serve(journal) as listener:
        sent = [b"%d" % i for i in range(5000)]
        rows = [(0.0, f"t/{i % 5}", payload) for i, payload in enumerate(sent)]
        stats = await play(rows, "127.0.0.1", listener.port, speed=None)
        assert stats.acknowledged == 5000
    journal.close()
    journal = opened(tmp_path)
    assert messages(journal) == sent
    journal.close()


async def test_qos2_exactly_once_across_a_restart(serve, tmp_path, raw_type):
    """Messages repeated after a restart are stored once; released packet ids are free again."""
    keep = {"clean_start": False, "properties": {Property.SESSION_EXPIRY: 3600}}
    journal = opened(tmp_path)
    async with serve(journal) as listener:
        dev = await raw_type.connect(listener.port, **keep)
        dev.send(*(Publish("a", b"%d" % i, 2, i) for i in (1, 2, 3)), Ack(Type.PUBREL, 3))
        got = [await dev.get() for _ in range(4)]
        assert got == [*(Ack(Type.PUBREC, i) for i in (1, 2, 3)), Ack(Type.PUBCOMP, 3)]
        dev.drop()
    journal.close()
    journal = opened(tmp_path)
    async with serve(journal) as listener:
        dev = await raw_type.connect(listener.port, **keep)
        assert dev.connack.session_present
        dev.send(*(Publish("a", b"%d" % i, 2, i, dup=True) for i in (1, 2)))
        dev.send(Publish("a", b"new", 2, 3))
        assert [await dev.get() for _ in range(3)] == [Ack(Type.PUBREC, i) for i in (1, 2, 3)]
        dev.send(*(Ack(Type.PUBREL, i) for i in (1, 2, 3)), Ping())
        for _ in range(4):
            await dev.get()
        assert messages(journal) == [b"1", b"2", b"3", b"new"]
        assert journal.qos2_ids("mqtt:dev") == set()
    journal.close()
