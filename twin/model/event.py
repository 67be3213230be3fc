"""What linetwin says: one record per thing worth telling a person or a sink, and its identity."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

__all__ = ["SYSTEM_TYPES", "Event", "event_id", "id_of", "iso", "line_of", "plain"]

SYSTEM_TYPES = frozenset(
    {
        "source",
        "config",
        "clock",
        "gap",
        "stale",
        "fresh",
        "system_alarm",
        "system_alarm_cleared",
    }
)
"""Events about how the data travelled. They are kept and shown, but are no part of
``events.jsonl`` and its hash: those are about the line."""


class Event(msgspec.Struct, kw_only=True, frozen=True):
    """One line of ``events.jsonl``.

    Unless its type is one of ``SYSTEM_TYPES`` an event holds nothing that depends on when or how
    the data travelled (no receive time, no journal number), so the same data gives the same bytes
    over every path.

    Attributes:
        id: 32 hex digits from :func:`event_id`.
        type: ``finding``, ``finding_closed``, ``validity``, ``validity_closed``, ``alarm``,
            ``data_quality``, ``formation_step``, ``formation_cycle``, ``product``, ``source``,
            ``config``; new types may be added.
        rule: Rule that speaks, for example ``WE1``, ``ewma``, ``stuck``.
        ruleset: Named, versioned set the rule belongs to, for example ``western_electric@1``.
        sensor: ``station/key``, or empty.
        product: Product id, or None.
        place: Metre on the web or slot number, or None.
        t_first: First event time of the pattern, ns since 1970 UTC.
        t_last: Last event time of the pattern (the sample that opened it), ns.
        value: The value that opened it, in the sensor's unit.
        detail: Further facts by name; keys are sorted on output.
        row: Row of the batch that made it speak. Never written: it only puts the events of all
            stages into the order of the samples, whatever the batch boundaries.
    """

    id: str
    type: str
    rule: str = ""
    ruleset: str = ""
    sensor: str = ""
    product: str | None = None
    place: float | None = None
    t_first: int = 0
    t_last: int = 0
    value: float | None = None
    detail: dict[str, Any] = {}
    row: int = 0


def event_id(*parts: str | int) -> str:
    """Identity of an event from its content: the same facts give the same id on every run.

    Args:
        *parts: What makes the event unique, for example rule, rule version, entity, type, onset.

    Examples:
        >>> event_id("WE1", 1, "calender/line_load", "finding", 1700000000000000000)
        'bb9404ed0e5ffe5dd065c5a4b1de4812'
    """
    return id_of("\x1f".join(map(str, parts)))


_blank = hashlib.blake2b(digest_size=16)


def id_of(text: str) -> str:
    """The same for parts that are joined already, by the character U+001F."""
    digest = _blank.copy()  # a third faster than a new one
    digest.update(text.encode())
    return digest.hexdigest()


@lru_cache(maxsize=8192)
def iso(time_ns: int) -> str:
    """ISO 8601 UTC with microseconds; remembered, because many events share their times.

    Examples:
        >>> iso(1_750_855_643_474_000_000)
        '2025-06-25T12:47:23.474000Z'
    """
    # Three times as fast as datetime.
    return f"{np.datetime64(time_ns // 1000, 'us')}Z"


def plain(value: object) -> object:
    """A numpy number as a Python number, for encoders (``enc_hook``).

    Raises:
        NotImplementedError: Something else that cannot be written.
    """
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} has no place in an event")


_encoder = msgspec.json.Encoder(order="sorted", enc_hook=plain)


_encoder_head = msgspec.json.Encoder(enc_hook=plain)


def line_of(event: Event) -> bytes:
    """The event as one JSON line with a fixed order of keys, ending in a newline."""
    head = {
        "id": event.id,
        "type": event.type,
        "rule": event.rule,
        "ruleset": event.ruleset,
        "sensor": event.sensor,
        "product": event.product,
        "place": event.place,
        "t_first": iso(event.t_first),
        "t_last": iso(event.t_last),
        "value": event.value,
    }
    first = _encoder_head.encode(head)
    rest = _encoder.encode(event.detail)
    if rest == b"{}":
        return first + b"\n"
    return first[:-1] + b"," + rest[1:] + b"\n"
