"""Start-up check: find damage that SQLite does not, set it aside, save what can be read."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twin.errors import JournalError
from twin.journal import frames
from twin.journal.segment import Segment, SegmentInfo, fsync_folder

if TYPE_CHECKING:
    from pathlib import Path

    from twin.model.message import Entries

__all__ = ["Damage", "examine"]

log = logging.getLogger("linetwin.journal")


@dataclass(slots=True)
class Damage:
    """What a start-up check found.

    Attributes:
        last_seq: Newest entry that can be read.
        missing: Ranges (first, last) of committed entries that are gone.
        quarantined: Files that were set aside.
    """

    last_seq: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)

    @property
    def found(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.missing or self.quarantined)

    def lost(self) -> int:
        """Number of entries that are gone."""
        return sum(last - first + 1 for first, last in self.missing)

    def sentence(self) -> str:
        """For the log and the alarm."""
        ranges = ", ".join(f"{first}-{last}" for first, last in self.missing) or "none"
        return f"{self.lost()} entries lost (numbers {ranges}); set aside: {self.quarantined}"


@dataclass(slots=True)
class _Found:
    """What one segment file holds."""

    info: SegmentInfo
    ranges: list[tuple[int, int]] = field(default_factory=list)
    damaged: bool = False


def examine(folder: Path, bound: int, verify_from: int = 1) -> Damage:
    """Check all segments against their checksums, each other and ``bound``.

    A damaged segment is moved to ``quarantine/`` and replaced by one with its readable frames.
    Numbers of lost entries stay unused.

    Args:
        folder: The journal.
        bound: Highest sequence number known to have been committed.
        verify_from: Frames before this number are only counted, not summed.
    """
    damage = Damage()
    expected: int | None = None
    for path in sorted(folder.glob("[0-9]" * 8 + ".db")):
        found = _look(path, expected or 1, verify_from)
        if found.damaged:
            found.ranges = _replace(folder, found.info)
            damage.quarantined.append(path.name)
        start = found.info.start_seq
        if expected is None:
            expected = start
        # A later segment begins where the earlier one was given up: rows beyond are ignored.
        damage.missing = [(a, min(b, start - 1)) for a, b in damage.missing if a < start]
        if start > expected:
            damage.missing.append((expected, start - 1))
        expected = start
        for first, last in found.ranges:
            if first > expected:
                damage.missing.append((expected, first - 1))
            expected = last + 1
    damage.last_seq = (expected or 1) - 1
    if damage.last_seq < bound:
        damage.missing.append((damage.last_seq + 1, bound))
    return damage


def _look(path: Path, start_seq: int, verify_from: int) -> _Found:
    """Ranges of the frames and whether anything is wrong.

    The file is opened for writing so that SQLite folds its write-ahead log first.
    """
    found = _Found(SegmentInfo(int(path.stem), path, start_seq, 0))
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            start, created = connection.execute(
                "SELECT start_seq, created_ns FROM segment"
            ).fetchone()
            found.info = SegmentInfo(int(path.stem), path, start, created)
            connection.execute("SELECT id, name FROM topic").fetchall()
            for seq, count in connection.execute("SELECT first_seq, n FROM frame ORDER BY 1"):
                found.ranges.append((seq, seq + count - 1))
            for row in connection.execute(
                "SELECT first_seq, n, kind, codec, body, crc FROM frame WHERE first_seq + n > ?",
                (verify_from,),
            ):
                if frames.checksum(*row[:5]) != row[5]:
                    found.damaged = True
        finally:
            connection.close()
    except (sqlite3.Error, TypeError) as error:
        log.warning("%s: %s", path.name, error)
        found.damaged = True
    return found


def _readable(path: Path) -> tuple[list[Entries], list[tuple[str, int]]]:
    """Every frame that can still be read, and the QoS 2 packet ids."""
    good: list[Entries] = []
    ids: list[tuple[str, int]] = []
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            topics = dict(connection.execute("SELECT id, name FROM topic"))
            ids = connection.execute("SELECT source, packet_id FROM qos2").fetchall()
            for seq, count, kind, codec, crc, body in connection.execute(
                "SELECT first_seq, n, kind, codec, crc, body FROM frame ORDER BY first_seq"
            ):
                try:
                    if frames.checksum(seq, count, kind, codec, body) == crc:
                        good.append(frames.unpack(seq, kind, codec, body, topics))
                except (JournalError, KeyError, TypeError, ValueError) as error:
                    log.warning("%s: frame %s: %s", path.name, seq, error)
        finally:
            connection.close()
    except sqlite3.Error as error:
        log.warning("%s: %s", path.name, error)
    return good, ids


def _replace(folder: Path, info: SegmentInfo) -> list[tuple[int, int]]:
    """Set the damaged file aside; returns the ranges of entries that were saved."""
    good, ids = _readable(info.path)
    quarantine = folder / "quarantine"
    quarantine.mkdir(exist_ok=True)
    for suffix in ("", "-wal", "-shm"):
        file = info.path.with_name(info.path.name + suffix)
        if file.exists():
            file.rename(quarantine / file.name)
    fresh = Segment.create(folder, info.number, info.start_seq, info.created_ns, "salvaged")
    fresh.append(good, compress=False, qos2=[(True, source, number) for source, number in ids])
    fresh.close()
    fsync_folder(folder)
    log.error("%s is damaged; %d frames saved", info.path.name, len(good))
    return [(entries.first_seq, entries.last_seq) for entries in good]
