"""The client's end of a connection: handshake, keep-alive, back-pressure."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from connectors.mqtt.channel import Channel
from connectors.mqtt.codec import Decoder, encode
from connectors.mqtt.packets import V5, Connack, Connect, Disconnect, Ping
from connectors.mqtt.properties import Property
from connectors.mqtt.reasons import Code, ProtocolError, words
from twin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from connectors.mqtt.packets import Item

__all__ = ["Link", "connected"]

_CONNECT_S = 10.0


class Link(Channel):
    """A MQTT 5 client connection.

    Args:
        connect: Sent first.
        max_packet: Largest packet accepted, bytes.
        take: Called with every packet but CONNACK, PINGRESP and DISCONNECT.
        room: Called when the socket takes data again.

    Attributes:
        accepted: Result is the CONNACK; SourceError when the broker refuses.
        lost: Result is the end of the connection in words.
        writable: Whether the socket takes data without piling it up in memory.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        max_packet: int,
        take: Callable[[Item], None],
        room: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.accepted: asyncio.Future[Connack] = self.loop.create_future()
        self.lost: asyncio.Future[str] = self.loop.create_future()
        self.writable = True
        self._connect, self._take, self._room = connect, take, room
        self._decoder = Decoder(server=False, max_packet=max_packet, version=V5)
        self._keepalive_s = connect.keepalive_s
        self._waits_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._why = "connection closed by the broker"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The broker took the connection; introduce ourselves."""
        super().connection_made(transport)
        self.write(encode(self._connect, V5))

    def data_received(self, data: bytes) -> None:
        """One socket read."""
        self.heard = self.loop.time()
        self._waits_since = None
        if self.ended:
            return
        try:
            for item in self._decoder.feed(data):
                self._handle(item)
                if self.ended:
                    return
        except ProtocolError as error:
            self.end(str(error), error.code)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()
        why = str(exc) if exc is not None else self._why
        if not self.accepted.done():
            self.accepted.set_exception(SourceError(why))
            self.accepted.exception()  # seen here: nobody may be waiting any more
        if not self.lost.done():
            self.lost.set_result(why)

    def pause_writing(self) -> None:
        """The broker takes nothing more. Reading goes on: if both sides stopped, both would wait."""
        self.writable = False

    def resume_writing(self) -> None:
        """The broker reads again."""
        self.writable = True
        self._room()

    def end(self, why: str, code: int = 0) -> None:
        """Say goodbye and close."""
        self._why = why
        self.close(encode(Disconnect(code), V5))

    def _handle(self, item: Item) -> None:
        if not self.accepted.done():
            if not isinstance(item, Connack):
                raise ProtocolError(Code.PROTOCOL_ERROR, f"{type(item).__name__} before CONNACK")
            self._accepted(item)
        elif isinstance(item, Disconnect):
            self._why = f"broker disconnected: {words(item.reason)}"
            note = item.properties.get(Property.REASON_STRING)
            if note:
                self._why += f": {note!r}"
            self.close()
        elif isinstance(item, Connack):
            raise ProtocolError(Code.PROTOCOL_ERROR, "second CONNACK")
        elif not isinstance(item, Ping):
            self._take(item)

    def _accepted(self, answer: Connack) -> None:
        if answer.reason:
            self._why = f"broker refused the connection: {words(answer.reason)}"
            note = answer.properties.get(Property.REASON_STRING)
            if note:
                self._why += f": {note!r}"
            self.accepted.set_exception(SourceError(self._why))
            self.accepted.exception()
            self.close()
            return
        self._keepalive_s = answer.properties.get(Property.SERVER_KEEP_ALIVE, self._keepalive_s)
        self.accepted.set_result(answer)
        if self._keepalive_s:
            self._timer = self.loop.call_later(self._keepalive_s / 2, self._ping)

    def _ping(self) -> None:
        """Twice per keep-alive interval.

        PINGREQ leaves also while reading is paused, or the broker would drop us; only its answer
        cannot be read then and is not waited for.
        """
        now = self.loop.time()
        if self._held:
            self._waits_since = None
        elif self._waits_since is not None and now - self._waits_since >= self._keepalive_s:
            self.end(f"no answer from the broker for {self._keepalive_s} s", Code.UNSPECIFIED)
            return
        if not self._held and self._waits_since is None:
            self._waits_since = now
        self.write(encode(Ping(), V5))
        self._timer = self.loop.call_later(self._keepalive_s / 2, self._ping)


@asynccontextmanager
async def connected(
    link: Callable[[], Link], host: str, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Link, Connack]]:
    """A connection the broker accepted; closed at the end.

    Args:
        link: Makes the protocol.
        host: Broker address.
        port: Broker port.
        tls: TLS settings; None for a plain connection.

    Raises:
        SourceError: The broker cannot be reached, does not answer in 10 s, or refuses.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_S):
            transport, protocol = await loop.create_connection(link, host, port, ssl=tls)
    except TimeoutError as error:
        raise SourceError(f"{host}:{port} does not answer") from error
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or str(error)
        raise SourceError(f"{host}:{port}: TLS: {why}") from error
    except OSError as error:
        raise SourceError(f"{host}:{port} cannot be reached: {error}") from error
    try:
        try:
            async with asyncio.timeout(_CONNECT_S):
                answer = await protocol.accepted
        except TimeoutError as error:
            raise SourceError(f"{host}:{port} does not answer CONNECT") from error
        yield protocol, answer
    finally:
        protocol.end("closed by linetwin")
        transport.close()
        try:
            async with asyncio.timeout(1.0):
                await asyncio.shield(protocol.lost)
        except TimeoutError:
            transport.abort()
