"""Findings that are open, the sample an event speaks about, and the event that closes."""

from __future__ import annotations

from itertools import repeat
from math import isnan
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from twin.model.event import Event, closing_id, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from twin.model.batch import Batch

    NameOf = Callable[[int], str | None]
    """Product index of a batch row to product id."""

__all__ = ["Opened", "Row", "closing", "places_of", "plain", "product_of", "products_of"]


class Opened(msgspec.Struct, gc=False):
    """A finding that is open.

    Attributes:
        event: What was said when it opened.
        number: Occurrence counter of the sensor, part of the event's identity.
        mask: Rule bits that keep it open; detectors with one rule use 1.
        n: Ordinal of the sample that opened it.
    """

    event: Event
    number: int
    mask: int
    n: int


class Row(msgspec.Struct, frozen=True):
    """What an event takes from the batch row it speaks about.

    Attributes:
        i: Row of the batch.
        time_ns: Event time, ns.
        value: Value in the sensor's unit.
        product: Product id, or None.
        place: Metre or slot, or None.
    """

    i: int
    time_ns: int
    value: float
    product: str | None
    place: float | None

    @classmethod
    def of(cls, batch: Batch, i: int, name_of: NameOf | None) -> Row:
        """Row ``i`` of a batch."""
        place = float(batch.place[i])
        return cls(
            i,
            int(batch.time_ns[i]),
            float(batch.value[i]),
            product_of(int(batch.product[i]), name_of),
            None if isnan(place) else place,
        )


def product_of(product: int, name_of: NameOf | None) -> str | None:
    """Product id of a product index; None without a product or without a table of names."""
    return name_of(product) if product >= 0 and name_of is not None else None


def products_of(numbers: NDArray[np.int32], name_of: NameOf | None) -> Iterable[str | None]:
    """Product ids of product numbers; without any, None for ever."""
    if name_of is None or not (numbers >= 0).any():
        return repeat(None)
    return [product_of(number, name_of) for number in numbers.tolist()]


def places_of(places: NDArray[np.float64]) -> Iterable[float | None]:
    """Metres or slots, None for NaN; without any, None for ever."""
    if np.isnan(places).all():
        return repeat(None)
    return [None if isnan(place) else place for place in places.tolist()]


def closing(
    finding: Opened,
    t_last: int,
    at: Row | None,
    *,
    cause: str,
    samples: int | None = None,
) -> Event:
    """The event that ends a finding.

    ``t_first`` is that of the finding, ``t_last`` the last sample for which it held; the detail
    names the opening event, the cause, how many samples it held and when it closed.
    """
    opened = finding.event
    detail: dict[str, Any] = {"opened": opened.id, "cause": cause}
    if samples is not None:
        detail["samples"] = samples
    if at is None:
        return _closed(finding, t_last, 0, None, opened.product, opened.place, detail)
    detail["closed_at"] = iso(at.time_ns)
    return _closed(finding, t_last, at.i, at.value, at.product, at.place, detail)


def closed_at(
    finding: Opened,
    cause: str,
    samples: int,
    t_last: int,
    i: int,
    time_ns: int,
    value: float,
    product: str | None,
    place: float | None,
) -> Event:
    """The same for an event of type ``finding`` whose rules and side are known, in half the time.

    Args:
        finding: What closes.
        cause: ``inside``, ``gap``, ``recipe`` or another short word.
        samples: For how many it held.
        t_last: Event time of the last of them, ns.
        i: Row of the batch that closes it, and what stands there.
        time_ns: Event time, ns.
        value: Value in the sensor's unit.
        product: Product id, or None.
        place: Metre or slot, or None.
    """
    opened = finding.event
    said, before = opened.detail, opened.id
    return Event(
        id=closing_id(before),
        type="finding_closed",
        rule=opened.rule,
        ruleset=opened.ruleset,
        sensor=opened.sensor,
        product=product,
        place=place,
        t_first=opened.t_first,
        t_last=t_last,
        value=value,
        detail={
            "opened": before,
            "cause": cause,
            "samples": samples,
            "closed_at": iso(time_ns),
            "rules": said["rules"],
            "side": said["side"],
        },
        row=i,
    )


def _closed(
    finding: Opened,
    t_last: int,
    i: int,
    value: float | None,
    product: str | None,
    place: float | None,
    detail: dict[str, Any],
) -> Event:
    opened = finding.event
    said = opened.detail
    if "rules" in said:
        detail["rules"] = said["rules"]
        detail["side"] = said["side"]
    return Event(
        id=closing_id(opened.id),
        type=f"{opened.type}_closed",
        rule=opened.rule,
        ruleset=opened.ruleset,
        sensor=opened.sensor,
        product=product,
        place=place,
        t_first=opened.t_first,
        t_last=t_last,
        value=value,
        detail=detail,
        row=i,
    )


def plain(finding: Opened) -> dict[str, Any]:
    """The finding without its batch row: state must not know how the stream was cut."""
    plain: dict[str, Any] = msgspec.to_builtins(finding)
    plain["event"]["row"] = 0
    return plain
