"""Grubbs' test for one outlier in a normal batch (Grubbs, 1969; NIST 1.3.5.17.1)."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy

from twin.detectors.outliers.esd import generalised_esd
from twin.detectors.outliers.quantiles import finite, nothing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Grubbs", "grubbs", "grubbs_critical"]

_FEW = 7


@dataclass(frozen=True, slots=True)
class Grubbs:
    """What the test says.

    Attributes:
        statistic: G = largest deviation from the mean / s; NaN for equal values.
        critical: What it must exceed.
        p_value: Upper bound of its probability without an outlier, at most 1.
        suspect: Place of the most extreme value.
        outlier: Whether the suspect is an outlier.
        largest_possible: No value of n can be further out than (n-1)/sqrt(n) standard deviations.
        note: Too few values, equal values, or several outliers that mask each other.
    """

    statistic: float
    critical: float
    p_value: float
    suspect: int
    outlier: bool
    largest_possible: float
    note: str


def grubbs_critical(n: int, alpha: float = 0.05, *, two_sided: bool = True) -> float:
    """(n-1)/sqrt(n) sqrt(t^2/(n-2+t^2)), t at alpha/(2n), or alpha/n one-sided, n - 2 degrees.

    Raises:
        ValueError: Fewer than three values.
    """
    if n < 3:
        raise ValueError(f"{n} values; needed: 3 or more, better {_FEW}")
    t = float(scipy.special.stdtrit(n - 2, 1.0 - alpha / (2 * n if two_sided else n)))
    return (n - 1) / sqrt(n) * sqrt(t * t / (n - 2 + t * t))


def grubbs(
    values: ArrayLike, alpha: float = 0.05, *, side: Literal["both", "high", "low"] = "both"
) -> Grubbs:
    """Test the most extreme value.

    One outlier at a time: two of them hide each other (masking), because both widen s. The note
    tells when the generalised ESD test finds more.

    Args:
        values: The batch; what is not a number is left out.
        alpha: Probability to call a value of a clean normal batch an outlier.
        side: ``both``, or only the ``high`` or the ``low`` end, declared before looking.

    Raises:
        ValueError: There are fewer than three numbers.
    """
    x, places = finite(values)
    n = len(x)
    critical = grubbs_critical(n, alpha, two_sided=side == "both")
    largest = (n - 1) / sqrt(n)
    off = x - x.mean()
    far = {"both": np.abs(off), "high": off, "low": -off}[side]
    at = int(np.argmax(far))
    s = float(x.std(ddof=1))
    if nothing(float(np.ptp(x)), x):
        return Grubbs(nan, critical, 1.0, int(places[at]), False, largest, "all values are equal")
    g = float(far[at]) / s
    tails = 2 * n if side == "both" else n
    outlier = g > critical
    return Grubbs(
        g,
        critical,
        _p_value(g, n, tails),
        int(places[at]),
        outlier,
        largest,
        _note(x, alpha, found=int(outlier)),
    )


def _p_value(g: float, n: int, tails: int) -> float:
    room = (n - 1) ** 2 - n * g * g
    if g <= 0.0:
        return 1.0
    if room <= 0.0:
        return 0.0
    t = sqrt(n * (n - 2) * g * g / room)
    return min(1.0, tails * float(scipy.special.stdtr(n - 2, -t)))


def _note(x: np.ndarray[tuple[int], np.dtype[np.float64]], alpha: float, *, found: int) -> str:
    n = len(x)
    if n < _FEW:
        return f"{n} values are few: the test is meant for {_FEW} or more"
    more = generalised_esd(x, max(2, n // 4), alpha)
    if len(more.outliers) > max(1, found):
        return (
            f"masking: the generalised ESD test finds {len(more.outliers)} outliers; use that one"
        )
    return ""
