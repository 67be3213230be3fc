"""Rules for the defects real recordings have. Each looks at whole columns and writes notes.

A rule says what it found and what was done or is offered. Only one of them changes anything: the
time of a single row that goes back and returns is repaired, because the rows around it say what
it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.recording.defects import clocks, counters, units, values

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from connectors.recording.frame import Frame

__all__ = ["inspect"]


def inspect(frame: Frame, time_ns: NDArray[np.int64], nominal_ah: float | None) -> None:
    """Apply every rule that the columns of a frame allow.

    Args:
        frame: The recording; gets notes.
        time_ns: int64[n], repaired event times.
        nominal_ah: Nameplate capacity, if anybody declared it.
    """
    if frame.time_s is not None:
        clocks.zero_steps(frame, time_ns)
        clocks.near_steps(frame, time_ns)
        clocks.drift(frame)
        clocks.wall_clock(frame, time_ns)
        clocks.factor(frame, time_ns, nominal_ah)
        clocks.step_time(frame, time_ns)
    counters.resets(frame)
    counters.half_cycles(frame)
    values.not_integer(frame)
    values.not_measured(frame)
    values.coarse(frame)
    values.repeated(frame, time_ns if frame.time_s is not None else None)
    values.temperature_spread(frame)
    values.power(frame)
    values.sign(frame)
    units.interchanged(frame, time_ns)
