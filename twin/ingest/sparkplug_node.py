"""What a host knows about one edge node: its births, its aliases, its numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.ingest.sparkplug_resolve import AMBIGUOUS_ROW
from twin.ingest.sparkplug_seq import SequenceTracker

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Entry", "Names", "Node"]


class Names:
    """Numbers for metrics: append-only, so a number means the same metric and unit for good.

    Attributes:
        names: ``group/node:metric`` or ``group/node/device:metric`` by number.
        units: Unit the BIRTH states (property ``engUnit``) by number, None when it states none.
    """

    def __init__(self, limit: int) -> None:
        self.names: list[str] = []
        self.units: list[str | None] = []
        self._limit = limit
        self._numbers: dict[tuple[str, str | None], int] = {}

    def number(self, name: str, unit: str | None) -> int:
        """Number of a metric in a unit; -1 when the table is full."""
        found = self._numbers.get((name, unit))
        if found is None:
            if len(self.names) >= self._limit:
                return -1
            found = self._numbers[name, unit] = len(self.names)
            self.names.append(name)
            self.units.append(unit)
        return found

    def restore(self, names: list[str], units: list[str | None]) -> None:
        """Replace the content by that of a snapshot."""
        self.names, self.units = list(names), list(units)
        self._numbers = {key: i for i, key in enumerate(zip(names, units, strict=True))}


@dataclass(slots=True)
class Entry:
    """One metric of a BIRTH.

    Attributes:
        name: Metric name.
        alias: Alias as a signed 64-bit integer, None for none.
        number: Number in :class:`Names`.
        datatype: Data type, ``CONTROL_TYPE`` for session metrics.
    """

    name: str
    alias: int | None
    number: int
    datatype: int


@dataclass(slots=True)
class Node:
    """State of one edge node.

    Attributes:
        key: ``group/node``.
        bd_seq: Session number of the current birth.
        tracker: Its sequence numbers.
        asked_ns: When a rebirth was last asked for.
        born: Entries per device in order of their births; ``""`` is the node itself.
        counts: How often each breach of the format was seen.
        said: Breaches already reported in this session.
    """

    key: str
    bd_seq: int | None = None
    tracker: SequenceTracker = field(default_factory=SequenceTracker)
    asked_ns: int | None = None
    born: dict[str, list[Entry]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    owner: dict[str, int] = field(init=False)
    rows: list[Entry] = field(init=False)
    by_name: dict[int, dict[bytes, int]] = field(init=False)
    ambiguous: set[int] = field(init=False)
    aliases: NDArray[np.int64] = field(init=False)
    alias_row: NDArray[np.int32] = field(init=False)
    row_number: NDArray[np.int32] = field(init=False)
    row_type: NDArray[np.int32] = field(init=False)
    row_owner: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        self.ambiguous = set()
        self.index()

    @property
    def online(self) -> bool:
        """Whether a birth of the node stands."""
        return "" in self.born

    def device_key(self, device: str) -> str:
        """``group/node/device``, or ``group/node`` for the node itself."""
        return f"{self.key}/{device}" if device else self.key

    def index(self) -> list[int]:
        """Rebuild the tables from ``born``.

        Returns:
            Aliases that have become ambiguous by it.
        """
        before = self.ambiguous
        self.owner = {device: i for i, device in enumerate(self.born)}
        self.rows, self.by_name, self.ambiguous = [], {}, set()
        owners: list[int] = []
        alias_row: dict[int, int] = {}
        for device, entries in self.born.items():
            named = self.by_name[self.owner[device]] = {}
            for entry in entries:
                row = len(self.rows)
                self.rows.append(entry)
                owners.append(self.owner[device])
                named[entry.name.encode()] = row
                if entry.alias is None:
                    continue
                if alias_row.setdefault(entry.alias, row) != row:
                    alias_row[entry.alias] = AMBIGUOUS_ROW
                    self.ambiguous.add(entry.alias)
        self.aliases = np.array(sorted(alias_row), np.int64)
        self.alias_row = np.array([alias_row[a] for a in sorted(alias_row)], np.int32)
        self.row_number = np.array([entry.number for entry in self.rows], np.int32)
        self.row_type = np.array([entry.datatype for entry in self.rows], np.int32)
        self.row_owner = np.array(owners, np.int32)
        return sorted(self.ambiguous - before)

    def renumber(self, row: int, number: int) -> None:
        """The metric of a row goes on under another number (its unit changed)."""
        self.rows[row].number = number
        self.row_number[row] = number

    def snapshot(self) -> list[Any]:
        """State as msgpack-able values."""
        born = [
            [device, [[e.name, e.alias, e.number, e.datatype] for e in entries]]
            for device, entries in self.born.items()
        ]
        head = [self.key, self.bd_seq, self.tracker.snapshot(), self.asked_ns]
        return [*head, born, dict(self.counts), list(self.said)]

    @classmethod
    def restored(cls, state: list[Any]) -> Node:
        """The node a snapshot was taken of."""
        key, bd_seq, tracker, asked_ns, born, counts, said = state
        entries = {device: [Entry(*entry) for entry in listed] for device, listed in born}
        numbers = SequenceTracker.restored(tracker)
        return cls(key, bd_seq, numbers, asked_ns, entries, dict(counts), list(said))
