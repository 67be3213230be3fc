"""Changes the kernel reports, said as events."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from twin.detectors.spc import kernel
from twin.model.event import Event, event_id, iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.detectors.finding import Row
    from twin.detectors.spc.rules import RuleSet
    from twin.model.line import Chart

__all__ = ["Change", "Part", "Voice", "ewma_width", "finding", "rule_names"]

_EWMA = 1 << kernel.EWMA_BIT | 1 << (kernel.EWMA_BIT + kernel.LOW)
_CUSUM = 1 << kernel.CUSUM_BIT | 1 << (kernel.CUSUM_BIT + kernel.LOW)
_PLANE = (1 << kernel.LOW) - 1


class Change(NamedTuple):
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
    ewma: float
    ewma_limit: float
    ewma_n: int
    ewma_time: int
    high: float
    high_n: int
    high_time: int
    low: float
    low_n: int
    low_time: int


class Part(NamedTuple):
    """A finding that opens: its rule bits and what to say."""

    mask: int
    rule: str
    ruleset: str
    n_first: int
    time_first: int
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
    """How the charts with one rule set speak.

    Args:
        chosen: The rule set.
        fixed_ewma: Whether EWMA limits are fixed.
    """

    def __init__(self, chosen: RuleSet, *, fixed_ewma: bool) -> None:
        self.chosen = chosen
        self._form = ";fixed" if fixed_ewma else ""
        self._said: dict[int, tuple[str, dict[str, Any]]] = {}

    def parts(self, chart: Chart, change: Change, value: float) -> Iterator[Part]:
        """The findings that open with a change: run rules together, EWMA, CUSUM."""
        opened = change.new & ~change.old
        runs = opened & ~(_EWMA | _CUSUM)
        if runs:
            yield self._runs(chart, runs, change, value)
        if opened & _EWMA:
            yield self._ewma(chart, opened & _EWMA, change)
        if opened & _CUSUM:
            yield self._cusum(chart, opened & _CUSUM, change)

    def _runs(self, chart: Chart, opened: int, change: Change, value: float) -> Part:
        if opened not in self._said:
            self._said[opened] = self._words(opened)
        rule, words = self._said[opened]
        detail = {
            **words,
            "lcl": chart.centre - 3.0 * chart.sigma,
            "statistic": (value - chart.centre) / chart.sigma,
            "ucl": chart.centre + 3.0 * chart.sigma,
        }
        return Part(opened, rule, self.chosen.id, change.n_first, change.time_first, detail)

    def _words(self, opened: int) -> tuple[str, dict[str, Any]]:
        """Name and unchanging detail of run rules that open together."""
        bits = (opened | opened >> kernel.LOW | opened >> kernel.BOTH) & _PLANE
        lowest = (bits & -bits).bit_length() - 1
        rule = self.chosen.rules[lowest]
        side = _side(opened, lowest)
        return rule.id, {
            "arl0": self.chosen.arl0,
            "meaning": rule.meaning(side),
            "rules": rule_names(self.chosen, opened),
            "side": side,
            "usual": rule.usual,
        }

    def _ewma(self, chart: Chart, opened: int, change: Change) -> Part:
        side = _side(opened, kernel.EWMA_BIT)
        where = "above" if side == "high" else "below"
        detail = {
            "lcl": chart.centre - change.ewma_limit,
            "meaning": f"weighted mean (lambda {chart.ewma_lambda}) more than "
            f"{chart.ewma_l:g} of its standard deviations {where} the centre line",
            "rules": ["ewma"],
            "side": side,
            "statistic": change.ewma,
            "ucl": chart.centre + change.ewma_limit,
            "usual": "small sustained shift or drift",
        }
        ruleset = f"ewma({chart.ewma_lambda};{chart.ewma_l:g}{self._form})@1"
        return Part(opened, "ewma", ruleset, change.ewma_n, change.ewma_time, detail)

    def _cusum(self, chart: Chart, opened: int, change: Change) -> Part:
        side = _side(opened, kernel.CUSUM_BIT)
        high = side == "high"
        total = change.high if high else change.low
        n_first, first = (
            (change.high_n, change.high_time) if high else (change.low_n, change.low_time)
        )
        away = chart.sigma * ((chart.cusum_k or 0.0) + total / (change.n - n_first + 1))
        mean = chart.centre + (away if high else -away)
        detail = {
            "estimated_mean": mean,
            "estimated_shift": mean - chart.centre,
            "h": chart.cusum_h,
            "meaning": f"sum of deviations {'above' if high else 'below'} the centre line "
            f"(reference {chart.cusum_k} sigma) beyond {chart.cusum_h:g} sigma",
            "rules": ["cusum"],
            "side": side,
            "statistic": total,
            "usual": "sustained shift since the onset",
        }
        ruleset = f"cusum({chart.cusum_k};{chart.cusum_h:g})@1"
        return Part(opened, "cusum", ruleset, n_first, first, detail)


def finding(sensor: str, chart: Chart, part: Part, change: Change, at: Row, number: int) -> Event:
    """The opening event of a finding.

    Args:
        sensor: Sensor id.
        chart: Its chart.
        part: What opens.
        change: The change that opened it.
        at: The sample that opened it.
        number: Occurrence counter of the sensor.
    """
    return Event(
        id=event_id(part.rule, part.ruleset, sensor, "finding", part.time_first, number),
        type="finding",
        rule=part.rule,
        ruleset=part.ruleset,
        sensor=sensor,
        product=at.product,
        place=at.place,
        t_first=part.time_first,
        t_last=at.time_ns,
        value=at.value,
        detail={
            **part.detail,
            "baseline": chart.baseline,
            "centre": chart.centre,
            "convention": "points",
            "mode": "raw",
            "n_first": part.n_first,
            "n_last": change.n,
            "onset": iso(part.time_first),
            "recipe": chart.recipe,
            "sigma": chart.sigma,
        },
        row=at.i,
    )


def ewma_width(sigma: float, weight: float, distance: float) -> float:
    """Half width of the EWMA limits after many points: L sigma sqrt(lambda / (2 - lambda)).

    Args:
        sigma: Standard deviation of a plotted point, unit of the sensor.
        weight: Lambda, 0 < lambda <= 1.
        distance: L, in standard deviations of the EWMA.
    """
    return distance * sigma * sqrt(weight / (2.0 - weight))
