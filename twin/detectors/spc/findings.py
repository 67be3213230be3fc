"""Reports of the kernel, said as events.

Thousands of findings a second are nothing unusual on a line of a thousand charts that is set too
tight, so what does not change from one to the next is put together once: the words of a pattern,
and the limits of a recipe.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from twin.detectors.spc import kernel
from twin.model.event import Event, id_of, iso

if TYPE_CHECKING:
    from twin.detectors.spc.limits import Limits
    from twin.detectors.spc.rules import RuleSet
    from twin.model.line import Chart

__all__ = ["Voice", "ewma_width", "rule_names"]

_PLANE = (1 << kernel.LOW) - 1
_LATER = (
    "baseline",
    "centre",
    "mode",
    "n_first",
    "n_last",
    "onset",
    "recipe",
    "sigma",
    "statistic",
)
"""Keys that get their value with each finding; a copy that holds them already need not grow."""


class _Words(NamedTuple):
    """What a pattern is called, whatever the chart it appears on.

    Attributes:
        rule: The rule that names the finding.
        ruleset: Its set with version.
        head: Both, as the identity of the event begins.
        side: ``high``, ``low`` or ``both``.
        detail: What stands in every such finding.
    """

    rule: str
    ruleset: str
    head: str
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
        fixed_ewma: Whether EWMA limits are fixed.
    """

    __slots__ = ("_chart", "_fixed", "_said", "chosen")

    def __init__(self, chosen: RuleSet, chart: Chart, *, fixed_ewma: bool) -> None:
        self.chosen = chosen
        self._chart = chart
        self._fixed = fixed_ewma
        self._said: dict[int, _Words] = {}

    def finding(
        self,
        sensor: str,
        limits: Limits,
        facts: list[int],
        measures: list[float],
        product: str | None,
        place: float | None,
    ) -> Event:
        """The opening event of a finding.

        Args:
            sensor: Sensor id.
            limits: The limits in force.
            facts: What the kernel reports, ``kernel.FACTS``.
            measures: And ``kernel.MEASURES``.
            product: Product id, or None.
            place: Metre or slot, or None.
        """
        row, _, what, mask, n, time, n_first, first, _, number = facts
        value, statistic, limit, scale = measures
        words = self._said.get(mask)
        if words is None:
            words = self._said[mask] = self._words(what, mask)
        rule, ruleset, head, side, said = words
        recipe, centre, sigma, baseline, level, series = limits
        detail = said.copy()
        detail["baseline"] = baseline
        detail["centre"] = centre
        detail["mode"] = series
        detail["n_first"] = n_first
        detail["n_last"] = n
        detail["onset"] = iso(first)
        detail["recipe"] = recipe
        detail["statistic"] = statistic
        if scale != 1.0:
            sigma *= scale
        detail["sigma"] = sigma
        if what == kernel.RUNS:
            detail["lcl"] = centre - 3.0 * sigma
            detail["ucl"] = centre + 3.0 * sigma
        elif what == kernel.EWMA:
            detail["lcl"] = centre - limit
            detail["ucl"] = centre + limit
        else:
            away = sigma * ((self._chart.cusum_k or 0.0) + statistic / (n - n_first + 1))
            mean = centre + (away if side == "high" else -away)
            detail["estimated_mean"] = mean
            detail["estimated_shift"] = mean - centre
        if level is not None:
            detail["level"] = level
        text = f"{head}{sensor}\x1ffinding\x1f{first}\x1f{number}"
        return Event(
            id=id_of(text),
            type="finding",
            rule=rule,
            ruleset=ruleset,
            sensor=sensor,
            product=product,
            place=place,
            t_first=first,
            t_last=time,
            value=value,
            detail=detail,
            row=row,
        )

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
            {"arl0": self.chosen.arl0},
        )

    def _of_ewma(self, opened: int) -> _Words:
        side, chart = _side(opened, kernel.EWMA_BIT), self._chart
        form = ";fixed" if self._fixed else ""
        return self._say(
            "ewma",
            f"ewma({chart.ewma_lambda};{chart.ewma_l:g}{form})@1",
            side,
            ["ewma"],
            f"weighted mean (lambda {chart.ewma_lambda}) more than "
            f"{chart.ewma_l:g} of its standard deviations "
            f"{'above' if side == 'high' else 'below'} the centre line",
            "small sustained shift or drift",
            {},
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
            {"h": chart.cusum_h},
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
        return _Words(rule, ruleset, f"{rule}\x1f{ruleset}\x1f", side, detail)


def ewma_width(sigma: float, weight: float, distance: float) -> float:
    """Half width of the EWMA limits after many points: L sigma sqrt(lambda / (2 - lambda)).

    Args:
        sigma: Standard deviation of a plotted point, unit of the sensor.
        weight: Lambda, 0 < lambda <= 1.
        distance: L, in standard deviations of the EWMA.
    """
    return distance * sigma * sqrt(weight / (2.0 - weight))
