"""The compiled walk of the Hampel test: sorted windows, their median and MAD."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.model.batch import GOOD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FACTS", "MEASURES", "SETTINGS", "STATE", "hampel_rows"]

_MAD_TO_SIGMA = 1.4826
"""1 / quantile of the standard normal distribution at 0.75."""
_MEAN_DEVIATION = 0.7978845608028654
"""Mean absolute deviation of a standard normal variable, sqrt(2 / pi)."""

SETTINGS = np.dtype(
    [
        ("window", np.int64),
        ("t", np.float64),
        ("resolution", np.float64),
        ("max_gap", np.int64),
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("n", np.int64),  # values looked at so far
        ("filled", np.int64),  # values in the window
        ("head", np.int64),  # where the oldest value is once the window is full
        ("late", np.int64),
        ("skipped", np.int64),
        ("skipped_in_row", np.int64),
        ("side", np.int64),  # of the open finding: 1 high, -1 low, 0 none
        ("time", np.int64),
        ("median", np.float64),
        ("scale", np.float64),  # robust standard deviation
    ],
    align=True,
)
INSIDE, GAP, OPEN = range(3)
"""What a report says: the two ways to close, then what opens."""
FACTS = ("row", "sensor", "what", "side", "n", "time", "time_before", "number")
"""Columns of the whole numbers of a report."""
MEASURES = ("value", "median", "scale")
"""Columns of the other numbers of a report."""
MOST = 2
"""Reports of one sample at most: one closes, one opens."""
SMALL = 32
"""Up to this window, walking all of it without a branch beats searching."""
_FUZZ = 4 * 2.0**-52
"""A scatter or distance of no more than this share of the median is rounding: 0.1 + 0.2 is 0.3."""
_LATE, _INVALID, _GAP = int(Mark.LATE), int(Mark.INVALID), int(Mark.AFTER_GAP)


@njit(cache=True, error_model="numpy")
def _find(line: NDArray[np.float64], size: int, x: float) -> int:
    """Number of the first ``size`` sorted values that are smaller than x, size >= 1."""
    below = 0
    for i in range(size):
        below += 1 if line[i] < x else 0
    return below


@njit(cache=True, error_model="numpy")
def _replace(line: NDArray[np.float64], size: int, old: float, new: float) -> None:
    """Take one value out of the sorted values and put another in."""
    start = _find(line, size, old)
    stop = _find(line, size, new)
    if stop > start:
        stop -= 1
        for i in range(start, stop):
            line[i] = line[i + 1]
    else:
        for i in range(start, stop, -1):
            line[i] = line[i - 1]
    line[stop] = new


@njit(cache=True, error_model="numpy")
def _slide(line: NDArray[np.float64], size: int, old: float, new: float) -> None:
    """The same in one pass without a branch that depends on the data.

    Put into sorted values a, the new one gives ``max(a[i - 1], min(a[i], new))`` at place i.
    """
    before = -np.inf
    here = line[0]
    for i in range(size - 1):
        after = line[i + 1]
        value = here if here < old else after
        least = min(new, value)
        line[i] = max(least, before)
        before = value
        here = after
    line[size - 1] = max(new, before)


@njit(cache=True, error_model="numpy")
def _exchange(line: NDArray[np.float64], size: int, old: float, new: float) -> None:
    if size <= SMALL:
        _slide(line, size, old, new)
    else:
        _replace(line, size, old, new)


@njit(cache=True, error_model="numpy")
def _report(
    fact: NDArray[np.int64],
    measure: NDArray[np.float64],
    i: int,
    s: int,
    what: int,
    side: int,
    n: int,
    time: int,
    before: int,
    x: float,
) -> None:
    fact[0] = i
    fact[1] = s
    fact[2] = what
    fact[3] = side
    fact[4] = n
    fact[5] = time
    fact[6] = before
    fact[7] = 0
    measure[0] = x


@njit(cache=True, error_model="numpy")
def _insert(line: NDArray[np.float64], size: int, new: float) -> None:
    """Put a value into ``size`` sorted values, which become one more."""
    at = size
    while at > 0 and line[at - 1] > new:
        line[at] = line[at - 1]
        at -= 1
    line[at] = new


@njit(cache=True, error_model="numpy")
def _nearest(line: NDArray[np.float64], size: int, centre: float, k: int) -> float:
    """Distance of the k-th nearest value (from 0): the k + 1 nearest are neighbours when sorted."""
    # A vectorised count beats a binary search here: no branch depends on the data.
    low = 0
    for i in range(size - 1 - k):
        low += 1 if centre - line[i] > line[i + k + 1] - centre else 0
    return float(max(centre - line[low], line[low + k] - centre))


@njit(cache=True, error_model="numpy")
def _judge(
    line: NDArray[np.float64], size: int, x: float, t: float, resolution: float
) -> tuple[int, float, float]:
    """Side of x (1 high, -1 low, 0 inside), median and robust standard deviation of a window."""
    half = size >> 1
    if size & 1:
        median = line[half]
        mad = _nearest(line, size, median, half)
    else:
        median = 0.5 * (line[half - 1] + line[half])
        mad = 0.5 * (_nearest(line, size, median, half - 1) + _nearest(line, size, median, half))
    scale = _MAD_TO_SIGMA * mad
    # Where this matters, most of the window is as large as its median.
    least = _FUZZ * abs(median)
    if mad <= least:
        total = 0.0
        for i in range(half):
            total += median - line[i]
        other = 0.0
        for i in range(size - 1, half - 1, -1):
            other += line[i] - median
        scale = (total + other) / size / _MEAN_DEVIATION
        least = max(least, resolution)
    off = x - median
    limit = max(t * scale, least)
    side = 1 if off > limit else (-1 if -off > limit else 0)
    return side, median, scale


@njit(cache=True, error_model="numpy")
def hampel_rows(
    start: int,
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    row_of: NDArray[np.int32],
    settings: NDArray[np.void],
    state: NDArray[np.void],
    ring: NDArray[np.float64],
    ordered: NDArray[np.float64],
    numbers: NDArray[np.int64],
    facts: NDArray[np.int64],
    measures: NDArray[np.float64],
) -> tuple[int, int]:
    """Walk the rows from ``start`` on and write what changed.

    Args:
        start: First row to look at.
        sensor: Shape (n,); dense sensor index.
        time_ns: Shape (n,); event time.
        value: Shape (n,); unit of the sensor.
        quality: Shape (n,).
        marks: Shape (n,).
        row_of: Shape (sensors,); row of a sensor, -1 for none.
        settings: Shape (rows,).
        state: Shape (rows,); changed.
        ring: Shape (rows, longest window); values in order of arrival; changed.
        ordered: Same shape; the same values sorted; changed.
        numbers: Shape (rows,); findings so far; changed.
        facts: Shape (m, FACTS), m >= MOST; written from 0 on.
        measures: Shape (m, MEASURES); likewise.

    Returns:
        Row to go on with (n when finished) and number of reports written.
    """
    written = 0
    room = len(facts) - MOST
    for i in range(start, len(sensor)):
        s = row_of[sensor[i]]
        if s < 0:
            continue
        if written > room:
            return i, written
        now = state[s]
        x = value[i]
        t = time_ns[i]
        if marks[i] & _LATE or (now["n"] > 0 and t < now["time"]):
            now["late"] += 1
            continue
        if quality[i] != GOOD or marks[i] & _INVALID or not isfinite(x):
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        spec = settings[s]
        window = spec["window"]
        before = now["time"]
        old = now["side"]
        if now["n"] > 0 and (t - before > spec["max_gap"] or marks[i] & _GAP):
            if old != 0:
                _report(facts[written], measures[written], i, s, GAP, old, now["n"], t, before, x)
                written += 1
                old = 0
            now["filled"] = 0
            now["head"] = 0
            now["side"] = 0
        now["n"] += 1
        now["time"] = t
        now["skipped_in_row"] = 0

        side = 0
        filled = now["filled"]
        line = ordered[s]
        if filled < window:
            _insert(line, filled, x)
            ring[s, filled] = x
            filled += 1
            now["filled"] = filled
        else:
            head = now["head"]
            _exchange(line, window, ring[s, head], x)
            ring[s, head] = x
            now["head"] = head + 1 if head + 1 < window else 0
        if filled >= window:
            side, median, scale = _judge(line, window, x, spec["t"], spec["resolution"])
            now["median"] = median
            now["scale"] = scale
        if side != old:
            now["side"] = side
            n = now["n"]
            if old != 0:
                _report(facts[written], measures[written], i, s, INSIDE, old, n - 1, t, before, x)
                written += 1
            if side != 0:
                _report(facts[written], measures[written], i, s, OPEN, side, n, t, before, x)
                numbers[s] += 1
                facts[written, 7] = numbers[s]
                measures[written, 1] = now["median"]
                measures[written, 2] = now["scale"]
                written += 1
    return len(sensor), written
