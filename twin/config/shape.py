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
from twin.model.line import Line

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from twin.config.positions import Path

__all__ = ["said", "shape"]

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

_LEFT_OUT = "left-out"
_STAND_INS: dict[str, Any] = {
    **dict.fromkeys(("id", "key", "station", "user", "host", "product", "topic"), _LEFT_OUT),
    "sensor": "*",
    "when": "stale",
    "needs": [],
    "values": {},
    "kind": "t2",
    "sensors": [_LEFT_OUT, _LEFT_OUT],
    "rule": [{"id": _LEFT_OUT}],
}
"""Required keys that are missing or wrong, to something valid that is never shown."""


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
    """Where an error of pydantic belongs: a key of a table, or an entry of what it holds."""

    model: type[BaseModel]
    table: Path
    key: str
    entry: tuple[str | int, ...] = ()


def _note(errors: list[ErrorDetails], data: dict[str, Any], problems: Problems) -> None:
    """Report the errors and take the keys they are about out of the data."""
    extra = [details for details in errors if details["type"] == "extra_forbidden"]
    for details in extra:
        _mend(details, data, problems)
    if extra:
        return  # what a misspelt key means is looked at once it has its right name
    by_path: dict[Path, list[ErrorDetails]] = {}
    for details in errors:
        by_path.setdefault(_existing(details["loc"], data), []).append(details)
    spots = {}
    for path, group in by_path.items():
        for details in group:
            spot = _spot(details["loc"])
            spots[spot.table, spot.key, spot.entry] = spot
        _report(path, group, problems)
    for spot in spots.values():
        _doubt(spot, data, problems)
    for spot in spots.values():
        _leave_out(spot, data)


def _mend(details: ErrorDetails, data: dict[str, Any], problems: Problems) -> None:
    """Report an unknown key, and read it as the key it was probably meant to be.

    Otherwise one misspelt key would be reported twice: as unknown, and as missing.
    """
    *parts, key = details["loc"]
    path: Path = (*parts, key)
    table: Any = data
    for part in parts:
        table = table[part]
    names = list(_spot(details["loc"]).model.model_fields)
    near = get_close_matches(str(key), names, n=1)
    hint = f"{near[0]} (did you mean that?)" if near else ", ".join(names)
    problems.add(path, "unknown key", details["input"], hint)
    value = table.pop(key)
    if near and near[0] not in table:
        table[near[0]] = value
        problems.meant[*parts, near[0]] = path


def _report(path: Path, group: list[ErrorDetails], problems: Problems) -> None:
    """One problem per place: the branches of a union are alternatives of one answer."""
    details = group[0]
    if details["type"] == "missing" and isinstance(details["loc"][-1], str):
        problems.add((*path, details["loc"][-1]), "is missing")
    else:
        told = [said(one) for one in group]
        message = told[0][0] if len({one[0] for one in told}) == 1 else "has a wrong value"
        allowed = " or ".join(dict.fromkeys(one[1] for one in told if one[1]))
        if "each" in path:
            message, allowed = "has a wrong value", 'a range like "0..999" or a list of texts'
        problems.add(path, message, details["input"], allowed)


def said(details: ErrorDetails) -> tuple[str, str]:
    """What an error of pydantic means in our words, and what is allowed."""
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
            return _Spot(model, table, key, tuple(rest[:1]) if inner is None else ())
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


def _doubt(spot: _Spot, data: dict[str, Any], problems: Problems) -> None:
    """Note which names are not what the person meant, now that this spot is wrong."""
    doubts = problems.doubts
    match (*spot.table, spot.key):
        case ("zone",):
            doubts.add("zone", "*")
        case ("zone", int(i), "id"):
            doubts.add("zone", _name(data["zone"][i], "id"))
        case ("station",):
            doubts.add("sensor", "*")
        case ("station", int(i), "id" | "sensor"):
            doubts.add("sensor", f"{_name(data['station'][i], 'id')}/*")
        case ("station", int(i), "sensor", int(j), "key" | "each"):
            doubts.add("sensor", _sensor_name(data["station"][i], j))
        case ("station", int(i), "sensor", int(j), "chart", *_):
            doubts.add("chart", _sensor_name(data["station"][i], j))
        case ("station", int(i), "sensor", int(j), "limits" | "control", *_):
            doubts.add("limits", _sensor_name(data["station"][i], j))
        case ("mapping", int(i), "topic"):
            problems.ignore.add(("mapping", i, "values"))
        case ("mapping", int(i), "values"):
            problems.ignore.add(("mapping", i, "units", *spot.entry))


def _sensor_name(station: dict[str, Any], sensor: int) -> str:
    return f"{_name(station, 'id')}/{_name(station['sensor'][sensor], 'key')}"


def _name(row: dict[str, Any], key: str) -> str:
    """The name of a row as far as it can be read."""
    value = row.get(key)
    return value if isinstance(value, str) else "*"


def _leave_out(spot: _Spot, data: dict[str, Any]) -> None:
    table: Any = data
    for part in spot.table:
        table = table[part]
    value = table.get(spot.key)
    field = spot.model.model_fields.get(spot.key)
    if spot.entry and isinstance(value, dict):
        value.pop(spot.entry[0], None)
    elif spot.entry and isinstance(value, list) and _is_list_of_texts(field):
        value[int(spot.entry[0])] = ""  # the others keep their places
    elif field is not None and field.is_required():
        table[spot.key] = _stand_in(spot)
    else:
        table.pop(spot.key, None)


def _is_list_of_texts(field: FieldInfo | None) -> bool:
    return field is not None and field.annotation == list[str]


def _stand_in(spot: _Spot) -> Any:
    """Something valid; names differ from row to row, so that no two seem to be the same."""
    value = _STAND_INS[spot.key]
    if value != _LEFT_OUT:
        return value
    return "-".join([_LEFT_OUT, *(str(part) for part in spot.table if isinstance(part, int))])


def _syntax(message: str, text: str, file: str) -> Problem:
    match = _WHERE.search(message)
    line = text.count("\n") + 1 if match is None or match[1] is None else int(match[1])
    column = f"column {match[2]}" if match and match[2] else "end of file"
    rows = text.splitlines()
    shown = rows[line - 1].strip()[:60] if line <= len(rows) else ""
    return Problem(file, line, column, shown, f"not TOML: {_WHERE.sub('', message)}")
