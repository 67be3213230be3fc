"""Names a chart and an alarm may use: rule sets, and the rules their findings come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.alarms import CALLING
from twin.detectors.spc.rules import PRESETS, RuleSet, rule_sets_of
from twin.model.line import Spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twin.model.line import Chart, Line

__all__ = [
    "CALLING",
    "RULES",
    "RULE_SETS",
    "RuleSet",
    "known_rules",
    "rule_sets_of",
    "rules_of",
]

RULE_SETS: dict[str, RuleSet] = PRESETS
"""Rule sets that come with linetwin, by name."""

RULES = (
    *(f"rule{number}" for number in range(1, 9)),
    *("r4s", "ewma", "cusum", "hampel"),
    *("mr", "r", "s", "t2", "spe", "mewma", "anomaly", "change", "noise", "dpat"),
)
"""Rules a finding may come from; rule sets of the line's own may have others."""


def known_rules(line: Line) -> list[str]:
    """Rules an alarm of this line may name: those that come with linetwin and its own."""
    own = [rule.id for row in line.rule_set for rule in row.rule]
    return list(dict.fromkeys((*RULES, *own)))


def rules_of(chart: Chart, rule_sets: Mapping[str, RuleSet] = PRESETS) -> set[str]:
    """Rules that can speak on a chart.

    Args:
        chart: The chart.
        rule_sets: Rule sets by name, those of the line's own included.

    Examples:
        >>> from twin.model.line import Chart
        >>> sorted(rules_of(Chart(centre=0, sigma=1, rules="shewhart", ewma_lambda=0.2)))
        ['ewma', 'rule1']
    """
    chosen = rule_sets.get(chart.rules or "")
    found = {rule.id for rule in chosen.rules} if chosen else set()
    for name, setting in (
        ("ewma", chart.ewma_lambda),
        ("cusum", chart.cusum_k),
        ("hampel", chart.hampel_window),
        (chart.spread.value, None if chart.spread is Spread.NONE else chart.spread),
    ):
        if setting is not None:
            found.add(name)
    return found
