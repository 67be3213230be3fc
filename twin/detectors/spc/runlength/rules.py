"""Run length of a rule set, whatever its rules: the method that fits."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from twin.detectors.spc.rules import RuleSet
from twin.detectors.spc.runlength.automaton import TooManyStatesError, counts_steps
from twin.detectors.spc.runlength.result import LONGEST_ARL, Method, RunLength
from twin.detectors.spc.runlength.trend import previous_arl
from twin.detectors.spc.runlength.zones import zones_arl
from twin.model.line import Chart

if TYPE_CHECKING:
    from twin.detectors.spc.rules import Rule

__all__ = ["arl_rules", "known_arl0"]


def arl_rules(
    rules: RuleSet | tuple[Rule, ...],
    shift: float = 0.0,
    *,
    phi: float = 0.0,
    scale: float = 1.0,
) -> RunLength:
    """ARL of a rule set.

    Zone rules on independent values are a Markov chain. Trends, alternations and autocorrelated
    values need the last value too. Only a set that cannot be followed exactly is simulated.

    Args:
        rules: A rule set, or its rules.
        shift: Mean from the first point on, in standard deviations of the points.
        phi: Correlation of neighbouring points (AR(1)), -1 < phi < 1.
        scale: Sigma of the chart over the standard deviation of the points.

    Examples:
        >>> from twin.detectors.spc.rules import PRESETS
        >>> round(arl_rules(PRESETS["western_electric"]).arl, 2)
        91.75
        >>> round(arl_rules(PRESETS["nelson"], 1.0).arl, 2)
        9.62
    """
    plain = rules.rules if isinstance(rules, RuleSet) else tuple(rules)
    return _arl_rules(plain, float(shift), float(phi), float(scale))


def known_arl0(chosen: RuleSet) -> float | None:
    """ARL0 of a rule set as its findings tell it; None without rules, or if it takes a simulation."""
    if chosen.arl0 is not None or not chosen.rules:
        return chosen.arl0
    try:
        return _followed(chosen.rules, 0.0, 0.0, 1.0).told
    except TooManyStatesError:
        return None


@lru_cache(maxsize=512)
def _followed(rules: tuple[Rule, ...], shift: float, phi: float, scale: float) -> RunLength:
    if phi == 0.0 and not counts_steps(rules):
        return RunLength(min(LONGEST_ARL, zones_arl(rules, shift, scale)))
    arl = previous_arl(rules, shift, phi=phi, scale=scale)
    return RunLength(min(LONGEST_ARL, arl), Method.INTEGRAL)


@lru_cache(maxsize=512)
def _arl_rules(rules: tuple[Rule, ...], shift: float, phi: float, scale: float) -> RunLength:
    if not rules:
        return RunLength(LONGEST_ARL)
    try:
        return _followed(rules, shift, phi, scale)
    except TooManyStatesError:
        # Charts show run lengths themselves, so they cannot be imported before them.
        from twin.detectors.spc.runlength.simulate import simulate  # noqa: PLC0415

        own = RuleSet(name="own", rules=rules)
        chart = Chart(rules=own.name)
        return simulate(chart, shift, phi=phi, scale=scale, rule_sets={own.name: own})
