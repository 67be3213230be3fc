"""Rows of a recording in columns, before they are checked: what a reader hands to ingest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Note", "Samples", "Table"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows where several quantities were recorded together (a cycler file, a wide CSV).

    Row ``i`` is one message; every finite cell is one sample. A NaN cell was empty in the file
    and is no sample.

    Attributes:
        source: Name of the recording.
        topic: Topic the rows are published under when they are played into a broker.
        first_row: 0-based number of the first row in the recording.
        time_ns: int64[n], event time after repairs, ns since 1970 UTC.
        columns: Column name (sensor ``column`` or ``key``) to float64[n], in ``units``.
        units: Column name to UCUM unit.
    """

    source: str
    topic: str
    first_row: int
    time_ns: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]
    units: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows of single samples (Parquet written by ``linetwin export --samples``, a long CSV).

    Attributes:
        source: Name of the recording.
        first_row: 0-based number of the first row in the recording.
        sensors: Sensor ids; ``code`` points into this list.
        code: int32[n].
        time_ns: int64[n].
        value: float64[n].
        quality: uint8[n].
        units: Unit of each entry of ``sensors``; empty means the declared one.
    """

    source: str
    first_row: int
    sensors: list[str]
    code: NDArray[np.int32]
    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    units: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True, slots=True)
class Note:
    """A defect a reader found. It becomes an event of type ``data_quality`` at its row.

    Attributes:
        source: Name of the recording.
        row: 0-based row it stands at.
        code: Stable code, for example ``TIME_REGRESSION``, ``COUNTER_RESET``, ``NOT_INTEGER``.
        column: Column concerned, or empty.
        time_ns: Event time of that row, ns.
        value: The value found, or None.
        message: One sentence for a person: what, where, and what was done or is offered.
        detail: Further facts, JSON-able (count, repair, proposed factor …).
    """

    source: str
    row: int
    code: str
    column: str
    time_ns: int
    value: float | None
    message: str
    detail: dict[str, Any] = field(default_factory=dict)
