"""Detectors: what does not look right in a stream of samples, and since when.

They run in a fixed order: :class:`Validity` decides which samples may be judged, :class:`Charts`
compares each sensor with its approved baseline (run rules, EWMA, CUSUM), :class:`ShortRuns` judges
what has no baseline yet, :class:`Spread` the scatter beside them, :class:`Attributes` judges counts,
:class:`Cadence` finds sources that send only changes, :class:`Hampel` looks for single outliers, :class:`Groups` judges several sensors together, :class:`Anomaly` scores what is unusual
for a single signal without any limits, :class:`GroupAnomaly` for several together, :class:`Noise`
tells sensors that become noisier or quieter. All share one shape: ``update(batch, name_of) -> events``,
``snapshot()``, ``restore()``, ``follow(old)`` when the line description changes, and
``state(sensor)`` for the board. Findings are rare; "cannot judge" is an answer of its own and never
means "in control".

Everything is arithmetic on event times and values: no clock, no I/O, no random numbers, and the
same events and state for every way to cut the stream into batches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twin.detectors.cadence import Cadence
from twin.detectors.kernel_cache import drop_stale
from twin.detectors.logic import Logic
from twin.detectors.outliers import Anomaly, GroupAnomaly, Hampel, Noise
from twin.detectors.series import Series
from twin.detectors.spc import Attributes, Charts, ShortRuns
from twin.detectors.spc.groups import Groups
from twin.detectors.spc.spread import Spread
from twin.detectors.validity import Validity
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, ChartType, Group, Line, Sensor, Station

__all__ = [
    "Anomaly",
    "Attributes",
    "Cadence",
    "Charts",
    "GroupAnomaly",
    "Groups",
    "Hampel",
    "Noise",
    "ShortRuns",
    "Spread",
    "Validity",
    "warm",
]


# numba reads what it compiled when a kernel is first called, so this is early enough.
drop_stale(Path(__file__).parent)


def warm(index: LineIndex | None = None) -> None:
    """Compile kernels (or load them from the cache), so that the first sample does not wait.

    Args:
        index: The line whose detectors are compiled: those that have something to judge on it.
            None for all detectors.
    """
    index = _everything() if index is None else index
    batch = Batch.of([0], [0], [0.0]) if len(index) else Batch.of([], [], [])
    Series(index).update(batch)
    for name in __all__:
        kind = globals()[name]
        if isinstance(kind, type) and issubclass(kind, Logic):
            made: Any = kind
            made(index).update(batch)


def _everything() -> LineIndex:
    """A line on which every detector has a row."""
    sensor = Sensor(
        key="warm",
        spike=1.0,
        period_s=1.0,
        chart=Chart(
            centre=0.0, sigma=1.0, ewma_lambda=0.2, cusum_k=0.5, hampel_window=5, spread="mr"
        ),
        detect={"anomaly": {}, "noise": {}},
    )
    station = Station(id="warm", sensor=[sensor])
    row = SensorRow(0, "warm/warm", station, sensor)
    counted = Sensor(key="counted", chart=Chart(type=ChartType.C, centre=1.0))
    started = Sensor(key="started", chart=Chart(type=ChartType.Q))
    blocks = Sensor(
        key="blocks", period_s=1.0, chart=Chart(centre=0.0, sigma=1.0, series="block", block_s=9)
    )
    both = [
        row,
        SensorRow(1, "warm/other", station, sensor),
        SensorRow(2, "warm/counted", station, counted),
        SensorRow(3, "warm/started", station, started),
        SensorRow(4, "warm/blocks", station, blocks),
    ]
    group = Group(
        id="warm",
        kind="t2",
        sensors=[row.id for row in both[:2]],
        mean=[0.0, 0.0],
        sigma=[1.0, 1.0],
        correlation=[[1.0, 0.0], [0.0, 1.0]],
    )
    learned = Group(id="learned", kind="anomaly", sensors=group.sensors)
    return LineIndex(Line(group=[group, learned]), "0" * 16, both, {row.id: row for row in both})
