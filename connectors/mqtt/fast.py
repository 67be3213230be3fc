"""The fast path: runs of PUBLISH and PUBACK packets in one socket read become columns.

The kernels walk the bytes once and note where the fields are; Python only cuts them out. A kernel
stops in front of a packet that is incomplete, of another type, or wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from connectors.mqtt.decode import check_topic
from connectors.mqtt.wire import text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ACK_ROWS", "PUBLISH_ROWS", "TopicNames", "scan_pubacks", "scan_publishes", "warm"]

PUBLISH_ROWS = 7
"""Rows of the result of :func:`scan_publishes`."""
ACK_ROWS = 2
"""Rows of the result of :func:`scan_pubacks`."""


@numba.njit(cache=True, error_model="numpy")
def _byte(data: NDArray[np.uint8], at: int) -> int:
    """A byte as a wide integer: shifting a ``uint8`` would lose bits in plain numpy."""
    return int(np.int64(data[at]))


@numba.njit(cache=True, error_model="numpy")
def _varint(data: NDArray[np.uint8], at: int, size: int) -> tuple[int, int, bool]:
    """Value, position behind it (-1: incomplete or longer than four bytes), shortest form?"""
    value = 0
    for i in range(4):
        if at + i >= size:
            return 0, -1, True
        byte = _byte(data, at + i)
        value |= (byte & 0x7F) << (7 * i)
        if byte < 128:
            return value, at + i + 1, i == 0 or byte != 0
    return 0, -1, True


@numba.njit(cache=True, error_model="numpy")
def scan_publishes(
    data: NDArray[np.uint8], pos: int, v5: bool, limit: int, out: NDArray[np.int64]
) -> tuple[int, int, int]:
    """Find consecutive, complete and well-formed PUBLISH packets.

    Args:
        data: Bytes of the stream, shape (n,).
        pos: Start of a packet.
        v5: Whether packets have properties.
        limit: Largest packet accepted, bytes with header.
        out: Shape (7, m), written: :class:`Flag` bits, packet id, topic start, topic end,
            properties start (0: none), payload start, payload end.

    Returns:
        Number of packets (<= m), position behind them, number of those with properties.
    """
    size, capacity = data.size, out.shape[1]
    count = special = 0
    while count < capacity and pos < size and data[pos] >> 4 == 3:
        first = _byte(data, pos)
        qos = first >> 1 & 3
        length, at, shortest = _varint(data, pos + 1, size)
        end = at + length
        if at < 0 or end > size or end - pos > limit or (v5 and not shortest):
            break
        if qos == 3 or (qos == 0 and first & 8) or at + 2 > end:
            break
        topic = at + 2
        at = topic + (_byte(data, at) << 8 | _byte(data, at + 1))
        topic_end = at
        packet_id = 0
        if qos:
            if at + 2 > end:
                break
            packet_id = _byte(data, at) << 8 | _byte(data, at + 1)
            at += 2
            if packet_id == 0:
                break
        properties = 0
        if v5:
            length, begin, shortest = _varint(data, at, end)
            if begin < 0 or not shortest:
                break
            if length:
                properties = at
            at = begin + length
        if at > end or (topic == topic_end and properties == 0):
            break
        out[0, count] = qos | (first & 8) >> 1 | (first & 1) << 3
        out[1, count] = packet_id
        out[2, count] = topic
        out[3, count] = topic_end
        out[4, count] = properties
        out[5, count] = at
        out[6, count] = end
        special += properties != 0
        count += 1
        pos = end
    return count, pos, special


@numba.njit(cache=True, error_model="numpy")
def scan_pubacks(
    data: NDArray[np.uint8], pos: int, v5: bool, out: NDArray[np.int64]
) -> tuple[int, int]:
    """Find consecutive, complete PUBACK packets without properties.

    Args:
        data: Bytes of the stream, shape (n,).
        pos: Start of a packet.
        v5: Whether packets may have a reason.
        out: Shape (2, m), written: packet id, reason.

    Returns:
        Number of packets (<= m), position behind them.
    """
    size, capacity, count = data.size, out.shape[1], 0
    while count < capacity and pos + 4 <= size and data[pos] == 0x40:
        length = _byte(data, pos + 1)
        if length < 2 or length > (4 if v5 else 2) or pos + 2 + length > size:
            break
        packet_id = _byte(data, pos + 2) << 8 | _byte(data, pos + 3)
        if packet_id == 0 or (length == 4 and data[pos + 5] != 0):
            break
        out[0, count] = packet_id
        out[1, count] = _byte(data, pos + 4) if length > 2 else 0
        count += 1
        pos += 2 + length
    return count, pos


def warm() -> None:
    """Compile both kernels (or load them from the cache) before the first connection."""
    data = np.frombuffer(b"\x40\x02\x00\x01", np.uint8)
    scan_publishes(data, 0, True, 100, np.empty((PUBLISH_ROWS, 1), np.int64))
    scan_pubacks(data, 0, True, np.empty((ACK_ROWS, 1), np.int64))


class TopicNames:
    """Checked topic names by their bytes, so that a topic is decoded once and not per message.

    Args:
        capacity: Names kept; when full it starts again empty. Names over 1 KiB are not kept.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._known: dict[bytes, str] = {}

    def __len__(self) -> int:
        return len(self._known)

    def name(self, raw: bytes) -> str:
        """One topic name.

        Raises:
            ProtocolError: Not UTF-8, empty, or with a wildcard.
        """
        name = self._known.get(raw)
        if name is None:
            name = text_of(raw)
            check_topic(name)
            if len(raw) <= 1024:
                if len(self._known) >= self._capacity:
                    self._known.clear()
                self._known[raw] = name
        return name

    def names(self, raw: list[bytes]) -> list[str] | None:
        """All names when every one is known, else None: ask for them one by one."""
        try:
            return list(map(self._known.__getitem__, raw))
        except KeyError:
            return None
