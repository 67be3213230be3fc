"""The rings the join walks: stays of products at spots, readings of encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.errors import StateError
from twin.products import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.batch import Batch
    from twin.model.index import LineIndex

__all__ = ["Places", "Stay"]

_ENCODERS = ("times", "metres", "filled", "last")
_SPOTS = ("start", "end", "who", "base", "length", "rows", "stays")
_STAY = ("start", "end", "who", "base", "length", "rows")


@dataclass(slots=True)
class Stay:
    """A product was at a spot from ``start`` to ``end`` (ns, ``kernel.OPEN`` = still there)."""

    spot: int
    start: int
    end: int
    product: int


class Places:
    """Spots, encoders and what is known about them, as arrays.

    A *spot* holds one product at a time: a station, or one formation channel of a station.

    Args:
        index: The line.
    """

    def __init__(self, index: LineIndex) -> None:
        self.spots: dict[tuple[str, str], int] = {}
        for station in index.line.station:
            self.spots[station.id, ""] = len(self.spots)
        slots: dict[str, tuple[int, float]] = {}
        numbers: dict[str, int] = {}
        for channel in index.channels:
            spot = self.spots.setdefault((channel.station, channel.id), len(self.spots))
            numbers[channel.station] = numbers.get(channel.station, 0) + 1
            single = (
                *(channel.voltage, channel.current, channel.step, channel.cycle),
                *(channel.charge, channel.discharge, channel.capacity),
            )
            for sensor in (*single, *channel.temperature):
                if sensor:
                    slots[sensor] = (spot, float(numbers[channel.station]))
        self._map_sensors(index, slots)
        self._make_rings()
        # The arrays are changed in place only, so the walk may keep hold of them.
        self._arrays: tuple[Any, ...] = (
            *(self.spot_of, self.encoder_of, self.counts, self.slot, self.offset),
            *(self.times, self.metres, self.filled, self.last, self.modulus),
            *(self.start, self.end, self.who, self.base, self.length, self.rows, self.stays),
        )
        self.names = list(self.spots)

    def _map_sensors(self, index: LineIndex, slots: dict[str, tuple[int, float]]) -> None:
        n = len(index)
        encoders = {
            f"{station.id}/{station.encoder}": station.id
            for station in index.line.station
            if station.encoder
        }
        self.encoders = {name: e for e, name in enumerate(encoders)}
        by_station = {station: self.encoders[name] for name, station in encoders.items()}
        self.spot_of = np.zeros(n, np.int32)
        self.encoder_of = np.full(n, -1, np.int32)
        self.counts = np.zeros(n, np.bool_)
        self.slot = np.full(n, np.nan)
        self.offset = np.zeros(n)
        self.modulus = np.zeros(max(1, len(encoders)))
        for row in index.sensors:
            i, station = row.index, row.station.id
            spot, number = slots.get(row.id, (self.spots[station, ""], np.nan))
            self.spot_of[i], self.slot[i] = spot, number
            self.offset[i] = row.spec.offset_m
            self.encoder_of[i] = by_station.get(station, -1)
            if row.id in self.encoders:
                self.counts[i] = True
                if row.spec.range and row.spec.range[0] == 0:
                    self.modulus[self.encoders[row.id]] = row.spec.range[1]

    def _make_rings(self) -> None:
        encoders = (len(self.modulus), kernel.READINGS)
        self.times = np.zeros(encoders, np.int64)
        self.metres = np.zeros(encoders)
        self.filled = np.zeros(encoders[0], np.int64)
        self.last = np.zeros(encoders[0])
        spots = (max(1, len(self.spots)), kernel.STAYS)
        self.start = np.zeros(spots, np.int64)
        self.end = np.zeros(spots, np.int64)
        self.who = np.full(spots, -1, np.int32)
        self.base = np.full(spots, np.nan)
        self.length = np.zeros(spots)
        self.rows = np.zeros(spots, np.int64)
        self.stays = np.zeros(spots[0], np.int64)

    def join(self, batch: Batch) -> None:
        """Fill product and place of every row; see :func:`twin.products.kernel.join`."""
        columns = (batch.sensor, batch.time_ns, batch.value, batch.quality)
        kernel.join(*columns, batch.product, batch.place, *self._arrays)

    # -- stays ----------------------------------------------------------------------------------

    def facts(self) -> dict[int, tuple[float, int]]:
        """Longest metre and number of rows per product, over all rings."""
        found: dict[int, tuple[float, int]] = {}
        for spot, n in enumerate(self.stays.tolist()):
            ring = zip(
                self.who[spot, :n].tolist(),
                self.length[spot, :n].tolist(),
                self.rows[spot, :n].tolist(),
                strict=True,
            )
            for product, length, rows in ring:
                known = found.get(product, (0.0, 0))
                found[product] = (max(known[0], length), known[1] + rows)
        return found

    def at(self, spot: int) -> int:
        """Product that is at a spot now, or -1."""
        n = int(self.stays[spot])
        return int(self.who[spot, n - 1]) if n and self.end[spot, n - 1] == kernel.OPEN else -1

    def neighbours(self, spot: int, time_ns: int, product: int) -> tuple[int, int | None]:
        """Who else is at a spot around a time.

        Returns:
            The other product that is there at that time, or -1, and the time at which the next
            other one comes, or None.
        """
        present, follows = -1, None
        for j in range(int(self.stays[spot])):
            if self.who[spot, j] == product:
                continue
            if self.start[spot, j] > time_ns:
                follows = int(self.start[spot, j])
                break
            present = int(self.who[spot, j]) if self.end[spot, j] > time_ns else -1
        return present, follows

    def put(self, product: int, spots: set[int], stays: list[Stay]) -> list[tuple[int, float, int]]:
        """Replace what the rings say about one product.

        Args:
            product: Its index.
            spots: Spots where it may have stood before.
            stays: All its stays now.

        Returns:
            Product, length and rows of stays that fell out of a ring, for their records.
        """
        fallen: list[tuple[int, float, int]] = []
        kept: dict[tuple[int, int], tuple[float, float, int]] = {}
        for spot in spots:
            for j in reversed(range(int(self.stays[spot]))):
                if self.who[spot, j] == product:
                    kept[spot, int(self.start[spot, j])] = (
                        float(self.base[spot, j]),
                        float(self.length[spot, j]),
                        int(self.rows[spot, j]),
                    )
                    self._remove(spot, j)
        for stay in stays:
            facts = kept.pop((stay.spot, stay.start), (np.nan, 0.0, 0))
            fallen += self._insert(stay, facts)
        fallen += [(product, length, rows) for _, length, rows in kept.values()]
        return fallen

    def _remove(self, spot: int, j: int) -> None:
        n = int(self.stays[spot])
        for name in _STAY:
            ring = getattr(self, name)
            ring[spot, j : n - 1] = ring[spot, j + 1 : n].copy()
        self.stays[spot] = n - 1

    def _insert(self, stay: Stay, facts: tuple[float, float, int]) -> list[tuple[int, float, int]]:
        spot, n = stay.spot, int(self.stays[stay.spot])
        fallen: list[tuple[int, float, int]] = []
        if n == kernel.STAYS:
            if stay.start < self.start[spot, 0]:
                return [(stay.product, facts[1], facts[2])] if facts[2] else []
            fallen.append(
                (int(self.who[spot, 0]), float(self.length[spot, 0]), int(self.rows[spot, 0]))
            )
            self._remove(spot, 0)
            n -= 1
        j = int(np.searchsorted(self.start[spot, :n], stay.start, side="right"))
        values = (stay.start, stay.end, stay.product, *facts)
        for name, value in zip(_STAY, values, strict=True):
            ring = getattr(self, name)
            ring[spot, j + 1 : n + 1] = ring[spot, j:n].copy()
            ring[spot, j] = value
        self.stays[spot] = n + 1
        return fallen

    # -- state ----------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Rings as raw bytes, with the names of their rows."""
        return {
            "spots": [list(spot) for spot in self.spots],
            "encoders": list(self.encoders),
            "arrays": {name: getattr(self, name).tobytes() for name in (*_ENCODERS, *_SPOTS)},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot of the same line.

        Raises:
            StateError: Spots, encoders or sizes differ.
        """
        if [list(spot) for spot in self.spots] != state["spots"] or (
            list(self.encoders) != state["encoders"]
        ):
            raise StateError("the snapshot of the products belongs to other stations")
        for name in (*_ENCODERS, *_SPOTS):
            array: NDArray[Any] = getattr(self, name)
            raw = np.frombuffer(state["arrays"][name], array.dtype)
            if raw.size != array.size:
                raise StateError(f"the snapshot of the products has another size of {name}")
            array[...] = raw.reshape(array.shape)

    def follow(self, old: Places) -> None:
        """Take over spots and encoders that still exist in another version of the line."""
        self._copy(
            old,
            _ENCODERS,
            [(old.encoders[k], e) for k, e in self.encoders.items() if k in old.encoders],
        )
        self._copy(
            old, _SPOTS, [(old.spots[k], s) for k, s in self.spots.items() if k in old.spots]
        )

    def _copy(self, old: Places, names: tuple[str, ...], pairs: list[tuple[int, int]]) -> None:
        for name in names:
            for before, now in pairs:
                getattr(self, name)[now] = getattr(old, name)[before]
