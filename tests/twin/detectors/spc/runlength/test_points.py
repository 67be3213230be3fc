"""Run lengths of charts whose points are judged one by one, and of moving ranges."""

from __future__ import annotations

import pytest
from scipy import stats

from twin.detectors.spc.runlength import (
    arl_binomial,
    arl_moving_range,
    arl_poisson,
    arl_range,
    arl_s,
    arl_t2,
)

D4_REACH = 3.266532 * 1.128379


def test_individuals_with_moving_range():
    """The usual pair, limits 3 sigma and D4 times the mean range (Crowder 1987)."""
    assert arl_moving_range(D4_REACH).arl == pytest.approx(105.35, abs=0.01, rel=0.001)


def test_moving_range_without_limit_is_a_shewhart_chart():
    """A range nobody reaches leaves the individuals alone."""
    assert arl_moving_range(20.0, 3.0).arl == pytest.approx(370.398, abs=0.01)


def test_moving_range_without_individuals_looks_at_scatter_only():
    """A lasting shift from the first point on is nothing to it; twice the scatter is."""
    alone = arl_moving_range(D4_REACH, None).arl
    assert arl_moving_range(D4_REACH, None, 2.0).arl == pytest.approx(alone, rel=1e-6)
    assert arl_moving_range(D4_REACH, None, ratio=2.0).arl < 0.1 * alone


def test_poisson_counts():
    """A count on a limit is inside; counts and limits are those of the c chart of mean 16."""
    chance = stats.poisson.cdf(3, 16) + stats.poisson.sf(28, 16)
    assert arl_poisson(16, 4, 28).arl == pytest.approx(1 / chance)
    assert arl_poisson(2, 0.0, 6.24).arl == pytest.approx(1 / stats.poisson.sf(6, 2))


def test_binomial_counts():
    """The p chart of mean 0.1 and size 50, floored at zero; n - 1 of n is not beyond n."""
    assert arl_binomial(50, 0.1, -1.0, 11.36).arl == pytest.approx(1 / stats.binom.sf(11, 50, 0.1))
    low = arl_binomial(400, 0.1, 22.0, 58.0).arl
    chance = stats.binom.cdf(21, 400, 0.1) + stats.binom.sf(58, 400, 0.1)
    assert low == pytest.approx(1 / chance)
    assert arl_binomial(5, 0.9, -1.0, 5.0).arl == 1e12


def test_scatter_within_subgroups():
    """S and R of five normal values, and of values with more scatter than the limits know."""
    assert arl_s(5, 0.0, 1.964).arl == pytest.approx(1 / stats.chi2.sf(4 * 1.964**2, 4))
    assert arl_s(5, 0.0, 1.964, 1.5).arl == pytest.approx(
        1 / stats.chi2.sf(4 * (1.964 / 1.5) ** 2, 4)
    )
    assert arl_range(2, 0.0, 3.0).arl == pytest.approx(1 / (2 * stats.norm.sf(3.0 / 2**0.5)))
    table = stats.studentized_range.sf(4.918, 5, 10**6)
    assert arl_range(5, 0.0, 4.918).arl == pytest.approx(1 / table, rel=0.001)


def test_hotelling():
    """Known parameters are chi squared, also after a shift; estimated ones are F."""
    assert arl_t2(4, 14.8603).arl == pytest.approx(200.0, rel=1e-4)
    assert arl_t2(2, 10.6, 1.0, n=4).arl == pytest.approx(1 / stats.ncx2.sf(10.6, 2, 4.0), rel=1e-6)
    assert arl_t2(4, 18.6032, m=50).arl == pytest.approx(200.0, rel=1e-4)
    assert arl_t2(4, 14.8603, m=50).arl == pytest.approx(1 / 0.016, rel=0.02)
    with pytest.raises(ValueError, match="m 4"):
        arl_t2(4, 14.0, m=4)
