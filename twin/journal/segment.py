"""One segment: an SQLite file with frames, its topic dictionary and open QoS 2 packet ids."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twin.errors import JournalError
from twin.journal import frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from twin.model.message import Entries

__all__ = ["Segment", "SegmentInfo", "fsync_folder", "list_segments", "segment_path"]

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE segment(
  start_seq INTEGER NOT NULL, created_ns INTEGER NOT NULL, code_version TEXT NOT NULL,
  schema INTEGER NOT NULL);
CREATE TABLE frame(
  first_seq INTEGER PRIMARY KEY, n INTEGER NOT NULL, kind INTEGER NOT NULL,
  codec INTEGER NOT NULL, recv_first_ns INTEGER NOT NULL, recv_last_ns INTEGER NOT NULL,
  crc INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE topic(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE qos2(source TEXT NOT NULL, packet_id INTEGER NOT NULL,
  PRIMARY KEY(source, packet_id)) WITHOUT ROWID;
"""

_TAKE = "INSERT OR IGNORE INTO qos2 VALUES(?, ?)"
_RELEASE = "DELETE FROM qos2 WHERE source = ? AND packet_id = ?"


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """Number and first sequence number of a segment file."""

    number: int
    path: Path
    start_seq: int
    created_ns: int


def segment_path(folder: Path, number: int) -> Path:
    """File of segment ``number`` (1, 2, …)."""
    return folder / f"{number:08d}.db"


def fsync_folder(folder: Path) -> None:
    """Make a created, renamed or deleted file name durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_segments(folder: Path) -> list[SegmentInfo]:
    """All segments in order; raises sqlite3.DatabaseError for one that cannot be opened."""
    found = []
    for path in sorted(folder.glob("[0-9]" * 8 + ".db")):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            row = connection.execute("SELECT start_seq, created_ns FROM segment").fetchone()
        finally:
            connection.close()
        if row is None:
            raise sqlite3.DatabaseError(f"{path.name}: no segment row")
        found.append(SegmentInfo(int(path.stem), path, row[0], row[1]))
    return found


class Segment:
    """A segment that is open for appending. One thread owns it."""

    def __init__(self, connection: sqlite3.Connection, info: SegmentInfo) -> None:
        self.info = info
        self._db = connection
        self._topics: dict[str, int] = {
            name: number for number, name in connection.execute("SELECT id, name FROM topic")
        }

    @classmethod
    def create(
        cls, folder: Path, number: int, start_seq: int, created_ns: int, code_version: str
    ) -> Segment:
        """Make a new, empty segment and make its existence durable."""
        path = segment_path(folder, number)
        connection = _connect(path)
        connection.executescript("BEGIN;" + _SCHEMA)
        connection.execute(
            "INSERT INTO segment VALUES(?, ?, ?, ?)",
            (start_seq, created_ns, code_version, SCHEMA_VERSION),
        )
        connection.commit()
        fsync_folder(folder)
        return cls(connection, SegmentInfo(number, path, start_seq, created_ns))

    @classmethod
    def open(cls, info: SegmentInfo) -> Segment:
        """Continue an existing segment."""
        connection = _connect(info.path)
        (schema,) = connection.execute("SELECT schema FROM segment").fetchone()
        if schema != SCHEMA_VERSION:
            connection.close()
            raise JournalError(
                f"{info.path.name}: schema {schema}; this linetwin writes {SCHEMA_VERSION}"
            )
        return cls(connection, info)

    def append(
        self,
        parts: Iterable[Entries],
        *,
        compress: bool,
        qos2: Iterable[tuple[bool, str, int]] = (),
    ) -> None:
        """Store frames and QoS 2 packet ids in one durable transaction.

        Args:
            parts: The frames.
            compress: See :func:`twin.journal.frames.pack`.
            qos2: (taken or released, source, packet id) in order: an id may be released and
                used again within one transaction.

        Raises:
            sqlite3.Error: Nothing is known about the transaction: it may reappear. Do not go on
                with this segment.
        """
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            for entries in parts:
                ids = self._topic_ids(entries.topics)
                codec, body = frames.pack(entries, ids, compress=compress)
                crc = frames.checksum(
                    entries.first_seq, len(entries), int(entries.kind), codec, body
                )
                db.execute(
                    "INSERT INTO frame VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        entries.first_seq,
                        len(entries),
                        int(entries.kind),
                        codec,
                        entries.recv_ns[0],
                        entries.recv_ns[-1],
                        crc,
                        body,
                    ),
                )
            for taken, source, packet_id in qos2:
                db.execute(_TAKE if taken else _RELEASE, (source, packet_id))
            db.commit()
        except BaseException:
            # The dictionary may name topics of a transaction that is gone.
            self._topics.clear()
            raise

    def _topic_ids(self, topics: list[str]) -> list[int]:
        known = self._topics
        try:
            return [known[topic] for topic in topics]
        except KeyError:
            pass
        for topic in topics:
            if topic not in known:
                cursor = self._db.execute("INSERT INTO topic(name) VALUES(?)", (topic,))
                known[topic] = int(cursor.lastrowid or 0)
        return [known[topic] for topic in topics]

    def qos2(self) -> list[tuple[str, int]]:
        """Stored and unreleased QoS 2 packet ids as (source, packet id)."""
        return self._db.execute("SELECT source, packet_id FROM qos2").fetchall()

    def size(self) -> int:
        """Bytes of the database file and its write-ahead log."""
        total = 0
        for suffix in ("", "-wal"):
            file = self.info.path.with_name(self.info.path.name + suffix)
            if file.exists():
                total += file.stat().st_size
        return total

    def close(self) -> None:
        """Fold the write-ahead log into the file and close."""
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # a reader holds the log; the next opener folds it
        finally:
            self._db.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA page_size=8192")
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        connection.close()
        raise JournalError(
            f"{path}: the file system gives no write-ahead log (got {mode}); "
            "a journal needs a local disk, not a network share"
        )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=1")
    connection.execute("PRAGMA wal_autocheckpoint=1000")
    connection.execute("PRAGMA journal_size_limit=67108864")
    connection.execute("PRAGMA temp_store=MEMORY")
    return connection


def read_frames(path: Path, first_seq: int, before_seq: int) -> Iterator[Entries]:
    """Frames of one segment that hold entries in ``first_seq`` … ``before_seq - 1``.

    The first frame may begin before ``first_seq``. Damaged frames end the iteration with an error.

    Raises:
        JournalError: A checksum does not match.
        sqlite3.DatabaseError: SQLite cannot read the file.
    """
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("BEGIN")  # dictionary and frames of the same moment
        topics = dict(connection.execute("SELECT id, name FROM topic"))
        start = connection.execute(
            "SELECT max(first_seq) FROM frame WHERE first_seq <= ?", (first_seq,)
        ).fetchone()[0]
        rows = connection.execute(
            "SELECT first_seq, n, kind, codec, crc, body FROM frame"
            " WHERE first_seq >= ? AND first_seq < ? ORDER BY first_seq",
            (first_seq if start is None else start, before_seq),
        )
        for seq, count, kind, codec, crc, body in rows:
            if frames.checksum(seq, count, kind, codec, body) != crc:
                raise JournalError(f"{path.name}: frame {seq} ({count} entries) is damaged")
            if seq + count <= first_seq:
                continue
            yield frames.unpack(seq, kind, codec, body, topics)
    finally:
        connection.close()
