"""How the board answers: JSON, problem objects without traces, and headers on everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import numpy as np
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "SECURITY_HEADERS",
    "Headers",
    "RefusedError",
    "body",
    "encode",
    "json",
    "problem",
    "whole",
]

SECURITY_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_BODY_LIMIT: Final = 65_536

T = TypeVar("T", bound=BaseModel)


class RefusedError(Exception):
    """A request that is not answered as asked: a status and what the person should know."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        headers: dict[str, str] | None = None,
        problems: list[dict[str, Any]] | None = None,
    ) -> None:
        self.status, self.title, self.detail = status, title, detail
        self.headers, self.problems = headers or {}, problems or []
        super().__init__(f"{status} {title}: {detail}")


def encode(data: object) -> bytes:
    """Plain data as JSON; NaN and infinity become null, a numpy number the plain one.

    Examples:
        >>> encode({"a": float("nan"), "b": np.float64(0.5)})
        b'{"a":null,"b":0.5}'
    """
    return msgspec.json.encode(data, enc_hook=_plain)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no plain data")


def json(data: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer that nobody keeps."""
    return Response(
        encode(data), status, {"cache-control": "no-store", **(headers or {})}, "application/json"
    )


def problem(refused: RefusedError) -> Response:
    """An error as a problem object (RFC 9457)."""
    data: dict[str, Any] = {"title": refused.title, "status": refused.status}
    if refused.detail:
        data["detail"] = refused.detail
    if refused.problems:
        data["problems"] = refused.problems
    headers = {"cache-control": "no-store", **SECURITY_HEADERS, **refused.headers}
    return Response(encode(data), refused.status, headers, "application/problem+json")


async def body(request: Request, shape: type[T]) -> T:
    """The JSON body of a request, checked.

    Raises:
        RefusedError: Too long (413), not JSON (415), or another shape (422).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(415, "JSON expected", "send content-type application/json")
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > _BODY_LIMIT:
            raise RefusedError(413, "Too long", f"at most {_BODY_LIMIT} bytes")
    try:
        return shape.model_validate_json(bytes(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "body"
        raise RefusedError(422, "Not understood", f"{place}: {first['msg']}") from None


def whole(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number of the query string.

    Raises:
        RefusedError: It is not a whole number from ``low`` to ``high``.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.lstrip("-").isascii() and text.lstrip("-").isdigit() and len(text) < 20:
        number = int(text)
        if low <= number <= high:
            return number
    raise RefusedError(422, "Not understood", f"{name}: a whole number from {low} to {high}")


class Headers:
    """Puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = dict(SECURITY_HEADERS)
        if scope["scheme"] == "https":
            wanted["strict-transport-security"] = "max-age=31536000"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                have = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in wanted.items()
                        if name.encode() not in have
                    ),
                ]
            await send(message)

        await self._app(scope, receive, with_headers)
