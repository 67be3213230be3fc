"""Limit conditions with deadband and delays, evaluated over a batch in one walk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from twin.model.batch import BAD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.batch import Batch

__all__ = ["ABOVE", "BELOW", "Conditions"]

ABOVE, BELOW = 0, 1
_NEVER = np.iinfo(np.int64).min
_SKIP_ALWAYS = Mark.LATE | Mark.HISTORICAL


@njit(cache=True, error_model="numpy")
def _walk(
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    first: NDArray[np.int64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    band: NDArray[np.float64],
    delay: NDArray[np.int64],
    raw: NDArray[np.bool_],
    active: NDArray[np.bool_],
    since: NDArray[np.int64],
    bad: int,
    skip_always: int,
    skip_invalid: int,
    out: NDArray[np.int64],
) -> int:
    """One row after the other, every condition of its sensor; returns the number of edges.

    A condition holds while the value is above ``high`` or below ``low`` (strictly) and ends when
    it is back by the deadband. ``since`` is when the opposite of the present verdict began.
    """
    found = 0
    for row in range(len(sensor)):
        start = first[sensor[row]]
        stop = first[sensor[row] + 1]
        if start == stop or quality[row] == bad or marks[row] & skip_always:
            continue
        number = value[row]
        when = time_ns[row]
        for c in range(start, stop):
            if marks[row] & skip_invalid and not raw[c]:
                continue
            if active[c]:
                turned = number <= high[c] - band[c] and number >= low[c] + band[c]
                wait = delay[c, 1]
            else:
                turned = number > high[c] or number < low[c]
                wait = delay[c, 0]
            if not turned:
                since[c] = _NEVER
                continue
            if since[c] == _NEVER:
                since[c] = when
            if when - since[c] >= wait:
                active[c] = not active[c]
                if found < len(out):
                    out[found, 0] = row
                    out[found, 1] = c
                    out[found, 2] = since[c]
                    out[found, 3] = active[c]
                found += 1
                since[c] = _NEVER
    return found


class Conditions:
    """Limit conditions of all alarms, sorted by sensor.

    Args:
        sensors: Number of sensors.
        rows: (sensor index, high limit or inf, low limit or -inf, deadband, on-delay ns,
            off-delay ns, judge raw samples) per condition, sorted by sensor index.
    """

    def __init__(
        self, sensors: int, rows: list[tuple[int, float, float, float, int, int, bool]]
    ) -> None:
        owner = np.array([row[0] for row in rows], np.int64)
        self._first = np.searchsorted(owner, np.arange(sensors + 1)).astype(np.int64)
        self._high = np.array([row[1] for row in rows], np.float64)
        self._low = np.array([row[2] for row in rows], np.float64)
        self._band = np.array([row[3] for row in rows], np.float64)
        self._delay = np.array([[row[4], row[5]] for row in rows], np.int64).reshape(-1, 2)
        self._raw = np.array([row[6] for row in rows], np.bool_)
        self.active = np.zeros(len(rows), np.bool_)
        self.since = np.full(len(rows), _NEVER, np.int64)
        self._any = len(rows) > 0

    def edges(self, batch: Batch) -> list[tuple[int, int, int, bool]]:
        """(row, condition, since when, now active) for every change, in row order."""
        if not self._any or len(batch) == 0:
            return []
        # A condition changes at most once per row; most batches have no change at all.
        before = self.active.copy(), self.since.copy()
        room = 64
        while True:
            out = np.zeros((room, 4), np.int64)
            found = _walk(
                batch.sensor,
                batch.time_ns,
                batch.value,
                batch.quality,
                batch.marks,
                self._first,
                self._high,
                self._low,
                self._band,
                self._delay,
                self._raw,
                self.active,
                self.since,
                BAD,
                _SKIP_ALWAYS,
                Mark.INVALID,
                out,
            )
            if found <= room:
                return [(r, c, t, bool(a)) for r, c, t, a in out[:found].tolist()]
            self.active[:], self.since[:] = before
            room = found

    def snapshot(self) -> dict[str, Any]:
        """State."""
        return {"active": self.active.tobytes(), "since": self.since.tobytes()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot of the same conditions."""
        self.active = np.frombuffer(state["active"], np.bool_).copy()
        self.since = np.frombuffer(state["since"], np.int64).copy()
