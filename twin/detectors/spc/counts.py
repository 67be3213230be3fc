"""Phase I of charts of counts: centre lines and limits from data.

The centre line is the total of events over the total looked at; every point has limits from its
own sample size. How the limits are made stands in :mod:`twin.detectors.spc.count_limits`.

References:
    NIST/SEMATECH, e-Handbook of Statistical Methods, 6.3.3.
    D. B. Laney, Improved control charts for attributes, Quality Engineering 14 (2002) 531-537.
    F. C. Kaminsky, J. C. Benneyan, R. D. Davis, R. J. Burke, Statistical control charts based on a
    geometric distribution, Journal of Quality Technology 24 (1992) 63-69.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor, inf, log1p, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy

from twin.detectors.spc import constants
from twin.detectors.spc.count_limits import EXACT_BELOW, KINDS, count_limits
from twin.detectors.spc.shewhart import Limits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    F64 = NDArray[np.float64]

__all__ = [
    "HowLimits",
    "c_chart",
    "false_alarm",
    "g_chart",
    "laney",
    "np_chart",
    "p_chart",
    "u_chart",
]

HowLimits = Literal["auto", "sigma", "exact"]
"""Exact quantiles where fewer than nine events are expected, k sigma always, quantiles always."""


def p_chart(
    defectives: ArrayLike, sizes: ArrayLike, *, k: float = 3.0, how: HowLimits = "auto"
) -> Limits[NDArray[np.float64]]:
    """Proportion of defective units, d / n.

    Args:
        defectives: Shape (m,); defective units of each sample, whole numbers.
        sizes: Shape (m,) or a number; units looked at, whole numbers > 0.
        k: Distance of the limits in sigma, > 0.
        how: ``auto`` takes exact binomial quantiles where fewer than nine are expected.

    Raises:
        ValueError: Something is no count, or more units are defective than were looked at.
    """
    d, n = _counts(defectives, sizes, most=True, whole=True)
    return _chart("p", float(d.sum() / n.sum()), n, k=k, how=how)


def np_chart(
    defectives: ArrayLike, size: float, *, k: float = 3.0, how: HowLimits = "auto"
) -> Limits[float]:
    """Number of defective units in samples of one size.

    Args:
        defectives: Shape (m,); defective units of each sample.
        size: Units looked at, a whole number > 0, the same for every sample.
        k: Distance of the limits in sigma, > 0.
        how: See :func:`p_chart`.

    Raises:
        ValueError: Something is no count, or more units are defective than were looked at.
    """
    d, n = _counts(defectives, size, most=True, whole=True)
    return _one(_chart("np", float(d.mean()), n, k=k, how=how))


def c_chart(defects: ArrayLike, *, k: float = 3.0, how: HowLimits = "auto") -> Limits[float]:
    """Number of defects on units of one size.

    Args:
        defects: Shape (m,); defects on each unit, whole numbers.
        k: Distance of the limits in sigma, > 0.
        how: ``auto`` takes exact Poisson quantiles where fewer than nine are expected.

    Raises:
        ValueError: Something is no count.

    Examples:
        >>> found = c_chart([12, 20, 16, 14, 18])
        >>> found.centre, found.lower, found.upper
        (16.0, 4.0, 28.0)
    """
    c, n = _counts(defects, 1.0, most=False, whole=False)
    return _one(_chart("c", float(c.mean()), n, k=k, how=how))


def u_chart(
    defects: ArrayLike, sizes: ArrayLike, *, k: float = 3.0, how: HowLimits = "auto"
) -> Limits[NDArray[np.float64]]:
    """Defects per unit of area, length or number, c / n.

    Args:
        defects: Shape (m,); defects of each sample, whole numbers.
        sizes: Shape (m,) or a number; area, length or number looked at, > 0.
        k: Distance of the limits in sigma, > 0.
        how: See :func:`c_chart`.

    Raises:
        ValueError: Something is no count, or a size is not positive.
    """
    c, n = _counts(defects, sizes, most=False, whole=False)
    return _chart("u", float(c.sum() / n.sum()), n, k=k, how=how)


def laney(
    kind: Literal["p", "u"], events: ArrayLike, sizes: ArrayLike, *, k: float = 3.0
) -> tuple[Limits[NDArray[np.float64]], float]:
    """Laney's p' and u': limits widened (or narrowed) by the scatter found between samples.

    ``z_i = (x_i - centre) / sigma_i``, ``sigma_z = mean(MR(z)) / d2``. For samples of thousands, where
    binomial or Poisson limits are far too narrow because the proportion itself wanders.

    Args:
        kind: ``p`` for defective units, ``u`` for defects.
        events: Shape (m,), m >= 2; whole numbers, in order of time.
        sizes: Shape (m,) or a number; > 0.
        k: Distance of the limits in sigma, > 0.

    Returns:
        Limits, and sigma_z; 0 when nothing ever happened.

    Raises:
        ValueError: Something is no count, or there are fewer than two samples.
    """
    x, n = _counts(events, sizes, most=kind == "p", whole=kind == "p")
    if len(x) < 2:
        raise ValueError(f"{len(x)} samples; allowed: 2 or more")
    centre = float(x.sum() / n.sum())
    variance = centre * (1.0 - centre) if kind == "p" else centre
    sigma_z = 0.0
    if variance > 0.0:
        z = (x / n - centre) / np.sqrt(variance / n)
        sigma_z = float(np.abs(np.diff(z)).mean()) / constants.d2(2)
    return _chart(f"laney_{kind}", centre, n, k=k, how="sigma", sigma_z=sigma_z), sigma_z


def g_chart(
    between: ArrayLike, *, k: float = 3.0, how: Literal["sigma", "exact"] = "exact"
) -> Limits[float]:
    """Good units between two rare events: the larger, the better.

    Where p, np, c or u charts have no lower limit, an improvement shows here as a point above the
    upper limit. The number between is geometric: ``sigma = sqrt(g (g + 1))``.

    Args:
        between: Shape (m,); units between one event and the next, whole numbers >= 0.
        k: Distance of the limits in sigma, > 0.
        how: Quantiles of the geometric distribution (it is so skewed that k sigma gives many false
            signals above and none below), or k sigma.

    Raises:
        ValueError: Something is no count.
    """
    g, _ = _counts(between, 1.0, most=False, whole=False)
    mean = float(g.mean())
    sigma = sqrt(mean * (mean + 1.0))
    lower, upper = max(0.0, mean - k * sigma), mean + k * sigma
    if how == "exact" and mean > 0.0:
        tail = float(scipy.special.ndtr(-k))
        stay = log1p(-1.0 / (mean + 1.0))
        # P(G > q) = (1 - p)^(q + 1): the smallest q at which at most the tail is left above.
        lower = max(0.0, ceil(log1p(-tail) / stay - 1.0))
        upper = max(0.0, ceil(float(np.log(tail)) / stay - 1.0))
    return Limits(
        chart="g",
        centre=mean,
        lower=lower,
        upper=upper,
        sigma=sigma,
        estimator="mean number between events",
        points=len(g),
        n=1.0,
        k=k,
    )


@lru_cache(maxsize=1024)
def false_alarm(kind: str, centre: float, n: float, lower: float, upper: float) -> float:
    """Exact probability of a point beyond its limits while the centre line is true.

    Args:
        kind: ``p``, ``np``, ``c`` or ``u``.
        centre: Centre line.
        n: Sample size; 1 for ``c``.
        lower: Lower limit of the plotted point.
        upper: Upper limit of the plotted point.
    """
    scale = n if kind in {"p", "u"} else 1.0
    # Counts strictly outside; a limit that is a count up to rounding is inside.
    first = floor(upper * scale * (1.0 + 1e-12) + 1e-9)
    last = ceil(lower * scale * (1.0 - 1e-12) - 1e-9) - 1
    if kind in {"c", "u"}:
        mean = centre * scale
        return float(scipy.special.pdtrc(first, mean)) + (
            float(scipy.special.pdtr(last, mean)) if last >= 0 else 0.0
        )
    p = centre / n if kind == "np" else centre
    above = float(scipy.special.bdtrc(first, int(n), p)) if first < n else 0.0
    return above + (float(scipy.special.bdtr(last, int(n), p)) if last >= 0 else 0.0)


def _chart(
    chart: str, centre: float, sizes: F64, *, k: float, how: HowLimits, sigma_z: float = 1.0
) -> Limits[NDArray[np.float64]]:
    tail = float(scipy.special.ndtr(-k))
    each = {
        n: count_limits(KINDS[chart], centre, n, sigma_z, k, tail, EXACT_BELOW[how])
        for n in set(sizes.tolist())
    }
    lower, upper, sigma = (np.array([each[n][i] for n in sizes.tolist()]) for i in range(3))
    return Limits(
        chart=chart,
        centre=np.full(len(sizes), centre),
        lower=lower,
        upper=upper,
        sigma=sigma,
        estimator=_ESTIMATORS[chart],
        points=len(sizes),
        n=sizes,
        k=k,
    )


_ESTIMATORS = {
    "p": "binomial",
    "np": "binomial",
    "c": "Poisson",
    "u": "Poisson",
    "laney_p": "binomial, widened by the moving range of z",
    "laney_u": "Poisson, widened by the moving range of z",
}


def _one(limits: Limits[NDArray[np.float64]]) -> Limits[float]:
    """The limits all points share."""
    return Limits(
        chart=limits.chart,
        centre=float(limits.centre[0]),
        lower=float(limits.lower[0]),
        upper=float(limits.upper[0]),
        sigma=float(limits.sigma[0]),
        estimator=limits.estimator,
        points=limits.points,
        n=float(limits.n[0]),
        k=limits.k,
    )


def _counts(events: ArrayLike, sizes: ArrayLike, *, most: bool, whole: bool) -> tuple[F64, F64]:
    """Counts and sizes of equal length, checked."""
    x = np.atleast_1d(np.asarray(events, np.float64))
    n = np.array(np.broadcast_to(np.asarray(sizes, np.float64), x.shape))
    if not len(x) or not np.isfinite(x).all() or (x < 0).any() or (x != np.floor(x)).any():
        raise ValueError(f"counts are {x.tolist()}; allowed: whole numbers from 0 on, at least one")
    if not ((n > 0) & (n < inf)).all() or (whole and (n != np.floor(n)).any()):
        kind = "whole numbers" if whole else "numbers"
        raise ValueError(f"sample sizes are {n.tolist()}; allowed: {kind} above 0")
    if most and (x > n).any():
        raise ValueError(
            "more defective units than were looked at; allowed: at most the sample size"
        )
    return x, n
