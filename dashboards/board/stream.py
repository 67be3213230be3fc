"""The live stream: server-sent events for every open board, from one look at the view."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

from dashboards.board.answers import encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Receive, Scope, Send

    from twin.ports import View

__all__ = ["EventStream", "Hub"]

_log = logging.getLogger(__name__)

QUEUE: Final = 500
"""Chunks a client may be behind before it is disconnected; it comes back and resumes."""
LIVE_S: Final = 0.2
BEAT_S: Final = 1.0
_CHUNK: Final = 200
_BACKLOG: Final = 2000
"""More missed events than this are not sent again; the board loads its lists anew."""


def frame(name: str, data: object, number: int | None = None) -> bytes:
    r"""One server-sent event.

    Examples:
        >>> frame("event", {"a": 1}, 7)
        b'event: event\nid: 7\ndata: {"a":1}\n\n'
    """
    head = f"event: {name}\n" if number is None else f"event: {name}\nid: {number}\n"
    # JSON text holds no raw line breaks, so one data line is always enough.
    return head.encode() + b"data: " + encode(data) + b"\n\n"


class Client:
    """One open stream: what it still has to get, and whether it is over."""

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self.allowed = allowed
        self.over = asyncio.Event()
        self.slow = False

    def put(self, chunk: bytes) -> bool:
        """Queue a chunk; False when the client is too far behind and therefore let go."""
        try:
            self.queue.put_nowait(chunk)
        except asyncio.QueueFull:
            self.slow = True
            self.over.set()
            return False
        return True


class Hub:
    """Looks at the view once for all clients: events at once, values at most 5 times a second.

    Everything happens on the event loop, so joining a stream and sending to it never overlap.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._clients: set[Client] = set()
        self._woken = asyncio.Event()
        self._sent = 0
        self._tiles: dict[str, dict[str, Any]] = {}
        self._products: dict[str, Any] = {}
        self._failed = False
        self._closed = False

    def __len__(self) -> int:
        return len(self._clients)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the context is open; ends every stream on the way out."""
        self._sent = self._view.last_event()
        stop = self._view.subscribe(self._woken.set)
        task = asyncio.create_task(self._run(), name="twin[board].hub")
        try:
            yield
        finally:
            stop()
            self.close()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def close(self) -> None:
        """End every stream, so that the server can stop; new ones end at once."""
        self._closed = True
        for client in self._clients:
            client.over.set()
        self._clients.clear()

    def join(self, last_event: int | None, allowed: Callable[[], bool]) -> Client:
        """Open a stream that continues after ``last_event`` (None: from now on).

        Args:
            last_event: Number of the last event the client saw.
            allowed: Asked once a second; False ends the stream (the session is over).
        """
        client = Client(allowed)
        newest = self._view.last_event()
        missed: list[dict[str, Any]] = []
        complete = last_event is None or 0 <= newest - last_event <= _BACKLOG
        if complete and last_event is not None:
            missed = self._view.events(last_event, newest - last_event, "")
        hello = frame("hello", {"last_event": newest, "complete": complete})
        client.put(b"retry: 1000\n\n" + hello)
        for start in range(0, len(missed), _CHUNK):
            client.put(_events(missed[start : start + _CHUNK]))
        if newest > self._sent:
            self._publish()
        if self._closed:
            client.over.set()
        else:
            self._clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """A stream ended."""
        self._clients.discard(client)

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        live_at = beat_at = now()
        fresh = False
        while True:
            due = min(live_at, beat_at) if fresh else beat_at
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - now())):
                    await self._woken.wait()
            fresh |= self._woken.is_set()
            self._woken.clear()
            self._publish()
            beat = now() >= beat_at
            if beat or (fresh and now() >= live_at):
                fresh = False
                live_at = now() + LIVE_S
                self._look(beat=beat)
            if beat:
                beat_at = now() + BEAT_S

    def _publish(self) -> None:
        """Send events that are new."""
        newest = self._view.last_event()
        if newest == self._sent:
            return
        behind = newest - self._sent
        if not self._clients or not 0 < behind <= _BACKLOG:
            self._sent = newest
            self._send(frame("hello", {"last_event": newest, "complete": False}))
            return
        events = self._view.events(self._sent, behind, "")
        self._sent = newest
        for start in range(0, len(events), _CHUNK):
            self._send(_events(events[start : start + _CHUNK]))

    def _look(self, *, beat: bool) -> None:
        """Send what changed on the line, and with ``beat`` a sign of life."""
        if not self._clients:
            self._tiles.clear()
            self._products.clear()
            return
        try:
            data = self._view.overview(sparks=False)
        except Exception:  # noqa: BLE001 - whatever it is, the boards must say BLIND
            if not self._failed:
                _log.exception("the overview failed; boards show BLIND")
            self._failed = True
            self._send(frame("beat", {"time": None, "engine": _DEAD, "alarms": None}))
            return
        self._failed = False
        changed = self._changed(data)
        if changed["tiles"] or changed["products"]:
            self._send(frame("live", changed))
        if beat:
            for client in [c for c in self._clients if not c.allowed()]:
                client.over.set()
                self._clients.discard(client)
            head = {key: data[key] for key in ("time", "engine", "alarms")}
            self._send(b": keep-alive\n" + frame("beat", head))

    def _changed(self, data: dict[str, Any]) -> dict[str, Any]:
        tiles, products = [], {}
        for station in data["stations"]:
            product = station.get("product")
            if self._products.get(station["id"], self) != product:
                self._products[station["id"]] = products[station["id"]] = product
            for tile in station["tiles"]:
                facts = {key: value for key, value in tile.items() if key != "age_s"}
                if self._tiles.get(tile["sensor"]) != facts:
                    self._tiles[tile["sensor"]] = facts
                    tiles.append(tile)
        head = {key: data[key] for key in ("time", "engine", "alarms")}
        return {**head, "tiles": tiles, "products": products}

    def _send(self, chunk: bytes) -> None:
        slow = [client for client in self._clients if not client.put(chunk)]
        for client in slow:
            self._clients.discard(client)
            _log.warning("a board was %d messages behind and is disconnected", QUEUE)


_DEAD: Final = {
    "alive": False,
    "lag_s": 0.0,
    "last_seq": 0,
    "messages_per_s": 0.0,
    "detail": "the engine does not answer",
}


def _events(events: list[dict[str, Any]]) -> bytes:
    return b"".join(frame("event", event, event["number"]) for event in events)


class EventStream:
    """The answer to ``/api/stream``: lasts until one side ends it."""

    status_code = 200

    def __init__(self, hub: Hub, client: Client) -> None:
        self._hub = hub
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client leaves, is too slow, is no longer allowed, or the server stops."""
        del scope
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        jobs: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._pump(send), name="twin[board].stream"),
            asyncio.create_task(_left(receive), name="twin[board].stream.left"),
            asyncio.create_task(self._client.over.wait(), name="twin[board].stream.over"),
        ]
        try:
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(self._client)
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
        if self._client.over.is_set() and not self._client.slow:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        while True:
            chunk = await self._client.queue.get()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
