"""Columnar checks of decoded rows: range, time, duplicates. One verdict per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from twin.ingest.dedupe import CONFLICT, DUPLICATE, LATE, Dedupe
from twin.ingest.times import MISSING, UNREADABLE
from twin.model.batch import BAD, Mark
from twin.model.event import iso
from twin.model.message import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.index import LineIndex

__all__ = ["Checked", "Checker", "RawColumns"]

_DAY_NS = 86_400_000_000_000


@dataclass(slots=True)
class RawColumns:
    """Decoded rows before checks; all columns have length n.

    Attributes:
        sensor: int32.
        time_ns: int64, MISSING or UNREADABLE where no time was understood.
        value: float64, declared unit.
        quality: uint8.
        marks: uint8.
        source_seq: int64, -1 for none.
        seq: int64, journal number.
        recv_ns: int64.
    """

    sensor: NDArray[np.int32]
    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    marks: NDArray[np.uint8]
    source_seq: NDArray[np.int64]
    seq: NDArray[np.int64]
    recv_ns: NDArray[np.int64]


@dataclass(slots=True)
class Checked:
    """Verdict: which rows go on, and why the others do not.

    Attributes:
        keep: bool[n].
        refused: (row, reason, detail) of the others, in row order.
    """

    keep: NDArray[np.bool_]
    refused: list[tuple[int, str, str]]


class Checker:
    """Checks of one version of the line.

    Args:
        index: The line.
        dedupe: Shared with the next version when the line is reloaded.
    """

    def __init__(self, index: LineIndex, dedupe: Dedupe | None = None) -> None:
        self._index = index
        count = len(index)
        self._low = np.full(count, -np.inf)
        self._high = np.full(count, np.inf)
        self._quiet_low = np.full(count, -np.inf)
        self._quiet_high = np.full(count, np.inf)
        for row in index.sensors:
            if row.spec.range is not None:
                self._low[row.index], self._high[row.index] = row.spec.range
            if row.spec.operating is not None:
                self._quiet_low[row.index], self._quiet_high[row.index] = row.spec.operating
        self._has_operating = bool(
            np.isfinite(self._quiet_low).any() or np.isfinite(self._quiet_high).any()
        )
        head = index.line.line
        self._future_ns = int(head.future_s * 1e9)
        too_old = head.too_old_s
        self._old_ns = None if too_old is None or too_old > 9e9 else int(too_old * 1e9)
        self.dedupe = dedupe or Dedupe(count)

    def check(self, raw: RawColumns) -> Checked:
        """Judge every row; substitutes missing times and sets marks in ``raw`` in place."""
        refused: dict[int, tuple[str, str]] = {}
        keep = np.ones(len(raw.sensor), np.bool_)
        self._range(raw, keep, refused)
        self._time(raw, keep, refused)
        self._duplicates(raw, keep, refused)
        return Checked(keep, [(row, *refused[row]) for row in sorted(refused)])

    def _range(
        self, raw: RawColumns, keep: NDArray[np.bool_], refused: dict[int, tuple[str, str]]
    ) -> None:
        value, sensor = raw.value, raw.sensor
        # Written so that NaN fails neither comparison: a BAD sample has no value.
        outside = (value < self._low[sensor]) | (value > self._high[sensor])
        outside |= np.isinf(value)
        outside &= raw.quality != BAD
        if outside.any():
            for row in np.flatnonzero(outside).tolist():
                keep[row] = False
                refused[row] = self._range_words(int(sensor[row]), float(value[row]))
        if self._has_operating:
            odd = (value < self._quiet_low[sensor]) | (value > self._quiet_high[sensor])
            raw.marks[odd] |= Mark.QUESTIONABLE

    def _range_words(self, sensor: int, value: float) -> tuple[str, str]:
        if value - value != 0:
            return Reason.NONFINITE, f"{self._index.sensors[sensor].id}: {value} is not finite"
        row = self._index.sensors[sensor]
        low, high = self._low[sensor], self._high[sensor]
        return (
            Reason.RANGE,
            (
                f"{row.id}: {value:g} {row.spec.unit} is outside the physical range"
                f" {low:g} … {high:g} of the sensor; check the unit and the wiring, or the `range`"
            ),
        )

    def _time(
        self, raw: RawColumns, keep: NDArray[np.bool_], refused: dict[int, tuple[str, str]]
    ) -> None:
        time_ns, recv = raw.time_ns, raw.recv_ns
        missing = time_ns == MISSING
        unreadable = time_ns == UNREADABLE
        if unreadable.any():
            for row in np.flatnonzero(unreadable & keep).tolist():
                keep[row] = False
                refused[row] = (
                    Reason.SCHEMA,
                    (
                        "ts cannot be understood; send seconds or milliseconds since 1970 UTC,"
                        " or ISO 8601 with a zone"
                    ),
                )
            time_ns[unreadable] = recv[unreadable]
        ahead = time_ns - recv
        ahead[missing] = 0
        if ahead.size and int(ahead.max()) > self._future_ns:
            far = ahead > _DAY_NS
            for row in np.flatnonzero(far & keep).tolist():
                keep[row] = False
                refused[row] = (
                    Reason.TIME_FUTURE,
                    (
                        f"event time {iso(int(time_ns[row]))} is more than a day ahead of the receive"
                        f" time {iso(int(recv[row]))}; set the device's clock"
                    ),
                )
            missing = missing | (ahead > self._future_ns)
        if missing.any():
            time_ns[missing] = recv[missing]
            raw.marks[missing] |= Mark.TS_SUBSTITUTED
            # Without a time of its own a sample cannot be recognised as sent twice.
            raw.source_seq[missing] = raw.seq[missing]
        if self._old_ns is not None:
            old = (recv - time_ns) > self._old_ns
            if old.any():
                for row in np.flatnonzero(old & keep).tolist():
                    keep[row] = False
                    refused[row] = (
                        Reason.TIME_TOO_OLD,
                        (
                            f"event time {iso(int(time_ns[row]))} is older than `too_old_s` ="
                            f" {self._old_ns / 1e9:g} s of the line description"
                        ),
                    )

    def _duplicates(
        self, raw: RawColumns, keep: NDArray[np.bool_], refused: dict[int, tuple[str, str]]
    ) -> None:
        everything = bool(keep.all())
        rows = np.arange(len(keep)) if everything else np.flatnonzero(keep)
        verdict = (
            self.dedupe.judge(raw.sensor, raw.time_ns, raw.source_seq, raw.value)
            if everything
            else self.dedupe.judge(
                raw.sensor[rows], raw.time_ns[rows], raw.source_seq[rows], raw.value[rows]
            )
        )
        if not verdict.any():
            return
        late = rows[verdict == LATE]
        raw.marks[late] |= Mark.LATE
        for row in rows[verdict == DUPLICATE].tolist():
            keep[row] = False
            refused[row] = (Reason.DUPLICATE, "the same sample was stored before")
        for row in rows[verdict == CONFLICT].tolist():
            keep[row] = False
            name = self._index.sensors[int(raw.sensor[row])].id
            refused[row] = (
                Reason.CONFLICT,
                (
                    f"{name}: another value is stored for {iso(int(raw.time_ns[row]))}; the first one"
                    f" stands, {float(raw.value[row]):g} was refused; send finer times or a `seq`"
                ),
            )
