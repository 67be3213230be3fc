"""The compiled walk of the validity tests; what they mean stands in ``validity``."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.model.batch import GOOD, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CHANGE", "GAP", "RATE", "SETTINGS", "SPIKE", "STATE", "STUCK", "validity_rows"]

SETTINGS = np.dtype(
    [
        ("max_gap", np.int64),
        ("stuck", np.int64),  # ns, NEVER = off
        ("same", np.float64),  # values this close are the same
        ("spike", np.float64),  # inf = off
        ("rate", np.float64),  # per ns, inf = off
        ("least_dt", np.float64),  # ns
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("seen", np.int64),  # good samples
        ("fresh", np.int64),  # 1 = nothing to compare with
        ("late", np.int64),
        ("skipped", np.int64),
        ("skipped_in_row", np.int64),
        ("time", np.int64),  # of the last good sample
        ("valid", np.float64),  # last valid value and its time
        ("valid_time", np.int64),
        ("flat", np.float64),  # value that stays the same, since when and how often
        ("flat_time", np.int64),
        ("flat_n", np.int64),
        ("open", np.int64),  # bits of STUCK and RATE
        ("waiting", np.int64),  # 1 = a value is withheld until the next sample
        ("held", np.float64),
        ("held_time", np.int64),
        ("held_n", np.int64),
        ("held_product", np.int64),
        ("held_place", np.float64),
    ],
    align=True,
)
CHANGE = np.dtype(
    [
        ("row", np.int64),
        ("sensor", np.int64),
        ("rule", np.int64),
        ("opens", np.int64),
        ("by_gap", np.int64),
        ("n", np.int64),
        ("time_first", np.int64),
        ("time_last", np.int64),
        ("value", np.float64),
        ("before", np.float64),  # last valid value
        ("product", np.int64),
        ("place", np.float64),
    ],
    align=True,
)
STUCK, SPIKE, RATE, GAP = int(Mark.STUCK), int(Mark.SPIKE), int(Mark.RATE), int(Mark.AFTER_GAP)
_LATE = int(Mark.LATE)
_FLAT_SAMPLES = 3
"""The same value fewer times than this is not stuck, however long it took."""
_ROOM = 6
"""Most changes one row can cause."""


@njit(cache=True, error_model="numpy")
def _note(
    out: NDArray[np.void],
    at: int,
    row: int,
    sensor: int,
    rule: int,
    opens: int,
    by_gap: int,
    n: int,
    time_first: int,
    time_last: int,
    value: float,
    before: float,
    product: int,
    place: float,
) -> int:
    change = out[at]
    change["row"] = row
    change["sensor"] = sensor
    change["rule"] = rule
    change["opens"] = opens
    change["by_gap"] = by_gap
    change["n"] = n
    change["time_first"] = time_first
    change["time_last"] = time_last
    change["value"] = value
    change["before"] = before
    change["product"] = product
    change["place"] = place
    return at + 1


@njit(cache=True, error_model="numpy")
def _returned(before: float, held: float, after: float, spike: float) -> bool:
    """Whether a withheld value stands out from both its neighbours."""
    middle = max(min(before, held), min(max(before, held), after))
    return bool(abs(held - middle) > spike)


@njit(cache=True, error_model="numpy")
def validity_rows(
    start: int,
    sensor: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    product: NDArray[np.int32],
    place: NDArray[np.float64],
    row_of: NDArray[np.int32],
    settings: NDArray[np.void],
    state: NDArray[np.void],
    out: NDArray[np.void],
) -> tuple[int, int]:
    """Walk the rows from ``start`` on, set marks and write what changed into ``out``.

    Args:
        start: First row to look at.
        sensor: Shape (n,); dense sensor index.
        time_ns: Shape (n,); event time.
        value: Shape (n,); unit of the sensor.
        quality: Shape (n,).
        marks: Shape (n,); changed.
        product: Shape (n,); index into the product table.
        place: Shape (n,).
        row_of: Shape (sensors,); row of a sensor, -1 for none.
        settings: Shape (rows,).
        state: Shape (rows,); changed.
        out: Shape (m,), m >= 6; written from 0 on.

    Returns:
        Row to go on with (n when finished) and number of changes written.
    """
    w = 0
    for i in range(start, len(sensor)):
        s = row_of[sensor[i]]
        if s < 0:
            continue
        if w + _ROOM > len(out):
            return i, w
        now = state[s]
        x = value[i]
        t = time_ns[i]
        if marks[i] & _LATE or (now["seen"] > 0 and t < now["time"]):
            now["late"] += 1
            continue
        if quality[i] != GOOD or not isfinite(x):
            now["skipped"] += 1
            now["skipped_in_row"] += 1
            continue
        spec = settings[s]
        n = now["seen"] + 1
        before = now["time"]
        mark = 0
        if n > 1 and t - before > spec["max_gap"]:
            mark |= GAP
            for rule in (STUCK, RATE):
                if now["open"] & rule:
                    w = _note(
                        out, w, i, s, rule, 0, 1, n - 1, 0, before, x, 0.0, product[i], place[i]
                    )
            w = _note(out, w, i, s, GAP, 1, 0, n, before, t, x, now["valid"], product[i], place[i])
            now["open"] = 0
            now["waiting"] = 0
            now["fresh"] = 1
        if n == 1:
            now["fresh"] = 1

        if now["waiting"]:
            now["waiting"] = 0
            if _returned(now["valid"], now["held"], x, spec["spike"]):
                w = _note(
                    out,
                    w,
                    i,
                    s,
                    SPIKE,
                    1,
                    0,
                    now["held_n"],
                    now["held_time"],
                    now["held_time"],
                    now["held"],
                    now["valid"],
                    now["held_product"],
                    now["held_place"],
                )
            else:
                now["valid"] = now["held"]
                now["valid_time"] = now["held_time"]

        if now["fresh"] == 0:
            step = abs(x - now["valid"])
            if step > spec["spike"]:
                mark |= SPIKE
                now["waiting"] = 1
                now["held"] = x
                now["held_time"] = t
                now["held_n"] = n
                now["held_product"] = product[i]
                now["held_place"] = place[i]
            if step > spec["rate"] * max(float(t - now["valid_time"]), spec["least_dt"]):
                mark |= RATE

        if now["fresh"] == 0 and abs(x - now["flat"]) <= spec["same"]:
            now["flat_n"] += 1
            if t - now["flat_time"] > spec["stuck"] and now["flat_n"] >= _FLAT_SAMPLES:
                mark |= STUCK
        else:
            now["flat"] = x
            now["flat_time"] = t
            now["flat_n"] = 1

        for rule in (STUCK, RATE):
            if mark & rule and not now["open"] & rule:
                first = now["flat_time"] if rule == STUCK else t
                w = _note(
                    out, w, i, s, rule, 1, 0, n, first, t, x, now["valid"], product[i], place[i]
                )
            elif now["open"] & rule and not mark & rule:
                w = _note(out, w, i, s, rule, 0, 0, n - 1, 0, before, x, 0.0, product[i], place[i])
        now["open"] = mark & (STUCK | RATE)
        if not mark & (SPIKE | RATE):
            now["valid"] = x
            now["valid_time"] = t
        now["fresh"] = 0
        now["seen"] = n
        now["time"] = t
        now["skipped_in_row"] = 0
        marks[i] |= mark
    return len(sensor), w
