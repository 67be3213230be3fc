"""Causal Hampel test: single values far from the median of their own recent past.

A point is an outlier when it is further than t robust standard deviations from the median of the
window that ends with it: ``|x - median| > t * 1.4826 * MAD``. It finds point outliers and nothing
else; shifts and drifts belong to the charts.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numba import njit

from twin.detectors.logic import Logic, Row, columns, max_gap_ns
from twin.model.batch import GOOD, Mark
from twin.model.event import Event, event_id, iso
from twin.model.line import Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.logic import NameOf
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow

__all__ = ["Hampel", "hampel_rows"]

_MAD_TO_SIGMA = 1.4826
"""1 / quantile of the standard normal distribution at 0.75."""
_MEAN_DEVIATION = 0.7978845608028654
"""Mean absolute deviation of a standard normal variable, sqrt(2 / pi)."""

_SETTINGS = np.dtype(
    [
        ("window", np.int64),
        ("t", np.float64),
        ("resolution", np.float64),
        ("max_gap", np.int64),
        ("learn", np.int64),
    ],
    align=True,
)
_STATE = np.dtype(
    [
        ("n", np.int64),  # values looked at so far
        ("filled", np.int64),  # values in the window
        ("head", np.int64),  # where the oldest value is once the window is full
        ("late", np.int64),
        ("skipped", np.int64),
        ("skipped_in_row", np.int64),
        ("flagged", np.int64),  # outliers in a row
        ("side", np.int64),  # of the open finding: 1 high, -1 low, 0 none
        ("time", np.int64),
        ("median", np.float64),
        ("scale", np.float64),  # robust standard deviation
    ],
    align=True,
)
_CHANGE = np.dtype(
    [
        ("row", np.int64),
        ("sensor", np.int64),
        ("cause", np.int64),
        ("old", np.int64),
        ("new", np.int64),
        ("n", np.int64),
        ("time_before", np.int64),
        ("median", np.float64),
        ("scale", np.float64),
    ],
    align=True,
)
_CAUSES = ("inside", "gap", "level")
_LATE, _INVALID, _GAP = int(Mark.LATE), int(Mark.INVALID), int(Mark.AFTER_GAP)
_RAW = {Role.COUNTER, Role.STATE}


@njit(cache=True, error_model="numpy")
def _find(line: NDArray[np.float64], size: int, x: float) -> int:
    """Number of the first ``size`` sorted values that are smaller than x, size >= 1."""
    below = 0
    for i in range(size):
        below += 1 if line[i] < x else 0
    return below


@njit(cache=True, error_model="numpy")
def _replace(line: NDArray[np.float64], size: int, old: float, new: float) -> None:
    """Take one value out of the sorted values and put another in."""
    start = _find(line, size, old)
    stop = _find(line, size, new)
    if stop > start:
        stop -= 1
        for i in range(start, stop):
            line[i] = line[i + 1]
    else:
        for i in range(start, stop, -1):
            line[i] = line[i - 1]
    line[stop] = new


@njit(cache=True, error_model="numpy")
def _insert(line: NDArray[np.float64], size: int, new: float) -> None:
    """Put a value into ``size`` sorted values, which become one more."""
    at = size
    while at > 0 and line[at - 1] > new:
        line[at] = line[at - 1]
        at -= 1
    line[at] = new


@njit(cache=True, error_model="numpy")
def _remove(line: NDArray[np.float64], size: int, old: float) -> None:
    """Take a value out of ``size`` sorted values, which become one less."""
    for at in range(_find(line, size, old), size - 1):
        line[at] = line[at + 1]


@njit(cache=True, error_model="numpy")
def _nearest(line: NDArray[np.float64], size: int, centre: float, k: int) -> float:
    """Distance of the k-th nearest value (from 0): the k + 1 nearest are neighbours when sorted."""
    # A vectorised count beats a binary search here: no branch depends on the data.
    low = 0
    for i in range(size - 1 - k):
        low += 1 if centre - line[i] > line[i + k + 1] - centre else 0
    return float(max(centre - line[low], line[low + k] - centre))


@njit(cache=True, error_model="numpy")
def _judge(
    line: NDArray[np.float64], size: int, x: float, t: float, resolution: float
) -> tuple[int, float, float]:
    """Side of x (1 high, -1 low, 0 inside), median and robust standard deviation of a window."""
    half = size >> 1
    if size & 1:
        median = line[half]
        mad = _nearest(line, size, median, half)
    else:
        median = 0.5 * (line[half - 1] + line[half])
        mad = 0.5 * (_nearest(line, size, median, half - 1) + _nearest(line, size, median, half))
    scale = _MAD_TO_SIGMA * mad
    least = 0.0
    if mad == 0.0:
        total = 0.0
        for i in range(half):
            total += median - line[i]
        other = 0.0
        for i in range(size - 1, half - 1, -1):
            other += line[i] - median
        scale = (total + other) / size / _MEAN_DEVIATION
        least = resolution
    off = x - median
    limit = max(t * scale, least)
    side = 1 if off > limit else (-1 if -off > limit else 0)
    return side, median, scale


@njit(cache=True, error_model="numpy")
def hampel_rows(
    start: int,
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    row_of: NDArray[np.int32],
    settings: NDArray[np.void],
    state: NDArray[np.void],
    ring: NDArray[np.float64],
    ordered: NDArray[np.float64],
    out: NDArray[np.void],
) -> tuple[int, int]:
    """Walk the rows from ``start`` on and write what changed into ``out``.

    Args:
        start: First row to look at.
        sensor: Shape (n,); dense sensor index.
        time_ns: Shape (n,); event time.
        value: Shape (n,); unit of the sensor.
        quality: Shape (n,).
        marks: Shape (n,).
        row_of: Shape (sensors,); row of a sensor, -1 for none.
        settings: Shape (rows,).
        state: Shape (rows,); changed.
        ring: Shape (rows, longest window); values in order of arrival; changed.
        ordered: Same shape; the same values sorted; changed.
        out: Shape (m,), m >= 2; written from 0 on.

    Returns:
        Row to go on with (n when finished) and number of changes written.
    """
    written = 0
    for i in range(start, len(sensor)):
        s = row_of[sensor[i]]
        if s < 0:
            continue
        if written + 2 > len(out):
            return i, written
        now = state[s]
        x = value[i]
        t = time_ns[i]
        if marks[i] & _LATE or (now["n"] > 0 and t < now["time"]):
            now["late"] += 1
            continue
        if quality[i] != GOOD or marks[i] & _INVALID or not isfinite(x):
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        spec = settings[s]
        window = spec["window"]
        before = now["time"]
        old = now["side"]
        if now["n"] > 0 and (t - before > spec["max_gap"] or marks[i] & _GAP):
            if old != 0:
                change = out[written]
                change["row"] = i
                change["sensor"] = s
                change["cause"] = 1
                change["old"] = old
                change["new"] = 0
                change["n"] = now["n"]
                change["time_before"] = before
                written += 1
                old = 0
            now["filled"] = 0
            now["head"] = 0
            now["flagged"] = 0
            now["side"] = 0
        now["n"] += 1
        now["time"] = t
        now["skipped_in_row"] = 0

        side = 0
        cause = 0
        filled = now["filled"]
        head = now["head"]
        line = ordered[s]
        if filled < window:
            _insert(line, filled, x)
        else:
            _replace(line, window, ring[s, head], x)
        if filled + 1 >= window:
            side, median, scale = _judge(line, window, x, spec["t"], spec["resolution"])
            now["median"] = median
            now["scale"] = scale
            now["flagged"] = now["flagged"] + 1 if side != 0 else 0
        if now["flagged"] >= window:
            # As many outliers in a row as the window is long are no outliers: a new level.
            cause = 2
            side = 0
            ring[s, 0] = x
            line[0] = x
            now["filled"] = 1
            now["head"] = 0
            now["flagged"] = 0
        elif side != 0 and not spec["learn"]:
            if filled < window:
                _remove(line, window, x)
            else:
                _replace(line, window, x, ring[s, head])
        elif filled < window:
            ring[s, filled] = x
            now["filled"] = filled + 1
        else:
            ring[s, head] = x
            now["head"] = head + 1 if head + 1 < window else 0
        if side != old:
            change = out[written]
            change["row"] = i
            change["sensor"] = s
            change["cause"] = cause
            change["old"] = old
            change["new"] = side
            change["n"] = now["n"]
            change["time_before"] = before
            change["median"] = now["median"]
            change["scale"] = now["scale"]
            now["side"] = side
            written += 1
    return len(sensor), written


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
        self._specs: NDArray[np.void] = np.zeros(len(rows), _SETTINGS)
        for s, row in enumerate(rows):
            window, t = _window(row)
            learn = int(learn_outliers)
            resolution = row.spec.resolution or 0.0
            self._specs[s] = (window, t, resolution, max_gap_ns(row.spec), learn)
        longest = max((int(spec["window"]) for spec in self._specs), default=1)
        self._state: NDArray[np.void] = np.zeros(len(rows), _STATE)
        self._ring = np.zeros((len(rows), longest))
        self._ordered = np.zeros((len(rows), longest))
        self._out: NDArray[np.void] = np.zeros(1024, _CHANGE)
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
