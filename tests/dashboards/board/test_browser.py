"""The board in a real Chromium, as an operator meets it."""

import inspect
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from dashboards.board import Running, serve
from dashboards.board.api import STATIC
from dashboards.board.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

    from tests.dashboards.board.conftest import Board, FakeView

pytest.importorskip("playwright.async_api", reason="playwright is not installed")
from playwright.async_api import async_playwright, expect

CHROMIUM = Path("/usr/bin/chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "rolling-coil-27"
pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}"),
]


HOSTILE = (
    "alarms",
    "chart/calender/line_load",
    "chart/group/calender",
    "products",
    "ledger",
    "budget",
)


class Window:
    """A page, the server behind it, and everything it said or asked for."""

    def __init__(self, page: "Page", running: Running) -> None:
        self.page = page
        self.running = running
        self.said: list[str] = []
        self.asked: set[str] = set()
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("request", lambda request: self.asked.add(request.url))

    async def open(self, path: str = "") -> None:
        """Load the board and wait until it is live."""
        await self.page.goto(self.running.url + path)
        await expect(self.page.locator(".engine")).to_contain_text(re.compile("live"))

    def clean(self) -> bool:
        """Nothing in the console, and no request left the server's origin."""
        assert self.said == []
        foreign = {url for url in self.asked if not url.startswith(self.running.url)}
        assert foreign == set()
        return True


@asynccontextmanager
async def window(board: "Board", **context: Any) -> "AsyncIterator[Window]":
    """The board in a fresh browser profile."""
    async with await serve(board.app) as running, async_playwright() as play:
        browser = await play.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        made = await browser.new_context(**{"locale": "en-GB", **context})
        try:
            yield Window(await made.new_page(), running)
        finally:
            await made.close()
            await browser.close()


async def test_values_are_live(board: "Board", view: "FakeView") -> None:
    """The overview shows every sensor and follows its value without a reload."""
    async with window(board) as win:
        await win.open()
        await expect(win.page.locator(".tile")).to_have_count(16)
        await expect(win.page.locator(".simulated")).to_be_visible()
        tile = win.page.locator('[data-sensor="calender/line_load"]')
        view.values["calender/line_load"][-1] = 314.2
        view.clock.forward(1)
        view.wake()
        await expect(tile.locator(".value")).to_have_text("314.2")
        await expect(tile).to_contain_text("N/mm")
        await expect(tile).to_have_attribute("data-state", "ok")
        await expect(win.page.locator(".product").nth(2)).to_contain_text("CC-0417")
        assert win.clean()


async def test_alarm_appears_and_is_acknowledged(board: "Board", view: "FakeView") -> None:
    """An alarm shows up by itself; log in and acknowledge in one dialog; a reload keeps it."""
    async with window(board) as win:
        page = win.page
        await win.open("#/alarms")
        await expect(page.locator(".alarm-list")).to_contain_text("No alarms")
        view.raise_alarm()
        row = page.locator(".alarm-row")
        await expect(row).to_contain_text("Line load above its limit", timeout=3000)
        await expect(row).to_contain_text("Stop the feed")
        await expect(page.locator("nav .count")).to_have_text("1")
        await page.keyboard.press("a")
        dialog = page.locator("dialog[open]")
        await dialog.locator("textarea").fill("re-gapping now")
        await dialog.locator("[name=user]").fill("operator")
        await dialog.locator("[name=password]").fill("wrong")
        await dialog.locator("button.primary").click()
        await expect(dialog.locator(".error")).to_have_text("User or password is wrong.")
        await dialog.locator("[name=password]").fill(PASSWORD)
        await dialog.locator("[name=password]").press("Enter")
        await expect(dialog).to_have_count(0)
        await expect(row).to_contain_text("active, acknowledged")
        await expect(row).to_contain_text("Acknowledged by operator")
        await expect(row.locator("q")).to_have_text("re-gapping now")
        await page.reload()
        await expect(row).to_contain_text("Acknowledged by operator")
        await expect(page.locator(".who")).to_contain_text("operator")
        assert [action["comment"] for action in view.actions] == ["re-gapping now"]
        # Chromium itself reports the refused login; nothing else may be said.
        win.said = [line for line in win.said if "401" not in line]
        assert win.clean()


async def test_second_acknowledgement_needs_no_login(board: "Board", view: "FakeView") -> None:
    """Once logged in, acknowledging is one click and one confirmation."""
    view.raise_alarm()
    view.raise_alarm("dryroom/frost_point", "P1", title="Frost point above -45")
    async with window(board) as win:
        page = win.page
        await win.open()
        await page.locator(".who").click()
        await page.locator("[name=user]").fill("operator")
        await page.locator("[name=password]").fill(PASSWORD)
        await page.locator("dialog[open] button.primary").click()
        await expect(page.locator(".who")).to_contain_text("operator")
        await page.locator(".alarm-banner a").click()
        first = page.locator(".alarm-row").first
        await expect(first).to_contain_text("Frost point above -45")
        await first.locator(".ack").click()
        await expect(page.locator("dialog [name=password]")).to_have_count(0)
        await page.locator("dialog[open] button.primary").click()
        await expect(page.locator(".alarm-row[data-state=ACKED]")).to_have_count(1)
        assert win.clean()


async def test_viewer_cannot_acknowledge(board: "Board", view: "FakeView") -> None:
    """A viewer is told why, and can log in as somebody who may."""
    view.raise_alarm()
    async with window(board) as win:
        page = win.page
        await win.open("#/alarms")
        await page.locator(".ack").click()
        await page.locator("[name=user]").fill("viewer")
        await page.locator("[name=password]").fill(PASSWORD)
        await page.locator("dialog[open] button.primary").click()
        await expect(page.locator("dialog[open] .note")).to_contain_text(
            "viewer (viewer) may not do this"
        )
        assert view.actions == []
        await page.locator("[name=user]").fill("operator")
        await page.locator("[name=password]").fill(PASSWORD)
        await page.locator("dialog[open] button.primary").click()
        await expect(page.locator(".alarm-row")).to_contain_text("Acknowledged by operator")
        assert win.clean()


async def test_hostile_names_stay_text(board: "Board", view: "FakeView") -> None:
    """Markup in titles, alarms and payloads is shown as text and never runs."""
    evil = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'
    view.titles["calender/line_load"] = evil
    view.title = view.group_title = evil
    view.raise_alarm(title=evil, action=evil, cause=evil, product=evil)
    view.find("calender/line_load", "rule1", evil)
    view.find("group/calender", "t2", evil)
    why = {"detector": "noise", "verdict": "cannot judge", "code": "text", "text": evil}
    view.chart_more["calender/line_load"] = {"verdict": why, "others": [why], "recipe": evil}
    async with window(board) as win:
        page = win.page
        await win.open()
        tile = page.locator('[data-sensor="calender/line_load"] .tile-title')
        await expect(tile).to_have_text(evil)
        for path in HOSTILE:
            await page.goto(f"{win.running.url}#/{path}")
            await page.wait_for_timeout(400)
            if path == "alarms":
                await page.locator(".more").click()
                await expect(page.locator(".todo")).to_contain_text("<script>")
            assert await page.locator("main img, main script").count() == 0
            assert await page.evaluate("document.scripts.length") == 2
            assert "<img" in await page.title()
        assert win.clean()


async def test_blind_when_the_server_goes(board: "Board", view: "FakeView") -> None:
    """Within five seconds after the server stopped the board says BLIND and greys its values."""
    async with window(board) as win:
        await win.open()
        await win.running.close()
        banner = win.page.locator(".blind-banner")
        await expect(banner).to_contain_text("BLIND since", timeout=5000)
        await expect(win.page.locator(".tile").first).to_have_attribute("data-state", "blind")
        opacity = await win.page.locator(".tile .value").first.evaluate(
            "node => getComputedStyle(node).opacity"
        )
        assert float(opacity) < 0.6
        assert "BLIND" in await win.page.title()


async def test_blind_while_the_engine_stands(board: "Board", view: "FakeView") -> None:
    """A dead engine behind a living server is BLIND as well, and ends when it is back."""
    async with window(board) as win:
        await win.open()
        view.alive = False
        view.wake()
        banner = win.page.locator(".blind-banner")
        await expect(banner).to_contain_text("the pipeline stopped", timeout=5000)
        view.alive = True
        view.wake()
        await expect(banner).to_have_count(0)
        assert win.clean()


async def test_board_recovers_and_misses_nothing(board: "Board", view: "FakeView") -> None:
    """After a restart of the server the board is live again and shows what came meanwhile."""
    async with window(board) as win:
        await win.open()
        port = win.running.port
        await win.running.close()
        await expect(win.page.locator(".blind-banner")).to_be_visible()
        view.raise_alarm()
        from dashboards.board import create_app

        app = create_app(view, info={"version": "1", "loopback": True}, auth=board.auth)
        async with await serve(app, port=port):
            await expect(win.page.locator(".blind-banner")).to_have_count(0, timeout=10_000)
            await expect(win.page.locator("nav .count")).to_have_text("1")


async def test_chart_marks_violations_in_words(board: "Board", view: "FakeView") -> None:
    """The chart draws, names limits and baseline, and explains each finding."""
    view.find("calender/line_load", "rule1", "1 point beyond 3 sigma above the centre line")
    async with window(board) as win:
        page = win.page
        await win.open("#/chart/calender/line_load")
        await expect(page.locator(".plot canvas")).to_be_visible()
        await expect(page.locator(".facts")).to_contain_text("312.0")
        await expect(page.locator(".facts")).to_contain_text("calender-300@4")
        await expect(page.locator(".findings")).to_contain_text("beyond 3 sigma")
        box = await page.locator(".u-over").bounding_box()
        assert box
        await page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 40)
        await expect(page.locator(".readout")).to_contain_text("rule1: 1 point")
        await page.get_by_role("tab", name="All").click()
        await expect(page.locator(".readout")).to_contain_text("mean")
        await page.mouse.move(box["x"] + 100, box["y"] + 60)
        await page.mouse.down()
        await page.mouse.move(box["x"] + 260, box["y"] + 60, steps=4)
        async with page.expect_request(re.compile(r"/api/series/.*start=\d+.*end=\d+")):
            await page.mouse.up()
        assert win.clean()


async def test_ledger_balances_and_proposes(board: "Board") -> None:
    """The ledger shows the equation, the advice for refused messages and a row to copy."""
    async with window(board, permissions=["clipboard-read", "clipboard-write"]) as win:
        page = win.page
        await win.open("#/ledger")
        await expect(page.locator(".verdict")).to_contain_text("nothing is lost")
        await expect(page.locator(".letters").first).to_contain_text("Check the load cell")
        await page.locator(".copy").click()
        await expect(page.locator(".copy")).to_have_text("Copied")
        assert 'key = "gap"' in await page.evaluate("navigator.clipboard.readText()")
        assert win.clean()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "#/alarms",
        "#/chart/calender/thickness",
        "#/chart/group/calender",
        "#/products",
        "#/ledger",
        "#/budget",
    ],
)
async def test_phone_fits(board: "Board", view: "FakeView", path: str) -> None:
    """On a phone every page is one column without sideways scrolling and with large targets."""
    view.raise_alarm()
    async with window(
        board, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    ) as win:
        await win.open(path)
        await win.page.wait_for_timeout(600)
        wide = await win.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0
        small = await win.page.evaluate(
            "[...document.querySelectorAll('button, nav a, select')].filter(n => n.offsetParent)"
            ".map(n => [n.className || n.textContent, n.getBoundingClientRect().height])"
            ".filter(([, height]) => height < 40)"
        )
        assert small == []
        assert win.clean()


async def test_keyboard_reaches_everything(board: "Board", view: "FakeView") -> None:
    """Digits change the page, slash filters, question mark explains, arrows choose an alarm."""
    view.raise_alarm()
    view.raise_alarm("dryroom/frost_point", "P3", title="Frost point drifts")
    async with window(board) as win:
        page = win.page
        await win.open()
        await page.keyboard.press("/")
        await page.keyboard.type("calender density")
        await expect(page.locator(".tile:visible")).to_have_count(1)
        await page.keyboard.press("Escape")
        await page.locator("[data-filter]").fill("")
        await page.locator(".summary button", has_text="2 ALARM").click()
        await expect(page.locator(".tile:visible")).to_have_count(2)
        await page.locator(".summary button", has_text="2 ALARM").click()
        await expect(page.locator(".tile:visible")).to_have_count(16)
        await page.keyboard.press("2")
        await expect(page.locator(".alarm-row")).to_have_count(2)
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page.locator(".alarm-row:focus .details")).to_contain_text("Usual causes")
        await page.keyboard.press("a")
        await expect(page.locator("dialog[open] .subject")).to_contain_text("Frost point drifts")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await expect(page.locator("dialog[open]")).to_contain_text("Acknowledge the chosen alarm")
        await page.keyboard.press("Escape")
        for key, place in (
            ("3", ".plot"),
            ("4", ".product-card"),
            ("5", ".equation"),
            ("6", ".plan"),
        ):
            await page.keyboard.press(key)
            await expect(page.locator(place).first).to_be_visible()
        assert win.clean()


async def test_language_and_theme_follow_and_toggle(board: "Board", view: "FakeView") -> None:
    """A German browser in the dark gets German and dark; both can be changed and are kept."""
    view.raise_alarm()
    async with window(board, locale="de-DE", color_scheme="dark") as win:
        page = win.page
        await win.open("#/alarms")
        await expect(page.locator(".ack")).to_have_text("Quittieren")
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.locator(".lang").click()
        await expect(page.locator(".ack")).to_have_text("Acknowledge")
        await page.get_by_label("Light or dark").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "light")
        await page.reload()
        await expect(page.locator(".ack")).to_have_text("Acknowledge")
        await expect(page.locator("html")).to_have_attribute("data-theme", "light")
        assert win.clean()


async def test_wall_shows_line_and_alarms_without_buttons(board: "Board", view: "FakeView") -> None:
    """The wall screen has large type, the alarms beside the line, and nothing to press."""
    view.raise_alarm()
    async with window(board, viewport={"width": 1920, "height": 1080}) as win:
        await win.open("?wall=1")
        await expect(win.page.locator("aside .alarm-row")).to_have_count(1)
        assert await win.page.locator("button:visible").count() == 0
        size = await win.page.locator(".tile .value").first.evaluate(
            "node => parseFloat(getComputedStyle(node).fontSize)"
        )
        assert size >= 36
        assert win.clean()


async def test_closed_board_asks_for_a_login_first(closed_board: "Board") -> None:
    """A board that is reachable from elsewhere shows nothing until somebody logs in."""
    async with window(closed_board) as win:
        page = win.page
        await page.goto(win.running.url)
        await expect(page.locator("dialog[open]")).to_contain_text("needs a login")
        assert await page.locator(".tile").count() == 0
        await page.locator("[name=user]").fill("viewer")
        await page.locator("[name=password]").fill(PASSWORD)
        await page.locator("dialog[open] button.primary").click()
        await expect(page.locator(".tile")).to_have_count(16)


async def test_left_out_fields_do_no_harm(board: "Board", view: "FakeView") -> None:
    """A view may leave out every field that has a default; all pages still show."""
    view.raise_alarm()
    view.raise_alarm("coating/areal_mass", "P3", title="Areal mass drifts", state="RTNUN")
    view.find("calender/line_load", "rule1", "1 point beyond 3 sigma above the centre line")
    for name in SHAPES.keys() - {"act", "reload"}:
        setattr(view, name, _bare(name, getattr(view, name)))
    async with window(board) as win:
        page = win.page
        await win.open()
        await expect(page.locator(".tile .value").first).to_have_text(re.compile(r"\d"))
        for path, place, count in (
            ("alarms", ".alarm-row", 2),
            ("chart/calender/line_load", ".plot canvas", 1),
            ("products", ".product-card", 5),
            ("chart/group/calender", ".plot canvas", 2),
            ("ledger", ".term", 4),
            ("budget", ".plan tbody tr", 4),
        ):
            await page.goto(f"{win.running.url}#/{path}")
            await expect(page.locator(place)).to_have_count(count)
            assert "undefined" not in await page.locator("main").inner_text()
        await page.goto(f"{win.running.url}#/alarms")
        await page.locator(".more").first.click()
        await expect(page.locator(".details")).to_be_visible()
        assert win.clean()


def _bare(name: str, method: Any) -> Any:
    """The method with every default taken out of its answer."""
    adapter = TypeAdapter(SHAPES[name])

    def strip(data: Any) -> Any:
        return adapter.dump_python(adapter.validate_python(data), exclude_defaults=True)

    def bare(*args: Any, **options: Any) -> Any:
        return strip(method(*args, **options))

    async def bare_later(*args: Any, **options: Any) -> Any:
        return strip(await method(*args, **options))

    return bare_later if inspect.iscoroutinefunction(method) else bare


async def test_nothing_is_claimed_that_nobody_judged(board: "Board", view: "FakeView") -> None:
    """What nobody judges is measured, what learns says so with its count; neither is in control."""
    view.judged["dryroom/h2s"] = None
    learning = {"detector": "noise", "verdict": "cannot judge", "code": "learning"}
    view.judged["dryroom/temperature"] = learning | {"have": 17, "need": 60}
    view.judged["mixing/viscosity"] = {
        "detector": "charts",
        "verdict": "cannot judge",
        "code": "no_limits",
    }
    async with window(board) as win:
        page = win.page
        await win.open()
        chip = page.locator('[data-sensor="dryroom/h2s"] .chip')
        await expect(chip).to_have_text("measured")
        tile = page.locator('[data-sensor="dryroom/temperature"]')
        await expect(tile.locator(".chip")).to_have_text("learning 17/60")
        await expect(tile).to_have_attribute("data-state", "learning")
        tile = page.locator('[data-sensor="mixing/viscosity"]')
        await expect(tile.locator(".chip")).to_have_text("not judged")
        await expect(tile.locator(".tile-note")).to_contain_text("no approved limits")
        shapes = {
            await page.locator(f'[data-state="{name}"].tile .icon path').first.get_attribute("d")
            for name in ("ok", "learning", "unjudged", "measured")
        }
        assert len(shapes) == 4
        for words in ("13 in control", "1 learning", "1 not judged", "1 measured"):
            await expect(page.locator(".summary")).to_contain_text(words)
        await page.goto(f"{win.running.url}#/chart/mixing/viscosity")
        await expect(page.locator(".why")).to_contain_text("no approved limits yet")
        assert win.clean()


async def test_chart_tells_what_it_knows(board: "Board", view: "FakeView") -> None:
    """Kind of points, memory charts against limits, varying limits, scatter, other detectors."""
    times = [t / 1e9 for t in view.times[-20:]]
    view.chart_more["calender/thickness"] = {
        "mode": "block",
        "every": 60.0,
        "recipe": "nmc@1",
        "points": 417,
        "late": 3,
        "cannot_judge": 12,
        "cusum": {"k": 0.5, "h": 5.0, "high": 6.1, "low": 0.0},
        "t": times,
        "v": [77.0 + 0.01 * i for i in range(20)],
        "rules": [[] for _ in times],
        "ewma": None,
        "lcl": [None] * 5 + [76.0 - 0.01 * i for i in range(15)],
        "ucl": [None] * 5 + [78.0 + 0.01 * i for i in range(15)],
        "scatter": {
            "kind": "mr",
            "unit": "um",
            "judged": {"detector": "spread", "verdict": "in control"},
            "value": 0.3,
            "t": times,
            "v": [0.3] * 20,
            "rules": [[] for _ in times],
            "ucl": [1.0] * 20,
        },
        "others": [
            {
                "detector": "noise",
                "verdict": "signal",
                "number": "ratio",
                "value": 4.2,
            }
        ],
    }
    async with window(board) as win:
        page = win.page
        await win.open("#/chart/calender/thickness")
        await expect(page.locator(".plot canvas")).to_have_count(2)
        await expect(page.locator(".why")).to_contain_text("means of 1 min")
        facts = page.locator(".facts")
        for words in ("nmc@1", "417", "h 5", "92 points", "12"):
            await expect(facts).to_contain_text(words)
        await expect(facts.locator(".mini.over")).to_have_count(1)
        await expect(page.get_by_role("heading", name="Moving range")).to_be_visible()
        await expect(page.locator(".others")).to_contain_text("Noisesignalvariance 4.2 times")
        box = await page.locator(".u-over").first.bounding_box()
        assert box
        await page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 40)
        await expect(page.locator(".readout")).to_contain_text("UCL 78.14")
        await expect(page.get_by_label("Specification")).to_have_count(0)
        assert win.clean()


async def test_group_page_names_the_members(board: "Board", view: "FakeView") -> None:
    """A finding or an alarm of a group leads to its page: statistic, residual, members, others."""
    view.find("group/calender", "t2", "line load 3.4 sigma below what the others say")
    view.raise_alarm("group/calender", "P2", title="Calender as a whole is off")
    async with window(board) as win:
        page = win.page
        await win.open("#/alarms")
        await page.locator(".more").click()
        await page.locator(".details a.button").click()
        await expect(page.locator("h1")).to_have_text("Calender as a whole")
        await expect(page.locator(".plot canvas")).to_have_count(2)
        first = page.locator(".ranked li").first
        await expect(first).to_contain_text("Line load")
        await expect(first).to_contain_text("3.4 sigma below what the others say")
        await expect(page.locator(".findings li")).to_have_count(1)
        await expect(page.locator(".plan tbody tr")).to_have_count(2)
        await expect(page.locator(".plan")).to_contain_text("learning 120/400")
        await page.locator(".plan a", has_text="A new group").click()
        await expect(page.locator(".why")).to_contain_text("not enough data yet: 120 of 400")
        await expect(page.locator(".plot .empty")).to_be_visible()
        await page.goto(f"{win.running.url}#/line")
        await page.locator('[data-sensor="group/calender"]').click()
        await first.locator("a").click()
        await expect(page.locator("h1")).to_have_text("Line load")
        assert [line for line in win.said if "404" not in line] == []


async def test_budget_sets_planned_beside_seen(board: "Board", view: "FakeView") -> None:
    """The page says whether the plan fits, who spends it, and what was really seen."""
    async with window(board, locale="de-DE") as win:
        page = win.page
        await win.open("#/budget")
        await expect(page.locator(".budget-verdict")).to_contain_text("überschreitet das Budget")
        await expect(page.locator(".figure-card").first).to_contain_text("31,42")
        await expect(page.locator(".figure-card").nth(1)).to_contain_text("11,00")
        rows = page.locator(".plan tbody tr")
        await expect(rows.nth(1)).to_contain_text("92 %")
        await expect(rows.last).to_contain_text("nicht geplant")
        await expect(page.locator(".simulated")).to_be_visible()
        await page.locator(".lang").click()
        await page.locator("[data-filter]").fill("line load")
        await expect(rows).to_have_count(1)
        await page.locator(".plan a").click()
        await expect(page.locator("h1")).to_have_text("Line load")
        assert win.clean()


async def test_both_languages_have_all_words(board: "Board") -> None:
    """Every word exists in English and in German, with the same blanks to fill."""
    text = (STATIC / "js" / "i18n.js").read_text(encoding="utf-8")
    english, german = (
        dict(re.findall(r'[\s,{]"?([\w-]+)"?: "((?:[^"\\]|\\.)*)"', part))
        for part in re.split(r"const (?:EN|DE|RULES_DE) = ", text)[1:3]
    )
    assert len(english) > 250
    assert english.keys() == german.keys()
    for key, words in english.items():
        assert set(re.findall(r"\{\w+\}", words)) == set(re.findall(r"\{\w+\}", german[key])), key
