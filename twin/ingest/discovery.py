"""Topics nobody described: remembered, so that they can be turned into rows of the line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Discovery", "Found"]

_TOPICS = 2000
_EXAMPLES = 3
_EXAMPLE_BYTES = 1024


@dataclass(slots=True)
class Found:
    """An unknown topic (or Sparkplug metric)."""

    topic: str
    first_ns: int
    last_ns: int
    count: int = 0
    examples: list[bytes] = field(default_factory=list)


class Discovery:
    """At most 2000 unknown topics; what comes after is only counted in ``overflow``."""

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.overflow = 0

    def note(self, topic: str, payload: bytes, recv_ns: int) -> None:
        """An unknown topic was seen."""
        entry = self.found.get(topic)
        if entry is None:
            if len(self.found) >= _TOPICS:
                self.overflow += 1
                return
            entry = self.found[topic] = Found(topic, recv_ns, recv_ns)
        entry.count += 1
        entry.last_ns = recv_ns
        if len(entry.examples) < _EXAMPLES:
            entry.examples.append(payload[:_EXAMPLE_BYTES])

    def forget(self, topics: set[str]) -> None:
        """The line description knows these now."""
        for topic in topics:
            self.found.pop(topic, None)

    def snapshot(self) -> dict[str, Any]:
        """State."""
        return {
            "overflow": self.overflow,
            "found": [
                [f.topic, f.first_ns, f.last_ns, f.count, f.examples] for f in self.found.values()
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot."""
        self.overflow = state["overflow"]
        self.found = {row[0]: Found(*row) for row in state["found"]}
