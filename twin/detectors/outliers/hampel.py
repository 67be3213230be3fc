"""Causal Hampel test: single values far from the median of their own recent past.

A point is an outlier when it is further than t robust standard deviations from the median of the
window that ends with it: ``|x - median| > t * 1.4826 * MAD``. It finds point outliers and nothing
else; shifts and drifts belong to the charts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from twin.detectors.finding import Row
from twin.detectors.logic import Logic, columns, max_gap_ns
from twin.detectors.outliers.hampel_kernel import CHANGE, SETTINGS, STATE, hampel_rows
from twin.model.event import Event, event_id, iso
from twin.model.line import Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow

__all__ = ["Hampel"]

_CAUSES = ("inside", "gap", "level")
_RAW = {Role.COUNTER, Role.STATE}


class Hampel(Logic):
    """Point outliers against the median of the last ``hampel_window`` values of each sensor.

    There is no verdict before the window is full, and none after a gap until it is full again.
    When more than half of the window is equal (MAD = 0) the mean absolute deviation stands in for
    it, and a value must also differ from the median by more than the sensor's resolution.

    A flagged value does not enter the window, so that a cluster of outliers cannot widen it.
    When as many values in a row are flagged as the window is long, the level has changed: the
    finding closes with the cause ``level`` and the window starts again.

    Args:
        index: The line; settings come from ``Sensor.chart`` (``hampel_window``, ``hampel_t``).
        learn_outliers: Let flagged values enter the window. Use it where a new level should be
            accepted after half a window; outliers then mask each other.
    """

    name: ClassVar[str] = "hampel"
    version: ClassVar[int] = 1

    def __init__(self, index: LineIndex, *, learn_outliers: bool = False) -> None:
        rows = [
            row
            for row in index.sensors
            if row.spec.chart is not None
            and row.spec.chart.hampel_window is not None
            and row.spec.role not in _RAW
        ]
        self._specs: NDArray[np.void] = np.zeros(len(rows), SETTINGS)
        for s, row in enumerate(rows):
            window, t = _window(row)
            learn = int(learn_outliers)
            resolution = row.spec.resolution or 0.0
            self._specs[s] = (window, t, resolution, max_gap_ns(row.spec), learn)
        longest = max((int(spec["window"]) for spec in self._specs), default=1)
        self._state: NDArray[np.void] = np.zeros(len(rows), STATE)
        self._ring = np.zeros((len(rows), longest))
        self._ordered = np.zeros((len(rows), longest))
        self._out: NDArray[np.void] = np.zeros(1024, CHANGE)
        super().__init__(
            index,
            rows,
            [repr(spec) for spec in self._specs.tolist()],
            {"state": self._state, "ring": self._ring, "ordered": self._ordered},
        )

    def update(self, batch: Batch, name_of: NameOf | None = None) -> list[Event]:
        """Judge the rows in order.

        Args:
            batch: Accepted samples, marked by the validity tests.
            name_of: Product index to product id, for the events.

        Returns:
            Findings opened and closed, in order of their samples.
        """
        if not self._rows:
            return []
        cols = columns(batch, self._sensors)
        events: list[Event] = []
        row = 0
        while row < len(batch):
            row, changes = hampel_rows(
                row,
                *cols,
                self._row_of,
                self._specs,
                self._state,
                self._ring,
                self._ordered,
                self._out,
            )
            for change in self._out[:changes].tolist():
                events += self._say(_Change._make(change), batch, name_of)
        return events

    def state(self, sensor: int) -> dict[str, Any] | None:
        """One sensor for the board; None when it has no Hampel test.

        ``verdict`` is ``cannot judge`` until the window is full and while the newest samples
        cannot be judged, else ``signal`` or ``in control``.
        """
        s = int(self._row_of[sensor])
        if s < 0:
            return None
        now, spec = self._state[s], self._specs[s]
        full = now["filled"] >= spec["window"]
        judged = full and not now["skipped_in_row"]
        width = float(spec["t"]) * float(now["scale"])
        return {
            "sensor": self._rows[s].id,
            "verdict": ("signal" if now["side"] else "in control") if judged else "cannot judge",
            "window": int(spec["window"]),
            "filled": int(now["filled"]),
            "t": float(spec["t"]),
            "median": float(now["median"]) if full else None,
            "lcl": float(now["median"]) - width if full else None,
            "ucl": float(now["median"]) + width if full else None,
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
        }

    def _say(self, change: _Change, batch: Batch, name_of: NameOf | None) -> list[Event]:
        at = Row.of(batch, change.row, name_of)
        events: list[Event] = []
        if change.old:
            cause = _CAUSES[change.cause]
            last = change.n if cause == "gap" else change.n - 1
            events += self._close_findings(change.sensor, 1, change.time_before, last, at, cause)
        if change.new:
            number = self._number(change.sensor)
            event = self._finding(change, at, number)
            events.append(self._open_finding(change.sensor, event, number, change.n))
        return events

    def _finding(self, change: _Change, at: Row, number: int) -> Event:
        sensor, spec = self._rows[change.sensor], self._specs[change.sensor]
        window, t = int(spec["window"]), float(spec["t"])
        ruleset = f"hampel({window};{t:g})@{self.version}"
        side = "high" if change.new > 0 else "low"
        width = t * change.scale
        return Event(
            id=event_id("hampel", ruleset, sensor.id, "finding", at.time_ns, number),
            type="finding",
            rule="hampel",
            ruleset=ruleset,
            sensor=sensor.id,
            product=at.product,
            place=at.place,
            t_first=at.time_ns,
            t_last=at.time_ns,
            value=at.value,
            detail={
                "centre": change.median,
                "convention": "points",
                "lcl": change.median - width,
                "meaning": f"more than {t:g} robust standard deviations "
                f"{'above' if side == 'high' else 'below'} the median of {window} values",
                "n_first": change.n,
                "n_last": change.n,
                "onset": iso(at.time_ns),
                "rules": ["hampel"],
                "side": side,
                "sigma": change.scale,
                "statistic": (at.value - change.median) / change.scale if change.scale else None,
                "ucl": change.median + width,
                "usual": "single wrong value",
            },
            row=at.i,
        )


class _Change(NamedTuple):
    """One change in plain Python, same order of fields as the kernel writes."""

    row: int
    sensor: int
    cause: int
    old: int
    new: int
    n: int
    time_before: int
    median: float
    scale: float


def _window(row: SensorRow) -> tuple[int, float]:
    chart = row.spec.chart
    if chart is None or chart.hampel_window is None:
        raise ValueError(f"sensor {row.id!r} has no Hampel test")
    return chart.hampel_window, chart.hampel_t
