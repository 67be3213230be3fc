"""Captured Sparkplug traffic with headers only: no values, but every message that passed by."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twin.ingest import sparkplug_headers as sequence
from twin.ingest.sparkplug_headers import scan_headers

if TYPE_CHECKING:
    from connectors.recording.notebook import Notebook
    from connectors.recording.text import Text

__all__ = ["FORMAT", "Header", "headers", "recognises"]

FORMAT = "sparkplug_capture"

_COLUMNS = "frame,timestamp,topic,group_id,msg_type,edge_node_id,device_id,seq,payload_timestamp"
_DEVICE_TYPES = {"DBIRTH", "DDEATH", "DDATA", "DCMD"}


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of one message.

    Attributes:
        frame: Number of the frame in the capture.
        time: Seconds since the capture began.
        topic: MQTT topic.
        type: Sparkplug message type, for example ``NDATA``.
        node: Edge node id.
        device: Device id, or empty.
        seq: Sequence number 0-255; None where the exporter left it empty (0 among them).
        payload_ts: Payload time, ms since 1970 UTC; None where it is empty.
        metric_count: Number of metrics; 0 for a payload that could not be decoded.
    """

    frame: int
    time: float
    topic: str
    type: str
    node: str
    device: str
    seq: int | None
    payload_ts: int | None
    metric_count: int

    @property
    def malformed(self) -> bool:
        """A device id in a message type that must not have one, or a missing one."""
        return bool(self.device) != (self.type in _DEVICE_TYPES)


def _header_line(text: Text) -> int | None:
    return next((i for i, s in enumerate(text.head[:60]) if s.startswith(_COLUMNS)), None)


def recognises(text: Text) -> bool:
    """The column line of the capture, after comments."""
    return _header_line(text) is not None


def _header(row: dict[str, str]) -> Header:
    return Header(
        frame=int(row["frame"]),
        time=float(row["timestamp"]),
        topic=row["topic"],
        type=row["msg_type"],
        node=row["edge_node_id"],
        device=row["device_id"],
        seq=int(row["seq"]) if row["seq"] else None,
        payload_ts=int(row["payload_timestamp"]) if row["payload_timestamp"] else None,
        metric_count=int(row["metric_count"]),
    )


def headers(text: Text, notes: Notebook) -> list[Header]:
    """Every message of the capture; notes on malformed topics, undecodable payloads, empty seq."""
    rows = csv.DictReader(io.StringIO(text.after(_header_line(text) or 0)))
    found: list[Header] = []
    for line, row in enumerate(rows, 1):
        try:
            found.append(_header(row))
        except (TypeError, ValueError):
            notes.add(
                "ROW_SHAPE",
                f"Data line {line} is no message header; left out.",
                row=len(found),
                line=line,
            )
    malformed = [i for i, header in enumerate(found) if header.malformed]
    notes.each(
        "TOPIC_MALFORMED",
        malformed,
        lambda row: (
            None,
            (
                f"Frame {found[row].frame}: {found[row].topic} has a device id in {found[row].type}; "
                "such a message is refused."
            ),
            {"frame": found[row].frame},
        ),
        column="topic",
    )
    undecodable = [
        i for i, h in enumerate(found) if not h.malformed and not h.metric_count and h.seq is None
    ]
    notes.each(
        "UNDECODABLE",
        undecodable,
        lambda row: (
            None,
            (
                f"Frame {found[row].frame}: no metrics, no sequence number, no time; it took one "
                "number of its node all the same."
            ),
            {"frame": found[row].frame},
        ),
        column="seq",
    )
    empty = [i for i, h in enumerate(found) if not h.malformed and h.metric_count and h.seq is None]
    notes.each(
        "SEQ_EMPTY",
        empty,
        lambda row: (
            None,
            (
                f"Frame {found[row].frame}: a whole message without sequence number; the exporter "
                "writes 0 as empty, 0 is offered."
            ),
            {"frame": found[row].frame, "offered": 0},
        ),
        column="seq",
    )
    _sequence(found, notes)
    return found


def _sequence(found: list[Header], notes: Notebook) -> None:
    """What the sequence numbers prove, node by node, told at the last message."""
    report = scan_headers(sequence.Header(h.topic, h.seq, h.payload_ts) for h in found)
    last = max(0, len(found) - 1)
    for name, node in report.nodes.items():
        if node.naive:
            notes.add(
                "SEQ_MISSING",
                f"Node {name}: {node.missing} messages are missing among {node.messages}"
                f" ({node.with_zero} when undecodable messages are not counted as one number each,"
                f" {node.naive} when an empty number is not read as 0 either).",
                row=last,
                node=name,
                missing=node.missing,
                with_zero=node.with_zero,
                naive=node.naive,
            )
        if not node.born:
            notes.add(
                "NO_BIRTH",
                f"Node {name}: data without a birth certificate; one rebirth would be asked for.",
                row=last,
                node=name,
            )
