"""What comes in: entries of the one total order, before anybody has looked into a payload."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag, StrEnum

__all__ = ["Block", "Entries", "Flag", "Kind", "Reason"]


class Kind(IntEnum):
    """What an entry of the journal is. Everything that changes what the engine does is one."""

    MESSAGE = 0
    """A payload of a device under a topic."""
    ACTION = 1
    """An operator action (JSON: op, actor, role, reason, …)."""
    TICK = 2
    """Time passed while nothing arrived; empty payload."""
    CONFIG = 3
    """A version of the line description takes effect (JSON: version, hash, files)."""
    SOURCE = 4
    """A source was lost or came back (JSON: source, state, detail, gap_possible)."""
    CLOCK = 5
    """The wall clock jumped against the monotonic clock (JSON: jump_ns)."""
    GAP = 6
    """Entries are known to be missing (JSON: first_seq, last_seq, why)."""
    NOTE = 7
    """A reader found a defect in a recording (JSON, see connectors.recording)."""


class Flag(IntFlag):
    """How a message arrived."""

    NONE = 0
    QOS1 = 1
    QOS2 = 2
    DUP = 4
    RETAIN = 8
    """Delivered as a retained message: never counts as a fresh sample."""


class Reason(StrEnum):
    """Why something was refused. Codes are public: dead letters, metrics and the ledger use them."""

    OVERSIZE = "OVERSIZE"
    DECODE = "DECODE"
    DEPTH = "DEPTH"
    SCHEMA = "SCHEMA"
    UNKNOWN_TAG = "UNKNOWN_TAG"
    UNIT = "UNIT"
    NONFINITE = "NONFINITE"
    RANGE = "RANGE"
    TIME_FUTURE = "TIME_FUTURE"
    TIME_TOO_OLD = "TIME_TOO_OLD"
    DUPLICATE = "DUPLICATE"
    CONFLICT = "CONFLICT"
    RETAINED = "RETAINED"
    CARDINALITY = "CARDINALITY"
    HANDLER_ERROR = "HANDLER_ERROR"


@dataclass(slots=True)
class Block:
    """Messages of one source in arrival order, as parallel lists: what a connector hands over.

    A connector fills one block per socket read and never touches it again after handing it over.

    Attributes:
        source: Who sent it, stable over reconnects, for example ``mqtt:calender-gw`` or ``broker:plant``.
        kind: One kind for the whole block.
        topics: Topic of each message.
        payloads: Payload of each message, as received.
        recv_ns: Receive wall time of each message, ns since 1970 UTC.
        flags: :class:`Flag` bits of each message.
        qos2: Empty when no message is QoS 2 from a device, the usual case. Otherwise parallel to the
            other lists: the packet id of a QoS 2 message, 0 for any other. The journal stores an
            id in the transaction of its message and gives it back from ``Intake.qos2_ids`` until
            ``Intake.release_qos2``.
    """

    source: str
    kind: Kind = Kind.MESSAGE
    topics: list[str] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    recv_ns: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    qos2: list[int] = field(default_factory=list)

    def add(self, topic: str, payload: bytes, recv_ns: int, flags: int = 0) -> None:
        """Append one message."""
        self.topics.append(topic)
        self.payloads.append(payload)
        self.recv_ns.append(recv_ns)
        self.flags.append(flags)

    def __len__(self) -> int:
        return len(self.payloads)


@dataclass(slots=True)
class Entries:
    """A run of journal entries of one kind with contiguous sequence numbers: what the engine reads.

    Entry ``i`` has sequence number ``first_seq + i``. The lists are parallel.
    """

    first_seq: int
    kind: Kind
    sources: list[str]
    topics: list[str]
    payloads: list[bytes]
    recv_ns: list[int]
    flags: list[int]

    def __len__(self) -> int:
        return len(self.payloads)

    @property
    def last_seq(self) -> int:
        """Sequence number of the last entry."""
        return self.first_seq + len(self.payloads) - 1

    def part(self, start: int, stop: int) -> Entries:
        """The entries ``start`` to ``stop`` (exclusive), as a copy."""
        return Entries(
            self.first_seq + start,
            self.kind,
            self.sources[start:stop],
            self.topics[start:stop],
            self.payloads[start:stop],
            self.recv_ns[start:stop],
            self.flags[start:stop],
        )

    @classmethod
    def joined(cls, runs: list[Entries]) -> Entries:
        """Runs of one kind that follow each other, as one run; a single one is given back as it is."""
        first = runs[0]
        if len(runs) == 1:
            return first
        whole = cls(first.first_seq, first.kind, [], [], [], [], [])
        for run in runs:
            whole.sources += run.sources
            whole.topics += run.topics
            whole.payloads += run.payloads
            whole.recv_ns += run.recv_ns
            whole.flags += run.flags
        return whole
