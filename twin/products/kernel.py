"""The compiled walk that puts a product and a place beside every row of a batch.

Everything the walk remembers stands in two tables of small rings, one row per encoder and one per
spot (a station, or a formation channel of it). Rows are walked in journal order, so a place never
depends on a reading that was not known yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OPEN", "READINGS", "STAYS", "join", "position"]

READINGS = 64
"""Encoder readings kept per encoder: how far back a late row still gets its exact metre."""
STAYS = 16
"""Stays kept per spot: how far back a late row still finds its product."""
OPEN = np.iinfo(np.int64).max
"""End of a stay that has not ended."""

_BACKWARD_M = 1.0  # a smaller step back is the web rolling back, a larger one a new count
_NEAR_END = 0.9  # a counter that wraps was near its end before and is near its start after


@njit(cache=True, error_model="numpy")
def _take(
    e: int,
    time_ns: int,
    count: float,
    times: NDArray[np.int64],
    metres: NDArray[np.float64],
    filled: NDArray[np.int64],
    last: NDArray[np.float64],
    modulus: NDArray[np.float64],
) -> None:
    """Add an encoder reading; late ones and repetitions change nothing."""
    n = filled[e]
    if n == 0:
        times[e, 0], metres[e, 0] = time_ns, count
        last[e], filled[e] = count, 1
        return
    newest = n - 1
    if time_ns <= times[e, newest]:
        return
    step = count - last[e]
    if step < -_BACKWARD_M:
        whole = modulus[e]
        if whole > 0 and last[e] > _NEAR_END * whole and count < (1 - _NEAR_END) * whole:
            step += whole
        else:
            # The count began anew: what it shows now was travelled since then, unless the web
            # cannot have come that far. Metres between the last reading and the reset are lost.
            reach = _BACKWARD_M
            if n > 1 and times[e, newest] > times[e, newest - 1]:
                speed = (metres[e, newest] - metres[e, newest - 1]) / (
                    times[e, newest] - times[e, newest - 1]
                )
                reach += 2 * abs(speed) * (time_ns - times[e, newest])
            step = count if 0 <= count <= reach else 0.0
    metre = metres[e, newest] + step
    if n == READINGS:
        for j in range(READINGS - 1):
            times[e, j], metres[e, j] = times[e, j + 1], metres[e, j + 1]
        n = newest
    times[e, n], metres[e, n] = time_ns, metre
    last[e], filled[e] = count, n + 1


@njit(cache=True, error_model="numpy")
def position(
    e: int,
    time_ns: int,
    times: NDArray[np.int64],
    metres: NDArray[np.float64],
    filled: NDArray[np.int64],
) -> float:
    """Metres that passed the encoder until a time; NaN before the first reading is known.

    Between two readings the straight line; after the newest one the line goes on for at most one
    more interval and then stands still; before the oldest one the oldest counts.
    """
    n = filled[e]
    if n == 0:
        return np.nan
    j = n - 1
    while j >= 0 and times[e, j] > time_ns:
        j -= 1
    if j < 0:
        return float(metres[e, 0])
    since = time_ns - times[e, j]
    if j == n - 1:
        if n == 1:
            return float(metres[e, j])
        j -= 1
        span = times[e, j + 1] - times[e, j]
        step = metres[e, j + 1] - metres[e, j]
        return float(metres[e, j + 1] + step * (min(since, span) / span))
    span = times[e, j + 1] - times[e, j]
    return float(metres[e, j] + (metres[e, j + 1] - metres[e, j]) * (since / span))


@njit(cache=True, error_model="numpy")
def join(
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    product: NDArray[np.int32],
    place: NDArray[np.float64],
    spot_of: NDArray[np.int32],
    encoder_of: NDArray[np.int32],
    counts: NDArray[np.bool_],
    slot: NDArray[np.float64],
    offset: NDArray[np.float64],
    times: NDArray[np.int64],
    metres: NDArray[np.float64],
    filled: NDArray[np.int64],
    last: NDArray[np.float64],
    modulus: NDArray[np.float64],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    who: NDArray[np.int32],
    base: NDArray[np.float64],
    length: NDArray[np.float64],
    rows: NDArray[np.int64],
    stays: NDArray[np.int64],
) -> None:
    """Fill ``product`` and ``place`` of every row.

    Args:
        sensor: Shape (n,), dense sensor index, in range.
        time_ns: Shape (n,), event time, ns.
        value: Shape (n,).
        quality: Shape (n,); readings of an encoder with quality 0 are ignored.
        product: Shape (n,), written: index of the product, or -1.
        place: Shape (n,), written: metre on the web, slot number, or NaN.
        spot_of: Shape (sensors,), row of the stays a sensor looks at.
        encoder_of: Shape (sensors,), encoder of the sensor's station, or -1.
        counts: Shape (sensors,), the sensor is that encoder.
        slot: Shape (sensors,), number of the formation channel, or NaN.
        offset: Shape (sensors,), metres the sensor stands behind the encoder's point.
        times: Shape (encoders, READINGS), changed; ascending.
        metres: Shape (encoders, READINGS), changed; metres passed, without resets.
        filled: Shape (encoders,), changed; readings in use.
        last: Shape (encoders,), changed; newest count as sent.
        modulus: Shape (encoders,), count at which the counter wraps to 0; 0 when it never does.
        start: Shape (spots, STAYS), ascending.
        end: Shape (spots, STAYS).
        who: Shape (spots, STAYS), product index.
        base: Shape (spots, STAYS), changed; metre at which the run began, NaN until known.
        length: Shape (spots, STAYS), changed; longest metre of the run.
        rows: Shape (spots, STAYS), changed; rows joined.
        stays: Shape (spots,), stays in use.
    """
    for i in range(len(sensor)):
        s = sensor[i]
        t = time_ns[i]
        e = encoder_of[s]
        if counts[s] and quality[i] != 0 and not np.isnan(value[i]):
            _take(e, t, value[i], times, metres, filled, last, modulus)
        k = spot_of[s]
        j = stays[k] - 1
        while j >= 0 and start[k, j] > t:
            j -= 1
        place[i] = slot[s]
        if j < 0 or t >= end[k, j]:
            product[i] = -1
            continue
        product[i] = who[k, j]
        rows[k, j] += 1
        if e < 0 or filled[e] == 0:
            continue
        begin = base[k, j]
        if np.isnan(begin):
            begin = position(e, start[k, j], times, metres, filled)
            if times[e, filled[e] - 1] >= start[k, j]:
                base[k, j] = begin
        metre = position(e, t, times, metres, filled) - begin
        if counts[s]:
            length[k, j] = max(length[k, j], metre)
        place[i] = metre - offset[s]
