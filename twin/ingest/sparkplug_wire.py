"""Sparkplug B payloads as objects, and back to bytes.

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
    "encode",
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


# -- reading -------------------------------------------------------------------------------------

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
        >>> decode(encode(Payload(seq=0, metrics=[Metric(alias=7, value=1.5)]))).metrics[0].value
        1.5
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


# -- writing -------------------------------------------------------------------------------------

_KINDS: dict[int, Wire] = {
    **dict.fromkeys((1, 2, 3, 5, 6, 7), Wire.INT),
    **dict.fromkeys((4, 8, 13), Wire.LONG),
    DataType.FLOAT: Wire.FLOAT,
    DataType.DOUBLE: Wire.DOUBLE,
    DataType.BOOLEAN: Wire.BOOLEAN,
    **dict.fromkeys((12, 14, 15), Wire.STRING),
    DataType.DATASET: Wire.DATASET,
    DataType.TEMPLATE: Wire.TEMPLATE,
}


def encode(payload: Payload) -> bytes:
    """Write a payload: fields in ascending order, absent fields left out.

    Raises:
        ValueError: A value does not fit the field it must travel in.
    """
    out = bytearray()
    if payload.timestamp is not None:
        out += b"\x08" + _varint(payload.timestamp)
    for metric in payload.metrics:
        out += _message(2, _metric(metric))
    if payload.seq is not None:
        out += b"\x18" + _varint(payload.seq)
    return bytes(out)


def _metric(metric: Metric) -> bytes:
    out = bytearray()
    if metric.name is not None:
        out += _message(1, metric.name.encode())
    for number, value in ((2, metric.alias), (3, metric.timestamp), (4, metric.datatype)):
        if value is not None:
            out += bytes([number << 3]) + _varint(value)
    flags = (metric.is_historical, metric.is_transient, metric.is_null)
    for number, flag in enumerate(flags, start=5):
        if flag:
            out += bytes([number << 3, 1])
    if metric.properties:
        out += _message(9, _property_set(metric.properties))
    if metric.value is not None and not metric.is_null:
        kind = metric.kind or _kind(metric.value, metric.datatype)
        out += _field(kind, metric.value, kind - Wire.INT)
    return bytes(out)


def _kind(value: Value, datatype: int | None) -> int:
    """Field a value travels in."""
    if datatype:
        return _KINDS.get(datatype, Wire.BYTES)
    if isinstance(value, bool):
        return Wire.BOOLEAN
    if isinstance(value, int):
        return Wire.LONG
    if isinstance(value, float):
        return Wire.DOUBLE
    return Wire.STRING if isinstance(value, str) else Wire.BYTES


def _field(number: int, value: Value, shape: int) -> bytes:
    """One value; ``shape`` counts int, long, float, double, bool, string, bytes … from 0."""
    if isinstance(value, str | bytes):
        if shape < 5:
            raise ValueError(f"{value!r} is no number")
        return _message(number, value.encode() if isinstance(value, str) else value)
    if shape > 4 or value is None:
        raise ValueError(f"{value!r} is no text")
    if shape in (2, 3):
        key = _varint(number << 3 | (5 if shape == 2 else 1))
        try:
            return key + struct.pack("<f" if shape == 2 else "<d", value)
        except OverflowError as error:
            raise ValueError(f"{value!r} does not fit a 32-bit float") from error
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{value!r} is no integer")
    mask = 0xFFFF_FFFF if shape == 0 else _UNSIGNED
    if not -(mask // 2) - 1 <= value <= mask:
        raise ValueError(f"{value!r} does not fit its field")
    return _varint(number << 3) + _varint(int(value) & mask)


def _property_set(values: dict[str, Value]) -> bytes:
    out = bytearray()
    for key in values:
        out += _message(1, key.encode())
    for value in values.values():
        out += _message(2, _property_value(value))
    return bytes(out)


def _property_value(value: Value) -> bytes:
    if value is None:
        return b"\x10\x01"
    if isinstance(value, bool):
        return b"\x08\x0b" + _field(7, value, 4)
    if isinstance(value, int):
        return b"\x08\x04" + _field(4, value, 1)
    if isinstance(value, float):
        return b"\x08\x0a" + _field(6, value, 3)
    if isinstance(value, bytes):
        raise ValueError("a property cannot be bytes")  # noqa: TRY004 - encode promises ValueError
    return b"\x08\x0c" + _field(8, value, 5)


def _message(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    if not 0 <= value <= _UNSIGNED:
        raise ValueError(f"{value} does not fit 64 bits without a sign")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
