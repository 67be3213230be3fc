"""Every address: what it answers, with which headers, and how it fails."""

import re
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest
from starlette.routing import Route

from dashboards.board import create_app
from dashboards.board.openapi import document
from dashboards.board.routes import ROUTES
from dashboards.board.shapes import check

if TYPE_CHECKING:
    from tests.dashboards.board.conftest import Board, FakeView

GETS = {
    "overview": "/api/overview",
    "sensor": "/api/sensors/calender/line_load",
    "series": "/api/series/calender/line_load?points=50",
    "chart": "/api/chart/formation/voltage:0",
    "groups": "/api/groups",
    "group": "/api/groups/calender?points=50",
    "budget": "/api/budget",
    "alarms": "/api/alarms",
    "products": "/api/products",
    "events": "/api/events",
    "ledger": "/api/ledger",
    "dead_letters": "/api/dead-letters",
    "discovery": "/api/discovery",
}


@pytest.mark.parametrize("method", GETS)
async def test_answers_have_their_shape(board: "Board", method: str) -> None:
    """Every list and picture the API gives has the shape the document promises."""
    board.view.raise_alarm()
    async with board.client() as client:
        answer = await client.get(GETS[method])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    check(method, msgspec.json.decode(answer.content))


async def test_security_headers_are_everywhere(board: "Board") -> None:
    """Good answers, files, errors of the client and errors of the board carry all headers."""
    async with board.client() as client:
        good = [await client.get(p) for p in ("/", "/static/board.css", "/healthz", "/metrics")]
        bad = [
            await client.get("/nowhere"),
            await client.post("/api/overview"),
            await client.get("/static/../auth.py"),
            await client.get("/api/sensors/no/such"),
            await client.get("/api/groups/none"),
        ]
        board.view.broken = True
        bad.append(await client.get("/api/overview"))
    assert [a.status_code for a in good] == [200] * 4
    assert [a.status_code for a in bad] == [404, 405, 404, 404, 404, 500]
    for answer in [*good, *bad]:
        policy = answer.headers["content-security-policy"]
        for part in (
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self'",
            "object-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ):
            assert part in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_errors_hold_no_trace(board: "Board", caplog: pytest.LogCaptureFixture) -> None:
    """An exception of the view becomes a problem object; the words stay in the log."""
    board.view.broken = True
    async with board.client() as client:
        answer = await client.get("/api/overview")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 500
    assert "canary" not in answer.text
    assert "Traceback" not in answer.text
    assert "canary" in caplog.text


@pytest.mark.parametrize(
    "path",
    [
        "/api/series/calender/line_load?points=0",
        "/api/series/calender/line_load?points=1e3",
        "/api/series/calender/line_load?start=nan",
        "/api/series/calender/line_load?start=9&end=3",
        "/api/series/calender/line_load?start=-1",
        "/api/chart/calender/line_load?points=99999999",
        "/api/groups/calender?points=1",
        "/api/alarms?history=yes",
        "/api/products?limit=0",
        "/api/events?after=-1",
        "/api/events?limit=%F0%9D%9F%97",
        "/api/dead-letters?limit=two",
        "/api/stream?last_event_id=x",
    ],
)
async def test_wrong_queries_are_explained(board: "Board", path: str) -> None:
    """A query that cannot be right is refused with a sentence, never guessed."""
    async with board.client() as client:
        answer = await client.get(path)
    assert answer.status_code == 422
    assert answer.json()["detail"]


async def test_series_is_cut_to_the_time_asked_for(board: "Board", view: "FakeView") -> None:
    """Start and end in seconds reach the view as nanoseconds."""
    start, end = view.times[10] / 1e9, view.times[19] / 1e9
    async with board.client() as client:
        answer = await client.get(f"/api/series/calender/line_load?start={start}&end={end}")
    assert len(answer.json()["t"]) == 10


async def test_health_says_blind(board: "Board", view: "FakeView") -> None:
    """The health address fails when the engine does, so that a service manager notices."""
    async with board.client() as client:
        assert (await client.get("/healthz")).json()["status"] == "ok"
        view.alive = False
        answer = await client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "blind"


async def test_metrics_are_valid_prometheus_text(board: "Board") -> None:
    """Every sample has HELP and TYPE before it, and hostile names are escaped."""
    async with board.client() as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    typed: dict[str, str] = {}
    helped = set()
    for row in answer.text.splitlines():
        if row.startswith("# HELP "):
            helped.add(row.split()[2])
        elif row.startswith("# TYPE "):
            typed[row.split()[2]] = row.split()[3]
        else:
            match = re.fullmatch(
                r'(\w+)\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+\} (-?[0-9.e+-]+|nan)', row
            )
            assert match, row
            assert match[1] in typed
            assert match[1] in helped
            assert match[1].endswith("_total") == (typed[match[1]] == "counter")
    assert 'source="broker:\\"plant\\""' in answer.text
    assert (
        'linetwin_samples_rejected_total{site="lab",line="pilot",reason="RANGE"} 41' in answer.text
    )


def test_every_route_is_in_the_document(board: "Board") -> None:
    """The application has exactly the paths and methods of the OpenAPI document."""
    paths = document("1")["paths"]
    documented = {(path, method.upper()) for path, item in paths.items() for method in item}
    served = {
        (route.path.replace(":path}", "}"), method)
        for route in board.app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert len(board.app.routes) == len(ROUTES)
    assert served == documented


async def test_document_is_complete(board: "Board") -> None:
    """Every reference of the OpenAPI document points to a schema that is there."""
    async with board.client() as client:
        answer = await client.get("/api/openapi.json")
    data = answer.json()
    assert data["openapi"] == "3.1.0"
    for name in re.findall(r'"#/components/schemas/(\w+)"', answer.text):
        assert name in data["components"]["schemas"]
    operations = [op for item in data["paths"].values() for op in item.values()]
    assert all(op["summary"].endswith(".") for op in operations)
    assert len({op["operationId"] for op in operations}) == len(operations)


async def test_acknowledge_names_the_person(board: "Board", view: "FakeView") -> None:
    """The engine learns who acknowledged, with which role, session and comment."""
    occurrence = view.raise_alarm()
    async with board.client("operator") as client:
        answer = await client.post(f"/api/alarms/{occurrence}/ack", json={"comment": " on it "})
        assert answer.status_code == 200
        assert answer.json()["alarm"]["state"] == "ACKED"
        rows = (await client.get("/api/alarms")).json()
    assert rows[0]["acked"] == {"by": "operator", "at": rows[0]["acked"]["at"], "comment": "on it"}
    action = view.actions[0]
    assert (action["op"], action["actor"], action["role"]) == ("ack", "operator", "operator")
    assert action["occurrence"] == occurrence
    assert len(action["session"]) == 16
    assert action["ip"] == "127.0.0.1"


async def test_acknowledging_what_changed_is_refused(board: "Board", view: "FakeView") -> None:
    """An older occurrence is refused as changed, an unknown one as not there."""
    occurrence = view.raise_alarm()
    async with board.client("operator") as client:
        changed = await client.post(f"/api/alarms/{occurrence}/ack", json={"comment": "too late"})
        unknown = await client.post("/api/alarms/none/ack", json={})
    assert changed.status_code == 409
    assert changed.json()["detail"] == "a newer occurrence exists"
    assert unknown.status_code == 404


async def test_bodies_are_checked(board: "Board", view: "FakeView") -> None:
    """Foreign types, unknown keys, long comments and long bodies never reach the engine."""
    path = f"/api/alarms/{view.raise_alarm()}/ack"
    kind = {"content-type": "application/json"}
    async with board.client("operator") as client:
        assert (await client.post(path, data={"comment": "x"})).status_code == 415
        assert (await client.post(path, content=b"{", headers=kind)).status_code == 422
        assert (await client.post(path, json={"comment": "x", "actor": "boss"})).status_code == 422
        assert (await client.post(path, json={"comment": "x" * 1001})).status_code == 422
        assert (await client.post(path, content=b" " * 70_000, headers=kind)).status_code == 413
    assert view.actions == []


async def test_reload_tells_what_is_wrong(board: "Board") -> None:
    """A valid file takes effect; an invalid one comes back with file, line and key."""
    async with board.client("engineer") as client:
        assert (await client.post("/api/reload")).json()["version"] == "77aa"
    async with board.client("eve") as client:
        answer = await client.post("/api/reload")
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["line"] == 12


async def test_nan_becomes_null(board: "Board", view: "FakeView") -> None:
    """NaN is no JSON; the board gets null and shows a dash."""
    view.values["calender/line_load"][-1] = float("nan")
    async with board.client() as client:
        answer = await client.get("/api/sensors/calender/line_load")
    assert answer.json()["tile"]["value"] is None


async def test_board_without_users_only_shows(view: "FakeView") -> None:
    """Without a users file there is nothing to log in to and nothing can be done."""
    app = create_app(view, info={"version": "1", "loopback": True}, auth=None)
    base = "http://localhost:1"
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=base, headers={"origin": base}
    ) as client:
        assert (await client.get("/api/session")).json()["login"] is False
        assert (await client.get("/api/overview")).status_code == 200
        assert (await client.post("/api/alarms/x/ack", json={})).status_code == 403
        login = await client.post("/api/login", json={"user": "a", "password": "b"})
        assert login.status_code == 409
