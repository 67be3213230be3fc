"""What a Sparkplug host application publishes, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from twin.ingest.sparkplug_encode import encode
from twin.ingest.sparkplug_topic import NAMESPACE
from twin.ingest.sparkplug_wire import DataType, Metric, Payload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connectors.sparkplug.settings import SparkplugHostSettings

__all__ = ["HostPublisher", "Message", "Publish", "rebirth_command", "state_message"]

_MS = 1_000_000


class Message(NamedTuple):
    """One message to publish."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Publish(Protocol):
    """How a message leaves; the MQTT session stands behind it."""

    async def __call__(self, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        """Publish, or raise when there is no connection."""
        ...


def state_message(host_id: str, *, online: bool, timestamp_ms: int) -> Message:
    """STATE of a host: JSON, QoS 1, retained.

    Args:
        host_id: Name of the host.
        online: True for the birth, False for the will and a planned end.
        timestamp_ms: Ms since 1970 UTC; the will carries the same number as the birth, so that
            a late will of an earlier session can be told from a present one.

    Examples:
        >>> state_message("linetwin", online=True, timestamp_ms=7).payload
        b'{"online":true,"timestamp":7}'
    """
    payload = msgspec.json.encode({"online": online, "timestamp": timestamp_ms})
    return Message(f"{NAMESPACE}/STATE/{host_id}", payload, qos=1, retain=True)


def rebirth_command(group: str, node: str, timestamp_ms: int) -> Message:
    """NCMD that asks a node to send its births again: QoS 0, not retained, without ``seq``.

    Args:
        group: Group of the node.
        node: Its id.
        timestamp_ms: Time now, ms since 1970 UTC.
    """
    metric = Metric(
        name="Node Control/Rebirth",
        timestamp=timestamp_ms,
        datatype=int(DataType.BOOLEAN),
        value=True,
    )
    payload = encode(Payload(timestamp=timestamp_ms, metrics=[metric]))
    return Message(f"{NAMESPACE}/{group}/NCMD/{node}", payload, qos=0, retain=False)


class HostPublisher:
    """Decides what is published over one MQTT session after the other.

    Order of a session: :meth:`will` before connecting, subscribe to
    :meth:`SparkplugHostSettings.subscriptions`, :meth:`online`; :meth:`offline` before a planned
    end, :meth:`lost` when the connection broke. All times are given by the caller.

    Args:
        settings: Settings of the host.
        publish: Coroutine that publishes; what it raises passes through.
    """

    def __init__(self, settings: SparkplugHostSettings, publish: Publish) -> None:
        self._settings = settings
        self._publish = publish
        self._session_ms = 0
        self._online = False
        # Node to the time of its request; asked for while there was no connection.
        self._waiting: dict[tuple[str, str], int] = {}

    def will(self, now_ns: int) -> Message:
        """The will of the session that is about to be opened."""
        self._online = False
        self._session_ms = now_ns // _MS
        return self._state(online=False)

    async def online(self, now_ns: int) -> None:
        """The session stands and its subscriptions are granted: say so, then ask what is due."""
        self._online = True
        await self._publish(*self._state(online=True))
        waiting, self._waiting = self._waiting, {}
        for node, asked_ns in waiting.items():
            await self.rebirth([node], asked_ns, now_ns)

    async def offline(self, now_ns: int) -> None:
        """The session is about to be closed on purpose."""
        if self._online:
            self._online = False
            self._session_ms = now_ns // _MS
            await self._publish(*self._state(online=False))

    def lost(self) -> None:
        """The connection broke; the broker publishes the will."""
        self._online = False

    async def on_state(self, host: str, *, online: bool) -> None:
        """A STATE message arrived: one that declares us dead while we live is put right."""
        if self._online and host == self._settings.host_id and not online:
            await self._publish(*self._state(online=True))

    async def rebirth(
        self, nodes: Iterable[tuple[str, str]], asked_ns: int, now_ns: int
    ) -> list[tuple[str, str]]:
        """Ask nodes for their births.

        Args:
            nodes: (group, node), as ``Outcome.rebirth`` has them.
            asked_ns: Journal time of the message or tick that led to it.
            now_ns: Time now.

        Returns:
            The nodes that were asked. Too old requests are dropped; requests without a
            connection wait for :meth:`online`.
        """
        if now_ns - asked_ns > self._settings.rebirth_max_age_s * 1000 * _MS:
            return []
        asked = []
        for node in nodes:
            if self._online:
                await self._publish(*rebirth_command(*node, now_ns // _MS))
                asked.append(node)
            else:
                self._waiting[node] = asked_ns
        return asked

    def _state(self, *, online: bool) -> Message:
        return state_message(self._settings.host_id, online=online, timestamp_ms=self._session_ms)
