"""Compaction against figures computed independently from the exponential law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.physics.compaction import (
    Compaction,
    density,
    porosity,
    porosity_sigma,
    thickness,
    true_density,
)

LAW = Compaction(rho_0=2.0, rho_max=4.15, gamma=300.0)
TRUE = true_density([0.85, 0.15], [4.78, 2.60])
TABLE = np.array(
    [  # q, rho, t, eps, dt/dq at 26 mg/cm2
        [0, 2.00000, 130.000, 52.897, -0.46583],
        [200, 3.04615, 85.354, 28.258, -0.10310],
        [270, 3.27588, 79.368, 22.848, -0.07059],
        [300, 3.35906, 77.403, 20.889, -0.06075],
        [330, 3.43433, 75.706, 19.116, -0.05259],
        [400, 3.58327, 72.560, 15.608, -0.03825],
        [800, 4.00061, 64.990, 5.779, -0.00809],
    ]
)


def test_the_table_of_line_loads_is_reproduced() -> None:
    """Density, thickness, porosity and slope agree with the table in its last digit."""
    load, rho, micrometre, pores, slope = TABLE.T
    mass = np.full(len(TABLE), 26.0)
    assert LAW.density(load) == pytest.approx(rho, abs=5.1e-6)
    assert LAW.thickness(load, mass) == pytest.approx(micrometre, abs=5.1e-4)
    assert porosity(LAW.density(load), TRUE) == pytest.approx(pores, abs=5.1e-4)
    assert LAW.thickness_slope(load, mass) == pytest.approx(slope, abs=5.1e-6)


def test_porosity_carries_its_uncertainty() -> None:
    """26 mg/cm2 at 76.5 um is 19.955 % with 0.956 points for 0.5 um and 1 % of mass."""
    assert pytest.approx(4.245986, abs=5e-7) == TRUE
    pores = porosity(density(26.0, 76.5), TRUE)
    assert pores == pytest.approx(19.955, abs=5e-4)
    assert porosity_sigma(pores, 76.5, 0.5, 0.01) == pytest.approx(0.956, abs=5e-4)


def test_ten_per_cent_less_load_is_two_micrometres() -> None:
    """From 300 to 270 N/mm the coating is 1.965 um thicker and 1.959 points more porous."""
    assert LAW.thickness(270.0, 26.0) - LAW.thickness(300.0, 26.0) == pytest.approx(1.965, abs=5e-4)
    pores = porosity(LAW.density(np.array([270.0, 300.0])), TRUE)
    assert pores[0] - pores[1] == pytest.approx(1.959, abs=6e-4)


def test_thickness_limits_say_which_loads_are_allowed() -> None:
    """75 to 79 um corresponds to 343.9 to 275.3 N/mm."""
    loads = LAW.line_load(density(np.full(2, 26.0), np.array([79.0, 75.0])))
    assert loads == pytest.approx([275.3, 343.9], abs=0.05)


@given(st.floats(0.0, 3000.0))
def test_the_inverse_leads_back(load: float) -> None:
    """The line load of a density gives that density again."""
    assert LAW.density(LAW.line_load(LAW.density(load))) == pytest.approx(
        LAW.density(load), rel=1e-12
    )


def test_more_than_the_limit_density_needs_no_load() -> None:
    """No load reaches the limit density: the inverse has no verdict there."""
    assert np.isnan(LAW.line_load(4.15))
    assert np.isnan(LAW.line_load(5.0))


def test_thickness_and_density_are_inverse() -> None:
    """Density of the thickness of a density is that density."""
    assert density(26.0, thickness(26.0, 3.4)) == pytest.approx(3.4)


@pytest.mark.parametrize("parameters", [(0.0, 4.0, 1.0), (4.0, 2.0, 1.0), (2.0, 4.0, 0.0)])
def test_parameters_that_do_not_compact_are_refused(parameters: tuple[float, ...]) -> None:
    """A law without room to compact is refused when it is made."""
    rho_0, rho_max, gamma = parameters
    with pytest.raises(ValueError, match="expected 0 < rho_0"):
        Compaction(rho_0=rho_0, rho_max=rho_max, gamma=gamma)


@pytest.mark.parametrize(
    ("fractions", "densities", "message"),
    [
        ([1.0], [1.0, 2.0], "1 fractions but 2"),
        ([0.5, 0.4], [1.0, 2.0], "sum to 0.9"),
        ([0.5, 0.5], [1.0, 0.0], "expected > 0"),
    ],
)
def test_impossible_mixtures_are_refused(
    fractions: list[float], densities: list[float], message: str
) -> None:
    """A mixture that does not add up is refused with what is wrong."""
    with pytest.raises(ValueError, match=message):
        true_density(fractions, densities)
