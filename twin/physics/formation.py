"""Steps and cycles of formation channels: charge, energy, efficiency, resistance.

Charge is the trapezoid of current over event time; counters of the cycler are a cross-check only,
because real ones reset where they must not. Everything is a pure function of the samples and does
not depend on how they are cut into batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from twin.errors import StateError
from twin.physics.formation_events import VERSION, event_of, name_of
from twin.physics.formation_kernel import (
    BY_CAPACITY,
    BY_CURRENT,
    BY_STEP,
    FIRST_T,
    ROOM,
    SLOTS,
    STATE,
    empty_state,
    feed,
    finish,
)
from twin.units import conversion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.model.batch import Batch
    from twin.model.event import Event
    from twin.model.index import LineIndex
    from twin.model.line import Channel

__all__ = ["FormationTracker"]

_UNITS = {0: "V", 1: "A", 4: "A.h", 5: "A.h", 6: "A.h"}
"""Place in a row to the unit the arithmetic works in; step and cycle are numbers."""


class FormationTracker:
    """Follows every formation channel of a line and says what each step and cycle did.

    An event ``formation_step`` has the kind of the step as its rule: ``rest``, ``charge``,
    ``discharge``, ``cv_charge``, ``cv_discharge``, ``cccv_charge``, ``cccv_discharge``, ``mixed``,
    or ``unknown`` where neither current nor capacity is sent. An event ``formation_cycle`` pairs a charge with the discharge after it (with only a
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
        self._prints = [_print(channel, index) for channel in self._channels]
        self._factor, self._offset = np.ones(len(index)), np.zeros(len(index))
        for number, sensors in enumerate(spots):
            for name, slot in sensors.items():
                row = index.by_id[name]
                self._channel_of[row.index] = number
                self._slot_of[row.index] = slot
                unit = _UNITS.get(slot, "Cel" if slot >= FIRST_T else "")
                if unit and row.spec.unit != unit:
                    scale = conversion(row.spec.unit, unit)
                    self._factor[row.index], self._offset[row.index] = scale
        self._width = np.array([len(sensors) for sensors in spots], np.int64)
        self._mode = np.array([_mode(channel) for channel in self._channels], np.int64)
        self._rest = np.array([channel.rest_current_a for channel in self._channels], np.float64)
        self._state = empty_state(count)
        self._pending = np.full((count, FIRST_T + deepest), np.nan)
        self._held = self._pending.copy()
        self._out = np.zeros(8 * ROOM, STATE)
        self._temps = np.full((len(self._out), deepest), np.nan)

    def update(self, batch: Batch) -> list[Event]:
        """Take samples in journal order; other sensors of the batch are passed over."""
        events: list[Event] = []
        if not self._channels:
            return events
        start = 0
        while start < len(batch):
            start, count = feed(
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
        return [e for number in range(len(self._channels)) for e in self._close(number)]

    def snapshot(self) -> dict[str, Any]:
        """State as msgpack-able values."""
        return {
            "detector": "formation",
            "version": VERSION,
            "channels": [name_of(channel) for channel in self._channels],
            "settings": self._prints,
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
        self._state = np.frombuffer(state["state"], STATE).copy()
        shape = self._pending.shape
        self._pending = np.frombuffer(state["pending"], np.float64).reshape(shape).copy()
        self._held = np.frombuffer(state["held"], np.float64).reshape(shape).copy()

    def follow(self, old: FormationTracker) -> list[Event]:
        """Take over from the version of the line before.

        Channels that did not change go on undisturbed; what is open at one that changed or is
        gone is told as at the end of a recording, with ``complete`` false.
        """
        before = {print_: number for number, print_ in enumerate(old._prints)}
        kept = set()
        for number, print_ in enumerate(self._prints):
            other = before.get(print_)
            if other is None:
                continue
            kept.add(other)
            self._state[number] = old._state[other]
            self._state[number]["channel"] = number
            width = int(FIRST_T + len(self._channels[number].temperature))
            self._pending[number, :width] = old._pending[other, :width]
            self._held[number, :width] = old._held[other, :width]
        return [e for n in range(len(old._channels)) if n not in kept for e in old._close(n)]

    def _close(self, number: int) -> list[Event]:
        count = finish(
            self._state[number],
            self._pending[number],
            self._held[number],
            int(self._mode[number]),
            float(self._rest[number]),
            self._out,
            self._temps,
        )
        return list(self._events(count))

    def _events(self, count: int) -> Iterator[Event]:
        for place in range(count):
            record = self._out[place]
            channel = self._channels[int(record["channel"])]
            yield event_of(channel, record, self._temps[place])


def _sensors(channel: Channel) -> dict[str, int]:
    """Sensor id to its place in a row."""
    single = {
        getattr(channel, name): slot for slot, name in enumerate(SLOTS) if getattr(channel, name)
    }
    return single | {name: FIRST_T + k for k, name in enumerate(channel.temperature)}


def _mode(channel: Channel) -> int:
    if not channel.current and channel.capacity:
        return BY_CAPACITY
    return BY_STEP if channel.step else BY_CURRENT


def _print(channel: Channel, index: LineIndex) -> str:
    """What a state belongs to: the settings of a channel and the units of its sensors."""
    units = [index.by_id[name].spec.unit for name in _sensors(channel)]
    return f"{channel.model_dump_json()} {' '.join(units)}"


def _fields() -> str:
    return ",".join(STATE.names or ())
