"""From TOML text to the model: what is wrong with a file taken by itself, key by key."""

from __future__ import annotations

import json
import re
import tomllib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ValidationError

from twin.config.positions import Positions
from twin.config.problems import Problems
from twin.errors import ConfigError, Problem
from twin.model.line import Chart, Limits, Line, Mapping, Zone

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from twin.config.positions import Path

__all__ = ["shape"]

_WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_ID = "lower case letters, digits, _ and -, 1 to 64 of them"
_KINDS = {
    "missing": ("is missing", ""),
    "string_pattern_mismatch": ("is no id", _ID),
    "string_type": ("is no text", 'text in quotes, "..."'),
    "float_type": ("is no number", "a number without quotes"),
    "int_type": ("is no whole number", "a whole number without quotes"),
    "int_from_float": ("is no whole number", "a whole number"),
    "bool_type": ("is neither true nor false", "true, false"),
    "finite_number": ("is no number", "a finite number"),
    "list_type": ("is no list", "a list, [...]"),
    "tuple_type": ("is no list", "a list, [...]"),
    "model_type": ("is no table", "a table"),
    "dict_type": ("is no table", "a table, {...}"),
}
"""Error type of pydantic to what we say and what is allowed."""

_STAND_INS: dict[str, Any] = {
    **dict.fromkeys(("id", "key", "station", "user", "host", "product"), "left-out"),
    "topic": "left-out",
    "sensor": "*",
    "when": "stale",
    "needs": [],
    "values": {},
    "centre": 0.0,
    "sigma": 1.0,
}
"""Required keys that are missing or wrong, to something valid that is never shown."""

_NAMING = ("id", "key", "each")
"""Keys that others refer to: when one is wrong, a name that leads nowhere proves nothing."""


def shape(text: str, file: str) -> tuple[Line, Problems]:
    """Read the main file as far as it makes sense.

    Keys with problems are left out (required ones get a stand-in) and the rest is read, so that
    one wrong key does not hide what else is wrong.

    Raises:
        ConfigError: The text is not TOML at all.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax(str(error), text, file)]) from error
    problems = Problems(file, Positions(text))
    while True:
        try:
            # Through JSON, because there a strict check still takes text for an enumeration.
            return Line.model_validate_json(json.dumps(data, default=str), strict=True), problems
        except ValidationError as error:
            _note(error.errors(), data, problems)


class _Spot(NamedTuple):
    """Where an error of pydantic belongs: a key of a table."""

    model: type[BaseModel]
    table: Path
    key: str


def _note(errors: list[ErrorDetails], data: dict[str, Any], problems: Problems) -> None:
    """Report the errors and take the keys they are about out of the data."""
    by_path: dict[Path, list[ErrorDetails]] = {}
    for details in errors:
        by_path.setdefault(_existing(details["loc"], data), []).append(details)
    spots = {}
    for path, group in by_path.items():
        for details in group:
            spot = _spot(details["loc"])
            spots[spot.table, spot.key] = (spot, details["type"])
        _report(path, group, problems)
    for spot, kind in spots.values():
        _leave_out(spot, kind, data, problems)


def _report(path: Path, group: list[ErrorDetails], problems: Problems) -> None:
    """One problem per place: the branches of a union are alternatives of one answer."""
    details = group[0]
    if details["type"] == "extra_forbidden":
        names = list(_spot(details["loc"]).model.model_fields)
        near = get_close_matches(str(details["loc"][-1]), names, n=1)
        hint = f"{near[0]} (did you mean that?)" if near else ", ".join(names)
        problems.add(path, "unknown key", details["input"], hint)
    elif details["type"] == "missing" and isinstance(details["loc"][-1], str):
        problems.add((*path, details["loc"][-1]), "is missing")
    else:
        said = [_said(one) for one in group]
        message = said[0][0] if len({one[0] for one in said}) == 1 else "has a wrong value"
        allowed = " or ".join(dict.fromkeys(one[1] for one in said if one[1]))
        if "each" in path:
            message, allowed = "has a wrong value", 'a range like "0..999" or a list of texts'
        problems.add(path, message, details["input"], allowed)


def _said(details: ErrorDetails) -> tuple[str, str]:
    if details["type"] in _KINDS:
        return _KINDS[details["type"]]
    message = details["msg"]
    if message.startswith("Input should be "):
        return "has a wrong value", message.removeprefix("Input should be ")
    return message[:1].lower() + message[1:], ""


def _existing(loc: Path, data: Any) -> Path:
    """The part of a place that stands in the file."""
    path: Path = ()
    for part in loc:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            break
        path = (*path, part)
    return path


def _spot(loc: Path) -> _Spot:
    model: type[BaseModel] = Line
    table: Path = ()
    rest = list(loc)
    while True:
        key = str(rest.pop(0))
        field = model.model_fields.get(key)
        inner, is_list = _inside(field.annotation) if field else (None, False)
        if inner is None or len(rest) <= is_list:
            return _Spot(model, table, key)
        table = (*table, key, rest.pop(0)) if is_list else (*table, key)
        model = inner


def _inside(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model a field holds, and whether it holds a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for argument in get_args(annotation):
        inner, is_list = _inside(argument)
        if inner:
            return inner, is_list or get_origin(annotation) is list
    return None, False


def _leave_out(spot: _Spot, kind: str, data: dict[str, Any], problems: Problems) -> None:
    table: Any = data
    for part in spot.table:
        table = table[part]
    field = spot.model.model_fields.get(spot.key)
    if field is not None and field.is_required():
        table[spot.key] = _STAND_INS[spot.key]
    else:
        table.pop(spot.key, None)
    if kind == "extra_forbidden":
        return
    if spot.model is Mapping:
        problems.ignore.add(spot.table)
    inner = _inside(field and field.annotation)[0]
    if spot.model is Zone or inner is Zone:
        problems.partial.add("zone")
    elif inner in (Chart, Limits):
        problems.partial.add("limits")
    elif inner or spot.key in _NAMING:
        problems.partial.add("sensor")


def _syntax(message: str, text: str, file: str) -> Problem:
    match = _WHERE.search(message)
    line = text.count("\n") + 1 if match is None or match[1] is None else int(match[1])
    column = f"column {match[2]}" if match and match[2] else "end of file"
    rows = text.splitlines()
    shown = rows[line - 1].strip()[:60] if line <= len(rows) else ""
    return Problem(file, line, column, shown, f"not TOML: {_WHERE.sub('', message)}")
