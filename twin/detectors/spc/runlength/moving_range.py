"""Run length of the moving-range chart, alone or beside the individuals chart.

A point signals when it is beyond its limits or too far from the point before. The mean remaining
run length is smooth in the last value between the places where a limit of the moving range crosses
a limit of the individuals, and followed there as a polynomial.

References:
    S. V. Crowder, Computation of ARL for combined individual measurement and moving range charts,
    Journal of Quality Technology 19 (1987) 98-102.
"""

from __future__ import annotations

from functools import lru_cache
from math import pi, sqrt

import numpy as np
from numpy.polynomial.legendre import leggauss, legvander

from twin.detectors.spc.runlength.result import LONGEST_ARL, Method, RunLength

__all__ = ["arl_moving_range"]

_NODES = 20
_FINE = 40
_FAR = 8.5


@lru_cache(maxsize=128)
def arl_moving_range(
    reach: float, distance: float | None = 3.0, shift: float = 0.0, *, ratio: float = 1.0
) -> RunLength:
    """ARL of a moving-range chart of two points.

    Args:
        reach: Limit of the moving range over sigma of the individuals, > 0: 3.686 (3.2665 times
            1.1284) for the usual D4 limit.
        distance: Limit of the individuals beside it, in sigma; None for the moving range alone.
        shift: Mean of the points, in sigma.
        ratio: True standard deviation of the points over sigma.
    """
    r = reach / ratio
    centre = shift / ratio
    far = _FAR + abs(centre)
    limit = far if distance is None else min(far, distance / ratio)
    low, high = max(-limit, centre - _FAR), min(limit, centre + _FAR)
    if low >= high:
        return RunLength(1.0, Method.INTEGRAL)
    bends = {low, high}
    for end, way in ((low, 1), (high, -1)):
        at = end + way * r
        while low < at < high:
            bends.add(at)
            at += way * r
    ends = np.array(sorted(bends))
    x, _ = leggauss(_NODES)
    to_polynomial = np.linalg.inv(legvander(x, _NODES - 1))
    fine, weight = leggauss(_FINE)
    width = np.diff(ends)
    # Long pieces are cut, so that a polynomial of low degree follows them.
    cut = [
        np.linspace(a, a + w, max(1, round(w / 1.5)) + 1)[:-1]
        for a, w in zip(ends, width, strict=False)
    ]
    ends = np.append(np.concatenate(cut), ends[-1])
    pieces = len(ends) - 1
    nodes = (ends[:-1, None] + np.diff(ends)[:, None] * (x + 1) / 2).ravel()
    move = np.zeros((len(nodes), pieces * _NODES))
    for j in range(pieces):
        a = np.maximum(ends[j], nodes - r)
        b = np.minimum(ends[j + 1], nodes + r)
        half = np.maximum(b - a, 0.0) / 2
        to = (a + b)[:, None] / 2 + half[:, None] * fine
        chance = np.exp(-0.5 * (to - centre) ** 2) / sqrt(2 * pi) * half[:, None] * weight
        place = 2 * (to - ends[j]) / (ends[j + 1] - ends[j]) - 1
        values = legvander(place, _NODES - 1) @ to_polynomial
        move[:, j * _NODES : (j + 1) * _NODES] = np.matmul(chance[:, None], values)[:, 0]
    lengths = np.linalg.solve(np.identity(len(nodes)) - move, np.ones(len(nodes)))
    first = 0.0
    for j in range(pieces):
        half = (ends[j + 1] - ends[j]) / 2
        to = (ends[j] + ends[j + 1]) / 2 + half * fine
        chance = np.exp(-0.5 * (to - centre) ** 2) / sqrt(2 * pi) * half * weight
        values = legvander(fine, _NODES - 1) @ to_polynomial
        first += float(chance @ values @ lengths[j * _NODES : (j + 1) * _NODES])
    arl = 1.0 + first
    return RunLength(arl if 1.0 <= arl < LONGEST_ARL else LONGEST_ARL, Method.INTEGRAL)
