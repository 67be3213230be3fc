"""Run lengths by running the real detector: any chart, any input, fixed seeds.

Every run is a sensor of its own, so that one batch carries many runs; a run ends with its first
finding. When the points run out before all runs have ended, the rest counts as runs that are not
over: points per signal still estimates the mean, because behind the start the chance of a signal
no longer changes.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Protocol

import numpy as np

from twin.detectors.spc.charts import Charts
from twin.detectors.spc.rules import PRESETS
from twin.detectors.spc.runlength.result import LONGEST_ARL, Method, RunLength
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, ChartType, Line, Sensor, Series, Spread, Station

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from twin.detectors.spc.rules import RuleSet
    from twin.model.event import Event

    Draw = Callable[[int, NDArray[np.int64]], NDArray[np.float64]]

__all__ = ["ar1", "first_findings", "index_of", "simulate"]

_S = 1_000_000_000
_SAMPLES = 200_000
"""Samples of a batch, about."""


class Detector(Protocol):
    """What is needed of a detector to count its runs."""

    def update(self, batch: Batch) -> list[Event]:
        """Judge the next samples."""
        ...


def index_of(sensor: Sensor, runs: int) -> LineIndex:
    """A line of one station with the same sensor many times, ``s/r0``, ``s/r1``, ...

    Args:
        sensor: Declaration; its key is replaced.
        runs: How many.
    """
    station = Station(id="s")
    rows = [
        SensorRow(i, f"s/r{i}", station, sensor.model_copy(update={"key": f"r{i}"}))
        for i in range(runs)
    ]
    return LineIndex(Line(), "0" * 16, rows, {row.id: row for row in rows})


def ar1(rng: np.random.Generator, runs: int, shift: float, phi: float) -> Draw:
    """Stationary AR(1) values with unit variance around ``shift``, one series per run.

    Args:
        rng: Where chance comes from.
        runs: Number of series.
        shift: Mean.
        phi: Correlation of neighbours; 0 for independent values.
    """
    last = rng.standard_normal(runs)
    noise = sqrt(1.0 - phi * phi)

    def draw(points: int, alive: NDArray[np.int64]) -> NDArray[np.float64]:
        values = rng.standard_normal((points, len(alive)))
        if phi:
            before = last[alive]
            for i in range(points):
                values[i] = before = noise * values[i] + phi * before
            last[alive] = before
        values += shift
        return values

    return draw


def first_findings(
    detector: Detector, draw: Draw, runs: int, *, most_samples: int, step_ns: int = _S
) -> RunLength:
    """Mean number of points to the first finding of each sensor.

    Args:
        detector: A fresh detector with one chart for each of the sensors 0 to ``runs`` - 1.
        draw: Gives the next values of some runs, shape (points, runs asked for).
        runs: Number of sensors, >= 2.
        most_samples: Samples after which the rest of the runs is given up.
        step_ns: Event time between neighbouring samples.
    """
    lengths = np.zeros(runs, np.int64)
    alive = np.arange(runs)
    done, used, points = 0, 0, 4
    while len(alive) and used < most_samples:
        values = draw(points, alive)
        times = np.repeat(np.arange(done, done + points) * step_ns, len(alive))
        batch = Batch.of(np.tile(alive, points), times, values.ravel())
        for event in detector.update(batch):
            run = int(event.sensor.rsplit("r", 1)[1])
            if event.type == "finding" and not lengths[run]:
                lengths[run] = event.t_last // step_ns + 1
        alive = alive[lengths[alive] == 0]
        done += points
        used += values.size
        points = max(4, min(5_000, done // 4, _SAMPLES // max(1, len(alive))))
    return _mean(lengths, done)


def _mean(lengths: NDArray[np.int64], done: int) -> RunLength:
    ended = lengths[lengths > 0]
    if not len(ended):
        return RunLength(LONGEST_ARL, Method.SIMULATED, LONGEST_ARL)
    if len(ended) == len(lengths):
        error = float(ended.std(ddof=1)) / sqrt(len(ended))
        return RunLength(float(ended.mean()), Method.SIMULATED, error)
    arl = (float(ended.sum()) + float(done) * (len(lengths) - len(ended))) / len(ended)
    return RunLength(arl, Method.SIMULATED, arl / sqrt(len(ended)))


def simulate(
    chart: Chart,
    shift: float = 0.0,
    *,
    phi: float = 0.0,
    scale: float = 1.0,
    runs: int = 2000,
    seed: int = 1,
    most_samples: int = 20_000_000,
    rule_sets: Mapping[str, RuleSet] = PRESETS,
) -> RunLength:
    """ARL of a chart of single values, everything on it together, through :class:`Charts`.

    Args:
        chart: Rules, EWMA and CUSUM as declared; centre and sigma are replaced.
        shift: Mean of the values from the first one on, in their standard deviations.
        phi: Correlation of neighbouring values (AR(1)).
        scale: Sigma of the chart over the standard deviation of the values.
        runs: Number of runs.
        seed: Seed; the same call gives the same number.
        most_samples: Values after which the rest of the runs is given up.
        rule_sets: Rule sets by name.
    """
    plain = chart.model_copy(
        update={
            "type": ChartType.I,
            "series": Series.RAW,
            "spread": Spread.NONE,
            "recipe": "",
            "centre": 0.0,
            "sigma": scale,
            "hampel_window": None,
        }
    )
    charts = Charts(
        index_of(Sensor(key="r", period_s=1.0, chart=plain), runs), rule_sets=rule_sets, points=60
    )
    draw = ar1(np.random.default_rng(seed), runs, shift, phi)
    return first_findings(charts, draw, runs, most_samples=most_samples)
