"""Phase I: limits of Shewhart charts for measured values, estimated from data.

Everything here looks back at a whole series and returns frozen limits; nothing is judged while it
arrives (that is phase II, :mod:`twin.detectors.spc.charts`). Sigma always comes from scatter
*within*: neighbouring values or subgroups. The overall standard deviation would hide the very
shifts a chart is for.

========================  ================================================  =====================
chart                     centre and limits                                 sigma of a value
========================  ================================================  =====================
:func:`individuals`       mean(x) +- k sigma                                moving ranges / d2
:func:`moving_ranges`     mean(MR), D3 and D4                               moving ranges / d2
:func:`xbar_r`            mean +- A2 mean(R); R: D3, D4                     mean(R) / d2
:func:`xbar_s`            mean +- A3 mean(s); s: B3, B4                     mean(s) / c4
:func:`unequal`           each point its own, from its size                 weighted, or pooled
:func:`between_within`    individuals chart of the means, R or s within     moving ranges of means
========================  ================================================  =====================

Values that are NaN or infinite are left out; the values beside them become neighbours.

References:
    NIST/SEMATECH, e-Handbook of Statistical Methods, 6.3.2.
    D. C. Montgomery, Introduction to Statistical Quality Control, chapter 6.
    I. W. Burr, Statistical Quality Control Methods, 1976 (subgroups of unequal size).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import numpy as np

from twin.detectors.spc import constants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    F64 = NDArray[np.float64]

__all__ = [
    "Limits",
    "Pair",
    "between_within",
    "df_of_mean_s",
    "individuals",
    "moving_ranges",
    "outside",
    "sigma_of_ranges",
    "unequal",
    "xbar_r",
    "xbar_s",
]

_SHARES = (
    *((2, 0.88), (3, 0.92), (4, 0.94), (5, 0.95)),
    *((7, 0.96), (9, 0.97), (17, 0.98), (64, 0.99)),
)
"""Longest subgroup and its share of degrees of freedom, for means of standard deviations."""

T = TypeVar("T", float, "NDArray[np.float64]")

MovingRange = Literal["mean", "median"]
Within = Literal["r", "s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Generic[T]):
    """Frozen limits of one plotted statistic.

    ``centre``, ``lower``, ``upper`` and ``sigma`` are numbers where all points share them, and
    arrays of shape (points,) where each point has its own.

    Attributes:
        chart: Statistic: ``i``, ``mr``, ``xbar``, ``r``, ``s``, ``p``, ``np``, ``c``, ``u``,
            ``laney_p``, ``laney_u`` or ``g``.
        centre: Centre line.
        lower: Lower limit; a statistic that cannot be negative has 0 where there is none.
        upper: Upper limit.
        sigma: Standard deviation of the plotted point.
        estimator: Where sigma came from, in words.
        points: Plotted points the limits were estimated from.
        n: Subgroup or sample size, 1 for individual values.
        k: Distance of the limits in sigma.
    """

    chart: str
    centre: T
    lower: T
    upper: T
    sigma: T
    estimator: str
    points: int
    n: T
    k: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Generic[T]):
    """Two charts that belong together.

    Attributes:
        location: Chart of the means.
        spread: Chart of the scatter within subgroups.
        sigma: Standard deviation of a single value within a subgroup.
        df: Degrees of freedom of that estimate, effective where it is not exact.
    """

    location: Limits[T]
    spread: Limits[T]
    sigma: float
    df: float


def outside(values: ArrayLike, limits: Limits[T]) -> NDArray[np.int8]:
    """Rule 1 looking back: 1 above the upper limit, -1 below the lower one, 0 inside or on it.

    A NaN is 0 and must be counted by the caller: it is not in control, it cannot be judged.
    """
    x = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore"):
        return (x > limits.upper).astype(np.int8) - (x < limits.lower).astype(np.int8)


def sigma_of_ranges(
    values: ArrayLike, *, span: int = 2, how: MovingRange = "mean"
) -> tuple[float, F64]:
    """Standard deviation from moving ranges, and the ranges.

    Args:
        values: Shape (m,), in order of time.
        span: Values in a moving range, >= 2.
        how: ``mean`` divides the mean range by d2; ``median`` divides the median range by the
            median of the range, so that a few jumps do not widen the limits.

    Returns:
        Sigma in the unit of the values, and the ranges, shape (m - span + 1,).

    Raises:
        ValueError: Fewer values than the span.
    """
    x = _finite(values)
    if span < 2 or len(x) < span:
        raise ValueError(f"{len(x)} values with span {span}; allowed: span 2 or more, not longer")
    windows = np.lib.stride_tricks.sliding_window_view(x, span)
    ranges: F64 = windows.max(axis=1) - windows.min(axis=1)
    if how == "median":
        return float(np.median(ranges)) / constants.median_range(span), ranges
    return float(ranges.mean()) / constants.d2(span), ranges


def individuals(
    values: ArrayLike, *, span: int = 2, how: MovingRange = "mean", k: float = 3.0
) -> Limits[float]:
    """Chart of individual values: mean +- k sigma with sigma from moving ranges.

    Args:
        values: Shape (m,), in order of time; m >= span.
        span: Values in a moving range.
        how: ``mean`` or ``median`` moving range.
        k: Distance of the limits in sigma, > 0.

    Raises:
        ValueError: Fewer values than the span.

    Examples:
        >>> flow = [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]
        >>> found = individuals(flow)
        >>> round(found.centre, 2), round(found.lower, 4), round(found.upper, 4)
        (50.81, 45.8176, 55.8024)
    """
    x = _finite(values)
    sigma, _ = sigma_of_ranges(x, span=span, how=how)
    centre = float(x.mean())
    return Limits(
        chart="i",
        centre=centre,
        lower=centre - k * sigma,
        upper=centre + k * sigma,
        sigma=sigma,
        estimator=f"{how} moving range of {span}",
        points=len(x),
        n=1.0,
        k=k,
    )


def moving_ranges(
    values: ArrayLike, *, span: int = 2, how: MovingRange = "mean", k: float = 3.0
) -> Limits[float]:
    """Chart of the moving ranges; only rule 1 makes sense, for neighbouring ranges share values.

    Args:
        values: Shape (m,), the individual values in order of time.
        span: Values in a moving range.
        how: ``mean`` or ``median`` moving range.
        k: Distance of the limits in standard deviations of a range, > 0.
    """
    sigma, ranges = sigma_of_ranges(values, span=span, how=how)
    return _range_limits(
        "mr", sigma, span, k, points=len(ranges), estimator=f"{how} moving range of {span}"
    )


def xbar_r(subgroups: ArrayLike, *, k: float = 3.0) -> Pair[float]:
    """Charts of means and ranges for subgroups of equal size; best up to nine values.

    Args:
        subgroups: Shape (m, n), m >= 1, n >= 2; one row per subgroup.
        k: Distance of the limits in sigma, > 0.

    Raises:
        ValueError: The array has another shape or holds something that is not a number.
    """
    x = _table(subgroups)
    m, n = x.shape
    mean_range = float((x.max(axis=1) - x.min(axis=1)).mean())
    sigma = mean_range / constants.d2(n)
    spread = _range_limits("r", sigma, n, k, points=m, estimator="mean range")
    # Patnaik (1950): the mean of m ranges has nearly 0.9 m (n - 1) degrees of freedom.
    return _pair(x, spread, sigma, 0.9 * m * (n - 1), "mean range", k)


def xbar_s(
    subgroups: ArrayLike, *, k: float = 3.0, how: Literal["mean", "pooled"] = "mean"
) -> Pair[float]:
    """Charts of means and standard deviations for subgroups of equal size.

    Args:
        subgroups: Shape (m, n), m >= 1, n >= 2; one row per subgroup.
        k: Distance of the limits in sigma, > 0.
        how: Sigma from the mean standard deviation, or from the pooled variance.

    Raises:
        ValueError: The array has another shape or holds something that is not a number.
    """
    x = _table(subgroups)
    m, n = x.shape
    s = x.std(axis=1, ddof=1)
    if how == "pooled":
        sigma, df = sqrt(float((s * s).mean())) / constants.c4(m * (n - 1) + 1), float(m * (n - 1))
        estimator = "pooled standard deviation"
    else:
        sigma, df = float(s.mean()) / constants.c4(n), df_of_mean_s(n) * m * (n - 1)
        estimator = "mean standard deviation"
    spread = _s_limits("s", sigma, n, k, points=m, estimator=estimator)
    return _pair(x, spread, sigma, df, estimator, k)


def unequal(
    subgroups: Sequence[ArrayLike],
    *,
    within: Within = "s",
    how: Literal["weighted", "pooled"] = "weighted",
    k: float = 3.0,
) -> Pair[NDArray[np.float64]]:
    """Charts of means and scatter for subgroups of different size: every point has own limits.

    Sigma is the estimate of least variance among weighted means of s/c4 or R/d2 (Burr 1976), or
    the pooled standard deviation over c4(df + 1). A subgroup of one value has a mean but no
    scatter: its ``spread`` limits are NaN.

    Args:
        subgroups: One array per subgroup, of at least one value each, two in one of them.
        within: Ranges (``r``) or standard deviations (``s``).
        how: How sigma is estimated; ``pooled`` always uses standard deviations.
        k: Distance of the limits in sigma, > 0.

    Returns:
        Limits with arrays of shape (subgroups,).

    Raises:
        ValueError: A subgroup is empty, or none has two values.
    """
    groups = [_finite(group) for group in subgroups]
    sizes = np.array([len(group) for group in groups])
    if not groups or sizes.min() < 1 or sizes.max() < 2:
        raise ValueError(
            f"subgroups of {sizes.tolist()} values; allowed: at least 1 in each, 2 in one of them"
        )
    sigma, estimator = _sigma_unequal(groups, within, how)
    centre = float(np.concatenate(groups).mean())
    away = k * sigma / np.sqrt(sizes)
    location = Limits(
        chart="xbar",
        centre=np.full(len(groups), centre),
        lower=centre - away,
        upper=centre + away,
        sigma=sigma / np.sqrt(sizes),
        estimator=estimator,
        points=len(groups),
        n=sizes.astype(np.float64),
        k=k,
    )
    make = _range_limits if within == "r" else _s_limits
    each = {
        int(n): make(within, sigma, int(n), k, points=len(groups), estimator=estimator)
        for n in np.unique(sizes[sizes > 1])
    }

    def column(name: str) -> F64:
        return np.array([getattr(each[n], name) if n > 1 else np.nan for n in sizes.tolist()])

    spread = Limits(
        chart=within,
        centre=column("centre"),
        lower=column("lower"),
        upper=column("upper"),
        sigma=column("sigma"),
        estimator=estimator,
        points=len(groups),
        n=sizes.astype(np.float64),
        k=k,
    )
    return Pair(location=location, spread=spread, sigma=sigma, df=float((sizes - 1).sum()))


def between_within(
    subgroups: ArrayLike, *, within: Within = "s", how: MovingRange = "mean", k: float = 3.0
) -> Pair[float]:
    """Charts for subgroups that are places on one piece: a traverse, a tray, the lanes of a coil.

    Their scatter says nothing about the difference between pieces. The means are therefore charted
    as individual values, with sigma from their own moving ranges; beside them stands a chart of the
    scatter within.

    Args:
        subgroups: Shape (m, n), m >= 2 pieces, n >= 2 places.
        within: Chart of ranges (``r``) or standard deviations (``s``) within.
        how: ``mean`` or ``median`` moving range of the means.
        k: Distance of the limits in sigma, > 0.

    Raises:
        ValueError: The array has another shape or holds something that is not a number.
    """
    pair = xbar_r(subgroups, k=k) if within == "r" else xbar_s(subgroups, k=k)
    location = individuals(_table(subgroups).mean(axis=1), how=how, k=k)
    return Pair(location=location, spread=pair.spread, sigma=pair.sigma, df=pair.df)


def df_of_mean_s(n: int) -> float:
    """Degrees of freedom a mean of standard deviations keeps, as a share of m (n - 1).

    Printed by Minitab for its capability intervals.
    """
    return next((share for longest, share in _SHARES if n <= longest), 1.0)


def _pair(
    x: F64, spread: Limits[float], sigma: float, df: float, estimator: str, k: float
) -> Pair[float]:
    m, n = x.shape
    centre = float(x.mean())
    of_mean = sigma / sqrt(n)
    location = Limits(
        chart="xbar",
        centre=centre,
        lower=centre - k * of_mean,
        upper=centre + k * of_mean,
        sigma=of_mean,
        estimator=estimator,
        points=m,
        n=float(n),
        k=k,
    )
    return Pair(location=location, spread=spread, sigma=sigma, df=df)


def _range_limits(
    chart: str, sigma: float, n: int, k: float, *, points: int, estimator: str
) -> Limits[float]:
    """Limits of ranges of n values with standard deviation sigma."""
    return Limits(
        chart=chart,
        centre=constants.d2(n) * sigma,
        lower=constants.d1_limit(n, k) * sigma,
        upper=constants.d2_limit(n, k) * sigma,
        sigma=constants.d3(n) * sigma,
        estimator=estimator,
        points=points,
        n=float(n),
        k=k,
    )


def _s_limits(
    chart: str, sigma: float, n: int, k: float, *, points: int, estimator: str
) -> Limits[float]:
    """Limits of standard deviations of n values with standard deviation sigma."""
    return Limits(
        chart=chart,
        centre=constants.c4(n) * sigma,
        lower=constants.b5(n, k) * sigma,
        upper=constants.b6(n, k) * sigma,
        sigma=constants.c5(n) * sigma,
        estimator=estimator,
        points=points,
        n=float(n),
        k=k,
    )


def _sigma_unequal(groups: list[F64], within: Within, how: str) -> tuple[float, str]:
    of_two = [group for group in groups if len(group) > 1]
    if how == "pooled":
        df = sum(len(group) - 1 for group in of_two)
        squares = sum(float(((group - group.mean()) ** 2).sum()) for group in of_two)
        return sqrt(squares / df) / constants.c4(df + 1), "pooled standard deviation"
    total = weights = 0.0
    for group in of_two:
        n = len(group)
        if within == "r":
            scatter = float(group.max() - group.min())
            mean, deviation = constants.d2(n), constants.d3(n)
        else:
            scatter = float(group.std(ddof=1))
            mean, deviation = constants.c4(n), constants.c5(n)
        weight = (mean / deviation) ** 2
        total += weight * scatter / mean
        weights += weight
    name = "ranges" if within == "r" else "standard deviations"
    return total / weights, f"weighted mean of {name}"


def _finite(values: ArrayLike) -> F64:
    x = np.asarray(values, np.float64).ravel()
    return x[np.isfinite(x)]


def _table(subgroups: ArrayLike) -> F64:
    x = np.asarray(subgroups, np.float64)
    if x.ndim != 2 or x.shape[0] < 1 or x.shape[1] < 2 or not np.isfinite(x).all():
        raise ValueError(
            f"subgroups have shape {x.shape}; allowed: (m, n) with n >= 2 and every value a "
            "number, otherwise use unequal()"
        )
    return x
