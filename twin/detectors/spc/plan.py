"""What a chart of location will do: its rules, its limits per recipe, and what it plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from twin.detectors.logic import NEVER, max_gap_ns
from twin.detectors.series import makes_points
from twin.detectors.spc.findings import Voice, ewma_width
from twin.detectors.spc.limits import chart_of, limits_of, rest_of, unsaid_of
from twin.detectors.spc.rules import RuleSet
from twin.errors import ConfigError, Problem
from twin.model.line import ChartType, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twin.detectors.spc.limits import Limits
    from twin.detectors.spc.runlength.ewma import EwmaLimits
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Chart

__all__ = ["NO_RULES", "Plan", "is_charted"]

NO_RULES = RuleSet(name="none", rules=())

_ON_LIMIT = 1e-9
"""Nearer to a limit than this many sigma is on it: 20.96 - 20.9 is 0.06 to the reader, not more."""
_ULPS = 4 * 2.0**-52
"""What rounding of a point and its centre line comes to, as a share of the centre line."""


def is_charted(row: SensorRow, index: LineIndex) -> bool:
    """Whether a sensor has a chart of location with limits.

    The raw value of a counter only rises and that of a state has no mean, so neither is charted;
    a counter has a rate, which points may be made of.
    """
    chart, role = row.spec.chart, row.spec.role
    if chart is None or chart.type is not ChartType.I or role is Role.STATE:
        return False
    return (role is not Role.COUNTER or makes_points(row, index)) and bool(limits_of(row, index))


class Plan:
    """One chart before it is laid out in arrays.

    Args:
        row: A sensor that :func:`is_charted`.
        index: The line.
        rule_sets: Rule sets by the name used in ``Chart.rules``.
        ewma_limits: Overrides those of the chart.
        cusum_start: Likewise.

    Raises:
        ConfigError: The chart names a rule set that does not exist.
    """

    __slots__ = ("chart", "chosen", "form", "head_start", "limits", "points", "row")

    def __init__(
        self,
        row: SensorRow,
        index: LineIndex,
        rule_sets: Mapping[str, RuleSet],
        ewma_limits: EwmaLimits | None,
        cusum_start: Literal["zero", "head-start"] | None,
    ) -> None:
        self.row = row
        self.chart: Chart = chart_of(row)
        self.chosen = _chosen(row, rule_sets)
        self.limits = limits_of(row, index)
        self.points = makes_points(row, index)
        self.form: EwmaLimits = ewma_limits or self.chart.ewma_limits
        self.head_start = (cusum_start or self.chart.cusum_start) == "head-start"

    def text(self, said: dict[int, str]) -> str:
        """Everything that decides what the chart says.

        Args:
            said: Texts of charts and rule sets so far, by identity: many sensors share theirs.
        """
        shared = [
            said.get(id(thing)) or said.setdefault(id(thing), repr(thing))
            for thing in (self.chart, self.chosen)
        ]
        own = (self.form, self.head_start, self.points, max_gap_ns(self.row.spec), self.limits)
        return f"{shared} {own}"

    def voice(self, voices: dict[tuple[object, ...], Voice]) -> Voice:
        """The voice of charts with the same rules.

        Args:
            voices: Those of the charts before.
        """
        chart = self.chart
        ewma = (chart.ewma_lambda, chart.ewma_l, self.form)
        key = (self.chosen.name, ewma, chart.cusum_k, chart.cusum_h, self.head_start)
        if key not in voices:
            voices[key] = Voice(
                self.chosen, chart, ewma_limits=self.form, head_start=self.head_start
            )
        return voices[key]

    def place(self) -> tuple[int, int, int, int]:
        """``kernel.PLACE`` without its first field. Points bring their gaps with them."""
        gap = NEVER if self.points else max_gap_ns(self.row.spec)
        return len(self.limits), rest_of(self.limits), unsaid_of(self.limits, self.chart), gap

    def settings(self, limits: Limits, chosen: int) -> tuple[Any, ...]:
        """``kernel.SETTINGS`` while some limits are in force.

        Args:
            limits: The limits.
            chosen: Number of the rule set.
        """
        chart = self.chart
        weight = chart.ewma_lambda or 0.0
        h = chart.cusum_h if chart.cusum_k is not None else 0.0
        slack = _ON_LIMIT * limits.sigma + _ULPS * abs(limits.centre)
        return (
            limits.code,
            limits.centre,
            limits.sigma,
            slack,
            chosen,
            weight,
            (1.0 - weight) * (1.0 - weight),
            0.0 if self.form == "fixed" else 1.0,
            int(self.form == "fir"),
            ewma_width(limits.sigma, weight, chart.ewma_l),
            chart.cusum_k or 0.0,
            h,
            slack / limits.sigma,
            h / 2.0 if self.head_start else 0.0,
        )


def _chosen(row: SensorRow, rule_sets: Mapping[str, RuleSet]) -> RuleSet:
    name = row.spec.chart.rules if row.spec.chart is not None else None
    if name is None:
        return NO_RULES
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
