"""What linetwin says: one record per thing worth telling a person or a sink, and its identity."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "SYSTEM_TYPES",
    "Event",
    "closing_id",
    "event_id",
    "finding_ids",
    "id_of",
    "iso",
    "line_of",
    "plain",
    "seed_of",
]

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


class Event(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """One line of ``events.jsonl``.

    Unless its type is one of ``SYSTEM_TYPES`` an event holds nothing that depends on when or how
    the data travelled (no receive time, no journal number), so the same data gives the same bytes
    over every path.

    Attributes:
        id: 32 hex digits from :func:`event_id`; of findings that come by the thousand, from
            :func:`finding_ids` and :func:`closing_id`.
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


_SPREAD_TIME, _SPREAD_NUMBER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd, so that no two times, and no two numbers, give the same."""
_CLOSED = dict(zip("0123456789abcdef", "89abcdef01234567", strict=True))


def seed_of(*parts: str | int) -> int:
    """Half of an identity: who speaks, for :func:`finding_ids`; below 2^64."""
    return int(event_id(*parts)[:16], 16)


def finding_ids(
    seeds: NDArray[np.uint64], t_first: NDArray[np.int64], numbers: NDArray[np.int64]
) -> list[str]:
    """Identities of many findings at once, at a tenth of the cost of :func:`event_id`.

    The first half tells who speaks, the second half since when, and which of his findings it is.

    Args:
        seeds: From :func:`seed_of`, shape (n,).
        t_first: Onsets, ns, shape (n,).
        numbers: Occurrence counters of who speaks, shape (n,).
    """
    halves = np.empty((len(seeds), 2), ">u8")
    halves[:, 0] = seeds
    halves[:, 1] = t_first.astype(np.uint64) * _SPREAD_TIME
    halves[:, 1] += numbers.astype(np.uint64) * _SPREAD_NUMBER
    digits = halves.tobytes().hex()
    return [digits[at : at + 32] for at in range(0, len(digits), 32)]


def closing_id(opened: str) -> str:
    """Identity of the event that closes what ``opened`` opened: another first digit.

    Examples:
        >>> closing_id("bb9404ed0e5ffe5dd065c5a4b1de4812")
        '3b9404ed0e5ffe5dd065c5a4b1de4812'
    """
    return _CLOSED[opened[0]] + opened[1:]


@lru_cache(maxsize=8192)
def iso(time_ns: int) -> str:
    """ISO 8601 UTC with microseconds; remembered, because many events share their times.

    Examples:
        >>> iso(1_750_855_643_474_000_000)
        '2025-06-25T12:47:23.474000Z'
    """
    second, rest = divmod(time_ns // 1000, 1_000_000)
    return f"{_second(second)}.{rest:06d}Z"


@lru_cache(maxsize=1024)
def _second(time_s: int) -> str:
    return str(np.datetime64(time_s, "s"))  # three times as fast as datetime


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
