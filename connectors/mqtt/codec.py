"""Sans-IO codec of MQTT 3.1.1 and 5: bytes in, packets out. Client and server use the same.

Sources: MQTT Version 3.1.1 and MQTT Version 5.0, OASIS standards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from connectors.mqtt.decode import decode_body
from connectors.mqtt.encode import encode, encode_pubacks
from connectors.mqtt.fast import (
    ACK_ROWS,
    PUBLISH_ROWS,
    TopicNames,
    scan_pubacks,
    scan_publishes,
)
from connectors.mqtt.packets import V3, V5, Ack, Connect, Pubacks, Publishes, Type
from connectors.mqtt.properties import Place, Property, read_properties
from connectors.mqtt.reasons import Code, ProtocolError
from connectors.mqtt.wire import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from connectors.mqtt.packets import Item
    from connectors.mqtt.properties import Properties

__all__ = ["Decoder", "ProtocolError", "encode", "encode_pubacks"]

_FROM_SERVER = {Type.CONNACK, Type.SUBACK, Type.UNSUBACK, Type.PINGRESP}
_FROM_CLIENT = {Type.CONNECT, Type.SUBSCRIBE, Type.UNSUBSCRIBE, Type.PINGREQ}
_MOST_ROWS = 4096


class Decoder:
    """Turns the byte stream of one connection into packets.

    Args:
        server: True on the side that accepts connections.
        max_packet: Largest packet accepted, bytes with header; larger ones are refused as soon as
            their length is known.
        version: 4 or 5; 0 on a server, where CONNECT says it.
        alias_maximum: Topic aliases the peer was told it may use.
        names: Cache of topic names, shared by connections.
    """

    def __init__(
        self,
        *,
        server: bool,
        max_packet: int,
        version: int = 0,
        alias_maximum: int = 0,
        names: TopicNames | None = None,
    ) -> None:
        self.version = version
        self._server = server
        self._limit = max_packet
        self._alias_maximum = alias_maximum
        self._aliases: dict[int, str] = {}
        self._names = TopicNames() if names is None else names
        self._rest: list[bytes] = []
        self._have = 0
        self._need = 0

    def feed(self, data: bytes) -> Iterator[Item]:
        """Packets that are complete now, in order.

        Iterate to the end before feeding again: what was not reached is not decoded yet.

        Raises:
            ProtocolError: The stream breaks the protocol here; all packets in front of the
                faulty one have been given. The decoder is of no use afterwards.
        """
        self._rest.append(data)
        self._have += len(data)
        if self._have < self._need:
            return
        data = self._rest[0] if len(self._rest) == 1 else b"".join(self._rest)
        yield from self._decode(data)

    def _decode(self, data: bytes) -> Iterator[Item]:
        view = np.frombuffer(data, np.uint8)
        pos, size = 0, len(data)
        while pos < size:
            kind = data[pos] >> 4
            if not self.version and kind != Type.CONNECT:
                # Said at the first byte: noise may announce a length that never comes.
                raise ProtocolError(Code.PROTOCOL_ERROR, f"packet type {kind} before CONNECT")
            if kind == Type.PUBLISH:
                run, pos, error = self._publishes(data, view, pos)
                if run is not None:
                    yield run
                if error is not None:
                    raise error
                if run is not None:
                    continue
            elif kind == Type.PUBACK:
                acks, pos = self._pubacks(view, pos)
                if acks.ids:
                    yield acks
                    continue
            frame = self._frame(data, pos)
            if frame is None:
                break
            yield self._packet(data[pos], Reader(data, *frame))
            pos = frame[1]
        self._keep(data, pos)

    def _keep(self, data: bytes, pos: int) -> None:
        """Hold the start of an incomplete packet; how much is needed was set by ``_frame``."""
        self._rest = [data[pos:]] if pos < len(data) else []
        self._have = len(data) - pos
        if not self._rest:
            self._need = 0

    def _frame(self, data: bytes, pos: int) -> tuple[int, int] | None:
        """Start and end of the body of the packet at ``pos``; None when it is incomplete."""
        length = 0
        for i in range(4):
            at = pos + 1 + i
            if at >= len(data):
                self._need = at - pos + 1
                return None
            length |= (data[at] & 0x7F) << 7 * i
            if data[at] < 128:
                break
        else:
            raise ProtocolError(Code.MALFORMED, "remaining length takes more than four bytes")
        if i and data[at] == 0 and self.version == V5:
            raise ProtocolError(Code.MALFORMED, "remaining length is not in its shortest form")
        end = at + 1 + length
        if end - pos > self._limit:
            raise ProtocolError(
                Code.TOO_LARGE, f"packet of {end - pos} bytes; allowed: {self._limit}"
            )
        if end > len(data):
            self._need = end - pos
            return None
        return at + 1, end

    def _packet(self, first: int, body: Reader) -> Item:
        """Any packet the fast path did not take."""
        kind = first >> 4
        if kind == 0 or (kind == Type.AUTH and self.version == V3):
            raise ProtocolError(Code.MALFORMED, f"packet type {kind} does not exist")
        if self._server == (kind in _FROM_SERVER) and kind in _FROM_SERVER | _FROM_CLIENT:
            raise ProtocolError(Code.PROTOCOL_ERROR, f"{Type(kind).name} from the wrong side")
        if kind == Type.CONNECT and self.version:
            raise ProtocolError(Code.PROTOCOL_ERROR, "second CONNECT")
        if kind == Type.DISCONNECT and not self._server and self.version == V3:
            raise ProtocolError(Code.PROTOCOL_ERROR, "DISCONNECT from a 3.1.1 server")
        if kind == Type.PUBLISH:
            raise _fault(first, body, self.version)
        packet = decode_body(first, body, self.version)
        if isinstance(packet, Connect):
            self.version = packet.version
        elif isinstance(packet, Ack) and packet.type is Type.PUBACK:
            return Pubacks([packet.packet_id], [packet.reason])
        return packet

    def _pubacks(self, view: NDArray[np.uint8], pos: int) -> tuple[Pubacks, int]:
        out = np.empty((ACK_ROWS, min(_MOST_ROWS, (view.size - pos) // 4 + 1)), np.int64)
        n, pos = scan_pubacks(view, pos, self.version == V5, out)
        return Pubacks(*out[:, :n].tolist()), pos

    def _publishes(
        self, data: bytes, view: NDArray[np.uint8], pos: int
    ) -> tuple[Publishes | None, int, ProtocolError | None]:
        """One run of PUBLISH packets, the position behind it, and what is wrong with the next."""
        out = np.empty((PUBLISH_ROWS, min(_MOST_ROWS, (view.size - pos) // 5 + 1)), np.int64)
        n, pos, special = scan_publishes(view, pos, self.version == V5, self._limit, out)
        if n == 0:
            return None, pos, None
        flags, ids, begin, end, props, start, stop = out[:, :n].tolist()
        raw = [data[a:b] for a, b in zip(begin, end, strict=True)]
        payloads = [data[a:b] for a, b in zip(start, stop, strict=True)]
        topics = None if special else self._names.names(raw)
        if topics is not None:
            return Publishes(topics, payloads, flags, ids), pos, None
        topics, properties = [], {}
        try:
            for row, name in enumerate(raw):
                if props[row]:
                    found = self._message_properties(Reader(data, props[row], start[row]))
                    topics.append(self._aliased(name, found))
                    properties[row] = found
                else:
                    topics.append(self._names.name(name))
        except ProtocolError as error:
            n = len(topics)
            good = Publishes(topics, payloads[:n], flags[:n], ids[:n], properties)
            return good if n else None, pos, error
        return Publishes(topics, payloads, flags, ids, properties), pos, None

    def _message_properties(self, reader: Reader) -> Properties:
        found = read_properties(reader, Place.PUBLISH)
        if self._server and Property.SUBSCRIPTION_ID in found:
            raise ProtocolError(Code.PROTOCOL_ERROR, "subscription identifier from a client")
        return found

    def _aliased(self, raw: bytes, properties: Properties) -> str:
        """Topic name of a message that may use a topic alias (section 3.3.2.3.4)."""
        alias = properties.get(Property.TOPIC_ALIAS)
        if alias is None:
            return self._names.name(raw)
        if alias > self._alias_maximum:
            raise ProtocolError(
                Code.BAD_ALIAS, f"topic alias {alias}; allowed: 1..{self._alias_maximum}"
            )
        if raw:
            self._aliases[alias] = self._names.name(raw)
        elif alias not in self._aliases:
            raise ProtocolError(Code.PROTOCOL_ERROR, f"topic alias {alias} was never set")
        return self._aliases[alias]


def _fault(first: int, body: Reader, version: int) -> ProtocolError:
    """What is wrong with a complete PUBLISH packet that the fast path refused."""
    qos = first >> 1 & 3
    if qos == 3:
        return ProtocolError(Code.MALFORMED, "PUBLISH with QoS 3")
    if qos == 0 and first & 8:
        return ProtocolError(Code.MALFORMED, "PUBLISH with DUP and QoS 0")
    try:
        topic = body.binary()
        if qos:
            body.packet_id()
        if version == V5:
            body.part(body.varint())
    except ProtocolError as error:
        return error
    return ProtocolError(Code.PROTOCOL_ERROR, f"PUBLISH with topic name {topic[:40]!r}")
