"""What is told about formation: records of a channel made into events.

Kinds of steps and what agrees or not is judged here, from sums that are complete.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.model.event import Event, event_id
from twin.physics import formation_kernel as kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.line import Channel

__all__ = ["VERSION", "event_of", "name_of"]

VERSION = 1
"""Version of the rules; part of every event id and of the snapshot."""

FLAT_V = 0.010
"""A step whose voltage moves by less while the current falls is a constant-voltage step."""

FALL = 0.9
"""The current has fallen when it ends below this part of its peak."""

AGREE = 0.01
"""Efficiencies by integral and by counter that differ by more disagree."""

MIXED = 0.05
"""A step with more than this part of its charge in the other direction is mixed."""


def event_of(channel: Channel, record: np.void, temps: NDArray[np.float64]) -> Event:
    """The event a record stands for.

    Args:
        channel: Its channel.
        record: One :data:`~twin.physics.formation_kernel.STATE`.
        temps: Thermocouples at the moment of a disagreement, Cel; NaN where none was sent.
    """
    if record["code"] == kernel.STEP:
        return _step(channel, record)
    if record["code"] == kernel.CYCLE:
        return _cycle(channel, record)
    return _spread(channel, record, temps)


def name_of(channel: Channel) -> str:
    """Name of a channel, ``station/id``."""
    return f"{channel.station}/{channel.id}"


def _ordered(record: np.void) -> bool:
    """Whether there is a capacity counter and nothing else to tell time by."""
    return not _timed(record) and math.isfinite(record["capacity_last"])


def _timed(record: np.void) -> bool:
    """Whether a current was ever seen, so that charge can be integrated."""
    return math.isfinite(record["last_i"])


def _head(channel: Channel) -> str:
    """The sensor an event of a channel is shown at."""
    return channel.current or channel.capacity or channel.voltage


def _number(value: float) -> float | None:
    """A float for JSON; None where there is no value."""
    return float(value) if math.isfinite(value) else None


def _kind(record: np.void, channel: Channel) -> str:
    """What a step was, from its own numbers."""
    if not _timed(record):
        if not math.isfinite(record["capacity_last"]):
            return "unknown"  # neither current nor capacity: the voltage alone is no proof
        return "charge" if record["v_last"] >= record["v_first"] else "discharge"
    if record["i_peak"] <= channel.rest_current_a:
        return "rest"
    up, down = float(record["up_as"]), -float(record["down_as"])
    if min(up, down) > MIXED * max(up, down):
        return "mixed"
    name = "charge" if up >= down else "discharge"
    if abs(record["i_last"]) >= FALL * record["i_peak"] or record["rows"] < 3:
        return name
    if record["v_max"] - record["v_min"] <= FLAT_V:
        return f"cv_{name}"
    end = record["v_max"] if name == "charge" else record["v_min"]
    return f"cccv_{name}" if abs(record["v_last"] - end) <= FLAT_V / 2 else name


def _step(channel: Channel, record: np.void) -> Event:
    kind = _kind(record, channel)
    first = int(record["t_first"])
    name = name_of(channel)
    charge = (float(record["up_as"]) + float(record["down_as"])) / 3600
    timed = _timed(record)
    detail: dict[str, Any] = {
        "channel": name,
        "step": _number(record["number"]),
        "number": int(record["ordinal"]) + 1,
        "cycle_number": _number(record["cycle"]),
        "rows": int(record["rows"]),
        "complete": bool(record["complete"]),
        "voltage_first_v": _number(record["v_first"]),
        "voltage_last_v": _number(record["v_last"]),
        "voltage_min_v": _number(record["v_min"]),
        "voltage_max_v": _number(record["v_max"]),
    }
    detail |= _counters(record, charge, timed=timed)
    if not _ordered(record):
        detail["duration_s"] = (int(record["t_last"]) - first) / 1e9
    if timed:
        energy = float(record["up_ws"]) + float(record["down_ws"])
        detail |= {
            "charge_ah": charge,
            "energy_wh": energy / 3600 if math.isfinite(record["v_last"]) else None,
            "current_mean_a": float(record["i_sum"] / record["i_rows"])
            if record["i_rows"]
            else None,
            "current_peak_a": float(record["i_peak"]),
            "zero_steps": int(record["zero_steps"]),
            "regressions": int(record["regressions"]),
            "clock_set_back": int(record["breaks"]),
            "gaps": int(record["gaps"]),
            "gap_s": float(record["gap_s"]),
        }
        detail |= _resistances(record, channel)
    if math.isfinite(record["t_min"]):
        detail |= {
            "temperature_min_c": float(record["t_min"]),
            "temperature_max_c": float(record["t_max"]),
            "temperature_spread_k": float(record["spread"]),
        }
    return Event(
        id=event_id(kind, VERSION, name, "formation_step", first, int(record["ordinal"])),
        type="formation_step",
        rule=kind,
        ruleset=f"formation@{VERSION}",
        sensor=_head(channel),
        t_first=first,
        t_last=int(record["t_last"]),
        value=charge if timed else detail.get("counter_ah"),
        detail=detail,
        row=int(record["batch_row"]),
    )


def _counters(record: np.void, charge: float, *, timed: bool) -> dict[str, Any]:
    """What the counters say about a step, and how far that is from the integral."""
    single = "charge" if charge >= 0 else "discharge"
    if not timed or not math.isfinite(record[f"{single}_last"]):
        single = "capacity"
    last, base = float(record[f"{single}_last"]), float(record[f"{single}_base"])
    if not math.isfinite(last) or not math.isfinite(base):
        return {}
    lost = float(record[f"{single}_lost"])
    counted = abs(last - base) + lost
    detail: dict[str, Any] = {"counter_ah": counted}
    if record["resets"]:
        detail |= {"counter_resets": int(record["resets"]), "counter_lost_ah": lost}
    if timed and charge:
        detail["counter_deviation"] = counted / abs(charge) - 1
        if lost:
            detail["counter_raw_ah"] = abs(last - base)
    return detail


def _resistances(record: np.void, channel: Channel) -> dict[str, Any]:
    """DC resistances after the step edge; only what was really measured."""
    detail: dict[str, Any] = {}
    jump = float(record["i_first"]) - float(record["edge_i"])
    size = max(float(record["i_peak"]), abs(float(record["edge_i"])))
    if abs(jump) > max(channel.rest_current_a, 0.1 * size):
        move = float(record["v_first"]) - float(record["edge_v"])
        detail["dcir_first_ohm"] = _number(move / jump + 0.0)
    for name in ("r1", "r3", "r10"):
        if math.isfinite(record[name]):
            detail[f"dcir_{name[1:]}s_ohm"] = float(record[name])
    if detail:
        detail["dcir_method"] = "last sample before the edge, linear interpolation"
    return {key: value for key, value in detail.items() if value is not None}


def _cycle(channel: Channel, record: np.void) -> Event:
    name, first = name_of(channel), int(record["cycle_t"])
    timed = _timed(record)
    raw = float(record["cycle_up_ah"]), float(record["cycle_down_ah"])
    whole = raw[0] + float(record["cycle_up_lost"]), raw[1] + float(record["cycle_down_lost"])
    detail: dict[str, Any] = {
        "channel": name,
        "number": int(record["cycle_ordinal"]) + 1,
        "steps": int(record["cycle_steps"]),
        "complete": bool(record["complete"]),
    }
    if timed:
        charge = float(record["cycle_up_as"]) / 3600, abs(float(record["cycle_down_as"])) / 3600
        detail |= {"charge_ah": charge[0], "discharge_ah": charge[1]}
        detail["efficiency"] = _ratio(charge)
        detail["uncertain"] = bool(record["cycle_doubt"])
        if any(raw):
            detail |= {"counter_charge_ah": raw[0], "counter_discharge_ah": raw[1]}
            detail["efficiency_counter"] = _ratio(raw)
            detail["efficiency_counter_repaired"] = _ratio(whole)
            detail["counters_disagree"] = _disagree(detail["efficiency"], _ratio(raw))
    else:
        detail |= {"first_half_ah": whole[0], "second_half_ah": whole[1]}
        detail["efficiency"] = _ratio(whole)
    return Event(
        id=event_id("cycle", VERSION, name, "formation_cycle", first, int(record["cycle_ordinal"])),
        type="formation_cycle",
        rule="cycle",
        ruleset=f"formation@{VERSION}",
        sensor=_head(channel),
        t_first=first,
        t_last=int(record["t_last"]),
        value=detail["efficiency"],
        detail=detail,
        row=int(record["batch_row"]),
    )


def _ratio(halves: tuple[float, float]) -> float | None:
    """Second half over first half; None unless both are there."""
    return halves[1] / halves[0] if halves[0] > 0 and halves[1] > 0 else None


def _disagree(integral: float | None, counter: float | None) -> bool:
    if integral is None or counter is None:
        return integral is not counter
    return abs(counter / integral - 1) > AGREE


def _spread(channel: Channel, record: np.void, temps: NDArray[np.float64]) -> Event:
    seen = {
        n: float(v) for n, v in zip(channel.temperature, temps, strict=False) if math.isfinite(v)
    }
    middle = float(np.median(list(seen.values())))
    odd = max(seen, key=lambda name: abs(seen[name] - middle))
    at, name = int(record["t_last"]), name_of(channel)
    spread = max(seen.values()) - min(seen.values())
    parts = ("temperature_spread", VERSION, name, "data_quality", at, int(record["ordinal"]))
    return Event(
        id=event_id(*parts),
        type="data_quality",
        rule="temperature_spread",
        ruleset=f"formation@{VERSION}",
        sensor=odd,
        t_first=at,
        t_last=at,
        value=spread,
        detail={
            "channel": name,
            "limit_k": kernel.SPREAD_K,
            "step": _number(record["number"]),
            "temperatures_c": seen,
            "message": f"Thermocouples differ by {spread:.2g} K; {odd} stands apart.",
        },
        row=int(record["batch_row"]),
    )
