"""Noise change: an F test of blocks against a learned baseline."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from twin.detectors.outliers.noise import Noise
from twin.detectors.outliers.noise_kernel import f_score, freedom_of_logs
from twin.errors import ConfigError
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Line, Sensor, Station

S = 1_000_000_000


def line(resolution=None, **settings):
    """One sensor at 1 Hz."""
    sensor = Sensor(key="k", period_s=1.0, resolution=resolution, detect={"noise": settings})
    station = Station(id="s", sensor=[sensor])
    row = SensorRow(0, "s/k", station, sensor)
    return LineIndex(Line(), "0" * 16, [row], {row.id: row})


def feed(detector, value, start=0, **columns):
    """Values one second apart."""
    n = len(value)
    batch = Batch.of(np.zeros(n), (start + np.arange(n)) * S, value)
    for name, column in columns.items():
        getattr(batch, name)[:] = column
    return detector.update(batch)


def normal(n, seed=1):
    return np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize(("factor", "side"), [(2.5, "high"), (0.3, "low")])
def test_another_noise_opens_with_its_first_block_and_closes_with_the_first_usual_one(factor, side):
    """Blocks of 60 s: the change at 1800 s is told at 1860 s, its end at 2160 s."""
    value = normal(2400)
    value[1800:2100] *= factor
    opened, closed = feed(Noise(line()), value)

    assert (opened.rule, opened.detail["side"]) == ("noise", side)
    assert opened.t_first == 1800 * S
    assert opened.row == 1860
    assert opened.detail["sigma"] == pytest.approx(factor, rel=0.3)
    assert opened.detail["p"] < 1e-4
    assert closed.detail["cause"] == "inside"
    assert (closed.t_last, closed.row) == (2099 * S, 2160)
    assert closed.detail["samples"] == 300


def test_noise_has_no_sign():
    """The signal upside down gives the same findings on the same side."""
    value = normal(2400)
    value[1800:2100] *= 3

    told, mirrored = (feed(Noise(line()), sign * value) for sign in (1, -1))

    assert [event.id for event in told] == [event.id for event in mirrored]
    assert [event.detail["side"] for event in told] == ["high", "high"]


def test_levels_and_drifts_are_no_noise():
    """A slow drift over many sigma and a single step change nothing."""
    value = normal(3000) + np.linspace(0, 50, 3000)
    value[2000:] += 3.0

    assert feed(Noise(line()), value) == []


def test_false_alarms_are_as_declared():
    """Ten thousand blocks of normal values at 1 %: observed over nominal between 0.5 and 1.5."""
    found = 0
    for seed in range(40):
        events = feed(Noise(line(alpha=0.01, blocks=100, block_s=30.0)), normal(30 * 350, seed))
        found += sum(event.type == "finding" for event in events)

    assert 0.5 < found / (40 * 250 * 0.01) < 1.5


def test_scatter_between_blocks_of_the_baseline_widens_the_limit():
    """A sensor whose noise always comes and goes is not told for it."""
    n = 60 * 60
    swell = np.exp(0.7 * np.sin(np.arange(n) / 120.0))

    assert feed(Noise(line()), normal(n) * swell) == []
    assert feed(Noise(line()), normal(n) * np.where(np.arange(n) < 1200, 1, swell)) != []


def test_while_it_learns_it_says_so_and_says_nothing_else():
    """No verdict before 20 blocks and the first judged one."""
    detector = Noise(line())
    value = normal(2000)
    value[600:] *= 10

    assert feed(detector, value[:1100]) == []
    assert detector.state(0)["verdict"] == "cannot judge"
    assert detector.state(0)["why"] == "not enough data yet: 18 of 20 blocks"


def test_a_constant_baseline_needs_a_resolution():
    """Without a scale nothing is judged; with the declared resolution rounding is the scale."""
    blind, told = Noise(line()), Noise(line(resolution=0.1))
    value = np.r_[np.zeros(1500), 3 * normal(300)]

    assert feed(blind, value) == []
    assert "constant" in blind.state(0)["why"]
    assert [event.detail["side"] for event in feed(told, value) if event.type == "finding"] == [
        "high"
    ]


def test_blocks_with_holes_or_few_values_are_not_judged():
    """A hole closes what is open, and the block it lies in is no block."""
    detector = Noise(line())
    value = normal(1530)
    value[1320:] *= 5
    opened = feed(detector, value)
    gone = feed(detector, 5 * normal(10), start=1550)
    nothing = feed(detector, 5 * normal(5), start=1560)

    assert [event.type for event in opened] == ["finding"]
    assert [event.detail["cause"] for event in gone] == ["gap"]
    assert nothing == []
    assert detector.state(0)["not_judged"] == 1


def test_another_recipe_and_a_reset_learn_anew():
    """Noise of one recipe says nothing about another."""
    detector = Noise(line())
    feed(detector, normal(1500), recipe=1)
    assert feed(detector, 9 * normal(600), start=1500, recipe=2) == []
    assert "10 of 20" in detector.state(0)["why"] or "9 of 20" in detector.state(0)["why"]

    other = Noise(line())
    value = normal(1500)
    value[1300:] *= 9
    feed(other, value)
    assert [event.detail["cause"] for event in other.reset(0, "repaired")] == ["repaired"]
    assert "0 of 20" in other.state(0)["why"]


@pytest.mark.parametrize("v1", [10, 20, 60])
@pytest.mark.parametrize("p", [1e-4, 0.01, 0.5, 0.99, 0.9999])
def test_the_normal_score_of_f(v1, p):
    """Paulson (1942) against exact quantiles of F."""
    v2 = 20 * v1

    assert f_score(scipy.stats.f.ppf(p, v1, v2), v1, v2) == pytest.approx(
        scipy.stats.norm.ppf(p), abs=0.2
    )


@pytest.mark.parametrize("v", [3, 10, 50])
def test_freedom_from_the_scatter_of_logarithms(v):
    """Exact variances of the logarithm of chi-squared give the degrees of freedom back."""
    assert freedom_of_logs(float(scipy.special.polygamma(1, v / 2))) == pytest.approx(v, rel=0.06)


@pytest.mark.parametrize("wrong", [{"block_s": 0}, {"alpha": 0.5}, {"colour": 1}])
def test_wrong_settings_are_refused(wrong):
    """The message names the sensor and the key."""
    with pytest.raises(ConfigError) as caught:
        Noise(line(**wrong))

    assert caught.value.problems[0].key == f"detect.noise.{next(iter(wrong))}"
