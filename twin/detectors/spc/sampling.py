"""How a source samples: reports by exception found out and rebuilt, resolution measured.

A gateway that sends only changes does not send a sample of the process: its points have no equal
neighbours, come at irregular times and scatter more than the process does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64 = NDArray[np.float64]
    I64 = NDArray[np.int64]

__all__ = ["Held", "Reporting", "exception_evidence", "hold", "reporting", "resolution"]

_IRREGULAR = 0.05
"""Share of long steps above which a source is not periodic."""
_LONG = 1.5
"""A step longer than this many typical steps is long."""
_SURE = 1e-6
"""How improbable the missing small changes must be before anything is said."""
_SMALL = 0.02
"""Quantile of the changes that stands for the smallest one: some exceptions are forced."""


@dataclass(frozen=True, slots=True)
class Held:
    """Values rebuilt on the nominal grid.

    Attributes:
        time_ns: int64, shape (m,); multiples of the step since 1970.
        value: float64, shape (m,); the last value received, NaN when it is older than allowed.
        held: bool, shape (m,); no value came in the step that ends here.
    """

    time_ns: I64
    value: F64
    held: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Reporting:
    """What the times and values of a source say about how it reports.

    Attributes:
        by_exception: It sends only changes.
        irregular: Share of steps longer than 1.5 typical ones.
        small: Changes smaller than the smallest usual one, equal neighbours among them.
        turns: Changes up to twice that size that go back on the one before.
        probability: Chance of so few small changes if every sample were sent.
        smallest: The smallest usual change: resolution or deadband, unit of the values.
        n: Values looked at.
    """

    by_exception: bool
    irregular: float
    small: int
    turns: int
    probability: float
    smallest: float
    n: int


def hold(time_ns: I64, value: F64, step_ns: int, max_silence_ns: int) -> Held:
    """Rebuild what a source that reports by exception did not send, by holding the last value.

    Args:
        time_ns: Shape (n,), event time, rising.
        value: Shape (n,).
        step_ns: Nominal step, ns, > 0.
        max_silence_ns: A value older than this is stale.
    """
    if not len(value):
        return Held(np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_))
    first = -(-int(time_ns[0]) // step_ns)
    grid = np.arange(first, int(time_ns[-1]) // step_ns + 1, dtype=np.int64) * step_ns
    at = np.searchsorted(time_ns, grid, side="right") - 1
    age = grid - time_ns[at]
    return Held(grid, np.where(age > max_silence_ns, np.nan, value[at]), age >= step_ns)


def resolution(value: F64) -> float:
    """Smallest step between different values; 0 when all are equal.

    Differences below a billionth of the largest value are rounding, not steps.

    Args:
        value: Shape (n,).
    """
    known = np.unique(value[np.isfinite(value)])
    steps = np.diff(known)
    steps = steps[steps > 1e-9 * max(1e-300, float(np.abs(known).max(initial=0.0)))]
    return float(steps.min()) if len(steps) else 0.0


def exception_evidence(small: int, turns: int) -> float:
    """Chance of at most ``small`` small changes among ``small + turns`` if all samples were sent.

    Changes of a signal that is sampled, and does not run steadily one way, are spread around zero
    with their peak there: a change of one step of the grid, in either direction, is at most twice
    as frequent as no change, so a share of at least 1/3 is small. Deadbands alike: between 0 and
    d there are at least as many changes as between d and 2 d.
    """
    return float(scipy.special.bdtr(small, small + turns, 1.0 / 3.0)) if small + turns else 1.0


def reporting(time_ns: I64, value: F64) -> Reporting:
    """Find out whether a source that should be periodic sends only changes.

    Two signs must come together: steps are irregular, and small changes (equal neighbours first of
    all) are missing although changes a little larger go back and forth all the time. Steady ramps
    do not turn and prove nothing; a heartbeat now and then does not hide the pattern.

    Args:
        time_ns: Shape (n,), event time, rising.
        value: Shape (n,); values that are not finite are left out.
    """
    known = np.isfinite(value)
    x, t = value[known], time_ns[known]
    change, step = np.diff(x), np.diff(t)
    size = np.abs(change)
    moved = size[size > 0.0]
    if len(moved) < 8:
        return Reporting(False, 0.0, 0, 0, 1.0, 0.0, len(x))
    irregular = float(np.mean(step > _LONG * np.median(step)))
    # Just below, so that equal steps of a digital sensor are no "small" ones by rounding.
    smallest = float(np.quantile(moved, _SMALL, method="lower")) * (1.0 - 1e-6)
    small = int((size < smallest).sum())
    turned = np.concatenate(([False], change[1:] * change[:-1] < 0.0))
    turns = int((turned & (size >= smallest) & (size < 2.0 * smallest)).sum())
    chance = exception_evidence(small, turns)
    by_exception = irregular >= _IRREGULAR and chance < _SURE
    return Reporting(by_exception, irregular, small, turns, chance, smallest, len(x))
