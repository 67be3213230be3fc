"""Replay: the same pipeline over a recording instead of the live journal."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import msgspec

from twin.engine.pipeline import Output
from twin.engine.runner import ledger_of, resume
from twin.engine.store import Commit, Snapshot, StateStore
from twin.model.event import event_id
from twin.model.message import Entries
from twin.model.table import Note, Samples, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twin.model.event import Event
    from twin.model.index import LineIndex

    Piece = Table | Samples | Note | Entries

__all__ = ["Replay", "cut", "part_of"]

_CHECKPOINT_S = 5.0
_WORK = ".linetwin-replay"
"""Folder of an interrupted replay. It is removed, so nobody else may have a folder of that name."""
_KEPT_TYPES = ("data_quality", "formation_step", "formation_cycle")


class Replay:
    """Runs recordings through the pipeline into a folder.

    The folder gets ``events.jsonl`` and ``summary.json``. A replay that was interrupted goes on
    where its last checkpoint stands when it is started again with the same recordings and line;
    the result is the same to the byte.

    Args:
        out: Folder of the results.
        index: The line the recording is judged by.
        recordings: (name, SHA-256) of each recording, in order: what the result depends on.
        code_version: Version of linetwin.
        split: Rows per step; None takes the recording's own pieces.
        follow: Whether versions of the line in a journal take effect; otherwise everything is
            judged by ``index``.
        reading: How the recordings are read (zone, mapping): what else the result depends on.
    """

    def __init__(
        self,
        out: Path,
        index: LineIndex,
        recordings: list[tuple[str, str]],
        code_version: str,
        *,
        split: int | None = None,
        follow: bool = False,
        reading: str = "",
    ) -> None:
        self.out = out
        self._work = out / _WORK
        self._split = split
        key = event_id(
            "replay", index.version, code_version, follow, reading, *[s for _, s in recordings]
        )
        self._store = self._open(key, code_version)
        self.pipeline, self.rows = resume(self._store, index, keep_line=not follow)
        """Rows (or entries) already done, over all recordings."""
        self.resumed = self.rows > 0
        self._pending = Output()
        self._checkpoint = time.monotonic()
        self._cpu = time.process_time()
        self._wall = time.monotonic()
        self._before = self.pipeline.ingest.received
        self._recordings = recordings
        self._index = index

    def _open(self, key: str, code_version: str) -> StateStore:
        self._work.mkdir(parents=True, exist_ok=True)
        store = StateStore(self._work / "state.db", code_version)
        if store.key() != key:
            store.close()
            shutil.rmtree(self._work)
            self._work.mkdir()
            store = StateStore(self._work / "state.db", code_version)
            store.set_key(key)
        return store

    def feed(self, piece: Piece, base: int) -> list[Event]:
        """Process a piece.

        Args:
            piece: Rows, entries or a note.
            base: Rows of all recordings before this one.

        Returns:
            The new events.
        """
        found: list[Event] = []
        for part in cut(piece, self._split):
            found += self._feed(part, base)
        if time.monotonic() - self._checkpoint >= _CHECKPOINT_S:
            self.checkpoint()
        return found

    def _feed(self, piece: Piece, base: int) -> list[Event]:
        if isinstance(piece, Table):
            out = self.pipeline.feed_table(piece, base + piece.first_row + 1)
            self.rows = base + piece.first_row + len(piece)
        elif isinstance(piece, Samples):
            out = self.pipeline.feed_samples(piece, base + piece.first_row + 1)
            self.rows = base + piece.first_row + len(piece)
        elif isinstance(piece, Entries):
            out = self.pipeline.feed(piece)
            self.rows = base + piece.last_seq
        else:
            out = self.pipeline.feed_note(piece)
        self._pending.events += out.events
        self._pending.letters += out.letters
        return out.events

    def checkpoint(self) -> None:
        """Make everything so far durable."""
        pending, self._pending = self._pending, Output()
        changed, self.pipeline.alarms.changed = self.pipeline.alarms.changed, {}
        self._store.commit(
            Commit(
                self.rows,
                pending.events,
                pending.letters,
                list(changed.values()),
                ledger_of(self.pipeline),
                (self.pipeline.index.version, self.pipeline.index.files),
                Snapshot(self.rows, self.pipeline.index.version, self.pipeline.snapshot()),
            )
        )
        self._checkpoint = time.monotonic()

    def finish(self, *, ended: bool) -> dict[str, Any]:
        """Write the results.

        Args:
            ended: The recording has an end (a file, not a journal that goes on): what is still
                open is reported as incomplete.

        Returns:
            The summary, as in ``summary.json``.
        """
        if ended:
            self._pending.events += self.pipeline.finish().events
        self.checkpoint()
        summary = self.summary()
        self._store.write_events(self.out / "events.jsonl")
        (self.out / "summary.json").write_bytes(
            msgspec.json.format(msgspec.json.encode({**summary, **self._facts()}), indent=2)
        )
        self._store.close()
        shutil.rmtree(self._work)
        return summary

    def summary(self) -> dict[str, Any]:
        """The ledger and the speed of this run."""
        counts = ledger_of(self.pipeline)
        wall = max(1e-9, time.monotonic() - self._wall)
        done = counts["received"] - self._before
        return {
            "received": counts["received"],
            "stored": counts["stored"],
            "rejected": counts["rejected"],
            "pending": 0,
            "findings": counts["findings"],
            "alarms": counts["alarms"],
            "events_sha256": self._store.events_sha256(),
            "samples_per_second": round(done / wall, 1),
            "cpu_us_per_sample": round((time.process_time() - self._cpu) * 1e6 / done, 3)
            if done
            else None,
        }

    def _facts(self) -> dict[str, Any]:
        """What a person wants to find in the summary besides the counts."""
        found: dict[str, list[Any]] = {kind: [] for kind in _KEPT_TYPES}
        for line in self._store.lines():
            event = msgspec.json.decode(line)
            if event["type"] in found:
                found[event["type"]].append(event)
        return {
            "line": self._index.version,
            "recordings": [{"name": name, "sha256": sha} for name, sha in self._recordings],
            "defects": found["data_quality"],
            "formation_steps": found["formation_step"],
            "formation_cycles": found["formation_cycle"],
        }

    def abandon(self) -> None:
        """Stop now; the next start goes on from here."""
        self.checkpoint()
        self._store.close()


def cut(piece: Piece, split: int | None) -> Iterator[Piece]:
    """The piece in parts of at most ``split`` rows."""
    if split is None or isinstance(piece, Note) or len(piece) <= split:
        yield piece
        return
    for start in range(0, len(piece), split):
        yield part_of(piece, start, min(start + split, len(piece)))


def part_of(piece: Table | Samples | Entries, start: int, stop: int) -> Table | Samples | Entries:
    """Rows ``start`` to ``stop`` (exclusive) of a piece."""
    if isinstance(piece, Entries):
        return piece.part(start, stop)
    if isinstance(piece, Table):
        return _table(piece, start, stop)
    return _samples(piece, start, stop)


def _table(piece: Table, start: int, stop: int) -> Table:
    return Table(
        piece.source,
        piece.topic,
        piece.first_row + start,
        piece.time_ns[start:stop],
        {name: column[start:stop] for name, column in piece.columns.items()},
        piece.units,
    )


def _samples(piece: Samples, start: int, stop: int) -> Samples:
    return Samples(
        piece.source,
        piece.first_row + start,
        piece.sensors,
        piece.code[start:stop],
        piece.time_ns[start:stop],
        piece.value[start:stop],
        piece.quality[start:stop],
        piece.units,
    )
