"""The live stream over a real connection: what comes, how it resumes, how it ends."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dashboards.board import serve
from dashboards.board.stream import QUEUE, Client, Hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.dashboards.board.conftest import Board, FakeView


class Events:
    """Reads a stream event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()
        self.comments: list[str] = []

    async def next(self, *wanted: str) -> tuple[str, int | None, Any]:
        """The next event with one of these names (any without names)."""
        async with asyncio.timeout(10):
            while True:
                found = await self._one()
                if not wanted or found[0] in wanted:
                    return found

    async def _one(self) -> tuple[str, int | None, Any]:
        name, number, data = "", None, None
        async for line in self._lines:
            key, _, value = line.partition(": ")
            if key == "event":
                name = value
            elif key == "id":
                number = int(value)
            elif key == "data":
                data = json.loads(value)
            elif line.startswith(":"):
                self.comments.append(line)
            elif not line and data is not None:
                return name, number, data
        raise EOFError


@asynccontextmanager
async def stream(board: "Board", headers: dict[str, str] | None = None) -> "AsyncIterator[Events]":
    """A board that listens on a free port, and one open stream of it."""
    async with (
        await serve(board.app) as running,
        httpx.AsyncClient(base_url=running.url, timeout=10) as client,
        client.stream("GET", "/api/stream", headers=headers) as answer,
    ):
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["content-security-policy"]
        yield Events(answer)


async def test_first_come_hello_and_all_values(board: "Board", view: "FakeView") -> None:
    """A new stream says where it begins, then brings every tile once, then signs of life."""
    view.raise_alarm()
    async with stream(board) as events:
        assert await events.next() == ("hello", None, {"last_event": 1, "complete": True})
        _, _, live = await events.next("live")
        assert len(live["tiles"]) == 16
        assert "spark" not in live["tiles"][0]
        assert live["products"]["calender"]["id"] == "CC-0417"
        _, _, beat = await events.next("beat")
        assert beat["engine"]["alive"]
        assert beat["alarms"]["P2"] == 1
        assert events.comments


async def test_only_changes_are_sent(board: "Board", view: "FakeView") -> None:
    """A tile that did not change is not sent again."""
    async with stream(board) as events:
        await events.next("live")
        view.titles["calender/line_load"] = "Load"
        view.wake()
        _, _, live = await events.next("live")
        assert [tile["title"] for tile in live["tiles"]] == ["Load"]
        assert live["products"] == {}


async def test_values_come_at_most_five_times_a_second(board: "Board", view: "FakeView") -> None:
    """Many commits in a moment make one message with the newest values."""
    async with stream(board) as events:
        await events.next("live")
        for _ in range(50):
            view.tick()
        await events.next("live")
        seen = [await events.next() for _ in range(2)]
        assert all(name == "beat" or not data["tiles"] for name, _, data in seen)


async def test_every_event_comes_once_and_in_order(board: "Board", view: "FakeView") -> None:
    """No event is lost or repeated, however they fall into commits."""
    async with stream(board) as events:
        await events.next("hello")
        for i in range(700):
            view.add_event("finding", "calender/line_load", "rule1")
            if i % 37 == 0:
                view.wake()
                await asyncio.sleep(0)
        view.wake()
        got = [await events.next("event") for _ in range(700)]
        assert [number for _, number, _ in got] == list(range(1, 701))
        assert got[-1][2]["sensor"] == "calender/line_load"


async def test_stream_resumes_after_the_last_event(board: "Board", view: "FakeView") -> None:
    """A client that was away gets what it missed, by number, before anything new."""
    for _ in range(10):
        view.add_event("finding")
    async with stream(board, {"last-event-id": "7"}) as events:
        _, _, hello = await events.next("hello")
        assert hello["complete"]
        view.add_event("product")
        view.wake()
        numbers = [(await events.next("event"))[1] for _ in range(4)]
        assert numbers == [8, 9, 10, 11]


@pytest.mark.parametrize("last", ["0", "9999999"])
async def test_too_much_or_foreign_history_is_not_replayed(
    board: "Board", view: "FakeView", last: str
) -> None:
    """After a long absence, or with a number of another journal, lists are to be loaded anew."""
    for _ in range(2500):
        view.add_event("finding")
    async with stream(board, {"last-event-id": last}) as events:
        assert await events.next() == ("hello", None, {"last_event": 2500, "complete": False})


async def test_broken_view_makes_boards_blind(
    board: "Board", view: "FakeView", caplog: pytest.LogCaptureFixture
) -> None:
    """When the view fails the stream goes on and says that nothing can be seen, logged once."""
    async with stream(board) as events:
        await events.next("live")
        view.broken = True
        beats = [await events.next("beat") for _ in range(3)]
        assert not beats[-1][2]["engine"]["alive"]
        view.broken = False
        while not (await events.next("beat"))[2]["engine"]["alive"]:
            pass
    assert caplog.text.count("boards show BLIND") == 1


async def test_stream_ends_with_the_session(closed_board: "Board") -> None:
    """A disabled user's open stream ends within seconds."""
    board = closed_board
    async with await serve(board.app) as running:
        origin = running.url.rstrip("/")
        async with httpx.AsyncClient(base_url=origin, timeout=10) as client:
            answer = await client.post(
                "/api/login",
                json={"user": "viewer", "password": "rolling-coil-27"},
                headers={"origin": origin},
            )
            assert answer.status_code == 200
            async with client.stream("GET", "/api/stream") as open_stream:
                events = Events(open_stream)
                await events.next("hello")
                board.auth.users.disable("viewer")
                with pytest.raises(EOFError):
                    await events.next("never")


async def test_slow_client_is_let_go(view: "FakeView") -> None:
    """A client that does not read is dropped when its queue is full; the others notice nothing."""
    hub = Hub(view)
    slow = hub.join(None, lambda: True)
    quick = hub.join(None, lambda: True)
    for _ in range(QUEUE + 5):
        view.add_event("finding")
        hub._publish()
        while not quick.queue.empty():
            quick.queue.get_nowait()
    assert slow.slow
    assert slow.over.is_set()
    assert slow.queue.qsize() == QUEUE
    assert not quick.over.is_set()
    assert len(hub) == 1


async def test_nothing_is_computed_for_nobody(view: "FakeView") -> None:
    """Without an open board the hub does not look at the view at all."""
    hub = Hub(view)
    async with hub.running():
        view.broken = True
        view.add_event("finding")
        view.wake()
        await asyncio.sleep(0.05)
        assert len(hub) == 0
        client = hub.join(None, lambda: True)
        assert isinstance(client, Client)
    assert client.over.is_set()
    assert view.wakes == []
