"""The direct listener: devices publish to linetwin without a broker in between.

A positive acknowledgement means that the message is on disk. The listener is no general broker:
devices publish, and may subscribe to alarms only.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

from connectors.mqtt.connection import Connection
from connectors.mqtt.devices import Devices
from connectors.mqtt.fast import TopicNames, warm
from connectors.mqtt.identity import Identities
from connectors.mqtt.reasons import Code, words
from twin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from twin.model import line
    from twin.ports import Clock, Intake

__all__ = ["Listener"]

_LOG = logging.getLogger(__name__)

_HALF_OPEN = 100
_HANDSHAKE_S = 5.0
_CLOSE_S = 1.0
_MOST_TOLD = 1000


class Listener:
    """MQTT 3.1.1 and 5 server for devices; a source.

    Args:
        settings: ``[listener]`` of the line description.
        clock: Receive times.
        base_dir: Folder of the line description; relative password files are in it.

    Attributes:
        started: Set once devices can connect.
        port: The port it listens on, valid after ``started``.

    Raises:
        ConfigError: See :class:`connectors.mqtt.identity.Identities`.
    """

    intake: Intake
    devices: Devices

    def __init__(self, settings: line.Listener, clock: Clock, base_dir: Path) -> None:
        self.settings, self.clock = settings, clock
        self.identities = Identities(settings, base_dir)
        self.started = asyncio.Event()
        self.port = settings.port
        self.names = TopicNames()
        self.counts: Counter[str] = Counter()
        self.retained: dict[str, bytes] = {}
        self._told: set[tuple[str, int]] = set()
        self._half_open: set[Connection] = set()
        self._open: set[Connection] = set()
        self._empty = asyncio.Event()
        self._tasks: asyncio.TaskGroup

    async def run(self, intake: Intake) -> None:
        """Serve devices until cancelled.

        Raises:
            SourceError: The address cannot be listened on.
        """
        warm()
        self.intake = intake
        self.devices = Devices(intake, self.clock, self.counts)
        loop = asyncio.get_running_loop()
        host, port, tls = self.settings.host, self.settings.port, self.identities.tls
        try:
            server = await loop.create_server(
                lambda: Connection(self),
                host,
                port,
                backlog=1024,
                ssl=tls,
                ssl_handshake_timeout=_HANDSHAKE_S if tls else None,
            )
        except OSError as error:
            raise SourceError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        self.port = server.sockets[0].getsockname()[1]
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self.started.set()
                try:
                    await loop.create_future()
                finally:
                    self.started.clear()
                    server.close()
        finally:
            await self._close()

    def stats(self) -> dict[str, int]:
        """Counters since the start, and ``connections`` and ``half_open`` at this moment."""
        kept = self.devices.all() if self.started.is_set() else []
        return {
            **self.counts,
            "messages": self.counts["messages"],
            "connections": len(self._open),
            "half_open": len(self._half_open),
            "sessions": len(kept),
            "dropped_alarms": self.counts["dropped_alarms"] + sum(s.outbound.dropped for s in kept),
        }

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        """Send an alarm message to the devices that subscribed to it, with QoS 1 at most.

        Args:
            topic: Topic name.
            payload: The message; an empty one with ``retain`` removes what was kept.
            retain: Keep it for devices that subscribe later, until linetwin ends.
        """
        if retain and payload:
            self.retained[topic] = payload
        elif retain:
            self.retained.pop(topic, None)
        if self.started.is_set():
            for session in self.devices.all():
                session.outbound.offer(topic, payload, retain=retain)

    # What a connection reports and asks.

    def welcome(self, connection: Connection) -> bool:
        """Whether a connection that has not said anything yet may stay."""
        self._empty.clear()
        self._half_open.add(connection)
        if len(self._half_open) <= _HALF_OPEN:
            return True
        self.counts["refused_half_open"] += 1
        return False

    def has_room(self, client_id: str) -> bool:
        """Whether this device may connect: there is room, or it replaces its own connection."""
        full = len(self._open) >= self.settings.max_connections
        return not full or self.devices.is_connected(client_id)

    def connected(self, connection: Connection) -> None:
        """A device was accepted."""
        self._half_open.discard(connection)
        self._open.add(connection)
        self.counts["accepted"] += 1

    def gone(self, connection: Connection) -> None:
        """A connection is closed."""
        self._half_open.discard(connection)
        self._open.discard(connection)
        if not self._open and not self._half_open:
            self._empty.set()

    def refuse(self, client_id: str, code: int) -> None:
        """Count a refused CONNECT, and log it once per device and reason."""
        self.counts["refused"] += 1
        if (client_id, code) not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add((client_id, code))
            _LOG.warning("device %r refused: %s", client_id, words(code))

    def count_malformed(self, code: Code) -> None:
        """Count a connection closed because the device broke the protocol."""
        self.counts["malformed"] += 1
        self.counts[f"malformed_{code.name.lower()}"] += 1

    def spawn(self, job: Coroutine[None, None, None], name: str) -> None:
        """Run a job of a connection; it ends with the listener."""
        if not self.started.is_set():
            job.close()
            return
        self._tasks.create_task(job, name=f"twin.listener.{name}")

    async def _close(self) -> None:
        """Say goodbye to every device and wait until the sockets are gone."""
        self.devices.close()
        everybody = [*self._open, *self._half_open]
        for connection in everybody:
            connection.end(Code.SHUTTING_DOWN)
        if everybody:
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await self._empty.wait()
            except TimeoutError:
                for connection in everybody:
                    connection.transport.abort()
