"""What the Sparkplug host says about one message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.ingest.sparkplug_node import Names

__all__ = ["HostState", "Outcome", "Sample"]


class Sample(NamedTuple):
    """One sample, by name.

    Attributes:
        name: ``group/node:metric`` or ``group/node/device:metric``.
        time_ns: Event time.
        value: NaN only with quality BAD.
        quality: GOOD, UNCERTAIN or BAD.
        marks: Bits of :class:`~twin.model.batch.Mark`.
        unit: Unit the device states, or None.
    """

    name: str
    time_ns: int
    value: float
    quality: int
    marks: int
    unit: str | None


class HostState(NamedTuple):
    """What a host application says about itself (``STATE``)."""

    host: str
    online: bool
    timestamp_ms: int


_NO_INT32 = np.empty(0, np.int32)
_NO_INT64 = np.empty(0, np.int64)
_NO_FLOAT = np.empty(0, np.float64)
_NO_BYTES = np.empty(0, np.uint8)


@dataclass(slots=True)
class Outcome:
    """What one message (or one moment) meant.

    ``metrics == len(ids) + ignored + refused metrics``: nothing disappears.

    Attributes:
        names: The host's table of metrics; ``ids`` are numbers in it.
        ids: int32[n], number of the metric (and unit).
        times: int64[n], event time, ns since 1970 UTC.
        values: float64[n], NaN only with quality BAD.
        qualities: uint8[n].
        marks: uint8[n], bits of :class:`~twin.model.batch.Mark`.
        metrics: Metrics the message carried.
        ignored: Metrics that are no samples by intent: session control, transient, texts.
        refused: (reason, detail) of refused metrics, or of the whole message.
        findings: (code, detail) of breaches of the specification and losses.
        rebirth: (group, node) to be asked for a rebirth.
        stale: Nodes and devices (``group/node[/device]``) that went offline.
        gap: Nodes and devices after which values are missing; run rules break there.
        state: What another host said about itself.
    """

    names: Names
    ids: NDArray[np.int32] = field(default_factory=lambda: _NO_INT32)
    times: NDArray[np.int64] = field(default_factory=lambda: _NO_INT64)
    values: NDArray[np.float64] = field(default_factory=lambda: _NO_FLOAT)
    qualities: NDArray[np.uint8] = field(default_factory=lambda: _NO_BYTES)
    marks: NDArray[np.uint8] = field(default_factory=lambda: _NO_BYTES)
    metrics: int = 0
    ignored: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    findings: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    rebirth: list[tuple[str, str]] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    gap: list[str] = field(default_factory=list)
    state: HostState | None = None

    @property
    def samples(self) -> list[Sample]:
        """The columns as tuples, for tools and tests."""
        names, units = self.names.names, self.names.units
        columns = (self.ids, self.times, self.values, self.qualities, self.marks)
        return [
            Sample(names[i], time, value, quality, marks, units[i])
            for i, time, value, quality, marks in zip(*(c.tolist() for c in columns), strict=True)
        ]
