"""Fences around the quartiles (Tukey, 1977)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twin.detectors.outliers.quantiles import finite, nothing, quantile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Fences", "tukey_fences"]

OUTER = 3.0


@dataclass(frozen=True, slots=True)
class Fences:
    """What the fences say.

    Attributes:
        q1: Lower quartile.
        q3: Upper quartile.
        inner: Q1 - k IQR and Q3 + k IQR.
        outer: The same with 3 (or k, if that is more).
        outliers: Places of values beyond the inner fences.
        far: Of these, places beyond the outer ones.
        quantile_type: Type of the quartiles; other types give other fences.
        note: When the quartiles are equal, everything else would be an outlier: nothing is.
    """

    q1: float
    q3: float
    inner: tuple[float, float]
    outer: tuple[float, float]
    outliers: tuple[int, ...]
    far: tuple[int, ...]
    quantile_type: int
    note: str


def tukey_fences(values: ArrayLike, k: float = 1.5, *, quantile_type: int = 7) -> Fences:
    """Values beyond Q1 - k IQR or Q3 + k IQR; on a limit is inside.

    A clean normal batch has 0.7 % beyond k = 1.5, more when it is small: it is a way to look at
    data, no test.

    Args:
        values: The batch; what is not a number is left out.
        k: Factor of the interquartile range.
        quantile_type: 1 to 9.

    Raises:
        ValueError: There are fewer than four numbers.
    """
    x, places = finite(values)
    if len(x) < 4:
        raise ValueError(f"{len(x)} values; needed: 4 or more")
    q1, q3 = (quantile(x, p, quantile_type) for p in (0.25, 0.75))
    width = q3 - q1
    wide = max(k, OUTER)
    inner = q1 - k * width, q3 + k * width
    outer = q1 - wide * width, q3 + wide * width
    equal = "the quartiles are equal: nothing can be said about the others"
    note = equal if nothing(width, x) else ""
    flagged = (x < inner[0]) | (x > inner[1])
    remote = (x < outer[0]) | (x > outer[1])
    if note:
        flagged[:] = remote[:] = False
    return Fences(
        q1,
        q3,
        inner,
        outer,
        tuple(places[flagged].tolist()),
        tuple(places[remote].tolist()),
        quantile_type,
        note,
    )
