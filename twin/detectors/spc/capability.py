"""Capability: how wide the process is against its specification, always with an interval.

Cp and Cpk use sigma *within* (short term), Pp and Ppk the overall standard deviation, Cpm also the
distance from target. A number from few, unstable or mixed data says nothing; then it comes with a
warning that says why.

References:
    NIST/SEMATECH, e-Handbook of Statistical Methods, 6.1.6.
    A. F. Bissell, How reliable is your capability index?, Applied Statistics 39 (1990) 331-340
    (interval of Cpk).
    R. A. Boyles, The Taguchi capability index, Journal of Quality Technology 23 (1991) 17-26
    (interval of Cpm).
    Minitab, Methods and formulas for normal capability analysis (degrees of freedom).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy

from twin.detectors.spc.normality import anderson_darling
from twin.detectors.spc.shewhart import df_of_mean_s, sigma_of_ranges, unequal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Capability",
    "Estimator",
    "Index",
    "Sigma",
    "capability",
    "cp",
    "cpk",
    "cpm",
    "doubts",
    "sigma_overall",
    "sigma_within",
]

Estimator = Literal["pooled", "mean_mr", "median_mr", "mssd", "mean_range", "mean_s"]

_FEWEST = 25
"""Values below which a capability is not shown without a warning."""
_NORMAL_P = 0.05
_NO_LIMIT = "no specification limit; allowed: lsl, usl or both"


@dataclass(frozen=True, slots=True)
class Sigma:
    """An estimated standard deviation.

    Attributes:
        value: Unit of the data.
        df: Degrees of freedom its intervals use.
        estimator: How it was estimated, and how the degrees of freedom were counted.
    """

    value: float
    df: float
    estimator: str


@dataclass(frozen=True, slots=True)
class Index:
    """A capability index with its confidence interval.

    Attributes:
        name: ``cp``, ``cpk``, ``cpl``, ``cpu``, ``pp``, ``ppk``, ``ppl``, ``ppu`` or ``cpm``.
        value: The estimate.
        low: Lower end of the interval.
        high: Upper end of the interval.
        level: Probability that the interval covers the true index.
        df: Degrees of freedom it uses.
        estimator: Estimator of sigma, with the count of its degrees of freedom.
    """

    name: str
    value: float
    low: float
    high: float
    level: float
    df: float
    estimator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Everything there is to say about a characteristic and its specification.

    Attributes:
        n: Number of values.
        mean: Mean, unit of the data.
        within: Sigma within.
        overall: Overall standard deviation.
        indices: What can be computed with the limits given; one-sided limits give one-sided indices.
        warnings: Reasons to doubt the numbers; they are never shown without them.
        normality_p: p-value of the Anderson-Darling test; None with fewer than eight values or
            without scatter.
    """

    n: int
    mean: float
    within: Sigma
    overall: Sigma
    indices: tuple[Index, ...]
    warnings: tuple[str, ...]
    normality_p: float | None

    def index(self, name: str) -> Index | None:
        """The index with a name, None where the limits do not give it."""
        return next((index for index in self.indices if index.name == name), None)


def cp(lsl: float, usl: float, sigma: Sigma, *, name: str = "cp", level: float = 0.95) -> Index:
    """(U - L) / 6 sigma, with the interval of a chi-squared variable.

    Args:
        lsl: Lower specification limit.
        usl: Upper specification limit, above it.
        sigma: Standard deviation, same unit, > 0.
        name: ``cp`` or ``pp``.
        level: Confidence level, between 0 and 1.

    Raises:
        ValueError: Limits out of order or sigma not positive.

    Examples:
        >>> found = cp(8, 20, Sigma(2.0, 49, "known"))
        >>> round(found.value, 4), round(found.low, 4), round(found.high, 4)
        (1.0, 0.8025, 1.1971)
    """
    _check(lsl, usl, sigma, level)
    value = (usl - lsl) / (6.0 * sigma.value)
    low, high = _chi_interval(sigma.df, level)
    return Index(name, value, value * low, value * high, level, sigma.df, sigma.estimator)


def cpk(
    mean: float,
    lsl: float | None,
    usl: float | None,
    sigma: Sigma,
    n: int,
    *,
    name: str = "cpk",
    level: float = 0.95,
) -> Index:
    """min(U - mean, mean - L) / 3 sigma, with Bissell's interval.

    ``value +- z sqrt(1 / (9 n) + value^2 / (2 df))``. With one limit it is CPU or CPL.

    Args:
        mean: Mean of the values.
        lsl: Lower specification limit, or None.
        usl: Upper specification limit, or None.
        sigma: Standard deviation, same unit, > 0.
        n: Number of values the mean is made of.
        name: ``cpk``, ``ppk`` or the name of a one-sided index.
        level: Confidence level, between 0 and 1.

    Raises:
        ValueError: No limit, limits out of order, or sigma not positive.
    """
    if lsl is None and usl is None:
        raise ValueError(_NO_LIMIT)
    _check(-inf if lsl is None else lsl, inf if usl is None else usl, sigma, level)
    distances = [] if lsl is None else [mean - lsl]
    if usl is not None:
        distances.append(usl - mean)
    value = min(distances) / (3.0 * sigma.value)
    half = float(scipy.special.ndtri(0.5 + level / 2.0)) * sqrt(
        1.0 / (9.0 * n) + value * value / (2.0 * sigma.df)
    )
    return Index(name, value, value - half, value + half, level, sigma.df, sigma.estimator)


def cpm(
    mean: float,
    lsl: float,
    usl: float,
    target: float,
    sigma: Sigma,
    n: int,
    *,
    level: float = 0.95,
) -> Index:
    """(U - L) / 6 sqrt(s^2 + (mean - T)^2), with Boyles' interval.

    The degrees of freedom are ``n (1 + a^2)^2 / (1 + 2 a^2)`` with ``a = (mean - T) / s``.

    Args:
        mean: Mean of the values.
        lsl: Lower specification limit.
        usl: Upper specification limit.
        target: Target.
        sigma: Overall standard deviation, > 0.
        n: Number of values.
        level: Confidence level, between 0 and 1.

    Raises:
        ValueError: Limits out of order or sigma not positive.

    Examples:
        >>> round(cpm(16, 8, 20, 14, Sigma(2.0, 49, "known"), 50).value, 4)
        0.7071
    """
    _check(lsl, usl, sigma, level)
    off = (mean - target) / sigma.value
    value = (usl - lsl) / (6.0 * sigma.value * sqrt(1.0 + off * off))
    df = n * (1.0 + off * off) ** 2 / (1.0 + 2.0 * off * off)
    low, high = _chi_interval(df, level)
    return Index("cpm", value, value * low, value * high, level, df, f"{sigma.estimator}; Boyles")


def sigma_overall(values: ArrayLike) -> Sigma:
    """Standard deviation of all values, N - 1 degrees of freedom."""
    x = _finite(values)
    return Sigma(float(x.std(ddof=1)), len(x) - 1.0, "overall s, df N - 1")


def sigma_within(
    values: ArrayLike | Sequence[ArrayLike],
    estimator: Estimator = "mean_mr",
    *,
    span: int = 2,
) -> Sigma:
    """Standard deviation within: between neighbours, or inside subgroups.

    Args:
        values: Individual values, shape (k,), in order of time for ``mean_mr``, ``median_mr`` and
            ``mssd``; a sequence of subgroups for ``pooled``, ``mean_range`` and ``mean_s``.
        estimator: Named in the answer together with its degrees of freedom: moving ranges
            k - span + 1, mean squared successive difference k - 1, pooled sum(n - 1), mean range
            0.9 sum(n - 1), mean standard deviation f sum(n - 1) with f from 0.88 at n = 2 to 1.
        span: Values in a moving range.

    Raises:
        ValueError: Too few values for the estimator.
    """
    if estimator in {"mean_mr", "median_mr", "mssd"}:
        x = _finite(values)
        if estimator == "mssd":
            if len(x) < 2:
                raise ValueError(f"{len(x)} values; allowed: 2 or more")
            root = sqrt(float((np.diff(x) ** 2).mean()) / 2.0)
            return Sigma(root, len(x) - 1.0, "root mean squared successive difference, df k - 1")
        how: Literal["mean", "median"] = "mean" if estimator == "mean_mr" else "median"
        sigma, _ = sigma_of_ranges(x, span=span, how=how)
        return Sigma(sigma, len(x) - span + 1.0, f"{how} moving range of {span}, df k - span + 1")
    groups = [_finite(group) for group in _rows(values)]
    free = [len(group) - 1.0 for group in groups]
    if estimator == "pooled":
        sigma = unequal(groups, how="pooled").sigma
        return Sigma(sigma, sum(free), "pooled standard deviation / c4, df sum(n - 1)")
    if estimator == "mean_range":
        sigma = unequal(groups, within="r").sigma
        return Sigma(sigma, 0.9 * sum(free), "mean range, df 0.9 sum(n - 1)")
    sigma = unequal(groups, within="s").sigma
    df = sum(df_of_mean_s(len(group)) * (len(group) - 1.0) for group in groups)
    return Sigma(sigma, df, "mean standard deviation, df f sum(n - 1)")


def capability(
    values: ArrayLike | Sequence[ArrayLike],
    *,
    lsl: float | None = None,
    usl: float | None = None,
    target: float | None = None,
    estimator: Estimator = "mean_mr",
    span: int = 2,
    level: float = 0.95,
    in_control: bool | None = None,
    resolution: float | None = None,
    recipes: Collection[str] = (),
) -> Capability:
    """All indices the specification allows, with intervals and doubts.

    Args:
        values: Individual values in order of time, or a sequence of subgroups.
        lsl: Lower specification limit, or None.
        usl: Upper specification limit, or None.
        target: Target, for Cpm.
        estimator: Of sigma within; see :func:`sigma_within`.
        span: Values in a moving range.
        level: Confidence level of the intervals.
        in_control: Whether the chart of these values is in control; None when nobody looked.
        resolution: Smallest step of the values, their unit.
        recipes: Recipes the values came from.

    Raises:
        ValueError: No limit, limits out of order, or too few values.
    """
    if lsl is None and usl is None:
        raise ValueError(_NO_LIMIT)
    within = sigma_within(values, estimator, span=span)
    flat = _finite(np.concatenate([np.ravel(np.asarray(row, np.float64)) for row in _rows(values)]))
    overall = sigma_overall(flat)
    n, mean = len(flat), float(flat.mean())
    indices: list[Index] = []
    for sigma, letter in ((within, "c"), (overall, "p")):
        if lsl is not None and usl is not None:
            indices.append(cp(lsl, usl, sigma, name=f"{letter}p", level=level))
        if lsl is not None:
            indices.append(cpk(mean, lsl, None, sigma, n, name=f"{letter}pl", level=level))
        if usl is not None:
            indices.append(cpk(mean, None, usl, sigma, n, name=f"{letter}pu", level=level))
        if lsl is not None and usl is not None:
            indices.append(cpk(mean, lsl, usl, sigma, n, name=f"{letter}pk", level=level))
    if lsl is not None and usl is not None and target is not None:
        indices.append(cpm(mean, lsl, usl, target, overall, n, level=level))
    p = _normality(flat)
    warnings = doubts(
        n,
        within.value,
        in_control=in_control,
        normality_p=p,
        resolution=resolution,
        recipes=recipes,
    )
    return Capability(
        n=n,
        mean=mean,
        within=within,
        overall=overall,
        indices=tuple(indices),
        warnings=tuple(warnings),
        normality_p=p,
    )


def doubts(
    n: int,
    sigma: float,
    *,
    in_control: bool | None,
    normality_p: float | None,
    resolution: float | None = None,
    recipes: Collection[str] = (),
) -> list[str]:
    """Reasons why a capability index must not be shown without a warning.

    Args:
        n: Number of values.
        sigma: Standard deviation within, unit of the data.
        in_control: Whether the chart is in control; None when nobody looked.
        normality_p: p-value of the Anderson-Darling test; None when it could not be made.
        resolution: Smallest step of the values, unit of the data; None when unknown.
        recipes: Recipes the values came from.
    """
    found: list[str] = []
    if in_control is None:
        found.append("nobody looked whether the chart is in control")
    elif not in_control:
        found.append("the chart is not in control")
    if n < _FEWEST:
        found.append(f"only {n} values; {_FEWEST} or more are wanted")
    if normality_p is None:
        found.append("too few different values to test for normality")
    elif normality_p < _NORMAL_P:
        found.append(f"the values do not look normal (Anderson-Darling p = {normality_p:.2g})")
    if resolution is not None and resolution > sigma / 2.0:
        found.append(f"the resolution {resolution:g} is coarser than half of sigma {sigma:.4g}")
    if len(set(recipes)) > 1:
        found.append(f"the values come from several recipes: {', '.join(sorted(set(recipes)))}")
    return found


def _rows(values: ArrayLike | Sequence[ArrayLike]) -> list[NDArray[np.float64]]:
    """Subgroups as arrays; individual values are one subgroup each."""
    return [np.atleast_1d(np.asarray(row, np.float64)) for row in values]  # type: ignore[union-attr]  # a bare number is no series and fails here


def _normality(x: NDArray[np.float64]) -> float | None:
    try:
        return anderson_darling(x).p
    except ValueError:
        return None


def _chi_interval(df: float, level: float) -> tuple[float, float]:
    """Factors on an index whose sigma has df degrees of freedom."""
    tail = (1.0 - level) / 2.0
    return sqrt(float(scipy.special.chdtri(df, 1.0 - tail)) / df), sqrt(
        float(scipy.special.chdtri(df, tail)) / df
    )


def _check(lsl: float, usl: float, sigma: Sigma, level: float) -> None:
    if not lsl < usl:
        raise ValueError(f"lsl {lsl:g} and usl {usl:g}; allowed: lsl below usl")
    if not sigma.value > 0.0 or not sigma.df > 0.0:
        raise ValueError(
            f"sigma {sigma.value:g} with {sigma.df:g} degrees of freedom; allowed: both above 0"
        )
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level:g}; allowed: between 0 and 1")


def _finite(values: ArrayLike | Sequence[ArrayLike]) -> NDArray[np.float64]:
    x = np.asarray(values, np.float64).ravel()
    return x[np.isfinite(x)]
