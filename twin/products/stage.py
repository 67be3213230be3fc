"""The stage: product messages in, product and place of every reading out."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from twin.errors import DecodeError, StateError
from twin.model.batch import Batch
from twin.model.event import Event, event_id
from twin.model.message import Reason
from twin.products.kernel import OPEN
from twin.products.message import ENTERS, ProductNote, read
from twin.products.recipes import Recipes
from twin.products.record import Entry, Product
from twin.products.stays import Places

if TYPE_CHECKING:
    from twin.model.index import LineIndex

__all__ = ["Products"]

_MOST_ENTRIES = 1000
"""Messages about one product; more is a station that sends in a loop."""


class Products:
    """Products of a line, and which of them was where.

    Everything is decided by event time: a reading belongs to the product that was at its station
    (or formation channel) when it was *taken*, by what the journal said until then. The result
    does not depend on how the journal is cut into batches.

    * A message said twice changes nothing and gives no event.
    * A message that comes late is put into the product's history at its event time. It moves the
      borders for readings that come after it; rows joined before keep what they were given.
    * Of two products at one spot the one that came later counts; the earlier has left.
    * A reading more than ``kernel.STAYS`` products late at a busy station has no product.

    Memory is bounded: all products at a station are kept, and of the others the newest ``keep``.
    An older one is dropped from this table; what was said about it stays in the events.

    Args:
        index: The line.
        keep: Products kept that are at no station.
    """

    VERSION = 2

    def __init__(self, index: LineIndex, keep: int = 100_000) -> None:
        self._index = index
        self._keep = keep
        self._places = Places(index)
        self._recipes = Recipes(index)
        self._kinds = {station.id: station.product for station in index.line.station}
        self._by_id: dict[str, Product] = {}
        self._by_index: dict[int, Product] = {}
        self._idle: dict[int, None] = {}  # at no station, least recently heard of first
        self._next = 0
        self._places.join(Batch.of([], [], []))  # compiles now, not in mid-stream

    # -- messages -------------------------------------------------------------------------------

    def handle(self, message: dict[str, Any], time_ns: int, seq: int) -> list[Event]:
        """Take a product message.

        Args:
            message: Decoded JSON with ``station`` filled in; see
                :class:`~twin.products.message.ProductNote`.
            time_ns: Stands in for ``ts`` when the message has none.
            seq: Journal sequence number.

        Returns:
            One event of type ``product``, or none when the message says nothing new.

        Raises:
            DecodeError: ``SCHEMA``: not a product message of this line; ``CONFLICT``: it
                contradicts what is known; ``CARDINALITY``: too many messages about one product.
                Nothing was changed.
        """
        note = read(message)
        moment = time_ns if note.time_ns is None else note.time_ns
        spot = self._spot(note)
        product = self._by_id.get(note.id)
        kind = self._kind(note, product)
        recipe = self._recipe(note, product)
        self._refuse_cycle(note)
        if product is not None and len(product.history) >= _MOST_ENTRIES:
            raise DecodeError(
                Reason.CARDINALITY, f'product "{note.id}" has {_MOST_ENTRIES} messages already'
            )
        if product is None:
            product = Product(self._next, note.id, kind)
            self._by_id[note.id] = self._by_index[self._next] = product
            self._next += 1
        if recipe != product.recipe:
            product.of_recipe(recipe)
            self._recipes.learn(product.index, recipe)
        entry = Entry(moment, seq, note.op, spot, tuple(note.parents))
        if not product.add(entry):
            return []
        if note.op == "transform":
            self._consume(note.parents, entry)
        if note.op in ENTERS:
            self._displace(product, entry)
        self._settle(product)
        self._forget()
        return [self._event(note, product, moment)]

    def _spot(self, note: ProductNote) -> int:
        if note.station not in self._kinds:
            raise DecodeError(
                Reason.SCHEMA,
                f'product "{note.id}": no station "{note.station}"; known: '
                + ", ".join(self._kinds),
            )
        spot = self._places.spots.get((note.station, note.slot or ""))
        if spot is None:
            slots = [slot for station, slot in self._places.spots if station == note.station]
            raise DecodeError(
                Reason.SCHEMA,
                f'product "{note.id}": station "{note.station}" has no slot "{note.slot}"; known: '
                + (", ".join(filter(None, slots[:12])) or "none"),
            )
        return spot

    def _kind(self, note: ProductNote, known: Product | None) -> str:
        if known is not None:
            if note.kind and note.kind != known.kind:
                raise DecodeError(
                    Reason.CONFLICT,
                    f'product "{note.id}" is a {known.kind}, now said to be a {note.kind}',
                )
            return known.kind
        kind = note.kind or self._kinds[note.station]
        if not kind:
            raise DecodeError(
                Reason.SCHEMA,
                f'product "{note.id}" is not known yet and station "{note.station}" makes no '
                'single kind; send "kind"',
            )
        return kind

    def _recipe(self, note: ProductNote, known: Product | None) -> str:
        said = known.recipe if known is not None else ""
        if said and note.recipe and note.recipe != said:
            raise DecodeError(
                Reason.CONFLICT,
                f'product "{note.id}" is made by recipe {said}, now said to be {note.recipe}',
            )
        parents = (self._by_id.get(name) for name in note.parents)
        inherited = next((p.recipe for p in parents if p is not None and p.recipe), "")
        return said or note.recipe or inherited

    def _refuse_cycle(self, note: ProductNote) -> None:
        """A product is never its own ancestor."""
        waiting, seen = list(note.parents), set(note.parents)
        while waiting:
            parent = self._by_id.get(waiting.pop())
            for name in parent.parents if parent else ():
                if name == note.id:
                    raise DecodeError(
                        Reason.CONFLICT, f'product "{note.id}" would be its own ancestor'
                    )
                if name not in seen:
                    seen.add(name)
                    waiting.append(name)

    def _consume(self, parents: list[str], entry: Entry) -> None:
        """Parents that stand where the child is made have left."""
        for name in parents:
            parent = self._by_id.get(name)
            if parent and len(parent.history) < _MOST_ENTRIES:
                there = [stay for stay in parent.stays() if stay.spot == entry.spot]
                if any(stay.start <= entry.time_ns < stay.end for stay in there) and parent.add(
                    Entry(entry.time_ns, entry.seq, "consume", entry.spot)
                ):
                    self._settle(parent)

    def _displace(self, product: Product, entry: Entry) -> None:
        """A spot holds one product: who was there has left, and who comes next ends this stay."""
        present, follows = self._places.neighbours(entry.spot, entry.time_ns, product.index)
        other = self._by_index.get(present)
        if other is not None:
            other.add(Entry(entry.time_ns, entry.seq, "displace", entry.spot))
            self._settle(other)
        if follows is not None:
            product.add(Entry(follows, entry.seq, "displace", entry.spot))

    def _settle(self, product: Product) -> None:
        """Put what is known now about a product into the rings."""
        stays = product.stays()
        for index, length, rows in self._places.put(product.index, product.spots, stays):
            other = self._by_index.get(index)
            if other is not None:
                other.fall(length, rows)
        self._idle.pop(product.index, None)
        if all(stay.end != OPEN for stay in stays):
            self._idle[product.index] = None

    def _forget(self) -> None:
        while len(self._idle) > self._keep:
            index = next(iter(self._idle))
            del self._idle[index]
            del self._by_id[self._by_index.pop(index).id]

    @staticmethod
    def _event(note: ProductNote, product: Product, moment: int) -> Event:
        slot = note.slot or ""
        return Event(
            id=event_id("product", note.op, note.id, note.station, slot, moment, *note.parents),
            type="product",
            rule=note.op,
            product=note.id,
            t_first=moment,
            t_last=moment,
            detail={
                "kind": product.kind,
                "parents": list(note.parents),
                **({"recipe": product.recipe} if product.recipe else {}),
                "slot": slot,
                "station": note.station,
            },
        )

    # -- readings -------------------------------------------------------------------------------

    def join(self, batch: Batch) -> None:
        """Fill ``batch.product``, ``batch.place`` and ``batch.recipe`` in place.

        ``place`` is the metre of the run: what the station's encoder counted since the product
        started, at the event time of the reading, less the sensor's ``offset_m``. It is found
        from encoder readings that stand before the row in the journal, so just behind the newest
        reading the web is taken to go on as it did, for at most one reading's interval. A
        negative metre is material of the run before. For a formation channel ``place`` is the
        number of the channel, with or without a cell in it.
        """
        self._places.join(batch)
        self._recipes.join(batch)

    def name_of(self, index: int) -> str | None:
        """Id of the product with an index; None for -1 and for products no longer kept."""
        product = self._by_index.get(index)
        return None if product is None else product.id

    def recipe_of(self, name: str) -> str:
        """Recipe of a product by its id; empty for unknown products and while nobody said."""
        product = self._by_id.get(name)
        return "" if product is None else product.recipe

    # -- answers --------------------------------------------------------------------------------

    def at(self, station: str) -> dict[str, Any] | None:
        """The product at a station now (for formation use the table), or None."""
        spot = self._places.spots.get((station, ""))
        product = None if spot is None else self._by_index.get(self._places.at(spot))
        return None if product is None else self._row(product, self._places.facts())

    def table(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Products in the order in which they became known.

        Args:
            limit: Only the newest so many; None for all.

        Returns:
            ``id``, ``kind``, ``station`` and ``slot`` (where it is or was last), ``parents``,
            ``t_start`` and ``t_end`` (ns; first arrival and last leaving, None while it is
            somewhere or was nowhere), ``length`` (m, longest run; None without an encoder),
            ``count`` (readings joined), ``state`` and ``disposition``.
        """
        newest = itertools.islice(reversed(self._by_index.values()), limit)
        facts = self._places.facts()
        return [self._row(product, facts) for product in newest][::-1]

    def _row(self, product: Product, facts: dict[int, tuple[float, int]]) -> dict[str, Any]:
        known = product.summary()
        length, rows = facts.get(product.index, (0.0, 0))
        station, slot = self._places.names[known.spot]
        return {
            "id": product.id,
            "kind": product.kind,
            "recipe": product.recipe,
            "station": station,
            "slot": slot,
            "parents": list(known.parents),
            "t_start": known.t_start,
            "t_end": known.t_end,
            "length": max(length, product.fallen_length) or None,
            "count": rows + product.fallen_rows,
            "state": known.state,
            "disposition": known.disposition,
        }

    # -- state ----------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """State as msgpack-able values."""
        return {
            "version": self.VERSION,
            "next": self._next,
            "products": [product.dump() for product in self._by_index.values()],
            "idle": list(self._idle),
            "places": self._places.snapshot(),
            "recipes": self._recipes.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot taken under the same line.

        Raises:
            StateError: It belongs to another version or other stations.
        """
        if state.get("version") != self.VERSION:
            raise StateError(f"products: snapshot version {state.get('version')}")
        self._places.restore(state["places"])
        products = [Product.load(values) for values in state["products"]]
        self._by_index = {product.index: product for product in products}
        self._by_id = {product.id: product for product in products}
        self._idle = dict.fromkeys(state["idle"])
        self._next = state["next"]
        self._recipes.restore(state["recipes"])
        for product in products:
            self._recipes.learn(product.index, product.recipe)

    def follow(self, old: Products) -> None:
        """Go on under another version of the line with what ``old`` knew.

        Stays at stations and channels that no longer exist are left out of the histories;
        products that were nowhere else are dropped.
        """
        self._places.follow(old._places)
        self._recipes.follow(old._recipes)
        spots = {
            before: self._places.spots.get(name) for before, name in enumerate(old._places.names)
        }
        self._next = old._next
        for product in old._by_index.values():
            history = [
                Entry(e.time_ns, e.seq, e.op, now, e.parents)
                for e in product.history
                if (now := spots[e.spot]) is not None
            ]
            if history:
                kept = dataclasses.replace(product, history=history, _packed=None, _summary=None)
                self._by_index[kept.index] = self._by_id[kept.id] = kept
                self._recipes.learn(kept.index, kept.recipe)
        self._idle = {index: None for index in old._idle if index in self._by_index}
        for product in self._by_index.values():
            self._settle(product)
