"""Many sensors: memory of the process, and whether a sample costs more among many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.cli.benches import lines
from twin.cli.benches.children import helper
from twin.cli.benches.figure import Figure, Work
from twin.cli.benches.pipeline import cost_per_message
from twin.cli.benches.running import running

if TYPE_CHECKING:
    from pathlib import Path

    from twin.cli.benches.children import Helper

__all__ = ["measure"]

_SENSORS = 100_000
_FEW = 1000
_ROUNDS = 2
_MESSAGES = 100_000
_FRAME = 1000
_BUDGET_MB = 512.0
_MB = 1e6
_RULES = "8 run rules, EWMA, CUSUM, Hampel (11)"


def measure(work: Work) -> list[Figure]:
    """Resident memory of a running line, and processor time per message at two sizes."""
    sensors = work.count(_SENSORS, 2 * _FEW)
    work.say(f"a line with {sensors:,} sensors")
    with helper("load", work.folder) as load:
        before, after = _resident(load, work.folder, sensors)
    conditions: dict[str, Any] = {"sensors": sensors, "rules": _RULES}
    figures = [
        Figure(
            name="memory.resident",
            unit="MB",
            runs=[after],
            budget=_BUDGET_MB,
            conditions={
                **conditions,
                "samples_per_sensor": _ROUNDS,
                "before_the_first_message_mb": round(before),
                "runs": "one; it hardly varies",
            },
        )
    ]
    for name, count in (("few", _FEW), ("many", sensors)):
        work.say(f"a sample among {count:,} sensors")
        index = lines.bench_index(count, lines.FULL, period_s=60)
        counted = work.count(_MESSAGES, 2000)
        feed = lines.entries(lines.messages(count + counted, count), _FRAME)
        known = count // _FRAME
        figures.append(
            Figure(
                name=f"memory.message_among_{name}",
                unit="µs CPU/message",
                runs=[cost_per_message(index, feed, known) for _ in range(min(work.runs, 2))],
                conditions={"sensors": count, "rules": _RULES, "messages": counted},
            )
        )
    return figures


def _resident(load: Helper, folder: Path, sensors: int) -> tuple[float, float]:
    """Resident memory before the first message and after some of every sensor, MB."""
    line = folder / "line.toml"
    line.write_text(lines.line_text(sensors, lines.FULL, period_s=60), encoding="utf-8")
    with running(line, folder, "--no-simulator") as twin:
        before = twin.memory_bytes()
        count = _ROUNDS * sensors
        load.prepare({"port": twin.mqtt_port, "count": count, "sensors": sensors})
        load.go()
        load.result(120.0)
        twin.wait_received(count, 120.0)
        after = twin.memory_bytes()
        twin.stop()
    return before / _MB, after / _MB
