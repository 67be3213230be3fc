"""Samples in columns: the only form in which data moves after decoding."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BAD", "GOOD", "UNCERTAIN", "Batch", "Mark", "recipe_code", "recipe_name"]

GOOD, UNCERTAIN, BAD = 192, 64, 0
"""Quality codes as OPC and Sparkplug use them."""


class Mark:
    """Bits of ``Batch.marks``: what is remarkable about a sample that was kept."""

    TS_SUBSTITUTED = 1
    """The payload had no usable time; receive time stands in."""
    LATE = 2
    """Older than a sample already seen from this sensor; stored, not charted."""
    HISTORICAL = 4
    """Sent as history by a store-and-forward publisher."""
    QUESTIONABLE = 8
    """Outside the operating range, inside the physical one."""
    STUCK = 16
    SPIKE = 32
    RATE = 64
    AFTER_GAP = 128
    """First sample after a hole longer than the sensor's maximum gap."""
    INVALID = STUCK | SPIKE | RATE


def recipe_code(name: str) -> int:
    """Number of a recipe in ``Batch.recipe``: the same for the same name, everywhere.

    Returns:
        0 to 2^31 - 1 from a hash of the name; -1 for the empty name.
    """
    if not name:
        return -1
    code = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big") >> 1
    if len(_NAMES) < _MOST_NAMES:
        _NAMES[code] = name
    return code


_MOST_NAMES = 10_000
_NAMES: dict[int, str] = {}
"""Names this process has heard of: a code cannot be turned back, only be remembered."""


def recipe_name(code: int) -> str:
    """Name of a recipe for people; ``#code`` when its name was never heard, empty for -1."""
    return "" if code < 0 else _NAMES.get(code, f"#{code}")


@dataclass(slots=True, frozen=True)
class Batch:
    """Accepted samples in journal order; all columns have the same length n.

    Attributes:
        sensor: int32, dense index into ``LineIndex.sensors``.
        time_ns: int64, event time, ns since 1970 UTC.
        value: float64, in the declared unit of the sensor; NaN only with quality BAD.
        quality: uint8, GOOD, UNCERTAIN or BAD.
        marks: uint8, bits of :class:`Mark`.
        seq: int64, journal sequence number of the message; equal for samples of one message.
        product: int32, index into the product table, -1 when no product was at the station.
        place: float64, metre on the coil (or slot number); NaN where it has no meaning.
        recipe: int32, code of the recipe (:func:`recipe_code`), -1 when nobody said.
    """

    sensor: NDArray[np.int32]
    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    marks: NDArray[np.uint8]
    seq: NDArray[np.int64]
    product: NDArray[np.int32]
    place: NDArray[np.float64]
    recipe: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.sensor)

    @classmethod
    def of(
        cls,
        sensor: object,
        time_ns: object,
        value: object,
        quality: object | None = None,
        marks: object | None = None,
        seq: object | None = None,
    ) -> Batch:
        """Columns from anything array-like, with the dtypes and contiguity kernels rely on."""
        column = np.ascontiguousarray(sensor, dtype=np.int32)
        n = len(column)
        return cls(
            column,
            np.ascontiguousarray(time_ns, dtype=np.int64),
            np.ascontiguousarray(value, dtype=np.float64),
            np.full(n, GOOD, np.uint8)
            if quality is None
            else np.ascontiguousarray(quality, dtype=np.uint8),
            np.zeros(n, np.uint8) if marks is None else np.ascontiguousarray(marks, dtype=np.uint8),
            np.zeros(n, np.int64) if seq is None else np.ascontiguousarray(seq, dtype=np.int64),
            np.full(n, -1, np.int32),
            np.full(n, np.nan),
            np.full(n, -1, np.int32),
        )

    def part(self, start: int, stop: int) -> Batch:
        """Rows ``start`` to ``stop`` (exclusive), sharing memory."""
        cut = slice(start, stop)
        return Batch(
            self.sensor[cut],
            self.time_ns[cut],
            self.value[cut],
            self.quality[cut],
            self.marks[cut],
            self.seq[cut],
            self.product[cut],
            self.place[cut],
            self.recipe[cut],
        )

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Batch:
        """The chosen rows as columns of their own; a mask or row numbers."""
        return Batch(
            self.sensor[rows],
            self.time_ns[rows],
            self.value[rows],
            self.quality[rows],
            self.marks[rows],
            self.seq[rows],
            self.product[rows],
            self.place[rows],
            self.recipe[rows],
        )
