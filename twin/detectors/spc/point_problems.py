"""What a person may have got wrong about the points a chart plots, with a way out of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from twin.detectors.spc.autocorrelation import block_length, correlation_time, stable
from twin.model.line import ChartType, Role, Sampling, Series, Spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.model.line import Chart, Sensor, Station

__all__ = ["PointProblem", "problems_of"]

_LEAST_BLOCK = 3.0
"""Samples a block needs to be more than a thinned series."""
_RANGE_SIZE = 9
"""Up to this size a range knows nearly as much as a standard deviation (Montgomery, 6.2)."""
_COARSE, _BLIND = 0.25, 0.5
"""Resolution in sigma above which zone rules miss much, and all."""
_DEADBAND = 0.5
"""Resolution or deadband of a source that reports by exception, in sigma of a sample."""
_CORRELATED = 0.25
"""Correlation above which run rules, EWMA and CUSUM alarm at least twice as often as they say."""
_ZONELESS = {None, "shewhart"}
_COUNTS = {
    ChartType.P, ChartType.NP, ChartType.C, ChartType.U, ChartType.LANEY_P, ChartType.LANEY_U,
}  # fmt: skip


class PointProblem(NamedTuple):
    """One problem of a chart.

    Attributes:
        key: Key within ``chart``, or of the sensor where it starts with ``sensor.``.
        message: What is wrong and why it matters.
        value: What was found; None when something is missing.
        allowed: What to write instead.
        fatal: Whether the chart must not run like this; otherwise it is a warning.
    """

    key: str
    message: str
    value: object
    allowed: str
    fatal: bool = True


def problems_of(
    sensor: Sensor, chart: Chart, station: Station, *, baseline: bool = False
) -> list[PointProblem]:
    """Everything that keeps samples of a sensor from becoming honest points.

    Args:
        sensor: The sensor.
        chart: Its chart.
        station: Its station, where the set-point is looked up.
        baseline: Whether an approved baseline stands behind the chart and brings what is missing.
    """
    return [
        *_role(sensor, chart),
        *_series(sensor, chart, station, baseline=baseline),
        *_unused(chart),
        *_set_point(sensor, chart, station),
        *_spread(sensor, chart, baseline=baseline),
        *_correlation(sensor, chart),
        *_resolution(sensor, chart),
    ]


def _role(sensor: Sensor, chart: Chart) -> Iterator[PointProblem]:
    if sensor.role is Role.COUNTER and chart.type not in _COUNTS:
        if chart.series is not Series.BLOCK:
            yield PointProblem(
                "series",
                "a counter only rises and is never charted itself",
                chart.series.value,
                'series = "block" with block_s: its rate per second',
            )
    elif sensor.role is Role.STATE:
        yield PointProblem(
            "type", "a state has no mean to chart", "state", "no chart, or another role"
        )
    elif sensor.role is Role.SLOW_COVARIATE and chart.rules not in _ZONELESS:
        yield PointProblem(
            "rules",
            "a slow covariate follows the day, and run rules find the day",
            chart.rules,
            'rules = "shewhart" or "none", with a slow EWMA (ewma_lambda = 0.05)',
            fatal=False,
        )
    if sensor.role is Role.FOLLOWS_SETPOINT and not chart.set_point:
        yield PointProblem(
            "set_point",
            "the value follows a set-point, and its chart finds every change of recipe",
            None,
            "the key of the sensor with the set-point, or another role",
            fatal=False,
        )


def _series(
    sensor: Sensor, chart: Chart, station: Station, *, baseline: bool
) -> Iterator[PointProblem]:
    period = sensor.period_s
    if chart.series is Series.RESIDUAL:
        yield from _model(sensor, chart, baseline=baseline)
    elif chart.series is Series.BLOCK:
        if chart.block_s is None:
            if not baseline:
                yield PointProblem("block_s", "is missing", None, "length of a block, s")
        elif period is None:
            if sensor.sampling is not Sampling.EVENT:
                yield PointProblem(
                    "sensor.period_s",
                    "is missing: nobody can say whether a block is complete",
                    None,
                    "nominal time between samples, s",
                )
        elif chart.block_s < _LEAST_BLOCK * period:
            yield PointProblem(
                "block_s",
                f"holds {chart.block_s / period:g} samples at a period of {period:g} s",
                chart.block_s,
                f"{_LEAST_BLOCK * period:g} s or more",
            )
    elif chart.series is Series.PIECE:
        if chart.size is None and not station.product and not baseline:
            yield PointProblem(
                "size",
                "is missing, and no products are worked on here",
                None,
                "samples of a subgroup, or product at the station",
            )
    elif chart.series is Series.THIN and chart.every is None:
        yield PointProblem("every", "is missing", None, "every how many samples one is plotted")
    elif chart.series is Series.RAW and sensor.sampling is Sampling.BY_EXCEPTION:
        yield PointProblem(
            "series",
            "a source that reports by exception sends no sample of the process",
            "raw",
            'series = "block" with block_s, which rebuilds it by holding the last value',
            fatal=bool(sensor.resolution),
        )


def _model(sensor: Sensor, chart: Chart, *, baseline: bool) -> Iterator[PointProblem]:
    if chart.model != "ar":
        if chart.sigma is None and not baseline:
            yield PointProblem(
                "sigma",
                "is missing: a centre line that follows the signal would learn from every upset",
                None,
                "sigma of the residual",
            )
        return
    if chart.ar and chart.tau_s is not None:
        yield PointProblem("tau_s", "stands beside ar", chart.tau_s, "one of the two")
    if not chart.ar and chart.tau_s is None and not baseline:
        yield PointProblem(
            "ar", "is missing, and there is no baseline", None, "ar, tau_s, or a fitted baseline"
        )
    if chart.ar and not stable(chart.ar):
        yield PointProblem(
            "ar",
            "never returns to its level (a root on or outside the unit circle)",
            chart.ar,
            "coefficients fitted to data in control; for one, between -1 and 1",
        )
    if chart.level is None and not chart.set_point and not baseline:
        yield PointProblem("level", "is missing", None, "the mean the signal returns to")
    if chart.ar and sensor.period_s is None:
        yield PointProblem(
            "sensor.period_s",
            "is missing: lost samples cannot be told from steps",
            None,
            "nominal time between samples, s, or tau_s instead of ar",
        )


def _unused(chart: Chart) -> Iterator[PointProblem]:
    needs = {"block_s": Series.BLOCK, "size": Series.PIECE, "every": Series.THIN}
    for key, series in needs.items():
        if getattr(chart, key) is not None and chart.series is not series:
            yield PointProblem(
                key,
                f'means nothing with series = "{chart.series.value}"',
                getattr(chart, key),
                f'series = "{series.value}"',
            )
    for key in ("ar", "tau_s"):
        if getattr(chart, key) and chart.series is not Series.RESIDUAL:
            yield PointProblem(
                key,
                f'means nothing with series = "{chart.series.value}"',
                getattr(chart, key),
                'series = "residual"',
            )


def _set_point(sensor: Sensor, chart: Chart, station: Station) -> Iterator[PointProblem]:
    if not chart.set_point:
        if chart.settle_s:
            yield PointProblem(
                "settle_s", "means nothing without set_point", chart.settle_s, "set_point"
            )
        return
    keys = [other.key for other in station.sensor if other.key != sensor.key]
    if chart.set_point == sensor.key:
        yield PointProblem(
            "set_point", "is the sensor itself", chart.set_point, ", ".join(keys[:12])
        )
    elif chart.set_point not in keys:
        yield PointProblem(
            "set_point", "no such sensor here", chart.set_point, ", ".join(keys[:12])
        )


def _spread(sensor: Sensor, chart: Chart, *, baseline: bool) -> Iterator[PointProblem]:
    if chart.spread not in {Spread.R, Spread.S}:
        return
    if chart.series not in {Series.PIECE, Series.BLOCK} and not baseline:
        yield PointProblem(
            "spread",
            "needs subgroups",
            chart.spread.value,
            'spread = "mr", or series = "piece" or "block"',
        )
    if chart.sigma_within is None and not baseline:
        yield PointProblem(
            "sigma_within", "is missing", None, "sigma of a single value within a subgroup"
        )
    if chart.spread is Spread.R and (chart.size is None or chart.size > _RANGE_SIZE):
        yield PointProblem(
            "spread",
            "wastes information: a range uses two values of a subgroup",
            "r",
            f'spread = "s" for more than {_RANGE_SIZE} values or varying sizes',
            fatal=False,
        )
    one_by_one = sensor.sampling is Sampling.EVENT  # a value per piece, no signal
    if chart.spread is Spread.S and chart.series is Series.BLOCK and not one_by_one:
        yield PointProblem(
            "spread",
            "has limits for independent values; samples in a block seldom are",
            "s",
            "limits checked against a recording in control",
            fatal=False,
        )


def _correlation(sensor: Sensor, chart: Chart) -> Iterator[PointProblem]:
    phi = chart.phi
    if phi is None or phi <= _CORRELATED or chart.series is not Series.RAW:
        return
    if chart.rules in _ZONELESS and chart.ewma_lambda is None and chart.cusum_k is None:
        return
    m = block_length(phi)
    ways = f'series = "block" with {m} samples or more'
    if sensor.period_s is not None:
        ways = (
            f'series = "block" with block_s = {m * sensor.period_s:g} or more, or series = '
            f'"residual" with tau_s = {correlation_time(phi, sensor.period_s):.3g}'
        )
    yield PointProblem(
        "series",
        f"neighbouring samples are correlated ({phi:g}) and alarm far too often",
        "raw",
        ways,
        fatal=False,  # a rehearsal may look at it; `check` and `run` refuse it with its run length
    )


def _resolution(sensor: Sensor, chart: Chart) -> Iterator[PointProblem]:
    if sensor.resolution is None or chart.sigma is None or chart.series is not Series.RAW:
        return
    steps = sensor.resolution / chart.sigma
    if sensor.sampling is Sampling.BY_EXCEPTION and steps > _DEADBAND:
        yield PointProblem(
            "sensor.resolution",
            f"is {steps:.2g} sigma: what the source does not send cannot be rebuilt",
            sensor.resolution,
            f"a deadband of at most {_DEADBAND * chart.sigma:g}",
        )
    elif chart.rules not in _ZONELESS and steps > _COARSE:
        blind = steps > _BLIND
        yield PointProblem(
            "rules",
            f"resolution is {steps:.2g} sigma: zone rules "
            + ("are blind" if blind else "miss much"),
            chart.rules,
            'rules = "shewhart", means (series = "piece" or "block"), or a finer sensor',
            fatal=blind,
        )
