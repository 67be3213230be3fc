"""Names a chart and an alarm may use, with what is known about their false alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from twin.model.line import Chart

__all__ = ["CALLING", "RULES", "RULE_SETS", "RuleSet", "rules_of"]


class RuleSet(NamedTuple):
    """What the line description has to know about a rule set.

    Attributes:
        arl0: Mean number of points between two false findings: independent normal data, known
            parameters. From exact Markov chains; sets with a trend or alternation rule are
            simulated, with a standard error of at most 0.2.
        rules: Numbers of its rules after Nelson; 0 stands for R4s.
    """

    arl0: float
    rules: tuple[int, ...]


RULE_SETS = {
    "shewhart": RuleSet(370.40, (1,)),
    "western_electric": RuleSet(91.75, (1, 2, 5, 6)),
    "western_electric_all": RuleSet(84.18, (1, 2, 5, 6, 7, 8)),
    "nelson": RuleSet(73.55, (1, 2, 3, 4, 5, 6, 7, 8)),
    "nelson_shift": RuleSet(109.05, (1, 2, 5, 6)),
    "minitab_all": RuleSet(88.1, (1, 2, 3, 4, 5, 6, 7, 8)),
    "aiag": RuleSet(54.15, (1, 2, 3, 4, 5, 6, 7, 8)),
    "aiag_short": RuleSet(80.45, (1, 2, 3)),
    "westgard": RuleSet(158.27, (1, 2, 5, 6, 0)),
    "westgard_7t": RuleSet(150.8, (1, 2, 3, 5, 6, 0)),
    "juran": RuleSet(89.0, (1, 2, 3, 5, 6, 8)),
    "montgomery": RuleSet(65.7, (1, 2, 3, 4, 5, 6, 7, 8)),
    "ihi": RuleSet(115.1, (1, 2, 3)),
}
"""Rule sets by name."""

CALLING = frozenset({"rule1", "ewma", "cusum"})
"""Rules that count for a chart alarm that names none: those with a known, long ARL0."""

RULES = (*(f"rule{number}" for number in range(1, 9)), "r4s", "ewma", "cusum", "hampel")
"""Rules a finding of a chart may come from."""


def rules_of(chart: Chart) -> set[str]:
    """Rules that can speak on a chart.

    Examples:
        >>> from twin.model.line import Chart
        >>> sorted(rules_of(Chart(centre=0, sigma=1, rules="shewhart", ewma_lambda=0.2)))
        ['ewma', 'rule1']
    """
    chosen = RULE_SETS.get(chart.rules or "")
    found = {f"rule{number}" if number else "r4s" for number in chosen.rules} if chosen else set()
    for name, setting in (
        ("ewma", chart.ewma_lambda),
        ("cusum", chart.cusum_k),
        ("hampel", chart.hampel_window),
    ):
        if setting is not None:
            found.add(name)
    return found
