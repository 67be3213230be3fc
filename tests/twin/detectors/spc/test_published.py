"""Numbers printed in books, papers and handbooks: tables, data sets, run lengths.

Every number here was printed by somebody else; a tolerance is half a unit of its last digit, or
wider where the source went on with rounded numbers or a coarse chain.

Sources:
    ASTM E2587 and ISO 7870-2, factors of control charts (also Montgomery, appendix VI).
    L. H. C. Tippett, On the extreme individuals and the range of samples, Biometrika 17 (1925).
    D. C. Montgomery, Introduction to Statistical Quality Control (data sets of chapters 6 to 11).
    NIST/SEMATECH, e-Handbook of Statistical Methods, 1.3.5.7 and 1.3.5.10 (gear diameters).
    C. W. Champ, W. H. Woodall, Technometrics 29 (1987) 393-399, table 1.
    J. M. Lucas, M. S. Saccucci, Technometrics 32 (1990) 1-12, table 3.
    S. V. Crowder, Technometrics 29 (1987) 401-407, table 1.
    D. M. Hawkins, Journal of Quality Technology 25 (1993) 248-261 (h for an ARL0 of 370).
    S. S. Prabhu, G. C. Runger, Journal of Quality Technology 29 (1997) 8-15, table 1.
    J. E. Jackson, A User's Guide to Principal Components, 1991, section 2.7 (ballistic missiles).
"""

from __future__ import annotations

from math import cos, e, erf, sqrt, tan

import numpy as np
import pytest
from scipy import stats

from twin.detectors.spc import Charts, Kind, Rule, constants
from twin.detectors.spc.capability import Sigma, cp, cpk
from twin.detectors.spc.counts import c_chart, p_chart, u_chart
from twin.detectors.spc.equal_variances import equal_variances
from twin.detectors.spc.multivariate import (
    box_limit,
    jackson_mudholkar_limit,
    mewma,
    mewma_limit,
    t2,
    t2_phase2_limit,
    t2_subgroup_phase1_limit,
    t2_subgroup_phase2_limit,
)
from twin.detectors.spc.runlength import (
    arl_binomial,
    arl_cusum,
    arl_ewma,
    arl_mewma,
    arl_rules,
    design_cusum,
)
from twin.detectors.spc.shewhart import individuals, moving_ranges, xbar_r, xbar_s


def row(text):
    return [float(word) for word in text.split()]


# n = 2 to 25
FACTORS = {
    "d2": """1.128 1.693 2.059 2.326 2.534 2.704 2.847 2.970 3.078 3.173 3.258 3.336
             3.407 3.472 3.532 3.588 3.640 3.689 3.735 3.778 3.819 3.858 3.895 3.931""",
    "c4": """.7979 .8862 .9213 .9400 .9515 .9594 .9650 .9693 .9727 .9754 .9776 .9794
             .9810 .9823 .9835 .9845 .9854 .9862 .9869 .9876 .9882 .9887 .9892 .9896""",
    "a2": """1.880 1.023 .729 .577 .483 .419 .373 .337 .308 .285 .266 .249
             .235 .223 .212 .203 .194 .187 .180 .173 .167 .162 .157 .153""",
    "a3": """2.659 1.954 1.628 1.427 1.287 1.182 1.099 1.032 .975 .927 .886 .850
             .817 .789 .763 .739 .718 .698 .680 .663 .647 .633 .619 .606""",
    "b3": """0 0 0 0 .030 .118 .185 .239 .284 .321 .354 .382
             .406 .428 .448 .466 .482 .497 .510 .523 .534 .545 .555 .565""",
    "b4": """3.267 2.568 2.266 2.089 1.970 1.882 1.815 1.761 1.716 1.679 1.646 1.618
             1.594 1.572 1.552 1.534 1.518 1.503 1.490 1.477 1.466 1.455 1.445 1.435""",
    "b5": """0 0 0 0 .029 .113 .179 .232 .276 .313 .346 .374
             .399 .421 .440 .458 .475 .490 .504 .516 .528 .539 .549 .559""",
    "b6": """2.606 2.276 2.088 1.964 1.874 1.806 1.751 1.707 1.669 1.637 1.610 1.585
             1.563 1.544 1.526 1.511 1.496 1.483 1.470 1.459 1.448 1.438 1.429 1.420""",
    "d3": """.853 .888 .880 .864 .848 .833 .820 .808 .797 .787 .778 .770
             .763 .756 .750 .744 .739 .734 .729 .724 .720 .716 .712 .708""",
    "d1_limit": """0 0 0 0 0 .204 .388 .547 .687 .811 .922 1.025
             1.118 1.203 1.282 1.356 1.424 1.487 1.549 1.605 1.659 1.710 1.759 1.806""",
    "d2_limit": """3.686 4.358 4.698 4.918 5.078 5.204 5.306 5.393 5.469 5.535 5.594 5.647
             5.696 5.741 5.782 5.820 5.856 5.891 5.921 5.951 5.979 6.006 6.031 6.056""",
    "d3_limit": """0 0 0 0 0 .076 .136 .184 .223 .256 .283 .307
             .328 .347 .363 .378 .391 .403 .415 .425 .434 .443 .451 .459""",
    "d4_limit": """3.267 2.574 2.282 2.114 2.004 1.924 1.864 1.816 1.777 1.744 1.717 1.693
             1.672 1.653 1.637 1.622 1.608 1.597 1.585 1.575 1.566 1.557 1.548 1.541""",
}
# Tables make these from d2 and d3 that were rounded to three digits before.
ROUNDED_TWICE = {
    "d3": 1.05e-3,
    "d1_limit": 2.05e-3,
    "d2_limit": 2.05e-3,
    "d3_limit": 1.05e-3,
    "d4_limit": 1.05e-3,
}


@pytest.mark.parametrize("factor", FACTORS)
def test_factors_of_the_standards(factor):
    """All factors up to n = 25 are the printed ones, not only those of small subgroups."""
    tolerance = ROUNDED_TWICE.get(factor, 5.1e-5 if factor == "c4" else 5.1e-4)
    found = [getattr(constants, factor)(n) for n in range(2, 26)]
    assert found == pytest.approx(row(FACTORS[factor]), abs=tolerance)


@pytest.mark.parametrize(
    ("n", "mean"), [(50, 4.49815), (100, 5.01519), (200, 5.49209), (500, 6.07340), (1000, 6.48287)]
)
def test_ranges_of_large_samples(n, mean):
    """The mean range is right for samples far beyond the tables (Tippett 1925)."""
    assert constants.d2(n) == pytest.approx(mean, abs=6e-6)


RINGS = [
    row(line)
    for line in """74.030 74.002 74.019 73.992 74.008
73.995 73.992 74.001 74.011 74.004
73.988 74.024 74.021 74.005 74.002
74.002 73.996 73.993 74.015 74.009
73.992 74.007 74.015 73.989 74.014
74.009 73.994 73.997 73.985 73.993
73.995 74.006 73.994 74.000 74.005
73.985 74.003 73.993 74.015 73.988
74.008 73.995 74.009 74.005 74.004
73.998 74.000 73.990 74.007 73.995
73.994 73.998 73.994 73.995 73.990
74.004 74.000 74.007 74.000 73.996
73.983 74.002 73.998 73.997 74.012
74.006 73.967 73.994 74.000 73.984
74.012 74.014 73.998 73.999 74.007
74.000 73.984 74.005 73.998 73.996
73.994 74.012 73.986 74.005 74.007
74.006 74.010 74.018 74.003 74.000
73.984 74.002 74.003 74.005 73.997
74.000 74.010 74.013 74.020 74.003
73.982 74.001 74.015 74.005 73.996
74.004 73.999 73.990 74.006 74.009
74.010 73.989 73.990 74.009 74.014
74.015 74.008 73.993 74.000 74.010
73.982 73.984 73.995 74.017 74.013""".splitlines()
]


def test_piston_rings():
    """Xbar-S limits of the piston rings (Montgomery, example 6.3)."""
    found = xbar_s(RINGS)
    means, spread = found.location, found.spread
    assert (means.lower, means.centre, means.upper) == pytest.approx(
        (73.988, 74.001, 74.014), abs=6e-4
    )
    assert (spread.centre, spread.upper) == pytest.approx((0.0094, 0.0196), abs=6e-5)
    assert xbar_r(RINGS).location.upper == pytest.approx(74.014, abs=6e-4)


def test_mortgage_costs():
    """Individuals and moving ranges of loan costs (Montgomery, example 6.5)."""
    costs = row("310 288 297 298 307 303 294 297 308 306 294 299 297 299 314 295 293 306 301 304")
    found, ranges = individuals(costs), moving_ranges(costs)
    assert (found.lower, found.centre, found.upper) == pytest.approx(
        (279.78, 300.5, 321.22), abs=0.011
    )
    assert (ranges.centre, ranges.upper) == pytest.approx((7.79, 25.45), abs=0.011)


def test_orange_juice_cans():
    """p chart of leaking cans, samples of 50 (Montgomery, example 7.1)."""
    cans = [12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22]
    cans += [8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6]
    found = p_chart(cans, 50)
    limits = (found.lower[0], found.centre[0], found.upper[0])
    assert limits == pytest.approx((0.0524, 0.2313, 0.4102), abs=5.1e-5)


def test_purchase_orders():
    """p chart with samples of different size (Montgomery, table 7.4)."""
    sizes = [100, 80, 80, 100, 110, 110, 100, 100, 90, 90, 110, 120, 120]
    sizes += [120, 110, 80, 80, 80, 90, 100, 100, 100, 100, 90, 90]
    bad = [12, 8, 6, 9, 10, 12, 11, 16, 10, 6, 20, 15, 9, 8, 6, 8, 10, 7, 5, 8, 5, 8, 10, 6, 9]
    found = p_chart(bad, sizes, how="sigma")
    # The book goes on with 0.096 and sigma in three digits.
    assert found.centre[0] == pytest.approx(0.0955, abs=5.1e-5)
    assert found.upper[:6] == pytest.approx([0.183, 0.195, 0.195, 0.183, 0.180, 0.180], abs=1.6e-3)
    assert found.lower[[0, 1, 11]] == pytest.approx([0.009, 0.0, 0.015], abs=2e-3)


def test_circuit_boards():
    """c chart of nonconformities in 26 samples (Montgomery, example 7.3)."""
    boards = [21, 24, 16, 12, 15, 5, 28, 20, 31, 25, 20, 24, 16]
    boards += [19, 10, 17, 13, 22, 18, 39, 30, 24, 16, 19, 17, 15]
    found = c_chart(boards)
    # The book computes with 19.85.
    assert (found.lower, found.centre, found.upper) == pytest.approx(
        (6.48, 19.85, 33.22), abs=0.011
    )


def test_personal_computers():
    """u chart of samples of five (Montgomery, sixth edition, example 7.4)."""
    found = u_chart([10, 12, 8, 14, 10, 16, 11, 7, 10, 15, 9, 5, 7, 11, 12, 6, 8, 10, 7, 5], 5)
    limits = (found.lower[0], found.centre[0], found.upper[0])
    assert limits == pytest.approx((0.07, 1.93, 3.79), abs=5.1e-3)


def test_dyed_cloth():
    """u chart of rolls of different length (Montgomery, table 7.11)."""
    found = u_chart(
        [14, 12, 20, 11, 7, 10, 21, 16, 19, 23], [10, 8, 13, 10, 9.5, 10, 12, 10.5, 12, 12.5]
    )
    assert found.centre[0] == pytest.approx(1.42, abs=5.1e-3)
    # The book computes with 1.42.
    assert found.upper[[0, 1, 2]] == pytest.approx([2.55, 2.68, 2.41], abs=0.011)
    assert found.lower[[0, 1, 2]] == pytest.approx([0.29, 0.16, 0.43], abs=0.011)


X = row(
    """9.45 7.99 9.29 11.66 12.16 10.18 8.04 11.46 9.20 10.34 9.03 11.47 10.51 9.40 10.08
       9.37 10.62 10.31 8.52 10.84 10.90 9.33 12.29 11.50 10.60 11.08 10.38 11.62 11.31 10.52"""
)
EWMA = row(
    """9.945 9.7495 9.70355 9.8992 10.1253 10.1307 9.92167 10.0755 9.98796 10.0232
       9.92384 10.0785 10.1216 10.0495 10.0525 9.98426 10.0478 10.074 9.91864 10.0108
       10.0997 10.0227 10.2495 10.3745 10.3971 10.4654 10.4568 10.5731 10.6468 10.6341"""
)
CUSUM = row(
    """0 0 0 1.16 2.82 2.50 .04 1.00 0 0 0 .97 .98 0 0
       0 .12 0 0 .34 .74 0 1.79 2.79 2.89 3.47 3.35 4.47 5.28 5.30"""
)


def test_small_shift(charted, values):
    """EWMA and CUSUM of thirty values, signal, onset and new mean (Montgomery, tables 9.2, 9.11)."""
    charts = Charts(
        charted(centre=10.0, sigma=1.0, ewma_lambda=0.1, ewma_l=2.7, cusum_k=0.5, cusum_h=5.0)
    )
    events = []
    for second, (x, ewma, cusum) in enumerate(zip(X, EWMA, CUSUM, strict=True), 1):
        events += charts.update(values([x], [second]))
        shown = charts.state(0)
        assert shown["ewma"]["value"] == pytest.approx(ewma, abs=6e-5)
        assert shown["cusum"]["high"] == pytest.approx(cusum, abs=5.1e-3)
    found = {event.rule: event.detail for event in events}
    assert found["ewma"]["ucl"] == pytest.approx(10.62, abs=5.1e-3)
    assert (found["cusum"]["n_first"], found["cusum"]["n_last"]) == (23, 29)
    assert found["cusum"]["estimated_mean"] == pytest.approx(11.25, abs=5.1e-3)


@pytest.mark.parametrize(
    ("x", "sums"),
    [
        ("102 97 104 93 100 105 96 98 105 99", "5 0 1 0 0 2 0 0 2 0"),
        ("107 102 109 98 105 110 101 103 110 104", "10 9 15 10 12 19 17 17 24 25"),
    ],
)
def test_head_start(charted, values, x, sums):
    """A CUSUM with head start in control, and out of control from the start (Montgomery, 9.1.5)."""
    chart = charted(centre=100.0, sigma=6.0, cusum_k=0.5, cusum_h=2.0)
    charts = Charts(chart, cusum_start="head-start")
    found = []
    for second, value in enumerate(row(x), 1):
        charts.update(values([value], [second]))
        found.append(6.0 * charts.state(0)["cusum"]["high"])
    assert found == pytest.approx(row(sums), abs=1e-9)


def beyond(k, points, sigma):
    return Rule(id=f"r{points}", kind=Kind.BEYOND, points=points, k=k, sigma=sigma)


ONE, TWO, FOUR, EIGHT = beyond(1, 1, 3.0), beyond(2, 3, 2.0), beyond(4, 5, 1.0), beyond(8, 8, 0.0)
INSIDE = erf(1.0 / sqrt(2.0))
SHIFTS = [0.2 * step for step in range(16)]


@pytest.mark.parametrize(
    ("rules", "printed"),
    [
        ((ONE, TWO, FOUR), "132.89"),
        ((ONE, TWO, EIGHT), "122.05"),
        ((ONE, FOUR, EIGHT), "105.78"),
        (
            (ONE, FOUR),
            """166.05 120.70 63.88 33.99 19.78 12.66 8.84 6.62
               5.24 4.33 3.68 3.18 2.78 2.43 2.14 1.89""",
        ),
        (
            (ONE, EIGHT),
            """152.73 110.52 59.76 33.64 21.07 14.58 10.90 8.60
               7.03 5.85 4.89 4.08 3.38 2.81 2.35 1.99""",
        ),
    ],
)
def test_other_sets_of_champ_and_woodall(rules, printed):
    """Western Electric rules in other combinations, in control and after shifts to either side."""
    for shift, arl in zip(SHIFTS, row(printed), strict=False):
        assert arl_rules(rules, shift).arl == pytest.approx(arl, abs=5.1e-3)
        assert arl_rules(rules, -shift).arl == pytest.approx(arl, abs=5.1e-3)


@pytest.mark.parametrize(
    ("kind", "points", "k", "sigma", "arl"),
    [
        # Alternating permutations (Andre 1879), and no peak or valley among t values: 2/t!.
        (Kind.TREND, 3, 0, 0.0, 2.0 / cos(1.0) + 2.0 * tan(1.0) - 2.0),
        (Kind.ALTERNATE, 3, 0, 0.0, 2.0 * e - 2.0),
        # Runs of successes of probability p: (p^-m - 1)/(1 - p).
        (Kind.WITHIN, 15, 0, 1.0, (INSIDE**-15 - 1.0) / (1.0 - INSIDE)),
        (Kind.EITHER, 8, 0, 1.0, ((1.0 - INSIDE) ** -8 - 1.0) / INSIDE),
        (Kind.BEYOND, 9, 0, 0.0, 2.0**9 - 1.0),
    ],
)
def test_closed_forms(kind, points, k, sigma, arl):
    """Rules whose run length has a formula of its own (of a run, either of two sides may signal)."""
    rule = Rule(id="r", kind=kind, points=points, k=k, sigma=sigma)
    assert arl_rules((rule,)).arl == pytest.approx(arl, rel=1e-7)


def test_operating_characteristic_of_a_p_chart():
    """Chance to miss a rise from 0.2 to 0.3 with n = 50 (Montgomery, table 7.6)."""
    missed = 1.0 - 1.0 / arl_binomial(50, 0.3, 0.0303 * 50, 0.3697 * 50).arl
    assert missed == pytest.approx(0.8594, abs=5.1e-5)


@pytest.mark.parametrize(
    ("weight", "distance", "printed"),
    [
        (0.4, 3.054, "500 224 71.2 28.4 14.3 5.9 3.5 2.5 2.0"),
        (0.25, 2.998, "500 170 48.2 20.1 11.1 5.5 3.6 2.7 2.3"),
        (0.2, 2.962, "500 150 41.8 18.2 10.5 5.5 3.7 2.9 2.4"),
        (0.1, 2.814, "500 106 31.3 15.9 10.3 6.1 4.4 3.4 2.9"),
        (0.05, 2.615, "500 84.1 28.8 16.4 11.4 7.1 5.2 4.2 3.5"),
    ],
)
def test_lucas_and_saccucci(weight, distance, printed):
    """Run lengths of five EWMA charts; the paper's chain is right to about one part in 500."""
    for shift, arl in zip((0, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3), row(printed), strict=True):
        digit = 0.5 if arl >= 100 else 0.05
        found = arl_ewma(weight, distance, float(shift), limits="fixed").arl
        assert found == pytest.approx(arl, abs=digit + 0.002 * arl)


@pytest.mark.parametrize(
    ("weight", "arl"),
    [(0.05, 1379.32), (0.1, 842.15), (0.25, 502.90), (0.5, 397.46), (0.75, 374.50), (1.0, 370.40)],
)
def test_crowder_at_three_sigma(weight, arl):
    """In-control run lengths of EWMA charts with L = 3; the paper's quadrature is right to 0.03."""
    assert arl_ewma(weight, 3.0, limits="fixed").arl == pytest.approx(arl, abs=0.03)


@pytest.mark.parametrize(
    ("k", "h"), [(0.25, 8.01), (0.5, 4.77), (0.75, 3.34), (1.0, 2.52), (1.25, 1.99), (1.5, 1.61)]
)
def test_designs_of_hawkins(k, h):
    """Decision limits of two-sided CUSUM charts for an ARL0 of 370."""
    assert design_cusum(k, 370.0) == pytest.approx(h, abs=6e-3)


@pytest.mark.parametrize(("h", "arl"), [(2.0, 38.55), (3.0, 117.60), (4.0, 335.37), (5.0, 930.89)])
def test_one_sided_cusum(h, arl):
    """One-sided run lengths with k = 0.5, exact to the digits of the software that printed them."""
    assert arl_cusum(0.5, h, sided="high").arl == pytest.approx(arl, abs=5.1e-3)


@pytest.mark.parametrize(
    ("p", "printed"),
    [
        (2, "7.35 8.64 9.65 10.08 10.44 10.58"),
        (4, "11.22 12.73 13.87 14.34 14.74 14.85"),
        (10, "20.72 22.67 24.07 24.62"),
    ],
)
def test_limits_of_prabhu_and_runger(p, printed):
    """h4 for an ARL0 of 200; the paper's chain is right to 0.3 %."""
    for weight, h4 in zip((0.05, 0.1, 0.2, 0.3, 0.5, 0.8), row(printed), strict=False):
        assert mewma_limit(p, weight, 200.0) == pytest.approx(h4, abs=0.005 + 0.003 * h4)


@pytest.mark.parametrize(
    ("p", "weight", "h4", "printed"),
    [
        (2, 0.1, 8.64, "28.07 10.15 6.11 4.42 2.93"),
        (2, 0.2, 9.65, "35.17 10.20 5.49 3.78 2.42"),
        (4, 0.1, 12.73, "35.11 12.17 7.22 5.19 3.41"),
    ],
)
def test_run_lengths_of_prabhu_and_runger(p, weight, h4, printed):
    """Run lengths of MEWMA charts after shifts; their chain is coarse, and right to 0.5 %."""
    for distance, arl in zip((0.5, 1.0, 1.5, 2.0, 3.0), row(printed), strict=True):
        found = arl_mewma(p, weight, h4, distance).arl
        assert found == pytest.approx(arl, abs=0.005 + 0.005 * arl)


def test_gear_diameters():
    """Bartlett and Brown-Forsythe tests of ten batches (NIST 1.3.5.7, 1.3.5.10)."""
    batches = [
        "1.006 .996 .998 1.000 .992 .993 1.002 .999 .994 1.000",
        ".998 1.006 1.000 1.002 .997 .998 .996 1.000 1.006 .988",
        ".991 .987 .997 .999 .995 .994 1.000 .999 .996 .996",
        "1.005 1.002 .994 1.000 .995 .994 .998 .996 1.002 .996",
        ".998 .998 .982 .990 1.002 .984 .996 .993 .980 .996",
        "1.009 1.013 1.009 .997 .988 1.002 .995 .998 .981 .996",
        ".990 1.004 .996 1.001 .998 1.000 1.018 1.010 .996 1.002",
        ".998 1.000 1.006 1.000 1.002 .996 .998 .996 1.002 1.006",
        "1.002 .998 .996 .995 .996 1.004 1.004 .998 .999 .991",
        ".991 .995 .984 .994 .997 .997 .991 .998 1.004 .997",
    ]
    gears = [row(batch) for batch in batches]
    assert equal_variances(gears, test="bartlett").statistic == pytest.approx(20.78580, abs=1e-4)
    assert equal_variances(gears).statistic == pytest.approx(1.705910, abs=1e-5)


def test_capability_intervals():
    """Intervals of Cp and Cpk from twenty values (Montgomery, examples 8.4 and 8.5)."""
    found = cp(38.0, 62.0, Sigma(1.75, 19.0, "overall"))
    assert (found.value, found.low, found.high) == pytest.approx((2.29, 1.57, 3.01), abs=6e-3)
    found = cpk(0.0, -3.99, None, Sigma(1.0, 19.0, "overall"), 20)
    assert (found.value, found.low, found.high) == pytest.approx((1.33, 0.88, 1.78), abs=6e-3)


def test_limits_of_fibre():
    """T2 limits of subgroups, twenty of ten with two variables (Montgomery, example 11.1)."""
    assert t2_subgroup_phase1_limit(20, 10, 2, 0.001) == pytest.approx(13.72, abs=5.1e-3)
    # The book prints 15.16 from an F of three digits.
    assert t2_subgroup_phase2_limit(20, 10, 2, 0.001) == pytest.approx(15.16, abs=0.011)


def test_residual_of_ballistic_missiles():
    """Limit of the residual after two of four components; h0 = 0.291."""
    limit, h0 = jackson_mudholkar_limit([29.33, 16.41], 0.05)
    assert h0 == pytest.approx(0.291, abs=6e-4)
    assert limit == pytest.approx(140.45, abs=0.05)
    assert box_limit([29.33, 16.41], 0.05) == pytest.approx(limit, rel=5e-3)


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_one_variable_is_the_chart_it_grew_from(offset):
    """T2 of one variable is t squared, and a MEWMA of one variable the square of an EWMA."""
    m = 30
    assert t2_phase2_limit(m, 1, 0.01) == pytest.approx(
        (m + 1) / m * stats.t.ppf(0.995, m - 1) ** 2, rel=1e-9
    )
    x = offset + np.array([0.25, -0.5, 1.0, 2.0, -1.5])
    z, seen = 0.0, []
    for value in x - offset:
        z = 0.25 * value + 0.75 * z
        seen.append(z * z / (0.25 / 1.75 * 4.0))
    assert mewma(x[:, None], [offset], [[4.0]], 0.25) == pytest.approx(seen, rel=1e-12)
    assert t2(x[:, None], [offset], [[4.0]]) == pytest.approx(((x - offset) / 2.0) ** 2, rel=1e-12)
