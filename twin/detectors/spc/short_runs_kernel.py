"""The compiled walk of the charts for short runs.

A Q chart learns mean and scatter while it judges, so its points cannot be made beforehand: a piece
is learned only if nothing speaks after it.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.detectors.spc.by_recipe import find_recipe
from twin.detectors.spc.kernel import (
    BOTH,
    CUSUM,
    CUSUM_BIT,
    EWMA,
    EWMA_BIT,
    FIR_POINTS,
    GAP,
    INSIDE,
    LOW,
    RECIPE,
    RUNS,
    fast_response,
)
from twin.detectors.spc.kernel import _rule_bits as rule_bits
from twin.detectors.spc.kernel import _span as rule_span
from twin.detectors.spc.normal_score import normal_score
from twin.model.batch import GOOD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FACTS", "MEASURES", "MEMORY", "RECIPES", "SETTINGS", "STATE", "short_run_rows"]

Q, DNOM, Z = range(3)
RECIPES = 8
"""Recipes whose mean and scatter a Q chart remembers; the one not seen for longest goes first."""
UNSEEN = -2
"""Recipe of a chart, or of a place in its memory, that has not seen anything."""

FACTS = (
    *("row", "chart", "what", "mask", "n", "time", "n_first", "time_first", "variant", "number"),
    "recipe",
)
"""Columns of the whole numbers of a report; all but the recipe as in the charts of location."""
MEASURES = ("value", "statistic", "limit", "scale", "plotted", "learned", "centre", "sigma")
"""Columns of the other numbers. ``learned`` pieces gave mean and s, which of the other charts are
nominal value and sigma."""
MOST = 5
"""Reports of one sample at most: a gap or recipe closes, the point closes and opens three."""

SETTINGS = np.dtype(
    [
        ("kind", np.int64),
        ("centre", np.float64),
        ("sigma", np.float64),
        ("max_gap", np.int64),
        ("set", np.int64),
        ("weight", np.float64),  # lambda; 0 = no EWMA
        ("fade", np.float64),  # (1 - lambda)^2
        ("fade_start", np.float64),  # 1 = time-varying limits, 0 = fixed
        ("fir", np.int64),  # 1 = fast initial response
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
        ("skipped", np.int64),  # nobody can judge them: bad, invalid, or no nominal value
        ("skipped_in_row", np.int64),
        ("waiting", np.int64),  # pieces in a row that were learned, not judged
        ("restarted", np.int64),  # 1 = an operator reset it: CUSUM starts with a head start
        ("recipe", np.int64),
        ("place", np.int64),  # in the memory; of other charts the entry of the recipe, -1 = none
        ("covered", np.int64),  # 1 = a baseline is approved for the recipe: nothing to do here
        ("switches", np.int64),
        ("time", np.int64),
        ("value", np.float64),
        ("raw", np.float64),
        ("active", np.int64),
        ("up", np.int64),
        ("down", np.int64),
        ("ewma", np.float64),
        ("fade", np.float64),
        ("ewma_side", np.int64),
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
MEMORY = np.dtype(
    [
        ("recipe", np.int64),
        ("n", np.int64),  # pieces learned
        ("mean", np.float64),
        ("squares", np.float64),  # sum of squared deviations (Welford 1962)
        ("seen", np.int64),  # number of the recipe change that brought it last
    ],
    align=True,
)

_KEEP = (1 << 60) - 1
_LATE = int(Mark.LATE)
_INVALID = int(Mark.INVALID)
_AFTER_GAP = int(Mark.AFTER_GAP)
_EWMA_BITS = 1 << EWMA_BIT | 1 << (EWMA_BIT + LOW)
_CUSUM_BITS = 1 << CUSUM_BIT | 1 << (CUSUM_BIT + LOW)
_RUN_BITS = ~(_EWMA_BITS | _CUSUM_BITS)
_ROUNDING = 1e-12
"""Scatter smaller than this share of the mean is rounding: the start is constant."""
_ON_LIMIT = 1e-9
"""Nearer to a limit than this many sigma is on it: 10.3 - 10 is 0.3 to the reader, not more."""


@njit(cache=True, error_model="numpy")
def _remember(memory: NDArray[np.void], c: int, recipe: int, switch: int) -> int:
    """Place of a recipe in the memory of a chart; a new one takes that of the longest unseen."""
    oldest = 0
    for place in range(RECIPES):
        if memory[c, place]["recipe"] == recipe:
            memory[c, place]["seen"] = switch
            return place
        if memory[c, place]["seen"] < memory[c, oldest]["seen"]:
            oldest = place
    found = memory[c, oldest]
    found["recipe"] = recipe
    found["n"] = 0
    found["mean"] = 0.0
    found["squares"] = 0.0
    found["seen"] = switch
    return oldest


@njit(cache=True, error_model="numpy")
def _learn(found: NDArray[np.void], x: float) -> None:
    found["n"] += 1
    step = x - found["mean"]
    found["mean"] += step / found["n"]
    found["squares"] += step * (x - found["mean"])


@njit(cache=True, error_model="numpy")
def _report(
    facts: NDArray[np.int64],
    measures: NDArray[np.float64],
    at: int,
    i: int,
    c: int,
    what: int,
    mask: int,
    n: int,
    time: int,
    n_first: int,
    time_first: int,
    number: int,
    recipe: int,
    value: float,
    statistic: float,
    limit: float,
) -> int:
    fact, measure = facts[at], measures[at]
    fact[0] = i
    fact[1] = c
    fact[2] = what
    fact[3] = mask
    fact[4] = n
    fact[5] = time
    fact[6] = n_first
    fact[7] = time_first
    fact[8] = 0
    fact[9] = number
    fact[10] = recipe
    measure[0] = value
    measure[1] = statistic
    measure[2] = limit
    measure[3] = 1.0
    return at + 1


@njit(cache=True, error_model="numpy")
def short_run_rows(
    start: int,
    sensor: NDArray[np.int32],
    first_ns: NDArray[np.int64],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    recipe: NDArray[np.int32],
    chart_of: NDArray[np.int32],
    settings: NDArray[np.void],
    starts: NDArray[np.int64],
    codes: NDArray[np.int64],
    numbers: NDArray[np.float64],
    rules: NDArray[np.void],
    n_rules: NDArray[np.int64],
    levels: NDArray[np.float64],
    n_levels: NDArray[np.int64],
    state: NDArray[np.void],
    memory: NDArray[np.void],
    beyond: NDArray[np.int64],
    ring_time: NDArray[np.int64],
    ring_value: NDArray[np.float64],
    ring_rules: NDArray[np.uint16],
    occurrences: NDArray[np.int64],
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
        chart_of: Shape (sensors,); chart of a sensor, -1 for none.
        settings: Shape (charts,) of SETTINGS.
        starts: Shape (charts + 1,); see ``ByRecipe``.
        codes: Shape (entries,); of a Q chart the recipes that have a baseline.
        numbers: Shape (entries, 2); nominal value and sigma.
        rules: Shape (sets, RULES) of RULE.
        n_rules: Shape (sets,).
        levels: Shape (sets, LEVELS).
        n_levels: Shape (sets,).
        state: Shape (charts,) of STATE; changed.
        memory: Shape (charts, RECIPES) of MEMORY; changed.
        beyond: Shape (charts, 2, LEVELS); changed.
        ring_time: Shape (charts, points); last plotted points; changed.
        ring_value: Same shape; changed.
        ring_rules: Same shape; rule bits without their side; changed.
        occurrences: Shape (charts,); findings so far; changed.
        facts: Shape (m, FACTS), m >= MOST; written from 0 on.
        measures: Shape (m, MEASURES); likewise.

    Returns:
        Row to go on with (n when finished) and number of reports written.
    """
    points = ring_time.shape[1]
    room = len(facts) - MOST
    w = 0
    for i in range(start, len(sensor)):
        c = chart_of[sensor[i]]
        if c < 0:
            continue
        if w > room:
            return i, w
        now = state[c]
        raw = value[i]
        t = time_ns[i]
        if marks[i] & _LATE or t < now["time"]:
            now["late"] += 1
            continue
        if quality[i] != GOOD or marks[i] & _INVALID or not isfinite(raw):
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        spec = settings[c]
        kind = spec["kind"]
        before = now["time"]
        cause = INSIDE
        if now["since"] > 0 and (t - before > spec["max_gap"] or marks[i] & _AFTER_GAP):
            cause = GAP
        if recipe[i] != now["recipe"]:
            cause = RECIPE
        if cause != INSIDE:
            if now["active"]:
                w = _report(
                    facts,
                    measures,
                    w,
                    i,
                    c,
                    cause,
                    now["active"],
                    now["n"],
                    before,
                    0,
                    t,
                    0,
                    now["recipe"],
                    raw,
                    0.0,
                    0.0,
                )
            now["since"] = 0
            now["active"] = 0
        if cause == RECIPE:
            now["recipe"] = recipe[i]
            now["switches"] += 1
            entry = find_recipe(starts, codes, c, recipe[i])
            now["covered"] = 1 if kind == Q and entry >= 0 else 0
            now["waiting"] = 0
            if kind != Q:
                now["place"] = entry - starts[c] if entry >= 0 else -1
            elif entry < 0:
                now["place"] = _remember(memory, c, now["recipe"], now["switches"])
        now["time"] = t
        if now["covered"]:
            continue

        learned, centre, sigma = 0, 0.0, 0.0
        if kind == Q:
            found = memory[c, now["place"]]
            learned = found["n"]
            centre = found["mean"]
            if learned > 1:
                sigma = sqrt(found["squares"] / (learned - 1))
            if sigma <= _ROUNDING * abs(centre):
                _learn(found, raw)
                now["waiting"] += 1
                now["skipped_in_row"] = 0
                continue
            x = normal_score(
                sqrt(learned / (learned + 1.0)) * (raw - centre) / sigma, learned - 1.0
            )
        else:
            if now["place"] < 0:
                now["skipped"] += 1
                now["skipped_in_row"] += 1
                continue
            entry = starts[c] + now["place"]
            centre, sigma = numbers[entry, 0], numbers[entry, 1]
            x = raw - centre
            if kind == Z:
                x /= sigma
        middle, unit = spec["centre"], spec["sigma"]
        if now["since"] == 0:
            now["active"] = 0
            now["up"] = 0
            now["down"] = 0
            beyond[c, :, :] = 0
            now["ewma"] = middle
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
        now["waiting"] = 0
        chosen = spec["set"]
        slack = _ON_LIMIT * unit
        for level in range(n_levels[chosen]):
            away = levels[chosen, level] * unit + slack
            above = 1 if x > middle + away else 0
            below = 1 if x < middle - away else 0
            beyond[c, 0, level] = (beyond[c, 0, level] << 1 | above) & _KEEP
            beyond[c, 1, level] = (beyond[c, 1, level] << 1 | below) & _KEEP
        past = now["since"] > 1
        rise = 1 if past and x > now["value"] else 0
        fall = 1 if past and x < now["value"] else 0
        now["up"] = (now["up"] << 1 | rise) & _KEEP
        now["down"] = (now["down"] << 1 | fall) & _KEEP
        active = rule_bits(
            c, rules, n_rules[chosen], chosen, beyond, now["up"], now["down"], now["since"]
        )

        limit = 0.0
        weight = spec["weight"]
        if weight > 0.0:
            now["ewma"] = weight * x + (1.0 - weight) * now["ewma"]
            now["fade"] *= spec["fade"]
            limit = spec["width"] * sqrt(1.0 - now["fade"])
            if spec["fir"] and now["since"] < FIR_POINTS:
                limit *= fast_response(now["since"])
            off = now["ewma"] - middle
            side = 1 if off > 0.0 else (-1 if off < 0.0 else 0)
            if side != now["ewma_side"]:
                now["ewma_side"] = side
                now["ewma_n"] = n
                now["ewma_time"] = first_ns[i]
            if off > limit:
                active |= 1 << EWMA_BIT
            elif -off > limit:
                active |= 1 << (EWMA_BIT + LOW)
        h = spec["h"]
        if h > 0.0:
            z = (x - middle) / unit
            if now["high"] == 0.0:
                now["high_n"] = n
                now["high_time"] = first_ns[i]
            if now["low"] == 0.0:
                now["low_n"] = n
                now["low_time"] = first_ns[i]
            now["high"] = max(0.0, now["high"] + z - spec["k"])
            now["low"] = max(0.0, now["low"] - z - spec["k"])
            if now["high"] > h:
                active |= 1 << CUSUM_BIT
            if now["low"] > h:
                active |= 1 << (CUSUM_BIT + LOW)

        slot = (n - 1) % points
        ring_time[c, slot] = first_ns[i]
        ring_value[c, slot] = x
        ring_rules[c, slot] = (active | active >> LOW | active >> BOTH) & 0xFFFF
        now["value"] = x
        now["raw"] = raw
        if kind == Q and active == 0:
            _learn(memory[c, now["place"]], raw)
        old = now["active"]
        if active == old:
            continue
        now["active"] = active
        if old & ~active:
            w = _report(
                facts,
                measures,
                w,
                i,
                c,
                INSIDE,
                old & ~active,
                n - 1,
                before,
                0,
                t,
                0,
                now["recipe"],
                raw,
                0.0,
                0.0,
            )
        opened = active & ~old
        for what in range(RUNS, CUSUM + 1):
            mask = opened & (
                _RUN_BITS if what == RUNS else (_EWMA_BITS if what == EWMA else _CUSUM_BITS)
            )
            if mask == 0:
                continue
            if what == RUNS:
                span = rule_span(c, rules, n_rules[chosen], chosen, beyond, mask)
                n_first = n - span
                time_first = ring_time[c, (n - 1 - span) % points]
                statistic, bound = (x - middle) / unit, 0.0
            elif what == EWMA:
                n_first, time_first = now["ewma_n"], now["ewma_time"]
                statistic, bound = now["ewma"], limit
            else:
                rising = opened >> CUSUM_BIT & 1
                n_first = now["high_n"] if rising else now["low_n"]
                time_first = now["high_time"] if rising else now["low_time"]
                statistic, bound = (now["high"] if rising else now["low"]), h
            occurrences[c] += 1
            w = _report(
                facts,
                measures,
                w,
                i,
                c,
                what,
                mask,
                n,
                t,
                n_first,
                time_first,
                occurrences[c],
                now["recipe"],
                raw,
                statistic,
                bound,
            )
            measures[w - 1, 4] = x
            measures[w - 1, 5] = learned
            measures[w - 1, 6] = centre
            measures[w - 1, 7] = sigma
    return len(sensor), w
