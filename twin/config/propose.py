"""Rows of a line description for a topic nobody described, from what was sent there."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from twin.config.connect import topic_problem
from twin.units import check_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["propose_row"]

_SAMPLE = {"ts", "value", "v", "unit", "u", "q", "seq", "src", "pid", "x"}
_USUAL = {"ts", "timestamp", "time", "seq", "q", "quality"}
"""Keys of a document that are read as time, sequence number and quality without being named."""
_TIME = re.compile(r"(?:.*(?:time|date).*|ts|t|epoch)", re.IGNORECASE)
_QUALITY = re.compile(r"q|quality|status", re.IGNORECASE)
_SPARKPLUG = re.compile(r"[^/:]+(?:/[^/:]+){1,2}:.+")
_MOST_VALUES = 50


def propose_row(topic: str, examples: list[bytes]) -> str:
    """TOML that, pasted below the station it belongs to, gives the topic a meaning.

    What cannot be known (role, range, limits) is left to the person; what was guessed says so.

    Args:
        topic: The topic, or ``group/node/device:metric`` of Sparkplug.
        examples: Some payloads, oldest first; may be cut off or unreadable.

    Returns:
        One ``[[station.sensor]]`` row for a single value; one row per number for a nested
        document, and a ``[[mapping]]`` when its time stands at an unusual place.
    """
    document = _newest_readable(examples)
    if document is None and _SPARKPLUG.fullmatch(topic):
        return _sensor(topic.rpartition(":")[2], {"sparkplug": topic})
    if topic_problem(topic):
        return f"# {_text(topic)} is no topic linetwin can read.\n"
    key = topic.rpartition("/")[2]
    sample = document[0] if isinstance(document, list) and document else document
    if isinstance(sample, dict) and sample.keys() <= _SAMPLE and sample.keys() & {"value", "v"}:
        return _sensor(key, {"topic": topic}, _unit(sample))
    if isinstance(document, dict | list):
        return _nested(topic, document)
    note = "" if isinstance(document, int | float) else "# No number was seen here yet.\n"
    return note + _sensor(key, {"topic": topic})


def _newest_readable(examples: Iterable[bytes]) -> Any:
    for payload in reversed(list(examples)):
        try:
            return json.loads(payload)
        except (ValueError, RecursionError):
            try:
                return float(payload)
            except ValueError:
                continue
    return None


def _nested(topic: str, document: Any) -> str:
    leaves = list(_leaves(document))[:_MOST_VALUES]
    times = [path for path, value in leaves if _is_time(path, value)]
    values = [
        (path, value)
        for path, value in leaves
        if path not in times and path not in _USUAL and isinstance(_number(value), float)
    ]
    if not values:
        return f"# No number was found under {_text(topic)}.\n"
    keys = _keys([path for path, _ in values])
    if not times or times[0] in _USUAL:
        rows = [
            _sensor(key, {"topic": topic, "path": path}, _unit(value))
            for key, (path, value) in zip(keys, values, strict=True)
        ]
        return "\n".join(rows)
    station = _ident(topic.split("/")[-2] if "/" in topic else "station")
    rows = [_sensor(key, {}, _unit(value)) for key, (_, value) in zip(keys, values, strict=True)]
    mapping = [
        f'# The ids below say station "{station}"; change them when yours has another name.',
        "[[mapping]]",
        f"topic = {_text(topic)}",
        f"time = {_text(times[0])}",
    ]
    qualities = [path for path, _ in leaves if _QUALITY.fullmatch(path.rpartition(".")[2])]
    if qualities and qualities[0] not in [path for path, _ in values]:
        mapping.append(f"quality = {_text(qualities[0])}")
    mapping.append("[mapping.values]")
    mapping += [
        f"{_text(f'{station}/{key}')} = {_text(path)}"
        for key, (path, _) in zip(keys, values, strict=True)
    ]
    return "\n".join([*rows, "\n".join(mapping)]) + "\n"


def _leaves(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Places a path can name, with what stands there; an object with a value is one place."""
    if isinstance(document, dict) and not (path and document.keys() & {"value", "v"}):
        for name, inner in document.items():
            # A path cannot name a key that holds its own signs.
            if name.isprintable() and name and not set(name) & set(".[]"):
                yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(document, list):
        for position, inner in enumerate(document):
            yield from _leaves(inner, f"{path}[{position}]")
    else:
        yield path, document


def _number(value: Any) -> float | None:
    if isinstance(value, dict):
        value = value.get("value", value.get("v"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _is_time(path: str, value: Any) -> bool:
    if not _TIME.fullmatch(path.rpartition(".")[2]):
        return False
    if isinstance(value, str):
        return re.match(r"\d{4}-\d\d-\d\d", value) is not None
    number = _number(value)
    return number is not None and number > 1e8  # seconds: 1973


def _unit(value: Any) -> str:
    unit = value.get("unit", value.get("u")) if isinstance(value, dict) else None
    return unit if isinstance(unit, str) else ""


def _keys(paths: list[str]) -> list[str]:
    """Short unique ids: the last name of each path, or all of it, or a number behind it."""
    last = [_ident(path.rpartition(".")[2]) for path in paths]
    chosen: list[str] = []
    for path, short in zip(paths, last, strict=True):
        key = short if last.count(short) == 1 else _ident(path)
        number = 2
        while key in chosen:
            key = f"{_ident(path)[:58]}_{number}"
            number += 1
        chosen.append(key)
    return chosen


def _ident(text: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()
    return re.sub(r"[^a-z0-9_-]+", "_", spaced).strip("_")[:64] or "value"


def _sensor(name: str, source: dict[str, str], unit: str = "") -> str:
    rows = ["[[station.sensor]]", f"key = {_text(_ident(name))}"]
    rows += [f"{key} = {_text(value)}" for key, value in source.items()]
    if not unit:
        rows.append('unit = "1" # no unit was sent: say which')
    else:
        try:
            check_unit(unit)
            rows.append(f"unit = {_text(unit)}")
        except ValueError as error:
            rows.append(f'unit = "1" # {_text(str(error))}')
    return "\n".join(rows) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
