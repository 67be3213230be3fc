"""Plotted points of a candidate, as its chart will see them, with their centre and sigma."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.detectors.series import Series as SeriesDetector
from twin.detectors.spc import autocorrelation, normalise, shewhart
from twin.model.batch import GOOD, Mark
from twin.model.event import iso
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Series, Spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.baseline import Baseline
    from twin.model.batch import Batch

    F64 = NDArray[np.float64]

__all__ = ["NotEnoughError", "Plotted", "good_rows", "located", "only", "plotted", "scores"]


class NotEnoughError(Exception):
    """There is no baseline in these data; the text says why."""


@dataclass(frozen=True, slots=True)
class Plotted:
    """Points that can be judged.

    Attributes:
        time_ns: int64, shape (n,), event time of the last sample in each.
        value: float64, shape (n,).
        spread: float64, shape (n,), standard deviation within; NaN where there is none.
    """

    time_ns: NDArray[np.int64]
    value: F64
    spread: F64

    def __len__(self) -> int:
        return len(self.value)


def only(index: LineIndex, sensor: str, batch: Batch) -> tuple[LineIndex, SensorRow, Batch]:
    """A line of one sensor (and the one that brings its set-point) with the samples of these.

    Raises:
        KeyError: The line has no such sensor.
    """
    row = index.by_id[sensor]
    wanted = [row]
    chart = row.spec.chart
    if chart is not None and chart.set_point:
        set_point = index.by_id.get(f"{row.station.id}/{chart.set_point}")
        wanted += [] if set_point is None else [set_point]
    rows = [SensorRow(i, r.id, r.station, r.spec) for i, r in enumerate(wanted)]
    number = np.full(len(index), -1, np.int32)
    number[[r.index for r in wanted]] = np.arange(len(wanted))
    part = batch.take(number[batch.sensor] >= 0)
    by_id = {r.id: r for r in rows}
    small = LineIndex(index.line, index.version, rows, by_id, control=index.control)
    return small, rows[0], replace(part, sensor=number[part.sensor])


def good_rows(batch: Batch, sensor: int) -> NDArray[np.bool_]:
    """Rows of a sensor that may be judged."""
    usable: NDArray[np.bool_] = (
        (batch.sensor == sensor)
        & (batch.quality == GOOD)
        & np.isfinite(batch.value)
        & ((batch.marks & (Mark.INVALID | Mark.LATE)) == 0)
    )
    return usable


def plotted(index: LineIndex, row: SensorRow, batch: Batch, draft: Baseline) -> Plotted:
    """Points of a draft, made by the code that makes them while the line runs; without its map.

    Args:
        index: Line of :func:`only`.
        row: Its first sensor.
        batch: Samples of that line.
        draft: What says how samples become points.
    """
    spec = row.spec
    chart = spec.chart or Chart()
    if draft.series is Series.RAW and not chart.set_point:
        good = good_rows(batch, row.index)
        value = batch.value[good]
        return Plotted(batch.time_ns[good], value, np.full(len(value), np.nan))
    within = draft.series in {Series.BLOCK, Series.PIECE}
    changed = chart.model_copy(
        update={
            "series": draft.series,
            "centre": None,
            "sigma": None,
            "block_s": draft.block_s,
            "size": draft.size,
            "spread": Spread.S if within else Spread.NONE,
        }
    )
    charted = replace(row, spec=spec.model_copy(update={"chart": changed}))
    rows = [charted, *index.sensors[1:]]
    line = replace(
        index,
        sensors=rows,
        by_id={r.id: r for r in rows},
        baselines={row.id: [draft.model_copy(update={"recipe": "", "shape": []})]},
    )
    found = SeriesDetector(line).update(batch)
    known = np.isfinite(found.value) & (found.sensor == row.index)
    return Plotted(found.time_ns[known], found.value[known], found.spread[known])


def located(draft: Baseline, points: Plotted) -> Baseline:
    """The draft with centre and sigma of its points, and the name of the estimator.

    Raises:
        NotEnoughError: The points do not differ.
    """
    x = points.value
    if len(x) < 2 or float(np.ptp(x)) <= 0.0:
        raise NotEnoughError(f"{len(x)} points that differ in nothing; there is no scatter")
    sigma, how = float(x.std(ddof=1)), "standard deviation of the points"
    if draft.series is not Series.RESIDUAL:
        sigma, how = shewhart.individuals(x).sigma, "mean moving range"
        phi = autocorrelation.lag_correlation(x)
        if draft.series is Series.RAW and 2.0 / sqrt(len(x)) < phi < 1.0:
            # Neighbours that resemble each other differ less than others do.
            sigma, how = sigma / sqrt(1.0 - phi), f"mean moving range, correlation {phi:.3f}"
    if not sigma > 0.0:
        raise NotEnoughError("neighbouring points are equal: there is no scatter")
    update: dict[str, Any] = {
        "centre": float(x.mean()),
        "sigma": sigma,
        "estimator": how,
        "n": len(x),
        "start": iso(int(points.time_ns[0])),
        "end": iso(int(points.time_ns[-1])),
    }
    spread = points.spread[np.isfinite(points.spread)]
    if len(spread) and float(np.mean(spread**2)) > 0.0:
        update["sigma_within"] = float(np.sqrt(np.mean(spread**2)))
    return draft.model_copy(update=update)


def scores(draft: Baseline, value: F64) -> F64:
    """Plotted values in sigma from the centre, made normal by the draft's map if it has one."""
    return normalise.scores((value - draft.centre) / draft.sigma, draft.shape)
