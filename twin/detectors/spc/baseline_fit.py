"""Phase I: what one sensor looked like while one recipe ran, as a candidate for a baseline.

The order never changes: what may be judged, left-out points, correlation, choice of the series,
points as the charts will see them, retrospective chart, tests, record. Each step says in a sentence
what it found; where data are missing the answer is what is missing.

Which series ``auto`` takes:

* no correlation that the Bayesian information criterion would pay a coefficient for: every sample;
* else the residual of a model of the past. Its level is fixed only when the data prove that there
  is one: at least 100 independent values and no wandering of the mean. Otherwise the model works on
  the differences, so that the level follows the signal and slow drift is left to limits.

Points that are not normal get a map to normal scores, so that limits in sigma keep their meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import sqrt
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from twin.detectors.series import Series as SeriesDetector
from twin.detectors.series import silence_s
from twin.detectors.spc import (
    autocorrelation,
    normalise,
    residual_model,
    sampling,
    shewhart,
    stability,
)
from twin.detectors.spc.normality import anderson_darling
from twin.detectors.spc.rules import PRESETS
from twin.model.baseline import Baseline, Exclusion
from twin.model.batch import BAD, GOOD, Batch, Mark, recipe_code
from twin.model.event import iso
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Role, Sampling, Series, Spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64 = NDArray[np.float64]

__all__ = ["FAILS", "Ask", "Fit", "LeftOut", "Outside", "fit", "only"]

SUBGROUPS, INDIVIDUALS, APPROVED, RESIDUALS, TIMES = 25, 100, 300, 200, 20
"""Fewest points: subgroups, individuals, individuals of a chart in force, residuals, and how many
correlation times residuals must cover."""
_STABLE_P, _NORMAL_P, _CHANCE_P = 0.01, 0.01, 0.01
_MOST_EXCLUDED = 0.1
_RESOLUTION = 0.5
_EQUAL = 0.5
_CORRELATED = 0.2
_TWICE = 1.5
"""Findings may be so many times the nominal number before anybody doubts the baseline."""

FAILS = ("level", "scatter", "in_control", "rehearsal", "resolution", "independent", "enough")
"""Tests that a baseline in force has to pass; ``normal`` is answered by the map instead."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A period that is left out, and why: ``first_ns`` to ``last_ns`` inclusive."""

    first_ns: int
    last_ns: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked for; see :class:`twin.model.baseline.Baseline` for the record's fields."""

    id: str
    version: int = 1
    recipe: str = ""
    tool: str = ""
    series: Series | Literal["auto"] = "auto"
    block_s: float | None = None
    size: int | None = None
    left_out: tuple[LeftOut, ...] = ()
    rules: str = "shewhart"
    by: str = ""
    created: str = ""
    reason: str = ""
    source: str = ""
    supersedes: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """A point of the retrospective chart beyond three sigma: look for its cause.

    Attributes:
        time_ns: Event time.
        value: Plotted value.
        z: Distance from the centre in sigma.
        round: 1, or 2 for points that show only without those of the first round.
    """

    time_ns: int
    value: float
    z: float
    round: int


@dataclass(slots=True)
class Fit:
    """What came out.

    Attributes:
        baseline: The candidate; None when there is not enough to make one.
        steps: What was done, in order, one sentence each.
        missing: What is missing or forbids a baseline; empty when there is one.
        failed: Tests of ``FAILS`` the candidate did not pass.
        outside: Points beyond three sigma whose cause nobody named yet.
    """

    baseline: Baseline | None = None
    steps: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    outside: list[Outside] = field(default_factory=list)


@dataclass(slots=True)
class _Points:
    time_ns: NDArray[np.int64]
    value: F64
    spread: F64


class _NotEnoughError(Exception):
    """There is no baseline in these data."""


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
    small = LineIndex(
        index.line,
        index.version,
        rows,
        {r.id: r for r in rows},
        control=index.control,
    )
    return small, rows[0], replace(part, sensor=number[part.sensor])


def fit(index: LineIndex, sensor: str, batch: Batch, ask: Ask) -> Fit:
    """Fit a candidate.

    Args:
        index: The line.
        sensor: Sensor id.
        batch: Samples of the period with the marks of the validity tests and their recipes; rows
            of other sensors are not looked at.
        ask: What is wanted.
    """
    small, row, part = only(index, sensor, batch)
    work = _Work(small, row, part, ask)
    try:
        work.run()
    except _NotEnoughError as error:
        work.fit.missing.append(str(error))
    return work.fit


class _Work:
    """One fit on its way from samples to a record."""

    def __init__(self, index: LineIndex, row: SensorRow, batch: Batch, ask: Ask) -> None:
        self.index, self.row, self.ask = index, row, ask
        self.batch = replace(batch, quality=batch.quality.copy())
        self.fit = Fit()
        self.tests: dict[str, float | str | bool] = {}
        self.excluded: list[Exclusion] = []
        self.step_s: float | None = None
        self.tau_s = 0.0
        self.phi: float | None = None
        self.period: F64 = np.empty(0)

    def run(self) -> None:
        """All steps."""
        self._role()
        self._recipe()
        self._valid()
        for cut in self.ask.left_out:
            self._leave_out(cut)
        self._sampling()
        self._correlation()
        draft = self._draft()
        points = self._points(draft)
        draft = self._enough(self._located(draft, points), points)
        self._retrospective(draft, points)
        draft = self._normal(draft, points)
        self._tests(draft, points)
        self._rehearse(draft)
        self.fit.failed = [name for name in FAILS if self.tests.get(name) is False]
        excluded = sum(e.points for e in self.excluded)
        if excluded > _MOST_EXCLUDED * (len(points.value) + excluded):
            raise _NotEnoughError(
                f"{excluded} of {len(points.value) + excluded} points are left out, more than "
                f"{_MOST_EXCLUDED:.0%}: this period is no baseline"
            )
        self.fit.baseline = draft.model_copy(
            update={"tests": dict(self.tests), "excluded": self.excluded}
        )

    def _say(self, text: str) -> None:
        self.fit.steps.append(text)

    # -- what may be judged -----------------------------------------------------------------------

    def _role(self) -> None:
        spec = self.row.spec
        plan = self.index.control.get(spec.control, {})
        if plan.get("class") == "SAFETY":
            raise _NotEnoughError("safety limits are fixed by people and never fitted to data")
        if spec.role is Role.STATE:
            raise _NotEnoughError("a state has no mean and no scatter")
        if spec.role is Role.COUNTER and self.ask.series is not Series.BLOCK:
            raise _NotEnoughError("a counter only rises: chart its rate with --series block")
        if self.ask.series == "auto" and plan.get("chart", "") == "limit":
            raise _NotEnoughError("the control plan watches it by fixed limits, without statistics")

    def _recipe(self) -> None:
        mine = self.batch.sensor == self.row.index
        found = np.unique(self.batch.recipe[mine])
        if self.ask.recipe:
            keep = ~mine | (self.batch.recipe == recipe_code(self.ask.recipe))
            if (self.batch.recipe[mine] == -1).all():
                keep |= mine  # nobody said which recipe ran; the person who asks does
            self.batch = self.batch.take(keep)
            if not (self.batch.sensor == self.row.index).any():
                raise _NotEnoughError(f"no sample was taken while recipe {self.ask.recipe!r} ran")
        elif len(found) > 1:
            raise _NotEnoughError(
                f"{len(found)} recipes ran in this period; name one with --recipe, because a"
                " mixture has neither their means nor their scatter"
            )

    def _valid(self) -> None:
        mine = self.batch.sensor == self.row.index
        good = (
            mine
            & (self.batch.quality == GOOD)
            & np.isfinite(self.batch.value)
            & ((self.batch.marks & (Mark.INVALID | Mark.LATE)) == 0)
        )
        self._say(f"{int(mine.sum())} samples, {int((mine & ~good).sum())} of them invalid or late")
        if int(good.sum()) < SUBGROUPS:
            raise _NotEnoughError(f"{int(good.sum())} valid samples; {SUBGROUPS} are the least")
        self.good = good

    def _leave_out(self, cut: LeftOut) -> None:
        time = self.batch.time_ns
        hit = self.good & (time >= cut.first_ns) & (time <= cut.last_ns)
        count = int(hit.sum())
        if not count:
            raise _NotEnoughError(
                f"nothing to leave out between {iso(cut.first_ns)} and {iso(cut.last_ns)}"
            )
        self.batch.quality[hit] = BAD
        self.good &= ~hit
        self.excluded.append(
            Exclusion(
                first=iso(int(time[hit][0])),
                last=iso(int(time[hit][-1])),
                points=count,
                cause=cut.cause,
                round=1,
            )
        )
        self._say(f"{count} samples left out: {cut.cause}")

    def _sampling(self) -> None:
        """Nominal step, and whether the source sends only changes."""
        time, value = self.batch.time_ns[self.good], self.batch.value[self.good]
        spec = self.row.spec
        step = np.diff(time)
        typical = float(np.median(step[step > 0])) / 1e9 if (step > 0).any() else 0.0
        if spec.period_s is not None:
            self.step_s = spec.period_s
        elif typical and spec.sampling is not Sampling.EVENT:
            regular = np.mean(np.abs(step / 1e9 - typical) < 0.5 * typical)
            self.step_s = typical if regular > 0.9 else None
        said = sampling.reporting(time, value)
        if said.by_exception and spec.sampling is Sampling.PERIODIC:
            raise _NotEnoughError(
                f"the source sends only changes ({said.small} equal or small steps, {said.turns}"
                ' turns): declare sampling = "by_exception" with max_silence_s and period_s'
            )

    # -- series -----------------------------------------------------------------------------------

    def _correlation(self) -> None:
        time, value = self.batch.time_ns[self.good], self.batch.value[self.good]
        held = self.row.spec.sampling is Sampling.BY_EXCEPTION
        if held and self.step_s is None:
            raise _NotEnoughError("a source that sends only changes needs period_s")
        if held and self.step_s is not None:
            silence = round(silence_s(self.row) * 1e9)
            grid = sampling.hold(time, value, round(self.step_s * 1e9), silence).value
        elif self.step_s is None:
            grid = value
        else:
            try:
                grid = autocorrelation.on_grid(time, value, round(self.step_s * 1e9))
            except ValueError:
                grid, self.step_s = value, None
        known = grid[np.isfinite(grid)]
        if float(np.ptp(known)) <= 0.0:
            raise _NotEnoughError(f"all {len(known)} values are {known[0]:g}: nothing varies")
        self.period = grid
        if len(known) < 4 * (residual_model.ORDER + 1):
            return
        first = autocorrelation.fit_ar(grid, order=1)
        self.phi = first.phi
        self.tau_s = autocorrelation.correlation_time(first.phi, self.step_s or 1.0)
        self._say(
            f"correlation of neighbours {first.phi:.3f}, correlation time"
            f" {self.tau_s:.4g} {'s' if self.step_s else 'samples'}"
        )

    def _draft(self) -> Baseline:
        """The record with its series chosen and centre 0, sigma 1 still to be estimated."""
        ask, spec = self.ask, self.row.spec
        series = ask.series
        chart = spec.chart or Chart()
        update: dict[str, Any] = {}
        if series == "auto" and chart.series in {Series.BLOCK, Series.PIECE, Series.THIN}:
            series = chart.series
            self._say(f"the chart of the line description plots {series}")
        if series in {"auto", Series.RESIDUAL}:
            chosen = self._model(forced=series != "auto")
            series = Series.RAW if chosen is None else Series.RESIDUAL
            update = chosen or {}
        if series is Series.BLOCK:
            update = {"block_s": ask.block_s or chart.block_s}
            if update["block_s"] is None:
                raise _NotEnoughError(self._block_hint())
        if series is Series.PIECE:
            update = {"size": ask.size or chart.size}
        return Baseline(
            id=ask.id,
            version=ask.version,
            sensor=self.row.id,
            recipe=ask.recipe,
            tool=ask.tool,
            unit=spec.unit,
            series=Series(series),
            centre=0.0,
            sigma=1.0,
            phi=self.phi,
            n=1,
            source=ask.source,
            rules=ask.rules,
            arl0=PRESETS[ask.rules].arl0 if ask.rules in PRESETS else None,
            created_by=ask.by,
            created=ask.created,
            reason=ask.reason,
            supersedes=ask.supersedes,
            **update,
        )

    def _block_hint(self) -> str:
        if self.phi is None or self.step_s is None or self.phi >= 1:
            return "--series block needs --block SECONDS"
        length = autocorrelation.block_length(max(self.phi, 0.0)) * self.step_s
        return f"--series block needs --block SECONDS; {length:g} s leave a correlation near 0.1"

    def _model(self, *, forced: bool) -> dict[str, Any] | None:
        """Level and coefficients of the residual; None when samples can be plotted as they are."""
        grid = self.period
        known = int(np.isfinite(grid).sum())
        if known < INDIVIDUALS:
            raise _NotEnoughError(f"{known} samples; {INDIVIDUALS} are the least")
        if known < RESIDUALS:
            if not forced and residual_model.independent(grid):
                self._say("neighbours are independent: every sample is plotted")
                return None
            raise _NotEnoughError(
                f"{known} samples; a model of the past needs {RESIDUALS}"
                f" and {TIMES} correlation times, more is better"
            )
        if self.row.spec.chart is not None and self.row.spec.chart.model != "ar":
            self._say(f"residual from a centre line that follows ({self.row.spec.chart.model})")
            return {"level": float(np.nanmean(grid)), "step_s": self.step_s}
        try:
            found = residual_model.choose(grid, TIMES)
        except residual_model.TooShortError as error:
            raise _NotEnoughError(str(error)) from error
        self.tests["independent_values"] = round(found.independent, 1)
        self.tests["level_p"] = round(found.level_p, 4)
        self.tests["level_is"] = "follows the signal" if found.follows else "fixed"
        if not found.ar and not forced:
            self._say("neighbours are independent: every sample is plotted")
            return None
        self._say(found.text)
        return {"level": found.level, "ar": list(found.ar), "step_s": self.step_s}

    # -- points -----------------------------------------------------------------------------------

    def _points(self, draft: Baseline, batch: Batch | None = None) -> _Points:
        """Plotted points of the draft, made by the code that makes them while the line runs."""
        batch = self.batch if batch is None else batch
        if draft.series is Series.RAW and not self._follows():
            good = self.good if batch is self.batch else _good(batch, self.row.index)
            value = batch.value[good]
            return _Points(batch.time_ns[good], value, np.full(len(value), np.nan))
        spec = self.row.spec
        within = draft.series in {Series.BLOCK, Series.PIECE}
        chart = (spec.chart or Chart()).model_copy(
            update={
                "series": draft.series,
                "centre": None,
                "sigma": None,
                "block_s": draft.block_s,
                "size": draft.size,
                "spread": Spread.S if within else Spread.NONE,
            }
        )
        row = replace(self.row, spec=spec.model_copy(update={"chart": chart}))
        rows = [row, *self.index.sensors[1:]]
        line = replace(
            self.index,
            sensors=rows,
            by_id={r.id: r for r in rows},
            baselines={row.id: [draft.model_copy(update={"recipe": "", "shape": []})]},
        )
        found = SeriesDetector(line).update(batch)
        known = np.isfinite(found.value)
        return _Points(found.time_ns[known], found.value[known], found.spread[known])

    def _follows(self) -> bool:
        return self.row.spec.chart is not None and bool(self.row.spec.chart.set_point)

    def _located(self, draft: Baseline, points: _Points) -> Baseline:
        """Centre and sigma of the plotted points, with the name of the estimator."""
        x = points.value
        if len(x) < 2 or float(np.ptp(x)) <= 0.0:
            raise _NotEnoughError(f"{len(x)} points that differ in nothing; there is no scatter")
        sigma, how = float(x.std(ddof=1)), "standard deviation of the points"
        if draft.series is not Series.RESIDUAL:
            sigma = shewhart.individuals(x).sigma
            how = "mean moving range"
            phi = autocorrelation.lag_correlation(x)
            if draft.series is Series.RAW and 2.0 / sqrt(len(x)) < phi < 1.0:
                # Neighbours that resemble each other differ less than others do.
                sigma, how = sigma / sqrt(1.0 - phi), f"mean moving range, correlation {phi:.3f}"
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
        if not sigma > 0.0:
            raise _NotEnoughError("neighbouring points are equal: there is no scatter")
        return draft.model_copy(update=update)

    def _enough(self, draft: Baseline, points: _Points) -> Baseline:
        n = len(points.value)
        subgroups = draft.series in {Series.BLOCK, Series.PIECE}
        least = SUBGROUPS if subgroups else INDIVIDUALS
        if draft.series is Series.RESIDUAL:
            least = RESIDUALS
        if n < least:
            raise _NotEnoughError(f"{n} points of series {draft.series}; {least} are the least")
        self.tests["enough"] = subgroups or n >= APPROVED
        if not self.tests["enough"]:
            self._say(f"{n} points: enough to begin with, {APPROVED} for a chart in force")
        return draft

    # -- judgement --------------------------------------------------------------------------------

    def _retrospective(self, draft: Baseline, points: _Points) -> None:
        """List points beyond three sigma in two rounds; only a named cause takes one out."""
        z = (points.value - draft.centre) / draft.sigma
        rest = np.ones(len(z), np.bool_)
        for turn in (1, 2):
            hit = rest & (np.abs(z) > 3.0)
            self.fit.outside += [
                Outside(int(points.time_ns[i]), float(points.value[i]), float(z[i]), turn)
                for i in np.flatnonzero(hit)
            ]
            rest &= ~hit
            kept = points.value[rest]
            if not hit.any() or len(kept) < SUBGROUPS:
                break
            again = self._located(draft, _Points(points.time_ns[rest], kept, points.spread[rest]))
            z = (points.value - again.centre) / again.sigma
        self._say(f"retrospective chart: {len(self.fit.outside)} points beyond three sigma")

    def _normal(self, draft: Baseline, points: _Points) -> Baseline:
        """Test for normality; individual points that fail get a map to normal scores."""
        test = anderson_darling(points.value)
        self.tests["anderson_darling"] = round(test.statistic, 4)
        self.tests["anderson_darling_p"] = float(f"{test.p:.3g}")
        self.tests["normal"] = test.p >= _NORMAL_P
        individual = draft.series in {Series.RAW, Series.RESIDUAL, Series.THIN}
        if self.tests["normal"] or not individual:
            return draft
        if len(points.value) < normalise.FEWEST:
            self._say("points are not normal, and too few for a map to normal scores")
            return draft
        spread = float(points.value.std(ddof=1))
        draft = draft.model_copy(
            update={"sigma": spread, "estimator": "standard deviation, shaped"}
        )
        try:
            shape = normalise.shape_of((points.value - draft.centre) / spread)
        except ValueError as error:
            self._say(f"points are not normal; no map: {error}")
            return draft
        self._say(f"points are not normal (p {test.p:.2g}): {len(shape)} knots map them to scores")
        return draft.model_copy(update={"shape": shape})

    def _tests(self, draft: Baseline, points: _Points) -> None:
        z = _scores(draft, points.value)
        self.tests["skewness"], self.tests["excess"] = _moments(z)
        self._resolution(draft)
        if draft.series not in {Series.RAW, Series.RESIDUAL}:
            self.tests["level_p"] = round(stability.level_p(z), 4)
        self.tests["level"] = (
            self.tests.get("level_is") == "follows the signal"
            or float(self.tests.get("level_p", 1.0)) >= _STABLE_P
        )
        p = stability.scatter_p(z)
        self.tests["scatter_p"] = round(p, 4)
        self.tests["scatter"] = p >= _STABLE_P
        phi = autocorrelation.lag_correlation(points.value)
        self.tests["phi_of_points"] = round(phi, 4)
        self.tests["independent"] = abs(phi) < max(_CORRELATED, 3.0 / sqrt(len(z)))
        found = stability.openings(np.abs(z) > 3.0)
        chance = stability.too_many_p(found, _TWICE * stability.point_rate() * len(z))
        self.tests["findings"] = float(found)
        self.tests["in_control"] = chance >= _CHANCE_P

    def _resolution(self, draft: Baseline) -> None:
        values = self.batch.value[self.good]
        step = self.row.spec.resolution or sampling.resolution(values)
        self.tests["resolution_sigma"] = round(step / draft.sigma, 4)
        equal = float(np.mean(np.diff(values) == 0.0))
        self.tests["equal_neighbours"] = round(equal, 4)
        single = draft.series in {Series.RAW, Series.RESIDUAL}
        self.tests["resolution"] = not single or equal < _EQUAL
        if single and step > _RESOLUTION * draft.sigma:
            self._say(
                f"resolution {step:g} is {step / draft.sigma:.2g} sigma: zone rules are blind here"
            )

    def _rehearse(self, draft: Baseline) -> None:
        """Fit the first half alone and judge the second: does the past say what comes next?"""
        if draft.series not in {Series.RAW, Series.RESIDUAL} or draft.n < 2 * RESIDUALS:
            return
        mine = np.flatnonzero(self.good)
        at = mine[len(mine) // 2]
        first = _Work(self.index, self.row, self.batch.part(0, int(at)), self.ask)
        first.ask = replace(self.ask, left_out=(), recipe="", series=draft.series)
        first.fit = Fit()
        try:
            first._valid()
            first.step_s = self.step_s
            first._correlation()
            half = first._draft()
            before = first._points(half)
            half = first._normal(first._located(half, before), before)
        except _NotEnoughError:
            return
        after = self._points(half)
        z = _scores(half, after.value[after.time_ns > before.time_ns[-1]])
        found = stability.openings(np.abs(z) > 3.0)
        expected = stability.point_rate() * len(z)
        if not expected:
            return
        chance = stability.too_many_p(found, _TWICE * expected)
        self.tests["rehearsal_ratio"] = round(found / expected, 3)
        self.tests["rehearsal"] = chance >= _CHANCE_P
        self._say(
            f"the first half judges the second: {found} findings, {expected:.1f} expected by chance"
        )


def _good(batch: Batch, sensor: int) -> NDArray[np.bool_]:
    usable: NDArray[np.bool_] = (
        (batch.sensor == sensor)
        & (batch.quality == GOOD)
        & np.isfinite(batch.value)
        & ((batch.marks & (Mark.INVALID | Mark.LATE)) == 0)
    )
    return usable


def _scores(draft: Baseline, value: F64) -> F64:
    return normalise.scores((value - draft.centre) / draft.sigma, draft.shape)


def _moments(z: F64) -> tuple[float, float]:
    """Skewness and excess kurtosis."""
    away = z - z.mean()
    spread = float(away.std())
    if spread <= 0.0:
        return 0.0, 0.0
    return (
        round(float(np.mean(away**3)) / spread**3, 3),
        round(float(np.mean(away**4)) / spread**4 - 3.0, 3),
    )
