"""Individuals charts with frozen limits: run rules, EWMA and CUSUM of every charted sensor.

Phase II only: centre line and sigma come from the approved baseline in the line description and
are never changed by data. What the charts answer in every case is the list below.

* A point is judged when it arrives; nothing looks ahead, nothing is judged again.
* Limits are strict: a point exactly on a limit is inside.
* Bad quality, NaN and samples marked stuck, spike or rate cannot be judged: they are counted,
  do not count as points and do not end a run.
* Late samples (older than the last plotted one) are counted and not plotted.
* A hole longer than ``max_gap_ns`` (or the mark AFTER_GAP) clears all memory and closes what is
  open; EWMA and CUSUM start again.
* A rule that becomes true opens a finding; rules that become true with the same point share it
  and the lowest number names it. It closes when none of its rules is true any more. The high and
  the low side of a rule are told apart: a jump from one to the other closes and opens.
* EWMA and CUSUM are findings of their own and keep their value after a signal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from twin.detectors.finding import Row
from twin.detectors.logic import Logic, columns, max_gap_ns
from twin.detectors.spc import kernel
from twin.detectors.spc.findings import Change, Voice, ewma_width, finding, rule_names
from twin.detectors.spc.rules import PRESETS, RuleSet
from twin.detectors.spc.tables import Tables
from twin.errors import ConfigError, Problem
from twin.model.event import iso
from twin.model.line import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.event import Event
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Chart

__all__ = ["Charts"]

_NO_RULES = RuleSet(name="none", rules=())
_POINTS = 200
_MANY = 20_000
"""Lines with more charts than this keep fewer points of each, to stay below 0.5 Gbyte."""
_RAW = {Role.COUNTER, Role.STATE}
"""Roles whose raw value is never charted: a counter only rises, a state has no mean."""


class Charts(Logic):
    """Run rules, EWMA and CUSUM on individual values, one chart per sensor that declares one.

    Args:
        index: The line; settings come from ``Sensor.chart``. Sensors with the role counter or
            state are not charted.
        rule_sets: Rule sets by the name used in ``Chart.rules``.
        ewma_limits: ``time-varying`` limits are narrow after a start (a fast initial response
            at 1 to 3 % of the ARL0); ``fixed`` ones are those of published tables.
        cusum_start: ``zero``, or ``head-start``: both sums start at h/2 after a start or a gap,
            which finds a process that starts off target sooner at 8 % of the ARL0. After an
            operator reset the head start is always used.
        points: Points per chart kept for the board, at least 60; 18 bytes each. None means 200, or
            60 on a line with more than 20 000 charts.

    Raises:
        ConfigError: A chart names a rule set that does not exist.
        ValueError: A rule set does not fit the kernel, or ``points`` is too small.
    """

    name: ClassVar[str] = "charts"
    version: ClassVar[int] = 1

    def __init__(
        self,
        index: LineIndex,
        *,
        rule_sets: Mapping[str, RuleSet] = PRESETS,
        ewma_limits: Literal["time-varying", "fixed"] = "time-varying",
        cusum_start: Literal["zero", "head-start"] = "zero",
        points: int | None = None,
    ) -> None:
        rows = [
            row for row in index.sensors if row.spec.chart is not None and row.spec.role not in _RAW
        ]
        if points is None:
            points = _POINTS if len(rows) <= _MANY else kernel.LONGEST
        if points < kernel.LONGEST:
            raise ValueError(f"points is {points}; allowed: {kernel.LONGEST} or more")
        self._fixed = ewma_limits == "fixed"
        self._head_start = cusum_start == "head-start"
        chosen = [_chosen(row, rule_sets) for row in rows]
        sets = {rules.name: rules for rules in chosen} or {_NO_RULES.name: _NO_RULES}
        number = {name: i for i, name in enumerate(sets)}
        text = {name: repr(rules) for name, rules in sets.items()}
        self._tables = Tables(list(sets.values()))
        voices = {name: Voice(rules, fixed_ewma=self._fixed) for name, rules in sets.items()}
        self._voices = [voices[rules.name] for rules in chosen]
        self._specs: NDArray[np.void] = np.zeros(len(rows), kernel.SETTINGS)
        for c, (row, rules) in enumerate(zip(rows, chosen, strict=True)):
            self._specs[c] = self._spec(row, number[rules.name])
        self._state: NDArray[np.void] = np.zeros(len(rows), kernel.STATE)
        self._beyond = np.zeros((len(rows), 2, kernel.LEVELS), np.int64)
        self._times = np.zeros((len(rows), points), np.int64)
        self._values = np.zeros((len(rows), points))
        self._bits = np.zeros((len(rows), points), np.uint16)
        self._out: NDArray[np.void] = np.zeros(1024, kernel.CHANGE)
        options = f"{ewma_limits} {cusum_start}"
        super().__init__(
            index,
            rows,
            [
                f"{options} {row.spec.chart!r} {max_gap_ns(row.spec)} {text[rules.name]}"
                for row, rules in zip(rows, chosen, strict=True)
            ],
            {
                "state": self._state,
                "beyond": self._beyond,
                "times": self._times,
                "values": self._values,
                "bits": self._bits,
            },
        )

    def update(self, batch: Batch, name_of: NameOf | None = None) -> list[Event]:
        """Plot the rows in order.

        Args:
            batch: Accepted samples, marked by the validity tests.
            name_of: Product index to product id, for the events.

        Returns:
            Findings opened and closed, in order of their samples.
        """
        if not self._rows:
            return []
        cols = columns(batch, self._sensors)
        events: list[Event] = []
        row = 0
        while row < len(batch):
            row, changes = kernel.chart_rows(
                row,
                *cols,
                self._row_of,
                self._specs,
                self._tables.rules,
                self._tables.n_rules,
                self._tables.levels,
                self._tables.n_levels,
                self._state,
                self._beyond,
                self._times,
                self._values,
                self._bits,
                self._out,
            )
            for change in self._out[:changes].tolist():
                events += self._say(Change._make(change), batch, name_of)
        return events

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
        now, chosen, chart = self._state[c], self._voices[c].chosen, _chart(self._rows[c])
        fresh = now["since"] == 0
        answer: dict[str, Any] = {
            "sensor": self._rows[c].id,
            "verdict": _verdict(now),
            "centre": chart.centre,
            "sigma": chart.sigma,
            "lcl": chart.centre - 3.0 * chart.sigma,
            "ucl": chart.centre + 3.0 * chart.sigma,
            "ruleset": chosen.id if chart.rules is not None else None,
            "arl0": chosen.arl0,
            "baseline": chart.baseline,
            "points": int(now["n"]),
            "points_since_clear": int(now["since"]),
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
            "time_ns": int(now["time"]) if now["n"] else None,
            "value": float(now["value"]) if now["n"] else None,
            "rules": rule_names(chosen, int(now["active"])),
            "findings": [_brief(event) for event in self.open_findings(sensor)],
        }
        if chart.ewma_lambda is not None:
            width = float(self._specs[c]["width"]) * (1.0 - float(now["fade"])) ** 0.5
            answer["ewma"] = {
                "lambda": chart.ewma_lambda,
                "l": chart.ewma_l,
                "value": chart.centre if fresh else float(now["ewma"]),
                "lcl": None if fresh else chart.centre - width,
                "ucl": None if fresh else chart.centre + width,
            }
        if chart.cusum_k is not None:
            answer["cusum"] = {
                "k": chart.cusum_k,
                "h": chart.cusum_h,
                "high": 0.0 if fresh else float(now["high"]),
                "low": 0.0 if fresh else float(now["low"]),
            }
        return answer

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
            last = np.arange(max(0, n - min(size, size_then)), n)
            for now, before in (
                (self._times, old["times"]),
                (self._values, old["values"]),
                (self._bits, old["bits"]),
            ):
                now[c, last % size] = before[then, last % size_then]

    def _spec(self, row: SensorRow, chosen: int) -> tuple[Any, ...]:
        chart = _chart(row)
        weight = chart.ewma_lambda or 0.0
        h = chart.cusum_h if chart.cusum_k is not None else 0.0
        return (
            chart.centre,
            chart.sigma,
            max_gap_ns(row.spec),
            chosen,
            weight,
            (1.0 - weight) * (1.0 - weight),
            0.0 if self._fixed else 1.0,
            ewma_width(chart.sigma, weight, chart.ewma_l),
            chart.cusum_k or 0.0,
            h,
            h / 2.0 if self._head_start else 0.0,
        )

    def _say(self, change: Change, batch: Batch, name_of: NameOf | None) -> list[Event]:
        """Events of one change: what closes, then what opens."""
        at = Row.of(batch, change.row, name_of)
        gap = change.cause == kernel.CAUSE_GAP
        ended = change.old & ~change.new
        events: list[Event] = []
        if ended:
            last = change.n if gap else change.n - 1
            cause = "gap" if gap else "inside"
            events += self._close_findings(change.chart, ended, change.time_before, last, at, cause)
        sensor = self._rows[change.chart]
        chart = _chart(sensor)
        for part in self._voices[change.chart].parts(chart, change, at.value):
            number = self._number(change.chart)
            event = finding(sensor.id, chart, part, change, at, number)
            events.append(self._open_finding(change.chart, event, number, change.n, part.mask))
        return events


def _chart(row: SensorRow) -> Chart:
    """The chart of a sensor that has one."""
    chart = row.spec.chart
    if chart is None:
        raise ValueError(f"sensor {row.id!r} has no chart")
    return chart


def _chosen(row: SensorRow, rule_sets: Mapping[str, RuleSet]) -> RuleSet:
    name = row.spec.chart.rules if row.spec.chart is not None else None
    if name is None:
        return _NO_RULES
    if name not in rule_sets:
        problem = Problem(
            file="line.toml",
            line=0,
            key=f"{row.id}.chart.rules",
            value=repr(name),
            message="there is no such rule set",
            allowed=", ".join(sorted(rule_sets)),
        )
        raise ConfigError([problem])
    return rule_sets[name]


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
