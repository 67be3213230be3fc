"""Reports of the kernel, said as events.

Thousands of findings a second are nothing unusual on a line of a thousand charts that is set too
tight, so what does not change from one to the next is put together once: the words of a pattern,
and the limits of a recipe.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from twin.detectors.spc import kernel
from twin.detectors.spc.runlength import arl_cusum, arl_ewma, known_arl0
from twin.model.event import Event, event_id, iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twin.detectors.spc.limits import Limits
    from twin.detectors.spc.rules import RuleSet
    from twin.detectors.spc.runlength.ewma import EwmaLimits
    from twin.model.line import Chart

__all__ = ["Voice", "ewma_width", "rule_names"]

_PLANE = (1 << kernel.LOW) - 1
_LATER = ("n_first", "n_last", "onset", "statistic")
"""Keys that get their value with each finding; a copy that holds them already need not grow."""
_REMEMBERED = 1000
"""Patterns and limits whose words are kept, about 1 kbyte each."""


class _Words(NamedTuple):
    """What a pattern is called under some limits, whatever the chart it appears on.

    Attributes:
        rule: The rule that names the finding.
        ruleset: Its set with version.
        side: ``high``, ``low`` or ``both``.
        detail: What stands in every such finding.
    """

    rule: str
    ruleset: str
    side: str
    detail: dict[str, Any]


def rule_names(chosen: RuleSet, active: int) -> list[str]:
    """Names of the rules whose bit is set in any plane of ``active``, in order of the set."""
    bits = active | active >> kernel.LOW | active >> kernel.BOTH
    names = [rule.id for r, rule in enumerate(chosen.rules) if bits >> r & 1]
    if bits >> kernel.EWMA_BIT & 1:
        names.append("ewma")
    if bits >> kernel.CUSUM_BIT & 1:
        names.append("cusum")
    return names


def _side(active: int, bit: int) -> str:
    if active >> bit & 1:
        return "high"
    return "low" if active >> (bit + kernel.LOW) & 1 else "both"


class Voice:
    """How charts speak that have rule set, EWMA and CUSUM in common.

    Args:
        chosen: The rule set.
        chart: One of the charts.
        ewma_limits: Form of the EWMA limits.
        head_start: Whether both sums of the CUSUM start at h/2.

    Attributes:
        chosen: The rule set.
        ewma_limits: Form of the EWMA limits.
        arl0: Mean number of points between its false findings; None when nobody computed it.
    """

    __slots__ = ("_arl0_cusum", "_arl0_ewma", "_chart", "_said", "arl0", "chosen", "ewma_limits")

    def __init__(
        self, chosen: RuleSet, chart: Chart, *, ewma_limits: EwmaLimits, head_start: bool = False
    ) -> None:
        self.chosen = chosen
        self.arl0 = known_arl0(chosen)
        self._chart = chart
        self.ewma_limits = ewma_limits
        self._arl0_ewma = self._arl0_cusum = 0.0
        if chart.ewma_lambda is not None:
            self._arl0_ewma = arl_ewma(chart.ewma_lambda, chart.ewma_l, limits=ewma_limits).told
        if chart.cusum_k is not None:
            head = chart.cusum_h / 2 if head_start else 0.0
            self._arl0_cusum = arl_cusum(chart.cusum_k, chart.cusum_h, head=head).told
        self._said: dict[tuple[int, int], _Words] = {}

    def say(
        self,
        what: int,
        mask: int,
        variant: int,
        limits: Sequence[Limits],
        n_first: int,
        n: int,
        first: int,
        statistic: float,
        limit: float,
        scale: float,
    ) -> tuple[str, str, dict[str, Any]]:
        """Rule, rule set and detail of a finding that opens.

        Args:
            what: What opens, and all further numbers: what the kernel reports.
            mask: Its rules and sides.
            variant: Which limits are in force.
            limits: All of them.
            n_first: First point of the pattern.
            n: Its last point.
            first: Event time of the first, ns.
            statistic: What is beyond its limit.
            limit: Half width of the limits of an EWMA, unit of the plotted point.
            scale: Factor on sigma.
        """
        words = self._said.get((mask, variant))
        if words is None:
            if len(self._said) >= _REMEMBERED:
                self._said.clear()
            words = self._said[mask, variant] = self._under(limits[variant], what, mask)
        detail = self._filled(words, what, n_first, n, first, statistic, limit, scale)
        return words.rule, words.ruleset, detail

    def finding(
        self,
        sensor: str,
        limits: Limits,
        facts: list[int],
        measures: list[float],
        product: str | None,
        place: float | None,
    ) -> Event:
        """The opening event of a finding on a chart whose limits are its own.

        Args:
            sensor: Sensor id.
            limits: The limits in force.
            facts: Row, chart, what opens, mask, last and first point of the pattern and their
                times, variant and number, as the kernel reports them: ``n, time, n_first, first``.
            measures: ``kernel.MEASURES``.
            product: Product id, or None.
            place: Metre or slot, or None.
        """
        row, _, what, mask, n, time, n_first, first, _, number = facts
        words = self._under(limits, what, mask)
        return Event(
            id=event_id(words.rule, words.ruleset, sensor, "finding", first, number),
            type="finding",
            rule=words.rule,
            ruleset=words.ruleset,
            sensor=sensor,
            product=product,
            place=place,
            t_first=first,
            t_last=time,
            value=measures[0],
            detail=self._filled(words, what, n_first, n, first, *measures[1:]),
            row=row,
        )

    def _filled(
        self,
        words: _Words,
        what: int,
        n_first: int,
        n: int,
        first: int,
        statistic: float,
        limit: float,
        scale: float,
    ) -> dict[str, Any]:
        """The detail with what each finding tells anew."""
        said = words.detail
        detail = said.copy()
        detail["n_first"] = n_first
        detail["n_last"] = n
        detail["onset"] = iso(first)
        detail["statistic"] = statistic
        if what == kernel.RUNS and scale == 1.0:
            return detail
        centre, sigma = said["centre"], said["sigma"] * scale
        detail["sigma"] = sigma
        if what == kernel.CUSUM:
            away = sigma * ((self._chart.cusum_k or 0.0) + statistic / (n - n_first + 1))
            mean = centre + (away if words.side == "high" else -away)
            detail["estimated_mean"] = mean
            detail["estimated_shift"] = mean - centre
            return detail
        width = limit if what == kernel.EWMA else 3.0 * sigma
        detail["lcl"] = centre - width
        detail["ucl"] = centre + width
        return detail

    def _under(self, limits: Limits, what: int, mask: int) -> _Words:
        """The words of a pattern under some limits."""
        words = self._words(what, mask)
        recipe, centre, sigma, baseline, level, series = limits
        detail = words.detail
        detail.update(baseline=baseline, centre=centre, mode=series, recipe=recipe, sigma=sigma)
        if what == kernel.RUNS:
            detail.update(lcl=centre - 3.0 * sigma, ucl=centre + 3.0 * sigma)
        if level is not None:
            detail["level"] = level
        return words

    def _words(self, what: int, mask: int) -> _Words:
        if what == kernel.RUNS:
            return self._of_runs(mask)
        return self._of_ewma(mask) if what == kernel.EWMA else self._of_cusum(mask)

    def _of_runs(self, opened: int) -> _Words:
        bits = (opened | opened >> kernel.LOW | opened >> kernel.BOTH) & _PLANE
        lowest = (bits & -bits).bit_length() - 1
        rule = self.chosen.rules[lowest]
        side = _side(opened, lowest)
        return self._say(
            rule.id,
            self.chosen.id,
            side,
            rule_names(self.chosen, opened),
            rule.meaning(side),
            rule.usual,
            {"arl0": self.arl0},
        )

    def _of_ewma(self, opened: int) -> _Words:
        side, chart = _side(opened, kernel.EWMA_BIT), self._chart
        form = "" if self.ewma_limits == "time-varying" else f";{self.ewma_limits}"
        return self._say(
            "ewma",
            f"ewma({chart.ewma_lambda};{chart.ewma_l:g}{form})@1",
            side,
            ["ewma"],
            f"weighted mean (lambda {chart.ewma_lambda}) more than "
            f"{chart.ewma_l:g} of its standard deviations "
            f"{'above' if side == 'high' else 'below'} the centre line",
            "small sustained shift or drift",
            {"arl0": self._arl0_ewma},
        )

    def _of_cusum(self, opened: int) -> _Words:
        side, chart = _side(opened, kernel.CUSUM_BIT), self._chart
        return self._say(
            "cusum",
            f"cusum({chart.cusum_k};{chart.cusum_h:g})@1",
            side,
            ["cusum"],
            f"sum of deviations {'above' if side == 'high' else 'below'} the centre line "
            f"(reference {chart.cusum_k} sigma) beyond {chart.cusum_h:g} sigma",
            "sustained shift since the onset",
            {"arl0": self._arl0_cusum, "h": chart.cusum_h},
        )

    def _say(
        self,
        rule: str,
        ruleset: str,
        side: str,
        rules: list[str],
        meaning: str,
        usual: str,
        more: dict[str, Any],
    ) -> _Words:
        detail = {
            "convention": "points",
            "meaning": meaning,
            "rules": rules,
            "side": side,
            "usual": usual,
            **dict.fromkeys(_LATER),
            **more,
        }
        return _Words(rule, ruleset, side, detail)


def ewma_width(sigma: float, weight: float, distance: float) -> float:
    """Half width of the EWMA limits after many points: L sigma sqrt(lambda / (2 - lambda)).

    Args:
        sigma: Standard deviation of a plotted point, unit of the sensor.
        weight: Lambda, 0 < lambda <= 1.
        distance: L, in standard deviations of the EWMA.
    """
    return distance * sigma * sqrt(weight / (2.0 - weight))
