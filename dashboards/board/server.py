"""Runs the board with uvicorn inside somebody else's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Self

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.applications import Starlette

__all__ = ["Running", "serve"]

GRACE_S = 3
"""How long answers that are being written may take when the server stops."""


class _Server(uvicorn.Server):
    """A server that leaves signals to its caller and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as stop:
            # uvicorn would end the whole process; the twin goes on without its board.
            raise RuntimeError("the board did not start; the log says why") from stop
        self.ready.set()


class Running:
    """A board that listens.

    Attributes:
        host: Address it is bound to.
        port: Port it is bound to, also when a free one was asked for.
        url: Address to open in a browser.
    """

    def __init__(self, app: Starlette, server: _Server, listener: socket.socket) -> None:
        self._app = app
        self._server = server
        self._listener = listener
        self.host, self.port = listener.getsockname()[:2]
        scheme = "https" if server.config.is_ssl else "http"
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        self.url = f"{scheme}://{f'[{name}]' if ':' in name else name}:{self.port}/"
        self._task = asyncio.create_task(server.serve([listener]), name="twin[board].server")

    async def started(self) -> None:
        """Return when it listens.

        Raises:
            RuntimeError: It did not start; the log says why.
        """
        ready = asyncio.create_task(self._server.ready.wait(), name="twin[board].ready")
        try:
            await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if not self._server.ready.is_set():
            self._listener.close()
            await self._task

    async def wait(self) -> None:
        """Return when the server has stopped, for whatever reason."""
        await asyncio.shield(self._task)

    async def close(self) -> None:
        """Stop: end live streams, finish answers that are being written, free the port."""
        self._app.state.hub.close()
        self._server.should_exit = True
        await self._task
        self._listener.close()

    async def __aenter__(self) -> Self:
        """The running board itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop it."""
        await self.close()


async def serve(
    app: Starlette,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
) -> Running:
    """Listen; returns when the board answers. No signal handler is installed.

    Args:
        app: From :func:`dashboards.board.app.create_app`.
        host: Address to bind.
        port: Port to bind; 0 takes a free one.
        certificate: PEM file; with it the board speaks HTTPS (TLS 1.2 or newer).
        key: PEM file of its key.

    Raises:
        OSError: The address or port cannot be bound.
        RuntimeError: The application did not start.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay off only for sockets that name their protocol, as
    # ``create_server`` does not; with it every second small answer would wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=GRACE_S,
    )
    running = Running(app, _Server(config), listener)
    await running.started()
    return running
