"""What detectors have to say about the charts, groups and rule sets of a line description."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twin.config.problems import some
from twin.config.rule_sets import rule_sets_of
from twin.detectors.spc import (
    attributes_problems,
    groups_model,
    point_problems,
    rules,
    short_runs_problems,
)
from twin.detectors.spc.short_runs import is_short_run
from twin.model.index import LineIndex
from twin.model.line import ChartType, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twin.config.build import Built
    from twin.config.positions import Path
    from twin.config.problems import Problems
    from twin.model.baseline import Baseline
    from twin.model.line import Line, Sensor, Station

__all__ = ["chart_warnings", "check_charts"]

_PART = re.compile(r"(\w+)|\[(\d+)\]")


def check_charts(
    line: Line, built: Built, baselines: Mapping[str, list[Baseline]], problems: Problems
) -> None:
    """Note every chart, group and rule set that cannot work, with a proposal."""
    for key, text, message, allowed in rules.problems_of(line):
        problems.add(_path(key), message, text, allowed)
    sets = rule_sets_of(line)
    for i, station in enumerate(line.station):
        for j, sensor in enumerate(station.sensor):
            path: Path = ("station", i, "sensor", j)
            if sensor.chart is None:
                continue
            name, row_name = sensor.chart.rules, f"{station.id}/{sensor.key}"
            in_doubt = problems.doubts.cover("chart", row_name)
            if name is not None and name not in sets:
                problems.doubts.add("chart", row_name)
                problems.add((*path, "chart", "rules"), "unknown rule set", name, ", ".join(sets))
            if in_doubt:
                continue
            known = _expected(line, sensor) or any(
                f"{station.id}/{expanded}" in baselines
                for expanded in _keys_of(sensor, path, built)
            )
            for key, message, value, allowed in _fatal(line, station, sensor, known=known):
                problems.add(_at(path, key), message, value, allowed)
    index = LineIndex(line, "", built.sensors, built.by_id)
    for i, group in enumerate(line.group):
        if any(problems.doubts.cover("sensor", name) for name in group.sensors):
            continue
        for trouble in groups_model.problems_of(group, index):
            where: Path = ("group", i, *_path(trouble.key))
            problems.add(where, trouble.message, trouble.value, trouble.allowed)


def chart_warnings(index: LineIndex) -> Iterator[str]:
    """What works and is still not what a careful person would do, as sentences."""
    yield from _waiting(index)
    for station in index.line.station:
        for sensor in station.sensor:
            if sensor.chart is None:
                continue
            known = _expected(index.line, sensor) or f"{station.id}/{sensor.key}" in index.baselines
            found = point_problems.problems_of(sensor, sensor.chart, station, baseline=known)
            for problem in found:
                if not problem.fatal:
                    yield (
                        f"{station.id}/{sensor.key}: {problem.message} "
                        f"({problem.key}); better: {problem.allowed}"
                    )


def _waiting(index: LineIndex) -> Iterator[str]:
    """Charts that have no limits yet, and what happens until they have."""
    waiting: dict[bool, list[str]] = {True: [], False: []}
    for row in index.sensors:
        chart = row.spec.chart
        if chart is None or chart.type is not ChartType.I or index.baselines.get(row.id):
            continue
        if chart.centre is None or chart.sigma is None:
            waiting[is_short_run(row, index)].append(row.id)
    for starts, ids in waiting.items():
        if ids:
            until = "are self-starting" if starts else "judge nothing"
            yield (
                f"{some(ids)}: charts without limits, which {until} until a baseline is fitted and "
                "approved (linetwin baseline fit)"
            )


def _expected(line: Line, sensor: Sensor) -> bool:
    """Whether a baseline, fitted already or not, brings what the chart does not say."""
    chart = sensor.chart
    named = bool(line.line.baselines)
    return named and chart is not None and chart.centre is None and chart.sigma is None


def _fatal(
    line: Line, station: Station, sensor: Sensor, *, known: bool
) -> Iterator[tuple[str, str, object, str]]:
    chart = sensor.chart
    if chart is None:
        return
    if chart.type is ChartType.I and (chart.centre is None) != (chart.sigma is None):
        missing, other = ("centre", "sigma") if chart.centre is None else ("sigma", "centre")
        allowed = f"both, or neither and limits from a baseline; {other} stands alone"
        yield missing, "is missing", None, allowed
    if chart.hampel_window is not None and chart.hampel_window % 2 == 0:
        yield "hampel_window", "is even", chart.hampel_window, "an odd number >= 5"
    if sensor.role is Role.STATE:
        yield "", f"a {sensor.role} is not charted", None, "no chart, or another role"
        return
    for problem in point_problems.problems_of(sensor, chart, station, baseline=known):
        if problem.fatal:
            yield problem.key, problem.message, problem.value, problem.allowed
    yield from attributes_problems.problems_of(chart, sensor, station)
    recipes = {line.line.recipe, *chart.nominal} - {""} or None
    yield from short_runs_problems.problems_of(chart, sensor, recipes)


def _keys_of(sensor: Sensor, path: Path, built: Built) -> list[str]:
    """Keys a row stands for, ``each`` expanded."""
    if not sensor.each:
        return [sensor.key]
    rows = zip(built.origin, built.sensors, strict=True)
    return [row.spec.key for origin, row in rows if origin == path]


def _at(path: Path, key: str) -> Path:
    """A key within the chart, or one of the sensor where it says so."""
    if key.startswith("sensor."):
        return (*path, *_path(key.removeprefix("sensor.")))
    return (*path, "chart", *_path(key))


def _path(key: str) -> Path:
    """``rule_set[0].rule[1].k`` as a path."""
    return tuple(word or int(number) for word, number in _PART.findall(key))
