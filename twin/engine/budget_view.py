"""Where the budget of false findings goes, beside the findings that were really seen."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from twin.config.budget import allowed_per_shift, budget
from twin.model.event import iso

if TYPE_CHECKING:
    from twin.engine.store import Reader
    from twin.model.index import LineIndex
    from twin.ports import Clock

__all__ = ["BudgetView"]

_DAY_NS = 86_400 * 1_000_000_000
_STEP = 5000
_MOST = 100_000
"""Findings that are looked at when the first board asks; more in a day are more than anybody reads."""
_ONE_RULE = frozenset(
    ["ewma", "cusum", "hampel", "anomaly", "noise", "mewma", "t2", "spe", "mr", "r", "s", "change"]
)


class BudgetView:
    """Planned and observed findings per chart.

    Planned numbers are computed once per version of the line. Findings are read from the store
    once and then only those that are new, so that asking again costs next to nothing. Called from
    any thread; one at a time works.

    Args:
        reader: A reader of the store for this alone.
        clock: What "the last 24 hours" are counted from.
    """

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._turn = threading.Lock()
        self._planned: tuple[str, list[dict[str, Any]]] = ("", [])
        self._seen: deque[tuple[int, str, str]] = deque()
        self._last = -1

    def answer(self, index: LineIndex) -> dict[str, Any]:
        """A ``Budget``."""
        with self._turn:
            if self._planned[0] != index.version:
                self._planned = (index.version, budget(index))
            now = self._clock.wall_ns()
            self._follow(now - _DAY_NS)
            begin = max(now - _DAY_NS, self._reader.first_ns() or now)
            found = Counter((sensor, rule) for time, sensor, rule in self._seen if time >= begin)
        return _side_by_side(index, self._planned[1], found, now, begin)

    def _follow(self, oldest: int) -> None:
        """Note the findings since the last look, and forget those older than a day."""
        if self._last < 0:
            self._begin(oldest)
        while True:
            rows = self._reader.findings_after(self._last, _STEP)
            for n, event in rows:
                self._last = n
                self._seen.append((event.t_last, event.sensor, event.rule))
            if len(rows) < _STEP:
                break
        while self._seen and (self._seen[0][0] < oldest or len(self._seen) > _MOST):
            self._seen.popleft()

    def _begin(self, oldest: int) -> None:
        """Start behind the newest finding that is too old."""
        self._last = 0
        for taken, (n, event) in enumerate(self._reader.findings_back()):
            if event.t_last < oldest or taken >= _MOST:
                self._last = n
                return

    def close(self) -> None:
        """Let go of the store."""
        with self._turn:
            self._reader.close()


def _side_by_side(
    index: LineIndex,
    planned: list[dict[str, Any]],
    found: Counter[tuple[str, str]],
    now: int,
    begin: int,
) -> dict[str, Any]:
    shift_h = index.line.detection.shift_h
    hours = (now - begin) / 3.6e12
    titles = {row.id: row.spec.title or row.spec.key for row in (*index.sensors, *index.groups())}
    left = Counter(found)
    rows = []
    for plan in planned:
        sensor = plan["sensor"] if plan["sensor"] in index.by_id else f"group/{plan['sensor']}"
        seen = _take(left, sensor, plan["statistic"].partition("(")[0])
        rows.append(
            plan | {"sensor": sensor, "title": titles.get(sensor, sensor), "observed": seen}
        )
    rows += [
        _UNPLANNED
        | {"sensor": sensor, "title": titles.get(sensor, sensor), "statistic": rule, "observed": n}
        for (sensor, rule), n in left.most_common()
    ]
    expected = [row["expected_per_shift"] for row in rows if row["expected_per_shift"] is not None]
    total = sum(found.values())
    whole_shift = hours >= shift_h
    return {
        "version": index.version,
        "simulated": index.line.line.simulated,
        "shift_h": shift_h,
        "operators": index.line.detection.operators,
        "accept": index.line.detection.accept,
        "allowed_per_shift": allowed_per_shift(index),
        "planned_per_shift": sum(expected),
        "unknown": sum(row["expected_per_shift"] is None for row in planned),
        "observed": total,
        "observed_from": iso(begin),
        "observed_hours": hours,
        # A rate from a few minutes says nothing.
        "observed_per_shift": total * shift_h / hours if whole_shift else None,
        "rows": rows,
    }


_UNPLANNED: dict[str, Any] = {
    "chart": "",
    "points_per_day": None,
    "arl0": None,
    "method": None,
    "standard_error": None,
    "expected_per_shift": None,
    "share": None,
}


def _take(left: Counter[tuple[str, str]], sensor: str, statistic: str) -> int:
    """Findings of one statistic: its own rule, or for a rule set every rule without a row."""
    own = statistic in _ONE_RULE
    rules = [
        rule
        for name, rule in left
        if name == sensor and (rule == statistic if own else rule not in _ONE_RULE)
    ]
    return sum(left.pop((sensor, rule)) for rule in rules)
