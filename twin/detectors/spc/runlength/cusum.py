"""Run length of the CUSUM chart on independent normal values: Gauss-Legendre integral equation.

The two one-sided sums never disturb each other as long as they start close to zero: when both are
positive their total falls by 2k with every point, so the one that signals finds the other at zero.
Then the two-sided run length follows exactly from the one-sided ones. Head starts whose total is
larger than h + 2k are followed in both sums until that holds.

References:
    D. Brook and D. A. Evans, An approach to the probability distribution of cusum run length,
    Biometrika 59 (1972) 539-549.
    J. M. Lucas and R. B. Crosier, Fast initial response for CUSUM quality-control schemes,
    Technometrics 24 (1982) 199-205.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from math import ceil, pi, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy
from numpy.polynomial.legendre import leggauss, legvander

from twin.detectors.spc.runlength.result import LONGEST_ARL, Method, RunLength

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Values = NDArray[np.float64]

__all__ = ["arl_cusum", "siegmund"]

_FINE = 48


@lru_cache(maxsize=512)
def arl_cusum(
    k: float,
    h: float,
    shift: float = 0.0,
    *,
    head: float | tuple[float, float] = 0.0,
    sided: Literal["two", "high", "low"] = "two",
    steady: bool = False,
) -> RunLength:
    """ARL of a CUSUM chart, C = max(0, C + z - k) and its mirror image, signal above h.

    Args:
        k: Reference value in sigma, > 0.
        h: Decision limit in sigma, > 0.
        shift: Mean of the points from the first one on, in sigma.
        head: Start value of both sums, or of the high and the low one, 0 to h.
        sided: Both sums, or only one.
        steady: Mean delay of a shift that comes after a long time in control without a signal
            (the low sum of a two-sided chart is then taken to be 0).

    Raises:
        ValueError: An argument is out of range.
    """
    high, low = head if isinstance(head, tuple) else (head, head)
    if not (k > 0.0 and h > 0.0 and 0.0 <= high <= h and 0.0 <= low <= h):
        raise ValueError(f"k {k}, h {h}, head {head}; allowed: k > 0, h > 0, head 0 to h")
    up, down = _Sum(k, h, shift), _Sum(k, h, -shift)
    if sided == "low":
        up, high = down, low
    if sided != "two":
        return _answer(up.steady() if steady else up.mean(high))
    if not (up.zero < LONGEST_ARL or down.zero < LONGEST_ARL):
        return RunLength(LONGEST_ARL, Method.INTEGRAL)
    if steady:
        return _answer(float(_pair(up, down, np.array(up.steady()), np.array(down.zero))))
    return _answer(_both(up, down, high, low))


def siegmund(k: float, h: float, shift: float = 0.0) -> float:
    """Siegmund's approximation of the one-sided ARL; for comparison, up to some per cent off.

    Args:
        k: Reference value in sigma.
        h: Decision limit in sigma.
        shift: Mean of the points in sigma.
    """
    drift, b = shift - k, h + 1.166
    if abs(drift) < 1e-9:
        return b * b
    return float((np.exp(-2 * drift * b) + 2 * drift * b - 1) / (2 * drift * drift))


def _answer(arl: float) -> RunLength:
    usable = np.isfinite(arl) and 0.999 < arl < LONGEST_ARL
    return RunLength(max(1.0, arl) if usable else LONGEST_ARL, Method.INTEGRAL)


class _Sum:
    """One one-sided sum.

    Args:
        k: Reference value in sigma.
        h: Decision limit in sigma.
        shift: Mean of the points towards the limit, in sigma.
    """

    def __init__(self, k: float, h: float, shift: float) -> None:
        self.k, self.h, self.shift = k, h, shift
        x, w = leggauss(min(400, 40 + ceil(8 * h)))
        self.x, self.w = h * (x + 1) / 2, h * w / 2
        move = self._moves(shift)
        try:
            self.values = np.asarray(
                np.linalg.solve(np.identity(len(move)) - move, np.ones(len(move)))
            )
        except (np.linalg.LinAlgError, ArithmeticError):
            self.values = np.full(len(move), LONGEST_ARL)
        if not 0.0 < self.values[0] < LONGEST_ARL:
            # Singular to machine precision: it practically never signals.
            self.values = np.full(len(move), LONGEST_ARL)
        self.zero = float(self.values[0])

    def _moves(self, shift: float) -> NDArray[np.float64]:
        """Transition matrix over zero and the nodes."""
        return self._rows(np.append(0.0, self.x), shift)

    def _rows(self, at: NDArray[np.float64], shift: float) -> NDArray[np.float64]:
        drift = shift - self.k
        inside = np.exp(-0.5 * (self.x - at[:, None] - drift) ** 2) / sqrt(2 * pi) * self.w
        return np.hstack((scipy.special.ndtr(-at - drift)[:, None], inside))

    def mean(self, start: float) -> float:
        """Mean run length from a start value on."""
        return float(self.means(np.array([start]))[0])

    def means(self, starts: NDArray[np.float64]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = 1.0 + self._rows(starts, self.shift) @ self.values
        return means

    def steady(self) -> float:
        """Mean delay after a long time in control without a signal."""
        move = self._moves(0.0)
        delay, alive, found = self.values.copy(), np.ones(len(self.values)), np.inf
        for _ in range(100_000):
            delay, alive = move @ delay, move @ alive
            delay, alive = delay / alive[0], alive / alive[0]
            before, found = found, float(delay[0])
            if abs(found - before) <= 1e-11 * found:
                break
        return found


def _pair(up: _Sum, down: _Sum, from_high: _Values, from_low: _Values) -> _Values:
    """Two-sided run length when the total of the starts is at most h + 2k.

    Args:
        up: The high sum.
        down: The low sum.
        from_high: Run length of the high sum alone from its start values.
        from_low: The same for the low sum.
    """
    high, low = up.zero, down.zero
    # (a d + b c - a b) / (a + b), written so that a huge side drops out.
    if high > low:
        return (from_low + low * (from_high / high) - low) / (1.0 + low / high)
    return (from_high + high * (from_low / low) - high) / (1.0 + high / low)


def _both(up: _Sum, down: _Sum, high: float, low: float) -> float:
    """Two-sided run length from any start values.

    With a larger total than h + 2k the next point may leave both sums positive, their total 2k
    less. One number, the high sum, then says where both are, until the total is small enough.
    """
    k, h = up.k, up.h
    totals = [high + low]
    while totals[-1] > h + 2 * k:
        totals.append(totals[-1] - 2 * k)

    def apart(c: _Values, total: float) -> _Values:
        """Both sums from their unheld values ``c`` and ``total - c``, one of them held at 0."""
        return _pair(up, down, up.means(np.maximum(c, 0.0)), down.means(np.maximum(total - c, 0.0)))

    x, w = leggauss(_FINE)
    from_polynomial = np.linalg.inv(legvander(x, _FINE - 1))
    fit: _Values | None = None  # of the run length between 0 and total, both sums positive
    for now, after in zip(totals[-2::-1], totals[:0:-1], strict=True):
        start, end = max(0.0, now - h), min(h, now)
        at = np.array([high]) if now == totals[0] else start + (end - start) * (x + 1) / 2
        mean = np.ones(len(at))
        ends = sorted({after - h, h, *(e for e in (0.0, after) if after - h < e < h)})
        for first, last in pairwise(ends):
            c = first + (last - first) * (x + 1) / 2
            both_positive = first >= 0.0 and last <= after
            if fit is not None and both_positive:
                length = legvander(x, _FINE - 1) @ fit
            else:
                length = apart(c, after)
            density = np.exp(-0.5 * (c - (at[:, None] - k + up.shift)) ** 2) / sqrt(2 * pi)
            mean += (density * w * (last - first) / 2) @ length
        if now == totals[0]:
            return float(mean[0])
        fit = from_polynomial @ mean
    return float(apart(np.array([high]), totals[0])[0])
