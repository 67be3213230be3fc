"""Modified z scores of a batch (Iglewicz and Hoaglin, 1993)."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import TYPE_CHECKING

import numpy as np

from twin.detectors.outliers.quantiles import finite, nothing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["ModifiedZ", "modified_z"]

_FACTOR = 0.6745
"""As published; the exact normal quantile at 0.75 is 0.67449."""


@dataclass(frozen=True, slots=True)
class ModifiedZ:
    """What the test says.

    Attributes:
        scores: Score of each value; NaN for one that is not a number.
        outliers: Places of the outliers.
        centre: Median.
        scale: What deviations were divided by, as an estimate of sigma.
        scale_from: ``MAD``, ``mean absolute deviation`` where the MAD is 0, or ``constant``.
    """

    scores: tuple[float, ...]
    outliers: tuple[int, ...]
    centre: float
    scale: float
    scale_from: str


def modified_z(values: ArrayLike, threshold: float = 3.5, *, resolution: float = 0.0) -> ModifiedZ:
    """0.6745 (x - median)/MAD, beyond the threshold in size.

    When more than half of the values are equal the MAD is 0, and the mean absolute deviation
    from the median over sqrt(2/pi) stands in. When all are equal there is nothing to judge.

    Args:
        values: The batch.
        threshold: Size of a score beyond which a value is an outlier.
        resolution: Values that differ from the median by no more are never outliers.

    Raises:
        ValueError: There are fewer than three numbers.
    """
    x, places = finite(values)
    if len(x) < 3:
        raise ValueError(f"{len(x)} values; needed: 3 or more")
    centre = float(np.median(x))
    off = x - centre
    mad = float(np.median(np.abs(off)))
    scale, source = mad / _FACTOR, "MAD"
    if nothing(mad, x):
        scale, source = float(np.mean(np.abs(off))) / sqrt(2 / pi), "mean absolute deviation"
    if nothing(float(np.max(np.abs(off))), x):
        scale, source = 0.0, "constant"
    scores = np.full(np.size(np.asarray(values)), np.nan)
    scores[places] = off / scale if scale > 0.0 else 0.0
    flagged = (np.abs(scores[places]) > threshold) & (np.abs(off) > resolution)
    return ModifiedZ(tuple(scores.tolist()), tuple(places[flagged].tolist()), centre, scale, source)
