"""Maccor text export as CSV: two lines of dates, then a table whose current has no sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from connectors.recording.clock import local_time, since_first, utc_ns
from connectors.recording.frame import Frame
from connectors.recording.text import cells, split_line
from connectors.recording.vendor import begin, take

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from connectors.recording.mapping import Mapping
    from connectors.recording.notebook import Notebook
    from connectors.recording.text import Text

__all__ = ["FORMAT", "read", "recognises"]

FORMAT = "maccor"

_NAMES = {
    "Rec": ("record_index", "1"),
    "Cycle C": ("cycle_count", "1"),
    "Step": ("step_index", "1"),
    "Test Time (sec)": ("test_time", "s"),
    "Step Time (sec)": ("step_time", "s"),
    "Capacity": ("step_capacity", "Ah"),
    "Energy": ("step_energy", "Wh"),
    "Current": ("current_magnitude", "A"),
    "Voltage": ("voltage", "V"),
    "Temp 1": ("temperature_t1", "degC"),
}
_CLOCK = ("%d-%b-%y %I:%M:%S %p", "%d-%b-%Y %I:%M:%S %p")


def recognises(text: Text) -> bool:
    """The two date lines and a record column."""
    return (
        len(text.head) > 2
        and text.head[0].startswith("Today's Date")
        and text.head[2].startswith("Rec")
    )


def read(text: Text, notes: Notebook, zone: ZoneInfo, mapping: Mapping) -> Frame:
    """Read the file. Without ``discharge_steps`` in the mapping the current stays a magnitude."""
    table = cells(split_line(text.head[2], ","), text.after(3), ",", notes)
    frame = Frame(rows=table.rows, values={}, notes=notes, never_reset=False)
    take(frame, table, _NAMES, notes, ["DPT Time"])
    notes.add("UNIT_ASSUMED", "Capacity, Energy, Current and Voltage name no unit; Ah, Wh, A, V.")
    frame.time_s = frame.values.get("test_time_second")
    _direction(frame, mapping, notes)
    if "DPT Time" in table.columns and table.rows and frame.time_s is not None:
        texts = table.texts("DPT Time")
        begin(frame, utc_ns(local_time(texts[0], _CLOCK), zone, notes))
        frame.wall_s = since_first(texts, _CLOCK)
    return frame


def _direction(frame: Frame, mapping: Mapping, notes: Notebook) -> None:
    magnitude, step = frame.values.get("current_magnitude_ampere"), frame.values.get("step_index")
    if magnitude is None:
        return
    if mapping.discharge_steps and step is not None:
        down = np.isin(step, mapping.discharge_steps)
        frame.values["current_ampere"] = np.where(down, -magnitude, magnitude)
        del frame.values["current_magnitude_ampere"]
        return
    notes.add(
        "NO_SIGN",
        "The current has no sign: charge, efficiency and half cycles are refused until the mapping "
        "names discharge_steps. The column is current_magnitude_ampere, never current_ampere.",
        column="current_magnitude_ampere",
    )
