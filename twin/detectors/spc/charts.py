"""Charts of location with frozen limits: run rules, EWMA and CUSUM of every charted sensor.

Phase II only: centre line and sigma are those the line description declares, or those of the
approved baseline of the running recipe, and are never changed by data. What the charts answer in
every case is the list below.

* A point is judged when it arrives; nothing looks ahead, nothing is judged again.
* Limits are strict: a point exactly on a limit is inside, also when binary rounding puts it 1e-9
  sigma, or the last digits of a large centre line, beyond.
* Bad quality, NaN and samples marked stuck, spike or rate cannot be judged: they are counted,
  do not count as points and do not end a run.
* Late samples (older than the last plotted one) are counted and not plotted.
* A hole longer than ``max_gap_ns`` (or the mark AFTER_GAP) clears all memory and closes what is
  open; EWMA and CUSUM start again.
* Another recipe does the same and brings its own limits; a recipe without limits cannot be judged.
* A rule that becomes true opens a finding; rules that become true with the same point share it
  and the lowest number names it. It closes when none of its rules is true any more. The high and
  the low side of a rule are told apart: a jump from one to the other closes and opens.
* EWMA and CUSUM are findings of their own and keep their value after a signal. Points of unequal
  size are judged by their own sigma: limits move with it, EWMA and CUSUM take (x - centre)/sigma.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from twin.detectors.finding import Opened, closed_at, places_of, products_of
from twin.detectors.logic import Logic, columns, plain_column
from twin.detectors.spc import kernel
from twin.detectors.spc.findings import ewma_width, rule_names
from twin.detectors.spc.fir import fir_factor
from twin.detectors.spc.plan import NO_RULES, Plan, is_charted
from twin.detectors.spc.rules import rule_sets_of
from twin.detectors.spc.tables import Tables
from twin.model.batch import GOOD, Mark
from twin.model.event import Event, finding_ids, iso, seed_of
from twin.model.points import PointFlag, Points

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.detectors.spc.findings import Voice
    from twin.detectors.spc.limits import Limits
    from twin.detectors.spc.rules import RuleSet
    from twin.detectors.spc.runlength.ewma import EwmaLimits
    from twin.model.batch import Batch
    from twin.model.index import LineIndex

    Walked = tuple[
        NDArray[np.int32],
        NDArray[np.int64],
        NDArray[np.int64],
        NDArray[np.float64],
        NDArray[np.uint8],
        NDArray[np.uint8],
        NDArray[np.int32],
        NDArray[np.float64],
        bool,
    ]

__all__ = ["Charts"]

_POINTS = 200
_MANY = 20_000
"""Lines with more charts than this keep fewer points of each, to stay below 0.5 Gbyte."""
_REPORTS = 1024
_CAUSES = {kernel.INSIDE: "inside", kernel.GAP: "gap", kernel.RECIPE: "recipe"}
_NO_LIMITS = {
    "verdict": "cannot judge",
    "why": "not enough data yet: no approved limits for this recipe",
    **dict.fromkeys(("baseline", "centre", "lcl", "recipe", "sigma", "ucl")),
}
_COMMON = kernel.FACTS.index("n_first")
"""From this column on, facts are only about what opens."""
_CLEARED = PointFlag.GAP | PointFlag.RESET


class Charts(Logic):
    """Run rules, EWMA and CUSUM on plotted points, one chart per sensor that has limits.

    Args:
        index: The line; settings come from ``Sensor.chart``, limits from there or from
            ``index.baselines``. Charts of another type than ``i`` have detectors of their own, and
            those without any limits as well. A counter is charted where points are made of it, a
            state never.
        rule_sets: Rule sets by the name used in ``Chart.rules``; None means the presets and those
            of the line.
        ewma_limits: Overrides ``Chart.ewma_limits``: ``time-varying`` limits are narrow after a
            start (a fast initial response at 1 to 3 % of the ARL0); ``fixed`` ones are those of
            published tables; ``fir`` ones begin at half the time-varying width.
        cusum_start: Overrides ``Chart.cusum_start``: ``zero``, or ``head-start``: both sums start
            at h/2 after a start, a gap or another recipe, which finds a process that starts off
            target sooner at 8 % of the ARL0. After an operator reset the head start is always used.
        points: Points per chart kept for the board, at least 60; 18 bytes each. None means 200, or
            60 on a line with more than 20 000 charts.

    Raises:
        ConfigError: A chart names a rule set that does not exist.
        ValueError: A rule set does not fit the kernel, or ``points`` is too small.
    """

    name: ClassVar[str] = "charts"
    version: ClassVar[int] = 3
    judges: ClassVar[Literal["samples", "points"]] = "points"

    def __init__(
        self,
        index: LineIndex,
        *,
        rule_sets: Mapping[str, RuleSet] | None = None,
        ewma_limits: EwmaLimits | None = None,
        cusum_start: Literal["zero", "head-start"] | None = None,
        points: int | None = None,
    ) -> None:
        sets = rule_sets_of(index.line) if rule_sets is None else rule_sets
        plans = [
            Plan(row, index, sets, ewma_limits, cusum_start)
            for row in index.sensors
            if is_charted(row, index)
        ]
        rows = [plan.row for plan in plans]
        if points is None:
            points = _POINTS if len(rows) <= _MANY else kernel.LONGEST
        if points < kernel.LONGEST:
            raise ValueError(f"points is {points}; allowed: {kernel.LONGEST} or more")
        self._plan(plans)
        self._state: NDArray[np.void] = np.zeros(len(rows), kernel.STATE)
        self._state["recipe"] = kernel.UNSEEN
        self._state["variant"] = -1
        self._state["time"] = np.iinfo(np.int64).min
        self._beyond = np.zeros((len(rows), 2, max(1, int(self._tables.n_levels.max()))), np.int64)
        self._times = np.zeros((len(rows), points), np.int64)
        self._values = np.zeros((len(rows), points))
        self._bits = np.zeros((len(rows), points), np.uint16)
        self._facts = np.zeros((_REPORTS, len(kernel.FACTS)), np.int64)
        self._measures = np.zeros((_REPORTS, len(kernel.MEASURES)))
        self._one = np.ones(1)
        self._ids = [row.id for row in rows]
        self._seeds = np.array(
            [seed_of(self.name, plan.chosen.id, plan.row.id) for plan in plans], np.uint64
        )
        said: dict[int, str] = {}
        super().__init__(
            index,
            rows,
            [plan.text(said) for plan in plans],
            {
                "state": self._state,
                "beyond": self._beyond,
                "times": self._times,
                "values": self._values,
                "bits": self._bits,
            },
        )
        of = self._row_of
        plots_points = np.array([*(plan.points for plan in plans), False])[of]  # of -1: the last
        self._of_samples = np.where(plots_points, -1, of).astype(np.int32)
        self._of_points = np.where(plots_points, of, -1).astype(np.int32)

    def _plan(self, plans: Sequence[Plan]) -> None:
        """Settings of all charts as the arrays the kernel reads."""
        sets = {plan.chosen.name: plan.chosen for plan in plans} or {NO_RULES.name: NO_RULES}
        number = {name: i for i, name in enumerate(sets)}
        self._tables = Tables(list(sets.values()))
        voices: dict[tuple[object, ...], Voice] = {}
        self._voices = [plan.voice(voices) for plan in plans]
        # Charts with the same settings share one row of them, which then stays in the cache.
        self._limits: list[Limits] = []
        places: list[tuple[int, ...]] = []
        settings: list[tuple[Any, ...]] = []
        known: dict[tuple[Any, ...], int] = {}
        self._place_of = np.zeros(len(plans), np.int32)
        for c, plan in enumerate(plans):
            own = [plan.settings(one, number[plan.chosen.name]) for one in plan.limits]
            key = (plan.place(), *own, *plan.limits)
            if key not in known:
                known[key] = len(places)
                places.append((len(settings), *plan.place()))
                settings += own
                self._limits += plan.limits
            self._place_of[c] = known[key]
        self._places: NDArray[np.void] = np.array(places, kernel.PLACE)
        self._specs: NDArray[np.void] = np.array(settings, kernel.SETTINGS)

    def update(self, batch: Batch, name_of: NameOf | None = None) -> list[Event]:
        """Plot the samples in order, on the charts that plot samples.

        Args:
            batch: Accepted samples, marked by the validity tests.
            name_of: Product index to product id, for the events.

        Returns:
            Findings opened and closed, in order of their samples.
        """
        if not self._rows:
            return []
        sensor, time, value, quality, marks = columns(batch, self._sensors)
        recipe = plain_column(batch.recipe, np.int32)
        cols = (sensor, time, time, value, quality, marks, recipe, self._one, False)
        return self._walk(cols, self._of_samples, batch, name_of)

    def update_points(
        self, points: Points, batch: Batch, name_of: NameOf | None = None
    ) -> list[Event]:
        """Plot points in order, on the charts that plot points.

        Args:
            points: What became of a batch of samples.
            batch: The batch. Everything events say about a point stands in the point.
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
            plain_column(points.sensor, np.int32),
            plain_column(points.first_ns, np.int64),
            plain_column(points.time_ns, np.int64),
            plain_column(points.value, np.float64),
            np.full(len(points), GOOD, np.uint8),
            np.where(cleared, Mark.AFTER_GAP, 0).astype(np.uint8),
            plain_column(points.recipe, np.int32),
            plain_column(points.scale, np.float64),
            True,
        )
        return self._walk(cols, self._of_points, points, name_of)

    def _walk(
        self,
        cols: Walked,
        chart_of_sensor: NDArray[np.int32],
        source: Batch | Points,
        name_of: NameOf | None,
    ) -> list[Event]:
        """Let the kernel walk the columns, and say what it reports."""
        events: list[Event] = []
        row = 0
        while row < len(source):
            row, reports = kernel.chart_rows(
                row,
                *cols,
                chart_of_sensor,
                self._place_of,
                self._places,
                self._specs,
                self._tables.rules,
                self._tables.n_rules,
                self._tables.levels,
                self._tables.n_levels,
                self._tables.plans,
                self._state,
                self._beyond,
                self._times,
                self._values,
                self._bits,
                self._numbers,
                self._facts,
                self._measures,
            )
            if reports:
                self._say(reports, source, name_of, events)
        return events

    def _say(
        self, reports: int, source: Batch | Points, name_of: NameOf | None, events: list[Event]
    ) -> None:
        """Events of the kernel's reports, in their order."""
        facts, measures = self._facts[:reports], self._measures[:reports]
        rows = facts[:, 0].copy()
        products, places = products_of(source.product[rows], name_of), places_of(source.place[rows])
        sizes: Iterable[float | None] = repeat(None)
        is_new = facts[:, 2] >= kernel.RUNS
        if isinstance(source, Points):
            sizes = source.size[rows[is_new]].tolist()
            facts[:, 0] = source.row[rows]
        new = self._new(facts[is_new], measures[is_new], sizes)
        opened, ids, voices, limits = self._open, self._ids, self._voices, self._limits
        for row, chart, what, mask, n, time, first, value, product, place in zip(
            *facts.T[:_COMMON].tolist(), measures[:, 0].tolist(), products, places, strict=False
        ):
            if what < kernel.RUNS:
                cause = _CAUSES[what]
                kept = []
                for one in opened.pop(chart):
                    one.mask &= ~mask
                    if one.mask:
                        kept.append(one)
                        continue
                    count = n - one.n + 1
                    events.append(
                        closed_at(one, cause, count, time, row, first, value, product, place)
                    )
                if kept:
                    opened[chart] = kept
                continue
            identity, n_first, variant, number, statistic, limit, scale, size = next(new)
            rule, ruleset, detail = voices[chart].say(
                what, mask, variant, limits, n_first, n, first, statistic, limit, scale
            )
            if size is not None:
                detail["size"] = size
            event = Event(
                id=identity,
                type="finding",
                rule=rule,
                ruleset=ruleset,
                sensor=ids[chart],
                product=product,
                place=place,
                t_first=first,
                t_last=time,
                value=value,
                detail=detail,
                row=row,
            )
            one = Opened(event, number, mask, n)
            if chart in opened:
                opened[chart].append(one)
            else:
                opened[chart] = [one]
            events.append(event)

    def _new(
        self,
        facts: NDArray[np.int64],
        measures: NDArray[np.float64],
        sizes: Iterable[float | None],
    ) -> Iterator[tuple[Any, ...]]:
        """Of each finding that opens: its identity and what only such reports tell."""
        ids = finding_ids(self._seeds[facts[:, 1]], facts[:, 6], facts[:, 9])
        more = facts.T[_COMMON:].tolist(), measures.T[1:].tolist()
        return zip(ids, *more[0], *more[1], sizes, strict=False)

    def reset(self, sensor: int, cause: str) -> list[Event]:
        """Clear the memory of a chart: recipe or tool change, or an operator who found the cause.

        EWMA and run rules start fresh, CUSUM with its head start.

        Args:
            sensor: Dense sensor index.
            cause: Short word for the closing events, for example ``recipe``.

        Returns:
            Closing events of what was open; empty for a sensor without a chart.
        """
        c = int(self._row_of[sensor])
        if c < 0:
            return []
        now = self._state[c]
        now["since"] = 0
        now["active"] = 0
        now["restarted"] = 1
        return self._close_findings(c, -1, int(now["time"]), int(now["n"]), None, cause)

    def state(self, sensor: int) -> dict[str, Any] | None:
        """One chart for the board; None for a sensor without a chart.

        ``verdict`` is ``cannot judge`` before the first judged point and while the newest samples
        cannot be judged, else ``signal`` or ``in control``.
        """
        c = int(self._row_of[sensor])
        if c < 0:
            return None
        now, chosen, chart = self._state[c], self._voices[c].chosen, self._rows[c].spec.chart
        limits = self._in_force(c)
        fresh = now["since"] == 0
        answer: dict[str, Any] = {
            "sensor": self._ids[c],
            "verdict": _verdict(now),
            "ruleset": chosen.id if chart.rules is not None else None,
            "arl0": self._voices[c].arl0,
            "points": int(now["n"]),
            "points_since_clear": int(now["since"]),
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
            "time_ns": int(now["time"]) if now["n"] else None,
            "value": float(now["value"]) if now["n"] else None,
            "rules": rule_names(chosen, int(now["active"])),
            "findings": [_brief(event) for event in self.open_findings(sensor)],
        }
        if limits is None:
            return answer | _NO_LIMITS
        recipe, centre, sigma, baseline, level, series = limits
        answer |= {
            "baseline": baseline,
            "centre": centre,
            "lcl": centre - 3.0 * sigma,
            "mode": series,
            "recipe": recipe,
            "sigma": sigma,
            "ucl": centre + 3.0 * sigma,
        }
        if level is not None:
            answer["level"] = level
        if chart.ewma_lambda is not None:
            width = ewma_width(sigma, chart.ewma_lambda, chart.ewma_l)
            width *= (1.0 - float(now["fade"])) ** 0.5
            if self._voices[c].ewma_limits == "fir":
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

    def _in_force(self, c: int) -> Limits | None:
        """The limits of the running recipe; before the first point, those nobody has to name."""
        now, place = self._state[c], self._places[self._place_of[c]]
        seen = now["recipe"] != kernel.UNSEEN
        variant = int(now["variant"] if seen else place["unsaid"])
        return None if variant < 0 else self._limits[int(place["first"]) + variant]

    def points(self, sensor: int) -> dict[str, Any] | None:
        """The last plotted points of a chart, oldest first; None for a sensor without a chart.

        Returns:
            ``time_ns`` int64, ``value`` float64 and ``rules`` uint16 of equal length, and
            ``names``: bit of ``rules`` to rule name.
        """
        c = int(self._row_of[sensor])
        if c < 0:
            return None
        n, size = int(self._state[c]["n"]), self._times.shape[1]
        order = np.arange(max(0, n - size), n) % size
        names = {r: rule.id for r, rule in enumerate(self._voices[c].chosen.rules)}
        return {
            "time_ns": self._times[c, order],
            "value": self._values[c, order],
            "rules": self._bits[c, order],
            "names": names | {kernel.EWMA_BIT: "ewma", kernel.CUSUM_BIT: "cusum"},
        }

    def plotted(self, sensor: int, points: int) -> dict[str, Any] | None:
        """The last plotted points as plain lists for the board; None without a chart.

        Returns:
            ``t`` in s since 1970, ``v`` in the sensor's unit, ``rules`` with the names of the rules
            each point broke.
        """
        found = self.points(sensor)
        if found is None:
            return None
        cut = slice(max(0, len(found["value"]) - points), None)
        chosen = self._voices[int(self._row_of[sensor])].chosen
        return {
            "t": (found["time_ns"][cut] / 1e9).tolist(),
            "v": found["value"][cut].tolist(),
            "rules": [rule_names(chosen, bits) for bits in found["rules"][cut].tolist()],
        }

    def _adopt(self, pairs: list[tuple[int, int]], old: dict[str, NDArray[Any]]) -> None:
        """Lay the last points out anew where the number of points kept is another one."""
        size, size_then = self._times.shape[1], old["times"].shape[1]
        if size == size_then:
            return
        for c, then in pairs:
            n = int(self._state[c]["n"])
            self._state[c]["slot"] = n % size
            last = np.arange(max(0, n - min(size, size_then)), n)
            for now, before in (
                (self._times, old["times"]),
                (self._values, old["values"]),
                (self._bits, old["bits"]),
            ):
                now[c, last % size] = before[then, last % size_then]


def _verdict(now: np.void) -> str:
    if now["n"] == 0 or now["skipped_in_row"]:
        return "cannot judge"
    return "signal" if now["active"] else "in control"


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
