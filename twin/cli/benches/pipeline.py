"""From journal entries to the alarm decision: decode, check, route, charts, rules, alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cli.benches import lines
from twin.cli.benches.figure import Figure, Work, cost_of
from twin.engine.pipeline import Pipeline

if TYPE_CHECKING:
    from twin.model.message import Entries

__all__ = ["measure"]

_MESSAGES = 200_000
_RUN = 1000
"""Entries of one journal frame under load."""


def measure(work: Work) -> list[Figure]:
    """Processor time per JSON message, without sockets and journal."""
    sent = lines.messages(work.count(_MESSAGES, 2000))
    feed = lines.entries(sent, _RUN)
    index = lines.bench_index()
    _through(Pipeline(index), feed[:2])  # compiled kernels are loaded
    runs = []
    for _ in range(work.runs):
        pipeline = Pipeline(index)
        took = cost_of(lambda pipeline=pipeline: _through(pipeline, feed))  # type: ignore[misc]  # bound now
        _check(pipeline, len(sent))
        runs.append(took.cpu_s / len(sent) * 1e6)
    return [
        Figure(
            name="pipeline.message",
            unit="µs CPU/message",
            runs=runs,
            conditions={
                "messages": len(sent),
                "sensors": len(index),
                "messages_per_frame": _RUN,
                "payload": sent[0].payload.decode(),
            },
        )
    ]


def _through(pipeline: Pipeline, feed: list[Entries]) -> None:
    for run in feed:
        pipeline.feed(run)


def _check(pipeline: Pipeline, sent: int) -> None:
    ingest = pipeline.ingest
    if not ingest.received == ingest.stored == sent:
        counts = dict(ingest.dead.counts)
        raise RuntimeError(f"sent {sent}, stored {ingest.stored}, refused {counts}")
