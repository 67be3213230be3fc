"""A measured figure, and what a benchmark is given to measure it."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Cost", "Figure", "Work", "cost_of", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    Attributes:
        name: ``bench.figure``, stable between versions.
        unit: What ``value`` counts.
        runs: What each run gave, in order; empty when it could not be measured.
        better: Whether a lower or a higher value is better.
        budget: What the design asks for, in ``unit``; None when it asks for nothing.
        conditions: What the value depends on: counts, sizes, an example of a message.
        comparison: The same measured with something else, in the same run: dicts with ``name``,
            ``value`` and ``unit``, or ``name`` and ``skipped``.
        skipped: Why there is no value; empty when there is one.
    """

    name: str
    unit: str
    runs: list[float] = field(default_factory=list)
    better: Literal["lower", "higher"] = "lower"
    budget: float | None = None
    conditions: dict[str, Any] = field(default_factory=dict)
    comparison: list[dict[str, Any]] = field(default_factory=list)
    skipped: str = ""

    @property
    def value(self) -> float | None:
        """Median of the runs."""
        return statistics.median(self.runs) if self.runs else None

    @property
    def met(self) -> bool | None:
        """Whether the budget is kept; None without a value or a budget."""
        if self.value is None or self.budget is None:
            return None
        return self.value <= self.budget if self.better == "lower" else self.value >= self.budget

    def plain(self) -> dict[str, Any]:
        """The figure as it is printed with ``--json``."""
        runs = [_rounded(run) for run in self.runs]
        return {
            **asdict(self),
            "value": None if self.value is None else _rounded(self.value),
            "min": min(runs, default=None),
            "max": max(runs, default=None),
            "runs": runs,
            "met": self.met,
        }


def _rounded(value: float) -> float:
    """Four digits: more would not be the same in the next run."""
    return float(f"{value:.4g}")


def skipped(name: str, unit: str, why: str, budget: float | None = None) -> Figure:
    """A figure that could not be measured."""
    return Figure(name=name, unit=unit, budget=budget, skipped=why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a benchmark works with.

    Attributes:
        folder: An empty folder of its own.
        runs: How often everything is measured.
        scale: Factor on all counts, 1 for figures that mean something.
        say: Tells the person who waits what is going on.
        data: Folder of recordings to judge, as the person named it; None for the usual place.
        out: Where to write what was said about each row; None writes nothing.
    """

    folder: Path
    runs: int = 3
    scale: float = 1.0
    say: Callable[[str], None] = lambda _: None
    data: Path | None = None
    out: Path | None = None

    def count(self, full: int, least: int = 1) -> int:
        """``full`` things at full scale, fewer in a quick run."""
        return max(least, round(full * self.scale))


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took: processor time of this process and time on the clock, s."""

    cpu_s: float
    wall_s: float


def cost_of(work: Callable[[], object]) -> Cost:
    """Call ``work`` once with a tidy heap and say what it took."""
    gc.collect()
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return Cost(time.process_time() - cpu, time.monotonic() - wall)
