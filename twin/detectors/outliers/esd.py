"""Generalised extreme studentised deviate test for several outliers (Rosner, 1983)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import scipy

from twin.detectors.outliers.quantiles import finite, nothing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Esd", "esd_critical", "generalised_esd"]

_FEW = 25


@dataclass(frozen=True, slots=True)
class Esd:
    """What the test says.

    Attributes:
        statistics: R_i, each after the i - 1 most extreme values were taken away.
        critical: lambda_i.
        suspects: Places of the values in the order they were taken away.
        outliers: Places of the outliers: the first of ``suspects``, up to the *largest* i with
            R_i > lambda_i.
        note: Why the result is doubtful; empty when it is not.
    """

    statistics: tuple[float, ...]
    critical: tuple[float, ...]
    suspects: tuple[int, ...]
    outliers: tuple[int, ...]
    note: str


def esd_critical(n: int, i: int, alpha: float = 0.05) -> float:
    """lambda_i = (n-i) t / sqrt((n-i-1+t^2)(n-i+1)), t at 1 - alpha/(2(n-i+1)), n - i - 1 degrees."""
    v = n - i - 1
    t = float(scipy.special.stdtrit(v, 1.0 - alpha / (2 * (n - i + 1))))
    return (n - i) * t / sqrt((v + t * t) * (n - i + 1))


def generalised_esd(values: ArrayLike, most: int, alpha: float = 0.05) -> Esd:
    """Test for up to ``most`` outliers in a normal batch.

    All steps are made: several outliers can hide each other at the first ones.

    Args:
        values: The batch; what is not a number is left out.
        most: Upper bound of the number of outliers, 1 to n - 3.
        alpha: Probability to find any in a clean batch.

    Raises:
        ValueError: There are fewer than four numbers, or ``most`` is out of range.
    """
    x, places = finite(values)
    n = len(x)
    if n < 4 or not 1 <= most <= n - 3:
        raise ValueError(
            f"up to {most} outliers of {n} values; allowed: 4 values or more, 1 to {max(1, n - 3)} "
            "outliers"
        )
    left = np.arange(n)
    statistics: list[float] = []
    critical: list[float] = []
    suspects: list[int] = []
    count = 0
    for i in range(1, most + 1):
        part = x[left]
        if nothing(float(np.ptp(part)), part):
            break
        off = np.abs(part - part.mean())
        at = int(np.argmax(off))
        statistics.append(float(off[at] / part.std(ddof=1)))
        critical.append(esd_critical(n, i, alpha))
        suspects.append(int(places[left[at]]))
        left = np.delete(left, at)
        if statistics[-1] > critical[-1]:
            count = i
    notes = []
    if n < _FEW:
        notes.append(f"{n} values are few: the critical values are meant for {_FEW} or more")
    if count == most:
        notes.append(f"all {most} suspects are outliers: there may be more")
    if len(statistics) < most:
        notes.append("the values that are left are equal")
    return Esd(
        tuple(statistics),
        tuple(critical),
        tuple(suspects),
        tuple(suspects[:count]),
        "; ".join(notes),
    )
