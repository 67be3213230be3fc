"""Stations with a web: coating, drying, calender, separator film, laser cutting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.simulator.noise import Lag
from connectors.simulator.script import FaultKind
from connectors.simulator.world import Job, Reading, Said, Steps, World
from twin.physics.compaction import Compaction, density, porosity, true_density

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.simulator.world import Course

__all__ = ["calender", "coating", "cutting", "drying", "se_film"]

_COIL_S = 300.0
_FILM_S = 600.0
_SHEET_S = 4.5
_SHEETS_PER_BURR = 50
_LASER = {
    "laser_speed": (30.0, 0.15, "m/min"),
    "laser_pulse_rate": (250.0, 0.8, "kHz"),
    "laser_pulse_width": (200.0, 1.5, "ns"),
}
"""Key to mean, standard deviation and unit of what the laser reports per sheet."""

# Coating of 85 % NMC811 and 15 % electrolyte; the law and its figures are those of the tests of
# twin.physics.compaction.
_LAW = Compaction(rho_0=2.0, rho_max=4.15, gamma=300.0)
_TRUE_DENSITY = true_density([0.85, 0.15], [4.78, 2.60])
_AREAL_MASS = 26.0  # mg/cm2


class _Web:
    """A web that runs at a set speed, and the encoder that counts it."""

    def __init__(self, world: World, station: str, speed: float) -> None:
        self._set = speed  # m/min
        self._slow = world.noise(f"{station}/speed", speed * 0.0016, 10.0)
        self._rng = world.rng(f"{station}/speed/gauge")
        self._metre = 0.0
        self._time_s = 0.0

    def metre(self, time_s: float) -> float:
        """Metres passed."""
        step = time_s - self._time_s
        self._metre += (self._set + self._slow.at(time_s)) / 60.0 * step
        self._time_s = time_s
        return self._metre

    def speed(self, time_s: float) -> float:
        """Speed as the drive shows it, m/min."""
        self.metre(time_s)
        noise = self._set * 0.0008 * float(self._rng.standard_normal())
        return self._set + self._slow.at(time_s) + noise


def _coils(
    world: World,
    station: str,
    kind: str,
    word: str,
    source: str,
    last_s: float,
    tests: Callable[[], list[Reading | Said]] | None = None,
) -> Course:
    """One coil after the other without a pause, each from what ``source`` says was made last.

    ``tests`` gives the readings taken from a coil when it ends.
    """
    number, time_s = 0, 0.0
    while True:
        yield time_s
        name = world.name(word, number)
        parents = (world.coil[source],) if source in world.coil else ()
        said: list[Reading | Said] = []
        if number:
            said.append(Said(station, "end", world.name(word, number - 1)))
        said.append(Said(station, "start", name, kind, parents))
        if number:
            world.coil[f"{station}/done"] = world.name(word, number - 1)
        world.coil[station] = name
        if tests and number:
            said[:0] = tests()
        yield said
        number, time_s = number + 1, time_s + last_s


def coating(world: World) -> list[Job]:
    """Slot die, scanner and camera; a coil every five minutes."""
    web = _Web(world, "coating", 5.0)
    slow = world.noise("coating/mass", 0.03, 60.0)
    pressure = world.noise("coating/pressure", 0.05, 120.0)
    rng = world.rng("coating")

    def metre(time_s: float) -> list[Reading | Said]:
        return [Reading("coating", "web_position", round(web.metre(time_s), 4), "m")]

    def speed(time_s: float) -> list[Reading | Said]:
        return [Reading("coating", "line_speed", round(web.speed(time_s), 4), "m/min")]

    def die(time_s: float) -> list[Reading | Said]:
        value = 1.8 + pressure.at(time_s) + 0.01 * float(rng.standard_normal())
        return [Reading("coating", "pump_pressure", round(value, 4), "bar")]

    def scanner(time_s: float) -> list[Reading | Said]:
        shift = 1.0 + world.effect(FaultKind.MASS_SHIFT, "coating/areal_mass", time_s)
        value = _AREAL_MASS * shift + slow.at(time_s) + 0.06 * float(rng.standard_normal())
        return [Reading("coating", "areal_mass", round(value, 4), "mg/cm2")]

    def camera(_: float) -> list[Reading | Said]:
        found = int(rng.poisson(0.01))  # in the 3 m2 of 10 m of web
        return [
            Reading("coating", "defect_density", round(found / 3.0, 4), "1/m2"),
            Reading("coating", "defects", float(found), "1"),
            Reading("coating", "inspected_area", 3.0, "m2"),
        ]

    return [
        Steps(_coils(world, "coating", "coated_coil", "coat", "mixing/done", _COIL_S)),
        world.every("coating/web_position", metre, 0.5),
        world.every("coating/line_speed", speed, 0.5),
        world.wanted("coating", "line_speed_set", "m/min", 5.0),
        world.every("coating/pump_pressure", die),
        world.every("coating/areal_mass", scanner),
        world.every("coating/defect_density", camera, 120.0),
    ]


def drying(world: World) -> list[Job]:
    """Three zones behind the coater; the coil being coated is in both stations."""
    rng = world.rng("drying")

    def coils() -> Course:
        number, time_s = 0, 0.001
        while True:
            yield time_s
            said: list[Reading | Said] = [Said("drying", "start", world.name("coat", number))]
            if number:
                said.insert(0, Said("drying", "end", world.name("coat", number - 1)))
                moisture = 180.0 + 15.0 * float(rng.standard_normal())
                said.insert(0, Reading("drying", "residual_moisture", round(moisture, 1), "[ppm]"))
            yield said
            number, time_s = number + 1, time_s + _COIL_S

    zones = (
        world.wandering("drying", f"zone_temperature_{zone}", "Cel", 75.0, 0.39, 180.0, 0.05)
        for zone in "123"
    )
    return [
        Steps(coils()),
        world.wanted("drying", "zone_temperature_set", "Cel", 75.0),
        *zones,
    ]


class _Calender:
    """Line load to density to thickness: the compaction law with disturbances."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.web = _Web(world, "calender", 5.0)
        self._load = world.noise("calender/load", 1.5, 20.0)
        self._skew = world.noise("calender/skew", 0.25, 60.0)
        self._mass = world.noise("calender/mass", 0.04, 60.0)
        self._tension = world.noise("calender/tension", 0.5, 5.0)
        self._lost = Lag(0.3)
        self._rng = world.rng("calender")

    def _gauge(self, sigma: float) -> float:
        return sigma * float(self._rng.standard_normal())

    def _true_load(self, time_s: float) -> float:
        drop = self._world.effect(FaultKind.LOAD_DROP, "calender/line_load", time_s)
        return 300.0 * (1.0 - self._lost.at(time_s, drop)) + self._load.at(time_s)

    def _true_skew(self, time_s: float) -> float:
        fault = self._world.effect(FaultKind.SKEW, "calender/line_load_skew", time_s)
        return fault + self._skew.at(time_s)

    def metre(self, time_s: float) -> list[Reading | Said]:
        return [Reading("calender", "web_position", round(self.web.metre(time_s), 4), "m")]

    def speed(self, time_s: float) -> list[Reading | Said]:
        return [Reading("calender", "roll_speed", round(self.web.speed(time_s), 4), "m/min")]

    def load(self, time_s: float) -> list[Reading | Said]:
        value = self._true_load(time_s) + self._gauge(0.8)
        return [Reading("calender", "line_load", round(value, 3), "N/mm")]

    def skew(self, time_s: float) -> list[Reading | Said]:
        value = self._true_skew(time_s) + self._gauge(0.1)
        return [Reading("calender", "line_load_skew", round(value, 4), "%")]

    def tension(self, time_s: float) -> list[Reading | Said]:
        drop = self._world.effect(FaultKind.TENSION_DROP, "calender/web_tension", time_s)
        value = 60.0 * (1.0 - drop) + self._tension.at(time_s) + self._gauge(0.5)
        return [Reading("calender", "web_tension", round(value, 3), "N")]

    def gauges(self, time_s: float) -> list[Reading | Said]:
        """Three lanes, and what follows from them, for the same 0.1 m of web."""
        load, half = self._true_load(time_s), self._true_skew(time_s) / 200.0
        mass = _AREAL_MASS + self._mass.at(time_s)
        sides = {"l1": 1.0 + half, "l2": 1.0, "l3": 1.0 - half}
        lanes = {
            lane: _LAW.thickness(load * side, mass) + self._gauge(0.25)
            for lane, side in sides.items()
        }
        packed = density(mass + self._gauge(0.06), sum(lanes.values()) / len(lanes))
        found = [
            Reading("calender", f"thickness_{lane}", round(value, 3), "um")
            for lane, value in lanes.items()
        ]
        pores = porosity(packed, _TRUE_DENSITY)
        return [
            *found,
            Reading("calender", "density", round(packed, 5), "g/cm3"),
            Reading("calender", "porosity", round(pores, 3), "%"),
        ]

    def probe(self, _: float) -> list[Reading | Said]:
        value = 12.0 + self._gauge(0.2)
        return [Reading("calender", "surface_resistivity", round(value, 3), "Ohm{sq}")]


def calender(world: World) -> list[Job]:
    """Two heated rolls, load cells, three thickness lanes; a coil every five minutes."""
    model = _Calender(world)
    return [
        Steps(_coils(world, "calender", "calendered_coil", "cal", "coating/done", _COIL_S)),
        world.every("calender/web_position", model.metre, 0.5),
        world.every("calender/roll_speed", model.speed, 0.5),
        world.wanted("calender", "roll_speed_set", "m/min", 5.0),
        world.wanted("calender", "roll_temperature_set", "Cel", 100.0),
        world.every("calender/line_load", model.load, 0.2),
        world.every("calender/line_load_skew", model.skew),
        world.every("calender/web_tension", model.tension, 0.2),
        world.every("calender/thickness_l1", model.gauges, 1.2),
        world.every("calender/surface_resistivity", model.probe, 120.0),
        *(
            world.wandering("calender", f"roll_temperature_{side}", "Cel", 100.0, 0.4, 120.0, 0.05)
            for side in ("top", "bottom")
        ),
    ]


def se_film(world: World) -> list[Job]:
    """Separator film of 30 um; a coil every ten minutes, tested at its end."""
    web = _Web(world, "se_film", 3.0)
    slow = world.noise("se_film/thickness", 0.1, 60.0)
    rng = world.rng("se_film")

    def metre(time_s: float) -> list[Reading | Said]:
        return [Reading("se_film", "web_position", round(web.metre(time_s), 4), "m")]

    def lanes(time_s: float) -> list[Reading | Said]:
        base = 30.0 + slow.at(time_s)
        return [
            Reading(
                *("se_film", f"film_thickness_{lane}"),
                round(base + 0.25 * float(rng.standard_normal()), 3),
                "um",
            )
            for lane in ("l1", "l2", "l3")
        ]

    def tests() -> list[Reading | Said]:
        strength = 62.0 + 2.0 * float(rng.standard_normal())
        conductivity = 1.6 + 0.05 * float(rng.standard_normal())
        return [
            Reading("se_film", "tensile_strength", round(strength, 2), "MPa"),
            Reading("se_film", "ionic_conductivity", round(conductivity, 4), "mS/cm"),
        ]

    return [
        Steps(_coils(world, "se_film", "se_film_coil", "film", "", _FILM_S, tests)),
        world.every("se_film/web_position", metre),
        world.every("se_film/film_thickness_l1", lanes, 2.0),
        world.wandering("se_film", "line_tension", "N", 12.0, 0.12, 20.0, 0.1),
    ]


def cutting(world: World) -> list[Job]:
    """Laser: a sheet every 4.5 s from the coil the calender finished last."""
    rng = world.rng("cutting")

    def sheets() -> Course:
        number, time_s = 0, 1.0
        while True:
            yield time_s
            name = world.name("sheet", number)
            coil = world.coil.get("calender/done")
            yield [Said("cutting", "start", name, "sheet", (coil,) if coil else ())]
            yield time_s + 2.0
            found: list[Reading | Said] = [
                Reading("cutting", key, round(mean + sigma * float(rng.standard_normal()), 3), unit)
                for key, (mean, sigma, unit) in _LASER.items()
            ]
            if number % _SHEETS_PER_BURR == _SHEETS_PER_BURR - 1:
                burr = 6.0 + 0.8 * float(rng.standard_normal())
                found.append(Reading("cutting", "burr_height", round(burr, 2), "um"))
            yield found
            yield time_s + 4.0
            world.sheets.append(name)
            yield [Said("cutting", "end", name)]
            number, time_s = number + 1, time_s + _SHEET_S

    return [Steps(sheets())]
