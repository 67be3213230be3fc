"""EWMA and CUSUM on published worked examples, and what they say."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from twin.detectors.spc import Charts

S = 1_000_000_000
# NIST/SEMATECH e-Handbook 6.3.2.4
EWMA_X = [
    52, 47, 53, 49.3, 50.1, 47, 51, 50.1, 51.2, 50.5,
    49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1,
]  # fmt: skip
EWMA_Z = [
    50.60, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33,
    50.11, 49.36, 49.52, 50.05, 49.38, 49.92, 50.73, 51.23, 51.94, 51.99,
]  # fmt: skip
# NIST/SEMATECH e-Handbook 6.3.2.3
CUSUM_X = [
    324.925, 324.675, 324.725, 324.350, 325.350, 325.225, 324.125, 324.525, 325.225, 324.600,
    324.625, 325.150, 328.325, 327.250, 327.825, 328.500, 326.675, 327.775, 326.875, 328.350,
]  # fmt: skip
CUSUM_HIGH = [
    0,
    0,
    0,
    0,
    0.03,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    3.01,
    4.94,
    7.45,
    10.63,
    11.99,
    14.44,
    16,
    19.04,
]
CUSUM_LOW = [0, 0.01, 0, 0.33, 0, 0, 0.56, 0.72, 0.17, 0.25, 0.31, *[0] * 9]


def test_ewma_of_the_handbook(charted, values):
    """The EWMA example of the NIST handbook: all values, both limits, no signal."""
    index = charted(centre=50.0, sigma=2.0539, ewma_lambda=0.3, ewma_l=3.0)
    charts = Charts(index, ewma_limits="fixed")
    for i, (x, z) in enumerate(zip(EWMA_X, EWMA_Z, strict=True)):
        assert charts.update(values([x], [i])) == []
        assert charts.state(0)["ewma"]["value"] == pytest.approx(z, abs=0.0051)
    shown = charts.state(0)["ewma"]
    assert (shown["ucl"], shown["lcl"]) == pytest.approx((52.5884, 47.4116), abs=5e-5)


def test_ewma_limits_widen_with_time(charted, values):
    """By default the limits follow the variance of a mean of few points (NIST 6.3.2.4 eq. 3)."""
    charts = Charts(charted(ewma_lambda=0.2, ewma_l=2.962))
    for t in range(1, 6):
        charts.update(values([0.0], [t]))
        expected = 2.962 * sqrt(0.2 / 1.8 * (1 - 0.8 ** (2 * t)))
        assert charts.state(0)["ewma"]["ucl"] == pytest.approx(expected, rel=1e-12)
    charts.update(values([0.0], [100]))
    assert charts.state(0)["ewma"]["ucl"] == pytest.approx(2.962 * 0.2, rel=1e-12)


def test_fast_initial_response(charted, values):
    """Limits begin at half their time-varying width, again behind a gap; a finding shows them."""
    charts = Charts(charted(ewma_lambda=0.2, ewma_l=3.0, ewma_limits="fir"))
    for t in range(1, 22):
        charts.update(values([0.0], [t]))
        varying = 3.0 * sqrt(0.2 / 1.8 * (1 - 0.8 ** (2 * t)))
        share = charts.state(0)["ewma"]["ucl"] / varying
        assert share == pytest.approx(1 - 0.5 ** (1 + (t - 1) * (2 / np.log10(2) - 1) / 19))
    assert share > 0.99
    (event,) = charts.update(values([1.6], [100]))
    assert event.ruleset == "ewma(0.2;3;fir)@1"
    assert event.detail["ucl"] == pytest.approx(0.3)
    assert event.detail["ucl"] == charts.state(0)["ewma"]["ucl"]


def test_ewma_finding(charted, values):
    """An EWMA finding names its limits and the first point since the mean left the centre."""
    charts = Charts(charted(ewma_lambda=0.5, ewma_l=2.0), ewma_limits="fixed")
    opened, closed = charts.update(values([-1.0, 0.5, 2.0, 2.0, -2.0, -2.0]))
    assert (opened.rule, opened.ruleset) == ("ewma", "ewma(0.5;2;fixed)@1")
    assert (opened.detail["side"], opened.detail["statistic"]) == ("high", 1.5)
    assert opened.detail["ucl"] == pytest.approx(2 * sqrt(1 / 3))
    assert (opened.detail["n_first"], opened.detail["n_last"], opened.t_first) == (3, 4, 3 * S)
    assert (closed.type, closed.detail["samples"]) == ("finding_closed", 1)


def test_cusum_of_the_handbook(charted, values):
    """The CUSUM example of the NIST handbook: both sums, signal at 14, onset at 13."""
    charts = Charts(charted(centre=325.0, cusum_k=0.3175, cusum_h=4.1959))
    events = []
    for i, x in enumerate(CUSUM_X):
        events += charts.update(values([x], [i + 1]))
        shown = charts.state(0)["cusum"]
        assert shown["high"] == pytest.approx(CUSUM_HIGH[i], abs=0.0051)
        assert shown["low"] == pytest.approx(CUSUM_LOW[i], abs=0.0051)
    (event,) = events
    assert (event.rule, event.ruleset) == ("cusum", "cusum(0.3175;4.1959)@1")
    assert (event.t_first, event.t_last, event.value) == (13 * S, 14 * S, 327.25)
    detail = event.detail
    assert (detail["n_first"], detail["n_last"], detail["side"]) == (13, 14, "high")
    assert detail["estimated_mean"] == pytest.approx(325 + 0.3175 + 4.94 / 2)


def test_cusum_keeps_its_value_after_a_signal(charted, values):
    """The finding stays open while the sum is beyond h and closes when it is inside again."""
    charts = Charts(charted(cusum_k=0.5, cusum_h=4.0))
    opened, closed = charts.update(values([-3.0, -3.0, -1.0, 0.5, 0.5, 0.5]))
    assert (opened.detail["side"], opened.detail["statistic"]) == ("low", 5.0)
    assert opened.detail["estimated_mean"] == -3.0
    assert (closed.detail["samples"], closed.detail["cause"]) == (3, "inside")


def test_cusum_head_start(charted, values):
    """With a head start both sums begin at h/2, at the start and behind a gap."""
    charts = Charts(charted(cusum_k=0.5, cusum_h=5.0), cusum_start="head-start")
    charts.update(values([0.0]))
    shown = charts.state(0)["cusum"]
    assert (shown["high"], shown["low"]) == (2.0, 2.0)
    charts.update(values([3.0, 0.0], [2, 100]))
    shown = charts.state(0)["cusum"]
    assert (shown["high"], shown["low"]) == (2.0, 2.0)


def test_cusum_restarts_with_head_start_after_a_reset(charted, values):
    """After a reset with cause the sums start at h/2 once, then at 0 again."""
    charts = Charts(charted(cusum_k=0.5, cusum_h=5.0))
    charts.update(values([4.0, 4.0]))
    assert [e.detail["cause"] for e in charts.reset(0, "roll changed")] == ["roll changed"]
    charts.update(values([0.0], [3]))
    assert charts.state(0)["cusum"]["high"] == 2.0
    charts.update(values([0.0], [100]))
    assert charts.state(0)["cusum"]["high"] == 0.0


def test_charts_speak_independently(charted, values):
    """Run rules, EWMA and CUSUM that signal with the same point are three findings."""
    charts = Charts(charted(rules="shewhart", ewma_lambda=0.2, cusum_k=0.5))
    events = charts.update(values([6.0]))
    assert [event.rule for event in events] == ["rule1", "ewma", "cusum"]
    assert [event["rule"] for event in charts.state(0)["findings"]] == ["rule1", "ewma", "cusum"]


def test_points_on_a_memory_limit_are_inside(charted, values):
    """A sum exactly at h is inside."""
    charts = Charts(charted(cusum_k=0.5, cusum_h=5.0))
    assert charts.update(values([5.5])) == []
    assert len(charts.update(values([0.5 + 2**-20], [2]))) == 1


def test_bits_of_the_board_hold_memory_charts(charted, values):
    """The plotted points name EWMA and CUSUM beside the run rules."""
    charts = Charts(charted(rules="shewhart", ewma_lambda=0.2, cusum_k=0.5))
    charts.update(values([0.0, 6.0]))
    assert charts.plotted(0, 10)["rules"] == [[], ["rule1", "ewma", "cusum"]]
    points = charts.points(0)
    assert points["rules"].dtype == np.uint16
    assert points["names"] == {0: "rule1", 12: "ewma", 13: "cusum"}
