"""Limits for a wanted run length in control.

All run lengths here rise with their limit, so the logarithm of the run length has one root.
"""

from __future__ import annotations

from functools import lru_cache
from math import log, sqrt
from typing import TYPE_CHECKING, Literal

import scipy

from twin.detectors.spc.runlength.cusum import arl_cusum
from twin.detectors.spc.runlength.ewma import EwmaLimits, arl_ewma
from twin.detectors.spc.runlength.mewma import arl_mewma

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["design_cusum", "design_ewma", "design_mewma", "design_shewhart"]

_MOST_ARL0 = 1e9
_PRECISE = 1e-6


def _checked(arl0: float) -> None:
    if not 1.5 <= arl0 <= _MOST_ARL0:
        raise ValueError(f"ARL0 is {arl0}; allowed: 1.5 to {_MOST_ARL0:g}")


def _root(arl: Callable[[float], float], arl0: float, low: float, high: float) -> float:
    def off(limit: float) -> float:
        return log(arl(limit)) - log(arl0)

    while off(low) > 0 and low > 1e-6:
        low /= 4
    return float(scipy.optimize.brentq(off, low, high, xtol=_PRECISE, rtol=1e-9))


def design_shewhart(arl0: float, *, sided: Literal["two", "high"] = "two") -> float:
    """Distance of the limits from the centre line, in sigma.

    Args:
        arl0: Mean run length in control, points.
        sided: Limits on both sides or one.

    Examples:
        >>> round(design_shewhart(1000), 4)
        3.2905
    """
    _checked(arl0)
    return float(-scipy.special.ndtri(1.0 / arl0 / (2 if sided == "two" else 1)))


@lru_cache(maxsize=256)
def design_ewma(
    weight: float,
    arl0: float,
    *,
    limits: EwmaLimits = "fixed",
    sided: Literal["two", "high"] = "two",
) -> float:
    """Limit L of an EWMA.

    Args:
        weight: Lambda, 0 < lambda <= 1.
        arl0: Mean run length in control, points.
        limits: As in :func:`arl_ewma`.
        sided: As in :func:`arl_ewma`.
    """
    _checked(arl0)

    def arl(limit: float) -> float:
        return arl_ewma(weight, limit, limits=limits, sided=sided).arl

    return _root(arl, arl0, 0.3, 1.0 + design_shewhart(arl0))


@lru_cache(maxsize=256)
def design_cusum(
    k: float,
    arl0: float,
    *,
    fir: bool = False,
    sided: Literal["two", "high", "low"] = "two",
) -> float:
    """Decision limit h of a CUSUM.

    Args:
        k: Reference value in sigma, > 0.
        arl0: Mean run length in control, points.
        fir: Whether the sums start at h/2.
        sided: As in :func:`arl_cusum`.
    """
    _checked(arl0)

    def arl(limit: float) -> float:
        return arl_cusum(k, limit, head=limit / 2 if fir else 0.0, sided=sided).arl

    high = 4.0
    while arl(high) < arl0:
        high *= 1.5
    return _root(arl, arl0, 0.2, high)


@lru_cache(maxsize=256)
def design_mewma(
    p: int,
    weight: float,
    arl0: float,
    *,
    limits: Literal["fixed", "time-varying"] = "fixed",
) -> float:
    """Limit h4 of a MEWMA.

    Args:
        p: Number of variables.
        weight: Lambda, 0 < lambda <= 1.
        arl0: Mean run length in control, points.
        limits: As in :func:`arl_mewma`.
    """
    _checked(arl0)

    def arl(root: float) -> float:
        return arl_mewma(p, weight, root * root, limits=limits).arl

    high = sqrt(float(scipy.special.chdtri(p, 1.0 / arl0))) + 1.0
    return _root(arl, arl0, 0.3, high) ** 2
