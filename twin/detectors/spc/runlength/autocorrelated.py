"""What correlation between neighbouring samples does to a chart, and when it must not be used raw.

References:
    L. C. Alwan and H. V. Roberts, Time-series modeling for statistical process control, Journal of
    Business & Economic Statistics 6 (1988) 87-95.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, sqrt
from typing import TYPE_CHECKING

from twin.detectors.spc.runlength.result import LONGEST_ARL, Method, RunLength
from twin.detectors.spc.runlength.trend import previous_arl

if TYPE_CHECKING:
    from twin.detectors.spc.rules import Rule

__all__ = ["arl_ar1", "block_length", "residual_shift", "scale_of"]

_MOST_PHI = 0.99


@lru_cache(maxsize=256)
def arl_ar1(
    rules: tuple[Rule, ...], phi: float, shift: float = 0.0, *, scale: float = 1.0
) -> RunLength:
    """ARL of run rules on AR(1) values.

    Args:
        rules: Any rules, at least one.
        phi: Correlation of neighbouring values, -0.99 to 0.99.
        shift: Mean from the first value on, in standard deviations of the values.
        scale: Sigma of the chart over that standard deviation; see :func:`scale_of`.

    Raises:
        TooManyStatesError: The set cannot be followed exactly.
        ValueError: ``phi`` is out of range.
    """
    if not -_MOST_PHI <= phi <= _MOST_PHI:
        raise ValueError(f"phi is {phi}; allowed: -{_MOST_PHI} to {_MOST_PHI}")
    arl = previous_arl(rules, shift, phi=phi, scale=scale)
    return RunLength(min(arl, LONGEST_ARL), Method.INTEGRAL)


def scale_of(estimator: str, phi: float) -> float:
    """Sigma an estimator finds, over the standard deviation of AR(1) values.

    Neighbours that are alike have small moving ranges, which under-estimates sigma by
    sqrt(1 - phi); other estimators see the values themselves.

    Args:
        estimator: As in a baseline, for example ``mean moving range``.
        phi: Correlation of neighbouring values.

    Examples:
        >>> round(scale_of("mean moving range", 0.75), 3)
        0.5
        >>> scale_of("standard deviation", 0.75)
        1.0
    """
    word = estimator.lower()
    moving = "moving" in word or "mssd" in word or word in ("mr", "median mr", "mean mr")
    return sqrt(1.0 - phi) if moving else 1.0


def block_length(phi: float) -> int:
    """Samples per block whose means are nearly uncorrelated (about 0.1): 3 (1 + phi) / (1 - phi).

    Args:
        phi: Correlation of neighbouring samples, below 1.

    Examples:
        >>> block_length(0.9)
        57
    """
    return max(1, ceil(round(3.0 * (1.0 + phi) / (1.0 - phi), 9)))


def residual_shift(phi: float, shift: float) -> float:
    """Lasting shift of AR(1) residuals in their sigma after a shift of the mean.

    The first residual moves by more, shift / sqrt(1 - phi^2); the others only by this much.

    Args:
        phi: Coefficient of the model.
        shift: Shift of the mean, in standard deviations of the values.
    """
    return shift * sqrt((1.0 - phi) / (1.0 + phi))
