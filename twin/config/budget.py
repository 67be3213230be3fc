"""How many false findings a plan expects on a line in control, and whether people can live with it.

A finding that means nothing costs a walk to the machine and, worse, the belief in the next one.
What a chart costs follows from its run length in control and from how often it plots a point, so
it is known before the line runs. A plan over the budget of ``[detection]`` is refused when a line
is checked or run, with what would fit; replay and rehearsal judge it all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from twin.config.rule_sets import rule_sets_of
from twin.detectors import Anomaly, Hampel, Noise
from twin.detectors.spc.runlength import SHIFTS, RunLength, Statistic, arl_rules, of_chart, scale_of
from twin.detectors.spc.runlength.attributes import arl_t2
from twin.detectors.spc.runlength.mewma import arl_mewma
from twin.detectors.spc.runlength.result import Method
from twin.detectors.spc.runlength.simulate import ar1, first_findings, index_of, simulate
from twin.detectors.spc.short_runs import as_short_run, rules_of_short_run
from twin.model.line import Chart, ChartType, Role, Sensor, Series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.detectors.spc.rules import RuleSet
    from twin.model.baseline import Baseline
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Group

__all__ = ["Entry", "allowed_per_shift", "budget", "correlation", "entries"]

_DAY_S = 86_400.0
_LOCATION = {ChartType.I, ChartType.DNOM, ChartType.Z, ChartType.Q}
_RUNS = 300
_SAMPLES = 1_000_000
"""Simulated numbers of a line description stop here, which takes about a second each."""
_WEAK = 0.01
"""Correlation below this changes no number anybody sees."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One statistic of one chart or group.

    Attributes:
        sensor: ``station/key``, or id of the group.
        chart: Kind of chart or group.
        statistic: What is compared with limits, for example ``cusum(0.5; 5)``.
        points_per_day: Plotted points; None when nobody said how often the sensor sends.
        runs: Run length for each of :data:`SHIFTS`; None where nobody can know it.
        row: The sensor; None for a group.
    """

    sensor: str
    chart: str
    statistic: str
    points_per_day: float | None
    runs: tuple[RunLength | None, ...]
    row: SensorRow | None = None

    @property
    def arl0(self) -> RunLength | None:
        """Run length in control."""
        return self.runs[0]

    @property
    def false_per_day(self) -> float | None:
        """Expected findings per day on a process in control."""
        if self.arl0 is None or self.points_per_day is None:
            return None
        return self.points_per_day / self.arl0.arl


def allowed_per_shift(index: LineIndex) -> float:
    """False findings per shift that the people at the line accept, all of them together."""
    detection = index.line.detection
    return detection.budget_per_shift * detection.operators


def budget(index: LineIndex) -> list[dict[str, Any]]:
    """What every chart spends of the budget, the largest share first; JSON-able.

    Returns:
        Rows with ``sensor``, ``chart``, ``statistic``, ``points_per_day``, ``arl0`` (points),
        ``method`` and ``standard_error`` of that number, ``expected_per_shift``, and ``share`` of
        all that is expected. None stands for what nobody can know.
    """
    hours = index.line.detection.shift_h
    found = list(entries(index))
    total = sum(entry.false_per_day or 0.0 for entry in found)
    rows = [
        {
            "sensor": entry.sensor,
            "chart": entry.chart,
            "statistic": entry.statistic,
            "points_per_day": entry.points_per_day,
            "arl0": None if entry.arl0 is None else entry.arl0.arl,
            "method": None if entry.arl0 is None else str(entry.arl0.method),
            "standard_error": None if entry.arl0 is None else entry.arl0.standard_error,
            "expected_per_shift": None if day is None else day * hours / 24,
            "share": None if day is None else day / total if total else 0.0,
        }
        for entry in found
        for day in (entry.false_per_day,)
    ]
    return sorted(rows, key=lambda row: (-(row["expected_per_shift"] or 0.0), row["sensor"]))


def entries(index: LineIndex) -> Iterator[Entry]:
    """Every statistic of every chart and group of a line, in its order."""
    sets = rule_sets_of(index.line)
    for row in index.sensors:
        chart = row.spec.chart
        if chart is not None and row.spec.role is not Role.STATE:
            points = _points_per_day(row.spec, chart)
            phi, scale = correlation(row, index)
            kind = chart.type.value
            rules = sets.get(chart.rules or "")
            if chart.type is ChartType.Q:
                chart, rules = as_short_run(chart), rules_of_short_run(chart, sets)
            for statistic in _of_chart(_plain(chart), rules, phi, scale):
                yield Entry(row.id, kind, statistic.name, points, statistic.runs, row)
            if chart.hampel_window is not None:
                raw = _DAY_S / row.spec.period_s if row.spec.period_s else None
                run = _hampel(chart.hampel_window, chart.hampel_t)
                name = f"hampel({chart.hampel_window}; {chart.hampel_t:g})"
                yield Entry(row.id, kind, name, raw, (run, None, None, None), row)
        for name, settings in row.spec.detect.items():
            step, rate = _of_detector(name, settings, row.spec.period_s)
            points = _DAY_S / step if step else None
            yield Entry(row.id, "detect", name, points, _at_rate(rate), row)
    for group in index.line.group:
        points = _group_points(group, index)
        for name, runs in _of_group(group):
            yield Entry(group.id, group.kind, name, points, runs)


def correlation(row: SensorRow, index: LineIndex) -> tuple[float, float]:
    """Lag-1 correlation of the plotted points, and sigma of the chart over theirs.

    Known only for raw values of a chart of location, from ``chart.phi`` or the approved baseline;
    0 and 1 otherwise. Sigma is the process's own unless the baseline says that it came from moving
    ranges.
    """
    chart = row.spec.chart
    if chart is None or chart.series is not Series.RAW or chart.type not in _LOCATION:
        return 0.0, 1.0
    records = index.baselines.get(row.id, [])
    named = [record for record in records if record.recipe == chart.recipe] or records
    phi = chart.phi
    if phi is None:
        phi = next((_proven(record) for record in named if record.phi is not None), None)
    if phi is None or abs(phi) < _WEAK:
        return 0.0, 1.0
    phi = min(max(phi, -0.99), 0.99)
    estimator = named[0].estimator if named else ""
    return phi, scale_of(estimator, phi)


def _proven(record: Baseline) -> float:
    """Correlation of a baseline, 0 where its points cannot tell it from none (Bartlett 1946)."""
    phi = record.phi or 0.0
    return phi if abs(phi) > 2.0 / sqrt(record.n) else 0.0


def _points_per_day(sensor: Sensor, chart: Chart) -> float | None:
    if chart.series is Series.BLOCK:
        return _DAY_S / chart.block_s if chart.block_s else None
    if not sensor.period_s:
        return None
    points = _DAY_S / sensor.period_s
    if chart.series is Series.PIECE:
        return points / chart.size if chart.size else None
    if chart.series is Series.THIN:
        return points / chart.every if chart.every else None
    return points


def _plain(chart: Chart) -> Chart:
    """The chart without what no run length depends on, so that equal charts are counted once."""
    gone: dict[str, Any] = {
        **dict.fromkeys(("baseline", "recipe", "reason", "set_point", "size_of"), ""),
        **dict.fromkeys(("level", "tau_s", "block_s", "every", "max_gap_s", "hampel_window"), None),
        "nominal": {},
        "sigmas": {},
    }
    if chart.type in _LOCATION:
        gone |= {"centre": None, "sigma": None, "sigma_within": None}
    return chart.model_copy(update=gone)


_KNOWN: dict[tuple[str, str, float, float], tuple[Statistic, ...]] = {}


def _of_chart(
    chart: Chart, rules: RuleSet | None, phi: float, scale: float
) -> tuple[Statistic, ...]:
    key = (chart.model_dump_json(), repr(rules), round(phi, 3), round(scale, 3))
    if key not in _KNOWN:
        if len(_KNOWN) > 1000:
            _KNOWN.clear()
        found = of_chart(chart, rules, SHIFTS).statistics
        _KNOWN[key] = tuple(_as_sampled(s, chart, rules, phi, scale) for s in found)
    return _KNOWN[key]


def _as_sampled(
    statistic: Statistic, chart: Chart, rules: RuleSet | None, phi: float, scale: float
) -> Statistic:
    """The same statistic on points that are correlated."""
    if not phi:
        return statistic
    if rules is not None and statistic.name == rules.name:
        runs = [arl_rules(rules, shift, phi=phi, scale=scale) for shift in SHIFTS]
        return Statistic(statistic.name, tuple(runs))
    only: dict[str, Any] = {"rules": None}
    if statistic.name.startswith("ewma"):
        only["cusum_k"] = None
    elif statistic.name.startswith("cusum"):
        only["ewma_lambda"] = None
    else:
        return statistic
    one = chart.model_copy(update=only)
    runs = [
        simulate(one, shift, phi=phi, scale=scale, runs=_RUNS, most_samples=_SAMPLES)
        for shift in SHIFTS
    ]
    return Statistic(statistic.name, tuple(runs))


@lru_cache(maxsize=64)
def _hampel(window: int, t: float) -> RunLength:
    """Run length of the Hampel test behind its first full window, on normal values."""
    chart = Chart(centre=0.0, sigma=1.0, rules=None, hampel_window=window, hampel_t=t)
    detector = Hampel(index_of(Sensor(key="r", period_s=1.0, chart=chart), _RUNS))
    draw = ar1(np.random.default_rng(1), _RUNS, 0.0, 0.0)
    run = first_findings(detector, draw, _RUNS, most_samples=_SAMPLES)
    return RunLength(max(1.0, run.arl - window + 1), run.method, run.standard_error)


def _of_detector(
    name: str, settings: dict[str, Any], period_s: float | None
) -> tuple[float | None, float | None]:
    """Seconds between the verdicts of a detector, and its false-alarm probability for each."""
    if name == Noise.name:
        noise = Noise.Settings.model_validate(settings)
        return noise.block_s, noise.alpha
    if name == Anomaly.name:
        return period_s, Anomaly.Settings.model_validate(settings).rate
    return period_s, None


def _at_rate(rate: object, method: Method = Method.SETTING) -> tuple[RunLength | None, ...]:
    """A detector that is wrong at the rate it was given."""
    if isinstance(rate, int | float) and 0.0 < rate < 1.0:
        return (RunLength(1.0 / rate, method), None, None, None)
    return (None, None, None, None)


def _group_points(group: Group, index: LineIndex) -> float | None:
    """Vectors per day: the slowest member makes them."""
    rows = (index.by_id.get(name) for name in group.sensors)
    periods = [row.spec.period_s for row in rows if row is not None and row.spec.period_s]
    return _DAY_S / max(periods) if periods else None


def _of_group(group: Group) -> Iterator[tuple[str, tuple[RunLength | None, ...]]]:
    p = len(group.sensors)
    if group.kind == "anomaly":
        yield "anomaly", _at_rate(group.rate)
    elif group.kind == "mewma":
        weight = group.ewma_lambda
        if group.limit is None:
            # Delays take seconds of computing for many sensors; `linetwin arl --mewma` tells them.
            yield f"mewma({weight:g})", (RunLength(group.arl0, Method.INTEGRAL), None, None, None)
        else:
            runs = tuple(arl_mewma(p, weight, group.limit, shift) for shift in SHIFTS)
            yield f"mewma({weight:g}; {group.limit:g})", runs
    elif group.kind == "t2":
        yield _of_t2(group, p)
    else:
        # Each of the two statistics of a PCA has the false-alarm probability alpha.
        for name in ("t2", "spe"):
            yield name, _at_rate(group.alpha, Method.EXACT)


def _of_t2(group: Group, p: int) -> tuple[str, tuple[RunLength | None, ...]]:
    """Delays are known where mean and covariance are, for shifts as Mahalanobis distances."""
    m = group.m if group.m is not None and group.m > p else None
    name = "t2" if group.limit is None else f"t2({group.limit:g})"
    if m is None:
        limit = float(scipy.special.chdtri(p, group.alpha)) if group.limit is None else group.limit
        return name, tuple(arl_t2(p, limit, shift) for shift in SHIFTS)
    if group.limit is None:
        return name, _at_rate(group.alpha, Method.EXACT)
    return name, (arl_t2(p, group.limit, m=m), None, None, None)
