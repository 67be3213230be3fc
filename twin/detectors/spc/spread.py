"""Charts of scatter beside a chart of location: moving range, range and standard deviation.

======  ============================================  =====================  =====================
chart   statistic                                     centre line            limits
======  ============================================  =====================  =====================
``mr``  distance of neighbouring plotted points       d2(2) sigma            0, (d2 + 3 d3) sigma
``r``   range within the subgroup                     d2(n) sigma_within     (d2 +- 3 d3) sigma_w
``s``   standard deviation within the subgroup        c4(n) sigma_within     (c4 +- 3 c5) sigma_w
======  ============================================  =====================  =====================

c5 = sqrt(1 - c4^2); a lower limit below 0 is 0 and then nothing can be too small. Every point has
the limits of its own subgroup size. Only a single point beyond a limit is judged: scatter is not
symmetric, and neighbouring moving ranges share a point, so that run rules would mean nothing.

Holes, recipe changes, late samples and what cannot be judged are treated as on the location chart.
Without a sigma, declared or from the baseline of the recipe, nothing is judged.
"""

from __future__ import annotations

from math import nan, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from twin.detectors.finding import Row, product_of
from twin.detectors.logic import NEVER, Logic, max_gap_ns
from twin.detectors.series import makes_points, settings_of
from twin.detectors.spc import constants
from twin.detectors.spc import spread_kernel as kernel
from twin.model.batch import GOOD, Mark, recipe_code
from twin.model.event import Event, event_id, iso
from twin.model.line import Role
from twin.model.line import Spread as Kind
from twin.model.points import PointFlag, Points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Chart

__all__ = ["Spread"]

_POINTS = 200
_LARGEST = 1000
"""Largest subgroup a chart may ask for; tables of factors end there, S goes on by formula."""
_TABLES = (Kind.MR, Kind.R, Kind.S)
_CAUSES = ("inside", "gap", "reset")
_SIDES = {kernel.HIGH: "high", kernel.LOW: "low"}
_WORDS = {
    Kind.MR: "distance between neighbouring points",
    Kind.R: "range within the subgroup",
    Kind.S: "standard deviation within the subgroup",
}


class Spread(Logic):
    """Rule 1 on moving ranges, ranges or standard deviations, one chart per sensor that asks.

    Args:
        index: The line; settings come from ``Chart.spread``, ``sigma``, ``sigma_within`` and, where
            the chart does not declare them, from the baseline of the recipe.
        points: Points per chart kept for the board; 40 bytes each.
    """

    name: ClassVar[str] = "spread"
    version: ClassVar[int] = 1
    judges: ClassVar[Literal["samples", "points"]] = "points"

    def __init__(self, index: LineIndex, *, points: int = _POINTS) -> None:
        rows = [row for row in index.sensors if _wanted(row, index)]
        variants = [_variants(row, index) for row in rows]
        self._every = [variant for found in variants for variant in found]
        self._variants = np.cumsum([0, *(len(found) for found in variants)], dtype=np.int64)
        self._specs: NDArray[np.void] = np.zeros(len(self._every), kernel.SETTINGS)
        for r, row in enumerate(rows):
            kind = _chart(row).spread
            for v in range(self._variants[r], self._variants[r + 1]):
                variant = self._every[v]
                self._specs[v] = (
                    recipe_code(variant.recipe),
                    nan if variant.sigma is None else variant.sigma,
                    kernel.MOVING if kind is Kind.MR else kernel.WITHIN,
                    NEVER if makes_points(row, index) else max_gap_ns(row.spec),
                    _TABLES.index(kind),
                )
        self._factors = _factors(rows)
        self._state: NDArray[np.void] = np.zeros(len(rows), kernel.STATE)
        self._times = np.zeros((len(rows), points), np.int64)
        self._ring = np.zeros((len(rows), points, 4))
        self._out: NDArray[np.void] = np.zeros(1024, kernel.CHANGE)
        for r in range(len(rows)):
            self._state[r]["variant"] = self._variants[r]
            self._state[r]["recipe"] = -1
        super().__init__(
            index,
            rows,
            [
                f"{found!r} {row.spec.chart!r} {max_gap_ns(row.spec)} {makes_points(row, index)}"
                for row, found in zip(rows, variants, strict=True)
            ],
            {"state": self._state, "times": self._times, "ring": self._ring},
        )
        self._raw = np.zeros(len(index), np.bool_)
        for row in rows:
            self._raw[row.index] = not makes_points(row, index)
        self._any_raw = bool(self._raw.any())

    def update(self, batch: Batch, name_of: NameOf | None = None) -> list[Event]:
        """Plot the samples of sensors that are charted one by one.

        Args:
            batch: Accepted samples, marked by the validity tests.
            name_of: Product index to product id, for the events.

        Returns:
            Findings opened and closed, in order of their samples.

        Raises:
            ValueError: A sensor index is outside the line.
        """
        if len(batch) and not 0 <= int(batch.sensor.min()) <= int(batch.sensor.max()) < len(
            self._raw
        ):
            raise ValueError(f"batch: a sensor index outside 0 to {len(self._raw) - 1}")
        if not self._any_raw:
            return []
        rows = np.flatnonzero(self._raw[batch.sensor])
        if not len(rows):
            return []
        quality, marks, value = batch.quality[rows], batch.marks[rows], batch.value[rows]
        good = (quality == GOOD) & (marks & Mark.INVALID == 0) & np.isfinite(value)
        flags = np.where(marks & Mark.AFTER_GAP, PointFlag.GAP, 0) | np.where(
            marks & Mark.LATE, kernel.LATE, 0
        )
        points = Points.of(
            batch.sensor[rows],
            batch.time_ns[rows],
            np.where(good, value, nan),
            row=rows,
            flags=flags,
            product=batch.product[rows],
            place=batch.place[rows],
            recipe=batch.recipe[rows],
        )
        return self.update_points(points, batch, name_of)

    def update_points(
        self, points: Points, batch: Batch, name_of: NameOf | None = None
    ) -> list[Event]:
        """Plot points made of samples.

        Args:
            points: What ``Series`` made of the batch.
            batch: The batch; everything needed stands in the points.
            name_of: Product index to product id, for the events.

        Returns:
            Findings opened and closed, in order of the points.
        """
        del batch
        if not self._rows:
            return []
        events: list[Event] = []
        start = 0
        while start < len(points):
            start, changes = kernel.spread_rows(
                start,
                points.sensor,
                points.first_ns,
                points.time_ns,
                points.value,
                points.spread,
                points.size,
                points.scale,
                points.flags,
                points.recipe,
                self._row_of,
                self._variants,
                self._specs,
                self._factors,
                self._state,
                self._times,
                self._ring,
                self._out,
            )
            for change in self._out[:changes].tolist():
                events += self._say(_Change._make(change), points, name_of)
        return events

    def state(self, sensor: int) -> dict[str, Any] | None:
        """One chart of scatter for the board; None for a sensor without one.

        ``verdict`` is ``cannot judge`` before the first plotted value and while the newest points
        cannot be judged, else ``signal`` or ``in control``.
        """
        c = int(self._row_of[sensor])
        if c < 0:
            return None
        now = self._state[c]
        last = (int(now["n"]) - 1) % self._ring.shape[1]
        centre, lcl, ucl = (float(x) for x in self._ring[c, last, 1:])
        judged = bool(now["n"]) and not now["skipped_in_row"]
        return {
            "sensor": self._rows[c].id,
            "verdict": ("signal" if now["active"] else "in control") if judged else "cannot judge",
            "spread": _chart(self._rows[c]).spread.value,
            "value": float(now["statistic"]) if now["n"] else None,
            "time_ns": int(now["plotted"]) if now["n"] else None,
            "centre": centre if now["n"] else None,
            "lcl": lcl if now["n"] else None,
            "ucl": ucl if now["n"] else None,
            "points": int(now["n"]),
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
        }

    def plotted(self, sensor: int, points: int) -> dict[str, Any] | None:
        """The last plotted values as plain lists for the board; None without a chart of scatter.

        Returns:
            ``t`` in s since 1970, ``v`` in the sensor's unit, ``rules`` of each point, and
            ``centre``, ``lcl``, ``ucl`` with one entry per point.
        """
        c = int(self._row_of[sensor])
        if c < 0:
            return None
        n, size = int(self._state[c]["n"]), self._ring.shape[1]
        order = np.arange(max(0, n - min(points, size)), n) % size
        value, centre, lcl, ucl = self._ring[c, order].T
        name = _chart(self._rows[c]).spread.value
        return {
            "t": (self._times[c, order] / 1e9).tolist(),
            "v": value.tolist(),
            "rules": [[name] if out else [] for out in ((value > ucl) | (value < lcl)).tolist()],
            "centre": centre.tolist(),
            "lcl": lcl.tolist(),
            "ucl": ucl.tolist(),
            "note": _WORDS[_chart(self._rows[c]).spread],
        }

    def reset(self, sensor: int, cause: str) -> list[Event]:
        """Forget the point before and close what is open; see ``Charts.reset``."""
        c = int(self._row_of[sensor])
        if c < 0:
            return []
        now = self._state[c]
        now["known"] = 0
        now["active"] = 0
        return self._close_findings(c, -1, int(now["plotted"]), int(now["n"]), None, cause)

    def _say(self, change: _Change, points: Points, name_of: NameOf | None) -> list[Event]:
        at = _at(points, change, name_of)
        events: list[Event] = []
        if change.old:
            last = change.n if change.cause else change.n - 1
            events += self._close_findings(
                change.chart, -1, change.before, last, at, _CAUSES[change.cause]
            )
        if change.new:
            number = self._number(change.chart)
            event = self._finding(change, at, number)
            events.append(self._open_finding(change.chart, event, number, change.n))
        return events

    def _finding(self, change: _Change, at: Row, number: int) -> Event:
        sensor = self._rows[change.chart]
        kind, variant = _chart(sensor).spread, self._every[change.variant]
        side = _SIDES[change.new]
        high = side == "high"
        ruleset = f"spread-{kind.value}@{self.version}"
        beyond = "above the upper" if high else "below the lower"
        return Event(
            id=event_id(kind.value, ruleset, sensor.id, "finding", change.first, number),
            type="finding",
            rule=kind.value,
            ruleset=ruleset,
            sensor=sensor.id,
            product=at.product,
            place=at.place,
            t_first=change.first,
            t_last=at.time_ns,
            value=at.value,
            detail={
                "baseline": variant.baseline,
                "centre": change.centre,
                "convention": "points",
                "lcl": change.lcl,
                "meaning": f"{_WORDS[kind]} {beyond} limit",
                "mode": variant.series,
                "n_first": change.n,
                "n_last": change.n,
                "onset": iso(change.first),
                "recipe": variant.recipe,
                "rules": [kind.value],
                "side": side,
                "sigma": change.sigma,
                "statistic": change.statistic,
                "ucl": change.ucl,
                "usual": "increased scatter or a jump" if high else "scatter smaller than usual",
            },
            row=at.i,
        )

    def _adopt(self, pairs: list[tuple[int, int]], old: dict[str, NDArray[Any]]) -> None:
        """Point to the settings of the running recipe where they stand in this version."""
        del old  # what was copied is enough
        for c, _ in pairs:
            self._state[c]["variant"] = settings_of(
                self._specs["recipe"], self._variants, c, int(self._state[c]["recipe"])
            )


class _Variant(NamedTuple):
    """Sigma of a plotted point or of a single value while one recipe runs, and where it is from."""

    recipe: str
    sigma: float | None
    baseline: str
    series: str


class _Change(NamedTuple):
    """One change in plain Python, same order of fields as the kernel writes."""

    point: int
    chart: int
    cause: int
    old: int
    new: int
    n: int
    before: int
    first: int
    statistic: float
    centre: float
    lcl: float
    ucl: float
    sigma: float
    variant: int


def _at(points: Points, change: _Change, name_of: NameOf | None) -> Row:
    i = change.point
    place = float(points.place[i])
    return Row(
        int(points.row[i]),
        int(points.time_ns[i]),
        change.statistic if change.cause == kernel.CAUSE_POINT else float(points.value[i]),
        product_of(int(points.product[i]), name_of),
        None if np.isnan(place) else place,
    )


def _chart(row: SensorRow) -> Chart:
    """The chart of a sensor that has one."""
    chart = row.spec.chart
    if chart is None:
        raise ValueError(f"sensor {row.id!r} has no chart")
    return chart


def _wanted(row: SensorRow, index: LineIndex) -> bool:
    chart = row.spec.chart
    if chart is None or chart.spread is Kind.NONE or row.spec.role is Role.STATE:
        return False
    points = makes_points(row, index)
    return points or (chart.spread is Kind.MR and row.spec.role is not Role.COUNTER)


def _variants(row: SensorRow, index: LineIndex) -> list[_Variant]:
    """Settings per recipe; the last ones are for all other recipes."""
    chart = _chart(row)
    moving = chart.spread is Kind.MR
    sigma = chart.sigma if moving else chart.sigma_within
    own = _Variant(chart.recipe, sigma, chart.baseline, chart.series.value)
    if chart.centre is not None and chart.sigma is not None:
        if not chart.recipe:
            return [own]
        # Declared limits hold for one recipe, and as long as nobody says which one runs.
        return [own, own._replace(recipe=""), own._replace(recipe="", sigma=None)]
    found = [
        _Variant(b.recipe, b.sigma if moving else b.sigma_within or sigma, b.name, b.series.value)
        for b in index.baselines.get(row.id, [])
    ]
    rest = next((variant for variant in found if not variant.recipe), own)
    return [*(variant for variant in found if variant.recipe), rest]


def _factors(rows: list[SensorRow]) -> NDArray[np.float64]:
    """Centre, lower and upper limit in sigma, by chart and subgroup size."""
    longest = _LARGEST if any(_chart(row).spread is Kind.S for row in rows) else 2
    ranges = [_chart(row).size or 25 for row in rows if _chart(row).spread is Kind.R]
    longest = max([longest, *ranges])
    factors = np.full((len(_TABLES), longest + 1, 3), nan)
    factors[0, 2] = constants.d2(2), constants.d1_limit(2), constants.d2_limit(2)
    for n in range(2, max(ranges, default=1) + 1):
        factors[1, n] = constants.d2(n), constants.d1_limit(n), constants.d2_limit(n)
    for n in range(2, longest + 1):
        c4 = constants.c4(n)
        wide = 3.0 * sqrt(1.0 - c4 * c4)
        factors[2, n] = c4, max(0.0, c4 - wide), c4 + wide
    return factors
