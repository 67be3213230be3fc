"""The record of one product: an append-only list of what was said about it, and what follows."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

import msgspec

from twin.products.kernel import OPEN
from twin.products.message import ENTERS
from twin.products.stays import Stay

__all__ = ["Entry", "Product", "Summary"]


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One thing said about a product. Never changed, never removed.

    Attributes:
        time_ns: When it was so (event time).
        seq: When linetwin learned it (journal sequence number).
        op: Operation; ``consume`` stands at a parent when a child was made from it, ``displace``
            at a product when another one came to its place.
        spot: Where.
        parents: Parents named with it.
    """

    time_ns: int
    seq: int
    op: str
    spot: int
    parents: tuple[str, ...] = ()

    def same(self, other: Entry) -> bool:
        """Whether the other says nothing new."""
        return (self.time_ns, self.op, self.spot, self.parents) == (
            *(other.time_ns, other.op, other.spot, other.parents),
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """What the history of a product comes to.

    Attributes:
        spot: Where it is, or was last.
        parents: Every parent ever named.
        t_start: First arrival anywhere, ns; None when it was nowhere.
        t_end: Last leaving, ns; None while it is somewhere or when it was nowhere.
        state: ``created``, ``working`` (at a station), ``waiting``, ``consumed`` or ``scrapped``.
        disposition: ``OK``, ``HOLD`` or ``SCRAP``.
    """

    spot: int
    parents: list[str]
    t_start: int | None
    t_end: int | None
    state: str
    disposition: str


@dataclass(slots=True)
class Product:
    """A product and its history.

    Attributes:
        index: Its index in ``Batch.product``; never used again for another product.
        id: Product id.
        kind: Kind of product.
        recipe: Recipe it is made by; empty while nobody said.
        history: Entries in order of event time, then journal order.
        fallen_length: Longest metre of stays that are no longer in a ring, m.
        fallen_rows: Rows joined in stays that are no longer in a ring.
    """

    index: int
    id: str
    kind: str
    recipe: str = ""
    history: list[Entry] = field(default_factory=list)
    fallen_length: float = 0.0
    fallen_rows: int = 0
    _packed: bytes | None = None
    _summary: Summary | None = None

    def add(self, entry: Entry) -> bool:
        """Append an entry; False when it was known."""
        at = bisect.bisect_left(self.history, Entry(entry.time_ns, -1, "", -1))
        for known in self.history[at:]:
            if known.time_ns != entry.time_ns:
                break
            if known.same(entry):
                return False
        bisect.insort(self.history, entry)
        self._packed = self._summary = None
        return True

    def of_recipe(self, recipe: str) -> None:
        """It is made by this recipe."""
        self.recipe = recipe
        self._packed = None

    def fall(self, length: float, rows: int) -> None:
        """A stay has left its ring; keep its longest metre and its number of rows."""
        self.fallen_length = max(self.fallen_length, length)
        self.fallen_rows += rows
        self._packed = None

    @property
    def spots(self) -> set[int]:
        """Spots named anywhere in the history."""
        return {entry.spot for entry in self.history}

    @property
    def parents(self) -> list[str]:
        """Every parent ever named, in order of event time."""
        return list(dict.fromkeys(p for entry in self.history for p in entry.parents))

    def stays(self) -> list[Stay]:
        """Where it was from when to when, by what is known now; ascending."""
        found: list[Stay] = []
        present: dict[int, Stay] = {}
        for entry in self.history:
            if entry.op in ("move", "scrap"):
                gone = [spot for spot in present if spot != entry.spot or entry.op == "scrap"]
            elif entry.op in ("end", "consume", "displace"):
                gone = [entry.spot]
            else:
                gone = []
            for spot in gone:
                if spot in present:
                    present.pop(spot).end = entry.time_ns
            if entry.op in ENTERS and entry.spot not in present:
                present[entry.spot] = Stay(entry.spot, entry.time_ns, OPEN, self.index)
                found.append(present[entry.spot])
        return found

    def summary(self) -> Summary:
        """What follows from the history; kept until something is added."""
        if self._summary is None:
            stays = self.stays()
            left = bool(stays) and all(stay.end != OPEN for stay in stays)
            self._summary = Summary(
                spot=stays[-1].spot if stays else self.history[-1].spot,
                parents=self.parents,
                t_start=stays[0].start if stays else None,
                t_end=max(stay.end for stay in stays) if left else None,
                state=self._state(stays),
                disposition=self._disposition(),
            )
        return self._summary

    def _state(self, stays: list[Stay]) -> str:
        ops = [entry.op for entry in self.history]
        if "scrap" in ops:
            return "scrapped"
        if any(stay.end == OPEN for stay in stays):
            return "working"
        if ops[-1] == "consume":
            return "consumed"
        return "waiting" if stays else "created"

    def _disposition(self) -> str:
        said = [e.op for e in self.history if e.op in ("hold", "release", "scrap")]
        if "scrap" in said:
            return "SCRAP"
        return "HOLD" if said and said[-1] == "hold" else "OK"

    def dump(self) -> bytes:
        """As bytes; kept until something changes, since most products never change again."""
        if self._packed is None:
            entries = [[e.time_ns, e.seq, e.op, e.spot, list(e.parents)] for e in self.history]
            facts = (self.fallen_length, self.fallen_rows)
            self._packed = msgspec.msgpack.encode(
                [self.index, self.id, self.kind, self.recipe, entries, *facts]
            )
        return self._packed

    @classmethod
    def load(cls, packed: bytes) -> Product:
        """From :meth:`dump`."""
        index, name, kind, recipe, entries, length, rows = msgspec.msgpack.decode(packed)
        history = [Entry(t, seq, op, spot, tuple(parents)) for t, seq, op, spot, parents in entries]
        return cls(index, name, kind, recipe, history, length, rows)
