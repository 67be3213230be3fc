"""The high-water mark: a second witness of how far the journal was committed."""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HighWaterMark"]

_RECORD = struct.Struct("<QI")


class HighWaterMark:
    """Twelve bytes, rewritten in place after every commit.

    Exact after a killed process. After a power loss it may be behind, never ahead: it is written
    after the commit and not synced with it. SQLite itself does not notice when committed frames
    at the end of its log are gone; this file does.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def read(self) -> int:
        """The highest sequence number known to be committed; 0 when unknown."""
        record = os.pread(self._handle, _RECORD.size, 0)
        if len(record) != _RECORD.size:
            return 0
        seq, crc = _RECORD.unpack(record)
        return int(seq) if zlib.crc32(record[:8]) == crc else 0

    def write(self, seq: int) -> None:
        """Remember that everything up to ``seq`` is committed."""
        head = struct.pack("<Q", seq)
        os.pwrite(self._handle, head + struct.pack("<I", zlib.crc32(head)), 0)

    def close(self) -> None:
        """Make it durable and let go of the file."""
        os.fsync(self._handle)
        os.close(self._handle)
