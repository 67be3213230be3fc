"""Humidity against figures computed independently from Murphy and Koop (2005)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.physics.humidity import (
    absolute_humidity,
    dew_point_water,
    frost_point,
    ice_pressure,
    ppmv,
    ppmv_of_dew_point_water,
    relative_humidity,
    water_pressure,
)

TABLE = np.array(
    [  # frost point, e_i, ppmv, RH at 20 Cel, g/m3 at 20 Cel, ppmv as water dew point, dew point
        [-15, 165.2905, 1633.956, 7.0655, 1.22170, 1891.655, -16.759],
        [-20, 103.2525, 1020.062, 4.4136, 0.76316, 1240.166, -22.242],
        [-30, 38.0122, 375.292, 1.6249, 0.28096, 502.948, -33.056],
        [-40, 12.8443, 126.779, 0.5490, 0.09493, 186.683, -43.649],
        [-45, 7.2052, 71.115, 0.3080, 0.05326, 109.449, -48.854],
        [-50, 3.9389, 38.876, 0.1684, 0.02911, 62.346, -53.999],
        [-60, 1.0818, 10.676, 0.0462, 0.00800, 18.392, -64.131],
        [-70, 0.2619, 2.584, 0.0112, 0.00194, 4.726, -74.126],
    ]
)


def test_the_table_of_frost_points_is_reproduced() -> None:
    """Pressure, content, humidity and dew point agree with the table in its last digit."""
    point, ice, content, relative, mass, misread, dew = TABLE.T
    assert ice_pressure(point) == pytest.approx(ice, abs=5.1e-5)
    assert ppmv(point) == pytest.approx(content, abs=5.1e-4)
    assert relative_humidity(point, np.full(8, 20.0)) == pytest.approx(relative, abs=5.1e-5)
    assert absolute_humidity(point, np.full(8, 20.0)) == pytest.approx(mass, abs=5.1e-6)
    assert ppmv_of_dew_point_water(point) == pytest.approx(misread, abs=5.1e-4)
    assert dew_point_water(ppmv(point)) == pytest.approx(dew, abs=5.1e-4)


def test_single_figures_are_reproduced() -> None:
    """Saturation at 0, 20 and 25 Cel, reduced pressure, and the inverse at three contents."""
    assert water_pressure(20.0) == pytest.approx(2339.399, abs=5e-4)
    assert water_pressure(25.0) == pytest.approx(3169.937, abs=5e-4)
    assert ice_pressure(0.0) == pytest.approx(611.154, abs=5e-4)
    assert ppmv(-40.0, 95_000.0) == pytest.approx(135.221, abs=5e-4)
    assert frost_point(np.array([1000.0, 100.0, 10.0])) == pytest.approx(
        [-20.207, -42.078, -60.483], abs=5e-4
    )


@pytest.mark.parametrize(("point", "sensitivity"), [(-40.0, 11.9), (-60.0, 14.4)])
def test_one_kelvin_is_many_per_cent_of_water(point: float, sensitivity: float) -> None:
    """The content grows by 11.9 % per kelvin at -40 Cel and by 14.4 % at -60 Cel."""
    assert 100 * (ppmv(point + 1) / ppmv(point) - 1) == pytest.approx(sensitivity, abs=0.05)


@given(st.floats(-100.0, 0.0), st.floats(50_000.0, 110_000.0))
def test_the_inverse_leads_back(point: float, pressure: float) -> None:
    """Content of a frost point has that frost point again, at any room pressure."""
    assert frost_point(ppmv(point, pressure), pressure) == pytest.approx(point, abs=1e-9)
    content = ppmv_of_dew_point_water(point, pressure)
    assert dew_point_water(content, pressure) == pytest.approx(point, abs=1e-9)


@pytest.mark.parametrize("value", [-200.0, 1.0, float("nan"), float("inf")])
def test_outside_the_formula_there_is_no_verdict(value: float) -> None:
    """A frost point outside the range of the formula gives NaN instead of an extrapolation."""
    assert np.isnan(ice_pressure(value))


@pytest.mark.parametrize("content", [0.0, -1.0, 1e5, float("nan")])
def test_impossible_contents_have_no_frost_point(content: float) -> None:
    """No water, negative water and air wetter than ice allows give NaN."""
    assert np.isnan(frost_point(content))


def test_a_float_stays_a_float() -> None:
    """Scalars give scalars, not arrays without dimensions."""
    assert isinstance(ppmv(-40.0), float)
    assert isinstance(frost_point(100.0), float)
