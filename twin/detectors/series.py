"""From samples to plotted points: residuals, blocks, pieces, thinned and set-point series.

Sensors whose samples are charted one by one do not pass through here.

==========  =====================================================================================
series      plotted point
==========  =====================================================================================
residual    ``x - [level + sum of ar_i (x_i steps ago - level)]`` on the nominal grid; across k
            missing steps the model forecasts, and the residual is scaled to the variance of one
            step. With ``tau_s`` the coefficient is exp(-dt/tau) with the real time step. With
            ``ewma`` or ``holt`` the distance from a centre line that follows the signal.
block       mean over ``block_s`` of event time, blocks aligned to 1970. The first sample of a
            later block closes it; with less than half of its samples it cannot be judged.
piece       mean of ``size`` samples in a row of one product, or of all samples of a product.
thin        every k-th good sample.
==========  =====================================================================================

What holds for all of them:

* A point exists as soon as the sample arrives that completes it; nothing looks ahead, no timer runs.
* Late samples are counted and not used. Bad ones, NaN and those marked stuck, spike or rate are
  counted and skipped; where points are samples, a point without a value says "cannot judge".
* A hole (``max_gap_ns``, or the mark AFTER_GAP) and another recipe start everything anew; the next
  point with a value carries GAP or RESET. Blocks bridge holes inside and forget after five missing
  blocks (or ``max_gap_s``); whole products have no gaps.
* A subgroup that a product, recipe or hole cuts short is plotted with the factor sqrt(size/n) on
  sigma, which is right as far as the scatter is within subgroups; a single value is not plotted.
* A centre line that follows the signal is held while a residual is beyond three sigma: what does
  not look like the baseline teaches nothing. It goes on when a sample is inside again, after a hole
  and after ``reset``. Coefficients are never changed by data.
* With ``set_point`` everything is done with the deviation from the value wanted at the time of the
  sample; during ``settle_s`` after it changed nothing is judged.
* Sources that report by exception are rebuilt on the nominal grid for residuals and blocks: the
  last value is held up to ``max_silence_s``, then there is a hole. Such points carry HELD.
* A counter becomes a rate per second: rollover at the ends of its range, a reset starts anew.
* ``shape`` of a baseline turns (residual - centre) / sigma into a normal score, times sigma plus
  centre again, so that the chart's limits keep their unit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import expm1, inf, nan
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from twin.detectors import series_kernel as kernel
from twin.detectors.logic import NEVER, Logic, columns, max_gap_ns
from twin.model.batch import recipe_code
from twin.model.line import Role, Sampling, Spread
from twin.model.line import Series as Kind
from twin.model.points import PointFlag, Points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from twin.model.baseline import Baseline
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Chart

__all__ = ["Series", "forecast_fades", "makes_points", "settings_of", "silence_s"]

_GAP_BLOCKS = 5
"""As many missing blocks clear the memory of the charts when nothing is declared."""
_HOLD_SIGMA = 3.0
_COLUMNS = kernel.POINT.names or ()
_SPREADS = {Spread.R: kernel.RANGE, Spread.S: kernel.DEVIATION}


def silence_s(row: SensorRow) -> float:
    """Longest time a value of a source that reports by exception stands for the present, s.

    ``max_silence_s``; without it five periods, at least 5 s, as for stale sensors.
    """
    spec = row.spec
    if spec.max_silence_s is not None:
        return spec.max_silence_s
    return max(5.0, 5.0 * (spec.period_s or 1.0))


def makes_points(row: SensorRow, index: LineIndex) -> bool:
    """Whether the chart of this sensor plots points made here instead of its samples."""
    chart = row.spec.chart
    if chart is None or row.spec.role is Role.STATE:
        return False
    if row.spec.role is Role.COUNTER:
        return chart.series is Kind.BLOCK
    return (
        chart.series is not Kind.RAW
        or bool(chart.set_point)
        or any(b.series is not Kind.RAW or b.shape for b in _baselines(row, chart, index))
    )


def settings_of(
    codes: NDArray[np.int64], variants: NDArray[np.int64], row: int, recipe: int
) -> int:
    """Which settings a row uses while a recipe runs.

    Args:
        codes: Recipe codes of all settings.
        variants: Shape (rows + 1,); where the settings of each row start; its last are for all
            recipes that have none of their own.
        row: Row of the detector.
        recipe: Code of the recipe.
    """
    first, last = int(variants[row]), int(variants[row + 1]) - 1
    hit = np.flatnonzero(codes[first:last] == recipe)
    return first + int(hit[0]) if len(hit) else last


def _baselines(row: SensorRow, chart: Chart, index: LineIndex) -> list[Baseline]:
    """Approved baselines that are in force: those of a chart that does not declare its limits."""
    if chart.centre is not None and chart.sigma is not None:
        return []
    return index.baselines.get(row.id, [])


@dataclass(slots=True)
class _Variant:
    """How points are made while one recipe runs; fields as ``kernel.SETTINGS``."""

    recipe: int = -1
    mode: int = kernel.RAW
    gap: int = NEVER
    step: int = 0
    silence: int = 0
    level: float = nan
    tau: float = inf
    share: float = 1.0
    alpha: float = 1.0
    beta: float = 0.0
    width: float = inf
    centre: float = 0.0
    sigma: float = 1.0
    block: int = 1
    need: float = 1.0
    size: int = 0
    every: int = 1
    spread: int = kernel.NO_SPREAD
    counter: int = 0
    low: float = 0.0
    span: float = 0.0
    follows: int = 0
    settle: int = 0
    ar: list[float] = field(default_factory=list)
    shape: list[tuple[float, float]] = field(default_factory=list)


class Series(Logic):
    """Points for every sensor whose chart does not plot its samples; see the module.

    Args:
        index: The line. Settings come from ``Sensor.chart``; where the chart leaves its limits to
            baselines, those of the running recipe say how their points are made.
    """

    name: ClassVar[str] = "series"
    version: ClassVar[int] = 1

    def __init__(self, index: LineIndex) -> None:
        rows = [row for row in index.sensors if makes_points(row, index)]
        variants = [_variants(row, index) for row in rows]
        every = [variant for found in variants for variant in found]
        self._variants = np.cumsum([0, *(len(found) for found in variants)], dtype=np.int64)
        self._specs: NDArray[np.void] = np.zeros(len(every), kernel.SETTINGS)
        self._coefficients = np.zeros((len(every), kernel.LAGS))
        self._fades = np.ones((len(every), kernel.STEPS))
        shapes: list[tuple[float, float]] = []
        for v, variant in enumerate(every):
            for name in kernel.SETTINGS.names or ():
                if name not in {"order", "shape_first", "shape_n"}:
                    self._specs[v][name] = getattr(variant, name)
            self._specs[v]["order"] = len(variant.ar)
            self._specs[v]["shape_first"] = len(shapes)
            self._specs[v]["shape_n"] = len(variant.shape)
            self._coefficients[v, : len(variant.ar)] = variant.ar
            self._fades[v] = forecast_fades(variant.ar, kernel.STEPS)
            shapes += variant.shape
        self._shape_x = np.array([x for x, _ in shapes], np.float64)
        self._shape_y = np.array([y for _, y in shapes], np.float64)
        wanted = [_wanted(row, index) for row in rows]
        self._wanting, self._wanting_first = _followers(wanted, len(index))
        self._state: NDArray[np.void] = np.zeros(len(rows), kernel.STATE)
        self._pasts = np.zeros((len(rows), kernel.LAGS))
        self._out: NDArray[np.void] = np.zeros(1024, kernel.POINT)
        super().__init__(
            index,
            rows,
            [
                f"{found!r} {'' if source < 0 else index.sensors[source].id}"
                for found, source in zip(variants, wanted, strict=True)
            ],
            {"state": self._state, "pasts": self._pasts},
        )

    def update(self, batch: Batch) -> Points:
        """Make points of the rows, in order.

        Args:
            batch: Accepted samples, marked by the validity tests.

        Returns:
            The points these rows completed; they share no memory with the batch.

        Raises:
            ValueError: A sensor index is outside the line.
        """
        if not self._rows:
            return Points.none()
        cols = columns(batch, self._sensors)
        more = (
            np.require(batch.product, np.int32, ("C", "A", "W")),
            np.require(batch.place, np.float64, ("C", "A", "W")),
            np.require(batch.recipe, np.int32, ("C", "A", "W")),
        )
        # Columns are cut out chunk by chunk, while the chunk is still in the processor's cache.
        parts: list[list[NDArray[Any]]] = []
        row = 0
        while row < len(batch):
            row, written = kernel.series_rows(
                row,
                *cols,
                *more,
                self._row_of,
                self._variants,
                self._wanting,
                self._wanting_first,
                self._specs,
                self._coefficients,
                self._fades,
                self._shape_x,
                self._shape_y,
                self._state,
                self._pasts,
                self._out,
            )
            if written:
                parts.append([self._out[name][:written].copy() for name in _COLUMNS])
        if not parts:
            return Points.none()
        return Points(
            *(parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True)))
        )

    def reset(self, sensor: int) -> None:
        """Forget the past of one sensor: an operator found the cause and the line runs anew.

        The subgroup that is open is thrown away; the next point carries RESET.
        """
        r = int(self._row_of[sensor])
        if r < 0:
            return
        now = self._state[r]
        for name in ("filled", "turn", "weight"):
            now[name] = 0
        now["judged"] = -1
        if now["points"]:
            now["pending"] |= PointFlag.RESET

    def state(self, sensor: int) -> dict[str, Any] | None:
        """One sensor for the board; None when its samples are charted one by one.

        ``verdict`` is ``cannot judge`` before the first point and while the newest samples cannot
        be judged, else ``plotted``.
        """
        r = int(self._row_of[sensor])
        if r < 0:
            return None
        now = self._state[r]
        spec = self._specs[int(now["variant"]) if now["samples"] else int(self._variants[r])]
        judged = now["points"] and not now["skipped_in_row"] and not now["pending"]
        answer: dict[str, Any] = {
            "sensor": self._rows[r].id,
            "verdict": "plotted" if judged else "cannot judge",
            "mode": _MODES[int(spec["mode"])],
            "points": int(now["points"]),
            "value": float(now["plotted"]) if now["points"] else None,
            "samples": int(now["samples"]),
            "in_subgroup": float(now["weight"]),
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]) + int(now["unjudged"]),
            "counter_resets": int(now["resets"]),
        }
        if spec["follows"]:
            answer["set_point"] = float(now["set_value"]) if now["set_known"] else None
        if spec["mode"] in {kernel.EWMA, kernel.HOLT} and now["filled"]:
            answer["level"] = float(now["level"])
            answer["trend"] = float(now["trend"])
        return answer

    def _adopt(self, pairs: list[tuple[int, int]], old: dict[str, NDArray[Any]]) -> None:
        """Point to the settings of the running recipe where they stand in this version."""
        del old  # what was copied is enough
        for r, _ in pairs:
            self._state[r]["variant"] = settings_of(
                self._specs["recipe"], self._variants, r, int(self._state[r]["recipe"])
            )


_MODES = {
    kernel.NONE: "no model",
    kernel.RAW: "raw",
    kernel.AR: "residual",
    kernel.TAU: "residual",
    kernel.EWMA: "residual",
    kernel.HOLT: "residual",
    kernel.BLOCK: "block",
    kernel.PIECE: "piece",
    kernel.THIN: "thin",
}


def forecast_fades(ar: Sequence[float], steps: int) -> list[float]:
    """Standard deviation of a forecast error of one step over that of 1, 2, ... steps.

    The variance of k steps is the sum of the first k squared weights of the moving-average form.

    Args:
        ar: Coefficients of the past 1, 2, ... samples.
        steps: How many.

    Examples:
        >>> [round(f, 4) for f in forecast_fades([0.9], 2)]
        [1.0, 0.7433]
    """
    weights = [1.0]
    for k in range(1, steps):
        weights.append(sum(a * weights[k - lag] for lag, a in enumerate(ar, start=1) if lag <= k))
    total = np.cumsum(np.square(weights))
    return [float(f) for f in 1.0 / np.sqrt(total)]


def _variants(row: SensorRow, index: LineIndex) -> list[_Variant]:
    """Settings per recipe; the last ones are for all recipes without any of their own."""
    chart = row.spec.chart
    if chart is None:
        raise ValueError(f"sensor {row.id!r} has no chart")
    found = _baselines(row, chart, index)
    own = [_variant(row, chart, baseline) for baseline in found if baseline.recipe]
    rest = next((baseline for baseline in found if not baseline.recipe), None)
    return [*own, _variant(row, chart, rest)]


def _variant(row: SensorRow, chart: Chart, baseline: Baseline | None) -> _Variant:
    spec = row.spec
    made = _Variant(
        recipe=-1 if baseline is None else recipe_code(baseline.recipe),
        gap=max_gap_ns(spec),
        step=round((spec.period_s or 0.0) * 1e9),
        spread=_SPREADS.get(chart.spread, kernel.NO_SPREAD),
        follows=int(bool(chart.set_point)),
        settle=round(chart.settle_s * 1e9),
    )
    series = chart.series if baseline is None else baseline.series
    if baseline is not None:
        made.centre, made.sigma = baseline.centre, baseline.sigma
        made.shape = [(float(x), float(y)) for x, y in baseline.shape]
    if series is Kind.RESIDUAL:
        _model(made, chart, baseline)
    elif series is Kind.BLOCK:
        _block(made, row, chart, baseline)
    elif series is Kind.PIECE:
        made.mode = kernel.PIECE
        made.size = (chart.size if baseline is None else baseline.size) or 0
    elif series is Kind.THIN:
        made.mode, made.every = kernel.THIN, chart.every or 1
    rebuilt = (
        made.step > 0
        and not made.counter
        and (made.mode == kernel.BLOCK or kernel.AR <= made.mode <= kernel.HOLT)
    )
    if spec.sampling is Sampling.BY_EXCEPTION and rebuilt:
        made.silence = max(1, round(silence_s(row) * 1e9))
    return made


def _model(made: _Variant, chart: Chart, baseline: Baseline | None) -> None:
    """The model of a residual series; mode NONE when there is none for this recipe."""
    if chart.model != "ar":
        made.mode = kernel.EWMA if chart.model == "ewma" else kernel.HOLT
        made.alpha, made.beta = chart.alpha, chart.beta
        level = chart.level if baseline is None else baseline.level
        made.level = nan if level is None else level
        sigma = chart.sigma if baseline is None else baseline.sigma
        made.width = inf if sigma is None else _HOLD_SIGMA * sigma
        return
    level = chart.level if baseline is None or baseline.level is None else baseline.level
    made.level = 0.0 if level is None else level
    if baseline is not None and baseline.step_s:
        made.step = round(baseline.step_s * 1e9)
    ar = chart.ar if baseline is None else baseline.ar
    if ar:
        made.mode, made.ar = kernel.AR, [float(a) for a in ar]
    elif chart.tau_s is not None:
        made.mode, made.tau = kernel.TAU, chart.tau_s * 1e9
        # Without a nominal step the residual is in units of the signal's own sigma.
        made.share = -expm1(-2.0 * made.step / made.tau) if made.step else 1.0
    elif baseline is not None and baseline.level is not None:
        made.mode = kernel.AR  # a baseline that found no correlation: the distance from its mean
    else:
        made.mode = kernel.NONE


def _block(made: _Variant, row: SensorRow, chart: Chart, baseline: Baseline | None) -> None:
    block_s = chart.block_s if baseline is None else baseline.block_s or chart.block_s
    if block_s is None:
        made.mode = kernel.NONE
        return
    spec = row.spec
    made.mode = kernel.BLOCK
    made.block = max(1, round(block_s * 1e9))
    gap_s = chart.max_gap_s if chart.max_gap_s is not None else _GAP_BLOCKS * block_s
    made.gap = round(gap_s * 1e9)
    expected = made.block / made.step if made.step else 2.0
    made.need = max(1.0, expected / 2.0)
    if spec.role is Role.COUNTER:
        made.counter, made.spread = 1, kernel.NO_SPREAD
        made.need = block_s / 2.0
        if spec.range is not None:
            made.low = spec.range[0]
            made.span = spec.range[1] - spec.range[0] + (spec.resolution or 0.0)


def _wanted(row: SensorRow, index: LineIndex) -> int:
    """Sensor that brings the set-point, -1 for none."""
    name = row.spec.chart.set_point if row.spec.chart is not None else ""
    source = index.by_id.get(f"{row.station.id}/{name}") if name else None
    return -1 if source is None else source.index


def _followers(wanted: list[int], sensors: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows ordered by the sensor whose value they follow, and where each sensor's rows start."""
    source = np.array(wanted, np.int64)
    following = np.flatnonzero(source >= 0)
    order = following[np.argsort(source[following], kind="stable")].astype(np.int64)
    first = np.searchsorted(source[order], np.arange(sensors + 1)).astype(np.int64)
    return order, first
