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
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from twin.detectors.series import silence_s
from twin.detectors.spc import (
    autocorrelation,
    baseline_tests,
    residual_model,
    sampling,
)
from twin.detectors.spc.baseline_points import (
    NotEnoughError,
    Plotted,
    good_rows,
    located,
    only,
    plotted,
)
from twin.detectors.spc.baseline_tests import FAILS, Outside
from twin.detectors.spc.rules import PRESETS
from twin.model.baseline import Baseline, Exclusion
from twin.model.batch import BAD, Batch, recipe_code
from twin.model.event import iso
from twin.model.line import Chart, Role, Sampling, Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.index import LineIndex, SensorRow

    F64 = NDArray[np.float64]

__all__ = ["FAILS", "Ask", "Fit", "LeftOut", "Outside", "fit"]

SUBGROUPS, INDIVIDUALS, APPROVED, RESIDUALS, TIMES = 25, 100, 300, 200, 20
"""Fewest points: subgroups, individuals, individuals of a chart in force, residuals, and how many
correlation times residuals must cover."""
_MOST_EXCLUDED = 0.1


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
    except NotEnoughError as error:
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
        self._not_too_much()
        self._sampling()
        self._correlation()
        draft = self._draft()
        points = plotted(self.index, self.row, self.batch, draft)
        draft = located(draft, points)
        self._enough(draft, points)
        self.fit.outside = baseline_tests.outside(draft, points)
        self._say(f"retrospective chart: {len(self.fit.outside)} points beyond three sigma")
        draft = self._tested(draft, points)
        self._rehearse(draft)
        self.fit.failed = [name for name in FAILS if self.tests.get(name) is False]
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
            raise NotEnoughError("safety limits are fixed by people and never fitted to data")
        if spec.role is Role.STATE:
            raise NotEnoughError("a state has no mean and no scatter")
        if spec.role is Role.COUNTER and self.ask.series is not Series.BLOCK:
            raise NotEnoughError("a counter only rises: chart its rate with --series block")
        if self.ask.series == "auto" and plan.get("chart", "") == "limit":
            raise NotEnoughError("the control plan watches it by fixed limits, without statistics")

    def _recipe(self) -> None:
        mine = self.batch.sensor == self.row.index
        found = np.unique(self.batch.recipe[mine])
        if self.ask.recipe:
            keep = ~mine | (self.batch.recipe == recipe_code(self.ask.recipe))
            if (self.batch.recipe[mine] == -1).all():
                keep |= mine  # nobody said which recipe ran; the person who asks does
            self.batch = self.batch.take(keep)
            if not (self.batch.sensor == self.row.index).any():
                raise NotEnoughError(f"no sample was taken while recipe {self.ask.recipe!r} ran")
        elif len(found) > 1:
            raise NotEnoughError(
                f"{len(found)} recipes ran in this period; name one with --recipe, because a"
                " mixture has neither their means nor their scatter"
            )
        elif len(found) == 1 and found[0] != -1:
            self._say(
                "one recipe ran; the baseline holds for every recipe unless --recipe names it"
            )

    def _valid(self) -> None:
        mine = self.batch.sensor == self.row.index
        good = good_rows(self.batch, self.row.index)
        self._say(f"{int(mine.sum())} samples, {int((mine & ~good).sum())} of them invalid or late")
        if int(good.sum()) < SUBGROUPS:
            raise NotEnoughError(f"{int(good.sum())} valid samples; {SUBGROUPS} are the least")
        self.good = good

    def _leave_out(self, cut: LeftOut) -> None:
        time = self.batch.time_ns
        hit = self.good & (time >= cut.first_ns) & (time <= cut.last_ns)
        count = int(hit.sum())
        if not count:
            raise NotEnoughError(
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

    def _not_too_much(self) -> None:
        excluded = sum(e.points for e in self.excluded)
        samples = int(self.good.sum()) + excluded
        if excluded > _MOST_EXCLUDED * samples:
            raise NotEnoughError(
                f"{excluded} of {samples} samples are left out, more than"
                f" {_MOST_EXCLUDED:.0%}: this period is no baseline"
            )

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
            raise NotEnoughError(
                f"the source sends only changes ({said.small} equal or small steps, {said.turns}"
                ' turns): declare sampling = "by_exception" with max_silence_s and period_s'
            )

    def _observed(self) -> tuple[NDArray[np.int64], F64]:
        """Times and values, or deviations from the set-point, of what may be judged."""
        if self.row.spec.chart is None or not self.row.spec.chart.set_point:
            return self.batch.time_ns[self.good], self.batch.value[self.good]
        as_they_are = self._record(Series.RAW, {})
        points = plotted(self.index, self.row, self.batch, as_they_are)
        if not len(points):
            raise NotEnoughError("no sample has a set-point to be compared with")
        return points.time_ns, points.value

    # -- series -----------------------------------------------------------------------------------

    def _correlation(self) -> None:
        time, value = self._observed()
        held = self.row.spec.sampling is Sampling.BY_EXCEPTION
        if held and self.step_s is None:
            raise NotEnoughError("a source that sends only changes needs period_s")
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
            raise NotEnoughError(f"all {len(known)} values are {known[0]:g}: nothing varies")
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
        ask, series = self.ask, self.ask.series
        chart = self.row.spec.chart or Chart()
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
                raise NotEnoughError(self._block_hint())
        if series is Series.PIECE:
            update = {"size": ask.size or chart.size}
        return self._record(Series(series), update)

    def _record(self, series: Series, update: dict[str, Any]) -> Baseline:
        """A record without centre and sigma."""
        ask = self.ask
        return Baseline(
            id=ask.id,
            version=ask.version,
            sensor=self.row.id,
            recipe=ask.recipe,
            tool=ask.tool,
            unit=self.row.spec.unit,
            series=series,
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
            raise NotEnoughError(f"{known} samples; {INDIVIDUALS} are the least")
        if known < RESIDUALS:
            if not forced and residual_model.independent(grid):
                self._say("neighbours are independent: every sample is plotted")
                return None
            raise NotEnoughError(
                f"{known} samples; a model of the past needs {RESIDUALS}"
                f" and {TIMES} correlation times, more is better"
            )
        if self.row.spec.chart is not None and self.row.spec.chart.model != "ar":
            self._say(f"residual from a centre line that follows ({self.row.spec.chart.model})")
            return {"level": float(np.nanmean(grid)), "step_s": self.step_s}
        try:
            found = residual_model.choose(grid, TIMES)
        except residual_model.TooShortError as error:
            raise NotEnoughError(str(error)) from error
        self.tests["independent_values"] = round(found.independent, 1)
        self.tests["level_p"] = round(found.level_p, 4)
        self.tests["level_is"] = "follows the signal" if found.follows else "fixed"
        if not found.ar and not forced:
            self._say("neighbours are independent: every sample is plotted")
            return None
        self._say(found.text)
        return {"level": found.level, "ar": list(found.ar), "step_s": self.step_s}

    # -- points -----------------------------------------------------------------------------------

    def _enough(self, draft: Baseline, points: Plotted) -> None:
        n = len(points)
        subgroups = draft.series in {Series.BLOCK, Series.PIECE}
        least = SUBGROUPS if subgroups else INDIVIDUALS
        if draft.series is Series.RESIDUAL:
            least = RESIDUALS
        if n < least:
            raise NotEnoughError(f"{n} points of series {draft.series}; {least} are the least")
        self.tests["enough"] = subgroups or n >= APPROVED
        if not self.tests["enough"]:
            self._say(f"{n} points: enough to begin with, {APPROVED} for a chart in force")

    # -- judgement --------------------------------------------------------------------------------

    def _tested(self, draft: Baseline, points: Plotted) -> Baseline:
        draft, told, text = baseline_tests.normal(draft, points)
        self._note(told, text)
        value = self.batch.value[self.good]
        self._note(*baseline_tests.resolution(draft, value, self.row.spec.resolution))
        self._note(baseline_tests.stable(draft, points, self.tests))
        return draft

    def _note(self, told: dict[str, float | str | bool], text: str = "") -> None:
        self.tests |= told
        if text:
            self._say(text)

    def _rehearse(self, draft: Baseline) -> None:
        """Fit the first half alone and judge the second: does the past say what comes next?"""
        if draft.series not in {Series.RAW, Series.RESIDUAL} or draft.n < 2 * RESIDUALS:
            return
        mine = np.flatnonzero(self.good)
        early = self.batch.part(0, int(mine[len(mine) // 2]))
        ask = replace(self.ask, left_out=(), recipe="", series=draft.series)
        try:
            half, last_ns = _Work(self.index, self.row, early, ask).half(self.step_s)
        except NotEnoughError:
            return
        points = plotted(self.index, self.row, self.batch, half)
        after = points.time_ns > last_ns
        later = Plotted(points.time_ns[after], points.value[after], points.spread[after])
        self._note(*baseline_tests.rehearsal(half, later))

    def half(self, step_s: float | None) -> tuple[Baseline, int]:
        """A draft of this period as far as charts need it, and the event time of its last point."""
        self._valid()
        self.step_s = step_s
        self._correlation()
        draft = self._draft()
        points = plotted(self.index, self.row, self.batch, draft)
        draft, _, _ = baseline_tests.normal(located(draft, points), points)
        return draft, int(points.time_ns[-1])
