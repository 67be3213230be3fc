"""Limits of charts of counts against worked examples and exact distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from twin.detectors.spc.count_limits import NP, C, count_limits
from twin.detectors.spc.counts import (
    c_chart,
    false_alarm,
    g_chart,
    laney,
    np_chart,
    p_chart,
    u_chart,
)
from twin.detectors.spc.shewhart import outside

TAIL = float(stats.norm.cdf(-3))


def test_worked_examples():
    """p 0.1 of 50: 0 and .227279; c 16: 4 and 28; u 2 on 4: 0 and 4.121320 (k sigma)."""
    p = p_chart([5, 5], 50, how="sigma")
    assert (p.lower[0], p.upper[0]) == pytest.approx((0.0, 0.227279), abs=1e-6)
    c = c_chart([16, 16])
    assert (c.lower, c.upper, c.sigma) == (4.0, 28.0, 4.0)
    u = u_chart([8, 8], 4, how="sigma")
    assert (u.lower[0], u.upper[0]) == pytest.approx((0.0, 4.121320), abs=1e-6)


def test_centre_is_the_total_over_the_total():
    """Samples count by their size: not the mean of proportions."""
    found = p_chart([1, 30], [10, 90])
    assert found.centre.tolist() == [0.31, 0.31]
    assert u_chart([1, 30], [0.5, 9.5]).centre[0] == pytest.approx(3.1)


def test_limits_of_unequal_samples():
    """Each point has limits of its own size, clipped to 0 and 1."""
    n = np.array([25, 100, 400])
    found = p_chart([20, 80, 320], n, how="sigma")
    away = 3 * np.sqrt(0.8 * 0.2 / n)
    assert found.upper == pytest.approx(np.minimum(1.0, 0.8 + away))
    assert found.lower == pytest.approx(0.8 - away)
    assert found.n.tolist() == [25, 100, 400]


def test_np_chart():
    """The centre line is a number of units, limits are n times those of p."""
    found = np_chart([12, 8, 10, 14], 50)
    p = p_chart([12, 8, 10, 14], 50)
    assert found.centre == 11.0
    assert (found.lower, found.upper) == pytest.approx((50 * p.lower[0], 50 * p.upper[0]))


def test_exact_limits_are_quantiles():
    """Exact limits are those of scipy for every size and proportion, also on the far side."""
    for n in (1, 5, 20, 49, 300, 5000):
        for p in (1e-4, 0.01, 0.1, 0.5, 0.6, 0.99, 0.9999):
            lower, upper, _ = count_limits(NP, n * p, float(n), 1.0, 3.0, TAIL, np.inf)
            expected = stats.binom.ppf([TAIL, 1 - TAIL], n, p)
            assert (lower, upper) == pytest.approx(tuple(expected), abs=1e-6)
    for mean in (1e-6, 0.1, 3.0, 8.99, 50.0, 101.0, 800.0, 1e5):
        lower, upper, _ = count_limits(C, mean, 1.0, 1.0, 3.0, TAIL, np.inf)
        assert (lower, upper) == tuple(stats.poisson.ppf([TAIL, 1 - TAIL], mean))


def test_automatic_choice():
    """Nine expected events, and of a proportion nine of the other kind, are enough for k sigma."""
    assert c_chart([9, 9]).upper == 18.0
    assert c_chart([8, 9]).upper == stats.poisson.ppf(1 - TAIL, 8.5)
    assert p_chart([10], 100).upper[0] == pytest.approx(0.19)
    assert p_chart([95], 100).lower[0] == stats.binom.ppf(TAIL, 100, 0.95) / 100


@pytest.mark.parametrize(
    ("kind", "centre", "n"),
    [("c", 2.0, 1.0), ("c", 20.0, 1.0), ("u", 1.5, 2.5), ("p", 0.1, 50), ("np", 30.0, 100)],
)
def test_false_alarm_is_what_happens(kind, centre, n):
    """The exact probability of a signal is that of counts strictly beyond the limits."""
    how = {"c": 0.0, "u": 9.0, "p": 9.0, "np": 0.0}[kind]
    codes = {"p": 0, "np": 1, "c": 2, "u": 3}
    lower, upper, _ = count_limits(codes[kind], centre, n, 1.0, 3.0, TAIL, how)
    law = {
        "c": stats.poisson(centre),
        "u": stats.poisson(centre * n),
        "p": stats.binom(n, centre),
        "np": stats.binom(n, centre / n),
    }[kind]
    counts = np.arange(0, 200)
    plotted = counts / n if kind in {"p", "u"} else counts
    expected = law.pmf(counts)[(plotted > upper) | (plotted < lower)].sum()
    assert false_alarm(kind, centre, n, lower, upper) == pytest.approx(expected, rel=1e-9)


def test_limits_on_a_count_are_inside():
    """28 defects are not beyond a limit of 28, whatever the rounding."""
    assert false_alarm("c", 16.0, 1.0, 4.0, 28.0) == pytest.approx(
        stats.poisson.sf(28, 16) + stats.poisson.cdf(3, 16)
    )


def test_all_zero():
    """Where nothing ever happened every limit is 0, and the next event is beyond it."""
    for found in (c_chart([0, 0]), np_chart([0, 0], 10)):
        assert (found.centre, found.lower, found.upper, found.sigma) == (0, 0, 0, 0)
    assert outside([0, 1], c_chart([0, 0])).tolist() == [0, 1]
    found, sigma_z = laney("u", [0, 0, 0], 100)
    assert sigma_z == 0.0
    assert found.upper.tolist() == [0, 0, 0]
    assert g_chart([0, 0]).upper == 0.0


def test_laney_by_hand():
    """z_i are standardised by binomial sigma; sigma_z is their mean moving range over d2."""
    d, n = np.array([100, 160, 120, 180]), np.array([1000, 1200, 1000, 1500])
    centre = d.sum() / n.sum()
    sigma = np.sqrt(centre * (1 - centre) / n)
    z = (d / n - centre) / sigma
    expected = np.abs(np.diff(z)).mean() / 1.128379
    found, sigma_z = laney("p", d, n)
    assert sigma_z == pytest.approx(expected, rel=1e-6)
    assert found.upper == pytest.approx(centre + 3 * sigma * expected, rel=1e-6)


def test_laney_finds_no_extra_scatter_in_binomial_counts():
    """On counts that are binomial sigma_z is near 1."""
    d = np.random.default_rng(4).binomial(5000, 0.02, 2000)
    _, sigma_z = laney("p", d, 5000)
    assert sigma_z == pytest.approx(1.0, abs=0.05)


def test_g_chart():
    """Exact limits leave at most the tail of a geometric distribution on each side."""
    between = [40, 25, 61, 3, 90, 12, 55, 34]
    found = g_chart(between)
    law = stats.geom(1 / (found.centre + 1), loc=-1)
    assert (found.lower, found.upper) == tuple(law.ppf([TAIL, 1 - TAIL]))
    rough = g_chart(between, how="sigma")
    assert rough.upper == pytest.approx(40 + 3 * np.sqrt(40 * 41))
    assert rough.lower == 0.0


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (p_chart, ([5], [4])),
        (p_chart, ([1.5], [4])),
        (p_chart, ([1], [4.5])),
        (p_chart, ([1], [0])),
        (np_chart, ([5], 4)),
        (c_chart, ([-1],)),
        (c_chart, ([np.nan],)),
        (c_chart, ([],)),
        (u_chart, ([1, 2], [1.0, -1.0])),
        (g_chart, ([1.5],)),
    ],
)
def test_what_is_no_count_is_refused(make, arguments):
    """The message says what is allowed."""
    with pytest.raises(ValueError, match="allowed"):
        make(*arguments)


def test_laney_needs_two_samples():
    """One sample has no moving range."""
    with pytest.raises(ValueError, match="allowed"):
        laney("p", [1], [10])
