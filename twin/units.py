"""Units of measure: UCUM codes outside, exact affine conversions inside.

The codes follow the Unified Code for Units of Measure (case sensitive): ``um``, ``mg/cm2``,
``mbar.L/s``, ``[ppm].h``, ``Ohm{sq}``, ``10*3/L``. Text in braces is an annotation and no unit,
but two different annotations never convert into each other (``{USD}`` is not ``{EUR}``).

The size of each unit comes from pint, which is imported when two codes really differ and never
on the data path: a conversion is two numbers that ingest multiplies and adds.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_unit", "conversion", "meant"]

_METRIC = {
    "m": "meter",
    "g": "gram",
    "s": "second",
    "A": "ampere",
    "K": "kelvin",
    "mol": "mole",
    "cd": "candela",
    "rad": "radian",
    "V": "volt",
    "W": "watt",
    "N": "newton",
    "Pa": "pascal",
    "J": "joule",
    "C": "coulomb",
    "F": "farad",
    "H": "henry",
    "T": "tesla",
    "Wb": "weber",
    "Ohm": "ohm",
    "S": "siemens",
    "Hz": "hertz",
    "L": "liter",
    "l": "liter",
    "bar": "bar",
    "t": "metric_ton",
    "eV": "electron_volt",
}
"""Atoms that take a prefix, to their pint name."""

_PLAIN = {
    "Cel": "kelvin",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "wk": "week",
    "deg": "degree",
    "atm": "standard_atmosphere",
    "[in_i]": "inch",
    "[ft_i]": "foot",
    "[lb_av]": "pound",
    "[psi]": "psi",
    "[degF]": "delta_degF",
}
"""Atoms without prefixes, to their pint name; degrees inside a product are differences."""

_NUMBERS = {
    "%": Fraction(1, 100),
    "[ppth]": Fraction(1, 10**3),
    "[ppm]": Fraction(1, 10**6),
    "[ppb]": Fraction(1, 10**9),
    "10*": Fraction(10),
    "10^": Fraction(10),
}
"""Atoms that are pure numbers."""

_PREFIXES = {
    "T": 12,
    "G": 9,
    "M": 6,
    "k": 3,
    "h": 2,
    "da": 1,
    "d": -1,
    "c": -2,
    "m": -3,
    "u": -6,
    "n": -9,
    "p": -12,
    "f": -15,
}
"""Prefix to power of ten."""

_ABSOLUTE = {"Cel": "degree_Celsius", "[degF]": "degree_Fahrenheit", "K": "kelvin"}
"""Codes that, alone, are points on a temperature scale."""

_USUAL = {
    "°c": "Cel",
    "degc": "Cel",
    "deg c": "Cel",
    "celsius": "Cel",
    "degrees c": "Cel",
    "degree_celsius": "Cel",
    "degrees celsius": "Cel",
    "°f": "[degF]",
    "degf": "[degF]",
    "kelvin": "K",
    "ppm": "[ppm]",
    "ppb": "[ppb]",
    "ppmv": "[ppm]",
    "percent": "%",
    "pct": "%",
    "rpm": "1/min",
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("minute", "minutes", "mins"), "min"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("volt", "volts"), "V"),
    **dict.fromkeys(("amp", "amps", "ampere", "amperes"), "A"),
    **dict.fromkeys(("watt", "watts"), "W"),
    **dict.fromkeys(("metre", "metres", "meter", "meters"), "m"),
    **dict.fromkeys(("gram", "grams"), "g"),
    **dict.fromkeys(("litre", "litres", "liter", "liters"), "L"),
    **dict.fromkeys(("newton", "newtons"), "N"),
    "nm": "N.m",
    "kpa": "kPa",
    "vol%": "%",
    "%rh": "%",
    "ohm": "Ohm",
    "mohm": "mOhm",
    "ohm/sq": "Ohm{sq}",
    "ah": "A.h",
    "mah": "mA.h",
    "wh": "W.h",
    "kwh": "kW.h",
    "wh/kg": "W.h/kg",
    "wh/l": "W.h/L",
    "micron": "um",
    "psi": "[psi]",
    "inch": "[in_i]",
    "usd": "{USD}",
    "eur": "{EUR}",
    "count": "{count}",
    "counts": "{count}",
    "": "1",
    "-": "1",
}
"""What people write, lower case and with ``µ``, ``Ω`` and raised digits replaced, to UCUM."""

_OTHER = {"C": "Cel", "deg": "Cel", "F": "[degF]", "S": "s", "H": "h", "T": "t"}
"""Codes that are units (coulomb, degree of angle, farad …), to the one often written like that."""

_SPELLING = str.maketrans({"µ": "u", "μ": "u", "Ω": "Ohm", "²": "2", "³": "3", "·": "."})
_COMMON = [
    "1",
    "%",
    "[ppm]",
    "[ppm].h",
    "um",
    "mm",
    "m",
    "m2",
    "mg/cm2",
    "g/cm3",
    "kg",
    "g",
    "N",
    "N/mm",
    "MPa",
    "Pa",
    "bar",
    "Cel",
    "K",
    "V",
    "mV",
    "A",
    "mA",
    "W",
    "W.h",
    "A.h",
    "mOhm",
    "Ohm",
    "Ohm.cm2",
    "Ohm{sq}",
    "m/min",
    "1/min",
    "Hz",
    "kHz",
    "ns",
    "s",
    "min",
    "h",
    "d",
    "Pa.s",
    "mbar.L/s",
    "W.h/kg",
    "W.h/L",
    "mS/cm",
    "mV/d",
    "1/m3",
    "1/m2",
    "1/L",
    "L",
    "{count}",
    "{USD}",
]
_BY_LOWER = {code.lower(): code for code in reversed(_COMMON)}
_WORD = re.compile("[A-Za-z°%]+")
_LONGEST = 40
"""Characters of a device's text that a message repeats."""
_TOKEN = re.compile(
    r"(?P<note>\{[^{}]*\})"
    r"|(?P<number>10[*^]|(?:\[[A-Za-z_]+\])|%|[A-Za-z]+)(?P<power>[+-]?\d+)?"
    r"|(?P<integer>\d+)"
    r"|(?P<sign>[./()])"
)


class _Term(NamedTuple):
    """A product of powers: number * names, and the annotations beside it."""

    factor: Fraction
    names: dict[str, int]
    notes: frozenset[str]

    def times(self, other: _Term, power: int) -> _Term:
        names = dict(self.names)
        for name, exponent in other.names.items():
            names[name] = names.get(name, 0) + power * exponent
        kept = {name: exponent for name, exponent in names.items() if exponent}
        return _Term(self.factor * other.factor**power, kept, self.notes | other.notes)


_ONE = _Term(Fraction(1), {}, frozenset())


def check_unit(code: str) -> None:
    """Accept a UCUM code linetwin knows.

    Raises:
        ValueError: The code is not known; the message proposes what was probably meant.

    Examples:
        >>> check_unit("mg/cm2")
        >>> check_unit("°C")
        Traceback (most recent call last):
        ValueError: unknown unit "°C"; did you mean "Cel"?
    """
    _known(code)


def meant(code: str, target: str = "") -> str:
    """The UCUM code that was probably meant by a usual spelling; empty when none is known.

    Args:
        code: What a device or a person wrote.
        target: UCUM code it should convert to. With one, a code that is a unit of its own
            (``C`` is the coulomb) is taken for another only if that one converts.

    Examples:
        >>> meant("ppm"), meant("mAh/g"), meant("C", "Cel"), meant("C", "A.h")
        ('[ppm]', 'mA.h/g', 'Cel', '')
    """
    if _is_unit(code):
        usual = _OTHER.get(code, "") if target else ""
        return usual if usual and not _converts(code, target) and _converts(usual, target) else ""
    plain = _plain(code)
    usual = _USUAL.get(plain.lower(), "")
    respelt = _WORD.sub(lambda match: _word(match[0]), plain)
    return usual or next((found for found in (plain, respelt) if _is_unit(found)), "")


@cache
def conversion(source: str, target: str) -> tuple[float, float]:
    """Factor and offset of ``value_in_target = value_in_source * factor + offset``.

    Alone, ``Cel``, ``K`` and ``[degF]`` are points on a scale; inside a product (``mV/Cel``)
    they are differences. The numbers are computed as fractions and rounded once.

    Args:
        source: UCUM code of the value at hand.
        target: UCUM code wanted.

    Raises:
        ValueError: A code is unknown, or the two measure different things.

    Examples:
        >>> conversion("g/m2", "mg/cm2")
        (0.1, 0.0)
        >>> conversion("Cel", "K")
        (1.0, 273.15)
    """
    here, there = _known(source), _known(target)
    if here.notes and there.notes and here.notes != there.notes:
        raise ValueError(f'"{source}" does not convert to "{target}": other things are counted')
    if here.names == there.names and not {source, target} & _ABSOLUTE.keys():
        return float(here.factor / there.factor), 0.0
    if source == target:
        return 1.0, 0.0
    return _affine(source, here, target, there)


def _affine(source: str, here: _Term, target: str, there: _Term) -> tuple[float, float]:
    registry, wrong_dimension = _registry()
    try:
        at = [
            registry.Quantity(
                value * _own_factor(source, here), _pint_units(registry, source, here)
            )
            .to(_pint_units(registry, target, there))
            .magnitude
            / _own_factor(target, there)
            for value in (Fraction(0), Fraction(1))
        ]
    except wrong_dimension as error:
        other = _OTHER.get(source, "")
        hint = f'; did you mean "{other}"?' if other and _converts(other, target) else ""
        raise ValueError(
            f'"{source}" does not convert to "{target}": they measure different things{hint}'
        ) from error
    return float(at[1] - at[0]), float(at[0])


def _own_factor(code: str, term: _Term) -> Fraction:
    return Fraction(1) if code in _ABSOLUTE else term.factor


def _pint_units(registry: Any, code: str, term: _Term) -> Any:
    powers = {_ABSOLUTE[code]: 1} if code in _ABSOLUTE else term.names
    return registry.Unit(registry.UnitsContainer(powers))


@cache
def _registry() -> tuple[Any, type[Exception]]:
    # Half a second of import that a line with one unit per quantity never pays.
    import pint  # noqa: PLC0415

    return pint.UnitRegistry(non_int_type=Fraction, cache_folder=None), pint.DimensionalityError


class _NoUnitError(ValueError):
    """A code that is no unit; what was meant is only looked for when somebody asks."""


def _known(code: str) -> _Term:
    try:
        return _parse(code)
    except _NoUnitError:
        raise _unknown(code) from None


@cache
def _parse(code: str) -> _Term:
    tokens = list(_tokens(code))
    term, rest = _product(code, tokens, 0)
    if rest != len(tokens):
        raise _NoUnitError(code)
    return term


def _tokens(code: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(code):
        match = _TOKEN.match(code, at)
        if match is None:
            raise _NoUnitError(code)
        yield match
        at = match.end()
    if not code:
        raise _NoUnitError(code)


def _product(code: str, tokens: list[re.Match[str]], at: int) -> tuple[_Term, int]:
    """Left to right, as UCUM has it: ``a/b.c`` is a / b * c."""
    term, power, wanted = _ONE, 1, True
    if tokens[at]["sign"] == "/":
        power, at = -1, at + 1
    while at < len(tokens):
        token = tokens[at]
        sign = token["sign"]
        if wanted and sign == "(":
            inner, at = _product(code, tokens, at + 1) if at + 1 < len(tokens) else (_ONE, at)
            if at >= len(tokens) or tokens[at]["sign"] != ")":
                raise _NoUnitError(code)
            term, wanted = term.times(inner, power), False
        elif not wanted and sign in (".", "/"):
            power, wanted = (1 if sign == "." else -1), True
        elif not wanted and sign == ")":
            break
        elif token["note"] and (wanted or not tokens[at - 1]["note"]):
            term, wanted = term.times(_Term(Fraction(1), {}, frozenset([token["note"]])), 1), False
        elif wanted and not sign and not token["note"]:
            term, wanted = term.times(_atom(code, token), power), False
        else:
            raise _NoUnitError(code)
        at += 1
    if wanted:
        raise _NoUnitError(code)
    return term, at


def _atom(code: str, token: re.Match[str]) -> _Term:
    if token["integer"]:
        if int(token["integer"]) == 0:
            raise _NoUnitError(code)
        return _Term(Fraction(int(token["integer"])), {}, frozenset())
    power = int(token["power"] or 1)
    symbol = token["number"]
    if symbol in _NUMBERS:
        return _Term(_NUMBERS[symbol] ** power, {}, frozenset())
    name = _METRIC.get(symbol) or _PLAIN.get(symbol)
    if name:
        return _Term(Fraction(1), {name: power}, frozenset())
    for prefix, exponent in _PREFIXES.items():
        if symbol.startswith(prefix) and symbol[len(prefix) :] in _METRIC:
            factor = Fraction(10) ** (exponent * power)
            return _Term(factor, {_METRIC[symbol[len(prefix) :]]: power}, frozenset())
    raise _NoUnitError(code)


def _unknown(code: str) -> ValueError:
    shown = code if len(code) <= _LONGEST else code[: _LONGEST - 1] + "…"
    usual = meant(code)
    near = [usual] if usual else get_close_matches(_plain(code)[:_LONGEST], _COMMON, cutoff=0.6)
    if not near:
        return ValueError(
            f'unknown unit "{shown}"; UCUM codes are for example {", ".join(_COMMON[:12])}'
        )
    said = " or ".join(f'"{unit}"' for unit in near)
    return ValueError(f'unknown unit "{shown}"; did you mean {said}?')


def _plain(code: str) -> str:
    return code.strip().translate(_SPELLING).replace("^", "").replace("*", ".")


def _word(word: str) -> str:
    if _is_unit(word):
        return word
    return _USUAL.get(word.lower()) or _BY_LOWER.get(word.lower()) or word


def _is_unit(code: str) -> bool:
    try:
        _parse(code)
    except _NoUnitError:
        return False
    return True


def _converts(source: str, target: str) -> bool:
    try:
        conversion(source, target)
    except ValueError:
        return False
    return True
