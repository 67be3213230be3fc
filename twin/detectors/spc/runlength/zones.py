"""Run length of zone rules on independent normal values: an absorbing Markov chain.

References:
    C. W. Champ and W. H. Woodall, Exact results for Shewhart control charts with supplementary
    runs rules, Technometrics 29 (1987) 393-399.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

from twin.detectors.spc.runlength.automaton import SIGNAL, automaton, borders

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.spc.rules import Rule

__all__ = ["cell_probabilities", "zones_arl"]


def cell_probabilities(
    edges: tuple[float, ...], shift: float, scale: float = 1.0
) -> NDArray[np.float64]:
    """Probability of each cell.

    Args:
        edges: Borders in sigma of the chart, ascending.
        shift: Mean of the points, in their standard deviations.
        scale: Sigma of the chart over the standard deviation of the points.
    """
    at = np.array([-np.inf, *edges, np.inf]) * scale - shift
    # From the nearer tail, so that far cells keep their digits.
    upper = at > 0
    low, high = scipy.special.ndtr(at), scipy.special.ndtr(-at)
    chance: NDArray[np.float64] = np.where(upper[:-1], high[:-1] - high[1:], low[1:] - low[:-1])
    return chance


def zones_arl(rules: tuple[Rule, ...], shift: float = 0.0, scale: float = 1.0) -> float:
    """Mean number of points to the first signal.

    Args:
        rules: Rules without trend and alternation; at least one.
        shift: Mean of the points, in their standard deviations.
        scale: Sigma of the chart over the standard deviation of the points.

    Raises:
        TooManyStatesError: The set cannot be followed exactly.
    """
    machine = automaton(rules, borders(rules))
    states, symbols = machine.table.shape
    chance = np.tile(cell_probabilities(machine.edges, shift, scale), (states, 1))
    stays = machine.table != SIGNAL
    here = np.repeat(np.arange(states), symbols).reshape(states, symbols)
    moves = scipy.sparse.csc_matrix(
        (chance[stays], (here[stays], machine.table[stays])), (states, states)
    )
    system = scipy.sparse.identity(states, format="csc") - moves
    return float(np.atleast_1d(scipy.sparse.linalg.spsolve(system, np.ones(states)))[0])
