"""Run rules as finite automata: what a chart has to remember of its past, and no more.

An automaton reads symbols. A symbol is the cell of the newest point (the stretch between two
neighbouring zone borders) and, when the set counts steps, whether it lies above or below the point
before. Each rule becomes a small table; tables are multiplied over the states that can be reached
and states nobody can tell apart are merged. Points on a border have no probability here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.detectors.spc.rules import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from twin.detectors.spc.rules import Rule

    _Step = Callable[[Any, int], Any]

__all__ = ["SIGNAL", "Automaton", "TooManyStatesError", "automaton", "borders", "counts_steps"]

SIGNAL = -1
"""Next state when a rule becomes true."""

_MOST_STATES = 400_000
_MOST_OF_A_RULE = 20_000
_INSIDE, _HIGH, _LOW = 0, 1, 2
_DOWN, _UP = 0, 1
_STEPS = {Kind.TREND, Kind.ALTERNATE}


class TooManyStatesError(ValueError):
    """A rule set needs more memory of the past than can be followed exactly."""


@dataclass(frozen=True, slots=True)
class Automaton:
    """A rule set as a table.

    Attributes:
        edges: Borders of the cells in sigma of the chart, ascending, shape (cells - 1,).
        table: int64, shape (states, symbols): next state or :data:`SIGNAL`. State 0 is a fresh
            chart. With steps, symbol = 2 * cell + (1 if the point is above the one before).
        cell: int64, shape (states,): cell of the newest point, -1 for a fresh chart; all 0 when
            nobody asked to remember it.
        steps: Whether symbols carry a direction.
    """

    edges: tuple[float, ...]
    table: NDArray[np.int64]
    cell: NDArray[np.int64]
    steps: bool


def counts_steps(rules: tuple[Rule, ...]) -> bool:
    """Whether a set has a trend or alternation rule, which compare neighbouring points."""
    return any(rule.kind in _STEPS for rule in rules)


def borders(rules: tuple[Rule, ...]) -> tuple[float, ...]:
    """Zone borders of a set, both sides, ascending, in sigma."""
    levels = {rule.sigma for rule in rules if rule.kind not in _STEPS}
    return tuple(sorted(levels | {-level for level in levels}))


@lru_cache(maxsize=32)
def automaton(
    rules: tuple[Rule, ...], edges: tuple[float, ...], *, remember: bool = False
) -> Automaton:
    """The automaton of a rule set.

    Args:
        rules: At least one rule.
        edges: Borders of the cells, ascending; holds at least those of :func:`borders`.
        remember: Whether states know the cell of the newest point (needed as soon as the next
            point is compared with it). Sets that count steps always do.

    Raises:
        TooManyStatesError: The set cannot be followed exactly.
    """
    steps = counts_steps(rules)
    cells = len(edges) + 1
    middles = _middles(edges)
    whole = _last_cell(cells, steps=steps) if remember or steps else np.zeros((1, cells), np.int64)
    label = np.arange(len(whole), dtype=np.int64) - (1 if len(whole) > 1 else 0)
    for rule in sorted(rules, key=lambda rule: rule.points):
        classes = _classes(rule, middles, steps=steps)
        whole, label = _product(whole, label, _of_rule(rule)[:, classes])
        whole, label = _merged(whole, label)
    return Automaton(edges, whole, label, steps)


def _middles(edges: tuple[float, ...]) -> NDArray[np.float64]:
    """One point inside each cell."""
    if not edges:
        return np.zeros(1)
    inner = [(a + b) / 2 for a, b in pairwise(edges)]
    return np.array([edges[0] - 1.0, *inner, edges[-1] + 1.0])


def _last_cell(cells: int, *, steps: bool) -> NDArray[np.int64]:
    """Remembers the cell of the newest point; steps that cannot happen lead nowhere."""
    target = np.arange(cells, dtype=np.int64) + 1
    table = np.tile(target, (cells + 1, 1))
    if not steps:
        return table
    table = np.repeat(table, 2, axis=1)
    for cell in range(cells):
        table[cell + 1, 2 * cell + 2 + _DOWN :: 2] = SIGNAL
        table[cell + 1, _UP : 2 * cell : 2] = SIGNAL
    return table


def _classes(rule: Rule, middles: NDArray[np.float64], *, steps: bool) -> NDArray[np.int64]:
    """What a rule sees of each symbol."""
    if rule.kind in _STEPS:
        return np.tile(np.array([_DOWN, _UP], np.int64), len(middles))
    seen = np.where(middles > rule.sigma, _HIGH, np.where(-middles > rule.sigma, _LOW, _INSIDE))
    return np.repeat(seen, 2 if steps else 1).astype(np.int64)


def _of_rule(rule: Rule) -> NDArray[np.int64]:
    """Table of one rule over what it sees: (inside, high, low) or (down, up)."""
    k, m = rule.needed, rule.points
    start: Any
    if rule.kind is Kind.BEYOND:
        start, step = (0, 0), _beyond(k, m)
    elif rule.kind is Kind.EITHER:
        start, step = 0, _either(k, m)
    elif rule.kind is Kind.MIXED:
        start, step = (0, 0), _mixed(k, m)
    elif rule.kind is Kind.WITHIN:
        start, step = 0, _within(m)
    elif rule.kind is Kind.PAIR:
        start, step = _INSIDE, _pair
    else:
        start, step = None, _monotone(m, turn=rule.kind is Kind.ALTERNATE)
    return _reach(start, step, 2 if rule.kind in _STEPS else 3)


def _reach(start: Any, step: _Step, classes: int) -> NDArray[np.int64]:
    number: dict[Any, int] = {start: 0}
    queue, rows = [start], []
    for state in queue:
        row = []
        for seen in range(classes):
            after = step(state, seen)
            if after is None:
                row.append(SIGNAL)
                continue
            if after not in number:
                number[after] = len(number)
                queue.append(after)
            row.append(number[after])
        rows.append(row)
        if len(queue) > _MOST_OF_A_RULE:
            raise TooManyStatesError(f"a rule has more than {_MOST_OF_A_RULE} states")
    return np.array(rows, np.int64)


def _useful(bits: int, k: int, m: int) -> int:
    """Of the last points (bit 0 = newest) those that may still be among k of m."""
    kept = 0
    for ahead in range(1, m):
        seen = bits & ((1 << (m - ahead)) - 1)
        if seen.bit_count() + ahead >= k:
            kept |= seen
    return kept


def _beyond(k: int, m: int) -> _Step:
    window = (1 << m) - 1

    def step(state: Any, seen: int) -> Any:
        high, low = state
        high = (high << 1 | (seen == _HIGH)) & window
        low = (low << 1 | (seen == _LOW)) & window
        if (high & 1 and high.bit_count() >= k) or (low & 1 and low.bit_count() >= k):
            return None
        return _useful(high, k, m), _useful(low, k, m)

    return step


def _either(k: int, m: int) -> _Step:
    window = (1 << m) - 1

    def step(state: Any, seen: int) -> Any:
        out: int = state
        out = (out << 1 | (seen != _INSIDE)) & window
        return None if out & 1 and out.bit_count() >= k else _useful(out, k, m)

    return step


def _mixed(k: int, m: int) -> _Step:
    window = (1 << m) - 1

    def step(state: Any, seen: int) -> Any:
        high, low = state
        high = (high << 1 | (seen == _HIGH)) & window
        low = (low << 1 | (seen == _LOW)) & window
        out = high | low
        if out & 1 and out.bit_count() >= k and high and low:
            return None
        kept = _useful(out, k, m)
        return high & kept, low & kept

    return step


def _within(m: int) -> _Step:
    def step(state: Any, seen: int) -> Any:
        inside: int = 0 if seen != _INSIDE else state + 1
        return None if inside >= m else inside

    return step


def _pair(state: Any, seen: int) -> Any:
    return None if (state, seen) in ((_HIGH, _LOW), (_LOW, _HIGH)) else seen


def _monotone(m: int, *, turn: bool) -> _Step:
    """Steps in a row that go on (trend) or turn (alternation); m points have m - 1 steps."""

    def step(state: Any, seen: int) -> Any:
        if state is None:
            return (_UP, 0)  # one point, no step yet
        way, count = state
        goes_on = count > 0 and (seen != way) == turn
        count = count + 1 if goes_on else 1
        return None if count >= m - 1 else (seen, count)

    return step


def _product(
    one: NDArray[np.int64], label: NDArray[np.int64], two: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both automata at once, over the pairs of states that can be reached."""
    size = len(two)
    known = np.zeros(1, np.int64)  # codes of pairs, sorted
    fresh = known
    while len(fresh):
        after = _pairs(one, two, fresh, size)
        fresh = np.setdiff1d(after[after >= 0], known)
        known = np.union1d(known, fresh)
        if len(known) > _MOST_STATES:
            raise TooManyStatesError(f"a rule set has more than {_MOST_STATES} states")
    after = _pairs(one, two, known, size)
    table = np.where(after < 0, SIGNAL, np.searchsorted(known, after))
    return table.astype(np.int64), label[known // size]


def _pairs(
    one: NDArray[np.int64], two: NDArray[np.int64], codes: NDArray[np.int64], size: int
) -> NDArray[np.int64]:
    first, second = one[codes // size], two[codes % size]
    return np.where((first < 0) | (second < 0), SIGNAL, first * size + second)


def _merged(
    table: NDArray[np.int64], label: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Merge states with equal labels and equal futures (Moore's partition refinement)."""
    # A fixed 64-bit mix of the classes of all followers stands for them.
    mix = np.array(
        [pow(0x9E3779B97F4A7C15, 2 * i + 1, 1 << 64) for i in range(table.shape[1] + 1)], np.uint64
    )
    _, group = np.unique(label, return_inverse=True)
    count = 0
    while True:
        held = np.append(group + 1, 0).astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)
        held ^= held >> np.uint64(29)
        key = (held[table] * mix[1:]).sum(axis=1, dtype=np.uint64) + held[:-1] * mix[0]
        _, first, group = np.unique(key, return_index=True, return_inverse=True)
        if len(first) == count:
            break
        count = len(first)
    # Keep the fresh chart at place 0.
    order = np.argsort(first, kind="stable")
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    group = place[group]
    first = first[order]
    follow = np.append(group, SIGNAL)
    return follow[table[first]].astype(np.int64), label[first]
