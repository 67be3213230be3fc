"""The sequence numbers of one edge node: what is missing, and when waiting for it is over.

Sparkplug 3.0.0 counts 0-255 over all messages of a node but NDEATH and commands. The numbers
prove or disprove loss; they say nothing about duplicates, because 256 messages later every
number has been used again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["MODULUS", "SequenceTracker", "Step"]

MODULUS = 256
_HALF = MODULUS // 2


class Step(NamedTuple):
    """What a number says.

    Attributes:
        kind: ``ok``, ``first`` (nothing to compare with), ``late`` (a missing one arrived),
            ``repeated`` (the last number once more), ``gap``, or ``back`` (the counter went back
            without a birth).
        missing: Numbers that are missing because of this step, in order.
        unreadable: Messages before this one that could not be decoded and took a number each.
    """

    kind: str
    missing: list[int] = []  # noqa: RUF012 - never changed; a tuple would not survive msgpack
    unreadable: int = 0


@dataclass(slots=True)
class SequenceTracker:
    """Follows the numbers of one node.

    Attributes:
        expected: Next number, None before the first.
        unreadable: Messages without a readable number since the last numbered one.
        waiting: Missing numbers that may still arrive in time.
        lost: Missing numbers given up; they may still arrive late.
        certain: Something is lost for certain, whatever still arrives.
    """

    expected: int | None = None
    unreadable: int = 0
    waiting: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    certain: bool = False

    def restart(self, seq: int) -> None:
        """A birth of the node carries ``seq``: nothing before it matters."""
        self.expected = (seq + 1) % MODULUS
        self.unreadable = 0
        self.waiting, self.lost, self.certain = [], [], False

    def forget(self) -> None:
        """The session has ended; the next number is the first."""
        self.restart(0)
        self.expected = None

    def unnumbered(self) -> None:
        """A message came whose number cannot be read; it took one."""
        self.unreadable += 1

    def see(self, seq: int) -> Step:
        """Judge a number."""
        expected, unreadable = self.expected, self.unreadable
        if seq == expected and not unreadable:  # the usual case
            self.expected = (seq + 1) % MODULUS
            if self.waiting or self.lost:
                self._reused([seq])
            return Step("ok")
        if expected is None:
            self.restart(seq)
            return Step("first")
        ahead = (seq - expected) % MODULUS
        if ahead and (seq in self.waiting or seq in self.lost):
            (self.waiting if seq in self.waiting else self.lost).remove(seq)
            return Step("late")
        if ahead == MODULUS - 1 and not unreadable:
            return Step("repeated")
        self.unreadable = 0
        if ahead >= _HALF and not (unreadable and ahead == MODULUS - 1):
            self.restart(seq)
            self.certain = True
            return Step("back", [], unreadable)
        return self._forward(seq, ahead, unreadable)

    def _forward(self, seq: int, ahead: int, unreadable: int) -> Step:
        expected = self.expected or 0
        if ahead == MODULUS - 1:  # what could not be read had no number after all
            return Step("repeated", [], unreadable)
        missing = [(expected + i) % MODULUS for i in range(min(unreadable, ahead), ahead)]
        self._reused([(expected + i) % MODULUS for i in range(ahead + 1)])
        self.waiting += missing
        self.expected = (seq + 1) % MODULUS
        return Step("gap" if missing else "ok", missing, unreadable)

    def _reused(self, numbers: list[int]) -> None:
        """The counter went round: an old missing number of this name can no longer arrive."""
        for number in numbers:
            if number in self.waiting:
                self.waiting.remove(number)
                self.certain = True
            elif number in self.lost:
                self.lost.remove(number)

    @property
    def complete(self) -> bool:
        """Whether there is nothing left to wait for."""
        return not self.waiting and not self.certain

    def give_up(self) -> list[int]:
        """The reorder time is over; returns the numbers that did not come."""
        missing = self.waiting
        self.lost += missing
        self.waiting, self.certain = [], False
        return missing

    def snapshot(self) -> list[Any]:
        """State as msgpack-able values."""
        return [self.expected, self.unreadable, self.waiting[:], self.lost[:], self.certain]

    @classmethod
    def restored(cls, state: list[Any]) -> SequenceTracker:
        """The tracker a snapshot was taken of."""
        expected, unreadable, waiting, lost, certain = state
        return cls(expected, unreadable, list(waiting), list(lost), certain)
