"""An alarm from a device to a person and back, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import publish, sample, topic, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Line

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}"),
]


def test_alarm_is_acknowledged_for_good(lines: Callable[..., Line]) -> None:
    """A message raises an alarm on the board; acknowledged there, it stays so after kill -9."""
    line = lines().start()
    password = line.password
    assert password
    url = f"http://127.0.0.1:{line.port}/#/alarms"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        page = browser.new_page(locale="en-GB")
        page.goto(url)
        expect(page.locator(".engine")).to_contain_text("live")
        expect(page.locator(".alarm-list")).to_contain_text("No alarms")
        publish(line.mqtt, [(topic("force"), sample(0, 450))])
        row = page.locator(".alarm-row")
        expect(row).to_contain_text("Pressed too hard", timeout=10_000)
        expect(row).to_contain_text("Open the gap.")
        page.keyboard.press("a")
        dialog = page.locator("dialog[open]")
        dialog.locator("textarea").fill("gap opened")
        dialog.locator("[name=user]").fill("admin")
        dialog.locator("[name=password]").fill(password)
        dialog.locator("[name=password]").press("Enter")
        expect(row).to_contain_text("Acknowledged by admin", timeout=10_000)
        expect(dialog).to_have_count(0)

        line.kill()
        expect(page.locator(".engine")).not_to_contain_text(re.compile("live"), timeout=20_000)
        line.start()
        assert line.process is not None
        assert "password" not in line.process.text
        page.goto(url)
        page.reload()
        expect(row).to_contain_text("Acknowledged by admin", timeout=10_000)
        expect(row.locator("q")).to_have_text("gap opened")
        browser.close()
    alarm = until(lambda: line.get("alarms"), "the alarm")[0]
    assert (alarm["state"], alarm["acked"]["by"]) == ("ACKED", "admin")
    assert line.get("alarms", history=1)[0]["occurrence"] == alarm["occurrence"]
    assert line.stop() == 0
