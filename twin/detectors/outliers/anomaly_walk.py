"""The compiled walk of the anomaly scorer: experts, their evidence, and who is told."""

from __future__ import annotations

from math import exp, isfinite, log2
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.detectors.outliers.anomaly_experts import (
    activity,
    forecast,
    forget_recent,
    rarity,
    record,
    season,
)
from twin.detectors.outliers.anomaly_tail import FORGET, log_bin, surprise
from twin.model.batch import GOOD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CHANGE",
    "EVIDENCE_BINS",
    "LEARN",
    "PEAK_BINS",
    "SETTINGS",
    "STATISTICS",
    "TAIL_BINS",
    "anomaly_rows",
]

STATISTICS = 7
"""What the experts see, each with a tail of its own."""
_FIRST_OF = (0, 2, 4, 5)
"""First statistic of each expert: forecast, rarity, activity, season."""
TAIL_BINS = 160
EVIDENCE_BINS = 400
LEARN = 150
"""Values before the first verdict."""
_PER_EVIDENCE = 8.0
"""Bins to one decade of evidence."""
_FRACTION, _PRIOR = 0.05, 20.0
_EXCESS = 6.0
"""Tails of the experts: fitted to the largest 5 %, with a prior worth 20 values.

The prior falls by a factor e within 3/4 octave of a statistic: a Pareto exponent of 1.9.
"""
_OWN_FRACTION, _OWN_PRIOR = 0.1, 300.0
_OWN_EXCESS = 7.0
"""Tail of the summed evidence; its prior falls by a factor e within 7/8 of a decade."""
_HOLD, _HOLD_SHARE = 200.0, 0.1
"""The bar falls within this many samples, or this share of the history if that is longer."""
_NEWS = 0.5
"""Decades of evidence above the bar that are news."""
PEAK_BINS = 128
_PER_PEAK = 2.0
"""Bins to one decade of evidence, for the excursions that were told."""
_SIMILAR = 2
"""Excursions at most so many bins smaller are similar."""
_HABIT = 0.25
"""Decades of evidence an excursion loses when there were twice as many similar ones before."""
_CALM = 1.0
"""Surprise from which a stretch is unusual: one value of ten."""
_SCALE = 10.0
"""Evidence with score 1 - 1/e."""
_DULL = 1e-3
"""Weight of evidence that is no news."""

SETTINGS = np.dtype(
    [("surprise", np.float64), ("max_gap", np.int64), ("resolution", np.float64)], align=True
)
CHANGE = np.dtype(
    [
        ("row", np.int64),
        ("sensor", np.int64),
        ("cause", np.int64),
        ("new", np.int64),
        ("n", np.int64),
        ("time_before", np.int64),
        ("onset", np.int64),
        ("expert", np.int64),
        ("level", np.float64),
        ("evidence", np.float64),
        ("surprise", np.float64),
    ],
    align=True,
)
_INSIDE, _GAP, _RECIPE = 0, 1, 2
"""Why a finding closes."""
_MARK_LATE, _MARK_INVALID, _MARK_GAP = int(Mark.LATE), int(Mark.INVALID), int(Mark.AFTER_GAP)


@njit(cache=True, error_model="numpy")
def _tell(
    change: np.void, now: np.void, row: int, sensor: int, before: int, cause: int, new: int
) -> None:
    """Report that a finding opens (new 1) or closes (0)."""
    now["open"] = new
    change["row"] = row
    change["sensor"] = sensor
    change["cause"] = cause
    change["new"] = new
    change["n"] = now["n"]
    change["time_before"] = before
    change["onset"] = now["onset"]
    change["expert"] = now["expert"]
    change["level"] = now["level"] + now["origin"]
    change["evidence"] = now["evidence"]
    change["surprise"] = now["surprise"]


@njit(cache=True, error_model="numpy")
def _evidence(now: np.void, statistics: NDArray[np.float64], tails: NDArray[np.float32]) -> float:
    """Sum of the experts' surprises; an expert with two statistics tells the larger one."""
    total = 0.0
    loudest = -1.0
    said = 0.0
    for k in range(STATISTICS):
        place = log_bin(statistics[k], TAIL_BINS)
        new = surprise(tails[k], now["weight"], place, _FRACTION, _PRIOR, _EXCESS)
        tails[k, int(place)] += 1
        if k in _FIRST_OF:
            total += said
            said = 0.0
        said = max(said, new)
        if new > loudest:
            loudest = new
            now["expert"] = k
    return total + said


@njit(cache=True, error_model="numpy")
def _score(
    now: np.void, evidence: float, tail: NDArray[np.float32], peaks: NDArray[np.float32]
) -> tuple[bool, float]:
    """Calibrate the evidence on the signal itself; whether it is news, and its score, 0 to 1."""
    place = min(_PER_EVIDENCE * evidence, EVIDENCE_BINS - 1e-6)
    now["surprise"] = surprise(tail, now["weight"], place, _OWN_FRACTION, _OWN_PRIOR, _OWN_EXCESS)
    tail[int(place)] += 1
    now["evidence"] = evidence
    hold = max(_HOLD, _HOLD_SHARE * min(float(now["n"]), FORGET))
    now["bar"] *= 1.0 - 1.0 / hold
    news = evidence > now["bar"] + _NEWS
    now["bar"] = max(now["bar"], evidence)
    now["peak_age"] += 1
    told = _habit(now, evidence, peaks) if news else _DULL * evidence
    return news, 1.0 - exp(-told / _SCALE)


@njit(cache=True, error_model="numpy")
def _habit(now: np.void, evidence: float, peaks: NDArray[np.float32]) -> float:
    """Evidence less what similar excursions before have taken from its novelty."""
    at = min(int(_PER_PEAK * evidence), PEAK_BINS - 1)
    if now["peak_age"] < _HOLD / 2 and now["peak"] >= 0:
        # A higher peak of the same excursion takes the place of the lower one.
        peaks[now["peak"]] = max(np.float64(peaks[now["peak"]]) - 1.0, 0.0)
    similar = 0.0
    for j in range(max(0, at - _SIMILAR), PEAK_BINS):
        similar += np.float64(peaks[j])
    peaks[at] += 1
    now["peak"] = at
    now["peak_age"] = 0
    return max(0.0, evidence - _HABIT * log2(1.0 + similar))


@njit(cache=True, error_model="numpy")
def anomaly_rows(
    start: int,
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    recipe: NDArray[np.int32],
    row_of: NDArray[np.int32],
    settings: NDArray[np.void],
    state: NDArray[np.void],
    linear: NDArray[np.float64],
    rare: NDArray[np.float32],
    profile: NDArray[np.float64],
    visits: NDArray[np.uint16],
    tails: NDArray[np.float32],
    evidence_tail: NDArray[np.float32],
    peaks: NDArray[np.float32],
    statistics: NDArray[np.float64],
    score: NDArray[np.float64],
    chance: NDArray[np.float64],
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
        recipe: Shape (n,); -1 when nobody said.
        row_of: Shape (sensors,); row of a sensor, -1 for none.
        settings: Shape (rows,).
        state: Shape (rows,); changed, as are all arrays below.
        linear: Shape (rows, 2, LAGS); weights of the forecast and the values it is made from.
        rare: Shape (rows, RARE_BINS); values seen.
        profile: Shape (rows, DAY_BINS + WEEK_BINS); means by time of day, then of the week.
        visits: Same shape; how often each of them was visited.
        tails: Shape (rows, STATISTICS, TAIL_BINS); statistics seen.
        evidence_tail: Shape (rows, EVIDENCE_BINS); evidence seen.
        peaks: Shape (rows, PEAK_BINS); evidence of the excursions that were news.
        statistics: Shape (STATISTICS,); scratch.
        score: Shape (n,) or (0,); anomaly score of each row, if somebody wants it.
        chance: Same shape; calibrated p of each row.
        out: Shape (m,), m >= 2; written from 0 on.

    Returns:
        Row to go on with (n when finished) and number of changes written.
    """
    written = 0
    for i in range(start, len(sensor)):
        s = row_of[sensor[i]]
        if s < 0:
            continue
        if written + 2 > len(out):
            return i, written
        now = state[s]
        x = value[i]
        t = time_ns[i]
        if marks[i] & _MARK_LATE or (now["n"] > 0 and t < now["time"]):
            now["late"] += 1
            continue
        if quality[i] != GOOD or marks[i] & _MARK_INVALID or not isfinite(x):
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        before = now["time"]
        changed = recipe[i] >= 0 and now["recipe"] >= 0 and recipe[i] != now["recipe"]
        gap = now["n"] > 0 and (t - before > settings[s]["max_gap"] or marks[i] & _MARK_GAP != 0)
        if changed or gap:
            if now["open"]:
                _tell(out[written], now, i, s, before, _RECIPE if changed else _GAP, 0)
                written += 1
            forget_recent(now)
        if changed:
            _forget(now, linear[s], rare[s], profile[s], visits[s])
            tails[s] = 0.0
            evidence_tail[s] = 0.0
            peaks[s] = 0.0
        if recipe[i] >= 0:
            now["recipe"] = recipe[i]
        if now["n"] == 0:
            now["origin"] = x
            now["peak"] = -1
            now["least"] = settings[s]["resolution"]
            linear[s, 0, 0] = 1.0
        x -= now["origin"]
        now["time"] = t
        now["skipped_in_row"] = 0

        statistics[0], statistics[1] = forecast(now, x, linear[s, 0], linear[s, 1])
        statistics[2] = rarity(now, x, rare[s])
        statistics[3] = record(now, x)
        statistics[4] = activity(now, x)
        statistics[5], statistics[6] = season(now, x, t, profile[s], visits[s])
        total = _evidence(now, statistics, tails[s])
        news, strange = _score(now, total, evidence_tail[s], peaks[s])
        now["n"] += 1
        now["recent"] += 1
        now["weight"] += 1.0
        if now["weight"] >= FORGET:
            _halve(now, rare[s], tails[s], evidence_tail[s], peaks[s])
        if now["surprise"] < _CALM:
            now["onset"] = 0
        elif now["onset"] == 0:
            now["onset"] = t
        judged = now["n"] > LEARN
        if len(score):
            score[i] = strange if judged else 0.0
            chance[i] = 10.0 ** -now["surprise"] if judged else 1.0
        if now["open"]:
            if now["surprise"] < _CALM:
                _tell(out[written], now, i, s, before, _INSIDE, 0)
                written += 1
        elif judged and news and now["surprise"] > settings[s]["surprise"]:
            _tell(out[written], now, i, s, before, _INSIDE, 1)
            written += 1
    return len(sensor), written


@njit(cache=True, error_model="numpy")
def _halve(
    now: np.void,
    rare: NDArray[np.float32],
    tails: NDArray[np.float32],
    evidence_tail: NDArray[np.float32],
    peaks: NDArray[np.float32],
) -> None:
    """Let everything that was counted count half, and records be half as far away."""
    rare *= np.float32(0.5)
    tails *= np.float32(0.5)
    evidence_tail *= np.float32(0.5)
    peaks *= np.float32(0.5)
    now["rare_total"] *= 0.5
    now["weight"] *= 0.5
    now["lowest"] += 0.5 * (now["level"] - now["lowest"])
    now["highest"] += 0.5 * (now["level"] - now["highest"])


@njit(cache=True, error_model="numpy")
def _forget(
    now: np.void,
    linear: NDArray[np.float64],
    rare: NDArray[np.float32],
    profile: NDArray[np.float64],
    visits: NDArray[np.uint16],
) -> None:
    """Start from nothing, as another recipe is another process."""
    linear[:] = 0.0
    rare[:] = 0.0
    profile[:] = 0.0
    visits[:] = 0
    now["n"] = 0
    now["weight"] = 0.0
    now["level"] = 0.0
    now["spread"] = 0.0
    now["step"] = 0.0
    now["recent_step"] = 0.0
    now["recent_error"] = 0.0
    now["forecast_error"] = 0.0
    now["rare_centre"] = 0.0
    now["rare_scale"] = 0.0
    now["rare_total"] = 0.0
    now["season_error"] = 0.0
    now["level_error"] = 0.0
    now["day_error"] = 0.0
    now["week_error"] = 0.0
    now["day_count"] = 0
    now["day_sum"] = 0.0
    now["week_count"] = 0
    now["week_sum"] = 0.0
    now["bar"] = 0.0
    now["evidence"] = 0.0
    now["surprise"] = 0.0
