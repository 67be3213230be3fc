"""The part of formation tracking that looks at every sample: state of a channel and its kernels.

Samples of one moment become a *row*; a row that goes back in time is bridged; rows add up to the
open *step* and *cycle*, of which a record is put out when they end. Kernels only add up; names and
judgements are in :mod:`twin.physics.formation_events`.

State and kernels stay in one file although it is long: the cache of compiled code watches the file
of a kernel, not the files of the constants and kernels it uses.

Units: V, A, A.s, W.s, A.h, Cel, Ohm; times are ns since 1970.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BY_CAPACITY",
    "BY_CURRENT",
    "BY_STEP",
    "CYCLE",
    "FIRST_T",
    "ROOM",
    "SLOTS",
    "SPREAD",
    "SPREAD_K",
    "STATE",
    "STEP",
    "empty_state",
    "feed",
    "finish",
]

SLOTS = ("voltage", "current", "step", "cycle", "charge", "discharge", "capacity")
"""Columns of a row, in the order of the constants below."""

VOLTAGE, CURRENT, NUMBER, CYCLE_NUMBER, CHARGE, DISCHARGE, CAPACITY = range(7)

FIRST_T = 7
"""Thermocouples follow from this column of a row on."""

BY_STEP, BY_CURRENT, BY_CAPACITY = 0, 1, 2
"""How the steps of a channel are found."""

STEP, CYCLE, SPREAD = 1, 2, 3
"""Why a record was put out."""

ROOM = 32
"""A sample puts out far fewer records than this."""

BRIDGE_NS = 10_000_000
"""A row that went back in time and returns stands 0.01 s before the next one."""

MAX_GAP_NS = 3_600_000_000_000
"""Longer holes between two rows are not integrated but counted (proposed)."""

RESET_AH = 1e-9
"""A counter that falls by less (1e-6 mA.h) has jitter, not a reset."""

SPREAD_K = 5.0
"""Thermocouples of one cell that differ by more disagree (control plan row CP39)."""

TARGETS_NS = (1_000_000_000, 3_000_000_000, 10_000_000_000)
"""Times after the step edge at which resistance is taken."""

STEADY = 0.9
"""Resistance is only taken while the current holds at least this part of its peak (proposed)."""

_WHOLE = """
    code channel batch_row
    started ordinal rows t_first t_last complete
    pending_n pending_t
    held held_t row_t amp_t
    edge_t edge_rest
    zero_steps regressions breaks gaps
    sign resets spread_rows
    charged discharged cycle_ordinal cycle_steps cycle_t cycle_doubt
"""
"""Integers by line: the record and the batch row that put it out; the step; the row in the making;
a row that went back in time and the last row and the last current; the edge before the step; what
was odd about its times; sign of the current, resets of its counters, rows with disagreeing
thermocouples; the open cycle."""

_REAL = """
    number cycle
    v_first v_last v_min v_max
    i_first i_last i_peak i_sum i_rows
    up_as down_as up_ws down_ws gap_s
    edge_v edge_i last_v last_i
    t_min t_max spread
    r1 r3 r10
    charge_base charge_last charge_lost
    discharge_base discharge_last discharge_lost
    capacity_base capacity_last capacity_lost
    cycle_up_as cycle_down_as cycle_up_ah cycle_down_ah cycle_up_lost cycle_down_lost
"""
"""Floats by line: numbers as sent; voltage; current; charge and energy by direction; the edge and
the last row; temperature; resistance; three counters (where they began, stand, and what resets
lost); the open cycle by integral and by counter."""

_UNKNOWN = """
    number cycle v_first v_last v_min v_max i_first i_last edge_v edge_i last_v last_i t_min t_max
    r1 r3 r10 charge_base charge_last discharge_base discharge_last capacity_base capacity_last
"""
"""Fields that are NaN until something was seen."""

STATE = np.dtype(
    [(name, np.int64) for name in _WHOLE.split()] + [(name, np.float64) for name in _REAL.split()]
)
"""One channel."""


def empty_state(channels: int) -> NDArray[Any]:
    """State of channels that have seen nothing; shape (channels,), dtype :data:`STATE`."""
    state = np.zeros(channels, STATE)
    for name in _UNKNOWN.split():
        state[name] = np.nan
    state["channel"] = np.arange(channels)
    return state


@numba.njit(cache=True, error_model="numpy")
def _open(s: Any) -> None:
    """Begin a new step after the last row."""
    s["rows"] = 0
    s["complete"] = 0
    s["edge_t"] = s["amp_t"]
    s["edge_v"] = s["last_v"]
    s["edge_i"] = s["last_i"]
    s["v_first"] = np.nan
    s["v_min"] = np.nan
    s["v_max"] = np.nan
    s["v_last"] = np.nan
    s["i_first"] = np.nan
    s["i_last"] = np.nan
    s["i_peak"] = 0.0
    s["i_sum"] = 0.0
    s["i_rows"] = 0.0
    s["up_as"] = 0.0
    s["down_as"] = 0.0
    s["up_ws"] = 0.0
    s["down_ws"] = 0.0
    s["gap_s"] = 0.0
    s["gaps"] = 0
    s["regressions"] = 0
    s["breaks"] = 0
    s["zero_steps"] = 0
    s["t_min"] = np.nan
    s["t_max"] = np.nan
    s["spread"] = 0.0
    s["spread_rows"] = 0
    s["r1"] = np.nan
    s["r3"] = np.nan
    s["r10"] = np.nan
    s["resets"] = 0
    s["charge_lost"] = 0.0
    s["discharge_lost"] = 0.0
    s["capacity_lost"] = 0.0
    s["charge_base"] = s["charge_last"]
    s["discharge_base"] = s["discharge_last"]
    s["capacity_base"] = s["capacity_last"]


@numba.njit(cache=True, error_model="numpy")
def _reset(before: float, after: float) -> bool:
    """Whether a counter started again: it fell, and to less than half."""
    return before - after > RESET_AH and after < before / 2


@numba.njit(cache=True, error_model="numpy")
def _counted(base: float, last: float) -> float:
    """What a counter says about a step, without what its resets lost."""
    return abs(last - base) if np.isfinite(last) and np.isfinite(base) else 0.0


@numba.njit(cache=True, error_model="numpy")
def _count(s: Any, row: NDArray[np.float64]) -> None:
    """Follow the three counters through their resets."""
    value = row[CHARGE]
    if np.isfinite(value):
        if np.isnan(s["charge_base"]):
            s["charge_base"] = value
        elif _reset(s["charge_last"], value):
            if s["rows"] > 0:
                s["charge_lost"] += s["charge_last"] - s["charge_base"]
                s["resets"] += 1
            s["charge_base"] = 0.0
        s["charge_last"] = value
    value = row[DISCHARGE]
    if np.isfinite(value):
        if np.isnan(s["discharge_base"]):
            s["discharge_base"] = value
        elif _reset(s["discharge_last"], value):
            if s["rows"] > 0:
                s["discharge_lost"] += s["discharge_last"] - s["discharge_base"]
                s["resets"] += 1
            s["discharge_base"] = 0.0
        s["discharge_last"] = value
    value = row[CAPACITY]
    if np.isfinite(value):
        if np.isnan(s["capacity_base"]):
            s["capacity_base"] = value
        elif _reset(s["capacity_last"], value):
            if s["rows"] > 0:
                s["capacity_lost"] += s["capacity_last"] - s["capacity_base"]
                s["resets"] += 1
            s["capacity_base"] = 0.0
        s["capacity_last"] = value


@numba.njit(cache=True, error_model="numpy")
def _is_new(s: Any, row: NDArray[np.float64], mode: int, rest: float) -> bool:
    """Whether a row begins another step than the open one."""
    if mode == BY_STEP:
        # The first number names the step that is already open.
        return bool(np.isfinite(row[NUMBER] - s["number"]) and row[NUMBER] != s["number"])
    if mode == BY_CURRENT:
        return bool(np.isfinite(row[CURRENT]) and _sign(row[CURRENT], rest) != s["sign"])
    return bool(np.isfinite(row[CAPACITY]) and _reset(s["capacity_last"], row[CAPACITY]))


@numba.njit(cache=True, error_model="numpy")
def _sign(current: float, rest: float) -> int:
    if abs(current) <= rest:
        return 0
    return 1 if current > 0 else -1


@numba.njit(cache=True, error_model="numpy")
def _emit(s: Any, code: int, out: NDArray[Any], n: int) -> int:
    s["code"] = code
    out[n] = s
    return n + 1


@numba.njit(cache=True, error_model="numpy")
def _clear_cycle(s: Any) -> None:
    s["cycle_ordinal"] += 1
    s["cycle_steps"] = 0
    s["cycle_doubt"] = 0
    s["charged"] = 0
    s["discharged"] = 0
    s["cycle_up_as"] = 0.0
    s["cycle_down_as"] = 0.0
    s["cycle_up_ah"] = 0.0
    s["cycle_down_ah"] = 0.0
    s["cycle_up_lost"] = 0.0
    s["cycle_down_lost"] = 0.0


@numba.njit(cache=True, error_model="numpy")
def _add_to_cycle(s: Any, mode: int, rest: float) -> None:
    """Add the closing step to the cycle: its charge, and what the counters say."""
    if mode == BY_CAPACITY:
        # Without a current the first half of a pair is "up", the second "down".
        up = s["charged"] == 0
    else:
        if s["i_peak"] <= rest:
            return
        up = s["up_as"] + s["down_as"] >= 0
    if s["cycle_steps"] == 0:
        s["cycle_t"] = s["t_first"]
    s["cycle_steps"] += 1
    s["cycle_doubt"] += s["breaks"] + s["gaps"]
    s["cycle_up_as"] += s["up_as"]
    s["cycle_down_as"] += s["down_as"]
    if up:
        s["charged"] = 1
        if np.isfinite(s["charge_last"]):
            s["cycle_up_ah"] += _counted(s["charge_base"], s["charge_last"])
            s["cycle_up_lost"] += s["charge_lost"]
        else:
            s["cycle_up_ah"] += _counted(s["capacity_base"], s["capacity_last"])
            s["cycle_up_lost"] += s["capacity_lost"]
    else:
        s["discharged"] = 1
        if np.isfinite(s["discharge_last"]):
            s["cycle_down_ah"] += _counted(s["discharge_base"], s["discharge_last"])
            s["cycle_down_lost"] += s["discharge_lost"]
        else:
            s["cycle_down_ah"] += _counted(s["capacity_base"], s["capacity_last"])
            s["cycle_down_lost"] += s["capacity_lost"]


@numba.njit(cache=True, error_model="numpy")
def _resistance(s: Any, t: int, v: float, i: float, rest: float) -> None:
    """DC resistance at fixed times after an edge from rest.

    R = (V(t) - V_ref) / (I(t) - I_ref), reference = last row of the rest, V and I interpolated
    linearly between the rows around t. Rows further apart than t itself say nothing about it,
    nor does a current that has already fallen.
    """
    for k in range(3):
        at = s["edge_t"] + TARGETS_NS[k]
        before = s["amp_t"]
        if before >= at or t < at or t - before > 1.05 * TARGETS_NS[k]:
            continue
        part = (at - before) / (t - before)
        volt = s["last_v"] + (v - s["last_v"]) * part
        ampere = s["last_i"] + (i - s["last_i"]) * part
        peak = max(s["i_peak"], abs(i))
        if abs(ampere - s["edge_i"]) <= rest or abs(ampere) < STEADY * peak:
            continue
        ohm = (volt - s["edge_v"]) / (ampere - s["edge_i"])
        if k == 0:
            s["r1"] = ohm
        elif k == 1:
            s["r3"] = ohm
        else:
            s["r10"] = ohm


@numba.njit(cache=True, error_model="numpy")
def _integrate(s: Any, t: int, v: float, i: float, rest: float) -> None:
    """Charge and energy since the last row by trapezoid, split by direction."""
    if s["edge_rest"] == 1 and s["breaks"] == 0:
        _resistance(s, t, v, i, rest)
    step_ns = t - s["amp_t"]
    if step_ns > MAX_GAP_NS:
        s["gaps"] += 1
        s["gap_s"] += step_ns / 1e9
        return
    if step_ns == 0:
        s["zero_steps"] += 1
        return
    seconds = step_ns / 1e9
    charge = seconds * (i + s["last_i"]) / 2
    energy = seconds * (v * i + s["last_v"] * s["last_i"]) / 2
    if charge >= 0:
        s["up_as"] += charge
    else:
        s["down_as"] += charge
    if np.isfinite(energy):
        if energy >= 0:
            s["up_ws"] += energy
        else:
            s["down_ws"] += energy


@numba.njit(cache=True, error_model="numpy")
def _temperatures(s: Any, row: NDArray[np.float64]) -> bool:
    """Follow the thermocouples; True when they disagree for the first time in this step."""
    low, high, seen = np.inf, -np.inf, 0
    for k in range(FIRST_T, len(row)):
        if np.isfinite(row[k]):
            low, high, seen = min(low, row[k]), max(high, row[k]), seen + 1
    if seen == 0:
        return False
    if not s["t_min"] <= low:
        s["t_min"] = low
    if not s["t_max"] >= high:
        s["t_max"] = high
    if seen < 2:
        return False
    s["spread"] = max(s["spread"], high - low)
    if high - low <= SPREAD_K + 1e-9:
        return False
    s["spread_rows"] += 1
    return bool(s["spread_rows"] == 1)


@numba.njit(cache=True, error_model="numpy")
def _add_row(
    s: Any,
    t: int,
    row: NDArray[np.float64],
    mode: int,
    rest: float,
    out: NDArray[Any],
    temps: NDArray[np.float64],
    n: int,
) -> int:
    """Take one row in order; returns the number of records put out so far."""
    if s["started"] == 0 or _is_new(s, row, mode, rest):
        if s["started"] == 1 and s["rows"] > 0:
            s["complete"] = 1
            _add_to_cycle(s, mode, rest)
            n = _emit(s, STEP, out, n)
            s["ordinal"] += 1
            if mode == BY_CAPACITY and s["discharged"] == 1:
                n = _emit(s, CYCLE, out, n)
                _clear_cycle(s)
        s["edge_rest"] = int(s["started"] == 1 and abs(s["last_i"]) <= rest)
        _open(s)
        s["t_first"] = t
        if s["started"] == 0:
            s["edge_t"] = t
        s["started"] = 1
        if np.isfinite(row[CURRENT]):
            s["sign"] = _sign(row[CURRENT], rest)
    if np.isfinite(row[NUMBER]):
        s["number"] = row[NUMBER]
    if np.isfinite(row[CYCLE_NUMBER]):
        s["cycle"] = row[CYCLE_NUMBER]
    v = row[VOLTAGE] if np.isfinite(row[VOLTAGE]) else s["last_v"]
    i = row[CURRENT]
    if np.isfinite(i):
        if np.isfinite(s["last_i"]):
            _integrate(s, t, v, i, rest)
        if np.isnan(s["i_first"]):
            s["i_first"] = i
        s["i_peak"] = max(s["i_peak"], abs(i))
        s["i_sum"] += i
        s["i_rows"] += 1.0
        s["i_last"] = i
        s["last_i"] = i
        if i > rest and s["discharged"] == 1 and s["up_as"] + s["down_as"] > 0:
            s["complete"] = s["charged"]
            n = _emit(s, CYCLE, out, n)
            _clear_cycle(s)
    if np.isfinite(row[VOLTAGE]):
        if np.isnan(s["v_first"]):
            s["v_first"] = v
        if not s["v_min"] <= v:
            s["v_min"] = v
        if not s["v_max"] >= v:
            s["v_max"] = v
        s["v_last"] = v
        s["last_v"] = v
    _count(s, row)
    s["rows"] += 1
    if np.isfinite(i) or mode == BY_CAPACITY:
        s["amp_t"] = t
    s["row_t"] = max(s["row_t"], t)
    s["t_last"] = s["row_t"]
    if _temperatures(s, row):
        n = _emit(s, SPREAD, out, n)
        temps[n - 1, :] = row[FIRST_T:]
    return n


@numba.njit(cache=True, error_model="numpy")
def _known(s: Any, row: NDArray[np.float64], mode: int) -> int:
    """How steps are found with what this channel really sends: recordings may lack a column."""
    if mode == BY_CAPACITY:
        return BY_CAPACITY
    if np.isnan(s["last_i"]) and np.isnan(row[CURRENT]) and np.isfinite(row[CAPACITY]):
        return BY_CAPACITY
    if mode == BY_STEP and np.isnan(s["number"]) and np.isnan(row[NUMBER]):
        return BY_CURRENT
    return mode


@numba.njit(cache=True, error_model="numpy")
def _in_order(
    s: Any,
    t: int,
    row: NDArray[np.float64],
    held: NDArray[np.float64],
    mode: int,
    rest: float,
    out: NDArray[Any],
    temps: NDArray[np.float64],
    n: int,
) -> int:
    """Bridge a single row that goes back in time; a second one means the clock was set back.

    Only rows with a current (or, without one, a capacity) are judged: companions that come on
    their own, such as a temperature, have no part in the time axis of the integral.
    """
    mode = _known(s, row, mode)
    slow = np.isnan(row[CAPACITY] if mode == BY_CAPACITY else row[CURRENT])
    for turn in range(2):
        late, broken = False, False
        at, line = t, row
        if turn == 0:
            if slow or s["held"] == 0:
                continue
            s["held"] = 0
            late, broken = t >= s["amp_t"], t < s["amp_t"]
            line = held
            at = max(s["amp_t"], t - BRIDGE_NS) if late else s["held_t"]
            if broken:
                s["row_t"] = at
                s["amp_t"] = at
        elif slow:
            at = max(t, s["row_t"])
        elif s["started"] == 1 and t < s["amp_t"]:
            s["held"] = 1
            s["held_t"] = t
            held[:] = row
            continue
        n = _add_row(s, at, line, mode, rest, out, temps, n)
        s["regressions"] += int(late)
        s["breaks"] += int(broken)
    return n


@numba.njit(cache=True, error_model="numpy")
def feed(
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    channel_of: NDArray[np.int32],
    slot_of: NDArray[np.int32],
    factor: NDArray[np.float64],
    offset: NDArray[np.float64],
    width: NDArray[np.int64],
    mode: NDArray[np.int64],
    rest: NDArray[np.float64],
    state: NDArray[Any],
    pending: NDArray[np.float64],
    held: NDArray[np.float64],
    out: NDArray[Any],
    temps: NDArray[np.float64],
    start: int,
) -> tuple[int, int]:
    """Walk over samples; stops when the output has no room for another row.

    A row is what a channel sends for one moment: samples of one time, each sensor once. It is
    taken when it is complete, when another time begins, or when a sensor speaks again.

    Args:
        sensor: int32[n], dense sensor index.
        time_ns: int64[n], event time.
        value: float64[n].
        quality: uint8[n]; 0 (bad) is not used.
        channel_of: int32[sensors], channel of a sensor or -1.
        slot_of: int32[sensors], its place in a row.
        factor: float64[sensors], to V, A, A.h, Cel from the unit of the sensor.
        offset: float64[sensors], added after the factor.
        width: int64[channels], number of sensors of a channel.
        mode: int64[channels], how steps are found.
        rest: float64[channels], A, > 0.
        state: :data:`STATE` [channels], changed in place.
        pending: float64[channels, slots], rows in the making, changed in place.
        held: float64[channels, slots], rows waiting for their time, changed in place.
        out: :data:`STATE` [k], records put out.
        temps: float64[k, thermocouples], beside ``out``.
        start: First sample.

    Returns:
        Next sample, number of records put out.
    """
    n = 0
    for k in range(start, len(sensor)):
        c = channel_of[sensor[k]]
        if c < 0 or quality[k] == 0 or not np.isfinite(value[k]):
            continue
        if n + ROOM > len(out):
            return k, n
        s = state[c]
        line = pending[c]
        slot = slot_of[sensor[k]]
        for turn in range(2):
            if turn == 0:
                ripe = s["pending_n"] > 0 and (
                    time_ns[k] != s["pending_t"] or np.isfinite(line[slot])
                )
            else:
                s["pending_t"] = time_ns[k]
                s["pending_n"] += 1
                line[slot] = value[k] * factor[sensor[k]] + offset[sensor[k]]
                ripe = s["pending_n"] == width[c]
            if ripe:
                at = s["pending_t"]
                s["batch_row"] = k
                n = _in_order(s, at, line, held[c], mode[c], rest[c], out, temps, n)
                s["batch_row"] = 0
                line[:] = np.nan
                s["pending_n"] = 0
    return len(sensor), n


def finish(
    s: Any,
    pending: NDArray[np.float64],
    held: NDArray[np.float64],
    mode: int,
    rest: float,
    out: NDArray[Any],
    temps: NDArray[np.float64],
) -> int:
    """Close a channel at the end of a recording: last rows, open step, open cycle.

    Runs once per channel, so it is plain Python on top of the compiled parts.
    """
    n = 0
    if s["pending_n"] > 0:
        n = _in_order(s, s["pending_t"], pending, held, mode, rest, out, temps, n)
        s["pending_n"] = 0
    if s["held"] == 1:
        # Nothing comes after it: it stands where the last row in order stood.
        n = _in_order(s, s["amp_t"], held.copy(), held, mode, rest, out, temps, n)
    if s["started"] == 0 or s["rows"] == 0:
        return n
    if np.isnan(s["last_i"]) and np.isfinite(s["capacity_last"]):
        mode = BY_CAPACITY
    resting = mode != BY_CAPACITY and s["i_peak"] <= rest
    both = s["charged"] == 1 and s["discharged"] == 1
    _add_to_cycle(s, mode, rest)
    s["complete"] = 0
    n = _emit(s, STEP, out, n)
    if s["charged"] == 1 or s["discharged"] == 1:
        s["complete"] = int(resting and both)
        n = _emit(s, CYCLE, out, n)
    s["rows"] = 0
    s["started"] = 0
    return n
