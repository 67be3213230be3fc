"""The web application: the route table, the guard and the live stream put together."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from dashboards.board.answers import Headers, RefusedError, problem
from dashboards.board.api import Api
from dashboards.board.guard import Guard
from dashboards.board.routes import ROUTES, Spec
from dashboards.board.stream import Hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from dashboards.board.auth import Auth
    from twin.ports import View

__all__ = ["create_app"]

_log = logging.getLogger(__name__)


def create_app(view: View, *, info: dict[str, Any], auth: Auth | None) -> Starlette:
    """The board of one line.

    Args:
        view: What it shows and does.
        info: ``version`` (text shown on the board), ``loopback`` (True when it is bound to
            loopback and nothing forwards to it: then looking needs no login; default False) and
            ``hosts`` (names it answers to; default any, on loopback the loopback names).
        auth: Users and sessions; None makes a board that only shows.

    Returns:
        The application; its lifespan must run (uvicorn does), the live stream lives in it.
        ``app.state.hub`` is the :class:`~dashboards.board.stream.Hub`.
    """
    hub = Hub(view)
    guard = Guard(auth, loopback=bool(info.get("loopback")), hosts=info.get("hosts", ()))
    api = Api(view, hub, guard, str(info.get("version", "")))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with hub.running():
            yield

    app = Starlette(
        routes=[_route(spec, guard, getattr(api, spec.handler)) for spec in ROUTES],
        middleware=[Middleware(Headers)],
        exception_handlers={
            RefusedError: _refused,
            HTTPException: _http,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )
    app.state.hub = hub
    return app


def _route(spec: Spec, guard: Guard, handler: Callable[[Request], Awaitable[Response]]) -> Route:
    async def endpoint(request: Request) -> Response:
        guard.admit(request, spec)
        return await handler(request)

    path = spec.path.replace("{path}", "{path:path}")
    return Route(path, endpoint, methods=[spec.method], name=spec.handler)


async def _refused(request: Request, error: Exception) -> Response:
    del request
    return problem(error) if isinstance(error, RefusedError) else _broken()


async def _http(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, HTTPException):
        return _broken()
    headers = dict(error.headers) if error.headers else {}
    return problem(RefusedError(error.status_code, error.detail, headers=headers))


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("%s %r failed", request.method, request.url.path, exc_info=error)
    return _broken()


def _broken() -> Response:
    return problem(RefusedError(500, "An error of the board", "it is in the log"))
