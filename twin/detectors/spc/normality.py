"""Anderson-Darling: do these values look like a normal distribution of unknown mean and sigma?

Measured values are rounded; where the resolution is coarse against sigma the test rejects the
rounding, not the process. Look at ``resolution`` first.

References:
    T. W. Anderson, D. A. Darling, A test of goodness of fit, Journal of the American Statistical
    Association 49 (1954) 765-769.
    R. B. D'Agostino, M. A. Stephens, Goodness-of-Fit Techniques, 1986, section 4.8.5 and table
    4.9 (both parameters estimated).
    NIST/SEMATECH, e-Handbook of Statistical Methods, 1.3.5.14.
"""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["AndersonDarling", "anderson_darling"]

_FEWEST = 8
"""The approximations of the p-value hold from eight values on."""
_FARTHEST = 10.0
"""The tail formula has its minimum near 150; far before that p is nothing but 0."""


class AndersonDarling(NamedTuple):
    """What the test found.

    Attributes:
        statistic: A squared; larger is less normal.
        adjusted: A squared (1 + 0.75/n + 2.25/n^2), which tables are made for.
        p: Probability of a larger one from a normal distribution.
        n: Number of values.
    """

    statistic: float
    adjusted: float
    p: float
    n: int


def anderson_darling(values: ArrayLike) -> AndersonDarling:
    """Test for normality with mean and standard deviation estimated from the same values.

    ``A^2 = -n - 1/n sum (2i - 1) [ln Phi(z_i) + ln(1 - Phi(z_(n+1-i)))]`` with the ordered values
    z standardised by mean and s.

    Args:
        values: Shape (n,), any unit, n >= 8; NaN and infinite values are left out.

    Raises:
        ValueError: Fewer than eight values, or all of them equal.

    Examples:
        >>> found = anderson_darling([3.1, 2.7, 3.4, 2.9, 3.0, 3.2, 2.8, 3.3, 3.05, 2.95])
        >>> found.p > 0.9
        True
    """
    x = np.asarray(values, np.float64).ravel()
    x = np.sort(x[np.isfinite(x)])
    n = len(x)
    if n < _FEWEST:
        raise ValueError(f"{n} values; allowed: {_FEWEST} or more")
    if x[0] == x[-1]:
        raise ValueError(f"all {n} values are {x[0]:g}; allowed: at least two different values")
    z = (x - x.mean()) / x.std(ddof=1)
    odd = 2.0 * np.arange(1, n + 1) - 1.0
    # ln(1 - Phi(z)) is ln Phi(-z); written so, far tails do not become ln 0.
    statistic = -n - float(
        (odd * (scipy.special.log_ndtr(z) + scipy.special.log_ndtr(-z[::-1]))).mean()
    )
    adjusted = statistic * (1.0 + 0.75 / n + 2.25 / n**2)
    return AndersonDarling(statistic, adjusted, _p_value(adjusted), n)


def _p_value(a: float) -> float:
    """Upper tail of the adjusted statistic (D'Agostino and Stephens 1986, table 4.9)."""
    if a >= 0.6:
        far = min(a, _FARTHEST)
        return exp(1.2937 - 5.709 * far + 0.0186 * far * far)
    if a > 0.34:
        return exp(0.9177 - 4.279 * a - 1.38 * a * a)
    if a > 0.2:
        return 1.0 - exp(-8.318 + 42.796 * a - 59.938 * a * a)
    return 1.0 - exp(-13.436 + 101.14 * a - 223.73 * a * a)
