"""The compiled walk over a batch: vectors of several sensors and their distance from the baseline.

A vector is put together in ``x``. It is turned into coordinates ``y = turn (x - mean)`` that are
independent with variance 1 in control: the inverse Cholesky factor for T2 and MEWMA, the
components for PCA. The statistic is then a sum of squares. Of the residual components of PCA the
variance is left as it is, so that their sum of squares is the squared residual.

Only changes are reported, with the coordinates of the vector.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.model.batch import GOOD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CHANGE", "MEMORY", "POINTS", "SETTINGS", "STATE", "group_rows"]

POINTS = 200
"""Plotted points kept for the board, of each group."""
MEMORY = 100
"""Vectors kept to look for the onset of a shift, of each group."""

CAUSE_POINT, CAUSE_GAP, CAUSE_RECIPE = 0, 1, 2
MAIN, RESIDUAL = 1, 2
"""Bits of ``active``: the statistic, and the squared residual of PCA."""

SETTINGS = np.dtype(
    [
        ("size", np.int64),  # variables
        ("kept", np.int64),  # coordinates of the statistic; the others are the residual
        ("trigger", np.int64),  # slot that makes a vector; -1 = same event time
        ("max_age", np.int64),
        ("max_gap", np.int64),
        ("recipe", np.int64),  # code it belongs to; -1 = any
        ("weight", np.float64),  # lambda; 1 = no memory
        ("scale", np.float64),  # variance of a coordinate after many vectors
        ("fade_start", np.float64),  # 1 = time-varying limits, 0 = fixed
        ("limit", np.float64),
        ("residual_limit", np.float64),  # inf = no residual
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("n", np.int64),  # vectors plotted so far
        ("since", np.int64),  # of these, since memory was last cleared
        ("late", np.int64),
        ("skipped", np.int64),  # samples nobody can judge: bad, invalid, not a number
        ("skipped_in_row", np.int64),  # these and incomplete vectors, since the last vector
        ("incomplete", np.int64),  # vectors that lacked a member
        ("foreign", np.int64),  # samples of a recipe the numbers do not hold for
        ("cleared", np.int64),  # 1 = clear memory with the next vector
        ("recipe", np.int64),  # last known recipe; -1 = none yet
        ("pending", np.int64),  # members that have a value with the pending time
        ("pending_time", np.int64),
        ("time", np.int64),
        ("statistic", np.float64),
        ("residual", np.float64),
        ("active", np.int64),
        ("fade", np.float64),
    ],
    align=True,
)
CHANGE = np.dtype(
    [
        ("row", np.int64),
        ("group", np.int64),
        ("cause", np.int64),
        ("old", np.int64),
        ("new", np.int64),
        ("n", np.int64),
        ("time_before", np.int64),
        ("n_first", np.int64),
        ("time_first", np.int64),
        ("statistic", np.float64),
        ("residual", np.float64),
        ("variance", np.float64),  # of a coordinate: the statistic is their squares over it
    ],
    align=True,
)

_NEVER = -(2**63)
_LATE = int(Mark.LATE)
_INVALID = int(Mark.INVALID)
_GAP = int(Mark.AFTER_GAP)


@njit(cache=True, error_model="numpy")
def _onset(
    g: int,
    size: int,
    n: int,
    since: int,
    history: NDArray[np.float64],
) -> int:
    """Points back from the newest to the most likely first one of a lasting shift.

    The likelihood of a step of unknown size before point k is greatest where the squared length of
    the sum of the coordinates from k on, over their number, is greatest.
    """
    best = -1.0
    back = 0
    total = np.zeros(size)
    for k in range(min(since, history.shape[1])):
        place = (n - 1 - k) % history.shape[1]
        length = 0.0
        for j in range(size):
            total[j] += history[g, place, j]
            length += total[j] * total[j]
        length /= k + 1
        if length > best:
            best = length
            back = k
    return back


@njit(cache=True, error_model="numpy")
def _complete(
    g: int,
    slot: int,
    t: int,
    now: np.void,
    spec: np.void,
    times: NDArray[np.int64],
) -> bool:
    """Whether a value of ``slot`` at ``t`` makes a vector; counts those that lack a member."""
    size = spec["size"]
    if spec["trigger"] < 0:
        if t != now["pending_time"]:
            if now["pending"] != 0:
                now["incomplete"] += 1
                now["skipped_in_row"] += 1
            now["pending_time"] = t
            now["pending"] = 0
        now["pending"] |= 1 << slot
        if now["pending"] != (1 << size) - 1:
            return False
        now["pending"] = 0
        return True
    if slot != spec["trigger"]:
        return False
    for j in range(size):
        last = times[g, j]
        if last == _NEVER or t - last > spec["max_age"] or last - t > spec["max_age"]:
            now["incomplete"] += 1
            now["skipped_in_row"] += 1
            return False
    return True


@njit(cache=True, error_model="numpy")
def _statistics(
    g: int,
    now: np.void,
    spec: np.void,
    mean: NDArray[np.float64],
    turn: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    history: NDArray[np.float64],
) -> float:
    """Take the vector into the coordinates; returns their variance."""
    size = spec["size"]
    weight = spec["weight"]
    place = now["n"] % history.shape[1]
    fade = now["fade"] * (1.0 - weight) * (1.0 - weight)
    now["fade"] = fade
    variance: float = spec["scale"] * (1.0 - fade)
    main = 0.0
    residual = 0.0
    for i in range(size):
        fresh = 0.0
        for j in range(size):
            fresh += turn[g, i, j] * (x[g, j] - mean[g, j])
        history[g, place, i] = fresh
        y[g, i] = weight * fresh + (1.0 - weight) * y[g, i]
        if i < spec["kept"]:
            main += y[g, i] * y[g, i]
        else:
            residual += y[g, i] * y[g, i]
    now["statistic"] = main / variance
    now["residual"] = residual
    return variance


@njit(cache=True, error_model="numpy")
def _close(
    i: int,
    g: int,
    cause: int,
    now: np.void,
    out: NDArray[np.void],
    written: int,
) -> int:
    """Clear the memory of a group and report what was open."""
    if now["active"] != 0:
        change = out[written]
        change["row"] = i
        change["group"] = g
        change["cause"] = cause
        change["old"] = now["active"]
        change["new"] = 0
        change["n"] = now["n"]
        change["time_before"] = now["time"]
        change["statistic"] = now["statistic"]
        change["residual"] = now["residual"]
        written += 1
    now["active"] = 0
    now["since"] = 0
    now["cleared"] = 0
    return written


@njit(cache=True, error_model="numpy")
def group_rows(
    start: int,
    member: int,
    sensor: NDArray[np.int32],
    time: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    recipe: NDArray[np.int32],
    first: NDArray[np.int64],
    groups: NDArray[np.int64],
    slots: NDArray[np.int64],
    specs: NDArray[np.void],
    mean: NDArray[np.float64],
    turn: NDArray[np.float64],
    state: NDArray[np.void],
    x: NDArray[np.float64],
    times: NDArray[np.int64],
    y: NDArray[np.float64],
    history: NDArray[np.float64],
    ring_time: NDArray[np.int64],
    ring_value: NDArray[np.float64],
    ring_active: NDArray[np.uint8],
    out: NDArray[np.void],
    out_y: NDArray[np.float64],
) -> tuple[int, int, int]:
    """Judge rows from ``start`` on until the batch ends or the buffer is full.

    Args:
        start: First row to judge.
        member: Which of its memberships to begin with.
        sensor: Columns of the batch, as the others up to ``recipe``.
        time: Event time, ns.
        value: In the unit of the sensor.
        quality: Quality code.
        marks: Bits of :class:`~twin.model.batch.Mark`.
        recipe: Code of the recipe; -1 when nobody said.
        first: Memberships of sensor s are ``first[s]`` to ``first[s + 1]`` (exclusive).
        groups: Group of each membership.
        slots: Place in the vector of each membership.
        specs: ``SETTINGS`` of each group.
        mean: Shape (groups, widest).
        turn: Vector to coordinates, shape (groups, widest, widest).
        state: ``STATE`` of each group.
        x: Last valid values, shape (groups, widest).
        times: Their event times.
        y: Weighted means of the coordinates, shape (groups, widest).
        history: Last coordinates, shape (groups, MEMORY, widest).
        ring_time: Plotted points, shape (groups, POINTS).
        ring_value: Statistic and squared residual, shape (groups, POINTS, 2).
        ring_active: Which of them were beyond.
        out: Changes.
        out_y: Coordinates of the vector of each change.

    Returns:
        Row and membership to go on with, and the number of changes.
    """
    written = 0
    for i in range(start, len(sensor)):
        s = sensor[i]
        for m in range(first[s] + (member if i == start else 0), first[s + 1]):
            if written + 2 > len(out):
                return i, m - first[s], written
            g = groups[m]
            slot = slots[m]
            now = state[g]
            spec = specs[g]
            t = time[i]
            if (
                marks[i] & _LATE
                or t < times[g, slot]
                or (now["n"] > 0 and t < now["time"])
                or (spec["trigger"] < 0 and t < now["pending_time"])
            ):
                now["late"] += 1
                continue
            if quality[i] != GOOD or marks[i] & _INVALID or not isfinite(value[i]):
                now["skipped"] += 1
                now["skipped_in_row"] += 1
                continue
            if recipe[i] >= 0 and recipe[i] != now["recipe"]:
                if now["recipe"] >= 0:
                    written = _close(i, g, CAUSE_RECIPE, now, out, written)
                    # Values of the recipe before never stand beside those of this one.
                    now["pending"] = 0
                    for j in range(spec["size"]):
                        times[g, j] = _NEVER
                now["recipe"] = recipe[i]
            if spec["recipe"] >= 0 and now["recipe"] >= 0 and now["recipe"] != spec["recipe"]:
                now["foreign"] += 1
                now["skipped_in_row"] += 1
                continue
            if marks[i] & _GAP:
                now["cleared"] = 1
            x[g, slot] = value[i]
            times[g, slot] = t
            if not _complete(g, slot, t, now, spec, times):
                continue

            before = now["time"]
            if now["cleared"] != 0 or (now["since"] > 0 and t - before > spec["max_gap"]):
                written = _close(i, g, CAUSE_GAP, now, out, written)
            if now["since"] == 0:
                now["fade"] = spec["fade_start"]
                for j in range(spec["size"]):
                    y[g, j] = 0.0

            variance = _statistics(g, now, spec, mean, turn, x, y, history)
            n = now["n"] + 1
            now["n"] = n
            now["since"] += 1
            now["skipped_in_row"] = 0
            now["time"] = t
            active = MAIN if now["statistic"] > spec["limit"] else 0
            if now["residual"] > spec["residual_limit"]:
                active |= RESIDUAL
            place = (n - 1) % ring_time.shape[1]
            ring_time[g, place] = t
            ring_value[g, place, 0] = now["statistic"]
            ring_value[g, place, 1] = now["residual"]
            ring_active[g, place] = active
            old = now["active"]
            if active == old:
                continue
            back = 0
            if spec["weight"] < 1.0 and active & ~old:
                back = _onset(g, spec["size"], n, now["since"], history)
            change = out[written]
            change["row"] = i
            change["group"] = g
            change["cause"] = CAUSE_POINT
            change["old"] = old
            change["new"] = active
            change["n"] = n
            change["time_before"] = before
            change["n_first"] = n - back
            change["time_first"] = ring_time[g, (n - 1 - back) % ring_time.shape[1]]
            change["statistic"] = now["statistic"]
            change["residual"] = now["residual"]
            change["variance"] = variance
            for j in range(spec["size"]):
                out_y[written, j] = y[g, j]
            now["active"] = active
            written += 1
    return len(sensor), 0, written
