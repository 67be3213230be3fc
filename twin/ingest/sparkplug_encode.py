"""Sparkplug B payloads from objects to bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from twin.ingest.sparkplug_scan import Wire
from twin.ingest.sparkplug_wire import DataType

if TYPE_CHECKING:
    from twin.ingest.sparkplug_wire import Metric, Payload, Value

__all__ = ["encode"]

_UNSIGNED = (1 << 64) - 1
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

    Examples:
        >>> from twin.ingest.sparkplug_wire import Metric, Payload
        >>> encode(Payload(seq=0, metrics=[Metric(alias=7)])).hex()
        '120210071800'
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
