"""Deny by default: roles, cross-site requests, foreign names and password guessing."""

from typing import TYPE_CHECKING

import httpx
import pytest

from dashboards.board.auth import RIGHTS, ROLES
from dashboards.board.routes import ROUTES, Spec

if TYPE_CHECKING:
    from tests.dashboards.board.conftest import Board

PASSWORD = "rolling-coil-27"
TESTED = [spec for spec in ROUTES if spec.handler != "stream"]


def path_of(spec: Spec) -> str:
    """The path with parameters that exist."""
    return (
        spec.path.replace("{path}", "board.css")
        .replace("{station}", "calender")
        .replace("{key}", "line_load")
        .replace("{occurrence}", "none")
    )


def expected(spec: Spec, role: str, *, loopback: bool) -> bool:
    """Whether the table lets this role pass."""
    if spec.access == "open" or (spec.access == "view" and loopback):
        return True
    return role != "" and spec.access in RIGHTS[role]


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize("role", ["", *ROLES])
async def test_every_route_for_every_role(
    board: "Board", closed_board: "Board", role: str, loopback: bool
) -> None:
    """Role by route by method: exactly what the table allows, 401 or 403 for the rest."""
    target = board if loopback else closed_board
    async with target.client(role) as client:
        for spec in sorted(TESTED, key=lambda s: s.handler == "logout"):
            answer = await client.request(
                spec.method, path_of(spec), json={} if spec.method == "POST" else None
            )
            refused = answer.status_code in {401, 403}
            assert refused != expected(spec, role, loopback=loopback), (spec.path, role)
            if refused:
                assert answer.status_code == (401 if not role else 403)


async def test_stream_needs_the_right_to_look(closed_board: "Board") -> None:
    """A board that is reachable from elsewhere streams to nobody without a login."""
    async with closed_board.client() as client:
        assert (await client.get("/api/stream")).status_code == 401


@pytest.mark.parametrize("spec", [s for s in ROUTES if s.method == "POST"], ids=lambda s: s.path)
async def test_foreign_pages_are_refused(board: "Board", spec: Spec) -> None:
    """Unsafe methods need our own Origin and, in a session, its CSRF token."""
    async with board.client("admin") as client:
        for origin in ("http://evil.example", "null", "http://127.0.0.1:9999", ""):
            answer = await client.post(path_of(spec), json={}, headers={"origin": origin})
            assert answer.status_code == 403, origin
        if spec.handler != "login":
            for token in ("", "wrong", "%C3%A4"):
                answer = await client.post(path_of(spec), json={}, headers={"x-csrf-token": token})
                assert answer.status_code == 403
        del client.headers["origin"]
        assert (await client.post(path_of(spec), json={})).status_code == 403


async def test_foreign_names_are_refused(board: "Board") -> None:
    """A page that points its own name at this machine reads nothing (DNS rebinding)."""
    async with board.client() as client:
        for host in ("evil.example", "evil.example:8080", ""):
            answer = await client.get("/api/overview", headers={"host": host})
            assert answer.status_code == 421
        for host in ("localhost:8080", "127.0.0.1", "[::1]:8080"):
            answer = await client.get("/api/overview", headers={"host": host})
            assert answer.status_code == 200


async def test_login_cookie_is_locked_down(board: "Board") -> None:
    """The cookie is HttpOnly and SameSite=Strict, and the old session ends with a new login."""
    async with board.client() as client:
        given = {"user": "operator", "password": PASSWORD}
        first = await client.post("/api/login", json=given)
        cookie = first.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "path=/" in cookie
        old = dict(client.cookies)
        second = await client.post("/api/login", json=given)
        assert dict(client.cookies) != old
        assert first.json()["csrf"] != second.json()["csrf"]
        client.cookies.clear()
        client.cookies.update(old)
        assert (await client.get("/api/session")).json()["user"] is None


async def test_tls_makes_cookie_and_names_strict(board: "Board") -> None:
    """Over HTTPS the cookie is Secure and the browser is told to stay with HTTPS."""
    base = "https://127.0.0.1:8080"
    transport = httpx.ASGITransport(board.app)
    async with httpx.AsyncClient(
        transport=transport, base_url=base, headers={"origin": base}
    ) as client:
        answer = await client.post("/api/login", json={"user": "operator", "password": PASSWORD})
    assert "secure" in answer.headers["set-cookie"].lower()
    assert answer.headers["strict-transport-security"].startswith("max-age=")


async def test_unknown_user_and_wrong_password_look_the_same(board: "Board") -> None:
    """An attacker does not learn which users exist."""
    async with board.client() as client:
        one = await client.post("/api/login", json={"user": "operator", "password": "wrong"})
        two = await client.post("/api/login", json={"user": "nobody", "password": "wrong"})
    assert one.status_code == two.status_code == 401
    assert one.content == two.content


async def test_sixth_login_is_429(board: "Board") -> None:
    """Guessing is slowed down and told when to try again."""
    async with board.client() as client:
        for _ in range(5):
            await client.post("/api/login", json={"user": "operator", "password": "wrong"})
        answer = await client.post("/api/login", json={"user": "operator", "password": PASSWORD})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "60"


async def test_logout_takes_the_rights_away(board: "Board") -> None:
    """After logging out the cookie and the token are worth nothing."""
    async with board.client("operator") as client:
        kept = dict(client.cookies)
        answer = await client.post("/api/logout", json={})
        assert answer.json()["rights"] == ["view"]
        client.cookies.update(kept)
        assert (await client.post("/api/alarms/x/ack", json={})).status_code == 401


@pytest.mark.parametrize(
    "path", ["/static/../auth.py", "/static/%2e%2e/auth.py", "/static//etc/passwd"]
)
async def test_files_outside_are_not_served(board: "Board", path: str) -> None:
    """The static route gives files of the board and nothing else."""
    async with board.client() as client:
        assert (await client.get(path)).status_code == 404
