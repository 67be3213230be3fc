"""Sessions of devices at the listener: what outlives a connection."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.mqtt.outbound import Outbound
from connectors.mqtt.packets import V3
from connectors.mqtt.properties import Property
from connectors.mqtt.reasons import Code, ProtocolError
from twin.model.message import Block, Kind

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from connectors.mqtt.connection import Connection
    from connectors.mqtt.identity import Identity
    from connectors.mqtt.packets import Connect, Will
    from twin.ports import Clock, Intake

__all__ = ["MAX_EXPIRY_S", "DeviceSession", "Devices"]

_LOG = logging.getLogger(__name__)

MAX_EXPIRY_S = 604_800
"""Longest session expiry of a MQTT 5 device: 7 days; CONNACK says so when it asked for more."""
_MOST_AWAY = 20_000
_MOST_KNOWN = 20_000
_FIGHT_S = 60.0


@dataclass(eq=False, slots=True)
class DeviceSession:
    """State of a client id.

    Attributes:
        client_id: Client id.
        source: Name of the source in the journal.
        owner: User name that opened it.
        ids: Packet ids of QoS 2 messages taken and not yet released.
        unstored: Those of them that are not on disk yet.
        outbound: Subscriptions and messages to the device.
        connection: The connection in use; None while the device is away.
        expiry_s: How long it is kept while the device is away.
        will: What is published when the device vanishes.
        will_timer: Runs until the will is due.
        expiry_timer: Runs until the session ends.
        taken_at: When a connection was last taken over, time of the event loop.
        warned_at: When that was last said in the log.
    """

    client_id: str
    source: str
    owner: str
    ids: set[int]
    unstored: set[int] = field(default_factory=set)
    outbound: Outbound = field(default_factory=Outbound)
    connection: Connection | None = None
    expiry_s: float = 0.0
    will: Will | None = None
    will_timer: asyncio.TimerHandle | None = None
    expiry_timer: asyncio.TimerHandle | None = None
    taken_at: float = -math.inf
    warned_at: float = -math.inf
    _waiters: list[tuple[set[int], Callable[[], None]]] = field(default_factory=list)

    def stored(self, ids: list[int]) -> None:
        """These QoS 2 messages are on disk."""
        self.unstored.difference_update(ids)
        ready = [call for wanted, call in self._waiters if not wanted & self.unstored]
        self._waiters = [(w, call) for w, call in self._waiters if w & self.unstored]
        for call in ready:
            call()

    def when_stored(self, ids: set[int], call: Callable[[], None]) -> None:
        """Call at once, or as soon as these QoS 2 messages are on disk."""
        if ids & self.unstored:
            self._waiters.append((ids, call))
        else:
            call()


class Devices:
    """All sessions of a listener; puts wills and lost or returned devices into the intake.

    Args:
        intake: The journal.
        clock: Receive times.
        counts: Counters of the listener.
    """

    def __init__(self, intake: Intake, clock: Clock, counts: Counter[str]) -> None:
        self._intake, self._clock, self._counts = intake, clock, counts
        self._sessions: dict[str, DeviceSession] = {}
        self._lost: dict[str, bool] = {}

    def all(self) -> list[DeviceSession]:
        """Every session, connected or not."""
        return list(self._sessions.values())

    def is_connected(self, client_id: str) -> bool:
        """Whether a device with this client id is connected now."""
        session = self._sessions.get(client_id)
        return session is not None and session.connection is not None

    def free_id(self) -> str:
        """A client id for a device that has none; few names, so that few sources come to be."""
        n = 1
        while f"auto-{n}" in self._sessions:
            n += 1
        return f"auto-{n}"

    def open(
        self, connection: Connection, connect: Connect, identity: Identity
    ) -> tuple[DeviceSession, bool]:
        """Session of a device that connects; the newest connection of a client id wins.

        Returns:
            The session, and whether it was there before.

        Raises:
            ProtocolError: The client id is in use by another user.
        """
        old = self._sessions.get(connect.client_id)
        if old is not None and old.owner != identity.user:
            if old.connection is not None:
                raise ProtocolError(Code.BAD_CLIENT_ID, "client id is in use by another user")
            self._end(old)
            old = None
        if old is not None:
            self._take_over(old, ends=connect.clean_start)
        session = self._resume(connect, identity, old)
        present = session is old or bool(session.ids)
        session.expiry_s = _expiry(connect)
        session.will = connect.will
        session.connection = connection
        self._sessions.pop(connect.client_id, None)
        self._sessions[connect.client_id] = session
        self._seen(session.source)
        return session, present

    def left(self, session: DeviceSession, connection: Connection, *, clean: bool) -> None:
        """A connection is gone.

        Args:
            session: Session of the device.
            connection: The connection; one that was taken over changes nothing.
            clean: Whether the device said goodbye.
        """
        if session.connection is not connection:
            return
        session.connection = None
        session.outbound.detach()
        if not clean:
            self._mark(session.source, "lost", "connection lost without DISCONNECT")
        loop = asyncio.get_running_loop()
        delay = _will_delay(session)
        if delay == 0:
            self._publish_will(session)
        else:
            session.will_timer = loop.call_later(delay, self._publish_will, session)
        if session.expiry_s == 0:
            self._end(session)
        elif math.isfinite(session.expiry_s):
            session.expiry_timer = loop.call_later(session.expiry_s, self._end, session)
        if len(self._sessions) > _MOST_AWAY:
            away = next((s for s in self._sessions.values() if s.connection is None), None)
            if away is not None:
                self._end(away)

    def close(self) -> None:
        """Stop all timers; wills of devices that we disconnect ourselves are not published."""
        for session in self._sessions.values():
            session.connection = None
            _cancel(session)

    def _take_over(self, old: DeviceSession, *, ends: bool) -> None:
        if old.connection is not None:
            self._counts["takeovers"] += 1
            self._warn_of_fight(old)
            old.connection.taken_over()
            old.connection = None
            old.outbound.detach()
        if ends or _will_delay(old) == 0:
            self._publish_will(old)
        _cancel(old)

    def _warn_of_fight(self, old: DeviceSession) -> None:
        """Say at most once a minute that a client id is taken over again and again."""
        now = asyncio.get_running_loop().time()
        if now - old.taken_at < _FIGHT_S <= now - old.warned_at:
            old.warned_at = now
            _LOG.warning(
                "client id %r: two devices seem to use it, the newest one wins", old.client_id
            )
        old.taken_at = now

    def _resume(
        self, connect: Connect, identity: Identity, old: DeviceSession | None
    ) -> DeviceSession:
        if old is not None and not connect.clean_start:
            return old
        source = f"mqtt:{connect.client_id}"
        ids = self._intake.qos2_ids(source) if old is None else old.ids
        # A session without expiry ended with its connection, also when linetwin was restarted:
        # its packet ids are used anew, and an old one must not swallow a new message.
        if connect.clean_start or (old is None and _expiry(connect) == 0):
            self._release(source, ids)
            ids = set()
        session = DeviceSession(connect.client_id, source, identity.user, set(ids))
        if old is not None:
            session.taken_at, session.warned_at = old.taken_at, old.warned_at
        return session

    def _end(self, session: DeviceSession) -> None:
        _cancel(session)
        self._publish_will(session)
        self._release(session.source, session.ids)
        self._counts["dropped_alarms"] += session.outbound.dropped
        if self._sessions.get(session.client_id) is session:
            del self._sessions[session.client_id]

    def _release(self, source: str, ids: set[int]) -> None:
        for number in sorted(ids):
            # Asking for the commit makes sure that it does not wait for other traffic.
            self._intake.release_qos2(source, number, _nothing)

    def _publish_will(self, session: DeviceSession) -> None:
        will, session.will = session.will, None
        if will is not None:
            self._counts["wills"] += 1
            block = Block(session.source)
            block.add(will.topic, will.payload, self._clock.wall_ns(), will.qos)
            self._intake.put(block)

    def _seen(self, source: str) -> None:
        if source not in self._lost:
            if len(self._lost) >= _MOST_KNOWN:
                del self._lost[next(iter(self._lost))]
            self._mark(source, "new", "first connection")
        elif self._lost[source]:
            self._mark(source, "back", "connected again")

    def _mark(self, source: str, state: str, detail: str) -> None:
        self._lost[source] = state == "lost"
        payload = json.dumps({"source": source, "state": state, "detail": detail}).encode()
        block = Block(source, Kind.SOURCE)
        block.add("", payload, self._clock.wall_ns())
        self._intake.put(block)


def _nothing() -> None:
    """Nobody waits for this commit."""


def _expiry(connect: Connect) -> float:
    if connect.version == V3:
        return 0.0 if connect.clean_start else math.inf
    return float(min(connect.properties.get(Property.SESSION_EXPIRY, 0), MAX_EXPIRY_S))


def _will_delay(session: DeviceSession) -> float:
    if session.will is None:
        return 0.0
    return min(float(session.will.properties.get(Property.WILL_DELAY, 0)), session.expiry_s)


def _cancel(session: DeviceSession) -> None:
    for timer in (session.will_timer, session.expiry_timer):
        if timer is not None:
            timer.cancel()
    session.will_timer = session.expiry_timer = None
