"""The compiled walk that watches how sources report; what it means stands in ``cadence``."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.model.batch import GOOD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CHANGES", "FIRST", "STATE", "cadence_rows"]

FIRST = 64
"""Changes and steps from which the usual ones are learned."""
CHANGES = 600
"""Changes that are counted after that; then the verdict is final."""
_LONG = 1.5
_SMALLEST = 1
"""The second smallest of FIRST changes: the 2 % quantile."""

STATE = np.dtype(
    [
        ("n", np.int64),  # good samples
        ("late", np.int64),
        ("skipped", np.int64),
        ("skipped_in_row", np.int64),
        ("time", np.int64),
        ("value", np.float64),
        ("change", np.float64),  # the last one, 0 after a hole
        ("moved", np.int64),  # changes that are not 0, up to FIRST
        ("stepped", np.int64),  # steps, up to FIRST
        ("smallest", np.float64),  # smallest usual change
        ("typical", np.float64),  # usual step, ns
        ("least", np.float64),  # smallest change of all, the resolution
        ("counted", np.int64),
        ("small", np.int64),
        ("turns", np.int64),
        ("long", np.int64),
        ("done", np.int64),
    ],
    align=True,
)
_LATE, _INVALID, _GAP = int(Mark.LATE), int(Mark.INVALID), int(Mark.AFTER_GAP)


@njit(cache=True, error_model="numpy")
def cadence_rows(
    start: int,
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    row_of: NDArray[np.int32],
    max_gap: NDArray[np.int64],
    state: NDArray[np.void],
    sizes: NDArray[np.float64],
    steps: NDArray[np.float64],
    out: NDArray[np.int64],
) -> tuple[int, int]:
    """Walk the rows from ``start`` on and note where enough has been seen of a sensor.

    Args:
        start: First row to look at.
        sensor: Shape (n,); dense sensor index.
        time_ns: Shape (n,); event time.
        value: Shape (n,).
        quality: Shape (n,).
        marks: Shape (n,).
        row_of: Shape (sensors,); row of a sensor, -1 for none.
        max_gap: Shape (rows,); longest step, ns.
        state: Shape (rows,) of STATE; changed.
        sizes: Shape (rows, FIRST); first changes; changed.
        steps: Shape (rows, FIRST); first steps, ns; changed.
        out: Shape (m, 2); batch row and row of every verdict, written from 0 on.

    Returns:
        Row to go on with (n when finished) and number of verdicts written.
    """
    written = 0
    for i in range(start, len(sensor)):
        r = row_of[sensor[i]]
        if r < 0:
            continue
        now = state[r]
        if now["done"]:
            continue
        if written == len(out):
            return i, written
        t = time_ns[i]
        x = value[i]
        if marks[i] & _LATE or (now["n"] > 0 and t < now["time"]):
            now["late"] += 1
            continue
        if quality[i] != GOOD or marks[i] & _INVALID or not isfinite(x):
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        step = t - now["time"]
        change = x - now["value"]
        fresh = now["n"] == 0 or step > max_gap[r] or marks[i] & _GAP
        turned = change * now["change"] < 0.0
        now["skipped_in_row"] = 0
        now["n"] += 1
        now["time"] = t
        now["value"] = x
        now["change"] = 0.0 if fresh else change
        if fresh:
            continue
        size = abs(change)
        if size > 0.0 and (now["least"] == 0.0 or size < now["least"]):
            now["least"] = size
        if now["moved"] < FIRST or now["stepped"] < FIRST:
            if size > 0.0 and now["moved"] < FIRST:
                sizes[r, now["moved"]] = size
                now["moved"] += 1
            if now["stepped"] < FIRST:
                steps[r, now["stepped"]] = step
                now["stepped"] += 1
            if now["moved"] == FIRST and now["stepped"] == FIRST:
                # Just below, so that equal steps of a digital sensor are not small by rounding.
                now["smallest"] = np.sort(sizes[r])[_SMALLEST] * (1.0 - 1e-6)
                now["typical"] = np.median(steps[r])
            continue
        now["counted"] += 1
        if step > _LONG * now["typical"]:
            now["long"] += 1
        if size < now["smallest"]:
            now["small"] += 1
        elif turned and size < 2.0 * now["smallest"]:
            now["turns"] += 1
        if now["counted"] == CHANGES:
            now["done"] = 1
            out[written, 0] = i
            out[written, 1] = r
            written += 1
    return len(sensor), written
