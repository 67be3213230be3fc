"""What a group of sensors is judged by: its numbers, its coordinates, its limits, its problems."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from twin.detectors.spc.multivariate import (
    box_limit,
    jackson_mudholkar_limit,
    mewma_limit,
    pca_t2_limit,
    t2_known_limit,
    t2_phase2_limit,
)
from twin.model.line import Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.index import LineIndex
    from twin.model.line import Group

    Array = NDArray[np.float64]

__all__ = [
    "Judge",
    "Trouble",
    "judge_of",
    "problems_of",
    "variance_of",
]

_SMALL = 1e-10
"""An eigenvalue of a correlation matrix below this means that a variable follows from others."""
_PER_VARIABLE = 10
_WRONG = {
    Role.SLOW_COVARIATE: "a slow covariate moves by itself and hides or fakes findings",
    Role.FOLLOWS_SETPOINT: "a value that follows its set-point moves when somebody wants it to",
    Role.COUNTER: "a counter only rises",
    Role.STATE: "a state has no mean",
}


class Trouble(NamedTuple):
    """Something wrong in a ``[[group]]`` table.

    Attributes:
        key: Key of the table.
        message: What is wrong.
        value: What was found; None when something is missing.
        allowed: What would be right.
        severity: ``error`` refuses the table, ``warning`` does not.
    """

    key: str
    message: str
    value: Any = None
    allowed: str = ""
    severity: str = "error"


@dataclass(frozen=True, slots=True)
class Judge:
    """A group's numbers, ready for the kernel.

    Attributes:
        mean: Shape (p,).
        sigma: Shape (p,).
        covariance: Shape (p, p).
        turn: Deviations to independent coordinates, shape (p, p).
        back: The way back, shape (p, p).
        kept: Coordinates of the statistic; the others are the residual of PCA.
        limit: Limit of the statistic.
        residual_limit: Limit of the squared residual; infinite without one.
        limit_from: How the limits were found, in words.
    """

    mean: Array
    sigma: Array
    covariance: Array
    turn: Array
    back: Array
    kept: int
    limit: float
    residual_limit: float
    limit_from: str


def judge_of(spec: Group, limits: Literal["fixed", "time-varying"] = "fixed") -> Judge:
    """Coordinates and limits of a group without problems.

    Args:
        spec: The group.
        limits: Form of the limits of a MEWMA.

    Raises:
        ValueError: The numbers do not make a positive definite covariance.
    """
    mean, sigma = np.array(spec.mean), np.array(spec.sigma)
    correlation = np.array(spec.correlation)
    covariance = correlation * np.outer(sigma, sigma)
    if spec.kind == "pca":
        return _components(spec, mean, sigma, correlation, covariance)
    lower = np.linalg.cholesky(correlation)
    turn = np.linalg.inv(lower) / sigma
    back = lower * sigma[:, None]
    limit, source = _limit(spec, limits)
    return Judge(mean, sigma, covariance, turn, back, len(mean), limit, inf, source)


def _limit(spec: Group, limits: Literal["fixed", "time-varying"]) -> tuple[float, str]:
    p = len(spec.sensors)
    if spec.limit is not None:
        return spec.limit, "given"
    if spec.kind == "mewma":
        limit = mewma_limit(p, spec.ewma_lambda, spec.arl0, limits)
        return limit, f"ARL0 {spec.arl0:g}, {limits} limits"
    if spec.m is None:
        return t2_known_limit(p, spec.alpha), f"chi-squared, alpha {spec.alpha:g}"
    return t2_phase2_limit(spec.m, p, spec.alpha), f"F, m = {spec.m}, alpha {spec.alpha:g}"


def _components(
    spec: Group, mean: Array, sigma: Array, correlation: Array, covariance: Array
) -> Judge:
    values, vectors = np.linalg.eigh(correlation)
    values, vectors = values[::-1], vectors[:, ::-1]
    a = kept_components(spec, values)
    # Kept coordinates have variance 1, those of the residual keep their own.
    root = np.ones(len(values))
    root[:a] = np.sqrt(values[:a])
    turn = (vectors / root).T / sigma
    back = vectors * root * sigma[:, None]
    if spec.limit is not None:
        limit, source = spec.limit, "given"
    elif spec.m is None:
        limit, source = t2_known_limit(a, spec.alpha), f"chi-squared, alpha {spec.alpha:g}"
    else:
        limit = pca_t2_limit(a, spec.m, spec.alpha)
        source = f"F, m = {spec.m}, alpha {spec.alpha:g}"
    left = values[a:]
    residual = inf
    if len(left):
        residual, _ = jackson_mudholkar_limit(left, spec.alpha)
        method = "Jackson-Mudholkar"
        if isnan(residual):
            residual, method = box_limit(left, spec.alpha), "Box"
        source += f"; residual: {method}"
    return Judge(mean, sigma, covariance, turn, back, a, limit, residual, source)


def kept_components(spec: Group, values: Array) -> int:
    """Number of components: as declared, else those with more variance than a single variable."""
    if spec.components is not None:
        return spec.components
    return max(1, int(np.sum(values > 1.0 + 1e-12)))


def problems_of(group: Group, index: LineIndex) -> list[Trouble]:
    """Everything that keeps a group from being judged, with a proposal.

    Args:
        group: A ``[[group]]`` table, valid in itself.
        index: The line its sensors belong to.
    """
    return [*_members(group, index), *(_numbers(group) if group.kind != "anomaly" else [])]


def _members(group: Group, index: LineIndex) -> list[Trouble]:
    found: list[Trouble] = []
    seen: set[str] = set()
    for name in group.sensors:
        row = index.by_id.get(name)
        if name in seen:
            found.append(Trouble("sensors", "is named twice", name, "each sensor once"))
        elif row is None:
            found.append(Trouble("sensors", "no such sensor", name, "station/key of a sensor"))
        elif row.spec.role in _WRONG:
            message = f"has the role {row.spec.role}: {_WRONG[row.spec.role]}"
            found.append(Trouble("sensors", message, name, "sensors with role = characteristic"))
        seen.add(name)
    return found


def _numbers(group: Group) -> list[Trouble]:
    p = len(group.sensors)
    found: list[Trouble] = []
    for key in ("mean", "sigma"):
        count = len(getattr(group, key))
        if count != p:
            what = "is missing" if not count else f"has {count} numbers for {p} sensors"
            found.append(Trouble(key, what, None, f"{p} numbers in the order of sensors"))
    found += _correlation(group, p)
    found += _counts(group, p)
    return found


def _correlation(group: Group, p: int) -> list[Trouble]:
    rows = group.correlation
    if len(rows) != p or any(len(row) != p for row in rows):
        what = f"is not {p} rows of {p} numbers" if rows else "is missing"
        return [Trouble("correlation", what, None, "the whole matrix, row by row")]
    matrix = np.array(rows)
    if np.abs(np.diag(matrix) - 1.0).max() > 1e-9:
        return [
            Trouble("correlation", "is not 1 on its diagonal", None, "correlations, with sigma")
        ]
    if np.abs(matrix - matrix.T).max() > 1e-9:
        i, j = np.unravel_index(int(np.abs(matrix - matrix.T).argmax()), matrix.shape)
        pair = f"{matrix[i, j]:g} and {matrix[j, i]:g}"
        message = f"is not symmetric at {group.sensors[i]} and {group.sensors[j]}"
        return [Trouble("correlation", message, pair, "the same number in both places")]
    values, vectors = np.linalg.eigh(matrix)
    if values[0] > _SMALL:
        return []
    names = [n for n, v in zip(group.sensors, vectors[:, 0], strict=True) if abs(v) > 0.1]
    what = "is singular" if values[0] > -_SMALL else "is not positive definite"
    message = f"{what}: together {', '.join(names)} say the same thing twice"
    return [Trouble("correlation", message, None, "leave one of them out, or kind = pca of fewer")]


def _counts(group: Group, p: int) -> list[Trouble]:
    found: list[Trouble] = []
    if group.components is not None and group.components > p:
        message = f"is more than the {p} sensors"
        found.append(Trouble("components", message, group.components, f"1 to {p}"))
    if group.m is None:
        return found
    if group.m < p + 2:
        message = f"is too small for {p} sensors"
        found.append(Trouble("m", message, group.m, f"{_PER_VARIABLE * p} or more vectors"))
    elif group.m < _PER_VARIABLE * p and group.limit is None:
        message = (
            f"is less than {_PER_VARIABLE} vectors per sensor: the limit is far too optimistic"
        )
        allowed = f"{_PER_VARIABLE * p} or more, or a limit from vectors not used for the fit"
        found.append(Trouble("m", message, group.m, allowed, "warning"))
    return found


def variance_of(spec: Group) -> float:
    """Variance of a coordinate of the weighted mean after many vectors: lambda / (2 - lambda)."""
    weight = spec.ewma_lambda if spec.kind == "mewma" else 1.0
    return weight / (2.0 - weight)
