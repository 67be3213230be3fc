"""BioLogic text: BT-Lab files with a header block, and bare column exports without one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from connectors.recording.clock import local_time, utc_ns
from connectors.recording.frame import Frame
from connectors.recording.text import cells, first_line, numbers, split_line
from connectors.recording.vendor import take
from twin.errors import RecordingError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from connectors.recording.mapping import Mapping
    from connectors.recording.notebook import Notebook
    from connectors.recording.text import Text

__all__ = ["FORMAT", "read", "recognises"]

FORMAT = "biologic"

_NAMES = {
    "time/s": ("test_time", "s"),
    "Ecell/V": ("voltage", "V"),
    "Ewe/V": ("voltage", "V"),
    "I/mA": ("current", "mA"),
    "<I>/mA": ("current", "mA"),
    "Ns": ("step_index", "1"),
    "cycle number": ("cycle_count", "1"),
    "step time/s": ("step_time", "s"),
    "(Q-Qo)/mA.h": ("net_capacity", "mA.h"),
    "Q charge/mA.h": ("charging_capacity", "mA.h"),
    "Q discharge/mA.h": ("discharging_capacity", "mA.h"),
    "Capacity/mA.h": ("half_cycle_capacity", "mA.h"),
    "Energy charge/W.h": ("charging_energy", "W.h"),
    "Energy discharge/W.h": ("discharging_energy", "W.h"),
    "P/W": ("power", "W"),
    "R/Ohm": ("internal_resistance", "Ohm"),
    "Temperature/°C": ("temperature_t1", "degC"),
}
_HEADER_LINES = re.compile(r"^Nb header lines\s*:\s*(\d+)")
_FACT = re.compile(r"^([A-Z][A-Za-z ]*?) : +(.+?)\s*$")
_CLOCK = ("%m/%d/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S")
"""US order, as the program writes it; the file does not say so."""


def recognises(text: Text) -> bool:
    """A BT-Lab or EC-Lab header, or tab separated columns with a BioLogic cell voltage."""
    first = text.head[0]
    if first.startswith(("BT-Lab ASCII FILE", "EC-Lab ASCII FILE")):
        return True
    names = first.split("\t")
    return len(names) > 1 and any(name.strip() in {"Ecell/V", "Ewe/V"} for name in names)


def read(text: Text, notes: Notebook, zone: ZoneInfo, mapping: Mapping) -> Frame:  # noqa: ARG001 - one signature for all formats
    """Read the file; time counts from the start of the acquisition named in the header."""
    row = 0
    place = first_line(text, _HEADER_LINES.pattern, 5)
    if place is not None and (match := _HEADER_LINES.match(text.head[place])):
        row = int(match[1]) - 1
        if not 0 <= row < len(text.head):
            raise RecordingError(f"the header says it has {match[1]} lines, the file has fewer")
    table = cells(split_line(text.head[row], "\t"), text.after(row + 1), "\t", notes)
    frame = Frame(rows=table.rows, values={}, notes=notes)
    take(frame, table, _NAMES, notes, ["Ns changes"])
    frame.metadata = {
        found[1]: found[2] for line in text.head[:row] if (found := _FACT.match(line))
    }
    frame.time_s = frame.values.get("test_time_second")
    if frame.time_s is not None and "Acquisition started on" in frame.metadata:
        local = local_time(frame.metadata["Acquisition started on"], _CLOCK)
        frame.start_ns = utc_ns(local, zone, notes)
        if local.day <= 12:
            notes.add(
                "DATE_ORDER",
                f"The date {local.date()} was read as month/day/year; the file does not say so.",
            )
    if "Ns changes" in table.columns:
        _late_flag(frame, numbers(table, "Ns changes", notes), notes)
    return frame


def _late_flag(frame: Frame, flag: np.ndarray, notes: Notebook) -> None:
    """``Ns changes`` may stand on the second row of a step; the step number is what counts."""
    step = frame.values.get("step_index")
    if step is None:
        return
    change = np.flatnonzero(np.diff(step) != 0) + 1
    late = [row for row in change if not flag[row] and row + 1 < len(flag) and flag[row + 1]]
    notes.each(
        "STEP_FLAG_LATE",
        late,
        lambda row: (
            float(step[row]),
            (
                f"Row {row} is the first of step {step[row]:g}, but the change is flagged one row "
                "later; the step number was used."
            ),
            {},
        ),
        column="step_index",
    )
