"""Steps and cycles of formation channels: charge, energy, efficiency, resistance.

Charge is the trapezoid of current over event time; counters of the cycler are a cross-check only,
because real ones reset where they must not. Everything is a pure function of the samples and does
not depend on how they are cut into batches.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.errors import StateError
from twin.model.event import Event, event_id
from twin.physics import formation_kernel as kernel
from twin.units import conversion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from twin.model.batch import Batch
    from twin.model.index import LineIndex
    from twin.model.line import Channel

__all__ = ["FormationTracker"]

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


_UNITS = {0: "V", 1: "A", 4: "A.h", 5: "A.h", 6: "A.h"}
"""Place in a row to the unit the arithmetic works in; step and cycle are numbers."""


class FormationTracker:
    """Follows every formation channel of a line and says what each step and cycle did.

    An event ``formation_step`` has the kind of the step as its rule: ``rest``, ``charge``,
    ``discharge``, ``cv_charge``, ``cv_discharge``, ``cccv_charge``, ``cccv_discharge`` or
    ``mixed``. An event ``formation_cycle`` pairs a charge with the discharge after it (with only a
    capacity counter: the first half cycle with the second); it is never paired by the cycle number
    of the recording. A ``data_quality`` event tells when thermocouples of a cell disagree.

    Args:
        index: The line; its ``channels`` name the sensors.
    """

    def __init__(self, index: LineIndex) -> None:
        self._channels = index.channels
        count = len(self._channels)
        spots = [_sensors(channel) for channel in self._channels]
        deepest = max((len(c.temperature) for c in self._channels), default=0)
        self._channel_of = np.full(len(index), -1, np.int32)
        self._slot_of = np.zeros(len(index), np.int32)
        self._factor, self._offset = np.ones(len(index)), np.zeros(len(index))
        for number, sensors in enumerate(spots):
            for name, slot in sensors.items():
                row = index.by_id[name]
                self._channel_of[row.index] = number
                self._slot_of[row.index] = slot
                unit = _UNITS.get(slot, "Cel" if slot >= kernel.FIRST_T else "")
                if unit and row.spec.unit != unit:
                    scale = conversion(row.spec.unit, unit)
                    self._factor[row.index], self._offset[row.index] = scale
        self._width = np.array([len(sensors) for sensors in spots], np.int64)
        self._mode = np.array([_mode(channel) for channel in self._channels], np.int64)
        self._rest = np.array([channel.rest_current_a for channel in self._channels], np.float64)
        self._state = kernel.empty_state(count)
        self._pending = np.full((count, kernel.FIRST_T + deepest), np.nan)
        self._held = self._pending.copy()
        self._out = np.zeros(8 * kernel.ROOM, kernel.STATE)
        self._temps = np.full((len(self._out), deepest), np.nan)

    def update(self, batch: Batch) -> list[Event]:
        """Take samples in journal order; other sensors of the batch are passed over."""
        events: list[Event] = []
        if not self._channels:
            return events
        start = 0
        while start < len(batch):
            start, count = kernel.feed(
                batch.sensor,
                batch.time_ns,
                batch.value,
                batch.quality,
                self._channel_of,
                self._slot_of,
                self._factor,
                self._offset,
                self._width,
                self._mode,
                self._rest,
                self._state,
                self._pending,
                self._held,
                self._out,
                self._temps,
                start,
            )
            events.extend(self._events(count))
        return events

    def finish(self) -> list[Event]:
        """End of a recording: report what is still open, with ``complete`` false."""
        events: list[Event] = []
        for number in range(len(self._channels)):
            count = kernel.finish(
                self._state[number],
                self._pending[number],
                self._held[number],
                int(self._mode[number]),
                float(self._rest[number]),
                self._out,
                self._temps,
            )
            events.extend(self._events(count))
        return events

    def snapshot(self) -> dict[str, Any]:
        """State as msgpack-able values."""
        return {
            "detector": "formation",
            "version": VERSION,
            "channels": [_name(channel) for channel in self._channels],
            "settings": [channel.model_dump_json() for channel in self._channels],
            "fields": _fields(),
            "state": self._state.tobytes(),
            "pending": self._pending.tobytes(),
            "held": self._held.tobytes(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot.

        Raises:
            StateError: It belongs to other channels, other settings or another version.
        """
        mine = self.snapshot()
        for key in ("detector", "version", "fields", "channels", "settings"):
            if state.get(key) != mine[key]:
                raise StateError(f"formation snapshot has another {key} than this line")
        if len(state["state"]) != len(mine["state"]) or len(state["held"]) != len(mine["held"]):
            raise StateError("formation snapshot has another size than this line")
        self._state = np.frombuffer(state["state"], kernel.STATE).copy()
        shape = self._pending.shape
        self._pending = np.frombuffer(state["pending"], np.float64).reshape(shape).copy()
        self._held = np.frombuffer(state["held"], np.float64).reshape(shape).copy()

    def _events(self, count: int) -> Iterator[Event]:
        for place in range(count):
            record = self._out[place]
            channel = self._channels[int(record["channel"])]
            if record["code"] == kernel.STEP:
                yield _step(channel, record)
            elif record["code"] == kernel.CYCLE:
                yield _cycle(channel, record)
            else:
                yield _spread(channel, record, self._temps[place])


def _sensors(channel: Channel) -> dict[str, int]:
    """Sensor id to its place in a row."""
    single = {
        getattr(channel, name): slot
        for slot, name in enumerate(kernel.SLOTS)
        if getattr(channel, name)
    }
    return single | {name: kernel.FIRST_T + k for k, name in enumerate(channel.temperature)}


def _mode(channel: Channel) -> int:
    if not channel.current and channel.capacity:
        return kernel.BY_CAPACITY
    return kernel.BY_STEP if channel.step else kernel.BY_CURRENT


def _timed(record: np.void) -> bool:
    """Whether a current was ever seen; without one there is a capacity counter and an order."""
    return math.isfinite(record["last_i"])


def _name(channel: Channel) -> str:
    return f"{channel.station}/{channel.id}"


def _fields() -> str:
    return ",".join(kernel.STATE.names or ())


def _head(channel: Channel) -> str:
    """The sensor an event of a channel is shown at."""
    return channel.current or channel.capacity or channel.voltage


def _number(value: float) -> float | None:
    """A float for JSON; None where there is no value."""
    return float(value) if math.isfinite(value) else None


def _kind(record: np.void, channel: Channel) -> str:
    """What a step was, from its own numbers."""
    if not _timed(record):
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
    name = _name(channel)
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
    if timed:
        energy = float(record["up_ws"]) + float(record["down_ws"])
        detail |= {
            "duration_s": (int(record["t_last"]) - first) / 1e9,
            "charge_ah": charge,
            "energy_wh": energy / 3600 if math.isfinite(record["v_last"]) else None,
            "current_mean_a": record["i_sum"] / record["i_rows"] if record["i_rows"] else None,
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
    name, first = _name(channel), int(record["cycle_t"])
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
        detail["uncertain"] = bool(record["cycle_lost_time"])
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
    at, name = int(record["t_last"]), _name(channel)
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
    )
