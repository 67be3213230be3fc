"""A line and a stream that make every detector speak, and every exported detector class."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

import twin.detectors
from twin.detectors.logic import Logic
from twin.model.batch import BAD, GOOD, UNCERTAIN, Batch, Mark
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Group, Line, Sensor, Station

if TYPE_CHECKING:
    from collections.abc import Callable

S = 1_000_000_000
NOISE = {"block_s": 15.0, "blocks": 5, "least": 5, "alpha": 0.1}


def exported() -> list[type[Logic]]:
    """Every detector that ``twin.detectors`` exports; a new one is tested by being exported.

    Only the one that finds nothing in a process, but says once how its data travel, stays out.
    """
    things = [getattr(twin.detectors, name) for name in twin.detectors.__all__]
    kinds = [thing for thing in things if isinstance(thing, type) and issubclass(thing, Logic)]
    return [kind for kind in kinds if kind is not twin.detectors.Cadence]


def build_line(scale: float = 1.0, shift: float = 0.0, **changes: object) -> LineIndex:
    """Six sensors with different settings, in units of ``scale`` around ``shift``."""
    charts = [
        {"rules": "nelson", "ewma_lambda": 0.2, "cusum_k": 0.5, "hampel_window": 11},
        {"rules": "western_electric_all", "hampel_window": 8, "hampel_t": 3.0},
        {
            "rules": "westgard_7t",
            "ewma_lambda": 0.1,
            "ewma_l": 2.814,
            "ewma_limits": "fir",
        },
        {"rules": None, "cusum_k": 0.25, "cusum_h": 8.0, "hampel_window": 25},
        {"rules": "shewhart", "max_gap_s": 30.0, "hampel_window": 5},
    ]
    sensors = [
        Sensor(
            key=f"k{i}",
            period_s=1.0,
            stuck_s=4.0,
            spike=4.0 * scale,
            rate_per_s=6.0 * scale,
            resolution=0.0625 * scale,
            chart=Chart(**{"centre": shift, "sigma": scale, **chart, **changes}),
            detect={"anomaly": {"rate": 0.02}, "noise": NOISE},
        )
        for i, chart in enumerate(charts)
    ]
    sensors.append(Sensor(key="plain"))
    station = Station(id="s", sensor=sensors)
    rows = [SensorRow(i, f"s/{x.key}", station, x) for i, x in enumerate(sensors)]
    groups = build_groups(scale, shift)
    return LineIndex(Line(group=groups), "0" * 16, rows, {row.id: row for row in rows})


def build_counting_line(scale: float = 1.0, **changes: object) -> LineIndex:
    """The same sensors with charts of counts; their sizes do not come from other sensors."""
    reason = "so many counts are nearly normal"
    charts = [
        {"type": "c", "centre": 16 * scale, "rules": "nelson", "reason": reason},
        {"type": "u", "centre": 4 * scale, "n": 4},
        {"type": "p", "centre": 0.25 * scale, "n": 64, "count_limits": "exact"},
        {"type": "np", "centre": 16 * scale, "n": 64, "rules": "westgard", "reason": reason},
        {"type": "laney_u", "centre": 4 * scale, "n": 4, "sigma_z": 1.25, "max_gap_s": 30.0},
    ]
    return of_charts(charts, changes)


def build_short_line(scale: float = 1.0, shift: float = 0.0, **changes: object) -> LineIndex:
    """The same sensors with charts for short runs."""
    nominal = {"nominal": {"": shift}}
    charts = [
        {"type": "q"},
        {"type": "q", "rules": "nelson", "ewma_lambda": 0.2, "ewma_limits": "fir"},
        {"type": "dnom", "sigma": scale, "cusum_k": 0.5, "cusum_start": "head-start", **nominal},
        {"type": "z", "sigmas": {"": scale}, "ewma_lambda": 0.1, "ewma_limits": "fixed", **nominal},
        {"max_gap_s": 30.0, "rules": "shewhart"},
    ]
    return of_charts(charts, changes)


def of_charts(charts: list[dict[str, object]], changes: dict[str, object]) -> LineIndex:
    """One sensor per chart, and one without."""
    sensors = [
        Sensor(key=f"k{i}", period_s=1.0, chart=Chart(**{**chart, **changes}))
        for i, chart in enumerate(charts)
    ]
    sensors.append(Sensor(key="plain"))
    station = Station(id="s", sensor=sensors)
    rows = [SensorRow(i, f"s/{x.key}", station, x) for i, x in enumerate(sensors)]
    return LineIndex(Line(), "0" * 16, rows, {row.id: row for row in rows})


def build_groups(scale: float, shift: float) -> list[Group]:
    """Groups of every kind that needs numbers; members are never sensors without a chart."""
    settings = [
        {"kind": "t2", "sensors": ["s/k0", "s/k1"], "max_age_s": 10.0, "m": 50},
        {"kind": "mewma", "sensors": ["s/k2", "s/k3", "s/k4"], "max_age_s": 5.0, "limit": 12.0},
        {"kind": "pca", "sensors": ["s/k1", "s/k2", "s/k3"], "max_age_s": 8.0, "components": 1},
        {"kind": "t2", "sensors": ["s/k3", "s/k4"], "max_gap_s": 30.0},
    ]
    groups = []
    for i, table in enumerate(settings):
        p = len(table["sensors"])
        correlation = [[1.0 if a == b else 0.25 for a in range(p)] for b in range(p)]
        numbers = {"mean": [shift] * p, "sigma": [scale] * p, "correlation": correlation}
        groups.append(Group(id=f"g{i}", **table, **numbers))
    return groups


def build_learning_line(scale: float = 1.0, shift: float = 0.0, **changes: object) -> LineIndex:
    """The same sensors in groups that learn their own baseline."""
    index = build_line(scale, shift, **changes)
    settings = [
        {"sensors": ["s/k0", "s/k1"], "max_age_s": 10.0, "max_gap_s": 50.0},
        {"sensors": ["s/k2", "s/k3", "s/k4"], "max_age_s": 10.0, "max_gap_s": 100.0},
    ]
    unit = f"in units of {scale:g}"
    learning = {"kind": "anomaly", "rate": 0.4, "baseline_rows": 50, "title": unit}
    groups = [Group(id=f"g{i}", **learning, **table) for i, table in enumerate(settings)]
    return replace(index, line=Line(group=groups))


def build_stream(seed: int = 7, n: int = 3000) -> Batch:
    """Everything that happens: noise, steps, drifts, spikes, flat stretches, holes, bad samples."""
    rng = np.random.default_rng(seed)
    sensor = rng.integers(0, 6, n)
    time = np.sort(rng.integers(0, n // 4, n)) * S
    value = np.round(rng.normal(size=n) * 16) / 16
    value[n // 5 : n // 4] += 2
    value[n // 3 : n // 3 + 150] = 0.25
    value[n // 2 : n // 2 + 200] += np.linspace(0, 4, 200).round(1)
    value[rng.integers(0, n, n // 60)] += 16
    value[rng.integers(0, n, n // 60)] -= 16
    time[int(n * 0.6) :] += 60 * S
    quality = np.full(n, GOOD)
    quality[rng.integers(0, n, n // 50)] = UNCERTAIN
    bad = rng.integers(0, n, n // 40)
    quality[bad] = BAD
    value[bad[::2]] = np.nan
    value[rng.integers(0, n, 3)] = np.inf
    marks = np.zeros(n, np.uint8)
    marks[rng.integers(0, n, n // 80)] = Mark.LATE
    marks[rng.integers(0, n, n // 200)] = Mark.HISTORICAL
    late = rng.integers(1, n, n // 80)
    time[late] -= 20 * S
    return Batch.of(sensor, time, value, quality, marks)


def build_counts(seed: int = 7, n: int = 3000) -> Batch:
    """The same stream as whole numbers around sixteen."""
    batch = build_stream(seed, n)
    batch.value[:] = np.maximum(np.round(4 * batch.value) + 16, np.where(batch.value < -99, -1, 0))
    return batch


LINES = {
    "attributes": build_counting_line,
    "group_anomaly": build_learning_line,
    "short_runs": build_short_line,
    "spread": partial(build_line, spread="mr"),
}
"""Lines for detectors that judge other charts than those of the usual line."""


@pytest.fixture
def line(kind: type[Logic]) -> Callable[..., LineIndex]:
    return LINES.get(kind.name, build_line)


@pytest.fixture
def stream(kind: type[Logic]) -> Callable[..., Batch]:
    return build_counts if kind.name == "attributes" else build_stream


@pytest.fixture(params=exported(), ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> type[Logic]:
    return request.param
