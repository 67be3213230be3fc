"""The compiled walk of the charts of counts.

A sample size that comes from another sensor may stand before or after the count in its message.
A count without a size of its event time is held until the size arrives; a newer count or a newer
size shows that it never will.
"""

from __future__ import annotations

from math import floor, isfinite
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.detectors.spc.by_recipe import find_recipe
from twin.detectors.spc.count_limits import LANEY_P, NP, C, P, count_limits
from twin.detectors.spc.kernel import BOTH, LOW
from twin.detectors.spc.kernel import _rule_bits as rule_bits
from twin.detectors.spc.kernel import _span as rule_span
from twin.model.batch import GOOD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CAUSE_GAP",
    "CAUSE_POINT",
    "CAUSE_RECIPE",
    "CHANGE",
    "SETTINGS",
    "STATE",
    "attribute_rows",
]

CAUSE_POINT, CAUSE_GAP, CAUSE_RECIPE = range(3)

SETTINGS = np.dtype(
    [
        ("kind", np.int64),
        ("n", np.float64),  # 0 = from a sensor
        ("sigma_z", np.float64),
        ("k", np.float64),  # distance of rule 1
        ("tail", np.float64),  # probability beyond k sigma
        ("exact_below", np.float64),
        ("max_gap", np.int64),
        ("set", np.int64),
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("n", np.int64),  # points plotted so far
        ("since", np.int64),  # of these, since memory was last cleared
        ("late", np.int64),
        ("skipped", np.int64),  # no count, no size, bad, or no centre line
        ("skipped_in_row", np.int64),
        ("time", np.int64),
        ("value", np.float64),
        ("active", np.int64),
        ("up", np.int64),
        ("down", np.int64),
        ("recipe", np.int64),
        ("entry", np.int64),  # of the recipe, counted from the first of the chart
        ("size", np.float64),  # that the limits are for; 0 = none yet
        ("lower", np.float64),
        ("upper", np.float64),
        ("sigma", np.float64),
        ("size_time", np.int64),
        ("size_now", np.float64),  # 0 = the size of that time is unusable
        ("sized", np.int64),  # 1 = a size has come
        ("held", np.int64),  # 1 = the newest count waits for its size
        ("count", np.float64),  # the newest count, and what came with it
        ("count_time", np.int64),
        ("gap", np.int64),
        ("count_recipe", np.int64),
        ("product", np.int64),
        ("place", np.float64),
    ],
    align=True,
)
CHANGE = np.dtype(
    [
        ("row", np.int64),
        ("chart", np.int64),
        ("cause", np.int64),
        ("old", np.int64),
        ("new", np.int64),
        ("n", np.int64),
        ("time_before", np.int64),
        ("n_first", np.int64),
        ("time_first", np.int64),
        ("time", np.int64),
        ("count", np.float64),
        ("size", np.float64),
        ("value", np.float64),
        ("centre", np.float64),
        ("lower", np.float64),
        ("upper", np.float64),
        ("sigma", np.float64),
        ("product", np.int64),
        ("place", np.float64),
        ("entry", np.int64),
    ],
    align=True,
)
ROOM = 2
"""Most changes one count can cause: memory is cleared, then a rule speaks."""

_KEEP = (1 << 60) - 1
_LATE = int(Mark.LATE)
_INVALID = int(Mark.INVALID)
_GAP = int(Mark.AFTER_GAP)
_ON_LIMIT = 1e-9
"""Nearer to a limit than this many sigma is on it: counts lie on limits, and rounding must not
decide."""


@njit(cache=True, error_model="numpy")
def _is_count(kind: int, count: float, size: float) -> bool:
    if count < 0.0 or count != floor(count) or not size > 0.0:
        return False
    if kind in (P, NP, LANEY_P):
        return size == floor(size) and count <= size
    return True


@njit(cache=True, error_model="numpy")
def _judge(
    c: int,
    row: int,
    size: float,
    settings: NDArray[np.void],
    starts: NDArray[np.int64],
    codes: NDArray[np.int64],
    numbers: NDArray[np.float64],
    rules: NDArray[np.void],
    n_rules: NDArray[np.int64],
    levels: NDArray[np.float64],
    n_levels: NDArray[np.int64],
    state: NDArray[np.void],
    beyond: NDArray[np.int64],
    ring_time: NDArray[np.int64],
    ring: NDArray[np.float64],
    ring_rules: NDArray[np.uint16],
    out: NDArray[np.void],
    written: int,
) -> int:
    """Plot the newest count with its size; returns the number of changes written so far."""
    now = state[c]
    spec = settings[c]
    now["held"] = 0
    t = now["count_time"]
    count = now["count"]
    recipe = now["count_recipe"]
    kind = spec["kind"]
    entry = starts[c] + now["entry"]
    if recipe != now["recipe"] or now["n"] == 0:
        entry = find_recipe(starts, codes, c, recipe)
    if entry < 0 or not _is_count(kind, count, size):
        now["skipped"] += 1
        now["skipped_in_row"] += 1
        return written
    before = now["time"]
    clears = 0
    if now["since"] > 0:
        if recipe != now["recipe"]:
            clears = CAUSE_RECIPE
        elif now["gap"] or t - before > spec["max_gap"]:
            clears = CAUSE_GAP
    if clears:
        if now["active"]:
            change = out[written]
            change["row"] = row
            change["chart"] = c
            change["cause"] = clears
            change["old"] = now["active"]
            change["new"] = 0
            change["n"] = now["n"]
            change["time_before"] = before
            change["time"] = t
            change["count"] = count
            change["product"] = now["product"]
            change["place"] = now["place"]
            written += 1
        now["since"] = 0
    if now["since"] == 0:
        now["active"] = 0
        now["up"] = 0
        now["down"] = 0
        beyond[c, :, :] = 0
    centre = numbers[entry, 0]
    if size != now["size"] or entry != starts[c] + now["entry"] or now["n"] == 0:
        lower, upper, sigma = count_limits(
            kind, centre, size, spec["sigma_z"], spec["k"], spec["tail"], spec["exact_below"]
        )
        now["size"] = size
        now["lower"] = lower
        now["upper"] = upper
        now["sigma"] = sigma
    now["recipe"] = recipe
    now["entry"] = entry - starts[c]
    sigma = now["sigma"]
    x = count if kind in (NP, C) else count / size
    n = now["n"] + 1
    now["n"] = n
    now["since"] += 1
    now["skipped_in_row"] = 0
    slack = _ON_LIMIT * sigma
    chosen = spec["set"]
    for level in range(n_levels[chosen]):
        if levels[chosen, level] == spec["k"]:
            high, low = now["upper"], now["lower"]
        else:
            away = levels[chosen, level] * sigma
            high, low = centre + away, centre - away
        above = 1 if x > high + slack else 0
        below = 1 if x < low - slack else 0
        beyond[c, 0, level] = (beyond[c, 0, level] << 1 | above) & _KEEP
        beyond[c, 1, level] = (beyond[c, 1, level] << 1 | below) & _KEEP
    up = 1 if now["since"] > 1 and x > now["value"] else 0
    down = 1 if now["since"] > 1 and x < now["value"] else 0
    now["up"] = (now["up"] << 1 | up) & _KEEP
    now["down"] = (now["down"] << 1 | down) & _KEEP
    active = rule_bits(
        c, rules, n_rules[chosen], chosen, beyond, now["up"], now["down"], now["since"]
    )
    points = ring_time.shape[1]
    at = (n - 1) % points
    ring_time[c, at] = t
    ring[c, at, 0] = x
    ring[c, at, 1] = now["lower"]
    ring[c, at, 2] = now["upper"]
    ring_rules[c, at] = (active | active >> LOW | active >> BOTH) & 0xFFFF
    now["time"] = t
    now["value"] = x
    old = now["active"]
    if active != old:
        span = rule_span(c, rules, n_rules[chosen], chosen, beyond, active & ~old)
        change = out[written]
        change["row"] = row
        change["chart"] = c
        change["cause"] = CAUSE_POINT
        change["old"] = old
        change["new"] = active
        change["n"] = n
        change["time_before"] = before
        change["n_first"] = n - span
        change["time_first"] = ring_time[c, (n - 1 - span) % points]
        change["time"] = t
        change["count"] = count
        change["size"] = size
        change["value"] = x
        change["centre"] = centre
        change["lower"] = now["lower"]
        change["upper"] = now["upper"]
        change["sigma"] = sigma
        change["entry"] = entry
        change["product"] = now["product"]
        change["place"] = now["place"]
        now["active"] = active
        written += 1
    return written


@njit(cache=True, error_model="numpy")
def attribute_rows(
    start: int,
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    product: NDArray[np.int32],
    place: NDArray[np.float64],
    recipe: NDArray[np.int32],
    chart_of: NDArray[np.int32],
    sized_first: NDArray[np.int32],
    sized_next: NDArray[np.int32],
    settings: NDArray[np.void],
    starts: NDArray[np.int64],
    codes: NDArray[np.int64],
    numbers: NDArray[np.float64],
    rules: NDArray[np.void],
    n_rules: NDArray[np.int64],
    levels: NDArray[np.float64],
    n_levels: NDArray[np.int64],
    state: NDArray[np.void],
    beyond: NDArray[np.int64],
    ring_time: NDArray[np.int64],
    ring: NDArray[np.float64],
    ring_rules: NDArray[np.uint16],
    out: NDArray[np.void],
) -> tuple[int, int]:
    """Walk the rows from ``start`` on and write what changed into ``out``.

    Args:
        start: First row to look at.
        sensor: Shape (n,); dense sensor index.
        time_ns: Shape (n,); event time.
        value: Shape (n,); counts, or sample sizes.
        quality: Shape (n,).
        marks: Shape (n,).
        product: Shape (n,); index into the product table.
        place: Shape (n,).
        recipe: Shape (n,); recipe codes.
        chart_of: Shape (sensors,); chart of a sensor, -1 for none.
        sized_first: Shape (sensors,); first chart whose size a sensor brings, -1 for none.
        sized_next: Shape (charts,); next chart with the same size sensor, -1 for none.
        settings: Shape (charts,) of SETTINGS.
        starts: Shape (charts + 1,); see ``ByRecipe``.
        codes: Shape (entries,).
        numbers: Shape (entries, 1); centre lines.
        rules: Shape (sets, RULES) of RULE.
        n_rules: Shape (sets,).
        levels: Shape (sets, LEVELS).
        n_levels: Shape (sets,).
        state: Shape (charts,) of STATE; changed.
        beyond: Shape (charts, 2, LEVELS); changed.
        ring_time: Shape (charts, points); changed.
        ring: Shape (charts, points, 3); value, lower and upper limit; changed.
        ring_rules: Shape (charts, points); changed.
        out: Shape (m,) of CHANGE, m >= ROOM; written from 0 on.

    Returns:
        Row to go on with (n when finished) and number of changes written.
    """
    written = 0
    for i in range(start, len(sensor)):
        t = time_ns[i]
        x = value[i]
        usable = quality[i] == GOOD and not marks[i] & _INVALID and isfinite(x)

        # A row that is entered again because ``out`` was full does all this once more, with the
        # same result: counts that were judged are no longer held.
        c = sized_first[sensor[i]]
        while c >= 0:
            now = state[c]
            if not marks[i] & _LATE and (now["sized"] == 0 or t >= now["size_time"]):
                if written + ROOM > len(out):
                    return i, written
                now["sized"] = 1
                now["size_time"] = t
                now["size_now"] = x if usable and x > 0.0 else 0.0
                if now["held"] and t >= now["count_time"]:
                    size = now["size_now"] if t == now["count_time"] else 0.0
                    written = _judge(
                        c,
                        i,
                        size,
                        settings,
                        starts,
                        codes,
                        numbers,
                        rules,
                        n_rules,
                        levels,
                        n_levels,
                        state,
                        beyond,
                        ring_time,
                        ring,
                        ring_rules,
                        out,
                        written,
                    )
            c = sized_next[c]

        c = chart_of[sensor[i]]
        if c < 0:
            continue
        if written + ROOM > len(out):
            return i, written
        now = state[c]
        newest = now["count_time"] if now["held"] else now["time"]
        if marks[i] & _LATE or ((now["n"] > 0 or now["held"]) and t < newest):
            now["late"] += 1
            continue
        if not usable:
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        if now["held"]:
            now["skipped"] += 1
            now["skipped_in_row"] += 1
        now["count"] = x
        now["count_time"] = t
        now["gap"] = marks[i] & _GAP
        now["count_recipe"] = recipe[i]
        now["product"] = product[i]
        now["place"] = place[i]
        size = settings[c]["n"]
        if size == 0.0:
            if now["sized"] == 0 or now["size_time"] != t:
                now["held"] = 1
                continue
            size = now["size_now"]
        written = _judge(
            c,
            i,
            size,
            settings,
            starts,
            codes,
            numbers,
            rules,
            n_rules,
            levels,
            n_levels,
            state,
            beyond,
            ring_time,
            ring,
            ring_rules,
            out,
            written,
        )
    return len(sensor), written
