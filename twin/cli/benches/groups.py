"""Several sensors judged as one vector: the detector, beside plain numpy and river per vector."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.cli.benches.figure import Figure, Work, cost_of
from twin.detectors import Groups
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Group, Line, Sensor, Station

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["measure"]

_VECTORS = 200_000
_PLAIN_VECTORS = 20_000
_RIVER_VECTORS = 2_000
_BATCH = 5000
"""Rows of a batch: what the engine takes from the journal at once under load."""
_BUDGET_US = 2.0
_UNIT = "µs CPU/vector"


def measure(work: Work) -> list[Figure]:
    """Processor time per vector of each kind of group, for 3 and for 10 sensors."""
    return [_figure(work, kind, sensors) for sensors in (3, 10) for kind in ("t2", "mewma", "pca")]


def _figure(work: Work, kind: str, sensors: int) -> Figure:
    count = work.count(_VECTORS, 1000)
    correlation = np.full((sensors, sensors), 0.5) + 0.5 * np.eye(sensors)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((count, sensors)) @ np.linalg.cholesky(correlation).T
    index = _index(kind, sensors, correlation)
    batches = _batches(x)
    Groups(index).update(batches[0])  # the compiled kernel is loaded
    events = 0
    runs = []
    for _ in range(work.runs):
        groups = Groups(index)
        said: list[int] = []
        took = cost_of(lambda: said.extend(len(groups.update(batch)) for batch in batches))  # noqa: B023 - called at once
        runs.append(took.cpu_s / count * 1e6)
        events = sum(said)
    comparison = [_plain(x[: work.count(_PLAIN_VECTORS, 500)], correlation, work.runs)]
    if kind == "t2":
        comparison.append(_river(x[: work.count(_RIVER_VECTORS, 200)], work.runs))
    return Figure(
        name=f"groups.{kind}_{sensors}",
        unit=_UNIT,
        runs=runs,
        budget=_BUDGET_US,
        conditions={
            "vectors": count,
            "sensors": sensors,
            "rows_per_batch": _BATCH,
            "values": "normal, correlation 0.5, in control",
            "events_per_1000_vectors": round(events / count * 1000, 2),
        },
        comparison=comparison,
    )


def _index(kind: str, sensors: int, correlation: Array) -> LineIndex:
    station = Station(id="bench", sensor=[Sensor(key=f"k{i}") for i in range(sensors)])
    rows = [SensorRow(i, f"bench/{s.key}", station, s) for i, s in enumerate(station.sensor)]
    group = Group.model_validate(
        {
            "id": "g",
            "kind": kind,
            "sensors": [row.id for row in rows],
            "mean": [0.0] * sensors,
            "sigma": [1.0] * sensors,
            "correlation": correlation.tolist(),
            "arl0": 10_000.0,
            "alpha": 1e-4,
        }
    )
    return LineIndex(Line(group=[group]), "0" * 16, rows, {row.id: row for row in rows})


def _batches(x: Array) -> list[Batch]:
    count, sensors = x.shape
    time_ns = np.repeat(1_700_000_000 + np.arange(count), sensors) * 1_000_000_000
    sensor, value = np.tile(np.arange(sensors), count), x.ravel()
    return [
        Batch.of(sensor[at : at + _BATCH], time_ns[at : at + _BATCH], value[at : at + _BATCH])
        for at in range(0, len(value), _BATCH)
    ]


def _plain(x: Array, correlation: Array, runs: int) -> dict[str, Any]:
    """T2 of one vector after the other with numpy and an inverse made before."""
    inverse = np.linalg.inv(correlation)
    beyond: list[int] = []

    def loop() -> None:
        for i, row in enumerate(x):
            if row @ inverse @ row > 30.0:
                beyond.append(i)

    took = [cost_of(loop).cpu_s / len(x) * 1e6 for _ in range(runs)]
    return {
        "name": "numpy, T2 vector by vector",
        "value": round(float(np.median(took)), 3),
        "unit": _UNIT,
    }


def _river(x: Array, runs: int) -> dict[str, Any]:
    """Half-space trees over the same vectors, the usual online outlier score."""
    name = "river, HalfSpaceTrees (10 trees) with MinMaxScaler"
    try:
        anomaly, scaler = import_module("river.anomaly"), import_module("river.preprocessing")
    except ImportError:
        return {"name": name, "skipped": "river is not installed"}
    rows = [{f"k{i}": value for i, value in enumerate(row)} for row in x.tolist()]
    took = []
    for _ in range(runs):
        model = scaler.MinMaxScaler() | anomaly.HalfSpaceTrees(n_trees=10, height=8, seed=1)

        def loop() -> None:
            for row in rows:
                model.score_one(row)  # noqa: B023 - called at once
                model.learn_one(row)  # noqa: B023

        took.append(cost_of(loop).cpu_s / len(rows) * 1e6)
    return {"name": name, "value": round(float(np.median(took)), 1), "unit": _UNIT}
