"""Files of the Numenta Anomaly Benchmark, in its own layout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Recording", "read_labels", "read_recordings", "write_scores"]

_LABELS = "combined_windows.json"


@dataclass(frozen=True, slots=True)
class Recording:
    """One file.

    Attributes:
        name: Path below the data folder, ``group/file.csv``.
        header: First line as it is.
        lines: The other lines as they are.
        times: Timestamp of each line in one form, to be found in the labels.
        time_ns: Shape (n,); the same in ns, UTC assumed; a time that goes back is held.
        value: Shape (n,); NaN where the file says so.
    """

    name: str
    header: str
    lines: list[str]
    times: list[str]
    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]

    @property
    def group(self) -> str:
        """Folder of the file."""
        return self.name.rpartition("/")[0] or "(no group)"


def read_recordings(folder: Path) -> list[Recording]:
    """All CSV files below a folder, or below ``data`` in it.

    Raises:
        ConfigError: There are none, or one cannot be read; file and line are told.
    """
    data = folder / "data" if (folder / "data").is_dir() else folder
    files = sorted(data.rglob("*.csv"))
    if not files:
        raise _wrong(str(data), 0, "folder", "", "holds no CSV file")
    return [_read(file, file.relative_to(data).as_posix()) for file in files]


def read_labels(folder: Path) -> dict[str, list[tuple[str, str]]] | None:
    """Labelled windows by file name; None when there are no labels beside the data.

    Raises:
        ConfigError: The labels cannot be read.
    """
    for base in (folder, folder.parent):
        file = base / "labels" / _LABELS
        if file.is_file():
            break
    else:
        return None
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return {
            name: [(_moment(left).isoformat(), _moment(right).isoformat()) for left, right in spans]
            for name, spans in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _wrong(str(file), 0, "windows", "", f"cannot be read: {error}") from error


def write_scores(folder: Path, recording: Recording, scores: NDArray[np.float64]) -> None:
    """Write the lines of a file with their scores into the same sub-folder of another folder."""
    file = folder / recording.name
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{line},{score:.9g}\n"
        for line, score in zip(recording.lines, scores.tolist(), strict=True)
    ]
    file.write_text(f"{recording.header},anomaly_score\n{''.join(lines)}", encoding="utf-8")


def _read(file: Path, name: str) -> Recording:
    try:
        header, *lines = file.read_text("utf-8-sig").rstrip().splitlines()
    except (OSError, ValueError) as error:
        raise _wrong(name, 0, "file", "", f"cannot be read: {error}") from error
    columns = [each.strip() for each in header.split(",")]
    for wanted in ("timestamp", "value"):
        if wanted not in columns:
            raise _wrong(name, 1, wanted, header, "no such column", "timestamp,value")
    at_time, at_value = columns.index("timestamp"), columns.index("value")
    moments: list[datetime] = []
    values: list[float] = []
    for number, line in enumerate(lines, 2):
        cells = line.split(",")
        if len(cells) != len(columns):
            raise _wrong(name, number, "line", line, f"has {len(cells)} of {len(columns)} columns")
        try:
            moments.append(_moment(cells[at_time]))
        except ValueError:
            text = "2014-04-01 00:05:00"
            raise _wrong(name, number, "timestamp", cells[at_time], "is no time", text) from None
        try:
            values.append(float(cells[at_value]))
        except ValueError:
            raise _wrong(name, number, "value", cells[at_value], "is no number") from None
    seconds = np.array([moment.replace(tzinfo=UTC).timestamp() for moment in moments])
    return Recording(
        name=name,
        header=header,
        lines=lines,
        times=[moment.isoformat() for moment in moments],
        time_ns=np.maximum.accumulate(np.round(seconds * 1e9).astype(np.int64)),
        value=np.array(values, np.float64),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.strip()).replace(tzinfo=None)


def _wrong(
    file: str, line: int, key: str, value: str, message: str, allowed: str = ""
) -> ConfigError:
    return ConfigError([Problem(file, line, key, value, message, allowed)])
