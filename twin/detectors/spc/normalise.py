"""A map that makes plotted points standard normal, so that limits in sigma mean what they say.

Measured signals have heavy or short tails. The map takes a point (in sigma from the centre) to the
normal score of its probability: mid-ranks in the middle, generalised Pareto tails outside. The
tails are predictive: with few exceedances the chance of a new extreme is larger than a fitted
curve says, and findings would come too often without that.

References:
    J. Pickands, Statistical inference using extreme order statistics, Annals of Statistics 3
    (1975) 119-131.
    J. R. M. Hosking, J. R. Wallis, Parameter and quantile estimation for the generalized Pareto
    distribution, Technometrics 29 (1987) 339-349.
"""

from __future__ import annotations

from math import expm1, log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64 = NDArray[np.float64]

__all__ = ["FEWEST", "scores", "shape_of"]

FEWEST = 200
"""Fewer points than this say nothing about tails."""
_TAIL = 0.05
"""Share of the points in each tail."""
_LEAST = 10
"""Fewest points in a tail."""
_BODY = 64
"""Most knots between the tails."""
_SCORES = (2.0, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5, 4.0, 4.5, 5.0, 6.0)
"""Normal scores at which a tail has its knots; beyond the last the map goes on straight."""
_PRIOR = 100.0
"""An exponential tail counts as so many exceedances when the form of a tail is estimated."""
_FORMS = (-0.3, 0.5)


class _Tail(NamedTuple):
    """Exceedances over a threshold: how far a point of a given rarity is."""

    start: float
    share: float
    form: float
    scale: float
    exceeded: int

    def at(self, score: float) -> float:
        """Point whose probability of being passed is that of a normal score."""
        chance = float(scipy.special.log_ndtr(-score)) - log(self.share)
        # Inverse of the predictive (1 + h/k)^-k, which is exp(-h) for many exceedances.
        depth = self.exceeded * expm1(-chance / self.exceeded)
        if abs(self.form) < 1e-6:
            return self.start + self.scale * depth
        return self.start + self.scale * expm1(self.form * depth) / self.form


def shape_of(points: F64) -> list[tuple[float, float]]:
    """Knots of the map from points to normal scores.

    Args:
        points: Shape (n,), n >= 200, in sigma from the centre, finite.

    Returns:
        Pairs (point, score), both rising; scores of these points have mean 0 and deviation 1.

    Raises:
        ValueError: Too few points, or fewer than four different ones.
    """
    if len(points) < FEWEST:
        raise ValueError(f"{len(points)} points; expected {FEWEST} or more")
    value, count = np.unique(points, return_counts=True)
    if len(value) < 4:
        raise ValueError(f"{len(value)} different values; expected 4 or more")
    score = scipy.special.ndtri((np.cumsum(count) - 0.5 * count) / len(points))
    high = _tail(value, count, len(points))
    low = _tail(-value[::-1], count[::-1], len(points))
    inside = (value >= -low.start) & (value <= high.start)
    x, y = value[inside], score[inside]
    if len(x) > _BODY:
        kept = np.unique(np.linspace(0, len(x) - 1, _BODY).round().astype(np.intp))
        x, y = x[kept], y[kept]
    knots = [(-low.at(s), -s) for s in reversed(_SCORES)]
    knots += list(zip(x.tolist(), y.tolist(), strict=True))
    knots += [(high.at(s), s) for s in _SCORES]
    rising = _rising(knots)
    found = scores(points, rising)
    mean, spread = float(found.mean()), float(found.std())
    return [(a, (b - mean) / spread) for a, b in rising]


def scores(points: F64, shape: list[tuple[float, float]]) -> F64:
    """Normal scores of points; the first and the last piece of the map go on for ever.

    Args:
        points: Shape (n,), in sigma from the centre; NaN stays NaN.
        shape: Knots of :func:`shape_of`; empty leaves the points as they are.
    """
    if len(shape) < 2:
        return points
    x, y = np.array(shape).T
    piece = np.clip(np.searchsorted(x, points, side="right") - 1, 0, len(x) - 2)
    slope = np.diff(y) / np.diff(x)
    answer: F64 = y[piece] + (points - x[piece]) * slope[piece]
    return answer


def _tail(value: F64, count: NDArray[np.intp], n: int) -> _Tail:
    """Fit the upper tail by probability-weighted moments, drawn towards an exponential one."""
    above = n - np.cumsum(count)
    wanted = max(_LEAST, round(n * _TAIL))
    place = min(int(np.flatnonzero(above <= wanted)[0]), len(value) - 2)
    while place > 0 and above[place] < _LEAST:
        place -= 1
    start = float(value[place])
    excess = np.repeat(value[place + 1 :] - start, count[place + 1 :])
    k = len(excess)
    mean = float(excess.mean())
    weighted = float(np.mean(excess * (1.0 - (np.arange(1, k + 1) - 0.35) / k)))
    form = 0.0
    if mean > 2.0 * weighted:
        form = min(max(2.0 - mean / (mean - 2.0 * weighted), _FORMS[0]), _FORMS[1])
        form *= k / (k + _PRIOR)
    return _Tail(start, k / n, form, mean * (1.0 - form), k)


def _rising(knots: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Keep what rises in both: a tail may begin a little before the middle ends."""
    kept: list[tuple[float, float]] = []
    for x, y in sorted(knots):
        if not kept or (x > kept[-1][0] + 1e-9 and y > kept[-1][1] + 1e-9):
            kept.append((x, y))
    return kept
