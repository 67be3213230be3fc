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
_FRAMES = {1000: "message", 100: "message_in_frames_of_100", 10: "message_in_frames_of_10"}
"""Entries of a journal frame, from full load to a quiet line, and what the figure is called."""


def measure(work: Work) -> list[Figure]:
    """Processor time per JSON message, without sockets and journal."""
    sent = lines.messages(work.count(_MESSAGES, 2000))
    index = lines.bench_index()
    cost_per_message(index, lines.entries(sent[:2000], 1000))  # compiled kernels are loaded
    figures = []
    for frame, name in _FRAMES.items():
        # Small frames cost more per message; fewer messages tell as much.
        part = sent[: max(2000, len(sent) * frame // (frame + 100))]
        feed = lines.entries(part, frame)
        figures.append(
            Figure(
                name=f"pipeline.{name}",
                unit="µs CPU/message",
                runs=[cost_per_message(index, feed) for _ in range(work.runs)],
                conditions={
                    "messages": len(part),
                    "sensors": len(index),
                    "messages_per_frame": frame,
                    "payload": sent[0].payload.decode(),
                },
            )
        )
    return figures


def cost_per_message(index: LineIndex, feed: list[Entries], known: int = 0) -> float:
    """Processor time of a new pipeline per entry, µs.

    Args:
        index: The line.
        feed: What it reads.
        known: The first runs of ``feed`` that are not counted, so that every sensor is known.

    Raises:
        RuntimeError: An entry was not stored, so the figure would be of something else.
    """
    pipeline = Pipeline(index)
    _through(pipeline, feed[:known])
    took = cost_of(lambda: _through(pipeline, feed[known:]))
    ingest = pipeline.ingest
    if not ingest.received == ingest.stored == sum(map(len, feed)):
        refused = dict(ingest.dead.counts)
        raise RuntimeError(f"{ingest.stored} samples stored, refused: {refused}")
    return took.cpu_s / sum(map(len, feed[known:])) * 1e6


def _through(pipeline: Pipeline, feed: list[Entries]) -> None:
    for run in feed:
        pipeline.feed(run)
