"""Rates for people: messages per second, CPU time per sample."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twin.ports import Clock

__all__ = ["CpuMeter", "Rate"]

_WINDOW_NS = 5_000_000_000


class Rate:
    """How fast a counter grows, over the last seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._points: deque[tuple[int, int]] = deque()

    def note(self, count: int) -> None:
        """The counter stands at ``count`` now."""
        now = self._clock.mono_ns()
        if self._points and now - self._points[-1][0] < 100_000_000:
            return
        self._points.append((now, count))
        while len(self._points) > 2 and now - self._points[0][0] > _WINDOW_NS:
            self._points.popleft()

    def per_second(self) -> float:
        """Increase per second; 0 before there are two points."""
        if len(self._points) < 2:
            return 0.0
        (t0, n0), (t1, n1) = self._points[0], self._points[-1]
        return (n1 - n0) * 1e9 / (t1 - t0)


class CpuMeter:
    """Elapsed and CPU time of this process since the meter was made, all threads together."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mono = clock.mono_ns()
        self._cpu = time.process_time_ns()
        self._base = 0

    def start_at(self, samples: int) -> None:
        """Begin again at this count."""
        self._base = samples
        self._mono = self._clock.mono_ns()
        self._cpu = time.process_time_ns()

    def per_second(self, samples: int) -> float:
        """Samples per second of wall time."""
        elapsed = (self._clock.mono_ns() - self._mono) / 1e9
        return round((samples - self._base) / elapsed, 1) if elapsed > 0 else 0.0

    def us_per(self, samples: int) -> float | None:
        """CPU microseconds per sample; None before the first sample."""
        done = samples - self._base
        if done <= 0:
            return None
        return round((time.process_time_ns() - self._cpu) / 1e3 / done, 3)
