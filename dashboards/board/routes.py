"""Every address of the board in one table: who may call it, what it takes and what it answers.

The table makes the routes, the permission check and the OpenAPI document, so that none of them can
forget one. What is not in the table does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from dashboards.board import shapes

__all__ = ["ROUTES", "Access", "Spec"]

Access = Literal["open", "view", "ack", "reload"]
"""``open``: everybody. ``view``: a login, or any visitor of a board bound to loopback. The others
are rights of :data:`dashboards.board.auth.RIGHTS` and always need a login."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One address.

    Attributes:
        method: HTTP method.
        path: Path with ``{parameters}``, as in OpenAPI.
        access: Who may call it.
        handler: Name of the method of ``dashboards.board.api.Api``.
        summary: One line for the documentation.
        answer: Shape of a good answer, or a media type when it is not JSON.
        takes: Shape of the body.
        query: Query parameters: name to meaning.
        errors: Statuses a caller should be ready for, besides 401, 403 and 500.
    """

    method: Literal["GET", "POST"]
    path: str
    access: Access
    handler: str
    summary: str
    answer: Any
    takes: Any = None
    query: dict[str, str] = field(default_factory=dict)
    errors: tuple[int, ...] = ()


def _get(path: str, handler: str, summary: str, answer: Any, **more: Any) -> Spec:
    access: Access = more.pop("access", "view")
    return Spec("GET", path, access, handler, summary, answer, **more)


_S = shapes.SHAPES
_SENSOR: Final = "{station}/{key}"

ROUTES: Final[tuple[Spec, ...]] = (
    _get("/", "page", "The board.", "text/html", access="open"),
    _get("/static/{path}", "static", "Files of the board.", "*/*", access="open", errors=(404,)),
    _get("/healthz", "health", "Whether the engine works.", shapes.Health, access="open"),
    _get("/metrics", "metrics", "Prometheus text.", "text/plain"),
    _get("/api/openapi.json", "openapi", "This document.", "application/json"),
    _get("/api/session", "session", "Who is logged in.", shapes.Session, access="open"),
    Spec(
        "POST",
        "/api/login",
        "open",
        "login",
        "Log in; sets the session cookie.",
        shapes.Session,
        shapes.Credentials,
        errors=(409, 413, 415, 422, 429),
    ),
    Spec("POST", "/api/logout", "open", "logout", "Log out.", shapes.Session),
    _get("/api/overview", "overview", "The whole line now.", _S["overview"]),
    _get(
        f"/api/sensors/{_SENSOR}",
        "sensor",
        "One sensor with its settings.",
        _S["sensor"],
        errors=(404,),
    ),
    _get(
        f"/api/series/{_SENSOR}",
        "series",
        "History of a sensor.",
        _S["series"],
        query={
            "start": "first second since 1970 UTC",
            "end": "last second since 1970 UTC",
            "points": "most bins, 2 to 5000, default 600",
        },
        errors=(422,),
    ),
    _get(
        f"/api/chart/{_SENSOR}",
        "chart",
        "Control chart of a sensor.",
        _S["chart"],
        query={"points": "most points, 2 to 5000, default 300"},
        errors=(404, 422),
    ),
    _get("/api/groups", "groups", "Groups of sensors judged together.", _S["groups"]),
    _get(
        "/api/groups/{group}",
        "group",
        "One group with its chart.",
        _S["group"],
        query={"points": "most points, 2 to 5000, default 300"},
        errors=(404, 422),
    ),
    _get("/api/budget", "budget", "False findings planned, and findings seen.", _S["budget"]),
    _get(
        "/api/alarms",
        "alarms",
        "Alarms that need somebody, or the latest.",
        _S["alarms"],
        query={"history": "1 for the latest occurrences whatever their state"},
        errors=(422,),
    ),
    Spec(
        "POST",
        "/api/alarms/{occurrence}/ack",
        "ack",
        "ack",
        "Acknowledge one occurrence.",
        shapes.ActResult,
        shapes.Ack,
        errors=(404, 409, 413, 415, 422),
    ),
    _get(
        "/api/products",
        "products",
        "Products, newest first.",
        _S["products"],
        query={"limit": "1 to 1000, default 100"},
        errors=(422,),
    ),
    _get(
        "/api/events",
        "events",
        "Events after a number, oldest first.",
        _S["events"],
        query={
            "after": "number of the last event known, default 0",
            "limit": "1 to 1000, default 200",
            "sensor": "station/key; empty for all",
        },
        errors=(422,),
    ),
    _get("/api/ledger", "ledger", "What came in and where it went.", _S["ledger"]),
    _get(
        "/api/dead-letters",
        "dead_letters",
        "What was refused, and how to mend it.",
        _S["dead_letters"],
        query={"limit": "1 to 1000, default 100"},
        errors=(422,),
    ),
    _get("/api/discovery", "discovery", "Topics nobody described.", _S["discovery"]),
    Spec(
        "POST",
        "/api/reload",
        "reload",
        "reload",
        "Read the line description again.",
        _S["reload"],
        errors=(422,),
    ),
    _get(
        "/api/stream",
        "stream",
        "Server-sent events: hello, live, event, beat. Resumes with Last-Event-ID.",
        "text/event-stream",
        errors=(422,),
    ),
)
