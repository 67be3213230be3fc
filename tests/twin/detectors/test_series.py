"""From samples to plotted points."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.detectors import series_kernel
from twin.detectors.series import Series, forecast_fades, makes_points
from twin.errors import StateError
from twin.model.baseline import Baseline
from twin.model.batch import BAD, Batch, Mark, recipe_code
from twin.model.index import LineIndex
from twin.model.line import Chart, Role, Sampling, Sensor
from twin.model.points import PointFlag, Points

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"
S = 1_000_000_000
NAN = float("nan")
CHARTS = [
    {"series": "residual", "ar": [0.9], "level": 1.0},
    {"series": "residual", "ar": [1.2, -0.5], "level": 1.0},
    {"series": "residual", "tau_s": 9.5},
    {"series": "residual", "model": "ewma"},
    {"series": "residual", "model": "holt", "level": 0.0},
    {"series": "block", "block_s": 10.0, "spread": "s"},
    {"series": "piece", "size": 5, "spread": "r"},
    {"series": "piece", "spread": "s"},
    {"series": "thin", "every": 3},
    {"set_point": "wanted", "settle_s": 5.0},
    {"series": "block", "block_s": 10.0, "set_point": "wanted"},
]


def spec(key="k", **chart):
    return Sensor(key=key, period_s=1.0, chart=Chart(**{"centre": 0.0, "sigma": 1.0, **chart}))


def everything(line):
    """One sensor of every kind, and the one that brings the set-point."""
    sensors = [spec(f"k{i}", **chart) for i, chart in enumerate(CHARTS)]
    held = {"sampling": "by_exception", "max_silence_s": 20.0, "period_s": 1.0}
    for i, chart in enumerate((CHARTS[0], CHARTS[5])):
        sensors.append(Sensor(key=f"held{i}", chart=Chart(centre=0.0, sigma=1.0, **chart), **held))
    counting = Chart(centre=0.0, sigma=1.0, series="block", block_s=10.0)
    sensors.append(Sensor(key="metres", role=Role.COUNTER, period_s=1.0, chart=counting))
    return line(*sensors, Sensor(key="wanted"), spec("plain"))


def stream(n=4000, seed=3):
    """Noise, holes, bad and late samples, three products, two recipes, a set-point that moves."""
    rng = np.random.default_rng(seed)
    batch = Batch.of(
        rng.integers(0, len(CHARTS) + 5, n),
        np.sort(rng.integers(0, n // 10, n)) * S + rng.integers(0, S // 3, n),
        np.cumsum(rng.normal(size=n)) / 9 + rng.normal(size=n),
    )
    time = np.sort(batch.time_ns)
    time[n // 2 :] += 60 * S
    time[rng.integers(0, n, 40)] -= 15 * S
    value = batch.value.copy()
    value[rng.integers(0, n, 60)] = NAN
    setting = batch.sensor == len(CHARTS) + 3
    value[setting] = np.round(value[setting] / 2)
    quality = batch.quality.copy()
    quality[rng.integers(0, n, 60)] = BAD
    marks = batch.marks.copy()
    marks[rng.integers(0, n, 40)] = Mark.LATE
    marks[rng.integers(0, n, 40)] = Mark.SPIKE
    marks[rng.integers(0, n, 10)] = Mark.AFTER_GAP
    product = (np.arange(n) // 170 % 4 - 1).astype(np.int32)
    recipe = np.where(np.arange(n) < n * 0.7, 5, 6).astype(np.int32)
    return replace(
        batch, time_ns=time, value=value, quality=quality, marks=marks, product=product,
        recipe=recipe, place=np.arange(n) / 7.0,
    )  # fmt: skip


def run(series, batch, cuts=()):
    """All points, with the batch row where they were completed counted from the start."""
    parts = []
    for start, stop in pairwise([0, *sorted(cuts), len(batch)]):
        points = series.update(batch.part(start, stop))
        parts.append(replace(points, row=points.row + start))
    return {
        column.name: np.concatenate([getattr(part, column.name) for part in parts]).tobytes()
        for column in fields(Points)
    }


def points_of(index, values, times=None, **columns):
    time = np.arange(len(values)) if times is None else np.asarray(times, float)
    batch = Batch.of(np.zeros(len(values)), (time * S).round().astype(np.int64), values)
    kinds = {"product": np.int32, "recipe": np.int32, "marks": np.uint8, "quality": np.uint8}
    columns = {name: np.array(column, kinds[name]) for name, column in columns.items()}
    return Series(index).update(replace(batch, **columns))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(0, 1500), max_size=12))
def test_cuts_change_nothing(line, cuts):
    """Any way to cut the stream gives the same points and the same state."""
    index, batch = everything(line), stream(1500)
    whole, pieces = Series(index), Series(index)
    assert run(whole, batch) == run(pieces, batch, cuts)
    assert whole.snapshot() == pieces.snapshot()


def test_one_by_one_and_a_small_buffer_are_the_same(line):
    """A single sample is a batch of one, and points that do not fit come in several rounds."""
    index, batch = everything(line), stream(1500)
    whole, single, tight = Series(index), Series(index), Series(index)
    tight._out = tight._out[: 2 * series_kernel.ROOM].copy()
    expected = run(whole, batch)
    assert expected == run(single, batch, range(1, 1500))
    assert expected == run(tight, batch)
    assert whole.snapshot() == single.snapshot() == tight.snapshot()


def test_restore_in_mid_stream(line):
    """A snapshot, through msgpack and a new object, equals never having stopped."""
    index, batch = everything(line), stream()
    whole, first, second = Series(index), Series(index), Series(index)
    expected = run(whole, batch, [1400])
    run(first, batch.part(0, 1400))
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    tail = run(second, batch.part(1400, len(batch)))
    assert expected["value"].endswith(tail["value"])
    assert whole.snapshot() == second.snapshot()
    assert tail["value"]


def test_the_stream_makes_every_kind_of_point(line):
    """The stream of these tests has points of every sensor, with every flag."""
    index = everything(line)
    points = Series(index).update(stream())
    assert set(points.sensor.tolist()) == {
        row.index for row in index.sensors if makes_points(row, index)
    }
    for flag in (PointFlag.GAP, PointFlag.RESET, PointFlag.HELD, PointFlag.PARTIAL):
        assert (points.flags & flag).any()
    assert np.isnan(points.value).any()
    assert (np.diff(points.row) >= 0).all()


def test_causality(line):
    """Removing later samples does not change the points before."""
    index, batch = everything(line), stream()
    whole, part = run(Series(index), batch), run(Series(index), batch.part(0, 1700))
    assert all(whole[name].startswith(part[name]) for name in whole)
    assert part["value"]


def test_other_sensors_do_not_matter(line):
    """The points of a sensor are those it would have alone (with its set-point)."""
    index, batch = everything(line), stream()
    together = Series(index).update(batch)
    wanted = index.by_id["s/wanted"].index
    for sensor in range(len(index)):
        alone = Series(index).update(
            batch.take((batch.sensor == sensor) | (batch.sensor == wanted))
        )
        mine = together.value[together.sensor == sensor]
        assert np.array_equal(mine, alone.value[alone.sensor == sensor], equal_nan=True)


def test_inputs_are_left_alone_and_not_kept(line):
    """The batch is not written, and neither points nor state refer to it."""
    index, batch = everything(line), stream(900)
    before = batch.take(np.arange(900))
    series = Series(index)
    points = series.update(batch)
    for name in Batch.__dataclass_fields__:
        assert getattr(before, name).tobytes() == getattr(batch, name).tobytes()
    state, values = series.snapshot(), points.value.copy()
    batch.value[:] = 99
    series.update(stream(900, seed=5))
    assert np.array_equal(values, points.value, equal_nan=True)
    assert state != series.snapshot()


def test_memory_depends_on_sensors_only(line):
    """More rows need no more memory."""
    series = Series(everything(line))
    sizes = {name: array.nbytes for name, array in series._arrays.items()}
    for seed in range(3):
        series.update(stream(seed=seed))
    assert sizes == {name: array.nbytes for name, array in series._arrays.items()}
    assert len(series._out) == 1024


def test_bad_samples_change_nothing_but_counts(line):
    """NaN, infinity and bad quality leave the state of every series alone."""
    index = everything(line)
    series = Series(index)
    series.update(stream(2000))
    before = series._state.copy()
    sensor = np.repeat(np.arange(len(CHARTS)), 3)
    value = np.tile([NAN, -np.inf, 0.0], len(CHARTS))
    quality = np.tile([192, 192, BAD], len(CHARTS))
    points = series.update(Batch.of(sensor, np.full(len(sensor), 10_000 * S), value, quality))
    assert np.isnan(points.value).all()
    for name in before.dtype.names:
        same = before[name][: len(CHARTS)].tobytes() == series._state[name][: len(CHARTS)].tobytes()
        assert same == (name not in {"skipped", "skipped_in_row"})
    assert series.state(0)["verdict"] == "cannot judge"


def test_late_samples_are_counted_and_not_used(line):
    """A sample marked late, or older than the last one, makes no point."""
    series = Series(line(spec(**CHARTS[0])))
    series.update(Batch.of([0, 0], [5 * S, 6 * S], [0.0, 0.0]))
    before = series._state.copy()
    assert not len(series.update(Batch.of([0, 0], [9 * S, 1 * S], [9, 9], marks=[2, 0])))
    assert series.state(0)["late"] == 2
    before["late"] += 2
    assert before.tobytes() == series._state.tobytes()


@pytest.mark.skipif(not JIT, reason="compilation is switched off (NUMBA_DISABLE_JIT)")
def test_one_compiled_version_equals_plain_python(line, monkeypatch):
    """Whatever the columns look like there is one compiled kernel, and Python says the same."""
    index, batch = everything(line), stream(1200)
    series = Series(index)
    expected = run(series, batch)
    Series(index).update(replace(batch, value=np.repeat(batch.value, 2)[::2]))
    assert len(series_kernel.series_rows.signatures) == 1
    for name, thing in list(vars(series_kernel).items()):
        if hasattr(thing, "py_func"):
            monkeypatch.setattr(series_kernel, name, thing.py_func)
    plain = Series(index)
    assert expected == run(plain, batch)
    assert series.snapshot() == plain.snapshot()


def test_changed_settings_start_fresh_others_go_on(line):
    """After a change of one chart the others keep their state."""
    old = line(spec("a", **CHARTS[0]), spec("b", **CHARTS[0]))
    new = line(spec("b", **CHARTS[0]), spec("a", series="residual", ar=[0.8]))
    before, after = Series(old), Series(new)
    before.update(Batch.of([0, 1, 0, 1], np.array([1, 1, 2, 2]) * S, [1.0, 2.0, 3.0, 4.0]))
    with pytest.raises(StateError):
        after.restore(before.snapshot())
    assert after.follow(before) == []
    assert after.state(0)["samples"] == 2
    assert after.state(1)["samples"] == 0


def test_only_charts_that_need_it_take_part(line):
    """Charts of single samples, states and counters that are not blocked make no points."""
    index = line(
        spec("raw"),
        Sensor(key="state", role=Role.STATE, chart=Chart(**CHARTS[5])),
        Sensor(key="count", role=Role.COUNTER, chart=Chart(series="thin", every=3)),
        Sensor(key="none"),
        spec("block", **CHARTS[5]),
    )
    assert [makes_points(row, index) for row in index.sensors] == [False] * 4 + [True]


def test_ar_residual_bridges_missing_steps(line):
    """e = x - level - phi^k (last - level), scaled to one step: sqrt((1 - phi^2)/(1 - phi^2k))."""
    points = points_of(line(spec(series="residual", ar=[0.8], level=10.0)), [11, 12, 9], [0, 1, 4])
    scale = np.sqrt((1 - 0.8**2) / (1 - 0.8**6))
    expected = [NAN, 2 - 0.8, (-1 - 0.8**3 * 2) * scale]
    assert points.value == pytest.approx(expected, nan_ok=True)


def test_real_time_residual(line):
    """With tau the coefficient is exp(-dt/tau); the scatter is that of the nominal step."""
    points = points_of(line(spec(series="residual", tau_s=4.0, level=1.0)), [2, 3, 0], [0, 1, 3.5])
    phi, phi_0 = np.exp(-2.5 / 4), np.exp(-1 / 4)
    second = (-1 - phi * 2) * np.sqrt((1 - phi_0**2) / (1 - phi**2))
    assert points.value == pytest.approx([NAN, 2 - phi_0, second], nan_ok=True)


def test_longer_models_forecast_into_holes(line):
    """AR(2) fills the hole with its forecasts; the first two samples have not enough past."""
    index = line(spec(series="residual", ar=[1.2, -0.5]))
    points = points_of(index, [1, 2, 3, 4], [0, 1, 2, 4])
    missing = 1.2 * 3 - 0.5 * 2
    fade = 1 / np.sqrt(1 + 1.2**2)
    expected = [NAN, NAN, 3 - (1.2 * 2 - 0.5), (4 - (1.2 * missing - 0.5 * 3)) * fade]
    assert points.value == pytest.approx(expected, nan_ok=True)
    assert forecast_fades([0.5, 0.2], 3)[2] == pytest.approx(1 / np.sqrt(1 + 0.25 + 0.45**2))


def test_hole_and_recipe_start_anew(line):
    """After a hole, and with another recipe, the past is forgotten and the next point says so."""
    index = line(spec(series="residual", ar=[0.5]))
    values, times = [1, 1, 1, 1, 1, 1], [0, 1, 20, 21, 22, 23]
    points = points_of(index, values, times, recipe=[1, 1, 1, 1, 2, 2])
    assert points.value == pytest.approx([NAN, 0.5, NAN, 0.5, NAN, 0.5], nan_ok=True)
    gap, reset = PointFlag.GAP, PointFlag.RESET
    assert points.flags.tolist() == [0, 0, gap, gap, reset, reset]


def test_adaptive_centre_line_is_held_outside_three_sigma(line):
    """The line follows small deviations and does not learn from those beyond three sigma."""
    points = points_of(line(spec(series="residual", model="ewma", alpha=0.5)), [0, 2, 9, 9, 1, 0])
    assert points.value == pytest.approx([NAN, 2, 8, 8, 0, -1], nan_ok=True)


def test_holt_follows_a_ramp(line):
    """Level and trend learn a ramp; the residual goes to zero."""
    chart = {"series": "residual", "model": "holt", "alpha": 0.5, "beta": 0.5, "sigma": 10.0}
    points = points_of(line(spec(**chart)), np.arange(60) * 0.5)
    assert abs(points.value[-1]) < 1e-3
    assert points.value[1] == 0.5


def test_blocks_are_aligned_and_closed_by_a_later_sample(line):
    """Means over 10 s of event time; half of the samples is enough, less is no judgement."""
    times = [*range(3, 10), *range(10, 14), *range(20, 30), 31]
    points = points_of(line(spec(series="block", block_s=10.0, spread="s")), times, times)
    assert points.value == pytest.approx([6.0, NAN, 24.5], nan_ok=True)
    assert points.flags.tolist() == [0, PointFlag.PARTIAL, 0]
    assert points.size.tolist() == [7, 4, 10]
    assert points.spread[2] == pytest.approx(np.std(np.arange(10), ddof=1))
    assert points.first_ns.tolist() == [3 * S, 10 * S, 20 * S]
    assert points.time_ns.tolist() == [9 * S, 13 * S, 29 * S]
    assert points.row.tolist() == [7, 11, 21]


def test_missing_blocks_clear_memory_after_five(line):
    """Five missing blocks are bridged, six are a gap."""
    index = line(spec(series="block", block_s=2.0))
    times = [0, 1, 12, 13, 26, 27, 28]
    assert points_of(index, times, times).flags.tolist() == [0, 0, PointFlag.GAP]


def test_pieces_of_a_size(line):
    """Subgroups are of one product; a cut one has wider limits, a single value is not plotted."""
    index = line(spec(series="piece", size=3, spread="r"))
    points = points_of(index, [1, 2, 6, 4, 5, 9, 7], product=[0, 0, 0, 0, 0, 1, 2])
    assert points.value == pytest.approx([3, 4.5, NAN], nan_ok=True)
    assert points.spread == pytest.approx([5, 1, NAN], nan_ok=True)
    assert points.scale == pytest.approx([1, np.sqrt(1.5), np.sqrt(3)])
    assert points.flags.tolist() == [0, PointFlag.PARTIAL, PointFlag.PARTIAL]
    assert points.product.tolist() == [0, 0, 1]


def test_whole_products(line):
    """All samples of a product make one point; between products nothing is judged, holes do not end it."""
    index = line(spec(series="piece", spread="s"))
    points = points_of(
        index, [1, 3, 9, 5, 7, 0], [0, 100, 200, 201, 202, 203], product=[4, 4, -1, 5, 5, 6]
    )
    assert points.value.tolist() == [2, 6]
    assert points.product.tolist() == [4, 5]
    assert points.flags.tolist() == [0, 0]


def test_thin(line):
    """Every third good sample."""
    points = points_of(line(spec(series="thin", every=3)), [0, 1, NAN, 2, 3, 4, 5, 6])
    assert points.value.tolist() == [0, 3, 6]


def test_deviation_from_the_set_point(line):
    """The value wanted at the time of the sample counts; while it settles nothing is judged."""
    index = line(spec(set_point="wanted", settle_s=2.0), Sensor(key="wanted"))
    batch = Batch.of(
        [0, 1, 0, 1, 0, 0, 0, 1, 0],
        np.array([0, 1, 2, 3, 2.5, 4, 5, 5, 6]) * S,
        [50, 48, 50, 60, 51, 55, 61, 60, 62],
    )
    points = Series(index).update(batch)
    assert points.value == pytest.approx([NAN, 2, 3, NAN, 1, 2], nan_ok=True)
    assert points.flags.tolist() == [0, 0, 0, PointFlag.GAP, PointFlag.GAP, 0]


def test_by_exception_is_rebuilt_on_the_grid(line):
    """The last value is held until the next, at most for the longest silence."""
    sensor = spec(series="block", block_s=4.0).model_copy(
        update={"sampling": Sampling.BY_EXCEPTION, "max_silence_s": 4.5}
    )
    points = points_of(line(sensor), [1, 5, 9, 2, 2], [0, 3, 4, 20, 25])
    assert points.value == pytest.approx([2.0, 9.0, NAN, 2.0], nan_ok=True)
    assert points.flags.tolist() == [
        PointFlag.HELD, PointFlag.HELD, PointFlag.HELD | PointFlag.PARTIAL, PointFlag.HELD,
    ]  # fmt: skip
    assert points.size.tolist() == [4, 4, 1, 4]


def test_held_residuals_restart_after_silence(line):
    """A rebuilt residual series forgets its past when the source was silent for too long."""
    sensor = spec(series="residual", ar=[0.5]).model_copy(
        update={"sampling": Sampling.BY_EXCEPTION, "max_silence_s": 2.0}
    )
    points = points_of(line(sensor), [4, 2, 8, 8], [0, 2, 10, 12])
    expected = [NAN, 2, 0, 1, 1, NAN, 4]
    assert points.value == pytest.approx(expected, nan_ok=True)
    held, gap = PointFlag.HELD, PointFlag.GAP
    assert points.flags.tolist() == [0, held, 0, held, held, gap, gap | held]


def test_counter_becomes_a_rate(line):
    """Increments per second in blocks, over the border of a block, a rollover and a reset."""
    chart = Chart(centre=0.0, sigma=1.0, series="block", block_s=10.0)
    sensor = Sensor(key="m", role=Role.COUNTER, period_s=4.0, range=(0.0, 100.0), chart=chart)
    times = [0, 4, 8, 12, 16, 20, 24, 28, 32, 36]
    values = [70, 78, 86, 94, 2, 10, 5, 13, 21, 29]
    points = points_of(line(sensor), values, times)
    assert points.value == pytest.approx([2.0, 2.0, 2.0])
    assert points.size == pytest.approx([10, 10, 6])


def baseline(**more):
    return Baseline(
        **{"id": "b", "version": 1, "sensor": "s/k", "centre": 0.0, "sigma": 2.0, "n": 300, **more}
    )


def with_baselines(index: LineIndex, *found: Baseline) -> LineIndex:
    return LineIndex(
        index.line, index.version, index.sensors, index.by_id, baselines={"s/k": list(found)}
    )


def test_baseline_of_the_running_recipe_says_how(line):
    """A chart without limits takes series and model from the baseline of the recipe."""
    chart = Sensor(key="k", period_s=1.0, chart=Chart())
    index = with_baselines(
        line(chart),
        baseline(recipe="nmc", series="residual", level=1.0, ar=[0.5], step_s=1.0),
        baseline(version=2, series="raw"),
    )
    assert makes_points(index.sensors[0], index)
    recipe = [recipe_code("nmc")] * 3 + [recipe_code("lfp")] * 2
    points = points_of(index, [3, 3, 3, 3, 4], recipe=recipe)
    assert points.value == pytest.approx([NAN, 1, 1, 3, 4], nan_ok=True)
    assert points.flags.tolist() == [0, 0, 0, PointFlag.RESET, 0]
    assert not makes_points(line(chart).sensors[0], line(chart))


def test_baseline_without_correlation(line):
    """A baseline that found no correlation plots the distance from its mean, whatever the chart says."""
    index = with_baselines(
        line(Sensor(key="k", period_s=1.0, chart=Chart(series="residual", ar=[0.5]))),
        baseline(series="residual", level=2.0),
    )
    assert points_of(index, [3.0, 5.0]).value.tolist() == [1.0, 3.0]


def test_recipe_survives_a_change_of_the_line(line):
    """A sensor that moves to another row goes on with the settings of the running recipe."""
    chart = Sensor(key="k", period_s=1.0, chart=Chart())
    found = [
        baseline(recipe="nmc", series="residual", level=1.0, ar=[0.5], step_s=1.0),
        baseline(version=2, series="residual", level=0.0, ar=[0.1]),
    ]
    old, new = (
        with_baselines(line(*sensors), *found)
        for sensors in ([chart], [spec("a", **CHARTS[1]), spec("b", **CHARTS[0]), chart])
    )
    before, after = Series(old), Series(new)
    batch = replace(
        Batch.of([0, 0], [S, 2 * S], [3, 3]), recipe=np.full(2, recipe_code("nmc"), np.int32)
    )
    before.update(batch)
    after.follow(before)
    later = replace(batch, sensor=np.full(2, 2, np.int32), time_ns=batch.time_ns + 2 * S)
    assert after.update(later).value.tolist() == [1.0, 1.0]


def test_shape_makes_points_normal(line):
    """A piecewise linear map of the residual in sigma, continued beyond both ends."""
    shape = [(-2.0, -1.0), (0.0, 0.0), (1.0, 2.0)]
    index = with_baselines(
        line(Sensor(key="k", period_s=1.0, chart=Chart())), baseline(shape=shape, centre=1.0)
    )
    points = points_of(index, [1.0, 2.0, 3.0, 5.0, -7.0])
    assert points.value == pytest.approx([1.0, 3.0, 5.0, 9.0, -3.0])


def test_without_a_model_nothing_is_judged(line):
    """A residual chart that waits for its baseline says "cannot judge", never the raw value."""
    index = line(Sensor(key="k", period_s=1.0, chart=Chart(series="residual")))
    series = Series(index)
    assert not len(series.update(Batch.of([0, 0], [S, 2 * S], [1.0, 2.0])))
    state = series.state(0)
    assert (state["verdict"], state["mode"], state["cannot_judge"]) == (
        "cannot judge", "no model", 2,
    )  # fmt: skip


def test_reset_forgets_the_past(line):
    """After an operator's reset the model waits for its past again."""
    series = Series(line(spec(series="residual", ar=[0.5])))
    series.update(Batch.of([0, 0], [S, 2 * S], [1.0, 2.0]))
    series.reset(0)
    points = series.update(Batch.of([0, 0], [3 * S, 4 * S], [1.0, 2.0]))
    assert points.value == pytest.approx([NAN, 1.5], nan_ok=True)
    assert points.flags.tolist() == [PointFlag.RESET] * 2
