"""Run length of the EWMA chart on independent normal values: integral equation by collocation.

The mean remaining run length is a smooth function of the EWMA inside its limits, here a polynomial
through Gauss-Legendre nodes; the expectation over the next point is a Gauss quadrature over the
point itself. With time-varying limits one step back in time is one such quadrature, and far from
the start the limits are the fixed ones.

References:
    S. V. Crowder, A simple method for studying run-length distributions of exponentially weighted
    moving average charts, Technometrics 29 (1987) 401-407.
    J. M. Lucas and M. S. Saccucci, Exponentially weighted moving average control schemes,
    Technometrics 32 (1990) 1-12.
    S. H. Steiner, EWMA control charts with time-varying control limits and fast initial response,
    Journal of Quality Technology 31 (1999) 75-86.
    S. Knoth, Accurate ARL computation for EWMA-S2 control charts, Statistics and Computing 15
    (2005) 341-352 (collocation).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy
from numpy.polynomial.legendre import leggauss, legvander

from twin.detectors.spc.fir import fir_factor
from twin.detectors.spc.runlength.result import LONGEST_ARL, Method, RunLength

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EwmaLimits", "arl_ewma"]

EwmaLimits = Literal["time-varying", "fixed", "fir"]

_FAR = 8.0
_QUADRATURE = 40
_SETTLED = 1e-5
"""Rest of (1 - lambda)^(2t) from which on time-varying limits are taken for the fixed ones."""
_FIR_SETTLED = 54
"""Point by which no more is missing of a fast initial response either."""
_HOPELESS = 7.6
"""An EWMA whose limit is this many of its standard deviations from its mean never gets there."""


@dataclass(frozen=True, slots=True)
class _Range:
    """Where the EWMA may be, in sigma of the point.

    Attributes:
        low: Lower end: a limit, or where it is held (``wall``).
        high: Upper limit.
        wall: Whether the EWMA is held at ``low`` instead of signalling below it.
    """

    low: float
    high: float
    wall: bool


@lru_cache(maxsize=512)
def arl_ewma(
    weight: float,
    distance: float,
    shift: float = 0.0,
    *,
    limits: EwmaLimits = "time-varying",
    sided: Literal["two", "high"] = "two",
    start: float = 0.0,
    wall: float = 0.0,
    steady: bool = False,
) -> RunLength:
    """ARL of an EWMA chart z = lambda x + (1 - lambda) z.

    Args:
        weight: Lambda, 0 < lambda <= 1.
        distance: Limit L in standard deviations of the EWMA, > 0.
        shift: Mean of the points from the first one on, in sigma.
        limits: ``fixed``: L sqrt(lambda / (2 - lambda)); ``time-varying`` with the factor
            sqrt(1 - (1 - lambda)^(2t)), t counted from 1; ``fir`` with that of Steiner besides.
        sided: ``two``, or ``high`` with an upper limit only; the EWMA is then held at ``wall``.
        start: Value before the first point, in sigma of the point.
        wall: Lowest value of a one-sided EWMA, in sigma of the point, <= 0.
        steady: Mean delay of a shift that comes after a long time in control without a signal,
            instead of from the first point on. Limits are the fixed ones by then.

    Raises:
        ValueError: An argument is out of range, or ``start`` is outside the limits.
    """
    if not (0.0 < weight <= 1.0 and distance > 0.0 and wall <= 0.0):
        raise ValueError(
            f"lambda {weight}, L {distance}, wall {wall}; allowed: 0 < lambda <= 1, L > 0, wall <= 0"
        )
    high = distance * sqrt(weight / (2.0 - weight))
    inside = _Range(wall if sided == "high" else -high, high, sided == "high")
    if not inside.low <= start <= high:
        raise ValueError(f"start is {start}; allowed: {inside.low} to {high}")
    if _never(weight, high, shift, sided):
        return RunLength(LONGEST_ARL, Method.INTEGRAL)
    step = _Step(weight, distance)
    settled = step.solve(inside, shift)
    if steady:
        return _answer(step.steady(inside, settled))
    if limits == "fixed":
        return _answer(step.expect(inside, settled, start, shift))
    return _answer(step.from_start(inside, settled, start, shift, fir=limits == "fir"))


def _answer(arl: float) -> RunLength:
    usable = np.isfinite(arl) and 1.0 <= arl < LONGEST_ARL
    # Beyond that the equation is singular to machine precision, whatever sign comes out.
    if usable or 0.999 < arl < 1.0:
        return RunLength(max(1.0, arl), Method.INTEGRAL)
    return RunLength(LONGEST_ARL, Method.INTEGRAL)


def _never(weight: float, high: float, shift: float, sided: str) -> bool:
    deviation = sqrt(weight / (2.0 - weight))
    towards = abs(shift) if sided == "two" else shift
    return (high - towards) / deviation > _HOPELESS


class _Step:
    """One point further: expectations of polynomials of the EWMA.

    Args:
        weight: Lambda.
        distance: L; wide limits need more nodes.
    """

    def __init__(self, weight: float, distance: float) -> None:
        self.weight = weight
        self.n = min(72, 36 + ceil(2 * distance))
        self.t, _ = leggauss(self.n)
        self.coefficients = np.linalg.inv(legvander(self.t, self.n - 1))
        self.x, self.w = leggauss(_QUADRATURE)

    def nodes(self, inside: _Range) -> NDArray[np.float64]:
        return inside.low + (inside.high - inside.low) * (self.t + 1) / 2

    def rows(
        self, at: NDArray[np.float64], to: _Range, shift: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights of the Legendre polynomials on ``to`` after one point, and chance of the wall.

        Args:
            at: Values of the EWMA, shape (m,).
            to: Where it may be after the point.
            shift: Mean of the point.
        """
        kept = (1.0 - self.weight) * at
        first = np.maximum((to.low - kept) / self.weight, shift - _FAR)
        last = np.minimum((to.high - kept) / self.weight, shift + _FAR)
        half = np.maximum(last - first, 0.0) / 2
        x = (first + last)[:, None] / 2 + half[:, None] * self.x
        chance = np.exp(-0.5 * (x - shift) ** 2) / sqrt(2 * np.pi) * half[:, None] * self.w
        place = 2 * (kept[:, None] + self.weight * x - to.low) / (to.high - to.low) - 1
        rows = np.matmul(chance[:, None], legvander(place, self.n - 1))[:, 0]
        wall = (
            scipy.special.ndtr((to.low - kept) / self.weight - shift)
            if to.wall
            else np.zeros(len(at))
        )
        return rows + wall[:, None] * legvander(np.array([-1.0]), self.n - 1), wall

    def solve(self, inside: _Range, shift: float) -> NDArray[np.float64]:
        """Legendre coefficients of the mean remaining run length with fixed limits."""
        rows, _ = self.rows(self.nodes(inside), inside, shift)
        here = legvander(self.t, self.n - 1)
        try:
            return np.asarray(np.linalg.solve(here - rows, np.ones(self.n)))
        except (np.linalg.LinAlgError, ArithmeticError):
            return np.full(self.n, np.nan)

    def expect(self, to: _Range, after: NDArray[np.float64], start: float, shift: float) -> float:
        """Mean run length from one value on, when ``after`` holds behind the next point."""
        rows, _ = self.rows(np.array([start]), to, shift)
        return 1.0 + float(rows[0] @ after)

    def from_start(
        self,
        inside: _Range,
        settled: NDArray[np.float64],
        start: float,
        shift: float,
        *,
        fir: bool,
    ) -> float:
        """Time-varying limits: step back from where they are settled to the start."""
        keep = 1.0 - self.weight
        last = 1 if keep == 0.0 else max(1, ceil(log(_SETTLED) / (2 * log(keep))))
        if fir:
            last = max(last, _FIR_SETTLED)
        after, to = settled, inside
        for t in range(last, 0, -1):
            now = _narrowed(inside, keep, t, fir=fir)
            rows, _ = self.rows(self.nodes(now), to, shift)
            after = self.coefficients @ (1.0 + rows @ after)
            to = now
        return self.expect(to, after, start, shift)

    def steady(self, inside: _Range, settled: NDArray[np.float64]) -> float:
        """Mean of ``settled`` over where an EWMA in control is that has not signalled for long."""
        move = self.coefficients @ self.rows(self.nodes(inside), inside, 0.0)[0]
        delay = settled.copy()
        alive = np.zeros(self.n)
        alive[0] = 1.0
        centre = legvander(np.array([-1.0 if inside.wall else 0.0]), self.n - 1)[0]
        found = np.inf
        for _ in range(100_000):
            delay, alive = move @ delay, move @ alive
            size = float(centre @ alive)
            delay, alive = delay / size, alive / size
            before, found = found, float(centre @ delay)
            if abs(found - before) <= 1e-11 * abs(found):
                break
        return found


def _narrowed(inside: _Range, keep: float, t: int, *, fir: bool) -> _Range:
    factor = sqrt(1.0 - keep ** (2 * t)) * (fir_factor(t) if fir else 1.0)
    low = inside.low if inside.wall else inside.low * factor
    return _Range(low, inside.high * factor, inside.wall)
