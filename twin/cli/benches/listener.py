"""Devices publish to linetwin: the whole way, durable, in the process a user runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.cli.benches import lines
from twin.cli.benches.children import helper
from twin.cli.benches.figure import Figure, Work
from twin.cli.benches.running import running

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["measure"]

_MESSAGES = 600_000
_DEVICES = 8
_WINDOW = 1000
_BUDGET_US = 4.0
_BUDGET_RATE = 200_000.0


def measure(work: Work) -> list[Figure]:
    """Durable QoS 1 messages per second and processor time per message."""
    count = work.count(_MESSAGES, 4000)
    took = []
    for run in range(work.runs):
        work.say(f"run {run + 1}: {count:,} messages to a running line")
        folder = work.folder / f"listener-{run}"
        folder.mkdir()
        took.append(_publish(folder, count))
    example = lines.messages(1)[0]
    conditions: dict[str, Any] = {
        "messages": count,
        "devices": _DEVICES,
        "unanswered_per_device": _WINDOW,
        "payload": example.payload.decode(),
        "topic": example.topic,
        "mqtt": "3.1.1, QoS 1, acknowledged after the commit",
        "line": "1000 sensors, Western Electric rules and EWMA, board and history on",
        "publisher": "another process on the same cores",
        "publisher_us_per_message": round(took[0]["publisher_us"], 3),
        "judged_before_last_acknowledgement": [run["judged"] for run in took],
        "findings_per_1000": round(took[0]["findings"] / count * 1000, 2),
        "balanced": all(run["balanced"] for run in took),
        "pending": max(run["pending"] for run in took),
    }
    return [
        Figure(
            name="listener.message",
            unit="µs CPU/message",
            runs=[run["cpu_us"] for run in took],
            budget=_BUDGET_US,
            conditions={**conditions, "counted": "user and system time until the process ended"},
        ),
        Figure(
            name="listener.rate",
            unit="messages/s",
            better="higher",
            runs=[run["rate"] for run in took],
            budget=_BUDGET_RATE,
            conditions={**conditions, "counted": "first message to last acknowledgement"},
        ),
    ]


def _publish(folder: Path, count: int) -> dict[str, Any]:
    line = folder / "line.toml"
    line.write_text(lines.BENCH_LINE, encoding="utf-8")
    with running(line, folder, "--no-simulator") as twin:
        settings = {
            "port": twin.mqtt_port,
            "count": count,
            "devices": _DEVICES,
            "window": _WINDOW,
        }
        with helper("load", settings, folder) as load:
            load.ready()
            before = twin.cpu_s()
            load.go()
            told = load.result(120.0)
        ledger = twin.get("/api/ledger")
        judged = ledger["received"] - ledger["pending"]
        twin.wait_received(count, 120.0)
        cpu = twin.stop() - before
    outcome = twin.outcome
    if not outcome["stored"] == told["acknowledged"] == count:
        raise RuntimeError(f"{count} sent, {told['acknowledged']} acknowledged: {outcome}")
    return {
        "cpu_us": cpu / count * 1e6,
        "rate": count / told["seconds"],
        "publisher_us": told["cpu_s"] / count * 1e6,
        "judged": judged,
        "findings": outcome["findings"],
        "balanced": outcome["balanced"],
        "pending": outcome["pending"],
    }
