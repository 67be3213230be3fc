"""Validity tests: is this sample fit to be judged at all?

They run before the charts and mark rows in ``batch.marks``; a marked sample is kept and shown but
enters no statistics. All times are event times.

=====  ============================================================================  ===========
rule   definition                                                                    mark
=====  ============================================================================  ===========
stuck  the same value (within half a resolution step) for longer than ``stuck_s``     STUCK
       and at least three samples
spike  ``|x - median(last valid, x, next)| > spike``                                   SPIKE
rate   ``|x - last valid| / dt > rate_per_s`` with the real dt, at least half a period  RATE
gap    no good sample for longer than ``max_gap_ns``                                   AFTER_GAP
=====  ============================================================================  ===========

**Spikes without looking ahead.** Whether a jump is a spike is known only one sample later. A
value that is further than ``spike`` from the last valid one is therefore withheld (marked SPIKE)
at once, and the next good sample decides: if it returns, the event ``validity``/``spike`` is
sent; if it does not, the jump was a step, the withheld value counts as valid and nothing is said.
A step costs the charts one sample of delay and never more. Nothing that was said is taken back,
and the answer does not depend on how the stream is cut. Alarms on plain limits look at raw
values and do not wait.

``stuck`` and ``rate`` open with an event ``validity`` and end with ``validity_closed``. ``gap`` and
``spike`` are over when they are known; they have no closing event.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from twin.detectors.finding import Row, product_of
from twin.detectors.logic import NEVER, Logic, columns, max_gap_ns
from twin.detectors.validity_kernel import (
    CHANGE,
    GAP,
    RATE,
    SETTINGS,
    SPIKE,
    STATE,
    STUCK,
    validity_rows,
)
from twin.model.event import Event, event_id, iso

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow

__all__ = ["Validity"]

_NAMES = {STUCK: "stuck", SPIKE: "spike", RATE: "rate", GAP: "gap"}
_LEAST_DT_NS = 1e6
"""Shortest time step for a rate when the period is not declared."""


class Validity(Logic):
    """Stuck, spike, rate of change and gap, per sensor as declared in the line description.

    Samples that are late, of bad quality or not a number are counted and change nothing else.

    Args:
        index: The line; settings come from ``Sensor`` (``stuck_s``, ``spike``, ``rate_per_s``,
            ``resolution``, ``period_s``) and :func:`twin.detectors.logic.max_gap_ns`.
    """

    name: ClassVar[str] = "validity"
    version: ClassVar[int] = 1

    def __init__(self, index: LineIndex) -> None:
        specs = [(row, _spec(row)) for row in index.sensors]
        specs = [
            (row, spec) for row, spec in specs if spec[:2] != _OFF[:2] or spec[3:5] != _OFF[2:]
        ]
        self._specs: NDArray[np.void] = np.zeros(len(specs), SETTINGS)
        for s, (_, spec) in enumerate(specs):
            self._specs[s] = spec
        self._state: NDArray[np.void] = np.zeros(len(specs), STATE)
        self._out: NDArray[np.void] = np.zeros(1024, CHANGE)
        super().__init__(
            index,
            [row for row, _ in specs],
            [repr(spec) for _, spec in specs],
            {"state": self._state},
        )

    def update(self, batch: Batch, name_of: NameOf | None = None) -> list[Event]:
        """Test the rows in order and mark them in ``batch.marks``.

        Args:
            batch: Accepted samples; its marks must be writable uint8.
            name_of: Product index to product id, for the events.

        Returns:
            Events ``validity`` and ``validity_closed``, in order of their samples.

        Raises:
            ValueError: The marks cannot be written in place.
        """
        if not self._rows:
            return []
        cols = columns(batch, self._sensors)
        if cols[-1] is not batch.marks:
            raise ValueError(
                "batch.marks must be contiguous, writable uint8: they are set in place"
            )
        product = np.require(batch.product, np.int32, ("C", "A", "W"))
        place = np.require(batch.place, np.float64, ("C", "A", "W"))
        events: list[Event] = []
        row = 0
        while row < len(batch):
            row, changes = validity_rows(
                row, *cols, product, place, self._row_of, self._specs, self._state, self._out
            )
            for change in self._out[:changes].tolist():
                events += self._say(_Change._make(change), batch, name_of)
        return events

    def state(self, sensor: int) -> dict[str, Any] | None:
        """One sensor for the board; None when no validity test is declared for it.

        ``verdict`` is ``cannot judge`` before the first good sample and while the newest samples
        are bad, ``invalid`` while a test fails, else ``valid``.
        """
        s = int(self._row_of[sensor])
        if s < 0:
            return None
        now = self._state[s]
        failing = [_NAMES[rule] for rule in (STUCK, RATE) if now["open"] & rule]
        if now["waiting"]:
            failing.append("spike")
        judged = now["seen"] and not now["skipped_in_row"]
        return {
            "sensor": self._rows[s].id,
            "verdict": ("invalid" if failing else "valid") if judged else "cannot judge",
            "failing": failing,
            "samples": int(now["seen"]),
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
            "valid": float(now["valid"]) if now["seen"] else None,
            "valid_ns": int(now["valid_time"]) if now["seen"] else None,
        }

    def _say(self, change: _Change, batch: Batch, name_of: NameOf | None) -> list[Event]:
        if not change.opens:
            at = Row.of(batch, change.row, name_of)
            cause = "gap" if change.by_gap else "inside"
            return self._close_findings(
                change.sensor, change.rule, change.time_last, change.n, at, cause
            )
        number = self._number(change.sensor)
        event = self._event(change, number, name_of)
        if change.rule in {STUCK, RATE}:
            self._open_finding(change.sensor, event, number, change.n, change.rule)
        return [event]

    def _event(self, change: _Change, number: int, name_of: NameOf | None) -> Event:
        sensor, rule = self._rows[change.sensor], _NAMES[change.rule]
        ruleset = f"validity@{self.version}"
        return Event(
            id=event_id(rule, ruleset, sensor.id, "validity", change.time_first, number),
            type="validity",
            rule=rule,
            ruleset=ruleset,
            sensor=sensor.id,
            product=product_of(change.product, name_of),
            place=None if isnan(change.place) else change.place,
            t_first=change.time_first,
            t_last=change.time_last,
            value=change.value,
            detail={
                "before": change.before,
                "meaning": _meaning(sensor, change),
                "n_last": change.n,
                "onset": iso(change.time_first),
                "rules": [rule],
                "side": "both",
            },
            row=change.row,
        )


class _Change(NamedTuple):
    """One change in plain Python, same order of fields as the kernel writes."""

    row: int
    sensor: int
    rule: int
    opens: int
    by_gap: int
    n: int
    time_first: int
    time_last: int
    value: float
    before: float
    product: int
    place: float


_OFF = (NEVER, NEVER, float("inf"), float("inf"))
"""Gap, stuck, spike and rate of a sensor without any test."""


def _spec(row: SensorRow) -> tuple[int, int, float, float, float, float]:
    spec = row.spec
    return (
        max_gap_ns(spec),
        NEVER if spec.stuck_s is None else round(spec.stuck_s * 1e9),
        (spec.resolution or 0.0) / 2.0,
        float("inf") if spec.spike is None else spec.spike,
        float("inf") if spec.rate_per_s is None else spec.rate_per_s / 1e9,
        _LEAST_DT_NS if spec.period_s is None else spec.period_s * 1e9 / 2.0,
    )


def _meaning(sensor: SensorRow, change: _Change) -> str:
    unit = sensor.spec.unit
    seconds = (change.time_last - change.time_first) / 1e9
    if change.rule == STUCK:
        return f"the same value for {seconds:g} s (allowed {sensor.spec.stuck_s:g} s)"
    if change.rule == SPIKE:
        return (
            f"a single value {abs(change.value - change.before):g} {unit} away that returned "
            f"(allowed {sensor.spec.spike:g} {unit})"
        )
    if change.rule == RATE:
        return (
            f"a change of {abs(change.value - change.before):g} {unit} faster than "
            f"{sensor.spec.rate_per_s:g} {unit} per second"
        )
    return f"no good sample for {seconds:g} s"
