"""The line at this moment, sensor by sensor, as the board's tiles show it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from twin.config.rule_sets import rule_sets_of
from twin.engine import present
from twin.engine.chart_view import in_force
from twin.engine.freshness import max_silence_s
from twin.engine.group_view import group_tile
from twin.engine.judgement import overall, states, tile_state
from twin.model.batch import GOOD, UNCERTAIN
from twin.model.event import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twin.alarms import Occurrence
    from twin.detectors.spc.rules import RuleSet
    from twin.engine.pipeline import Pipeline
    from twin.model.index import SensorRow

__all__ = ["Tiles"]

_KEEP_NS = 1_000_000_000


class Tiles:
    """Tiles of all sensors and groups.

    What the detectors think is asked again at most once a second and only after new samples: an
    overview is wanted five times a second for every sensor of the line.
    """

    def __init__(self) -> None:
        self._version = ""
        self._rule_sets: Mapping[str, RuleSet] = {}
        self._known: dict[int, tuple[int, int, dict[str, Any] | None, dict[str, float | None]]] = {}

    def stations(
        self,
        pipeline: Pipeline,
        now_ns: int,
        alarms: dict[str, Occurrence],
        *,
        sparks: bool,
    ) -> list[dict[str, Any]]:
        """Every ``Station``; groups of sensors stand under a station of their own at the end."""
        index = pipeline.index
        by_station: dict[str, list[SensorRow]] = {}
        for row in index.sensors:
            by_station.setdefault(row.station.id, []).append(row)
        found = []
        for station in index.line.station:
            rows = by_station.get(station.id, [])
            found.append(
                {
                    "id": station.id,
                    "title": station.title or station.id,
                    "area": station.area,
                    "product": product_at(pipeline, station.id, rows),
                    "tiles": [self.tile(pipeline, r, now_ns, alarms, sparks=sparks) for r in rows],
                }
            )
        groups = index.groups()
        if groups:
            tiles = [
                self.group(pipeline, row, number, now_ns, alarms, sparks=sparks)
                for number, row in enumerate(groups)
            ]
            found.append({"id": "group", "title": "", "area": "", "product": None, "tiles": tiles})
        return found

    def tile(
        self,
        pipeline: Pipeline,
        row: SensorRow,
        now_ns: int,
        alarms: dict[str, Occurrence],
        *,
        sparks: bool,
    ) -> dict[str, Any]:
        """The ``Tile`` of a sensor."""
        latest, i = pipeline.latest, row.index
        recv = int(latest.recv_ns[i])
        finding = _open_finding(pipeline, row)
        occurrence = alarms.get(row.id)
        judged, limits = self._judged(pipeline, row, now_ns)
        if recv < 0:
            state = "nodata"
        elif _silent(pipeline, row, now_ns):
            state = "stale"
        elif occurrence is not None and occurrence.active:
            state = "alarm"
        else:
            state = "warn" if finding else tile_state(judged)
        quality = int(latest.quality[i])
        return {
            "sensor": row.id,
            "title": row.spec.title or row.spec.key,
            "value": present.number(float(latest.value[i])),
            "unit": row.spec.unit,
            "quality": "good"
            if quality >= GOOD
            else "uncertain"
            if quality >= UNCERTAIN
            else "bad",
            "time": None if recv < 0 else iso(int(latest.time_ns[i])),
            "age_s": None if recv < 0 else round(max(0.0, (now_ns - recv) / 1e9), 3),
            "state": state,
            "judged": judged,
            "role": str(row.spec.role),
            "limits": present.limits_of(row, limits),
            "spark": latest.spark(i) if sparks else [],
            "finding": finding,
            "alarm": occurrence.id if occurrence is not None else None,
        }

    def group(
        self,
        pipeline: Pipeline,
        row: SensorRow,
        number: int,
        now_ns: int,
        alarms: dict[str, Occurrence],
        *,
        sparks: bool,
    ) -> dict[str, Any]:
        """The ``Tile`` of a group: its value is the statistic, pure like every ratio."""
        own = group_tile(pipeline.detection, row, number, sparks=sparks)
        index, latest = pipeline.index, pipeline.latest
        spec = index.line.group[number]
        members = [index.by_id[name] for name in spec.sensors if name in index.by_id]
        recv = max((int(latest.recv_ns[m.index]) for m in members), default=-1)
        occurrence = alarms.get(row.id)
        state = own.get("state", "measured")
        if recv < 0:
            state = "nodata"
        elif any(_silent(pipeline, member, now_ns) for member in members):
            state = "stale"
        elif occurrence is not None and occurrence.active:
            state = "alarm"
        time_ns = own.pop("time_ns")
        return {
            "sensor": row.id,
            "title": row.spec.title or row.spec.key,
            "unit": "1",
            "quality": "good",
            "role": "group",
            "spark": [],
            **own,
            "state": state,
            "time": None if time_ns is None else iso(time_ns),
            "age_s": None if recv < 0 else round(max(0.0, (now_ns - recv) / 1e9), 3),
            "alarm": occurrence.id if occurrence is not None else None,
        }

    def _judged(
        self, pipeline: Pipeline, row: SensorRow, now_ns: int
    ) -> tuple[dict[str, Any] | None, dict[str, float | None]]:
        if self._version != pipeline.index.version:
            self._version = pipeline.index.version
            self._known.clear()
            self._rule_sets = rule_sets_of(pipeline.index.line)
        count = int(pipeline.latest.count[row.index])
        known = self._known.get(row.index)
        if known is None or (known[0] != count and not 0 <= now_ns - known[1] < _KEEP_NS):
            found = states(pipeline.detection, row.index)
            known = count, now_ns, overall(found), in_force(found, self._rule_sets)
            self._known[row.index] = known
        return known[2], known[3]


def _silent(pipeline: Pipeline, row: SensorRow, now_ns: int) -> bool:
    """Whether a sensor that once spoke has been silent for longer than it may be."""
    recv, silence = int(pipeline.latest.recv_ns[row.index]), max_silence_s(row.spec)
    return recv >= 0 and silence is not None and (now_ns - recv) / 1e9 > silence


def _open_finding(pipeline: Pipeline, row: SensorRow) -> dict[str, Any] | None:
    events = pipeline.detection.open_findings(row.index)
    if not events:
        return None
    return present.finding(max(events, key=lambda event: event.t_last), is_open=True)


def product_at(pipeline: Pipeline, station: str, rows: list[SensorRow]) -> dict[str, Any] | None:
    """The product at a station and where on it the newest sample was taken."""
    product = pipeline.products.at(station)
    if product is None:
        return None
    latest = pipeline.latest
    places = [
        (int(latest.time_ns[row.index]), float(latest.place[row.index]))
        for row in rows
        if not math.isnan(float(latest.place[row.index]))
    ]
    place = max(places)[1] if places else None
    return {"id": product["id"], "kind": product["kind"], "place": place}
