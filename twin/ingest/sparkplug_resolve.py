"""Scanned metrics to samples: alias to metric, bits to number, one compiled walk per payload."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.ingest.sparkplug_scan import Column, Has, Wire
from twin.model.batch import BAD, GOOD, UNCERTAIN, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AMBIGUOUS_ROW", "CONTROL_TYPE", "SKIPPED_ROW", "Verdict", "resolve"]

AMBIGUOUS_ROW = -2
"""Row of an alias that two metrics claim."""
SKIPPED_ROW = -3
"""Row of a metric that was refused before; it is not looked up."""
CONTROL_TYPE = -1
"""Data type of a metric that steers the session (``bdSeq``, ``Node Control/…``)."""

_SUBSTITUTED, _HISTORICAL = Mark.TS_SUBSTITUTED, Mark.HISTORICAL
_MS = 1_000_000
_LAST_MS = (1 << 63) // _MS - 1
_STALE = 500
_U32 = 0xFFFF_FFFF
_TWO_64 = 18446744073709551616.0


class Verdict(IntEnum):
    """What became of a metric."""

    SAMPLE = 0
    UNKNOWN = 1
    """No BIRTH of this node or device names it."""
    AMBIGUOUS = 2
    """Its alias belongs to two metrics."""
    FOREIGN = 3
    """Its alias belongs to another device of the node."""
    CONTRADICTS = 4
    """Data type or value field differ from the BIRTH."""
    UNFIT = 5
    """The integer does not fit its data type."""
    NONFINITE = 6
    NO_VALUE = 7
    """Neither a value nor ``is_null``."""
    TIME = 8
    """Its timestamp lies beyond the year 2262."""
    CONTROL = 9
    TRANSIENT = 10
    NOT_NUMERIC = 11


@njit(cache=True, error_model="numpy")
def _find(aliases: NDArray[np.int64], alias: int) -> int:
    """Position of ``alias`` in sorted ``aliases``, -1 when absent."""
    low, high = 0, len(aliases)
    while low < high:
        middle = (low + high) // 2
        if aliases[middle] < alias:
            low = middle + 1
        else:
            high = middle
    return low if low < len(aliases) and aliases[low] == alias else -1


@njit(cache=True, error_model="numpy")
def _integer(bits: int, datatype: int) -> tuple[int, float]:
    """Interpret the bits of an integer.

    How far a negative number is extended is not written down: 8, 16, 32 and 64 bits all occur.
    """
    if datatype in (0, 8, 13):
        return Verdict.SAMPLE, (bits + _TWO_64 if bits < 0 else float(bits))
    if datatype == 4:
        return Verdict.SAMPLE, float(bits)
    unsigned = datatype > 4
    width = 8 << int(datatype - (5 if unsigned else 1))
    low = bits & ((1 << width) - 1)
    if unsigned:
        return (Verdict.SAMPLE if bits == low else Verdict.UNFIT), float(low)
    value = low - (1 << width) if low >> (width - 1) else low
    if bits in (value, low, value & _U32):
        return Verdict.SAMPLE, float(value)
    return Verdict.UNFIT, 0.0


@njit(cache=True, error_model="numpy")
def _text(datatype: int) -> bool:
    """Whether metrics of this type (String, Text, DataSet, arrays …) are no numbers."""
    return datatype < 0 or datatype == 12 or datatype > 13


@njit(cache=True, error_model="numpy")
def _number(kind: int, datatype: int, bits: int, real: float, single: float) -> tuple[int, float]:
    """Verdict and value of a metric that is neither null nor transient."""
    if _text(datatype) or (datatype == 0 and kind > Wire.BOOLEAN):
        return Verdict.NOT_NUMERIC, 0.0
    if kind == 0:
        return Verdict.NO_VALUE, 0.0
    if kind in (Wire.DOUBLE, Wire.FLOAT):
        if datatype not in (0, 9, 10):
            return Verdict.CONTRADICTS, 0.0
        value = real if kind == Wire.DOUBLE else single
        return (Verdict.SAMPLE if np.isfinite(value) else Verdict.NONFINITE), value
    if kind == Wire.BOOLEAN:
        if datatype not in (0, 11):
            return Verdict.CONTRADICTS, 0.0
        return Verdict.SAMPLE, (1.0 if bits else 0.0)
    if kind > Wire.BOOLEAN or datatype in (9, 10, 11):
        return Verdict.CONTRADICTS, 0.0
    return _integer(bits, datatype)


@njit(cache=True, error_model="numpy")
def _quality(code: int) -> int:
    """GOOD, UNCERTAIN or BAD; stale (500) is the last usable value, hence uncertain."""
    if code < 0:
        return GOOD
    if code == _STALE:
        return UNCERTAIN
    if code > 255:
        return BAD
    group = code & 0xC0
    return GOOD if group == GOOD else (UNCERTAIN if group == UNCERTAIN else BAD)


@njit(cache=True, error_model="numpy")
def resolve(
    table: NDArray[np.int64],
    real: NDArray[np.float64],
    single: NDArray[np.float32],
    count: int,
    owner: int,
    aliases: NDArray[np.int64],
    alias_row: NDArray[np.int32],
    row_type: NDArray[np.int32],
    row_owner: NDArray[np.int32],
    recv_ns: int,
    row: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    verdict: NDArray[np.uint8],
) -> int:
    """Turn the first ``count`` metrics of ``table`` into samples.

    Args:
        table: Scanned payload. A metric that came with a name has its row in ``Column.ROW``.
        real: The same memory as float64.
        single: The same memory as float32, two cells per number, little-endian.
        count: Metrics in the table.
        owner: Number of the node or device that sent the payload.
        aliases: Sorted aliases of the node.
        alias_row: Row of each alias in the node's metrics, or ``AMBIGUOUS_ROW``.
        row_type: Data type of each row, ``CONTROL_TYPE`` for session metrics.
        row_owner: Owner of each row.
        recv_ns: Receive time, for payloads without any time.
        row: Out, shape (count,): row of the metric, -1 when unknown.
        time_ns: Out: event time, ns since 1970 UTC.
        value: Out.
        quality: Out.
        marks: Out.
        verdict: Out: :class:`Verdict`.

    Returns:
        Number of metrics that are no sample.
    """
    others = 0
    has_time = table[0, Column.FLAGS] & Has.PAYLOAD_TIME
    for i in range(count):
        cells = table[i + 1]
        flags = cells[Column.FLAGS]
        at = cells[Column.ROW]
        if at == -1 and flags & Has.ALIAS:
            place = _find(aliases, cells[Column.ALIAS])
            at = alias_row[place] if place >= 0 else -1
        row[i] = max(at, -1)
        value[i], quality[i], marks[i], time_ns[i] = np.nan, BAD, 0, 0
        answer = 0
        if at < 0:
            answer = Verdict.AMBIGUOUS if at == AMBIGUOUS_ROW else Verdict.UNKNOWN
        elif row_owner[at] != owner:
            answer = Verdict.FOREIGN
        elif row_type[at] == CONTROL_TYPE:
            answer = Verdict.CONTROL
        elif flags & Has.DATATYPE and cells[Column.DATATYPE] != row_type[at]:
            answer = Verdict.CONTRADICTS
        elif flags & Has.TRANSIENT:
            answer = Verdict.TRANSIENT
        elif not flags & Has.NULL:
            answer, value[i] = _number(
                cells[Column.KIND],
                row_type[at],
                cells[Column.BITS],
                real[i + 1, Column.BITS],
                single[i + 1, 2 * Column.BITS],
            )
            quality[i] = _quality(cells[Column.QUALITY])
            if answer == Verdict.NONFINITE and quality[i] == BAD:
                answer, value[i] = 0, np.nan
        elif _text(row_type[at]):
            answer = Verdict.NOT_NUMERIC
        if flags & Has.HISTORICAL:
            marks[i] |= _HISTORICAL
        if flags & Has.TIME or has_time:
            ms = cells[Column.TIME] if flags & Has.TIME else table[0, Column.TIME]
            if 0 <= ms <= _LAST_MS:
                time_ns[i] = ms * _MS
            elif answer == 0:
                answer = Verdict.TIME
        else:
            time_ns[i] = recv_ns
            marks[i] |= _SUBSTITUTED
        verdict[i] = answer
        if answer:
            others += 1
    return others
