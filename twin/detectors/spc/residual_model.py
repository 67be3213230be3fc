"""Which model of a sensor's own past makes its samples independent.

A level is fixed only when the data prove that there is one: enough independent values and no
wandering of the mean. Otherwise the model works on the changes; written for the values, its
coefficients add up to one and the level drops out, so that it follows the signal. The price is that
slow drift is expected too; fixed limits and a slow look at the level have to find it.

References:
    L. C. Alwan, H. V. Roberts, Time-series modeling for statistical process control, Journal of
    Business and Economic Statistics 6 (1988) 87-95.
    G. E. P. Box, G. M. Jenkins, Time Series Analysis, chapter 4 (models of differences).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from twin.detectors.spc import autocorrelation, stability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64 = NDArray[np.float64]

__all__ = [
    "INDEPENDENT",
    "LEVEL_P",
    "ORDER",
    "ResidualModel",
    "TooShortError",
    "choose",
    "independent",
]

INDEPENDENT = 100
"""Fewest independent values that prove a fixed level."""
LEVEL_P = 0.1
"""The mean wanders when chance would make it wander so much more rarely than this: the doubt
speaks for a level that follows, which is right in both cases."""
_WHITE_P = 0.05
"""The same for values without any memory, where a level that follows costs more."""
ORDER = 8
"""Highest order that is compared."""


class TooShortError(ValueError):
    """Not even the changes are known for long enough."""


@dataclass(frozen=True, slots=True)
class ResidualModel:
    """x = level + sum of ar[i] (x of i + 1 steps ago - level) + e.

    Attributes:
        level: Mean, unit of the values.
        ar: Coefficients of the past 1, 2, ... samples; empty for independent values.
        follows: The coefficients add up to one.
        independent: Independent values that know the mean as well as these.
        level_p: Chance of as large a wandering of the mean around a fixed level.
        text: What was chosen and why, in a sentence.
    """

    level: float
    ar: tuple[float, ...]
    follows: bool
    independent: float
    level_p: float
    text: str


def independent(grid: F64) -> bool:
    """Whether no coefficient is worth what it costs (BIC).

    Args:
        grid: Shape (n,), values on the nominal grid, NaN in holes; at least 36 of them known.
    """
    return not autocorrelation.fit_ar(grid, longest=ORDER).ar


def choose(grid: F64, times: float) -> ResidualModel:
    """Choose level and coefficients.

    Args:
        grid: Shape (n,), values on the nominal grid, NaN in holes; at least 36 of them known.
        times: Correlation times of the changes that must be there for a level that follows.

    Raises:
        TooShortError: They are not.
    """
    known = int(np.isfinite(grid).sum())
    found = autocorrelation.fit_ar(grid, longest=ORDER)
    e = autocorrelation.residuals(grid, found.level, found.ar)
    left = 1.0 - sum(found.ar)
    worth = known * min(1.0, (left * found.sigma_x / found.sigma) ** 2)
    p = stability.level_p(e[np.isfinite(e)])
    if p >= (LEVEL_P if found.ar else _WHITE_P) and worth >= INDEPENDENT:
        text = f"model of the last {len(found.ar)} samples around a fixed level"
        return ResidualModel(found.level, found.ar, False, worth, p, text)
    change = np.diff(grid)
    change = change - np.nanmean(change)
    memory = autocorrelation.correlation_time(autocorrelation.fit_ar(change, order=1).phi, 1.0)
    if known < times * memory:
        raise TooShortError(f"{known} samples; {times:g} correlation times even of the changes")
    ar = _of_changes(change)
    why = (
        f"only {worth:.0f} values are independent"
        if worth < INDEPENDENT
        else f"the mean wanders (p {p:.2g})"
    )
    text = f"{why}: model of the last {len(ar) - 1} changes, the level follows the signal"
    return ResidualModel(found.level, ar, True, worth, p, text)


def _of_changes(change: F64) -> tuple[float, ...]:
    """Coefficients for the values of a model of their changes.

    The order is chosen by AIC: a model that is too short leaves a correlation behind, and that
    costs more false findings than a coefficient too many.
    """
    compared = autocorrelation.fit_ar(change, longest=ORDER - 1)
    aic = [bic + p * (2.0 - log(compared.n)) for p, bic in enumerate(compared.bic)]
    order = int(np.argmin(aic))
    model = autocorrelation.fit_ar(change, order=order).ar if order else ()
    full = np.zeros(order + 1)
    full[0] = 1.0
    full[:order] += model
    full[1:] -= model
    return tuple(float(a) for a in full)
