"""Causal Hampel test: single values far from the median of their own recent past.

A point is an outlier when it is further than t robust standard deviations from the median of the
window that ends with it: ``|x - median| > t * 1.4826 * MAD``. It finds point outliers and nothing
else; shifts and drifts belong to the charts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from twin.detectors.finding import Opened, closed_at, places_of, products_of
from twin.detectors.logic import Logic, columns, max_gap_ns
from twin.detectors.outliers import hampel_kernel as kernel
from twin.detectors.outliers.hampel_kernel import SETTINGS, STATE, hampel_rows
from twin.model.event import Event, finding_ids, iso, seed_of
from twin.model.line import Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow

    _Words = tuple[str, dict[str, Any], float]

__all__ = ["Hampel"]

_CAUSES = {kernel.INSIDE: "inside", kernel.GAP: "gap"}
_LATER = ("centre", "lcl", "n_first", "n_last", "onset", "sigma", "statistic", "ucl")
"""Keys that get their value with each finding."""
_RAW = {Role.COUNTER, Role.STATE}


class Hampel(Logic):
    """Point outliers against the median of the last ``hampel_window`` values of each sensor.

    There is no verdict before the window is full, and none after a gap until it is full again.
    When more than half of the window is equal (MAD = 0) the mean absolute deviation stands in for
    it, and a value must also differ from the median by more than the sensor's resolution. What
    differs by no more than binary rounding (four times its precision) is equal.

    Every value enters the window, outliers too: median and MAD resist them up to half of it. A new
    level is therefore accepted when it fills more than half of the window.

    Small windows are noise generators. Of clean normal values are flagged:

    | window | t = 3 | t = 4 |
    |---|---|---|
    | 7 | 4.7 % | 2.4 % |
    | 11 | 2.8 % | 1.1 % |
    | 21 | 1.4 % | 0.33 % |
    | 51 | 0.65 % | 0.08 % |

    Args:
        index: The line; settings come from ``Sensor.chart`` (``hampel_window``, ``hampel_t``).
    """

    name: ClassVar[str] = "hampel"
    version: ClassVar[int] = 2

    def __init__(self, index: LineIndex) -> None:
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
            resolution = row.spec.resolution or 0.0
            self._specs[s] = (window, t, resolution, max_gap_ns(row.spec))
        longest = max((int(spec["window"]) for spec in self._specs), default=1)
        self._state: NDArray[np.void] = np.zeros(len(rows), STATE)
        self._ring = np.zeros((len(rows), longest))
        self._ordered = np.zeros((len(rows), longest))
        self._ids = [row.id for row in rows]
        self._facts = np.zeros((1024, len(kernel.FACTS)), np.int64)
        self._measures = np.zeros((1024, len(kernel.MEASURES)))
        self._said: dict[tuple[int, float, int], _Words] = {}
        self._words = [
            (self._pattern(int(w), float(t), 1), self._pattern(int(w), float(t), -1))
            for w, t in zip(self._specs["window"], self._specs["t"], strict=True)
        ]
        self._seeds = np.array(
            [seed_of(high[0], row.id) for (high, _), row in zip(self._words, rows, strict=True)],
            np.uint64,
        )
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
            row, reports = hampel_rows(
                row,
                *cols,
                self._row_of,
                self._specs,
                self._state,
                self._ring,
                self._ordered,
                self._numbers,
                self._facts,
                self._measures,
            )
            if reports:
                self._say(reports, batch, name_of, events)
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

    def _say(self, reports: int, batch: Batch, name_of: NameOf | None, events: list[Event]) -> None:
        """Events of the kernel's reports, in their order."""
        facts, measures = self._facts[:reports], self._measures[:reports]
        rows, opened, ids, words = facts[:, 0], self._open, self._ids, self._words
        is_new = facts[:, 2] == kernel.OPEN
        first, number, seed = facts[is_new, 5], facts[is_new, 7], self._seeds[facts[is_new, 1]]
        new = zip(
            finding_ids(seed, first, number),
            number.tolist(),
            *measures[is_new, 1:].T.tolist(),
            strict=True,
        )
        for i, sensor, what, side, n, time, before, value, product, place in zip(
            *facts.T[:7].tolist(),
            measures[:, 0].tolist(),
            products_of(batch.product[rows], name_of),
            places_of(batch.place[rows]),
            strict=False,
        ):
            if what != kernel.OPEN:
                one = opened.pop(sensor)[0]
                count = n - one.n + 1
                events.append(
                    closed_at(one, _CAUSES[what], count, before, i, time, value, product, place)
                )
                continue
            identity, count, median, scale = next(new)
            ruleset, said, t = words[sensor][side < 0]
            width = t * scale
            detail = said.copy()
            detail["centre"] = median
            detail["lcl"] = median - width
            detail["n_first"] = detail["n_last"] = n
            detail["onset"] = iso(time)
            detail["sigma"] = scale
            detail["statistic"] = (value - median) / scale if scale else None
            detail["ucl"] = median + width
            event = Event(
                id=identity,
                type="finding",
                rule="hampel",
                ruleset=ruleset,
                sensor=ids[sensor],
                product=product,
                place=place,
                t_first=time,
                t_last=time,
                value=value,
                detail=detail,
                row=i,
            )
            opened[sensor] = [Opened(event, count, 1, n)]
            events.append(event)

    def _pattern(self, window: int, t: float, side: int) -> _Words:
        """Rule set, unchanging detail and threshold; the same for all rows with the same settings."""
        key = (window, t, side)
        if key not in self._said:
            where = "above" if side > 0 else "below"
            detail = {
                "convention": "points",
                "meaning": f"more than {t:g} robust standard deviations {where} "
                f"the median of {window} values",
                "rules": ["hampel"],
                "side": "high" if side > 0 else "low",
                "usual": "single wrong value",
                **dict.fromkeys(_LATER),
            }
            self._said[key] = f"hampel({window};{t:g})@{self.version}", detail, t
        return self._said[key]


def _window(row: SensorRow) -> tuple[int, float]:
    chart = row.spec.chart
    if chart is None or chart.hampel_window is None:
        raise ValueError(f"sensor {row.id!r} has no Hampel test")
    return chart.hampel_window, chart.hampel_t
