"""Was the period in control as a whole? Tests of a finished series of standard normal scores.

They look at the whole series at once and belong to phase I only. All assume independent scores;
what is left of a correlation makes the tests of level and scatter reject too often, which is the
safe side for a baseline.

References:
    W. Ploberger, W. Kraemer, The CUSUM test with OLS residuals, Econometrica 60 (1992) 271-285.
    C. Inclan, G. C. Tiao, Use of cumulative sums of squares for retrospective detection of changes
    of variance, Journal of the American Statistical Association 89 (1994) 913-923.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import scipy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64 = NDArray[np.float64]

__all__ = ["ewma_rate", "level_p", "openings", "point_rate", "scatter_p", "too_many_p"]

_CAP = 3.0
"""Scores are cut here, so that a single outlier is no change of scatter."""


def level_p(score: F64) -> float:
    """Probability of as large a wandering of the mean when the level is constant.

    The largest distance of the cumulated deviations from the mean, over s sqrt(n), compared with
    the largest value of a Brownian bridge.

    Args:
        score: Shape (n,), finite.
    """
    return _bridge_p(np.clip(score, *np.quantile(score, [0.005, 0.995])))


def scatter_p(score: F64) -> float:
    """Probability of as large a wandering of the variance when the scatter is constant.

    Args:
        score: Shape (n,), finite, in sigma or normal scores.
    """
    away = np.clip(score - np.median(score), -_CAP, _CAP)
    return _bridge_p(away * away)


def _bridge_p(value: F64) -> float:
    away = value - value.mean()
    spread = float(away.std())
    if spread <= 0.0:
        return 1.0
    return float(
        scipy.special.kolmogorov(float(np.abs(np.cumsum(away)).max()) / (spread * sqrt(len(value))))
    )


def openings(beyond: NDArray[np.bool_]) -> int:
    """How often a rule becomes true: findings, not points."""
    if not len(beyond):
        return 0
    return int(beyond[0]) + int(np.count_nonzero(beyond[1:] & ~beyond[:-1]))


def too_many_p(found: int, expected: float) -> float:
    """Probability of at least ``found`` findings when ``expected`` are expected (Poisson)."""
    return float(scipy.special.pdtrc(found - 1, expected)) if found > 0 else 1.0


def point_rate(limit: float = 3.0) -> float:
    """Findings per point of a limit on independent normal points: p (1 - p).

    Examples:
        >>> round(1 / point_rate(), 1)
        371.4
    """
    outside = 2.0 * float(scipy.special.ndtr(-limit))
    return outside * (1.0 - outside)


def ewma_rate(weight: float, limit: float) -> float:
    """Findings per point of an EWMA with fixed limits on independent normal points.

    A finding opens when the EWMA is outside and was inside the point before; both are normal with
    correlation 1 - weight. After a finding the EWMA often crosses its limit again, so findings are
    a little more frequent than 1/ARL0.

    Args:
        weight: Weight of the newest point, 0 < weight <= 1.
        limit: Limit in standard deviations of the EWMA.

    Examples:
        >>> round(1 / ewma_rate(0.2, 2.962))
        455
    """
    keep = 1.0 - weight
    rest = sqrt(1.0 - keep * keep)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    before = limit * nodes
    density = np.exp(-0.5 * before * before) / sqrt(2.0 * np.pi)
    outside = scipy.special.ndtr((-limit - keep * before) / rest) + scipy.special.ndtr(
        (keep * before - limit) / rest
    )
    return float(limit * weights @ (density * outside))
