"""The detection stage: every detector that ``twin.detectors`` exports, in one fixed order.

::

    batch ─► validity ─► series ─► charts, spread, outliers, groups, ... ─► findings by sample
             marks       points    (samples, or the points made of them)

A new detector is one file, one test file and an export: it is found here by being exported, and
takes part in running, snapshots, reloads and the board without another line of code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import twin.detectors
from twin.detectors import Validity
from twin.detectors.logic import Logic
from twin.detectors.series import Series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.event import Event
    from twin.model.index import LineIndex

__all__ = ["Detection"]

_Kind = TypeVar("_Kind", bound=Logic)


class Detection:
    """All detectors of a line.

    Args:
        index: The line.
    """

    def __init__(self, index: LineIndex) -> None:
        self.validity = Validity(index)
        self.series = Series(index)
        self.judges = [kind(index) for kind in _judges()]

    def update(
        self, batch: Batch, name_of: NameOf | None = None
    ) -> tuple[list[Event], list[Event]]:
        """Judge the rows of a batch; rows found invalid are marked in ``batch.marks``.

        Returns:
            What the validity tests say, and the findings of all others in order of their samples.
        """
        said = self.validity.update(batch, name_of)
        points = self.series.update(batch)
        found: list[Event] = []
        for judge in self.judges:
            found += judge.update(batch, name_of)
            if judge.judges == "points" and len(points):
                found += judge.update_points(points, batch, name_of)
        found.sort(key=_by_row)
        return said, found

    def get(self, kind: type[_Kind]) -> _Kind:
        """The detector of a kind."""
        return next(judge for judge in self if isinstance(judge, kind))

    def __iter__(self) -> Iterator[Any]:
        yield self.validity
        yield self.series
        yield from self.judges

    def open_findings(self, sensor: int) -> list[Event]:
        """Findings of a sensor that are open now."""
        return [
            event
            for judge in self
            if judge.about == "sensor"
            for event in judge.open_findings(sensor)
        ]

    def group_findings(self, group: int) -> list[Event]:
        """Findings of a group of sensors that are open now."""
        return [
            event
            for judge in self
            if judge.about == "group"
            for event in judge.open_findings(group)
        ]

    def chart(self, sensor: int, points: int) -> dict[str, Any] | None:
        """The chart of a sensor as the board draws it; None for one without a chart.

        Returns:
            What the first detector that plots the sensor says: ``t``, ``v`` and ``rules`` of the
            last points, and, where it has them, ``centre``, ``sigma``, ``lcl`` and ``ucl`` (a
            number, or a list with one entry per point), ``ewma``, ``note``.
        """
        for judge in self.judges:
            plot = getattr(judge, "plotted", None)
            if judge.about == "sensor" and plot is not None:
                plotted: dict[str, Any] | None = plot(sensor, points)
                if plotted is not None:
                    return plotted
        return None

    def snapshot(self) -> dict[str, Any]:
        """State of all detectors by name."""
        return {detector.name: detector.snapshot() for detector in self}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot taken under the same line; what it does not hold starts fresh.

        Raises:
            StateError: A detector's part belongs to another version or other settings.
        """
        for detector in self:
            if detector.name in state:
                detector.restore(state[detector.name])

    def follow(self, old: Detection) -> list[Event]:
        """Take over what the detectors of another version of the line know.

        Returns:
            Closing events of findings whose sensor is gone or has other settings now.
        """
        before = {detector.name: detector for detector in old}
        return [
            event
            for detector in self
            if detector.name in before
            for event in detector.follow(before[detector.name])
        ]


def _judges() -> list[Any]:  # called by their shape: a detector takes the line and nothing else
    """Exported detectors but those with a place of their own, in order."""
    things = (getattr(twin.detectors, name) for name in twin.detectors.__all__)
    kinds = [
        thing
        for thing in things
        if isinstance(thing, type)
        and issubclass(thing, Logic)
        and thing not in (Logic, Validity, Series)
    ]
    return sorted(kinds, key=lambda kind: (kind.order, kind.name))


def _by_row(event: Event) -> int:
    return event.row
