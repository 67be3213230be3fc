"""The engine: moves the pipeline over the journal, on a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.config import parse
from twin.engine.pipeline import Output, Pipeline
from twin.engine.store import Commit, Snapshot, StateStore
from twin.journal import Reader
from twin.model.message import Entries, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twin.history import History
    from twin.journal import Journal
    from twin.model.event import Event
    from twin.model.index import LineIndex

__all__ = ["Engine", "EngineSettings", "Told", "balance", "ledger_of", "resume"]

log = logging.getLogger("linetwin.engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How the engine works through the journal.

    Attributes:
        batch: Entries taken at once.
        pace_s: Shortest time between two steps while less than a batch waits; lets messages
            gather under load, and never delays one that comes after a pause.
        commit_s: Longest time between two commits of the cursor while nothing is said.
        snapshot_s: Time between snapshots; a restart repeats at most this much.
        snapshot_entries: Entries between snapshots, likewise.
    """

    batch: int = 5000
    pace_s: float = 0.01
    commit_s: float = 1.0
    snapshot_s: float = 60.0
    snapshot_entries: int = 500_000


@dataclass(frozen=True, slots=True)
class Told:
    """What a commit made public.

    Attributes:
        events: New events with their numbers.
        results: Answers to operator actions.
        rebirths: Sparkplug nodes to ask for their birth certificates.
    """

    events: list[tuple[int, Event]]
    results: dict[str, dict[str, Any]]
    rebirths: list[tuple[str, str]]


def resume(store: StateStore, index: LineIndex, *, keep_line: bool = False) -> tuple[Pipeline, int]:
    """The pipeline as of the newest usable snapshot, and the entry it stands at.

    Args:
        store: Where snapshots are.
        index: The line to begin with when there is none.
        keep_line: See :class:`Pipeline`; a snapshot of another line is not used then.
    """
    for snapshot in store.snapshots():
        if keep_line and snapshot.line != index.version:
            continue
        files = store.line_files(snapshot.line)
        try:
            line = index if snapshot.line == index.version else parse(files or {})
            pipeline = Pipeline(line, keep_line=keep_line)
            pipeline.restore(snapshot.state)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the journal has it all
            log.warning("snapshot at %d cannot be used: %s", snapshot.cursor, error)
            continue
        return pipeline, snapshot.cursor
    return Pipeline(index, keep_line=keep_line), 0


class Engine:
    """Reads the journal, commits what the pipeline says, tells who wants to know.

    Args:
        journal: Where entries come from.
        store: Where results go.
        history: Where accepted samples go.
        index: The line to begin with when there is no snapshot.
        tell: Called on the engine's thread after each commit.
        settings: How it works.
    """

    def __init__(
        self,
        journal: Journal,
        store: StateStore,
        history: History,
        index: LineIndex,
        tell: Callable[[Told], None],
        settings: EngineSettings | None = None,
    ) -> None:
        self.settings = settings or EngineSettings()
        self.lock = threading.Lock()
        """Held while the pipeline changes; whoever looks at it takes it."""
        self.failure = ""
        self.processed = 0
        """Number of the last entry the pipeline has seen."""
        self._journal = journal
        self._store = store
        self._history = history
        self._tell = tell
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.pipeline, self._snapshot_at = resume(store, index)
        self.processed = self._snapshot_at
        self._ahead = 0  # messages stored and not processed, less those stored by this process
        history.bind([row.id for row in self.pipeline.index.sensors])
        self._snapshot_mono = time.monotonic()
        self._commit_mono = time.monotonic()
        self._pending = Output()

    def warm(self) -> None:
        """Compile every kernel before data comes, on a pipeline of its own.

        The first start after an installation compiles for many seconds. Sources that run
        meanwhile would look silent, and every stale alarm would cry wolf.
        """
        index = self.pipeline.index
        topic = next((row.spec.topic for row in index.sensors if row.spec.topic), "")
        message = Entries(1, Kind.MESSAGE, ["warm"], [topic], [b"1"], [1], [0])
        Pipeline(index, keep_line=True).feed(message)

    def catch_up(self) -> None:
        """Repeat what was committed after the snapshot; nothing of it is written again."""
        target = self._store.cursor
        while self.processed < target:
            runs = self._journal.read(self.processed + 1, self.settings.batch)
            there = min(runs[0].first_seq, target + 1) if runs else target + 1
            if there > self.processed + 1:
                # Entries are gone (damage, retention): their results stand, their state is lost.
                log.warning("entries %d-%d cannot be repeated", self.processed + 1, there - 1)
                self.processed = there - 1
            for entries in runs:
                run = entries
                if run.first_seq > target:
                    break
                if run.last_seq > target:
                    run = run.part(0, target - run.first_seq + 1)
                out = self.pipeline.feed(run)
                if out.configured:
                    self._history.bind([row.id for row in self.pipeline.index.sensors])
                for batch in out.batches:
                    self._history.append(batch)
                self.processed = run.last_seq
        self.pipeline.alarms.changed.clear()

    def pending(self) -> int:
        """Device messages that are stored and not processed yet; call it with the lock held."""
        return self._ahead + self._journal.messages

    def start(self) -> None:
        """Begin."""
        stored = self._journal.messages
        self._ahead = Reader(self._journal.folder).messages_after(self.processed) - stored
        self._thread = threading.Thread(target=self._run, name="twin.engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the entry in work, take a snapshot, end. Safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @property
    def alive(self) -> bool:
        """Whether the thread runs and works."""
        return self._thread is not None and self._thread.is_alive() and not self.failure

    def drained(self) -> bool:
        """Whether everything the journal holds is processed and committed."""
        return self._store.cursor >= self._journal.committed

    def _run(self) -> None:
        stepped = 0.0
        try:
            while not self._stop.is_set():
                if self._journal.wait(self.processed, 0.2):
                    self._gather(stepped)
                    stepped = time.monotonic()
                    self._step()
                elif self._store.cursor < self.processed:
                    self._commit()
                if self._snapshot_due():
                    self._snapshot()
            self._snapshot()
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            log.exception("the engine stopped; acquisition goes on, restart linetwin")

    def _gather(self, stepped: float) -> None:
        """Wait until the pace allows the next step, unless a batch is there already."""
        rest = self.settings.pace_s - (time.monotonic() - stepped)
        if rest > 0 and self._journal.committed - self.processed < self.settings.batch:
            self._stop.wait(rest)

    def _step(self) -> None:
        runs = self._journal.read(self.processed + 1, self.settings.batch)
        for entries in _joined(runs, self.settings.batch):
            with self.lock:
                out = self.pipeline.feed(entries)
                self.processed = entries.last_seq
                if entries.kind is Kind.MESSAGE:
                    self._ahead -= len(entries)
            if out.configured:
                self._history.bind([row.id for row in self.pipeline.index.sensors])
            for batch in out.batches:
                self._history.append(batch)
            pending = self._pending
            pending.events += out.events
            pending.letters += out.letters
            pending.results.update(out.results)
            pending.rebirths += out.rebirths
            pending.configured |= out.configured
        something = pending.events or pending.letters or pending.results or pending.configured
        if something or time.monotonic() - self._commit_mono >= self.settings.commit_s:
            self._commit()

    def _commit(self, *, snapshot: bool = False) -> None:
        pending, self._pending = self._pending, Output()
        pipeline = self.pipeline
        with self.lock:
            changed, pipeline.alarms.changed = pipeline.alarms.changed, {}
            step = Commit(
                self.processed,
                pending.events,
                pending.letters,
                list(changed.values()),
                ledger_of(pipeline),
                (pipeline.index.version, pipeline.index.files) if pending.configured else None,
                Snapshot(self.processed, pipeline.index.version, pipeline.snapshot())
                if snapshot
                else None,
            )
        new = self._store.commit(step)
        self._commit_mono = time.monotonic()
        self._tell(Told(new, pending.results, pending.rebirths))

    def _snapshot_due(self) -> bool:
        behind = self.processed - self._snapshot_at
        return behind >= self.settings.snapshot_entries or (
            behind > 0 and time.monotonic() - self._snapshot_mono >= self.settings.snapshot_s
        )

    def _snapshot(self) -> None:
        """History first: whatever is not in it by then would be repeated from the journal."""
        if self.processed == self._snapshot_at:
            return
        self._history.flush(self.processed)
        self._commit(snapshot=True)
        self._snapshot_at = self.processed
        self._snapshot_mono = time.monotonic()


def _joined(runs: list[Entries], most: int) -> Iterator[Entries]:
    """Messages that follow each other in one run: a call of the pipeline has a fixed price."""
    group: list[Entries] = []
    count = 0
    for run in runs:
        follows = (
            group
            and run.kind is group[-1].kind is Kind.MESSAGE
            and run.first_seq == group[-1].last_seq + 1
            and count + len(run) <= most
        )
        if group and not follows:
            yield Entries.joined(group)
            group, count = [], 0
        group.append(run)
        count += len(run)
    if group:
        yield Entries.joined(group)


def ledger_of(pipeline: Pipeline) -> dict[str, Any]:
    """Counts of what the pipeline has processed."""
    ingest = pipeline.ingest
    return {
        "received": ingest.received,
        "stored": ingest.stored,
        "rejected": dict(sorted(ingest.dead.counts.items())),
        "findings": pipeline.findings,
        "alarms": pipeline.alarms.raised,
    }


def balance(counts: dict[str, Any], pending: int) -> dict[str, Any]:
    """The ledger in samples: received = stored + rejected + pending.

    Args:
        counts: What was processed, from :func:`ledger_of`; empty before anything was.
        pending: Messages that wait. Each counts as one sample until it is decoded, so
            ``received`` never falls.
    """
    rejected = dict(counts.get("rejected", {}))
    stored = counts.get("stored", 0)
    received = counts.get("received", 0) + pending
    return {
        "received": received,
        "stored": stored,
        "rejected": rejected,
        "pending": pending,
        "balanced": received == stored + sum(rejected.values()) + pending,
        "findings": counts.get("findings", 0),
        "alarms": counts.get("alarms", 0),
    }
