"""Replay: a Parquet recording through all stages, as ``linetwin replay`` does it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from connectors.recording import open_recording, write_samples
from twin import __version__
from twin.cli.benches import lines
from twin.cli.benches.figure import Figure, Work, cost_of
from twin.engine.replay import Replay
from twin.model.table import Samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from twin.model.index import LineIndex

__all__ = ["measure"]

_SAMPLES = 2_000_000
_SENSORS = 1000
_PIECE = 50_000
_BUDGET = 3_000_000.0


def measure(work: Work) -> list[Figure]:
    """Samples per second of one core, reading and result files included."""
    count = work.count(_SAMPLES, 2 * _SENSORS)
    index = lines.bench_index(_SENSORS)
    noisy, quiet = work.folder / "noisy.parquet", work.folder / "quiet.parquet"
    write_samples(noisy, _recording(lines.sample_values(count)))
    write_samples(quiet, _recording(lines.quiet_values(count, _SENSORS)))
    _judge(work.folder / "warm", quiet, index, 1)  # compiled kernels are loaded
    return [
        _figure("replay.rate", noisy, index, work, count, "normal, in control", _BUDGET),
        _figure("replay.rate_without_events", quiet, index, work, count, "break no rule", None),
    ]


def _figure(
    name: str,
    file: Path,
    index: LineIndex,
    work: Work,
    count: int,
    values: str,
    budget: float | None,
) -> Figure:
    took = [_judge(work.folder / f"{name}-{run}", file, index, count) for run in range(work.runs)]
    summary = took[0][1]
    return Figure(
        name=name,
        unit="samples/s CPU",
        better="higher",
        runs=[rate for rate, _ in took],
        budget=budget,
        conditions={
            "samples": count,
            "sensors": _SENSORS,
            "values": values,
            "file_bytes_per_sample": round(file.stat().st_size / count, 1),
            "charts": "Western Electric and EWMA on every sensor",
            "findings_per_1000_samples": round(summary["findings"] / count * 1000, 2),
            "alarms": summary["alarms"],
        },
    )


def _recording(values: NDArray[np.float64]) -> Iterator[Samples]:
    """Round after round of all sensors, a sample per second each."""
    count = len(values)
    sensors = [f"{lines.STATION}/s{n}" for n in range(_SENSORS)]
    for at in range(0, count, _PIECE):
        number = np.arange(at, min(at + _PIECE, count))
        yield Samples(
            source="bench",
            first_row=at,
            sensors=sensors,
            code=(number % _SENSORS).astype(np.int32),
            time_ns=(1_700_000_000 + number // _SENSORS) * 1_000_000_000,
            value=values[at : at + len(number)],
            quality=np.full(len(number), 192, np.uint8),
            units=["um"] * _SENSORS,
        )


def _judge(out: Path, file: Path, index: LineIndex, least: int) -> tuple[float, dict[str, Any]]:
    """Samples per second of processor time, and the summary."""
    summary: dict[str, Any] = {}

    def through() -> None:
        recording = open_recording(file, timezone="UTC")
        run = Replay(out, index, [(file.name, recording.sha256)], __version__)
        for piece in recording.pieces():
            run.feed(piece, 0)
        summary.update(run.finish(ended=True))

    took = cost_of(through)
    shutil.rmtree(out)
    if not summary["received"] == summary["stored"] >= least:
        raise RuntimeError(f"received {summary['received']}, refused {summary['rejected']}")
    return summary["received"] / took.cpu_s, summary
