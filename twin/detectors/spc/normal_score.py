"""From a t variable to the normal variable with the same probability, compiled.

Q charts need it for every point. From twenty degrees of freedom on, and up to six sigma, Hill's
expansion is good to seven decimals; elsewhere it is the start from which Newton's method finishes.

References:
    G. W. Hill, Algorithm 395: Student's t-distribution, Communications of the ACM 13 (1970)
    617-619.
    W. H. Press et al., Numerical Recipes, section 6.4 (continued fraction of the incomplete beta
    function, after Lentz).
"""

from __future__ import annotations

from math import erfc, exp, inf, log, log1p, pi, sqrt

from numba import njit

__all__ = ["normal_score", "t_tail"]

_ENOUGH = 20.0
"""Degrees of freedom from which the expansion is good enough alone."""
_MANY = 200.0
_TINY = 1e-300
_STEPS = 200
_NEAR = 6.0
"""Normal scores up to which it is."""
_ROUNDS = 20
_FARTHEST = 37.0
"""Standard deviations beyond which a probability is no longer a number."""


@njit(cache=True, error_model="numpy")
def t_tail(t: float, df: float) -> float:
    """P(T > t) for t >= 0: half the incomplete beta function of df/2 and 1/2 at df/(df + t^2).

    Args:
        t: Value of the t variable.
        df: Degrees of freedom, a whole number >= 1.
    """
    if t == 0.0:
        return 0.5
    x = df / (df + t * t)
    if x == 0.0:
        return 0.0
    a, b = 0.5 * df, 0.5
    # 1 - x is t^2/(df + t^2), written so that nothing cancels for small t.
    front = _inverse_beta(df) * exp(a * log(x) + b * log(t * t / (df + t * t)))
    if x < (a + 1.0) / (a + b + 2.0):
        return 0.5 * front * _fraction(a, b, x) / a
    return 0.5 * (1.0 - front * _fraction(b, a, t * t / (df + t * t)) / b)


@njit(cache=True, error_model="numpy")
def _inverse_beta(df: float) -> float:
    """1 / B(df/2, 1/2) = G((df + 1)/2) / (sqrt(pi) G(df/2)), whole df.

    No gamma function: those of different libraries differ in the last digits.
    """
    if df > _MANY:
        a = 0.5 * df
        # Tricomi and Erdelyi (1951), the ratio of two gamma functions for large arguments.
        series = 1.0 + (-0.125 + (1.0 / 128.0 + (5.0 / 1024.0 - 21.0 / 32768.0 / a) / a) / a) / a
        return sqrt(a / pi) * series
    k = 1.0 if df % 2.0 == 1.0 else 2.0
    answer = 1.0 / pi if k == 1.0 else 0.5
    while k < df:
        answer *= (k + 1.0) / k
        k += 2.0
    return answer


@njit(cache=True, error_model="numpy")
def _fraction(a: float, b: float, x: float) -> float:
    """Continued fraction of the incomplete beta function."""
    c = 1.0
    d = 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    answer = d
    for m in range(1, _STEPS):
        for even in (True, False):
            if even:
                step = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
            else:
                step = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
            d = 1.0 + step * d
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = 1.0 + step / c
            c = c if abs(c) > _TINY else _TINY
            answer *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return answer


@njit(cache=True, error_model="numpy")
def normal_score(t: float, df: float) -> float:
    """Phi^-1 of the probability of a t variable.

    Args:
        t: Value of the t variable; not NaN.
        df: Degrees of freedom, a whole number >= 1.

    Returns:
        Standard normal score, at most 37 on either side.
    """
    size = abs(t)
    if size == 0.0:
        return 0.0
    a = df - 0.5
    b = 48.0 * a * a
    ratio = size * size / df
    y = a * (log1p(ratio) if ratio < 1e300 else 2.0 * log(size) - log(df))
    z = ((((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + b) + y + 3.0) / b + 1.0
    z = min(_FARTHEST, z * sqrt(y))
    if (df < _ENOUGH or z > _NEAR) and size < inf:
        tail = t_tail(size, df)
        if tail > 0.0:
            z = _refined(z, log(tail))
    return z if t > 0.0 else -z


@njit(cache=True, error_model="numpy")
def _refined(z: float, wanted: float) -> float:
    """The z >= 0 with log P(Z > z) as wanted; a concave function, so Newton's steps converge."""
    for _ in range(_ROUNDS):
        z = min(_FARTHEST, max(0.0, z))
        above = 0.5 * erfc(z / sqrt(2.0))
        step = (log(above) - wanted) * above * sqrt(2.0 * pi) * exp(0.5 * z * z)
        z += step
        if abs(step) < 1e-13 * (1.0 + z):
            break
    return min(_FARTHEST, max(0.0, z))
