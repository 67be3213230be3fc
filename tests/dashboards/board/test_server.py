"""The server: ports, signals and stopping while people watch."""

import asyncio
import signal
import socket
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette

from dashboards.board import serve
from dashboards.board.stream import Hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.dashboards.board.conftest import Board, FakeView


async def test_free_port_is_reported(board: "Board") -> None:
    """Port 0 takes a free port and tells which."""
    async with await serve(board.app, port=0) as running:
        assert running.port > 0
        assert running.url == f"http://127.0.0.1:{running.port}/"
        async with httpx.AsyncClient() as client:
            assert (await client.get(running.url)).status_code == 200


async def test_taken_port_is_an_error(board: "Board") -> None:
    """A port that somebody else uses is told at once."""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError, match="in use"):
        await serve(board.app, port=other.getsockname()[1])


async def test_answers_do_not_wait_for_nagle(board: "Board") -> None:
    """The listener names its protocol; else asyncio leaves Nagle's 40 ms delay on."""
    async with await serve(board.app) as running:
        assert running._listener.proto == socket.IPPROTO_TCP


async def test_signals_stay_with_the_caller(board: "Board") -> None:
    """No signal handler is installed; the process decides when to stop."""
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    async with await serve(board.app):
        assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before


async def test_stops_while_streams_are_open(board: "Board", view: "FakeView") -> None:
    """Stopping ends open streams cleanly, frees the port and leaves nothing running."""
    running = await serve(board.app)
    async with (
        httpx.AsyncClient(base_url=running.url, timeout=10) as client,
        client.stream("GET", "/api/stream") as answer,
    ):
        lines = answer.aiter_lines()
        await anext(lines)
        async with asyncio.timeout(2.5):
            await running.close()
        async for _ in lines:
            pass
    await running.wait()
    assert view.wakes == []
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not any(name.startswith("twin[board]") for name in names)
    with socket.create_server(("127.0.0.1", running.port)):
        pass


async def test_two_boards_side_by_side(board: "Board", closed_board: "Board") -> None:
    """Two lines in one process do not know of each other."""
    async with await serve(board.app) as one, await serve(closed_board.app) as two:
        assert one.port != two.port
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{one.url}api/overview")).status_code == 200
            assert (await client.get(f"{two.url}api/overview")).status_code == 401


async def test_failed_start_is_an_error(view: "FakeView") -> None:
    """An application that cannot start is told to the caller instead of an endless wait."""

    async def lifespan(_: Starlette) -> "AsyncIterator[None]":
        raise RuntimeError("no")
        yield

    from contextlib import asynccontextmanager

    app = Starlette(lifespan=asynccontextmanager(lifespan))
    app.state.hub = Hub(view)
    with pytest.raises(RuntimeError, match="did not start"):
        await serve(app)
