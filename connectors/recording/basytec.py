"""BaSyTec text: comment lines with ``~``, the last of them names the tab separated columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from connectors.recording.clock import local_time, utc_ns
from connectors.recording.frame import Frame
from connectors.recording.text import cells
from connectors.recording.vendor import take
from twin.errors import RecordingError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from connectors.recording.mapping import Mapping
    from connectors.recording.notebook import Notebook
    from connectors.recording.text import Text

__all__ = ["FORMAT", "read", "recognises"]

FORMAT = "basytec"

_SECONDS = {"s": "s", "min": "min", "h": "h"}
_NAMES = {
    **{f"Time[{unit}]": ("test_time", unit) for unit in _SECONDS},
    **{f"t-Step[{unit}]": ("step_time", unit) for unit in _SECONDS},
    "DataSet": ("record_index", "1"),
    "Line": ("step_index", "1"),
    "U[V]": ("voltage", "V"),
    "I[A]": ("current", "A"),
    "P[W]": ("power", "W"),
    "Ah[Ah]": ("net_capacity", "Ah"),
    "Ah-Cyc-Charge": ("cycle_charging_capacity", "Ah"),
    "Ah-Cyc-Discharge": ("cycle_discharging_capacity", "Ah"),
    "Ah-Step": ("step_capacity", "Ah"),
    "Wh[Wh]": ("net_energy", "Wh"),
    "R-AC": ("ac_internal_resistance", "Ohm"),
    "R-DC": ("dc_internal_resistance", "Ohm"),
    "Cyc-Count": ("cycle_count", "1"),
}
_TEMPERATURE = re.compile(r"^T([1-5])\[.C\]$")
_FACT = re.compile(r"^~([^:~]+): (.+)$")
_CLOCK = ("%d.%m.%Y %H:%M:%S",)


def recognises(text: Text) -> bool:
    """Comment lines and a column line with the time in brackets."""
    return text.head[0].startswith("~") and any(s.startswith("~Time[") for s in text.head)


def read(text: Text, notes: Notebook, zone: ZoneInfo, mapping: Mapping) -> Frame:  # noqa: ARG001 - one signature for all formats
    """Read the file; the comment ``Start of Test`` (German date) gives the start."""
    comments = 0
    while comments < len(text.head) and text.head[comments].startswith("~"):
        comments += 1
    header = text.head[comments - 1]
    if not header.startswith("~Time["):
        raise RecordingError("a BaSyTec file whose last comment line names no columns")
    table = cells(header[1:].split("\t"), text.after(comments), "\t", notes)
    names = dict(_NAMES)
    for head in table.columns:
        if found := _TEMPERATURE.match(head):
            names[head] = (f"temperature_t{found[1]}", "degC")
    frame = Frame(rows=table.rows, values={}, notes=notes)
    take(frame, table, names, notes)
    frame.metadata = {
        found[1].strip(): found[2].strip()
        for line in text.head[:comments]
        if (found := _FACT.match(line))
    }
    frame.time_s = frame.values.get("test_time_second")
    if "Start of Test" in frame.metadata:
        frame.start_ns = utc_ns(local_time(frame.metadata["Start of Test"], _CLOCK), zone, notes)
    return frame
