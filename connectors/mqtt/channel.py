"""What both ends of a connection do with their socket."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

__all__ = ["Channel"]

_CLOSE_S = 2.0


class Channel(asyncio.Protocol):
    """A TCP connection that can be paused for several reasons and closes in bounded time.

    Attributes:
        ended: Closed or about to be; nothing is written any more.
        heard: Time of the event loop when something arrived, or reading went on after a pause.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.heard = self.loop.time()
        self.ended = False
        self._held: set[str] = set()
        self._abort: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self.transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # fixed signature
        """The connection is gone, for whatever reason."""
        self.ended = True
        if self._abort is not None:
            self._abort.cancel()

    def pause_writing(self) -> None:
        """The peer does not read what it is sent: take nothing from it either."""
        self.hold("unread")

    def resume_writing(self) -> None:
        """The peer reads again."""
        self.free("unread")

    def held(self, why: str) -> bool:
        """Whether reading is paused for this reason."""
        return why in self._held

    def hold(self, why: str) -> None:
        """Stop reading until every reason is gone."""
        if not self._held and not self.ended:
            self.transport.pause_reading()
        self._held.add(why)

    def free(self, why: str) -> None:
        """A reason is gone; silence is counted from now on."""
        if why in self._held:
            self._held.discard(why)
            self.heard = self.loop.time()
            if not self._held and not self.ended:
                self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send bytes, or nothing once the end has begun."""
        if not self.ended:
            self.transport.write(data)

    def close(self, last: bytes = b"") -> None:
        """Send the last bytes and close; a peer that does not take them is cut off."""
        if not self.ended:
            self.ended = True
            if last:
                self.transport.write(last)
            self.transport.close()
            self._abort = self.loop.call_later(_CLOSE_S, self.transport.abort)
