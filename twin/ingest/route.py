"""Topic to meaning: which sensors a payload under a topic speaks about, and where in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from twin.units import conversion

if TYPE_CHECKING:
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import LineHead, Mapping, Station

__all__ = [
    "PathStep",
    "Route",
    "RouteKind",
    "Router",
    "Target",
    "filter_matches",
    "parse_path",
    "station_topic",
]

PathStep = str | int
_CACHE = 200_000
"""Topics whose route is remembered; beyond, unknown topics are looked up each time."""


class RouteKind(Enum):
    """How a payload is read."""

    SINGLE = "single"
    """One sensor: a number, an object with a value, or an array of such objects."""
    NESTED = "nested"
    """Values of several sensors at named places of a JSON document."""
    ROW = "row"
    """Values of one station side by side, by column name: a recording played as messages."""
    SPARKPLUG = "sparkplug"
    PRODUCT = "product"
    """A product starts, ends or moves."""
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Target:
    """A sensor a topic feeds.

    Attributes:
        index: Dense sensor index.
        id: ``station/key``.
        unit: Declared unit.
        path: Place of the value in the document.
        sent_unit: Unit the mapping says the device sends; empty means the declared one.
        factors: Unit code to (scale, offset), filled as units are met; None means no conversion.
    """

    index: int
    id: str
    unit: str
    path: list[PathStep] = field(default_factory=list)
    sent_unit: str = ""
    factors: dict[str, tuple[float, float] | None] = field(default_factory=dict)

    def factor(self, unit: str) -> tuple[float, float] | None:
        """How to turn a value in ``unit`` into the declared unit; None when it cannot be."""
        if unit not in self.factors:
            try:
                self.factors[unit] = conversion(unit, self.unit)
            except ValueError:
                self.factors[unit] = None
        return self.factors[unit]


@dataclass(slots=True)
class Route:
    """What to do with a payload."""

    kind: RouteKind
    targets: list[Target] = field(default_factory=list)
    time: list[PathStep] = field(default_factory=list)
    time_unit: str = "auto"
    seq: list[PathStep] = field(default_factory=list)
    quality: list[PathStep] = field(default_factory=list)
    station: str = ""
    columns: dict[str, Target] = field(default_factory=dict)


_UNKNOWN = Route(RouteKind.UNKNOWN)
_SPARKPLUG = Route(RouteKind.SPARKPLUG)
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def parse_path(path: str) -> list[PathStep]:
    """Steps of a path.

    Examples:
        >>> parse_path("data.load[0].value")
        ['data', 'load', 0, 'value']
    """
    return [int(number) if number else name for name, number in _STEP.findall(path)]


def filter_matches(pattern: str, topic: str) -> list[str] | None:
    """What each ``+`` (and a final ``#``) of an MQTT topic filter stands for; None for no match.

    Examples:
        >>> filter_matches("plant/+/temp", "plant/oven/temp")
        ['oven']
        >>> filter_matches("plant/#", "plant/a/b")
        ['a/b']
    """
    caught: list[str] = []
    parts = topic.split("/")
    wanted = pattern.split("/")
    for position, part in enumerate(wanted):
        if part == "#":
            caught.append("/".join(parts[position:]))
            return caught
        if position >= len(parts):
            return None
        if part == "+":
            caught.append(parts[position])
        elif part != parts[position]:
            return None
    return caught if len(parts) == len(wanted) else None


def station_topic(head: LineHead, station: Station, key: str) -> str:
    """Topic of ``key`` at a station by the line's pattern."""
    return (
        head.topic.replace("{site}", head.site)
        .replace("{area}", station.area)
        .replace("{line}", head.name)
        .replace("{station}", station.id)
        .replace("{key}", key)
    )


class Router:
    """Routes of one version of the line."""

    def __init__(self, index: LineIndex) -> None:
        self._index = index
        self._routes: dict[str, Route] = {}
        self._mappings = index.line.mapping
        self._found: dict[str, Route] = {}
        self.sparkplug: dict[str, Target] = {}
        nested: dict[str, list[Target]] = {}
        for row in index.sensors:
            if row.spec.sparkplug:
                self.sparkplug[row.spec.sparkplug] = _target(row)
            elif row.spec.path:
                nested.setdefault(row.spec.topic, []).append(
                    _target(row, parse_path(row.spec.path))
                )
            else:
                self._routes[row.spec.topic] = Route(RouteKind.SINGLE, [_target(row)])
        for topic, targets in nested.items():
            self._routes[topic] = Route(RouteKind.NESTED, targets)
        self._columns: dict[str, Target] = {}
        for row in index.sensors:
            self._columns.setdefault(row.spec.column or row.spec.key, _target(row))
            self._columns.setdefault(row.id, _target(row))
        for station in index.line.station:
            self._station_routes(station)

    def _station_routes(self, station: Station) -> None:
        product = Route(RouteKind.PRODUCT, station=station.id)
        row = Route(RouteKind.ROW, station=station.id)
        for sensor in self._index.sensors:
            if sensor.station.id == station.id:
                row.columns.setdefault(sensor.spec.column or sensor.spec.key, _target(sensor))
        self._routes.setdefault(station_topic(self._index.line.line, station, "product"), product)
        self._routes.setdefault(station_topic(self._index.line.line, station, "row"), row)

    def find(self, topic: str) -> Route:
        """The route of a topic."""
        route = self._routes.get(topic) or self._found.get(topic)
        if route is None:
            route = self._search(topic)
            if len(self._found) >= _CACHE:
                self._found.clear()
            self._found[topic] = route
        return route

    def column(self, name: str) -> Target | None:
        """The sensor a column of a recording feeds: by its ``column``, its key or its id."""
        return self._columns.get(name)

    def _search(self, topic: str) -> Route:
        if topic.startswith("spBv1.0/"):
            return _SPARKPLUG
        for mapping in self._mappings:
            caught = filter_matches(mapping.topic, topic)
            if caught is not None:
                return self._mapped(mapping, caught)
        return _UNKNOWN

    def _mapped(self, mapping: Mapping, caught: list[str]) -> Route:
        route = Route(
            RouteKind.NESTED,
            time=parse_path(mapping.time),
            time_unit=mapping.time_unit,
            seq=parse_path(mapping.seq),
            quality=parse_path(mapping.quality),
        )
        for name, path in mapping.values.items():
            row = self._index.by_id.get(_fill(name, caught))
            if row is not None:
                target = _target(row, parse_path(_fill(path, caught)))
                target.sent_unit = mapping.units.get(name, "")
                route.targets.append(target)
        return route if route.targets else _UNKNOWN


def _fill(text: str, caught: list[str]) -> str:
    for number, part in enumerate(caught, start=1):
        text = text.replace(f"{{{number}}}", part)
    return text


def _target(row: SensorRow, path: list[PathStep] | None = None) -> Target:
    return Target(row.index, row.id, row.spec.unit, path or [])
