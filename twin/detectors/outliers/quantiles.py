"""Quantiles of a sample in the nine ways of Hyndman and Fan (1996)."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["NAMES", "finite", "nothing", "quantile"]

NAMES = {
    1: "inverse of the empirical distribution",
    2: "the same, averaged at steps",
    3: "nearest observation",
    4: "linear interpolation of the empirical distribution",
    5: "Hazen",
    6: "Weibull, n + 1 (NIST, Minitab)",
    7: "linear, n - 1 (R, NumPy, spreadsheets)",
    8: "median unbiased",
    9: "normal unbiased",
}
"""What the types are called."""

_PLACES = {
    4: (0.0, 1.0),
    5: (0.5, 0.5),
    6: (0.0, 0.0),
    7: (1.0, 1.0),
    8: (1 / 3, 1 / 3),
    9: (0.375, 0.375),
}
_FUZZ = 4 * float(np.finfo(float).eps)


def finite(values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The values that are numbers, and their places."""
    x = np.asarray(values, np.float64).ravel()
    places = np.flatnonzero(np.isfinite(x))
    return x[places], places


def nothing(width: float, values: NDArray[np.float64]) -> bool:
    """Whether a scatter is no more than rounding, so that the values are equal.

    0.1 + 0.2 is not 0.3 in binary; measured in such a scatter, it would be far out. The median says
    how large the values are, so that one that is wildly wrong does not make the others equal.
    """
    return width <= _FUZZ * float(np.median(np.abs(values)))


def quantile(values: ArrayLike, probability: float, kind: int = 7) -> float:
    """A quantile of a sample; what is not a number is left out.

    Args:
        values: The sample, any order.
        probability: 0 to 1.
        kind: Type 1 to 9, see :data:`NAMES`.

    Raises:
        ValueError: The sample is empty, or there is no such type.
    """
    if kind not in NAMES or not 0.0 <= probability <= 1.0:
        raise ValueError(f"quantile {probability} of type {kind}; allowed: 0 to 1, types 1 to 9")
    x, _ = finite(values)
    if not len(x):
        raise ValueError("no quantile of no values")
    x = np.sort(x)
    n = len(x)
    if kind <= 3:
        spot = n * probability - (0.5 if kind == 3 else 0.0)
        j, rest = _split(spot)
        weight = 1.0 if rest > 0.0 else {1: 0.0, 2: 0.5, 3: float(j % 2)}[kind]
    else:
        a, b = _PLACES[kind]
        j, weight = _split(a + probability * (n + 1 - a - b))
    low, high = x[min(max(j, 1), n) - 1], x[min(max(j + 1, 1), n) - 1]
    return float(low if weight == 0.0 else (1.0 - weight) * low + weight * high)


def _split(spot: float) -> tuple[int, float]:
    """Whole and remaining part, forgiving what rounding did to a whole number."""
    whole = floor(spot + _FUZZ * max(1.0, abs(spot)))
    rest = spot - whole
    return whole, rest if abs(rest) > _FUZZ * max(1.0, abs(spot)) else 0.0
