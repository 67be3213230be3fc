"""The only place where linetwin asks the operating system for the time."""

from __future__ import annotations

import time

__all__ = ["SystemClock"]


class SystemClock:
    """Wall and monotonic time of this machine, in integer nanoseconds."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns()

    def mono_ns(self) -> int:
        """Nanoseconds of a clock that never goes back; only differences mean something."""
        return time.monotonic_ns()
