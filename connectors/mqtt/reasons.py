"""Reason codes of MQTT 5 (section 2.4) in words, and the error that carries one."""

from __future__ import annotations

from enum import IntEnum

from twin.errors import SourceError

__all__ = ["CONNACK_3", "Code", "ProtocolError", "connack_3", "words"]


class Code(IntEnum):
    """The reason codes linetwin sends or looks for."""

    SUCCESS = 0x00
    DISCONNECT_WITH_WILL = 0x04
    NO_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION = 0x11
    UNSPECIFIED = 0x80
    MALFORMED = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_VERSION = 0x84
    BAD_CLIENT_ID = 0x85
    BAD_USER_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SHUTTING_DOWN = 0x8B
    BAD_AUTH_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    TAKEN_OVER = 0x8E
    BAD_FILTER = 0x8F
    BAD_TOPIC = 0x90
    PACKET_ID_UNKNOWN = 0x92
    RECEIVE_MAXIMUM = 0x93
    BAD_ALIAS = 0x94
    TOO_LARGE = 0x95
    QUOTA = 0x97
    BAD_PAYLOAD = 0x99
    QOS_NOT_SUPPORTED = 0x9B
    NO_SUBSCRIPTION_IDS = 0xA1


_WORDS = {
    0x00: "success",
    0x01: "granted QoS 1",
    0x02: "granted QoS 2",
    0x04: "disconnected, will to be sent",
    0x10: "no matching subscribers",
    0x11: "no subscription existed",
    0x18: "continue authentication",
    0x19: "re-authenticate",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "unsupported protocol version",
    0x85: "client id not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep-alive timeout",
    0x8E: "session taken over by another connection with the same client id",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x91: "packet id in use",
    0x92: "packet id not found",
    0x93: "receive maximum exceeded",
    0x94: "topic alias invalid",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9E: "shared subscriptions not supported",
    0x9F: "connection rate exceeded",
    0xA0: "maximum connect time",
    0xA1: "subscription identifiers not supported",
    0xA2: "wildcard subscriptions not supported",
}

CONNACK_3 = {
    1: "unacceptable protocol version",
    2: "client id rejected",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorized",
}
"""Return codes of CONNACK in MQTT 3.1.1, table 3.1."""

_TO_CONNACK_3 = {0x84: 1, 0x85: 2, 0x86: 4, 0x87: 5, 0x8C: 4}


def words(code: int) -> str:
    """A reason code as a person reads it.

    Examples:
        >>> words(0x87)
        'not authorized (0x87)'
    """
    return f"{_WORDS.get(code, 'unknown reason')} (0x{code:02X})"


def connack_3(code: int) -> int:
    """The MQTT 3.1.1 return code that says the same as a version 5 reason code."""
    return 0 if code == 0 else _TO_CONNACK_3.get(code, 3)


class ProtocolError(SourceError):
    """The peer broke the protocol; the connection ends with this reason.

    Attributes:
        code: What a version 5 peer is told in DISCONNECT.
        detail: What was wrong, with the value found.
    """

    def __init__(self, code: Code, detail: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(f"{words(code)}: {detail}")
