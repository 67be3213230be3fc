"""Chunks: samples of one sensor as bytes, and the statistics that often make reading them needless."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twin.model.batch import BAD

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ChunkDamagedError", "Head", "Rows", "pack", "seal", "unpack"]

_ROW_BYTES = 18
_LEVEL = 1
_HEAD = struct.Struct("<6q4dBI")


class ChunkDamagedError(ValueError):
    """A chunk is not what was written. It never leaves this package: it becomes a report."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Samples of one sensor in columns of equal length n.

    Attributes:
        time: int64, ns since 1970 UTC.
        value: float64.
        quality: uint8.
        marks: uint8.
    """

    time: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    marks: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, which: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Rows:
        """Some of the rows."""
        return Rows(self.time[which], self.value[which], self.quality[which], self.marks[which])

    def by_time(self) -> Rows:
        """The rows in order of time; rows of equal time keep their order."""
        if np.all(self.time[1:] >= self.time[:-1]):
            return self
        return self.take(np.argsort(self.time, kind="stable"))

    def between(self, start: int, end: int) -> Rows:
        """The rows with start <= time < end."""
        return self.take((self.time >= start) & (self.time < end))

    def good(self) -> Rows:
        """The rows a chart shows: with a value, and not of bad quality."""
        return self.take((self.quality != BAD) & np.isfinite(self.value))

    @classmethod
    def joined(cls, parts: list[Rows]) -> Rows:
        """Rows of all parts, one after the other."""
        if not parts:
            empty = np.empty(0, np.uint8)
            return cls(np.empty(0, np.int64), np.empty(0), empty, empty)
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


class Head(NamedTuple):
    """What is known about a chunk without its body; the order is that of the table.

    Attributes:
        sensor: Number of the sensor in the store.
        t1: Latest time, ns.
        id: Number of the chunk; later written chunks have higher ones.
        t0: Earliest time, ns.
        n: Rows.
        good: Rows that charts show.
        low: Smallest of their values, NaN when there is none.
        high: Largest.
        total: Sum.
        last: Value at ``t1``, shown or not.
        last_quality: Its quality.
        body_crc: CRC-32 of the body.
        head_crc: CRC-32 of everything above.
    """

    sensor: int
    t1: int
    id: int
    t0: int
    n: int
    good: int
    low: float
    high: float
    total: float
    last: float
    last_quality: int
    body_crc: int
    head_crc: int

    @classmethod
    def read(cls, row: tuple[float | None, ...]) -> Head:
        """From a row of the table, where SQLite holds NaN as NULL."""
        return cls._make(float("nan") if cell is None else cell for cell in row)

    @property
    def intact(self) -> bool:
        """Whether it is what was written."""
        try:
            return self.head_crc == zlib.crc32(_HEAD.pack(*self[:-1]))
        except (struct.error, TypeError):
            return False


def pack(rows: Rows) -> bytes:
    """Body of a chunk; ``rows`` must be in order of time.

    Times are written as differences, and times and values byte plane by byte plane: what changes
    little stands together and compresses.
    """
    delta = np.diff(rows.time, prepend=rows.time[:1])
    planes = [
        np.ascontiguousarray(column.astype(kind).view(np.uint8).reshape(-1, 8).T).tobytes()
        for column, kind in ((delta, "<i8"), (rows.value, "<f8"))
    ]
    return zlib.compress(b"".join([*planes, rows.quality.tobytes(), rows.marks.tobytes()]), _LEVEL)


def seal(sensor: int, number: int, rows: Rows, body: bytes) -> Head:
    """Head of a chunk with at least one row."""
    values = rows.good().value
    shown = len(values) > 0
    nan = float("nan")
    cells = (
        sensor,
        int(rows.time[-1]),
        number,
        int(rows.time[0]),
        len(rows),
        len(values),
        float(values.min()) if shown else nan,
        float(values.max()) if shown else nan,
        float(values.sum()) if shown else nan,
        # Infinity cannot come in; a NaN of any kind must pack like the NULL it is read back from.
        float(rows.value[-1]) if np.isfinite(rows.value[-1]) else nan,
        int(rows.quality[-1]),
        zlib.crc32(body),
    )
    return Head(*cells, zlib.crc32(_HEAD.pack(*cells)))


def unpack(head: Head, body: bytes | None) -> Rows:
    """Rows of a chunk.

    Raises:
        ChunkDamagedError: Head or body are not what was written.
    """
    if not head.intact:
        raise ChunkDamagedError("the head of a chunk fails its checksum")
    if body is None or zlib.crc32(body) != head.body_crc:
        raise ChunkDamagedError("the body of a chunk is missing or fails its checksum")
    data, n = zlib.decompress(body), head.n
    if len(data) != n * _ROW_BYTES:
        raise ChunkDamagedError("the body of a chunk has another length than its head says")
    planes = np.frombuffer(data, np.uint8, 16 * n).reshape(2, 8, n)
    delta = np.ascontiguousarray(planes[0].T).view("<i8").ravel().astype(np.int64)
    value = np.ascontiguousarray(planes[1].T).view("<f8").ravel().astype(np.float64)
    return Rows(
        head.t0 + np.cumsum(delta),
        value,
        np.frombuffer(data, np.uint8, n, 16 * n),
        np.frombuffer(data, np.uint8, n, 17 * n),
    )
