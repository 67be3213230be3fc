"""Names and units: what a column of a cycler file is called here.

Names are machine names of the Battery Data Format (BDF, ontology 1.3.0): quantity and unit in one
word, such as ``voltage_volt``. Three names are ours because BDF has none:
``half_cycle_capacity_ah`` (a counter that starts again with every half cycle),
``circuit_temperature_celsius`` (the instrument, not the cell) and ``current_magnitude_ampere``
(a current whose sign the file does not tell).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["COUNTERS", "INTEGERS", "Scale", "named", "scale_of", "unit_of"]

_SUFFIX_UNIT = {
    "second": "s",
    "volt": "V",
    "ampere": "A",
    "ah": "A.h",
    "wh": "W.h",
    "watt": "W",
    "celsius": "Cel",
    "ohm": "Ohm",
    "pa": "Pa",
}

INTEGERS = frozenset({"cycle_count", "step_count", "step_index", "step_id", "record_index"})
"""Columns that count: a fraction in them is a defect."""

COUNTERS = (
    "charging_capacity_ah",
    "discharging_capacity_ah",
    "charging_energy_wh",
    "discharging_energy_wh",
)
"""Counters since the start of the test; BDF says they never reset, files do it all the same."""

_PLAIN = INTEGERS | {"step_type"}


@dataclass(frozen=True, slots=True)
class Scale:
    """Conversion to the BDF unit as ``value * times / by + plus``: a division keeps the last digit.

    Attributes:
        suffix: Unit part of the machine name; empty for a pure number.
        times: Multiplier.
        by: Divisor.
        plus: Offset.
    """

    suffix: str
    times: float = 1.0
    by: float = 1.0
    plus: float = 0.0

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert values to the BDF unit; values already in it stay bit for bit."""
        if self.times != 1.0:
            values = values * self.times
        if self.by != 1.0:
            values = values / self.by
        if self.plus:
            values = values + self.plus
        return values


_SCALES = {
    "1": Scale(""),
    "": Scale(""),
    "s": Scale("second"),
    "sec": Scale("second"),
    "ms": Scale("second", by=1e3),
    "min": Scale("second", times=60.0),
    "h": Scale("second", times=3600.0),
    "V": Scale("volt"),
    "mV": Scale("volt", by=1e3),
    "uV": Scale("volt", by=1e6),
    "A": Scale("ampere"),
    "mA": Scale("ampere", by=1e3),
    "uA": Scale("ampere", by=1e6),
    "Ah": Scale("ah"),
    "mAh": Scale("ah", by=1e3),
    "C": Scale("ah", by=3600.0),
    "Wh": Scale("wh"),
    "mWh": Scale("wh", by=1e3),
    "J": Scale("wh", by=3600.0),
    "W": Scale("watt"),
    "mW": Scale("watt", by=1e3),
    "degC": Scale("celsius"),
    "Cel": Scale("celsius"),
    "K": Scale("celsius", plus=-273.15),
    "Ohm": Scale("ohm"),
    "ohm": Scale("ohm"),
    "mOhm": Scale("ohm", by=1e3),
    "Pa": Scale("pa"),
    "kPa": Scale("pa", times=1e3),
    "MPa": Scale("pa", times=1e6),
}


def scale_of(unit: str) -> Scale | None:
    """Conversion from a unit as cyclers write it (``mA.h``, ``mAh``, ``°C``); None when unknown.

    Examples:
        >>> scale_of("mA.h")
        Scale(suffix='ah', times=1.0, by=1000.0, plus=0.0)
        >>> scale_of("furlong") is None
        True
    """
    text = unit.strip().replace(".", "").replace("µ", "u").replace("μ", "u").replace("Ω", "Ohm")
    if text.endswith("C") and len(text) > 1 and not text[:-1].isalnum():
        text = "degC"  # "°C", also with a destroyed degree sign
    return _SCALES.get(text)


def unit_of(name: str) -> str:
    """UCUM unit of a machine name; empty when the name does not tell it.

    Examples:
        >>> unit_of("charging_capacity_ah"), unit_of("step_index"), unit_of("line_load")
        ('A.h', '1', '')
    """
    if name in _PLAIN:
        return "1"
    return _SUFFIX_UNIT.get(name.rpartition("_")[2], "")


_LABEL = re.compile(r"^(?P<quantity>[^/]+?) / (?P<unit>\S+)$")
_MACHINE = re.compile(r"^[a-z][a-z0-9_]*$")


def named(header: str) -> tuple[str, Scale] | None:
    """Machine name and conversion of a BDF header, be it a machine name or a label.

    Examples:
        >>> named("test_time_second")
        ('test_time_second', Scale(suffix='', times=1.0, by=1.0, plus=0.0))
        >>> named("Charging Capacity / mAh")
        ('charging_capacity_ah', Scale(suffix='ah', times=1.0, by=1000.0, plus=0.0))
        >>> named("Surface Temperature T1 / degC")[0]
        'temperature_t1_celsius'
        >>> named("Comment of the operator") is None
        True
    """
    text = header.strip()
    if _MACHINE.match(text):
        return text, Scale("")
    label = _LABEL.match(text)
    scale = scale_of(label["unit"]) if label else None
    if label is None or scale is None:
        return None
    word = "_".join(label["quantity"].lower().split())
    word = word.replace("surface_temperature_t", "temperature_t")
    return (f"{word}_{scale.suffix}" if scale.suffix else word), scale
