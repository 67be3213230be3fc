"""The control chart of a sensor as the board draws it: points, limits in force, memory charts."""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING, Any

from twin.config.rule_sets import rule_sets_of
from twin.detectors.spc.fir import fir_factor
from twin.detectors.spc.rules import Kind
from twin.detectors.spc.short_runs import SHORT_RUN
from twin.engine import judgement, present
from twin.model.line import ChartType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twin.detectors.spc.rules import RuleSet
    from twin.engine.detection import Detection
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Chart

__all__ = ["control_chart", "ewma_line", "in_force"]

_PURE = {ChartType.Q, ChartType.Z, ChartType.P, ChartType.U}
_SETTLED = 1e-4
"""A start value whose weight is less than this cannot be seen in a line."""


def in_force(
    found: dict[str, dict[str, Any]], rule_sets: Mapping[str, RuleSet]
) -> dict[str, float | None]:
    """Centre and limits that may stand beside the values of a sensor themselves.

    Empty when the chart plots something else (block means, residuals, proportions, scores) or has
    no limits.

    Args:
        found: What the detectors say about the sensor, by detector.
        rule_sets: Rule sets of the line by name.
    """
    said = found.get("charts", {})
    if said.get("mode") != "raw" or said.get("centre") is None:
        return {}
    return _limits(said, rule_sets)


def _limits(said: dict[str, Any], rule_sets: Mapping[str, RuleSet]) -> dict[str, float | None]:
    """Centre, and how far one point alone may go; a line nobody watches would mislead."""
    chosen = _rule_set(said, rule_sets)
    single = [
        rule.sigma
        for rule in (chosen.rules if chosen is not None else ())
        if rule.points == 1 and rule.sigma > 0 and rule.kind in {Kind.BEYOND, Kind.EITHER}
    ]
    centre = float(said["centre"])
    if not single:
        return {"centre": centre, "lcl": None, "ucl": None}
    away = min(single) * float(said["sigma"])
    return {"centre": centre, "lcl": centre - away, "ucl": centre + away}


def _rule_set(said: dict[str, Any], rule_sets: Mapping[str, RuleSet]) -> RuleSet | None:
    name = (said.get("ruleset") or "").partition("@")[0]
    return SHORT_RUN if name == SHORT_RUN.name else rule_sets.get(name)


def control_chart(
    detection: Detection, row: SensorRow, index: LineIndex, points: int
) -> dict[str, Any]:
    """What the detectors know about the chart of a sensor, in the keys of ``Chart``.

    ``t`` is missing when nothing is plotted.
    """
    found = judgement.states(detection, row.index)
    answer: dict[str, Any] = {"judged": judgement.overall(found)}
    name = judgement.chart_of(found)
    answer["others"] = judgement.others(found, name)
    answer["scatter"] = _scatter(detection, row, points)
    chart = row.spec.chart
    if not name or chart is None:
        return answer
    said = found[name]
    answer["verdict"] = judgement.judgement(name, said)
    judge = next(judge for judge in detection.judges if judge.name == name)
    drawn = _columns(judge.plotted(row.index, points) or {})
    answer |= _facts(said, chart, row)
    rule_sets = rule_sets_of(index.line)
    if said.get("centre") is not None:
        answer["sigma"] = said["sigma"]
        counts = {key: said[key] for key in ("centre", "lcl", "ucl")}
        answer |= counts if name == "attributes" else _limits(said, rule_sets)
    if not drawn.get("t"):
        return answer
    if name == "charts":
        _since(answer, said, len(drawn["t"]), several=len(index.baselines.get(row.id, [])) > 1)
    elif name == "short_runs":
        drawn = {key: drawn[key] for key in ("t", "v", "rules")}
    answer |= drawn
    fired = {rule for rules in drawn["rules"] for rule in rules}
    answer["texts"] = _texts(_rule_set(said, rule_sets), fired)
    answer["ewma"] = _ewma(said, chart, drawn["v"])
    return answer


def _columns(drawn: dict[str, Any]) -> dict[str, Any]:
    """Plotted columns as JSON can hold them."""
    return {
        key: present.numbers(value)
        if isinstance(value, list) and key not in {"t", "rules"}
        else value
        for key, value in drawn.items()
    }


def _since(answer: dict[str, Any], said: dict[str, Any], n: int, *, several: bool) -> None:
    """Limits that change with the recipe hold from the last change on; before, nobody knows."""
    unknown = n - int(said["points_since_clear"])
    if not several or unknown <= 0 or answer.get("centre") is None:
        return
    for key in ("centre", "lcl", "ucl"):
        if answer.get(key) is not None:
            answer[key] = [None] * min(n, unknown) + [answer[key]] * (n - min(n, unknown))


def _facts(said: dict[str, Any], chart: Chart, row: SensorRow) -> dict[str, Any]:
    """Where the numbers come from, and how much has been judged."""
    kind = ChartType.Q if said.get("mode") == "self-starting" else chart.type
    facts: dict[str, Any] = {
        "type": str(kind),
        "mode": said.get("mode") or str(chart.series),
        "every": chart.block_s or chart.size or chart.every,
        "deviation_from": f"{row.station.id}/{chart.set_point}" if chart.set_point else "",
        "recipe": said.get("recipe") or "",
        "baseline": said.get("baseline") or "",
        "ruleset": said.get("ruleset") or "",
        "arl0": said.get("arl0"),
        "points": said["points"],
        "late": said["late"],
        "cannot_judge": said["cannot_judge"],
        "plotted_unit": "1" if kind in _PURE else row.spec.unit,
        "cusum": said.get("cusum"),
        "level": said.get("level"),
    }
    ewma = said.get("ewma")
    if ewma is not None:
        facts["ewma_now"] = {key: ewma[key] for key in ("value", "lcl", "ucl")}
    return facts


def _scatter(detection: Detection, row: SensorRow, points: int) -> dict[str, Any] | None:
    spread: Any = next((judge for judge in detection.judges if judge.name == "spread"), None)
    if spread is None:
        return None
    said = spread.state(row.index)
    drawn = spread.plotted(row.index, points)
    if said is None or drawn is None:
        return None
    return _columns(drawn) | {
        "kind": said["spread"],
        "unit": row.spec.unit,
        "judged": judgement.judgement("spread", said),
        "value": said["value"],
    }


def _texts(chosen: RuleSet | None, fired: set[str]) -> dict[str, str]:
    """The rules that fired in words, where the rule set has some."""
    rules = chosen.rules if chosen is not None else ()
    return {rule.id: rule.meaning("both").strip() for rule in rules if rule.id in fired}


def _ewma(said: dict[str, Any], chart: Chart, v: Sequence[float | None]) -> dict[str, Any] | None:
    """The EWMA of the plotted points with its limits, where it is known exactly."""
    now, weight = said.get("ewma"), chart.ewma_lambda
    if now is None or weight is None or said.get("centre") is None or None in v:
        return None
    since, centre = int(said["points_since_clear"]), float(said["centre"])
    values = [float(x) for x in v if x is not None]
    line = ewma_line(values, weight, centre, float(now["value"]), since)
    width = chart.ewma_l * float(said["sigma"]) * sqrt(weight / (2.0 - weight))
    lcl: list[float | None] = []
    ucl: list[float | None] = []
    for back in range(len(values) - 1, -1, -1):
        t = since - back
        away = width
        if t > 0 and chart.ewma_limits != "fixed":
            away *= sqrt(1.0 - (1.0 - weight) ** (2 * t))
        if t > 0 and chart.ewma_limits == "fir":
            away *= fir_factor(t)
        lcl.append(centre - away if t > 0 else None)
        ucl.append(centre + away if t > 0 else None)
    return {"weight": weight, "width": chart.ewma_l, "v": line, "lcl": lcl, "ucl": ucl}


def ewma_line(
    values: Sequence[float], weight: float, start: float, end: float, since: int
) -> list[float | None]:
    """The EWMA at each of the last points, from its start or from its present value.

    Args:
        values: The last plotted points, oldest first.
        weight: Weight of the newest point, 0 < weight <= 1.
        start: Value before the first point of the run.
        end: Value at the last point.
        since: Points of the run so far; more than there are values when the run began earlier.

    Returns:
        One value per point; None for points before the run, and for points so long ago that
        neither the start (unknown then) has faded nor the present value says what it was.
    """
    n = len(values)
    first = max(0, n - since)
    line: list[float | None] = [None] * first
    ewma = start
    for value in values[first:]:
        ewma += weight * (value - ewma)
        line.append(ewma)
    if since <= n:
        return line
    # The run began before the first value: the start was something else, and fades.
    missed = end - ewma
    keep = 1.0 - weight
    if keep == 0.0:
        return line
    reach = log(_SETTLED) / log(keep)
    for i in range(n):
        back = n - 1 - i
        if back <= reach:
            line[i] = (line[i] or 0.0) + missed * keep**-back
        elif i + 1 < reach:
            line[i] = None
    return line
