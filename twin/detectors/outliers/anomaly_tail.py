"""How surprising a number is, learned online: a histogram with an exponential tail.

Within the bulk the histogram answers; among the largest ``FRACTION`` of all values, and beyond the
largest ever seen, an exponential law does whose mean excess is learned and pulled towards a
prior, so that few values cannot make a tail that is absurdly short or long. On the logarithm of a
statistic, where the experts use it, that is a Pareto tail.
"""

from __future__ import annotations

from math import exp, log2, log10
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FORGET", "log_bin", "surprise"]

FORGET = 65536.0
"""Values after which all counts are halved: what is remembered, and how far rates can reach."""
_MOST = 15.0
"""Largest surprise."""
_FIRST = 30.0
"""Values before a tail is fitted at all."""


@njit(cache=True, error_model="numpy")
def log_bin(statistic: float, bins: int) -> float:
    """Place of a statistic among logarithmic bins, eight to the octave from 2^-8 on."""
    if statistic <= 0.00390625:
        return 0.0
    return min(8.0 * (log2(statistic) + 8.0), bins - 1e-6)


@njit(cache=True, error_model="numpy")
def surprise(
    counts: NDArray[np.float32],
    total: float,
    place: float,
    fraction: float,
    prior: float,
    prior_excess: float,
) -> float:
    """``-log10`` of the chance of a value at least this large.

    Args:
        counts: Shape (bins,); how many values fell into each bin so far.
        total: Their sum.
        place: Of the new value, in bins; 0 <= place < bins.
        fraction: Share of the largest values the tail is fitted to.
        prior: Weight of the prior tail, in values.
        prior_excess: Mean excess of the prior tail, in bins.

    Returns:
        0 (usual) to 15; ``log10(2)`` is the median.
    """
    bins = len(counts)
    at = int(place)
    wanted = fraction * total
    above = 0.0
    moment = 0.0
    top = bins - 1
    while top > 0 and above + np.float64(counts[top]) < wanted:
        count = np.float64(counts[top])
        above += count
        moment += count * (top + 0.5)
        top -= 1
    if at > top and total >= _FIRST:
        edge = top + 1.0
        excess = (moment - above * edge + prior * prior_excess) / (above + prior)
        p = (above + 0.5) / (total + 1.0) * exp(-max(0.0, place - edge) / max(excess, 0.25))
    else:
        for j in range(top, at, -1):
            above += np.float64(counts[j])
        if at > top:
            above = 0.0
            for j in range(bins - 1, at, -1):
                above += np.float64(counts[j])
        p = (above + 0.5 * np.float64(counts[at]) + 0.5) / (total + 1.0)
    return min(-log10(max(p, 1e-300)), _MOST)
