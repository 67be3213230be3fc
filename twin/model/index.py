"""The line description made flat: one dense number per sensor, which everything hot works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twin.model.line import Sensor, Station

if TYPE_CHECKING:
    from twin.model.baseline import Baseline
    from twin.model.line import Channel, Line

__all__ = ["LineIndex", "SensorRow"]


@dataclass(frozen=True, slots=True)
class SensorRow:
    """A sensor with ``each`` expanded and its topic filled in.

    Attributes:
        index: Dense index, position in ``LineIndex.sensors``.
        id: ``station/key``.
        station: Its station.
        spec: Its row of the line description (key, topic, path, sparkplug already filled in).
    """

    index: int
    id: str
    station: Station
    spec: Sensor


@dataclass(frozen=True, slots=True)
class LineIndex:
    """One version of the line, ready for use.

    Attributes:
        line: The description it was made from.
        version: Hash of the files it was read from, 16 hex digits.
        sensors: All sensors; position = dense index.
        by_id: Sensor id to row.
        channels: Formation channels with ``each`` expanded (keys are sensor *ids* then).
        control: Control plan rows by id (columns of the CSV as strings).
        baselines: Approved baselines of each sensor id, one per recipe (the newest version).
        files: File name to text, everything needed to read this version again.
    """

    line: Line
    version: str
    sensors: list[SensorRow]
    by_id: dict[str, SensorRow] = field(repr=False)
    channels: list[Channel] = field(default_factory=list)
    control: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    baselines: dict[str, list[Baseline]] = field(default_factory=dict, repr=False)
    files: dict[str, str] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.sensors)

    def groups(self) -> list[SensorRow]:
        """Groups of sensors as rows beside the sensors, with the ids findings carry (``group/id``).

        Their number goes on after that of the last sensor; no sample ever has it.
        """
        station = Station(id="group", title="Groups")
        return [
            SensorRow(
                len(self.sensors) + i,
                f"group/{group.id}",
                station,
                Sensor(key=group.id, title=group.title),
            )
            for i, group in enumerate(self.line.group)
        ]
