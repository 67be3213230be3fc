"""Metrics of a scanned payload to columns of samples, against the births of their node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from twin.ingest.sparkplug_birth import quality_code
from twin.ingest.sparkplug_resolve import SKIPPED_ROW, Verdict, resolve
from twin.ingest.sparkplug_scan import Column, Has, new_scratch
from twin.ingest.sparkplug_wire import Limits, Value, properties
from twin.model.message import Reason

if TYPE_CHECKING:
    from twin.ingest.sparkplug_node import Names, Node
    from twin.ingest.sparkplug_outcome import Outcome

__all__ = ["MetricReader"]

_REFUSALS: dict[int, tuple[Reason, str]] = {
    Verdict.UNKNOWN: (Reason.UNKNOWN_TAG, "no BIRTH of this node or device names the metric"),
    Verdict.AMBIGUOUS: (Reason.SCHEMA, "two metrics of the BIRTH share the alias"),
    Verdict.FOREIGN: (Reason.SCHEMA, "the alias belongs to another device of the node"),
    Verdict.CONTRADICTS: (Reason.SCHEMA, "data type or value field contradict the BIRTH"),
    Verdict.UNFIT: (Reason.SCHEMA, "the integer does not fit the data type of the BIRTH"),
    Verdict.NONFINITE: (Reason.NONFINITE, "the value is NaN or infinite; send is_null instead"),
    Verdict.NO_VALUE: (Reason.SCHEMA, "neither a value nor is_null"),
    Verdict.TIME: (Reason.TIME_FUTURE, "the timestamp lies beyond the year 2262"),
}
_CACHE = 4096


class MetricReader:
    """Owns the memory that scanning and resolving work in; holds no state between payloads.

    Attributes:
        table: The scanned payload.
    """

    def __init__(self, names: Names, limits: Limits, metrics: int) -> None:
        self._names, self._limits = names, limits
        self.table = new_scratch(metrics)
        self._real, self._single = self.table.view(np.float64), self.table.view(np.float32)
        self._row, self._time = np.empty(metrics, np.int32), np.empty(metrics, np.int64)
        self._value, self._grade = np.empty(metrics), np.empty(metrics, np.uint8)
        self._marks, self._verdict = np.empty(metrics, np.uint8), np.empty(metrics, np.uint8)
        self._quality: dict[bytes, tuple[int, Value]] = {}

    def look_up(self, node: Node, device: str, payload: bytes, count: int) -> dict[int, str]:
        """Read names and properties of DATA; returns units by position.

        Raises:
            DecodeError: A property set is damaged.
        """
        anywhere, rows = int(self.table[0, Column.FLAGS]), self.table[1 : count + 1]
        if anywhere & Has.NAME:
            known = node.by_name.get(node.owner.get(device, -1), {})
            spans = zip(
                rows[:, Column.NAME_AT].tolist(), rows[:, Column.NAME_SIZE].tolist(), strict=True
            )
            rows[:, Column.ROW] = [known.get(payload[at : at + size], -1) for at, size in spans]
        units: dict[int, str] = {}
        if anywhere & Has.PROPERTIES:
            ends = zip(
                rows[:, Column.PROPERTIES_AT].tolist(),
                rows[:, Column.PROPERTIES_SIZE].tolist(),
                strict=True,
            )
            read = [self._properties(payload[at : at + size]) for at, size in ends]
            rows[:, Column.QUALITY] = [grade for grade, _ in read]
            units = {i: unit for i, (_, unit) in enumerate(read) if isinstance(unit, str)}
        return units

    def _properties(self, data: bytes) -> tuple[int, Value]:
        """Quality code (-1 for none) and unit of a property set, remembered by its bytes."""
        found = self._quality.get(data)
        if found is None:
            read = properties(data, self._limits)
            if len(self._quality) >= _CACHE:
                self._quality.clear()
            found = self._quality[data] = (quality_code(read), read.get("engUnit"))
        return found

    def samples(
        self,
        node: Node,
        device: str,
        count: int,
        units: dict[int, str],
        recv_ns: int,
        out: Outcome,
    ) -> bool:
        """Fill the columns; returns whether a metric was unknown."""
        others = resolve(
            self.table,
            self._real,
            self._single,
            count,
            node.owner.get(device, -1),
            node.aliases,
            node.alias_row,
            node.row_type,
            node.row_owner,
            recv_ns,
            self._row,
            self._time,
            self._value,
            self._grade,
            self._marks,
            self._verdict,
        )
        out.metrics = count
        for i, unit in units.items():
            self._change_unit(node, device, int(self._row[i]), unit)
        keep: Any = slice(count)
        unknown = False
        if others:
            keep = np.flatnonzero(self._verdict[:count] == Verdict.SAMPLE)
            unknown = self._explain(node, device, count, out)
        out.ids = node.row_number[self._row[keep]]
        out.times, out.values = self._time[keep].copy(), self._value[keep].copy()
        out.qualities, out.marks = self._grade[keep].copy(), self._marks[keep].copy()
        return unknown

    def _change_unit(self, node: Node, device: str, row: int, unit: str) -> None:
        if row < 0 or node.rows[row].number < 0:
            return
        if self._names.units[node.rows[row].number] == unit:
            return
        name = f"{node.device_key(device)}:{node.rows[row].name}"
        number = self._names.number(name, unit)
        if number >= 0:
            node.renumber(row, number)

    def _explain(self, node: Node, device: str, count: int, out: Outcome) -> bool:
        """Sort metrics that are no samples into ignored and refused."""
        unknown, aliases = False, []
        rows = zip(self._verdict[:count].tolist(), self.table[1 : count + 1], strict=True)
        for place, (verdict, cells) in enumerate(rows):
            if verdict == Verdict.SAMPLE or cells[Column.ROW] == SKIPPED_ROW:
                continue
            if verdict >= Verdict.CONTROL:
                out.ignored += 1
                continue
            row, alias = int(self._row[place]), int(cells[Column.ALIAS])
            called = repr(node.rows[row].name) if row >= 0 else f"with alias {alias}"
            reason, text = _REFUSALS[verdict]
            out.refused.append((reason, f"{node.device_key(device)}: metric {called}: {text}"))
            if verdict == Verdict.UNKNOWN:
                unknown = True
                aliases += [alias] if cells[Column.FLAGS] & Has.ALIAS else []
        if aliases:
            detail = {"node": node.key, "device": device, "aliases": aliases}
            out.findings.append(("unknown_alias", detail))
        return unknown
