"""Nothing that was acknowledged is lost, nothing is said twice, whenever the process dies."""

from __future__ import annotations

import collections
import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from connectors.recording import read_entries
from tests.e2e.conftest import Sender, publish, result, until
from tests.e2e.streams import bench, stream
from twin.model.message import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Line

pytestmark = [pytest.mark.slow]
MESSAGES = 4000
KILLS = (1, 500, 1500)
"""Acknowledgements after which the process is killed, one start each."""


def journalled(line: Line, out: Path) -> collections.Counter[int]:
    """``seq`` of every message in the journal, and how often it is there."""
    result("export", line.data, out)
    found: collections.Counter[int] = collections.Counter()
    for run in read_entries(out):
        if run.kind is Kind.MESSAGE:
            found.update(json.loads(payload)["seq"] for payload in run.payloads)
    return found


def enough(sender: Sender, count: int) -> bool:
    """Whether so many messages were acknowledged."""
    return sender.confirmed >= count


def test_kill_in_mid_load(lines: Callable[..., Line], tmp_path: Path) -> None:
    """Killed three times under load: every PUBACKed message is there, and no event twice."""
    line = lines(bench())
    acked: set[int] = set()
    for kill_after in KILLS:
        line.start()
        first = len(acked)
        rest = [n for n in range(MESSAGES) if n not in acked]
        sender = Sender(line.mqtt, "killed")
        for name, payload in stream(MESSAGES):
            if json.loads(payload)["seq"] not in acked:
                sender.send(name, payload)
                if sender.confirmed >= kill_after:
                    break
        until(partial(enough, sender, kill_after), "acknowledgements")
        line.ledger()
        line.kill()
        until(sender.lost.is_set, "the lost connection")
        sender.close()
        acked |= {rest[n] for n in sender.acked()}
        assert len(acked) >= first + kill_after
    line.start()
    publish(line.mqtt, (m for m in stream(MESSAGES) if json.loads(m[1])["seq"] not in acked))
    ledger = line.settled(MESSAGES)
    assert ledger["stored"] == MESSAGES
    assert set(ledger["rejected"]) <= {"DUPLICATE"}
    numbers = [event["id"] for event in line.get("events", limit=1000)]
    assert len(numbers) == len(set(numbers))
    assert line.stop() == 0
    # The journal holds every message that was acknowledged; what it holds twice was counted.
    found = journalled(line, tmp_path / "journal.parquet")
    assert set(found) == set(range(MESSAGES))
    assert found.total() == ledger["received"]
    assert found.total() - len(found) == ledger["duplicates"]
    after = result("ledger", line.data)
    assert after["received"] == after["stored"] + sum(after["rejected"].values())
    assert after["pending"] == 0
    # An uninterrupted run over the same journal says the same.
    golden = result("replay", line.data, "--line", line.file, "--out", tmp_path / "golden")
    events = line.events()
    assert (tmp_path / "golden" / "events.jsonl").read_bytes() == events
    assert events.count(b'"type":"finding"') > 50
    ids = [json.loads(row)["id"] for row in events.splitlines()]
    assert len(ids) == len(set(ids))
    assert golden["stored"] == MESSAGES
    assert golden["findings"] == after["findings"]


def test_ledger_holds_under_load(lines: Callable[..., Line]) -> None:
    """At every look while messages pour in the balance is exact, and it never runs backwards."""
    line = lines(bench()).start()
    sender = Sender(line.mqtt, "load")
    stored = received = polls = 0
    for number, (name, payload) in enumerate(stream(4000)):
        sender.send(name, payload)
        if number % 100 == 0:
            now = line.ledger()
            assert now["stored"] >= stored
            assert now["received"] >= received
            stored, received, polls = now["stored"], now["received"], polls + 1
    until(lambda: sender.confirmed == 4000, "acknowledgements")
    sender.close()
    assert polls == 40
    assert line.settled(4000)["stored"] == 4000
    metrics = line.http.get("/metrics").text
    assert "4000" in metrics
    assert line.stop() == 0


def test_reload_under_load(lines: Callable[..., Line], tmp_path: Path) -> None:
    """A broken file changes nothing and says why; a good one takes effect without a lost message."""
    line = lines(bench()).start()
    version = line.get("overview")["line"]["version"]
    good = line.file.read_text("utf-8")
    messages = list(stream(4000))
    sender = Sender(line.mqtt, "reload")
    for name, payload in messages[:1500]:
        sender.send(name, payload)

    broken = good.replace("centre = 50", 'centre = "fifty"')
    line.file.write_text(broken, "utf-8")
    answer = line.post("reload")
    assert answer.status_code == 422
    problem = answer.json()["problems"][0]
    assert problem["file"] == "line.toml"
    assert problem["key"].endswith("chart.centre")
    assert broken.splitlines()[problem["line"] - 1] == 'centre = "fifty"'
    assert problem["message"]
    assert line.get("overview")["line"]["version"] == version

    for name, payload in messages[1500:2500]:
        sender.send(name, payload)
    line.file.write_text(good.replace("limit = 60", "limit = 52"), "utf-8")
    answer = line.post("reload")
    assert (answer.status_code, answer.json()["changed"]) == (200, True), answer.text
    assert line.get("overview")["line"]["version"] == answer.json()["version"] != version
    for name, payload in messages[2500:]:
        sender.send(name, payload)
    until(lambda: sender.confirmed == len(messages), "acknowledgements")
    sender.close()
    ledger = line.settled(len(messages))
    assert (ledger["stored"], ledger["rejected"]) == (len(messages), {})
    assert ledger["alarms"] > 5
    assert line.stop() == 0
    # The journal knows which version held when.
    again = result("replay", line.data, "--out", tmp_path / "again")
    assert (tmp_path / "again" / "events.jsonl").read_bytes() == line.events()
    assert again["alarms"] == ledger["alarms"]
    # Judged by the last version alone the beginning looks different.
    other = result("replay", line.data, "--line", line.file, "--out", tmp_path / "other")
    assert other["alarms"] > ledger["alarms"]
