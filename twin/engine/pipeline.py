"""The twin as a function: entries in, events out.

::

    entries ─► ingest ─► products ─► detection ─► alarms ─► events
               decode     which       validity,                 │
               check      piece,      series,     formation ────┤
               route      metre,      charts,                   ▼
                          recipe      outliers           sorted by sample

No clock, no randomness, no I/O: time is what the journal says it is. Whatever way the entries are
cut into runs, the events are the same, in the same order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from twin.alarms import Alarms
from twin.alarms.state import Refusal
from twin.config import parse
from twin.detectors.outliers.cells import Trays
from twin.engine.detection import Detection
from twin.engine.freshness import Freshness
from twin.engine.latest import Latest
from twin.errors import ConfigError, DecodeError
from twin.ingest import Ingest, ProductMessage
from twin.model.batch import Batch
from twin.model.event import Event, event_id
from twin.model.message import Entries, Kind
from twin.model.table import Note
from twin.physics.formation import FormationTracker
from twin.products import Products

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from twin.ingest.dead import DeadLetter
    from twin.ingest.stage import Decoded
    from twin.model.index import LineIndex
    from twin.model.table import Samples, Table

__all__ = ["Output", "Pipeline"]

_STEP_NS = 1_000_000_000
"""A timer started by a message is due a second later at the earliest; runs are cut so that none
can fall due inside one."""
_MINUTE_NS = 60_000_000_000
"""Dead letters are limited per minute of receive time; no run reaches over the end of one."""


@dataclass(slots=True)
class Output:
    """What a run of entries gave.

    Attributes:
        events: In order.
        letters: Dead letters to keep.
        batches: Accepted samples, for the history.
        results: Answers to operator actions by their ``action_id``.
        rebirths: Sparkplug nodes to ask for their birth certificate.
        configured: A version of the line took effect in this run.
    """

    events: list[Event] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    rebirths: list[tuple[str, str]] = field(default_factory=list)
    configured: bool = False


class Pipeline:
    """All stages of one line.

    Args:
        index: The line to begin with.
        keep_line: Ignore CONFIG entries: a recording is judged by *this* line.
    """

    VERSION = 3

    def __init__(self, index: LineIndex, *, keep_line: bool = False) -> None:
        self._keep_line = keep_line
        self.clock_ns = 0
        self.findings = 0
        self.sources: dict[str, dict[str, Any]] = {}
        self._build(index)

    def _build(self, index: LineIndex) -> None:
        self.index = index
        self.ingest = Ingest(index)
        self.products = Products(index)
        self.detection = Detection(index)
        self.formation = FormationTracker(index)
        self.trays = Trays.of(index)
        self.alarms = Alarms(index)
        self.freshness = Freshness(index)
        self.latest = Latest(index)

    # -- entries ------------------------------------------------------------------------------

    def feed(self, entries: Entries) -> Output:
        """Process a run of journal entries."""
        out = Output()
        if entries.kind is Kind.MESSAGE:
            for run in self._runs(entries, out):
                self._messages(run, out)
        else:
            for i in range(len(entries)):
                self._advance(entries.recv_ns[i], out)
                self._control(entries, i, out)
        return out

    def _runs(self, entries: Entries, out: Output) -> Iterator[Entries]:
        """Cut where a timer falls due, and let it speak before the next message is looked at."""
        recv = np.maximum.accumulate(np.array(entries.recv_ns, np.int64))
        start, count = 0, len(entries)
        while start < count:
            self._advance(int(recv[start]), out)
            stop = int(np.searchsorted(recv, self._horizon(int(recv[start]))))
            stop = max(stop, start + 1)
            yield entries if (start, stop) == (0, count) else entries.part(start, stop)
            self.clock_ns = max(self.clock_ns, int(recv[stop - 1]))
            start = stop

    def _horizon(self, now_ns: int) -> int:
        timers = (self.freshness.horizon(now_ns), self.alarms.due_ns())
        due = [now_ns - now_ns % _MINUTE_NS + _MINUTE_NS]
        due += [t for t in timers if t is not None]
        if self.ingest.has_timers:
            due.append(now_ns + _STEP_NS)
            if (at := self.ingest.due_ns()) is not None:
                due.append(at)
        return min(due)

    def _advance(self, now_ns: int, out: Output) -> None:
        self.clock_ns = now_ns = max(self.clock_ns, now_ns)
        out.events.extend(self._silence(self.freshness.tick(now_ns)))
        out.events.extend(self.alarms.tick(now_ns))
        self._decoded(self.ingest.tick(now_ns), None, out)

    def _messages(self, entries: Entries, out: Output) -> None:
        self._count_sources(entries)
        # The wall clock may be set back, the time of the engine never goes back.
        recv = np.maximum.accumulate(np.array(entries.recv_ns, np.int64)).clip(self.clock_ns)
        self._decoded(self.ingest.decode(entries), (entries.first_seq, recv), out)

    def _count_sources(self, entries: Entries) -> None:
        newest = dict(zip(entries.sources, entries.recv_ns, strict=True))
        for name, count in Counter(entries.sources).items():
            entry = self.sources.setdefault(name, {"messages": 0, "last_ns": 0, "state": "ok"})
            entry["messages"] += count
            entry["last_ns"] = max(entry["last_ns"], newest[name])

    def _decoded(
        self, decoded: Decoded, arrival: tuple[int, NDArray[np.int64]] | None, out: Output
    ) -> None:
        for item in decoded.items:
            if isinstance(item, Event):
                out.events.append(item)
            elif isinstance(item, Batch):
                recv = (
                    np.full(len(item), self.clock_ns, np.int64)
                    if arrival is None
                    else arrival[1][item.seq - arrival[0]]
                )
                self._batch(item, recv, out)
            else:
                self._product(item, decoded, out)
        # A product message is refused after the run was decoded: back to the order of arrival.
        out.letters.extend(sorted(decoded.letters, key=_by_seq))
        out.rebirths.extend(decoded.rebirths)

    # -- recordings ---------------------------------------------------------------------------

    def feed_table(self, table: Table, first_seq: int) -> Output:
        """Process rows of a recording where several quantities stand side by side."""
        return self._recorded(table, self.ingest.table, first_seq)

    def feed_samples(self, samples: Samples, first_seq: int) -> Output:
        """Process rows of a recording of single samples."""
        return self._recorded(samples, self.ingest.samples, first_seq)

    def _recorded(self, rows: Any, decode: Any, first_seq: int) -> Output:
        out = Output()
        decoded = decode(rows, first_seq)
        recv = np.maximum.accumulate(rows.time_ns) if len(rows) else rows.time_ns
        whole = decoded.items
        decoded.items = []
        for batch in whole:
            arrival = recv[batch.seq - first_seq]
            ahead = self.freshness.ahead(batch.sensor, arrival)
            start = 0
            while start < len(batch):
                self._advance(int(arrival[start]), out)
                due = ahead.horizon(start)
                stop = len(batch)
                if due is not None:
                    stop = max(start + 1, int(np.searchsorted(arrival, due)))
                    # Rows of one message stay together.
                    while stop < len(batch) and batch.seq[stop] == batch.seq[stop - 1]:
                        stop += 1
                self._batch(batch.part(start, stop), arrival[start:stop], out)
                self.clock_ns = max(self.clock_ns, int(arrival[stop - 1]))
                start = stop
        self._decoded(decoded, None, out)
        return out

    def feed_note(self, note: Note) -> Output:
        """A defect a reader found in its recording."""
        out = Output()
        out.events.append(_note_event(note))
        return out

    def finish(self) -> Output:
        """The recording ended: what is still open is reported as incomplete."""
        out = Output()
        formed = self.formation.finish()
        found = self.trays.update(formed, self.products.recipe_of)
        self.findings += sum(1 for event in found if event.type == "finding")
        out.events.extend(formed + found)
        nothing = Batch.of([], [], [])
        out.events.extend(self.alarms.update(nothing, found, self.products.name_of))
        return out

    # -- one batch through the stages -----------------------------------------------------------

    def _batch(self, batch: Batch, recv_ns: NDArray[np.int64], out: Output) -> None:
        name_of = self.products.name_of
        self.products.join(batch)
        said, found = self.detection.update(batch, name_of)
        formed = sorted(self.formation.update(batch), key=_by_row)
        unlike = self.trays.update(formed, self.products.recipe_of)
        if unlike:
            found = sorted(found + unlike, key=_by_row)
        self.findings += sum(1 for event in found if event.type == "finding")
        silence = self._silence(self.freshness.hear(batch, recv_ns))
        events = silence + said + found + formed
        events += self.alarms.update(batch, found, name_of)
        events.sort(key=_by_row)
        out.events.extend(events)
        self.latest.take(batch, recv_ns)
        out.batches.append(batch)

    def _silence(self, events: list[Event]) -> list[Event]:
        """Silence and its alarms."""
        found: list[Event] = []
        for event in events:
            found.append(event)
            silent = event.type == "stale"
            found.extend(
                self.alarms.stale(
                    event.sensor, event.t_first, event.t_last, silent=silent, row=event.row
                )
            )
        return found

    def _product(self, message: ProductMessage, decoded: Decoded, out: Output) -> None:
        try:
            out.events.extend(
                self.products.handle(
                    {"station": message.station, **message.body}, message.recv_ns, message.seq
                )
            )
        except DecodeError as error:
            self.ingest.refuse_product(message, error, decoded)

    # -- control entries ----------------------------------------------------------------------

    def _control(self, entries: Entries, i: int, out: Output) -> None:
        kind, seq, now_ns = entries.kind, entries.first_seq + i, entries.recv_ns[i]
        if kind is Kind.TICK:
            return
        body = msgspec.json.decode(entries.payloads[i])
        if kind is Kind.ACTION:
            out.results[str(body.get("action_id", seq))] = self._action(body, now_ns, out)
        elif kind is Kind.CONFIG:
            self._configure(body, now_ns, seq, out)
        elif kind is Kind.SOURCE:
            self._source(body, now_ns, seq, out)
        elif kind is Kind.NOTE:
            out.events.append(_note_event(msgspec.convert(body, Note)))
        else:
            name = "clock" if kind is Kind.CLOCK else "gap"
            out.events.append(_system(name, "", body, now_ns, seq))

    def _action(self, body: dict[str, Any], now_ns: int, out: Output) -> dict[str, Any]:
        try:
            out.events.extend(self.alarms.act(body, now_ns))
        except Refusal as error:
            return {"ok": False, "code": error.code, "message": str(error)}
        return {"ok": True, "code": "", "message": ""}

    def _source(self, body: dict[str, Any], now_ns: int, seq: int, out: Output) -> None:
        name = str(body.get("source", ""))
        entry = self.sources.setdefault(name, {"messages": 0, "last_ns": 0, "state": "ok"})
        entry["state"] = "lost" if body.get("state") == "lost" else "ok"
        entry["detail"] = str(body.get("detail", ""))
        entry["last_ns"] = max(entry["last_ns"], now_ns)
        out.events.append(_system("source", str(body.get("state", "")), body, now_ns, seq))

    def _configure(self, body: dict[str, Any], now_ns: int, seq: int, out: Output) -> None:
        if self._keep_line:
            return
        if body["version"] != self.index.version:
            try:
                self._follow(parse(body["files"]), now_ns, out)
            except ConfigError as error:
                # The writer checked it before; a newer linetwin may be stricter than an old journal.
                body = {**body, "refused": str(error)}
        out.configured = True
        summary = {key: value for key, value in body.items() if key != "files"}
        out.events.append(_system("config", str(body["version"]), summary, now_ns, seq))

    def _follow(self, index: LineIndex, now_ns: int, out: Output) -> None:
        """Another version takes effect; what did not change goes on undisturbed."""
        old = Pipeline.__new__(Pipeline)
        old.__dict__.update(self.__dict__)
        self._build(index)
        self.ingest.follow(old.ingest)
        self.products.follow(old.products)
        ended = self.detection.follow(old.detection)
        out.events.extend(ended)
        out.events.extend(self.formation.follow(old.formation))
        self.trays.follow(old.trays)
        self.freshness.follow(old.freshness)
        self.latest.follow(old.latest)
        out.events.extend(self.alarms.follow(old.alarms, now_ns))
        out.events.extend(self.alarms.close_findings(ended, now_ns))
        for row in index.sensors:
            found = [e for e in self.detection.open_findings(row.index) if e.type == "finding"]
            out.events.extend(self.alarms.catch_up(found))
        for sensor, since_ns in self.freshness.silent():
            out.events.extend(self.alarms.stale(sensor, since_ns, now_ns, silent=True))

    # -- state --------------------------------------------------------------------------------

    _STAGES = (
        "ingest",
        "products",
        "detection",
        "formation",
        "trays",
        "alarms",
        "freshness",
        "latest",
    )

    def snapshot(self) -> dict[str, Any]:
        """State of all stages as msgpack-able values."""
        return {
            "version": self.VERSION,
            "line": self.index.version,
            "clock_ns": self.clock_ns,
            "findings": self.findings,
            "sources": self.sources,
            "stages": {name: getattr(self, name).snapshot() for name in self._STAGES},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot taken under the same version of the line."""
        self.clock_ns = state["clock_ns"]
        self.findings = state["findings"]
        self.sources = state["sources"]
        for name in self._STAGES:
            getattr(self, name).restore(state["stages"][name])


def _by_seq(letter: DeadLetter) -> int:
    return letter.seq


def _by_row(event: Event) -> int:
    return event.row


def _system(kind: str, rule: str, body: dict[str, Any], now_ns: int, seq: int) -> Event:
    return Event(
        id=event_id(kind, seq, now_ns),
        type=kind,
        rule=rule,
        t_first=now_ns,
        t_last=now_ns,
        detail=body,
    )


def _note_event(note: Note) -> Event:
    return Event(
        id=event_id("data_quality", note.code, note.source, note.row, note.column, note.message),
        type="data_quality",
        rule=note.code,
        ruleset="recording",
        t_first=note.time_ns,
        t_last=note.time_ns,
        value=note.value,
        detail={
            **note.detail,
            "column": note.column,
            "message": note.message,
            "row": note.row,
            "source": note.source,
        },
    )
