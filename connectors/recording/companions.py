"""Files that lie beside a recording: a summary table, a list of electrode masses."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from connectors.recording.frame import Frame

__all__ = ["compare_summary", "is_summary", "mass_mg"]

SUMMARY = "_metadata"
"""A summary has the name of its series with this at the end."""

AGREE = 0.01
"""Recomputed and stored values within this part of each other agree."""


def is_summary(first: str) -> bool:
    """Whether a first line is the header of a summary table (one row per cycle, no series)."""
    names = set(first.split(","))
    return {"Cycle", "Qc", "Qd", "CE"} <= names


def compare_summary(path: Path, frame: Frame, time_ns: NDArray[np.int64]) -> None:
    """Recompute what a summary beside the series claims, and note where they differ.

    The stored values are never taken over; the series is what was measured.
    """
    beside = path.with_name(f"{path.stem}{SUMMARY}{path.suffix}")
    if not beside.is_file():
        return
    with beside.open(encoding="utf-8-sig", newline="") as file:
        stored = next(csv.DictReader(file), None)
    if stored is None:
        return
    claimed = {
        key: _number(stored.get(key, "")) for key in ("Qc", "Qd", "CE", "AverageChargeVoltage")
    }
    found = _recompute(frame, time_ns)
    differ = {
        key: {"stored": value, "series": found[key]}
        for key, value in claimed.items()
        if value is not None and not _agree(value, found[key])
    }
    if differ:
        frame.notes.add(
            "SUMMARY_MISMATCH",
            f"{beside.name} does not describe this series: "
            + ", ".join(
                f"{k} {v['stored']:.5g} (series {v['series'] or 0:.5g})" for k, v in differ.items()
            )
            + ". Its values were not taken over.",
            count=len(differ),
            differ=differ,
        )
    _implausible_voltage(frame, claimed["AverageChargeVoltage"], beside.name)


def _implausible_voltage(frame: Frame, average: float | None, name: str) -> None:
    ends = frame.metadata.get("end_voltages") or []
    if average is not None and ends and average > max(ends):
        frame.notes.add(
            "SUMMARY_IMPLAUSIBLE",
            f"{name} has an average charge voltage of {average:.4g} V, above the highest end "
            f"voltage of the program, {max(ends):g} V.",
            value=average,
            end_voltage=max(ends),
        )


def _recompute(frame: Frame, time_ns: NDArray[np.int64]) -> dict[str, float | None]:
    current, voltage = frame.values.get("current_ampere"), frame.values.get("voltage_volt")
    if current is None or voltage is None or frame.rows < 2:
        return dict.fromkeys(("Qc", "Qd", "CE", "AverageChargeVoltage"))
    charge = np.diff(time_ns) / 3.6e12 * (current[1:] + current[:-1]) / 2
    energy = charge * (voltage[1:] + voltage[:-1]) / 2
    up, down = float(charge[charge > 0].sum()), -float(charge[charge < 0].sum())
    return {
        "Qc": up,
        "Qd": down,
        "CE": down / up if up else None,
        "AverageChargeVoltage": float(energy[charge > 0].sum()) / up if up else None,
    }


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _agree(stored: float, found: float | None) -> bool:
    return found is not None and abs(stored - found) <= AGREE * max(abs(stored), abs(found))


def mass_mg(path: Path) -> float | None:
    """Electrode mass of a cell from a ``*masses.csv`` beside the recording, mg.

    The key is the cell name inside the file name of the recording.
    """
    for beside in sorted(path.parent.glob("*masses.csv")):
        with beside.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("File name") and row["File name"] in path.stem:
                    return _number(row.get("Mass (mg)") or "")
    return None
