"""Run length of any rule set when the next point is compared with, or depends on, the last one.

Two reasons to remember the value of the newest point: trend and alternation rules compare
neighbours, and the next value of an autocorrelated series starts from it. In both cases the mean
remaining run length is a smooth function of that value inside each cell, so it is followed as its
values at a few Gauss-Legendre nodes per cell and per state of the automaton. Integrals up to the
last value ("the next point is above it") integrate the polynomial through the nodes exactly, which
leaves no discretisation error to extrapolate away.

The run length is the sum of the survival probabilities. They fall by a constant factor once the
start is forgotten; the rest of the sum is then known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial.legendre import leggauss, legvander

from twin.detectors.spc.runlength.automaton import (
    SIGNAL,
    automaton,
    borders,
)
from twin.detectors.spc.runlength.zones import cell_probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.spc.rules import Rule
    from twin.detectors.spc.runlength.automaton import Automaton

__all__ = ["previous_arl"]

_NODES = 8
_FAR = 8.5
"""Points further from their mean than this many standard deviations do not happen."""
_WIDEST = 1.5
"""Widest cell with correlated values, in standard deviations of one step."""
_FINE = 40
_MOST_POINTS = 200_000
_STEADY = 1e-10
_SELDOM = 1e-13


@dataclass(frozen=True, slots=True)
class _Weights:
    """Integrals over the next point, as weights of the nodes.

    Attributes:
        first: Shape (cells, nodes): the first point of a chart.
        whole: Shape (cells, nodes or 1, cells, nodes): from a node into a whole cell; one row
            serves all nodes when the next point does not depend on the last.
        below: Shape (cells, nodes, nodes): into the own cell, below the node.
        above: The same, above the node.
    """

    first: NDArray[np.float64]
    whole: NDArray[np.float64]
    below: NDArray[np.float64]
    above: NDArray[np.float64]


def previous_arl(
    rules: tuple[Rule, ...], shift: float = 0.0, *, phi: float = 0.0, scale: float = 1.0
) -> float:
    """Mean number of points to the first signal.

    Args:
        rules: Any rules, at least one.
        shift: Mean of the points, in their standard deviations.
        phi: Correlation of neighbouring points (AR(1)), -1 < phi < 1; the first point is drawn
            from the stationary distribution.
        scale: Sigma of the chart over the standard deviation of the points: sqrt(1 - phi) when
            sigma came from moving ranges.

    Raises:
        TooManyStatesError: The set cannot be followed exactly.
        ValueError: ``phi`` is outside -1 to 1.
    """
    if not -1.0 < phi < 1.0:
        raise ValueError(f"phi is {phi}; allowed: -1 < phi < 1")
    edges = borders(rules)
    if phi == 0.0:
        weights = _independent(cell_probabilities(edges, shift, scale))
    else:
        ends = _cells(edges, shift, phi, scale)
        edges = tuple(float(end) / scale for end in ends[1:-1])
        weights = _correlated(ends, shift, phi)
    return _sum(automaton(rules, edges, remember=True), weights, max(r.points for r in rules))


@lru_cache(maxsize=4)
def _basis(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights on 0 to 1, and the matrix from values at nodes to Legendre coefficients."""
    x, w = leggauss(n)
    inverse = np.asarray(np.linalg.inv(legvander(x, n - 1)), np.float64)
    return (x + 1) / 2, w / 2, inverse


def _values_at(t: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Weights of the nodes that give the value of the polynomial at ``t``, shape (..., n)."""
    matrix: NDArray[np.float64] = legvander(2 * t - 1, n - 1) @ _basis(n)[2]
    return matrix


def _independent(chance: NDArray[np.float64]) -> _Weights:
    """Weights in the probability of the point itself, where every cell is evenly filled."""
    t, w, _ = _basis(_NODES)
    below = np.stack([x * w @ _values_at(x * t, _NODES) for x in t])
    first = chance[:, None] * w
    own = chance[:, None, None]
    cells = len(chance)
    whole = np.broadcast_to(first, (cells, 1, cells, _NODES))
    return _Weights(first, whole, own * below, own * (w - below))


def _cells(edges: tuple[float, ...], shift: float, phi: float, scale: float) -> NDArray[np.float64]:
    """Ends of the cells in standard deviations of the points, wide cells cut."""
    far = _FAR + abs(shift)
    inner = [edge * scale for edge in edges]
    ends = [min([-far, *(e - 1.0 for e in inner)]), *inner, max([far, *(e + 1.0 for e in inner)])]
    widest = _WIDEST * sqrt(1 - phi * phi)
    cut = [
        np.linspace(a, b, max(1, int(np.ceil((b - a) / widest))), endpoint=False)
        if max(a, -far) < min(b, far)
        else np.array([a])
        for a, b in pairwise(ends)
    ]
    return np.append(np.concatenate(cut), ends[-1])


def _correlated(ends: NDArray[np.float64], shift: float, phi: float) -> _Weights:
    """Weights in the value of the point, the next one normal around ``phi`` times the last."""
    n, cells = _NODES, len(ends) - 1
    t, _, _ = _basis(n)
    fine, fine_w, _ = _basis(_FINE)
    width = np.diff(ends)
    nodes = ends[:-1, None] + width[:, None] * t
    sigma = sqrt(1 - phi * phi)
    into = _values_at(fine, n)
    points = ends[:-1, None] + width[:, None] * fine
    mass = width[:, None] * fine_w
    mean = shift + phi * (nodes - shift)
    first = (mass * _normal(points - shift, 1.0)) @ into
    density = _normal(points[None, None] - mean[:, :, None, None], sigma) * mass
    whole = density @ into
    below = np.empty((cells, n, n))
    for i in range(n):
        part = ends[:-1, None] + width[:, None] * t[i] * fine
        chance = _normal(part - mean[:, i, None], sigma) * mass * t[i]
        below[:, i] = chance @ _values_at(t[i] * fine, n)
    own = whole[np.arange(cells), :, np.arange(cells)]
    return _Weights(first, whole, below, own - below)


def _normal(x: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    density: NDArray[np.float64] = np.exp(-0.5 * (x / sigma) ** 2) / (sigma * sqrt(2 * np.pi))
    return density


def _sum(machine: Automaton, weights: _Weights, longest: int) -> float:
    """Sum of the probabilities that there was no signal yet."""
    table = machine.table
    cells, n = weights.first.shape
    states = len(table)
    symbols = np.arange(table.shape[1])
    to_cell = symbols // 2 if machine.steps else symbols
    follow = np.where(table == SIGNAL, states, table)
    alone = weights.whole.shape[1] == 1
    moves = _moves(machine, weights, follow, to_cell)
    alive = np.ones((states + 1, n))
    alive[states] = 0.0
    total, survival, hazard, calm = 1.0, 1.0, 1.0, 0
    for count in range(_MOST_POINTS):
        now = float(
            sum(weights.first[c] @ alive[follow[0, s]] for s, c in _first(to_cell, machine.steps))
        )
        total += now
        before, hazard = hazard, 1.0 - now / survival if survival > 0 else 1.0
        survival = now
        calm = calm + 1 if abs(hazard - before) <= _STEADY * (hazard + 1e-6) else 0
        if survival < 1e-15 or (calm >= 10 and count > 2 * longest):
            break
        after = np.zeros_like(alive)
        means = alive @ _basis(n)[1] if alone else None
        for c in range(cells):
            rows, into = moves[c]
            sums = np.zeros((len(rows), n))
            for target, to, part in into:
                if means is not None and part is None:
                    sums += weights.first[target].sum() * means[to, None]
                else:
                    sums += alive[to] @ (weights.whole[c, :, target] if part is None else part).T
            after[rows] = sums
        alive = after
    if survival < 1e-15:
        return total
    return total + survival * (1.0 - hazard) / hazard if hazard > 0 else np.inf


def _moves(
    machine: Automaton,
    weights: _Weights,
    follow: NDArray[np.int64],
    to_cell: NDArray[np.int64],
) -> list[
    tuple[NDArray[np.int64], list[tuple[int, NDArray[np.int64], NDArray[np.float64] | None]]]
]:
    """For each cell the states in it, and where they go: cell, states there, weights.

    Weights are None for a whole cell. Moves that always signal, or that hardly ever happen, are
    left out.
    """
    dead = len(follow)
    seldom = np.abs(weights.whole).max(axis=(1, 3)) < _SELDOM
    answer = []
    for c in range(len(weights.first)):
        rows = np.flatnonzero(machine.cell == c)
        into: list[tuple[int, NDArray[np.int64], NDArray[np.float64] | None]] = []
        for s, target in enumerate(to_cell.tolist()):
            up = s % 2 == 1
            to = follow[rows, s]
            part = None
            if machine.steps and target == c:
                part = weights.above[c] if up else weights.below[c]
            elif machine.steps and (target > c) != up:
                continue
            if not seldom[c, target] and not np.all(to == dead):
                into.append((target, to, part))
        answer.append((rows, into))
    return answer


def _first(to_cell: NDArray[np.int64], steps: bool) -> list[tuple[int, int]]:
    """Symbol and cell of every first point; its direction means nothing."""
    return [(s, int(c)) for s, c in enumerate(to_cell) if not steps or s % 2 == 0]
