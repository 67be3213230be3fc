"""The compiled walk that turns samples into plotted points; what it means stands in ``series``.

One long file, because compiled code is kept on disk by the file it stands in: a change of a helper
in another file would go unnoticed.
"""

from __future__ import annotations

from math import exp, expm1, isfinite, isnan, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from twin.model.batch import GOOD, Mark
from twin.model.points import PointFlag

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LAGS", "POINT", "ROOM", "SETTINGS", "STATE", "STEPS", "series_rows"]

NONE, RAW, AR, TAU, EWMA, HOLT, BLOCK, PIECE, THIN = range(9)
"""What becomes of samples; NONE says nothing because the model is missing."""
NO_SPREAD, RANGE, DEVIATION = range(3)

LAGS = 16
"""Longest model of the past, samples."""
STEPS = 32
"""Steps of a forecast whose growing variance is known; later it hardly grows."""
_FAR = 1000
"""A model does not bridge a longer hole, steps."""

SETTINGS = np.dtype(
    [
        ("recipe", np.int64),  # code of the recipe, -1 = all others
        ("mode", np.int64),
        ("gap", np.int64),  # longest hole, ns; of missing blocks for BLOCK
        ("step", np.int64),  # nominal step, ns, 0 = unknown
        ("silence", np.int64),  # how long a value is held, ns, 0 = not rebuilt
        ("level", np.float64),  # NaN = the first sample
        ("order", np.int64),
        ("tau", np.float64),  # ns
        ("share", np.float64),  # 1 - phi^2 at the nominal step
        ("alpha", np.float64),
        ("beta", np.float64),
        ("width", np.float64),  # an adaptive centre line is held beyond it
        ("centre", np.float64),  # of the plotted point, for the shape
        ("sigma", np.float64),
        ("shape_first", np.int64),
        ("shape_n", np.int64),
        ("block", np.int64),  # ns
        ("need", np.float64),  # least weight of a block
        ("size", np.int64),  # samples of a subgroup, 0 = the whole product
        ("every", np.int64),
        ("spread", np.int64),
        ("counter", np.int64),
        ("low", np.float64),  # range of a counter
        ("span", np.float64),  # 0 = it never rolls over
        ("follows", np.int64),  # 1 = deviation from a set-point
        ("settle", np.int64),  # ns
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("points", np.int64),  # with a value
        ("samples", np.int64),  # good ones
        ("late", np.int64),
        ("skipped", np.int64),
        ("skipped_in_row", np.int64),
        ("unjudged", np.int64),  # good, but nothing can be said: settling, no past, no model
        ("resets", np.int64),  # of a counter
        ("variant", np.int64),  # settings in force
        ("pending", np.int64),  # flags the next point with a value carries
        ("time", np.int64),  # last good sample
        ("value", np.float64),
        ("product", np.int64),
        ("place", np.float64),
        ("recipe", np.int64),
        ("cursor", np.int64),  # next slot of the nominal grid, for values that are held
        ("filled", np.int64),  # samples of the past known to the model
        ("last", np.int64),  # time of the newest of them
        ("level", np.float64),
        ("trend", np.float64),
        ("turn", np.int64),  # samples since the last one plotted (THIN)
        ("weight", np.float64),  # of the open subgroup
        ("mean", np.float64),
        ("square", np.float64),
        ("lowest", np.float64),
        ("highest", np.float64),
        ("first", np.int64),
        ("newest", np.int64),
        ("block", np.int64),
        ("judged", np.int64),  # last block with a value
        ("held", np.int64),
        ("group", np.int64),  # product of the open subgroup
        ("where", np.float64),
        ("plotted", np.float64),
        ("set_known", np.int64),  # 0 no set-point yet, 1 one, 2 it has changed
        ("set_value", np.float64),
        ("set_before", np.float64),
        ("set_time", np.int64),  # since when it is wanted
        ("set_seen", np.int64),
    ],
    align=True,
)
POINT = np.dtype(
    [
        ("sensor", np.int32),
        ("row", np.int64),
        ("first_ns", np.int64),
        ("time_ns", np.int64),
        ("value", np.float64),
        ("spread", np.float64),
        ("size", np.float64),
        ("scale", np.float64),
        ("flags", np.uint8),
        ("product", np.int32),
        ("place", np.float64),
        ("recipe", np.int32),
    ],
    align=True,
)
ROOM = 4
"""Most points that one sample, sent or held, can complete."""

_LATE, _INVALID, _AFTER_GAP = int(Mark.LATE), int(Mark.INVALID), int(Mark.AFTER_GAP)
_GAP, _RESET = int(PointFlag.GAP), int(PointFlag.RESET)
_HELD, _PARTIAL = int(PointFlag.HELD), int(PointFlag.PARTIAL)


@njit(cache=True, error_model="numpy")
def _shaped(tables: Any, v: int, value: float) -> float:
    """The plotted point made normal: piecewise linear, the last pieces go on for ever."""
    settings, _, _, xs, ys = tables
    spec = settings[v]
    n = spec["shape_n"]
    if n < 2:
        return float(value)
    z = (value - spec["centre"]) / spec["sigma"]
    low = spec["shape_first"]
    high = low + n - 1
    while high - low > 1:
        middle = (low + high) // 2
        if xs[middle] <= z:
            low = middle
        else:
            high = middle
    score = ys[low] + (z - xs[low]) * (ys[high] - ys[low]) / (xs[high] - xs[low])
    return float(spec["centre"] + spec["sigma"] * score)


@njit(cache=True, error_model="numpy")
def _emit(
    memory: Any,
    tables: Any,
    at: int,
    r: int,
    i: int,
    sensor: int,
    first: int,
    time: int,
    value: float,
    spread: float,
    size: float,
    scale: float,
    flags: int,
    product: int,
    place: float,
) -> int:
    """Write one point; without a value it says that nothing can be judged."""
    state, _, out = memory
    now = state[r]
    point = out[at]
    point["sensor"] = sensor
    point["row"] = i
    point["first_ns"] = first
    point["time_ns"] = time
    point["spread"] = spread
    point["size"] = size
    point["scale"] = scale
    point["flags"] = flags | now["pending"]
    point["product"] = product
    point["place"] = place
    point["recipe"] = now["recipe"]
    if isnan(value):
        point["value"] = value
        return at + 1
    point["value"] = _shaped(tables, now["variant"], value)
    now["plotted"] = point["value"]
    now["points"] += 1
    now["pending"] = 0
    return at + 1


@njit(cache=True, error_model="numpy")
def _close(memory: Any, tables: Any, at: int, r: int, i: int, sensor: int) -> int:
    """Complete the open subgroup, if there is one."""
    state, _, _ = memory
    settings, _, _, _, _ = tables
    now = state[r]
    spec = settings[now["variant"]]
    weight = now["weight"]
    if weight <= 0.0:
        return at
    value = now["mean"]
    flags = _HELD if now["held"] else 0
    scale = 1.0
    spread = np.nan
    if spec["spread"] == RANGE and weight > 1.0:
        spread = now["highest"] - now["lowest"]
    elif spec["spread"] == DEVIATION and weight > 1.0:
        spread = sqrt(now["square"] / (weight - 1.0))
    if spec["mode"] == BLOCK:
        if weight < spec["need"]:
            value = np.nan
            flags |= _PARTIAL
        else:
            missing = now["block"] - now["judged"] - 1
            if now["judged"] >= 0 and missing * spec["block"] > spec["gap"]:
                now["pending"] |= _GAP
            now["judged"] = now["block"]
    elif spec["size"] > 0 and weight < spec["size"]:
        flags |= _PARTIAL
        scale = sqrt(spec["size"] / weight)
        if weight < 2.0:
            value = np.nan
    if isnan(value):
        spread = np.nan
        now["unjudged"] += 1
    now["weight"] = 0.0
    return int(
        _emit(
            memory, tables, at, r, i, sensor, now["first"], now["newest"],
            value, spread, weight, scale, flags, now["group"], now["where"],
        )
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _add(
    state: NDArray[np.void],
    r: int,
    t: int,
    x: float,
    weight: float,
    held: int,
    product: int,
    place: float,
) -> None:
    """One more value for the open subgroup (mean and squares after Welford)."""
    now = state[r]
    if now["weight"] <= 0.0:
        now["mean"] = 0.0
        now["square"] = 0.0
        now["lowest"] = x
        now["highest"] = x
        now["first"] = t
        now["held"] = 0
    now["weight"] += weight
    away = x - now["mean"]
    now["mean"] += away * weight / now["weight"]
    now["square"] += weight * away * (x - now["mean"])
    now["lowest"] = min(now["lowest"], x)
    now["highest"] = max(now["highest"], x)
    now["newest"] = t
    now["held"] |= held
    now["group"] = product
    now["where"] = place


@njit(cache=True, error_model="numpy")
def _residual(memory: Any, tables: Any, r: int, t: int, x: float) -> float:
    """What the model of the past did not expect; NaN without enough past."""
    state, pasts, _ = memory
    settings, coefficients, fades, _, _ = tables
    now = state[r]
    v = now["variant"]
    spec = settings[v]
    mode = spec["mode"]
    past = pasts[r]
    away = x - spec["level"]
    if mode == TAU:
        dt = float(t - now["last"])
        e = np.nan
        if now["filled"] > 0:
            if dt <= 0.0:
                return np.nan
            share = -expm1(-2.0 * dt / spec["tau"])
            e = (away - exp(-dt / spec["tau"]) * past[0]) * sqrt(spec["share"] / share)
        past[0] = away
        now["filled"] = 1
        now["last"] = t
        return float(e)

    steps = 1
    if spec["step"] > 0 and now["filled"] > 0:
        steps = max(1, (t - now["last"] + spec["step"] // 2) // spec["step"])
    now["last"] = t
    if mode == AR:
        order = spec["order"]
        if steps > _FAR or (steps > 1 and now["filled"] < order):
            now["filled"] = 0
        e = np.nan
        if now["filled"] >= order:
            expected = 0.0
            for step in range(steps):
                expected = 0.0
                for lag in range(order):
                    expected += coefficients[v, lag] * past[lag]
                if step < steps - 1:
                    for lag in range(order - 1, 0, -1):
                        past[lag] = past[lag - 1]
                    past[0] = expected
            e = (away - expected) * fades[v, min(steps, STEPS) - 1]
        for lag in range(order - 1, 0, -1):
            past[lag] = past[lag - 1]
        past[0] = away
        now["filled"] = min(now["filled"] + 1, order)
        return float(e)

    if now["filled"] == 0:
        now["filled"] = 1
        now["trend"] = 0.0
        if isnan(spec["level"]):
            now["level"] = x
            return np.nan
        now["level"] = spec["level"]
        steps = 1
    expected = now["level"] + steps * now["trend"]
    e = x - expected
    now["level"] = expected
    if abs(e) <= spec["width"]:
        now["level"] += spec["alpha"] * e
        if mode == HOLT:
            now["trend"] += spec["alpha"] * spec["beta"] * e / steps
    return float(e)


@njit(cache=True, error_model="numpy")
def _count(
    memory: Any, tables: Any, at: int, r: int, i: int, sensor: int, t: int, x: float,
    product: int, place: float,
) -> int:  # fmt: skip
    """A counter's rate since the sample before, shared out between the blocks it lies in."""
    state, pasts, _ = memory
    settings, _, _, _, _ = tables
    now = state[r]
    spec = settings[now["variant"]]
    before, since, known = pasts[r, 0], now["last"], now["filled"]
    block = spec["block"]
    if known and t <= since:
        return at
    pasts[r, 0] = x
    now["last"] = t
    now["filled"] = 1
    if not known:
        return at
    gone = x - before
    if gone < 0.0:
        over = before - spec["low"] > 0.9 * spec["span"] and x - spec["low"] < 0.1 * spec["span"]
        if not over:
            now["resets"] += 1
            return at
        gone += spec["span"]
    rate = gone / (float(t - since) / 1e9)
    # An interval ends in the block of its last nanosecond: t on a border belongs to the one before.
    old, new = since // block, (t - 1) // block
    if now["weight"] > 0.0 and now["block"] != old:
        at = _close(memory, tables, at, r, i, sensor)
    if old == new:
        now["block"] = new
        _add(state, r, t, rate, float(t - since) / 1e9, 0, product, place)
        return at
    if new - old > 1:
        return int(_close(memory, tables, at, r, i, sensor))
    border = new * block
    now["block"] = old
    if border > since:
        _add(state, r, border, rate, float(border - since) / 1e9, 0, product, place)
    at = _close(memory, tables, at, r, i, sensor)
    now["block"] = new
    _add(state, r, t, rate, float(t - border) / 1e9, 0, product, place)
    return at


@njit(cache=True, error_model="numpy")
def _take(
    memory: Any, tables: Any, at: int, r: int, i: int, sensor: int, t: int, x: float,
    held: int, product: int, place: float,
) -> int:  # fmt: skip
    """One good sample, sent or held."""
    state, _, _ = memory
    settings, _, _, _, _ = tables
    now = state[r]
    spec = settings[now["variant"]]
    mode = spec["mode"]
    flags = _HELD if held else 0
    if spec["follows"]:
        wanted = np.nan
        if now["set_known"] > 0:
            wanted = now["set_value"] if t >= now["set_time"] else now["set_before"]
        settling = now["set_known"] > 1 and 0 <= t - now["set_time"] < spec["settle"]
        if settling:
            now["filled"] = 0
            now["pending"] |= _GAP
        if settling or isnan(wanted):
            now["unjudged"] += 1
            if RAW <= mode <= HOLT:
                at = _emit(
                    memory, tables, at, r, i, sensor, t, t, np.nan, np.nan, 1.0, 1.0, flags,
                    product, place,
                )  # fmt: skip
            return at
        x -= wanted
    if RAW <= mode <= HOLT:
        value = x if mode == RAW else _residual(memory, tables, r, t, x)
        if isnan(value):
            now["unjudged"] += 1
        return int(
            _emit(
                memory, tables, at, r, i, sensor, t, t, value, np.nan, 1.0, 1.0, flags,
                product, place,
            )
        )  # fmt: skip
    if mode == THIN:
        now["turn"] += 1
        if now["turn"] > 1:
            if now["turn"] >= spec["every"]:
                now["turn"] = 0
            return at
        return int(
            _emit(
                memory, tables, at, r, i, sensor, t, t, x, np.nan, 1.0, 1.0, flags,
                product, place,
            )
        )  # fmt: skip
    if mode == BLOCK:
        if spec["counter"]:
            return int(_count(memory, tables, at, r, i, sensor, t, x, product, place))
        block = t // spec["block"]
        if now["weight"] > 0.0 and block != now["block"]:
            at = _close(memory, tables, at, r, i, sensor)
        now["block"] = block
        _add(state, r, t, x, 1.0, held, product, place)
        return at
    if mode == PIECE:
        if now["weight"] > 0.0 and product != now["group"]:
            at = _close(memory, tables, at, r, i, sensor)
        if spec["size"] == 0 and product < 0:
            now["unjudged"] += 1
            return at
        _add(state, r, t, x, 1.0, 0, product, place)
        if spec["size"] > 0 and now["weight"] >= spec["size"]:
            at = _close(memory, tables, at, r, i, sensor)
        return at
    now["unjudged"] += 1
    return at


@njit(cache=True, error_model="numpy")
def _restart(state: NDArray[np.void], r: int, flag: int) -> None:
    """Forget the past; the subgroup that was open is closed before."""
    now = state[r]
    now["filled"] = 0
    now["turn"] = 0
    now["weight"] = 0.0
    if now["points"] > 0:
        now["pending"] |= flag


@njit(cache=True, error_model="numpy")
def _variant(settings: NDArray[np.void], first: int, stop: int, recipe: int) -> int:
    """Settings of a recipe; the last ones of a sensor are for all others."""
    for v in range(first, stop - 1):
        if settings[v]["recipe"] == recipe:
            return v
    return stop - 1


@njit(cache=True, error_model="numpy")
def _want(state: NDArray[np.void], r: int, t: int, x: float) -> None:
    """A set-point arrived."""
    now = state[r]
    if now["set_known"] == 0:
        now["set_known"] = 1
        now["set_before"] = np.nan
        now["set_value"] = x
        now["set_time"] = t
    elif t < now["set_seen"]:
        return
    elif x != now["set_value"]:
        now["set_known"] = 2
        now["set_before"] = now["set_value"]
        now["set_value"] = x
        now["set_time"] = t
    now["set_seen"] = t


@njit(cache=True, error_model="numpy")
def series_rows(
    start: int,
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    product: NDArray[np.int32],
    place: NDArray[np.float64],
    recipe: NDArray[np.int32],
    row_of: NDArray[np.int32],
    variants: NDArray[np.int64],
    wanting: NDArray[np.int64],
    wanting_first: NDArray[np.int64],
    settings: NDArray[np.void],
    coefficients: NDArray[np.float64],
    fades: NDArray[np.float64],
    shape_x: NDArray[np.float64],
    shape_y: NDArray[np.float64],
    state: NDArray[np.void],
    pasts: NDArray[np.float64],
    out: NDArray[np.void],
) -> tuple[int, int]:
    """Walk the rows from ``start`` on and write the points they complete into ``out``.

    Args:
        start: First row to look at.
        sensor: Shape (n,); dense sensor index.
        time_ns: Shape (n,); event time.
        value: Shape (n,); unit of the sensor.
        quality: Shape (n,).
        marks: Shape (n,).
        product: Shape (n,).
        place: Shape (n,).
        recipe: Shape (n,).
        row_of: Shape (sensors,); row of a sensor, -1 for none.
        variants: Shape (rows + 1,); settings r to r + 1 belong to row r, the last to all recipes.
        wanting: Rows that follow a set-point, ordered by the sensor that brings it.
        wanting_first: Shape (sensors + 1,); where the rows of a sensor start in ``wanting``.
        settings: Shape (variants,) of SETTINGS.
        coefficients: Shape (variants, LAGS); of the past 1, 2, ... samples.
        fades: Shape (variants, STEPS); sigma of a forecast of one step over that of 1, 2, ...
        shape_x: Residuals in sigma, all shapes one after the other.
        shape_y: Normal scores, likewise.
        state: Shape (rows,) of STATE; changed.
        pasts: Shape (rows, LAGS); newest first, as deviations from the level; changed.
        out: Shape (m,) of POINT, m >= 2 ROOM; written from 0 on.

    Returns:
        Row to go on with (n when finished) and number of points written.
    """
    memory = (state, pasts, out)
    tables = (settings, coefficients, fades, shape_x, shape_y)
    at = 0
    for i in range(start, len(sensor)):
        s = sensor[i]
        r = row_of[s]
        first, stop = wanting_first[s], wanting_first[s + 1]
        if r < 0 and first == stop:
            continue
        if at + 2 * ROOM > len(out):
            return i, at
        x = value[i]
        t = time_ns[i]
        late = marks[i] & _LATE
        good = quality[i] == GOOD and not marks[i] & _INVALID and isfinite(x)
        if good and not late:
            for j in range(first, stop):
                _want(state, wanting[j], t, x)
        if r < 0:
            continue
        now = state[r]
        if late or (now["samples"] > 0 and t < now["time"]):
            now["late"] += 1
            continue
        if not good:
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            if RAW <= settings[now["variant"]]["mode"] <= HOLT and now["samples"] > 0:
                at = _emit(
                    memory, tables, at, r, i, s, t, t, np.nan, np.nan, 1.0, 1.0, 0,
                    product[i], place[i],
                )  # fmt: skip
            continue
        if now["samples"] == 0:
            now["recipe"] = recipe[i]
            now["variant"] = _variant(settings, variants[r], variants[r + 1], recipe[i])
            now["judged"] = -1
            now["cursor"] = -1

        # What a source that reports by exception did not send up to now.
        spec = settings[now["variant"]]
        silence = spec["silence"]
        if silence > 0 and now["cursor"] >= 0:
            step = spec["step"]
            while now["cursor"] * step < t:
                if at + 2 * ROOM > len(out):
                    return i, at
                g = now["cursor"] * step
                if g - now["time"] > silence:
                    now["cursor"] = -1
                    if spec["mode"] != BLOCK:
                        _restart(state, r, _GAP)
                    break
                held = 1 if g - now["time"] >= step else 0
                at = _take(
                    memory, tables, at, r, i, s, g, now["value"], held, now["product"],
                    now["place"],
                )  # fmt: skip
                now["cursor"] += 1

        if recipe[i] != now["recipe"]:
            at = _close(memory, tables, at, r, i, s)
            _restart(state, r, _RESET)
            now["recipe"] = recipe[i]
            now["variant"] = _variant(settings, variants[r], variants[r + 1], recipe[i])
            now["judged"] = -1
            now["cursor"] = -1
            spec = settings[now["variant"]]
            silence = spec["silence"]
        elif silence == 0 and now["samples"] > 0:
            piecewise = spec["mode"] == PIECE and spec["size"] == 0
            blockwise = spec["mode"] == BLOCK
            hole = t - now["time"] > spec["gap"] or marks[i] & _AFTER_GAP
            if hole and not piecewise and not blockwise:
                at = _close(memory, tables, at, r, i, s)
                _restart(state, r, _GAP)

        if silence > 0:
            if now["cursor"] < 0:
                now["cursor"] = -(-t // spec["step"])
        else:
            at = _take(memory, tables, at, r, i, s, t, x, 0, product[i], place[i])
        now["samples"] += 1
        now["skipped_in_row"] = 0
        now["time"] = t
        now["value"] = x
        now["product"] = product[i]
        now["place"] = place[i]
    return len(sensor), at
