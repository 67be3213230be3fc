"""Stations that work piece by piece: mixing, stacking, pressing, Hi-Pot, sealing, aging."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from connectors.simulator.world import Job, Reading, Said, Steps, World

if TYPE_CHECKING:
    import numpy as np

    from connectors.simulator.world import Course

__all__ = ["aging", "assembly", "mixing"]

_BATCH_S = 600.0
_TAKT_S = 90.0
_SHEETS_PER_STACK = 20
_AGING_S = 500.0
_PRESSURE_FILM_S = 3600.0
_MOST_WAITING_CELLS = 64


def _normal(rng: np.random.Generator, mean: float, sigma: float, digits: int) -> float:
    return round(mean + sigma * float(rng.standard_normal()), digits)


def mixing(world: World) -> list[Job]:
    """Four mixers that work in turn: a batch is ready every ten minutes."""
    rng = world.rng("mixing")
    ready_s = [0.0]

    def batches() -> Course:
        number, time_s = 1, 0.0
        while True:
            yield time_s
            done, name = world.name("mix", number - 1), world.name("mix", number)
            world.coil["mixing/done"] = done
            ready_s[0] = time_s
            finish = Said("mixing", "end" if time_s else "create", done, "mix_batch")
            yield [*_batch_tests(rng), finish, Said("mixing", "start", name, "mix_batch")]
            number, time_s = number + 1, time_s + _BATCH_S

    def clock(time_s: float) -> list[Reading | Said]:
        # Every batch stands two hours in the buffer tank before it is used.
        return [
            Reading("mixing", "standing_time", round(2.0 + (time_s - ready_s[0]) / 3600, 4), "h")
        ]

    return [
        Steps(batches()),
        world.every("mixing/standing_time", clock, 60.0),
        world.wanted("mixing", "stirrer_speed_set", "1/min", 600.0),
        world.wandering("mixing", "stirrer_speed", "1/min", 600.0, 1.2, 15.0, 0.4),
        world.wandering("mixing", "temperature", "Cel", 25.0, 0.2, 300.0, 0.02),
        world.wandering("mixing", "viscosity", "Pa.s", 2.4, 0.025, 600.0, 0.016),
    ]


def _batch_tests(rng: np.random.Generator) -> list[Reading | Said]:
    return [
        Reading("mixing", "mix_duration", _normal(rng, 40.0, 0.3, 2), "min"),
        Reading("mixing", "weighing_error", _normal(rng, 0.0, 0.08, 4), "%"),
        Reading("mixing", "solids", _normal(rng, 62.0, 0.08, 4), "%"),
        Reading("mixing", "grind", _normal(rng, 18.0, 1.2, 2), "um"),
        Reading("mixing", "metal_particles", 0.0, "1/L"),
    ]


def assembly(world: World) -> list[Job]:
    """Stacking, isostatic press, Hi-Pot and sealing: each takt every piece moves on by one."""
    return [Steps(_takts(world)), Steps(_pressure_films(world))]


def _takts(world: World) -> Course:
    rng = world.rng("assembly")
    number, time_s = 0, 30.0
    while True:
        # What stands at stacking, press, Hi-Pot and sealing in this takt.
        stack, pressed, tested, sealed = (number - k for k in range(4))
        yield time_s
        used, world.sheets[:] = world.sheets[-_SHEETS_PER_STACK:], []
        film = world.coil.get("se_film")
        parents = (*used, *([film] if film else []))
        said: list[Reading | Said] = [
            Said("stacking", "start", world.name("stack", stack), "stack", parents)
        ]
        said += [
            Said(station, "move", world.name("stack", piece))
            for station, piece in (("densify", pressed), ("hipot", tested))
            if piece >= 0
        ]
        if sealed >= 0:
            cell, before = world.name("cell", sealed), world.name("stack", sealed)
            said.append(Said("sealing", "start", before))
            said.append(Said("sealing", "transform", cell, "cell", (before,)))
        yield said
        yield time_s + 60.0
        yield _takt_tests(rng, number)
        yield time_s + 85.0
        places = (("stacking", stack), ("densify", pressed), ("hipot", tested))
        ends: list[Reading | Said] = [
            Said(station, "end", world.name("stack", piece))
            for station, piece in places
            if piece >= 0
        ]
        if sealed >= 0:
            ends.append(Said("sealing", "end", world.name("cell", sealed)))
            world.cells.append(world.name("cell", sealed))
            del world.cells[:-_MOST_WAITING_CELLS]  # the others go to racks that are not shown
        yield ends
        number, time_s = number + 1, time_s + _TAKT_S


def _takt_tests(rng: np.random.Generator, number: int) -> list[Reading | Said]:
    tests: list[Reading | Said] = [
        Reading("stacking", "overlay_offset_x", _normal(rng, 0.0, 0.08, 4), "mm"),
        Reading("stacking", "overlay_offset_y", _normal(rng, 0.0, 0.08, 4), "mm"),
        Reading("densify", "pressure", _normal(rng, 322.0, 1.2, 3), "MPa"),
        Reading("hipot", "leakage_current", _normal(rng, 0.08, 0.0064, 5), "mA"),
        Reading(
            *("sealing", "leak_rate"),
            float(f"{2e-8 * math.exp(0.3 * float(rng.standard_normal())):.4g}"),
            "mbar.L/s",
        ),
    ]
    return tests[: 2 + number]  # in the first takts nothing has reached the later stations


def _pressure_films(world: World) -> Course:
    rng = world.rng("densify/film")
    time_s = 200.0
    while True:
        yield time_s
        yield [Reading("densify", "pressure_cv", _normal(rng, 4.0, 0.4, 3), "%")]
        time_s += _PRESSURE_FILM_S


def aging(world: World) -> list[Job]:
    """Cells that come back from weeks of rest, one after the other."""
    rng = world.rng("aging")

    def cells() -> Course:
        number, time_s = 0, 20.0
        while True:
            name = world.name("aged", number)
            yield time_s
            yield [Said("aging", "start", name, "cell")]
            yield time_s + 60.0
            yield [
                Reading("aging", "ocv", _normal(rng, 3.66, 0.001, 6), "V"),
                Reading("aging", "self_discharge", _normal(rng, -1.2, 0.06, 5), "mV/d"),
            ]
            yield time_s + 120.0
            yield [Said("aging", "end", name)]
            number, time_s = number + 1, time_s + _AGING_S

    return [Steps(cells())]
