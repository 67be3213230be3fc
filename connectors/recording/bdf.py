"""Battery Data Format as CSV: machine names or labels in one header line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from connectors.recording.columns import named
from connectors.recording.frame import Frame
from connectors.recording.text import cells, numbers, split_line
from connectors.recording.vendor import begin

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from connectors.recording.mapping import Mapping
    from connectors.recording.notebook import Notebook
    from connectors.recording.text import Text

__all__ = ["FORMAT", "read", "recognises"]

FORMAT = "bdf"

_MARKS = {"test_time_second", "unix_time_second"}


def recognises(text: Text) -> bool:
    """A header of BDF names with a time and a voltage or current."""
    names = {found[0] for head in split_line(text.head[0], ",") if (found := named(head))}
    return bool(names & _MARKS) and bool(names & {"voltage_volt", "current_ampere"})


def read(text: Text, notes: Notebook, zone: ZoneInfo, mapping: Mapping) -> Frame:  # noqa: ARG001 - one signature for all formats
    """Read the file; absolute time from ``unix_time_second`` of the first row, if there is one."""
    header = split_line(text.head[0], ",")
    table = cells(header, text.after(1), ",", notes)
    frame = Frame(rows=table.rows, values={}, notes=notes)
    for head in table.columns:
        found = named(head)
        if found is None:
            notes.add(
                "COLUMN_NOT_USED", f'Column "{head}" is no BDF quantity; left out.', column=head
            )
            continue
        name, scale = found
        if name == "step_type":
            notes.add("COLUMN_NOT_USED", "step_type is text; left out.", column=head)
            continue
        frame.values[name] = scale(numbers(table, head, notes, name))
    unix = frame.values.get("unix_time_second")
    frame.time_s = frame.values.get("test_time_second")
    if frame.time_s is None and unix is not None:
        frame.time_s = unix - unix[0] if table.rows else unix
    if unix is not None and table.rows and np.isfinite(unix[0]):
        begin(frame, round(float(unix[0]) * 1e6) * 1000)
    return frame
