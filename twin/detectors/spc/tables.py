"""Rule sets turned into the arrays the kernel reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from twin.detectors.spc import kernel
from twin.detectors.spc.rules import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from twin.detectors.spc.rules import Rule, RuleSet

__all__ = ["Tables"]

_CODES = {
    Kind.BEYOND: kernel.BEYOND,
    Kind.EITHER: kernel.EITHER,
    Kind.MIXED: kernel.MIXED,
    Kind.WITHIN: kernel.WITHIN,
    Kind.TREND: kernel.TREND,
    Kind.ALTERNATE: kernel.ALTERNATE,
    Kind.PAIR: kernel.PAIR,
}
_STEPS = {Kind.TREND, Kind.ALTERNATE}
_LEVELLED = {Kind.BEYOND, Kind.EITHER, Kind.MIXED, Kind.WITHIN, Kind.PAIR}

_NEVER = (1 << kernel.LONGEST + 2) - 1
"""A window with more steps than any history has."""


class Tables:
    """All rule sets in use as arrays, one row per set.

    Attributes:
        rules: Shape (sets, RULES) of ``kernel.RULE``.
        n_rules: int64, shape (sets,).
        levels: float64, shape (sets, LEVELS); distances from the centre line in sigma.
        n_levels: int64, shape (sets,).
        plans: int64, shape (sets, BY_ZONE + LEVELS + 1); which rules can be true at all, see kernel.

    Raises:
        ValueError: A set does not fit: too many rules or distances, a pattern that is too long or
            asks for more points than it has, or one rule id twice.
    """

    def __init__(self, sets: Sequence[RuleSet]) -> None:
        self.rules: NDArray[np.void] = np.zeros((len(sets), kernel.RULES), kernel.RULE)
        self.n_rules = np.array([len(chosen.rules) for chosen in sets], np.int64)
        self.levels = np.zeros((len(sets), kernel.LEVELS))
        self.n_levels = np.zeros(len(sets), np.int64)
        self.plans = np.zeros((len(sets), kernel.BY_ZONE + kernel.LEVELS + 1), np.int64)
        for number, chosen in enumerate(sets):
            self._fill(number, chosen)

    def _fill(self, number: int, chosen: RuleSet) -> None:
        if len(chosen.rules) > kernel.RULES:
            raise ValueError(_refusal(chosen, f"{len(chosen.rules)} rules", f"{kernel.RULES}"))
        if len({rule.id for rule in chosen.rules}) < len(chosen.rules):
            raise ValueError(_refusal(chosen, "a rule id twice", "different ids"))
        levels = sorted({rule.sigma for rule in chosen.rules if rule.kind in _LEVELLED})
        if len(levels) > kernel.LEVELS or (levels and levels[0] < 0):
            raise ValueError(
                _refusal(chosen, f"distances {levels}", f"{kernel.LEVELS}, none negative")
            )
        self.levels[number, : len(levels)] = levels
        self.n_levels[number] = len(levels)
        for r, rule in enumerate(chosen.rules):
            level = levels.index(rule.sigma) if rule.kind in _LEVELLED else 0
            self.rules[number, r] = _row(chosen, rule, level)
        self.plans[number] = _plan(self.rules[number, : len(chosen.rules)])


def _row(chosen: RuleSet, rule: Rule, level: int) -> tuple[Any, ...]:
    shortest = 2 if rule.kind in _STEPS or rule.kind in (Kind.PAIR, Kind.MIXED) else 1
    if not shortest <= rule.points <= kernel.LONGEST or not 1 <= rule.needed <= rule.points:
        raise ValueError(
            _refusal(
                chosen,
                f"{rule.id}: {rule.needed} of {rule.points} points",
                f"{shortest} to {kernel.LONGEST} points",
            )
        )
    bits = rule.points - 1 if rule.kind in _STEPS else rule.points
    window = (1 << bits) - 1
    odd = sum(1 << bit for bit in range(0, bits, 2))
    return _CODES[rule.kind], rule.needed, level, rule.points - 1, window, odd


def _plan(rules: NDArray[np.void]) -> list[int]:
    """Which rules of a set can be true at all; see ``kernel.BY_ZONE``."""
    plan = [_NEVER, _NEVER, 0, 0] + [0] * (kernel.LEVELS + 1)
    for r, rule in enumerate(rules):
        kind, window = int(rule["kind"]), int(rule["window"])
        if kind in {kernel.TREND, kernel.ALTERNATE}:
            plan[kernel.STEP_RULES] |= 1 << r
            column = kernel.TREND_WINDOW if kind == kernel.TREND else kernel.TURN_WINDOW
            if window < plan[column]:
                plan[column] = window
                if kind == kernel.ALTERNATE:
                    plan[kernel.TURN_ODD] = int(rule["odd"])
            continue
        for zone in range(kernel.LEVELS + 1):
            # Distances are sorted: beyond so many of them means beyond the nearest ones.
            if (zone > rule["level"]) != (kind == kernel.WITHIN):
                plan[kernel.BY_ZONE + zone] |= 1 << r
    return plan


def _refusal(chosen: RuleSet, found: str, allowed: str) -> str:
    return f"rule set {chosen.id!r} has {found}; allowed: {allowed}"
