"""Messages of one connection on their way into the journal, and their acknowledgements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.mqtt.codec import encode, encode_pubacks
from connectors.mqtt.packets import V5, Ack, Publishes, Type
from connectors.mqtt.reasons import Code, ProtocolError
from twin.model.message import Block, Flag

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from connectors.mqtt.acks import AckQueue, Slot
    from connectors.mqtt.devices import DeviceSession
    from connectors.mqtt.identity import Identity
    from twin.ports import Clock, Intake

__all__ = ["Inbox"]

_QOS = Flag.QOS1 | Flag.QOS2


@dataclass(slots=True)
class _Sorted:
    """A run of messages, looked at one by one."""

    block: Block
    now_ns: int
    acks: list[bytes] = field(default_factory=list)
    qos1: int = 0
    fresh: list[int] = field(default_factory=list)
    again: set[int] = field(default_factory=set)


class Inbox:
    """Stores what a device publishes and acknowledges it when it is on disk, in receive order.

    Args:
        session: Session of the device.
        identity: Its rights.
        version: Protocol version, 4 or 5.
        limit: Messages of QoS 1 and 2 a version 5 device may have in flight.
        acks: Acknowledgements of the connection.
        intake: The journal.
        full: Called when the journal wants no more for now.
        clock: Receive times.
        counts: Counters of the listener.
    """

    def __init__(
        self,
        session: DeviceSession,
        identity: Identity,
        *,
        version: int,
        limit: int,
        acks: AckQueue,
        intake: Intake,
        full: Callable[[], None],
        clock: Clock,
        counts: Counter[str],
    ) -> None:
        self._session, self._identity = session, identity
        self._version, self._limit = version, limit
        self._acks, self._intake, self._full = acks, intake, full
        self._clock, self._counts = clock, counts
        self._open2: set[int] = set()

    def take(self, run: Publishes) -> None:
        """Store the messages of one socket read.

        Raises:
            ProtocolError: Too many in flight, or a version 3.1.1 device has no right to the
                topic: it cannot be told in any other way than by closing.
        """
        kinds = set(run.flags)
        if any(kind & Flag.QOS2 for kind in kinds) or not self._identity.may_publish_all(
            run.topics
        ):
            self._take_mixed(run)
            return
        ids = run.ids if 0 not in run.ids else [number for number in run.ids if number]
        self._check_flight(len(ids))
        flags = run.flags
        if any(kind & Flag.RETAIN for kind in kinds):
            # A device asks to keep the message. It is fresh all the same.
            flags = [flag & ~Flag.RETAIN for flag in flags]
        recv = [self._clock.wall_ns()] * len(run)
        block = Block(self._session.source, topics=run.topics, payloads=run.payloads)
        block.recv_ns, block.flags = recv, flags
        if ids:
            slot = self._acks.reserve(len(ids))
            self._put(block, lambda: self._acks.fill(slot, encode_pubacks(ids)))
        else:
            self._put(block, None)

    def release(self, packet_id: int) -> None:
        """PUBREL: forget the packet id, and say so when that is on disk."""
        slot = self._acks.reserve()
        if packet_id not in self._session.ids:
            self._open2.discard(packet_id)
            self._acks.fill(slot, self._ack(Type.PUBCOMP, packet_id, Code.PACKET_ID_UNKNOWN))
            return

        def forgotten() -> None:
            self._session.ids.discard(packet_id)
            self._open2.discard(packet_id)
            self._acks.fill(slot, self._ack(Type.PUBCOMP, packet_id))

        self._intake.release_qos2(self._session.source, packet_id, forgotten)

    def _take_mixed(self, run: Publishes) -> None:
        """The same with QoS 2 messages or refused ones in between."""
        taken = _Sorted(Block(self._session.source), self._clock.wall_ns())
        try:
            for row in range(len(run)):
                self._sort(run, row, taken)
        finally:
            self._store(taken)

    def _sort(self, run: Publishes, row: int, taken: _Sorted) -> None:
        packet_id, flags = run.ids[row], run.flags[row] & ~Flag.RETAIN
        qos = flags & _QOS
        if not self._identity.may_publish(run.topics[row]):
            self._counts["refused_messages"] += 1
            if self._version != V5:
                raise ProtocolError(Code.NOT_AUTHORIZED, f"topic {run.topics[row]!r}")
            if qos:
                kind = Type.PUBACK if qos == Flag.QOS1 else Type.PUBREC
                taken.acks.append(self._ack(kind, packet_id, Code.NOT_AUTHORIZED))
            return
        if qos == Flag.QOS2:
            self._open2.add(packet_id)
            self._check_flight(taken.qos1)
            taken.acks.append(self._ack(Type.PUBREC, packet_id))
            if packet_id in self._session.ids:
                self._counts["qos2_duplicates"] += 1
                taken.again.add(packet_id)
                return
            self._session.ids.add(packet_id)
            self._session.unstored.add(packet_id)
            taken.fresh.append(packet_id)
        elif qos:
            self._check_flight(taken.qos1 + 1)
            taken.acks.append(encode_pubacks([packet_id]))
            taken.qos1 += 1
        taken.block.add(run.topics[row], run.payloads[row], taken.now_ns, flags)
        taken.block.qos2.append(packet_id if qos == Flag.QOS2 else 0)

    def _store(self, taken: _Sorted) -> None:
        slot = self._acks.reserve(taken.qos1) if taken.acks else None
        if not taken.fresh:
            taken.block.qos2 = []
        if len(taken.block):
            self._put(taken.block, lambda: self._stored(taken, slot))
        elif slot is not None:
            # Only repeated or refused messages: the first copy may still wait for its commit.
            self._session.when_stored(taken.again, lambda: self._stored(taken, slot))

    def _stored(self, taken: _Sorted, slot: Slot | None) -> None:
        self._session.stored(taken.fresh)
        if slot is not None:
            self._acks.fill(slot, b"".join(taken.acks))

    def _check_flight(self, more: int) -> None:
        if self._version == V5 and self._acks.open + more + len(self._open2) > self._limit:
            raise ProtocolError(
                Code.RECEIVE_MAXIMUM, f"more than {self._limit} messages without an answer"
            )

    def _put(self, block: Block, on_durable: Callable[[], None] | None) -> None:
        self._counts["messages"] += len(block)
        if not self._intake.put(block, on_durable):
            self._full()

    def _ack(self, kind: Type, packet_id: int, reason: int = 0) -> bytes:
        return encode(Ack(kind, packet_id, reason), self._version)
