"""The compiled walk of the group anomaly detector: vectors, learning, distances, open and close."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.detectors.outliers.group_anomaly_model import (
    CLEAR,
    CONFIRM,
    advance,
    distances,
    follow,
    learn,
)
from twin.model.batch import GOOD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CHANGE", "POINTS", "SETTINGS", "STATE", "anomaly_rows", "forget"]

POINTS = 200
"""Scores kept for the board, of each group."""
AWAY, MOVING = 1, 2
"""Bits of ``active``: left the baseline, and is changing."""
CAUSE_POINT, CAUSE_GAP, CAUSE_RECIPE = 0, 1, 2
LEARNING, READY, CONSTANT = 0, 1, 2

SETTINGS = np.dtype(
    [
        ("size", np.int64),  # members
        ("trigger", np.int64),  # slot that makes a vector; -1 = same event time
        ("max_age", np.int64),
        ("max_gap", np.int64),
        ("recipe", np.int64),  # code that is judged; -1 = any
        ("rows", np.int64),  # vectors of the baseline
        ("limit", np.float64),
        ("check", np.float64),  # limit inside the baseline
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("n", np.int64),  # vectors so far
        ("learned", np.int64),  # of these, in the baseline that is being learned
        ("phase", np.int64),
        ("contaminated", np.int64),
        ("late", np.int64),
        ("skipped", np.int64),  # samples nobody can judge: bad, invalid, not a number
        ("skipped_in_row", np.int64),  # these and incomplete vectors, since the last vector
        ("incomplete", np.int64),
        ("foreign", np.int64),
        ("cleared", np.int64),  # 1 = a hole lies before the next vector
        ("recipe", np.int64),
        ("pending", np.int64),  # members that have a value with the pending time
        ("pending_time", np.int64),
        ("time", np.int64),
        ("beyond", np.int64),  # vectors in a row beyond the limit of home
        ("beyond_trail", np.int64),
        ("active", np.int64),
        ("worst", np.int64),  # feature farthest from home
        ("distance", np.float64),
        ("moving", np.float64),
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
        ("onset_n", np.int64),
        ("onset_time", np.int64),
        ("distance", np.float64),
        ("moving", np.float64),
    ],
    align=True,
)

_NEVER = -(2**63)
_LATE, _INVALID, _GAP = int(Mark.LATE), int(Mark.INVALID), int(Mark.AFTER_GAP)


@njit(cache=True, error_model="numpy")
def _complete(
    g: int, slot: int, t: int, now: np.void, spec: np.void, times: NDArray[np.int64]
) -> bool:
    """Whether a value of ``slot`` at ``t`` makes a vector; counts those that lack a member."""
    if spec["trigger"] < 0:
        if t != now["pending_time"]:
            if now["pending"] != 0:
                now["incomplete"] += 1
                now["skipped_in_row"] += 1
            now["pending_time"] = t
            now["pending"] = 0
        now["pending"] |= 1 << slot
        if now["pending"] != (1 << spec["size"]) - 1:
            return False
        now["pending"] = 0
        return True
    if slot != spec["trigger"]:
        return False
    for j in range(spec["size"]):
        last = times[g, j]
        if last == _NEVER or abs(t - last) > spec["max_age"]:
            now["incomplete"] += 1
            now["skipped_in_row"] += 1
            return False
    return True


@njit(cache=True, error_model="numpy")
def forget(now: np.void) -> None:
    """Begin to learn anew with the next vector."""
    now["learned"] = 0
    now["phase"] = LEARNING
    now["contaminated"] = 0
    now["cleared"] = 0
    now["beyond"] = 0
    now["beyond_trail"] = 0
    now["active"] = 0
    now["distance"] = 0.0
    now["moving"] = 0.0


@njit(cache=True, error_model="numpy")
def _report(
    i: int, g: int, cause: int, old: int, now: np.void, before: int, change: np.void
) -> None:
    change["row"] = i
    change["group"] = g
    change["cause"] = cause
    change["old"] = old
    change["new"] = now["active"]
    change["n"] = now["n"]
    change["time_before"] = before
    change["onset_n"] = now["n"]
    change["onset_time"] = now["time"]
    change["distance"] = now["distance"]
    change["moving"] = now["moving"]


@njit(cache=True, error_model="numpy")
def _clear(i: int, g: int, cause: int, now: np.void, out: NDArray[np.void], written: int) -> int:
    """Report the end of what is open."""
    old = now["active"]
    if old == 0:
        return written
    now["active"] = 0
    _report(i, g, cause, old, now, now["time"], out[written])
    return written + 1


@njit(cache=True, error_model="numpy")
def _restart(now: np.void, means: NDArray[np.float64]) -> None:
    """After a hole: the near means and the trail begin at home."""
    now["beyond"] = 0
    now["beyond_trail"] = 0
    for k in range(means.shape[1]):
        means[0, k] = means[1, k]
        means[2, k] = means[1, k]


@njit(cache=True, error_model="numpy")
def _state_of(beyond: int, was: bool, distance: float, limit: float) -> tuple[int, bool]:
    """Vectors in a row beyond, and whether the state is open: quickly opened, closed when back."""
    if was:
        return (beyond, True) if distance >= CLEAR * limit else (0, False)
    beyond = beyond + 1 if distance > limit else 0
    return beyond, beyond >= CONFIRM


@njit(cache=True, error_model="numpy")
def _judge(
    now: np.void,
    limit: float,
    x: NDArray[np.float64],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    units: NDArray[np.float64],
    means: NDArray[np.float64],
    last: NDArray[np.float64],
    calm_n: NDArray[np.int64],
    calm_time: NDArray[np.int64],
    z: NDArray[np.float64],
    fresh: bool,
) -> None:
    y = np.empty(len(z))
    advance(x, centre, scale, last, y, means, fresh)
    worst, distance, moving = distances(means, units, z)
    now["worst"] = worst
    now["distance"] = distance
    now["moving"] = moving
    was = now["active"]
    beyond, away = _state_of(now["beyond"], was & AWAY != 0, distance, limit)
    trail, moves = _state_of(now["beyond_trail"], was & MOVING != 0, moving, limit)
    now["beyond"] = beyond
    now["beyond_trail"] = trail
    now["active"] = (AWAY if away else 0) | (MOVING if moves else 0)
    for k in range(len(z)):
        if abs(z[k]) < 1.0:
            calm_n[k] = now["n"]
            calm_time[k] = now["time"]
    follow(means, not away)


@njit(cache=True, error_model="numpy")
def _take(
    g: int,
    now: np.void,
    spec: np.void,
    tables: NDArray[np.float64],
    x: NDArray[np.float64],
    buffer: NDArray[np.float64],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    units: NDArray[np.float64],
    means: NDArray[np.float64],
    last: NDArray[np.float64],
    calm_n: NDArray[np.int64],
    calm_time: NDArray[np.int64],
    z: NDArray[np.float64],
    fresh: bool,
) -> None:
    """Learn from a vector or judge it."""
    p = spec["size"]
    if now["phase"] == READY:
        _judge(
            now,
            spec["limit"],
            x[g, :p],
            centre[g, :p],
            scale[g, :p],
            units[g, : 3 * p],
            means[g, :, : 2 * p],
            last[g, :p],
            calm_n[g, : 2 * p],
            calm_time[g, : 2 * p],
            z[g, : 2 * p],
            fresh,
        )
        return
    if now["phase"] == CONSTANT:
        return
    for k in range(p):  # slices would compile the text of an error about their lengths
        buffer[g, now["learned"], k] = x[g, k]
    now["learned"] += 1
    if now["learned"] < spec["rows"]:
        return
    found = learn(
        buffer[g, : spec["rows"], :p],
        tables[g],
        spec["limit"],
        spec["check"],
        centre[g, :p],
        scale[g, :p],
        units[g, : 3 * p],
        means[g, :, : 2 * p],
        last[g, :p],
    )
    now["phase"] = READY if found >= 0 else CONSTANT
    now["contaminated"] = 1 if found > 0 else 0
    if found == 2:
        # Already away: the first vector that is judged opens the finding.
        now["beyond"] = CONFIRM - 1
    for k in range(2 * p):
        calm_n[g, k] = now["n"]
        calm_time[g, k] = now["time"]


@njit(cache=True, error_model="numpy")
def anomaly_rows(
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
    tables: NDArray[np.float64],
    state: NDArray[np.void],
    x: NDArray[np.float64],
    times: NDArray[np.int64],
    buffer: NDArray[np.float64],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    units: NDArray[np.float64],
    means: NDArray[np.float64],
    last: NDArray[np.float64],
    calm_n: NDArray[np.int64],
    calm_time: NDArray[np.int64],
    z: NDArray[np.float64],
    ring_time: NDArray[np.int64],
    ring_value: NDArray[np.float64],
    out: NDArray[np.void],
    out_z: NDArray[np.float64],
) -> tuple[int, int, int]:
    """Walk rows from ``start`` on until the batch ends or the buffer of changes is full.

    Args:
        start: First row.
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
        tables: Shape (groups, 3, 64), see :func:`~twin.detectors.outliers.group_anomaly_model.learn`.
        state: ``STATE`` of each group.
        x: Last valid values, shape (groups, widest).
        times: Their event times.
        buffer: The baseline, shape (groups, most rows, widest).
        centre: Learned, shape (groups, widest); so are ``scale``, and ``units`` (3 times as wide).
        scale: See ``centre``.
        units: See ``centre``.
        means: Shape (groups, 3, twice the widest).
        last: Standardised values of the vector before.
        calm_n: Of each feature the last vector that was at home, shape (groups, twice the widest).
        calm_time: Its event time.
        z: Distances from home, shape (groups, twice the widest).
        ring_time: Last vectors, shape (groups, POINTS).
        ring_value: Their distances.
        out: Changes.
        out_z: Distances of the vector of each change.

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
                    written = _clear(i, g, CAUSE_RECIPE, now, out, written)
                    forget(now)
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
            hole = now["cleared"] != 0 or (now["n"] > 0 and t - before > spec["max_gap"])
            now["cleared"] = 0
            if hole and now["phase"] == READY:
                written = _clear(i, g, CAUSE_GAP, now, out, written)
                _restart(now, means[g])
            old = now["active"]
            now["n"] += 1
            now["skipped_in_row"] = 0
            now["time"] = t
            _take(
                g,
                now,
                spec,
                tables,
                x,
                buffer,
                centre,
                scale,
                units,
                means,
                last,
                calm_n,
                calm_time,
                z,
                hole,
            )
            place = (now["n"] - 1) % ring_time.shape[1]
            ring_time[g, place] = t
            ring_value[g, place] = now["distance"]
            if now["active"] == old:
                continue
            _report(i, g, CAUSE_POINT, old, now, before, out[written])
            out[written]["onset_n"] = calm_n[g, now["worst"]] + 1
            out[written]["onset_time"] = calm_time[g, now["worst"]]
            out_z[written] = z[g]
            written += 1
    return len(sensor), 0, written
