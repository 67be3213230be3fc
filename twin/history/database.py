"""The SQLite file of the history store: tables, transactions, and what to do when it is damaged."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from twin.errors import StateError
from twin.history.chunk import ChunkDamagedError, Head, Rows, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["connect", "earlier", "heads", "open_store", "put", "remove", "rows_of"]

_VERSION = 1
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sensor (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS body (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS chunk (
    sensor INTEGER, t1 INTEGER, id INTEGER, t0 INTEGER, n INTEGER, good INTEGER,
    low REAL, high REAL, total REAL, last REAL, last_quality INTEGER,
    body_crc INTEGER, head_crc INTEGER,
    PRIMARY KEY (sensor, t1, id)
) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('cursor', -1);
PRAGMA user_version = {_VERSION};
COMMIT;
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that survives power loss after every commit and may change threads."""
    # Callers serialise access themselves; transactions are opened by hand.
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def open_store(path: Path) -> tuple[sqlite3.Connection, str]:
    """Open or create the file; one that is no database any more is moved aside.

    Returns:
        The connection, and what had to be moved aside (empty in the usual case).

    Raises:
        StateError: A later version wrote the file.
    """
    try:
        return _prepared(path), ""
    except sqlite3.OperationalError:
        raise  # busy, read-only, disk full: nothing is wrong with the content
    except sqlite3.DatabaseError as error:
        aside = _move_aside(path)
        return _prepared(path), f"{path.name} is damaged ({error}); moved to {aside.name}"


def _prepared(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        _refuse_later(connection, path)
        connection.executescript(_SCHEMA)
        for table in ("meta", "sensor"):  # small, and nothing works without them
            connection.execute(f"SELECT * FROM {table}").fetchall()
        connection.execute("SELECT max(id) FROM body").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_later(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise StateError(f"{path.name} is of version {version}; this is version {_VERSION}")


def _move_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


# -- chunks --------------------------------------------------------------------------------------


def heads(connection: sqlite3.Connection, sensor: int, start: int, end: int) -> list[Head]:
    """Heads of the chunks that touch start <= time < end, in order of writing."""
    rows = connection.execute(
        "SELECT * FROM chunk WHERE sensor = ? AND t1 >= ? AND t0 < ?", (sensor, start, end)
    )
    return sorted((Head.read(row) for row in rows), key=lambda head: head.id)


def earlier(connection: sqlite3.Connection, sensor: int) -> Iterator[Head]:
    """Heads from the latest to the earliest, read as they are asked for."""
    rows = connection.execute(
        "SELECT * FROM chunk WHERE sensor = ? ORDER BY t1 DESC, id DESC", (sensor,)
    )
    return (Head.read(row) for row in rows)


def rows_of(connection: sqlite3.Connection, head: Head) -> Rows:
    """Read and check the body of a chunk.

    Raises:
        ChunkDamagedError: It is not what was written.
    """
    found = connection.execute("SELECT data FROM body WHERE id = ?", (head.id,)).fetchone()
    body = found[0] if found else None
    if not isinstance(body, bytes | None):
        raise ChunkDamagedError("the body of a chunk is no longer bytes")
    return unpack(head, body)


def put(connection: sqlite3.Connection, chunks: list[tuple[Head, bytes]]) -> None:
    """Write chunks inside the caller's transaction."""
    places = ", ".join("?" * len(Head._fields))
    connection.executemany("INSERT INTO body VALUES (?, ?)", [(h.id, body) for h, body in chunks])
    connection.executemany(f"INSERT INTO chunk VALUES ({places})", [head for head, _ in chunks])


def remove(connection: sqlite3.Connection, gone: list[Head]) -> None:
    """Delete chunks inside the caller's transaction."""
    connection.executemany("DELETE FROM body WHERE id = ?", [(head.id,) for head in gone])
    connection.executemany(
        "DELETE FROM chunk WHERE sensor = ? AND t1 = ? AND id = ?",
        [(head.sensor, head.t1, head.id) for head in gone],
    )
