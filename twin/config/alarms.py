"""Checks of alarms: each can come, knows its limit, and says what to do when it matters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.config.names import matcher
from twin.config.problems import some
from twin.config.rule_sets import CALLING, known_rules, rule_sets_of, rules_of
from twin.model.line import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twin.config.build import Built
    from twin.config.positions import Path
    from twin.config.problems import Problems
    from twin.config.rule_sets import RuleSet
    from twin.model.index import SensorRow
    from twin.model.line import Alarm, Line, Sensor

__all__ = ["check_alarm"]


def check_alarm(alarm: Alarm, line: Line, built: Built, path: Path, problems: Problems) -> None:
    """Note what is wrong with an alarm."""
    groups = [group.id for group in line.group]
    rules = known_rules(line)
    if alarm.priority in (Priority.P1, Priority.P2):
        for name in ("cause", "consequence", "action"):
            if not getattr(alarm, name).strip():
                problems.add((*path, name), f"is missing, and a {alarm.priority} alarm needs one")
    if alarm.limit is None and alarm.when in ("above", "below", "outside"):
        problems.add(
            (*path, "limit"), f'is missing, and when = "{alarm.when}" needs one', allowed="a number"
        )
    if alarm.rules and alarm.when != "chart" and not problems.knows((*path, "when")):
        problems.add((*path, "rules"), 'counts only with when = "chart"', alarm.rules)
    for i, rule in enumerate(alarm.rules):
        if rule not in rules:
            problems.add((*path, "rules", i), "unknown rule", rule, ", ".join(rules))
    expression = matcher(alarm.sensor)
    rows = [row for name, row in built.by_id.items() if expression.fullmatch(name)]
    where: Path = (*path, "sensor")
    if alarm.when == "chart" and any(expression.fullmatch(f"group/{name}") for name in groups):
        return
    if not rows:
        problems.unknown("sensor", alarm.sensor, where, "no such sensor", some(built.by_id))
    elif alarm.when == "chart":
        _check_chart(alarm, rows, rule_sets_of(line), path, problems)
    elif alarm.when == "outside" and any(_lacks_target(row, problems) for row in rows):
        allowed = "sensors with a target in their limits"
        problems.add(where, "has no target", alarm.sensor, allowed)
    _check_end(alarm, rows, path, problems)


def _check_chart(
    alarm: Alarm,
    rows: list[SensorRow],
    rule_sets: Mapping[str, RuleSet],
    path: Path,
    problems: Problems,
) -> None:
    if problems.knows((*path, "rules")):
        return
    if any(
        _speaks(alarm, row.spec, rule_sets) or problems.doubts.cover("chart", row.id)
        for row in rows
    ):
        return
    wanted = ", ".join(alarm.rules or sorted(CALLING))
    problems.add(
        (*path, "sensor"),
        "has no chart that calls anybody",
        alarm.sensor,
        f"a chart with {wanted}",
    )


def _check_end(alarm: Alarm, rows: list[SensorRow], path: Path, problems: Problems) -> None:
    """An alarm that came must be able to clear."""
    limit, band = alarm.limit, alarm.deadband
    where: Path = (*path, "deadband")
    if limit is None:
        return
    if alarm.when == "outside" and limit <= 0:
        problems.add((*path, "limit"), "is no half width", limit, "a number greater than 0")
    elif alarm.when == "outside" and band >= limit:
        problems.add(
            where,
            "never lets the alarm clear: the value must come back by this much, and between the "
            f"target and the limit there is only {limit:g}",
            band,
            f"less than {limit:g}",
        )
    for row in rows:
        reach = row.spec.range
        if reach is None or not reach[0] < limit < reach[1]:
            continue  # a limit that is not inside is a warning of its own
        room = {"above": limit - reach[0], "below": reach[1] - limit}.get(alarm.when)
        if room is not None and band >= room:
            problems.add(
                where,
                "never lets the alarm clear: the value must come back by this much, and from the "
                f"limit to the end of the range of {row.id} there is only {room:g}",
                band,
                f"less than {room:g}",
            )


def _speaks(alarm: Alarm, spec: Sensor, rule_sets: Mapping[str, RuleSet]) -> bool:
    wanted = set(alarm.rules or CALLING)
    if wanted & spec.detect.keys():
        return True
    return spec.chart is not None and bool(rules_of(spec.chart, rule_sets) & wanted)


def _lacks_target(row: SensorRow, problems: Problems) -> bool:
    limits = row.spec.limits
    known = limits is not None and limits.target is not None
    return not known and not problems.doubts.cover("limits", row.id)
