"""Deny by default: every request passes here before its handler is called."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dashboards.board.answers import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from dashboards.board.auth import Auth, Session
    from dashboards.board.routes import Spec

__all__ = ["Guard"]

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Who is asking, from where, and whether the route table lets them.

    Args:
        auth: Users and sessions; None makes a board that only shows.
        loopback: The board is bound to loopback and nothing forwards to it. Only then may it be
            looked at without a login.
        hosts: Names the board answers to. On loopback these are always the loopback names too:
            a foreign page that points its own name at this machine gets nothing.
    """

    def __init__(self, auth: Auth | None, *, loopback: bool, hosts: Sequence[str] = ()) -> None:
        self.auth = auth
        self.open_view = loopback
        self._hosts = frozenset(hosts) | (frozenset(LOOPBACK) if loopback else frozenset())

    def admit(self, request: Request, spec: Spec) -> None:
        """Let the request pass.

        Raises:
            RefusedError: 421 for a foreign host name, 403 for a foreign page, a missing CSRF token
                or a role without the right, 401 when a login would help.
        """
        self._host(request)
        session = self.session(request)
        if spec.method == "POST":
            self._same_page(request)
            # Before a login there is no token to check; the Origin check covers that.
            if session is not None and spec.handler != "login":
                self._token(request, session)
        if spec.access == "open" or (spec.access == "view" and self.open_view):
            return
        if session is None:
            if self.auth is None:
                raise RefusedError(403, "Not allowed", "this board has no login")
            raise RefusedError(401, "Log in first", "this needs a login")
        if not session.may(spec.access):
            raise RefusedError(403, "Not allowed", f"role {session.role} may not do this")

    def session(self, request: Request) -> Session | None:
        """The session of a request, if it has one that holds."""
        if self.auth is None:
            return None
        # The board refreshes its lists by itself; that must not keep a session alive for ever.
        touch = "x-background" not in request.headers
        return self.auth.session(self.token(request), touch=touch)

    def need(self, request: Request) -> Session:
        """The session of an admitted request that could not come without one.

        Raises:
            RefusedError: It ended between the two looks.
        """
        session = self.session(request)
        if session is None:
            raise RefusedError(401, "Log in first", "the session is over")
        return session

    def watcher(self, request: Request) -> Callable[[], bool]:
        """Whether a stream that was admitted may still go on; asked once a second."""
        auth, token = self.auth, self.token(request)
        if self.open_view or auth is None:
            return lambda: True
        return lambda: auth.session(token, touch=False) is not None

    def token(self, request: Request) -> str | None:
        """The session token the browser sent."""
        return request.cookies.get(self.cookie(request))

    def cookie(self, request: Request) -> str:
        """Name of the cookie; browsers share cookies between ports, so two lines need two names."""
        server = request.scope.get("server")
        return f"linetwin_{server[1]}" if server else "linetwin"

    def _host(self, request: Request) -> None:
        name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if self._hosts and name not in self._hosts:
            raise RefusedError(421, "Wrong address", "this board does not answer to that name")

    def _same_page(self, request: Request) -> None:
        origin = request.headers.get("origin", "")
        if not origin:
            text = "the header Origin is missing; a program sends the address of the board there"
            raise RefusedError(403, "Not allowed", text)
        if urlsplit(origin).netloc != request.headers.get("host", ""):
            raise RefusedError(403, "Not allowed", "the request comes from another page")

    def _token(self, request: Request, session: Session) -> None:
        given = request.headers.get("x-csrf-token", "")
        if not secrets.compare_digest(given.encode(), session.csrf.encode()):
            raise RefusedError(403, "Not allowed", "CSRF token missing or wrong")
