"""Bodies of control packets to data, strictly; PUBLISH and PUBACK runs are in ``fast``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.mqtt.packets import (
    V3,
    V5,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Ping,
    Suback,
    Subscribe,
    Subscription,
    Type,
    Unsuback,
    Unsubscribe,
    Will,
)
from connectors.mqtt.properties import Place, Properties, read_properties
from connectors.mqtt.reasons import Code, ProtocolError

if TYPE_CHECKING:
    from connectors.mqtt.packets import Item
    from connectors.mqtt.wire import Reader

__all__ = ["check_topic", "decode_body"]

_FLAGS = {Type.PUBREL: 2, Type.SUBSCRIBE: 2, Type.UNSUBSCRIBE: 2}
"""Reserved fixed header bits, table 2-2; 0 for all others but PUBLISH."""


def check_topic(topic: str) -> None:
    """A topic name to publish to: not empty, no wildcard (MQTT-4.7.3-1, MQTT-3.3.2-2).

    Raises:
        ProtocolError: It is no topic name.
    """
    if not topic:
        raise ProtocolError(Code.PROTOCOL_ERROR, "empty topic name")
    if "+" in topic or "#" in topic:
        raise ProtocolError(Code.BAD_TOPIC, f"topic name {topic[:80]!r} holds a wildcard")


def _props(r: Reader, place: Place, version: int) -> Properties:
    return read_properties(r, place) if version == V5 else {}


def _will(r: Reader, flags: int, version: int) -> Will | None:
    qos = flags >> 3 & 3
    if not flags & 0x04:
        if flags & 0x38:
            raise ProtocolError(Code.MALFORMED, "will QoS or retain without a will")
        return None
    if qos == 3:
        raise ProtocolError(Code.MALFORMED, "will with QoS 3")
    properties = _props(r, Place.WILL, version)
    topic = r.text()
    check_topic(topic)
    return Will(topic, r.binary(), qos, bool(flags & 0x20), properties)


def _connect(r: Reader) -> Connect:
    name, version = r.binary(), r.u8()
    if name != b"MQTT" or version not in (V3, V5):
        raise ProtocolError(
            Code.UNSUPPORTED_VERSION,
            f"protocol {name[:16]!r} level {version}; allowed: MQTT 3.1.1 (4) and 5 (5)",
        )
    flags, keepalive_s = r.u8(), r.u16()
    if flags & 1:
        raise ProtocolError(Code.MALFORMED, "reserved CONNECT flag is set")
    if version == V3 and flags & 0xC0 == 0x40:
        raise ProtocolError(Code.MALFORMED, "password without a user name")
    properties = _props(r, Place.CONNECT, version)
    client_id = r.text()
    will = _will(r, flags, version)
    user = r.text() if flags & 0x80 else None
    password = r.binary() if flags & 0x40 else None
    return Connect(
        client_id, version, bool(flags & 2), keepalive_s, user, password, will, properties
    )


def _connack(r: Reader, version: int) -> Connack:
    flags, reason = r.u8(), r.u8()
    if flags > 1:
        raise ProtocolError(Code.MALFORMED, "reserved CONNACK flags are set")
    return Connack(bool(flags), reason, _props(r, Place.CONNACK, version))


def _reasoned(r: Reader, place: Place, version: int) -> tuple[int, Properties]:
    if version != V5 or not r.left:
        return 0, {}
    reason = r.u8()
    return reason, read_properties(r, place) if r.left else {}


def _subscription(r: Reader, version: int) -> Subscription:
    name, options = r.text(), r.u8()
    if options & (0xC0 if version == V5 else 0xFC):
        raise ProtocolError(Code.MALFORMED, "reserved subscription option is set")
    qos, handling = options & 3, options >> 4 & 3
    if qos == 3:
        raise ProtocolError(
            Code.PROTOCOL_ERROR if version == V5 else Code.MALFORMED, "subscription with QoS 3"
        )
    if handling == 3:
        raise ProtocolError(Code.PROTOCOL_ERROR, "retain handling 3")
    if options & 4 and name.startswith("$share/"):
        raise ProtocolError(Code.PROTOCOL_ERROR, "no-local on a shared subscription")
    return Subscription(name, qos, bool(options & 4), bool(options & 8), handling)


def _subscribe(r: Reader, version: int) -> Subscribe:
    number, properties = r.packet_id(), _props(r, Place.SUBSCRIBE, version)
    wanted = []
    while r.left:
        wanted.append(_subscription(r, version))
    if not wanted:
        raise ProtocolError(Code.PROTOCOL_ERROR, "SUBSCRIBE without a filter")
    return Subscribe(number, wanted, properties)


def _unsubscribe(r: Reader, version: int) -> Unsubscribe:
    number, properties = r.packet_id(), _props(r, Place.UNSUBSCRIBE, version)
    filters = []
    while r.left:
        filters.append(r.text())
    if not filters:
        raise ProtocolError(Code.PROTOCOL_ERROR, "UNSUBSCRIBE without a filter")
    return Unsubscribe(number, filters, properties)


def _suback(r: Reader, version: int) -> Suback:
    number, properties = r.packet_id(), _props(r, Place.SUBACK, version)
    reasons = list(r.rest())
    if not reasons:
        raise ProtocolError(Code.PROTOCOL_ERROR, "SUBACK without a reason")
    if version == V3 and not {0, 1, 2, 0x80}.issuperset(reasons):
        raise ProtocolError(Code.MALFORMED, f"SUBACK return codes {reasons[:8]}")
    return Suback(number, reasons, properties)


def _unsuback(r: Reader, version: int) -> Unsuback:
    number, properties = r.packet_id(), _props(r, Place.UNSUBACK, version)
    return Unsuback(number, list(r.rest()) if version == V5 else [], properties)


def decode_body(first: int, r: Reader, version: int) -> Item:
    """Any packet but PUBLISH.

    Args:
        first: First byte of the fixed header.
        r: The bytes behind the fixed header.
        version: 4 or 5; unused for CONNECT, which says it itself.

    Raises:
        ProtocolError: The packet breaks the protocol.
    """
    kind = Type(first >> 4)
    if first & 15 != _FLAGS.get(kind, 0):
        raise ProtocolError(Code.MALFORMED, f"reserved header bits of {kind.name} are wrong")
    packet: Item
    match kind:
        case Type.CONNECT:
            packet = _connect(r)
        case Type.CONNACK:
            packet = _connack(r, version)
        case Type.PUBACK | Type.PUBREC | Type.PUBREL | Type.PUBCOMP:
            number = r.packet_id()
            packet = Ack(kind, number, *_reasoned(r, Place(kind), version))
        case Type.SUBSCRIBE:
            packet = _subscribe(r, version)
        case Type.SUBACK:
            packet = _suback(r, version)
        case Type.UNSUBSCRIBE:
            packet = _unsubscribe(r, version)
        case Type.UNSUBACK:
            packet = _unsuback(r, version)
        case Type.DISCONNECT:
            packet = Disconnect(*_reasoned(r, Place.DISCONNECT, version))
        case Type.AUTH:
            packet = Auth(*_reasoned(r, Place.AUTH, version))
        case _:
            packet = Ping(response=kind is Type.PINGRESP)
    r.done()
    return packet
