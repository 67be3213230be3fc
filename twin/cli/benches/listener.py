"""Devices publish to linetwin: the whole way, durable, in the process a user runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.cli.benches import lines
from twin.cli.benches.children import helper
from twin.cli.benches.figure import Figure, Work
from twin.cli.benches.running import running

if TYPE_CHECKING:
    from pathlib import Path

    from twin.cli.benches.children import Helper

__all__ = ["measure"]

_MESSAGES = 600_000
"""Enough for a snapshot, which writes the history, to fall into the time that is counted."""
_STEADY = 100_000.0
"""Messages per second of the steady load: the engine keeps up, nothing is read back from disk."""
_DEVICES = 8
_WINDOW = 1000
_BUDGET_US = 4.0
_BUDGET_RATE = 200_000.0


def measure(work: Work) -> list[Figure]:
    """Processor time per message at a steady load, durable QoS 1 messages per second at full load."""
    count = work.count(_MESSAGES, 4000)
    steady, full = [], []
    with helper("load", work.folder) as load:
        for run in range(work.runs):
            work.say(f"run {run + 1}: {count:,} messages at {_STEADY:,.0f}/s, then at full speed")
            steady.append(_publish(load, work.folder / f"steady-{run}", count, _STEADY))
            full.append(_publish(load, work.folder / f"full-{run}", count, 0.0))
    counted = "user and system time until all is judged, with one snapshot and its history flush"
    return [
        Figure(
            name="listener.message",
            unit="µs CPU/message",
            runs=[run["cpu_us"] for run in steady],
            budget=_BUDGET_US,
            conditions={
                **_conditions(count, steady),
                "messages_per_second": _STEADY,
                "counted": counted,
            },
        ),
        Figure(
            name="listener.message_at_full_load",
            unit="µs CPU/message",
            runs=[run["cpu_us"] for run in full],
            budget=_BUDGET_US,
            conditions={**_conditions(count, full), "counted": counted},
        ),
        Figure(
            name="listener.rate",
            unit="messages/s",
            better="higher",
            runs=[run["rate"] for run in full],
            budget=_BUDGET_RATE,
            conditions={
                **_conditions(count, full),
                "counted": "first message to last acknowledgement",
                "judged_by_then": [run["judged"] for run in full],
            },
        ),
    ]


def _conditions(count: int, took: list[dict[str, Any]]) -> dict[str, Any]:
    example = lines.messages(1)[0]
    return {
        "messages": count,
        "devices": _DEVICES,
        "unanswered_per_device": _WINDOW,
        "payload": example.payload.decode(),
        "topic": example.topic,
        "mqtt": "3.1.1, QoS 1, acknowledged after the commit",
        "line": "1000 sensors, Western Electric rules and EWMA, board and history on",
        "publisher": "another process on the same cores",
        "publisher_us_per_message": round(took[0]["publisher_us"], 3),
        "findings_per_1000": round(took[0]["findings"] / count * 1000, 2),
        "received": took[0]["received"],
        "stored": took[0]["stored"],
        "pending": max(run["pending"] for run in took),
    }


def _publish(load: Helper, folder: Path, count: int, rate: float) -> dict[str, Any]:
    folder.mkdir()
    line = folder / "line.toml"
    line.write_text(lines.BENCH_LINE, encoding="utf-8")
    with running(line, folder, "--no-simulator") as twin:
        settings = {
            "port": twin.mqtt_port,
            "count": count,
            "devices": _DEVICES,
            "window": _WINDOW,
            "rate": rate,
        }
        load.prepare(settings)
        before = twin.cpu_s()
        load.go()
        told = load.result(120.0)
        ledger = twin.get("/api/ledger")
        judged = ledger["received"] - ledger["pending"]
        twin.wait_received(count, 120.0)
        cpu = twin.cpu_s() - before
        twin.stop()
    outcome = twin.outcome
    if not outcome["stored"] == told["acknowledged"] == count:
        raise RuntimeError(f"{count} sent, {told['acknowledged']} acknowledged: {outcome}")
    return {
        "cpu_us": cpu / count * 1e6,
        "rate": count / told["seconds"],
        "publisher_us": told["cpu_s"] / count * 1e6,
        "judged": judged,
        "findings": outcome["findings"],
        "received": outcome["received"],
        "stored": outcome["stored"],
        "pending": outcome["pending"],
    }
