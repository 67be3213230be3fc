"""Properties of MQTT 5 packets (section 2.2.2)."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any

from connectors.mqtt.reasons import Code, ProtocolError
from connectors.mqtt.wire import Reader, pack_binary, pack_text, pack_varint

__all__ = ["Place", "Properties", "Property", "pack_properties", "read_properties"]


class Property(IntEnum):
    """Identifiers of table 2-4."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_ID = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTH_METHOD = 0x15
    AUTH_DATA = 0x16
    REQUEST_PROBLEM_INFO = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE_INFO = 0x19
    RESPONSE_INFO = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_AVAILABLE = 0x28
    SUBSCRIPTION_ID_AVAILABLE = 0x29
    SHARED_AVAILABLE = 0x2A


Properties = dict[Property, Any]
"""Value per property. ``USER`` is a list of (name, value), ``SUBSCRIPTION_ID`` a list of int."""


class Place(IntEnum):
    """Where properties stand: the packet type, or 0 for those of a will."""

    WILL = 0
    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    DISCONNECT = 14
    AUTH = 15


class _Type(Enum):
    FLAG = "flag"
    BYTE = "byte"
    U16 = "u16"
    U32 = "u32"
    VARINT = "varint"
    TEXT = "text"
    BINARY = "binary"
    PAIR = "pair"


_P = Property
_MESSAGE = frozenset({Place.PUBLISH, Place.WILL})
_ENDS = frozenset({Place.CONNECT, Place.CONNACK})
_SIGNED = frozenset({Place.CONNECT, Place.CONNACK, Place.AUTH})
_ANSWER = frozenset({Place.CONNACK})
_EXPLAINED = frozenset(set(Place) - {0, 1, 3, 8, 10})

_TABLE: dict[Property, tuple[_Type, frozenset[Place]]] = {
    _P.PAYLOAD_FORMAT: (_Type.FLAG, _MESSAGE),
    _P.MESSAGE_EXPIRY: (_Type.U32, _MESSAGE),
    _P.CONTENT_TYPE: (_Type.TEXT, _MESSAGE),
    _P.RESPONSE_TOPIC: (_Type.TEXT, _MESSAGE),
    _P.CORRELATION_DATA: (_Type.BINARY, _MESSAGE),
    _P.SUBSCRIPTION_ID: (_Type.VARINT, frozenset({Place.PUBLISH, Place.SUBSCRIBE})),
    _P.SESSION_EXPIRY: (_Type.U32, frozenset({*_ENDS, Place.DISCONNECT})),
    _P.ASSIGNED_CLIENT_ID: (_Type.TEXT, _ANSWER),
    _P.SERVER_KEEP_ALIVE: (_Type.U16, _ANSWER),
    _P.AUTH_METHOD: (_Type.TEXT, _SIGNED),
    _P.AUTH_DATA: (_Type.BINARY, _SIGNED),
    _P.REQUEST_PROBLEM_INFO: (_Type.FLAG, frozenset({Place.CONNECT})),
    _P.WILL_DELAY: (_Type.U32, frozenset({Place.WILL})),
    _P.REQUEST_RESPONSE_INFO: (_Type.FLAG, frozenset({Place.CONNECT})),
    _P.RESPONSE_INFO: (_Type.TEXT, _ANSWER),
    _P.SERVER_REFERENCE: (_Type.TEXT, frozenset({Place.CONNACK, Place.DISCONNECT})),
    _P.REASON_STRING: (_Type.TEXT, _EXPLAINED),
    _P.RECEIVE_MAXIMUM: (_Type.U16, _ENDS),
    _P.TOPIC_ALIAS_MAXIMUM: (_Type.U16, _ENDS),
    _P.TOPIC_ALIAS: (_Type.U16, frozenset({Place.PUBLISH})),
    _P.MAXIMUM_QOS: (_Type.FLAG, _ANSWER),
    _P.RETAIN_AVAILABLE: (_Type.FLAG, _ANSWER),
    _P.USER: (_Type.PAIR, frozenset(Place)),
    _P.MAXIMUM_PACKET_SIZE: (_Type.U32, _ENDS),
    _P.WILDCARD_AVAILABLE: (_Type.FLAG, _ANSWER),
    _P.SUBSCRIPTION_ID_AVAILABLE: (_Type.FLAG, _ANSWER),
    _P.SHARED_AVAILABLE: (_Type.FLAG, _ANSWER),
}

_NOT_ZERO = {
    _P.SUBSCRIPTION_ID: Code.PROTOCOL_ERROR,
    _P.RECEIVE_MAXIMUM: Code.PROTOCOL_ERROR,
    _P.MAXIMUM_PACKET_SIZE: Code.PROTOCOL_ERROR,
    _P.TOPIC_ALIAS: Code.BAD_ALIAS,
}


def _read_value(kind: _Type, reader: Reader) -> Any:
    if kind is _Type.U32:
        return reader.u32()
    if kind is _Type.U16:
        return reader.u16()
    if kind is _Type.TEXT:
        return reader.text()
    if kind is _Type.PAIR:
        return reader.text(), reader.text()
    if kind is _Type.BINARY:
        return reader.binary()
    if kind is _Type.VARINT:
        return reader.varint()
    return reader.u8()


def _check(key: Property, kind: _Type, value: Any) -> None:
    if kind is _Type.FLAG and value > 1:
        raise ProtocolError(Code.PROTOCOL_ERROR, f"{key.name} is {value}; allowed: 0, 1")
    if value == 0 and key in _NOT_ZERO:
        raise ProtocolError(_NOT_ZERO[key], f"{key.name} is 0")
    if key is _P.RESPONSE_TOPIC and ("+" in value or "#" in value):
        raise ProtocolError(Code.PROTOCOL_ERROR, f"response topic {value!r} holds a wildcard")


def read_properties(reader: Reader, place: Place) -> Properties:
    """Properties with their length in front.

    Raises:
        ProtocolError: Unknown, misplaced, repeated or malformed property.
    """
    length = reader.varint()
    found: Properties = {}
    if length == 0:
        return found
    part = reader.part(length)
    while part.left:
        number = part.varint()
        try:
            key = Property(number)
        except ValueError:
            raise ProtocolError(Code.MALFORMED, f"unknown property {number}") from None
        kind, places = _TABLE[key]
        if place not in places:
            raise ProtocolError(Code.PROTOCOL_ERROR, f"{key.name} has no place in {place.name}")
        value = _read_value(kind, part)
        _check(key, kind, value)
        if key is _P.USER or (key is _P.SUBSCRIPTION_ID and place is Place.PUBLISH):
            found.setdefault(key, []).append(value)
        elif key in found:
            raise ProtocolError(Code.PROTOCOL_ERROR, f"{key.name} is there twice")
        else:
            found[key] = [value] if key is _P.SUBSCRIPTION_ID else value
    return found


def _pack_value(kind: _Type, value: Any) -> bytes:
    if kind is _Type.U32:
        return int(value).to_bytes(4)
    if kind is _Type.U16:
        return int(value).to_bytes(2)
    if kind is _Type.TEXT:
        return pack_text(value)
    if kind is _Type.PAIR:
        return pack_text(value[0]) + pack_text(value[1])
    if kind is _Type.BINARY:
        return pack_binary(value)
    if kind is _Type.VARINT:
        return pack_varint(value)
    return int(value).to_bytes(1)


def pack_properties(properties: Properties) -> bytes:
    """Properties with their length in front."""
    if not properties:
        return b"\0"
    out = []
    for key, value in properties.items():
        many = value if key in (_P.USER, _P.SUBSCRIPTION_ID) else (value,)
        out += [bytes((key,)) + _pack_value(_TABLE[key][0], one) for one in many]
    body = b"".join(out)
    return pack_varint(len(body)) + body
