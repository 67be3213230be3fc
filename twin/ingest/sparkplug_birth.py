"""What BIRTH and DEATH payloads declare: metrics with their types and units, and the session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twin.errors import DecodeError
from twin.ingest.sparkplug_node import Entry
from twin.ingest.sparkplug_resolve import CONTROL_TYPE, SKIPPED_ROW
from twin.ingest.sparkplug_scan import Column, Has
from twin.ingest.sparkplug_wire import DataType, Limits, Value, properties
from twin.model.batch import UNCERTAIN
from twin.model.message import Reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Birth", "numeric", "quality_code", "read_birth", "session_number"]

_SESSION = b"bdSeq"
_CONTROL = ("Node Control/", "Device Control/")


@dataclass(slots=True)
class Birth:
    """A BIRTH payload, read; ``entries``, ``units`` and ``places`` run side by side.

    Attributes:
        bd_seq: Session number, None when the payload has none.
        entries: Metrics, not yet numbered.
        units: Unit of each (property ``engUnit``), or None.
        places: Row of each in the scanned table.
        refused: (reason, detail) of the metrics left out.
        duplicates: Names that came more than once; the first counts.
        texts: Names of metrics that are no numbers.
    """

    bd_seq: int | None = None
    entries: list[Entry] = field(default_factory=list)
    units: list[str | None] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def numeric(datatype: int) -> bool:
    """Whether metrics of a data type can be samples: numbers, booleans and times."""
    return 0 <= datatype <= DataType.DATETIME and datatype != DataType.STRING


def session_number(payload: bytes, table: NDArray[np.int64], count: int) -> int | None:
    """The metric ``bdSeq`` of a scanned BIRTH or DEATH; INT64 and UInt64 both occur."""
    for cells in table[1 : count + 1].tolist():
        at = cells[Column.NAME_AT]
        if payload[at : at + cells[Column.NAME_SIZE]] == _SESSION:
            return int(cells[Column.BITS])
    return None


def quality_code(values: dict[str, Value]) -> int:
    """Property ``Quality``: -1 when absent, uncertain when it is no code."""
    if "Quality" not in values:
        return -1
    code = values["Quality"]
    return code if type(code) is int and 0 <= code <= 0xFFFF else UNCERTAIN


def read_birth(payload: bytes, table: NDArray[np.int64], count: int, limits: Limits) -> Birth:
    """Read the declarations of a scanned BIRTH and mark in the table what has to be skipped.

    Raises:
        DecodeError: A name is not UTF-8 or a property set is damaged.
    """
    birth = Birth(session_number(payload, table, count))
    seen: set[str] = set()
    for place, cells in enumerate(table[1 : count + 1].tolist(), start=1):
        flags, at = cells[Column.FLAGS], cells[Column.NAME_AT]
        try:
            name = payload[at : at + cells[Column.NAME_SIZE]].decode()
        except UnicodeDecodeError as error:
            raise DecodeError(Reason.DECODE, "a metric name is not UTF-8") from error
        if not name or name in seen:
            table[place, Column.ROW] = SKIPPED_ROW
            text = f"metric {name!r} stands twice in the BIRTH" if name else "no name in a BIRTH"
            birth.refused.append((Reason.SCHEMA, text))
            birth.duplicates += [name] if name else []
            continue
        seen.add(name)
        datatype = cells[Column.DATATYPE]
        if name == "bdSeq" or name.startswith(_CONTROL):
            datatype = CONTROL_TYPE
        elif not numeric(datatype):
            birth.texts.append(name)
        unit = None
        if flags & Has.PROPERTIES:
            at = cells[Column.PROPERTIES_AT]
            read = properties(payload[at : at + cells[Column.PROPERTIES_SIZE]], limits)
            found = read.get("engUnit")
            unit = found if isinstance(found, str) else None
            table[place, Column.QUALITY] = quality_code(read)
        alias = cells[Column.ALIAS] if flags & Has.ALIAS else None
        birth.entries.append(Entry(name, alias, -1, datatype))
        birth.units.append(unit)
        birth.places.append(place)
    return birth
