"""Constants of control charts for normal data, for every subgroup size.

None of them is taken from a rounded table: ranges are integrated, standard deviations use the
gamma function. ``W`` is the range and ``s`` the standard deviation of ``n`` independent standard
normal values.

References:
    L. H. C. Tippett, On the extreme individuals and the range of samples taken from a normal
    population, Biometrika 17 (1925) 364-387.
    D. C. Montgomery, Introduction to Statistical Quality Control, appendix VI.
"""

from __future__ import annotations

from functools import cache
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import scipy

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "a2",
    "a3",
    "b3",
    "b4",
    "b5",
    "b6",
    "c4",
    "c5",
    "d1_limit",
    "d2",
    "d2_limit",
    "d3",
    "d3_limit",
    "d4_limit",
    "e2",
    "median_range",
    "range_cdf",
]

_FAR = 9.0
"""Beyond this many sigma a normal value adds less than rounding does."""
_LONGEST = 2.0 * _FAR + 4.0
"""No range of fewer than a billion values is longer, in sigma."""
_NODES = 240
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(_NODES)


@cache
def _ranges(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Nodes r, weights, and P(W > r) at the nodes."""
    r = 0.5 * _LONGEST * (_POINTS + 1.0)
    return r, 0.5 * _LONGEST * _WEIGHTS, 1.0 - _range_cdf(r, n)


def _range_cdf(r: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    x = _FAR * _POINTS
    density = np.exp(-0.5 * x * x) / sqrt(2.0 * np.pi) * _FAR * _WEIGHTS
    inside = scipy.special.ndtr(x[None, :] + r[:, None]) - scipy.special.ndtr(x)[None, :]
    answer: NDArray[np.float64] = n * (inside ** (n - 1)) @ density
    return np.clip(answer, 0.0, 1.0)


def range_cdf(r: float, n: int) -> float:
    """P(W <= r) = n integral of phi(x) [Phi(x + r) - Phi(x)]^(n - 1) dx.

    Args:
        r: Range in sigma, >= 0.
        n: Number of values, >= 2.
    """
    _check(n)
    return float(_range_cdf(np.array([r]), n)[0]) if r > 0.0 else 0.0


@cache
def d2(n: int) -> float:
    """Mean of the range of n values, in sigma: E[W], the integral of P(W > r).

    Raises:
        ValueError: n is smaller than 2.

    Examples:
        >>> round(d2(2), 6), round(d2(5), 6)
        (1.128379, 2.325929)
    """
    _check(n)
    _, weights, above = _ranges(n)
    return float(weights @ above)


@cache
def d3(n: int) -> float:
    """Standard deviation of the range of n values, in sigma; E[W^2] = 2 integral of r P(W > r).

    Raises:
        ValueError: n is smaller than 2.
    """
    _check(n)
    r, weights, above = _ranges(n)
    return sqrt(2.0 * float(weights @ (r * above)) - d2(n) ** 2)


@cache
def median_range(n: int) -> float:
    """Median of the range of n values, in sigma; 0.953873 for a moving range of two.

    Raises:
        ValueError: n is smaller than 2.
    """
    _check(n)
    return float(scipy.optimize.brentq(lambda r: range_cdf(r, n) - 0.5, 0.0, _LONGEST, xtol=1e-12))


@cache
def c4(n: int) -> float:
    """Mean of the standard deviation of n values, in sigma: sqrt(2/(n-1)) G(n/2) / G((n-1)/2).

    Raises:
        ValueError: n is smaller than 2.

    Examples:
        >>> round(c4(5), 6)
        0.939986
    """
    _check(n)
    return sqrt(2.0 / (n - 1)) * float(scipy.special.poch((n - 1) / 2.0, 0.5))


def c5(n: int) -> float:
    """Standard deviation of the standard deviation of n values, in sigma: sqrt(1 - c4^2)."""
    return sqrt(1.0 - c4(n) ** 2)


def a2(n: int, k: float = 3.0) -> float:
    """Limits of a mean from the mean range: k / (d2 sqrt(n))."""
    return k / (d2(n) * sqrt(n))


def a3(n: int, k: float = 3.0) -> float:
    """Limits of a mean from the mean standard deviation: k / (c4 sqrt(n))."""
    return k / (c4(n) * sqrt(n))


def b3(n: int, k: float = 3.0) -> float:
    """Lower limit of s in mean standard deviations: max(0, 1 - k sqrt(1 - c4^2) / c4)."""
    return max(0.0, 1.0 - k * c5(n) / c4(n))


def b4(n: int, k: float = 3.0) -> float:
    """Upper limit of s in mean standard deviations: 1 + k sqrt(1 - c4^2) / c4."""
    return 1.0 + k * c5(n) / c4(n)


def b5(n: int, k: float = 3.0) -> float:
    """Lower limit of s in known sigma: max(0, c4 - k sqrt(1 - c4^2))."""
    return max(0.0, c4(n) - k * c5(n))


def b6(n: int, k: float = 3.0) -> float:
    """Upper limit of s in known sigma: c4 + k sqrt(1 - c4^2)."""
    return c4(n) + k * c5(n)


def d1_limit(n: int, k: float = 3.0) -> float:
    """Lower limit of the range in known sigma, D1 in tables: max(0, d2 - k d3)."""
    return max(0.0, d2(n) - k * d3(n))


def d2_limit(n: int, k: float = 3.0) -> float:
    """Upper limit of the range in known sigma, D2 in tables: d2 + k d3."""
    return d2(n) + k * d3(n)


def d3_limit(n: int, k: float = 3.0) -> float:
    """Lower limit of the range in mean ranges, D3 in tables: max(0, 1 - k d3 / d2)."""
    return max(0.0, 1.0 - k * d3(n) / d2(n))


def d4_limit(n: int, k: float = 3.0) -> float:
    """Upper limit of the range in mean ranges, D4 in tables: 1 + k d3 / d2."""
    return 1.0 + k * d3(n) / d2(n)


def e2(n: int, k: float = 3.0) -> float:
    """Limits of individual values from the mean range of n values: k / d2."""
    return k / d2(n)


def _check(n: int) -> None:
    if n < 2:
        raise ValueError(f"n is {n}; allowed: 2 or more")
