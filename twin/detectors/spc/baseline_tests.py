"""What a candidate has to pass: stability, normality, resolution, and findings chance explains."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from twin.detectors.spc import autocorrelation, normalise, sampling, stability
from twin.detectors.spc.baseline_points import Plotted, located, scores
from twin.detectors.spc.normality import anderson_darling
from twin.model.line import Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.baseline import Baseline

    F64 = NDArray[np.float64]
    Tests = dict[str, float | str | bool]

__all__ = ["FAILS", "Outside", "normal", "outside", "rehearsal", "resolution", "stable"]

FAILS = ("level", "scatter", "in_control", "rehearsal", "resolution", "independent", "enough")
"""Tests that a baseline in force has to pass; ``normal`` is answered by the map instead."""

_STABLE_P, _NORMAL_P, _CHANCE_P = 0.01, 0.01, 0.01
_LEAST = 25
_BLIND = 0.5
"""Resolution in sigma above which zone rules see nothing."""
_EQUAL = 0.5
_CORRELATED = 0.2
_PATIENCE = 1.5
"""Findings may be so many times those of chance before anybody doubts the baseline."""
_SINGLE = {Series.RAW, Series.RESIDUAL}


@dataclass(frozen=True, slots=True)
class Outside:
    """A point of the retrospective chart beyond three sigma: look for its cause.

    Attributes:
        time_ns: Event time.
        value: Plotted value.
        z: Distance from the centre in sigma.
        round: 1, or 2 for points that show only without those of the first round.
    """

    time_ns: int
    value: float
    z: float
    round: int


def outside(draft: Baseline, points: Plotted) -> list[Outside]:
    """Points beyond three sigma in two rounds; only a named cause takes one out."""
    found: list[Outside] = []
    z = (points.value - draft.centre) / draft.sigma
    rest = np.ones(len(z), np.bool_)
    for turn in (1, 2):
        hit = rest & (np.abs(z) > 3.0)
        found += [
            Outside(int(points.time_ns[i]), float(points.value[i]), float(z[i]), turn)
            for i in np.flatnonzero(hit)
        ]
        rest &= ~hit
        if not hit.any() or int(rest.sum()) < _LEAST:
            break
        kept = Plotted(points.time_ns[rest], points.value[rest], points.spread[rest])
        again = located(draft, kept)
        z = (points.value - again.centre) / again.sigma
    return found


def normal(draft: Baseline, points: Plotted) -> tuple[Baseline, Tests, str]:
    """Test for normality; individual points that fail get a map to normal scores.

    Returns:
        The draft, with its map where it needs one; the results; a sentence, or nothing.
    """
    test = anderson_darling(points.value)
    passed = test.p >= _NORMAL_P
    told: Tests = {
        "anderson_darling": round(test.statistic, 4),
        "anderson_darling_p": float(f"{test.p:.3g}"),
        "normal": passed,
    }
    if passed or draft.series not in {*_SINGLE, Series.THIN}:
        return draft, told, ""
    if len(points) < normalise.FEWEST:
        return draft, told, "points are not normal, and too few for a map to normal scores"
    spread = float(points.value.std(ddof=1))
    shaped = {"sigma": spread, "estimator": "standard deviation, shaped"}
    try:
        shape = normalise.shape_of((points.value - draft.centre) / spread)
    except ValueError as error:
        return draft, told, f"points are not normal; no map: {error}"
    text = f"points are not normal (p {test.p:.2g}): {len(shape)} knots map them to scores"
    return draft.model_copy(update={**shaped, "shape": shape}), told, text


def stable(draft: Baseline, points: Plotted, before: Tests) -> Tests:
    """Level, scatter, independence and findings of the whole period.

    Args:
        draft: With centre, sigma and map.
        points: Its points.
        before: Results so far: what the model of the past says about the level.
    """
    z = scores(draft, points.value)
    skewness, excess = _moments(z)
    told: Tests = {"skewness": skewness, "excess": excess}
    p = before.get("level_p")
    if p is None or draft.series not in _SINGLE:
        p = round(stability.level_p(z), 4)
        told["level_p"] = p
    told["level"] = before.get("level_is") == "follows the signal" or float(p) >= _STABLE_P
    scatter = stability.scatter_p(z)
    told["scatter_p"] = round(scatter, 4)
    told["scatter"] = scatter >= _STABLE_P
    phi = autocorrelation.lag_correlation(points.value)
    told["phi_of_points"] = round(phi, 4)
    told["independent"] = abs(phi) < max(_CORRELATED, 3.0 / sqrt(len(z)))
    found, expected = _findings(z)
    told["findings"] = float(found)
    told["in_control"] = stability.too_many_p(found, _PATIENCE * expected) >= _CHANCE_P
    return told


def resolution(draft: Baseline, value: F64, declared: float | None) -> tuple[Tests, str]:
    """Smallest step in sigma, and whether the samples are a continuous signal at all.

    Args:
        draft: With its sigma.
        value: Shape (n,), the samples.
        declared: Resolution of the sensor's row.

    Returns:
        The results, and a sentence or nothing.
    """
    step = declared or sampling.resolution(value)
    equal = float(np.mean(np.diff(value) == 0.0))
    single = draft.series in _SINGLE
    told: Tests = {
        "resolution_sigma": round(step / draft.sigma, 4),
        "equal_neighbours": round(equal, 4),
        "resolution": not single or equal < _EQUAL,
    }
    if single and step > _BLIND * draft.sigma:
        return told, f"resolution {step:g} is {step / draft.sigma:.2g} sigma: zone rules are blind"
    return told, ""


def rehearsal(half: Baseline, later: Plotted) -> tuple[Tests, str]:
    """Judge the second half of the period by a fit of the first.

    Returns:
        The results, and a sentence; nothing when no point can be judged.
    """
    found, expected = _findings(scores(half, later.value))
    if not expected:
        return {}, ""
    chance = stability.too_many_p(found, _PATIENCE * expected)
    told: Tests = {
        "rehearsal_ratio": round(found / expected, 3),
        "rehearsal": chance >= _CHANCE_P,
    }
    text = f"the first half judges the second: {found} findings, {expected:.1f} expected by chance"
    return told, text


def _findings(z: F64) -> tuple[int, float]:
    """Findings beyond three sigma, and how many chance gives."""
    return stability.openings(np.abs(z) > 3.0), stability.point_rate() * len(z)


def _moments(z: F64) -> tuple[float, float]:
    """Skewness and excess kurtosis."""
    away = z - z.mean()
    spread = float(away.std())
    if spread <= 0.0:
        return 0.0, 0.0
    third, fourth = float(np.mean(away**3)), float(np.mean(away**4))
    return round(third / spread**3, 3), round(fourth / spread**4 - 3.0, 3)
