"""One connection of a device to the listener."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from connectors.mqtt.acks import AckQueue
from connectors.mqtt.channel import Channel
from connectors.mqtt.codec import Decoder, encode
from connectors.mqtt.devices import MAX_EXPIRY_S
from connectors.mqtt.filters import valid_filter
from connectors.mqtt.inbox import Inbox
from connectors.mqtt.outbound import Peer
from connectors.mqtt.packets import (
    V3,
    V5,
    Ack,
    Connack,
    Connect,
    Disconnect,
    Ping,
    Pubacks,
    Publishes,
    Suback,
    Subscribe,
    Type,
    Unsuback,
    Unsubscribe,
)
from connectors.mqtt.properties import Property
from connectors.mqtt.reasons import Code, ProtocolError, connack_3

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from connectors.mqtt.devices import DeviceSession
    from connectors.mqtt.identity import Identity
    from connectors.mqtt.listener import Listener
    from connectors.mqtt.packets import Item, Packet, Publish, Subscription
    from connectors.mqtt.properties import Properties

__all__ = ["Connection"]

_LOG = logging.getLogger(__name__)

ALIASES = 32
"""Topic aliases a MQTT 5 device may use."""
_CONNECT_S = 2.0
_LONGEST_ID = 256


class Connection(Channel):
    """Speaks MQTT with one device.

    Args:
        hub: The listener.
    """

    def __init__(self, hub: Listener) -> None:
        super().__init__()
        self.session: DeviceSession | None = None
        self._hub = hub
        self._decoder = Decoder(
            server=True,
            max_packet=hub.settings.max_packet_bytes,
            alias_maximum=ALIASES,
            names=hub.names,
        )
        self._acks = AckQueue(self.write)
        self._inbox: Inbox | None = None
        self._identity: Identity | None = None
        self._paused: Iterator[Item] | None = None
        self._late: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._keepalive_s = 0
        self._clean = False
        self._largest: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A device opened the connection; it has two seconds to send CONNECT."""
        super().connection_made(transport)
        if self._hub.welcome(self):
            self._timer = self.loop.call_later(_CONNECT_S, self._too_late)
        else:
            self.close()

    def data_received(self, data: bytes) -> None:
        """One socket read."""
        self.heard = self.loop.time()
        if self._paused is not None:
            self._late.append(data)
        elif not self.ended:
            self._run(self._decoder.feed(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        super().connection_lost(exc)
        self._stop_timer()
        self._hub.gone(self)
        if self.session is not None:
            self._hub.devices.left(self.session, self, clean=self._clean)

    def resume_writing(self) -> None:
        """The device reads again."""
        super().resume_writing()
        if self.session is not None:
            self.session.outbound.pump()

    def end(self, code: int) -> None:
        """Close, telling a version 5 device why."""
        self._stop_timer()
        tell = self.session is not None and self._decoder.version == V5
        self.close(encode(Disconnect(code), V5) if tell else b"")

    def taken_over(self) -> None:
        """A newer connection has the client id."""
        self.end(Code.TAKEN_OVER)
        self.session = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._hub.counts["late_connects"] += 1
        self.end(Code.KEEP_ALIVE_TIMEOUT)

    def _watch(self) -> None:
        """Close after 1.5 keep-alive intervals of silence, unless it is us who do not read."""
        now, limit = self.loop.time(), 1.5 * self._keepalive_s
        if self.held("full"):
            self.heard = now
        if now - self.heard >= limit:
            self._hub.counts["keepalive_timeouts"] += 1
            self.end(Code.KEEP_ALIVE_TIMEOUT)
        else:
            self._timer = self.loop.call_later(limit - now + self.heard, self._watch)

    def _full(self) -> None:
        if not self.held("full"):
            self.hold("full")
            self._hub.intake.on_room(lambda: self.free("full"))

    def _send(self, packet: Packet) -> None:
        self.write(encode(packet, self._decoder.version))

    def _deliver(self, message: Publish) -> bool:
        data = encode(message, self._decoder.version)
        if self._largest is not None and len(data) > self._largest:
            return False
        self.write(data)
        return True

    def _run(self, items: Iterator[Item]) -> None:
        """Handle packets in order; stops behind CONNECT until its check is done."""
        try:
            for item in items:
                self._handle(item)
                if self.ended:
                    return
                if self.held("check"):
                    self._paused = items
                    return
        except ProtocolError as error:
            self._fail(error)

    def _fail(self, error: ProtocolError) -> None:
        who = self.session.source if self.session else self.transport.get_extra_info("peername")
        _LOG.info("%s: closed: %s", who, error)
        if error.code != Code.NOT_AUTHORIZED:
            self._hub.count_malformed(error.code)
        if self.session is None and error.code == Code.UNSUPPORTED_VERSION:
            self.write(b"\x20\x02\x00\x01")
        self.end(error.code)

    def _handle(self, item: Item) -> None:
        if isinstance(item, Connect):
            self._connect(item)
            return
        inbox, session = self._inbox, self.session
        if inbox is None or session is None:
            raise ProtocolError(Code.PROTOCOL_ERROR, "not connected")
        match item:
            case Publishes():
                inbox.take(item)
            case Ack(type=Type.PUBREL, packet_id=packet_id):
                inbox.release(packet_id)
            case Pubacks(ids=ids):
                for packet_id in ids:
                    session.outbound.answered(packet_id)
            case Ping():
                self._send(Ping(response=True))
            case Subscribe():
                self._subscribe(item, session)
            case Unsubscribe(packet_id=packet_id, filters=filters):
                known = session.outbound.subscriptions
                gone = [known.pop(name, None) for name in filters]
                reasons = [Code.NO_SUBSCRIPTION if old is None else 0 for old in gone]
                self._send(Unsuback(packet_id, reasons))
            case Disconnect():
                self._disconnect(item, session)
            case _:
                raise ProtocolError(Code.PROTOCOL_ERROR, f"unexpected {item}")

    def _connect(self, connect: Connect) -> None:
        """Check who it is; what follows CONNECT in the same read waits for the answer."""
        self._stop_timer()
        self.hold("check")
        self._hub.spawn(self._admit(connect), f"check {connect.client_id}")

    async def _admit(self, connect: Connect) -> None:
        peer = self.transport.get_extra_info("peername")
        local = peer is not None and (peer[0].startswith("127.") or peer[0] == "::1")
        name = _common_name(self.transport.get_extra_info("peercert"))
        identity = await self._hub.identities.check(
            connect.user, connect.password, name, local=local
        )
        if self.ended:
            return
        code = self._verdict(connect, identity)
        if identity is None or code:
            self._hub.refuse(connect.client_id, code)
            self._refuse(code)
            return
        try:
            self._accept(connect, identity)
        except ProtocolError as error:
            self._hub.refuse(connect.client_id, error.code)
            self._refuse(error.code)
            return
        self._go_on()

    def _verdict(self, connect: Connect, identity: Identity | None) -> int:
        """Reason to refuse a CONNECT, or 0."""
        if Property.AUTH_METHOD in connect.properties:
            return Code.BAD_AUTH_METHOD
        if identity is None:
            return Code.NOT_AUTHORIZED if connect.user is None else Code.BAD_USER_OR_PASSWORD
        nameless = not connect.client_id and connect.version == V3 and not connect.clean_start
        if nameless or len(connect.client_id.encode()) > _LONGEST_ID:
            return Code.BAD_CLIENT_ID
        if connect.will is not None and not identity.may_publish(connect.will.topic):
            return Code.NOT_AUTHORIZED
        return 0 if self._hub.has_room(connect.client_id) else Code.QUOTA

    def _refuse(self, code: int) -> None:
        version = self._decoder.version
        self._send(Connack(reason=code if version == V5 else connack_3(code)))
        self.close()

    def _accept(self, connect: Connect, identity: Identity) -> None:
        hub, version = self._hub, connect.version
        assigned = not connect.client_id
        if assigned:
            connect.client_id = hub.devices.free_id()
        session, present = hub.devices.open(self, connect, identity)
        self.session, self._identity = session, identity
        self._largest = connect.properties.get(Property.MAXIMUM_PACKET_SIZE)
        self._inbox = Inbox(
            session,
            identity,
            version=version,
            limit=hub.settings.receive_maximum,
            acks=self._acks,
            intake=hub.intake,
            full=self._full,
            clock=hub.clock,
            counts=hub.counts,
        )
        self._keepalive_s = connect.keepalive_s
        answer = Connack(session_present=present)
        if version == V5:
            answer.properties = self._terms(connect, assigned=assigned)
            self._keepalive_s = answer.properties.get(
                Property.SERVER_KEEP_ALIVE, connect.keepalive_s
            )
        self._send(answer)
        hub.connected(self)
        if self._keepalive_s:
            self._watch()
        most = connect.properties.get(Property.RECEIVE_MAXIMUM, 65535)
        session.outbound.attach(Peer(self._deliver, lambda: not self.held("unread"), most))

    def _terms(self, connect: Connect, *, assigned: bool) -> Properties:
        """What a version 5 device is told with CONNACK."""
        settings = self._hub.settings
        terms: Properties = {
            Property.RECEIVE_MAXIMUM: settings.receive_maximum,
            Property.MAXIMUM_PACKET_SIZE: settings.max_packet_bytes,
            Property.TOPIC_ALIAS_MAXIMUM: ALIASES,
            Property.SUBSCRIPTION_ID_AVAILABLE: 0,
            Property.SHARED_AVAILABLE: 0,
        }
        if assigned:
            terms[Property.ASSIGNED_CLIENT_ID] = connect.client_id
        if not 0 < connect.keepalive_s <= settings.keepalive_max_s:
            terms[Property.SERVER_KEEP_ALIVE] = settings.keepalive_max_s
        if connect.properties.get(Property.SESSION_EXPIRY, 0) > MAX_EXPIRY_S:
            terms[Property.SESSION_EXPIRY] = MAX_EXPIRY_S
        return terms

    def _go_on(self) -> None:
        """Handle what arrived while CONNECT was checked."""
        items, self._paused = self._paused, None
        late, self._late = self._late, []
        self.free("check")
        if items is not None:
            self._run(items)
        for data in late:
            if not self.ended:
                self._run(self._decoder.feed(data))

    def _subscribe(self, packet: Subscribe, session: DeviceSession) -> None:
        if Property.SUBSCRIPTION_ID in packet.properties:
            raise ProtocolError(
                Code.NO_SUBSCRIPTION_IDS, "SUBSCRIBE with a subscription identifier"
            )
        new: list[Subscription] = []
        reasons = []
        for wanted in packet.subscriptions:
            reason = self._grant(wanted)
            reasons.append(reason)
            if reason <= 1:
                fresh = wanted.filter not in session.outbound.subscriptions
                session.outbound.subscriptions[wanted.filter] = wanted
                if wanted.retain_handling == 0 or (wanted.retain_handling == 1 and fresh):
                    new.append(wanted)
            else:
                self._hub.counts["refused_subscriptions"] += 1
        self._send(Suback(packet.packet_id, reasons))
        for wanted in new:
            session.outbound.send_retained(wanted.filter, wanted.qos, self._hub.retained.items())

    def _grant(self, wanted: Subscription) -> int:
        v5 = self._decoder.version == V5
        if not valid_filter(wanted.filter):
            return Code.BAD_FILTER if v5 else Code.UNSPECIFIED
        if self._identity is None or not self._identity.may_subscribe(wanted.filter):
            return Code.NOT_AUTHORIZED if v5 else Code.UNSPECIFIED
        return min(wanted.qos, 1)

    def _disconnect(self, packet: Disconnect, session: DeviceSession) -> None:
        expiry = packet.properties.get(Property.SESSION_EXPIRY)
        if expiry is not None:
            if expiry and not session.expiry_s:
                raise ProtocolError(Code.PROTOCOL_ERROR, "session expiry was 0 in CONNECT")
            session.expiry_s = float(min(expiry, MAX_EXPIRY_S))
        # Any reason but "normal" publishes the will (MQTT-3.14.4-3).
        if packet.reason == 0:
            session.will = None
        self._clean = True
        self.close()


def _common_name(certificate: dict[str, Any] | None) -> str:
    """Common name of a verified client certificate; empty without one."""
    parts = (certificate or {}).get("subject", ())
    names = [value for part in parts for key, value in part if key == "commonName"]
    return names[0] if len(names) == 1 else ""
