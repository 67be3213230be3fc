"""The embedded time-series store: samples in, chunks on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.cli.benches import lines
from twin.cli.benches.figure import Figure, Work, cost_of
from twin.history import History
from twin.model.batch import Batch

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["measure"]

_SAMPLES = 1_000_000
_SENSORS = 1000
_BATCH = 5000
_FLUSH = 500_000
"""Samples between two flushes: the engine flushes with every snapshot."""


def measure(work: Work) -> list[Figure]:
    """Processor time and disk space per sample."""
    count = work.count(_SAMPLES, 2 * _BATCH)
    batches = _batches(count)
    took = [_keep(work.folder / f"history-{run}.db", batches) for run in range(work.runs)]
    conditions = {
        "samples": count,
        "sensors": _SENSORS,
        "samples_per_flush": min(count, _FLUSH),
        "values": "normal, three decimals, one per second and sensor",
    }
    return [
        Figure(
            name="history.sample",
            unit="µs CPU/sample",
            runs=[micros for micros, _ in took],
            conditions=conditions,
        ),
        Figure(
            name="history.bytes",
            unit="bytes/sample",
            runs=[size for _, size in took],
            conditions=conditions,
        ),
    ]


def _batches(count: int) -> list[Batch]:
    number = np.arange(count)
    value = lines.sample_values(count)
    time_ns = (1_700_000_000 + number // _SENSORS) * 1_000_000_000
    return [
        Batch.of(
            number[at : at + _BATCH] % _SENSORS,
            time_ns[at : at + _BATCH],
            value[at : at + _BATCH],
            seq=number[at : at + _BATCH] + 1,
        )
        for at in range(0, count, _BATCH)
    ]


def _keep(file: Path, batches: list[Batch]) -> tuple[float, float]:
    """Processor time, µs, and bytes per sample."""
    count = sum(map(len, batches))

    def through() -> None:
        flushed = 0
        for batch in batches:
            history.append(batch)
            last = int(batch.seq[-1])
            if last - flushed >= _FLUSH:
                history.flush(last)
                flushed = last
        history.flush(count)

    with History(file) as history:
        history.bind([f"{lines.STATION}/s{n}" for n in range(_SENSORS)])
        took = cost_of(through)
        kept = len(history.last(f"{lines.STATION}/s0", count)["t"])
    if kept != -(-count // _SENSORS):
        raise RuntimeError(f"{kept} samples of the first sensor are in the store")
    return took.cpu_s / count * 1e6, file.stat().st_size / count
