"""The experts of the anomaly scorer: each turns one sample into statistics, 0 or larger.

All of them look backwards only. Values are relative to the first one, so that another zero of the
scale changes nothing, and every statistic is a ratio, so that another unit changes nothing. What
an expert learns from a sample is capped at a few times the usual, so that one excursion does not
make the next one look normal.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "DAY_BINS",
    "LAGS",
    "RARE_BINS",
    "STATE",
    "WEEK_BINS",
    "activity",
    "forecast",
    "forget_recent",
    "rarity",
    "record",
    "season",
]

LAGS = 4
"""Values the forecast is made from."""
RARE_BINS = 129
"""Bins of the values seen; the middle one is the usual value."""
DAY_BINS = 48
WEEK_BINS = 168

_MEMORY = 2500.0
"""Samples over which level and scales are averaged."""
_CAP = 8.0
"""What is learned from one deviation, in usual deviations."""
_EARLY = 20
"""Samples that are learned from without a cap: nothing is usual yet."""
_LEARN = 0.02
"""Step of the forecast's weights."""
_ERROR_SMOOTH = 0.1
_ERROR_CAP = 20.0
"""Weight of the newest error in the recent ones, and what it counts at most, in usual errors."""
_RARE_START = 100
"""Samples until the bins of the values are laid."""
_RARE_STEP = 8.0
"""Bins to a factor e in distance from the usual value."""
_RARE_PRIOR = 32.0
"""Weight of never having seen anything, in values."""
_ACTIVE = 0.015
"""Weight of the newest step in the recent activity: about 70 samples."""
_ACTIVE_CAP = 20.0
_SEASON_START = 60
_SEASON_SMOOTH = 0.2
_SEASON_ERROR = 0.003
"""Weight of the newest error in the contest between level, day and week."""
_DAY_STEP = 0.2
_WEEK_STEP = 0.3
"""Least weight of the newest visit of a bin."""
_NS_PER_S = 1_000_000_000
_DAY_S = 86_400
_HUGE = 1e9

STATE = np.dtype(
    [
        ("n", np.int64),  # values judged so far
        ("late", np.int64),
        ("skipped", np.int64),
        ("skipped_in_row", np.int64),
        ("recent", np.int64),  # values since the start, a gap or a reset
        ("recipe", np.int64),
        ("open", np.int64),
        ("expert", np.int64),  # that spoke loudest last
        ("time", np.int64),
        ("onset", np.int64),  # of the unusual stretch that goes on
        ("weight", np.float64),  # values in the tails
        ("origin", np.float64),  # first value
        ("least", np.float64),  # resolution
        ("level", np.float64),
        ("spread", np.float64),
        ("last", np.float64),
        ("step", np.float64),  # usual step from value to value
        ("recent_step", np.float64),
        ("forecast_error", np.float64),
        ("recent_error", np.float64),  # in usual errors
        ("rare_centre", np.float64),
        ("rare_scale", np.float64),
        ("rare_total", np.float64),
        ("lowest", np.float64),
        ("highest", np.float64),
        ("season_error", np.float64),
        ("season_smooth", np.float64),
        ("level_error", np.float64),
        ("day_error", np.float64),
        ("week_error", np.float64),
        ("day_bin", np.int64),
        ("day_sum", np.float64),
        ("day_count", np.int64),
        ("week_bin", np.int64),
        ("week_sum", np.float64),
        ("week_count", np.int64),
        ("bar", np.float64),  # evidence a new alarm must exceed
        ("peak", np.int64),  # bin of the excursion that was told last, -1 for none
        ("peak_age", np.int64),  # values since
        ("evidence", np.float64),
        ("surprise", np.float64),
    ],
    align=True,
)


@njit(cache=True, error_model="numpy")
def _ratio(size: float, usual: float, least: float) -> float:
    """How many times the usual, which is at least the resolution; huge if only 0 is usual."""
    if size <= 0.0:
        return 0.0
    usual = max(usual, least)
    return min(size / usual, _HUGE) if usual > 0.0 else _HUGE


@njit(cache=True, error_model="numpy")
def _learned(usual: float, size: float, n: int) -> float:
    """The usual size after one more, which counts at most _CAP times."""
    if n > _EARLY and usual > 0.0:
        size = min(size, _CAP * usual)
    return usual + max(1.0 / (n + 1), 1.0 / _MEMORY) * (size - usual)


@njit(cache=True, error_model="numpy")
def forget_recent(now: np.void) -> None:
    """Forget what depends on neighbours in time; what was learned stays."""
    now["recent"] = 0
    now["recent_step"] = now["step"]
    now["recent_error"] = 1.0
    now["season_smooth"] = 0.0
    now["onset"] = 0


@njit(cache=True, error_model="numpy")
def forecast(
    now: np.void, x: float, weights: NDArray[np.float64], lags: NDArray[np.float64]
) -> tuple[float, float]:
    """Error of an adaptive autoregression around the slow level, in usual errors; and recently."""
    n = now["n"]
    off = x - now["level"]
    spread = _learned(now["spread"], abs(off), n)
    now["spread"] = spread
    now["level"] += max(1.0 / (n + 1), 1.0 / _MEMORY) * max(-3 * spread, min(3 * spread, off))
    level = now["level"]
    if now["recent"] == 0:
        for j in range(LAGS):
            lags[j] = x
        return 0.0, now["recent_error"]
    predicted = 0.0
    power = 0.0
    for j in range(LAGS):
        lag = lags[j] - level
        predicted += weights[j] * lag
        power += lag * lag
    error = x - level - predicted
    usual = now["forecast_error"]
    statistic = _ratio(abs(error), usual, now["least"]) if n > LAGS else 0.0
    if power > 0.0:
        learned = max(-3 * usual, min(3 * usual, error)) if n > _EARLY else error
        step = _LEARN * learned / (power + spread * spread)
        for j in range(LAGS):
            weights[j] += step * (lags[j] - level)
    now["forecast_error"] = _learned(usual, abs(error), n)
    for j in range(LAGS - 1, 0, -1):
        lags[j] = lags[j - 1]
    lags[0] = x
    recent = now["recent_error"]
    recent += max(_ERROR_SMOOTH, 1.0 / (n + 1)) * (min(statistic, _ERROR_CAP) - recent)
    now["recent_error"] = recent
    return statistic, recent


@njit(cache=True, error_model="numpy")
def rarity(now: np.void, x: float, counts: NDArray[np.float32]) -> float:
    """``-log`` of the share of earlier values near this one.

    Bins are equal near the usual value and grow with the distance from it: 10 and 11 usual
    deviations away are the same place, 0.1 and 1.1 are not.
    """
    if now["rare_scale"] == 0.0:
        if now["n"] < _RARE_START or now["spread"] == 0.0:
            return 0.0
        now["rare_centre"] = now["level"]
        now["rare_scale"] = max(now["spread"], now["least"])
    off = (x - now["rare_centre"]) / now["rare_scale"]
    size = abs(off)
    middle = RARE_BINS // 2
    # asinh, written out: compiled code and Python round its library form differently.
    away = min(int(_RARE_STEP * log(size + (size * size + 1.0) ** 0.5) + 0.5), middle - 1)
    at = middle + (away if off > 0.0 else -away)
    near = np.float64(counts[at]) + 0.5 * (np.float64(counts[at - 1]) + np.float64(counts[at + 1]))
    statistic = -log((0.5 * near + 0.25) / (now["rare_total"] + _RARE_PRIOR))
    counts[at] += 1
    now["rare_total"] += 1
    return statistic


@njit(cache=True, error_model="numpy")
def record(now: np.void, x: float) -> float:
    """How far beyond everything before, in usual deviations; 0 for what is no record."""
    if now["n"] == 0:
        now["lowest"] = now["highest"] = x
    beyond = max(x - now["highest"], now["lowest"] - x)
    known = now["n"] > _RARE_START and now["highest"] > now["lowest"]
    now["lowest"] = min(now["lowest"], x)
    now["highest"] = max(now["highest"], x)
    return _ratio(beyond, now["spread"], now["least"]) if known else 0.0


@njit(cache=True, error_model="numpy")
def activity(now: np.void, x: float) -> float:
    """Log ratio of the recent steps from value to value to the usual ones, up or down."""
    n = now["n"]
    step = abs(x - now["last"]) if now["recent"] > 0 else 0.0
    now["last"] = x
    if now["recent"] > 0:
        now["step"] = _learned(now["step"], step, n)
        recent = now["recent_step"]
        capped = min(step, _ACTIVE_CAP * now["step"])
        now["recent_step"] = recent + max(_ACTIVE, 1.0 / (n + 1)) * (capped - recent)
    usual = now["step"]
    if usual <= 0.0:
        return 0.0
    return abs(log((now["recent_step"] + 0.02 * usual) / usual))


@njit(cache=True, error_model="numpy")
def season(
    now: np.void,
    x: float,
    time_ns: int,
    profile: NDArray[np.float64],
    visits: NDArray[np.uint16],
) -> tuple[float, float]:
    """Deviation from what the time of day or week lets expect, raw and smoothed.

    Expected is the slow level, the half hour of the day or the hour of the week, whichever was
    wrong by least lately: a signal without a day does not get one.
    """
    n = now["n"]
    seconds = time_ns // _NS_PER_S
    d = (seconds % _DAY_S) * DAY_BINS // _DAY_S
    w = DAY_BINS + (seconds // 3600) % WEEK_BINS
    if d != now["day_bin"]:
        _visited(profile, visits, now["day_bin"], now["day_sum"], now["day_count"], _DAY_STEP)
        now["day_bin"] = d
        now["day_sum"] = 0.0
        now["day_count"] = 0
    if w != now["week_bin"]:
        _visited(profile, visits, now["week_bin"], now["week_sum"], now["week_count"], _WEEK_STEP)
        now["week_bin"] = w
        now["week_sum"] = 0.0
        now["week_count"] = 0
    now["day_sum"] += x
    now["day_count"] += 1
    now["week_sum"] += x
    now["week_count"] += 1
    by_level = x - now["level"]
    by_day = x - profile[d] if visits[d] > 0 else by_level
    by_week = x - profile[w] if visits[w] > 0 else by_day
    error = by_level
    least = now["level_error"]
    if now["day_error"] < least:
        error = by_day
        least = now["day_error"]
    if now["week_error"] < least:
        error = by_week
    usual = now["season_error"]
    smooth = now["season_smooth"] + _SEASON_SMOOTH * (error - now["season_smooth"])
    now["season_smooth"] = smooth
    now["season_error"] = _learned(usual, abs(error), n)
    rate = max(1.0 / (n + 1), _SEASON_ERROR)
    most = _CAP * now["spread"]
    now["level_error"] += rate * (min(most, abs(by_level)) - now["level_error"])
    now["day_error"] += rate * (min(most, abs(by_day)) - now["day_error"])
    now["week_error"] += rate * (min(most, abs(by_week)) - now["week_error"])
    if n <= _SEASON_START:
        return 0.0, 0.0
    least = now["least"]
    return _ratio(abs(error), usual, least), _ratio(abs(smooth), usual, least)


@njit(cache=True, error_model="numpy")
def _visited(
    means: NDArray[np.float64],
    visits: NDArray[np.uint16],
    at: int,
    total: float,
    count: int,
    step: float,
) -> None:
    """Enter the mean of one visit of a bin; many samples in one half hour are one visit."""
    if count > 0:
        known = int(visits[at])
        visits[at] = min(known + 1, 1000)
        means[at] += max(1.0 / (known + 1), step) * (total / count - means[at])
