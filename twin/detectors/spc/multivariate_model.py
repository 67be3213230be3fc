"""Fit of a baseline for several variables, with the false-alarm rate it shows on other data."""

from __future__ import annotations

from math import inf, isnan
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import numpy as np
import scipy

from twin.detectors.spc.multivariate import (
    box_limit,
    difference_covariance,
    jackson_mudholkar_limit,
    ledoit_wolf,
    mewma,
    mewma_limit,
    pca_t2_limit,
    sample_covariance,
    t2,
    t2_phase1_limit,
    t2_phase2_limit,
    t2_simulated_limit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

__all__ = ["Model", "fit"]

_PER_VARIABLE = 10
_FOLDS = 10
_SINGULAR = 1e-10


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen baseline of several variables.

    Attributes:
        kind: ``t2``, ``mewma`` or ``pca``.
        names: Variables, in order of the vectors.
        units: Their units.
        mean: Mean of each.
        sigma: Standard deviation of each.
        correlation: Correlation matrix, row by row.
        eigenvalues: Of the correlation matrix, largest first (``pca``).
        loadings: Shape (variables, components), as rows (``pca``).
        components: Components kept (``pca``).
        chosen_by: How their number was chosen.
        explained: Share of the variance they explain.
        limits: By statistic: ``t2`` or ``mewma``, ``spe``, and ``t2_phase1`` for the baseline itself.
        limits_from: How the limits were found, in words.
        estimator: How the covariance was estimated, in words.
        shrinkage: Weight of the target of a shrunk covariance, 0 to 1.
        m: Vectors the numbers were estimated from.
        dropped: Vectors left out because a variable was missing.
        alpha: False-alarm probability per vector that was asked for.
        arl0: Mean number of vectors between false findings that was asked for (``mewma``).
        ewma_lambda: Weight of the newest vector (``mewma``).
        beyond_phase1: Baseline vectors beyond their own limit.
        theory_rate: False findings per vector by theory: normal, independent, in control. For
            ``pca`` that of either statistic.
        held_out: Vectors not used for the fit.
        observed: Of these, the findings of each statistic.
        observed_rate: Findings per held-out vector, of any statistic; None without such vectors.
        warnings: What a person should know before using it.
    """

    kind: Literal["t2", "mewma", "pca"]
    names: tuple[str, ...]
    units: tuple[str, ...]
    mean: tuple[float, ...]
    sigma: tuple[float, ...]
    correlation: tuple[tuple[float, ...], ...]
    eigenvalues: tuple[float, ...] = ()
    loadings: tuple[tuple[float, ...], ...] = ()
    components: int | None = None
    chosen_by: str = ""
    explained: float | None = None
    limits: dict[str, float]
    limits_from: str
    estimator: str
    shrinkage: float = 0.0
    m: int
    dropped: int = 0
    alpha: float
    arl0: float | None = None
    ewma_lambda: float | None = None
    beyond_phase1: int | None = None
    theory_rate: float
    held_out: int = 0
    observed: dict[str, int] = {}
    observed_rate: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def covariance(self) -> Array:
        """Covariance matrix, shape (p, p)."""
        return np.asarray(np.array(self.correlation) * np.outer(self.sigma, self.sigma))

    def statistics(self, x: ArrayLike) -> dict[str, Array]:
        """The statistics of vectors, shape (n, p), by name."""
        x = np.atleast_2d(np.asarray(x, np.float64))
        if self.kind == "mewma":
            return {"mewma": mewma(x, self.mean, self.covariance, self.ewma_lambda or 1.0)}
        if self.kind == "t2":
            return {"t2": t2(x, self.mean, self.covariance)}
        z = (x - np.array(self.mean)) / np.array(self.sigma)
        loadings = np.array(self.loadings)
        scores = z @ loadings
        left = z - scores @ loadings.T
        main = np.sum(scores**2 / np.array(self.eigenvalues[: self.components]), axis=1)
        return {"t2": main, "spe": np.sum(left**2, axis=1)}

    def group(self) -> dict[str, Any]:
        """Keys of a ``[[group]]`` table that judges with these numbers."""
        table: dict[str, Any] = {
            "kind": self.kind,
            "mean": list(self.mean),
            "sigma": list(self.sigma),
            "correlation": [list(row) for row in self.correlation],
            "m": self.m,
            "alpha": self.alpha,
            "limit": self.limits["mewma" if self.kind == "mewma" else "t2"],
        }
        if self.kind == "mewma":
            table |= {"ewma_lambda": self.ewma_lambda, "arl0": self.arl0}
        if self.kind == "pca":
            table["components"] = self.components
        return table

    def to_dict(self) -> dict[str, Any]:
        """The record as plain data, for storage."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Model:
        """The record of :meth:`to_dict`.

        Raises:
            ValueError: It is not one.
        """
        try:
            return msgspec.convert(plain, cls)
        except msgspec.ValidationError as error:
            raise ValueError(f"no multivariate baseline: {error}") from error


class _Estimate(NamedTuple):
    mean: Array
    covariance: Array
    shrinkage: float


def fit(
    x: ArrayLike,
    names: Sequence[str],
    units: Sequence[str] | None = None,
    *,
    kind: Literal["t2", "mewma", "pca"] = "t2",
    alpha: float = 0.0027,
    estimator: Literal["auto", "sample", "differences", "ledoit-wolf"] = "auto",
    components: float | Literal["kaiser"] = "kaiser",
    ewma_lambda: float = 0.1,
    arl0: float = 500.0,
    held_out: float | ArrayLike = 0.25,
    seed: int = 1,
) -> Model:
    """Mean, covariance and limits from vectors of a process in control.

    Args:
        x: Vectors in time order, shape (n, p). Rows with a missing value are dropped and counted.
        names: Variables.
        units: Their units; None for 1.
        kind: Statistic to fit.
        alpha: False-alarm probability per vector (of each statistic).
        estimator: ``auto`` takes the sample covariance, and shrinks it (Ledoit-Wolf) when there are
            fewer than ten vectors per variable. ``differences`` is better when the baseline drifts.
        components: Number kept; or the share of variance to explain (below 1); or ``kaiser``: those
            that explain more than a single variable.
        ewma_lambda: Weight of the newest vector (``mewma``).
        arl0: Mean number of vectors between false findings (``mewma``).
        held_out: Share of the vectors, from the end, that is not used for the fit but shows the
            real false-alarm rate; or such vectors themselves, shape (k, p).
        seed: Of simulated limits.

    Raises:
        ValueError: A column is constant, variables determine each other, or there are too few
            vectors; with a proposal.
    """
    given = np.asarray(x, np.float64)
    if given.ndim != 2 or given.shape[1] != len(names) or len(names) < 2:
        raise ValueError(
            f"vectors have shape {given.shape} for {len(names)} names; needed: (n, p >= 2)"
        )
    vectors = _whole(given)
    dropped = len(given) - len(vectors)
    if isinstance(held_out, float | int):
        cut = len(vectors) - round(len(vectors) * held_out)
        vectors, other = vectors[:cut], vectors[cut:]
    else:
        other = _whole(np.atleast_2d(np.asarray(held_out, np.float64)))
    m, p = vectors.shape
    _refuse(vectors, names)
    shrink = estimator == "ledoit-wolf" or (estimator == "auto" and m < _PER_VARIABLE * p)
    how = "ledoit-wolf" if shrink else ("sample" if estimator == "auto" else estimator)
    found = _estimate(vectors, how)
    sigma = np.sqrt(np.diag(found.covariance))
    correlation = found.covariance / np.outer(sigma, sigma)
    correlation = (correlation + correlation.T) / 2
    np.fill_diagonal(correlation, 1.0)
    _independent(correlation, names)
    base: dict[str, Any] = {
        "kind": kind,
        "names": tuple(names),
        "units": tuple(units or ["1"] * p),
        "mean": tuple(found.mean.tolist()),
        "sigma": tuple(sigma.tolist()),
        "correlation": tuple(map(tuple, correlation.tolist())),
        "estimator": _NAMES[how],
        "shrinkage": found.shrinkage,
        "m": m,
        "dropped": dropped,
        "alpha": alpha,
        "limits": {},
        "limits_from": "",
        "theory_rate": alpha,
    }
    if kind == "mewma":
        base |= {"ewma_lambda": ewma_lambda, "arl0": arl0, "theory_rate": 1.0 / arl0}
    if kind == "pca":
        base |= _principal(correlation, components)
    model = Model(**base)
    limits, source = _limits(model, vectors, how, seed)
    model = msgspec.structs.replace(model, limits=limits, limits_from=source)
    if kind == "pca" and "spe" in limits:
        model = msgspec.structs.replace(model, theory_rate=1.0 - (1.0 - alpha) ** 2)
    return _checked(model, vectors, other)


_NAMES = {
    "sample": "sample covariance",
    "differences": "successive differences",
    "ledoit-wolf": "shrunk (Ledoit-Wolf, of standardised variables)",
}


def _whole(x: Array) -> Array:
    """The vectors without a missing value."""
    return np.asarray(x[np.isfinite(x).all(axis=1)])


def _refuse(x: Array, names: Sequence[str]) -> None:
    """Too few vectors, and columns that never change."""
    m, p = x.shape
    if m < p + 2:
        raise ValueError(
            f"{m} vectors for {p} variables; needed: {p + 2} or more, better {_PER_VARIABLE * p}. "
            "Collect more, or judge fewer variables together"
        )
    span = np.ptp(x, axis=0)
    still = [
        n for n, s, c in zip(names, span, x[0], strict=True) if s <= 1e-12 * max(abs(c), 1e-300)
    ]
    if still:
        raise ValueError(
            f"{', '.join(still)} never changes: it has no variance to judge by. Leave it out, or "
            "watch it with fixed limits"
        )


def _independent(correlation: Array, names: Sequence[str]) -> None:
    values, vectors = np.linalg.eigh(correlation)
    if values[0] < _SINGULAR:
        together = [n for n, v in zip(names, vectors[:, 0], strict=True) if abs(v) > 0.1]
        raise ValueError(
            f"covariance is singular: {', '.join(together)} determine each other. Leave one of "
            "them out"
        )


def _estimate(x: Array, how: str) -> _Estimate:
    mean = x.mean(axis=0)
    if how == "differences":
        return _Estimate(mean, difference_covariance(x), 0.0)
    if how == "sample":
        return _Estimate(mean, sample_covariance(x), 0.0)
    sigma = x.std(axis=0, ddof=1)
    shrunk, weight = ledoit_wolf((x - mean) / sigma)
    # Its diagonal is not quite 1, because it divides by m.
    root = np.sqrt(np.diag(shrunk))
    return _Estimate(mean, shrunk / np.outer(root, root) * np.outer(sigma, sigma), weight)


def _principal(correlation: Array, components: float | Literal["kaiser"]) -> dict[str, Any]:
    values, vectors = np.linalg.eigh(correlation)
    values, vectors = values[::-1], vectors[:, ::-1]
    share = np.cumsum(values) / values.sum()
    p = len(values)
    if components == "kaiser":
        a, how = max(1, int(np.sum(values > 1.0 + 1e-12))), "Kaiser: eigenvalue above 1"
    elif 0 < components < 1:
        a, how = int(np.searchsorted(share, components) + 1), f"explained variance {components:g}"
    else:
        a, how = int(components), "given"
    if not 1 <= a <= p:
        raise ValueError(f"{a} components of {p} variables; allowed: 1 to {p}")
    return {
        "eigenvalues": tuple(values.tolist()),
        "loadings": tuple(map(tuple, vectors[:, :a].tolist())),
        "components": a,
        "chosen_by": how,
        "explained": float(share[a - 1]),
    }


def _limits(model: Model, x: Array, how: str, seed: int) -> tuple[dict[str, float], str]:
    m, p = x.shape
    alpha = model.alpha
    if model.kind == "mewma":
        h4 = mewma_limit(p, model.ewma_lambda or 1.0, model.arl0 or 0.0)
        return {"mewma": h4}, "Markov chain for known parameters"
    if how == "ledoit-wolf":
        return _left_out(model, x)
    if model.kind == "pca":
        a = model.components or 1
        limits, source = {"t2": pca_t2_limit(a, m, alpha)}, "F"
        left = model.eigenvalues[a:]
        if left:
            spe, _ = jackson_mudholkar_limit(left, alpha)
            source += "; residual: Box" if isnan(spe) else "; residual: Jackson-Mudholkar"
            limits["spe"] = box_limit(left, alpha) if isnan(spe) else spe
        return limits, source
    if how == "differences":
        limit, error = t2_simulated_limit(m, p, alpha, seed=seed)
        first, _ = t2_simulated_limit(m, p, alpha, phase=1, seed=seed)
        source = f"simulated (seed {seed}, standard error {error:.2g})"
        return {"t2": limit, "t2_phase1": first}, source
    return {
        "t2": t2_phase2_limit(m, p, alpha),
        "t2_phase1": t2_phase1_limit(m, p, alpha),
    }, "F of phase II, beta of phase I"


def _left_out(model: Model, x: Array) -> tuple[dict[str, float], str]:
    """Limits from statistics of vectors that were left out of the fit, tenth by tenth.

    With enough of them their quantile; otherwise the scaled chi-squared with their mean and variance.
    """
    kept: dict[str, list[Array]] = {}
    for fold in np.array_split(np.arange(len(x)), _FOLDS):
        rest = np.setdiff1d(np.arange(len(x)), fold)
        found = _estimate(x[rest], "ledoit-wolf")
        sigma = np.sqrt(np.diag(found.covariance))
        correlation = found.covariance / np.outer(sigma, sigma)
        part: dict[str, Any] = {
            "mean": tuple(found.mean.tolist()),
            "sigma": tuple(sigma.tolist()),
            "correlation": tuple(map(tuple, correlation.tolist())),
        }
        if model.kind == "pca":
            part |= _principal(correlation, model.components or 1)
        for name, values in msgspec.structs.replace(model, **part).statistics(x[fold]).items():
            kept.setdefault(name, []).append(values)
    limits: dict[str, float] = {}
    source = ""
    for name, parts in kept.items():
        values = np.concatenate(parts)
        if len(values) >= 10 / model.alpha:
            limits[name] = float(np.quantile(values, 1.0 - model.alpha))
            source = f"quantile of {len(values)} vectors left out of the fit"
        elif float(values.mean()) > 0.0:
            mean, variance = float(values.mean()), float(values.var(ddof=1))
            scale = variance / (2.0 * mean)
            limits[name] = scale * float(scipy.special.chdtri(mean / scale, model.alpha))
            source = f"scaled chi-squared of {len(values)} vectors left out of the fit"
    return limits, source


def _checked(model: Model, x: Array, other: Array) -> Model:
    """The model with what it says about its baseline and about vectors it has not seen."""
    changes: dict[str, Any] = {}
    if "t2_phase1" in model.limits:
        changes["beyond_phase1"] = int(
            np.sum(model.statistics(x)["t2"] > model.limits["t2_phase1"])
        )
    warnings: list[str] = []
    if model.shrinkage or model.estimator.startswith("shrunk"):
        warnings.append(f"{model.m} vectors are less than ten per variable: covariance shrunk")
    if len(other):
        beyond = _findings(model, other)
        either = int(np.any(list(beyond.values()), axis=0).sum())
        changes["held_out"] = len(other)
        changes["observed"] = {name: int(hit.sum()) for name, hit in beyond.items()}
        changes["observed_rate"] = either / len(other)
        expected = model.theory_rate * len(other)
        if either > expected + 3.0 * max(1.0, expected) ** 0.5:
            warnings.append(
                f"{either} of {len(other)} vectors not used for the fit are beyond, {expected:.2g} "
                "expected: not normal, not independent, or not the same process"
            )
    else:
        warnings.append("no vectors were held out: the real false-alarm rate is unknown")
    return msgspec.structs.replace(model, **changes, warnings=tuple(warnings))


def _findings(model: Model, x: Array) -> dict[str, NDArray[np.bool_]]:
    """Which vectors are beyond, by statistic; a MEWMA starts again after each."""
    if model.kind != "mewma":
        return {
            name: values > model.limits.get(name, inf)
            for name, values in model.statistics(x).items()
        }
    hits = np.zeros(len(x), bool)
    start = 0
    while start < len(x):
        beyond = np.flatnonzero(model.statistics(x[start:])["mewma"] > model.limits["mewma"])
        if not len(beyond):
            break
        start += int(beyond[0]) + 1
        hits[start - 1] = True
    return {"mewma": hits}
