"""Limits of phase I against worked examples and the formulas with printed constants."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from twin.detectors.spc import constants
from twin.detectors.spc.shewhart import (
    between_within,
    individuals,
    moving_ranges,
    outside,
    sigma_of_ranges,
    unequal,
    xbar_r,
    xbar_s,
)

FLOW = [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]
"""NIST/SEMATECH e-Handbook 6.3.2.2, flow rate."""


def groups(m=20, n=5, seed=3):
    return np.random.default_rng(seed).normal(10.0, 2.0, (m, n))


def test_individuals_of_nist():
    """6.3.2.2: mean 50.81, mean MR 1.8778; the printed limits come from d2 rounded to 1.128."""
    found = individuals(FLOW)
    sigma, ranges = sigma_of_ranges(FLOW)
    assert found.centre == pytest.approx(50.81)
    assert round(float(ranges.mean()), 4) == 1.8778
    assert (round(found.upper, 4), round(found.lower, 4)) == (55.8024, 45.8176)
    rounded = 3 * float(ranges.mean()) / 1.128
    assert round(found.centre + rounded, 4) == 55.8041
    assert round(found.centre - rounded, 4) == 45.8159
    assert found.sigma == sigma
    assert found.estimator == "mean moving range of 2"
    assert (found.points, found.n, found.k) == (10, 1.0, 3.0)


def test_moving_ranges_of_nist():
    """The upper limit is D4 = 3.266532 times the mean moving range, the lower one 0."""
    found = moving_ranges(FLOW)
    assert found.centre == pytest.approx(1.877778, abs=1e-6)
    assert found.upper == pytest.approx(3.266532 * 1.8777778, abs=1e-5)
    assert found.lower == 0.0
    assert found.points == 9


def test_median_moving_range():
    """Median MR / 0.953873, which a jump does not widen."""
    found = individuals(FLOW, how="median")
    ranges = np.abs(np.diff(FLOW))
    assert found.sigma == pytest.approx(np.median(ranges) / 0.953873, rel=1e-6)
    jumped = [*FLOW, *(x + 100 for x in FLOW)]
    assert individuals(jumped, how="median").sigma < 2 * found.sigma
    assert individuals(jumped).sigma > 3 * found.sigma


@pytest.mark.parametrize("how", ["mean", "median"])
@pytest.mark.parametrize("span", [2, 3, 5, 10])
def test_spans_agree_on_independent_data(how, span):
    """Every span and both estimators find the same sigma where values are independent."""
    x = np.random.default_rng(5).normal(0.0, 3.0, 20_000)
    sigma, ranges = sigma_of_ranges(x, span=span, how=how)
    assert sigma == pytest.approx(3.0, rel=0.03)
    assert len(ranges) == len(x) - span + 1


def test_missing_values_are_left_out():
    """NaN and infinity are no values; their neighbours become neighbours."""
    holed = [np.nan, *FLOW[:4], np.nan, *FLOW[4:], np.inf]
    assert individuals(holed) == individuals(FLOW)


def test_xbar_r():
    """Means +- A2 mean(R), ranges between D3 and D4 mean(R)."""
    x = groups()
    found = xbar_r(x)
    mean_range = np.ptp(x, axis=1).mean()
    assert found.location.centre == pytest.approx(x.mean())
    assert found.location.upper == pytest.approx(x.mean() + 0.576819 * mean_range, abs=1e-5)
    assert found.location.lower == pytest.approx(x.mean() - 0.576819 * mean_range, abs=1e-5)
    assert found.spread.centre == pytest.approx(mean_range)
    assert found.spread.upper == pytest.approx(2.114499 * mean_range, abs=1e-5)
    assert found.spread.lower == 0.0
    assert found.df == pytest.approx(0.9 * 20 * 4)
    assert found.sigma == pytest.approx(found.location.sigma * sqrt(5))


def test_xbar_s():
    """Means +- A3 mean(s), standard deviations between B3 and B4 mean(s)."""
    x = groups(n=10)
    found = xbar_s(x)
    mean_s = x.std(axis=1, ddof=1).mean()
    assert found.location.upper == pytest.approx(x.mean() + 0.975350 * mean_s, abs=1e-5)
    assert found.spread.lower == pytest.approx(0.283706 * mean_s, abs=1e-5)
    assert found.spread.upper == pytest.approx(1.716294 * mean_s, abs=1e-5)
    assert found.df == pytest.approx(0.98 * 20 * 9)


def test_pooled_standard_deviation():
    """The root of the mean variance over c4(df + 1)."""
    x = groups(m=4, n=3)
    found = xbar_s(x, how="pooled")
    assert found.df == 8
    pooled = sqrt(x.var(axis=1, ddof=1).mean())
    assert found.sigma == pytest.approx(pooled / constants.c4(9))


@pytest.mark.parametrize("within", ["r", "s"])
def test_unequal_groups_of_equal_size_are_equal(within):
    """With one size the charts of unequal subgroups are the usual ones."""
    x = groups()
    expected = xbar_r(x) if within == "r" else xbar_s(x)
    found = unequal(list(x), within=within)
    for chart in ("location", "spread"):
        for name in ("centre", "lower", "upper", "sigma"):
            assert getattr(getattr(found, chart), name) == pytest.approx(
                np.full(20, getattr(getattr(expected, chart), name))
            )


def test_unequal_groups_have_limits_of_their_own():
    """A mean of four has limits half as far away as a single value, which has no scatter."""
    x = [[1.0, 2.0, 3.0, 4.0], [2.5], [1.0, 4.0], [3.0, 2.0, np.nan, 4.0]]
    found = unequal(x)
    width = found.location.upper - found.location.lower
    assert width[1] / width[0] == pytest.approx(2.0)
    assert width[1] / width[3] == pytest.approx(sqrt(3))
    assert found.location.centre[0] == pytest.approx(np.mean([1, 2, 3, 4, 2.5, 1, 4, 3, 2, 4]))
    assert found.location.n.tolist() == [4, 1, 2, 3]
    assert np.isnan(found.spread.upper[1])
    assert found.spread.upper[2] == pytest.approx(constants.b6(2) * found.sigma)
    assert found.df == 3 + 0 + 1 + 2


def test_weights_of_unequal_groups():
    """Weighted by (c4 / c5)^2, larger subgroups count more (Burr 1976)."""
    small, large = [0.0, 1.0], list(np.linspace(0.0, 1.0, 9))
    found = unequal([small, large])
    weight = {n: (constants.c4(n) / constants.c5(n)) ** 2 for n in (2, 9)}
    parts = {len(g): np.std(g, ddof=1) / constants.c4(len(g)) for g in (small, large)}
    expected = sum(weight[n] * parts[n] for n in (2, 9)) / sum(weight.values())
    assert found.sigma == pytest.approx(expected)
    pooled = unequal([small, large], how="pooled", within="r")
    assert pooled.location.estimator == "pooled standard deviation"
    squares = np.var(small) * 2 + np.var(large) * 9
    assert pooled.sigma == pytest.approx(sqrt(squares / 9) / constants.c4(10))


def test_between_and_within():
    """Where pieces differ, the means are judged by their own scatter, not by that within."""
    rng = np.random.default_rng(8)
    x = rng.normal(0, 0.1, (200, 16)) + rng.normal(0, 1.0, (200, 1))
    found = between_within(x)
    usual = xbar_s(x)
    means = x.mean(axis=1)
    assert np.count_nonzero(outside(means, usual.location)) > 150
    assert np.count_nonzero(outside(means, found.location)) < 5
    assert found.location == individuals(means)
    assert found.spread == usual.spread
    assert between_within(x, within="r").spread == xbar_r(x).spread


def test_outside_is_strict():
    """A point on a limit is inside; NaN is neither."""
    limits = individuals([0.0, 1.0] * 20)
    x = [limits.upper, limits.lower, limits.upper + 1e-9, limits.lower - 1e-9, np.nan]
    assert outside(x, limits).tolist() == [0, 0, 1, -1, 0]


def test_other_distance():
    """Limits at any multiple of sigma."""
    found = individuals(FLOW, k=2.0)
    assert found.upper - found.centre == pytest.approx(2 * found.sigma)
    assert xbar_r(groups(), k=3.09).spread.k == 3.09


@pytest.mark.parametrize(
    ("make", "data"),
    [
        (individuals, [1.0]),
        (xbar_r, [1.0, 2.0]),
        (xbar_s, [[1.0], [2.0]]),
        (xbar_s, [[1.0, np.nan], [2.0, 3.0]]),
        (unequal, []),
        (unequal, [[1.0], [2.0]]),
        (unequal, [[1.0, 2.0], []]),
    ],
)
def test_too_little_data_is_refused(make, data):
    """The message says what is allowed."""
    with pytest.raises(ValueError, match="allowed"):
        make(data)
