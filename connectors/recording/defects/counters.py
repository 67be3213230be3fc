"""Capacity and energy counters: resets, and what is lost by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from connectors.recording.columns import COUNTERS, unit_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connectors.recording.frame import Frame

__all__ = ["half_cycles", "reset_rows", "resets"]

RESET_AH = 1e-9
"""A counter that falls by less (1e-6 mA.h) has jitter, not a reset."""


def reset_rows(counter: NDArray[np.float64], threshold: float = RESET_AH) -> NDArray[np.int64]:
    """Rows at which a counter starts again.

    Args:
        counter: float64[n]; NaN rows never reset.
        threshold: Smallest fall that counts, in the unit of the counter.

    Returns:
        int64: rows that are lower than the row before by more than the threshold and hold less
        than half of it, so a net counter that counts down is not taken for one that resets.
    """
    before, after = counter[:-1], counter[1:]
    return np.flatnonzero((before - after > threshold) & (after < before / 2)) + 1


def resets(frame: Frame) -> None:
    """Counters that are said never to reset, and do."""
    if not frame.never_reset:
        return
    step = frame.values.get("step_index")
    for name in COUNTERS:
        counter = frame.values.get(name)
        if counter is None:
            continue
        rows = reset_rows(counter)
        inside = {int(r): step is not None and bool(step[r] == step[r - 1]) for r in rows}
        unit = unit_of(name).replace(".", "")
        frame.notes.each(
            "COUNTER_RESET",
            rows,
            lambda row, counter=counter, inside=inside, name=name, unit=unit: (  # type: ignore[misc]  # defaults bind the loop variables
                float(counter[row]),
                f"Row {row}: {name} starts again after {counter[row - 1]:.8g} {unit}"
                + (" inside a step" if inside[row] else "")
                + "; the column was kept as it is, integrate the current instead.",
                {"lost": float(counter[row - 1]), "inside_step": inside[row]},
            ),
            column=name,
        )


def half_cycles(frame: Frame) -> None:
    """A counter per half cycle: its resets are meant, tiny steps back are jitter."""
    counter = frame.values.get("half_cycle_capacity_ah")
    if counter is None:
        return
    back = np.flatnonzero(np.diff(counter) < 0) + 1
    jitter = np.setdiff1d(back, reset_rows(counter))
    if len(jitter):
        row = int(jitter[0])
        worst = float((counter[jitter - 1] - counter[jitter]).max())
        frame.notes.add(
            "COUNTER_JITTER",
            f"half_cycle_capacity_ah goes back {len(jitter)} times by at most {worst:.2g} A.h; "
            "that is no reset.",
            row=row,
            column="half_cycle_capacity_ah",
            value=float(counter[row]),
            count=len(jitter),
            worst_ah=worst,
            resets=len(back) - len(jitter),
        )
