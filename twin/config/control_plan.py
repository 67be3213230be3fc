"""The control plan: a CSV file with one row per characteristic, and the limits a row stands for."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass, field
from difflib import get_close_matches

from twin.config.problems import found
from twin.errors import Problem
from twin.model.line import Limits
from twin.units import check_unit, conversion

__all__ = ["ControlPlan", "limits", "read"]

_REQUIRED = ("id", "station", "metric", "unit", "target", "limit_mode", "lsl", "usl")
_OPTIONAL = (
    *("characteristic", "class", "method", "sampling", "warn", "chart", "series", "subgroup"),
    *("reaction", "status", "basis"),
)
_MODES = ("absolute", "percent", "offset", "robust_z", "recipe")
_CHOICES = {
    "limit_mode": _MODES,
    "class": ("CC", "SC", "SAFETY"),
    "series": (
        *("raw", "residual", "compaction_residual", "ln_ppmv", "log10"),
        "temperature_corrected",
    ),
    "status": ("paper", "derived", "proposed", "approved"),
}
_NUMBER = r"\d+(?:\.\d+)?"
_CHART = re.compile(
    r"i-mr|xbar-r|xbar-s|t2|u|c|robust-z|profile|run-rules|rate|limit"
    rf"|ewma\({_NUMBER}\)|cusum\({_NUMBER};{_NUMBER}\)"
)


@dataclass(slots=True)
class ControlPlan:
    """Rows of a control plan.

    Attributes:
        rows: Row id to its columns as strings, in the order of the file.
        problems: Everything wrong with the file.
        doubts: Rows with problems by id; ``*`` when nobody knows which rows there would be.
    """

    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    doubts: set[str] = field(default_factory=set)


def read(text: str, file: str) -> ControlPlan:
    """Read and check a control plan.

    Rows with problems are kept, so that a sensor that names one is not reported as well.
    """
    plan = ControlPlan()
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        plan.problems += _header_problems(header, file)
        if plan.problems:
            plan.doubts.add("*")
            return plan
        first = reader.line_num + 1  # a quoted cell may hold line ends: a row begins here
        for cells in reader:
            if any(cell.strip() for cell in cells):
                _take(plan, header, [cell.strip() for cell in cells], file, first)
            first = reader.line_num + 1
    except csv.Error as error:
        plan.doubts.add("*")
        plan.problems.append(Problem(file, reader.line_num, "row", "", f"not CSV: {error}"))
    return plan


def _header_problems(header: list[str], file: str) -> list[Problem]:
    problems = [
        Problem(file, 1, name, "", "column is missing", ", ".join((*_REQUIRED, *_OPTIONAL)))
        for name in _REQUIRED
        if name not in header
    ]
    for number, name in enumerate(header):
        if name in header[:number]:
            problems.append(Problem(file, 1, name, "", "column stands twice"))
        elif name not in _REQUIRED and name not in _OPTIONAL:
            near = get_close_matches(name, (*_REQUIRED, *_OPTIONAL), n=1)
            hint = (
                f"{near[0]} (did you mean that?)" if near else ", ".join((*_REQUIRED, *_OPTIONAL))
            )
            problems.append(Problem(file, 1, name, found(name), "unknown column", hint))
    return problems


def _take(plan: ControlPlan, header: list[str], cells: list[str], file: str, line: int) -> None:
    def wrong(column: str, message: str, allowed: str = "") -> None:
        name = f"{cells[0]}.{column}" if cells and cells[0] else column
        value = row.get(column, "")
        plan.problems.append(Problem(file, line, name, found(value or None), message, allowed))
        plan.doubts.add(row.get("id") or "*")

    row = dict(zip(header, cells, strict=False))
    if len(cells) != len(header):
        wrong("row", f"has {len(cells)} cells", f"{len(header)}, as the header")
        return
    if not row["id"]:
        wrong("id", "is missing")
        return
    if row["id"] in plan.rows:
        wrong("id", "stands twice")
        return  # the first one counts
    plan.rows[row["id"]] = row
    try:
        check_unit(row["unit"])
    except ValueError as error:
        wrong("unit", str(error))
    for column, allowed in _CHOICES.items():
        if column in row and row[column] not in allowed:
            wrong(column, "unknown value", ", ".join(allowed))
    for token in filter(None, row.get("chart", "").split("+")):
        if not _CHART.fullmatch(token):
            wrong("chart", f'unknown chart "{token}"', _CHART.pattern.replace("|", ", "))
    if row["target"] not in ("", "recipe") and _number(row["target"]) is None:
        wrong("target", "is no number", 'a number, "recipe" or nothing')
    for column in ("lsl", "usl", "warn"):
        if row.get(column) and _number(row[column]) is None:
            wrong(column, "is no number", "a number or nothing")
    lower, upper = _number(row["lsl"]), _number(row["usl"])
    if lower is not None and upper is not None and lower > upper:
        wrong("lsl", f"is above usl ({row['usl']})")
    if row["limit_mode"] == "percent" and row["target"] == "":
        wrong("target", "is missing, and the limits are percent of it", 'a number or "recipe"')


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def limits(row: dict[str, str], unit: str) -> Limits | None:
    """Specification limits of a control plan row in the unit of a sensor.

    Percent limits are taken of the size of the target. A target or limits that come from the
    recipe stay open, and so do limits in robust standard deviations of a cohort.

    Args:
        row: Columns of the row as strings.
        unit: UCUM code of the sensor; the row's unit must convert to it.

    Returns:
        The limits, or None when the row says nothing that holds for every recipe.

    Raises:
        ValueError: The unit of the row does not convert to the sensor's.
    """
    factor, offset = conversion(row["unit"], unit)
    target = _number(row["target"])
    bounds = {name: _number(row.get(name, "")) for name in ("lsl", "usl", "warn")}
    mode = row["limit_mode"]
    if mode in ("percent", "offset"):
        if target is None:
            return None
        step = abs(target) / 100 if mode == "percent" else 1.0
        bounds = {k: None if v is None else target + v * step for k, v in bounds.items()}
    elif mode != "absolute":
        bounds = dict.fromkeys(bounds)
    values = {
        name: None if value is None else value * factor + offset
        for name, value in {"target": target, **bounds}.items()
    }
    return Limits(**values) if any(value is not None for value in values.values()) else None
