"""Recordings of the Skoltech Anomaly Benchmark: read, judged by the shipped detector, written.

A file is ``;``-separated with a header. The first column is the time, ``anomaly`` and
``changepoint`` are labels, all others are channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from twin.cli.benches.figure import cost_of
from twin.detectors.outliers.group_anomaly import GroupAnomaly
from twin.errors import ConfigError, Problem, RecordingError
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Group, Line, Sensor, Station

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]

__all__ = [
    "BASELINE",
    "RATE",
    "SETTING",
    "Recording",
    "Verdict",
    "cost_per_vector",
    "find",
    "judge",
    "read",
    "write",
]

BASELINE = 400
"""Rows of every file that are for learning, by the rules of the benchmark."""
RATE = 1e-3
SETTING = {"kind": "anomaly", "rate": RATE, "baseline_rows": BASELINE}
"""The one setting for all files."""
_LABELS = ("anomaly", "changepoint")
_ADDED = ("anomaly_score", "predicted_anomaly", "predicted_changepoint")


@dataclass(frozen=True, slots=True)
class Recording:
    """One file.

    Attributes:
        name: Path below the folder of recordings, with ``/``.
        lines: Its lines as they are, header first, without line ends.
        end: Line end.
        channels: Names of the channels, p of them.
        time_ns: Shape (n,); times without a zone are taken as UTC.
        x: Shape (n, p); NaN where a cell is empty.
        anomaly: Shape (n,); None without labels.
        changepoint: Shape (n,); None without labels.
    """

    name: str
    lines: list[str]
    end: str
    channels: list[str]
    time_ns: NDArray[np.int64]
    x: NDArray[np.float64]
    anomaly: Flags | None
    changepoint: Flags | None

    @property
    def folder(self) -> str:
        """Folder it lies in; empty for the top one."""
        return self.name.rpartition("/")[0]

    @property
    def time_s(self) -> NDArray[np.float64]:
        """Time since the first row, s."""
        return np.asarray((self.time_ns - self.time_ns[0]) / 1e9)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was said about every row, each of shape (n,).

    Attributes:
        score: 0 to 1, 0.5 at the limit; 0 while learning.
        anomaly: A finding ``anomaly`` is open.
        changepoint: A finding opened or closed.
    """

    score: NDArray[np.float64]
    anomaly: Flags
    changepoint: Flags


def find(folder: Path, out: Path | None) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and its files; ``folder`` may hold them in ``data``.

    Raises:
        ConfigError: There are no files, or the verdicts would be written over them.
    """
    root = folder / "data" if (folder / "data").is_dir() else folder
    skip = None if out is None else out.resolve()
    if skip is not None and skip == root.resolve():
        problem = "is the folder of the recordings, which would be written over"
        raise ConfigError([Problem("command line", 0, "--out", str(out), problem, "another one")])
    files = sorted(root.rglob("*.csv"), key=_natural)
    files = [file for file in files if skip is None or not file.resolve().is_relative_to(skip)]
    if not files:
        problem = "holds no *.csv, also not in sub-folders"
        hint = "the folder of the benchmark, or its folder data"
        raise ConfigError([Problem("command line", 0, "--data", str(folder), problem, hint)])
    return root, files


def _natural(file: Path) -> tuple[str, int, str]:
    stem = file.stem
    return str(file.parent), int(stem) if stem.isdecimal() else -1, stem


def read(root: Path, file: Path) -> Recording:
    """Read a file.

    Raises:
        RecordingError: It is not what the benchmark promises; the message names file and line.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{file}: cannot be read: {error}") from error
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.split(end)
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) < 2:
        raise RecordingError(f"{file}:1: no rows below a header")
    header = [name.strip() for name in lines[0].split(";")]
    channels = [name for name in header[1:] if name not in _LABELS]
    if not 2 <= len(channels) <= 30:
        raise RecordingError(
            f"{file}:1: {len(channels)} channels between the time and the labels; needed: 2 to 30, "
            "separated by ';'"
        )
    time_ns = np.zeros(len(lines) - 1, np.int64)
    table = np.full((len(lines) - 1, len(header) - 1), np.nan)
    for i, line in enumerate(lines[1:]):
        cells = line.split(";")
        if len(cells) != len(header):
            problem = f"{len(cells)} cells, the header has {len(header)}"
            raise RecordingError(f"{file}:{i + 2}: {problem}")
        try:
            time_ns[i] = _time_ns(cells[0])
            table[i] = [float(cell) if cell.strip() else np.nan for cell in cells[1:]]
        except ValueError as error:
            raise RecordingError(f"{file}:{i + 2}: {error}") from error
    column = {name: k for k, name in enumerate(header[1:])}
    labels = [table[:, column[name]] > 0.5 if name in column else None for name in _LABELS]
    return Recording(
        name=file.relative_to(root).as_posix(),
        lines=lines,
        end=end,
        channels=channels,
        time_ns=time_ns,
        x=table[:, [column[name] for name in channels]],
        anomaly=labels[0],
        changepoint=labels[1],
    )


def _time_ns(cell: str) -> int:
    time = datetime.fromisoformat(cell.strip())
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def judge(recording: Recording) -> Verdict:
    """Stream a file through :class:`GroupAnomaly`, one row after the other.

    Empty cells make a row that cannot be judged: the state before it stays.
    """
    n, p = recording.x.shape
    detector = GroupAnomaly(_line(p))
    verdict = Verdict(np.zeros(n), np.zeros(n, bool), np.zeros(n, bool))
    members = np.arange(p)
    state = False
    for i in range(n):
        batch = Batch.of(members, np.full(p, recording.time_ns[i]), recording.x[i])
        for event in detector.update(batch):
            verdict.changepoint[i] = True
            if event.rule == "anomaly":
                state = event.type == "finding"
        verdict.anomaly[i] = state
        plotted = detector.plotted(0, 1)
        if plotted is not None and plotted["v"]:
            square, limit = plotted["v"][0] ** 2, plotted["ucl"] ** 2
            verdict.score[i] = square / (square + limit)
    return verdict


def cost_per_vector(recordings: Sequence[Recording]) -> float:
    """Processor time per vector when a file comes as one batch, learning included, µs."""
    work = []
    for recording in recordings:
        n, p = recording.x.shape
        sensor, time_ns = np.tile(np.arange(p), n), np.repeat(recording.time_ns, p)
        work.append((GroupAnomaly(_line(p)), Batch.of(sensor, time_ns, recording.x.ravel())))

    def through() -> None:
        for detector, batch in work:
            detector.update(batch)

    return cost_of(through).cpu_s / sum(len(r.x) for r in recordings) * 1e6


def _line(p: int) -> LineIndex:
    sensors = [Sensor(key=f"c{j}") for j in range(p)]
    station = Station(id="skab", sensor=sensors)
    rows = [SensorRow(j, f"skab/{each.key}", station, each) for j, each in enumerate(sensors)]
    group = Group.model_validate({"id": "all", "sensors": [row.id for row in rows], **SETTING})
    return LineIndex(Line(group=[group]), "0" * 16, rows, {row.id: row for row in rows})


def write(recording: Recording, verdict: Verdict, out: Path) -> None:
    """Write the lines of the file unchanged, with three columns more, in the same sub-folder."""
    file = out / recording.name
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [";".join((recording.lines[0], *_ADDED))]
    said = zip(
        recording.lines[1:], verdict.score, verdict.anomaly, verdict.changepoint, strict=True
    )
    lines += [f"{line};{score:.6f};{a:d};{c:d}" for line, score, a, c in said]
    file.write_bytes((recording.end.join(lines) + recording.end).encode())
