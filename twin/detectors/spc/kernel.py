"""The compiled walk over a batch: run rules, EWMA and CUSUM of every charted sensor.

Histories are bit patterns: bit 0 is the newest plotted point, bit 1 the one before, and so on, up
to ``LONGEST`` points. A rule is then a comparison of a few words, whatever its length.

``active`` holds one bit per rule in three planes: bits 0-15 high side, 16-31 low side, 32-47 both.

What the walk reports are rows of plain numbers, one per finding that opens and one per point at
which something closes: making Python objects of them is dearer than the whole arithmetic.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.detectors.spc.fir import fir_factor
from twin.model.batch import GOOD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "FACTS",
    "LEVELS",
    "LONGEST",
    "MEASURES",
    "PLACE",
    "RULE",
    "RULES",
    "SETTINGS",
    "STATE",
    "chart_rows",
]

RULES = 12
"""Run rules in a set."""
LEVELS = 6
"""Different distances from the centre line in a set."""
LONGEST = 60
"""Longest pattern, points."""
UNSEEN = -2
"""Recipe of a chart that has not plotted anything; no code of a recipe is that."""

EWMA_BIT, CUSUM_BIT = 12, 13
LOW, BOTH = 16, 32
"""Shifts of the planes of ``active``; high needs none."""

BEYOND, EITHER, MIXED, WITHIN, TREND, ALTERNATE, PAIR = range(7)
"""Codes of rule kinds, those that count points first. MIXED is EITHER with both sides."""

INSIDE, GAP, RECIPE, RUNS, EWMA, CUSUM = range(6)
"""What a report says: the three ways to close, then what opens."""

FACTS = ("row", "chart", "what", "mask", "n", "time", "time_first", "n_first", "variant", "number")
"""Columns of the whole numbers of a report.

``mask`` are the bits that close or open, ``n`` and ``time`` the last point of the pattern (for
what closes: the last for which it held), ``n_first`` and ``time_first`` its first point (for what
closes, ``time_first`` is when); ``number`` counts what opens on a chart, from 1.
"""
MEASURES = ("value", "statistic", "limit", "scale")
"""Columns of the other numbers of a report; but for the first, only of what opens."""
MOST = 5
"""Reports of one sample at most: a gap or recipe closes, the point closes and opens three."""

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
TREND_WINDOW, TURN_WINDOW, TURN_ODD, STEP_RULES, BY_ZONE = range(5)
"""Columns of the plan of a rule set: windows of its shortest trend and alternation, the rules of
these kinds, and from BY_ZONE on, the other rules that can be true when the newest point is beyond
0, 1, ... of the set's distances. Most points are near the centre line, where few rules can be."""

PLACE = np.dtype(
    [
        ("first", np.int64),  # settings of the chart's first recipe
        ("count", np.int64),  # and how many recipes it knows
        ("rest", np.int64),  # of these, the one for all other recipes; -1 for none
        ("unsaid", np.int64),  # and the one for when nobody says which recipe runs
        ("max_gap", np.int64),
    ],
    align=True,
)
SETTINGS = np.dtype(
    [
        ("recipe", np.int64),
        ("centre", np.float64),
        ("sigma", np.float64),
        ("slack", np.float64),  # nearer to a limit or the centre line than this is on it
        ("set", np.int64),
        ("weight", np.float64),  # lambda; 0 = no EWMA
        ("fade", np.float64),  # (1 - lambda)^2
        ("fade_start", np.float64),  # 1 = time-varying limits, 0 = fixed
        ("fir", np.int64),  # 1 = fast initial response: half the width at the first point
        ("width", np.float64),  # L sigma sqrt(lambda / (2 - lambda))
        ("k", np.float64),
        ("h", np.float64),  # 0 = no CUSUM
        ("sum_slack", np.float64),  # the slack in sigma, for sums
        ("head", np.float64),  # start value of both sums
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("n", np.int64),  # points plotted so far
        ("since", np.int64),  # of these, since memory was last cleared
        ("slot", np.int64),  # where the next point goes
        ("late", np.int64),
        ("skipped", np.int64),  # nobody can judge them: bad, invalid, or no limits for the recipe
        ("skipped_in_row", np.int64),
        ("restarted", np.int64),  # 1 = an operator reset it: CUSUM starts with a head start
        ("recipe", np.int64),
        ("variant", np.int64),  # settings in force, counted from the chart's first; -1 for none
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

_KEEP = (1 << LONGEST) - 1
_LATE = int(Mark.LATE)
_INVALID = int(Mark.INVALID)
_GAP = int(Mark.AFTER_GAP)
_EWMA_BITS = 1 << EWMA_BIT | 1 << (EWMA_BIT + LOW)
_CUSUM_BITS = 1 << CUSUM_BIT | 1 << (CUSUM_BIT + LOW)
_RUN_BITS = ~(_EWMA_BITS | _CUSUM_BITS)
_FADED = 1e-20
"""Less than this does not change 1 - fade any more."""
FIR_POINTS = 180
"""By then a fast initial response does not change the limits any more."""
fast_response = njit(cache=True, error_model="numpy")(fir_factor)


@njit(cache=True, error_model="numpy")
def _count(bits: int) -> int:
    n = 0
    while bits:
        bits &= bits - 1
        n += 1
    return n


@njit(cache=True, error_model="numpy")
def _one_rule(
    chart: int,
    rules: NDArray[np.void],
    chosen: int,
    r: int,
    beyond: NDArray[np.int64],
    up: int,
    down: int,
    since: int,
) -> int:
    """The bits of rule ``r`` of set ``chosen``, if it is true with the newest point."""
    rule = rules[chosen, r]
    kind = rule["kind"]
    window = rule["window"]
    if kind == TREND:
        if up & window == window:
            return 1 << r
        return 1 << (r + LOW) if down & window == window else 0
    if kind == ALTERNATE:
        rises = up & window
        falls = down & window
        true = rises ^ falls == window and (rises if up & 1 else falls) == rule["odd"]
        return 1 << (r + BOTH) if true else 0
    level = rule["level"]
    high = beyond[chart, 0, level] & window
    low = beyond[chart, 1, level] & window
    if kind == BEYOND:
        # Only one of the two sides can hold the newest point.
        if high & 1:
            return 1 << r if _count(high) >= rule["k"] else 0
        return 1 << (r + LOW) if low & 1 and _count(low) >= rule["k"] else 0
    if kind == WITHIN:
        return 1 << (r + BOTH) if (high | low) == 0 and since > rule["span"] else 0
    if kind == PAIR:
        true = (high & 1 and low & 2) or (low & 1 and high & 2)
        return 1 << (r + BOTH) if true else 0
    out = high | low
    true = out & 1 and _count(out) >= rule["k"] and (kind == EITHER or (high != 0 and low != 0))
    return 1 << (r + BOTH) if true else 0


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
        active |= _one_rule(chart, rules, chosen, r, beyond, up, down, since)
    return active


@njit(cache=True, error_model="numpy")
def _steps_begin(plan: NDArray[np.int64], up: int, down: int) -> bool:
    """Whether the shortest trend or alternation of a set is there; without, no longer one is."""
    trend = plan[TREND_WINDOW]
    if up & trend == trend or down & trend == trend:
        return True
    window = plan[TURN_WINDOW]
    newest = up if up & 1 else down
    return bool((up ^ down) & window == window and newest & window == plan[TURN_ODD])


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
def _variant(place: NDArray[np.void], settings: NDArray[np.void], recipe: int) -> int:
    """Which of a chart's settings are for a recipe, -1 for none."""
    first = place["first"]
    for v in range(place["count"]):
        if settings[first + v]["recipe"] == recipe:
            return int(v)
    return int(place["unsaid"] if recipe < 0 else place["rest"])


@njit(cache=True, error_model="numpy")
def _ended(
    fact: NDArray[np.int64], i: int, c: int, what: int, mask: int, n: int, time: int, now: int
) -> None:
    """Report that rules are no longer true."""
    fact[0] = i
    fact[1] = c
    fact[2] = what
    fact[3] = mask
    fact[4] = n
    fact[5] = time
    fact[6] = now


@njit(cache=True, error_model="numpy")
def chart_rows(
    start: int,
    sensor: NDArray[np.int32],
    first_ns: NDArray[np.int64],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    recipe: NDArray[np.int32],
    scale: NDArray[np.float64],
    scaled: bool,
    chart_of: NDArray[np.int32],
    place_of: NDArray[np.int32],
    places: NDArray[np.void],
    settings: NDArray[np.void],
    rules: NDArray[np.void],
    n_rules: NDArray[np.int64],
    levels: NDArray[np.float64],
    n_levels: NDArray[np.int64],
    plans: NDArray[np.int64],
    state: NDArray[np.void],
    beyond: NDArray[np.int64],
    ring_time: NDArray[np.int64],
    ring_value: NDArray[np.float64],
    ring_rules: NDArray[np.uint16],
    numbers: NDArray[np.int64],
    facts: NDArray[np.int64],
    measures: NDArray[np.float64],
) -> tuple[int, int]:
    """Walk samples or points from ``start`` on and write what changed.

    Args:
        start: First row to look at.
        sensor: Shape (n,); dense sensor index.
        first_ns: Shape (n,); event time of the first sample in a point; of a sample, its time.
        time_ns: Shape (n,); event time of the last one.
        value: Shape (n,); unit of the sensor or of the plotted point.
        quality: Shape (n,).
        marks: Shape (n,).
        recipe: Shape (n,); codes.
        scale: Shape (n,), > 0; factor on sigma. Not looked at unless ``scaled``.
        scaled: Whether it counts.
        chart_of: Shape (sensors,); chart of a sensor, -1 for none.
        place_of: Shape (charts,); charts with the same settings share them.
        places: Shape (different charts,) of PLACE.
        settings: Shape (different charts and their recipes,) of SETTINGS.
        rules: Shape (sets, RULES) of RULE.
        n_rules: Shape (sets,).
        levels: Shape (sets, LEVELS); distances from the centre line in sigma.
        n_levels: Shape (sets,).
        plans: Shape (sets, BY_ZONE + LEVELS + 1); which rules to look at.
        state: Shape (charts,) of STATE; changed.
        beyond: Shape (charts, 2, levels in use); histories above (0) and below (1) each level;
            changed.
        ring_time: Shape (charts, points); last plotted points; changed.
        ring_value: Same shape; changed.
        ring_rules: Same shape; rule bits without their side; changed.
        numbers: Shape (charts,); findings so far; changed.
        facts: Shape (m, FACTS), m >= MOST; written from 0 on.
        measures: Shape (m, MEASURES); likewise.

    Returns:
        Row to go on with (n when finished) and number of reports written.
    """
    points = ring_time.shape[1]
    room = len(facts) - MOST
    written = 0
    for i in range(start, len(sensor)):
        c = chart_of[sensor[i]]
        if c < 0:
            continue
        if written > room:
            return i, written
        now = state[c]
        x = value[i]
        t = time_ns[i]
        if marks[i] & _LATE or t < now["time"]:
            now["late"] += 1
            continue
        if quality[i] != GOOD or marks[i] & _INVALID or not isfinite(x):
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        before = now["time"]
        place = places[place_of[c]]
        cause = INSIDE
        if now["since"] > 0 and (t - before > place["max_gap"] or marks[i] & _GAP):
            cause = GAP
        if recipe[i] != now["recipe"]:
            cause = RECIPE
            now["recipe"] = recipe[i]
            now["variant"] = _variant(place, settings, recipe[i])
        if cause != INSIDE:
            if now["active"]:
                _ended(facts[written], i, c, cause, now["active"], now["n"], before, t)
                measures[written, 0] = x
                written += 1
            now["since"] = 0
            now["active"] = 0
        if now["variant"] < 0:
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            now["time"] = t
            continue
        v = place["first"] + now["variant"]
        spec = settings[v]
        centre = spec["centre"]
        if now["since"] == 0:
            now["active"] = 0
            now["up"] = 0
            now["down"] = 0
            beyond[c, :, :] = 0
            now["ewma"] = centre
            now["fade"] = spec["fade_start"]
            now["ewma_side"] = 0
            now["high"] = 0.5 * spec["h"] if now["restarted"] else spec["head"]
            now["low"] = now["high"]
            now["restarted"] = 0
            now["high_n"] = now["n"] + 1
            now["low_n"] = now["n"] + 1
            now["high_time"] = first_ns[i]
            now["low_time"] = first_ns[i]

        n = now["n"] + 1
        now["n"] = n
        now["since"] += 1
        now["skipped_in_row"] = 0
        sigma = spec["sigma"]
        factor = 1.0
        slack = spec["slack"]
        standard = x
        if scaled and scale[i] != 1.0:
            factor = scale[i]
            sigma *= factor
            standard = centre + (x - centre) / factor
        chosen = spec["set"]
        zone = 0
        distance = x - centre
        for level in range(n_levels[chosen]):
            away = levels[chosen, level] * sigma + slack
            above = 1 if distance > away else 0
            below = 1 if -distance > away else 0
            zone += above + below
            beyond[c, 0, level] = (beyond[c, 0, level] << 1 | above) & _KEEP
            beyond[c, 1, level] = (beyond[c, 1, level] << 1 | below) & _KEEP
        past = now["since"] > 1
        rise = 1 if past and x > now["value"] else 0
        fall = 1 if past and x < now["value"] else 0
        up = (now["up"] << 1 | rise) & _KEEP
        down = (now["down"] << 1 | fall) & _KEEP
        now["up"] = up
        now["down"] = down
        active = 0
        possible = plans[chosen, BY_ZONE + zone]
        if _steps_begin(plans[chosen], up, down):
            possible |= plans[chosen, STEP_RULES]
        while possible:
            r = _count((possible & -possible) - 1)
            possible &= possible - 1
            active |= _one_rule(c, rules, chosen, r, beyond, up, down, now["since"])

        limit = 0.0
        weight = spec["weight"]
        if weight > 0.0:
            ewma = weight * standard + (1.0 - weight) * now["ewma"]
            now["ewma"] = ewma
            limit = spec["width"]
            if now["fade"] > 0.0:
                fade = now["fade"] * spec["fade"]
                now["fade"] = fade if fade > _FADED else 0.0
                limit *= sqrt(1.0 - fade)
            if spec["fir"] and now["since"] < FIR_POINTS:
                limit *= fast_response(now["since"])
            off = ewma - centre
            side = 1 if off > slack else (-1 if -off > slack else 0)
            if side != now["ewma_side"]:
                now["ewma_side"] = side
                now["ewma_n"] = n
                now["ewma_time"] = first_ns[i]
            if off > limit + slack:
                active |= 1 << EWMA_BIT
            elif -off > limit + slack:
                active |= 1 << (EWMA_BIT + LOW)

        h = spec["h"]
        if h > 0.0:
            z = distance / sigma
            nothing = spec["sum_slack"]
            if now["high"] <= nothing:
                now["high_n"] = n
                now["high_time"] = first_ns[i]
            if now["low"] <= nothing:
                now["low_n"] = n
                now["low_time"] = first_ns[i]
            now["high"] = max(0.0, now["high"] + z - spec["k"])
            now["low"] = max(0.0, now["low"] - z - spec["k"])
            if now["high"] > h + nothing:
                active |= 1 << CUSUM_BIT
            if now["low"] > h + nothing:
                active |= 1 << (CUSUM_BIT + LOW)

        slot = now["slot"]
        ring_time[c, slot] = first_ns[i]
        ring_value[c, slot] = x
        ring_rules[c, slot] = (active | active >> LOW | active >> BOTH) & 0xFFFF
        now["slot"] = slot + 1 if slot + 1 < points else 0
        now["time"] = t
        now["value"] = x
        old = now["active"]
        if active != old:
            now["active"] = active
            if old & ~active:
                _ended(facts[written], i, c, INSIDE, old & ~active, n - 1, before, t)
                measures[written, 0] = x
                written += 1
            opened = active & ~old
            for what in range(RUNS, CUSUM + 1):
                mask = opened & (
                    _RUN_BITS if what == RUNS else (_EWMA_BITS if what == EWMA else _CUSUM_BITS)
                )
                if mask == 0:
                    continue
                fact = facts[written]
                fact[0] = i
                fact[1] = c
                fact[2] = what
                fact[3] = mask
                fact[4] = n
                fact[5] = t
                fact[8] = v
                numbers[c] += 1
                fact[9] = numbers[c]
                if what == RUNS:
                    span = _span(c, rules, n_rules[chosen], chosen, beyond, opened)
                    fact[6] = ring_time[c, slot - span if slot >= span else slot - span + points]
                    fact[7] = n - span
                    measures[written, 1] = distance / sigma
                    measures[written, 2] = 0.0
                elif what == EWMA:
                    fact[6] = now["ewma_time"]
                    fact[7] = now["ewma_n"]
                    measures[written, 1] = now["ewma"]
                    measures[written, 2] = limit
                else:
                    rising = opened >> CUSUM_BIT & 1
                    fact[6] = now["high_time"] if rising else now["low_time"]
                    fact[7] = now["high_n"] if rising else now["low_n"]
                    measures[written, 1] = now["high"] if rising else now["low"]
                    measures[written, 2] = h
                measures[written, 0] = x
                measures[written, 3] = factor
                written += 1
    return len(sensor), written
