"""Density, porosity and compaction of an electrode coating in the calender.

Line load q in N/mm, areal mass m_A in mg/cm2 (one side, without foil), thickness t in um (without
foil), density rho in g/cm3, porosity eps in per cent. All functions take floats or float64 arrays.

References:
    [1] C. Meyer, H. Bockholt, W. Haselrieder, A. Kwade, Characterization of the calendering
        process for compaction of electrodes for lithium-ion batteries, J. Mater. Process.
        Technol. 249 (2017) 172: density approaches a limit exponentially in the line load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Compaction", "density", "porosity", "porosity_sigma", "thickness", "true_density"]

Real = TypeVar("Real", float, "NDArray[np.float64]")

_UM_PER_CM_MG_PER_G = 10.0  # (mg/cm2) / (g/cm3) = 1e-3 cm = 10 um


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """The exponential law rho(q) = rho_max - (rho_max - rho_0) exp(-q/gamma) ([1]).

    Attributes:
        rho_0: Density of the dried coating before the calender, g/cm3, > 0.
        rho_max: Density it approaches under endless load, g/cm3, > rho_0.
        gamma: Line load at which 63 % of the way is gone, N/mm, > 0.

    Raises:
        ValueError: The three do not describe a compaction.

    Examples:
        >>> law = Compaction(rho_0=2.0, rho_max=4.15, gamma=300.0)
        >>> round(float(law.density(300.0)), 5)
        3.35906
    """

    rho_0: float
    rho_max: float
    gamma: float

    def __post_init__(self) -> None:
        if not (0.0 < self.rho_0 < self.rho_max and self.gamma > 0.0):
            raise ValueError(
                f"expected 0 < rho_0 < rho_max and gamma > 0, found rho_0 {self.rho_0}, "
                f"rho_max {self.rho_max}, gamma {self.gamma}"
            )

    def density(self, line_load: Real) -> Real:
        """Density in g/cm3 behind the nip at a line load in N/mm, >= 0."""
        value: Real = self.rho_max - (self.rho_max - self.rho_0) * np.exp(-line_load / self.gamma)
        return value

    def line_load(self, density: Real) -> Real:
        """Line load in N/mm that gives a density in g/cm3; NaN at or above ``rho_max``."""
        left = (self.rho_max - density) / (self.rho_max - self.rho_0)
        possible = np.asarray(left) > 0.0
        load: Any = np.where(possible, -self.gamma * np.log(np.where(possible, left, 1.0)), np.nan)
        value: Real = load[()]
        return value

    def thickness(self, line_load: Real, areal_mass: Real) -> Real:
        """Thickness in um of a coating of ``areal_mass`` (mg/cm2) at a line load in N/mm."""
        return thickness(areal_mass, self.density(line_load))

    def thickness_slope(self, line_load: Real, areal_mass: Real) -> Real:
        """dt/dq in um per N/mm; negative: more load, thinner coating."""
        rise = (self.rho_max - self.rho_0) / self.gamma * np.exp(-line_load / self.gamma)
        slope: Real = (
            -thickness(areal_mass, self.density(line_load)) * rise / self.density(line_load)
        )
        return slope


def density(areal_mass: Real, thickness_um: Real) -> Real:
    """Density in g/cm3 from areal mass in mg/cm2 and thickness in um, > 0."""
    value: Real = _UM_PER_CM_MG_PER_G * areal_mass / thickness_um
    return value


def thickness(areal_mass: Real, density_g_cm3: Real) -> Real:
    """Thickness in um from areal mass in mg/cm2 and density in g/cm3, > 0.

    Examples:
        >>> thickness(26.0, 3.4)
        76.47
    """
    value: Real = _UM_PER_CM_MG_PER_G * areal_mass / density_g_cm3
    return value


def true_density(fractions: Sequence[float], densities: Sequence[float]) -> float:
    """Density in g/cm3 of the solid without pores: 1/rho = sum w_i/rho_i.

    Args:
        fractions: Mass fraction of each component; they sum to 1.
        densities: Density of each component in g/cm3, > 0.

    Raises:
        ValueError: Lengths differ, the fractions do not sum to 1, or a density is not positive.

    Examples:
        >>> round(true_density([0.85, 0.15], [4.78, 2.60]), 6)
        4.245986
    """
    if len(fractions) != len(densities):
        raise ValueError(f"{len(fractions)} fractions but {len(densities)} densities")
    if abs(sum(fractions) - 1.0) > 1e-9:
        raise ValueError(f"the mass fractions sum to {sum(fractions)}, expected 1")
    if min(densities) <= 0.0:
        raise ValueError(f"a density is {min(densities)} g/cm3, expected > 0")
    return 1.0 / sum(w / rho for w, rho in zip(fractions, densities, strict=True))


def porosity(density_g_cm3: Real, true_density_g_cm3: float) -> Real:
    """Share of pores in per cent: 100 (1 - rho/rho_true).

    A negative result says that one of the densities is wrong; it is not cut to zero.
    """
    value: Real = 100.0 * (1.0 - density_g_cm3 / true_density_g_cm3)
    return value


def porosity_sigma(
    porosity_percent: Real, thickness_um: Real, sigma_um: float, relative_mass_sigma: float
) -> Real:
    """Standard uncertainty of the porosity in points (first order, independent errors).

    (100 - eps) sqrt((sigma_t/t)^2 + (sigma_m/m)^2).

    Args:
        porosity_percent: Porosity in per cent.
        thickness_um: Thickness in um, > 0.
        sigma_um: Standard uncertainty of the thickness in um, >= 0.
        relative_mass_sigma: Relative standard uncertainty of the areal mass, >= 0; 0.01 is 1 %.
    """
    relative = np.sqrt((sigma_um / thickness_um) ** 2 + relative_mass_sigma**2)
    value: Real = (100.0 - porosity_percent) * relative
    return value
