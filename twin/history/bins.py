"""Down-sampling: many samples to smallest, mean and largest value per bin of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from twin.history.chunk import Head, Rows

__all__ = ["Bins", "single_points"]


class Bins:
    """Equal bins over ``start`` <= time < ``end``.

    Args:
        start: First moment, ns.
        end: First moment after the range, ns.
        points: Largest number of bins, at least 1.

    Raises:
        ValueError: ``points`` is less than 1.
    """

    def __init__(self, start: int, end: int, points: int) -> None:
        if points < 1:
            raise ValueError(f"{points} points; at least 1 is needed")
        self.start, self.end = start, end
        self.width = max(1, -(-(end - start) // points))
        self._low = np.full(points, np.inf)
        self._high = np.full(points, -np.inf)
        self._total = np.zeros(points)
        self._count = np.zeros(points, np.int64)

    def hold(self, head: Head) -> bool:
        """Whether all rows of a chunk fall into one bin, so that its statistics are enough."""
        inside = head.t0 >= self.start and head.t1 < self.end
        return inside and self._bin(head.t0) == self._bin(head.t1)

    def _bin(self, time: int) -> int:
        return (time - self.start) // self.width

    def add_heads(self, heads: Sequence[Head]) -> None:
        """Count chunks that :meth:`hold` by their statistics."""
        heads = [head for head in heads if head.good]
        places = np.array([self._bin(head.t0) for head in heads], np.int64)
        self._add(
            places,
            np.array([head.low for head in heads]),
            np.array([head.high for head in heads]),
            np.array([head.total for head in heads]),
            np.array([head.good for head in heads], np.int64),
        )

    def add_rows(self, rows: Rows) -> None:
        """Count single rows; those outside the range or not shown are left out."""
        rows = rows.between(self.start, self.end).good()
        places = (rows.time - self.start) // self.width
        self._add(places, rows.value, rows.value, rows.value, np.ones(len(rows), np.int64))

    def _add(
        self,
        places: NDArray[np.int64],
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        total: NDArray[np.float64],
        count: NDArray[np.int64],
    ) -> None:
        np.minimum.at(self._low, places, low)
        np.maximum.at(self._high, places, high)
        np.add.at(self._total, places, total)
        np.add.at(self._count, places, count)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Bins that hold something: t (start of the bin, ns), min, mean, max, n."""
        full = np.flatnonzero(self._count)
        return {
            "t": self.start + full * self.width,
            "min": self._low[full],
            "mean": self._total[full] / self._count[full],
            "max": self._high[full],
            "n": self._count[full],
        }


def single_points(rows: Rows) -> dict[str, NDArray[Any]]:
    """Every row as a point of its own, in the same columns."""
    rows = rows.good()
    value = rows.value
    return {
        "t": rows.time,
        "min": value,
        "mean": value.copy(),
        "max": value.copy(),
        "n": np.ones(len(rows), np.int64),
    }
