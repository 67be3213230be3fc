"""Arithmetic of the group anomaly detector: what it learns, and one step of its statistics.

Every member gives two features: its standardised value, which shows levels, and the size of its
step since the last vector, which shows noise. Of each feature there are three means with different
memories: ``near`` (about 15 vectors), ``home`` (about 300, at rest while a finding is open) and, of
values only, ``trail`` (about 30). ``near - home`` shows a state that left the baseline, ``near -
trail`` a state that is changing. Distances are in units learned from the baseline, see
:func:`learn`.

The arrays of one group: k features (2p), p members, N vectors of the baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = [
    "CLEAR",
    "CONFIRM",
    "FREEDOM",
    "HOME",
    "MEANS",
    "NEAR",
    "TRAIL",
    "advance",
    "distances",
    "follow",
    "learn",
    "shrinkage",
]

NEAR = 1.0 / 8.0
"""Weight of the newest vector in the near mean."""
HOME = 1.0 / 150.0
"""Weight of the near mean in the home level, while no finding is open."""
TRAIL = 1.0 / 15.0
"""Weight of the near mean in the trailing level."""
CLEAR = 0.68
"""A finding closes below this share of the limit that opens it."""
CONFIRM = 3
"""Vectors in a row beyond the limit that open a finding: one wrong vector is none."""
MEANS = 3
NEAR_, HOME_, TRAIL_ = 0, 1, 2

_CLIP = 8.0
"""Standardised values are cut here, so that one wild value does not fill the means."""
_CLIP_STEP = 4.0
"""Steps are cut here: a single wild value is two wild steps, and no noise."""
_WARM = 30
"""Vectors whose mean starts the means."""
_SETTLE = int(2.0 / NEAR)
"""Vectors before distances count, while the means forget how they started."""
_LEAST_CORRELATION = 0.05
_FIRST_PART = 0.6
"""Share of the baseline that the rest of it is checked against."""
_LEAST_FREEDOM, _MOST_FREEDOM = 1.5, 1e4
FREEDOM = np.exp(np.linspace(np.log(_LEAST_FREEDOM), np.log(_MOST_FREEDOM), 64))
"""Degrees of freedom for which :func:`shrinkage` is tabled."""


def shrinkage(limit: float) -> Array:
    """Factor on a distance in estimated sigmas, by degrees of freedom of the estimate.

    It makes the tail probability of Student's t at the limit that of the normal distribution: a
    sigma from few independent values counts for less. Shape (64,), for :data:`FREEDOM`.
    """
    tail = float(scipy.special.ndtr(-limit))
    return np.asarray(np.minimum(1.0, limit / -scipy.special.stdtrit(FREEDOM, tail)))


@njit(cache=True, error_model="numpy")
def _shrink(table: Array, freedom: float) -> float:
    low, high = np.log(_LEAST_FREEDOM), np.log(_MOST_FREEDOM)
    place = (np.log(min(max(freedom, _LEAST_FREEDOM), _MOST_FREEDOM)) - low) / (high - low)
    place *= len(table) - 1
    k = min(int(place), len(table) - 2)
    return float(table[k] + (place - k) * (table[k + 1] - table[k]))


@njit(cache=True, error_model="numpy")
def _features(x: Array, centre: Array, scale: Array, last: Array, y: Array, fresh: bool) -> None:
    """Turn a vector into features; a fresh start has no step, so its noise is not known (NaN)."""
    p = len(x)
    for j in range(p):
        z = (x[j] - centre[j]) * scale[j]
        z = min(max(z, -_CLIP), _CLIP)
        y[j] = z
        y[p + j] = np.nan if fresh else min(abs(z - last[j]), _CLIP_STEP)
        last[j] = z


@njit(cache=True, error_model="numpy")
def advance(
    x: Array,
    centre: Array,
    scale: Array,
    last: Array,
    y: Array,
    means: Array,
    fresh: bool,
) -> None:
    """Take a vector into the near means.

    Args:
        x: The vector, shape (p,).
        centre: Mean of each member, shape (p,).
        scale: 1 / standard deviation of each member, 0 for one that cannot be judged.
        last: Standardised values of the vector before; changed.
        y: Features, shape (2p,); changed.
        means: Shape (3, 2p); changed.
        fresh: No vector before belongs to this one.
    """
    _features(x, centre, scale, last, y, fresh)
    for k in range(len(y)):
        if y[k] == y[k]:
            means[NEAR_, k] += NEAR * (y[k] - means[NEAR_, k])


@njit(cache=True, error_model="numpy")
def _shape(mean: float, feature: int, count: int) -> float:
    """A mean as it is compared: that of steps, which is skew, to the power 2/3 (nearly normal)."""
    return mean if 2 * feature < count else mean ** (2.0 / 3.0)


@njit(cache=True, error_model="numpy")
def distances(means: Array, units: Array, z: Array) -> tuple[int, float, float]:
    """Distances of the near means from home, and of the near levels from the trailing ones.

    Less noise than usual is no distance.

    Args:
        means: Shape (3, 2p).
        units: 1 / unit of a distance: from home shape (2p,), then from the trail, shape (p,).
        z: Distances from home, signed for levels, shape (2p,); changed.

    Returns:
        The feature farthest from home, its distance, and the largest distance from the trail.
    """
    worst = 0
    most = -1.0
    moving = 0.0
    count = len(z)
    for k in range(count):
        near, home = means[NEAR_, k], means[HOME_, k]
        z[k] = (_shape(near, k, count) - _shape(home, k, count)) * units[k]
        if 2 * k >= count:
            z[k] = max(z[k], 0.0)
        if abs(z[k]) > most:
            most = abs(z[k])
            worst = k
    for j in range(count // 2):
        moving = max(moving, abs(means[NEAR_, j] - means[TRAIL_, j]) * units[count + j])
    return worst, most, moving


@njit(cache=True, error_model="numpy")
def follow(means: Array, home: bool) -> None:
    """Let the trailing levels follow the near means, and home too unless a finding is open."""
    for k in range(means.shape[1]):
        means[TRAIL_, k] += TRAIL * (means[NEAR_, k] - means[TRAIL_, k])
        if home:
            means[HOME_, k] += HOME * (means[NEAR_, k] - means[HOME_, k])


@njit(cache=True, error_model="numpy")
def _standardise(rows: Array, centre: Array, scale: Array) -> int:
    """Mean and 1 / standard deviation of each member; returns how many are constant.

    The standard deviation is at least that of rounding to the smallest step seen.
    """
    n, p = rows.shape
    constant = 0
    for j in range(p):
        mean = 0.0
        for i in range(n):
            mean += rows[i, j]
        mean /= n
        square = 0.0
        step = np.inf
        for i in range(n):
            square += (rows[i, j] - mean) ** 2
            if i > 0:
                size = abs(rows[i, j] - rows[i - 1, j])
                if 0.0 < size < step:
                    step = size
        centre[j] = mean
        if step == np.inf:
            scale[j] = 0.0
            constant += 1
        else:
            scale[j] = 1.0 / np.sqrt(max(square / n, step * step / 12.0))
    return constant


@njit(cache=True, error_model="numpy")
def _walk(
    rows: Array, centre: Array, scale: Array, last: Array, means: Array, away: Array
) -> Array:
    """Run the means over the rows; writes distances without units, shape (n, 3p).

    Returns:
        Variance of a feature without the wander of its level, from successive differences.
    """
    n, p = rows.shape
    y = np.zeros(2 * p)
    before = np.zeros(2 * p)
    noise = np.zeros(2 * p)
    begin = np.zeros(2 * p)
    start = min(_WARM, n)
    for i in range(start):
        _features(rows[i], centre, scale, last, y, i == 0)
        for k in range(2 * p):
            if y[k] == y[k]:
                begin[k] += y[k] / (start if k < p else start - 1)
    for level in range(MEANS):
        for k in range(2 * p):
            means[level, k] = begin[k]
    for i in range(n):
        advance(rows[i], centre, scale, last, y, means, i == 0)
        for k in range(2 * p):
            near, home = means[NEAR_, k], means[HOME_, k]
            away[i, k] = _shape(near, k, 2 * p) - _shape(home, k, 2 * p)
            if k < p:
                away[i, 2 * p + k] = means[NEAR_, k] - means[TRAIL_, k]
            if i > _SETTLE:
                noise[k] += (y[k] - before[k]) ** 2 / 2.0
            before[k] = y[k]
        follow(means, True)
    for k in range(p, 2 * p):
        # Small differences of m^(2/3) are those of m, times 2/3 m^(-1/3).
        noise[k] *= (2.0 / 3.0) ** 2 * begin[k] ** (-2.0 / 3.0) if begin[k] > 0.0 else 0.0
    mean: Array = noise / max(1, n - _SETTLE - 1)
    return mean


@njit(cache=True, error_model="numpy")
def _correlation_time(d: Array) -> float:
    """Integrated autocorrelation time in vectors, of distances around 0."""
    n = len(d)
    power = 0.0
    for i in range(n):
        power += d[i] * d[i]
    total = 1.0
    if power <= 0.0:
        return total
    for lag in range(1, n // 2):
        product = 0.0
        for i in range(lag, n):
            product += d[i] * d[i - lag]
        r = product / power * n / (n - lag)
        if r < _LEAST_CORRELATION:
            break
        total += 2.0 * r
    return total


@njit(cache=True, error_model="numpy")
def _units(away: Array, noise: Array, tables: Array, units: Array, scale: Array) -> None:
    """1 / unit of every distance: its sigma in the baseline, wider where that is badly known.

    The variance of a distance is that of the noise in the near mean, which many vectors tell, and
    that of the wander of the level, of which the baseline holds few independent pieces. Their
    degrees of freedom together are Satterthwaite's.
    """
    n, count = away.shape
    p = count // 3
    n -= _SETTLE
    part = NEAR / (2.0 - NEAR)
    for k in range(count):
        feature = k if k < 2 * p else k - 2 * p
        if scale[feature % p] == 0.0:
            units[k] = 0.0
            continue
        d = away[_SETTLE:, k]
        square = 0.0
        for i in range(n):
            square += d[i] * d[i]
        square /= n
        plain = noise[feature] * part
        wander = max(square - plain, 0.0)
        square = max(square, plain)
        pieces = max(n / max(_correlation_time(d), 2.0 / NEAR - 1.0), _LEAST_FREEDOM)
        shorter = min(plain, square)
        freedom = square**2 / (shorter**2 / n + wander**2 / pieces + 1e-300)
        table = tables[0] if k < 2 * p else tables[1]
        units[k] = _shrink(table, freedom) / np.sqrt(square) if square > 0.0 else 0.0


@njit(cache=True, error_model="numpy")
def learn(
    rows: Array,
    tables: Array,
    limit: float,
    check: float,
    centre: Array,
    scale: Array,
    units: Array,
    means: Array,
    last: Array,
) -> int:
    """Learn a baseline, and leave the means where they are after it.

    The last 40 % are first checked against the 60 % before: if they left them beyond ``check``, the
    baseline is contaminated, units come from its first part only, and what is going on at its end
    is a finding.

    Args:
        rows: The baseline, shape (N, p).
        tables: :func:`shrinkage` for the limits of home, trail and check, shape (3, 64).
        limit: Distance from home that opens a finding.
        check: The same for the check.
        centre: Shape (p,); changed.
        scale: Shape (p,); changed.
        units: Shape (3p,); changed.
        means: Shape (3, 2p); changed.
        last: Shape (p,); changed.

    Returns:
        0 usual, 1 contaminated and back, 2 contaminated and away at the end; -1 when every member
        is constant.
    """
    n, p = rows.shape
    half = int(n * _FIRST_PART)
    away = np.zeros((n, 3 * p))
    if _standardise(rows[:half], centre, scale) < p:
        noise = _walk(rows[:half], centre, scale, last, means, away[:half])
        loose = np.stack((tables[2], tables[2]))
        _units(away[:half], noise, loose, units, scale)
        found = _judge_rest(rows, half, check, 0.6 * check, centre, scale, units, means, last)
        if found > 0:
            _units(away[:half], noise, tables[:2], units, scale)
            _walk(rows[:half], centre, scale, last, means, away[:half])
            found = _judge_rest(rows, half, limit, CLEAR * limit, centre, scale, units, means, last)
            return max(found, 1)
    if _standardise(rows, centre, scale) == p:
        return -1
    noise = _walk(rows, centre, scale, last, means, away)
    _units(away, noise, tables[:2], units, scale)
    return 0


@njit(cache=True, error_model="numpy")
def _judge_rest(
    rows: Array,
    start: int,
    limit: float,
    clear: float,
    centre: Array,
    scale: Array,
    units: Array,
    means: Array,
    last: Array,
) -> int:
    """Judge the rows from ``start`` on: 0 nothing, 1 away for a time, 2 still away at the end."""
    p = rows.shape[1]
    y = np.zeros(2 * p)
    z = np.zeros(2 * p)
    found = 0
    beyond = 0
    for i in range(start, len(rows)):
        advance(rows[i], centre, scale, last, y, means, False)
        _, most, _ = distances(means, units, z)
        if found == 2:
            if most < clear:
                found = 1
                beyond = 0
        else:
            beyond = beyond + 1 if most > limit else 0
            if beyond >= CONFIRM:
                found = 2
        follow(means, found != 2)
    return found
