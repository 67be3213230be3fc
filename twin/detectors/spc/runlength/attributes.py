"""Run length of Shewhart charts whose points are independent: one over the chance of a signal.

Counts, proportions, scatter within subgroups, T2. Limits are strict: a point on a limit is inside.
"""

from __future__ import annotations

from math import ceil, floor

import numpy as np
import scipy

from twin.detectors.spc.constants import range_cdf
from twin.detectors.spc.runlength.result import LONGEST_ARL, Method, RunLength

__all__ = ["arl_binomial", "arl_poisson", "arl_range", "arl_s", "arl_t2", "three_sigma"]

_CLOSE = 1e-9
"""Limits this close to a count are that count: 3 sigma limits often fall on whole numbers."""


def _one_over(chance: float) -> RunLength:
    return RunLength(min(LONGEST_ARL, 1.0 / max(chance, 1e-300)), Method.EXACT)


def three_sigma(mean: float, deviation: float, most: float = np.inf) -> tuple[float, float]:
    """Mean +- 3 standard deviations, clipped to what can be counted.

    Args:
        mean: Expected count.
        deviation: Its standard deviation.
        most: Largest possible count.

    Returns:
        Lower (-1 when no count is below it) and upper limit.
    """
    low = mean - 3.0 * deviation
    return (low if low > 0.0 else -1.0), min(mean + 3.0 * deviation, most)


def _below(limit: float) -> float:
    """Largest count strictly below a limit."""
    return ceil(limit - _CLOSE) - 1.0


def _within(limit: float) -> float:
    """Largest count that is not above a limit."""
    return float(floor(limit + _CLOSE))


def arl_poisson(mean: float, lcl: float, ucl: float) -> RunLength:
    """ARL of a c chart, or of a u chart in counts.

    Args:
        mean: Expected count per point, > 0.
        lcl: A count below it signals; negative for none.
        ucl: A count above it signals.
    """
    low = float(scipy.special.pdtr(_below(lcl), mean)) if lcl > _CLOSE else 0.0
    return _one_over(low + float(scipy.special.pdtrc(_within(ucl), mean)))


def arl_binomial(n: int, p: float, lcl: float, ucl: float) -> RunLength:
    """ARL of an np chart, or of a p chart in counts.

    Args:
        n: Sample size, >= 1.
        p: Probability of a defective, 0 to 1.
        lcl: A count below it signals; negative for none.
        ucl: A count above it signals.
    """
    low = float(scipy.special.bdtr(_below(lcl), n, p)) if lcl > _CLOSE else 0.0
    top = _within(ucl)
    return _one_over(low + (float(scipy.special.bdtrc(top, n, p)) if top < n else 0.0))


def arl_s(n: int, lcl: float, ucl: float, ratio: float = 1.0) -> RunLength:
    """ARL of an S chart of normal subgroups.

    Args:
        n: Subgroup size, >= 2.
        lcl: Lower limit over the sigma of a single value; <= 0 for none.
        ucl: Upper limit over sigma.
        ratio: True standard deviation over sigma.
    """

    def square(limit: float) -> float:
        return (n - 1) * (limit / ratio) ** 2

    low = float(scipy.special.chdtr(n - 1, square(lcl))) if lcl > 0 else 0.0
    return _one_over(low + float(scipy.special.chdtrc(n - 1, square(ucl))))


def arl_range(n: int, lcl: float, ucl: float, ratio: float = 1.0) -> RunLength:
    """ARL of an R chart of normal subgroups.

    Args:
        n: Subgroup size, >= 2.
        lcl: Lower limit over the sigma of a single value; <= 0 for none.
        ucl: Upper limit over sigma.
        ratio: True standard deviation over sigma.
    """
    low = range_cdf(lcl / ratio, n) if lcl > 0 else 0.0
    return _one_over(low + 1.0 - range_cdf(ucl / ratio, n))


def arl_t2(
    p: int, limit: float, distance: float = 0.0, *, n: int = 1, m: int | None = None
) -> RunLength:
    """ARL of a Hotelling T2 chart.

    Args:
        p: Number of variables.
        limit: UCL.
        distance: Length of the shift of the mean (Mahalanobis, not squared).
        n: Vectors per subgroup; their mean is charted.
        m: Individual vectors that mean and covariance were estimated from, > p; None when both
            are known. With estimates this is one over the mean false-alarm probability, and only
            in control.

    Raises:
        ValueError: ``m`` is not larger than p, or stands beside a shift or subgroups.
    """
    if m is None:
        square = n * distance * distance
        chance = (
            float(scipy.special.chdtrc(p, limit))
            if square == 0
            else 1.0 - float(scipy.special.chndtr(limit, p, square))
        )
        return _one_over(chance)
    if m <= p or distance or n != 1:
        raise ValueError(f"m {m}, p {p}; allowed: m > p, without shift and subgroups")
    ratio = limit * m * (m - p) / (p * (m + 1) * (m - 1))
    return _one_over(float(scipy.special.fdtrc(p, m - p, ratio)))
