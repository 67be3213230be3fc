"""Headers that name the wrong unit: slopes of voltage and current that were interchanged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connectors.recording.frame import Frame

__all__ = ["interchanged"]

_SLOPE = re.compile(r"^d(?P<of>[VI])/?dt \((?P<unit>[^/)]+)/(?P<time>s|min|h)\)$")
_UNIT = {"V": {"V"}, "I": {"A"}}
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def interchanged(frame: Frame, time_ns: NDArray[np.int64]) -> None:
    """Compare the unit of a slope with its name, and its numbers with slopes of the series."""
    slopes = {head: match for head in frame.watched if (match := _SLOPE.match(head))}
    wrong = [head for head, match in slopes.items() if match["unit"] not in _UNIT[match["of"]]]
    if wrong:
        zero = all(not np.any(frame.watched[head]) for head in wrong)
        frame.notes.add(
            "UNIT_INTERCHANGED",
            f"The units of {' and '.join(wrong)} do not fit the quantity"
            + ("; all values are 0." if zero else ".")
            + " The columns were left out.",
            column=wrong[0],
            count=len(wrong),
            columns=wrong,
            all_zero=zero,
        )
    for head, match in slopes.items():
        if head not in wrong and _fits_the_other(frame, head, match, time_ns):
            frame.notes.add(
                "UNIT_INTERCHANGED",
                f"The values of {head} are the slope of the other quantity; the columns were "
                "left out.",
                column=head,
                columns=[head],
            )


def _fits_the_other(
    frame: Frame, head: str, match: re.Match[str], time_ns: NDArray[np.int64]
) -> bool:
    """Whether numbers under dV/dt are the slope of the current, or the reverse."""
    voltage, current = frame.values.get("voltage_volt"), frame.values.get("current_ampere")
    if voltage is None or current is None or frame.time_s is None or len(time_ns) < 4:
        return False
    seconds = np.diff(time_ns) / 1e9
    seconds[seconds <= 0] = np.nan
    own, other = (voltage, current) if match["of"] == "V" else (current, voltage)
    scale = _SECONDS[match["time"]]
    column = frame.watched[head][1:]

    def deviation(series: NDArray[np.float64]) -> float:
        slope = np.diff(series) / seconds * scale
        usable = np.isfinite(slope) & np.isfinite(column) & (column != 0)
        if np.count_nonzero(usable) < 3:
            return np.inf
        return float(np.median(np.abs(slope[usable] / column[usable] - 1)))

    return deviation(other) < 0.1 < deviation(own)
