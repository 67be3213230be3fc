"""From journal entries to the alarm decision: decode, check, route, charts, rules, alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cli.benches import lines
from twin.cli.benches.figure import Figure, Work, cost_of
from twin.engine.pipeline import Pipeline

if TYPE_CHECKING:
    from twin.model.index import LineIndex
    from twin.model.message import Entries

__all__ = ["cost_per_message", "measure"]

_MESSAGES = 200_000
_FRAME = 1000
"""Entries of one journal frame under load."""


def measure(work: Work) -> list[Figure]:
    """Processor time per JSON message, without sockets and journal."""
    sent = lines.messages(work.count(_MESSAGES, 2000))
    feed = lines.entries(sent, _FRAME)
    index = lines.bench_index()
    cost_per_message(index, feed[:2])  # compiled kernels are loaded
    return [
        Figure(
            name="pipeline.message",
            unit="µs CPU/message",
            runs=[cost_per_message(index, feed) for _ in range(work.runs)],
            conditions={
                "messages": len(sent),
                "sensors": len(index),
                "messages_per_frame": _FRAME,
                "payload": sent[0].payload.decode(),
            },
        )
    ]


def cost_per_message(index: LineIndex, feed: list[Entries]) -> float:
    """Processor time of a new pipeline per entry, µs.

    Raises:
        RuntimeError: An entry was not stored, so the figure would be of something else.
    """
    pipeline = Pipeline(index)

    def through() -> None:
        for run in feed:
            pipeline.feed(run)

    took = cost_of(through)
    count = sum(map(len, feed))
    ingest = pipeline.ingest
    if not ingest.received == ingest.stored == count:
        refused = dict(ingest.dead.counts)
        raise RuntimeError(f"{count} entries, {ingest.stored} samples stored, refused: {refused}")
    return took.cpu_s / count * 1e6
