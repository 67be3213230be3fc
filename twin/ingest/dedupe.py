"""Duplicates and conflicts: the same sample sent again, or another value for the same moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CONFLICT", "DUPLICATE", "FRESH", "LATE", "Dedupe"]

FRESH, LATE, DUPLICATE, CONFLICT = 0, 1, 2, 3
"""Verdicts per row; LATE rows are kept."""

_EMPTY = np.uint64(0)
_NEVER = np.iinfo(np.int64).min


@njit(cache=True, error_model="numpy")
def _key(sensor: int, time_ns: int, source_seq: int) -> np.uint64:
    """64 bits that stand for (sensor, time, source sequence number), never 0 (splitmix64)."""
    word = np.uint64(time_ns)
    word ^= np.uint64(sensor + 1) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word ^= np.uint64(source_seq + 2) * np.uint64(0xD6E8FEB86659FD93)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    if word == np.uint64(0):
        return np.uint64(1)
    return word


@njit(cache=True, error_model="numpy")
def _slot(keys: NDArray[np.uint64], key: np.uint64) -> int:
    """Where ``key`` is, or the free place where it belongs."""
    mask = np.uint64(len(keys) - 1)
    place = key & mask
    while keys[np.int64(place)] != np.uint64(0) and keys[np.int64(place)] != key:
        place = (place + np.uint64(1)) & mask
    return int(place)


@njit(cache=True, error_model="numpy")
def _same(left: float, right: float) -> bool:
    return left == right or (np.isnan(left) and np.isnan(right))


@njit(cache=True, error_model="numpy")
def _judge(
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    source_seq: NDArray[np.int64],
    value: NDArray[np.float64],
    newest: NDArray[np.int64],
    keys: NDArray[np.uint64],
    values: NDArray[np.float64],
    counts: NDArray[np.int64],
    capacity: int,
    verdict: NDArray[np.uint8],
) -> None:
    """Walk the rows once; two hash tables take turns, so memory stays bounded."""
    for row in range(len(sensor)):
        who = sensor[row]
        when = time_ns[row]
        key = _key(who, when, source_seq[row])
        young = counts[2]
        late = when < newest[who]
        if when <= newest[who]:
            old = 1 - young
            place = _slot(keys[young], key)
            found = young
            if keys[young, place] != key:
                found = old
                place = _slot(keys[old], key)
            if keys[found, place] == key:
                verdict[row] = 2 if _same(values[found, place], value[row]) else 3
                continue
        if counts[young] >= capacity:
            young = 1 - young
            keys[young, :] = np.uint64(0)
            counts[young] = 0
            counts[2] = young
        place = _slot(keys[young], key)
        keys[young, place] = key
        values[young, place] = value[row]
        counts[young] += 1
        verdict[row] = 1 if late else 0
        newest[who] = max(newest[who], when)


class Dedupe:
    """Remembers the last samples of the whole line.

    Between ``capacity`` and twice as many accepted samples are remembered; the key is (sensor,
    event time, source sequence number). The DUP flag of MQTT is not asked: it proves nothing.

    Args:
        sensors: Number of sensors.
        capacity: Samples remembered at least, 1 to 2**24.
    """

    VERSION = 1

    def __init__(self, sensors: int, capacity: int = 131_072) -> None:
        self.capacity = capacity
        slots = 1 << (capacity * 2 - 1).bit_length()
        self.newest = np.full(sensors, _NEVER, np.int64)
        self._keys = np.zeros((2, slots), np.uint64)
        self._values = np.zeros((2, slots))
        self._counts = np.zeros(3, np.int64)

    def judge(
        self,
        sensor: NDArray[np.int32],
        time_ns: NDArray[np.int64],
        source_seq: NDArray[np.int64],
        value: NDArray[np.float64],
    ) -> NDArray[np.uint8]:
        """Verdict of each row, uint8[n]; fresh and late rows are remembered."""
        verdict = np.zeros(len(sensor), np.uint8)
        _judge(
            sensor,
            time_ns,
            source_seq,
            value,
            self.newest,
            self._keys,
            self._values,
            self._counts,
            self.capacity,
            verdict,
        )
        return verdict

    def snapshot(self) -> dict[str, Any]:
        """State; only occupied slots are written."""
        state: dict[str, Any] = {
            "version": self.VERSION,
            "capacity": self.capacity,
            "newest": self.newest.tobytes(),
            "counts": self._counts.tolist(),
        }
        for table in (0, 1):
            used = np.flatnonzero(self._keys[table])
            state[f"keys{table}"] = self._keys[table][used].tobytes()
            state[f"values{table}"] = self._values[table][used].tobytes()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot of the same sensors and capacity."""
        self.newest = np.frombuffer(state["newest"], np.int64).copy()
        self._counts = np.array(state["counts"], np.int64)
        self._keys[:] = 0
        for table in (0, 1):
            keys = np.frombuffer(state[f"keys{table}"], np.uint64)
            values = np.frombuffer(state[f"values{table}"], np.float64)
            _refill(self._keys[table], self._values[table], keys, values)

    def carry_over(self, old: Dedupe, pairs: list[tuple[int, int]]) -> None:
        """Take over what is known of sensors that stay; ``pairs`` = (old index, new index).

        Keys hold the dense index, so only the newest time of each sensor can move: a late
        duplicate from before the change counts as late, not as duplicate.
        """
        for before, after in pairs:
            self.newest[after] = old.newest[before]


@njit(cache=True, error_model="numpy")
def _refill(
    table: NDArray[np.uint64],
    table_values: NDArray[np.float64],
    keys: NDArray[np.uint64],
    values: NDArray[np.float64],
) -> None:
    for row in range(len(keys)):
        place = _slot(table, keys[row])
        table[place] = keys[row]
        table_values[place] = values[row]
