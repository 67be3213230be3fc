"""The alarm stage: conditions and findings in, occurrences and their transitions out."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from twin.alarms.conditions import Conditions
from twin.alarms.state import Occurrence, Refusal
from twin.model.event import Event, event_id, iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Alarm

__all__ = ["CALLING", "Alarms", "title_of"]

CALLING = frozenset(
    {"rule1", "ewma", "cusum", "t2", "spe", "mewma", "anomaly", "change", "noise", "dpat"}
)
"""Rules that call for a response unless an alarm names others: those with a known, long run
length. The other run rules, charts of scatter and single outliers are prompts."""


class _Instance:
    """One alarm on one sensor."""

    def __init__(self, spec: Alarm, row: SensorRow) -> None:
        self.spec = spec
        self.row = row
        self.number = 0
        self.current: Occurrence | None = None
        self.findings: list[str] = []

    @property
    def key(self) -> str:
        return f"{self.spec.id}@{self.row.id}"

    def same_as(self, before: _Instance) -> bool:
        """Whether nothing the verdict rests on was changed with the line description."""
        return self.spec == before.spec and (
            self.row.spec.unit == before.row.spec.unit
            and (self.spec.when != "outside" or self.row.spec.limits == before.row.spec.limits)
        )


class Alarms:
    """All alarms of one version of the line.

    Limits are judged on samples in journal order, delays run on event time: the same data gives
    the same alarms at any speed. Bad quality never raises and never clears.

    Attributes:
        raised: Occurrences so far.
        changed: Occurrences that changed since the list was last emptied (for the store).
    """

    VERSION = 1

    def __init__(self, index: LineIndex) -> None:
        self._index = index
        self.raised = 0
        self.changed: dict[str, Occurrence] = {}
        self._instances: dict[str, _Instance] = {}
        self._open: dict[str, _Instance] = {}  # those with an occurrence: few among many
        self._limits: list[_Instance] = []
        self._charts: dict[str, list[_Instance]] = {}
        self._stale: dict[str, list[_Instance]] = {}
        rows: list[tuple[int, float, float, float, int, int, bool]] = []
        for row in (*index.sensors, *index.groups()):
            for spec in index.line.alarm:
                if not fnmatchcase(row.id, spec.sensor):
                    continue
                if row.index >= len(index) and spec.when != "chart":
                    continue  # a group of sensors has findings, and no value of its own
                instance = _Instance(spec, row)
                self._instances[instance.key] = instance
                if spec.when == "chart":
                    self._charts.setdefault(row.id, []).append(instance)
                elif spec.when == "stale":
                    self._stale.setdefault(row.id, []).append(instance)
                else:
                    high, low = _limits(spec, row)
                    rows.append(
                        (
                            row.index,
                            high,
                            low,
                            spec.deadband,
                            int(spec.on_delay_s * 1e9),
                            int(spec.off_delay_s * 1e9),
                            spec.alarm_class == "safety",
                        )
                    )
                    self._limits.append(instance)
        self._conditions = Conditions(len(index), rows)
        self._gone: dict[str, int] = {}

    # -- data ---------------------------------------------------------------------------------

    def update(
        self, batch: Batch, findings: list[Event], name_of: Callable[[int], str | None]
    ) -> list[Event]:
        """Judge a batch and what the detectors said about it."""
        events: list[Event] = []
        for row, number, since_ns, active in self._conditions.edges(batch):
            instance = self._limits[number]
            time_ns = int(batch.time_ns[row])
            if active:
                place = float(batch.place[row])
                occurrence = self._raise(
                    instance,
                    since_ns,
                    time_ns,
                    value=float(batch.value[row]),
                    product=name_of(int(batch.product[row])),
                    place=None if np.isnan(place) else place,
                )
                occurrence.limit = _crossed(instance, float(batch.value[row]))
                events.append(self._tell("alarm", instance, occurrence, time_ns, row=row))
            else:
                events.extend(self._clear(instance, time_ns, row=row))
        for finding in findings:
            for instance in self._charts.get(finding.sensor, ()):
                events.extend(self._chart(instance, finding, self._reading(batch, finding)))
        events.sort(key=_by_row)
        return events

    def close_findings(self, findings: list[Event], now_ns: int) -> list[Event]:
        """Findings that ended because their chart changed: their alarms clear."""
        events: list[Event] = []
        for finding in findings:
            for instance in self._charts.get(finding.sensor, ()):
                opened = str(finding.detail.get("opened"))
                if opened in instance.findings:
                    instance.findings.remove(opened)
                    if not instance.findings:
                        events.extend(self._clear(instance, now_ns))
        return events

    def stale(
        self, sensor: str, since_ns: int, now_ns: int, *, silent: bool, row: int = 0
    ) -> list[Event]:
        """A sensor fell silent, or spoke again with row ``row`` of a batch."""
        events: list[Event] = []
        for instance in self._stale.get(sensor, ()):
            if silent and instance.current is not None and instance.current.active:
                continue
            if silent:
                occurrence = self._raise(instance, since_ns, now_ns)
                events.append(self._tell("system_alarm", instance, occurrence, now_ns))
            else:
                events.extend(self._clear(instance, now_ns, row=row))
        for instance in self._open.values():
            if instance.row.id == sensor and instance.current and instance.spec.when != "stale":
                instance.current.input_stale = silent
                self.changed[instance.current.id] = instance.current
        return events

    def _reading(self, batch: Batch, finding: Event) -> float | None:
        """What the sensor showed: a chart of residuals or deviations plots something else."""
        row = self._index.by_id.get(finding.sensor)
        means = finding.detail.get("mode") in ("block", "piece")
        if row is None or means or finding.row >= len(batch):
            return finding.value
        if batch.sensor[finding.row] != row.index:
            return finding.value
        return float(batch.value[finding.row])

    def _chart(self, instance: _Instance, finding: Event, reading: float | None) -> list[Event]:
        if finding.type == "finding":
            wanted = instance.spec.rules or CALLING
            if not set(finding.detail.get("rules", [finding.rule])) & set(wanted):
                return []
            instance.findings.append(finding.id)
            if len(instance.findings) > 1:
                return []
            occurrence = self._raise(
                instance,
                finding.t_first,
                finding.t_last,
                value=reading,
                product=finding.product,
                place=finding.place,
            )
            occurrence.rule = finding.rule
            occurrence.rule_text = str(finding.detail.get("meaning", ""))
            return [self._tell("alarm", instance, occurrence, finding.t_last, row=finding.row)]
        opened = finding.detail.get("opened")
        if finding.type == "finding_closed" and opened in instance.findings:
            instance.findings.remove(str(opened))
            if not instance.findings:
                return self._clear(instance, finding.t_last, row=finding.row)
        return []

    def _raise(
        self,
        instance: _Instance,
        onset_ns: int,
        raised_ns: int,
        *,
        value: float | None = None,
        product: str | None = None,
        place: float | None = None,
    ) -> Occurrence:
        instance.number += 1
        self.raised += 1
        spec, sensor = instance.spec, instance.row.id
        previous = instance.current
        occurrence = Occurrence(
            id=Occurrence.identity(spec.id, sensor, onset_ns, instance.number),
            alarm=spec.id,
            sensor=sensor,
            number=instance.number,
            onset_ns=onset_ns,
            raised_ns=raised_ns,
            latched=spec.latch,
            value=value,
            first_ns=onset_ns,
            product=product,
            place=place,
        )
        if previous is not None and not previous.over():
            if not previous.acked_ns:
                occurrence.earlier = [*previous.earlier, previous.id][-20:]
            occurrence.shelved_until_ns = previous.shelved_until_ns
            occurrence.shelved_by = previous.shelved_by
            occurrence.shelved_reason = previous.shelved_reason
            previous.shelved_until_ns = 0
            previous.latched = False
            self.changed[previous.id] = previous
        instance.current = occurrence
        self._open[instance.key] = instance
        self.changed[occurrence.id] = occurrence
        return occurrence

    def _clear(self, instance: _Instance, time_ns: int, *, row: int = 0) -> list[Event]:
        occurrence = instance.current
        if occurrence is None or not occurrence.active:
            return []
        occurrence.clear(time_ns)
        self._settle(instance)
        kind = "system_alarm_cleared" if instance.spec.when == "stale" else "alarm_cleared"
        return [self._tell(kind, instance, occurrence, time_ns, row=row)]

    def _settle(self, instance: _Instance) -> None:
        """Write the occurrence; let go of it when it is over."""
        occurrence = instance.current
        if occurrence is not None:
            self.changed[occurrence.id] = occurrence
            if occurrence.over():
                instance.current = None
                self._open.pop(instance.key, None)

    # -- people -------------------------------------------------------------------------------

    def act(self, action: dict[str, Any], now_ns: int) -> list[Event]:
        """Carry out an operator action (``ack``, ``shelve``, ``unshelve``, ``reset``).

        Raises:
            Refusal: It is not possible; nothing changed.
        """
        wanted = str(action.get("occurrence", ""))
        instance = next(
            (i for i in self._open.values() if i.current and i.current.id == wanted), None
        )
        if instance is None or instance.current is None:
            if any(i.current and wanted in i.current.earlier for i in self._open.values()):
                raise Refusal(
                    "the alarm came again meanwhile; look at the newer occurrence", "changed"
                )
            raise Refusal("this occurrence is over or was never there", "unknown")
        occurrence = instance.current
        actor = str(action.get("actor", ""))
        kind = str(action.get("op", ""))
        reason = str(action.get("reason") or action.get("comment") or "")[:1000]
        more: dict[str, Any] = {}
        if kind == "ack":
            occurrence.acknowledge(actor, reason, now_ns)
            if occurrence.earlier:
                more["earlier"] = occurrence.earlier
                occurrence.earlier = []
        elif kind == "shelve":
            occurrence.shelve(actor, reason, now_ns + _shelf_ns(action), now_ns, instance.spec)
        elif kind == "unshelve":
            occurrence.unshelve()
        elif kind == "reset":
            occurrence.reset()
        else:
            raise Refusal(f"unknown action {kind!r}; allowed: ack, shelve, unshelve, reset")
        self._settle(instance)
        told = self._tell(_DONE[kind], instance, occurrence, now_ns, actor=actor, reason=reason)
        told.detail.update(more)
        return [told]

    def due_ns(self) -> int | None:
        """When the next shelf ends."""
        ends = [
            i.current.shelved_until_ns
            for i in self._open.values()
            if i.current and i.current.shelved_until_ns
        ]
        return min(ends, default=None)

    def tick(self, now_ns: int) -> list[Event]:
        """Shelves that end at or before ``now_ns``."""
        events: list[Event] = []
        for _, instance in sorted(self._open.items()):
            occurrence = instance.current
            if occurrence and 0 < occurrence.shelved_until_ns <= now_ns:
                end = occurrence.shelved_until_ns
                occurrence.unshelve()
                self._settle(instance)
                events.append(
                    self._tell("alarm_unshelved", instance, occurrence, end, reason="time is over")
                )
        return events

    # -- telling ------------------------------------------------------------------------------

    def _tell(
        self,
        kind: str,
        instance: _Instance,
        occurrence: Occurrence,
        time_ns: int,
        *,
        actor: str = "",
        reason: str = "",
        row: int = 0,
    ) -> Event:
        occurrence.told += 1
        detail: dict[str, Any] = {
            "alarm": occurrence.alarm,
            "occurrence": occurrence.id,
            "priority": str(instance.spec.priority),
            "state": str(occurrence.state()),
            "title": title_of(instance.spec, instance.row),
            "onset": iso(occurrence.onset_ns),
        }
        if occurrence.limit is not None:
            detail["limit"] = occurrence.limit
        if actor:
            detail["actor"] = actor
        if reason:
            detail["reason"] = reason
        return Event(
            id=event_id(kind, occurrence.id, occurrence.told),
            type=kind,
            rule=occurrence.rule or instance.spec.when,
            ruleset=f"alarm:{occurrence.alarm}",
            sensor=occurrence.sensor,
            product=occurrence.product,
            place=occurrence.place,
            t_first=occurrence.onset_ns,
            t_last=time_ns,
            value=occurrence.value,
            detail=detail,
            row=row,
        )

    def open(self) -> list[tuple[Alarm, SensorRow, Occurrence]]:
        """Everything that needs somebody, most urgent first, then oldest first."""
        found = [(i.spec, i.row, i.current) for i in self._open.values() if i.current is not None]
        return sorted(found, key=lambda f: (f[0].priority, f[2].onset_ns, f[1].id, f[0].id))

    # -- state --------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """State as msgpack-able values."""
        return {
            "version": self.VERSION,
            "raised": self.raised,
            "conditions": self._conditions.snapshot(),
            "gone": self._gone,
            "instances": {
                key: [i.number, i.findings, msgspec.to_builtins(i.current)]
                for key, i in self._instances.items()
                if i.number
            },
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot of the same line version."""
        self.raised = state["raised"]
        self._conditions.restore(state["conditions"])
        self._gone = dict(state["gone"])
        for key, (number, findings, current) in state["instances"].items():
            instance = self._instances[key]
            instance.number, instance.findings = number, list(findings)
            instance.current = None if current is None else msgspec.convert(current, Occurrence)
        self._find_open()

    def follow(self, old: Alarms, now_ns: int) -> list[Event]:
        """Take over the alarms of the version before; those that are gone are closed, and say so."""
        self.raised = old.raised
        self.changed = old.changed
        self._gone = old._gone
        events: list[Event] = []
        for key, before in old._instances.items():
            after = self._instances.get(key)
            if after is not None and after.same_as(before):
                after.number, after.findings = before.number, before.findings
                after.current = before.current
                continue
            if before.number:
                self._gone[key] = before.number
            if before.current is not None:
                events.append(self._retire(before, before.current, old, now_ns))
        for key in self._gone.keys() & self._instances.keys():
            # Numbers go on, so that no occurrence ever gets the id of another one.
            instance = self._instances[key]
            instance.number = max(instance.number, self._gone.pop(key))
        number_of = {instance.key: number for number, instance in enumerate(old._limits)}
        for number, instance in enumerate(self._limits):
            other = number_of.get(instance.key)
            if other is not None and instance.same_as(old._limits[other]):
                self._conditions.active[number] = old._conditions.active[other]
                self._conditions.since[number] = old._conditions.since[other]
        self._find_open()
        return events

    def _find_open(self) -> None:
        self._open = {key: i for key, i in self._instances.items() if i.current is not None}

    def _retire(
        self, instance: _Instance, occurrence: Occurrence, old: Alarms, now_ns: int
    ) -> Event:
        if occurrence.active:
            occurrence.clear(now_ns)
        occurrence.latched = False
        occurrence.shelved_until_ns = 0
        self.changed[occurrence.id] = occurrence
        return old._tell("alarm_retired", instance, occurrence, now_ns, reason="the rule changed")

    def catch_up(self, findings: list[Event]) -> list[Event]:
        """Findings that were open before an alarm on them existed or was changed raise it now."""
        events: list[Event] = []
        for finding in findings:
            for instance in self._charts.get(finding.sensor, ()):
                if finding.id not in instance.findings:
                    events.extend(self._chart(instance, finding, finding.value))
        return events


_DONE = {
    "ack": "alarm_acknowledged",
    "shelve": "alarm_shelved",
    "unshelve": "alarm_unshelved",
    "reset": "alarm_reset",
}


def _by_row(event: Event) -> int:
    return event.row


def title_of(spec: Alarm, row: SensorRow) -> str:
    """One line for the operator."""
    return spec.title or f"{row.spec.title or row.id}: {spec.when}"


def _limits(spec: Alarm, row: SensorRow) -> tuple[float, float]:
    limit = float("inf") if spec.limit is None else spec.limit
    if spec.when == "above":
        return limit, -np.inf
    if spec.when == "below":
        return np.inf, limit
    limits = row.spec.limits
    if spec.limit is None and limits is not None:
        high = np.inf if limits.usl is None else limits.usl
        low = -np.inf if limits.lsl is None else limits.lsl
        return high, low
    target = limits.target if limits is not None and limits.target is not None else 0.0
    return target + limit, target - limit


def _shelf_ns(action: dict[str, Any]) -> int:
    """How long somebody wants to shelve, ns; what they sent may be anything."""
    try:
        return int(float(action.get("minutes", 0)) * 60e9)
    except (TypeError, ValueError, OverflowError) as error:
        raise Refusal("minutes is not a number") from error


def _crossed(instance: _Instance, value: float) -> float | None:
    high, low = _limits(instance.spec, instance.row)
    limit = high if value > high else low
    return limit if np.isfinite(limit) else None
