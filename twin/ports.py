"""The few contracts between the twin and everything around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.model.batch import Batch
    from twin.model.event import Event
    from twin.model.message import Block

__all__ = ["Clock", "Detector", "Intake", "Source", "View"]


class Clock(Protocol):
    """Where the time comes from. The engine never asks; its time is in the journal."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z."""
        ...

    def mono_ns(self) -> int:
        """Nanoseconds of a clock that never goes back."""
        ...


class Intake(Protocol):
    """Where a source puts what it received: the journal, seen from the event loop.

    All methods are called on the event loop's thread.
    """

    def put(self, block: Block, on_durable: Callable[[], None] | None = None) -> bool:
        """Hand over a block.

        Blocks are stored in the order of the calls. ``on_durable`` is called on the event loop
        after the block is committed to disk, in the order of the ``put`` calls of all sources;
        it is never called when the commit failed. A source acknowledges there and nowhere else.

        Returns:
            False when the source must stop reading until ``on_room`` calls back. The block that
            was just handed over is kept in either case.
        """
        ...

    def on_room(self, resume: Callable[[], None]) -> None:
        """Call ``resume`` once, on the event loop, when there is room again."""
        ...

    def qos2_ids(self, source: str) -> set[int]:
        """Packet ids of QoS 2 messages of ``source`` that are stored and not yet released."""
        ...

    def release_qos2(
        self, source: str, packet_id: int, on_durable: Callable[[], None] | None = None
    ) -> None:
        """Forget a QoS 2 packet id (PUBREL arrived); ``on_durable`` when that is on disk."""
        ...


class Source(Protocol):
    """Something that brings messages. Settings are checked before it is made, without a network."""

    async def run(self, intake: Intake) -> None:
        """Bring messages until cancelled; connect and reconnect inside.

        Reports ``lost`` and ``back`` once each as blocks of kind SOURCE. Cancelling leaves
        nothing running and nothing acknowledged that is not stored.
        """
        ...


class Detector(Protocol):
    """Settings that were built for a block of sensors: arrays of state, one row per sensor.

    Arithmetic only: no clock, no I/O, no random numbers. For every way to cut the stream into
    batches the events and the state are the same.
    """

    def update(self, batch: Batch) -> list[Event]:
        """Judge the rows in order. Marks rows it finds invalid in ``batch.marks``."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """State as msgpack-able values; arrays as raw bytes with dtype and shape."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot.

        Raises:
            StateError: The snapshot belongs to another detector, version or settings.
        """
        ...


class View(Protocol):
    """What the board shows and does. Every method returns plain JSON-able data.

    The exact shapes are the models of ``dashboards.board.shapes``, named with each method; its
    ``check(method, data)`` tells whether data has the right one. All methods are called on the
    event loop's thread and must return at once.
    """

    def overview(self, *, sparks: bool = True) -> dict[str, Any]:
        """The whole line at this moment (``Overview``).

        Called up to 5 times a second with ``sparks=False``, which leaves out ``spark``.
        """
        ...

    def sensor(self, sensor: str) -> dict[str, Any] | None:
        """One sensor with its settings and state (``Sensor``); None when unknown."""
        ...

    def series(
        self, sensor: str, start_ns: int | None, end_ns: int | None, points: int
    ) -> dict[str, Any]:
        """History of a sensor, at most ``points`` bins of min, mean and max (``Series``).

        An unknown sensor gives empty columns; None as ``start_ns`` or ``end_ns`` means all there is.
        """
        ...

    def chart(self, sensor: str, points: int) -> dict[str, Any] | None:
        """The last plotted points with limits and rule violations (``Chart``); None when unknown."""
        ...

    def groups(self) -> list[dict[str, Any]]:
        """Groups of sensors that are judged together, in order of the line (list of ``Group``)."""
        ...

    def group(self, group: str, points: int) -> dict[str, Any] | None:
        """One group with the last points of its statistic (``GroupChart``); None when unknown.

        Findings, alarms and events name the group as the sensor ``group/<id>``.
        """
        ...

    async def budget(self) -> dict[str, Any]:
        """False findings that are planned beside findings that were seen (``Budget``).

        Computed away from the event loop, once for each version of the line.
        """
        ...

    def alarms(self, *, history: bool) -> list[dict[str, Any]]:
        """Alarms that need somebody, or with ``history`` the latest that did (list of ``Alarm``).

        Without ``history``: every occurrence whose state is not NORM, most urgent first (by
        priority, then onset). With it: at most 500 occurrences, newest first, whatever their state.
        """
        ...

    def products(self, limit: int) -> list[dict[str, Any]]:
        """Products, newest first (list of ``Product``)."""
        ...

    def events(self, after: int, limit: int, sensor: str) -> list[dict[str, Any]]:
        """Events with number > ``after``, oldest first (list of ``Event``).

        ``sensor`` empty means all. At most ``limit``.
        """
        ...

    def ledger(self) -> dict[str, Any]:
        """Received = stored + rejected + pending, with what explains it (``Ledger``)."""
        ...

    def dead_letters(self, limit: int) -> list[dict[str, Any]]:
        """What was refused, newest first, with reason and advice (list of ``DeadLetter``)."""
        ...

    def discovery(self) -> list[dict[str, Any]]:
        """Unknown topics with a proposed row of the line description (list of ``Discovery``)."""
        ...

    async def act(self, action: dict[str, Any]) -> dict[str, Any]:
        """Carry out an operator action (``ActResult``); returns after it is on disk and applied.

        Args:
            action: ``{"op": "ack", "occurrence", "comment", "actor", "role", "session", "ip"}``.
        """
        ...

    async def reload(self, actor: str) -> dict[str, Any]:
        """Read the line description again (``Reload``); problems change nothing."""
        ...

    def last_event(self) -> int:
        """Number of the newest event; 0 when there is none."""
        ...

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` on the event loop after every commit; returns the way to stop that."""
        ...
