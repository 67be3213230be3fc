"""The newest sample of each sensor, for people who look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from twin.model.batch import Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.batch import Batch
    from twin.model.index import LineIndex

__all__ = ["Latest"]

_SPARK = 60
_NOT_LIVE = Mark.LATE | Mark.HISTORICAL


class Latest:
    """Newest value and the last 60 of each sensor.

    Attributes:
        value: float64 per sensor, NaN before the first sample.
        time_ns: int64 per sensor, event time, -1 before the first sample.
        recv_ns: int64 per sensor, receive time.
        quality: uint8 per sensor.
        count: int64 per sensor, samples so far.
        product: int32 per sensor.
        place: float64 per sensor.
    """

    VERSION = 1
    _FIELDS = ("value", "time_ns", "recv_ns", "quality", "count", "product", "place", "_spark")

    def __init__(self, index: LineIndex) -> None:
        self._index = index
        n = len(index)
        self.value = np.full(n, np.nan)
        self.time_ns = np.full(n, -1, np.int64)
        self.recv_ns = np.full(n, -1, np.int64)
        self.quality = np.zeros(n, np.uint8)
        self.count = np.zeros(n, np.int64)
        self.product = np.full(n, -1, np.int32)
        self.place = np.full(n, np.nan)
        self._spark = np.full((n, _SPARK), np.nan)

    def take(self, batch: Batch, recv_ns: NDArray[np.int64]) -> None:
        """Note a batch; late and historical samples move nothing."""
        live = (batch.marks & _NOT_LIVE) == 0
        if not live.all():
            batch, recv_ns = batch.take(live), recv_ns[live]
        if not len(batch):
            return
        # Of equal indices the last assignment stands: the newest sample.
        sensor = batch.sensor
        self.value[sensor] = batch.value
        self.time_ns[sensor] = batch.time_ns
        self.recv_ns[sensor] = recv_ns
        self.quality[sensor] = batch.quality
        self.product[sensor] = batch.product
        self.place[sensor] = batch.place
        counts = np.bincount(sensor, minlength=len(self.count))
        slot = self._ordinals(sensor, counts)
        self._spark[sensor, slot] = batch.value
        self.count += counts

    def _ordinals(self, sensor: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ring slot of each row: how many samples of its sensor came before, modulo the ring."""
        order = np.argsort(sensor, kind="stable")
        starts = np.cumsum(counts) - counts
        ordinal = np.empty(len(sensor), np.int64)
        ordinal[order] = np.arange(len(sensor)) - starts[sensor[order]]
        return (ordinal + self.count[sensor]) % _SPARK

    def spark(self, sensor: int) -> list[float | None]:
        """The last values, oldest first."""
        count = int(self.count[sensor])
        ring = self._spark[sensor]
        values = ring[:count] if count < _SPARK else np.roll(ring, -(count % _SPARK))
        return [None if v != v else v for v in values.tolist()]  # noqa: PLR0124 - NaN

    def snapshot(self) -> dict[str, Any]:
        """State."""
        return {"version": self.VERSION, **{f: getattr(self, f).tobytes() for f in self._FIELDS}}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot of the same line version."""
        for name in self._FIELDS:
            column = getattr(self, name)
            setattr(
                self, name, np.frombuffer(state[name], column.dtype).reshape(column.shape).copy()
            )

    def follow(self, old: Latest) -> None:
        """Take over the sensors that stay."""
        for row in old._index.sensors:
            after = self._index.by_id.get(row.id)
            if after is not None:
                for name in self._FIELDS:
                    getattr(self, name)[after.index] = getattr(old, name)[row.index]
