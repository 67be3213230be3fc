"""One frame: up to 1000 entries of one kind as one blob with a checksum."""

from __future__ import annotations

import struct
import zlib
from array import array
from typing import TYPE_CHECKING, Final

import msgspec

from twin.errors import JournalError
from twin.model.message import Entries, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_BYTES", "MAX_ENTRIES", "RAW", "ZLIB", "checksum", "pack", "unpack"]

MAX_ENTRIES: Final = 1000
"""Entries per frame: also what one damaged checksum costs."""
MAX_BYTES: Final = 1 << 20
"""Payload bytes per frame."""
RAW, ZLIB = 0, 1
"""Codec numbers stored with the frame."""
_COMPRESS_FROM = 4096

_HEAD = struct.Struct("<qiii")


class _Body(msgspec.Struct, array_like=True):
    """Wire form of a frame body; numbers as little-endian arrays."""

    runs: list[tuple[str, int]]
    topics: bytes
    recv_ns: bytes
    flags: bytes
    lengths: bytes
    payloads: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Body).decode


def checksum(first_seq: int, count: int, kind: int, codec: int, body: bytes) -> int:
    """CRC-32 over place *and* content, so that a row in the wrong place is found too."""
    return zlib.crc32(body, zlib.crc32(_HEAD.pack(first_seq, count, kind, codec)))


def pack(entries: Entries, topic_ids: Sequence[int], *, compress: bool) -> tuple[int, bytes]:
    """The frame body of ``entries``.

    Args:
        entries: What to store.
        topic_ids: Dictionary number of each entry's topic in this segment.
        compress: Whether a large body may be compressed (saves two thirds of the disk for
            typical JSON, costs about 1 µs per message).

    Returns:
        Codec number and body.
    """
    runs: list[tuple[str, int]] = []
    for source in entries.sources:
        if runs and runs[-1][0] == source:
            runs[-1] = (source, runs[-1][1] + 1)
        else:
            runs.append((source, 1))
    body = _encode(
        _Body(
            runs,
            array("i", topic_ids).tobytes(),
            array("q", entries.recv_ns).tobytes(),
            bytes(entries.flags),
            array("i", map(len, entries.payloads)).tobytes(),
            b"".join(entries.payloads),
        )
    )
    if compress and len(body) >= _COMPRESS_FROM:
        return ZLIB, zlib.compress(body, 1)
    return RAW, body


def unpack(first_seq: int, kind: int, codec: int, blob: bytes, topics: dict[int, str]) -> Entries:
    """The entries of a frame body.

    Args:
        first_seq: Sequence number of the first entry.
        kind: :class:`Kind` number.
        codec: Codec number stored with the frame.
        blob: The stored body; its checksum has been compared already.
        topics: Dictionary of the segment.

    Raises:
        JournalError: The codec is unknown or the body does not fit together.
    """
    if codec == ZLIB:
        blob = zlib.decompress(blob)
    elif codec != RAW:
        raise JournalError(f"frame {first_seq}: unknown codec {codec}; a newer linetwin wrote it")
    try:
        body = _decode(blob)
    except msgspec.MsgspecError as error:
        raise JournalError(f"frame {first_seq}: unreadable body: {error}") from error
    sources: list[str] = []
    for source, count in body.runs:
        sources.extend([source] * count)
    payloads: list[bytes] = []
    start = 0
    joined = body.payloads
    for length in array("i", body.lengths):
        payloads.append(joined[start : start + length])
        start += length
    return Entries(
        first_seq,
        Kind(kind),
        sources,
        [topics[number] for number in array("i", body.topics)],
        payloads,
        array("q", body.recv_ns).tolist(),
        list(body.flags),
    )
