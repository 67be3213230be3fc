"""Limits of one point of a chart of counts, from its own sample size.

=======  ====================  ======================================  ================
kind     plotted               sigma of the point                      counts are
=======  ====================  ======================================  ================
P        d / n                 sqrt(p (1 - p) / n)                     binomial
NP       d                     sqrt(n p (1 - p)), centre is n p        binomial
C        c                     sqrt(c)                                 Poisson
U        c / n                 sqrt(u / n)                             Poisson
LANEY_P  d / n                 sigma_z sqrt(p (1 - p) / n)             wider than binomial
LANEY_U  c / n                 sigma_z sqrt(u / n)                     wider than Poisson
=======  ====================  ======================================  ================

Limits are centre +- k sigma, clipped to what can occur. Where fewer than nine events (or, of a
proportion, fewer than nine of the other kind) are expected in the sample, the normal
approximation is poor and the limits are, unless asked otherwise, exact quantiles of the binomial or Poisson distribution
at the tail probability of k sigma (0.00135 and 0.99865 for three). A count beyond such a limit has
at most that probability. Laney's charts have no exact distribution and keep k sigma.

References:
    D. C. Montgomery, Introduction to Statistical Quality Control, chapter 7.
    D. B. Laney, Improved control charts for attributes, Quality Engineering 14 (2002) 531-537.
"""

from __future__ import annotations

from math import exp, floor, inf, lgamma, log, log1p, sqrt

from numba import njit

__all__ = [
    "EXACT_BELOW",
    "KINDS",
    "LANEY_P",
    "LANEY_U",
    "NP",
    "C",
    "P",
    "U",
    "binomial_quantile",
    "count_limits",
    "poisson_quantile",
]

P, NP, C, U, LANEY_P, LANEY_U = range(6)
KINDS = {"p": P, "np": NP, "c": C, "u": U, "laney_p": LANEY_P, "laney_u": LANEY_U}
"""Chart type to code."""
EXACT_BELOW = {"auto": 9.0, "sigma": 0.0, "exact": inf}
"""How limits are made, to the expected events below which they are exact quantiles."""
_SHORT = 100.0
"""Sums of counts start at 0 up to this mean."""
_FAR = 12.0
"""Standard deviations; less than 1e-20 of a Poisson variable above the short mean lies beyond."""


@njit(cache=True, error_model="numpy")
def _first(mean: float) -> float:
    """A count far enough below the mean that nothing is left below it."""
    return float(max(0.0, floor(mean - _FAR * sqrt(mean)))) if mean > _SHORT else 0.0


@njit(cache=True, error_model="numpy")
def poisson_quantile(mean: float, probability: float) -> float:
    """Smallest count q with P(X <= q) >= probability of a Poisson variable, mean > 0."""
    q = _first(mean)
    term = exp(q * log(mean) - mean - lgamma(q + 1.0))
    total = term
    while total < probability and term > 0.0:
        q += 1.0
        term *= mean / q
        total += term
    return q


@njit(cache=True, error_model="numpy")
def binomial_quantile(n: float, p: float, probability: float) -> float:
    """Smallest count q with P(X <= q) >= probability of a binomial variable, 0 < p < 1."""
    q = _first(n * p)
    ways = lgamma(n + 1.0) - lgamma(q + 1.0) - lgamma(n - q + 1.0) if q > 0.0 else 0.0
    term = exp(ways + q * log(p) + (n - q) * log1p(-p))
    total = term
    odds = p / (1.0 - p)
    while total < probability and q < n:
        term *= (n - q) / (q + 1.0) * odds
        q += 1.0
        total += term
    return q


@njit(cache=True, error_model="numpy")
def _binomial_limits(n: float, p: float, tail: float) -> tuple[float, float]:
    if p <= 0.5:
        return binomial_quantile(n, p, tail), binomial_quantile(n, p, 1.0 - tail)
    # Counted from the other side the sum is short, and its limits change places.
    other = 1.0 - p
    return n - binomial_quantile(n, other, 1.0 - tail), n - binomial_quantile(n, other, tail)


@njit(cache=True, error_model="numpy")
def count_limits(
    kind: int, centre: float, n: float, sigma_z: float, k: float, tail: float, exact_below: float
) -> tuple[float, float, float]:
    """Lower limit, upper limit and sigma of a plotted point.

    Args:
        kind: Code of the chart.
        centre: Centre line: proportion, mean count or rate.
        n: Sample size, > 0; not looked at for ``C``.
        sigma_z: Scatter of Laney's charts, else 1.
        k: Distance of the limits in sigma.
        tail: Probability beyond k sigma on one side of a normal distribution.
        exact_below: Expected events below which limits are quantiles; see ``EXACT_BELOW``.
    """
    if kind in (C, U, LANEY_U):
        size = 1.0 if kind == C else n
        sigma = sqrt(centre / size) * sigma_z
        expected = centre * size
        if kind != LANEY_U and 0.0 < expected < exact_below:
            lower = poisson_quantile(expected, tail) / size
            return lower, poisson_quantile(expected, 1.0 - tail) / size, sigma
        return max(0.0, centre - k * sigma), centre + k * sigma, sigma
    p = centre / n if kind == NP else centre
    scale = n if kind == NP else 1.0
    sigma = scale * sqrt(p * (1.0 - p) / n) * sigma_z
    rare = min(n * p, n * (1.0 - p))
    if kind != LANEY_P and 0.0 < rare < exact_below:
        low, high = _binomial_limits(n, p, tail)
        return low / n * scale, high / n * scale, sigma
    return max(0.0, centre - k * sigma), min(scale, centre + k * sigma), sigma
