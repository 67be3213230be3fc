"""Silent sensors: a state of their own, never a process alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from twin.model.event import Event, event_id
from twin.model.line import Role, Sampling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.batch import Batch
    from twin.model.index import LineIndex
    from twin.model.line import Sensor

__all__ = ["Freshness", "max_silence_s"]

_NEVER = np.iinfo(np.int64).max
_LEAST_S = 5.0


def max_silence_s(spec: Sensor) -> float | None:
    """Longest silence of a sensor before it is stale; None when silence means nothing."""
    if spec.max_silence_s is not None:
        return spec.max_silence_s
    if spec.sampling is not Sampling.PERIODIC or spec.role is Role.STATE or spec.period_s is None:
        return None
    return max(_LEAST_S, 5.0 * spec.period_s)


class Freshness:
    """When each sensor was last heard of, in engine time (receive time of the journal).

    Deadlines are exact whenever they are looked at: a sensor is stale *since* its last sample plus
    its longest silence, however late the engine gets to know.
    """

    VERSION = 1

    def __init__(self, index: LineIndex) -> None:
        self._index = index
        count = len(index)
        silence = [max_silence_s(row.spec) for row in index.sensors]
        self._silence = np.array([_NEVER if s is None else int(s * 1e9) for s in silence], np.int64)
        self.heard = np.full(count, -1, np.int64)
        self.stale = np.zeros(count, np.bool_)
        self._due: int | None = None

    def due_ns(self) -> int | None:
        """Lower bound of the next moment a sensor may become stale."""
        return self._due

    def hear(self, batch: Batch, recv_ns: NDArray[np.int64]) -> list[Event]:
        """Samples arrived; events for sensors that were stale before."""
        events: list[Event] = []
        sensor = batch.sensor
        back = self.stale[sensor]
        if back.any():
            for row in np.flatnonzero(back).tolist():
                who = int(sensor[row])
                if self.stale[who]:
                    self.stale[who] = False
                    events.append(self._tell("fresh", who, int(recv_ns[row]), row))
        self.heard[sensor] = recv_ns
        if self._due is None:
            self._bound()
        return events

    def tick(self, now_ns: int) -> list[Event]:
        """Sensors that have been silent for too long at ``now_ns``."""
        if self._due is None or now_ns < self._due:
            return []
        deadline = self._deadlines()
        silent = np.flatnonzero(deadline <= now_ns)
        silent = silent[np.argsort(deadline[silent], kind="stable")]
        events = []
        for who in silent.tolist():
            self.stale[who] = True
            events.append(self._tell("stale", who, int(deadline[who]), 0))
        self._bound()
        return events

    def silent(self) -> list[tuple[str, int]]:
        """Sensors that are stale, and since when."""
        return [
            (self._index.sensors[who].id, int(self.heard[who] + self._silence[who]))
            for who in np.flatnonzero(self.stale & (self._silence != _NEVER)).tolist()
        ]

    def _deadlines(self) -> NDArray[np.int64]:
        watched = (self.heard >= 0) & ~self.stale & (self._silence != _NEVER)
        deadline = np.full(len(self.heard), _NEVER, np.int64)
        deadline[watched] = self.heard[watched] + self._silence[watched]
        return deadline

    def _bound(self) -> None:
        deadline = self._deadlines()
        least = int(deadline.min()) if len(deadline) else _NEVER
        self._due = None if least == _NEVER else least

    def _tell(self, kind: str, who: int, time_ns: int, row: int) -> Event:
        sensor = self._index.sensors[who].id
        return Event(
            id=event_id(kind, sensor, time_ns),
            type=kind,
            rule="silence",
            sensor=sensor,
            t_first=time_ns,
            t_last=time_ns,
            row=row,
        )

    def snapshot(self) -> dict[str, Any]:
        """State."""
        return {
            "version": self.VERSION,
            "heard": self.heard.tobytes(),
            "stale": self.stale.tobytes(),
            "due": self._due,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot of the same line version."""
        self.heard = np.frombuffer(state["heard"], np.int64).copy()
        self.stale = np.frombuffer(state["stale"], np.bool_).copy()
        self._due = state["due"]

    def follow(self, old: Freshness) -> None:
        """Take over the sensors that stay."""
        for row in old._index.sensors:
            after = self._index.by_id.get(row.id)
            if after is not None:
                self.heard[after.index] = old.heard[row.index]
                self.stale[after.index] = old.stale[row.index]
        self._bound()
