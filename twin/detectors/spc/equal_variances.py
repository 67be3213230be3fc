"""May recipes share one sigma? Tests of equal variances, to be asked before pooling.

References:
    NIST/SEMATECH, e-Handbook of Statistical Methods, 1.3.5.7 (Bartlett) and 1.3.5.10 (Levene).
    M. B. Brown, A. B. Forsythe, Robust tests for the equality of variances, Journal of the American
    Statistical Association 69 (1974) 364-367.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import scipy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["EqualVariances", "equal_variances"]


class EqualVariances(NamedTuple):
    """What a test of equal variances found.

    Attributes:
        statistic: Chi-squared (Bartlett) or F (Levene).
        p: Probability of a larger one where the variances are equal; below 0.05, do not pool.
        test: ``levene`` or ``bartlett``.
    """

    statistic: float
    p: float
    test: str


def equal_variances(
    groups: Sequence[ArrayLike], *, test: Literal["levene", "bartlett"] = "levene"
) -> EqualVariances:
    """Test whether groups (recipes) have the same variance.

    Args:
        groups: One array per group, at least two groups of at least two values (Levene: three).
        test: ``levene`` compares the distances from the group medians (Brown and Forsythe) and is
            not misled by values that are not normal; ``bartlett`` finds smaller differences where
            they are.

    Raises:
        ValueError: Too few groups or values, or a group without any scatter.

    Examples:
        >>> found = equal_variances([[1.0, 2.0, 3.0, 4.0], [11.0, 12.0, 13.0, 14.0]])
        >>> found.p
        1.0
    """
    data = [np.asarray(group, np.float64).ravel() for group in groups]
    fewest = 3 if test == "levene" else 2
    if len(data) < 2 or min(len(x) for x in data) < fewest:
        sizes = [len(x) for x in data]
        raise ValueError(f"groups of {sizes} values; allowed: two or more of {fewest} or more")
    if any(np.ptp(x) == 0.0 for x in data):
        raise ValueError("a group has no scatter; allowed: different values in every group")
    if test == "bartlett":
        return _bartlett(data)
    k, n = len(data), sum(len(x) for x in data)
    far = [np.abs(x - np.median(x)) for x in data]
    middle = float(np.concatenate(far).mean())
    between = sum(len(z) * (float(z.mean()) - middle) ** 2 for z in far)
    inside = sum(float(((z - z.mean()) ** 2).sum()) for z in far)
    if inside == 0.0:
        raise ValueError("all values are equally far from their median; allowed: more values")
    statistic = (n - k) * between / ((k - 1) * inside)
    return EqualVariances(statistic, float(scipy.special.fdtrc(k - 1, n - k, statistic)), test)


def _bartlett(data: list[np.ndarray[tuple[int], np.dtype[np.float64]]]) -> EqualVariances:
    free = [len(x) - 1 for x in data]
    variances = [float(x.var(ddof=1)) for x in data]
    total = sum(free)
    pooled = sum(f * v for f, v in zip(free, variances, strict=True)) / total
    spread = total * log(pooled) - sum(f * log(v) for f, v in zip(free, variances, strict=True))
    correction = 1.0 + (sum(1.0 / f for f in free) - 1.0 / total) / (3.0 * (len(data) - 1))
    statistic = max(0.0, spread / correction)
    return EqualVariances(
        statistic, float(scipy.special.chdtrc(len(data) - 1, statistic)), "bartlett"
    )
