"""Capability indices, their intervals, and when they must not be believed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from twin.detectors.spc import constants
from twin.detectors.spc.capability import (
    Sigma,
    capability,
    cp,
    cpk,
    cpm,
    doubts,
    sigma_overall,
    sigma_within,
)

NIST = Sigma(2.0, 49, "known")


def normal(n=100, seed=1, mean=16.0, sigma=2.0):
    return np.random.default_rng(seed).normal(mean, sigma, n)


def test_nist():
    """6.1.6: U = 20, L = 8, mean 16, s = 2, target 14."""
    assert cp(8, 20, NIST).value == pytest.approx(1.0)
    assert cpk(16, 8, 20, NIST, 50).value == pytest.approx(0.6667, abs=5e-5)
    assert cpm(16, 8, 20, 14, NIST, 50).value == pytest.approx(0.7071, abs=5e-5)


def test_intervals():
    """95 % intervals with N = 50 and 49 degrees of freedom."""
    found = cp(8, 20, NIST)
    assert (found.low, found.high) == pytest.approx((0.8025, 1.1971), abs=5e-5)
    found = cpk(16, 8, 20, NIST, 50)
    assert (found.low, found.high) == pytest.approx((0.5056, 0.8278), abs=5e-5)


def test_interval_of_cpm_on_target_is_that_of_cp():
    """On target Cpm has the interval of Cp with n degrees of freedom."""
    found = cpm(14, 8, 20, 14, NIST, 50)
    expected = cp(8, 20, Sigma(2.0, 50, "known"))
    assert (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )


def test_one_sided_limits_give_one_sided_indices():
    """Without a lower limit there is no Cp, Cpk or Cpm."""
    found = capability(normal(), usl=20.0, target=14.0, in_control=True)
    assert [index.name for index in found.indices] == ["cpu", "ppu"]
    found = capability(normal(), lsl=8.0, in_control=True)
    assert [index.name for index in found.indices] == ["cpl", "ppl"]
    assert found.index("cpk") is None


def test_both_limits():
    """The smaller one-sided index is Cpk; sigma within and overall are told apart."""
    x = normal()
    found = capability(x, lsl=8.0, usl=20.0, target=14.0, in_control=True)
    by_name = {index.name: index for index in found.indices}
    assert list(by_name) == ["cp", "cpl", "cpu", "cpk", "pp", "ppl", "ppu", "ppk", "cpm"]
    assert by_name["cpk"].value == min(by_name["cpl"].value, by_name["cpu"].value)
    assert by_name["pp"].value == pytest.approx(12 / (6 * x.std(ddof=1)))
    mr = np.abs(np.diff(x)).mean() / constants.d2(2)
    assert by_name["cp"].value == pytest.approx(12 / (6 * mr))
    assert (by_name["cp"].df, by_name["pp"].df) == (99, 99)
    assert "df k - span + 1" in by_name["cp"].estimator
    assert all(index.low < index.value < index.high for index in found.indices)
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("estimator", "df"),
    [("pooled", 80.0), ("mean_range", 72.0), ("mean_s", 76.0)],
)
def test_degrees_of_freedom_of_subgroups(estimator, df):
    """Twenty subgroups of five: sum(n - 1), 0.9 and 0.95 of it (Minitab)."""
    x = np.random.default_rng(3).normal(0, 2, (20, 5))
    found = sigma_within(x, estimator)
    assert found.df == pytest.approx(df)
    assert found.value == pytest.approx(2.0, rel=0.2)
    assert capability(x, usl=6.0, estimator=estimator).index("cpu").df == pytest.approx(df)


@pytest.mark.parametrize(
    ("estimator", "span", "df"),
    [("mean_mr", 2, 99), ("mean_mr", 4, 97), ("median_mr", 2, 99), ("mssd", 2, 99)],
)
def test_degrees_of_freedom_of_individuals(estimator, span, df):
    """A hundred values: k - span + 1, or k - 1 for squared differences."""
    found = sigma_within(normal(), estimator, span=span)
    assert found.df == df
    assert found.value == pytest.approx(2.0, rel=0.25)


def test_estimators_of_a_trend():
    """Scatter within does not see a drift that the overall standard deviation holds."""
    x = normal() + np.linspace(0, 20, 100)
    assert sigma_within(x).value < 3.0
    assert sigma_within(x, "mssd").value < 3.0
    assert sigma_overall(x).value > 5.0


def test_intervals_cover():
    """The stated share of intervals holds the true index."""
    rng = np.random.default_rng(6)
    true = stats.norm.ppf(0.99865) / 3
    covered = 0
    for _ in range(400):
        x = rng.normal(0, 1, 60)
        found = capability(x, lsl=-3.0, usl=3.0).index("pp")
        covered += found.low <= true <= found.high
    assert covered / 400 == pytest.approx(0.95, abs=0.035)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"in_control": None}, "nobody looked"),
        ({"in_control": False}, "not in control"),
        ({"n": 24}, "only 24 values"),
        ({"normality_p": 0.049}, "do not look normal"),
        ({"normality_p": None}, "test for normality"),
        ({"resolution": 1.01}, "coarser than half"),
        ({"recipes": ["fast", "slow", "fast"]}, "several recipes: fast, slow"),
    ],
)
def test_doubts(changes, words):
    """Each reason to doubt is said, and only it."""
    clean = {"n": 25, "sigma": 2.0, "in_control": True, "normality_p": 0.05, "resolution": 1.0}
    assert doubts(**clean, recipes=["fast"]) == []
    (found,) = doubts(**{**clean, **changes})
    assert words in found


def test_doubts_reach_the_answer():
    """A capability of few skewed values from an unknown chart says so three times."""
    x = np.random.default_rng(1).exponential(1.0, 20)
    found = capability(x, usl=9.0)
    assert len(found.warnings) == 3
    assert found.normality_p < 0.05


@pytest.mark.parametrize(
    "broken",
    [
        {"lsl": 20.0, "usl": 8.0},
        {},
        {"usl": 20.0, "level": 1.0},
    ],
)
def test_wrong_arguments_are_refused(broken):
    """The message says what is allowed."""
    with pytest.raises(ValueError, match="allowed"):
        capability(normal(), **broken)


def test_constant_values_have_no_capability():
    """Without scatter there is no index."""
    with pytest.raises(ValueError, match="above 0"):
        capability(np.ones(30), usl=2.0)
