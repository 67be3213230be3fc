"""From the model to the index: rows expanded, names filled in, limits taken from the plan."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twin.config.control_plan import limits
from twin.config.expand import combinations, fill, names_in
from twin.config.problems import some
from twin.model.index import SensorRow
from twin.units import check_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twin.config.positions import Path
    from twin.config.problems import Problems
    from twin.model.line import Channel, Limits, Line, Sensor, Station

__all__ = ["PLACES", "Built", "build", "product_topic"]

PLACES = ("site", "area", "line", "station", "key")
"""Names every topic may hold, beside those of ``each``."""

_KEY = re.compile(r"[a-z0-9_-]{1,64}")
_FILLED = ("title", "path", "column", "sparkplug", "control")
_CHANNEL_KEYS = ("voltage", "current", "step", "cycle", "charge", "discharge", "capacity")


@dataclass(slots=True)
class Built:
    """Rows of the index and where in the file each of them comes from.

    Attributes:
        sensors: Rows, position = dense index.
        origin: Path of the table each row comes from.
        by_id: Sensor id to row.
        channels: Channels with sensor ids.
        channel_origin: Path of the table each channel comes from.
    """

    sensors: list[SensorRow] = field(default_factory=list)
    origin: list[Path] = field(default_factory=list)
    by_id: dict[str, SensorRow] = field(default_factory=dict)
    channels: list[Channel] = field(default_factory=list)
    channel_origin: list[Path] = field(default_factory=list)


def build(line: Line, control: Mapping[str, dict[str, str]], problems: Problems) -> Built:
    """Expand every row; problems with ``each``, names, units and the control plan are noted."""
    built = Built()
    for i, station in enumerate(line.station):
        for j, sensor in enumerate(station.sensor):
            path: Path = ("station", i, "sensor", j)
            names = _places(line, station)
            _check_unit(sensor, path, problems)
            limits_of: dict[str, Limits | None] = {"": sensor.limits}
            row_name = f"{station.id}/{sensor.key}"
            for spec in _expanded(sensor, line.line.topic, names, path, problems):
                if spec.control not in limits_of:
                    limits_of[spec.control] = _limits(spec, row_name, control, path, problems)
                chosen = limits_of[spec.control]
                limited = spec if chosen is spec.limits else _with(spec, limits=chosen)
                _add(built, station, limited, path, problems)
    for i, channel in enumerate(line.channel):
        for each in _each(channel.each, ("channel", i), problems):
            built.channels.append(_channel(channel, each))
            built.channel_origin.append(("channel", i))
    return built


def product_topic(line: Line, station: Station) -> str:
    """Topic under which a station says which product it works on."""
    return fill(line.line.topic, {**_places(line, station), "key": "product"})


def _places(line: Line, station: Station) -> dict[str, str]:
    head = line.line
    return {"site": head.site, "area": station.area, "line": head.name, "station": station.id}


def _with(spec: Sensor, **update: Any) -> Sensor:
    return spec.model_copy(update=update)


def _add(built: Built, station: Station, spec: Sensor, path: Path, problems: Problems) -> None:
    name = f"{station.id}/{spec.key}"
    if "{" in spec.key:
        problems.doubts.add("sensor", name)  # reported where the names were checked
    elif not _KEY.fullmatch(spec.key):
        problems.doubts.add("sensor", name)
        problems.add(
            (*path, "key"),
            "is no id once the names in braces are filled in",
            spec.key,
            "lower case letters, digits, _ and -, 1 to 64 of them",
        )
    elif name in built.by_id:
        first = built.origin[built.by_id[name].index]
        other = f"station[{first[1]}].sensor[{first[3]}]"
        problems.add((*path, "key"), f"{name} is already there, in {other}", spec.key)
    else:
        row = SensorRow(len(built.sensors), name, station, spec)
        built.by_id[name] = row
        built.sensors.append(row)
        built.origin.append(path)


def _each(
    each: Mapping[str, str | list[str]], path: Path, problems: Problems
) -> Iterator[dict[str, str]]:
    clash = sorted(each.keys() & set(PLACES))
    if clash:
        problems.add((*path, "each", clash[0]), "is taken: topics know it already", clash[0])
        return iter(())
    try:
        return combinations(each)
    except ValueError as error:
        problems.add((*path, "each"), str(error), dict(each))
        return iter(())


def _expanded(
    sensor: Sensor, pattern: str, names: dict[str, str], path: Path, problems: Problems
) -> Iterator[Sensor]:
    """The row once per combination of ``each``, with every name in braces filled in."""
    texts = {name: getattr(sensor, name) for name in _FILLED}
    filled = {name: text for name, text in texts.items() if "{" in text}
    known = sensor.each.keys()
    if not problems.knows((*path, "each")):
        for name, text in {"key": sensor.key, **filled}.items():
            _check_names(text, known, (*path, name), problems)
        _check_names(sensor.topic, {*known, *PLACES}, (*path, "topic"), problems)
    topic = fill(sensor.topic or ("" if sensor.sparkplug else pattern), names)
    rows = _each(sensor.each, path, problems)
    if problems.knows((*path, "each")):
        problems.doubts.add("sensor", f"{names['station']}/{sensor.key}")
    for each in rows:
        key = fill(sensor.key, each)
        update: dict[str, Any] = {name: fill(text, each) for name, text in filled.items()}
        update |= {"key": key, "topic": fill(topic, {**each, "key": key}), "each": {}}
        yield _with(sensor, **update)


def _check_names(text: str, known: Any, path: Path, problems: Problems) -> None:
    unknown = sorted(names_in(text) - set(known))
    if unknown:
        allowed = ", ".join(sorted(known)) or "none, because the row has no each"
        problems.add(path, f"{{{unknown[0]}}} names nothing", text, allowed)


def _check_unit(sensor: Sensor, path: Path, problems: Problems) -> None:
    try:
        check_unit(sensor.unit)
    except ValueError as error:
        problems.add((*path, "unit"), str(error), sensor.unit, "a UCUM code")


def _limits(
    sensor: Sensor,
    name: str,
    control: Mapping[str, dict[str, str]],
    path: Path,
    problems: Problems,
) -> Limits | None:
    """Limits of the sensor's own, or else of its control plan row."""
    row = control.get(sensor.control)
    if row is None:
        problems.doubts.add("limits", name)
        allowed = some(control, "none, line.control_plan names no file")
        message = "no such row in the control plan"
        problems.unknown("control", sensor.control, (*path, "control"), message, allowed)
        return sensor.limits
    if problems.doubts.cover("control", sensor.control):
        problems.doubts.add("limits", name)
    try:
        from_plan = limits(row, sensor.unit)
    except ValueError as error:
        problems.doubts.add("limits", name)
        if not problems.doubts.cover("control", sensor.control):
            message = f"control plan row {sensor.control}: {error}"
            problems.add((*path, "unit"), message, sensor.unit)
        return sensor.limits
    return from_plan if sensor.limits is None else sensor.limits


def _channel(channel: Channel, each: Mapping[str, str]) -> Channel:
    def sensor(key: str) -> str:
        return f"{channel.station}/{fill(key, each)}" if key else ""

    update: dict[str, Any] = {name: sensor(getattr(channel, name)) for name in _CHANNEL_KEYS}
    update["temperature"] = [sensor(key) for key in channel.temperature]
    return channel.model_copy(
        update={
            **update,
            "id": fill(channel.id, each),
            "tray": fill(channel.tray, each),
            "each": {},
        }
    )
