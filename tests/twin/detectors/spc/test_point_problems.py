"""What is said about charts whose points would not be honest."""

from __future__ import annotations

import pytest

from twin.detectors.spc.point_problems import problems_of
from twin.model.line import Chart, Sensor, Station

RESIDUAL = {"series": "residual", "level": 0.0}


def found(sensor=None, *, product="", baseline=False, **chart):
    made = Sensor(
        key="k", **{"period_s": 1.0, **(sensor or {})}, chart=Chart(centre=0.0, sigma=1.0, **chart)
    )
    station = Station(id="s", product=product, sensor=[made, Sensor(key="wanted")])
    return {p.key: p for p in problems_of(made, made.chart, station, baseline=baseline)}


@pytest.mark.parametrize(
    ("key", "words", "sensor", "chart"),
    [
        ("series", "counter", {"role": "counter"}, {}),
        ("type", "no mean", {"role": "state"}, {}),
        ("block_s", "missing", {}, {"series": "block"}),
        ("block_s", "holds 2 samples", {}, {"series": "block", "block_s": 2.0}),
        ("sensor.period_s", "missing", {"period_s": None}, {"series": "block", "block_s": 9.0}),
        ("size", "no products", {}, {"series": "piece"}),
        ("every", "missing", {}, {"series": "thin"}),
        ("ar", "no baseline", {}, RESIDUAL),
        ("ar", "never returns", {}, {**RESIDUAL, "ar": [1.0]}),
        ("ar", "never returns", {}, {**RESIDUAL, "ar": [0.6, 0.5]}),
        ("tau_s", "beside ar", {}, {**RESIDUAL, "ar": [0.5], "tau_s": 2.0}),
        ("level", "missing", {}, {"series": "residual", "ar": [0.5]}),
        ("sensor.period_s", "lost", {"period_s": None}, {**RESIDUAL, "ar": [0.5]}),
        ("block_s", "means nothing", {}, {"block_s": 9.0}),
        ("ar", "means nothing", {}, {"ar": [0.5]}),
        ("set_point", "itself", {}, {"set_point": "k"}),
        ("set_point", "no such", {}, {"set_point": "other"}),
        ("settle_s", "without", {}, {"settle_s": 9.0}),
        ("spread", "subgroups", {}, {"spread": "s", "sigma_within": 1.0}),
        ("sigma_within", "missing", {}, {"series": "piece", "size": 5, "spread": "r"}),
        ("rules", "blind", {"resolution": 0.6}, {}),
        (
            "sensor.resolution", "rebuilt", {"resolution": 0.6, "sampling": "by_exception"}, {},
        ),
        ("series", "no sample", {"resolution": 0.1, "sampling": "by_exception"}, {}),
    ],
)  # fmt: skip
def test_refused(key, words, sensor, chart):
    """The chart must not run, for this reason, and there is a proposal."""
    problem = found(sensor, **chart)[key]
    assert words in problem.message
    assert problem.fatal
    assert problem.allowed


@pytest.mark.parametrize(
    ("key", "sensor", "chart"),
    [
        ("rules", {"role": "slow_covariate"}, {}),
        ("set_point", {"role": "follows_setpoint"}, {}),
        ("rules", {"resolution": 0.3}, {}),
        ("series", {}, {"phi": 0.9}),
        ("spread", {}, {"series": "piece", "size": 20, "spread": "r", "sigma_within": 1.0}),
        ("spread", {}, {"series": "block", "block_s": 9.0, "spread": "s", "sigma_within": 1.0}),
        ("series", {"sampling": "by_exception"}, {}),
    ],
)
def test_warned(key, sensor, chart):
    """The chart runs, and somebody should know."""
    assert not found(sensor, **chart)[key].fatal


@pytest.mark.parametrize(
    ("sensor", "chart"),
    [
        ({}, {}),
        ({"resolution": 0.2}, {"phi": 0.2}),
        ({}, {"phi": 0.9, "rules": "shewhart"}),
        ({}, {**RESIDUAL, "ar": [0.9], "phi": 0.9}),
        ({"period_s": None}, {**RESIDUAL, "tau_s": 4.0}),
        ({}, {"series": "residual", "model": "ewma"}),
        ({"role": "counter"}, {"series": "block", "block_s": 60.0}),
        ({"sampling": "by_exception"}, {"series": "block", "block_s": 60.0}),
        ({}, {"series": "piece", "size": 5, "spread": "r", "sigma_within": 1.0}),
        ({"role": "follows_setpoint"}, {"set_point": "wanted", "settle_s": 60.0}),
    ],
)
def test_fine(sensor, chart):
    """Nothing to say."""
    assert found(sensor, **chart) == {}


def test_proposals_are_numbers():
    """A correlated raw series is told how long a block must be and which time it forgets in."""
    allowed = found({"period_s": 2.0}, phi=0.9)["series"].allowed
    assert "block_s = 114" in allowed
    assert "tau_s = 19" in allowed


def test_baseline_brings_what_is_missing():
    """With a fitted baseline the chart itself may stay silent; with products pieces are whole."""
    assert found(series="residual", baseline=True) == {}
    assert found(series="piece", product="coil") == {}
