"""Rows that were appended and not yet written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from twin.history.chunk import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.batch import Batch

__all__ = ["Part", "split_by_sensor"]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a batch with the store's own sensor numbers; never changed after it is made.

    Attributes:
        sensor: int32[n].
        seq: int64[n], journal number.
        rows: The samples.
    """

    sensor: NDArray[np.int32]
    seq: NDArray[np.int64]
    rows: Rows

    def __len__(self) -> int:
        return len(self.sensor)

    @classmethod
    def of(cls, batch: Batch, numbers: NDArray[np.int32], after: int) -> Part:
        """Copy the rows of a batch with ``seq`` > ``after``."""
        part = cls(
            numbers[batch.sensor],
            batch.seq.copy(),
            Rows(
                batch.time_ns.copy(),
                batch.value.copy(),
                batch.quality.copy(),
                batch.marks.copy(),
            ),
        )
        return part.take(part.seq > after) if len(part) and part.seq.min() <= after else part

    def take(self, which: NDArray[np.bool_]) -> Part:
        """Some of the rows."""
        return Part(self.sensor[which], self.seq[which], self.rows.take(which))

    def of_sensor(self, sensor: int) -> Rows:
        """Rows of one sensor, in order of arrival."""
        return self.rows.take(self.sensor == sensor)


def split_by_sensor(parts: list[Part]) -> list[tuple[int, Rows]]:
    """Rows of all parts per sensor, in order of time; equal times keep the order of arrival."""
    if not parts:
        return []
    sensor = np.concatenate([part.sensor for part in parts])
    rows = Rows.joined([part.rows for part in parts])
    order = np.lexsort((rows.time, sensor))
    sensor, rows = sensor[order], rows.take(order)
    starts = np.flatnonzero(np.diff(sensor, prepend=-1))
    ends = np.append(starts[1:], len(sensor))
    return [
        (int(sensor[start]), rows.take(slice(int(start), int(end))))
        for start, end in zip(starts, ends, strict=True)
    ]
