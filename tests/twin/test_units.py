"""Units: which codes are known, what they convert to, and what a wrong one is told."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.units import check_unit, conversion, meant

DOMAIN = [
    "1",
    "%",
    "[ppm]",
    "[ppm].h",
    "um",
    "mm",
    "m",
    "s",
    "d",
    "h",
    "min",
    "mg/cm2",
    "g/cm3",
    "N/mm",
    "N",
    "MPa",
    "Pa",
    "Cel",
    "K",
    "1/m3",
    "1/m2",
    "1/L",
    "1/min",
    "A.h",
    "mV/d",
    "mOhm",
    "Ohm.cm2",
    "Ohm{sq}",
    "m/min",
    "Pa.s",
    "mbar.L/s",
    "W.h",
    "W.h/kg",
    "W.h/L",
    "mS/cm",
    "kHz",
    "ns",
    "V",
    "mV",
    "A",
    "mA",
    "W",
    "kg",
    "g",
    "mA.h/cm2",
    "mA.h/g",
    "kW.h",
    "kJ/mol",
    "{USD}",
    "{USD}/kg",
    "{count}",
    "/min",
    "10*3/L",
    "m.s-2",
    "kg/(m.s2)",
    "m3",
    "nS",
    "N.m",
    "[degF]",
    "[in_i]",
]


@pytest.mark.parametrize("code", DOMAIN)
def test_codes_of_the_domain_are_known(code):
    """Every code of the domain is accepted and converts to itself without change."""
    check_unit(code)
    assert conversion(code, code) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("um", "mm", (0.001, 0.0)),
        ("mm", "um", (1000.0, 0.0)),
        ("g/m2", "mg/cm2", (0.1, 0.0)),
        ("kg/m3", "g/cm3", (0.001, 0.0)),
        ("N/mm", "kN/m", (1.0, 0.0)),
        ("bar", "MPa", (0.1, 0.0)),
        ("mbar.L/s", "Pa.m3/s", (0.1, 0.0)),
        ("A.h", "C", (3600.0, 0.0)),
        ("mA.h", "A.h", (0.001, 0.0)),
        ("W.h/kg", "J/g", (3.6, 0.0)),
        ("W.h/L", "J/m3", (3.6e6, 0.0)),
        ("mS/cm", "S/m", (0.1, 0.0)),
        ("Ohm.cm2", "mOhm.m2", (0.1, 0.0)),
        ("1/min", "Hz", (1 / 60, 0.0)),
        ("m/min", "m/s", (1 / 60, 0.0)),
        ("mV/d", "V/s", (1 / 86_400_000, 0.0)),
        ("[ppm].h", "%.s", (0.36, 0.0)),
        ("[ppm]", "1", (1e-6, 0.0)),
        ("%", "1", (0.01, 0.0)),
        ("10*3/L", "1/m3", (1e6, 0.0)),
        ("Ohm{sq}", "Ohm", (1.0, 0.0)),
        ("{count}", "1", (1.0, 0.0)),
        ("Cel", "K", (1.0, 273.15)),
        ("K", "Cel", (1.0, -273.15)),
        ("[degF]", "Cel", (5 / 9, -160 / 9)),
        ("Cel", "[degF]", (1.8, 32.0)),
        ("mV/Cel", "mV/K", (1.0, 0.0)),
        ("mV/[degF]", "mV/K", (1.8, 0.0)),
        ("mK", "K", (0.001, 0.0)),
        ("[in_i]", "mm", (25.4, 0.0)),
        ("[psi]", "kPa", (6.894757293168361, 0.0)),
    ],
)
def test_known_conversions(source, target, expected):
    """Factor and offset are the exact ones, rounded once."""
    assert conversion(source, target) == expected


@pytest.mark.parametrize(
    ("source", "target"),
    [("um", "s"), ("mg/cm2", "g/cm3"), ("Cel", "m"), ("A", "A.h"), ("Hz", "V"), ("K", "Cel/min")],
)
def test_other_dimensions_do_not_convert(source, target):
    """Codes that measure different things are refused in both directions."""
    for pair in ((source, target), (target, source)):
        with pytest.raises(ValueError, match="different things"):
            conversion(*pair)


def test_other_annotations_do_not_convert():
    """Money of one currency is not money of another, though UCUM sees two pure numbers."""
    with pytest.raises(ValueError, match="other things are counted"):
        conversion("{USD}/kg", "{EUR}/kg")


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("°C", "Cel"),
        ("degC", "Cel"),
        ("ppm", "[ppm]"),
        ("Ah", "A.h"),
        ("Wh/kg", "W.h/kg"),
        ("µm", "um"),
        ("mm²", "mm2"),
        ("m^2", "m2"),
        ("kg*m", "kg.m"),
        ("rpm", "1/min"),
        ("Ω", "Ohm"),
        ("percent", "%"),
        ("", "1"),
        ("mbar.l/S.", "mbar.L/s"),
        ("mAh/g", "mA.h/g"),
        ("degC/s", "Cel/s"),
        ("hz", "Hz"),
        ("KPA", "kPa"),
        ("seconds", "s"),
        ("m³/h", "m3/h"),
    ],
)
def test_usual_spellings_are_corrected(code, meant):
    """A wrong code is answered with the right one."""
    with pytest.raises(ValueError, match="did you mean") as error:
        check_unit(code)
    assert f'"{meant}"' in str(error.value)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("C", "Cel", "Cel"),
        ("C", "K", "Cel"),
        ("F", "Cel", "[degF]"),
        ("S", "min", "s"),
        ("C", "m", ""),
        ("C", "A.h", ""),
        ("um", "s", ""),
        ("ppm", "[ppm]", "[ppm]"),
        ("xyzzy", "m", ""),
    ],
)
def test_a_unit_often_written_like_another(source, target, expected):
    """A code is taken for another only when that one converts to the wanted unit."""
    assert meant(source, target) == expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [("C", "Cel", "Cel"), ("F", "Cel", "[degF]"), ("deg", "K", "Cel"), ("ppm", "[ppm]", "[ppm]")],
)
def test_a_refused_conversion_says_what_was_meant(source, target, expected):
    """The refusal of a unit proposes the one that was probably meant."""
    with pytest.raises(ValueError, match="did you mean") as error:
        conversion(source, target)
    assert f'"{expected}"?' in str(error.value)


def test_a_long_text_is_shortened():
    """What a device calls a unit does not fill the message."""
    with pytest.raises(ValueError, match="unknown unit") as error:
        check_unit("x" * 10_000)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("code", ["xyzzy", "0", "()", "{a}{b}", "m 2", "m//s", "Pa(s)", "mCel"])
def test_nonsense_is_refused(code):
    """What is no UCUM code at all is refused, with examples or near codes."""
    with pytest.raises(ValueError, match=r"unknown unit"):
        check_unit(code)


@settings(deadline=None)
@given(st.text(alphabet="mgsAKVWNPah%[]{}()./123*^-Cel", max_size=12))
def test_any_text_is_accepted_or_refused(code):
    """No text makes the parser fail in another way than by saying that it is unknown."""
    said = ""
    try:
        assert conversion(code, code) == (1.0, 0.0)
    except ValueError as error:
        said = str(error)
    assert said == "" or said.startswith("unknown unit")


@settings(deadline=None)
@given(st.sampled_from(["um", "mm", "m", "[in_i]", "Cel", "K", "[degF]", "A.h", "C"]), st.data())
def test_there_and_back_is_the_same_value(source, data):
    """Converting a value and back gives the value, within the rounding of two operations."""
    kinds = [{"um", "mm", "m", "[in_i]"}, {"Cel", "K", "[degF]"}, {"A.h", "C"}]
    target = data.draw(st.sampled_from(sorted(next(kind for kind in kinds if source in kind))))
    value = data.draw(st.floats(-1e6, 1e6))
    scale, offset = conversion(source, target)
    back_scale, back_offset = conversion(target, source)
    assert (value * scale + offset) * back_scale + back_offset == pytest.approx(
        value, rel=1e-12, abs=1e-9
    )


def test_pint_is_imported_only_when_needed():
    """Checking units, and converting between sizes of one unit, does not import pint."""
    code = (
        "import sys; from twin.units import check_unit, conversion, meant;"
        "check_unit('mbar.L/s'); conversion('um', 'mm'); conversion('Cel', 'Cel');"
        "print('pint' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
