"""The dry room: frost point, temperature, pressure, particles and hydrogen sulfide per zone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from connectors.simulator.noise import Lag
from connectors.simulator.script import FaultKind
from connectors.simulator.world import Job, Reading, Said, World
from twin.physics.humidity import frost_point, ppmv

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["dryroom"]

_ZONES = ("z1", "z2", "z3")
_DAY_S = 86_400.0
_FROST_C = -60.0
_LN_DAILY = 0.03  # amplitude of ln(ppmv) over the day: people come and go
_LN_SLOW = 0.02


class _Zone:
    """The air of one zone. Water is followed in ln(ppmv), where its disturbances add up."""

    def __init__(self, world: World, zone: str) -> None:
        self._world, self._zone = world, zone
        self._water = world.noise(f"dryroom/{zone}/water", _LN_SLOW, 600.0)
        self._rise = Lag(12.0)
        self._gas = Lag(10.0)
        self._smell = world.noise(f"dryroom/{zone}/h2s", 0.004, 30.0)
        self._rng = world.rng(f"dryroom/{zone}")

    def frost(self, key: str) -> Callable[[float], list[Reading | Said]]:
        """A frost point sensor; two of one zone see the same air."""
        rng = self._world.rng(f"dryroom/{key}/gauge")
        target = f"dryroom/frost_point_{self._zone}"

        def read(time_s: float) -> list[Reading | Said]:
            rise = self._rise.at(
                time_s, self._world.effect(FaultKind.FROST_EXCURSION, target, time_s)
            )
            daily = _LN_DAILY * math.sin(2.0 * math.pi * time_s / _DAY_S)
            content = math.log(float(ppmv(_FROST_C + rise))) + daily + self._water.at(time_s)
            value = float(frost_point(math.exp(content))) + 0.03 * float(rng.standard_normal())
            return [Reading("dryroom", key, round(value, 3), "Cel")]

        return read

    def particles(self, _: float) -> list[Reading | Said]:
        """Counts in 28.3 L of air, scaled to a cubic metre."""
        counted = int(self._rng.poisson(60_000 * 0.0283))
        return [Reading("dryroom", f"particles_0p5_{self._zone}", round(counted / 0.0283), "1/m3")]

    def h2s(self, time_s: float) -> list[Reading | Said]:
        """A cell that shows 0.01 ppm steps."""
        target = f"dryroom/h2s_{self._zone}"
        gas = self._gas.at(time_s, self._world.effect(FaultKind.H2S_RELEASE, target, time_s))
        value = 0.03 + gas + self._smell.at(time_s) + 0.003 * float(self._rng.standard_normal())
        return [Reading("dryroom", f"h2s_{self._zone}", round(value, 2), "[ppm]")]


def dryroom(world: World) -> list[Job]:
    """Three zones; zone z2 has a second frost point sensor."""
    jobs: list[Job] = []
    for name in _ZONES:
        zone = _Zone(world, name)
        keys = [f"frost_point_{name}"] + (["frost_point_z2_b"] if name == "z2" else [])
        jobs += [world.every(f"dryroom/{key}", zone.frost(key)) for key in keys]
        jobs += [
            world.wandering("dryroom", f"temperature_{name}", "Cel", 22.0, 0.15, 900.0, 0.01),
            world.wandering("dryroom", f"differential_pressure_{name}", "Pa", 15.0, 0.3, 20.0, 0.2),
            world.every(f"dryroom/particles_0p5_{name}", zone.particles, 60.0),
            world.every(f"dryroom/h2s_{name}", zone.h2s),
        ]
    return jobs
