"""Values: integers that are none, columns nobody measured, coarse steps, repeated rows."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING

import numpy as np

from connectors.recording.columns import INTEGERS, unit_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connectors.recording.frame import Frame

__all__ = [
    "coarse",
    "not_integer",
    "not_measured",
    "power",
    "repeated",
    "sign",
    "temperature_spread",
]

MIN_ROWS = 10
"""Fewer rows say nothing about a constant column."""

COARSE = 0.05
"""Resolution above this part of the median makes an integral uncertain."""

SPREAD_K = 5.0
"""Thermocouples of one cell that differ by more disagree (control plan row CP39)."""

POWER = 0.005
"""Power may differ from V·I by this part of the largest power."""

THERMOCOUPLE = re.compile(r"^temperature_t\d_celsius$")


def not_integer(frame: Frame) -> None:
    """Columns that count hold integers; 2 pi instead of 1 comes from a unit library (turn, rad)."""
    for name in sorted(INTEGERS & set(frame.values)):
        column = frame.values[name]
        rows = np.flatnonzero(np.isfinite(column) & (column != np.rint(column)))
        if not len(rows):
            continue
        row, value = int(rows[0]), float(column[rows[0]])
        turns = column[rows] / (2 * math.pi)
        offered = float(np.rint(turns[0])) if np.allclose(turns, np.rint(turns)) else None
        advice = f"; {offered:g} is offered (value / 2 pi), not used" if offered else ""
        frame.notes.add(
            "NOT_INTEGER",
            f"{name} must be an integer but is {value!r} in {len(rows)} rows{advice}.",
            row=row,
            column=name,
            value=value,
            count=len(rows),
            offered=offered,
        )


def not_measured(frame: Frame) -> None:
    """A column that never changes was not measured, or tells nothing."""
    if frame.rows < MIN_ROWS:
        return
    for name, column in {**frame.values, **frame.watched}.items():
        filled = column[np.isfinite(column)]
        if not len(filled):
            frame.notes.add(
                "EMPTY_COLUMN", f"{name} has no value in any row.", column=name, count=frame.rows
            )
            continue
        value = float(filled[0])
        if len(filled) < MIN_ROWS or np.any(filled != value):
            continue
        if name == "cycle_count":
            text = f"cycle_count is {value:g} in all rows: it cannot be used to find cycles."
            frame.notes.add("CYCLE_CONSTANT", text, column=name, value=value, count=len(filled))
        elif name not in INTEGERS and name != "step_type":
            text = f"{name} is {value:g} in all {len(filled)} rows: not measured, or never updated."
            frame.notes.add("NOT_MEASURED", text, column=name, value=value, count=len(filled))


def coarse(frame: Frame) -> None:
    """Current or capacity rounded too coarsely for its size."""
    for name in ("current_ampere", "charging_capacity_ah", "discharging_capacity_ah"):
        column = frame.values.get(name)
        if column is None:
            continue
        size = np.abs(column[np.isfinite(column) & (column != 0)])
        if len(size) < MIN_ROWS or len(np.unique(size)) < 3:
            continue
        resolution, median = _resolution(size), float(np.median(size))
        if resolution > COARSE * median:
            finer = _finer_counter(frame, name)
            frame.notes.add(
                "COARSE_RESOLUTION",
                f"{name} has steps of {resolution:g} at a median of {median:g} {unit_of(name)}: "
                "charges from it are uncertain"
                + (f"; {finer} is finer." if finer else ", and no finer counter is there."),
                column=name,
                value=resolution / median,
                resolution=resolution,
                median=median,
                finer=finer,
            )


def _resolution(size: NDArray[np.float64]) -> float:
    """Largest power of ten all values are multiples of; 0 when there is none down to 1e-9."""
    for digits in range(10):
        scaled = size * 10.0**digits
        if np.all(np.abs(scaled - np.rint(scaled)) < 1e-6):
            return 10.0**-digits
    return 0.0


def _finer_counter(frame: Frame, name: str) -> str | None:
    """A capacity counter that resolves its own size well."""
    if name != "current_ampere":
        return "current_ampere" if "current_ampere" in frame.values else None
    for other in ("charging_capacity_ah", "discharging_capacity_ah", "net_capacity_ah"):
        column = frame.values.get(other)
        if column is None or not np.any(column):
            continue
        size = np.abs(column[np.isfinite(column) & (column != 0)])
        if _resolution(size) <= COARSE * float(np.median(size)):
            return other
    return None


def repeated(frame: Frame, time_ns: NDArray[np.int64] | None) -> None:
    """Rows equal to the row before in every column: kept, of no use for rates and dQ/dV."""
    if frame.rows < 2 or not frame.values:
        return
    same = np.ones(frame.rows - 1, bool) if time_ns is None else np.diff(time_ns) == 0
    for column in frame.values.values():
        same &= (column[1:] == column[:-1]) | (np.isnan(column[1:]) & np.isnan(column[:-1]))
    frame.notes.each(
        "REPEATED_ROW",
        np.flatnonzero(same) + 1,
        lambda row: (
            None,
            f"Row {row} repeats the row before exactly; kept, exclude it from rates and dQ/dV.",
            {},
        ),
    )


def temperature_spread(frame: Frame) -> None:
    """Thermocouples of one cell that disagree: which one is wrong, the others say."""
    names = sorted(name for name in frame.values if THERMOCOUPLE.match(name))
    if len(names) < 2:
        return
    block = np.array([frame.values[name] for name in names])
    spread = np.round(block.max(axis=0) - block.min(axis=0), 6)
    over = spread > SPREAD_K
    if not over.any():
        return
    worst = int(np.nanargmax(spread))
    odd = names[int(np.argmax(np.abs(block[:, worst] - np.median(block[:, worst]))))]
    starts = np.flatnonzero(over & ~np.r_[False, over[:-1]])
    frame.notes.each(
        "TEMPERATURE_SPREAD",
        starts,
        lambda row: (
            float(spread[row]),
            (
                f"Row {row}: thermocouples differ by {spread[row]:g} K; over the file "
                f"{int(over.sum())} rows, worst {spread[worst]:g} K at row {worst}, where {odd} stands "
                "apart from the others."
            ),
            {
                "rows": int(over.sum()),
                "max_k": float(spread[worst]),
                "max_row": worst,
                "stands_apart": odd,
            },
        ),
        column=odd,
    )


def power(frame: Frame) -> None:
    """Power must be voltage times current."""
    names = ("power_watt", "voltage_volt", "current_ampere")
    if not all(name in frame.values for name in names):
        return
    watt, volt, ampere = (frame.values[name] for name in names)
    off = np.abs(watt - volt * ampere)
    limit = POWER * float(np.nanmax(np.abs(watt), initial=0.0))
    rows = np.flatnonzero(off > limit)
    if limit > 0 and len(rows):
        row = int(rows[0])
        frame.notes.add(
            "POWER_MISMATCH",
            f"power_watt differs from voltage times current in {len(rows)} rows, by up to "
            f"{np.nanmax(off):.3g} W.",
            row=row,
            column="power_watt",
            value=float(watt[row]),
            count=len(rows),
            worst_w=float(np.nanmax(off)),
        )


def sign(frame: Frame) -> None:
    """A current that is never negative although the cell discharges has lost its sign."""
    names = ("voltage_volt", "current_ampere", "step_index")
    if not all(name in frame.values for name in names) or frame.rows < MIN_ROWS:
        return
    volt, ampere, step = (frame.values[name] for name in names)
    if np.any(ampere < 0) or not np.any(ampere > 0):
        return
    edges = np.r_[0, np.flatnonzero(np.diff(step) != 0) + 1, frame.rows]
    for start, stop in itertools.pairwise(edges):
        if stop - start < MIN_ROWS or not np.all(ampere[start + 1 : stop] > 0):
            continue
        fall = float(volt[start + 1] - volt[stop - 1])
        if fall > 0.05:
            frame.notes.add(
                "SIGN_SUSPECT",
                f"Step {step[start]:g} loses {fall:.3g} V at a positive current, and no current in "
                "the file is negative: the sign seems to be missing. Nothing was changed.",
                row=int(start),
                column="current_ampere",
                value=float(ampere[start + 1]),
            )
            return
