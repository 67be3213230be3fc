"""Tests of a finished period: level, scatter, and how many findings chance gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from twin.detectors.spc import stability


@pytest.mark.parametrize("test", [stability.level_p, stability.scatter_p])
def test_p_values_of_a_stable_period_are_uniform(test):
    """In control the tests reject as often as they say (Ploberger & Kraemer 1992)."""
    rng = np.random.default_rng(4)

    p = [test(rng.standard_normal(1500)) for _ in range(300)]

    assert np.mean(np.array(p) < 0.05) < 0.08
    assert 0.35 < np.mean(np.array(p) < 0.5) < 0.65


def test_a_step_and_a_louder_half_are_seen():
    """Half a sigma in the middle is no fixed level; half as much scatter again is no scatter."""
    x = np.random.default_rng(5).standard_normal(1000)
    late = np.arange(1000) >= 500

    assert stability.level_p(x + 0.5 * late) < 0.001
    assert stability.scatter_p(x * (1 + 0.5 * late)) < 0.001


def test_a_single_outlier_is_no_change():
    """One spike changes neither verdict."""
    x = np.random.default_rng(6).standard_normal(500)
    spiked = x.copy()
    spiked[250] = 50.0

    assert stability.scatter_p(spiked) > 0.01
    assert stability.level_p(spiked) > 0.01


def test_findings_are_openings():
    """Points beyond a limit in a row are one finding."""
    assert stability.openings(np.array([1, 1, 0, 1, 0, 0, 1, 1], bool)) == 3
    assert stability.openings(np.array([], bool)) == 0


def test_ewma_findings_by_chance():
    """The rate is that of openings of an EWMA on independent normal points."""
    x = np.random.default_rng(7).standard_normal(3_000_000)
    ewma = lfilter([0.2], [1, -0.8], x) / np.sqrt(0.2 / 1.8)
    counted = stability.openings(np.abs(ewma) > 2.962) / len(x)

    assert stability.ewma_rate(0.2, 2.962) == pytest.approx(counted, rel=0.05)


def test_too_many_is_poisson():
    """Chance of at least so many."""
    assert stability.too_many_p(0, 3.0) == 1.0
    assert stability.too_many_p(8, 3.0) == pytest.approx(stats.poisson.sf(7, 3.0))
