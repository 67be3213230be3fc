"""The journal's only writer: group commit on one thread, acknowledgement after the commit."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twin.errors import JournalError
from twin.journal.frames import MAX_BYTES, MAX_ENTRIES
from twin.journal.hwm import HighWaterMark
from twin.journal.reader import Reader
from twin.journal.salvage import Damage, examine
from twin.journal.segment import Segment, fsync_folder, list_segments
from twin.model.message import Block, Entries, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twin.ports import Clock

__all__ = ["Journal", "JournalSettings"]

log = logging.getLogger("linetwin.journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """How the journal behaves.

    Attributes:
        min_interval_s: Shortest time between two commits; saves flash wear. Commits otherwise
            follow each other as fast as the disk allows, so batches grow by themselves under load.
        segment_bytes: A segment is closed when it has grown to this size.
        segment_s: A segment is closed at this age.
        queue_messages: Messages waiting for the disk before sources are asked to stop reading.
        queue_bytes: Payload bytes waiting, likewise.
        tail_messages: Newest messages kept in memory so that the engine need not read them back.
        compress: Whether frame bodies are compressed.
        ballast_bytes: File that is given back when the disk is full, so that the last messages
            can still be stored.
    """

    min_interval_s: float = 0.002
    segment_bytes: int = 256 << 20
    segment_s: float = 3600.0
    queue_messages: int = 20_000
    queue_bytes: int = 16 << 20
    tail_messages: int = 200_000
    compress: bool = False
    ballast_bytes: int = 64 << 20


@dataclass(slots=True)
class _Waiting:
    """What the event loop has handed over and the writer has not taken yet."""

    blocks: deque[Block] = field(default_factory=deque)
    called: list[Callable[[], None]] = field(default_factory=list)
    qos2: list[tuple[bool, str, int]] = field(default_factory=list)
    messages: int = 0
    size: int = 0


class Journal:
    """Append entries durably, hand them to the engine in order.

    ``put`` and its relatives are called on the event loop; one thread of its own writes. The
    engine reads with :meth:`read` on a third thread.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        code_version: str,
        settings: JournalSettings | None = None,
    ) -> None:
        self.folder = folder
        self.settings = settings or JournalSettings()
        self.damage: Damage | None = None
        self._clock = clock
        self._code_version = code_version
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._news = threading.Condition(self._lock)
        self._waiting = _Waiting()
        self._resume: list[Callable[[], None]] = []
        self._tail: deque[Entries] = deque()
        self._tail_messages = 0
        self._closing = False
        self.committed = 0
        """Sequence number of the newest durable entry."""
        self.failing = ""
        """Why nothing can be stored right now; empty when all is well."""
        self.messages = 0
        """Device messages made durable by this process."""
        self.bytes_written = 0
        self.commits = 0
        self._qos2: dict[str, set[int]] = {}

    # -- life ---------------------------------------------------------------------------------

    def open(self, *, at_least: int = 0, verify_from: int = 1) -> None:
        """Check what is there and get ready to append.

        Args:
            at_least: Highest sequence number somebody else knows to be committed (the engine's
                cursor). When the journal ends before it, entries were lost: they are reported in
                ``damage`` and their numbers are never used again.
            verify_from: Checksums are compared from this number on; the entries before it will
                not be read again by this process (they lie before the engine's snapshot).
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._hwm = HighWaterMark(self.folder / "hwm")
        bound = max(at_least, self._hwm.read())
        self.damage = examine(self.folder, bound, verify_from)
        segments = list_segments(self.folder)
        self.committed = max(self.damage.last_seq, bound)
        if segments and not self.damage.found:
            self._segment = Segment.open(segments[-1])
        else:
            number = segments[-1].number + 1 if segments else 1
            self._segment = self._create(number, self.committed + 1)
        for source, packet_id in self._segment.qos2():
            self._qos2.setdefault(source, set()).add(packet_id)
        self._ballast()
        if self.damage.found:
            log.error("journal damaged: %s", self.damage.sentence())

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to write; callbacks are called on ``loop``."""
        self._loop = loop
        self._thread = threading.Thread(target=self._write_loop, name="twin.journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Store what is waiting, then close. Safe to call twice."""
        with self._lock:
            self._closing = True
            self._work.notify_all()
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._segment.close()
            self._hwm.close()

    def _create(self, number: int, start_seq: int) -> Segment:
        return Segment.create(
            self.folder, number, start_seq, self._clock.wall_ns(), self._code_version
        )

    def _ballast(self) -> None:
        file = self.folder / "ballast"
        if file.exists() and file.stat().st_size >= self.settings.ballast_bytes:
            return
        try:
            with file.open("wb") as handle:
                chunk = b"\0" * (1 << 20)
                for _ in range(self.settings.ballast_bytes >> 20):
                    handle.write(chunk)
        except OSError as error:
            file.unlink(missing_ok=True)
            log.warning("no emergency reserve on the journal's disk: %s", error)

    # -- event loop side (twin.ports.Intake) --------------------------------------------------

    def put(self, block: Block, on_durable: Callable[[], None] | None = None) -> bool:
        """See :class:`twin.ports.Intake`."""
        with self._lock:
            waiting = self._waiting
            if block.payloads:
                waiting.blocks.append(block)
                waiting.messages += len(block.payloads)
                waiting.size += sum(map(len, block.payloads))
                for packet_id in block.qos2:
                    if packet_id:
                        self._qos2.setdefault(block.source, set()).add(packet_id)
                        waiting.qos2.append((True, block.source, packet_id))
            if on_durable is not None:
                waiting.called.append(on_durable)
            self._work.notify()
            return self._has_room()

    def on_room(self, resume: Callable[[], None]) -> None:
        """See :class:`twin.ports.Intake`."""
        with self._lock:
            if not self._has_room():
                self._resume.append(resume)
                return
        self._on_loop([resume])

    def qos2_ids(self, source: str) -> set[int]:
        """See :class:`twin.ports.Intake`."""
        with self._lock:
            return set(self._qos2.get(source, ()))

    def release_qos2(
        self, source: str, packet_id: int, on_durable: Callable[[], None] | None = None
    ) -> None:
        """See :class:`twin.ports.Intake`."""
        with self._lock:
            ids = self._qos2.get(source)
            if ids is not None:
                ids.discard(packet_id)
                if not ids:
                    del self._qos2[source]
            self._waiting.qos2.append((False, source, packet_id))
            if on_durable is not None:
                self._waiting.called.append(on_durable)
            self._work.notify()

    async def append(self, kind: Kind, payload: bytes, source: str = "linetwin") -> int:
        """Store one control entry; returns a sequence number at or above its own, once durable."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        block = Block(source, kind)
        block.add("", payload, self._clock.wall_ns())

        def confirm() -> None:
            if not done.done():
                done.set_result(self.committed)

        self.put(block, confirm)
        return await done

    def _has_room(self) -> bool:
        return (
            self._waiting.messages < self.settings.queue_messages
            and self._waiting.size < self.settings.queue_bytes
            and not self.failing
        )

    # -- writer thread ------------------------------------------------------------------------

    def _write_loop(self) -> None:
        pause = threading.Event()
        last_ns = 0
        while True:
            with self._lock:
                while not self._waiting.blocks and not self._waiting.called:
                    if self._closing:
                        return
                    self._work.wait()
                closing = self._closing
            rest = self.settings.min_interval_s - (self._clock.mono_ns() - last_ns) / 1e9
            if rest > 0 and not closing:
                pause.wait(rest)
            with self._lock:
                taken, self._waiting = self._waiting, _Waiting()
            try:
                self._commit(taken)
            except JournalError as error:
                self._put_back(taken, str(error))
                if closing:
                    log.error("closing with %d messages not stored: %s", taken.messages, error)
                    return
                pause.wait(1.0)
            last_ns = self._clock.mono_ns()

    def _put_back(self, taken: _Waiting, why: str) -> None:
        """Keep everything in order, acknowledge nothing, and let nobody send more."""
        with self._lock:
            newer, self._waiting = self._waiting, taken
            taken.blocks.extend(newer.blocks)
            taken.called.extend(newer.called)
            taken.qos2.extend(newer.qos2)
            taken.messages += newer.messages
            taken.size += newer.size
            if not self.failing:
                log.error("journal cannot store; sources are held: %s", why)
            self.failing = why

    def _commit(self, taken: _Waiting) -> None:
        parts = list(_frames(taken.blocks, self.committed + 1))
        if parts or taken.qos2:
            self._store(parts, taken.qos2)
        if parts:
            self._hwm.write(parts[-1].last_seq)
        self._publish(parts, taken)
        if (
            self._segment.size() >= self.settings.segment_bytes
            or self._clock.wall_ns() - self._segment.info.created_ns
            >= self.settings.segment_s * 1e9
        ):
            self._rotate()

    def _store(self, parts: list[Entries], qos2: list[tuple[bool, str, int]]) -> None:
        """Commit, and after a failure commit the same entries into a new segment.

        A failed commit is *unknown*: its rows may come back when the file is opened again. The
        new segment's start number makes readers ignore them, and the file descriptor whose fsync
        failed is never used again.
        """
        try:
            self._segment.append(parts, compress=self.settings.compress, qos2=qos2)
        except sqlite3.Error as error:
            log.warning("commit failed (%s); going on in a new segment", error)
            self._replace_segment(error)
            try:
                self._segment.append(parts, compress=self.settings.compress, qos2=qos2)
            except sqlite3.Error as again:
                raise JournalError(f"cannot commit: {again}") from again
        self.commits += 1

    def _replace_segment(self, error: sqlite3.Error) -> None:
        self._segment.close()
        # The reserve makes room for the emergency segment.
        (self.folder / "ballast").unlink(missing_ok=True)
        number = self._segment.info.number + 1
        while (self.folder / f"{number:08d}.db").exists():
            number += 1
        try:
            segment = self._create(number, self.committed + 1)
            with self._lock:
                open_ids = [(True, s, p) for s, ids in self._qos2.items() for p in ids]
            segment.append([], compress=False, qos2=open_ids)
        except (sqlite3.Error, OSError) as again:
            raise JournalError(f"{error}; a new segment fails too: {again}") from again
        self._segment = segment

    def _publish(self, parts: list[Entries], taken: _Waiting) -> None:
        with self._lock:
            for entries in parts:
                self._tail.append(entries)
                self._tail_messages += len(entries)
                self.committed = entries.last_seq
                if entries.kind is Kind.MESSAGE:
                    self.messages += len(entries)
            while self._tail_messages > self.settings.tail_messages and len(self._tail) > 1:
                self._tail_messages -= len(self._tail.popleft())
            self.bytes_written += taken.size
            if self.failing:
                log.info("journal stores again")
                self.failing = ""
                self._ballast()
            resume: list[Callable[[], None]] = []
            if self._resume and self._has_room():
                resume, self._resume = self._resume, []
            self._news.notify_all()
        self._on_loop(taken.called + resume)

    def _on_loop(self, calls: list[Callable[[], None]]) -> None:
        if not calls:
            return
        if self._loop is None:
            raise JournalError("the journal was not started")
        self._loop.call_soon_threadsafe(_call_all, calls)

    def _rotate(self) -> None:
        old = self._segment
        open_ids = [(True, source, packet_id) for source, packet_id in old.qos2()]
        try:
            segment = self._create(old.info.number + 1, self.committed + 1)
            segment.append([], compress=False, qos2=open_ids)
        except (sqlite3.Error, OSError) as error:
            log.warning("cannot start a new segment, going on in %s: %s", old.info.path.name, error)
            return
        self._segment = segment
        old.close()
        fsync_folder(self.folder)

    # -- engine side --------------------------------------------------------------------------

    def wait(self, after_seq: int, timeout_s: float) -> bool:
        """Wait until something newer than ``after_seq`` is durable; False on time-out or close."""
        with self._lock:
            if self.committed <= after_seq and not self._closing:
                self._news.wait(timeout_s)
            return self.committed > after_seq

    def read(self, first_seq: int, limit: int) -> list[Entries]:
        """Durable entries from ``first_seq`` on, about ``limit`` of them, in order.

        From memory when the engine keeps up, from disk when it is behind.
        """
        with self._lock:
            if self._tail and self._tail[0].first_seq <= first_seq:
                return _some(self._tail, first_seq, limit)
            committed = self.committed
        found: list[Entries] = []
        count = 0
        reader = Reader(self.folder)
        # Not bounded by number: entries may be missing, and then the next ones there are wanted.
        for entries in reader.entries(first_seq, committed + 1):
            found.append(entries)
            count += len(entries)
            if count >= limit:
                break
        return found

    # -- housekeeping -------------------------------------------------------------------------

    def retain(self, cursor: int, max_age_s: float, max_bytes: int) -> list[int]:
        """Delete closed segments beyond age or size that lie wholly before ``cursor``.

        Returns:
            Numbers of the deleted segments.
        """
        segments = list_segments(self.folder)
        sizes = {info.number: info.path.stat().st_size for info in segments}
        total = sum(sizes.values())
        now = self._clock.wall_ns()
        deleted = []
        for info, following in itertools.pairwise(segments):
            old = now - following.created_ns > max_age_s * 1e9
            if following.start_seq > cursor + 1 or not (old or total > max_bytes):
                break
            for suffix in ("", "-wal", "-shm"):
                info.path.with_name(info.path.name + suffix).unlink(missing_ok=True)
            total -= sizes[info.number]
            deleted.append(info.number)
        if deleted:
            fsync_folder(self.folder)
        return deleted

    def stats(self) -> dict[str, int | str]:
        """Figures for the ledger page."""
        files = [p for p in self.folder.glob("[0-9]*.db*") if p.suffix in {".db", ".db-wal"}]
        with self._lock:
            return {
                "segments": sum(1 for p in files if p.suffix == ".db"),
                "bytes": sum(p.stat().st_size for p in files if p.exists()),
                "last_seq": self.committed,
                "waiting": self._waiting.messages,
                "commits": self.commits,
                "failing": self.failing,
            }


def _call_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()


def _some(tail: deque[Entries], first_seq: int, limit: int) -> list[Entries]:
    found = []
    count = 0
    for entries in tail:
        if entries.last_seq < first_seq:
            continue
        low = max(0, first_seq - entries.first_seq)
        found.append(entries if low == 0 else entries.part(low, len(entries)))
        count += len(found[-1])
        if count >= limit:
            break
    return found


def _frames(blocks: deque[Block], first_seq: int) -> list[Entries]:
    """Number the blocks' messages and cut them into frames of one kind and bounded size."""
    found: list[Entries] = []
    current: Entries | None = None
    size = 0
    seq = first_seq
    for block in blocks:
        for start in range(0, len(block), MAX_ENTRIES):
            payloads = block.payloads[start : start + MAX_ENTRIES]
            stop = start + len(payloads)
            weight = sum(map(len, payloads))
            if (
                current is None
                or current.kind is not block.kind
                or len(current) + len(payloads) > MAX_ENTRIES
                or size + weight > MAX_BYTES
            ):
                current = Entries(seq, block.kind, [], [], [], [], [])
                found.append(current)
                size = 0
            current.sources.extend([block.source] * len(payloads))
            current.topics.extend(block.topics[start:stop])
            current.payloads.extend(payloads)
            current.recv_ns.extend(block.recv_ns[start:stop])
            current.flags.extend(block.flags[start:stop])
            size += weight
            seq += len(payloads)
    return found
