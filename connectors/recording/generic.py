"""Any delimited text, read by a mapping that says what its columns mean."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from connectors.recording.clock import local_time, nanoseconds, utc_ns, zone_of
from connectors.recording.columns import unit_of
from connectors.recording.frame import Frame
from connectors.recording.text import cells, numbers, split_line
from twin.errors import RecordingError
from twin.model.batch import BAD, GOOD
from twin.model.table import Samples

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from connectors.recording.mapping import Mapping, TimeColumn
    from connectors.recording.notebook import Notebook
    from connectors.recording.text import Cells, Text

__all__ = ["FORMAT", "read"]

FORMAT = "csv"

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_NANOSECONDS = {"ns": 1, "us": 1000, "ms": 1_000_000, "s": 1_000_000_000}


def read(text: Text, notes: Notebook, zone: ZoneInfo, mapping: Mapping) -> Frame:
    """Read a file by its mapping.

    Raises:
        RecordingError: A column of the mapping is not in the file, or a time cannot be read.
    """
    zone = zone_of(mapping.timezone) if mapping.timezone else zone
    row = mapping.header_line - 1
    if row >= len(text.head):
        raise RecordingError(f"header_line {mapping.header_line} is behind the end of the file")
    header = split_line(text.head[row], mapping.delimiter)
    table = cells(header, text.after(row + 1), mapping.delimiter, notes)
    wanted = [mapping.sensor_column, mapping.value_column, mapping.time and mapping.time.column]
    needed = {name for name in wanted if name}
    if not mapping.sensor_column:
        needed |= set(mapping.columns)
    missing = sorted(needed - set(table.columns))
    if missing:
        raise RecordingError(
            f"the mapping names columns that are not there: {', '.join(missing)}; "
            f"the file has: {', '.join(table.columns)}"
        )
    frame = Frame(rows=table.rows, values={}, notes=notes)
    if mapping.time is not None:
        _set_time(frame, table, mapping.time, mapping.decimal, zone)
    if mapping.sensor_column:
        _long(frame, table, mapping)
    else:
        _wide(frame, table, mapping)
    return frame


def _wide(frame: Frame, table: Cells, mapping: Mapping) -> None:
    for head, target in mapping.columns.items():
        name = target.sensor or target.name
        frame.values[name] = numbers(table, head, frame.notes, name, mapping.decimal)
        frame.units[name] = target.unit or ("" if target.sensor else unit_of(name))
    used = {*mapping.columns, mapping.time.column if mapping.time else ""}
    left = [head for head in table.columns if head not in used]
    if left:
        frame.notes.add(
            "COLUMN_NOT_USED",
            f"The mapping does not name: {', '.join(left)}; left out.",
            columns=left,
            count=len(left),
        )


def _long(frame: Frame, table: Cells, mapping: Mapping) -> None:
    if frame.time_s is None:
        raise RecordingError("a file with one sample per row needs a time column")
    names = table.texts(mapping.sensor_column)
    targets = [mapping.columns.get(name) for name in names]
    ids = [
        target.sensor or target.name if target else name
        for name, target in zip(names, targets, strict=True)
    ]
    sensors = sorted(set(ids))
    number = {name: code for code, name in enumerate(sensors)}
    unit = {t.sensor or t.name: t.unit for t in mapping.columns.values()}
    value = numbers(table, mapping.value_column, frame.notes, mapping.value_column, mapping.decimal)
    frame.samples = Samples(
        source="",
        first_row=0,
        sensors=sensors,
        code=np.array([number[name] for name in ids], np.int32),
        time_ns=np.zeros(table.rows, np.int64),
        value=value,
        quality=np.where(np.isnan(value), BAD, GOOD).astype(np.uint8),
        units=[unit.get(name, "") for name in sensors],
    )


def _set_time(frame: Frame, table: Cells, column: TimeColumn, decimal: str, zone: ZoneInfo) -> None:
    if column.format == "elapsed":
        elapsed = numbers(table, column.column, frame.notes, column.column, decimal)
        frame.time_s = elapsed * _SECONDS[column.unit]
        return
    absolute = _absolute(frame, table, column, decimal, zone)
    if not len(absolute):
        return
    frame.start_ns = int(absolute[0])
    frame.time_s = (absolute - absolute[0]) / 1e9


def _absolute(
    frame: Frame, table: Cells, column: TimeColumn, decimal: str, zone: ZoneInfo
) -> NDArray[np.int64]:
    if column.format == "unix":
        if column.unit not in _NANOSECONDS:
            raise RecordingError(f"unix time cannot be in {column.unit}")
        factor = _NANOSECONDS[column.unit]
        texts = table.texts(column.column)
        if all(text.isdigit() for text in texts):
            return np.array(texts, dtype=np.int64) * factor
        seconds = numbers(table, column.column, frame.notes, column.column, decimal)
        return np.rint(seconds * factor).astype(np.int64)
    texts = table.texts(column.column)
    local = [_moment(text, column.format, row) for row, text in enumerate(texts)]
    naive = next((moment for moment in local if moment.tzinfo is None), None)
    if naive is not None:
        utc_ns(naive, zone, frame.notes)
    return np.array(
        [nanoseconds(moment if moment.tzinfo else moment.replace(tzinfo=zone)) for moment in local],
        np.int64,
    )


def _moment(text: str, form: str, row: int) -> datetime:
    try:
        if form == "iso":
            return datetime.fromisoformat(text.strip())
        return local_time(text, (form,))
    except (ValueError, RecordingError) as problem:
        message = f"row {row}: {text!r} is no time in the form {form}"
        raise RecordingError(message) from problem
