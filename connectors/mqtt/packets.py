"""Control packets of MQTT 3.1.1 and 5 as data; what version 3.1.1 lacks stays at its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from twin.model.message import Flag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.mqtt.properties import Properties

__all__ = [
    "V3",
    "V5",
    "Ack",
    "Auth",
    "Connack",
    "Connect",
    "Disconnect",
    "Item",
    "Packet",
    "Ping",
    "Pubacks",
    "Publish",
    "Publishes",
    "Suback",
    "Subscribe",
    "Subscription",
    "Type",
    "Unsuback",
    "Unsubscribe",
    "Will",
]

V3 = 4
"""Protocol level of MQTT 3.1.1."""
V5 = 5
"""Protocol level of MQTT 5."""


class Type(IntEnum):
    """Control packet types, table 2-1."""

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
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


@dataclass(slots=True)
class Will:
    """What the server publishes when the client vanishes."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True)
class Connect:
    """First packet of a client. ``clean_start`` is the clean session flag of 3.1.1."""

    client_id: str
    version: int = V5
    clean_start: bool = True
    keepalive_s: int = 0
    user: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True)
class Connack:
    """Answer to CONNECT; ``reason`` is a return code of 3.1.1 there."""

    session_present: bool = False
    reason: int = 0
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True)
class Publish:
    """One application message; ``packet_id`` is 0 for QoS 0."""

    topic: str
    payload: bytes
    qos: int = 0
    packet_id: int = 0
    dup: bool = False
    retain: bool = False
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True)
class Publishes:
    """Consecutive PUBLISH packets as parallel lists, in arrival order.

    Attributes:
        topics: Topic names, topic aliases resolved.
        payloads: As received.
        flags: :class:`twin.model.message.Flag` bits (QoS, DUP, RETAIN).
        ids: Packet ids, 0 for QoS 0.
        properties: Properties of those rows that have some, by row.
    """

    topics: list[str]
    payloads: list[bytes]
    flags: list[int]
    ids: list[int]
    properties: dict[int, Properties] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.payloads)

    def each(self) -> Iterator[Publish]:
        """The same messages one by one."""
        rows = zip(self.topics, self.payloads, self.flags, self.ids, strict=True)
        for row, (topic, payload, flags, packet_id) in enumerate(rows):
            yield Publish(
                topic,
                payload,
                flags & (Flag.QOS1 | Flag.QOS2),
                packet_id,
                bool(flags & Flag.DUP),
                bool(flags & Flag.RETAIN),
                self.properties.get(row, {}),
            )


@dataclass(slots=True)
class Pubacks:
    """Consecutive PUBACK packets as parallel lists; their properties are read and dropped."""

    ids: list[int]
    reasons: list[int]


@dataclass(slots=True)
class Ack:
    """PUBACK, PUBREC, PUBREL or PUBCOMP (decoded PUBACKs come as :class:`Pubacks`)."""

    type: Type
    packet_id: int
    reason: int = 0
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True)
class Subscription:
    """One filter of a SUBSCRIBE with its options."""

    filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


@dataclass(slots=True)
class Subscribe:
    """Asks for messages under filters."""

    packet_id: int
    subscriptions: list[Subscription]
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True)
class Suback:
    """One reason per filter: the granted QoS, or >= 0x80."""

    packet_id: int
    reasons: list[int]
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True)
class Unsubscribe:
    """Ends subscriptions."""

    packet_id: int
    filters: list[str]
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True)
class Unsuback:
    """One reason per filter; none in version 3.1.1."""

    packet_id: int
    reasons: list[int] = field(default_factory=list)
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True)
class Ping:
    """PINGREQ, or PINGRESP when ``response``."""

    response: bool = False


@dataclass(slots=True)
class Disconnect:
    """End of a connection."""

    reason: int = 0
    properties: Properties = field(default_factory=dict)


@dataclass(slots=True)
class Auth:
    """Step of an enhanced authentication."""

    reason: int = 0
    properties: Properties = field(default_factory=dict)


Packet = (
    Connect
    | Connack
    | Publish
    | Ack
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Ping
    | Disconnect
    | Auth
)
"""What :func:`connectors.mqtt.encode.encode` takes."""

Item = (
    Publishes
    | Pubacks
    | Connect
    | Connack
    | Ack
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Ping
    | Disconnect
    | Auth
)
"""What :class:`connectors.mqtt.codec.Decoder` gives."""
