"""One pass over the bytes of a Sparkplug payload: protobuf fields into columns of integers.

The published numbers of the wire format are Sparkplug 3.0.0, chapter 6.4; protobuf itself is
needed only as far as varints, fixed fields and lengths. Strings, property sets, data sets and
templates are not entered, only located, so nesting cannot cost anything.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.errors import DecodeError
from twin.model.message import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Column", "Has", "Wire", "new_scratch", "scan", "varint"]


class Column(IntEnum):
    """Columns of the scratch table. Row 0 describes the payload, row ``i`` metric ``i - 1``."""

    FLAGS = 0
    """Bits of :class:`Has`; in row 0 those of all metrics and of the payload together."""
    TIME = 1
    """Timestamp, ms since 1970 UTC."""
    ALIAS = 2
    """Alias; in row 0 the ``seq``."""
    DATATYPE = 3
    """Data type; in row 0 the flags that every metric has."""
    KIND = 4
    """Field number of the value (:class:`Wire`), 0 for none."""
    BITS = 5
    """The value as the 64 bits it travelled in; for a string or message its offset."""
    SIZE = 6
    """Length of a string or message value in bytes."""
    NAME_AT = 7
    NAME_SIZE = 8
    PROPERTIES_AT = 9
    PROPERTIES_SIZE = 10
    ROW = 11
    """Free for the reader: row of the metric in its BIRTH, -1 when unknown."""
    QUALITY = 12
    """Free for the reader: quality code."""
    WIDTH = 13


class Has(IntEnum):
    """Which optional fields were on the wire: zero and false are values, not absence."""

    NAME = 1
    ALIAS = 2
    TIME = 4
    DATATYPE = 8
    HISTORICAL = 16
    TRANSIENT = 32
    NULL = 64
    PROPERTIES = 128
    PAYLOAD_TIME = 256
    SEQ = 512


class Wire(IntEnum):
    """Field numbers of a metric's value."""

    INT = 10
    LONG = 11
    FLOAT = 12
    DOUBLE = 13
    BOOLEAN = 14
    STRING = 15
    BYTES = 16
    DATASET = 17
    TEMPLATE = 18
    EXTENSION = 19


_TRUNCATED, _OVERLONG, _WIRE_TYPE, _METRICS, _NAME = -1, -2, -3, -4, -5
_MESSAGES = {
    _TRUNCATED: (Reason.DECODE, "the payload ends inside a field"),
    _OVERLONG: (Reason.DECODE, "a variable-length integer is longer than 64 bits"),
    _WIRE_TYPE: (Reason.DECODE, "a field has a wire type the Sparkplug B schema does not give it"),
    _METRICS: (Reason.OVERSIZE, "more metrics than the limit allows"),
    _NAME: (Reason.OVERSIZE, "a metric name is longer than the limit allows"),
}
_SIGN = -(1 << 63)


def new_scratch(metrics: int) -> NDArray[np.int64]:
    """A table :func:`scan` can fill with up to ``metrics`` metrics; reused from call to call."""
    return np.zeros((metrics + 1, Column.WIDTH), np.int64)


@njit(cache=True, error_model="numpy", inline="never")
def varint(buffer: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Read one variable-length integer.

    Returns:
        The value as a signed 64-bit integer (two's complement) and the next offset; a negative
        offset is an error code.
    """
    value = 0
    for shift in range(0, 63, 7):
        if at >= end:
            return 0, _TRUNCATED
        byte = int(buffer[at])
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    if at >= end:
        return 0, _TRUNCATED
    byte = int(buffer[at])
    if byte > 1:
        return 0, _OVERLONG
    return (value + _SIGN if byte else value), at + 1


@njit(cache=True, error_model="numpy")
def _fixed(buffer: NDArray[np.uint8], at: int, size: int) -> int:
    """Little-endian bits of 4 or 8 bytes as a signed 64-bit integer (4 bytes: not extended)."""
    value = 0
    for i in range(min(size, 7)):
        value |= int(buffer[at + i]) << (8 * i)
    if size == 8:
        top = int(buffer[at + 7])
        value |= (top & 0x7F) << 56
        if top & 0x80:
            value += _SIGN
    return value


@njit(cache=True, error_model="numpy")
def _skip(buffer: NDArray[np.uint8], at: int, end: int, wire: int) -> tuple[int, int]:
    """Step over the body of a field.

    Returns:
        Start of its content (after a length) and the next offset; negative offset = error code.
    """
    if wire == 0:
        _, after = varint(buffer, at, end)
        return at, after
    if wire == 2:
        size, start = varint(buffer, at, end)
        if start < 0:
            return 0, start
        if size < 0 or size > end - start:
            return 0, _TRUNCATED
        return start, start + size
    size = 8 if wire == 1 else 4
    if wire not in (1, 5):
        return 0, _WIRE_TYPE
    if end - at < size:
        return 0, _TRUNCATED
    return at, at + size


@njit(cache=True, error_model="numpy")
def _metric(
    buffer: NDArray[np.uint8], at: int, end: int, row: NDArray[np.int64], name_limit: int
) -> int:
    """Fill one row from a Metric message.

    Returns:
        ``end``, or an error code.
    """
    row[:] = 0
    row[Column.ROW] = -1
    row[Column.QUALITY] = -1
    flags = 0
    while at < end:
        key, at = varint(buffer, at, end)
        if at < 0:
            return at
        field, wire = key >> 3, key & 7
        content, after = _skip(buffer, at, end, wire)
        if after < 0:
            return after
        expected = 0
        if field in (Wire.FLOAT, Wire.DOUBLE):
            expected = 5 if field == Wire.FLOAT else 1
        elif field in (1, 8, 9) or Wire.STRING <= field <= Wire.EXTENSION:
            expected = 2
        if field < 1 or (field <= Wire.EXTENSION and wire != expected):
            return _WIRE_TYPE
        number = 0
        if wire == 0:
            number, _ = varint(buffer, at, end)
        if field == 1:
            if after - content > name_limit:
                return _NAME
            row[Column.NAME_AT], row[Column.NAME_SIZE] = content, after - content
            flags |= Has.NAME
        elif field == 2:
            row[Column.ALIAS] = number
            flags |= Has.ALIAS
        elif field == 3:
            row[Column.TIME] = number
            flags |= Has.TIME
        elif field == 4:
            row[Column.DATATYPE] = number
            flags |= Has.DATATYPE
        elif 5 <= field <= 7:
            bit = Has.HISTORICAL << (field - 5)
            flags = flags | bit if number else flags & ~bit
        elif field == 9:
            row[Column.PROPERTIES_AT], row[Column.PROPERTIES_SIZE] = content, after - content
            flags |= Has.PROPERTIES
        elif Wire.INT <= field <= Wire.EXTENSION:
            row[Column.KIND] = field
            if wire == 2:
                row[Column.BITS], row[Column.SIZE] = content, after - content
            elif wire == 0:
                row[Column.BITS] = number
            else:
                row[Column.BITS] = _fixed(buffer, at, after - at)
        at = after
    row[Column.FLAGS] = flags
    return end


@njit(cache=True, error_model="numpy")
def _payload(
    buffer: NDArray[np.uint8], table: NDArray[np.int64], metrics: int, name_limit: int
) -> int:
    """Fill ``table``; returns the number of metrics or an error code."""
    head = table[0]
    head[:] = 0
    at, end, count, flags, common = 0, len(buffer), 0, 0, -1
    while at < end:
        key, at = varint(buffer, at, end)
        if at < 0:
            return at
        field, wire = key >> 3, key & 7
        content, after = _skip(buffer, at, end, wire)
        if after < 0:
            return after
        if field < 1 or (field <= 5 and wire != (2 if field in (2, 4, 5) else 0)):
            return _WIRE_TYPE
        if field == 2:
            if count == metrics:
                return _METRICS
            count += 1
            done = _metric(buffer, content, after, table[count], name_limit)
            if done < 0:
                return done
            flags |= table[count, Column.FLAGS]
            common &= table[count, Column.FLAGS]
        elif field == 1:
            head[Column.TIME], _ = varint(buffer, at, end)
            flags |= Has.PAYLOAD_TIME
        elif field == 3:
            head[Column.ALIAS], _ = varint(buffer, at, end)
            flags |= Has.SEQ
        at = after
    head[Column.FLAGS], head[Column.DATATYPE] = flags, common
    return count


def scan(payload: bytes, table: NDArray[np.int64], metrics: int, name_limit: int = 4096) -> int:
    """Locate everything in a payload.

    Args:
        payload: Bytes of a Sparkplug B payload.
        table: From :func:`new_scratch`, with at least ``metrics`` + 1 rows; overwritten.
        metrics: Largest number of metrics accepted.
        name_limit: Longest metric name accepted, bytes.

    Returns:
        Number of metrics.

    Raises:
        DecodeError: ``DECODE`` when the bytes are not protobuf of this schema, ``OVERSIZE`` when
            a limit is exceeded.
    """
    count: int = _payload(np.frombuffer(payload, np.uint8), table, metrics, name_limit)
    if count >= 0:
        return count
    reason, detail = _MESSAGES[count]
    if count == _METRICS:
        detail = f"{detail} ({metrics})"
    raise DecodeError(reason, detail)
