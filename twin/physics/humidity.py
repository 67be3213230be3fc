"""Humidity of very dry air: frost point, dew point, water content.

The figure a dry room is run by is the *frost* point: saturation over ice. Reading it as a dew
point over water is wrong by 47 % of the water content at -40 Cel and by 72 % at -60 Cel, so every
function says which of the two it means.

All functions take floats or float64 arrays (any shape, broadcast against each other) and give
the same back. Outside the range of a formula the answer is NaN: no verdict, never a guess.

References:
    [1] D. M. Murphy, T. Koop, Review of the vapour pressures of ice and supercooled water for
        atmospheric applications, Q. J. R. Meteorol. Soc. 131 (2005) 1539, eqs. 7 and 10,
        doi:10.1256/qj.04.94.
    [2] CODATA 2018: molar gas constant 8.314462618 J/(mol K).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "ATMOSPHERE_PA",
    "absolute_humidity",
    "dew_point_water",
    "frost_point",
    "ice_pressure",
    "ppmv",
    "ppmv_of_dew_point_water",
    "relative_humidity",
    "water_pressure",
]

ATMOSPHERE_PA = 101_325.0
"""Standard atmosphere, used where the room pressure is not measured."""

_ZERO_C = 273.15
_GAS = 8.314462618  # J/(mol K), [2]
_WATER_MOLAR_MASS = 18.01528  # g/mol
_ICE_K = (111.0, 273.16)  # range of [1] eq. 7
_WATER_K = (123.0, 332.0)  # range of [1] eq. 10
_NEWTON_STEPS = 12

Real = TypeVar("Real", float, "NDArray[np.float64]")


def ice_pressure(temperature_c: Real) -> Real:
    """Saturation vapour pressure over ice in Pa ([1] eq. 7).

    Args:
        temperature_c: Temperature in Cel, -162.15 to 0.01; NaN outside.

    Examples:
        >>> round(float(ice_pressure(-40.0)), 4)
        12.8443
    """
    return _pressure(_ln_ice, temperature_c, _ICE_K)


def water_pressure(temperature_c: Real) -> Real:
    """Saturation vapour pressure over liquid (also supercooled) water in Pa ([1] eq. 10).

    Args:
        temperature_c: Temperature in Cel, -150.15 to 58.85; NaN outside.

    Examples:
        >>> round(float(water_pressure(20.0)), 3)
        2339.399
    """
    return _pressure(_ln_water, temperature_c, _WATER_K)


def ppmv(frost_point_c: Real, pressure_pa: float = ATMOSPHERE_PA) -> Real:
    """Water content relative to dry air in ppm by volume: 1e6 e/(P - e).

    Args:
        frost_point_c: Frost point (over ice) in Cel, -162.15 to 0.01.
        pressure_pa: Air pressure in Pa, > 0.

    Examples:
        >>> round(float(ppmv(-40.0)), 3)
        126.779
    """
    return _content(ice_pressure(frost_point_c), pressure_pa)


def ppmv_of_dew_point_water(dew_point_c: Real, pressure_pa: float = ATMOSPHERE_PA) -> Real:
    """Water content in ppmv of air whose dew point is given over *liquid water*.

    Args:
        dew_point_c: Dew point over water in Cel, -150.15 to 58.85.
        pressure_pa: Air pressure in Pa, > 0.
    """
    return _content(water_pressure(dew_point_c), pressure_pa)


def frost_point(content_ppmv: Real, pressure_pa: float = ATMOSPHERE_PA) -> Real:
    """Frost point in Cel of air with a water content; the inverse of :func:`ppmv`.

    Args:
        content_ppmv: Water content relative to dry air, > 0; NaN where the result would lie
            outside the range of the formula.
        pressure_pa: Air pressure in Pa, > 0.

    Examples:
        >>> round(float(frost_point(100.0)), 3)
        -42.078
    """
    return _inverse(_ln_ice, _ln_ice_slope, content_ppmv, pressure_pa, _ICE_K)


def dew_point_water(content_ppmv: Real, pressure_pa: float = ATMOSPHERE_PA) -> Real:
    """Dew point over liquid water in Cel of air with a water content.

    Args:
        content_ppmv: Water content relative to dry air, > 0.
        pressure_pa: Air pressure in Pa, > 0.
    """
    return _inverse(_ln_water, _ln_water_slope, content_ppmv, pressure_pa, _WATER_K)


def relative_humidity(frost_point_c: Real, air_c: Real) -> Real:
    """Relative humidity over water in per cent (the meteorological convention).

    Args:
        frost_point_c: Frost point in Cel.
        air_c: Air temperature in Cel.
    """
    humidity: Real = 100.0 * ice_pressure(frost_point_c) / water_pressure(air_c)
    return humidity


def absolute_humidity(frost_point_c: Real, air_c: Real) -> Real:
    """Mass of water per volume of air in g/m3 (ideal gas).

    Args:
        frost_point_c: Frost point in Cel.
        air_c: Air temperature in Cel.
    """
    mass: Real = _WATER_MOLAR_MASS * ice_pressure(frost_point_c) / (_GAS * (air_c + _ZERO_C))
    return mass


def _content(vapour_pa: Real, pressure_pa: float) -> Real:
    content: Real = 1e6 * vapour_pa / (pressure_pa - vapour_pa)
    return content


def _pressure(ln: Callable[[Any], Any], temperature_c: Real, range_k: tuple[float, float]) -> Real:
    kelvin = temperature_c + _ZERO_C
    inside = (kelvin >= range_k[0]) & (kelvin <= range_k[1])
    safe = np.where(inside, kelvin, _ZERO_C)
    pressure: Any = np.where(inside, np.exp(ln(safe)), np.nan)
    scalar_or_array: Real = pressure[()]
    return scalar_or_array


def _inverse(
    ln: Callable[[Any], Any],
    slope: Callable[[Any], Any],
    content_ppmv: Real,
    pressure_pa: float,
    range_k: tuple[float, float],
) -> Real:
    """Newton's method on ln e(T), which is smooth and nearly linear in 1/T."""
    possible = np.asarray(content_ppmv) > 0.0
    content = np.where(possible, content_ppmv, 1.0)
    target = np.log(content * pressure_pa / (1e6 + content))
    with np.errstate(over="ignore", invalid="ignore"):
        inverse_k = 1.0 / _ZERO_C - (target - ln(_ZERO_C)) / (slope(_ZERO_C) * _ZERO_C**2)
        kelvin = np.clip(1.0 / np.maximum(inverse_k, 1e-3), *range_k)
        for _ in range(_NEWTON_STEPS):
            kelvin = np.clip(
                kelvin + (target - ln(kelvin)) / slope(kelvin), range_k[0] - 1.0, range_k[1] + 1.0
            )
    inside = possible & (kelvin >= range_k[0]) & (kelvin <= range_k[1])
    result: Any = np.where(inside, kelvin - _ZERO_C, np.nan)
    scalar_or_array: Real = result[()]
    return scalar_or_array


def _ln_ice(kelvin: Real) -> Real:
    value: Real = 9.550426 - 5723.265 / kelvin + 3.53068 * np.log(kelvin) - 0.00728332 * kelvin
    return value


def _ln_ice_slope(kelvin: Real) -> Real:
    value: Real = 5723.265 / kelvin**2 + 3.53068 / kelvin - 0.00728332
    return value


def _ln_water(kelvin: Real) -> Real:
    log = np.log(kelvin)
    bend = 53.878 - 1331.22 / kelvin - 9.44523 * log + 0.014025 * kelvin
    value: Real = (
        54.842763
        - 6763.22 / kelvin
        - 4.210 * log
        + 0.000367 * kelvin
        + np.tanh(0.0415 * (kelvin - 218.8)) * bend
    )
    return value


def _ln_water_slope(kelvin: Real) -> Real:
    log = np.log(kelvin)
    bend = 53.878 - 1331.22 / kelvin - 9.44523 * log + 0.014025 * kelvin
    bend_slope = 1331.22 / kelvin**2 - 9.44523 / kelvin + 0.014025
    tanh = np.tanh(0.0415 * (kelvin - 218.8))
    value: Real = (
        6763.22 / kelvin**2
        - 4.210 / kelvin
        + 0.000367
        + tanh * bend_slope
        + 0.0415 * (1.0 - tanh**2) * bend
    )
    return value
