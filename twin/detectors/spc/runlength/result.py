"""What a run-length calculation answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["LONGEST_ARL", "Method", "RunLength", "fastest", "together"]

LONGEST_ARL = 1e12
"""Longer runs mean nothing: at a point per second this is thirty thousand years."""


class Method(StrEnum):
    """How a number was found."""

    EXACT = "exact"
    """Markov chain or closed form, right to the digits shown."""
    INTEGRAL = "integral equation"
    """Quadrature or collocation refined until nothing changes in the digits shown."""
    SIMULATED = "simulated"
    """Seeded runs through the real detector; has a standard error."""
    BOUND = "lower bound"
    """Sum of the rates of parts that were found one by one; the real run is at least as long."""
    AT_MOST = "upper bound"
    """The fastest of the parts; the real run is at most as long."""
    SETTING = "as set"
    """The rate a detector that learns was asked for; how well it keeps it depends on the data."""


@dataclass(frozen=True, slots=True)
class RunLength:
    """Mean number of plotted points up to and including the first signal.

    Attributes:
        arl: Points, >= 1; capped at :data:`LONGEST_ARL`.
        method: How it was found.
        standard_error: Of a simulated number, points; 0 for the others.
    """

    arl: float
    method: Method = Method.EXACT
    standard_error: float = 0.0

    @property
    def told(self) -> float:
        """The number as findings tell it, with the digits that are the same on every machine.

        Examples:
            >>> RunLength(494.38571892).told
            494.4
        """
        return float(f"{self.arl:.4g}")

    @property
    def text(self) -> str:
        """The number with its origin.

        Examples:
            >>> RunLength(370.3983, Method.EXACT).text
            '370.4 (exact)'
            >>> RunLength(81.25, Method.SIMULATED, 0.5).text
            '81.25 (simulated +- 0.5)'
        """
        error = f" +- {self.standard_error:.2g}" if self.method is Method.SIMULATED else ""
        more = "more than " if self.arl >= LONGEST_ARL else ""
        return f"{more}{self.arl:.4g} ({self.method}{error})"


def together(parts: list[RunLength]) -> RunLength:
    """Several statistics on one chart: their rates add up at most, 1/ARL <= sum of 1/ARL_i.

    Args:
        parts: One entry per statistic, at least one.

    Returns:
        The only part itself, else a lower bound of the run length of all together.
    """
    if len(parts) == 1:
        return parts[0]
    rate = sum(1.0 / part.arl for part in parts)
    return RunLength(max(1.0, 1.0 / rate), Method.BOUND)


def fastest(parts: list[RunLength]) -> RunLength:
    """Several statistics on one chart find a shift no later than the fastest of them.

    Args:
        parts: One entry per statistic, at least one.

    Returns:
        The only part itself, else an upper bound of the run length of all together.
    """
    if len(parts) == 1:
        return parts[0]
    return RunLength(min(part.arl for part in parts), Method.AT_MOST)
