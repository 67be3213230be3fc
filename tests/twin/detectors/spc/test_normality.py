"""Anderson-Darling against the tables of D'Agostino and Stephens and another program."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from twin.detectors.spc.normality import _p_value, anderson_darling


@pytest.mark.parametrize(
    ("adjusted", "p"),
    [
        *((0.341, 0.50), (0.470, 0.25), (0.561, 0.15), (0.631, 0.10), (0.752, 0.05)),
        *((0.873, 0.025), (1.035, 0.01), (1.159, 0.005)),
    ],
)
def test_significance_points(adjusted, p):
    """D'Agostino and Stephens 1986, table 4.7, both parameters estimated."""
    assert _p_value(adjusted) == pytest.approx(p, rel=0.02)


@pytest.mark.parametrize("n", [8, 25, 200])
def test_statistic_is_that_of_another_program(n):
    """The unadjusted statistic is scipy's."""
    x = np.random.default_rng(n).gamma(4.0, 2.0, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        expected = stats.anderson(x, "norm").statistic
    assert anderson_darling(x).statistic == pytest.approx(expected, rel=1e-9)


def test_p_values_are_uniform_on_normal_data():
    """Of normal samples 5 % have p < 0.05, and 50 % have p < 0.5."""
    rng = np.random.default_rng(2)
    p = np.array([anderson_darling(rng.normal(50, 3, 30)).p for _ in range(2000)])
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(p < 0.5) == pytest.approx(0.5, abs=0.035)


def test_shift_scale_and_holes_do_not_matter():
    """Another unit gives the same p; NaN is left out."""
    x = np.random.default_rng(4).normal(size=40)
    found = anderson_darling(x)
    assert anderson_darling([*(3 + 7 * x), np.nan]).p == pytest.approx(found.p)
    assert found.n == 40


def test_far_from_normal():
    """A heavy tail leaves almost no probability, and p falls as the statistic grows."""
    x = np.random.default_rng(4).standard_cauchy(500)
    assert 0.0 < anderson_darling(x).p < 1e-20
    grid = [_p_value(a) for a in np.linspace(0.05, 30, 600)]
    assert all(a >= b - 2e-3 for a, b in pairwise(grid))


@pytest.mark.parametrize("x", [np.arange(7.0), np.ones(20)])
def test_nothing_to_judge(x):
    """Fewer than eight values, or a constant, is refused."""
    with pytest.raises(ValueError, match="allowed"):
        anderson_darling(x)
