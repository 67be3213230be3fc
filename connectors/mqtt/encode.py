"""Packets to bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from connectors.mqtt.packets import (
    V5,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Ping,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Type,
    Unsuback,
    Unsubscribe,
)
from connectors.mqtt.properties import pack_properties
from connectors.mqtt.wire import pack_binary, pack_text, pack_varint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.mqtt.properties import Properties

__all__ = ["encode", "encode_pubacks"]


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + pack_varint(len(body)) + body


def _props(properties: Properties, version: int) -> bytes:
    return pack_properties(properties) if version == V5 else b""


def _connect(p: Connect) -> bytes:
    flags = p.clean_start << 1
    tail = pack_text(p.client_id)
    if p.will is not None:
        flags |= 0x04 | p.will.qos << 3 | p.will.retain << 5
        tail += _props(p.will.properties, p.version)
        tail += pack_text(p.will.topic) + pack_binary(p.will.payload)
    if p.user is not None:
        flags |= 0x80
        tail += pack_text(p.user)
    if p.password is not None:
        flags |= 0x40
        tail += pack_binary(p.password)
    head = b"\0\4MQTT" + bytes((p.version, flags)) + p.keepalive_s.to_bytes(2)
    return _packet(0x10, head + _props(p.properties, p.version) + tail)


def _publish(p: Publish, version: int) -> bytes:
    first = 0x30 | p.dup << 3 | p.qos << 1 | p.retain
    packet_id = p.packet_id.to_bytes(2) if p.qos else b""
    return _packet(
        first, pack_text(p.topic) + packet_id + _props(p.properties, version) + p.payload
    )


def _reasoned(first: int, head: bytes, reason: int, properties: Properties, version: int) -> bytes:
    """Reason and properties at the end, left out where the standard says they may be."""
    if version != V5 or (reason == 0 and not properties):
        return _packet(first, head)
    tail = pack_properties(properties) if properties else b""
    return _packet(first, head + bytes((reason,)) + tail)


def _options(s: Subscription, version: int) -> int:
    if version != V5:
        return s.qos
    return s.qos | s.no_local << 2 | s.retain_as_published << 3 | s.retain_handling << 4


def encode(packet: Packet, version: int) -> bytes:
    """One packet as bytes of a protocol version (4 = 3.1.1, 5 = 5).

    Raises:
        ProtocolError: A string or the packet is too long, or a string has no UTF-8 form.
    """
    match packet:
        case Publish():
            return _publish(packet, version)
        case Ack(type=kind, packet_id=number, reason=reason, properties=properties):
            first = kind << 4 | (0x02 if kind is Type.PUBREL else 0)
            return _reasoned(first, number.to_bytes(2), reason, properties, version)
        case Ping(response=response):
            return b"\xd0\0" if response else b"\xc0\0"
        case Connect():
            return _connect(packet)
        case Connack(session_present=present, reason=reason, properties=properties):
            return _packet(0x20, bytes((present, reason)) + _props(properties, version))
        case Subscribe(packet_id=number, subscriptions=wanted, properties=properties):
            body = b"".join(pack_text(s.filter) + bytes((_options(s, version),)) for s in wanted)
            return _packet(0x82, number.to_bytes(2) + _props(properties, version) + body)
        case Suback(packet_id=number, reasons=reasons, properties=properties):
            return _packet(0x90, number.to_bytes(2) + _props(properties, version) + bytes(reasons))
        case Unsubscribe(packet_id=number, filters=filters, properties=properties):
            body = b"".join(map(pack_text, filters))
            return _packet(0xA2, number.to_bytes(2) + _props(properties, version) + body)
        case Unsuback(packet_id=number, reasons=reasons, properties=properties):
            tail = _props(properties, version) + bytes(reasons) if version == V5 else b""
            return _packet(0xB0, number.to_bytes(2) + tail)
        case Disconnect(reason=reason, properties=properties):
            return _reasoned(0xE0, b"", reason, properties, version)
        case Auth(reason=reason, properties=properties):
            return _reasoned(0xF0, b"", reason, properties, version)


def encode_pubacks(ids: Sequence[int]) -> bytes:
    """Positive PUBACKs of either version, four bytes each, for one socket write."""
    return struct.pack(f">{len(ids)}I", *[0x40020000 | number for number in ids])
