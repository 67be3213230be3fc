"""Sparkplug B payloads as objects.

Written from the field numbers of Sparkplug 3.0.0, chapter 6.4; no protobuf library takes part.
The hot path does not come here: it reads the columns of
:mod:`~twin.ingest.sparkplug_scan` directly. Births, deaths, commands, tools and tests do.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from twin.errors import DecodeError
from twin.ingest.sparkplug_scan import Column, Has, Wire, new_scratch, scan
from twin.model.message import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "DataType",
    "Limits",
    "Metric",
    "Payload",
    "Value",
    "decode",
    "metric_at",
    "properties",
]

Value = float | int | bool | str | bytes | None


class DataType(IntEnum):
    """Data types a metric can have."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    PROPERTYSET = 20
    PROPERTYSETLIST = 21
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATETIME_ARRAY = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is accepted at most; nesting needs no limit because nested messages are not entered.

    Attributes:
        metrics: Metrics in one payload.
        string: Bytes of a name, a property key or a string that is read.
    """

    metrics: int = 500
    string: int = 4096


@dataclass(slots=True, kw_only=True)
class Metric:
    """One metric. None means "not on the wire"; zero and false are values.

    Attributes:
        name: Name; in DATA usually left out.
        alias: Number that stands for the name.
        timestamp: Event time, ms since 1970 UTC.
        datatype: :class:`DataType` number; in DATA usually left out.
        kind: Field the value travels in (:class:`~twin.ingest.sparkplug_scan.Wire`); None when
            encoding lets the data type decide.
        value: Number, bool, text or bytes; None with ``is_null`` or when there is none.
        is_historical: Sent late, from a buffer.
        is_transient: Not to be stored.
        is_null: There is no value.
        properties: Property name to value; nested property sets are None.
    """

    name: str | None = None
    alias: int | None = None
    timestamp: int | None = None
    datatype: int | None = None
    kind: int | None = None
    value: Value = None
    is_historical: bool = False
    is_transient: bool = False
    is_null: bool = False
    properties: dict[str, Value] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Payload:
    """One message.

    Attributes:
        timestamp: Publish time, ms since 1970 UTC.
        seq: 0-255, absent in NDEATH, NCMD and DCMD.
        metrics: In the order of the wire.
    """

    timestamp: int | None = None
    seq: int | None = None
    metrics: list[Metric] = field(default_factory=list)


_UNSIGNED = (1 << 64) - 1
_SIGNED_BITS: dict[int | None, int] = {
    DataType.INT8: 8,
    DataType.INT16: 16,
    DataType.INT32: 32,
    DataType.INT64: 64,
}


def decode(payload: bytes, limits: Limits | None = None) -> Payload:
    """Read a whole payload.

    Raises:
        DecodeError: ``DECODE`` for bytes that are no Sparkplug B payload, ``OVERSIZE`` beyond a
            limit.

    Examples:
        >>> decode(bytes.fromhex("120210071800")).metrics[0].alias
        7
    """
    limits = limits or Limits()
    table = new_scratch(limits.metrics)
    count = scan(payload, table, limits.metrics, limits.string)
    flags = int(table[0, Column.FLAGS])
    return Payload(
        timestamp=int(table[0, Column.TIME]) & _UNSIGNED if flags & Has.PAYLOAD_TIME else None,
        seq=int(table[0, Column.ALIAS]) & _UNSIGNED if flags & Has.SEQ else None,
        metrics=[metric_at(payload, table[i], limits) for i in range(1, count + 1)],
    )


def metric_at(payload: bytes, row: NDArray[np.int64], limits: Limits) -> Metric:
    """One row of a scanned payload as an object.

    Raises:
        DecodeError: A text is not UTF-8, longer than the limit, or the properties are damaged.
    """
    cells: list[int] = row.tolist()
    flags, kind = cells[Column.FLAGS], cells[Column.KIND]
    datatype = cells[Column.DATATYPE] if flags & Has.DATATYPE else None
    value = None if flags & Has.NULL else _value(payload, cells, kind, datatype, limits)
    at = cells[Column.PROPERTIES_AT]
    return Metric(
        name=_cut(payload, cells[Column.NAME_AT], cells[Column.NAME_SIZE], limits)
        if flags & Has.NAME
        else None,
        alias=cells[Column.ALIAS] & _UNSIGNED if flags & Has.ALIAS else None,
        timestamp=cells[Column.TIME] & _UNSIGNED if flags & Has.TIME else None,
        datatype=datatype,
        kind=kind or None,
        value=value,
        is_historical=bool(flags & Has.HISTORICAL),
        is_transient=bool(flags & Has.TRANSIENT),
        is_null=bool(flags & Has.NULL),
        properties=properties(payload[at : at + cells[Column.PROPERTIES_SIZE]], limits)
        if flags & Has.PROPERTIES
        else {},
    )


def _value(
    payload: bytes, cells: list[int], kind: int, datatype: int | None, limits: Limits
) -> Value:
    bits = cells[Column.BITS]
    if kind == Wire.DOUBLE:
        return float(struct.unpack("<d", struct.pack("<q", bits))[0])
    if kind == Wire.FLOAT:
        return float(struct.unpack("<f", struct.pack("<I", bits))[0])
    if kind == Wire.BOOLEAN:
        return bits != 0
    if kind in (Wire.INT, Wire.LONG):
        width = _SIGNED_BITS.get(datatype)
        return bits & _UNSIGNED if width is None else _signed(bits, width)
    if kind == Wire.STRING:
        return _cut(payload, bits, cells[Column.SIZE], limits)
    return payload[bits : bits + cells[Column.SIZE]] if kind else None


def _signed(bits: int, width: int) -> int:
    """Two's complement of ``width`` bits, however far the sender extended the sign."""
    low = bits & ((1 << width) - 1)
    return low - (1 << width) if low >> (width - 1) else low


def _cut(data: bytes, at: int, size: int, limits: Limits) -> str:
    if size > limits.string:
        raise DecodeError(Reason.OVERSIZE, f"a text is longer than {limits.string} bytes")
    try:
        return data[at : at + size].decode()
    except UnicodeDecodeError as error:
        raise DecodeError(Reason.DECODE, f"a text is not UTF-8: {error.reason}") from error


def properties(data: bytes, limits: Limits | None = None) -> dict[str, Value]:
    """Read a PropertySet; nested sets are present with the value None.

    Raises:
        DecodeError: Damaged, or keys and values differ in number.
    """
    limits = limits or Limits()
    keys: list[str] = []
    values: list[Value] = []
    for number, start, size, _ in _fields(data, 0, len(data)):
        if number == 1:
            keys.append(_cut(data, start, size, limits))
        elif number == 2:
            values.append(_property(data, start, start + size, limits))
    if len(keys) != len(values):
        text = f"a property set has {len(keys)} keys and {len(values)} values"
        raise DecodeError(Reason.DECODE, text)
    return dict(zip(keys, values, strict=True))


def _property(data: bytes, at: int, end: int, limits: Limits) -> Value:
    value: Value = None
    datatype, null = 0, False
    for number, start, size, bits in _fields(data, at, end):
        if number == 1:
            datatype = bits
        elif number == 2:
            null = bits != 0
        elif number in (3, 4):
            width = _SIGNED_BITS.get(datatype)
            value = bits if width is None else _signed(bits, width)
        elif number in (5, 6) and size == (4 if number == 5 else 8):
            value = struct.unpack_from("<f" if number == 5 else "<d", data, start)[0]
        elif number == 7:
            value = bits != 0
        elif number == 8:
            value = _cut(data, start, size, limits)
    return None if null else value


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (field number, start, size, integer value) of the fields in ``data[at:end]``."""
    while at < end:
        key, at = _read_varint(data, at, end)
        wire = key & 7
        size = bits = 0
        if wire == 0:
            bits, at = _read_varint(data, at, end)
        elif wire == 2:
            size, at = _read_varint(data, at, end)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise DecodeError(Reason.DECODE, "a property has an unknown wire type")
        if size > end - at:
            raise DecodeError(Reason.DECODE, "the payload ends inside a property")
        yield key >> 3, at, size, bits
        at += size


def _read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise DecodeError(Reason.DECODE, "the payload ends inside a property")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _UNSIGNED, at
    raise DecodeError(Reason.DECODE, "a variable-length integer is longer than 64 bits")
