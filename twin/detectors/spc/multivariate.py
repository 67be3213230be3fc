"""Several variables judged together: Hotelling T2, MEWMA, principal components.

``x`` holds vectors as rows, shape (m, p); ``mean`` has shape (p,), ``covariance`` (p, p). Limits are
for one vector: ``alpha`` is the probability that a vector of a process in control is beyond.

Sources: Tracy, Young and Mason (1992) for T2 limits, Holmes and Mergen (1993) for successive
differences, Mason, Young and Tracy (1995) for the decomposition, Lowry et al. (1992) for the MEWMA,
Jackson and Mudholkar (1979) and Box (1954) for the residual of principal components.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import log, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

__all__ = [
    "Term",
    "box_limit",
    "conditional_terms",
    "decomposition",
    "difference_covariance",
    "jackson_mudholkar_limit",
    "ledoit_wolf",
    "mewma",
    "mewma_limit",
    "pca_t2_limit",
    "sample_covariance",
    "t2",
    "t2_known_limit",
    "t2_phase1_limit",
    "t2_phase2_limit",
    "t2_phase2_rate",
    "t2_simulated_limit",
    "t2_subgroup_phase1_limit",
    "t2_subgroup_phase2_limit",
    "unconditional_terms",
]

_MOST_VARIABLES = 12
"""Above that a full decomposition has more terms than anybody reads."""
_DRAWS = 4_000_000
"""Normal numbers drawn for a simulated limit."""


def _f(alpha: float, p: float, v: float) -> float:
    return float(scipy.special.fdtri(p, v, 1.0 - alpha))


def _enough(m: int, least: int, p: int) -> None:
    if m < least:
        raise ValueError(
            f"{m} vectors of {p} variables; needed: {least} or more, better {10 * p}. "
            "Collect more, or judge fewer variables together"
        )


def t2_known_limit(p: int, alpha: float) -> float:
    """Limit of T2 when mean and covariance are known: chi-squared with p degrees of freedom."""
    return float(scipy.special.chdtri(p, alpha))


def t2_phase1_limit(m: int, p: int, alpha: float) -> float:
    """Limit of T2 for the m vectors mean and covariance were estimated from.

    (m-1)^2/m times the beta quantile with p/2 and (m-p-1)/2.

    Raises:
        ValueError: Fewer than p + 2 vectors.
    """
    _enough(m, p + 2, p)
    return (m - 1) ** 2 / m * float(scipy.special.betaincinv(p / 2, (m - p - 1) / 2, 1.0 - alpha))


def _phase2_factor(m: int, p: int) -> float:
    return p * (m + 1) * (m - 1) / (m * (m - p))


def t2_phase2_limit(m: int, p: int, alpha: float) -> float:
    """Limit of T2 for a new vector, mean and covariance from m others.

    p(m+1)(m-1)/(m(m-p)) times the F quantile with p and m-p degrees of freedom.

    Raises:
        ValueError: Fewer than p + 1 vectors.
    """
    _enough(m, p + 1, p)
    return _phase2_factor(m, p) * _f(alpha, p, m - p)


def t2_phase2_rate(limit: float, m: int, p: int) -> float:
    """Mean false-alarm probability of any limit of T2 for new vectors."""
    _enough(m, p + 1, p)
    return float(scipy.special.fdtrc(p, m - p, limit / _phase2_factor(m, p)))


def _subgroup_limit(m: int, n: int, p: int, alpha: float, factor: int) -> float:
    v = m * n - m - p + 1
    if n < 2 or v < 1:
        raise ValueError(
            f"{m} subgroups of {n} for {p} variables; needed: subgroups of 2 or more "
            f"and m(n-1) of {p} or more"
        )
    return p * factor * (n - 1) / v * _f(alpha, p, v)


def t2_subgroup_phase1_limit(m: int, n: int, p: int, alpha: float) -> float:
    """Limit of n (mean - grand mean)' S^-1 (mean - grand mean) for the m subgroups of the baseline.

    Args:
        m: Number of subgroups.
        n: Vectors in each.
        p: Number of variables.
        alpha: False-alarm probability per subgroup.
    """
    return _subgroup_limit(m, n, p, alpha, m - 1)


def t2_subgroup_phase2_limit(m: int, n: int, p: int, alpha: float) -> float:
    """The same for the mean of a new subgroup of n vectors."""
    return _subgroup_limit(m, n, p, alpha, m + 1)


def t2_simulated_limit(
    m: int,
    p: int,
    alpha: float,
    *,
    phase: Literal[1, 2] = 2,
    estimator: Literal["differences", "sample"] = "differences",
    seed: int = 1,
) -> tuple[float, float]:
    """Limit of T2 by simulation, for covariances from successive differences.

    Their T2 has no simple distribution. Up to 4 million normal numbers with a fixed seed; the
    same arguments give the same answer.

    Returns:
        The limit, and its standard error from ten independent parts.
    """
    _enough(m, p + 2, p)
    rng = np.random.default_rng([seed, m, p])
    covariance = difference_covariance if estimator == "differences" else sample_covariance
    new = max(1, round(40 / alpha / 10)) if phase == 2 else 0
    runs = max(10, min(4000, _DRAWS // ((m + new) * p))) // 10 * 10
    found = []
    for _ in range(runs):
        x = rng.standard_normal((m, p))
        fresh = rng.standard_normal((new, p)) if phase == 2 else x
        found.append(t2(fresh, x.mean(axis=0), covariance(x)))
    parts = np.array(found).reshape(10, -1)
    quantiles = np.quantile(parts, 1.0 - alpha, axis=1)
    error = float(np.std(quantiles, ddof=1)) / sqrt(10.0)
    return float(np.quantile(parts, 1.0 - alpha)), error


def sample_covariance(x: ArrayLike) -> Array:
    """Covariance with m - 1 in the denominator."""
    x = np.asarray(x, np.float64)
    off = x - x.mean(axis=0)
    return np.asarray(off.T @ off / (len(x) - 1))


def difference_covariance(x: ArrayLike) -> Array:
    """Covariance from successive differences V'V / (2(m-1)): a drifting mean does not widen it."""
    steps = np.diff(np.asarray(x, np.float64), axis=0)
    return np.asarray(steps.T @ steps / (2 * len(steps)))


def ledoit_wolf(x: ArrayLike) -> tuple[Array, float]:
    """Covariance shrunk towards its mean variance, by the weight that Ledoit and Wolf (2004) found.

    Variables should be standardised before: the target has one variance for all.

    Returns:
        The covariance, and the weight of the target, 0 to 1.
    """
    x = np.asarray(x, np.float64)
    off = x - x.mean(axis=0)
    m, p = off.shape
    s = off.T @ off / m
    mean = float(np.trace(s)) / p
    target = mean * np.eye(p)
    distance = float(np.sum((s - target) ** 2))
    squares = off * off
    noise = float(np.sum(squares.T @ squares / m - s * s)) / m
    weight = 0.0 if distance <= 0.0 else min(max(noise, 0.0), distance) / distance
    return (1.0 - weight) * s + weight * target, weight


def _lower(covariance: Array) -> Array:
    try:
        return np.asarray(np.linalg.cholesky(covariance), np.float64)
    except np.linalg.LinAlgError:
        raise ValueError(
            "covariance is not positive definite: a variable is a sum of others, or the numbers "
            "were rounded; leave one out"
        ) from None


def t2(x: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> Array:
    """(x - mean)' S^-1 (x - mean) of every vector, shape (m,)."""
    off = np.atleast_2d(np.asarray(x, np.float64)) - np.asarray(mean, np.float64)
    lower = _lower(np.asarray(covariance, np.float64))
    return np.asarray(np.sum(scipy.linalg.solve_triangular(lower, off.T, lower=True) ** 2, axis=0))


def unconditional_terms(x: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> Array:
    """((x_j - mean_j) / s_j)^2 of one vector: how far each variable is out by itself."""
    off = np.asarray(x, np.float64) - np.asarray(mean, np.float64)
    return np.asarray(off * off / np.diag(np.asarray(covariance, np.float64)))


def conditional_terms(x: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> Array:
    """T2 - T2(without j): how much each variable contradicts all the others.

    It equals (S^-1 d)_j^2 / (S^-1)_jj, so no variable has to be left out one by one.
    """
    off = np.asarray(x, np.float64) - np.asarray(mean, np.float64)
    s = np.asarray(covariance, np.float64)
    _lower(s)
    inverse = scipy.linalg.cho_solve(scipy.linalg.cho_factor(s, lower=True), np.eye(len(off)))
    return np.asarray((inverse @ off) ** 2 / np.diag(inverse))


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the decomposition of T2 by Mason, Young and Tracy.

    Attributes:
        variable: Which one.
        given: The variables it is predicted from; empty for the unconditional term.
        value: T2(given and variable) - T2(given), at least 0.
        limit: Its limit for a new vector; None without a number of vectors.
    """

    variable: int
    given: tuple[int, ...]
    value: float
    limit: float | None


def decomposition(
    x: ArrayLike,
    mean: ArrayLike,
    covariance: ArrayLike,
    *,
    m: int | None = None,
    alpha: float = 0.05,
) -> list[Term]:
    """All p 2^(p-1) different terms of T2 of one vector, largest first.

    The limit of a term with k given variables is (m+1)(m-1)/(m(m-k-1)) F(1-alpha; 1, m-k-1), as
    published; it ignores how far the given variables are out themselves, and is a little too small
    when m is small (6 % instead of 5 % for m = 25, k = 2).

    Args:
        x: The vector.
        mean: Mean, shape (p,).
        covariance: Covariance, shape (p, p).
        m: Vectors they were estimated from; None gives no limits.
        alpha: Probability of a single term beyond its limit.

    Raises:
        ValueError: More than 12 variables.
    """
    off = np.asarray(x, np.float64) - np.asarray(mean, np.float64)
    s = np.asarray(covariance, np.float64)
    p = len(off)
    if p > _MOST_VARIABLES:
        raise ValueError(f"{p} variables have {p << (p - 1)} terms; allowed: {_MOST_VARIABLES}")
    whole: dict[tuple[int, ...], float] = {(): 0.0}
    terms: list[Term] = []
    for size in range(1, p + 1):
        limit = None
        if m is not None and m > size:
            limit = (m + 1) * (m - 1) / (m * (m - size)) * _f(alpha, 1, m - size)
        for subset in combinations(range(p), size):
            part = list(subset)
            whole[subset] = float(t2(off[part], np.zeros(size), s[np.ix_(part, part)])[0])
            for j in subset:
                given = tuple(i for i in subset if i != j)
                terms.append(Term(j, given, max(0.0, whole[subset] - whole[given]), limit))
    return sorted(terms, key=lambda term: (-term.value, len(term.given), term.variable, term.given))


def mewma(
    x: ArrayLike,
    mean: ArrayLike,
    covariance: ArrayLike,
    weight: float,
    *,
    limits: Literal["fixed", "time-varying"] = "fixed",
) -> Array:
    """T2 of the exponentially weighted mean vectors, started at the mean, shape (m,).

    Args:
        x: Vectors in time order.
        mean: Mean, shape (p,).
        covariance: Covariance of single vectors, shape (p, p).
        weight: Lambda, 0 < lambda <= 1.
        limits: ``fixed`` divides by the covariance of Z after many vectors, as published limits
            do; ``time-varying`` by that of the t-th Z, which is a fast initial response.
    """
    off = np.atleast_2d(np.asarray(x, np.float64)) - np.asarray(mean, np.float64)
    z = np.zeros_like(off)
    last = np.zeros(off.shape[1])
    for t, row in enumerate(off):
        last = weight * row + (1.0 - weight) * last
        z[t] = last
    scale = np.full(len(off), weight / (2.0 - weight))
    if limits == "time-varying":
        scale *= 1.0 - (1.0 - weight) ** (2.0 * np.arange(1, len(off) + 1))
    return np.asarray(t2(z, np.zeros(off.shape[1]), covariance) / scale)


@lru_cache(maxsize=256)
def mewma_limit(
    p: int, weight: float, arl0: float, limits: Literal["fixed", "time-varying"] = "fixed"
) -> float:
    """Limit h4 of a MEWMA with a mean run length of ``arl0`` vectors in control.

    Mean and covariance are known; estimated ones shorten the run.

    Args:
        p: Number of variables.
        weight: Lambda, 0 < lambda <= 1.
        arl0: Mean run length in control, > 1.
        limits: Form of the limits, as for :func:`mewma`.
    """
    # Heavy to import, and only a MEWMA without a limit of its own needs them.

    from twin.detectors.spc.runlength.mewma import arl_mewma  # noqa: PLC0415

    def away(h4: float) -> float:
        return log(arl_mewma(p, weight, h4, limits=limits).arl) - log(arl0)

    # Below the limit without memory, and above a quarter of it, for every lambda in use.
    high = float(scipy.special.chdtri(p, 1.0 / arl0))
    low = 0.25 * high
    while away(low) > 0.0:
        low *= 0.5
    while away(high) < 0.0:
        high *= 1.1
    return float(scipy.optimize.brentq(away, low, high, xtol=1e-6))


def pca_t2_limit(a: int, n: int, alpha: float) -> float:
    """Limit of T2 of ``a`` components from n vectors: a(n^2-1)/(n(n-a)) F(1-alpha; a, n-a)."""
    _enough(n, a + 1, a)
    return a * (n * n - 1) / (n * (n - a)) * _f(alpha, a, n - a)


def _thetas(left: ArrayLike) -> tuple[float, float, float]:
    values = np.asarray(left, np.float64)
    if not len(values) or float(values.max()) <= 0.0:
        raise ValueError("no variance is left for the residual; keep fewer components")
    return float(values.sum()), float((values**2).sum()), float((values**3).sum())


def jackson_mudholkar_limit(left: ArrayLike, alpha: float) -> tuple[float, float]:
    """Limit of the squared residual (SPE, Q) of principal components.

    theta_i is the sum of the i-th powers of the eigenvalues, not the power of their sum.

    Args:
        left: Eigenvalues of the components that were not kept.
        alpha: False-alarm probability per vector.

    Returns:
        The limit, and h0. NaN as the limit where the approximation does not hold (h0 is 0 or the
        bracket is not positive); :func:`box_limit` always answers.
    """
    one, two, three = _thetas(left)
    h0 = 1.0 - 2.0 * one * three / (3.0 * two * two)
    if h0 == 0.0:
        return float("nan"), h0
    # A negative power turns the tail around.
    c = float(scipy.special.ndtri(1.0 - alpha)) * (1.0 if h0 > 0.0 else -1.0)
    bracket = c * sqrt(2.0 * two * h0 * h0) / one + 1.0 + two * h0 * (h0 - 1.0) / (one * one)
    return (one * bracket ** (1.0 / h0) if bracket > 0.0 else float("nan")), h0


def box_limit(left: ArrayLike, alpha: float) -> float:
    """Limit of the squared residual as g chi-squared(h), g = theta2/theta1, h = theta1^2/theta2."""
    one, two, _ = _thetas(left)
    return two / one * float(scipy.special.chdtri(one * one / two, alpha))
