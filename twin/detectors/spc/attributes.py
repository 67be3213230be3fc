"""Charts of counts: p, np, c, u and Laney's p' and u', every point with its own limits.

The sensor sends *counts*: defective units (``p``, ``np``, ``laney_p``) or defects (``c``, ``u``,
``laney_u``); the chart divides. The sample size is ``chart.n`` or comes from another sensor of the
station (``chart.size_of``) with the same event time, before or after the count. The centre line is
``chart.centre`` or that of the approved baseline of the recipe.

* What is no count (negative, not whole, more defective units than were looked at), has no size or
  no centre line cannot be judged: it is counted and is no point.
* Only rule 1 is on: counts are not symmetric about their centre line, and zone rules would cry wolf.
  With a ``reason`` in the configuration the whole rule set reads the chart, in sigmas of each point.
* A lower limit of 0 is none. With small counts an improvement cannot be seen; see ``g_chart``.
* A gap or another recipe clears the memory and closes what is open.
"""

from __future__ import annotations

from math import isnan, nan
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import scipy

from twin.detectors.finding import Row, product_of
from twin.detectors.logic import Logic, columns, max_gap_ns
from twin.detectors.spc import attributes_kernel as kernel
from twin.detectors.spc.attributes_problems import problems_of
from twin.detectors.spc.by_recipe import ByRecipe
from twin.detectors.spc.count_limits import EXACT_BELOW, KINDS
from twin.detectors.spc.counts import false_alarm
from twin.detectors.spc.findings import rule_names
from twin.detectors.spc.kernel import BOTH, LEVELS, LOW
from twin.detectors.spc.rules import PRESETS, Kind, RuleSet, applicable, rule_sets_of
from twin.detectors.spc.tables import Tables
from twin.model.event import Event, event_id, iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Chart

__all__ = ["Attributes", "problems_of", "rules_in_force"]

_POINTS = 200
_CAUSES = ("inside", "gap", "recipe")
_PLOTTED = {
    "p": "proportion defective",
    "np": "defective units",
    "c": "defects",
    "u": "defects per unit",
    "laney_p": "proportion defective",
    "laney_u": "defects per unit",
}
_NO_RULES = RuleSet(name="none", rules=())


class Attributes(Logic):
    """Charts of counts, one per sensor whose chart type is ``p``, ``np``, ``c``, ``u`` or Laney's.

    Args:
        index: The line; settings come from ``Sensor.chart``, centre lines per recipe from
            ``index.baselines`` where the chart has none.
        rule_sets: Rule sets by the name used in ``Chart.rules``, unknown ones are taken for rule 1;
            None means the presets and those of the line.
        points: Points per chart kept for the board, at least 60.
    """

    name: ClassVar[str] = "attributes"
    version: ClassVar[int] = 1

    def __init__(
        self,
        index: LineIndex,
        *,
        rule_sets: Mapping[str, RuleSet] | None = None,
        points: int = _POINTS,
    ) -> None:
        rows = [row for row in index.sensors if row.spec.chart and row.spec.chart.type in KINDS]
        charts = [_chart(row) for row in rows]
        sets_by_name = rule_sets_of(index.line) if rule_sets is None else rule_sets
        self._chosen = [rules_in_force(chart, sets_by_name) for chart in charts]
        sets = list(dict.fromkeys(self._chosen)) or [_NO_RULES]
        self._tables = Tables(sets)
        self._specs: NDArray[np.void] = np.zeros(len(rows), kernel.SETTINGS)
        for c, (row, chosen) in enumerate(zip(rows, self._chosen, strict=True)):
            self._specs[c] = _spec(row, chosen, sets.index(chosen), index)
        centres = [_centres(row, index) for row in rows]
        self._centres = ByRecipe([{r: (found[0],) for r, found in c.items()} for c in centres], 1)
        self._baselines = [found[r][1] for found in centres for r in sorted(found)]
        self._sized_first, self._sized_next = _sized(rows, index)
        self._state: NDArray[np.void] = np.zeros(len(rows), kernel.STATE)
        self._beyond = np.zeros((len(rows), 2, LEVELS), np.int64)
        self._times = np.zeros((len(rows), points), np.int64)
        self._ring = np.zeros((len(rows), points, 3))
        self._bits = np.zeros((len(rows), points), np.uint16)
        self._out: NDArray[np.void] = np.zeros(1024, kernel.CHANGE)
        super().__init__(
            index,
            rows,
            [
                f"{chart!r} {max_gap_ns(row.spec)} {chosen!r} {centre!r}"
                for row, chart, chosen, centre in zip(
                    rows, charts, self._chosen, centres, strict=True
                )
            ],
            {
                "state": self._state,
                "beyond": self._beyond,
                "times": self._times,
                "ring": self._ring,
                "bits": self._bits,
            },
        )

    def update(self, batch: Batch, name_of: NameOf | None = None) -> list[Event]:
        """Plot the counts in order.

        Args:
            batch: Accepted samples, marked by the validity tests.
            name_of: Product index to product id, for the events.

        Returns:
            Findings opened and closed, in order of the samples that completed the points.
        """
        if not self._rows:
            return []
        cols = columns(batch, self._sensors)
        more = (
            np.require(batch.product, np.int32, ("C", "A", "W")),
            np.require(batch.place, np.float64, ("C", "A", "W")),
            np.require(batch.recipe, np.int32, ("C", "A", "W")),
        )
        events: list[Event] = []
        row = 0
        while row < len(batch):
            row, changes = kernel.attribute_rows(
                row,
                *cols,
                *more,
                self._row_of,
                self._sized_first,
                self._sized_next,
                self._specs,
                self._centres.starts,
                self._centres.codes,
                self._centres.numbers,
                self._tables.rules,
                self._tables.n_rules,
                self._tables.levels,
                self._tables.n_levels,
                self._state,
                self._beyond,
                self._times,
                self._ring,
                self._bits,
                self._out,
            )
            for change in self._out[:changes].tolist():
                events += self._say(_Change._make(change), name_of)
        return events

    def reset(self, sensor: int, cause: str) -> list[Event]:
        """Clear the memory of a chart, for example when an operator found the cause.

        Args:
            sensor: Dense sensor index.
            cause: Short word for the closing events.

        Returns:
            Closing events of what was open; empty for a sensor without such a chart.
        """
        c = int(self._row_of[sensor])
        if c < 0:
            return []
        now = self._state[c]
        now["since"] = 0
        now["active"] = 0
        return self._close_findings(c, -1, int(now["time"]), int(now["n"]), None, cause)

    def state(self, sensor: int) -> dict[str, Any] | None:
        """One chart for the board; None for a sensor without a chart of counts.

        ``verdict`` is ``cannot judge`` before the first point and while the newest samples cannot
        be judged, else ``signal`` or ``in control``. Limits are those of the last point.
        """
        c = int(self._row_of[sensor])
        if c < 0:
            return None
        now, chosen, chart = self._state[c], self._chosen[c], _chart(self._rows[c])
        seen = bool(now["n"])
        entry = int(self._centres.starts[c] + now["entry"])
        judged = seen and not now["skipped_in_row"]
        return {
            "sensor": self._rows[c].id,
            "type": str(chart.type),
            "verdict": ("signal" if now["active"] else "in control") if judged else "cannot judge",
            "centre": float(self._centres.numbers[entry, 0]) if seen else chart.centre,
            "sigma": float(now["sigma"]) if seen else None,
            "lcl": float(now["lower"]) if seen else None,
            "ucl": float(now["upper"]) if seen else None,
            "n": float(now["size"]) if seen else None,
            "ruleset": chosen.id if chosen.rules else None,
            "baseline": self._baselines[entry] if seen else chart.baseline,
            "points": int(now["n"]),
            "points_since_clear": int(now["since"]),
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
            "time_ns": int(now["time"]) if seen else None,
            "value": float(now["value"]) if seen else None,
            "rules": rule_names(chosen, int(now["active"])),
            "findings": [_brief(event) for event in self.open_findings(sensor)],
        }

    def plotted(self, sensor: int, points: int) -> dict[str, Any] | None:
        """The last plotted points as plain lists for the board; None without a chart of counts.

        Returns:
            ``t`` in s since 1970, ``v`` (count, proportion or rate), ``lcl`` and ``ucl`` of each
            point, ``rules`` with the names of the rules each point broke.
        """
        c = int(self._row_of[sensor])
        if c < 0:
            return None
        n, size = int(self._state[c]["n"]), self._times.shape[1]
        order = np.arange(max(0, n - min(points, size)), n) % size
        return {
            "t": (self._times[c, order] / 1e9).tolist(),
            "v": self._ring[c, order, 0].tolist(),
            "lcl": self._ring[c, order, 1].tolist(),
            "ucl": self._ring[c, order, 2].tolist(),
            "rules": [rule_names(self._chosen[c], b) for b in self._bits[c, order].tolist()],
        }

    def _say(self, change: _Change, name_of: NameOf | None) -> list[Event]:
        """Events of one change: what closes, then what opens."""
        at = Row(
            change.row,
            change.time,
            change.events,
            product_of(change.product, name_of),
            None if isnan(change.place) else change.place,
        )
        events: list[Event] = []
        ended, opened = change.old & ~change.new, change.new & ~change.old
        if ended:
            cause = _CAUSES[change.cause]
            last = change.n if change.cause else change.n - 1
            events += self._close_findings(change.chart, ended, change.time_before, last, at, cause)
        if opened:
            number = self._number(change.chart)
            event = self._finding(change, opened, at, number)
            events.append(self._open_finding(change.chart, event, number, change.n, opened))
        return events

    def _finding(self, change: _Change, opened: int, at: Row, number: int) -> Event:
        sensor, chosen = self._rows[change.chart], self._chosen[change.chart]
        chart = _chart(sensor)
        bits = (opened | opened >> LOW | opened >> BOTH) & 0xFFFF
        rule = chosen.rules[(bits & -bits).bit_length() - 1]
        side = _side(opened, bits & -bits)
        return Event(
            id=event_id(rule.id, chosen.id, sensor.id, "finding", change.time_first, number),
            type="finding",
            rule=rule.id,
            ruleset=chosen.id,
            sensor=sensor.id,
            product=at.product,
            place=at.place,
            t_first=change.time_first,
            t_last=at.time_ns,
            value=at.value,
            detail={
                "arl0": _arl0(chart, chosen, change),
                "baseline": self._baselines[change.entry],
                "centre": change.centre,
                "chart": str(chart.type),
                "convention": "points",
                "lcl": change.lower,
                "meaning": _meaning(
                    chart, rule.meaning(side), side, change, alone=rule.points == 1
                ),
                "mode": "raw",
                "n_first": change.n_first,
                "n_last": change.n,
                "onset": iso(change.time_first),
                "plotted": change.value,
                "recipe": self._centres.names[change.entry],
                "rules": rule_names(chosen, opened),
                "side": side,
                "sigma": change.sigma,
                "size": change.size,
                "statistic": (change.value - change.centre) / change.sigma
                if change.sigma
                else None,
                "ucl": change.upper,
                "usual": rule.usual,
            },
            row=at.i,
        )


class _Change(NamedTuple):
    """One entry of ``kernel.CHANGE`` in plain Python, same order of fields."""

    row: int
    chart: int
    cause: int
    old: int
    new: int
    n: int
    time_before: int
    n_first: int
    time_first: int
    time: int
    events: float
    size: float
    value: float
    centre: float
    lower: float
    upper: float
    sigma: float
    product: int
    place: float
    entry: int


def rules_in_force(chart: Chart, rule_sets: Mapping[str, RuleSet] = PRESETS) -> RuleSet:
    """Rules that read a chart of counts: single points beyond limits, or all with a reason.

    Args:
        chart: The chart.
        rule_sets: Rule sets by name.
    """
    if chart.rules is None:
        return _NO_RULES
    return applicable(rule_sets.get(chart.rules, PRESETS["shewhart"]), chart)


def _chart(row: SensorRow) -> Chart:
    chart = row.spec.chart
    if chart is None:
        raise ValueError(f"sensor {row.id!r} has no chart")
    return chart


def _spec(row: SensorRow, chosen: RuleSet, number: int, index: LineIndex) -> tuple[Any, ...]:
    chart = _chart(row)
    single = [r.sigma for r in chosen.rules if r.kind is Kind.BEYOND and r.points == 1]
    k = single[0] if single else 3.0
    laney = chart.type in {"laney_p", "laney_u"}
    size = 1.0 if chart.type == "c" else chart.n or nan
    if chart.type != "c" and _size_sensor(row, index) is not None:
        size = 0.0
    return (
        KINDS[chart.type],
        size,
        (chart.sigma_z or 1.0) if laney else 1.0,
        k,
        float(scipy.special.ndtr(-k)),
        EXACT_BELOW[chart.count_limits],
        max_gap_ns(row.spec),
        number,
    )


def _centres(row: SensorRow, index: LineIndex) -> dict[str, tuple[float, str]]:
    """Centre line and name of the baseline by recipe."""
    chart = _chart(row)
    if chart.centre is not None:
        return {"": (chart.centre, chart.baseline)}
    return {b.recipe: (b.centre, b.name) for b in index.baselines.get(row.id, [])}


def _sized(rows: list[SensorRow], index: LineIndex) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For every sensor the first chart whose size it brings, and for every chart the next one."""
    first = np.full(len(index), -1, np.int32)
    following = np.full(len(rows), -1, np.int32)
    for c in reversed(range(len(rows))):
        source = _size_sensor(rows[c], index)
        if _chart(rows[c]).type != "c" and source is not None:
            following[c] = first[source.index]
            first[source.index] = c
    return first, following


def _size_sensor(row: SensorRow, index: LineIndex) -> SensorRow | None:
    key = _chart(row).size_of
    return index.by_id.get(f"{row.station.id}/{key}") if key else None


def _side(opened: int, bit: int) -> str:
    if opened & bit:
        return "high"
    return "low" if opened >> LOW & bit else "both"


def _arl0(chart: Chart, chosen: RuleSet, change: _Change) -> float | None:
    """Mean points between false signals of this chart, exact for points with these limits."""
    if len(chosen.rules) > 1 or chart.type in {"laney_p", "laney_u"} or change.sigma == 0.0:
        return chosen.arl0
    chance = false_alarm(chart.type, change.centre, change.size, change.lower, change.upper)
    return 1.0 / chance if chance > 0.0 else None


def _meaning(chart: Chart, pattern: str, side: str, change: _Change, *, alone: bool) -> str:
    if not alone:
        return pattern
    limit = change.upper if side == "high" else change.lower
    where = "above its upper" if side == "high" else "below its lower"
    of = "" if chart.type in {"c", "np"} else f", {change.events:g} of {change.size:g}"
    return f"{_PLOTTED[chart.type]} {change.value:.4g}{of}, {where} limit {limit:.4g}"


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
