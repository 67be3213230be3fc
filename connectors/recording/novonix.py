"""Novonix HPC and UHPC text: summary and protocol blocks, then a table after ``[Data]``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from connectors.recording.clock import local_time, since_first, utc_ns
from connectors.recording.frame import Frame
from connectors.recording.text import cells, first_line, numbers, split_line
from connectors.recording.vendor import begin, take
from twin.errors import RecordingError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from connectors.recording.mapping import Mapping
    from connectors.recording.notebook import Notebook
    from connectors.recording.text import Text

__all__ = ["FORMAT", "read", "recognises"]

FORMAT = "novonix"

_CLOCK = ("%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %H:%M:%S")
"""Versions 2.2 write a 12-hour clock, 2.13 a 24-hour clock; both without a zone."""

_NAMES = {
    "Cycle Number": ("cycle_count", "1"),
    "Step Type": ("step_type", "1"),
    "Run Time (h)": ("test_time", "h"),
    "Step Time (h)": ("step_time", "h"),
    "Current (A)": ("current", "A"),
    "Potential (V)": ("voltage", "V"),
    "Capacity (Ah)": ("net_capacity", "Ah"),
    "Temperature (°C)": ("temperature_t1", "degC"),
    "Circuit Temperature (°C)": ("circuit_temperature", "degC"),
    "Energy (Wh)": ("net_energy", "Wh"),
    "Step Number": ("step_index", "1"),
    "Power(W)": ("power", "W"),
}
_DERIVED = re.compile(r"^(dVdt|dIdt) \((?P<unit>[^)]*)\)$")
_FACT = re.compile(r"^([A-Z][A-Za-z ()0-9]*): ?(.*)$")
_VOLTAGES = re.compile(r"[0-9.]+(?= V\b)")


def recognises(text: Text) -> bool:
    """A summary that names the maker."""
    return text.head[0].strip() == "[Summary]" and any("Novonix" in s for s in text.head[:4])


def read(text: Text, notes: Notebook, zone: ZoneInfo, mapping: Mapping) -> Frame:  # noqa: ARG001 - one signature for all formats
    """Read the table; time is the run time, the wall clock of the first row gives its start."""
    mark = first_line(text, r"^\[Data\]")
    if mark is None:
        raise RecordingError("a Novonix file without a [Data] block")
    header, body = "".join(text.head[mark + 1 : mark + 2]), text.after(mark + 2)
    if header.startswith('"') and header.endswith('"'):
        notes.add("QUOTED_LINES", "Each data line is one quoted string; the quotes were taken off.")
        header = header.strip('"')
        body = body.replace('"\n', "\n").replace('\n"', "\n").strip('"')
    table = cells(split_line(header, ","), body, ",", notes)
    derived = [head for head in table.columns if _DERIVED.match(head)]
    frame = Frame(rows=table.rows, values={}, notes=notes)
    take(frame, table, _NAMES, notes, [*derived, "Date and Time"])
    for head in derived:
        frame.watched[head] = numbers(table, head, notes)
    frame.metadata = {
        found[1]: found[2].strip()
        for line in text.head[: first_line(text, r"^\[End Summary\]") or 0]
        if (found := _FACT.match(line))
    }
    frame.metadata["end_voltages"] = _end_voltages(text, mark)
    frame.time_s = frame.values.get("test_time_second")
    if "Date and Time" in table.columns and table.rows and frame.time_s is not None:
        texts = table.texts("Date and Time")
        begin(frame, utc_ns(local_time(texts[0], _CLOCK), zone, notes))
        frame.wall_s = since_first(texts, _CLOCK)
    return frame


def _end_voltages(text: Text, stop: int) -> list[float]:
    """Voltages at which a step of the program ends, from its text; empty for a JSON program."""
    return [
        float(number)
        for line in text.head[:stop]
        if line.lstrip().startswith("[") and "StepLimits" not in line and "Save data" not in line
        for number in _VOLTAGES.findall(line)
    ]
