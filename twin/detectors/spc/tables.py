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


class Tables:
    """All rule sets in use as arrays, one row per set.

    Attributes:
        rules: Shape (sets, RULES) of ``kernel.RULE``.
        n_rules: int64, shape (sets,).
        levels: float64, shape (sets, LEVELS); distances from the centre line in sigma.
        n_levels: int64, shape (sets,).

    Raises:
        ValueError: A set does not fit: too many rules or distances, a pattern that is too long or
            asks for more points than it has, or one rule id twice.
    """

    def __init__(self, sets: Sequence[RuleSet]) -> None:
        self.rules: NDArray[np.void] = np.zeros((len(sets), kernel.RULES), kernel.RULE)
        self.n_rules = np.array([len(chosen.rules) for chosen in sets], np.int64)
        self.levels = np.zeros((len(sets), kernel.LEVELS))
        self.n_levels = np.zeros(len(sets), np.int64)
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


def _row(chosen: RuleSet, rule: Rule, level: int) -> tuple[Any, ...]:
    shortest = 2 if rule.kind in _STEPS or rule.kind is Kind.PAIR else 1
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


def _refusal(chosen: RuleSet, found: str, allowed: str) -> str:
    return f"rule set {chosen.id!r} has {found}; allowed: {allowed}"
