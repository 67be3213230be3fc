"""Phase I: candidates from streams whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from twin.detectors.spc import stability
from twin.detectors.spc.baseline_fit import Ask, LeftOut, fit
from twin.model.batch import Batch, recipe_code
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Line, Role, Sampling, Sensor, Series, Station

START = 1_700_000_000
ASK = Ask(id="s.x", by="anna", reason="first week")


def line(plan=None, **spec):
    """A line of one sensor."""
    sensor = Sensor(**{"key": "x", "period_s": 1.0, "chart": Chart(rules="shewhart"), **spec})
    station = Station(id="s", sensor=[sensor])
    row = SensorRow(0, "s/x", station, sensor)
    return LineIndex(Line(), "0" * 16, [row], {"s/x": row}, control=plan or {})


def batch(value, seconds=None):
    """Samples, one per second unless said otherwise."""
    t = np.arange(len(value)) if seconds is None else np.asarray(seconds)
    return Batch.of(np.zeros(len(value)), (START + t) * 1_000_000_000, value)


def ar1(phi, n, seed=1, level=0.0, sigma=1.0):
    """A stationary series with innovations of deviation ``sigma``."""
    noise = np.random.default_rng(seed).standard_normal(n + 500) * sigma
    value = np.zeros(n + 500)
    for i in range(1, n + 500):
        value[i] = phi * value[i - 1] + noise[i]
    return level + value[500:]


def test_independent_samples_are_plotted_as_they_are():
    """White noise needs no model; centre and sigma are those of the truth."""
    found = fit(line(), "s/x", batch(100 + 2 * np.random.default_rng(1).standard_normal(3000)), ASK)

    base = found.baseline
    assert base.series is Series.RAW
    assert base.centre == pytest.approx(100, abs=0.15)
    assert base.sigma == pytest.approx(2, rel=0.05)
    assert base.shape == []
    assert found.failed == []
    assert base.name == "s.x@1"


@pytest.mark.parametrize("phi", [0.5, 0.9])
def test_correlated_samples_become_residuals(phi):
    """Level, coefficient and the deviation of what is new are found again."""
    found = fit(line(), "s/x", batch(ar1(phi, 6000, level=50.0, sigma=0.5)), ASK)

    base = found.baseline
    assert base.series is Series.RESIDUAL
    assert base.tests["level_is"] == "fixed"
    assert base.ar[0] == pytest.approx(phi, abs=0.04)
    assert base.phi == pytest.approx(phi, abs=0.04)
    assert base.level == pytest.approx(50, abs=0.3)
    assert base.sigma == pytest.approx(0.5, rel=0.05)
    assert found.failed == []


def test_level_that_wanders_is_followed():
    """A random walk has no level to return to: its coefficients add up to one."""
    walk = np.cumsum(np.random.default_rng(3).standard_normal(3000))

    base = fit(line(), "s/x", batch(walk), ASK).baseline

    assert base.tests["level_is"] == "follows the signal"
    assert sum(base.ar) == pytest.approx(1.0)
    assert base.sigma == pytest.approx(1.0, rel=0.06)


def test_raw_series_that_drifts_fails_the_test_of_level():
    """Who asks for raw samples of a drifting signal is told that there is no level."""
    x = np.random.default_rng(3).standard_normal(1000) + np.linspace(0, 3, 1000)

    found = fit(line(), "s/x", batch(x), replace(ASK, series=Series.RAW))

    assert "independent" in found.failed or "level" in found.failed


def test_louder_half_fails_the_test_of_scatter():
    """A period whose scatter changed is no baseline without a person who says so."""
    x = np.random.default_rng(4).standard_normal(2000) * np.repeat([1.0, 2.0], 1000)

    assert "scatter" in fit(line(), "s/x", batch(x), ASK).failed


def test_heavy_tails_get_a_map():
    """With the map rule 1 is as rare as on normal points; without it, it is not."""
    rng = np.random.default_rng(5)
    x = rng.standard_t(3, 4000)

    base = fit(line(), "s/x", batch(x), ASK).baseline

    assert base.tests["normal"] is False
    assert len(base.shape) > 10
    new = rng.standard_t(3, 200_000)
    z = np.interp((new - base.centre) / base.sigma, *np.array(base.shape).T)
    bare = np.abs(new - np.mean(x)) > 3 * np.std(x)
    assert np.mean(np.abs(z) > 3.0) < 0.0027 * 1.5
    assert np.mean(bare) > 0.0027 * 2.5


def test_points_without_a_named_cause_stay():
    """Outliers are listed for somebody to explain, and nothing is left out in silence."""
    x = np.random.default_rng(6).standard_normal(1000)
    x[[300, 700]] = 12.0

    found = fit(line(), "s/x", batch(x), ASK)

    assert {o.time_ns // 1_000_000_000 - START for o in found.outside} >= {300, 700}
    assert found.baseline.excluded == []
    assert found.baseline.n == 1000


def test_named_causes_are_recorded():
    """A period with a cause is left out, and the record says when, how many and why."""
    x = np.random.default_rng(6).standard_normal(1000)
    x[300:310] = 12.0
    cut = LeftOut((START + 300) * 10**9, (START + 309) * 10**9, "web break")

    base = fit(line(), "s/x", batch(x), replace(ASK, left_out=(cut,))).baseline

    assert (base.n, base.excluded[0].points, base.excluded[0].cause) == (990, 10, "web break")
    assert base.sigma == pytest.approx(1.0, rel=0.1)


def test_too_much_left_out_is_no_baseline():
    """More than a tenth left out says that the period was not in control."""
    x = np.random.default_rng(6).standard_normal(1000)
    cut = LeftOut(START * 10**9, (START + 150) * 10**9, "trials")

    found = fit(line(), "s/x", batch(x), replace(ASK, left_out=(cut,)))

    assert found.baseline is None
    assert "more than 10%" in found.missing[0]


def test_recipes_are_never_mixed():
    """Two recipes in a period are refused, one of them named is fitted alone."""
    x = np.random.default_rng(7).standard_normal(1000) + np.repeat([0.0, 10.0], 500)
    both = batch(x)
    both.recipe[:500], both.recipe[500:] = recipe_code("a"), recipe_code("b")

    mixed = fit(line(), "s/x", both, ASK)
    alone = fit(line(), "s/x", both, replace(ASK, recipe="b"))
    other = fit(line(), "s/x", both, replace(ASK, recipe="c"))

    assert "2 recipes" in mixed.missing[0]
    assert alone.baseline.n == 500
    assert alone.baseline.centre == pytest.approx(10, abs=0.2)
    assert "recipe 'c'" in other.missing[0]


def test_a_baseline_for_every_recipe_says_so():
    """Nobody should learn from a false finding that the limits of one recipe hold for another."""
    one = batch(np.random.default_rng(7).standard_normal(500))
    one.recipe[:] = recipe_code("a")

    unbound = fit(line(), "s/x", one, ASK)
    bound = fit(line(), "s/x", one, replace(ASK, recipe="a"))

    assert any("every recipe" in step for step in unbound.steps)
    assert not any("every recipe" in step for step in bound.steps)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (np.zeros(500), "nothing varies"),
        (np.random.default_rng(8).standard_normal(10), "25 are the least"),
        (np.random.default_rng(8).standard_normal(60), "100 are the least"),
        (ar1(0.9, 150), "150 samples; a model of the past needs 200"),
    ],
)
def test_not_enough_data_says_what_is_missing(value, why):
    """An honest answer with a number instead of limits nobody should trust."""
    found = fit(line(), "s/x", batch(value), ASK)

    assert found.baseline is None
    assert why in found.missing[0]


def test_small_baseline_may_begin_but_is_not_enough():
    """100 individuals make a candidate; a chart in force asks for 300."""
    found = fit(line(), "s/x", batch(np.random.default_rng(21).standard_normal(150)), ASK)

    assert found.baseline.n == 150
    assert found.failed == ["enough"]


def test_safety_limits_are_never_fitted():
    """Class SAFETY, states and counters have no baseline of their values."""
    x = batch(np.random.default_rng(9).standard_normal(500))
    plan = {"CP28": {"class": "SAFETY", "chart": "limit"}}

    safety = fit(line(plan, control="CP28"), "s/x", x, ASK)
    state = fit(line(role=Role.STATE), "s/x", x, ASK)
    counter = fit(line(role=Role.COUNTER), "s/x", x, ASK)

    assert "safety limits" in safety.missing[0]
    assert "state" in state.missing[0]
    assert "counter" in counter.missing[0]


def test_blocks_have_the_scatter_of_their_means():
    """Sigma of block means is estimated from block means, never sigma over sqrt(m)."""
    x = ar1(0.9, 18_000, seed=2)
    index = line(chart=Chart(rules="shewhart", series=Series.BLOCK, block_s=60.0))

    base = fit(index, "s/x", batch(x), ASK).baseline

    means = x[: len(x) // 60 * 60].reshape(-1, 60).mean(axis=1)
    assert base.series is Series.BLOCK
    assert base.block_s == 60.0
    assert base.n == pytest.approx(300, abs=3)
    assert base.sigma == pytest.approx(means.std(), rel=0.12)
    assert base.sigma > 2 * x.std() / np.sqrt(60)


def test_blocks_need_a_length_and_are_told_one():
    """Without a length the answer names one that makes blocks nearly independent."""
    found = fit(line(), "s/x", batch(ar1(0.9, 3000)), replace(ASK, series=Series.BLOCK))

    assert "--block SECONDS" in found.missing[0]


def test_undeclared_exception_reporting_is_refused():
    """The points of a source that sends only changes are no sample of the process."""
    x = np.round(ar1(0.9, 8000) / 1.5) * 1.5
    sent = np.concatenate(([True], np.diff(x) != 0))

    found = fit(line(), "s/x", batch(x[sent], np.flatnonzero(sent)), ASK)

    assert 'declare sampling = "by_exception"' in found.missing[0]


def test_declared_exception_reporting_is_rebuilt():
    """Values are held on the nominal grid before anything is estimated."""
    x = np.round(ar1(0.9, 8000) / 0.5) * 0.5
    sent = np.concatenate(([True], np.diff(x) != 0))
    index = line(sampling=Sampling.BY_EXCEPTION, max_silence_s=600.0)

    base = fit(index, "s/x", batch(x[sent], np.flatnonzero(sent)), ASK).baseline

    assert base.phi == pytest.approx(0.9, abs=0.05)
    assert base.n > 7000


def test_a_wanted_value_that_moves_is_no_scatter():
    """With a set-point the deviation is fitted, however often the wanted value changes."""
    rng = np.random.default_rng(13)
    wanted = np.repeat([20.0, 60.0, 40.0, 80.0], 500)
    sensors = [
        Sensor(key="x", period_s=1.0, chart=Chart(rules="shewhart", set_point="want")),
        Sensor(key="want", period_s=1.0),
    ]
    station = Station(id="s", sensor=sensors)
    rows = [SensorRow(i, f"s/{spec.key}", station, spec) for i, spec in enumerate(sensors)]
    index = LineIndex(Line(), "0" * 16, rows, {row.id: row for row in rows})
    value = np.column_stack([wanted, wanted + 0.3 + 0.5 * rng.standard_normal(2000)]).ravel()
    time_ns = np.repeat(START + np.arange(2000), 2) * 1_000_000_000
    samples = Batch.of(np.tile([1, 0], 2000), time_ns, value)

    base = fit(index, "s/x", samples, ASK).baseline

    assert base.series is Series.RAW
    assert base.centre == pytest.approx(0.3, abs=0.05)
    assert base.sigma == pytest.approx(0.5, rel=0.06)


def test_the_fit_does_not_change_its_samples():
    """Leaving out works on a copy."""
    x = batch(np.random.default_rng(1).standard_normal(500))
    before = x.quality.copy()

    fit(line(), "s/x", x, replace(ASK, left_out=(LeftOut(START * 10**9, START * 10**9, "x"),)))

    assert (x.quality == before).all()


@pytest.mark.parametrize(("m", "median"), [(100, 338.0), (300, 359.0)])
def test_price_of_a_small_baseline(m, median):
    """Median true ARL0 of a 3-sigma chart whose limits come from m points (nominal 370)."""
    rng = np.random.default_rng(11)
    lengths = []
    for _ in range(400):
        x = rng.standard_normal(m)
        base = fit(line(), "s/x", batch(x), replace(ASK, series=Series.RAW)).baseline
        sides = (base.centre - 3 * base.sigma, base.centre + 3 * base.sigma)
        beyond = 1 - np.diff(ndtr(np.array(sides)))[0]
        lengths.append(1 / beyond)

    assert np.median(lengths) == pytest.approx(median, rel=0.15)


def test_openings_of_a_fit_in_control_are_those_of_chance():
    """The record counts findings the way charts do."""
    found = fit(line(), "s/x", batch(np.random.default_rng(12).standard_normal(5000)), ASK)

    expected = 5000 * stability.point_rate()
    assert found.baseline.tests["findings"] == pytest.approx(expected, abs=4 * expected**0.5)
