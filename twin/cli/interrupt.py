"""Ctrl-C where work must not be torn: asked for, and answered at the next good moment."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Interrupt"]

_TURN_S = 0.1


class Interrupt:
    """Notes SIGINT and SIGTERM instead of breaking into the work; a second one breaks into it.

    Attributes:
        asked: Somebody wants to stop.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: object) -> None:
        self.asked = True
        signal.signal(number, self._before[number])

    def sleep(self, seconds: float) -> None:
        """Sleep, but not much longer once somebody asked."""
        end = time.monotonic() + seconds
        while not self.asked and (rest := end - time.monotonic()) > 0:
            time.sleep(min(rest, _TURN_S))
