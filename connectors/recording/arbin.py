"""Arbin CSV: one header line with units in round brackets, a date and a test time."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

FORMAT = "arbin"

_NAMES = {
    "Data Point": ("record_index", "1"),
    "Test Time (s)": ("test_time", "s"),
    "Step Time (s)": ("step_time", "s"),
    "Cycle Index": ("cycle_count", "1"),
    "Step Index": ("step_index", "1"),
    "Current (A)": ("current", "A"),
    "Voltage (V)": ("voltage", "V"),
    "Power (W)": ("power", "W"),
    "Charge Capacity (Ah)": ("charging_capacity", "Ah"),
    "Discharge Capacity (Ah)": ("discharging_capacity", "Ah"),
    "Charge Energy (Wh)": ("charging_energy", "Wh"),
    "Discharge Energy (Wh)": ("discharging_energy", "Wh"),
    "Capacity (Ah)": ("half_cycle_capacity", "Ah"),
    "ACR (Ohm)": ("ac_internal_resistance", "Ohm"),
    "Internal Resistance (Ohm)": ("internal_resistance", "Ohm"),
    "Aux_Temperature_1 (C)": ("temperature_t1", "degC"),
    "Aux_Temperature_2 (C)": ("temperature_t2", "degC"),
    "Aux_Temperature_3 (C)": ("temperature_t3", "degC"),
}
_CLOCK = ("%m/%d/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S")


def recognises(text: Text) -> bool:
    """The two columns every Arbin export begins with."""
    names = split_line(text.head[0], ",")
    return "Test Time (s)" in names and "Date Time" in names


def read(text: Text, notes: Notebook, zone: ZoneInfo, mapping: Mapping) -> Frame:  # noqa: ARG001 - one signature for all formats
    """Read the file; time is the test time, the date of the first row gives its start."""
    table = cells(split_line(text.head[0], ","), text.after(1), ",", notes)
    frame = Frame(rows=table.rows, values={}, notes=notes)
    take(frame, table, _NAMES, notes, ["Date Time"])
    frame.time_s = frame.values.get("test_time_second")
    if not table.rows or frame.time_s is None:
        return frame
    texts = table.texts("Date Time")
    tabs = sum("\t" in cell for cell in texts)
    if tabs:
        notes.add(
            "TAB_IN_VALUE",
            f"{tabs} values of Date Time hold a tab character; it was taken off.",
            column="Date Time",
            count=tabs,
        )
    local = local_time(texts[0], _CLOCK)
    if local.day <= 12:
        notes.add(
            "DATE_ORDER",
            f"The date {local.date()} was read as month/day/year; the file does not say so.",
        )
    begin(frame, utc_ns(local, zone, notes))
    frame.wall_s = since_first(texts, _CLOCK)
    return frame
