"""Correlation in time: how much of a sample was known before it came.

Everything here works on arrays and belongs to phase I: estimates for baselines, tables for people.
``phi`` is always the correlation of neighbouring samples on the nominal grid, ``tau`` the time
after which it has fallen to 1/e. Holes are NaN on the grid; a pair across a hole is no pair.

References:
    [1] M. G. Kendall, Note on bias in the estimation of autocorrelation, Biometrika 41 (1954)
        403-404; F. H. C. Marriott and J. A. Pope, ibid. 390-402.
    [2] J. P. Burg, Maximum entropy spectral analysis, Stanford University 1975; sums over
        segments after N. Beamish and M. B. Priestley, Applied Statistics 30 (1981) 41-58.
    [3] L. C. Alwan and H. V. Roberts, Time-series modeling for statistical process control,
        Journal of Business and Economic Statistics 6 (1988) 87-95.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, sqrt
from typing import TYPE_CHECKING

import numpy as np
import scipy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64 = NDArray[np.float64]
    I64 = NDArray[np.int64]

__all__ = [
    "ARFit",
    "TauFit",
    "block_correlation",
    "block_length",
    "correlation_time",
    "effective_size",
    "fit_ar",
    "fit_tau",
    "lag_correlation",
    "on_grid",
    "residuals",
    "stable",
    "unbiased_phi",
]

_LEAST = 4
"""Fewer values than this have no correlation worth a number."""
_LONGEST = 16
"""Highest order of a model of the past; ``Chart.ar`` holds as many."""


@dataclass(frozen=True, slots=True)
class ARFit:
    """A model of a sensor's own past: x = level + sum of ar[i] (x of i + 1 steps ago - level) + e.

    Attributes:
        level: Mean, unit of the values.
        ar: Coefficients of the past 1, 2, ... samples; empty when nothing is correlated.
        sigma: Standard deviation of e, unit of the values.
        sigma_x: Standard deviation of the values.
        phi: Lag-1 correlation, bias-corrected.
        n: Values used.
        bic: Bayesian information criterion of the orders 0, 1, ... that were compared.
    """

    level: float
    ar: tuple[float, ...]
    sigma: float
    sigma_x: float
    phi: float
    n: int
    bic: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TauFit:
    """An AR(1) process seen at irregular times.

    Attributes:
        level: Mean, unit of the values.
        tau_s: Correlation time, s; 0 when neighbours are not correlated.
        sigma_x: Standard deviation of the values.
        n: Values used.
    """

    level: float
    tau_s: float
    sigma_x: float
    n: int


def on_grid(time_ns: I64, value: F64, step_ns: int) -> F64:
    """Values on the nominal grid, NaN in holes.

    Every value goes to the slot nearest to its time, counted from the first; of two in one slot
    the first stays.

    Args:
        time_ns: Shape (n,), event time, rising.
        value: Shape (n,).
        step_ns: Nominal step, ns, > 0.

    Raises:
        ValueError: The grid would have more than 100 slots per value: the step is wrong.
    """
    if not len(value):
        return np.empty(0)
    slot = (time_ns - time_ns[0] + step_ns // 2) // step_ns
    slots = int(slot[-1]) + 1
    if slots > 100 * len(value) + 1000:
        raise ValueError(
            f"{len(value)} values on {slots} grid slots; expected a step near "
            f"{float(np.median(np.diff(time_ns))) / 1e9:g} s, not {step_ns / 1e9:g} s"
        )
    grid = np.full(slots, np.nan)
    grid[slot[::-1]] = value[::-1]
    return grid


def lag_correlation(value: F64, lag: int = 1) -> float:
    """Correlation of values ``lag`` steps apart; pairs with a NaN are left out.

    The moment estimate: mean product of deviations over the variance, both from the overall mean.
    It is biased downwards, see :func:`unbiased_phi`.

    Args:
        value: Shape (n,), on the nominal grid.
        lag: Steps, >= 1.

    Returns:
        -1 to 1; NaN with fewer than 4 pairs or for a constant.
    """
    away = value - np.nanmean(value) if np.isfinite(value).any() else value
    product = away[lag:] * away[:-lag]
    pairs = int(np.isfinite(product).sum())
    variance = float(np.nanmean(away * away)) if pairs else 0.0
    if pairs < _LEAST or variance <= 0.0:
        return float("nan")
    return min(1.0, max(-1.0, float(np.nanmean(product)) / variance))


def unbiased_phi(phi: float, n: int) -> float:
    """Correct the lag-1 correlation of a short series: phi + (1 + 3 phi) / n ([1]).

    Held below 1 - 1/n: nobody can tell a longer memory from a random walk with n samples.

    Args:
        phi: Estimate with the mean estimated from the same samples.
        n: Samples, >= 4.

    Examples:
        >>> round(unbiased_phi(0.9, 100), 3)
        0.937
    """
    return min(phi + (1.0 + 3.0 * phi) / n, 1.0 - 1.0 / n)


def correlation_time(phi: float, step_s: float) -> float:
    """Time in which the correlation falls to 1/e: -step / ln(phi), s; 0 without correlation.

    Args:
        phi: Lag-1 correlation, < 1.
        step_s: Step of the samples, s.
    """
    if phi <= 0.0:
        return 0.0
    return inf if phi >= 1.0 else -step_s / log(phi)


def effective_size(n: int, phi: float) -> float:
    """Independent values that know the mean as well as n correlated ones: n^2 / V_n.

    V_n is the variance of the sum of n values with correlation phi^k and variance 1. For long
    series this is n (1 - phi) / (1 + phi).

    Args:
        n: Values, >= 1.
        phi: Lag-1 correlation of an AR(1) process, -1 < phi < 1.

    Examples:
        >>> round(effective_size(1000, 0.9), 1)
        53.1
    """
    return n * n / _sum_variance(phi, n)


def block_correlation(phi: float, m: int) -> float:
    """Correlation of the means of neighbouring blocks of m samples of an AR(1) process.

    Covariance phi (1 - phi^m)^2 / (1 - phi)^2 over the variance
    m (1 + phi) / (1 - phi) - 2 phi (1 - phi^m) / (1 - phi)^2 of a block's sum.

    Args:
        phi: Lag-1 correlation of the samples, -1 < phi < 1.
        m: Samples in a block, >= 1.

    Examples:
        >>> round(block_correlation(0.9, 10), 2)
        0.52
    """
    together = phi * ((1.0 - phi**m) / (1.0 - phi)) ** 2
    return together / _sum_variance(phi, m)


def _sum_variance(phi: float, m: int) -> float:
    return m * (1.0 + phi) / (1.0 - phi) - 2.0 * phi * (1.0 - phi**m) / (1.0 - phi) ** 2


def block_length(phi: float, largest: float | None = None) -> int:
    """Samples per block that make neighbouring block means nearly independent.

    Without ``largest`` the rule of thumb m >= 3 (1 + phi) / (1 - phi), which leaves a correlation
    of about 0.1; otherwise the shortest block whose correlation is not above ``largest``.

    Args:
        phi: Lag-1 correlation of the samples, -1 < phi < 1.
        largest: Correlation of block means that is accepted, 0 < largest < 1.
    """
    if largest is None:
        return max(1, int(np.ceil(3.0 * (1.0 + phi) / (1.0 - phi) - 1e-9)))
    m = 1
    while block_correlation(phi, m) > largest:
        m *= 2
    low = m // 2
    while m - low > 1:
        middle = (m + low) // 2
        if block_correlation(phi, middle) > largest:
            low = middle
        else:
            m = middle
    return m


def stable(ar: tuple[float, ...] | list[float]) -> bool:
    """Whether a model of the past forgets: all roots of z^p - a1 z^(p-1) - ... inside the circle."""
    if not any(ar):
        return True
    return float(np.abs(np.roots([1.0, *(-a for a in ar)])).max()) < 1.0


def fit_ar(value: F64, order: int | None = None, longest: int = 6) -> ARFit:
    """Fit a model of the past with Burg's recursion, order by BIC ([2]).

    Stretches between holes are segments whose sums are added. With one coefficient it is
    corrected for bias ([1]); with several the bias of order 1/n stays.

    Args:
        value: Shape (n,), on the nominal grid, NaN in holes.
        order: Number of coefficients, 0 to 16; None lets BIC choose.
        longest: Highest order compared, 0 to 16.

    Raises:
        ValueError: Fewer than 4 values per coefficient, or a constant.
    """
    known = np.isfinite(value)
    n = int(known.sum())
    top = longest if order is None else order
    if not 0 <= top <= _LONGEST or n < _LEAST * (top + 1):
        raise ValueError(f"order {top} with {n} values; allowed: 0 to 16, 4 values per coefficient")
    level = float(value[known].mean())
    away = value - level
    variance = float(np.mean(away[known] ** 2))
    if variance <= 0.0:
        raise ValueError(f"{n} values are all {level:g}; expected values that differ")
    models, spread = _burg(_segments(away, known), variance, top)
    bic = tuple(n * log(s) + p * log(n) for p, s in enumerate(spread))
    chosen = int(np.argmin(bic)) if order is None else min(order, len(models) - 1)
    ar = models[chosen]
    phi = unbiased_phi(models[1][0], n) if len(models) > 1 else 0.0
    if chosen == 1:
        ar = (phi,)
    e = residuals(value, level, ar)
    e = e[np.isfinite(e)]
    freedom = max(1, len(e) - chosen - 1)
    return ARFit(
        level,
        ar,
        sqrt(float(np.sum(e * e)) / freedom),
        sqrt(variance * n / (n - 1)),
        phi,
        n,
        bic,
    )


def _segments(away: F64, known: NDArray[np.bool_]) -> list[F64]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
    return [away[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 1]


def _burg(
    segments: list[F64], variance: float, top: int
) -> tuple[list[tuple[float, ...]], list[float]]:
    """Coefficients and residual variance of the orders 0 to ``top``."""
    forward, backward = [x[1:] for x in segments], [x[:-1] for x in segments]
    models: list[tuple[float, ...]] = [()]
    spread = [variance]
    for _ in range(top):
        over = sum(
            float(np.dot(f, f) + np.dot(b, b)) for f, b in zip(forward, backward, strict=True)
        )
        if over <= 0.0:
            break
        both = sum(float(np.dot(f, b)) for f, b in zip(forward, backward, strict=True))
        k = 2.0 * both / over
        last = models[-1]
        models.append((*(a - k * r for a, r in zip(last, last[::-1], strict=True)), k))
        spread.append(max(spread[-1] * (1.0 - k * k), 1e-300))
        forward, backward = (
            [(f - k * b)[1:] for f, b in zip(forward, backward, strict=True)],
            [(b - k * f)[:-1] for f, b in zip(forward, backward, strict=True)],
        )
    return models, spread


def residuals(value: F64, level: float, ar: tuple[float, ...] | list[float]) -> F64:
    """What the model did not expect, e of :class:`ARFit`; NaN where a sample of the past is missing.

    Args:
        value: Shape (n,), on the nominal grid.
        level: Mean.
        ar: Coefficients of the past 1, 2, ... samples.

    Returns:
        Shape (n,).
    """
    away = value - level
    e = away.copy()
    for i, a in enumerate(ar, start=1):
        e[:i] = np.nan
        e[i:] -= a * away[:-i]
    return e


def fit_tau(time_ns: I64, value: F64, max_gap_s: float = inf) -> TauFit:
    """Correlation time of irregularly timed values, by maximum likelihood.

    Given the value before, x is normal with mean level + phi_t (x_before - level) and variance
    sigma_x^2 (1 - phi_t^2), phi_t = exp(-dt / tau) with the real step dt. A bias of the lag-1
    correlation at the median step is corrected as on a grid.

    Args:
        time_ns: Shape (n,), event time, rising.
        value: Shape (n,); values that are not finite are left out.
        max_gap_s: Steps longer than this are no steps, s.

    Raises:
        ValueError: Fewer than 8 values, no step, or a constant.
    """
    known = np.isfinite(value)
    x, t = value[known], time_ns[known]
    step = np.diff(t) / 1e9
    used = (step > 0.0) & (step <= max_gap_s)
    if len(x) < 2 * _LEAST or int(used.sum()) < _LEAST or float(np.ptp(x)) <= 0.0:
        raise ValueError(f"{len(x)} values with {int(used.sum())} steps; expected 8 that differ")
    level = float(x.mean())
    away = x - level
    before, after, dt = away[:-1][used], away[1:][used], step[used]
    typical = float(np.median(dt))

    def cost(log_tau: float) -> float:
        phi = np.exp(-dt / exp(log_tau))
        share = -np.expm1(-2.0 * dt / exp(log_tau))
        spread = float(np.mean((after - phi * before) ** 2 / share))
        return len(dt) * log(max(spread, 1e-300)) + float(np.log(share).sum())

    low, high = log(typical / 20.0), log(max(float(dt.sum()), 40.0 * typical))
    best = exp(float(scipy.optimize.minimize_scalar(cost, bounds=(low, high), method="bounded").x))
    phi = exp(-typical / best)
    tau = correlation_time(unbiased_phi(phi, len(x)), typical) if phi > 2.0 / sqrt(len(x)) else 0.0
    return TauFit(level, tau, float(x.std(ddof=1)), len(x))
