"""The history store: append from the engine, read from the board, both at the same time."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from twin.errors import SinkError
from twin.history import database
from twin.history.bins import Bins, single_points
from twin.history.chunk import ChunkDamagedError, Head, Rows, pack, seal
from twin.history.merge import runs_of_small
from twin.history.tail import Part, split_by_sensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from twin.model.batch import Batch

__all__ = ["CHUNK_ROWS", "Damage", "History"]

CHUNK_ROWS = 4096
"""Largest number of rows in a chunk."""
_FIRST, _LAST = -(1 << 63), (1 << 63) - 1
_NO_SENSOR = 0
"""SQLite counts from 1."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that was written and cannot be read; it is left out, never shown as data.

    Attributes:
        sensor: Sensor id, empty when the whole file is concerned.
        t0: Earliest time concerned, ns; only as good as what is left of the chunk.
        t1: Latest time, ns.
        n: Rows lost.
        detail: What is wrong.
    """

    sensor: str
    t0: int
    t1: int
    n: int
    detail: str


@dataclass(frozen=True, slots=True)
class _Moment:
    """A consistent view: what is on disk and what is not yet."""

    disk: sqlite3.Connection
    tail: list[Part]


class History:
    """Samples of all sensors in one SQLite file.

    One thread appends and flushes; any thread may read, compact or apply retention. Reading sees
    everything appended so far, whether it is on disk or not. ``append`` costs a copy of the batch's columns; the work is
    done in :meth:`flush`.

    Args:
        path: The file; made when absent. Not on a network file system.

    Raises:
        StateError: A later version wrote the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._disk, moved = database.open_store(path)
        self._reader = database.connect(path)
        # Held while disk and tail change together, and while a reader takes its view of both.
        self._lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._write_lock = threading.RLock()
        self._tail: list[Part] = []
        self._numbers = np.empty(0, np.int32)
        self._cursor: int = self._one("SELECT value FROM meta WHERE key = 'cursor'")
        self._next_id: int = self._one("SELECT ifnull(max(id), 0) + 1 FROM body")
        listed = self._disk.execute("SELECT name, id FROM sensor ORDER BY id")
        self._sensors: dict[str, int] = dict(listed.fetchall())
        self._damage: dict[int, Damage] = {}
        if moved:
            self._damage[-1] = Damage("", 0, 0, 0, moved)

    def _one(self, query: str) -> Any:
        return self._disk.execute(query).fetchone()[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; rows that were not flushed come again from the journal."""
        with self._write_lock, self._read_lock:
            self._disk.close()
            self._reader.close()

    @property
    def cursor(self) -> int:
        """Journal number up to which everything is on disk, -1 for nothing."""
        return self._cursor

    @property
    def pending(self) -> int:
        """Rows appended and not yet on disk."""
        return sum(map(len, self._tail))

    @property
    def damage(self) -> list[Damage]:
        """What was found to be unreadable since the store was opened."""
        return list(self._damage.values())

    # -- writing --------------------------------------------------------------------------------

    def bind(self, sensor_ids: list[str]) -> None:
        """Say which sensor each index of the following batches means.

        Sensors are kept by name: another version of the line may number them anew.

        Args:
            sensor_ids: ``station/key`` by dense index.

        Raises:
            SinkError: New names could not be written.
        """
        new = [(name,) for name in sensor_ids if name not in self._sensors]
        if new:
            with self._transaction() as disk:
                disk.executemany("INSERT OR IGNORE INTO sensor (name) VALUES (?)", new)
            self._sensors = dict(self._disk.execute("SELECT name, id FROM sensor").fetchall())
        self._numbers = np.array([self._sensors[name] for name in sensor_ids], np.int32)

    def append(self, batch: Batch) -> None:
        """Keep the rows of a batch; those the store already has on disk are ignored.

        Args:
            batch: Accepted samples with the indexes of :meth:`bind`. Nothing of it is kept.

        Raises:
            IndexError: The batch has a sensor that was not bound.
        """
        part = Part.of(batch, self._numbers, self._cursor)
        if len(part):
            with self._lock:
                self._tail.append(part)

    def flush(self, cursor_seq: int) -> None:
        """Write the rows with ``seq`` <= ``cursor_seq`` and the cursor in one transaction.

        Args:
            cursor_seq: Journal number up to which everything has been appended.

        Raises:
            SinkError: Nothing was written; the rows are kept and the next flush tries again.
        """
        with self._write_lock:
            if cursor_seq > self._cursor:
                self._flush(cursor_seq)

    def _flush(self, cursor_seq: int) -> None:
        taken = list(self._tail)
        due, rest = [], []
        for part in taken:
            now = part.seq <= cursor_seq
            if now.all():
                due.append(part)
                continue
            rest.append(part.take(~now))
            due.append(part.take(now))
        chunks = [
            self._chunk(sensor, rows.take(slice(at, at + CHUNK_ROWS)))
            for sensor, rows in split_by_sensor(due)
            for at in range(0, len(rows), CHUNK_ROWS)
        ]
        with self._transaction(rest, len(taken)) as disk:
            database.put(disk, chunks)
            disk.execute("UPDATE meta SET value = ? WHERE key = 'cursor'", (cursor_seq,))
        self._cursor = cursor_seq

    def _chunk(self, sensor: int, rows: Rows) -> tuple[Head, bytes]:
        body = pack(rows)
        head = seal(sensor, self._next_id, rows, body)
        self._next_id += 1
        return head, body

    @contextmanager
    def _transaction(
        self, tail: list[Part] | None = None, taken: int = 0
    ) -> Iterator[sqlite3.Connection]:
        """All or nothing; at the moment of the commit ``tail`` replaces the first ``taken`` parts."""
        with self._write_lock:
            try:
                self._disk.execute("BEGIN IMMEDIATE")
                try:
                    yield self._disk
                    with self._lock:
                        self._disk.execute("COMMIT")
                        if tail is not None:
                            self._tail = tail + self._tail[taken:]
                except BaseException:
                    if self._disk.in_transaction:
                        self._disk.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise SinkError(f"history {self._path.name}: {error}") from error

    # -- upkeep ---------------------------------------------------------------------------------

    def retain(self, oldest_ns: int) -> int:
        """Delete chunks that end before a moment and give their space back.

        Args:
            oldest_ns: Event time; the caller knows the age and the time of day.

        Returns:
            Number of rows deleted.

        Raises:
            SinkError: The file could not be written.
        """
        deleted = 0
        for sensor in self._sensors.values():
            with self._write_lock:
                chunks = self._heads(self._disk, sensor, None, oldest_ns)
                old = [head for head in chunks if head.t1 < oldest_ns]
                if old:
                    with self._transaction() as disk:
                        database.remove(disk, old)
                    deleted += sum(head.n for head in old)
        if deleted:
            with self._write_lock:
                self._disk.execute("PRAGMA incremental_vacuum").fetchall()
        return deleted

    def compact(self, most: int = 64) -> int:
        """Merge runs of small chunks; call it when there is nothing else to do.

        Args:
            most: Merged chunks to write at most in this call.

        Returns:
            Merged chunks written; 0 when nothing is left to do.

        Raises:
            SinkError: The file could not be written.
        """
        written = 0
        for sensor in self._sensors.values():
            # One sensor at a time: a flush of another thread waits for no more than that.
            with self._write_lock:
                for run in runs_of_small(self._heads(self._disk, sensor, None, None), CHUNK_ROWS):
                    if written >= most:
                        return written
                    written += self._merge(sensor, run)
        return written

    def _merge(self, sensor: int, run: list[Head]) -> int:
        read = [(head, self._rows(self._disk, head)) for head in run]
        sound = [(head, rows) for head, rows in read if rows is not None]
        if len(sound) < 2:
            return 0
        merged = self._chunk(sensor, Rows.joined([rows for _, rows in sound]).by_time())
        with self._transaction() as disk:
            database.remove(disk, [head for head, _ in sound])
            database.put(disk, [merged])
        return 1

    # -- reading --------------------------------------------------------------------------------

    @contextmanager
    def _moment(self) -> Iterator[_Moment]:
        """A view in which every row stands exactly once, on disk or in the tail."""
        with self._read_lock:
            try:
                with self._lock:
                    self._reader.execute("BEGIN")
                    # A read transaction begins with its first statement.
                    self._reader.execute("SELECT value FROM meta").fetchone()
                    tail = list(self._tail)
                yield _Moment(self._reader, tail)
            finally:
                if self._reader.in_transaction:
                    self._reader.execute("ROLLBACK")  # nothing was changed

    def _heads(
        self, disk: sqlite3.Connection, sensor: int, start: int | None, end: int | None
    ) -> list[Head]:
        """Chunks that touch a range, in order of writing."""
        low = _FIRST if start is None else start
        high = _LAST if end is None else end
        return list(self._trusted(sensor, lambda: database.heads(disk, sensor, low, high)))

    def _backwards(self, disk: sqlite3.Connection, sensor: int) -> Iterator[Head]:
        """Chunks from the latest to the earliest."""
        return self._trusted(sensor, lambda: database.earlier(disk, sensor))

    def _trusted(self, sensor: int, read: Callable[[], Iterable[Head]]) -> Iterator[Head]:
        """Heads that are what was written; the others are reported."""
        try:
            for head in read():
                if head.intact:
                    yield head
                else:
                    self._report(head.id, sensor, head, "the head of a chunk fails its checksum")
        except sqlite3.DatabaseError as error:
            self._report(-1 - sensor, sensor, None, str(error))

    def _rows(self, disk: sqlite3.Connection, head: Head) -> Rows | None:
        try:
            return database.rows_of(disk, head)
        except (ChunkDamagedError, sqlite3.DatabaseError) as error:
            self._report(head.id, head.sensor, head, str(error))
            return None

    def _report(self, number: int, sensor: int, head: Head | None, detail: str) -> None:
        name = next((name for name, key in self._sensors.items() if key == sensor), "")
        t0, t1, n = (head.t0, head.t1, head.n) if head else (0, 0, 0)
        self._damage.setdefault(number, Damage(name, t0, t1, n, detail))

    def series(
        self, sensor_id: str, start_ns: int | None, end_ns: int | None, points: int
    ) -> dict[str, NDArray[Any]]:
        """Down-sampled history: every sample where they are few, else equal bins of time.

        Samples of bad quality and without a value are not shown.

        Args:
            sensor_id: ``station/key``.
            start_ns: First moment, None for the earliest sample.
            end_ns: First moment after the range, None for just after the latest sample.
            points: Largest number of points, at least 1.

        Returns:
            Columns of equal length: ``t`` (int64 ns: time of the sample or start of the bin),
            ``min``, ``mean``, ``max`` (float64) and ``n`` (int64, samples in the bin). Bins
            without samples are left out.
        """
        sensor = self._sensors.get(sensor_id, _NO_SENSOR)
        with self._moment() as now:
            heads = self._heads(now.disk, sensor, start_ns, end_ns)
            tail = Rows.joined([part.of_sensor(sensor) for part in now.tail])
            start = _earliest(heads, tail) if start_ns is None else start_ns
            end = _latest(heads, tail) + 1 if end_ns is None else end_ns
            bins = Bins(start, end, points)
            tail = tail.between(start, end)
            within = sum(head.n for head in heads if start <= head.t0 and head.t1 < end)
            if within + len(tail) <= points:
                parts = [rows for head in heads if (rows := self._rows(now.disk, head)) is not None]
                rows = Rows.joined([*parts, tail]).between(start, end).good().by_time()
                if len(rows) <= points:
                    return single_points(rows)
            bins.add_heads([head for head in heads if bins.hold(head)])
            for head in heads:
                if not bins.hold(head) and (rows := self._rows(now.disk, head)) is not None:
                    bins.add_rows(rows)
            bins.add_rows(tail)
            return bins.columns()

    def last(self, sensor_id: str, n: int) -> dict[str, NDArray[Any]]:
        """The latest samples by event time, oldest first: t, value, quality, marks.

        Args:
            sensor_id: ``station/key``.
            n: How many at most.
        """
        sensor = self._sensors.get(sensor_id, _NO_SENSOR)
        with self._moment() as now:
            parts = [part.of_sensor(sensor) for part in now.tail]
            rows = Rows.joined(parts).by_time().take(slice(-n, None))
            found: list[tuple[int, Rows]] = []
            for head in self._backwards(now.disk, sensor):
                if len(rows) >= n and int(rows.time[-n]) >= head.t1:
                    break
                read = self._rows(now.disk, head)
                if read is not None:
                    found.append((head.id, read))
                # Chunks in the order of writing, then the tail: equal times keep their order.
                ordered = [part for _, part in sorted(found, key=lambda item: item[0])]
                rows = Rows.joined([*ordered, *parts]).by_time().take(slice(-n, None))
        return {"t": rows.time, "value": rows.value, "quality": rows.quality, "marks": rows.marks}

    def latest(self) -> dict[str, tuple[int, float, int]]:
        """Time (ns), value and quality of the latest sample of every sensor that has one."""
        newest: dict[int, tuple[int, float, int]] = {}
        with self._moment() as now:
            for sensor in self._sensors.values():
                head = next(iter(self._backwards(now.disk, sensor)), None)
                if head is not None:
                    newest[sensor] = (head.t1, head.last, head.last_quality)
            for sensor, rows in split_by_sensor(now.tail):
                time = int(rows.time[-1])
                if sensor not in newest or time >= newest[sensor][0]:
                    newest[sensor] = (time, float(rows.value[-1]), int(rows.quality[-1]))
        return {name: newest[key] for name, key in self._sensors.items() if key in newest}


def _earliest(heads: list[Head], tail: Rows) -> int:
    times = [head.t0 for head in heads]
    return min([*times, int(tail.time.min())] if len(tail) else times, default=0)


def _latest(heads: list[Head], tail: Rows) -> int:
    times = [head.t1 for head in heads]
    return max([*times, int(tail.time.max())] if len(tail) else times, default=0)
