"""What a device subscribed to and what is on its way to it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.mqtt.filters import covers
from connectors.mqtt.packets import Publish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from connectors.mqtt.packets import Subscription

__all__ = ["Outbound", "Peer"]

_MOST_WAITING = 1000


@dataclass(slots=True)
class Peer:
    """The connection messages leave by.

    Attributes:
        send: Sends one message; False when it is larger than the device accepts.
        room: Whether its socket takes more.
        receive_maximum: QoS 1 messages the device takes unanswered.
    """

    send: Callable[[Publish], bool]
    room: Callable[[], bool]
    receive_maximum: int


class Outbound:
    """Subscriptions of a session and its outgoing messages; they survive a lost connection.

    At most 1000 QoS 1 messages wait; then the oldest is dropped. QoS 0 messages never wait.
    Every drop is counted.

    Attributes:
        subscriptions: By filter.
        dropped: Messages that did not reach the device.
    """

    def __init__(self) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self.dropped = 0
        self._waiting: deque[Publish] = deque()
        self._unanswered: dict[int, Publish] = {}
        self._last_id = 0
        self._peer: Peer | None = None

    def attach(self, peer: Peer) -> None:
        """Use a connection: repeat what was not answered, then go on (MQTT-4.4.0-1)."""
        self._peer = peer
        for number, message in list(self._unanswered.items()):
            message.dup = True
            if not peer.send(message):
                del self._unanswered[number]
                self.dropped += 1
        self.pump()

    def detach(self) -> None:
        """The connection is gone."""
        self._peer = None

    def offer(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Send a message if a subscription asks for it."""
        wanted = [s for f, s in self.subscriptions.items() if covers(f, topic)]
        if wanted:
            keep = retain and any(s.retain_as_published for s in wanted)
            qos = min(1, max(s.qos for s in wanted))
            self._send(Publish(topic, payload, qos, retain=keep))

    def send_retained(self, name: str, qos: int, retained: Iterable[tuple[str, bytes]]) -> None:
        """Send the retained messages a new subscription covers."""
        for topic, payload in retained:
            if covers(name, topic):
                self._send(Publish(topic, payload, min(qos, 1), retain=True))

    def answered(self, packet_id: int) -> None:
        """A PUBACK arrived."""
        if self._unanswered.pop(packet_id, None) is not None:
            self.pump()

    def pump(self) -> None:
        """Send what waits, as far as the device takes it."""
        peer = self._peer
        while (
            peer is not None
            and self._waiting
            and peer.room()
            and len(self._unanswered) < peer.receive_maximum
        ):
            message = self._waiting.popleft()
            message.packet_id = self._next_id()
            if peer.send(message):
                self._unanswered[message.packet_id] = message
            else:
                self.dropped += 1

    def _send(self, message: Publish) -> None:
        if message.qos:
            if len(self._waiting) >= _MOST_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(message)
            self.pump()
        elif self._peer is None or not self._peer.room() or not self._peer.send(message):
            self.dropped += 1

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % 65535 + 1
            if self._last_id not in self._unanswered:
                return self._last_id
