"""From the command to the first live value on the board."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from twin.cli.benches.figure import Figure, Work
from twin.cli.benches.running import running
from twin.cli.run import demo_line

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["measure"]

_BUDGET_S = 5.0
_FIRST_S = 3.0
_PATIENCE_S = 60.0


def measure(work: Work) -> list[Figure]:
    """Seconds of a second start: compiled kernels are there, and so is a journal."""
    line = demo_line()
    with running(line, work.folder, "--simulator") as twin:
        time.sleep(_FIRST_S)
        twin.stop()
    return [
        Figure(
            name="start.first_value",
            unit="s",
            runs=[_start(line, work.folder) for _ in range(work.runs)],
            budget=_BUDGET_S,
            conditions={
                "line": "examples/pilot-line, simulated",
                "start": "not the first; compiled kernels are cached, data of the last run is there",
                "until": "/api/overview shows a value received after the start",
            },
        )
    ]


def _start(line: Path, folder: Path) -> float:
    begin = time.monotonic()
    with running(line, folder, "--simulator") as twin:
        while not _live(twin.get("/api/overview"), time.monotonic() - begin):
            if time.monotonic() - begin > _PATIENCE_S:
                raise RuntimeError("no value came")
            time.sleep(0.02)
        took = time.monotonic() - begin
        twin.stop()
    return took


def _live(overview: dict[str, Any], since_s: float) -> bool:
    """Whether a sensor shows a value that was received in the last ``since_s`` seconds."""
    ages = [tile["age_s"] for station in overview["stations"] for tile in station["tiles"]]
    return any(age is not None and age < since_s for age in ages)
