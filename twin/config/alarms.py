"""Checks of alarms: each can come, knows its limit, and says what to do when it matters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twin.config.problems import some
from twin.config.rule_sets import CALLING, RULES, rules_of
from twin.model.line import Priority

if TYPE_CHECKING:
    from twin.config.build import Built
    from twin.config.positions import Path
    from twin.config.problems import Problems
    from twin.model.line import Alarm, Sensor

__all__ = ["check_alarm", "matcher"]


def matcher(pattern: str) -> re.Pattern[str]:
    """Expression for ids that an alarm's ``sensor`` means; ``*`` is any run of characters.

    Examples:
        >>> bool(matcher("calender/*").fullmatch("calender/line_load"))
        True
    """
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))


def check_alarm(alarm: Alarm, built: Built, path: Path, problems: Problems) -> None:
    """Note what is wrong with an alarm."""
    if alarm.priority in (Priority.P1, Priority.P2):
        for name in ("cause", "consequence", "action"):
            if not getattr(alarm, name).strip():
                problems.add((*path, name), f"is missing, and a {alarm.priority} alarm needs one")
    if alarm.limit is None and alarm.when in ("above", "below", "outside"):
        problems.add(
            (*path, "limit"), f'is missing, and when = "{alarm.when}" needs one', allowed="a number"
        )
    if alarm.rules and alarm.when != "chart":
        problems.add((*path, "rules"), 'counts only with when = "chart"', alarm.rules)
    for i, rule in enumerate(alarm.rules):
        if rule not in RULES:
            problems.add((*path, "rules", i), "unknown rule", rule, ", ".join(RULES))
            return
    expression = matcher(alarm.sensor)
    specs = [row.spec for name, row in built.by_id.items() if expression.fullmatch(name)]
    where: Path = (*path, "sensor")
    if not specs:
        problems.unknown("sensor", where, "no such sensor", alarm.sensor, some(built.by_id))
    elif alarm.when == "chart" and not any(_speaks(alarm, spec) for spec in specs):
        wanted = ", ".join(alarm.rules or sorted(CALLING))
        problems.unknown(
            "limits",
            where,
            "has no chart that calls anybody",
            alarm.sensor,
            f"a chart with {wanted}",
        )
    elif alarm.when == "outside" and not all(_has_target(spec) for spec in specs):
        allowed = "sensors with a target in their limits"
        problems.unknown("limits", where, "has no target", alarm.sensor, allowed)


def _speaks(alarm: Alarm, spec: Sensor) -> bool:
    return spec.chart is not None and bool(rules_of(spec.chart) & set(alarm.rules or CALLING))


def _has_target(spec: Sensor) -> bool:
    return spec.limits is not None and spec.limits.target is not None
