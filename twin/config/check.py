"""What must fit together: names that lead somewhere, limits in order, units of one kind."""

from __future__ import annotations

import re
import zoneinfo
from typing import TYPE_CHECKING

from twin.config.alarms import check_alarm
from twin.config.build import PLACES, product_topic
from twin.config.connect import check_broker, check_listener, filter_problem, topic_problem
from twin.config.detect import check_detect
from twin.config.expand import names_in
from twin.config.problems import some
from twin.model.line import Role
from twin.units import check_unit, conversion

if TYPE_CHECKING:
    from twin.config.build import Built
    from twin.config.positions import Path
    from twin.config.problems import Problems
    from twin.model.index import SensorRow
    from twin.model.line import Line, Mapping, Sensor, Station

__all__ = ["check"]

_TOPIC_BAD = re.compile(r"[+#\0{}]")
_SPARKPLUG = re.compile(r"[^/+#:{}]+(?:/[^/+#:{}]+){1,2}:[^{}]+")
_JSON_PATH = re.compile(r"(?:\[\d+\])*[^.\[\]]*(?:\[\d+\])*(?:\.[^.\[\]]+(?:\[\d+\])*)*")
_CHANNEL_UNITS = {
    "voltage": "V",
    "current": "A",
    "temperature": "Cel",
    "charge": "A.h",
    "discharge": "A.h",
    "capacity": "A.h",
}


def check(line: Line, built: Built, problems: Problems) -> None:
    """Note everything that does not fit together."""
    _head(line, problems)
    _unique(line, built, problems)
    _stations(line, built, problems)
    for i, station in enumerate(line.station):
        for j, sensor in enumerate(station.sensor):
            _sensor(sensor, ("station", i, "sensor", j), problems)
    _sources(line, built, problems)
    _channels(line, built, problems)
    for i, mapping in enumerate(line.mapping):
        _mapping(mapping, built, ("mapping", i), problems)
    for i, alarm in enumerate(line.alarm):
        check_alarm(alarm, line, built, ("alarm", i), problems)
    for i, broker in enumerate(line.broker):
        check_broker(broker, ("broker", i), problems)
    check_listener(line.listener, problems)


def _table(line: Line, path: Path) -> Sensor:
    return line.station[int(path[1])].sensor[int(path[3])]


def _head(line: Line, problems: Problems) -> None:
    head = line.line
    unknown = sorted(names_in(head.topic) - set(PLACES))
    if unknown or _TOPIC_BAD.search(re.sub(r"\{[a-z]+\}", "", head.topic)):
        problems.add(
            ("line", "topic"),
            "is no pattern of a topic",
            head.topic,
            "levels without + and #, and " + " ".join(f"{{{name}}}" for name in PLACES),
        )
    if head.timezone != "UTC":
        try:
            zoneinfo.ZoneInfo(head.timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            problems.add(
                ("line", "timezone"), "is no time zone", head.timezone, "a name like Europe/Berlin"
            )


def _unique(line: Line, built: Built, problems: Problems) -> None:
    tables: dict[str, list[tuple[Path, str]]] = {
        "zone": [(("zone", i, "id"), zone.id) for i, zone in enumerate(line.zone)],
        "station": [(("station", i, "id"), s.id) for i, s in enumerate(line.station)],
        "alarm": [(("alarm", i, "id"), alarm.id) for i, alarm in enumerate(line.alarm)],
        "gate": [(("gate", i, "id"), gate.id) for i, gate in enumerate(line.gate)],
        "broker": [(("broker", i, "id"), broker.id) for i, broker in enumerate(line.broker)],
        "device": [
            (("listener", "device", i, "user"), d.user) for i, d in enumerate(line.listener.device)
        ],
        "channel": [
            ((*path, "id"), f"{channel.station}/{channel.id}")
            for path, channel in zip(built.channel_origin, built.channels, strict=True)
        ],
    }
    for kind, entries in tables.items():
        seen: set[str] = set()
        for path, name in entries:
            if name in seen:
                problems.add(path, f"another {kind} has this name", name)
            seen.add(name)


def _stations(line: Line, built: Built, problems: Problems) -> None:
    zones = [zone.id for zone in line.zone]
    for i, station in enumerate(line.station):
        if station.zone and station.zone not in zones:
            where: Path = ("station", i, "zone")
            allowed = some(zones, "none, there is no [[zone]]")
            problems.unknown("zone", station.zone, where, "no such zone", allowed)
        _recipe_from(station, ("station", i, "recipe_from"), built, problems)
        if not station.encoder:
            continue
        path: Path = ("station", i, "encoder")
        name = f"{station.id}/{station.encoder}"
        encoder = built.by_id.get(name)
        if encoder is None:
            keys = [row.spec.key for row in built.sensors if row.station.id == station.id]
            if not problems.doubts.cover("sensor", name):
                problems.add(path, "no such sensor here", station.encoder, some(keys))
        elif encoder.spec.role is not Role.COUNTER and not problems.knows(
            (*built.origin[encoder.index], "role")
        ):
            problems.add(
                path, "is not a counter", station.encoder, 'a sensor with role = "counter"'
            )


def _recipe_from(station: Station, path: Path, built: Built, problems: Problems) -> None:
    if not station.recipe_from:
        return
    name = f"{station.id}/{station.recipe_from}"
    sensor = built.by_id.get(name)
    if sensor is None:
        keys = [row.spec.key for row in built.sensors if row.station.id == station.id]
        if not problems.doubts.cover("sensor", name):
            problems.add(path, "no such sensor here", station.recipe_from, some(keys))
    elif sensor.spec.role is not Role.STATE and not problems.knows(
        (*built.origin[sensor.index], "role")
    ):
        allowed = 'a sensor with role = "state"'
        problems.add(path, "is no state", station.recipe_from, allowed)


def _sensor(sensor: Sensor, path: Path, problems: Problems) -> None:
    for key in ("range", "operating"):
        pair = getattr(sensor, key)
        if pair and pair[0] >= pair[1]:
            problems.add((*path, key), "ends before it begins", list(pair), "[lower, upper]")
    inner, outer = sensor.operating, sensor.range
    ordered = all(pair is None or pair[0] < pair[1] for pair in (inner, outer))
    if inner and outer and ordered and not outer[0] <= inner[0] <= inner[1] <= outer[1]:
        problems.add(
            (*path, "operating"), "is not inside range", list(inner), f"within {list(outer)}"
        )
    lower = sensor.limits.lsl if sensor.limits else None
    upper = sensor.limits.usl if sensor.limits else None
    if lower is not None and upper is not None and lower > upper:
        problems.add(
            (*path, "limits", "lsl"), f"is above usl ({upper})", lower, f"at most {upper:g}"
        )
    check_detect(sensor, path, problems)


def _sources(line: Line, built: Built, problems: Problems) -> None:
    """Where a value comes from is well-formed, and two sensors never share it."""
    seen: dict[tuple[str, str], str] = {}
    wrong = {
        path
        for path in dict.fromkeys(built.origin)
        if problems.knows(*((*path, name) for name in ("topic", "path", "sparkplug", "key")))
    }
    rows = [(p, r) for p, r in zip(built.origin, built.sensors, strict=True) if p not in wrong]
    whole = {row.spec.topic for _, row in rows if not row.spec.path}
    for path, row in rows:
        spec = row.spec
        named = "sparkplug" if spec.sparkplug else "topic"
        where: Path = (*path, named if getattr(_table(line, path), named) else "key")
        if spec.sparkplug and spec.topic:
            problems.add((*path, "topic"), "stands beside sparkplug", spec.topic, "one of the two")
        if spec.sparkplug and not _SPARKPLUG.fullmatch(spec.sparkplug):
            allowed = "group/node:metric or group/node/device:metric"
            problems.add(where, "is no Sparkplug metric", spec.sparkplug, allowed)
        if "{" in spec.topic and problems.knows(("line", "topic")):
            continue
        if spec.topic and (why := topic_problem(spec.topic)):
            problems.add(where, why, spec.topic, "levels without +, # and braces")
        if spec.topic == product_topic(line, row.station):
            problems.add(
                where, "is where the station's products are announced", spec.topic, "another key"
            )
        if not _JSON_PATH.fullmatch(spec.path):
            allowed = "for example data.load[0].value"
            problems.add((*path, "path"), "is no path into JSON", spec.path, allowed)
        place = (spec.sparkplug or spec.topic, spec.path)
        other = seen.setdefault(place, row.id)
        if other != row.id:
            problems.add(
                where,
                f"{other} and {row.id} read the same place",
                " ".join(place).strip(),
                "another topic, or path for a place in the payload",
            )
        elif spec.path and spec.topic in whole:
            problems.add(
                (*path, "path"),
                "another sensor takes the whole payload of this topic",
                spec.path,
                "a path for every sensor of the topic, or for none",
            )


def _channels(line: Line, built: Built, problems: Problems) -> None:
    stations = [station.id for station in line.station]
    for path, channel in zip(built.channel_origin, built.channels, strict=True):
        if channel.station not in stations:
            where: Path = (*path, "station")
            if not problems.doubts.cover("sensor", f"{channel.station}/*"):
                problems.add(where, "no such station", channel.station, some(stations))
            continue
        if problems.knows((*path, "each")):
            continue
        keys = {name: getattr(channel, name) for name in (*_CHANNEL_UNITS, "step", "cycle")}
        for name, value in keys.items():
            for sensor in [value] if isinstance(value, str) else value:
                if sensor:
                    _channel_sensor(
                        (*path, name), sensor, _CHANNEL_UNITS.get(name), built, problems
                    )


def _channel_sensor(
    path: Path, sensor: str, unit: str | None, built: Built, problems: Problems
) -> None:
    row = built.by_id.get(sensor)
    if row is None:
        problems.unknown("sensor", sensor, path, "no such sensor", some(built.by_id))
    elif unit is not None and not problems.knows((*built.origin[row.index], "unit")):
        _convertible(row.spec.unit, unit, path, f"the unit of {sensor}", problems)


def _convertible(unit: str, wanted: str, path: Path, what: str, problems: Problems) -> None:
    try:
        conversion(unit, wanted)
    except ValueError as error:
        problems.add(path, f"{what}: {error}", unit, f"a unit that converts to {wanted}")


def _mapping(mapping: Mapping, built: Built, path: Path, problems: Problems) -> None:
    if why := filter_problem(mapping.topic):
        problems.add((*path, "topic"), why, mapping.topic, "a topic filter")
    plus = mapping.topic.split("/").count("+")
    for sensor in mapping.values:
        wild = [int(number) for number in re.findall(r"\{(\d+)\}", sensor)]
        if any(not 1 <= number <= plus for number in wild):
            problems.add(
                (*path, "values", sensor), f"the topic has {plus} +, not more", sensor, "{1}, {2} …"
            )
        elif not _mapped(sensor, built):
            where: Path = (*path, "values", sensor)
            problems.unknown("sensor", sensor, where, "no such sensor", some(built.by_id))
    for sensor, unit in mapping.units.items():
        where = (*path, "units", sensor)
        if sensor not in mapping.values:
            problems.add(where, "is not among values", sensor, some(mapping.values))
            continue
        try:
            check_unit(unit)
        except ValueError as error:
            problems.add(where, str(error), unit, "a UCUM code")
            continue
        for row in _mapped(sensor, built):
            if problems.knows((*built.origin[row.index], "unit")):
                continue
            _convertible(unit, row.spec.unit, where, row.id, problems)


def _mapped(pattern: str, built: Built) -> list[SensorRow]:
    """Sensors a key of ``values`` may stand for."""
    if "{" not in pattern:
        return [built.by_id[pattern]] if pattern in built.by_id else []
    parts = re.split(r"\{\d+\}", pattern)
    expression = re.compile("[^/]+".join(map(re.escape, parts)))
    return [row for name, row in built.by_id.items() if expression.fullmatch(name)]
