"""Do default charts cry wolf? Findings on data in control, divided by what chance alone gives.

A baseline is fitted to the first part of a stretch as ``linetwin baseline fit --series auto`` does,
and the charts that run at the line judge the rest: rule 1 and an EWMA, on what the baseline makes
of the samples. The stretches are autocorrelated series with known truth, and what published
recordings have between their labelled anomalies. One procedure and one setting for all of them.

A stretch whose first part fails a test of phase I would not have been approved; it is listed with
the test it failed and counted apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from twin.cli.benches.figure import Figure, Work, skipped
from twin.cli.benches.published import published
from twin.detectors.series import Series
from twin.detectors.spc import Charts, baseline_fit, stability
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Line, Sensor, Station

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from twin.model.baseline import Baseline

__all__ = ["PHIS", "Stretch", "Verdict", "ar1", "judge", "measure", "real", "stretches"]

PHIS = (0.0, 0.2, 0.5, 0.8, 0.9, 0.95)
_CHART = Chart(rules="shewhart", ewma_lambda=0.2, ewma_l=2.962)
_SEEDS = 20
_FIT, _REST = 2000, 4000
_LEAST_FIT, _LEAST_REST = 400, 100
_MOST = 1.5
_UNIT = "findings / chance"
_SENSOR = "line/value"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Values of one sensor in control.

    Attributes:
        name: Where it is from.
        time_ns: Shape (n,), event time.
        value: Shape (n,).
        fit: The first so many rows are for the baseline.
    """

    name: str
    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    fit: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the charts said about the rest of a stretch.

    Attributes:
        points: Plotted points that were judged.
        rule1: Findings of rule 1.
        ewma: Findings of the EWMA.
        failed: Tests of phase I the baseline did not pass, or why there is none.
        baseline: What was fitted; None when nothing could be.
    """

    points: int
    rule1: int
    ewma: int
    failed: list[str]
    baseline: Baseline | None

    @property
    def findings(self) -> int:
        """Of both."""
        return self.rule1 + self.ewma

    @property
    def by_chance(self) -> float:
        """Findings of both on as many independent normal points."""
        return self.points * (
            stability.point_rate() + stability.ewma_rate(_CHART.ewma_lambda or 1.0, _CHART.ewma_l)
        )


def judge(stretch: Stretch) -> Verdict:
    """Fit the first rows, put the result into force, and let the charts judge the others."""
    index = _line(stretch)
    batch = Batch.of(np.zeros(len(stretch.value)), stretch.time_ns, stretch.value)
    ask = baseline_fit.Ask(id="value", rules="shewhart")
    fit = baseline_fit.fit(index, _SENSOR, batch.part(0, stretch.fit), ask)
    if fit.baseline is None:
        return Verdict(0, 0, 0, fit.missing, None)
    force = replace(index, baselines={_SENSOR: [fit.baseline]})
    series, charts = Series(force), Charts(force)
    points = series.update(batch)
    events = charts.update(batch) + charts.update_points(points, batch)
    start = int(stretch.time_ns[stretch.fit])
    if len(points):
        count = int(np.count_nonzero(np.isfinite(points.value) & (points.time_ns >= start)))
    else:
        count = len(stretch.value) - stretch.fit
    said = [e.rule for e in events if e.type == "finding" and e.t_last >= start]
    return Verdict(count, said.count("rule1"), said.count("ewma"), fit.failed, fit.baseline)


def _line(stretch: Stretch) -> LineIndex:
    step = np.diff(stretch.time_ns)
    sensor = Sensor(key="value", period_s=float(np.median(step[step > 0])) / 1e9, chart=_CHART)
    station = Station(id="line", sensor=[sensor])
    row = SensorRow(0, _SENSOR, station, sensor)
    return LineIndex(Line(), "0" * 16, [row], {row.id: row})


def ar1(phi: float, seed: int, fit: int = _FIT, rest: int = _REST) -> Stretch:
    """A stationary AR(1) series, one value per second."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(fit + rest)
    noise[0] /= np.sqrt(1.0 - phi * phi)
    value = np.empty(len(noise))
    last = 0.0
    for i, e in enumerate(noise.tolist()):
        last = phi * last + e
        value[i] = last
    time_ns = (1_700_000_000 + np.arange(len(value))) * 1_000_000_000
    return Stretch(f"phi {phi:g}", time_ns.astype(np.int64), value, fit)


def stretches(
    name: str, time_ns: NDArray[np.int64], value: NDArray[np.float64], free: NDArray[np.bool_]
) -> Iterator[Stretch]:
    """Rows in a row without a label: at least 400 to fit, half of them, and 100 to judge."""
    usable = free & np.isfinite(value)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], usable.astype(np.int8), [0]))))
    for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        fit = max(_LEAST_FIT, (b - a) // 2)
        if b - a - fit >= _LEAST_REST:
            yield Stretch(f"{name}, rows {a} to {b - 1}", time_ns[a:b], value[a:b], fit)


def measure(work: Work) -> list[Figure]:
    """Ratios on series with known truth, then on published recordings."""
    figures = [_synthetic(work)]
    for name in _SETS:
        inside = work.data / name if work.data is not None else None
        chosen = replace(work, data=inside if inside is not None and inside.is_dir() else work.data)
        folder = published(chosen, name)
        if isinstance(folder, str):
            figures.append(skipped(f"honesty.{name}", _UNIT, folder, _MOST))
        else:
            work.say(f"{name}: one baseline per stretch")
            figures.append(real(name, folder))
    return figures


def _synthetic(work: Work) -> Figure:
    seeds = work.count(_SEEDS, 2)
    rows = []
    whole: list[Verdict] = []
    for phi in PHIS:
        work.say(f"autocorrelation {phi:g}, {seeds} series")
        found = [judge(ar1(phi, seed)) for seed in range(seeds)]
        whole += found
        rows.append(
            {
                "name": f"phi {phi:g}",
                "value": _ratio(found),
                "unit": _UNIT,
                "findings": sum(v.findings for v in found),
                "by_chance": round(sum(v.by_chance for v in found), 1),
                "refused": sum(bool(v.failed) for v in found),
            }
        )
    return Figure(
        name="honesty.ar1",
        unit=_UNIT,
        runs=[_ratio(whole)],
        budget=_MOST,
        conditions={
            "chart": "rule 1 and EWMA(0.2; 2.962) on the series that baseline fit chooses",
            "fitted": _FIT,
            "judged": _REST,
            "series_per_phi": seeds,
            "least": 0.8,
        },
        comparison=rows,
    )


def real(name: str, folder: Path) -> Figure:
    """The ratio on a published set of recordings, ``nab`` or ``skab``, in a folder."""
    verdicts = [(stretch, judge(stretch)) for stretch in _SETS[name](folder)]
    passed = [v for _, v in verdicts if not v.failed]
    refused = [v for _, v in verdicts if v.failed and v.baseline is not None]
    if not passed:
        return skipped(f"honesty.{name}", _UNIT, "no stretch passed phase I", _MOST)
    ratios = [v.findings / v.by_chance for v in passed]
    chance = sum(v.by_chance for v in passed)
    return Figure(
        name=f"honesty.{name}",
        unit=_UNIT,
        runs=[_ratio(passed)],
        budget=_MOST,
        conditions={
            "stretches": len(verdicts),
            "passed_phase_1": len(passed),
            "points": sum(v.points for v in passed),
            "findings": sum(v.findings for v in passed),
            "by_chance": round(chance, 1),
            "rule1": round(
                sum(v.rule1 for v in passed)
                / (stability.point_rate() * sum(v.points for v in passed)),
                3,
            ),
            "median": round(float(np.median(ratios)), 3),
            "mean": round(float(np.mean(ratios)), 3),
            "refused_ratio": _ratio(refused) if refused else None,
            "least": 0.8,
        },
        comparison=[_row(stretch, verdict) for stretch, verdict in verdicts],
    )


def _row(stretch: Stretch, verdict: Verdict) -> dict[str, object]:
    if verdict.baseline is None:
        return {"name": stretch.name, "skipped": f"no baseline: {'; '.join(verdict.failed)}"}
    row: dict[str, object] = {
        "name": stretch.name,
        "value": round(verdict.findings / verdict.by_chance, 3),
        "unit": _UNIT,
        "findings": verdict.findings,
        "by_chance": round(verdict.by_chance, 2),
        "series": verdict.baseline.series.value,
        "level": verdict.baseline.tests.get("level_is", ""),
        "shaped": bool(verdict.baseline.shape),
    }
    if verdict.failed:
        row["skipped"] = f"refused in phase I: {', '.join(verdict.failed)} ({row['value']})"
    return row


def _ratio(found: list[Verdict]) -> float:
    return round(sum(v.findings for v in found) / sum(v.by_chance for v in found), 4)


def _nab(folder: Path) -> Iterator[Stretch]:
    """Rows outside the labelled windows."""
    from twin.cli.benches.nab_files import read_labels, read_recordings  # noqa: PLC0415

    labels = read_labels(folder) or {}
    for recording in read_recordings(folder):
        times = np.array(recording.times)
        free = np.ones(len(times), np.bool_)
        for first, last in labels.get(recording.name, ()):
            free &= ~((times >= first) & (times <= last))
        yield from stretches(recording.name, recording.time_ns, recording.value, free)


def _skab(folder: Path) -> Iterator[Stretch]:
    """Rows without the label of an anomaly, channel by channel."""
    from twin.cli.benches.skab_files import find, read  # noqa: PLC0415

    root, files = find(folder, None)
    for file in files:
        recording = read(root, file)
        free = (
            np.ones(len(recording.time_ns), np.bool_)
            if recording.anomaly is None
            else ~recording.anomaly.astype(np.bool_)
        )
        for j, channel in enumerate(recording.channels):
            name = f"{recording.name} {channel}"
            yield from stretches(name, recording.time_ns, recording.x[:, j], free)


_SETS = {"nab": _nab, "skab": _skab}
