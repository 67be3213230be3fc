"""The compiled walk of the charts of scatter; what they mean stands in ``spread``."""

from __future__ import annotations

from math import isnan, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.model.points import PointFlag

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CHANGE", "LATE", "SETTINGS", "STATE", "spread_rows"]

MOVING, WITHIN = range(2)
HIGH, LOW = 1, 2
CAUSE_POINT, CAUSE_GAP, CAUSE_RESET = range(3)
LATE = 128
"""Bit of the flags of a raw sample that is late; free in ``PointFlag``."""

SETTINGS = np.dtype(
    [
        ("recipe", np.int64),  # code of the recipe, -1 = all others
        ("sigma", np.float64),  # of a plotted point (MOVING) or a single value (WITHIN); NaN: none
        ("kind", np.int64),
        ("gap", np.int64),  # ns, of samples that are plotted one by one
        ("table", np.int64),  # row of the factors
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("n", np.int64),
        ("late", np.int64),
        ("skipped", np.int64),
        ("skipped_in_row", np.int64),
        ("known", np.int64),  # 1 = there is a point before
        ("time", np.int64),
        ("value", np.float64),
        ("scale", np.float64),
        ("recipe", np.int64),
        ("variant", np.int64),
        ("active", np.int64),
        ("statistic", np.float64),
        ("plotted", np.int64),  # time of the last plotted value
    ],
    align=True,
)
CHANGE = np.dtype(
    [
        ("point", np.int64),
        ("chart", np.int64),
        ("cause", np.int64),
        ("old", np.int64),
        ("new", np.int64),
        ("n", np.int64),
        ("before", np.int64),
        ("first", np.int64),
        ("statistic", np.float64),
        ("centre", np.float64),
        ("lcl", np.float64),
        ("ucl", np.float64),
        ("sigma", np.float64),
        ("variant", np.int64),
    ],
    align=True,
)
_GAP, _RESET = int(PointFlag.GAP), int(PointFlag.RESET)


@njit(cache=True, error_model="numpy")
def spread_rows(
    start: int,
    sensor: NDArray[np.int32],
    first_ns: NDArray[np.int64],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    within: NDArray[np.float64],
    size: NDArray[np.float64],
    scale: NDArray[np.float64],
    flags: NDArray[np.uint8],
    recipe: NDArray[np.int32],
    row_of: NDArray[np.int32],
    variants: NDArray[np.int64],
    settings: NDArray[np.void],
    factors: NDArray[np.float64],
    state: NDArray[np.void],
    ring_time: NDArray[np.int64],
    ring: NDArray[np.float64],
    out: NDArray[np.void],
) -> tuple[int, int]:
    """Walk the points from ``start`` on and write what changed into ``out``.

    Args:
        start: First point to look at.
        sensor: Shape (n,); dense sensor index.
        first_ns: Shape (n,); event time of the first sample of a point.
        time_ns: Shape (n,); of the last one.
        value: Shape (n,); location, NaN where nothing can be judged.
        within: Shape (n,); scatter within the subgroup.
        size: Shape (n,); samples in the subgroup.
        scale: Shape (n,); factor on the sigma of the location.
        flags: Shape (n,).
        recipe: Shape (n,).
        row_of: Shape (sensors,); chart of a sensor, -1 for none.
        variants: Shape (charts + 1,); settings of chart c from c to c + 1, the last for all recipes.
        settings: Shape (variants,) of SETTINGS.
        factors: Shape (tables, sizes, 3); centre, lower and upper limit in sigma by subgroup size.
        state: Shape (charts,) of STATE; changed.
        ring_time: Shape (charts, points); changed.
        ring: Shape (charts, points, 4); statistic, centre, lower and upper limit; changed.
        out: Shape (m,) of CHANGE, m >= 2; written from 0 on.

    Returns:
        Point to go on with (n when finished) and number of changes written.
    """
    written = 0
    for i in range(start, len(sensor)):
        c = row_of[sensor[i]]
        if c < 0:
            continue
        if written + 2 > len(out):
            return i, written
        now = state[c]
        t = time_ns[i]
        if flags[i] & LATE or (now["known"] and t < now["time"]):
            now["late"] += 1
            continue
        x = value[i]
        if isnan(x):
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        spec = settings[now["variant"]]
        changed = now["n"] == 0 and now["known"] == 0
        cause = CAUSE_POINT
        if flags[i] & _RESET or recipe[i] != now["recipe"] or changed:
            cause = CAUSE_RESET
            chosen = variants[c + 1] - 1
            for v in range(variants[c], variants[c + 1] - 1):
                if settings[v]["recipe"] == recipe[i]:
                    chosen = v
                    break
            now["variant"] = chosen
            now["recipe"] = recipe[i]
            spec = settings[chosen]
        elif flags[i] & _GAP or (now["known"] and t - now["time"] > spec["gap"]):
            cause = CAUSE_GAP
        if cause != CAUSE_POINT:
            now["known"] = 0
            if now["active"]:
                change = out[written]
                change["point"] = i
                change["chart"] = c
                change["cause"] = cause
                change["old"] = now["active"]
                change["new"] = 0
                change["n"] = now["n"]
                change["before"] = now["plotted"]
                now["active"] = 0
                written += 1

        sigma = spec["sigma"]
        n = 2
        statistic = np.nan
        first = first_ns[i]
        if spec["kind"] == MOVING:
            if now["known"]:
                statistic = abs(x - now["value"])
                sigma *= sqrt((scale[i] * scale[i] + now["scale"] * now["scale"]) / 2.0)
                first = now["time"]
        else:
            statistic = within[i]
            n = int(size[i] + 0.5)
        now["value"] = x
        now["scale"] = scale[i]
        now["time"] = t
        now["known"] = 1
        if isnan(statistic) or isnan(sigma) or n < 2 or n >= factors.shape[1]:
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        now["skipped_in_row"] = 0
        now["n"] += 1
        centre = sigma * factors[spec["table"], n, 0]
        lcl = sigma * factors[spec["table"], n, 1]
        ucl = sigma * factors[spec["table"], n, 2]
        place = (now["n"] - 1) % ring.shape[1]
        ring_time[c, place] = t
        ring[c, place, 0] = statistic
        ring[c, place, 1] = centre
        ring[c, place, 2] = lcl
        ring[c, place, 3] = ucl
        old = now["active"]
        active = HIGH if statistic > ucl else (LOW if statistic < lcl else 0)
        now["active"] = active
        now["statistic"] = statistic
        if active != old:
            change = out[written]
            change["point"] = i
            change["chart"] = c
            change["cause"] = CAUSE_POINT
            change["old"] = old
            change["new"] = active
            change["n"] = now["n"]
            change["before"] = now["plotted"]
            change["first"] = first
            change["statistic"] = statistic
            change["centre"] = centre
            change["lcl"] = lcl
            change["ucl"] = ucl
            change["sigma"] = sigma
            change["variant"] = now["variant"]
            written += 1
        now["plotted"] = t
    return len(sensor), written
