"""What the twin has said and where it stands: one SQLite file, one transaction per step."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from twin.errors import StateError
from twin.model.event import SYSTEM_TYPES, Event, event_id, line_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from twin.alarms import Occurrence
    from twin.ingest.dead import DeadLetter

__all__ = ["Commit", "Snapshot", "StateStore"]

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event(
  n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, system INTEGER NOT NULL,
  type TEXT NOT NULL, sensor TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS event_sensor ON event(sensor, n);
CREATE TABLE IF NOT EXISTS occurrence(
  id TEXT PRIMARY KEY, alarm TEXT NOT NULL, raised_ns INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS occurrence_raised ON occurrence(raised_ns);
CREATE TABLE IF NOT EXISTS dead(
  id TEXT PRIMARY KEY, topic TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL,
  detail TEXT NOT NULL, payload BLOB NOT NULL, seq INTEGER NOT NULL, first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL, count INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS dead_last ON dead(last_ns);
CREATE TABLE IF NOT EXISTS snapshot(
  cursor INTEGER PRIMARY KEY, line TEXT NOT NULL, code TEXT NOT NULL, crc INTEGER NOT NULL,
  body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS line(version TEXT PRIMARY KEY, files BLOB NOT NULL) WITHOUT ROWID;
"""

_encode = msgspec.msgpack.Encoder(enc_hook=plain).encode
_decode_event = msgspec.msgpack.Decoder(Event).decode


@dataclass(slots=True)
class Commit:
    """Everything one step adds, stored together or not at all.

    Attributes:
        cursor: Number of the last entry whose results are in here.
        events: With the journal number they belong to.
        letters: Dead letters.
        occurrences: Alarm occurrences that changed.
        ledger: Counts at the cursor.
        line: Version and files of a line that took effect.
        snapshot: State at the cursor, when it is time for one.
    """

    cursor: int
    events: list[Event] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    occurrences: list[Occurrence] = field(default_factory=list)
    ledger: dict[str, Any] = field(default_factory=dict)
    line: tuple[str, dict[str, str]] | None = None
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of the pipeline at a cursor."""

    cursor: int
    line: str
    state: dict[str, Any]


class StateStore:
    """``state.db``. The thread that opened it writes; :meth:`reader` gives others their own view.

    Args:
        path: The file.
        code_version: Snapshots of another version are not used.
    """

    def __init__(self, path: Path, code_version: str) -> None:
        self.path = path
        self._code = code_version
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA busy_timeout=5000")
        self._db.execute("PRAGMA journal_mode=WAL")
        # Messages to people leave after this commit and must not run ahead of it.
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA fullfsync=1")
        self._db.executescript(_SCHEMA)
        stored = self._meta("schema")
        if stored is None:
            self._set_meta("schema", _SCHEMA_VERSION)
        elif stored != _SCHEMA_VERSION:
            self._db.close()
            raise StateError(
                f"{path.name} has schema {stored}; this linetwin reads {_SCHEMA_VERSION}."
                " Move it away to rebuild it from the journal"
            )
        self.cursor: int = self._meta("cursor") or 0
        self.ledger: dict[str, Any] = self._meta("ledger") or {}
        self.last_event: int = self._db.execute("SELECT max(n) FROM event").fetchone()[0] or 0
        self._hash = hashlib.sha256()
        for line in self.lines():
            self._hash.update(line)

    def _meta(self, key: str) -> Any:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0])

    def key(self) -> str:
        """What this store belongs to (a replay: hash of recording, line and code)."""
        return str(self._meta("key") or "")

    def set_key(self, key: str) -> None:
        """Say what this store belongs to."""
        self._set_meta("key", key)

    def _set_meta(self, key: str, value: Any) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO meta VALUES(?, ?)", (key, msgspec.msgpack.encode(value))
        )

    # -- writing ------------------------------------------------------------------------------

    def commit(self, step: Commit) -> list[tuple[int, Event]]:
        """Store a step durably; returns its new events with their numbers.

        An event that is already there (same id) is not stored again.
        """
        db = self._db
        new: list[tuple[int, Event]] = []
        n = self.last_event
        db.execute("BEGIN IMMEDIATE")
        try:
            for event in step.events:
                added = db.execute(
                    "INSERT OR IGNORE INTO event VALUES(?, ?, ?, ?, ?, ?, ?)",
                    (
                        n + 1,
                        event.id,
                        step.cursor,
                        event.type in SYSTEM_TYPES,
                        event.type,
                        event.sensor,
                        _encode(event),
                    ),
                ).rowcount
                if added:
                    n += 1
                    new.append((n, event))
            db.executemany(
                "INSERT OR REPLACE INTO occurrence VALUES(?, ?, ?, ?)",
                [(o.id, o.alarm, o.raised_ns, _encode(o)) for o in step.occurrences],
            )
            for letter in step.letters:
                self._bury(letter)
            if step.line is not None:
                db.execute(
                    "INSERT OR REPLACE INTO line VALUES(?, ?)",
                    (step.line[0], _encode(step.line[1])),
                )
            if step.snapshot is not None:
                self._keep(step.snapshot)
            self._set_meta("cursor", step.cursor)
            self._set_meta("ledger", step.ledger)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        self.cursor, self.ledger, self.last_event = step.cursor, step.ledger, n
        for _, event in new:
            if event.type not in SYSTEM_TYPES:
                self._hash.update(line_of(event))
        return new

    def _bury(self, letter: DeadLetter) -> None:
        """One row per topic and reason: the newest example, how often, since when."""
        self._db.execute(
            "INSERT INTO dead VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT(id) DO UPDATE SET"
            " detail = excluded.detail, payload = excluded.payload, seq = excluded.seq,"
            " source = excluded.source, last_ns = excluded.last_ns, count = count + 1",
            (
                event_id("dead", letter.topic, letter.reason),
                letter.topic,
                letter.source,
                letter.reason,
                letter.detail,
                letter.payload,
                letter.seq,
                letter.recv_ns,
                letter.recv_ns,
            ),
        )

    def _keep(self, snapshot: Snapshot) -> None:
        """Store a snapshot; the two newest stay."""
        body = zlib.compress(msgspec.msgpack.encode(snapshot.state), 1)
        self._db.execute(
            "INSERT OR REPLACE INTO snapshot VALUES(?, ?, ?, ?, ?)",
            (snapshot.cursor, snapshot.line, self._code, zlib.crc32(body), body),
        )
        self._db.execute(
            "DELETE FROM snapshot WHERE cursor NOT IN"
            " (SELECT cursor FROM snapshot ORDER BY cursor DESC LIMIT 2)"
        )

    # -- reading ------------------------------------------------------------------------------

    def snapshots(self) -> Iterator[Snapshot]:
        """Usable snapshots, newest first; damaged ones and those of other versions are passed."""
        rows = self._db.execute(
            "SELECT cursor, line, code, crc, body FROM snapshot ORDER BY cursor DESC"
        ).fetchall()
        for cursor, line, code, crc, body in rows:
            if code == self._code and zlib.crc32(body) == crc and cursor <= self.cursor:
                yield Snapshot(cursor, line, msgspec.msgpack.decode(zlib.decompress(body)))

    def line_files(self, version: str) -> dict[str, str] | None:
        """Files of a version of the line."""
        row = self._db.execute("SELECT files FROM line WHERE version = ?", (version,)).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=dict[str, str])

    def lines(self) -> Iterator[bytes]:
        """Lines of ``events.jsonl``, in order."""
        rows = self._db.execute("SELECT body FROM event WHERE system = 0 ORDER BY n")
        for (body,) in rows:
            yield line_of(_decode_event(body))

    def events_sha256(self) -> str:
        """SHA-256 of ``events.jsonl`` as it would be now."""
        return self._hash.copy().hexdigest()

    def write_events(self, path: Path) -> None:
        """Write ``events.jsonl``; the file appears whole or not at all."""
        partial = path.with_name(path.name + ".part")
        with partial.open("wb") as handle:
            handle.writelines(self.lines())
        partial.replace(path)

    def reader(self) -> Reader:
        """A read-only view for another thread."""
        return Reader(self.path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class Reader:
    """Read-only queries on ``state.db``; one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)

    def events(self, after: int, limit: int, sensor: str) -> list[tuple[int, Event]]:
        """Events with number > ``after``, oldest first."""
        where, values = ("AND sensor = ?", [sensor]) if sensor else ("", [])
        rows = self._db.execute(
            f"SELECT n, body FROM event WHERE n > ? {where} ORDER BY n LIMIT ?",
            [after, *values, limit],
        )
        return [(n, _decode_event(body)) for n, body in rows]

    def newest(self, sensor: str, types: Iterable[str], limit: int) -> list[Event]:
        """Newest events of a sensor of some types, newest first."""
        wanted = list(types)
        marks = ",".join("?" * len(wanted))
        rows = self._db.execute(
            f"SELECT body FROM event WHERE sensor = ? AND type IN ({marks})"
            " ORDER BY n DESC LIMIT ?",
            [sensor, *wanted, limit],
        )
        return [_decode_event(body) for (body,) in rows]

    def findings_after(self, after: int, limit: int) -> list[tuple[int, Event]]:
        """Findings with number > ``after``, oldest first."""
        rows = self._db.execute(
            "SELECT n, body FROM event WHERE n > ? AND type = 'finding' ORDER BY n LIMIT ?",
            (after, limit),
        )
        return [(n, _decode_event(body)) for n, body in rows]

    def findings_back(self) -> Iterator[tuple[int, Event]]:
        """Findings with their numbers, newest first; read as far as somebody asks."""
        rows = self._db.execute("SELECT n, body FROM event WHERE type = 'finding' ORDER BY n DESC")
        for n, body in rows:
            yield n, _decode_event(body)

    def first_ns(self) -> int | None:
        """Event time of the first event of all; None when there is none."""
        row = self._db.execute("SELECT body FROM event ORDER BY n LIMIT 1").fetchone()
        return None if row is None else _decode_event(row[0]).t_first

    def occurrences(self, limit: int) -> list[dict[str, Any]]:
        """Alarm occurrences, newest first."""
        rows = self._db.execute(
            "SELECT body FROM occurrence ORDER BY raised_ns DESC, id LIMIT ?", (limit,)
        )
        return [msgspec.msgpack.decode(body) for (body,) in rows]

    def dead(self, limit: int) -> list[dict[str, Any]]:
        """Dead letters, newest first."""
        cursor = self._db.execute("SELECT * FROM dead ORDER BY last_ns DESC, id LIMIT ?", (limit,))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def snapshot_cursors(self) -> list[int]:
        """Entries at which snapshots stand."""
        return [cursor for (cursor,) in self._db.execute("SELECT cursor FROM snapshot")]

    def close(self) -> None:
        """Close the view."""
        self._db.close()
