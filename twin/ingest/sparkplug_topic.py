"""Sparkplug topics: ``spBv1.0/{group}/{type}/{node}[/{device}]`` and ``spBv1.0/STATE/{host}``."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from twin.errors import DecodeError
from twin.model.message import Reason

__all__ = ["NAMESPACE", "MessageType", "Topic", "parse_topic"]

NAMESPACE = "spBv1.0"


class MessageType(StrEnum):
    """Message types of Sparkplug 3.0.0, chapter 4."""

    NBIRTH = "NBIRTH"
    NDEATH = "NDEATH"
    DBIRTH = "DBIRTH"
    DDEATH = "DDEATH"
    NDATA = "NDATA"
    DDATA = "DDATA"
    NCMD = "NCMD"
    DCMD = "DCMD"
    STATE = "STATE"


class Topic(NamedTuple):
    """A well-formed topic.

    Attributes:
        type: Message type.
        node: ``group/node``; for STATE the host id.
        device: Device id, empty for messages of the node itself.
    """

    type: MessageType
    node: str
    device: str = ""


_TYPES = {str(kind): kind for kind in MessageType if kind is not MessageType.STATE}
_DEVICE_TYPES = frozenset(["DBIRTH", "DDEATH", "DDATA", "DCMD"])


def parse_topic(topic: str) -> Topic:
    """Split a topic; a device id stands with DBIRTH, DDEATH, DDATA and DCMD and nowhere else.

    Raises:
        DecodeError: ``SCHEMA``, with the rule that is broken.

    Examples:
        >>> parse_topic("spBv1.0/pilot1-electrode/DDATA/gw1/calender")
        Topic(type=<MessageType.DDATA: 'DDATA'>, node='pilot1-electrode/gw1', device='calender')
    """
    parts = topic.split("/")
    if parts[0] != NAMESPACE or not all(parts) or any(c in topic for c in "+#"):
        raise _malformed(topic, "is no topic of the namespace spBv1.0 with non-empty ids")
    if len(parts) == 3 and parts[1] == MessageType.STATE:
        return Topic(MessageType.STATE, parts[2])
    if len(parts) not in (4, 5):
        raise _malformed(topic, "needs group, message type, node and for device messages a device")
    _, group, kind, node, *device = parts
    if kind not in _TYPES:
        raise _malformed(topic, f"has the unknown message type {kind!r}")
    if bool(device) != (kind in _DEVICE_TYPES):
        raise _malformed(topic, f"{kind} {'must not' if device else 'must'} carry a device id")
    return Topic(_TYPES[kind], f"{group}/{node}", device[0] if device else "")


def _malformed(topic: str, detail: str) -> DecodeError:
    return DecodeError(Reason.SCHEMA, f"Sparkplug topic {topic[:200]!r}: {detail}")
