"""Tables of every key of the line description, made from the model so that they cannot rot.

``python -m twin.config.reference docs/line-description.md`` writes them into the page, below each
``<!-- keys: [line] -->``; a test compares page and model.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.model import line

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["TABLES", "key_table", "with_tables"]

TABLES: dict[str, type[BaseModel]] = {
    "[line]": line.LineHead,
    "[sparkplug]": line.Sparkplug,
    "[chemistry]": line.Chemistry,
    "[listener]": line.Listener,
    "[[listener.device]]": line.Device,
    "[[broker]]": line.Broker,
    "[detection]": line.Detection,
    "[[rule_set]]": line.RuleSetRow,
    "[[rule_set.rule]]": line.RuleRow,
    "[[zone]]": line.Zone,
    "[[station]]": line.Station,
    "[[station.sensor]]": line.Sensor,
    "[station.sensor.limits]": line.Limits,
    "[station.sensor.chart]": line.Chart,
    "[[group]]": line.Group,
    "[[channel]]": line.Channel,
    "[[mapping]]": line.Mapping,
    "[[alarm]]": line.Alarm,
    "[[gate]]": line.Gate,
}
"""Table of the file to the model that says what it may hold."""

_MARK = re.compile(r"(<!-- keys: (\S+) -->\n)\n*(?:\|.*\n)*")
_ENTRY = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_SUFFIX_UNITS = {
    "_per_s": "sensor unit/s",
    "_s": "s",
    "_m": "m",
    "_ah": "A.h",
    "_a": "A",
    "_bytes": "bytes",
    "_days": "days",
    "_gib": "GiB",
}
_UNITS = {
    **dict.fromkeys(
        ("range", "operating", "resolution", "spike", "centre", "sigma"), "sensor unit"
    ),
    **dict.fromkeys(("target", "lsl", "usl", "warn", "limit", "deadband"), "sensor unit"),
    **dict.fromkeys(("ewma_l", "cusum_k", "cusum_h"), "sigma"),
    "hampel_t": "robust sigma",
    "hampel_window": "samples",
    "keepalive_max_s": "s",
}


def key_table(model: type[BaseModel]) -> str:
    """Markdown table of a model's keys: values, unit, default, meaning."""
    schema = model.model_json_schema()
    meanings = _meanings(model)
    rows = ["| Key | Value | Unit | Default | Meaning |", "|---|---|---|---|---|"]
    for name, field in model.model_fields.items():
        shown = schema["properties"][name]
        default = "**required**" if field.is_required() else _default(shown.get("default"))
        value = _value(name, shown, schema.get("$defs", {}))
        if shown.get("default") is not None and _is_optional(shown):
            value += ' or `"none"`'
        rows.append(f"| `{name}` | {value} | {_unit(name)} | {default} | {meanings[name]} |")
    return "\n".join(rows) + "\n"


def with_tables(page: str) -> str:
    """The page with every table made anew."""
    return _MARK.sub(lambda match: f"{match[1]}\n" + key_table(TABLES[match[2]]), page)


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """Sentences of the ``Attributes`` section, in Markdown."""
    section = (inspect.getdoc(model) or "").partition("Attributes:\n")[2]
    found = {}
    for name, text in _ENTRY.findall(section):
        plain = re.sub(r"\s+", " ", text)
        plain = re.sub(r"(?:See )?:class:`(\w+)`", lambda match: _words(match[1]), plain)
        plain = re.sub(r"\bNone\b", "nothing", plain.replace("``", "`"))
        found[name] = plain.replace("|", "\\|")
    return found


def _words(name: str) -> str:
    """What the named class says about itself, in the place of a reference to it."""
    return (inspect.getdoc(getattr(line, name)) or "").partition("\n")[0].rstrip(".")


def _unit(name: str) -> str:
    if name in _UNITS:
        return _UNITS[name]
    return next((unit for end, unit in _SUFFIX_UNITS.items() if name.endswith(end)), "")


def _default(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, dict):
        return "all defaults"
    return f"`{json.dumps(value)}`"


def _is_optional(schema: dict[str, Any]) -> bool:
    return any(option.get("type") == "null" for option in schema.get("anyOf", []))


def _value(name: str, schema: dict[str, Any], defined: dict[str, Any]) -> str:
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        return " or ".join(_value(name, option, defined) for option in options)
    if "$ref" in schema:
        target = defined[schema["$ref"].rpartition("/")[2]]
        return _value(name, target, defined) if "enum" in target else "table, see below"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array" and "prefixItems" in schema:
        return "[lower, upper]"
    if kind == "array":
        inner = schema["items"]
        return "rows, see below" if "$ref" in inner else "list of text"
    if kind == "object":
        return "table of name = range or list" if name == "each" else "table of sensor = text"
    if kind in ("number", "integer"):
        return _bounded("whole number" if kind == "integer" else "number", schema)
    if kind == "boolean":
        return "`true`, `false`"
    return "id" if "pattern" in schema else "text"


def _bounded(word: str, schema: dict[str, Any]) -> str:
    signs = (
        ("exclusiveMinimum", ">"),
        ("minimum", "≥"),
        ("exclusiveMaximum", "<"),
        ("maximum", "≤"),
    )
    bounds = [f"{sign} {schema[key]:.15g}" for key, sign in signs if key in schema]
    return " ".join([word, ", ".join(bounds)]).strip()


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        page = Path(argument)
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
