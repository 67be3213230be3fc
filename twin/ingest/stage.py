"""The ingest stage: journal entries or rows of a recording in, checked batches out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from twin.errors import DecodeError
from twin.ingest.check import Checker, RawColumns
from twin.ingest.dead import DeadLetter, DeadLetters, excerpt
from twin.ingest.discovery import Discovery
from twin.ingest.payload import Rows, read_nested, read_row, read_single
from twin.ingest.route import Route, RouteKind, Router, Target
from twin.ingest.sparkplug_feed import SparkplugFeed
from twin.ingest.times import to_ns
from twin.model.batch import GOOD, Batch
from twin.model.message import Flag, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from twin.model.event import Event
    from twin.model.index import LineIndex
    from twin.model.message import Entries
    from twin.model.table import Samples, Table

__all__ = ["Decoded", "Ingest", "ProductMessage"]

_RETAIN = int(Flag.RETAIN)
_NONE: tuple[tuple[Any, ...], ...] = ((), (), (), (), (), ())


@dataclass(frozen=True, slots=True)
class ProductMessage:
    """A product started, ended or moved; stands between the batches it separates."""

    station: str
    body: dict[str, Any]
    recv_ns: int
    seq: int
    source: str
    topic: str
    payload: bytes


@dataclass(slots=True)
class Decoded:
    """What a run of entries held.

    Attributes:
        items: Batches, product messages and events in journal order.
        letters: Dead letters to keep.
        rebirths: Sparkplug nodes to ask for their birth certificates.
    """

    items: list[Batch | ProductMessage | Event] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    rebirths: list[tuple[str, str]] = field(default_factory=list)


class Ingest:
    """Decode, check and route for one version of the line.

    Attributes:
        received: Samples seen; a message that cannot be decoded counts as one.
        stored: Samples and product messages that went on.
        dead: Counts per reason.
        discovery: Topics nobody described.
    """

    VERSION = 1

    def __init__(self, index: LineIndex) -> None:
        self._index = index
        self._router = Router(index)
        self._checker = Checker(index)
        self.dead = DeadLetters()
        self.discovery = Discovery()
        self._sparkplug = SparkplugFeed(index, self._router, self.discovery)
        self.received = 0
        self.stored = 0

    # -- time -----------------------------------------------------------------------------------

    @property
    def has_timers(self) -> bool:
        """Whether a message may start a timer."""
        return self._sparkplug.active

    def due_ns(self) -> int | None:
        """When :meth:`tick` has something to say at the earliest."""
        return self._sparkplug.host.due_ns()

    def tick(self, now_ns: int) -> Decoded:
        """Time has passed."""
        out = Decoded()
        due = self.due_ns()
        if due is not None and due <= now_ns:
            told = self._sparkplug.tick(now_ns)
            out.items.extend(told.events)
            out.rebirths.extend(told.rebirths)
        return out

    # -- messages -----------------------------------------------------------------------------

    def decode(self, entries: Entries) -> Decoded:
        """Decode and check a run of MESSAGE entries."""
        out = Decoded()
        rows = Rows()
        find = self._router.find
        topics, payloads, flags = entries.topics, entries.payloads, entries.flags
        for i, payload in enumerate(payloads):
            route = find(topics[i])
            try:
                if route.kind is RouteKind.SINGLE and not flags[i] & _RETAIN:
                    for reason, detail in read_single(payload, route.targets[0], rows, i):
                        self._refuse(entries, i, reason, detail, out)
                else:
                    rows = self._other(route, entries, i, rows, out)
            except DecodeError as error:
                self._refuse(entries, i, error.reason, error.detail, out)
            except Exception as error:  # noqa: BLE001 - what nobody foresaw must not stop the line
                detail = f"linetwin failed on it, please report: {type(error).__name__}: {error}"
                self._refuse(entries, i, Reason.HANDLER_ERROR, detail, out)
        self._flush(entries, rows, out)
        # Checks speak after decoding has ended: back to the order of arrival.
        out.letters.sort(key=_by_seq)
        return out

    def _other(self, route: Route, entries: Entries, i: int, rows: Rows, out: Decoded) -> Rows:
        if route.kind is RouteKind.SPARKPLUG:
            return self._spark(entries, i, rows, out)
        if entries.flags[i] & _RETAIN:
            raise DecodeError(Reason.RETAINED, "a retained message is no fresh sample")
        if route.kind is RouteKind.NESTED:
            read_nested(entries.payloads[i], route, rows, i)
            return rows
        if route.kind is RouteKind.ROW:
            read_row(entries.payloads[i], route, rows, i)
            return rows
        if route.kind is RouteKind.PRODUCT:
            message = _product(route, entries, i)
            self._flush(entries, rows, out)
            self.received += 1
            self.stored += 1
            out.items.append(message)
            return Rows()
        self.discovery.note(entries.topics[i], entries.payloads[i], entries.recv_ns[i])
        raise DecodeError(
            Reason.UNKNOWN_TAG,
            "no sensor of the line description has this topic; the discovery list proposes a row",
        )

    def _spark(self, entries: Entries, i: int, rows: Rows, out: Decoded) -> Rows:
        told = self._sparkplug.handle(entries.topics[i], entries.payloads[i], entries.recv_ns[i])
        if told.events:
            self._flush(entries, rows, out)
            out.items.extend(told.events)
            rows = Rows()
        out.rebirths.extend(told.rebirths)
        for reason, detail in told.refused:
            self._refuse(entries, i, reason, detail, out)
        if len(told.sensor):
            rows.columns.append((i, told))
        elif not told.refused:
            # Session control without a sample: counted once, like every message.
            self.received += 1
            self.stored += 1
        return rows

    def refuse_product(self, message: ProductMessage, error: DecodeError, out: Decoded) -> None:
        """A product message turned out to be wrong when it was applied."""
        self.stored -= 1
        letter = self.dead.refuse(
            DeadLetter(
                message.seq,
                message.source,
                message.topic,
                excerpt(message.payload),
                error.reason,
                error.detail,
                message.recv_ns,
            )
        )
        if letter is not None:
            out.letters.append(letter)

    def _refuse(
        self, entries: Entries, i: int, reason: str, detail: str, out: Decoded, *, new: bool = True
    ) -> None:
        if new:
            self.received += 1
        letter = self.dead.refuse(
            DeadLetter(
                entries.first_seq + i,
                entries.sources[i],
                entries.topics[i],
                excerpt(entries.payloads[i]),
                reason,
                detail,
                entries.recv_ns[i],
            )
        )
        if letter is not None:
            out.letters.append(letter)

    def _flush(self, entries: Entries, rows: Rows, out: Decoded) -> None:
        if not rows.items and not rows.columns:
            return
        recv = np.array(entries.recv_ns, np.int64)
        sensor, time, value, quality, source_seq, entry = (
            zip(*rows.items, strict=False) if rows.items else _NONE
        )
        place = np.array(entry, np.int64)
        raw = RawColumns(
            np.array(sensor, np.int32),
            to_ns(time, rows.time_unit),
            np.array(value, np.float64),
            np.array(quality, np.uint8),
            np.zeros(len(place), np.uint8),
            np.array(source_seq, np.int64),
            place + entries.first_seq,
            recv[place],
        )
        if rows.columns:
            raw = _merge(raw, rows.columns, entries.first_seq, recv)

        def refuse(row: int, reason: str, detail: str) -> None:
            i = int(raw.seq[row]) - entries.first_seq
            self._refuse(entries, i, reason, detail, out, new=False)

        self._check(raw, refuse, out)

    def _check(
        self, raw: RawColumns, refuse: Callable[[int, str, str], None], out: Decoded
    ) -> None:
        checked = self._checker.check(raw)
        self.received += len(raw.sensor)
        for row, reason, detail in checked.refused:
            refuse(row, reason, detail)
        if not checked.refused:
            self.stored += len(raw.sensor)
            out.items.append(
                Batch.of(raw.sensor, raw.time_ns, raw.value, raw.quality, raw.marks, raw.seq)
            )
            return
        keep = checked.keep
        kept = int(np.count_nonzero(keep))
        self.stored += kept
        if kept:
            out.items.append(
                Batch.of(
                    raw.sensor[keep],
                    raw.time_ns[keep],
                    raw.value[keep],
                    raw.quality[keep],
                    raw.marks[keep],
                    raw.seq[keep],
                )
            )

    # -- recordings ---------------------------------------------------------------------------

    def table(self, table: Table, first_seq: int) -> Decoded:
        """Check rows of a recording where several quantities stand side by side."""
        out = Decoded()
        sensors: list[int] = []
        columns: list[NDArray[np.float64]] = []
        for name, values in table.columns.items():
            target = self._router.column(name)
            factor = target.factor(table.units.get(name) or target.unit) if target else None
            if target is None or factor is None:
                self._refuse_column(table, name, target, out)
                continue
            sensors.append(target.index)
            columns.append(values if factor == (1.0, 0.0) else values * factor[0] + factor[1])
        if not columns:
            return out
        matrix = np.column_stack(columns)
        there = ~np.isnan(matrix)
        row, column = np.nonzero(there)
        numbers = row + table.first_row
        time_ns = table.time_ns[row]
        self._check_rows(
            table.source,
            table.topic,
            RawColumns(
                np.array(sensors, np.int32)[column],
                time_ns.copy(),
                matrix[there],
                np.full(len(row), GOOD, np.uint8),
                np.zeros(len(row), np.uint8),
                numbers.astype(np.int64),
                row + first_seq,
                np.maximum.accumulate(table.time_ns)[row],
            ),
            out,
        )
        return out

    def samples(self, samples: Samples, first_seq: int) -> Decoded:
        """Check rows of a recording of single samples."""
        out = Decoded()
        count = len(samples.sensors)
        index = np.full(count, -1, np.int32)
        scale, offset = np.ones(count), np.zeros(count)
        for code, name in enumerate(samples.sensors):
            row = self._index.by_id.get(name)
            unit = samples.units[code] if samples.units else ""
            target = Target(row.index, row.id, row.spec.unit) if row is not None else None
            factor = target.factor(unit or target.unit) if target is not None else None
            if target is None or factor is None:
                rows = int(np.count_nonzero(samples.code == code))
                self._refuse_rows(samples.source, name, rows, unit, target, out)
                continue
            index[code] = target.index
            scale[code], offset[code] = factor
        sensor = index[samples.code]
        known = sensor >= 0
        codes = samples.code[known]
        value = samples.value[known]
        if not ((scale == 1).all() and (offset == 0).all()):
            value = value * scale[codes] + offset[codes]
        number = np.arange(len(samples), dtype=np.int64)[known]
        time_ns = samples.time_ns[known]
        if len(time_ns):
            self._check_rows(
                samples.source,
                "",
                RawColumns(
                    sensor[known],
                    time_ns.copy(),
                    value,
                    samples.quality[known],
                    np.zeros(len(codes), np.uint8),
                    number + samples.first_row,
                    number + first_seq,
                    np.maximum.accumulate(time_ns),
                ),
                out,
            )
        return out

    def _check_rows(self, source: str, topic: str, raw: RawColumns, out: Decoded) -> None:
        def refuse(row: int, reason: str, detail: str) -> None:
            name = self._index.sensors[int(raw.sensor[row])].id
            text = msgspec.json.encode(
                {"sensor": name, "ts": int(raw.time_ns[row]), "value": float(raw.value[row])}
            )
            self._keep(
                DeadLetter(
                    int(raw.seq[row]),
                    source,
                    topic or name,
                    text,
                    reason,
                    detail,
                    int(raw.recv_ns[row]),
                ),
                1,
                out,
            )

        self._check(raw, refuse, out)

    def _refuse_column(self, table: Table, name: str, target: Target | None, out: Decoded) -> None:
        rows = int(np.count_nonzero(~np.isnan(table.columns[name])))
        self._refuse_rows(table.source, name, rows, table.units.get(name, ""), target, out)

    def _refuse_rows(
        self, source: str, name: str, rows: int, unit: str, target: Target | None, out: Decoded
    ) -> None:
        if rows == 0:
            return
        self.received += rows
        if target is None:
            reason = Reason.UNKNOWN_TAG
            detail = (
                f"no sensor has the id, key or column {name!r}; add one to keep its {rows} rows"
            )
        else:
            reason = Reason.UNIT
            detail = f'unit "{unit}" of column {name} does not convert to "{target.unit}"'
        letter = DeadLetter(0, source, name, b"", reason, detail, 0)
        self._keep(letter, rows, out)

    def _keep(self, letter: DeadLetter, samples: int, out: Decoded) -> None:
        kept = self.dead.refuse(letter, samples)
        if kept is not None:
            out.letters.append(kept)

    # -- state --------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """State as msgpack-able values."""
        return {
            "version": self.VERSION,
            "received": self.received,
            "stored": self.stored,
            "dead": self.dead.snapshot(),
            "discovery": self.discovery.snapshot(),
            "dedupe": self._checker.dedupe.snapshot(),
            "sparkplug": self._sparkplug.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot of the same line version."""
        self.received = state["received"]
        self.stored = state["stored"]
        self.dead.restore(state["dead"])
        self.discovery.restore(state["discovery"])
        self._checker.dedupe.restore(state["dedupe"])
        self._sparkplug.restore(state["sparkplug"])

    def follow(self, old: Ingest) -> None:
        """Take over counts, lists and what stays known from the version before."""
        self.received, self.stored = old.received, old.stored
        self.dead, self.discovery = old.dead, old.discovery
        self._sparkplug.discovery = self.discovery
        self._sparkplug.follow(old._sparkplug)
        known = {
            topic
            for topic in self.discovery.found
            if self._router.find(topic).kind is not RouteKind.UNKNOWN
            or topic in self._router.sparkplug
        }
        self.discovery.forget(known)
        pairs = [
            (row.index, self._index.by_id[row.id].index)
            for row in old._index.sensors
            if row.id in self._index.by_id
        ]
        if [a for a, _ in pairs] == [b for _, b in pairs] and len(self._index) == len(old._index):
            self._checker.dedupe = old._checker.dedupe
        else:
            self._checker.dedupe.carry_over(old._checker.dedupe, pairs)


def _merge(
    plain: RawColumns,
    columns: list[tuple[int, Any]],
    first_seq: int,
    recv: NDArray[np.int64],
) -> RawColumns:
    """Rows of Sparkplug messages among the others, in the order of arrival."""
    lengths = [len(told.sensor) for _, told in columns]
    entry = np.repeat(np.array([i for i, _ in columns], np.int64), lengths)
    value = np.concatenate([told.value for _, told in columns])
    # Nodes send changes, and payloads without metric times share one: another value at the same
    # time is another sample. Only the same value again (a rebirth) is a duplicate.
    identity = value.view(np.int64) & np.iinfo(np.int64).max
    sparse = RawColumns(
        np.concatenate([told.sensor for _, told in columns]),
        np.concatenate([told.time_ns for _, told in columns]),
        value,
        np.concatenate([told.quality for _, told in columns]),
        np.concatenate([told.marks for _, told in columns]),
        identity,
        entry + first_seq,
        recv[entry],
    )
    if not len(plain.sensor):
        return sparse
    order = np.argsort(np.concatenate([plain.seq, sparse.seq]), kind="stable")
    return RawColumns(
        *(
            np.concatenate([getattr(plain, name), getattr(sparse, name)])[order]
            for name in RawColumns.__slots__
        )
    )


def _by_seq(letter: DeadLetter) -> int:
    return letter.seq


def _product(route: Route, entries: Entries, i: int) -> ProductMessage:
    payload = entries.payloads[i]
    try:
        body = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(Reason.DECODE, f"no JSON: {error}") from error
    if not isinstance(body, dict):
        raise DecodeError(Reason.SCHEMA, "a product message is one JSON object")
    return ProductMessage(
        route.station,
        body,
        entries.recv_ns[i],
        entries.first_seq + i,
        entries.sources[i],
        entries.topics[i],
        payload,
    )
