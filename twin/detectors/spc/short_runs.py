"""Charts for short runs: self-starting Q charts, deviation from nominal, standardised by recipe.

**Q** judges from the third piece of a recipe on, without any baseline: each value is compared with
mean and standard deviation of the pieces before it and turned into a standard normal score. EWMA
and CUSUM of the scores are a self-starting EWMA and CUSUM. It stands in wherever a chart of the
usual type has neither limits of its own nor an approved baseline for the running recipe.

``Q_r = Phi^-1( T_(r-2)( sqrt((r - 1)/r) (x_r - mean_(r-1)) / s_(r-1) ) )``

* A piece after which anything speaks is not learned, and none is while a finding is open.
* The first two pieces, and a start without any scatter, cannot be judged; they are learned.
* Mean and scatter are kept for the eight recipes seen last, over gaps and changes of recipe.

**DNOM** plots ``x - nominal`` of the recipe, with one sigma for all; **Z** also divides by the sigma
of the recipe. A recipe without a nominal value cannot be judged.

A gap or another recipe clears rules, EWMA and CUSUM: a run never mixes two recipes.

References:
    C. P. Quesenberry, SPC Q charts for start-up processes and short or long runs, Journal of
    Quality Technology 23 (1991) 213-224.
    D. M. Hawkins, Self-starting cusum charts for location and scale, The Statistician 36 (1987)
    299-315.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from twin.detectors.finding import Row, product_of
from twin.detectors.logic import Logic, columns, max_gap_ns
from twin.detectors.series import makes_points
from twin.detectors.spc import kernel as charts_kernel
from twin.detectors.spc import short_runs_kernel as kernel
from twin.detectors.spc.by_recipe import ByRecipe
from twin.detectors.spc.findings import Voice, ewma_width, rule_names
from twin.detectors.spc.fir import fir_factor
from twin.detectors.spc.kernel import LEVELS, RUNS
from twin.detectors.spc.limits import Limits, chart_of, limits_of
from twin.detectors.spc.rules import PRESETS, RuleSet, rule_sets_of
from twin.detectors.spc.short_runs_problems import problems_of
from twin.detectors.spc.tables import Tables
from twin.model.batch import GOOD, Mark, recipe_code, recipe_name
from twin.model.event import Event, iso
from twin.model.line import ChartType, Role, Sampling, Series
from twin.model.points import PointFlag, Points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Chart

    Walked = tuple[
        NDArray[np.int32],
        NDArray[np.int64],
        NDArray[np.int64],
        NDArray[np.float64],
        NDArray[np.uint8],
        NDArray[np.uint8],
        NDArray[np.int32],
    ]

__all__ = [
    "SHORT_RUN",
    "ShortRuns",
    "as_short_run",
    "is_short_run",
    "problems_of",
    "rules_of_short_run",
]

_POINTS = 200
_KINDS = {ChartType.Q: kernel.Q, ChartType.DNOM: kernel.DNOM, ChartType.Z: kernel.Z}
_MODES = ("self-starting", "dnom", "z")
_CAUSES = {charts_kernel.INSIDE: "inside", charts_kernel.GAP: "gap", charts_kernel.RECIPE: "recipe"}
_CLEARED = PointFlag.GAP | PointFlag.RESET
_NO_RULES = RuleSet(name="none", rules=())
_CUSUM_K = 0.5
"""Reference value of a Q chart that declares none: half the shift to be found fast."""

SHORT_RUN = RuleSet(
    name="short_run",
    rules=tuple(
        rule for rule in PRESETS["western_electric"].rules if rule.id in {"rule1", "rule6"}
    ),
    arl0=166.05,
    source="Quesenberry 1993: 4 of 5 beyond 1 sigma, with rule 1",
)
"""Rules of a Q chart that names none; a single point on a Q chart has little power."""


def is_short_run(row: SensorRow, index: LineIndex) -> bool:
    """Whether a sensor has a chart that may be judged here.

    Those of type ``q``, ``dnom`` and ``z``, and of the usual type those without declared limits: they
    are self-starting as long as the running recipe has no baseline. Raw samples of a periodic source
    are not, because neighbours that are alike would look like a shift: they wait for a baseline.
    So do residuals of a model that only a baseline brings: without it there is not one point.
    """
    chart, role = row.spec.chart, row.spec.role
    if chart is None or role is Role.STATE:
        return False
    if role is Role.COUNTER and not makes_points(row, index):
        return False
    declared = chart.centre is not None and chart.sigma is not None
    if chart.type in _KINDS:
        return True
    alike = chart.series is Series.RAW and row.spec.sampling is not Sampling.EVENT
    modelled = chart.model != "ar" or bool(chart.ar) or chart.tau_s is not None
    waits = alike or (chart.series is Series.RESIDUAL and not modelled)
    return chart.type is ChartType.I and not declared and not waits


class ShortRuns(Logic):
    """Charts of short runs, one per sensor that :func:`is_short_run`.

    Args:
        index: The line; settings come from ``Sensor.chart``, recipes with limits from
            ``index.baselines``. Without ``rules`` a Q chart has 4 of 5 beyond one sigma and rule 1,
            without ``cusum_k`` a CUSUM with k = 0.5.
        rule_sets: Rule sets by the name used in ``Chart.rules``; None means the presets and those of
            the line.
        points: Points per chart kept for the board, at least 60.
    """

    name: ClassVar[str] = "short_runs"
    version: ClassVar[int] = 1
    judges: ClassVar[Literal["samples", "points"]] = "points"

    def __init__(
        self,
        index: LineIndex,
        *,
        rule_sets: Mapping[str, RuleSet] | None = None,
        points: int = _POINTS,
    ) -> None:
        rows = [row for row in index.sensors if is_short_run(row, index)]
        sets_by_name = rule_sets_of(index.line) if rule_sets is None else rule_sets
        chosen = [rules_of_short_run(chart_of(row), sets_by_name) for row in rows]
        sets = list(dict.fromkeys(chosen)) or [_NO_RULES]
        self._tables = Tables(sets)
        self._charts = [as_short_run(chart_of(row)) for row in rows]
        self._voices = [
            Voice(
                rules,
                chart,
                ewma_limits=chart.ewma_limits,
                head_start=chart.cusum_start == "head-start",
            )
            for rules, chart in zip(chosen, self._charts, strict=True)
        ]
        self._specs: NDArray[np.void] = np.zeros(len(rows), kernel.SETTINGS)
        for c, (row, rules) in enumerate(zip(rows, chosen, strict=True)):
            self._specs[c] = _spec(self._charts[c], max_gap_ns(row.spec), sets.index(rules))
        tables = [_recipes(row, index) for row in rows]
        self._recipes = ByRecipe(tables, 2)
        names = (*self._recipes.names, index.line.line.recipe)
        self._names = {recipe_code(name): name for name in names}
        self._state: NDArray[np.void] = np.zeros(len(rows), kernel.STATE)
        self._state["recipe"] = kernel.UNSEEN
        self._state["time"] = np.iinfo(np.int64).min
        self._memory: NDArray[np.void] = np.zeros((len(rows), kernel.RECIPES), kernel.MEMORY)
        self._memory["recipe"] = kernel.UNSEEN
        self._beyond = np.zeros((len(rows), 2, LEVELS), np.int64)
        self._times = np.zeros((len(rows), points), np.int64)
        self._values = np.zeros((len(rows), points))
        self._bits = np.zeros((len(rows), points), np.uint16)
        self._facts = np.zeros((1024, len(kernel.FACTS)), np.int64)
        self._measures = np.zeros((1024, len(kernel.MEASURES)))
        super().__init__(
            index,
            rows,
            [
                f"{chart!r} {max_gap_ns(row.spec)} {rules!r} {table!r} {makes_points(row, index)}"
                for row, chart, rules, table in zip(rows, self._charts, chosen, tables, strict=True)
            ],
            {
                "state": self._state,
                "memory": self._memory,
                "beyond": self._beyond,
                "times": self._times,
                "values": self._values,
                "bits": self._bits,
            },
        )
        plots_points = np.array([*(makes_points(row, index) for row in rows), False])[self._row_of]
        self._of_samples = np.where(plots_points, -1, self._row_of).astype(np.int32)
        self._of_points = np.where(plots_points, self._row_of, -1).astype(np.int32)

    def update(self, batch: Batch, name_of: NameOf | None = None) -> list[Event]:
        """Judge the samples in order, on the charts that plot samples.

        Args:
            batch: Accepted samples, marked by the validity tests.
            name_of: Product index to product id, for the events.

        Returns:
            Findings opened and closed, in order of their samples.
        """
        if not self._rows:
            return []
        sensor, time, value, quality, marks = columns(batch, self._sensors)
        recipe = np.require(batch.recipe, np.int32, ("C", "A", "W"))
        cols = (sensor, time, time, value, quality, marks, recipe)
        return self._walk(cols, self._of_samples, batch, name_of)

    def update_points(
        self, points: Points, batch: Batch, name_of: NameOf | None = None
    ) -> list[Event]:
        """Judge points in order, on the charts that plot points.

        Args:
            points: What became of a batch of samples.
            batch: The batch.
            name_of: Product index to product id, for the events.

        Returns:
            Findings opened and closed; ``row`` is the row of the batch that completed the point.

        Raises:
            ValueError: A point is of no sensor of the line, or of no row of the batch.
        """
        if not self._rows or not len(points):
            return []
        for column, name, count in (
            (points.sensor, "sensor", self._sensors),
            (points.row, "row", len(batch)),
        ):
            if not 0 <= int(column.min()) <= int(column.max()) < count:
                raise ValueError(
                    f"points: {name} {int(column.min())} to {int(column.max())}; there are {count}"
                )
        cleared = (points.flags & _CLEARED) != 0
        cols = (
            points.sensor,
            points.first_ns,
            points.time_ns,
            points.value,
            np.full(len(points), GOOD, np.uint8),
            np.where(cleared, Mark.AFTER_GAP, 0).astype(np.uint8),
            points.recipe,
        )
        return self._walk(cols, self._of_points, points, name_of)

    def _walk(
        self,
        cols: Walked,
        chart_of_sensor: NDArray[np.int32],
        source: Batch | Points,
        name_of: NameOf | None,
    ) -> list[Event]:
        events: list[Event] = []
        row = 0
        while row < len(source):
            row, reports = kernel.short_run_rows(
                row,
                *cols,
                chart_of_sensor,
                self._specs,
                self._recipes.starts,
                self._recipes.codes,
                self._recipes.numbers,
                self._tables.rules,
                self._tables.n_rules,
                self._tables.levels,
                self._tables.n_levels,
                self._state,
                self._memory,
                self._beyond,
                self._times,
                self._values,
                self._bits,
                self._numbers,
                self._facts,
                self._measures,
            )
            for facts, measures in zip(
                self._facts[:reports].tolist(), self._measures[:reports].tolist(), strict=True
            ):
                events += self._say(facts, measures, source, name_of)
        return events

    def reset(self, sensor: int, cause: str, *, forget: bool = False) -> list[Event]:
        """Clear the memory of a chart, for example when an operator found the cause.

        EWMA and run rules start fresh, CUSUM with its head start.

        Args:
            sensor: Dense sensor index.
            cause: Short word for the closing events.
            forget: Learn mean and scatter of the running recipe anew, because what follows is
                meant to differ from what was before.

        Returns:
            Closing events of what was open; empty for a sensor without such a chart.
        """
        c = int(self._row_of[sensor])
        if c < 0:
            return []
        now = self._state[c]
        now["since"] = 0
        now["active"] = 0
        now["restarted"] = 1
        if forget and self._specs[c]["kind"] == kernel.Q:
            found = self._memory[c, int(now["place"])]
            found["n"], found["mean"], found["squares"] = 0, 0.0, 0.0
        return self._close_findings(c, -1, int(now["time"]), int(now["n"]), None, cause)

    def state(self, sensor: int) -> dict[str, Any] | None:
        """One chart for the board; None without one, and while the recipe has a baseline.

        ``verdict`` is ``cannot judge`` before the first point, while pieces are only learned and
        while the newest samples cannot be judged, else ``signal`` or ``in control``. ``learned`` is
        the number of pieces behind ``mean`` and ``s``.
        """
        c = int(self._row_of[sensor])
        if c < 0 or self._state[c]["covered"]:
            return None
        now, voice, chart, spec = self._state[c], self._voices[c], self._charts[c], self._specs[c]
        centre, sigma = float(spec["centre"]), float(spec["sigma"])
        fresh = now["since"] == 0
        judged = now["n"] and not now["skipped_in_row"] and not now["waiting"] and not fresh
        answer: dict[str, Any] = {
            "sensor": self._rows[c].id,
            "type": "q" if spec["kind"] == kernel.Q else str(chart.type),
            "mode": _MODES[spec["kind"]],
            "verdict": ("signal" if now["active"] else "in control") if judged else "cannot judge",
            "centre": centre,
            "sigma": sigma,
            "lcl": centre - 3.0 * sigma,
            "ucl": centre + 3.0 * sigma,
            "ruleset": voice.chosen.id if voice.chosen.rules else None,
            "arl0": voice.arl0,
            "baseline": chart.baseline,
            "recipe": self._recipe(int(now["recipe"])),
            "points": int(now["n"]),
            "points_since_clear": int(now["since"]),
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
            "time_ns": int(now["time"]) if now["n"] else None,
            "value": float(now["value"]) if now["n"] else None,
            "raw": float(now["raw"]) if now["n"] else None,
            "rules": rule_names(voice.chosen, int(now["active"])),
            "findings": [_brief(event) for event in self.open_findings(sensor)],
        }
        if spec["kind"] == kernel.Q:
            found = self._memory[c, int(now["place"])]
            n = int(found["n"]) if now["recipe"] != kernel.UNSEEN else 0
            answer["learned"] = n
            answer["mean"] = float(found["mean"]) if n else None
            answer["s"] = float((found["squares"] / (n - 1)) ** 0.5) if n > 1 else None
        if chart.ewma_lambda is not None:
            width = float(spec["width"]) * (1.0 - float(now["fade"])) ** 0.5
            if spec["fir"]:
                width *= fir_factor(int(now["since"]))
            answer["ewma"] = {
                "lambda": chart.ewma_lambda,
                "l": chart.ewma_l,
                "value": centre if fresh else float(now["ewma"]),
                "lcl": None if fresh else centre - width,
                "ucl": None if fresh else centre + width,
            }
        if chart.cusum_k is not None:
            answer["cusum"] = {
                "k": chart.cusum_k,
                "h": chart.cusum_h,
                "high": 0.0 if fresh else float(now["high"]),
                "low": 0.0 if fresh else float(now["low"]),
            }
        return answer

    def plotted(self, sensor: int, points: int) -> dict[str, Any] | None:
        """The last plotted points as plain lists for the board; None where :meth:`state` is.

        Returns:
            ``t`` in s since 1970, ``v`` (normal scores, deviations or standardised deviations),
            ``lcl`` and ``ucl`` of each point, ``rules`` with the rules each point broke.
        """
        c = int(self._row_of[sensor])
        if c < 0 or self._state[c]["covered"]:
            return None
        n, size = int(self._state[c]["n"]), self._times.shape[1]
        order = np.arange(max(0, n - min(points, size)), n) % size
        centre, away = float(self._specs[c]["centre"]), 3.0 * float(self._specs[c]["sigma"])
        chosen = self._voices[c].chosen
        return {
            "t": (self._times[c, order] / 1e9).tolist(),
            "v": self._values[c, order].tolist(),
            "lcl": [centre - away] * len(order),
            "ucl": [centre + away] * len(order),
            "rules": [rule_names(chosen, bits) for bits in self._bits[c, order].tolist()],
        }

    def _recipe(self, code: int) -> str:
        """Name of a recipe as far as the line description or its products told it."""
        return self._names.get(code) or recipe_name(code)

    def _say(
        self,
        facts: list[int],
        measures: list[float],
        source: Batch | Points,
        name_of: NameOf | None,
    ) -> list[Event]:
        """What closes, or what opens."""
        i, c, what, mask, n = facts[:5]
        place = float(source.place[i])
        product = product_of(int(source.product[i]), name_of)
        where = place if place == place else None  # noqa: PLR0124 - NaN has no place
        if isinstance(source, Points):
            facts[0] = int(source.row[i])
        if what < RUNS:
            at = Row(facts[0], facts[7], measures[0], product, where)
            return self._close_findings(c, mask, facts[5], n, at, _CAUSES[what])
        spec = self._specs[c]
        kind = int(spec["kind"])
        limits = Limits(
            recipe=self._recipe(facts[10]),
            centre=float(spec["centre"]),
            sigma=float(spec["sigma"]),
            baseline=self._charts[c].baseline,
            level=None,
            series=_MODES[kind],
        )
        event = self._voices[c].finding(
            self._rows[c].id, limits, facts[:10], measures[:4], product, where
        )
        detail = event.detail
        plotted, learned, middle, scatter = measures[4:]
        detail["plotted"] = plotted
        if kind == kernel.Q:
            detail |= {"learned": int(learned), "mean": middle, "s": scatter}
        else:
            detail["nominal"] = middle
        if "estimated_shift" in detail:
            unit = 1.0 if kind == kernel.DNOM else scatter
            detail["estimated_mean"] = middle + unit * detail["estimated_mean"]
            detail["estimated_shift"] *= unit
        return [self._open_finding(c, event, facts[9], n, mask)]


def rules_of_short_run(chart: Chart, rule_sets: Mapping[str, RuleSet]) -> RuleSet:
    """Rules of a chart for short runs: those it names, else :data:`SHORT_RUN`."""
    self_starting = chart.type in {ChartType.Q, ChartType.I}
    if self_starting and "rules" not in chart.model_fields_set:
        return SHORT_RUN
    if chart.rules is None:
        return _NO_RULES
    return rule_sets.get(chart.rules, SHORT_RUN)


def as_short_run(chart: Chart) -> Chart:
    """The chart, with a CUSUM where a self-starting one declares none."""
    if chart.type in {ChartType.Q, ChartType.I} and "cusum_k" not in chart.model_fields_set:
        return chart.model_copy(update={"cusum_k": _CUSUM_K})
    return chart


def _spec(chart: Chart, max_gap: int, chosen: int) -> tuple[Any, ...]:
    kind = _KINDS.get(chart.type, kernel.Q)
    centre = (chart.centre or 0.0) if kind == kernel.DNOM else 0.0
    sigma = (chart.sigma or 1.0) if kind == kernel.DNOM else 1.0
    weight = chart.ewma_lambda or 0.0
    h = chart.cusum_h if chart.cusum_k is not None else 0.0
    return (
        kind,
        centre,
        sigma,
        max_gap,
        chosen,
        weight,
        (1.0 - weight) * (1.0 - weight),
        0.0 if chart.ewma_limits == "fixed" else 1.0,
        int(chart.ewma_limits == "fir"),
        ewma_width(sigma, weight, chart.ewma_l),
        chart.cusum_k or 0.0,
        h,
        h / 2.0 if chart.cusum_start == "head-start" else 0.0,
    )


def _recipes(row: SensorRow, index: LineIndex) -> dict[str, tuple[float, ...]]:
    """Nominal value and sigma by recipe; of self-starting charts the recipes that have limits."""
    chart = chart_of(row)
    if chart.type is ChartType.DNOM:
        return {recipe: (nominal, chart.sigma or 1.0) for recipe, nominal in chart.nominal.items()}
    if chart.type is ChartType.Z:
        return {
            recipe: (nominal, chart.sigmas[recipe])
            for recipe, nominal in chart.nominal.items()
            if recipe in chart.sigmas
        }
    if chart.type is ChartType.I:
        return {limits.recipe: (limits.centre, limits.sigma) for limits in limits_of(row, index)}
    return {}


def _brief(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "rule": event.rule,
        "rules": event.detail["rules"],
        "side": event.detail["side"],
        "meaning": event.detail["meaning"],
        "onset": iso(event.t_first),
        "t_last": iso(event.t_last),
        "value": event.value,
    }
