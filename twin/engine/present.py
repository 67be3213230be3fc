"""Records of the twin as the plain data the board's API says (shapes of ``twin.ports.View``)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from twin.alarms.server import title_of
from twin.model.event import iso

if TYPE_CHECKING:
    from twin.alarms import Occurrence
    from twin.model.event import Event
    from twin.model.index import SensorRow
    from twin.model.line import Alarm

__all__ = ["alarm", "event", "finding", "limits_of", "number", "numbers"]


def number(value: float) -> float | None:
    """The value, or None when it is not finite."""
    return value if math.isfinite(value) else None


def numbers(values: Any) -> list[float | None]:
    """A column for JSON."""
    return [number(float(v)) for v in values]


def limits_of(row: SensorRow, control: dict[str, float | None]) -> dict[str, Any] | None:
    """Lines beside a value (``Limits``); None without any.

    Args:
        row: The sensor.
        control: ``centre``, ``lcl`` and ``ucl`` in force for the values themselves; may be empty.
    """
    limits = row.spec.limits
    if limits is None and not control:
        return None
    return {
        "target": limits.target if limits else None,
        "lsl": limits.lsl if limits else None,
        "usl": limits.usl if limits else None,
        "centre": control.get("centre"),
        "lcl": control.get("lcl"),
        "ucl": control.get("ucl"),
    }


def finding(event: Event, *, is_open: bool) -> dict[str, Any]:
    """A ``Finding``."""
    return {
        "id": event.id,
        "rule": event.rule,
        "text": str(event.detail.get("meaning", event.rule)),
        "t_first": iso(event.t_first),
        "t_last": iso(event.t_last),
        "open": is_open,
        "value": event.value,
        "product": event.product,
        "place": event.place,
    }


def event(n: int, told: Event) -> dict[str, Any]:
    """An ``Event`` with its number."""
    return {
        "number": n,
        "id": told.id,
        "type": told.type,
        "rule": told.rule,
        "ruleset": told.ruleset,
        "sensor": told.sensor,
        "product": told.product,
        "place": told.place,
        "t_first": iso(told.t_first),
        "t_last": iso(told.t_last),
        "value": told.value,
        "detail": told.detail,
    }


def alarm(spec: Alarm, row: SensorRow, o: Occurrence) -> dict[str, Any]:
    """An ``Alarm``: one occurrence with all an operator needs to act."""
    acked = None
    if o.acked_ns:
        acked = {"by": o.acked_by, "at": iso(o.acked_ns), "comment": o.comment}
    return {
        "occurrence": o.id,
        "alarm": o.alarm,
        "title": title_of(spec, row),
        "priority": str(spec.priority),
        "alarm_class": str(spec.alarm_class),
        "state": str(o.state()),
        "sensor": o.sensor,
        "sensor_title": row.spec.title or row.id,
        "value": o.value,
        "limit": o.limit,
        "unit": row.spec.unit,
        "onset": iso(o.onset_ns),
        "raised": iso(o.raised_ns),
        "cleared": iso(o.cleared_ns) if o.cleared_ns else None,
        "acked": acked,
        "cause": spec.cause,
        "consequence": spec.consequence,
        "action": spec.action,
        "respond_s": spec.respond_s,
        "product": o.product,
        "place": o.place,
        "rule": o.rule,
        "rule_text": o.rule_text,
        "first_sample": {"time": iso(o.first_ns), "value": o.value},
        "count": o.number,
    }
