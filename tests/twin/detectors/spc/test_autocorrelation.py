"""Correlation in time: estimates, tables and what they promise to the charts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from twin.detectors.spc import autocorrelation as ac

S = 1_000_000_000


def ar1(phi, n, rng):
    """A stationary AR(1) series with mean 0 and variance 1."""
    e = rng.normal(size=n) * np.sqrt(1 - phi * phi)
    e[0] = rng.normal()
    return lfilter([1.0], [1.0, -phi], e)


@pytest.mark.parametrize(
    ("phi", "table"),
    [
        (0.5, [0.08, 0.02, 0.01, 0.01, 0.00]),
        (0.8, [0.29, 0.09, 0.04, 0.02, 0.01]),
        (0.9, [0.52, 0.21, 0.09, 0.04, 0.02]),
        (0.95, [0.72, 0.41, 0.21, 0.10, 0.03]),
        (0.99, [0.94, 0.82, 0.68, 0.49, 0.22]),
    ],
)
def test_correlation_of_block_means(phi, table):
    """Neighbouring blocks of 10, 30, 60, 120 and 300 samples."""
    found = [round(ac.block_correlation(phi, m), 2) for m in (10, 30, 60, 120, 300)]
    assert found == table


@pytest.mark.parametrize(("phi", "m"), [(0.6, 7), (-0.4, 5), (0.9, 3)])
def test_block_formulas_are_sums_over_all_pairs(phi, m):
    """Correlation and effective size equal the brute sums over phi^|i - j|."""
    i = np.arange(2 * m)
    matrix = phi ** np.abs(i[:, None] - i[None, :])
    variance, covariance = matrix[:m, :m].sum(), matrix[:m, m:].sum()
    assert ac.block_correlation(phi, m) == pytest.approx(covariance / variance)
    assert ac.effective_size(m, phi) == pytest.approx(m * m / variance)


def test_needed_block_length():
    """Three (1 + phi)/(1 - phi) samples leave about 0.1; an asked correlation is kept."""
    for phi in (0.5, 0.9, 0.95, 0.99):
        assert ac.block_correlation(phi, ac.block_length(phi)) == pytest.approx(0.1, abs=0.02)
        m = ac.block_length(phi, 0.05)
        assert ac.block_correlation(phi, m) <= 0.05 < ac.block_correlation(phi, m - 1)
    assert ac.block_length(0.9) == 57
    assert ac.block_length(-0.9) == 1
    assert ac.block_length(0.0, 0.1) == 1


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, 0.95])
def test_phi_is_nearly_unbiased(phi):
    """The mean of many estimates from 200 samples is the true value, within 3 standard errors."""
    rng = np.random.default_rng(4)
    found = [ac.fit_ar(ar1(phi, 200, rng), order=1).phi for _ in range(400)]
    assert np.mean(found) == pytest.approx(phi, abs=3 * np.std(found) / 20 + 0.002)


def test_correction_stays_below_one():
    """A short series never becomes a random walk by correction."""
    assert ac.unbiased_phi(0.5, 100) == pytest.approx(0.525)
    assert ac.unbiased_phi(0.999, 50) == 0.98


def test_correlation_time():
    """phi = exp(-step/tau) and back; nothing is remembered at phi <= 0."""
    assert np.exp(-2.0 / ac.correlation_time(0.8, 2.0)) == pytest.approx(0.8)
    assert ac.correlation_time(-0.3, 1.0) == 0.0
    assert ac.correlation_time(1.0, 1.0) == np.inf


def test_holes_do_not_change_the_model():
    """A third of the samples missing, alone and in stretches: the same coefficients."""
    rng = np.random.default_rng(8)
    x = 50 + 3 * ar1(0.8, 30_000, rng)
    x[rng.random(30_000) < 0.2] = np.nan
    for start in rng.integers(0, 29_000, 40):
        x[start : start + 100] = np.nan
    fit = ac.fit_ar(x)
    assert len(fit.ar) == 1
    assert fit.ar[0] == pytest.approx(0.8, abs=0.015)
    assert fit.sigma == pytest.approx(3 * 0.6, rel=0.03)
    assert ac.lag_correlation(x, 3) == pytest.approx(0.8**3, abs=0.03)


@pytest.mark.parametrize("ar", [(0.6,), (1.2, -0.5), (0.5, 0.0, 0.3)])
def test_order_and_coefficients(ar):
    """BIC finds the order, Burg's recursion the coefficients and the scatter of the residual."""
    e = np.random.default_rng(5).normal(size=20_000)
    fit = ac.fit_ar(7 + lfilter([1.0], [1.0, *(-a for a in ar)], e)[200:])
    assert len(fit.ar) == len(ar)
    assert fit.ar == pytest.approx(ar, abs=0.03)
    assert fit.sigma == pytest.approx(1.0, rel=0.02)
    assert ac.stable(fit.ar)


def test_independent_values_have_no_model():
    """White noise: order 0, sigma of the residual is that of the values."""
    fit = ac.fit_ar(np.random.default_rng(6).normal(size=5000))
    assert fit.ar == ()
    assert fit.sigma == pytest.approx(fit.sigma_x, rel=1e-3)


def test_tau_of_irregular_times():
    """The correlation time is found from samples at random times, without a grid."""
    rng = np.random.default_rng(9)
    t = np.cumsum(rng.exponential(1.0, 8000))
    x = np.zeros(8000)
    for i in range(1, 8000):
        phi = np.exp(-(t[i] - t[i - 1]) / 8.0)
        x[i] = phi * x[i - 1] + np.sqrt(1 - phi * phi) * rng.normal()
    fit = ac.fit_tau((t * S).astype(np.int64), x)
    assert fit.tau_s == pytest.approx(8.0, rel=0.15)
    white = ac.fit_tau((t * S).astype(np.int64), rng.normal(size=8000))
    assert white.tau_s < 0.5


def test_grid():
    """Values go to the nearest slot; the first of two stays, holes are NaN."""
    time = np.array([100, 101.1, 100.9 + 2.2, 105.0]) * S
    grid = ac.on_grid(time.astype(np.int64), np.array([1.0, 2.0, 3.0, 4.0]), S)
    assert np.array_equal(grid, [1, 2, np.nan, 3, np.nan, 4], equal_nan=True)
    with pytest.raises(ValueError, match="expected a step near"):
        ac.on_grid(time.astype(np.int64), np.zeros(4), 1000)


@pytest.mark.parametrize(
    ("ar", "forgets"),
    [([], True), ([0.99], True), ([1.0], False), ([1.2, -0.5], True), ([0.6, 0.5], False)],
)
def test_stability(ar, forgets):
    """A model whose roots are outside the unit circle never comes back to its level."""
    assert ac.stable(ar) is forgets


def test_too_little_is_refused():
    """A constant, or hardly any values, have no model."""
    with pytest.raises(ValueError, match="are all 3"):
        ac.fit_ar(np.full(50, 3.0))
    with pytest.raises(ValueError, match="4 values per coefficient"):
        ac.fit_ar(np.arange(5.0), order=3)
    with pytest.raises(ValueError, match="8 that differ"):
        ac.fit_tau(np.arange(5) * S, np.arange(5.0))
