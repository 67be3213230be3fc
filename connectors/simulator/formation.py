"""Formation racks: rest, charge at constant current, then voltage, rest, discharge, per channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.simulator.noise import Lag, Noise
from connectors.simulator.script import FaultKind
from connectors.simulator.world import Job, Periodic, Reading, Said, World

if TYPE_CHECKING:
    import numpy as np

__all__ = ["formation"]

_RACKS, _CHANNELS = 2, 16
_CURRENT_A = 1.9
_UPPER_V, _LOWER_V = 4.25, 2.8
_CUTOFF_A = 0.19
_IDLE_S, _SOAK_S, _REST_S = 60.0, 300.0, 600.0
_RACK_C = 45.0
_GAS = 8.314462618  # J/(mol K)
_ACTIVATION = 22_580.0  # J/mol, from 27.3 mOhm at 25 Cel and 15.4 mOhm at 45 Cel
_KELVIN_PER_W = 3.0
_POLARISATION, _POLARISATION_S = 0.5, 30.0
_WARM_UP_STEP_S = 30.0
_CYCLE_S = 17_500.0  # about one cell's stay; cells begin anywhere within it

IDLE, SOAK, CHARGE, HOLD, REST, DISCHARGE, RELAX = range(7)
"""Step numbers as the cycler sends them."""


@dataclass(slots=True)
class Cell:
    """A cell with what formation will find out about it.

    Attributes:
        capacity: A.h between empty and full.
        efficiency: Share of the first charge that is stored.
        ohm: Resistance at 25 Cel.
    """

    capacity: float
    efficiency: float
    ohm: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Cell:
        """A cell of the usual spread."""
        capacity, efficiency, ohm = rng.standard_normal(3)
        return cls(
            3.979 * (1.0 + 0.003 * float(capacity)),
            0.869 + 0.011 * float(efficiency),
            0.0273 * (1.0 + 0.02 * float(ohm)),
        )


def open_circuit(charge: float) -> float:
    """Open-circuit voltage in V of NMC against lithium at a state of charge, 0 to 1."""
    return (
        3.4
        + 0.75 * charge
        + 0.12 * math.tanh((charge - 0.05) / 0.05)
        - 0.9 * math.exp(-max(charge, -0.05) / 0.02)
    )


def resistance(ohm_25: float, temperature_c: float) -> float:
    """Resistance at a temperature in Cel, by Arrhenius from the one at 25 Cel."""
    return ohm_25 * math.exp(_ACTIVATION / _GAS * (1.0 / (temperature_c + 273.15) - 1.0 / 298.15))


class _Channel:
    """One channel: runs the programme over the cell that lies in it."""

    def __init__(self, world: World, rack: Rack, name: str) -> None:
        self._world, self._rack, self.name = world, rack, name
        self._rng = world.rng(f"formation/{name}")
        self._offset = 0.2 * float(self._rng.standard_normal())
        self._heat = Lag(300.0)
        self._time_s = 0.0
        self.id = ""
        self.step, self.since = SOAK, 0.0
        self.temperature = _RACK_C + self._offset
        self._reset()
        for _ in range(int(_CYCLE_S / _WARM_UP_STEP_S * float(self._rng.random()))):
            if self._advance(_WARM_UP_STEP_S, _RACK_C):
                self._reset()

    def _reset(self) -> None:
        """A fresh cell that nobody has charged."""
        self.cell = Cell.draw(self._rng)
        self.charge, self.polar = 0.02, 0.0
        self.charged, self.discharged = 0.0, 0.0
        self.current, self.voltage = 0.0, open_circuit(self.charge)

    def _advance(self, step_s: float, air_c: float) -> bool:
        """Let time pass; True when the programme ended."""
        ohm = resistance(self.cell.ohm, self.temperature)
        ocv = open_circuit(self.charge)
        if self.step == CHARGE:
            self.current = _CURRENT_A
        elif self.step == HOLD:
            self.current = min(_CURRENT_A, max(0.0, (_UPPER_V - ocv - self.polar) / ohm))
        else:
            self.current = -_CURRENT_A if self.step == DISCHARGE else 0.0
        moved = self.current * step_s / 3600.0
        stored = moved * self.cell.efficiency if moved > 0 else moved
        self.charge += stored / self.cell.capacity
        self.charged += max(0.0, moved)
        self.discharged += max(0.0, -moved)
        target = _POLARISATION * ohm * self.current
        self.polar += (target - self.polar) * -math.expm1(-step_s / _POLARISATION_S)
        self.voltage = open_circuit(self.charge) + self.polar + ohm * self.current
        self._time_s += step_s
        warm = self._heat.at(self._time_s, _KELVIN_PER_W * ohm * self.current**2)
        self.temperature = air_c + self._offset + warm
        self.since += step_s
        return self._next_step()

    def _next_step(self) -> bool:
        over = {
            IDLE: self.since >= _IDLE_S,
            SOAK: self.since >= _SOAK_S,
            CHARGE: self.voltage >= _UPPER_V,
            HOLD: self.current <= _CUTOFF_A,
            REST: self.since >= _REST_S,
            DISCHARGE: self.voltage <= _LOWER_V,
            RELAX: self.since >= _SOAK_S,
        }[self.step]
        if not over:
            return False
        ended = self.step == RELAX
        self.step, self.since = (IDLE if ended else self.step + 1), 0.0
        return ended

    def read(self, time_s: float) -> list[Reading | Said]:
        """What the cycler sends, and what happens to the cell."""
        found: list[Reading | Said] = []
        step_s = self._world.periods.get(f"formation/{self.name}_voltage", 5.0)
        if not self.id:
            self.id = self._world.name(f"cell0-{self.name}", 0)
            found.append(Said("formation", "move", self.id, "cell", slot=self.name))
        elif self._advance(step_s, self._rack.air(time_s)):
            found += self._unload()
        elif self.step == SOAK and self.since == 0.0:
            found += self._load()
        rng = self._rng
        values = {
            "voltage": (round(self.voltage + 2e-4 * float(rng.standard_normal()), 5), "V"),
            "current": (round(self.current + 1e-4 * float(rng.standard_normal()), 5), "A"),
            "temperature": (
                round(self.temperature + 0.02 * float(rng.standard_normal()), 3),
                "Cel",
            ),
            "step": (float(self.step), "1"),
        }
        return found + [
            Reading("formation", f"{self.name}_{key}", value, unit)
            for key, (value, unit) in values.items()
        ]

    def _unload(self) -> list[Reading | Said]:
        """The cell leaves; the cycler reports what it found.

        A cell whose charge was not seen as a whole has no results.
        """
        tests: list[Reading | Said] = []
        if self.charged > 0 and self.discharged > 0:
            dcir = 1e3 * self.cell.ohm * (1.0 + 0.005 * float(self._rng.standard_normal()))
            tests = [
                Reading(
                    *("formation", "first_cycle_efficiency"),
                    round(100.0 * self.discharged / self.charged, 3),
                    "%",
                ),
                Reading("formation", "discharge_capacity", round(self.discharged, 5), "A.h"),
                Reading("formation", "dcir_10s", round(dcir, 3), "mOhm"),
            ]
        return [*tests, Said("formation", "end", self.id, slot=self.name)]

    def _load(self) -> list[Reading | Said]:
        """The next cell that waits, or one from the store."""
        waiting = self._world.cells
        self._rack.loaded += 1
        self.id = waiting.pop(0) if waiting else self._world.name("cell0", self._rack.loaded)
        self._reset()
        return [Said("formation", "move", self.id, "cell", slot=self.name)]


class Rack:
    """A climate chamber with its channels."""

    def __init__(self, world: World, number: int) -> None:
        self._world, self.name = world, f"r{number}"
        self._slow: Noise = world.noise(f"formation/{self.name}", 0.15, 600.0)
        self._rng = world.rng(f"formation/{self.name}/gauge")
        self._warm = Lag(60.0)
        self.loaded = number * 1000
        self.channels = [
            _Channel(world, self, f"{self.name}c{channel:02d}")
            for channel in range(1, _CHANNELS + 1)
        ]

    def air(self, time_s: float) -> float:
        """Temperature of the air, Cel."""
        target = f"formation/air_temperature_{self.name}"
        hot = self._world.effect(FaultKind.HOT_RACK, target, time_s)
        return _RACK_C + self._warm.at(time_s, hot) + self._slow.at(time_s)

    def thermometer(self, time_s: float) -> list[Reading | Said]:
        """The rack's own sensor."""
        value = self.air(time_s) + 0.02 * float(self._rng.standard_normal())
        return [Reading("formation", f"air_temperature_{self.name}", round(value, 3), "Cel")]

    def spread(self, _: float) -> list[Reading | Said]:
        """Warmest less coldest channel."""
        found = [channel.temperature for channel in self.channels]
        key = f"temperature_spread_{self.name}"
        return [Reading("formation", key, round(max(found) - min(found), 3), "K")]

    def jobs(self) -> list[Job]:
        """Channels and the rack's own sensors."""
        world = self._world
        jobs: list[Job] = []
        for number, channel in enumerate(self.channels):
            period_s = world.periods.get(f"formation/{channel.name}_voltage", 5.0)
            jobs.append(Periodic(round(period_s * 1000), channel.read, 137 * number + 50))
        jobs.append(world.every(f"formation/air_temperature_{self.name}", self.thermometer))
        jobs.append(world.every(f"formation/temperature_spread_{self.name}", self.spread, 10.0))
        return jobs


def formation(world: World) -> list[Job]:
    """Two racks of sixteen channels, which are busy when the simulation begins."""
    return [job for number in range(1, _RACKS + 1) for job in Rack(world, number).jobs()]
