"""Charts of scatter: moving range, range and standard deviation within subgroups."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from twin.detectors.series import Series
from twin.detectors.spc.spread import Spread
from twin.model.baseline import Baseline
from twin.model.batch import BAD, Batch, Mark, recipe_code
from twin.model.event import line_of
from twin.model.index import LineIndex
from twin.model.line import Chart, Sensor
from twin.model.points import PointFlag, Points

S = 1_000_000_000
NAN = float("nan")


def spec(key="k", **chart):
    return Sensor(key=key, period_s=1.0, chart=Chart(**{"centre": 0.0, "sigma": 1.0, **chart}))


def everything(line):
    return line(
        spec("mr", spread="mr"),
        spec("r", series="piece", size=5, spread="r", sigma_within=1.0),
        spec("s", series="piece", size=8, spread="s", sigma_within=1.0),
        spec("blocks", series="block", block_s=20.0, spread="mr", sigma=0.4),
        spec("none"),
    )


def stream(n=4000, seed=1):
    rng = np.random.default_rng(seed)
    value = rng.normal(size=n)
    value[n // 3 : n // 3 + n // 8] *= 3
    value[n // 2 : n // 2 + n // 8] *= 0.05
    value[rng.integers(0, n, 30)] = NAN
    quality = np.full(n, 192, np.uint8)
    quality[rng.integers(0, n, 30)] = BAD
    marks = np.zeros(n, np.uint8)
    marks[rng.integers(0, n, 30)] = Mark.LATE
    marks[rng.integers(0, n, 8)] = Mark.AFTER_GAP
    time = np.sort(rng.integers(0, n // 3, n))
    time[n // 2 :] += 100
    batch = Batch.of(rng.integers(0, 5, n), time * S, value, quality, marks)
    return replace(batch, recipe=np.where(np.arange(n) < n * 0.8, 1, 2).astype(np.int32))


def run(series, spread, batch, cuts=()):
    """Events as the detection stage makes them."""
    events = []
    for start, stop in pairwise([0, *cuts, len(batch)]):
        part = batch.part(start, stop)
        points = series.update(part)
        found = spread.update(part) + spread.update_points(points, part)
        events += sorted(found, key=lambda event: event.row)
    return [line_of(event) for event in events]


def test_cuts_change_nothing(line):
    """One by one, in pieces and with a buffer for two changes: the same findings and state."""
    index, batch = everything(line), stream()
    whole, single, tight = Spread(index), Spread(index), Spread(index)
    tight._out = tight._out[:2].copy()
    expected = run(Series(index), whole, batch)
    assert sorted(expected) == sorted(run(Series(index), single, batch, range(1, 4000)))
    assert sorted(expected) == sorted(run(Series(index), tight, batch, [7, 900]))
    assert whole.snapshot() == single.snapshot() == tight.snapshot()
    types = {(msgspec.json.decode(e)["rule"], msgspec.json.decode(e)["type"]) for e in expected}
    assert {("mr", "finding"), ("r", "finding"), ("s", "finding_closed")} <= types


def test_restore_in_mid_stream(line):
    """A snapshot, through msgpack and a new object, equals never having stopped."""
    index, batch = everything(line), stream()
    whole, first, second = Spread(index), Spread(index), Spread(index)
    series, broken = Series(index), Series(index)
    expected = run(series, whole, batch, [2000])
    events = run(broken, first, batch.part(0, 2000))
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    assert expected == events + run(broken, second, batch.part(2000, 4000))
    assert whole.snapshot() == second.snapshot()


def test_memory_and_inputs(line):
    """Memory depends on sensors only, and the batch is not written."""
    index, batch = everything(line), stream()
    spread = Spread(index)
    before = batch.take(np.arange(len(batch)))
    sizes = [array.nbytes for array in spread._arrays.values()]
    run(Series(index), spread, batch)
    assert sizes == [array.nbytes for array in spread._arrays.values()]
    for name in Batch.__dataclass_fields__:
        assert getattr(before, name).tobytes() == getattr(batch, name).tobytes()


def test_moving_range_limits(line):
    """Centre 1.128379 sigma and upper limit 3.686 sigma (NIST 6.3.2.2 with the exact d2)."""
    spread = Spread(line(spec(spread="mr", sigma=2.0)))
    batch = Batch.of([0] * 4, np.arange(4) * S, [0.0, 7.37, 0.0, 0.1])
    events = spread.update(batch)
    assert events == []
    state = spread.state(0)
    assert state["centre"] == pytest.approx(2 * 1.128379, abs=1e-5)
    assert state["ucl"] == pytest.approx(2 * 3.266532 * 1.128379, abs=1e-5)
    assert (state["lcl"], state["points"]) == (0, 3)
    opened, closed = spread.update(Batch.of([0] * 2, [4 * S, 5 * S], [7.6, 7.5]))
    assert (opened.rule, opened.type, opened.detail["side"]) == ("mr", "finding", "high")
    assert (opened.t_first, opened.t_last, opened.value) == (3 * S, 4 * S, 7.5)
    assert (closed.type, closed.detail["cause"]) == ("finding_closed", "inside")
    assert spread.plotted(0, 2)["rules"] == [["mr"], []]


@pytest.mark.parametrize(
    ("chart", "size", "centre", "lcl", "ucl"),
    [
        ("s", 5, 0.939986, 0.0, 2.088998 * 0.939986),
        ("s", 10, 0.972659, 0.283706 * 0.972659, 1.716294 * 0.972659),
        ("r", 5, 2.325929, 0.0, 2.114499 * 2.325929),
        ("r", 7, 2.704357, 0.075708 * 2.704357, 1.924292 * 2.704357),
    ],
)
def test_limits_within_subgroups(line, chart, size, centre, lcl, ucl):
    """B3, B4, D3 and D4 of printed tables times the centre line, for the size of the point."""
    sensor = spec(series="piece", size=10, spread=chart, sigma_within=1.0)
    spread = Spread(line(sensor))
    points = Points.of([0], [S], [0.0], spread=[1.0], size=[size])
    assert spread.update_points(points, Batch.of([], [], [])) == []
    state = spread.state(0)
    assert state["centre"] == pytest.approx(centre, abs=2e-6)
    assert state["lcl"] == pytest.approx(lcl, abs=5e-6)
    assert state["ucl"] == pytest.approx(ucl, abs=5e-6)


def test_every_point_has_its_own_limits(line):
    """A subgroup of 3 may scatter more than one of 20; too little scatter is found where it can be."""
    spread = Spread(line(spec(series="piece", spread="s", sigma_within=1.0)))
    points = Points.of(
        [0] * 4, np.arange(4) * S, [0.0] * 4, spread=[1.9, 1.9, 0.3, 0.3], size=[3, 20, 20, 3]
    )
    events = spread.update_points(points, Batch.of([], [], []))
    said = [(event.type, event.detail["side"], event.row) for event in events]
    assert said == [
        ("finding", "high", 1),
        ("finding_closed", "high", 2),
        ("finding", "low", 2),
        ("finding_closed", "low", 3),
    ]
    plotted = spread.plotted(0, 10)
    assert len(set(plotted["ucl"])) == 2
    assert plotted["rules"] == [[], ["s"], ["s"], []]


def test_hole_recipe_and_bad_values(line):
    """No moving range across a hole or a recipe; a bad value in between is skipped."""
    spread = Spread(line(spec(spread="mr")))
    times = np.array([0, 1, 2, 30, 31, 32, 33]) * S
    batch = Batch.of([0] * 7, times, [0, NAN, 1, 9, 9, 20, 21])
    batch = replace(batch, recipe=np.array([1, 1, 1, 1, 1, 2, 2], np.int32))
    assert spread.update(batch) == []
    assert spread.plotted(0, 9)["v"] == [1, 0, 1]


def test_gap_closes_what_is_open(line):
    """After a hole a finding closes with the cause gap; a late sample is only counted."""
    spread = Spread(line(spec(spread="mr")))
    events = spread.update(
        Batch.of([0] * 4, np.array([0, 1, 0, 50]) * S, [0, 9, 4, 9], marks=[0, 0, 2, 0])
    )
    assert [event.detail.get("cause") for event in events] == [None, "gap"]
    assert spread.state(0)["late"] == 1


def test_unequal_points_have_a_wider_moving_range(line):
    """The moving range of two means knows how many samples each has."""
    spread = Spread(line(spec(series="piece", size=4, spread="mr")))
    points = Points.of([0, 0], [S, 2 * S], [0.0, 1.0], scale=[1.0, 2.0])
    spread.update_points(points, Batch.of([], [], []))
    assert spread.state(0)["centre"] == pytest.approx(1.128379 * np.sqrt(2.5), abs=1e-5)


def test_sigma_of_the_running_recipe(line):
    """Without a declared sigma the baseline of the recipe counts; without one nothing is judged."""
    index = line(Sensor(key="k", period_s=1.0, chart=Chart(spread="mr")))
    found = Baseline(id="b", version=1, sensor="s/k", recipe="nmc", centre=0.0, sigma=2.0, n=99)
    index = LineIndex(
        index.line, index.version, index.sensors, index.by_id, baselines={"s/k": [found]}
    )
    spread = Spread(index)
    batch = Batch.of([0] * 4, np.arange(4) * S, [0.0, 8.0, 0.0, 90.0])
    nmc = recipe_code("nmc")
    events = spread.update(replace(batch, recipe=np.array([nmc, nmc, 7, 7], np.int32)))
    assert [event.type for event in events] == ["finding", "finding_closed"]
    assert events[1].detail["cause"] == "reset"
    said = events[0].detail
    assert (said["baseline"], said["recipe"], said["mode"]) == ("b@1", "nmc", "raw")
    assert spread.state(0)["verdict"] == "cannot judge"


def test_declared_sigma_of_one_recipe(line):
    """Limits declared for a recipe hold for it, and while nobody says which one runs."""
    batch = Batch.of([0] * 2, np.arange(2) * S, [0.0, 9.0])
    for name, expected in {"nmc": 1, "lfp": 0, "": 1}.items():
        spread = Spread(line(spec(spread="mr", recipe="nmc")))
        recipe = np.full(2, recipe_code(name), np.int32)
        assert len(spread.update(replace(batch, recipe=recipe))) == expected


def test_false_alarm_rates(line):
    """Observed false alarms of MR, R and S fit the exact tail beyond the three-sigma limits."""
    rng = np.random.default_rng(11)
    n = 200_000
    spread = Spread(line(spec(spread="mr")))
    opened = spread.update(Batch.of(np.zeros(n), np.arange(n) * S, rng.normal(size=n)))
    plotted = spread.state(0)["points"]
    found = sum(event.type == "finding" for event in opened)
    # P(|x - y| > 3.686 sigma) = 0.00915; two neighbouring ranges share a point and often open once.
    assert plotted == n - 1
    assert 0.005 * n < found < 0.0092 * n


def test_flags_of_points(line):
    """GAP and RESET of points clear the memory as a hole does."""
    spread = Spread(line(spec(series="thin", every=2, spread="mr")))
    flags = [0, PointFlag.GAP, 0, PointFlag.RESET]
    points = Points.of([0] * 4, np.arange(4) * S, [0.0, 9.0, 8.0, 0.0], flags=flags)
    assert spread.update_points(points, Batch.of([], [], [])) == []
    assert spread.plotted(0, 9)["v"] == [1.0]
    assert spread.reset(0, "reset") == []
