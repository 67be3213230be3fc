"""Plans that are right in every key and still must not run: too many false findings.

Replay and rehearsal do not ask here. ``detection.accept`` with a reason lets such a plan run; the
reason stands in the line description, so it is on the record with every version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.config.budget import allowed_per_shift, correlation, entries
from twin.config.positions import Positions, dotted
from twin.config.problems import found
from twin.config.read import load
from twin.config.rule_sets import rule_sets_of
from twin.detectors.spc.runlength import (
    arl_rules,
    block_length,
    design_cusum,
    design_ewma,
    design_shewhart,
)
from twin.errors import ConfigError, Problem
from twin.model.line import Series

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path as FilePath

    from twin.config.budget import Entry
    from twin.config.positions import Path
    from twin.model.index import LineIndex
    from twin.model.line import Chart

__all__ = ["load_to_run", "refusals"]

_HALF = 0.5
"""A rule set that runs less than this share of its nominal ARL0 is not the one that was meant."""
_NAMED = 3
_MARGIN = 0.95
"""Share of the budget that what is proposed may use; limits are proposed with four digits."""
_BEARABLE = 20.0
"""More kinds are asked to run longer before a few have to run so many times as long."""
_RATES = {"anomaly", "change", "noise", "dpat", "t2", "spe"}
"""Statistics that have a false-alarm rate for a setting."""
_START = 1.03
"""Limits that are narrow after a start cost at most so much of the ARL0 of fixed ones."""
_LONGEST_ARL0 = 1e8
"""Nobody designs a chart for longer runs."""


def load_to_run(path: FilePath) -> LineIndex:
    """Read a line description that is going to run.

    Raises:
        ConfigError: Something is wrong with it, or it expects more false findings than the people
            at the line accept.
    """
    index = load(path)
    wrong = refusals(index)
    if wrong:
        raise ConfigError(wrong)
    return index


def refusals(index: LineIndex) -> list[Problem]:
    """Why a valid line must not run as it is; empty when it may, or when that was accepted."""
    if index.line.detection.accept:
        return []
    places = _Places(index)
    return [*_correlated(index, places), *_over_budget(index, places)]


class _Places:
    """Where things stand in the file."""

    def __init__(self, index: LineIndex) -> None:
        texts = [name for name in index.files if name.endswith(".toml")]
        self._file = texts[0] if texts else "line.toml"
        self._positions = Positions(index.files.get(self._file, ""))
        self._charts: dict[int, Path] = {
            id(sensor.chart): ("station", i, "sensor", j, "chart")
            for i, station in enumerate(index.line.station)
            for j, sensor in enumerate(station.sensor)
            if sensor.chart is not None
        }

    def chart(self, chart: Chart) -> Path:
        """Path of a chart; rows with ``each`` share one."""
        return self._charts.get(id(chart), ("station",))

    def problem(self, path: Path, value: object, message: str, allowed: str) -> Problem:
        line = self._positions.line(path)
        return Problem(self._file, line, dotted(path), found(value), message, allowed)


def _correlated(index: LineIndex, places: _Places) -> Iterator[Problem]:
    """Raw charts of samples that are too much like their neighbours for the rules on them."""
    sets = rule_sets_of(index.line)
    said: set[Path] = set()
    for row in index.sensors:
        chart = row.spec.chart
        rules = sets.get(chart.rules or "") if chart is not None else None
        if chart is None or rules is None:
            continue
        phi, scale = correlation(row, index)
        path = (*places.chart(chart), "rules")
        if not phi or path in said:
            continue
        nominal, real = arl_rules(rules).arl, arl_rules(rules, phi=phi, scale=scale).arl
        if real >= _HALF * nominal:
            continue
        said.add(path)
        m = block_length(phi)
        seconds = f", block_s = {m * row.spec.period_s:g}" if row.spec.period_s else ""
        yield places.problem(
            path,
            rules.name,
            f"{row.id}: neighbouring samples have the correlation {phi:.3g}, so the rules speak "
            f"every {real:.3g} points in control instead of every {nominal:.4g}",
            f'series = "block" with at least {m} samples (3 (1 + phi) / (1 - phi)){seconds}; '
            f'or series = "residual"; or detection.accept = "reason"',
        )


def _over_budget(index: LineIndex, places: _Places) -> Iterator[Problem]:
    detection = index.line.detection
    part = detection.shift_h / 24
    spent: dict[tuple[str, float], list[Entry]] = {}  # equal statistics are cured alike
    for entry in entries(index):
        if entry.false_per_day is not None and entry.points_per_day is not None:
            spent.setdefault((entry.statistic, entry.points_per_day), []).append(entry)
    total = part * sum(_sum(found_) for found_ in spent.values())
    allowed = allowed_per_shift(index)
    if total <= allowed:
        return
    most = sorted(spent.items(), key=lambda item: -_sum(item[1]))
    count, longer = _needed([part * _sum(found_) for _, found_ in most], total, allowed)
    names = "; ".join(
        f"{len(found_)} x {statistic} at {rate:.4g} points per day: "
        f"{part * _sum(found_):.3g} ({_whose(found_)})"
        for (statistic, rate), found_ in most[:_NAMED]
    )
    cures = "; ".join(
        dict.fromkeys(_cure(found_[0], longer) for _, found_ in most[: min(count, _NAMED)])
    )
    yield places.problem(
        ("detection", "budget_per_shift"),
        detection.budget_per_shift,
        f"{total:.3g} false findings per shift of {detection.shift_h:g} h are expected on a line "
        f"in control; most come from {names}",
        f"{allowed:g} per shift ({detection.operators} operator(s)); an ARL0 {longer:.3g} times as "
        f"long for the {count} kind(s) that spend most would do: {cures}; or fewer charts; "
        f'or detection.accept = "reason"',
    )


def _needed(spent: list[float], total: float, allowed: float) -> tuple[int, float]:
    """How many kinds have to run longer, and how many times as long, so that everything fits.

    Args:
        spent: False findings per shift of each kind of statistic, the largest first.
        total: Of all.
        allowed: What may be spent.
    """
    room = _MARGIN * allowed
    rest = total
    for count, part in enumerate(spent, 1):
        rest -= part
        if rest < room and (total - rest) / (room - rest) <= _BEARABLE:
            return count, (total - rest) / (room - rest)
    return len(spent), total / room


def _sum(found_: list[Entry]) -> float:
    return sum(entry.false_per_day or 0.0 for entry in found_)


def _whose(found_: list[Entry]) -> str:
    more = f" and {len(found_) - 1} more" if len(found_) > 1 else ""
    return f"{found_[0].sensor}{more}"


def _cure(entry: Entry, times: float) -> str:
    """Limits or points that make a statistic run so many times as long."""
    arl0 = times * (entry.arl0.arl if entry.arl0 is not None else 1.0)
    chart = entry.row.spec.chart if entry.row is not None else None
    longer = _longer(entry, times)
    if chart is None or entry.statistic in _RATES:
        return f"{entry.statistic}: a {times:.3g} times smaller false-alarm rate"
    if arl0 > _LONGEST_ARL0:
        return f"{entry.statistic}: {longer}"
    if entry.statistic.startswith("ewma") and chart.ewma_lambda is not None:
        limit = design_ewma(chart.ewma_lambda, _START * arl0)
        return f"{entry.statistic}: ewma_l = {limit:.4g} or {longer}"
    if entry.statistic.startswith("cusum") and chart.cusum_k is not None:
        h = design_cusum(chart.cusum_k, arl0, fir=chart.cusum_start == "head-start")
        return f"{entry.statistic}: cusum_h = {h:.4g} or {longer}"
    if entry.statistic.startswith("hampel"):
        return f"{entry.statistic}: a larger hampel_t or a longer window"
    if entry.statistic != chart.rules:
        return f"{entry.statistic}: {longer}"
    return (
        f'{entry.statistic}: rules = "none" with ewma_lambda = 0.1, '
        f"ewma_l = {design_ewma(0.1, _START * arl0):.4g} or cusum_k = 0.5, "
        f"cusum_h = {design_cusum(0.5, arl0):.4g}, a rule set of one point beyond "
        f"{design_shewhart(arl0):.3g} sigma, or {longer}"
    )


def _longer(entry: Entry, times: float) -> str:
    """Fewer points: how long a block or subgroup would have to be."""
    if entry.points_per_day is None:
        return "fewer points"
    seconds = times * 86_400.0 / entry.points_per_day
    row = entry.row
    if row is not None and row.spec.chart is not None and row.spec.chart.series is Series.PIECE:
        return f"one point per {_time(seconds)}"
    return f"one point per {_time(seconds)} (block_s)"


def _time(seconds: float) -> str:
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
