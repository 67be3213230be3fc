"""The handlers behind the route table: check the request, ask the view, answer."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from dashboards.board import shapes
from dashboards.board.answers import RefusedError, body, json, whole
from dashboards.board.auth import RIGHTS, Session, ThrottledError
from dashboards.board.metrics import CONTENT_TYPE, exposition
from dashboards.board.openapi import document
from dashboards.board.stream import EventStream, Hub

if TYPE_CHECKING:
    from starlette.requests import Request

    from dashboards.board.guard import Guard
    from twin.ports import View

__all__ = ["STATIC", "Api"]

STATIC: Final = Path(__file__).parent / "static"
_NUMBER: Final = re.compile(r"\d{1,18}")


class Api:
    """One method per row of the route table, named by its ``handler``."""

    def __init__(self, view: View, hub: Hub, guard: Guard, version: str) -> None:
        self._view = view
        self._hub = hub
        self._guard = guard
        self._version = version
        self._files = StaticFiles(directory=STATIC)
        self._openapi = document(version)

    # ------------------------------------------------------------ the board itself

    async def page(self, request: Request) -> Response:
        """The one HTML page; the script chooses what it shows."""
        return await self._file("index.html", request)

    async def static(self, request: Request) -> Response:
        """Scripts, styles and the icon."""
        return await self._file(request.path_params["path"], request)

    async def _file(self, path: str, request: Request) -> Response:
        answer = await self._files.get_response(path, request.scope)
        # Always ask whether it changed: an updated twin must not meet an old script.
        answer.headers["cache-control"] = "no-cache"
        return answer

    async def health(self, request: Request) -> Response:
        """Liveness for service managers."""
        del request
        engine = self._view.overview(sparks=False)["engine"]
        data = {
            "status": "ok" if engine["alive"] else "blind",
            "lag_s": engine["lag_s"],
            "last_seq": engine["last_seq"],
        }
        return json(data, 200 if engine["alive"] else 503)

    async def metrics(self, request: Request) -> Response:
        """Numbers for a monitoring system."""
        del request
        overview = self._view.overview(sparks=False)
        text = exposition(overview, self._view.ledger(), len(self._hub), self._version)
        return PlainTextResponse(text, headers={"content-type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        """The API in OpenAPI."""
        del request
        return json(self._openapi)

    # ------------------------------------------------------------ login

    async def session(self, request: Request) -> Response:
        """Who is logged in and what they may do."""
        return json(self._session(self._guard.session(request)))

    async def login(self, request: Request) -> Response:
        """Check the password and set the cookie."""
        auth = self._guard.auth
        if auth is None:
            raise RefusedError(409, "No login", "this board only shows")
        given = await body(request, shapes.Credentials)
        try:
            begun = await auth.login(given.user, given.password, _address(request))
        except ThrottledError as error:
            wait = str(error.retry_after_s)
            raise RefusedError(429, "Too many tries", str(error), {"retry-after": wait}) from None
        if begun is None:
            raise RefusedError(401, "Not logged in", "user or password is wrong")
        auth.logout(self._guard.token(request))
        token, session = begun
        answer = json(self._session(session))
        answer.set_cookie(
            self._guard.cookie(request),
            token,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    async def logout(self, request: Request) -> Response:
        """End the session."""
        if self._guard.auth is not None:
            self._guard.auth.logout(self._guard.token(request))
        answer = json(self._session(None))
        answer.delete_cookie(
            self._guard.cookie(request), path="/", httponly=True, samesite="strict"
        )
        return answer

    def _session(self, session: Session | None) -> dict[str, Any]:
        rights = RIGHTS[session.role] if session else frozenset[str]()
        if self._guard.open_view:
            rights |= {"view"}
        return {
            "user": session.user if session else None,
            "role": session.role if session else None,
            "csrf": session.csrf if session else None,
            "rights": sorted(rights),
            "login": self._guard.auth is not None,
            "version": self._version,
        }

    # ------------------------------------------------------------ what the line does

    async def overview(self, request: Request) -> Response:
        """The whole line now."""
        del request
        return json(self._view.overview())

    async def sensor(self, request: Request) -> Response:
        """One sensor with its settings."""
        return json(_found(self._view.sensor(_sensor(request))))

    async def series(self, request: Request) -> Response:
        """History of a sensor."""
        points = whole(request, "points", 600, 2, 5000)
        start, end = _instant(request, "start"), _instant(request, "end")
        if start is not None and end is not None and start > end:
            raise RefusedError(422, "Not understood", "start is after end")
        return json(self._view.series(_sensor(request), start, end, points))

    async def chart(self, request: Request) -> Response:
        """Control chart of a sensor."""
        points = whole(request, "points", 300, 2, 5000)
        return json(_found(self._view.chart(_sensor(request), points)))

    async def groups(self, request: Request) -> Response:
        """Groups of sensors judged together."""
        del request
        return json(self._view.groups())

    async def group(self, request: Request) -> Response:
        """One group with its chart."""
        points = whole(request, "points", 300, 2, 5000)
        return json(_found(self._view.group(request.path_params["group"], points), "group"))

    async def budget(self, request: Request) -> Response:
        """False findings planned, and findings seen."""
        del request
        return json(await self._view.budget())

    async def alarms(self, request: Request) -> Response:
        """Alarms that need somebody, or the latest."""
        return json(self._view.alarms(history=bool(whole(request, "history", 0, 0, 1))))

    async def products(self, request: Request) -> Response:
        """Products, newest first."""
        return json(self._view.products(whole(request, "limit", 100, 1, 1000)))

    async def events(self, request: Request) -> Response:
        """Events after a number."""
        after = whole(request, "after", 0, 0, 2**62)
        limit = whole(request, "limit", 200, 1, 1000)
        return json(self._view.events(after, limit, request.query_params.get("sensor", "")))

    async def ledger(self, request: Request) -> Response:
        """What came in and where it went."""
        del request
        return json(self._view.ledger())

    async def dead_letters(self, request: Request) -> Response:
        """What was refused."""
        return json(self._view.dead_letters(whole(request, "limit", 100, 1, 1000)))

    async def discovery(self, request: Request) -> Response:
        """Topics nobody described."""
        del request
        return json(self._view.discovery())

    # ------------------------------------------------------------ actions

    async def ack(self, request: Request) -> Response:
        """Acknowledge one occurrence."""
        given = await body(request, shapes.Ack)
        session = self._guard.need(request)
        result = await self._view.act(
            {
                "op": "ack",
                "occurrence": request.path_params["occurrence"],
                "comment": given.comment.strip(),
                "actor": session.user,
                "role": session.role,
                "session": session.id,
                "ip": _address(request),
            }
        )
        if not result["ok"]:
            status = 404 if result.get("code") == "unknown" else 409
            raise RefusedError(status, "Not acknowledged", result.get("message", ""))
        return json(result)

    async def reload(self, request: Request) -> Response:
        """Read the line description again."""
        result = await self._view.reload(self._guard.need(request).user)
        if not result["ok"]:
            raise RefusedError(
                422,
                "Nothing was changed",
                "the line description has problems",
                problems=result.get("problems", []),
            )
        return json(result)

    # ------------------------------------------------------------ live

    async def stream(self, request: Request) -> EventStream:
        """Live values and events until the board is closed."""
        text = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
        if text is not None and not _NUMBER.fullmatch(text):
            raise RefusedError(422, "Not understood", "Last-Event-ID: a whole number")
        allowed = self._guard.watcher(request)
        return EventStream(self._hub, self._hub.join(None if text is None else int(text), allowed))


def _sensor(request: Request) -> str:
    return f"{request.path_params['station']}/{request.path_params['key']}"


def _found(data: dict[str, Any] | None, what: str = "sensor") -> dict[str, Any]:
    if data is None:
        raise RefusedError(404, f"Unknown {what}", f"the line description has no such {what}")
    return data


def _instant(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 9e9:
        raise RefusedError(422, "Not understood", f"{name}: seconds since 1970 UTC")
    return round(seconds * 1e6) * 1000


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
