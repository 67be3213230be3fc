"""Run lengths of one chart as it is configured: each statistic alone, and all together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import scipy

from twin.detectors.spc.constants import b3, b4, c4, d2, d3_limit, d4_limit
from twin.detectors.spc.count_limits import EXACT_BELOW, KINDS, count_limits
from twin.detectors.spc.rules import Kind, Rule
from twin.detectors.spc.runlength.attributes import arl_binomial, arl_poisson, arl_range, arl_s
from twin.detectors.spc.runlength.autocorrelated import residual_shift
from twin.detectors.spc.runlength.cusum import arl_cusum
from twin.detectors.spc.runlength.ewma import arl_ewma
from twin.detectors.spc.runlength.moving_range import arl_moving_range
from twin.detectors.spc.runlength.result import RunLength, fastest, together
from twin.detectors.spc.runlength.rules import arl_rules
from twin.model.line import ChartType, Series, Spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.detectors.spc.rules import RuleSet
    from twin.model.line import Chart

__all__ = ["SHIFTS", "ChartRuns", "Statistic", "of_chart"]

SHIFTS = (0.0, 0.5, 1.0, 2.0)
"""Shifts reported unless others are asked for, in sigma of the plotted point; 0 first."""

_BINOMIAL = {ChartType.P, ChartType.NP}
_POISSON = {ChartType.C, ChartType.U}
_LANEY = {ChartType.LANEY_P, ChartType.LANEY_U}
_COUNTS = _BINOMIAL | _POISSON | _LANEY


@dataclass(frozen=True, slots=True)
class Statistic:
    """One thing a chart compares with limits.

    Attributes:
        name: ``western_electric``, ``ewma(0.2; 2.962)``, ``cusum(0.5; 5)``, ``mr``, ``r``, ``s``.
        runs: Run length for each shift of the mean; None where nobody can know it.
    """

    name: str
    runs: tuple[RunLength | None, ...]

    @property
    def arl0(self) -> RunLength | None:
        """Run length in control."""
        return self.runs[0]


@dataclass(frozen=True, slots=True)
class ChartRuns:
    """Run lengths of a chart from a fresh start on.

    Attributes:
        shifts: Lasting shifts of the mean, in sigma of the plotted point (of the raw value for
            residuals); 0 is in control.
        statistics: What judges, one by one; none for a chart without rules and statistics.
        together: All of them at once, per shift; None where one is not known.
    """

    shifts: tuple[float, ...]
    statistics: tuple[Statistic, ...]
    together: tuple[RunLength | None, ...]


def of_chart(
    chart: Chart, rule_set: RuleSet | None, shifts: tuple[float, ...] = SHIFTS
) -> ChartRuns:
    """Run lengths of a chart as configured, on independent plotted points.

    Of several statistics on one chart the run in control is bounded from below (their rates add up
    at most) and the delay from above (the fastest speaks first); rule 1 with a moving range is
    known together.

    Args:
        chart: The chart.
        rule_set: The rules it names; None for none.
        shifts: Shifts of the mean in sigma, 0 first.

    Raises:
        ValueError: The first shift is not 0, or a setting is out of range.
    """
    if not shifts or shifts[0] != 0.0:
        raise ValueError(f"shifts are {shifts}; the first must be 0")
    rules = rule_set.rules if rule_set is not None else ()
    name = rule_set.name if rule_set is not None else ""
    found = tuple(
        _counted(chart, name, rules, shifts)
        if chart.type in _COUNTS
        else _measured(chart, name, rules, shifts)
    )
    both = _with_moving_range(chart, rules, shifts)
    whole = both or tuple(_joined(found, i) for i in range(len(shifts)))
    return ChartRuns(shifts, found, whole if found else (None,) * len(shifts))


def _joined(found: tuple[Statistic, ...], shift: int) -> RunLength | None:
    parts = [statistic.runs[shift] for statistic in found]
    known = [part for part in parts if part is not None]
    if shift == 0:
        return together(known) if known and len(known) == len(parts) else None
    return fastest(known) if known else None


def _measured(
    chart: Chart, name: str, rules: tuple[Rule, ...], shifts: tuple[float, ...]
) -> Iterator[Statistic]:
    """Statistics of a chart of location, and the scatter beside it."""
    means = tuple(_seen(chart, shift) for shift in shifts)
    if rules:
        yield Statistic(name, tuple(m if m is None else arl_rules(rules, m) for m in means))
    weight = chart.ewma_lambda
    if weight is not None:
        yield Statistic(
            f"ewma({weight:g}; {chart.ewma_l:g})",
            tuple(
                m if m is None else arl_ewma(weight, chart.ewma_l, m, limits=chart.ewma_limits)
                for m in means
            ),
        )
    k, h = chart.cusum_k, chart.cusum_h
    if k is not None:
        head = h / 2 if chart.cusum_start == "head-start" else 0.0
        yield Statistic(
            f"cusum({k:g}; {h:g})",
            tuple(m if m is None else arl_cusum(k, h, m, head=head) for m in means),
        )
    yield from _spread(chart, means)


def _seen(chart: Chart, shift: float) -> float | None:
    """Lasting shift of the plotted point; None when it wears off."""
    if shift == 0.0:
        return 0.0
    if chart.type is ChartType.Q:
        return None  # a shift becomes part of the running mean
    if chart.series is not Series.RESIDUAL:
        return shift
    if chart.model != "ar":
        return None  # a centre line that follows takes the shift in
    if len(chart.ar) == 1:
        return residual_shift(chart.ar[0], shift)
    return None if chart.phi is None else residual_shift(chart.phi, shift)


def _spread(chart: Chart, means: tuple[float | None, ...]) -> Iterator[Statistic]:
    """A shift of the mean leaves the scatter within subgroups alone."""
    if chart.spread is Spread.MR:
        reach = _mr_reach()
        yield Statistic(
            "mr", tuple(m if m is None else arl_moving_range(reach, None, m) for m in means)
        )
    elif chart.spread is not Spread.NONE:
        n = chart.size
        run: RunLength | None = None
        if n is not None and chart.spread is Spread.S:
            run = arl_s(n, b3(n) * c4(n), b4(n) * c4(n))
        elif n is not None:
            run = arl_range(n, d3_limit(n) * d2(n), d4_limit(n) * d2(n))
        yield Statistic(str(chart.spread), (run,) * len(means))


def _mr_reach() -> float:
    """Limit of the moving range over sigma of the points."""
    return d4_limit(2) * d2(2)


def _only_beyond(rules: tuple[Rule, ...]) -> float | None:
    """Distance of the limits when the set is one point beyond them and nothing else."""
    if len(rules) != 1 or rules[0].kind is not Kind.BEYOND or rules[0].points != 1:
        return None
    return rules[0].sigma


def _with_moving_range(
    chart: Chart, rules: tuple[Rule, ...], shifts: tuple[float, ...]
) -> tuple[RunLength | None, ...] | None:
    distance = _only_beyond(rules)
    alone = chart.ewma_lambda is None and chart.cusum_k is None
    if chart.spread is not Spread.MR or distance is None or not alone or chart.type in _COUNTS:
        return None
    means = (_seen(chart, shift) for shift in shifts)
    return tuple(m if m is None else arl_moving_range(_mr_reach(), distance, m) for m in means)


def _counted(
    chart: Chart, name: str, rules: tuple[Rule, ...], shifts: tuple[float, ...]
) -> Iterator[Statistic]:
    """Attribute charts: limits only, the other rules are off there."""
    points = [r for r in rules if r.kind is Kind.BEYOND and r.points == 1]
    if points:
        k = min(rule.sigma for rule in points)
        yield Statistic(name, tuple(_count(chart, k, shift) for shift in shifts))


def _count(chart: Chart, k: float, shift: float) -> RunLength | None:
    if chart.type in _LANEY:
        # Their limits are normal ones around a sigma that was estimated.
        beyond = Rule(id="rule1", kind=Kind.BEYOND, points=1, sigma=k)
        return arl_rules((beyond,), shift)
    n = 1.0 if chart.type is ChartType.C else chart.n
    if chart.centre is None or chart.centre <= 0 or n is None:
        return None
    lcl, ucl, sigma = count_limits(
        KINDS[chart.type.value],
        chart.centre,
        n,
        1.0,
        k,
        float(scipy.special.ndtr(-k)),
        EXACT_BELOW["auto"],
    )
    mean = chart.centre + shift * sigma
    if chart.type in _POISSON:
        return arl_poisson(mean * n, lcl * n, ucl * n)
    if n != int(n):
        return None
    share, size = (n, 1.0) if chart.type is ChartType.NP else (1.0, n)
    return arl_binomial(int(n), min(mean / share, 1.0), lcl * size, ucl * size)
