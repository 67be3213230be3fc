"""The compiled walk over a batch: run rules, EWMA and CUSUM of every charted sensor.

Histories are bit patterns: bit 0 is the newest plotted point, bit 1 the one before, and so on, up
to ``LONGEST`` points. A rule is then a comparison of a few words, whatever its length.

``active`` holds one bit per rule in three planes: bits 0-15 high side, 16-31 low side, 32-47 both.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.model.batch import GOOD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CHANGE", "LEVELS", "LONGEST", "RULE", "RULES", "SETTINGS", "STATE", "chart_rows"]

RULES = 12
"""Run rules in a set."""
LEVELS = 6
"""Different distances from the centre line in a set."""
LONGEST = 60
"""Longest pattern, points."""

EWMA_BIT, CUSUM_BIT = 12, 13
LOW, BOTH = 16, 32
"""Shifts of the planes of ``active``; high needs none."""

BEYOND, EITHER, MIXED, WITHIN, TREND, ALTERNATE, PAIR = range(7)
"""Codes of rule kinds, those that count points first. MIXED is EITHER with both sides."""

CAUSE_POINT, CAUSE_GAP = 0, 1

RULE = np.dtype(
    [
        ("kind", np.int64),
        ("k", np.int64),
        ("level", np.int64),
        ("span", np.int64),  # points back from the newest to the oldest of the pattern
        ("window", np.int64),  # as many low bits as the pattern has points (or steps)
        ("odd", np.int64),  # every second bit of the window
    ],
    align=True,
)
SETTINGS = np.dtype(
    [
        ("centre", np.float64),
        ("sigma", np.float64),
        ("max_gap", np.int64),
        ("set", np.int64),
        ("weight", np.float64),  # lambda; 0 = no EWMA
        ("fade", np.float64),  # (1 - lambda)^2
        ("fade_start", np.float64),  # 1 = time-varying limits, 0 = fixed
        ("width", np.float64),  # L sigma sqrt(lambda / (2 - lambda))
        ("k", np.float64),
        ("h", np.float64),  # 0 = no CUSUM
        ("head", np.float64),  # start value of both sums
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("n", np.int64),  # points plotted so far
        ("since", np.int64),  # of these, since memory was last cleared
        ("late", np.int64),
        ("skipped", np.int64),  # nobody can judge them: bad, invalid or not a number
        ("skipped_in_row", np.int64),
        ("restarted", np.int64),  # 1 = an operator reset it: CUSUM starts with a head start
        ("time", np.int64),
        ("value", np.float64),
        ("active", np.int64),
        ("up", np.int64),
        ("down", np.int64),
        ("ewma", np.float64),
        ("fade", np.float64),
        ("ewma_side", np.int64),
        ("ewma_n", np.int64),  # first point since the EWMA is on this side, and its time
        ("ewma_time", np.int64),
        ("high", np.float64),
        ("high_n", np.int64),  # first point since the sum was 0, and its time
        ("high_time", np.int64),
        ("low", np.float64),
        ("low_n", np.int64),
        ("low_time", np.int64),
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
        ("ewma", np.float64),
        ("ewma_limit", np.float64),
        ("ewma_n", np.int64),
        ("ewma_time", np.int64),
        ("high", np.float64),
        ("high_n", np.int64),
        ("high_time", np.int64),
        ("low", np.float64),
        ("low_n", np.int64),
        ("low_time", np.int64),
    ],
    align=True,
)

_KEEP = (1 << LONGEST) - 1
_LATE = int(Mark.LATE)
_INVALID = int(Mark.INVALID)
_GAP = int(Mark.AFTER_GAP)


@njit(cache=True, error_model="numpy")
def _count(bits: int) -> int:
    n = 0
    while bits:
        bits &= bits - 1
        n += 1
    return n


@njit(cache=True, error_model="numpy")
def _rule_bits(
    chart: int,
    rules: NDArray[np.void],
    n_rules: int,
    chosen: int,
    beyond: NDArray[np.int64],
    up: int,
    down: int,
    since: int,
) -> int:
    """Which rules of set ``chosen`` are true with the newest point in the histories."""
    active = 0
    for r in range(n_rules):
        kind = rules[chosen, r]["kind"]
        level = rules[chosen, r]["level"]
        window = rules[chosen, r]["window"]
        high = beyond[chart, 0, level] & window
        low = beyond[chart, 1, level] & window
        if kind == BEYOND:
            k = rules[chosen, r]["k"]
            if high & 1:
                if high == window or _count(high) >= k:
                    active |= 1 << r
            elif low & 1 and (low == window or _count(low) >= k):
                active |= 1 << (r + LOW)
        elif EITHER <= kind <= MIXED:
            out = high | low
            if (
                out & 1
                and (out == window or _count(out) >= rules[chosen, r]["k"])
                and (kind == EITHER or (high != 0 and low != 0))
            ):
                active |= 1 << (r + BOTH)
        elif kind == WITHIN:
            if (high | low) == 0 and since > rules[chosen, r]["span"]:
                active |= 1 << (r + BOTH)
        elif kind == TREND:
            if up & window == window:
                active |= 1 << r
            elif down & window == window:
                active |= 1 << (r + LOW)
        elif kind == ALTERNATE:
            odd = rules[chosen, r]["odd"]
            rises = up & window
            falls = down & window
            if rises ^ falls == window and (rises if up & 1 else falls) == odd:
                active |= 1 << (r + BOTH)
        elif (high & 1 and low & 2) or (low & 1 and high & 2):
            active |= 1 << (r + BOTH)
    return active


@njit(cache=True, error_model="numpy")
def _span(
    chart: int,
    rules: NDArray[np.void],
    n_rules: int,
    chosen: int,
    beyond: NDArray[np.int64],
    opened: int,
) -> int:
    """Points back from the newest to the oldest point of the patterns that just became true."""
    longest = 0
    for r in range(n_rules):
        side = opened >> r
        if not side & (1 | 1 << LOW | 1 << BOTH):
            continue
        kind = rules[chosen, r]["kind"]
        level = rules[chosen, r]["level"]
        span = rules[chosen, r]["span"]
        if kind <= MIXED:
            bits = 0
            if kind != BEYOND or side & 1:
                bits |= beyond[chart, 0, level]
            if kind != BEYOND or side & (1 << LOW):
                bits |= beyond[chart, 1, level]
            while not bits >> span & 1:
                span -= 1
        longest = max(longest, span)
    return longest


@njit(cache=True, error_model="numpy")
def chart_rows(
    start: int,
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    chart_of: NDArray[np.int32],
    settings: NDArray[np.void],
    rules: NDArray[np.void],
    n_rules: NDArray[np.int64],
    levels: NDArray[np.float64],
    n_levels: NDArray[np.int64],
    state: NDArray[np.void],
    beyond: NDArray[np.int64],
    ring_time: NDArray[np.int64],
    ring_value: NDArray[np.float64],
    ring_rules: NDArray[np.uint16],
    out: NDArray[np.void],
) -> tuple[int, int]:
    """Walk the rows from ``start`` on and write what changed into ``out``.

    Args:
        start: First row to look at.
        sensor: Shape (n,); dense sensor index.
        time_ns: Shape (n,); event time.
        value: Shape (n,); unit of the sensor.
        quality: Shape (n,).
        marks: Shape (n,).
        chart_of: Shape (sensors,); chart of a sensor, -1 for none.
        settings: Shape (charts,) of SETTINGS.
        rules: Shape (sets, RULES) of RULE.
        n_rules: Shape (sets,).
        levels: Shape (sets, LEVELS); distances from the centre line in sigma.
        n_levels: Shape (sets,).
        state: Shape (charts,) of STATE; changed.
        beyond: Shape (charts, 2, LEVELS); histories above (0) and below (1) each level; changed.
        ring_time: Shape (charts, points); last plotted points; changed.
        ring_value: Same shape; changed.
        ring_rules: Same shape; rule bits without their side; changed.
        out: Shape (m,) of CHANGE, m >= 2; written from 0 on.

    Returns:
        Row to go on with (n when finished) and number of changes written.
    """
    points = ring_time.shape[1]
    written = 0
    for i in range(start, len(sensor)):
        c = chart_of[sensor[i]]
        if c < 0:
            continue
        if written + 2 > len(out):
            return i, written
        now = state[c]
        x = value[i]
        t = time_ns[i]
        if marks[i] & _LATE or (now["n"] > 0 and t < now["time"]):
            now["late"] += 1
            continue
        if quality[i] != GOOD or marks[i] & _INVALID or not isfinite(x):
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        spec = settings[c]
        before = now["time"]
        if now["since"] > 0 and (t - before > spec["max_gap"] or marks[i] & _GAP):
            if now["active"]:
                change = out[written]
                change["row"] = i
                change["chart"] = c
                change["cause"] = CAUSE_GAP
                change["old"] = now["active"]
                change["new"] = 0
                change["n"] = now["n"]
                change["time_before"] = before
                written += 1
            now["since"] = 0
        if now["since"] == 0:
            now["active"] = 0
            now["up"] = 0
            now["down"] = 0
            beyond[c, :, :] = 0
            now["ewma"] = spec["centre"]
            now["fade"] = spec["fade_start"]
            now["ewma_side"] = 0
            now["high"] = 0.5 * spec["h"] if now["restarted"] else spec["head"]
            now["low"] = now["high"]
            now["restarted"] = 0
            now["high_n"] = now["n"] + 1
            now["low_n"] = now["n"] + 1
            now["high_time"] = t
            now["low_time"] = t

        n = now["n"] + 1
        now["n"] = n
        now["since"] += 1
        now["skipped_in_row"] = 0
        centre = spec["centre"]
        sigma = spec["sigma"]
        chosen = spec["set"]
        for level in range(n_levels[chosen]):
            away = levels[chosen, level] * sigma
            above = 1 if x > centre + away else 0
            below = 1 if x < centre - away else 0
            beyond[c, 0, level] = (beyond[c, 0, level] << 1 | above) & _KEEP
            beyond[c, 1, level] = (beyond[c, 1, level] << 1 | below) & _KEEP
        up = 1 if now["since"] > 1 and x > now["value"] else 0
        down = 1 if now["since"] > 1 and x < now["value"] else 0
        now["up"] = (now["up"] << 1 | up) & _KEEP
        now["down"] = (now["down"] << 1 | down) & _KEEP
        active = _rule_bits(
            c, rules, n_rules[chosen], chosen, beyond, now["up"], now["down"], now["since"]
        )

        limit = 0.0
        weight = spec["weight"]
        if weight > 0.0:
            ewma = weight * x + (1.0 - weight) * now["ewma"]
            fade = now["fade"] * spec["fade"]
            now["ewma"] = ewma
            now["fade"] = fade
            limit = spec["width"] * sqrt(1.0 - fade)
            off = ewma - centre
            side = 1 if off > 0.0 else (-1 if off < 0.0 else 0)
            if side != now["ewma_side"]:
                now["ewma_side"] = side
                now["ewma_n"] = n
                now["ewma_time"] = t
            if off > limit:
                active |= 1 << EWMA_BIT
            elif -off > limit:
                active |= 1 << (EWMA_BIT + LOW)

        h = spec["h"]
        if h > 0.0:
            z = (x - centre) / sigma
            if now["high"] == 0.0:
                now["high_n"] = n
                now["high_time"] = t
            if now["low"] == 0.0:
                now["low_n"] = n
                now["low_time"] = t
            now["high"] = max(0.0, now["high"] + z - spec["k"])
            now["low"] = max(0.0, now["low"] - z - spec["k"])
            if now["high"] > h:
                active |= 1 << CUSUM_BIT
            if now["low"] > h:
                active |= 1 << (CUSUM_BIT + LOW)

        place = (n - 1) % points
        ring_time[c, place] = t
        ring_value[c, place] = x
        ring_rules[c, place] = (active | active >> LOW | active >> BOTH) & 0xFFFF
        now["time"] = t
        now["value"] = x
        old = now["active"]
        if active != old:
            opened = active & ~old
            span = _span(c, rules, n_rules[chosen], chosen, beyond, opened)
            change = out[written]
            change["row"] = i
            change["chart"] = c
            change["cause"] = CAUSE_POINT
            change["old"] = old
            change["new"] = active
            change["n"] = n
            change["time_before"] = before
            change["n_first"] = n - span
            change["time_first"] = ring_time[c, (n - 1 - span) % points]
            change["ewma"] = now["ewma"]
            change["ewma_limit"] = limit
            change["ewma_n"] = now["ewma_n"]
            change["ewma_time"] = now["ewma_time"]
            change["high"] = now["high"]
            change["high_n"] = now["high_n"]
            change["high_time"] = now["high_time"]
            change["low"] = now["low"]
            change["low_n"] = now["low_n"]
            change["low_time"] = now["low_time"]
            now["active"] = active
            written += 1
    return len(sensor), written
