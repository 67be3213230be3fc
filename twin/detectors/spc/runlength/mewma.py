"""Run length of the multivariate EWMA on independent normal vectors: integral equations.

In control the chart only depends on the length of the EWMA vector. After a shift it depends on its
part along the shift and on the length of the rest, which is a point in half a disc.

References:
    C. A. Lowry, W. H. Woodall, C. W. Champ and S. E. Rigdon, A multivariate exponentially weighted
    moving average control chart, Technometrics 34 (1992) 46-53.
    S. E. Rigdon, An integral equation for the in-control average run length of a multivariate
    exponentially weighted moving average control chart, J. Stat. Comput. Simul. 52 (1995) 351-365.
    S. S. Prabhu and G. C. Runger, Designing a multivariate EWMA control chart, Journal of Quality
    Technology 29 (1997) 8-15.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, log, pi, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy
from numpy.polynomial.legendre import leggauss

from twin.detectors.spc.runlength.ewma import arl_ewma
from twin.detectors.spc.runlength.result import LONGEST_ARL, Method, RunLength

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["arl_mewma"]

_SETTLED = 1e-8
_MOST = 2500
"""Most nodes of the half disc."""
_TINY = 1e-300


@lru_cache(maxsize=256)
def arl_mewma(
    p: int,
    weight: float,
    limit: float,
    distance: float = 0.0,
    *,
    limits: Literal["fixed", "time-varying"] = "fixed",
) -> RunLength:
    """ARL of a MEWMA chart Z = lambda x + (1 - lambda) Z, T2 = Z' S^-1 Z > h4.

    Args:
        p: Number of variables, >= 1.
        weight: Lambda, 0 < lambda <= 1.
        limit: h4, > 0.
        distance: Length of the shift of the mean (Mahalanobis, not squared), >= 0.
        limits: Whether S is the covariance of Z after many vectors or of the t-th one.

    Raises:
        ValueError: An argument is out of range.
    """
    if not (p >= 1 and 0.0 < weight <= 1.0 and limit > 0.0 and distance >= 0.0):
        raise ValueError(
            f"p {p}, lambda {weight}, h4 {limit}, distance {distance}; "
            "allowed: p >= 1, 0 < lambda <= 1, h4 > 0, distance >= 0"
        )
    if weight == 1.0:
        chance = 1.0 - float(scipy.special.chndtr(limit, p, distance * distance))
        return RunLength(min(LONGEST_ARL, 1.0 / max(chance, _TINY)), Method.EXACT)
    if p == 1:
        return arl_ewma(weight, sqrt(limit), distance, limits=limits)
    reach = sqrt(weight / (2.0 - weight))
    if sqrt(limit) * reach - distance > reach * sqrt(float(scipy.special.chdtri(p, 1e-18))):
        return RunLength(LONGEST_ARL, Method.INTEGRAL)
    radius = sqrt(limit) * reach
    kind = _Length if distance == 0.0 else _Disc
    grid = kind(p, weight, distance, radius)
    arl = grid.settled() if limits == "fixed" else grid.varying()
    usable = np.isfinite(arl) and 1.0 <= arl < LONGEST_ARL
    return RunLength(arl if usable else LONGEST_ARL, Method.INTEGRAL)


def _radial(to: NDArray[np.float64], centre: NDArray[np.float64], p: int) -> NDArray[np.float64]:
    """Density of the length of a unit normal vector in p dimensions around a centre.

    Args:
        to: Lengths, > 0.
        centre: Lengths of the centre, >= 0; broadcasts with ``to``.
        p: Dimensions, >= 1.
    """
    if p == 1:
        ends = np.exp(-0.5 * (to - centre) ** 2) + np.exp(-0.5 * (to + centre) ** 2)
        return np.asarray(ends / sqrt(2 * pi))
    order = p / 2 - 1
    at = np.maximum(centre, 1e-9)
    product = to * at
    # to^(p/2) centre^(1-p/2) exp(-(to^2 + centre^2) / 2) I(to centre)
    bessel = scipy.special.ive(order, product)
    small = order * np.log(product / 2) - float(scipy.special.gammaln(order + 1)) - product
    level = np.where(bessel > _TINY, np.log(np.maximum(bessel, _TINY)), small)
    power = np.log(to) * (p / 2) - np.log(at) * order
    return np.asarray(np.exp(power - 0.5 * (to - at) ** 2 + level))


class _Grid:
    """Nodes inside the limit and the moves between them.

    Args:
        p: Number of variables.
        weight: Lambda.
        distance: Length of the shift.
        radius: Longest vector inside fixed limits, in standard deviations of x.
    """

    def __init__(self, p: int, weight: float, distance: float, radius: float) -> None:
        self.p, self.weight, self.distance, self.radius = p, weight, distance, radius
        self.keep = (1 - weight) / weight

    def moves(self, start: float, radius: float) -> NDArray[np.float64]:
        """Moves from nodes inside ``start`` to nodes inside ``radius``; start 0 = the origin."""
        raise NotImplementedError

    def settled(self) -> float:
        """Mean run length with fixed limits."""
        return 1.0 + float((self.moves(0.0, self.radius) @ self._lengths())[0])

    def varying(self) -> float:
        """Mean run length with time-varying limits, back from where they are settled."""
        keep = 1.0 - self.weight
        last = max(1, ceil(log(_SETTLED) / (2 * log(keep))))
        after, outer = self._lengths(), self.radius
        for t in range(last, 0, -1):
            inner = self.radius * sqrt(1.0 - keep ** (2 * t))
            after = 1.0 + self.moves(inner, outer) @ after
            outer = inner
        return 1.0 + float((self.moves(0.0, outer) @ after)[0])

    def _lengths(self) -> NDArray[np.float64]:
        move = self.moves(self.radius, self.radius)
        return np.asarray(np.linalg.solve(np.identity(len(move)) - move, np.ones(len(move))))


class _Length(_Grid):
    """In control: the length of the vector."""

    def __init__(self, p: int, weight: float, distance: float, radius: float) -> None:
        super().__init__(p, weight, distance, radius)
        x, w = leggauss(min(400, 40 + ceil(3 * radius / weight)))
        self.t, self.w = (x + 1) / 2, w / 2

    def moves(self, start: float, radius: float) -> NDArray[np.float64]:
        at = start * self.t[:, None] if start else np.zeros((1, 1))
        size = radius / self.weight
        return np.asarray(_radial(size * self.t, self.keep * at, self.p) * self.w * size)


class _Disc(_Grid):
    """After a shift: the part along it and the length of the rest."""

    def __init__(self, p: int, weight: float, distance: float, radius: float) -> None:
        super().__init__(p, weight, distance, radius)
        size = radius / weight
        n, m = 24 + ceil(2.2 * size), 14 + ceil(1.3 * size)
        fit = min(1.0, sqrt(_MOST / (n * m)))
        x, w = leggauss(ceil(n * fit))
        y, v = leggauss(ceil(m * fit))
        angle = pi / 2 * x
        self.along = np.repeat(np.sin(angle), len(y))
        self.rest = (np.cos(angle)[:, None] * (y + 1) / 2).ravel()
        self.area = ((w * pi / 2 * np.cos(angle) ** 2)[:, None] * (v / 2)).ravel()

    def moves(self, start: float, radius: float) -> NDArray[np.float64]:
        size = radius / self.weight
        old_along = start * self.along if start else np.zeros(1)
        old_rest = start * self.rest if start else np.zeros(1)
        ahead = size * self.along - self.keep * old_along[:, None] - self.distance
        density = np.exp(-0.5 * ahead**2) / sqrt(2 * pi)
        rest = _radial(size * self.rest, self.keep * old_rest[:, None], self.p - 1)
        return np.asarray(density * rest * self.area * size**2)
