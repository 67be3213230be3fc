"""Constants of control charts against printed tables and independent integrals."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from twin.detectors.spc import constants as k

# n: d2, d3, c4, A2, A3, B3, B4, D3, D4, E2, as in tables of Montgomery (appendix VI) with two
# digits more.
TABLE = {
    2: (1.128379, 0.852502, 0.797885, 1.879971, 2.658681, 0, 3.266532, 0, 3.266532, 2.658681),
    3: (1.692569, 0.888368, 0.886227, 1.023327, 1.954410, 0, 2.568170, 0, 2.574591, 1.772454),
    4: (2.058751, 0.879808, 0.921318, 0.728597, 1.628103, 0, 2.266047, 0, 2.282052, 1.457194),
    5: (2.325929, 0.864082, 0.939986, 0.576819, 1.427299, 0, 2.088998, 0, 2.114499, 1.289807),
    6: (
        2.534413,
        0.848040,
        0.951533,
        0.483246,
        1.287128,
        0.030363,
        1.969637,
        0,
        2.003830,
        1.183706,
    ),
    7: (
        *(2.704357, 0.833205, 0.959369, 0.419284, 1.181916),
        *(0.117685, 1.882315, 0.075708, 1.924292, 1.109321),
    ),
    8: (
        *(2.847201, 0.819831, 0.965030, 0.372527, 1.099095),
        *(0.185090, 1.814910, 0.136171, 1.863829, 1.053667),
    ),
    9: (
        *(2.970026, 0.807834, 0.969311, 0.336697, 1.031661),
        *(0.239133, 1.760867, 0.184013, 1.815987, 1.010092),
    ),
    10: (
        *(3.077505, 0.797051, 0.972659, 0.308264, 0.975350),
        *(0.283706, 1.716294, 0.223023, 1.776977, 0.974815),
    ),
    15: (
        *(3.471827, 0.756211, 0.982316, 0.223109, 0.788541),
        *(0.428200, 1.571800, 0.346559, 1.653441, 0.864098),
    ),
    20: (
        *(3.734950, 0.728686, 0.986934, 0.179606, 0.679701),
        *(0.510231, 1.489769, 0.414702, 1.585298, 0.803224),
    ),
    25: (
        *(3.930629, 0.708441, 0.989640, 0.152647, 0.606281),
        *(0.564786, 1.435214, 0.459292, 1.540708, 0.763237),
    ),
}


@pytest.mark.parametrize("n", TABLE)
def test_table(n):
    """Every constant has all the digits of the table."""
    found = (
        k.d2(n),
        k.d3(n),
        k.c4(n),
        k.a2(n),
        k.a3(n),
        k.b3(n),
        k.b4(n),
        k.d3_limit(n),
        k.d4_limit(n),
        k.e2(n),
    )
    assert found == pytest.approx(TABLE[n], abs=6e-7)


def test_closed_forms():
    """Two and three values have ranges with known moments."""
    assert k.d2(2) == pytest.approx(2 / sqrt(pi), rel=1e-13)
    assert k.d3(2) == pytest.approx(sqrt(2 - 4 / pi), rel=1e-12)
    assert k.d2(3) == pytest.approx(3 / sqrt(pi), rel=1e-13)
    assert k.c4(2) == pytest.approx(sqrt(2 / pi), rel=1e-14)


def test_median_moving_range():
    """The median range of two values is sqrt(2) times the upper quartile of a normal value."""
    assert k.median_range(2) == pytest.approx(sqrt(2) * stats.norm.ppf(0.75), rel=1e-11)
    assert round(k.median_range(2), 6) == 0.953873


@pytest.mark.parametrize("n", [2, 5, 30, 100, 1000])
def test_mean_range_by_another_integral(n):
    """E[W] is also the integral of 1 - Phi^n - (1 - Phi)^n."""

    def integrand(x: float) -> float:
        return 1 - stats.norm.cdf(x) ** n - stats.norm.sf(x) ** n

    expected, _ = quad(integrand, -12, 12, epsabs=1e-12, limit=300)
    assert k.d2(n) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n", [2, 7, 100])
def test_range_distribution(n):
    """The distribution of the range is that of the studentised range with known sigma."""
    r = np.array([0.5, 2.0, 4.0, 6.0])
    expected = stats.studentized_range.cdf(r, n, np.inf)
    assert [k.range_cdf(x, n) for x in r] == pytest.approx(expected, abs=1e-8)
    assert k.range_cdf(0.0, n) == 0.0
    assert k.range_cdf(k.median_range(n), n) == pytest.approx(0.5, abs=1e-10)


@pytest.mark.parametrize("n", [2, 10, 101, 1000])
def test_mean_standard_deviation(n):
    """c4 is the mean of a chi variable over sqrt(n - 1)."""
    assert k.c4(n) == pytest.approx(stats.chi.mean(n - 1) / sqrt(n - 1), rel=1e-10)
    assert k.c4(n) ** 2 + k.c5(n) ** 2 == pytest.approx(1.0, rel=1e-14)


def test_limits_of_known_sigma():
    """D1, D2, B5, B6 are D3, D4, B3, B4 in units of sigma; lower limits stop at 0."""
    for n in (2, 6, 7, 25):
        assert k.d2_limit(n) == pytest.approx(k.d4_limit(n) * k.d2(n))
        assert k.d1_limit(n) == pytest.approx(k.d3_limit(n) * k.d2(n))
        assert k.b6(n) == pytest.approx(k.b4(n) * k.c4(n))
        assert k.b5(n) == pytest.approx(k.b3(n) * k.c4(n))
    assert k.d1_limit(6) == 0.0
    assert k.b5(5) == 0.0


def test_other_distances():
    """Any multiple of sigma is possible, not only three."""
    assert k.a2(5, 2.0) == pytest.approx(k.a2(5) * 2 / 3)
    assert k.d4_limit(5, 0.0) == 1.0
    assert k.b3(5, 2.0) > 0.0


@pytest.mark.parametrize("constant", [k.d2, k.d3, k.c4, k.median_range])
def test_one_value_has_no_scatter(constant):
    """Subgroups of one have neither a range nor a standard deviation."""
    with pytest.raises(ValueError, match="allowed: 2 or more"):
        constant(1)
