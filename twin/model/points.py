"""Plotted points in columns: what becomes of samples that are not charted one by one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PointFlag", "Points"]


class PointFlag:
    """Bits of ``Points.flags``."""

    GAP = 1
    """Something is missing before this point: charts clear their memory first."""
    RESET = 2
    """The settings behind the points changed before this one: charts clear their memory first."""
    HELD = 4
    """Holds values that were not sent but held from an earlier sample."""
    PARTIAL = 8
    """Closed before it was complete."""


_TYPES: dict[str, type[np.generic]] = {
    "sensor": np.int32,
    "row": np.int64,
    "first_ns": np.int64,
    "time_ns": np.int64,
    "value": np.float64,
    "spread": np.float64,
    "size": np.float64,
    "scale": np.float64,
    "flags": np.uint8,
    "product": np.int32,
    "place": np.float64,
    "recipe": np.int32,
}


@dataclass(slots=True, frozen=True)
class Points:
    """Points in the order in which they were completed; all columns have the same length n.

    Attributes:
        sensor: int32, dense index into ``LineIndex.sensors``.
        row: int64, row of the batch of samples that completed the point; rises, may repeat.
        first_ns: int64, event time of the first sample in it, ns since 1970 UTC.
        time_ns: int64, event time of the last sample in it.
        value: float64, plotted location: unit of the sensor, or of its residual; NaN where there
            is nothing that can be judged.
        spread: float64, range or standard deviation within; NaN where there is none.
        size: float64, number of samples in it, or their total weight.
        scale: float64, > 0, factor on the chart's sigma for subgroups of unequal size, usually 1.
        flags: uint8, bits of :class:`PointFlag`.
        product: int32, index into the product table, -1 when no product was at the station.
        place: float64, metre on the coil (or slot number); NaN where it has no meaning.
        recipe: int32, code of the recipe, -1 when nobody said.
    """

    sensor: NDArray[np.int32]
    row: NDArray[np.int64]
    first_ns: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    spread: NDArray[np.float64]
    size: NDArray[np.float64]
    scale: NDArray[np.float64]
    flags: NDArray[np.uint8]
    product: NDArray[np.int32]
    place: NDArray[np.float64]
    recipe: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.sensor)

    @classmethod
    def of(cls, sensor: object, time_ns: object, value: object, **more: object) -> Points:
        """Columns from anything array-like, with the dtypes and contiguity kernels rely on.

        Args:
            sensor: Shape (n,).
            time_ns: Shape (n,).
            value: Shape (n,).
            **more: Further columns by name. Without them point i was completed by row i and is one
                sample: ``first_ns`` is ``time_ns``, size and scale are 1.

        Raises:
            ValueError: Columns of different length, or a name that is none of a column.
        """
        if unknown := more.keys() - _TYPES.keys():
            raise ValueError(f"points have no column {', '.join(sorted(unknown))}")
        n = len(np.atleast_1d(np.asarray(sensor)))
        columns: dict[str, object] = {
            "row": np.arange(n),
            "first_ns": time_ns,
            "spread": np.full(n, np.nan),
            "size": np.ones(n),
            "scale": np.ones(n),
            "flags": np.zeros(n),
            "product": np.full(n, -1),
            "place": np.full(n, np.nan),
            "recipe": np.full(n, -1),
            **more,
            "sensor": sensor,
            "time_ns": time_ns,
            "value": value,
        }
        made: dict[str, Any] = {
            name: np.ascontiguousarray(columns[name], dtype=dtype) for name, dtype in _TYPES.items()
        }
        if lengths := {name: len(column) for name, column in made.items() if len(column) != n}:
            raise ValueError(f"points: {n} sensors, but {lengths}")
        return cls(**made)

    @classmethod
    def none(cls) -> Points:
        """No points."""
        return cls.of([], [], [])

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Points:
        """The chosen points; a mask, numbers or a slice (which shares memory)."""
        return Points(*(getattr(self, field.name)[rows] for field in fields(self)))
