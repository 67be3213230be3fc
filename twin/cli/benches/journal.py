"""The journal alone: blocks of messages in, called back when they are on disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from twin.cli.benches import lines
from twin.cli.benches.figure import Cost, Figure, Work, cost_of
from twin.clock import SystemClock
from twin.journal import Journal
from twin.model.message import Block, Flag

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["measure"]

_MESSAGES = 500_000
_BLOCK = 200
"""Messages of one socket read: about 20 kB."""


def measure(work: Work) -> list[Figure]:
    """Durable messages per second, processor time and disk space per message."""
    sent = lines.messages(work.count(_MESSAGES, 2000))
    took, sizes = [], []
    for run in range(work.runs):
        folder = work.folder / f"journal-{run}"
        took.append(_store(folder, sent))
        files = [file for file in folder.glob("[0-9]*.db*") if file.suffix == ".db"]
        sizes.append(sum(file.stat().st_size for file in files) / len(sent))
    conditions = {
        "messages": len(sent),
        "messages_per_block": _BLOCK,
        "payload": sent[0].payload.decode(),
        "topic": sent[0].topic,
        "durability": "SQLite WAL, synchronous=FULL, call back after the commit",
        "filesystem": "the one of the temporary folder",
    }
    return [
        Figure(
            name="journal.rate",
            unit="messages/s",
            better="higher",
            runs=[len(sent) / cost.wall_s for cost in took],
            conditions=conditions,
        ),
        Figure(
            name="journal.message",
            unit="µs CPU/message",
            runs=[cost.cpu_s / len(sent) * 1e6 for cost in took],
            conditions=conditions,
        ),
        Figure(name="journal.bytes", unit="bytes/message", runs=sizes, conditions=conditions),
    ]


def _store(folder: Path, sent: list[lines.Message]) -> Cost:
    journal = Journal(folder, SystemClock(), code_version="bench")
    journal.open()
    blocks = _blocks(sent)
    try:
        cost = cost_of(lambda: asyncio.run(_put_all(journal, blocks)))
    finally:
        journal.close()
    if journal.committed != len(sent):
        raise RuntimeError(f"{len(sent)} messages handed over, {journal.committed} on disk")
    return cost


def _blocks(sent: list[lines.Message]) -> list[Block]:
    now_ns = SystemClock().wall_ns()
    blocks = []
    for at in range(0, len(sent), _BLOCK):
        part = sent[at : at + _BLOCK]
        blocks.append(
            Block(
                "mqtt:bench",
                topics=[message.topic for message in part],
                payloads=[message.payload for message in part],
                recv_ns=[now_ns] * len(part),
                flags=[int(Flag.QOS1)] * len(part),
            )
        )
    return blocks


async def _put_all(journal: Journal, blocks: list[Block]) -> None:
    """As a source does it: stop while there is no room, done when the last call back came."""
    loop = asyncio.get_running_loop()
    journal.start(loop)
    left = len(blocks)
    done = loop.create_future()

    def durable() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    for block in blocks:
        if not journal.put(block, durable):
            room = loop.create_future()
            journal.on_room(lambda room=room: room.set_result(None))  # type: ignore[misc]
            await room
    await done
