"""What all simulated stations share: time, randomness, faults, and how they speak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from connectors.simulator.noise import Noise, generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

    from connectors.simulator.script import FaultKind, Script

__all__ = ["Course", "Job", "Periodic", "Reading", "Said", "Steps", "World"]

Course = Iterator["float | list[Reading | Said]"]
"""What a station does: times in s and what happens then, by turns."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of a sensor: station, key, value, and the unit the device sends."""

    station: str
    key: str
    value: float
    unit: str = "1"


@dataclass(frozen=True, slots=True)
class Said:
    """A product message of a station, without its time."""

    station: str
    op: str
    id: str
    kind: str = ""
    parents: tuple[str, ...] = ()
    slot: str = ""

    def payload(self, time_ms: int) -> dict[str, Any]:
        """The message as it is sent."""
        more: dict[str, Any] = {"kind": self.kind} if self.kind else {}
        if self.parents:
            more["parents"] = list(self.parents)
        if self.slot:
            more["slot"] = self.slot
        return {"op": self.op, "id": self.id, "ts": time_ms, "station": self.station, **more}


class Job(Protocol):
    """Something that happens at certain times."""

    @property
    def due_ms(self) -> int:
        """Next time, ms after the start; negative when nothing comes any more."""
        ...

    def run(self) -> Iterable[Reading | Said]:
        """Do it, and set the next time later than this one."""
        ...


@dataclass(slots=True)
class Periodic:
    """Readings taken together at a fixed interval.

    Attributes:
        period_ms: Interval, > 0.
        read: Time in s to readings.
        due_ms: Next time.
    """

    period_ms: int
    read: Callable[[float], Iterable[Reading | Said]]
    due_ms: int = 0

    def run(self) -> Iterable[Reading | Said]:
        """Take the readings."""
        now_s = self.due_ms / 1000
        self.due_ms += self.period_ms
        return self.read(now_s)


class Steps:
    """A sequence of events at irregular times.

    Args:
        script: Yields by turns a time in s and what happens then. It is asked for the second when
            that time has come, so it sees the other stations as they are. Times never go back.
    """

    def __init__(self, script: Course) -> None:
        self._script = script
        self.due_ms = 0
        self._schedule()

    def run(self) -> Iterable[Reading | Said]:
        """What happens now."""
        found = next(self._script)
        self._schedule()
        return found if isinstance(found, list) else []

    def _schedule(self) -> None:
        time_s = next(self._script, None)
        self.due_ms = round(time_s * 1000) if isinstance(time_s, float) else -1


@dataclass(slots=True)
class World:
    """The surroundings of the simulated stations.

    Attributes:
        seed: Seed of everything random.
        start_ns: Begin of the simulation, ns since 1970 UTC.
        script: Faults.
        periods: Sensor id to its interval in s, from the line description.
        coil: Station to the coil (or batch) it works on now.
        sheets: Sheets that wait for stacking, oldest first.
        cells: Cells that wait for formation, oldest first.
    """

    seed: int
    start_ns: int
    script: Script
    periods: dict[str, float]
    coil: dict[str, str] = field(default_factory=dict)
    sheets: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)

    def rng(self, name: str) -> np.random.Generator:
        """A generator for one thing."""
        return generator(self.seed, name)

    def noise(self, name: str, sigma: float, tau_s: float) -> Noise:
        """A slow disturbance for one thing."""
        return Noise(self.rng(name), sigma, tau_s)

    def name(self, kind: str, number: int) -> str:
        """A product id that no other run of the simulation uses."""
        begin = _EPOCH + timedelta(microseconds=self.start_ns // 1000)
        return f"{kind}-{begin:%y%m%d%H%M%S}-{number:04d}"

    def effect(self, kind: FaultKind, target: str, time_s: float) -> float:
        """Sum of the sizes of all faults of a kind that act on a target now."""
        return sum(
            fault.size
            for fault in self.script.fault
            if fault.kind is kind and fault.target == target and fault.active(time_s)
        )

    def every(
        self, sensor: str, read: Callable[[float], Iterable[Reading | Said]], default_s: float = 1.0
    ) -> Periodic:
        """Readings at the interval the line description gives a sensor.

        Sensors with the same interval do not all speak in the same millisecond.
        """
        period_ms = max(1, round(self.periods.get(sensor, default_s) * 1000))
        phase = int(self.rng(f"phase/{sensor}").integers(period_ms))
        return Periodic(period_ms, read, phase)

    def wanted(self, station: str, key: str, unit: str, value: float) -> Periodic:
        """A set-point, which a controller repeats every ten seconds."""
        return self.every(f"{station}/{key}", lambda _: [Reading(station, key, value, unit)], 10.0)

    def wandering(
        self,
        station: str,
        key: str,
        unit: str,
        mean: float,
        sigma: float,
        tau_s: float,
        gauge: float,
    ) -> Periodic:
        """A sensor of a quantity that wanders around its mean; ``gauge`` is its own noise."""
        name = f"{station}/{key}"
        slow, rng = self.noise(name, sigma, tau_s), self.rng(f"{name}/gauge")

        def read(time_s: float) -> list[Reading | Said]:
            value = mean + slow.at(time_s) + gauge * float(rng.standard_normal())
            return [Reading(station, key, round(value, 4), unit)]

        return self.every(name, read)
