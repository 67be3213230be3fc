"""The state record of an alarm occurrence and the edges between its states."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from twin.model.event import event_id

if TYPE_CHECKING:
    from twin.model.line import Alarm

__all__ = ["MAX_SHELVE_S", "Occurrence", "Refusal", "State"]

MAX_SHELVE_S = 8 * 3600
"""Longest shelf: one shift."""


class State(StrEnum):
    """Names of ISA-18.2 states; first match wins in the order of :meth:`Occurrence.state`."""

    SHLVD = "SHLVD"
    UNACK = "UNACK"
    ACKED = "ACKED"
    LUNACK = "LUNACK"
    LACKED = "LACKED"
    RTNUN = "RTNUN"
    NORM = "NORM"


class Refusal(Exception):  # noqa: N818 - it is an answer to a person, not a fault
    """An action that is not possible now, in a sentence for the person who asked.

    Attributes:
        code: ``unknown``, ``changed`` or ``refused``.
    """

    def __init__(self, sentence: str, code: str = "refused") -> None:
        self.code = code
        super().__init__(sentence)


class Occurrence(msgspec.Struct, kw_only=True):
    """One activation of one alarm.

    Times are ns since 1970 UTC; 0 means not (yet).

    Attributes:
        id: Identity, from alarm, sensor and onset.
        alarm: Alarm id of the line description.
        sensor: ``station/key``.
        number: How many occurrences of this alarm there were, this one included.
        onset_ns: Event time at which the condition began.
        raised_ns: Event time at which it was annunciated (onset plus on-delay).
        cleared_ns: Event time at which the condition ended.
        active: Whether the condition holds.
        acked_ns: When a person acknowledged it.
        acked_by: That person.
        comment: What they said.
        latched: Must be reset by a person after it cleared.
        shelved_until_ns: Shelved until then.
        shelved_by: By whom.
        shelved_reason: Why.
        input_stale: The sensor fell silent while the alarm was active.
        value: Value that raised it.
        limit: Limit in force at the onset.
        rule: Rule that raised it; empty for plain limits.
        rule_text: The rule in words.
        first_ns: First sample of the pattern.
        product: Product at the station.
        place: Metre or slot.
        told: Events about it so far; part of their identity, as two may bear the same time.
        earlier: Ids of earlier occurrences that nobody acknowledged; they go with this one.
    """

    id: str
    alarm: str
    sensor: str
    number: int
    onset_ns: int
    raised_ns: int
    cleared_ns: int = 0
    active: bool = True
    acked_ns: int = 0
    acked_by: str = ""
    comment: str = ""
    latched: bool = False
    shelved_until_ns: int = 0
    shelved_by: str = ""
    shelved_reason: str = ""
    input_stale: bool = False
    value: float | None = None
    limit: float | None = None
    rule: str = ""
    rule_text: str = ""
    first_ns: int = 0
    product: str | None = None
    place: float | None = None
    told: int = 0
    earlier: list[str] = []

    @classmethod
    def identity(cls, alarm: str, sensor: str, onset_ns: int, number: int) -> str:
        """Id of an occurrence."""
        return event_id("occurrence", alarm, sensor, onset_ns, number)

    def state(self) -> State:
        """The name that is shown."""
        if self.shelved_until_ns:
            return State.SHLVD
        if self.active:
            return State.ACKED if self.acked_ns else State.UNACK
        if self.latched:
            return State.LACKED if self.acked_ns else State.LUNACK
        return State.NORM if self.acked_ns else State.RTNUN

    def over(self) -> bool:
        """Whether nobody has to do anything about it any more."""
        return self.state() is State.NORM

    def clear(self, time_ns: int) -> None:
        """The condition ended."""
        self.active = False
        self.cleared_ns = time_ns

    def acknowledge(self, actor: str, comment: str, time_ns: int) -> None:
        """A person has seen it.

        Raises:
            Refusal: It was acknowledged before.
        """
        if self.acked_ns:
            raise Refusal(f"already acknowledged by {self.acked_by}")
        self.acked_ns, self.acked_by, self.comment = time_ns, actor, comment

    def shelve(self, actor: str, reason: str, until_ns: int, now_ns: int, spec: Alarm) -> None:
        """Put it aside for a limited time.

        Raises:
            Refusal: No reason, too long, or a safety alarm.
        """
        if spec.priority == "P1" and spec.alarm_class == "safety":
            raise Refusal("a safety alarm cannot be shelved")
        if not reason.strip():
            raise Refusal("shelving needs a reason")
        if not now_ns < until_ns <= now_ns + MAX_SHELVE_S * 1_000_000_000:
            raise Refusal(f"a shelf ends within {MAX_SHELVE_S // 3600} hours")
        self.shelved_until_ns, self.shelved_by, self.shelved_reason = until_ns, actor, reason

    def unshelve(self) -> None:
        """Back among the alarms; what was unacknowledged before is so again.

        Raises:
            Refusal: It is not shelved.
        """
        if not self.shelved_until_ns:
            raise Refusal("this alarm is not shelved")
        self.shelved_until_ns = 0

    def reset(self) -> None:
        """Release the latch.

        Raises:
            Refusal: The condition still holds, or nobody acknowledged.
        """
        if self.active:
            raise Refusal("the condition still holds; it can be reset when it has cleared")
        if not self.latched:
            raise Refusal("this alarm does not latch")
        if not self.acked_ns:
            raise Refusal("acknowledge it first")
        self.latched = False
