"""Plays messages into a broker or a listener, as fast as it takes them or at a given speed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.mqtt.fast import warm
from connectors.mqtt.link import Link, connected
from connectors.mqtt.packets import Connect, Pubacks
from connectors.mqtt.properties import Property
from connectors.mqtt.reasons import words
from connectors.mqtt.wire import pack_text, pack_varint
from twin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from connectors.mqtt.packets import Item

__all__ = ["PlayStats", "play"]

_CHUNK = 256
_MOST_HEADS = 20_000


@dataclass(frozen=True, slots=True)
class PlayStats:
    """What was played.

    Attributes:
        sent: Messages written to the connection.
        acknowledged: PUBACKs received; 0 with QoS 0.
        seconds: From the first message to the last acknowledgement.
    """

    sent: int
    acknowledged: int
    seconds: float


async def play(
    messages: Iterable[tuple[float, str, bytes]],
    host: str,
    port: int,
    *,
    speed: float | None,
    qos: int = 1,
    client_id: str = "linetwin-player",
    user: str = "",
    password: str = "",
    progress: Callable[[int], None] | None = None,
) -> PlayStats:
    """Publish messages in order and wait until all are acknowledged.

    Args:
        messages: (offset in seconds, topic, payload), offsets not falling.
        host: Address of the broker or listener.
        port: Its port.
        speed: Factor on the recorded time, > 0; None plays as fast as the other side takes it.
        qos: 0 or 1.
        client_id: Client id.
        user: User name; empty for none.
        password: Password; empty for none.
        progress: Called now and then with the number of messages sent so far.

    Returns:
        Counts; ``sent == acknowledged`` with QoS 1.

    Raises:
        SourceError: Not reachable, refused, or the connection was lost before the last
            acknowledgement.
    """
    warm()
    player = _Player(qos, progress)
    connect = Connect(
        client_id,
        keepalive_s=60,
        user=user or None,
        password=password.encode() if password else None,
    )

    def link() -> Link:
        return Link(connect, max_packet=1 << 20, take=player.take, room=player.wake)

    async with connected(link, host, port) as (protocol, answer):
        player.begin(protocol, answer.properties.get(Property.RECEIVE_MAXIMUM, 65535))
        return await player.play(messages, speed)


class _Player:
    """Keeps as many messages in flight as the other side allows."""

    def __init__(self, qos: int, progress: Callable[[int], None] | None) -> None:
        self._qos, self._progress = qos, progress
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._heads: dict[str, bytes] = {}
        self._refusal = ""
        self._sent = self._acknowledged = 0
        self._next = 1
        self._flight: set[int] = set()

    def begin(self, link: Link, receive_maximum: int) -> None:
        """Use a connection that was accepted."""
        self._link, self._limit = link, receive_maximum
        link.lost.add_done_callback(lambda _: self.wake())

    def wake(self) -> None:
        """Something changed that ``play`` may wait for."""
        self._wake.set()

    def take(self, item: Item) -> None:
        """PUBACKs arrived."""
        if not isinstance(item, Pubacks):
            return
        self._flight.difference_update(item.ids)
        self._acknowledged += len(item.ids)
        worst = max(item.reasons)
        if worst >= 0x80:
            self._refusal = words(worst)
        self.wake()

    async def play(
        self, messages: Iterable[tuple[float, str, bytes]], speed: float | None
    ) -> PlayStats:
        """Send everything, wait for the rest."""
        start = self._loop.time()
        chunk: list[bytes] = []
        for offset_s, topic, payload in messages:
            if speed is not None:
                delay_s = start + offset_s / speed - self._loop.time()
                if delay_s > 0:
                    self._flush(chunk)
                    await asyncio.sleep(delay_s)
                    self._check()
            if self._qos and len(self._flight) >= self._limit:
                self._flush(chunk)
                await self._until(lambda: len(self._flight) <= self._limit // 2)
            chunk.append(self._publish(topic, payload))
            if len(chunk) >= _CHUNK:
                self._flush(chunk)
                await self._until(lambda: self._link.writable)
        self._flush(chunk)
        await self._until(lambda: not self._flight and self._link.writable)
        return PlayStats(self._sent, self._acknowledged, self._loop.time() - start)

    async def _until(self, done: Callable[[], bool]) -> None:
        """Let the connection work, at least once, until ``done``."""
        await asyncio.sleep(0)
        while True:
            self._check()
            if done():
                return
            self._wake.clear()
            await self._wake.wait()

    def _check(self) -> None:
        """Raise what went wrong meanwhile."""
        if self._refusal:
            raise SourceError(f"a message was refused: {self._refusal}")
        if self._link.lost.done():
            raise SourceError(
                f"connection lost after {self._acknowledged} acknowledgements: "
                f"{self._link.lost.result()}"
            )

    def _flush(self, chunk: list[bytes]) -> None:
        if chunk:
            self._link.write(b"".join(chunk))
            self._sent += len(chunk)
            chunk.clear()
            if self._progress is not None:
                self._progress(self._sent)

    def _publish(self, topic: str, payload: bytes) -> bytes:
        """One PUBLISH packet without properties."""
        head = self._heads.get(topic)
        if head is None:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            head = self._heads[topic] = pack_text(topic)
        if not self._qos:
            return b"0%b%b\0%b" % (pack_varint(len(head) + 1 + len(payload)), head, payload)
        number = self._next
        while number in self._flight:
            number = number % 65535 + 1
        self._next = number % 65535 + 1
        self._flight.add(number)
        length = pack_varint(len(head) + 3 + len(payload))
        return b"2%b%b%c%c\0%b" % (length, head, number >> 8, number & 255, payload)
