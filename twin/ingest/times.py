"""Event times as devices send them, made int nanoseconds since 1970 UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from twin.ingest.payload import iso_to_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["MISSING", "UNREADABLE", "to_ns"]

MISSING = np.iinfo(np.int64).min
"""Stands for a time that was not sent."""
UNREADABLE = MISSING + 1
"""Stands for a time that was sent and cannot be understood."""

_SCALE = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}
_EXACT = 9e15
"""Below, a float64 holds every integer."""


def to_ns(times: Sequence[Any], units: dict[int, str]) -> NDArray[np.int64]:
    """Convert times row by row; numbers tell their unit by size unless ``units`` says it.

    Seconds lie below 1e11, milliseconds below 1e14, microseconds below 1e17 (each good for the
    years 1973 to 5138). Results are rounded to a microsecond, so seconds sent as a float and
    milliseconds sent as an integer give the same time.

    Args:
        times: Numbers, ISO texts or None.
        units: Row to ``s``, ``ms``, ``us``, ``ns`` or ``iso``, where a mapping declares it.

    Returns:
        Shape (n,), ns; MISSING or UNREADABLE where there is no time.
    """
    try:
        numbers = np.array(times, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array(
            [_one(time, units.get(row, "auto")) for row, time in enumerate(times)], dtype=np.int64
        )
    if units or (len(numbers) and not float(np.abs(numbers).max()) < _EXACT):
        return np.array(
            [_one(time, units.get(row, "auto")) for row, time in enumerate(times)], dtype=np.int64
        )
    size = np.abs(numbers)
    factor = np.where(size < 1e11, 1e6, np.where(size < 1e14, 1e3, 1.0))
    return np.rint(numbers * factor).astype(np.int64) * 1000


def _one(time: Any, unit: str) -> int:
    if time is None:
        return int(MISSING)
    if isinstance(time, str):
        try:
            return iso_to_ns(time)
        except ValueError:
            return int(UNREADABLE)
    if isinstance(time, bool) or not isinstance(time, int | float) or time - time != 0:
        return int(UNREADABLE)
    if unit == "auto":
        size = abs(time)
        unit = "s" if size < 1e11 else "ms" if size < 1e14 else "us" if size < 1e17 else "ns"
    if unit not in _SCALE:
        return int(UNREADABLE)
    if isinstance(time, int):
        found = time * int(_SCALE[unit])
    else:
        found = round(time * (_SCALE[unit] / 1e3)) * 1000
    return found if abs(found) < 9_200_000_000_000_000_000 else int(UNREADABLE)
