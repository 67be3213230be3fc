"""Product messages: what a station may say about the products it works on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from twin.errors import DecodeError
from twin.model.message import Reason

__all__ = ["ENTERS", "Op", "ProductNote", "read"]

Op = Literal["create", "start", "end", "move", "transform", "hold", "release", "scrap"]

ENTERS = frozenset({"start", "move", "transform"})
"""Operations after which the product is at the station."""

_NS_PER_MS = 1_000_000
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
_Word = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[A-Za-z0-9_.:-]*$")]


class ProductNote(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One product message.

    Attributes:
        op: ``create``: it exists. ``start``: work on it begins at the station. ``end``: it leaves
            the station. ``move``: as start, for a product that was elsewhere. ``transform``: it
            is made here from ``parents``, which leave the station. ``hold``, ``release``,
            ``scrap``: its disposition changes.
        id: Product id: 1 to 128 printable characters without blanks.
        kind: Kind of product; may be left out when the product is known or the station makes
            only one kind.
        ts: Event time, ms since 1970 UTC; None means the time of receipt.
        parents: Ids of the products it is made from, at most 1000.
        station: Station id.
        slot: Formation channel, for stations that hold several products.
        recipe: Recipe it is made by; left out, it has that of its parents.
        seq: Sequence number of the source; not used.
    """

    op: Op
    id: _Id
    station: _Word
    kind: _Word = ""
    ts: Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)] | None = None
    parents: Annotated[list[_Id], msgspec.Meta(max_length=1000)] = []
    slot: _Word | None = None
    recipe: _Word = ""
    seq: int | None = None

    @property
    def time_ns(self) -> int | None:
        """Event time in ns since 1970 UTC."""
        return None if self.ts is None else self.ts * _NS_PER_MS


def read(message: dict[str, Any]) -> ProductNote:
    """Check a decoded product message.

    Raises:
        DecodeError: ``SCHEMA``; the detail says which field and why.
    """
    try:
        note = msgspec.convert(message, ProductNote, strict=True)
    except msgspec.ValidationError as error:
        raise DecodeError(Reason.SCHEMA, f"product message: {error}") from error
    if len(set(note.parents)) < len(note.parents):
        raise DecodeError(Reason.SCHEMA, f'product "{note.id}": a parent is named twice')
    if note.id in note.parents:
        raise DecodeError(Reason.SCHEMA, f'product "{note.id}" cannot be its own parent')
    if note.op == "transform" and not note.parents:
        raise DecodeError(Reason.SCHEMA, f'product "{note.id}": transform needs parents')
    return note
