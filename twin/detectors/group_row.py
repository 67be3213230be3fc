"""What every detector of groups knows about a group: its sensors, and when they make a vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twin.detectors.logic import NEVER, max_gap_ns

if TYPE_CHECKING:
    from twin.model.index import SensorRow
    from twin.model.line import Group

__all__ = ["GroupRow", "max_gap_of", "trigger_of"]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group with the rows of its sensors.

    Attributes:
        index: Its place in the line description.
        spec: Its table.
        members: Its sensors, in order of the vector.
    """

    index: int
    spec: Group
    members: list[SensorRow]

    @property
    def id(self) -> str:
        """``group/`` and its id, the place its findings are shown at."""
        return f"group/{self.spec.id}"


def trigger_of(row: GroupRow) -> int:
    """Member whose values make vectors: the slowest by ``period_s``, else the last; -1 without age."""
    if row.spec.max_age_s is None:
        return -1
    periods = [member.spec.period_s or 0.0 for member in row.members]
    return len(periods) - 1 - periods[::-1].index(max(periods))


def max_gap_of(row: GroupRow) -> int:
    """Longest hole between two vectors that leaves them neighbours, ns: that of the slowest member."""
    if row.spec.max_gap_s is not None:
        return round(row.spec.max_gap_s * 1e9)
    return min(NEVER, max(max_gap_ns(member.spec) for member in row.members))
