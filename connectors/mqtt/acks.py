"""Acknowledgements of one connection: in receive order, after the commit, in one write."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AckQueue", "Slot"]


class Slot:
    """Place of some acknowledgements in the order.

    Attributes:
        weight: Messages of QoS 1 it answers.
        data: The packets; None until they may be sent.
    """

    __slots__ = ("data", "weight")

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.data: bytes | None = None


class AckQueue:
    """Holds acknowledgements back until all earlier ones may be sent (MQTT-4.6.0-2).

    Args:
        write: Puts bytes on the connection.

    Attributes:
        open: Messages of QoS 1 that are not answered yet.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._slots: deque[Slot] = deque()
        self._planned = False
        self.open = 0

    def reserve(self, weight: int = 0) -> Slot:
        """Take the next place."""
        slot = Slot(weight)
        self._slots.append(slot)
        self.open += weight
        return slot

    def fill(self, slot: Slot, data: bytes) -> None:
        """Allow these packets to be sent; those of one turn of the event loop leave together."""
        slot.data = data
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    def answer(self, data: bytes) -> None:
        """Send behind everything that is waiting."""
        self.fill(self.reserve(), data)

    def _flush(self) -> None:
        self._planned = False
        out = []
        while self._slots and self._slots[0].data is not None:
            slot = self._slots.popleft()
            self.open -= slot.weight
            out.append(slot.data or b"")
        if out:
            self._write(b"".join(out))
