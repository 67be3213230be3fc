"""Recordings: open a file, recognise its format from its content, read it in row order."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from connectors.recording import (
    arbin,
    basytec,
    bdf,
    biologic,
    generic,
    maccor,
    novonix,
    parquet,
    sparkplug,
)
from connectors.recording.clock import nanoseconds, zone_of
from connectors.recording.columns import unit_of
from connectors.recording.companions import compare_summary, is_summary, mass_mg
from connectors.recording.defects import inspect
from connectors.recording.defects.clocks import repair
from connectors.recording.mapping import mapping_of
from connectors.recording.notebook import Notebook
from connectors.recording.text import decode
from twin.errors import RecordingError
from twin.model.table import Note, Samples, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from connectors.recording.frame import Frame
    from connectors.recording.mapping import Mapping
    from connectors.recording.sparkplug import Header
    from connectors.recording.text import Text

__all__ = ["FORMATS", "Recording", "open_recording"]

CHUNK = 50_000
"""Most rows of one piece."""

LONGEST_S = 4e9
"""Run times beyond 127 years are damage; absolute times must fit 64 bits of ns."""

_FAMILIES = (bdf, novonix, biologic, arbin, basytec, maccor)
FORMATS = (
    *(family.FORMAT for family in _FAMILIES),
    "csv",
    "samples",
    "parquet",
    "journal",
    sparkplug.FORMAT,
)
"""Names of the formats, in the order they are tried."""

_SINTEF = (
    "SINTEF, Battery Data Format reference data sets, Battery Data Alliance, "
    "DOI 10.5281/zenodo.18986774, CC BY 4.0; unchanged copy of an earlier publication."
)
_ATTIA = (
    "Copyright (c) 2020 petermattia, MIT; data of P. M. Attia et al., DOI 10.5281/zenodo.4625276"
)
_BEEP = "Copyright 2019-2020 Toyota Research Institute, beep test files, Apache-2.0"
_PYPROBE = "Copyright (c) 2024, Thomas Holland, PyProBE sample data, BSD-3-Clause"
_UMH = "Copyright 2025 UMH Systems GmbH, benthos-umh test data, Apache-2.0"
_ATTRIBUTION = {
    "0f06a4d30bd37e76": _SINTEF,
    "8aff9dc5783c87cb": _SINTEF,
    "1cd0226dcc9dc342": _ATTIA,
    "a20729ea308c8621": _ATTIA,
    "0ed0913b5da2d141": _ATTIA,
    "0026256faf5baba0": _BEEP,
    "36c25d30597680db": _PYPROBE,
    "ba5d0e3bb90e8eea": _PYPROBE,
    "7ec1c7688890515b": _PYPROBE,
    "48c698c2a6ec2b21": _PYPROBE,
    "e0bd6a94d75bfc76": _PYPROBE,
    "f216c5e0f72a0239": _UMH,
}
"""First 16 digits of SHA-256 to the line to print when the recording is shown."""


@dataclass(slots=True)
class Recording:
    """An opened recording.

    Attributes:
        path: The file.
        format: One of :data:`FORMATS`.
        sha256: Hash of the file, hex.
        rows: Number of data rows.
        columns: Names of the quantities, in the order of the file.
        units: UCUM unit of each; empty where the line description decides.
        start_ns: Event time of the first row, ns since 1970 UTC.
        relative_time: The file knows no absolute time; times count from ``start``.
        has_time: False for a file without any time: its times are only the order of the rows.
        attribution: Line to print when the recording is shown; empty when none is known.
        notes: Every note, in the order of the rows.
        metadata: Facts from the header of the file.
    """

    path: Path
    format: str
    sha256: str
    rows: int
    columns: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    start_ns: int = 0
    relative_time: bool = False
    has_time: bool = True
    attribution: str = ""
    notes: list[Note] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    _time_ns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)
    _values: dict[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)
    _samples: Samples | None = field(default=None, repr=False)
    _headers: list[Header] = field(default_factory=list, repr=False)

    @property
    def topic(self) -> str:
        """Topic the rows are published under when they are played into a broker."""
        return f"recording/{re.sub(r'[^a-z0-9_-]+', '_', self.path.stem.lower()).strip('_')}"

    def pieces(self, first_row: int = 0) -> Iterator[Table | Samples | Note]:
        """Notes and rows in row order; a note stands directly before its row.

        Args:
            first_row: Row to go on from; notes of earlier rows do not come again.

        Raises:
            RecordingError: The format holds no rows of values (a journal).
        """
        if self.format == "journal":
            raise RecordingError(f"{self.path.name} is an exported journal: use read_entries")
        if self.format == "samples":
            yield from parquet.read_samples(self.path, CHUNK, first_row)
            return
        row = first_row
        for note in self.notes:
            if note.row < first_row:
                continue
            yield from self._rows(row, min(note.row, self.rows))
            row = max(row, note.row)
            yield note
        yield from self._rows(row, self.rows)

    def records(self) -> list[Header]:
        """Message headers of a Sparkplug capture; empty for other formats."""
        return self._headers

    def _rows(self, start: int, stop: int) -> Iterator[Table | Samples]:
        if not self._values and self._samples is None:
            return
        for first in range(start, stop, CHUNK):
            yield self._piece(slice(first, min(first + CHUNK, stop)))

    def _piece(self, cut: slice) -> Table | Samples:
        long = self._samples
        if long is not None:
            return Samples(
                self.path.name,
                cut.start,
                long.sensors,
                long.code[cut],
                self._time_ns[cut],
                long.value[cut],
                long.quality[cut],
                long.units,
            )
        return Table(
            source=self.path.name,
            topic=self.topic,
            first_row=cut.start,
            time_ns=self._time_ns[cut],
            columns={name: values[cut] for name, values in self._values.items()},
            units=self.units,
        )


def open_recording(
    path: Path,
    *,
    timezone: str,
    start: datetime | None = None,
    mapping: dict[str, Any] | None = None,
) -> Recording:
    """Open a recording and find its defects.

    Args:
        path: The file. Its format is recognised from its content, never from its name.
        timezone: IANA zone of wall clocks without one: files do not say, so a person must.
        start: Event time of run time 0, aware. Overrides what the file says; without it a file
            that knows only run times starts at 1970-01-01T00:00:00Z and says so.
        mapping: Content of a mapping TOML; needed for formats nobody knows.

    Raises:
        RecordingError: The file cannot be read, or not without guessing.
    """
    zone = zone_of(timezone)
    wanted = mapping_of(mapping)
    raw = _bytes(path)
    sha = hashlib.sha256(raw).hexdigest()
    recording = Recording(path, "", sha, 0, attribution=_ATTRIBUTION.get(sha[:16], ""))
    notes = Notebook()
    if raw[:4] == b"PAR1":
        recording.format = parquet.kind_of(path)
        if recording.format != "parquet":
            return _open_long(recording)
        frame = parquet.read_wide(path, notes)
    else:
        text = decode(raw, notes)
        del raw
        if sparkplug.recognises(text):
            return _open_capture(recording, text, notes)
        recording.format, family = _family(path, text, mapping)
        frame = family.read(text, notes, zone, wanted)
    _fill(recording, frame, wanted, nanoseconds(start) if start is not None else None)
    return recording


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise RecordingError(f"{path}: {problem.strerror}") from problem


def _family(path: Path, text: Text, mapping: dict[str, Any] | None) -> tuple[str, Any]:
    if not text.body.strip():
        raise RecordingError(f"{path.name} is empty")
    if is_summary(text.head[0]):
        raise RecordingError(
            f"{path.name} is a summary (one row per cycle), not a series; open the series, the "
            "summary beside it is compared then"
        )
    for family in _FAMILIES:
        if family.recognises(text):
            return family.FORMAT, family
    if mapping is not None:
        return generic.FORMAT, generic
    raise RecordingError(
        f"{path.name}: unknown format; tried {', '.join(FORMATS)}. It begins with "
        f"{text.head[0][:80]!r}. Any delimited text can be read with a mapping (TOML)."
    )


def _open_long(recording: Recording) -> Recording:
    if recording.format == "journal":
        recording.rows = sum(len(run) for run in parquet.read_entries(recording.path, CHUNK))
        return recording
    sensors: dict[str, str] = {}
    for block in parquet.read_samples(recording.path, CHUNK):
        if not recording.rows:
            recording.start_ns = int(block.time_ns[0])
        recording.rows += len(block)
        sensors.update(zip(block.sensors, block.units, strict=True))
    recording.columns, recording.units = list(sensors), sensors
    return recording


def _open_capture(recording: Recording, text: Text, notes: Notebook) -> Recording:
    recording.format = sparkplug.FORMAT
    found = sparkplug.headers(text, notes)
    times = np.array([round(header.time * 1e9) for header in found], np.int64)
    recording.rows, recording._headers = len(found), found  # noqa: SLF001 - its maker
    recording.relative_time = True
    recording.notes = notes.pages(recording.path.name, times)
    return recording


def _fill(recording: Recording, frame: Frame, mapping: Mapping, start_ns: int | None) -> None:
    """Times, defects and notes of a frame into the recording."""
    path, notes = recording.path, frame.notes
    if not frame.rows:
        raise RecordingError(f"{path.name} has a header but no rows")
    if not frame.values and frame.samples is None:
        raise RecordingError(f"{path.name} has no column with a known quantity")
    run_ns = _run_time(recording, frame)
    run_ns = repair(run_ns, notes) if frame.time_s is not None else run_ns
    if start_ns is None and frame.start_ns is None and frame.time_s is not None:
        recording.relative_time = True
        notes.add(
            "TIME_RELATIVE",
            "The file knows no absolute time; times count from 1970-01-01T00:00:00Z. Give a start "
            "to place it.",
        )
    base = start_ns if start_ns is not None else frame.start_ns or 0
    recording.start_ns = base + int(run_ns[0])
    frame.metadata["mass_mg"] = mass_mg(path)
    _name_date(recording, notes)
    inspect(frame, run_ns, mapping.nominal_ah or _nominal(frame.metadata))
    compare_summary(path, frame, run_ns)
    recording.rows, recording.metadata = frame.rows, frame.metadata
    recording._time_ns = base + run_ns  # noqa: SLF001 - its maker
    recording._values, recording._samples = frame.values, frame.samples  # noqa: SLF001 - its maker
    if frame.samples is not None:
        recording.columns = frame.samples.sensors
        recording.units = dict(zip(frame.samples.sensors, frame.samples.units, strict=True))
    else:
        recording.columns = list(frame.values)
        recording.units = {n: frame.units.get(n, unit_of(n)) for n in frame.values}
    recording.notes = notes.pages(path.name, recording._time_ns)  # noqa: SLF001 - its maker


def _run_time(recording: Recording, frame: Frame) -> NDArray[np.int64]:
    """Run times in ns; the row number in seconds where the file has no time."""
    if frame.time_s is None:
        recording.has_time, recording.relative_time = False, True
        # Over an order a current would integrate to nonsense: it is not handed out.
        left = [
            name
            for name in ("current_ampere", "power_watt")
            if frame.values.pop(name, None) is not None
        ]
        frame.notes.add(
            "NO_TIME",
            "The file has no time column: times are the row number in seconds, an order and "
            "nothing else. Durations, charges from current, energies and rates are refused"
            + (f", so {' and '.join(left)} were left out." if left else "."),
            columns=left,
        )
        return np.arange(frame.rows, dtype=np.int64) * 1_000_000_000
    missing = np.flatnonzero(~np.isfinite(frame.time_s))
    if len(missing):
        raise RecordingError(
            f"{recording.path.name}: row {missing[0]} has no time ({len(missing)} such rows)"
        )
    wild = np.flatnonzero(np.abs(frame.time_s) > LONGEST_S)
    if len(wild):
        row = int(wild[0])
        raise RecordingError(
            f"{recording.path.name}: row {row} has the time {frame.time_s[row]:g} s; no recording "
            "is that long"
        )
    return np.rint(frame.time_s * 1e9).astype(np.int64)


def _nominal(metadata: dict[str, Any]) -> float | None:
    """Nameplate capacity from the header, A.h."""
    text = str(metadata.get("Capacity (Ah)") or metadata.get("Battery capacity") or "")
    match = re.match(r"([0-9.]+)(?: A\.h)?$", text)
    return float(match[1]) if match else None


_DATE = re.compile(r"(20\d\d)-?([01]\d)-?([0-3]\d)(?!\d)")


def _name_date(recording: Recording, notes: Notebook) -> None:
    """A date in the file name that is not the day the data began."""
    match = _DATE.search(recording.path.name)
    if match is None or recording.relative_time:
        return
    began = datetime.fromtimestamp(recording.start_ns / 1e9, UTC).date()
    named = f"{match[1]}-{match[2]}-{match[3]}"
    if named != began.isoformat():
        notes.add(
            "NAME_DATE",
            f"The file name says {named}, the data begin on {began.isoformat()} (UTC); the data "
            "count.",
            named=named,
        )
