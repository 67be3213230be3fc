"""A line with one station, alarms on it, and streams of single values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from twin.alarms import Alarms
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Alarm, Line, Sensor, Station

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twin.model.event import Event

S = 1_000_000_000


def build_line(alarms: Sequence[Alarm], sensors: Sequence[Sensor] = ()) -> LineIndex:
    """A line whose sensors are ``s/k0`` and ``s/k1`` unless others are given."""
    specs = list(sensors) or [Sensor(key="k0", period_s=1.0), Sensor(key="k1", period_s=1.0)]
    station = Station(id="s", sensor=specs)
    rows = [SensorRow(i, f"s/{x.key}", station, x) for i, x in enumerate(specs)]
    line = Line(station=[station], alarm=list(alarms))
    return LineIndex(line, "0" * 16, rows, {row.id: row for row in rows})


def build_alarm(**settings: Any) -> Alarm:
    """An alarm above 70 on ``s/k0`` unless told otherwise."""
    return Alarm(**{"id": "hot", "sensor": "s/k0", "when": "above", "limit": 70.0, **settings})


def build_batch(*rows: tuple[float, float], sensor: int = 0, **columns: Any) -> Batch:
    """(second, value) of one sensor."""
    return Batch.of(
        [sensor] * len(rows), [round(t * S) for t, _ in rows], [v for _, v in rows], **columns
    )


@dataclass
class Desk:
    """An alarm stage, and everything it said."""

    alarms: Alarms
    events: list[Event] = field(default_factory=list)

    def see(self, *rows: tuple[float, float], **more: Any) -> list[Event]:
        """Samples arrive."""
        return self._note(self.alarms.update(build_batch(*rows, **more), [], _nobody))

    def do(self, op: str, occurrence: str | None = None, at_s: float = 1, **more: Any) -> str:
        """A person acts; returns the state afterwards."""
        wanted = self.occurrence().id if occurrence is None else occurrence
        action = {"op": op, "occurrence": wanted, "actor": "ann", **more}
        found = self._note(self.alarms.act(action, round(at_s * S)))
        return str(found[-1].detail["state"])

    def tick(self, at_s: float) -> list[Event]:
        """Time passes."""
        return self._note(self.alarms.tick(round(at_s * S)))

    def _note(self, found: list[Event]) -> list[Event]:
        self.events += found
        return found

    def occurrence(self) -> Any:
        """The occurrence that is open; the test fails when there is not exactly one."""
        ((_, _, occurrence),) = self.alarms.open()
        return occurrence

    def state(self) -> str:
        """Its state, ``NORM`` when nothing is open."""
        return str(self.occurrence().state()) if self.alarms.open() else "NORM"

    def types(self) -> list[str]:
        """Types of all events so far."""
        return [event.type for event in self.events]

    def again(self, index: LineIndex) -> Desk:
        """The same desk after a restart: a new stage, restored from the snapshot's bytes."""
        alarms = Alarms(index)
        alarms.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(self.alarms.snapshot())))
        return Desk(alarms, self.events)


def _nobody(_: int) -> None:
    return None


def build_desk(**settings: Any) -> Desk:
    """A desk with one alarm."""
    return Desk(Alarms(build_line([build_alarm(**settings)])))


@pytest.fixture(scope="session")
def line() -> Callable[..., LineIndex]:
    """A line of alarms, and of sensors when they matter."""
    return build_line


@pytest.fixture(scope="session")
def alarm() -> Callable[..., Alarm]:
    """An alarm above 70 on the first sensor unless told otherwise."""
    return build_alarm


@pytest.fixture(scope="session")
def batch() -> Callable[..., Batch]:
    """A batch of (second, value)."""
    return build_batch


@pytest.fixture(scope="session")
def desk() -> Callable[..., Desk]:
    """A desk with one alarm above 70."""
    return build_desk
