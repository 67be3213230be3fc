"""Sparkplug messages among all others: metrics to sensors, findings to events, gaps to marks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.ingest.sparkplug import SparkplugHost, SparkplugSettings
from twin.ingest.sparkplug_wire import Limits
from twin.model.batch import Mark
from twin.model.event import Event, event_id
from twin.model.message import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.ingest.discovery import Discovery
    from twin.ingest.route import Router
    from twin.ingest.sparkplug_outcome import Outcome
    from twin.model.index import LineIndex
    from twin.model.line import Sparkplug

__all__ = ["SparkplugFeed", "Told"]

_UNKNOWN, _WRONG_UNIT, _UNSEEN = -1, -2, -3


@dataclass(slots=True)
class Told:
    """What one Sparkplug message gave, in terms of the line.

    Attributes:
        sensor: int32[n], dense sensor index.
        time_ns: int64[n].
        value: float64[n], declared units.
        quality: uint8[n].
        marks: uint8[n].
        refused: (reason, detail) per refused metric, or of the whole message.
        events: Findings about the node.
        rebirths: (group, node) to ask for their birth certificates.
    """

    sensor: NDArray[np.int32]
    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    marks: NDArray[np.uint8]
    refused: list[tuple[str, str]]
    events: list[Event] = field(default_factory=list)
    rebirths: list[tuple[str, str]] = field(default_factory=list)


class SparkplugFeed:
    """The Sparkplug host of a line with its metric table resolved to sensors."""

    VERSION = 1

    def __init__(self, index: LineIndex, router: Router, discovery: Discovery) -> None:
        self._index = index
        self._router = router
        self.discovery = discovery
        self.host = SparkplugHost(_settings(index.line.sparkplug))
        self._sensor = np.empty(0, np.int32)
        self._scale = np.empty(0)
        self._offset = np.empty(0)
        self._gap = np.zeros(len(index), np.bool_)
        self._numbers: dict[str, int] = {}
        self._newest_ns = 0

    @property
    def active(self) -> bool:
        """Whether Sparkplug is spoken here at all; without it there are no timers."""
        return bool(self._router.sparkplug) or len(self.host.names.names) > 0

    def handle(self, topic: str, payload: bytes, recv_ns: int) -> Told:
        """One message under ``spBv1.0/``."""
        return self._told(self.host.handle(topic, payload, recv_ns), recv_ns)

    def tick(self, now_ns: int) -> Told:
        """Time has passed."""
        return self._told(self.host.tick(now_ns), now_ns)

    def _told(self, outcome: Outcome, recv_ns: int) -> Told:
        ids = outcome.ids
        refused = list(outcome.refused)
        if len(ids):
            self._newest_ns = max(self._newest_ns, int(outcome.times.max()))
            self._resolve()
        for key in outcome.gap:
            self._open_gap(key)
        sensor = self._sensor[ids] if len(ids) else np.empty(0, np.int32)
        known = sensor >= 0
        if not known.all():
            refused += [self._refusal(metric, recv_ns) for metric in ids[~known].tolist()]
            ids = ids[known]
            sensor = sensor[known]
            columns = (
                outcome.times[known],
                outcome.values[known],
                outcome.qualities[known],
                outcome.marks[known],
            )
        else:
            columns = (outcome.times, outcome.values, outcome.qualities, outcome.marks)
        times, values, qualities, marks = columns
        if len(ids):
            values = values * self._scale[ids] + self._offset[ids]
            marks = self._close_gap(sensor, marks)
        told = Told(sensor, times, values, qualities, marks, refused)
        told.events = [self._event("data_quality", c, d) for c, d in outcome.findings]
        told.events += [self._event("source", "lost", {"source": k}) for k in outcome.stale]
        told.rebirths = outcome.rebirth
        return told

    def _resolve(self) -> None:
        """Look up metrics that were born since the last message."""
        names = self.host.names
        have, want = len(self._sensor), len(names.names)
        if have == want:
            return
        sensor = np.full(want - have, _UNKNOWN, np.int32)
        scale, offset = np.ones(want - have), np.zeros(want - have)
        for i in range(have, want):
            target = self._router.sparkplug.get(names.names[i])
            if target is None:
                continue
            factor = target.factor(names.units[i] or target.unit)
            if factor is None:
                sensor[i - have] = _WRONG_UNIT
            else:
                sensor[i - have] = target.index
                scale[i - have], offset[i - have] = factor
        self._sensor = np.concatenate([self._sensor, sensor])
        self._scale = np.concatenate([self._scale, scale])
        self._offset = np.concatenate([self._offset, offset])

    def _refusal(self, metric: int, recv_ns: int) -> tuple[str, str]:
        name, unit = self.host.names.names[metric], self.host.names.units[metric]
        if self._sensor[metric] == _WRONG_UNIT:
            target = self._router.sparkplug[name]
            return (
                Reason.UNIT,
                f'{name}: engUnit "{unit}" does not convert to "{target.unit}" of {target.id}',
            )
        self.discovery.note(name, b"", recv_ns)
        return Reason.UNKNOWN_TAG, f"no sensor has sparkplug = {name!r}; the discovery list has it"

    def _open_gap(self, key: str) -> None:
        for name, target in self._router.sparkplug.items():
            if name.startswith((key + ":", key + "/")):
                self._gap[target.index] = True

    def _close_gap(self, sensor: NDArray[np.int32], marks: NDArray[np.uint8]) -> NDArray[np.uint8]:
        pending = self._gap[sensor]
        if not pending.any():
            return marks
        marks = marks.copy()
        for row in np.flatnonzero(pending).tolist():
            if self._gap[sensor[row]]:
                self._gap[sensor[row]] = False
                marks[row] |= Mark.AFTER_GAP
        return marks

    def _event(self, kind: str, code: str, detail: dict[str, Any]) -> Event:
        """Times are those of the newest sample: nothing depends on when messages travelled."""
        who = str(detail.get("node", detail.get("topic", detail.get("source", ""))))
        key = f"{kind}|{code}|{who}"
        number = self._numbers[key] = self._numbers.get(key, 0) + 1
        return Event(
            id=event_id(kind, "sparkplug", code, who, number),
            type=kind,
            rule=code,
            ruleset="sparkplug",
            t_first=self._newest_ns,
            t_last=self._newest_ns,
            detail=detail,
        )

    def snapshot(self) -> dict[str, Any]:
        """State."""
        return {
            "version": self.VERSION,
            "host": self.host.snapshot(),
            "gap": self._gap.tobytes(),
            "numbers": self._numbers,
            "newest_ns": self._newest_ns,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot of the same line version."""
        self.host.restore(state["host"])
        self._gap = np.frombuffer(state["gap"], np.bool_).copy()
        self._numbers = dict(state["numbers"])
        self._newest_ns = state["newest_ns"]
        self._resolve()

    def follow(self, old: SparkplugFeed) -> None:
        """Take over the nodes; metrics are looked up again in the new line."""
        if self._index.line.sparkplug == old._index.line.sparkplug:
            self.host = old.host
        self._numbers, self._newest_ns = old._numbers, old._newest_ns
        for row in old._index.sensors:
            after = self._index.by_id.get(row.id)
            if after is not None:
                self._gap[after.index] = old._gap[row.index]
        self._resolve()


def _settings(table: Sparkplug) -> SparkplugSettings:
    return SparkplugSettings(
        reorder_ns=round(table.reorder_timeout_s * 1e9),
        rebirth_ns=round(table.rebirth_interval_s * 1e9),
        limits=Limits(metrics=table.max_metrics),
        birth_metrics=table.max_birth_metrics,
        max_nodes=table.max_nodes,
    )
