"""What is said about a group: which variables stand out, in numbers and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from twin.detectors.spc import groups_kernel as kernel
from twin.detectors.spc.multivariate import conditional_terms, unconditional_terms
from twin.model.event import Event, event_id, iso

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.finding import Row
    from twin.detectors.group_row import GroupRow
    from twin.detectors.spc.groups_model import Judge

    Array = NDArray[np.float64]

__all__ = ["Change", "contributions", "finding", "rule_names", "ruleset_of"]

_USUAL = {
    "t2": "a large change, or values that contradict each other",
    "mewma": "small sustained shift of one or several variables",
    "spe": "values no longer move together as in the baseline: a sensor or a new cause",
}


class Change(NamedTuple):
    """One entry of ``groups_kernel.CHANGE`` in plain Python, same order of fields."""

    row: int
    group: int
    cause: int
    old: int
    new: int
    n: int
    time_before: int
    n_first: int
    time_first: int
    statistic: float
    residual: float
    variance: float


def main_rule(row: GroupRow) -> str:
    """Rule id of the statistic: ``mewma``, else ``t2``."""
    return "mewma" if row.spec.kind == "mewma" else "t2"


def rule_names(row: GroupRow, active: int) -> list[str]:
    """Names of the statistics whose bit is set."""
    names = [main_rule(row)] if active & kernel.MAIN else []
    return [*names, "spe"] if active & kernel.RESIDUAL else names


def ruleset_of(row: GroupRow, *, fixed: bool) -> str:
    """Named, versioned set the rules of a group belong to."""
    spec = row.spec
    if spec.kind == "mewma":
        form = "" if fixed else ";time-varying"
        return f"mewma({spec.ewma_lambda:g};{spec.arl0:g}{form})@1"
    return f"{spec.kind}({spec.alpha:g})@1"


def contributions(
    row: GroupRow, judge: Judge, y: Array, variance: float, *, residual: bool = False
) -> list[dict[str, Any]]:
    """The variables by how much they explain a finding, most first.

    Args:
        row: The group.
        judge: Its numbers.
        y: Coordinates of the (weighted mean) vector, shape (p,).
        variance: Variance of a coordinate.
        residual: Rank by the squared residual of PCA instead of the statistic.

    Returns:
        Per sensor ``value`` (of the weighted mean for ``mewma``) and ``z``, its distance from the
        mean in sigma. For ``t2`` and ``mewma`` the terms of Mason, Young and Tracy:
        ``unconditional``, ``conditional`` and ``off``, the distance from what the other variables
        say, in standard deviations of what they leave open. For ``pca`` the shares of T2 and of the squared residual, ``t2`` and ``spe``.
    """
    off = judge.back @ y
    z = off / judge.sigma
    told: list[dict[str, Any]] = [
        {"sensor": m.id, "value": float(v), "unit": m.spec.unit, "z": float(s)}
        for m, v, s in zip(row.members, judge.mean + off, z, strict=True)
    ]
    if row.spec.kind == "pca":
        return _shares(told, judge, y, residual=residual)
    scale = variance * judge.covariance
    zero = np.zeros_like(off)
    alone = unconditional_terms(off, zero, scale)
    against = conditional_terms(off, zero, scale)
    inverse = judge.turn.T @ judge.turn
    beside = inverse @ off / np.sqrt(np.diag(inverse))
    for item, a, c, b in zip(told, alone, against, beside, strict=True):
        item |= {"unconditional": float(a), "conditional": float(c), "off": float(b)}
    return sorted(told, key=lambda item: -max(item["unconditional"], item["conditional"]))


def _shares(
    told: list[dict[str, Any]], judge: Judge, y: Array, *, residual: bool
) -> list[dict[str, Any]]:
    kept = judge.kept
    main = judge.turn[:kept].T @ y[:kept] * (judge.back @ y)
    left = (judge.back[:, kept:] @ y[kept:]) / judge.sigma
    for item, share, rest in zip(told, main, left, strict=True):
        item |= {"t2": float(share), "spe": float(rest * rest)}
    return sorted(told, key=lambda item: -item["spe" if residual else "t2"])


def words(row: GroupRow, judge: Judge, ranked: list[dict[str, Any]], names: list[str]) -> str:
    """The first two variables of a ranking, in words."""
    return "; ".join(_phrase(row, judge, item, names[0]) for item in ranked[:2])


def _phrase(row: GroupRow, judge: Judge, item: dict[str, Any], rule: str) -> str:
    name = item["sensor"]
    if rule == "spe":
        return f"{name} {item['spe']:.3g} of the squared residual"
    far = item["z"]
    if item.get("conditional", 0.0) > item.get("unconditional", 0.0):
        side = "above" if item["off"] > 0 else "below"
        return f"{name} {abs(item['off']):.2g} sigma {side} what the others say"
    what = "mean of late " if row.spec.kind == "mewma" else ""
    side = "above" if far > 0 else "below"
    centre = judge.mean[[m.id for m in row.members].index(name)]
    return f"{what}{name} {abs(far):.2g} sigma {side} its mean {centre:.6g}"


def finding(
    row: GroupRow,
    judge: Judge,
    change: Change,
    y: Array,
    at: Row,
    number: int,
    ruleset: str,
) -> Event:
    """The opening event of a finding.

    Args:
        row: The group.
        judge: Its numbers.
        change: The change that opened it.
        y: Coordinates of the vector.
        at: The sample that completed the vector, with the statistic as its value.
        number: Occurrence counter of the group.
        ruleset: See :func:`ruleset_of`.
    """
    spec = row.spec
    names = rule_names(row, change.new & ~change.old)
    residual = names[0] == "spe"
    ranked = contributions(row, judge, y, change.variance, residual=residual)
    statistic, limit = (
        (change.residual, judge.residual_limit) if residual else (change.statistic, judge.limit)
    )
    detail: dict[str, Any] = {
        "baseline": spec.baseline,
        "contributions": ranked,
        "convention": "points",
        "group": spec.id,
        "kind": spec.kind,
        "limit_from": judge.limit_from,
        "meaning": f"{names[0]} {statistic:.4g} above {limit:.4g}: "
        f"{words(row, judge, ranked, names)}",
        "mode": "raw",
        "n_first": change.n_first,
        "n_last": change.n,
        "onset": iso(change.time_first),
        "recipe": spec.recipe,
        "rules": names,
        "sensors": list(spec.sensors),
        "side": "both",
        "statistic": statistic,
        "ucl": limit,
        "usual": _USUAL[names[0]],
    }
    if spec.kind == "mewma":
        detail["arl0"] = spec.arl0
    else:
        detail["alpha"] = spec.alpha
    if len(names) > 1:
        detail |= {"spe": change.residual, "spe_ucl": judge.residual_limit}
    return Event(
        id=event_id(names[0], ruleset, row.id, "finding", change.time_first, number),
        type="finding",
        rule=names[0],
        ruleset=ruleset,
        sensor=row.id,
        product=at.product,
        place=at.place,
        t_first=change.time_first,
        t_last=at.time_ns,
        value=statistic,
        detail=detail,
        row=at.i,
    )
