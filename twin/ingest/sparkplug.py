"""The receiving side of Sparkplug B as a pure state machine: messages in, samples and findings out.

No clock and no I/O: time is the receive time of the messages and what :meth:`SparkplugHost.tick`
is told. Rules are those of Sparkplug 3.0.0; where chapters disagree the host accepts both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from twin.errors import DecodeError, StateError
from twin.ingest.sparkplug_birth import Birth, numeric, read_birth, session_number
from twin.ingest.sparkplug_node import Names, Node
from twin.ingest.sparkplug_outcome import HostState, Outcome, Sample
from twin.ingest.sparkplug_reader import MetricReader
from twin.ingest.sparkplug_resolve import SKIPPED_ROW
from twin.ingest.sparkplug_scan import Column, Has, scan
from twin.ingest.sparkplug_seq import MODULUS
from twin.ingest.sparkplug_topic import NAMESPACE, MessageType, Topic, parse_topic
from twin.ingest.sparkplug_wire import Limits
from twin.model.message import Reason

__all__ = ["HostState", "Outcome", "Sample", "SparkplugHost", "SparkplugSettings", "warm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkplugSettings:
    """How patient and how large.

    Attributes:
        reorder_ns: How long a missing number may still arrive before a rebirth is asked for.
        rebirth_ns: Shortest time between two such requests to one node.
        limits: Limits of DATA payloads.
        birth_metrics: Metrics accepted in one BIRTH.
        max_nodes: Edge nodes known at the same time.
        max_metrics: Metrics known, over all nodes.
    """

    reorder_ns: int = 2_000_000_000
    rebirth_ns: int = 30_000_000_000
    limits: Limits = field(default_factory=Limits)
    birth_metrics: int = 5000
    max_nodes: int = 1000
    max_metrics: int = 100_000


_DATA = frozenset((MessageType.NDATA, MessageType.DDATA))
_BIRTH = frozenset((MessageType.NBIRTH, MessageType.DBIRTH))
_COMMAND = frozenset((MessageType.NCMD, MessageType.DCMD))
_CACHE = 4096
_LISTED = 20
"""Names a finding lists; the count is always complete."""


class _State(msgspec.Struct):
    online: bool
    timestamp: int


class SparkplugHost:
    """Follows any number of edge nodes.

    Attributes:
        names: All metrics ever born, by number.
    """

    VERSION = 1

    def __init__(self, settings: SparkplugSettings | None = None) -> None:
        self._settings = settings or SparkplugSettings()
        self.names = Names(self._settings.max_metrics)
        self._nodes: dict[str, Node] = {}
        self._due: dict[str, int] = {}
        self._topics: dict[str, Topic] = {}
        most = max(self._settings.birth_metrics, self._settings.limits.metrics)
        self._reader = MetricReader(self.names, self._settings.limits, most)
        self._table = self._reader.table

    # -- time -----------------------------------------------------------------------------------

    def due_ns(self) -> int | None:
        """When :meth:`tick` has something to say at the earliest."""
        return min(self._due.values(), default=None)

    def tick(self, now_ns: int) -> Outcome:
        """Time has passed: ask for a rebirth where missing numbers did not come in time."""
        out = Outcome(self.names)
        self._fire(now_ns, out)
        return out

    def _fire(self, now_ns: int, out: Outcome) -> None:
        over = sorted((due, key) for key, due in self._due.items() if due <= now_ns)
        for _, key in over:
            node = self._nodes[key]
            missing = node.tracker.give_up()
            if missing:
                out.findings.append(("seq_lost", {"node": key, "missing": missing}))
            if self._ask(node, now_ns, out):
                del self._due[key]
            else:
                self._due[key] = (node.asked_ns or 0) + self._settings.rebirth_ns

    def _ask(self, node: Node, now_ns: int, out: Outcome) -> bool:
        """Ask for a rebirth unless that was done a short time ago."""
        if node.asked_ns is not None and 0 <= now_ns - node.asked_ns < self._settings.rebirth_ns:
            return False
        node.asked_ns = now_ns
        group, _, name = node.key.partition("/")
        out.rebirth.append((group, name))
        return True

    # -- messages -------------------------------------------------------------------------------

    def handle(self, topic: str, payload: bytes, recv_ns: int) -> Outcome:
        """Take one message in the order of arrival.

        Args:
            topic: Its MQTT topic.
            payload: Its payload.
            recv_ns: Receive time, ns since 1970 UTC; also moves the host's time.
        """
        out = Outcome(self.names)
        if self._due:
            self._fire(recv_ns, out)
        try:
            where = self._topics.get(topic) or self._parse(topic)
        except DecodeError as error:
            out.refused.append((error.reason, error.detail))
            out.findings.append(("malformed_topic", {"topic": topic[:200]}))
            return out
        if where.type in _COMMAND:
            return out
        if where.type is MessageType.STATE:
            _read_state(where.node, payload, out)
            return out
        node = self._node(where.node)
        if node is None:
            text = f"more than {self._settings.max_nodes} Sparkplug nodes"
            out.refused.append((Reason.CARDINALITY, text))
            return out
        try:
            self._dispatch(where, node, payload, recv_ns, out)
        except DecodeError as error:
            out.refused.append((error.reason, error.detail))
            self._spoiled(where, node, out)
        if self._due and not self._settings.reorder_ns:
            self._fire(recv_ns, out)
        return out

    def _parse(self, topic: str) -> Topic:
        where = parse_topic(topic)
        if len(self._topics) >= _CACHE:
            self._topics.clear()
        self._topics[topic] = where
        return where

    def _node(self, key: str) -> Node | None:
        node = self._nodes.get(key)
        if node is None and len(self._nodes) < self._settings.max_nodes:
            node = self._nodes[key] = Node(key)
        return node

    def _dispatch(
        self, where: Topic, node: Node, payload: bytes, recv_ns: int, out: Outcome
    ) -> None:
        kind, limits = where.type, self._settings.limits
        most = self._settings.birth_metrics if kind in _BIRTH else limits.metrics
        count = scan(payload, self._table, most, limits.string)
        if kind is MessageType.NDEATH:
            self._node_death(node, session_number(payload, self._table, count), out)
        elif kind is MessageType.DDEATH:
            self._number(node, recv_ns, out)
            self._device_death(node, where.device, recv_ns, out)
        elif kind in _BIRTH:
            birth = read_birth(payload, self._table, count, limits)
            self._birth(node, where, birth, recv_ns, out)
            self._reader.samples(node, where.device, count, {}, recv_ns, out)
        else:
            units = self._reader.look_up(node, where.device, payload, count)
            self._number(node, recv_ns, out)
            unknown = self._reader.samples(node, where.device, count, units, recv_ns, out)
            born = where.device in node.born
            if (unknown or not born) and self._ask(node, recv_ns, out) and not born:
                detail = {"node": node.key, "device": where.device}
                out.findings.append(("data_before_birth", detail))
        self._format(node, kind, count, out)

    # -- sessions -------------------------------------------------------------------------------

    def _spoiled(self, where: Topic, node: Node, out: Outcome) -> None:
        """A message cannot be read: it still took a number, and a birth still ends the old one."""
        if where.type is MessageType.NDEATH:
            return
        node.tracker.unnumbered()
        if where.type is MessageType.NBIRTH:
            node.born, node.bd_seq = {}, None
            node.tracker.forget()
            self._due.pop(node.key, None)
        elif where.type is MessageType.DBIRTH:
            node.born.pop(where.device, None)
        else:
            return
        node.index()
        out.gap.append(node.device_key(where.device))

    def _birth(self, node: Node, where: Topic, birth: Birth, recv_ns: int, out: Outcome) -> None:
        if where.type is MessageType.NBIRTH:
            self._node_birth(node, birth, out)
        else:
            self._number(node, recv_ns, out)
            if not node.online and self._ask(node, recv_ns, out):
                detail = {"node": node.key, "device": where.device}
                out.findings.append(("device_birth_before_node", detail))
        prefix = node.device_key(where.device)
        for entry, unit in zip(birth.entries, birth.units, strict=True):
            if numeric(entry.datatype):
                entry.number = self.names.number(f"{prefix}:{entry.name}", unit)
        known = [e for e in birth.entries if e.number >= 0 or not numeric(e.datatype)]
        if len(known) < len(birth.entries):
            text = f"more than {self._settings.max_metrics} Sparkplug metrics"
            out.refused += [(Reason.CARDINALITY, text)] * (len(birth.entries) - len(known))
        node.born.pop(where.device, None)
        node.born[where.device] = known
        ambiguous = node.index()
        rows = node.by_name[node.owner[where.device]]
        for entry, place in zip(birth.entries, birth.places, strict=True):
            self._table[place, Column.ROW] = rows.get(entry.name.encode(), SKIPPED_ROW)
        out.refused += birth.refused
        detail = {"node": node.key, "device": where.device}
        if ambiguous:
            out.findings.append(("duplicate_alias", detail | {"aliases": ambiguous}))
        if birth.duplicates:
            out.findings.append(("duplicate_name", detail | {"names": birth.duplicates}))
        if birth.texts:
            names = {"count": len(birth.texts), "names": birth.texts[:_LISTED]}
            out.findings.append(("not_numeric", detail | names))

    def _node_birth(self, node: Node, birth: Birth, out: Outcome) -> None:
        head = self._table[0]
        numbered = int(head[Column.FLAGS]) & Has.SEQ
        seq = int(head[Column.ALIAS]) if numbered else 0
        if not numbered or not 0 <= seq < MODULUS:
            out.findings.append(("seq_missing", {"node": node.key, "read_as": 0}))
            seq = 0
        if node.online and birth.bd_seq != node.bd_seq:
            # A session ended unseen: what was sent at its end cannot be accounted for.
            out.gap.append(node.key)
        if birth.bd_seq is None or birth.bd_seq != node.bd_seq:
            node.said = []
        if birth.bd_seq is None:
            out.findings.append(("bdseq_missing", {"node": node.key}))
        node.bd_seq = birth.bd_seq
        node.born = {}
        node.tracker.restart(seq)
        self._due.pop(node.key, None)

    def _node_death(self, node: Node, bd_seq: int | None, out: Outcome) -> None:
        if not node.online:
            out.findings.append(("stale_death", {"node": node.key, "bd_seq": bd_seq}))
            return
        if bd_seq is None:
            # Without a session number the careful reading is that this session has died.
            out.findings.append(("bdseq_missing", {"node": node.key}))
        elif node.bd_seq is not None and bd_seq != node.bd_seq:
            detail = {"node": node.key, "bd_seq": bd_seq, "birth_bd_seq": node.bd_seq}
            out.findings.append(("stale_death", detail))
            return
        out.stale += [node.device_key(device) for device in node.born]
        out.gap.append(node.key)
        node.born = {}
        node.index()
        node.tracker.forget()
        self._due.pop(node.key, None)

    def _device_death(self, node: Node, device: str, recv_ns: int, out: Outcome) -> None:
        if node.born.pop(device, None) is None:
            out.findings.append(("stale_death", {"node": node.key, "device": device}))
            if not node.online:
                self._ask(node, recv_ns, out)
            return
        node.index()
        out.stale.append(node.device_key(device))
        out.gap.append(node.device_key(device))

    # -- numbers --------------------------------------------------------------------------------

    def _number(self, node: Node, recv_ns: int, out: Outcome) -> None:
        """Judge the sequence number of a message that counts."""
        head, tracker = self._table[0], node.tracker
        seq = int(head[Column.ALIAS])
        if not int(head[Column.FLAGS]) & Has.SEQ or not 0 <= seq < MODULUS:
            # Encoders that drop zeros send nothing where 0 is due.
            if tracker.expected != 0 or tracker.unreadable:
                self._note(node, "seq_missing", out, 1, read_as=None)
                tracker.unnumbered()
                return
            self._note(node, "seq_missing", out, 1, read_as=0)
            seq = 0
        step = tracker.see(seq)
        if step.kind in ("ok", "first"):
            return
        detail = {"node": node.key, "seq": seq, "unreadable": step.unreadable}
        if step.kind in ("gap", "back"):
            detail["missing"] = step.missing
            out.gap.append(node.key)
            self._due.setdefault(node.key, recv_ns + self._settings.reorder_ns)
        elif tracker.complete:
            self._due.pop(node.key, None)
        out.findings.append((f"seq_{step.kind}", detail))

    # -- breaches of the format -----------------------------------------------------------------

    def _format(self, node: Node, kind: MessageType, count: int, out: Outcome) -> None:
        """Report each kind of breach once per node and session, and count all of them."""
        anywhere, everywhere = (
            int(self._table[0, Column.FLAGS]),
            int(self._table[0, Column.DATATYPE]),
        )
        if kind is MessageType.NDEATH and anywhere & Has.SEQ:
            self._note(node, "seq_in_ndeath", out, 1)
        if not everywhere & Has.TIME:
            flags = self._table[1 : count + 1, Column.FLAGS]
            missing = count - int(np.count_nonzero(flags & Has.TIME))
            self._note(node, "metric_timestamp_missing", out, missing)
        if kind in _DATA and anywhere & Has.DATATYPE:
            self._note(node, "datatype_in_data_message", out, 1)

    def _note(self, node: Node, code: str, out: Outcome, times: int, **detail: Any) -> None:
        node.counts[code] = node.counts.get(code, 0) + times
        if code not in node.said:
            node.said.append(code)
            out.findings.append((code, {"node": node.key, **detail}))

    def counts(self) -> dict[str, dict[str, int]]:
        """Breaches of the format per node and code since the beginning."""
        return {key: dict(node.counts) for key, node in self._nodes.items() if node.counts}

    # -- state ----------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """State as msgpack-able values."""
        return {
            "version": self.VERSION,
            "names": list(self.names.names),
            "units": list(self.names.units),
            "nodes": [node.snapshot() for node in self._nodes.values()],
            "due": dict(self._due),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot.

        Raises:
            StateError: Another version wrote it, or it is no snapshot of a host.
        """
        if state.get("version") != self.VERSION:
            raise StateError(f"Sparkplug state of version {state.get('version')!r}")
        try:
            nodes = [Node.restored(part) for part in state["nodes"]]
            self.names.restore(state["names"], state["units"])
            self._due = dict(state["due"])
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"Sparkplug state is unreadable: {error}") from error
        self._nodes = {node.key: node for node in nodes}


def _read_state(host: str, payload: bytes, out: Outcome) -> None:
    try:
        state = msgspec.json.decode(payload, type=_State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        out.refused.append((Reason.SCHEMA, f"STATE of host {host!r}: {error}"))
        return
    out.state = HostState(host, state.online, state.timestamp)


def warm() -> None:
    """Compile the kernels before the first message has to wait for that."""
    host = SparkplugHost()
    host.handle(f"{NAMESPACE}/warm/NBIRTH/up", b"\x12\x04\x0a\x02up\x18\x00", 0)
    host.handle(f"{NAMESPACE}/warm/NDATA/up", b"\x12\x02\x10\x01\x18\x01", 0)
