"""What was refused: a dead letter with a reason, and the count of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from twin.model.message import Reason

__all__ = ["COUNT_ONLY", "DeadLetter", "DeadLetters"]

COUNT_ONLY: Final = frozenset({Reason.DUPLICATE, Reason.RETAINED})
"""Ordinary on a working line: counted, not kept as letters."""
_PER_MINUTE = 100
_KINDS = 10_000
_EXCERPT = 65_536


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refused message or sample, kept for a person to look at.

    Attributes:
        seq: Journal number of the message.
        source: Who sent it.
        topic: Its topic.
        payload: What was sent, at most 64 KiB.
        reason: Code, see :class:`twin.model.message.Reason`.
        detail: What was wrong and how to mend it.
        recv_ns: When it came.
    """

    seq: int
    source: str
    topic: str
    payload: bytes
    reason: str
    detail: str
    recv_ns: int


class DeadLetters:
    """Counts every refusal and keeps at most 100 letters a minute per topic and reason."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._windows: dict[tuple[str, str], list[int]] = {}

    def refuse(self, letter: DeadLetter, samples: int = 1) -> DeadLetter | None:
        """Count it; returns the letter when it is to be kept.

        Args:
            letter: What was refused.
            samples: How many samples it stands for.
        """
        self.counts[letter.reason] = self.counts.get(letter.reason, 0) + samples
        if letter.reason in COUNT_ONLY:
            return None
        key = (letter.topic, letter.reason)
        minute = letter.recv_ns // 60_000_000_000
        window = self._windows.get(key)
        if window is None or window[0] != minute:
            if window is None and len(self._windows) >= _KINDS:
                self._windows.clear()
            self._windows[key] = [minute, 1]
        elif window[1] >= _PER_MINUTE:
            return None
        else:
            window[1] += 1
        return letter

    def snapshot(self) -> dict[str, Any]:
        """Counts and windows, in an order that does not tell how the stream was cut."""
        return {
            "counts": dict(sorted(self.counts.items())),
            "windows": [[*key, *window] for key, window in sorted(self._windows.items())],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot."""
        self.counts = dict(state["counts"])
        self._windows = {(t, r): [m, n] for t, r, m, n in state["windows"]}


def excerpt(payload: bytes) -> bytes:
    """The payload, cut to what is kept."""
    return payload[:_EXCERPT]
