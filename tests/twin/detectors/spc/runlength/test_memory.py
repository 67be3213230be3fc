"""Run lengths of EWMA, CUSUM and MEWMA charts, and the limits they are designed with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from twin.detectors.spc.runlength import (
    LONGEST_ARL,
    arl_cusum,
    arl_ewma,
    arl_mewma,
    design_cusum,
    design_ewma,
    design_mewma,
    design_shewhart,
    siegmund,
)
from twin.detectors.spc.runlength.cusum import _Sum
from twin.detectors.spc.runlength.simulate import simulate
from twin.model.line import Chart

SHIFTS = (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4)


def close(expected):
    """The tolerance of an exact method against a printed number."""
    return pytest.approx(expected, abs=0.01, rel=0.001)


@pytest.mark.parametrize(
    ("weight", "distance", "limits", "expected"),
    [
        (0.1, 2.814, "fixed", (499.58, 106.32, 31.30, 15.85, 10.33, 6.08, 4.36, 3.44, 2.87, 2.19)),
        (0.2, 2.962, "fixed", (499.74, 150.22, 41.76, 18.15, 10.54, 5.50, 3.74, 2.88, 2.38, 1.86)),
        (
            *(0.1, 2.814, "time-varying"),
            (486.43, 101.62, 28.51, 13.50, 8.16, 4.15, 2.64, 1.91, 1.50, 1.12),
        ),
        (
            *(0.2, 2.962, "time-varying"),
            (494.39, 147.70, 40.34, 17.05, 9.55, 4.58, 2.86, 2.04, 1.59, 1.15),
        ),
    ],
)
def test_ewma(weight, distance, limits, expected):
    """EWMA with fixed and with time-varying limits."""
    found = [arl_ewma(weight, distance, shift, limits=limits).arl for shift in SHIFTS]
    assert found == [close(number) for number in expected]


@pytest.mark.parametrize(
    ("weight", "distance", "shift", "expected"),
    [
        (0.25, 2.0, 0.0, 38.56),
        (0.25, 3.0, 0.0, 502.90),
        (0.25, 3.0, 1.0, 11.15),
        (0.5, 3.0, 0.0, 397.46),
        (0.1, 3.0, 0.0, 842.15),
        (0.05, 2.5, 0.0, 379.3),
    ],
)
def test_crowder(weight, distance, shift, expected):
    """EWMA with fixed limits (Crowder, Technometrics 29, 1987)."""
    assert arl_ewma(weight, distance, shift, limits="fixed").arl == pytest.approx(
        expected, rel=0.01
    )


@pytest.mark.parametrize(
    ("weight", "distance", "expected"),
    [
        (0.4, 3.054, (500, 71.2, 14.3, 5.9, 3.5, 2.5)),
        (0.25, 2.998, (500, 48.2, 11.1, 5.5, 3.6, 2.7)),
        (0.2, 2.962, (500, 41.8, 10.5, 5.5, 3.7, 2.9)),
        (0.1, 2.814, (500, 31.3, 10.3, 6.1, 4.4, 3.4)),
        (0.05, 2.615, (500, 28.8, 11.4, 7.1, 5.2, 4.2)),
    ],
)
def test_lucas_and_saccucci(weight, distance, expected):
    """EWMA designs with ARL0 500 (Lucas and Saccucci, Technometrics 32, 1990; three digits)."""
    shifts = (0, 0.5, 1, 1.5, 2, 2.5)
    found = [arl_ewma(weight, distance, shift, limits="fixed").arl for shift in shifts]
    assert found == [pytest.approx(number, rel=0.003, abs=0.06) for number in expected]


@pytest.mark.parametrize(
    ("weight", "distance", "expected"),
    [
        (0.1, 2.814, (366.98, 18.94, 4.42, 1.42)),
        (0.2, 2.962, (380.45, 26.01, 4.87, 1.46)),
        (1.0, 3.0, (263.28, 92.74, 16.07, 1.63)),
    ],
)
def test_fast_initial_response(weight, distance, expected):
    """Limits that begin at half their width find early shifts sooner, and cost ARL0 (Steiner 1999).

    The numbers are those of linetwin, confirmed by simulation through the charts.
    """
    shifts = (0.0, 0.5, 1.0, 2.0)
    found = [arl_ewma(weight, distance, shift, limits="fir").arl for shift in shifts]
    assert found == [close(number) for number in expected]
    plain = [arl_ewma(weight, distance, shift).arl for shift in shifts]
    assert all(fir < varying for fir, varying in zip(found, plain, strict=True))
    steady = [arl_ewma(weight, distance, 1.0, limits=x, steady=True).arl for x in ("fir", "fixed")]
    assert steady[0] == steady[1]


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 2.0])
def test_fast_initial_response_through_charts(shift):
    """The charts themselves run as long, within three standard errors."""
    chart = Chart(rules=None, ewma_lambda=0.1, ewma_l=2.814, ewma_limits="fir")
    found = simulate(chart, shift, runs=1000, seed=7)
    exact = arl_ewma(0.1, 2.814, shift, limits="fir").arl
    assert found.arl == pytest.approx(exact, abs=3 * found.standard_error)


def test_an_ewma_without_memory_is_a_shewhart_chart():
    """With lambda 1 only the newest point counts, whatever the form of the limits."""
    for limits in ("fixed", "time-varying"):
        assert arl_ewma(1.0, 3.0, limits=limits).arl == pytest.approx(370.3983, abs=1e-3)


def test_ewma_starts():
    """A start towards the shift helps; starts are mirrored; a start beyond the limit is refused."""
    near = arl_ewma(0.1, 2.814, 0.5, limits="fixed", start=0.3).arl
    assert near < arl_ewma(0.1, 2.814, 0.5, limits="fixed").arl
    mirrored = arl_ewma(0.1, 2.814, -0.5, limits="fixed", start=-0.3).arl
    assert mirrored == pytest.approx(near)
    with pytest.raises(ValueError, match="start is 2"):
        arl_ewma(0.1, 2.814, start=2.0)


def test_one_sided_ewma():
    """A wall far below the centre leaves an upper limit alone, which speaks half as often."""
    free = arl_ewma(0.1, 4.0, sided="high", limits="fixed", wall=-2.0).arl
    assert free == pytest.approx(2 * arl_ewma(0.1, 4.0, limits="fixed").arl, rel=0.01)
    held = arl_ewma(0.1, 4.0, sided="high", limits="fixed").arl
    assert held < free


def test_limits_nobody_reaches():
    """Numbers beyond any use are capped, and nothing overflows."""
    for weight, distance in ((0.005, 59.9), (0.2, 15.0), (0.05, 18.7)):
        for limits in ("fixed", "time-varying"):
            assert arl_ewma(weight, distance, limits=limits).arl == LONGEST_ARL
    assert arl_cusum(1.0, 40.0).arl == LONGEST_ARL
    assert arl_cusum(1.0, 40.0, 2.0).arl == pytest.approx(41.0, rel=0.02)
    assert arl_mewma(2, 0.1, 150.0).arl == LONGEST_ARL


@pytest.mark.parametrize(
    ("h", "head", "expected"),
    [
        (4, 0, (167.68, 74.22, 26.63, 13.29, 8.38, 4.75, 3.34, 2.62, 2.19, 1.71)),
        (4, 2, (148.70, 62.70, 20.06, 8.97, 5.29, 2.86, 2.01, 1.59, 1.33, 1.07)),
        (5, 0, (465.44, 139.49, 38.00, 17.05, 10.38, 5.75, 4.01, 3.11, 2.57, 2.01)),
        (5, 2.5, (430.39, 121.69, 28.67, 11.24, 6.35, 3.37, 2.36, 1.86, 1.54, 1.16)),
    ],
)
def test_cusum(h, head, expected):
    """CUSUM with k 0.5, with and without head start (Lucas and Crosier 1982)."""
    found = [arl_cusum(0.5, h, shift, head=head).arl for shift in SHIFTS]
    assert found == [close(number) for number in expected]


def test_one_sided_cusum():
    """One sum alone; Siegmund's approximation is near it; the low sum is the mirrored high one."""
    assert arl_cusum(0.5, 5, sided="high").arl == close(930.89)
    assert siegmund(0.5, 5) == pytest.approx(938.2, abs=0.05)
    assert arl_cusum(0.5, 5, -1.0, sided="low").arl == arl_cusum(0.5, 5, 1.0, sided="high").arl


def test_a_cusum_of_one_point_is_a_shewhart_chart():
    """With a reference of nearly the limit itself hardly anything adds up."""
    assert arl_cusum(2.9, 0.1, sided="high").arl == pytest.approx(1 / norm.sf(3.0), rel=0.02)


@pytest.mark.parametrize("head", [(3.0, 3.0), (4.0, 4.5), (5.0, 5.0), (5.0, 2.0)])
def test_large_head_starts(head):
    """Sums that start high are followed together; a simulation says the same."""
    rng = np.random.default_rng(7)
    high, low = np.full(200_000, head[0]), np.full(200_000, head[1])
    total, squares, t = 0.0, 0.0, 0
    while len(high):
        t += 1
        z = rng.normal(0.8, 1.0, len(high))
        high, low = np.maximum(0, high + z - 0.5), np.maximum(0, low - z - 0.5)
        out = (high > 5) | (low > 5)
        total += t * out.sum()
        squares += t * t * out.sum()
        high, low = high[~out], low[~out]
    mean = total / 200_000
    error = np.sqrt((squares / 200_000 - mean**2) / 200_000)
    assert arl_cusum(0.5, 5, 0.8, head=head).arl == pytest.approx(mean, abs=3 * error)


def test_head_starts_meet_where_the_formula_ends():
    """Nothing jumps where the two sums begin to be followed together."""
    below = arl_cusum(0.5, 5, 0.3, head=(3.0, 3.0)).arl
    above = arl_cusum(0.5, 5, 0.3, head=(3.0 + 1e-7, 3.0)).arl
    assert above == pytest.approx(below, rel=1e-6)


def test_quadrature_of_the_cusum_is_fine_enough():
    """The equation holds between its nodes too."""
    one = _Sum(0.5, 5.0, 0.0)
    starts = np.linspace(0, 5, 7)
    values = one.means(starts)
    fine = np.linspace(0, 5, 20_001)
    for start, value in zip(starts, values, strict=True):
        density = norm.pdf(fine - start + 0.5) * one.means(fine)
        again = 1 + norm.cdf(-start + 0.5) * one.zero + np.trapezoid(density, fine)
        assert again == pytest.approx(value, rel=1e-6)


def test_delays_after_a_long_time_in_control():
    """Far from the start an EWMA is a little nearer to its limit than its centre is."""
    late = arl_ewma(0.1, 2.814, 1.0, steady=True).arl
    assert 0.9 < late / arl_ewma(0.1, 2.814, 1.0, limits="fixed").arl < 1.0
    assert arl_ewma(1.0, 3.0, 1.0, steady=True).arl == pytest.approx(43.895, abs=0.01)
    late = arl_cusum(0.5, 5, 1.0, sided="high", steady=True).arl
    assert 0.85 < late / arl_cusum(0.5, 5, 1.0, sided="high").arl < 1.0


@pytest.mark.parametrize(
    ("p", "h4"),
    [
        (2, (7.347, 8.634, 9.648, 10.083)),
        (4, (11.211, 12.723, 13.864, 14.336)),
        (10, (20.701, 22.656, 24.058, 24.612)),
    ],
)
def test_mewma_in_control(p, h4):
    """Limits for ARL0 200 at lambda .05, .1, .2, .3."""
    found = [arl_mewma(p, w, h).arl for w, h in zip((0.05, 0.1, 0.2, 0.3), h4, strict=True)]
    assert found == [close(200.0)] * 4
    assert design_mewma(p, 0.1, 200.0) == pytest.approx(h4[1], abs=0.001)


@pytest.mark.parametrize(
    ("distance", "expected"), [(1.0, 10.12), (1.5, 6.09), (2.0, 4.40), (3.0, 2.92)]
)
def test_mewma_after_a_shift(distance, expected):
    """Two variables, lambda 0.1, ARL0 200."""
    assert arl_mewma(2, 0.1, 8.634, distance).arl == pytest.approx(expected, abs=0.015)


def test_mewma_against_its_definition():
    """A simulation of the vectors themselves, 200 000 runs."""
    rng = np.random.default_rng(1)
    z = np.zeros((200_000, 2))
    total, squares, t = 0.0, 0.0, 0
    while len(z):
        t += 1
        x = rng.standard_normal(z.shape)
        x[:, 0] += 0.5
        z = 0.1 * x + 0.9 * z
        out = (z * z).sum(axis=1) > 8.634 * 0.1 / 1.9
        total += t * out.sum()
        squares += t * t * out.sum()
        z = z[~out]
    mean = total / 200_000
    error = np.sqrt((squares / 200_000 - mean**2) / 200_000)
    assert arl_mewma(2, 0.1, 8.634, 0.5).arl == pytest.approx(mean, abs=3 * error)


def test_mewma_of_one_variable_is_an_ewma():
    """The square of its limit."""
    found = arl_mewma(1, 0.1, 2.814**2, 1.0).arl
    assert found == pytest.approx(arl_ewma(0.1, 2.814, 1.0, limits="fixed").arl)


def test_mewma_grows_out_of_no_shift():
    """The half disc and the radius agree where the shift vanishes; lambda 1 is chi squared."""
    for p in (2, 3, 6):
        assert arl_mewma(p, 0.2, 12.0, 1e-4).arl == pytest.approx(
            arl_mewma(p, 0.2, 12.0).arl, rel=1e-4
        )
    assert arl_mewma(4, 1.0, 14.8603).arl == pytest.approx(200.0, rel=1e-4)


def test_time_varying_mewma_is_quicker():
    """Limits that are narrow after the start find what is there from the start."""
    assert arl_mewma(2, 0.2, 9.648, limits="time-varying").arl < 200.0
    quick = arl_mewma(2, 0.2, 9.648, 1.0, limits="time-varying").arl
    assert quick < 0.9 * arl_mewma(2, 0.2, 9.648, 1.0).arl


DESIGNS = [
    (370.4, 3.0000, 2.7015, 2.8593, 4.7749),
    (500, 3.0902, 2.8143, 2.9622, 5.0707),
    (1_000, 3.2905, 3.0586, 3.1866, 5.7574),
    (5_000, 3.7190, 3.5568, 3.6521, 7.3608),
    (10_000, 3.8906, 3.7491, 3.8344, 8.0530),
    (50_000, 4.2649, 4.1586, 4.2261, 9.6617),
    (100_000, 4.4172, 4.3222, 4.3838, 10.3547),
]


@pytest.mark.parametrize(("arl0", "shewhart", "slow", "quick", "cusum"), DESIGNS)
def test_designs(arl0, shewhart, slow, quick, cusum):
    """Limits for a wanted run length in control."""
    found = (
        *(design_shewhart(arl0), design_ewma(0.1, arl0), design_ewma(0.2, arl0)),
        design_cusum(0.5, arl0),
    )
    assert found == pytest.approx((shewhart, slow, quick, cusum), abs=0.0001)


def test_designs_of_other_forms_meet_their_run_length():
    """Time-varying limits, head starts and one-sided charts are designed as they run."""
    limit = design_ewma(0.15, 700.0, limits="time-varying")
    assert arl_ewma(0.15, limit).arl == pytest.approx(700.0, rel=1e-5)
    h = design_cusum(0.25, 700.0, fir=True)
    assert arl_cusum(0.25, h, head=h / 2).arl == pytest.approx(700.0, rel=1e-5)
    h = design_cusum(1.0, 700.0, sided="high")
    assert arl_cusum(1.0, h, sided="high").arl == pytest.approx(700.0, rel=1e-5)
    with pytest.raises(ValueError, match="ARL0 is 1"):
        design_ewma(0.1, 1.0)
