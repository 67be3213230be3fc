"""Reading a journal in order, from any sequence number, over all segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.journal.segment import list_segments, read_frames
from twin.model.message import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twin.model.message import Entries

__all__ = ["Reader"]


class Reader:
    """Read-only view of a journal folder; another process or thread may be writing it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def first_seq(self) -> int:
        """First sequence number that is still there; 1 for an empty journal."""
        segments = list_segments(self.folder)
        return segments[0].start_seq if segments else 1

    def messages_after(self, seq: int) -> int:
        """Number of device messages behind entry ``seq``; control entries do not count."""
        return sum(
            len(entries) for entries in self.entries(seq + 1) if entries.kind is Kind.MESSAGE
        )

    def entries(self, first_seq: int, before_seq: int | None = None) -> Iterator[Entries]:
        """Entries ``first_seq`` … ``before_seq - 1`` as runs in order.

        Rows of an older segment at or above the start of the next one are ignored: they belong
        to a commit that failed and came back (the next segment holds the same messages).

        Raises:
            JournalError: A frame is damaged.
        """
        segments = list_segments(self.folder)
        end = before_seq if before_seq is not None else 1 << 62
        for position, info in enumerate(segments):
            last = position + 1 == len(segments)
            stop = end if last else min(end, segments[position + 1].start_seq)
            if stop <= first_seq or info.start_seq >= end:
                continue
            for entries in read_frames(info.path, max(first_seq, info.start_seq), stop):
                low = max(0, first_seq - entries.first_seq)
                high = min(len(entries), stop - entries.first_seq)
                if low == 0 and high == len(entries):
                    yield entries
                elif high > low:
                    yield entries.part(low, high)
