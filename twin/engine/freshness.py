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
        self.silence_ns = np.array(
            [_NEVER if s is None else int(s * 1e9) for s in silence], np.int64
        )
        self._least = int(self.silence_ns.min()) if count else _NEVER
        self.heard = np.full(count, -1, np.int64)
        self.stale = np.zeros(count, np.bool_)
        self._bound()

    def due_ns(self) -> int | None:
        """Lower bound of the next moment one of the sensors heard so far may become stale."""
        return self._due

    def horizon(self, now_ns: int) -> int | None:
        """Before this moment nobody becomes stale, whoever speaks from ``now_ns`` on."""
        first = None if self._least == _NEVER else now_ns + self._least
        return min((t for t in (self._due, first) if t is not None), default=None)

    def ahead(self, sensor: NDArray[np.int32], recv_ns: NDArray[np.int64]) -> Ahead:
        """The same for rows that are known beforehand."""
        return Ahead(self, sensor, recv_ns)

    def hear(self, batch: Batch, recv_ns: NDArray[np.int64]) -> list[Event]:
        """Samples arrived; events for sensors that were stale before."""
        events: list[Event] = []
        sensor = batch.sensor
        new = bool((self.idle[sensor]).any())
        back = self.stale[sensor]
        if back.any():
            for row in np.flatnonzero(back).tolist():
                who = int(sensor[row])
                if self.stale[who]:
                    self.stale[who] = False
                    events.append(self._tell("fresh", who, int(recv_ns[row]), row))
        self.heard[sensor] = recv_ns
        if new:
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
            (self._index.sensors[who].id, int(self.heard[who] + self.silence_ns[who]))
            for who in np.flatnonzero(self.stale & (self.silence_ns != _NEVER)).tolist()
        ]

    def _deadlines(self) -> NDArray[np.int64]:
        watched = (self.heard >= 0) & ~self.stale & (self.silence_ns != _NEVER)
        deadline = np.full(len(self.heard), _NEVER, np.int64)
        deadline[watched] = self.heard[watched] + self.silence_ns[watched]
        return deadline

    def _bound(self) -> None:
        """Find the next deadline, and who has none because nothing was heard of it."""
        deadline = self._deadlines()
        least = int(deadline.min(initial=_NEVER))
        self._due = None if least == _NEVER else least
        self.idle = (deadline == _NEVER) & (self.silence_ns != _NEVER)
        self._least = int(self.silence_ns[self.idle].min(initial=_NEVER))

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
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot of the same line version."""
        self.heard = np.frombuffer(state["heard"], np.int64).copy()
        self.stale = np.frombuffer(state["stale"], np.bool_).copy()
        self._bound()

    def follow(self, old: Freshness) -> None:
        """Take over the sensors that stay."""
        for row in old._index.sensors:
            after = self._index.by_id.get(row.id)
            if after is not None:
                self.heard[after.index] = old.heard[row.index]
                self.stale[after.index] = old.stale[row.index]
        self._bound()


class Ahead:
    """Looks ahead in rows of a recording: where the next silence may begin.

    Args:
        freshness: The deadlines so far.
        sensor: int32[n], sensor of each row.
        recv_ns: int64[n], when each row is heard, never going back.
    """

    def __init__(
        self, freshness: Freshness, sensor: NDArray[np.int32], recv_ns: NDArray[np.int64]
    ) -> None:
        self._freshness = freshness
        self._recv = recv_ns
        self._order = np.argsort(sensor, kind="stable")
        self._sensors, self._first = np.unique(sensor[self._order], return_index=True)
        self._last = np.append(self._first[1:], len(sensor))

    def horizon(self, start: int) -> int | None:
        """Before this moment nobody becomes stale while rows from ``start`` on are heard."""
        freshness = self._freshness
        found = freshness.due_ns()
        for i in np.flatnonzero(freshness.idle[self._sensors]).tolist():
            rows = self._order[self._first[i] : self._last[i]]
            at = int(np.searchsorted(rows, start))
            if at < len(rows):
                end = int(self._recv[rows[at]] + freshness.silence_ns[self._sensors[i]])
                found = end if found is None else min(found, end)
        return found
