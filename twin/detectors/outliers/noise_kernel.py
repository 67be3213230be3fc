"""The compiled walk of the noise test: variance of blocks, their baseline, and the F test."""

from __future__ import annotations

from math import isfinite, log, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.model.batch import GOOD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CHANGE", "SETTINGS", "STATE", "f_score", "forget", "freedom_of_logs", "noise_rows"]

CAUSE_POINT, CAUSE_GAP, CAUSE_RECIPE = 0, 1, 2

SETTINGS = np.dtype(
    [
        ("block", np.int64),  # ns
        ("blocks", np.int64),  # of the baseline
        ("least", np.int64),  # differences a block needs
        ("max_gap", np.int64),
        ("floor", np.float64),  # variance of rounding to the resolution
        ("limit", np.float64),  # of the normal score
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("n", np.int64),  # values looked at
        ("late", np.int64),
        ("skipped", np.int64),
        ("skipped_in_row", np.int64),
        ("recipe", np.int64),
        ("time", np.int64),
        ("value", np.float64),
        ("number", np.int64),  # of the block that is filling
        ("first_time", np.int64),  # of its first value
        ("first_n", np.int64),
        ("pairs", np.int64),  # differences in it
        ("squares", np.float64),  # sum of their squares
        ("broken", np.int64),  # 1 = a hole lies in it
        ("learned", np.int64),  # blocks of the baseline
        ("base_pairs", np.int64),
        ("base_squares", np.float64),
        ("logs", np.float64),  # sum of the logarithms of their variances
        ("log_squares", np.float64),
        ("judged", np.int64),  # blocks that were judged
        ("short", np.int64),  # blocks with too few values
        ("side", np.int64),  # 1 noisier, -1 quieter, 0 usual
        ("held_n", np.int64),  # last value of the last block with a side
        ("held_time", np.int64),
        ("ratio", np.float64),
        ("score", np.float64),
        ("freedom", np.float64),
    ],
    align=True,
)
CHANGE = np.dtype(
    [
        ("row", np.int64),
        ("sensor", np.int64),
        ("cause", np.int64),
        ("old", np.int64),
        ("new", np.int64),
        ("n", np.int64),
        ("time_before", np.int64),
        ("held_n", np.int64),
        ("held_time", np.int64),
        ("first_n", np.int64),
        ("first_time", np.int64),
        ("variance", np.float64),
        ("baseline", np.float64),
        ("score", np.float64),
        ("freedom", np.float64),
    ],
    align=True,
)
_LATE, _INVALID, _GAP = int(Mark.LATE), int(Mark.INVALID), int(Mark.AFTER_GAP)
_LEAST_VARIANCE = 1e-300


@njit(cache=True, error_model="numpy")
def f_score(ratio: float, v1: float, v2: float) -> float:
    """Normal score of a ratio of variances, by Paulson (1942).

    Between probabilities of 1e-4 and 0.9999 within 0.2 from 10 degrees of freedom on; with fewer
    it finds quiet blocks less surprising than they are.
    """
    root = ratio ** (1.0 / 3.0)
    a, b = 2.0 / (9.0 * v1), 2.0 / (9.0 * v2)
    return float(((1.0 - b) * root - (1.0 - a)) / sqrt(b * root * root + a))


@njit(cache=True, error_model="numpy")
def freedom_of_logs(variance: float) -> float:
    """Degrees of freedom of variances whose logarithms scatter with this variance.

    The logarithm of chi-squared has the variance trigamma(v/2), here 2/v + 2/v^2.
    """
    if variance <= 0.0:
        return np.inf
    return (1.0 + sqrt(1.0 + 2.0 * variance)) / variance


@njit(cache=True, error_model="numpy")
def _freedom(pairs: float) -> float:
    """Degrees of freedom of the mean squared successive difference of normal values."""
    return 2.0 * pairs * pairs / (3.0 * pairs - 1.0)


@njit(cache=True, error_model="numpy")
def _variance(squares: float, pairs: int, floor: float) -> float:
    return max(squares / (2.0 * pairs), floor)


@njit(cache=True, error_model="numpy")
def _end_block(now: np.void, spec: np.void) -> bool:
    """Learn from the block that ended or judge it; returns whether it was judged."""
    pairs = now["pairs"]
    if pairs < spec["least"] or now["broken"] != 0:
        now["short"] += 1
        return False
    variance = _variance(now["squares"], pairs, spec["floor"])
    if now["learned"] < spec["blocks"]:
        now["learned"] += 1
        now["base_pairs"] += pairs
        now["base_squares"] += now["squares"]
        size = log(max(variance, _LEAST_VARIANCE))
        now["logs"] += size
        now["log_squares"] += size * size
        return False
    count = now["learned"]
    baseline = _variance(now["base_squares"], now["base_pairs"], spec["floor"])
    if baseline <= 0.0:
        return False
    mean = now["logs"] / count
    scatter = max(now["log_squares"] / count - mean * mean, 0.0) * count / (count - 1)
    seen = freedom_of_logs(scatter)
    v1 = min(_freedom(pairs), seen)
    v2 = count * min(_freedom(now["base_pairs"] / count), seen)
    now["ratio"] = variance / baseline
    now["score"] = f_score(now["ratio"], v1, v2)
    now["freedom"] = v1
    now["judged"] += 1
    return True


@njit(cache=True, error_model="numpy")
def forget(now: np.void) -> None:
    """Begin to learn anew."""
    now["learned"] = 0
    now["base_pairs"] = 0
    now["base_squares"] = 0.0
    now["logs"] = 0.0
    now["log_squares"] = 0.0
    now["judged"] = 0
    now["side"] = 0
    now["ratio"] = 0.0
    now["score"] = 0.0
    now["pairs"] = 0
    now["squares"] = 0.0
    now["broken"] = 1


@njit(cache=True, error_model="numpy")
def _report(
    i: int, s: int, cause: int, old: int, now: np.void, spec: np.void, change: np.void
) -> None:
    change["row"] = i
    change["sensor"] = s
    change["cause"] = cause
    change["old"] = old
    change["new"] = now["side"]
    change["n"] = now["n"]
    change["time_before"] = now["time"]
    change["held_n"] = now["held_n"]
    change["held_time"] = now["held_time"]
    change["first_n"] = now["first_n"]
    change["first_time"] = now["first_time"]
    if now["pairs"] > 0 and now["base_pairs"] > 0:
        change["variance"] = _variance(now["squares"], now["pairs"], spec["floor"])
        change["baseline"] = _variance(now["base_squares"], now["base_pairs"], spec["floor"])
    change["score"] = now["score"]
    change["freedom"] = now["freedom"]


@njit(cache=True, error_model="numpy")
def noise_rows(
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
        state: Shape (rows,); changed.
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
        t = time_ns[i]
        if marks[i] & _LATE or (now["n"] > 0 and t < now["time"]):
            now["late"] += 1
            continue
        if quality[i] != GOOD or marks[i] & _INVALID or not isfinite(value[i]):
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        spec = settings[s]
        now["skipped_in_row"] = 0
        old = now["side"]
        changed = recipe[i] >= 0 and now["recipe"] >= 0 and recipe[i] != now["recipe"]
        if recipe[i] >= 0:
            now["recipe"] = recipe[i]
        hole = now["n"] > 0 and (t - now["time"] > spec["max_gap"] or marks[i] & _GAP != 0)
        number = t // spec["block"]
        judged = False
        if changed:
            forget(now)
        elif hole:
            now["side"] = 0
            now["broken"] = 1
        elif now["n"] > 0 and number != now["number"]:
            judged = _end_block(now, spec)
        if judged:
            score, limit = now["score"], spec["limit"]
            now["side"] = 1 if score > limit else (-1 if score < -limit else 0)
        if now["side"] != old:
            cause = CAUSE_RECIPE if changed else (CAUSE_GAP if hole else CAUSE_POINT)
            _report(i, s, cause, old, now, spec, out[written])
            written += 1
        if judged and now["side"] != 0:
            now["held_n"] = now["n"]
            now["held_time"] = now["time"]
        now["n"] += 1
        if now["n"] == 1 or number != now["number"] or changed:
            now["number"] = number
            now["first_time"] = t
            now["first_n"] = now["n"]
            now["pairs"] = 0
            now["squares"] = 0.0
            # A block that begins after a hole or a change is whole, as far as it goes.
            now["broken"] = 0
        elif not hole:
            step = value[i] - now["value"]
            now["squares"] += step * step
            now["pairs"] += 1
        now["time"] = t
        now["value"] = value[i]
    return len(sensor), written
