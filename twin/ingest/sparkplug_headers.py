"""What a capture of Sparkplug headers proves: loss per node without a single value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from twin.errors import DecodeError
from twin.ingest.sparkplug_seq import SequenceTracker
from twin.ingest.sparkplug_topic import MessageType, parse_topic

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Header", "HeaderReport", "NodeReport", "scan_headers"]

_NUMBERED = frozenset(
    (MessageType.NDATA, MessageType.DDATA, MessageType.DBIRTH, MessageType.DDEATH)
)


class Header(NamedTuple):
    """One message of a capture.

    Attributes:
        topic: Its topic.
        seq: Sequence number, None when the capture shows none.
        timestamp: Payload time in ms; None together with ``seq`` means it could not be decoded.
    """

    topic: str
    seq: int | None
    timestamp: int | None


@dataclass(slots=True)
class NodeReport:
    """Missing messages of one node, by how much of the capture is believed.

    Attributes:
        messages: Messages with a valid topic.
        naive: Missing when only written numbers count.
        with_zero: Missing when a decoded message without a number is the lost number 0.
        missing: Missing when undecodable messages took a number each, too.
        born: Whether a birth was seen.
    """

    messages: int = 0
    naive: int = 0
    with_zero: int = 0
    missing: int = 0
    born: bool = False
    _trackers: list[SequenceTracker] = field(
        default_factory=lambda: [SequenceTracker() for _ in range(3)], repr=False
    )

    def add(self, kind: MessageType, header: Header) -> None:
        """Count one message."""
        self.messages += 1
        if kind is MessageType.NBIRTH:
            self.born = True
            for tracker in self._trackers:
                tracker.restart(header.seq or 0)
        elif kind in _NUMBERED:
            naive, with_zero, missing = self._trackers
            self.naive += _missing(naive, header.seq)
            seq = 0 if header.seq is None and header.timestamp is not None else header.seq
            self.with_zero += _missing(with_zero, seq)
            if seq is None:
                missing.unnumbered()
            self.missing += _missing(missing, seq)


def _missing(tracker: SequenceTracker, seq: int | None) -> int:
    return 0 if seq is None else len(tracker.see(seq).missing)


@dataclass(slots=True)
class HeaderReport:
    """Findings over a whole capture.

    Attributes:
        nodes: ``group/node`` to its report.
        malformed: Messages whose topic breaks the rules.
    """

    nodes: dict[str, NodeReport] = field(default_factory=dict)
    malformed: int = 0

    @property
    def rebirth(self) -> list[str]:
        """Nodes that sent data although no birth was seen, in order of appearance."""
        return [name for name, node in self.nodes.items() if not node.born]


def scan_headers(headers: Iterable[Header]) -> HeaderReport:
    """Judge a capture in its order.

    Examples:
        >>> data = "spBv1.0/plant/NDATA/gw1"
        >>> scan_headers([Header(data, 254, 1), Header(data, 1, 2)]).nodes["plant/gw1"].missing
        2
    """
    report = HeaderReport()
    for header in headers:
        try:
            topic = parse_topic(header.topic)
        except DecodeError:
            report.malformed += 1
            continue
        if topic.type not in (MessageType.STATE, MessageType.NCMD, MessageType.DCMD):
            report.nodes.setdefault(topic.node, NodeReport()).add(topic.type, header)
    return report
