"""Many tests at once: how many of their findings may be false."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Family", "benjamini_hochberg", "bonferroni"]


@dataclass(frozen=True, slots=True)
class Family:
    """What a family of tests says.

    Attributes:
        adjusted: p-values after correction, at most 1; NaN for a test that could not be made.
        rejected: Places of the tests that found something.
        size: Tests that were made.
    """

    adjusted: tuple[float, ...]
    rejected: tuple[int, ...]
    size: int


def _values(p_values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p = np.asarray(p_values, np.float64).ravel()
    made = np.flatnonzero(~np.isnan(p))
    if np.any((p[made] < 0.0) | (p[made] > 1.0)):
        raise ValueError("a p-value is outside 0 to 1")
    return p, made


def benjamini_hochberg(p_values: ArrayLike, q: float = 0.05) -> Family:
    """Keep the expected share of false ones among all findings below ``q`` (1995).

    Valid for independent and for positively dependent tests.

    Raises:
        ValueError: A p-value is outside 0 to 1.
    """
    p, made = _values(p_values)
    order = made[np.argsort(p[made], kind="stable")]
    m = len(order)
    raw = p[order] * m / np.arange(1, m + 1)
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(raw[::-1])[::-1])
    rejected = np.flatnonzero(adjusted <= q)
    return Family(tuple(adjusted.tolist()), tuple(rejected.tolist()), m)


def bonferroni(p_values: ArrayLike, alpha: float = 0.05) -> Family:
    """Keep the probability of any false finding below ``alpha``; for safety.

    Raises:
        ValueError: A p-value is outside 0 to 1.
    """
    p, made = _values(p_values)
    adjusted = np.minimum(1.0, p * len(made))
    rejected = np.flatnonzero(adjusted <= alpha)
    return Family(tuple(adjusted.tolist()), tuple(rejected.tolist()), len(made))
