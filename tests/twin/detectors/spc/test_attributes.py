"""Streaming charts of counts: per-point limits, sizes from another sensor, what is no count."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from twin.detectors.spc.attributes import Attributes, problems_of, rules_in_force
from twin.model.baseline import Baseline
from twin.model.batch import BAD, GOOD, Batch, Mark, recipe_code
from twin.model.event import line_of
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Line, Sensor, Station

S = 1_000_000_000


def line(*charts, sizes=("area",), baselines=None):
    """A station with one counting sensor per chart, and sensors of sizes behind them."""
    sensors = [
        Sensor(key=f"d{i}", sampling="event", chart=Chart(**c)) for i, c in enumerate(charts)
    ]
    sensors += [Sensor(key=key, sampling="event") for key in sizes]
    station = Station(id="s", sensor=sensors)
    rows = [SensorRow(i, f"s/{x.key}", station, x) for i, x in enumerate(sensors)]
    found = {"s/d0": baselines} if baselines else {}
    by_id = {row.id: row for row in rows}
    return LineIndex(Line(), "0" * 16, rows, by_id, baselines=found)


def feed(detector, rows, cuts=(), **columns):
    """Rows of (sensor, second, value), cut into batches."""
    sensor, time, value = zip(*rows, strict=True)
    batch = Batch.of(
        sensor, np.array(time) * S, value, columns.get("quality"), columns.get("marks")
    )
    if "recipe" in columns:
        batch.recipe[:] = [recipe_code(name) for name in columns["recipe"]]
    edges = [0, *cuts, len(batch)]
    return [e for a, b in pairwise(edges) for e in detector.update(batch.part(a, b))]


def counts(*values):
    return [(0, i, value) for i, value in enumerate(values)]


def test_c_chart_limits_of_the_worked_example():
    """A mean of 16 defects has limits 4 and 28; both are inside, 29 and 3 are not."""
    detector = Attributes(line({"type": "c", "centre": 16}))
    events = feed(detector, counts(16, 28, 4, 29, 30, 16, 3, 16))
    assert [(e.type, e.value, e.detail["side"]) for e in events] == [
        ("finding", 29, "high"),
        ("finding_closed", 16, "high"),
        ("finding", 3, "low"),
        ("finding_closed", 16, "low"),
    ]
    assert events[0].detail["lcl"] == 4.0
    assert events[0].detail["ucl"] == 28.0
    assert events[1].detail["samples"] == 2
    assert events[1].detail["opened"] == events[0].id


def test_p_chart_limits_of_the_worked_example():
    """A mean proportion of 0.1 in 50 has k-sigma limits 0 and 0.227279; 11 are inside, 12 not."""
    chart = {"type": "p", "centre": 0.1, "n": 50, "count_limits": "sigma"}
    detector = Attributes(line(chart))
    (event,) = feed(detector, counts(5, 11, 0, 12))
    assert event.detail["ucl"] == pytest.approx(0.227279, abs=1e-6)
    assert event.detail["lcl"] == 0.0
    assert event.detail["plotted"] == 0.24
    assert event.value == 12
    assert event.detail["statistic"] == pytest.approx((0.24 - 0.1) / 0.0424264, abs=1e-4)


def test_u_chart_limits_of_the_worked_example():
    """A mean rate of 2 on 4 units has k-sigma limits 0 and 4.121320."""
    chart = {"type": "u", "centre": 2, "n": 4, "count_limits": "sigma"}
    detector = Attributes(line(chart))
    (event,) = feed(detector, counts(8, 0, 16, 17))
    assert event.detail["ucl"] == pytest.approx(4.121320, abs=1e-6)
    assert event.detail["plotted"] == 4.25


def test_exact_limits_for_few_events():
    """Where fewer than nine are expected, a signal is rarer than 0.00135 on each side."""
    detector = Attributes(line({"type": "c", "centre": 2.0}))
    (event,) = feed(detector, counts(2, 6, 7, 8))
    assert event.value == 8
    assert event.detail["ucl"] == stats.poisson.ppf(0.99865, 2.0) == 7
    assert event.detail["arl0"] == pytest.approx(1 / stats.poisson.sf(7, 2.0), rel=1e-9)
    (event,) = feed(Attributes(line({"type": "np", "centre": 5, "n": 50})), counts(5, 13))
    assert event.detail["ucl"] == stats.binom.ppf(1 - stats.norm.cdf(-3), 50, 0.1) == 12
    assert event.detail["lcl"] == 0


def test_every_point_has_limits_of_its_own_size():
    """The same proportion is a signal in a large sample and none in a small one."""
    chart = {"type": "p", "centre": 0.1, "size_of": "area", "count_limits": "sigma"}
    detector = Attributes(line(chart))
    rows = [(0, 0, 20), (1, 0, 100), (0, 1, 40), (1, 1, 200), (0, 2, 60), (1, 2, 600)]
    events = feed(detector, rows)
    assert [(e.type, e.t_last) for e in events] == [("finding", 0), ("finding_closed", 1 * S)]
    found = detector.plotted(0, 10)
    assert found["v"] == [0.2, 0.2, 0.1]
    assert found["ucl"] == pytest.approx([0.1 + 0.9 / np.sqrt(n) for n in (100, 200, 600)])
    assert found["lcl"] == pytest.approx([0.1 - 0.9 / np.sqrt(n) for n in (100, 200, 600)])
    assert found["rules"] == [["rule1"], ["rule1"], []]


@pytest.mark.parametrize("size_first", [True, False])
@pytest.mark.parametrize("cuts", [(), (1, 2, 3), (3,)])
def test_size_may_come_before_or_after_the_count(size_first, cuts):
    """Order within a message and cuts between its rows make no difference."""
    detector = Attributes(line({"type": "u", "centre": 2.0, "size_of": "area"}))
    rows = []
    for second, (count, size) in enumerate([(8, 4.0), (30, 5.0), (4, 2.0)]):
        pair = [(0, second, count), (1, second, size)]
        rows += reversed(pair) if size_first else pair
    events = feed(detector, rows, cuts)
    assert [e.type for e in events] == ["finding", "finding_closed"]
    assert events[0].detail["size"] == 5.0
    assert events[0].t_last == 1 * S
    assert detector.plotted(0, 10)["v"] == [2.0, 6.0, 2.0]


def test_count_without_a_size_of_its_time_cannot_be_judged():
    """A size of another time is not used, and a bad size is none."""
    detector = Attributes(line({"type": "u", "centre": 2.0, "size_of": "area"}))
    rows = [(1, 0, 4.0), (0, 1, 99), (0, 2, 99), (1, 3, 4.0), (0, 4, 99), (1, 4, 4.0)]
    assert feed(detector, rows, quality=[GOOD] * 5 + [BAD]) == []
    assert detector.state(0)["cannot_judge"] == 3
    assert detector.state(0)["verdict"] == "cannot judge"
    (event,) = feed(detector, [(1, 5, 4.0), (0, 5, 99)])
    assert event.value == 99
    assert detector.state(0)["verdict"] == "signal"


def test_two_charts_share_one_size():
    """One size sensor serves every chart that names it."""
    chart = {"type": "p", "centre": 0.1, "size_of": "area"}
    detector = Attributes(line(chart, chart, {"type": "c", "centre": 4.0}))
    detector._out = detector._out[:2].copy()
    events = feed(detector, [(0, 0, 90), (1, 0, 80), (2, 0, 4), (3, 0, 100)])
    assert [(e.sensor, e.row) for e in events] == [("s/d0", 3), ("s/d1", 3)]
    assert detector.state(2)["points"] == 1


@pytest.mark.parametrize(
    ("chart", "value"),
    [
        ({"type": "c", "centre": 2}, -1),
        ({"type": "c", "centre": 2}, 1.5),
        ({"type": "np", "centre": 2, "n": 10}, 11),
        ({"type": "p", "centre": 0.2, "n": 10}, 11),
        ({"type": "p", "centre": 0.2}, 1),
        ({"type": "c"}, 1),
    ],
)
def test_what_is_no_count(chart, value):
    """Negative, not whole, more than looked at, no size, no centre line: cannot judge."""
    detector = Attributes(line(chart))
    assert feed(detector, counts(value)) == []
    assert detector.state(0)["cannot_judge"] == 1
    assert detector.state(0)["points"] == 0
    assert detector.state(0)["verdict"] == "cannot judge"


def test_nothing_ever_happened():
    """With a centre line of 0 the first event is a signal, and all zeros are in control."""
    for chart in ({"type": "c", "centre": 0}, {"type": "p", "centre": 0, "n": 20}):
        detector = Attributes(line(chart))
        assert feed(detector, counts(0, 0, 0)) == []
        assert detector.state(0)["verdict"] == "in control"
        (event,) = feed(detector, [(0, 9, 1)])
        assert event.detail["statistic"] is None


def test_rule_one_only_unless_there_is_a_reason():
    """A run of nine above the centre line is nothing; with a reason it is a finding."""
    rows = counts(*[18] * 10)
    chart = {"type": "c", "centre": 16, "rules": "nelson"}
    assert feed(Attributes(line(chart)), rows) == []
    (event,) = feed(Attributes(line({**chart, "reason": "mean of 16 is nearly normal"})), rows)
    assert event.detail["rules"] == ["rule2"]
    assert event.detail["n_first"] == 1
    assert rules_in_force(Chart(type="c", rules=None)).rules == ()
    assert rules_in_force(Chart(type="c", rules="westgard")).name == "shewhart"


def test_laney_limits_are_wider():
    """sigma_z multiplies sigma; without it the same point is a signal."""
    plain = {"type": "p", "centre": 0.1, "n": 10_000}
    assert len(feed(Attributes(line(plain)), counts(1000, 1200))) == 1
    laney = Attributes(line({**plain, "type": "laney_p", "sigma_z": 4.0}))
    assert feed(laney, counts(1000, 1200)) == []
    assert laney.state(0)["ucl"] == pytest.approx(0.1 + 3 * 0.003 * 4)
    laney = Attributes(line({"type": "laney_u", "centre": 2, "n": 100, "sigma_z": 2.0}))
    feed(laney, counts(200))
    assert laney.state(0)["ucl"] == pytest.approx(2 + 3 * 2 * np.sqrt(2 / 100))


def test_centre_line_of_the_recipe():
    """Baselines bring a centre line per recipe; a recipe without one cannot be judged."""
    found = [
        Baseline(id="b", version=v, sensor="s/d0", recipe=r, centre=c, sigma=1.0, n=100)
        for v, r, c in ((1, "a", 4.0), (2, "b", 100.0))
    ]
    detector = Attributes(line({"type": "c"}, baselines=found))
    recipe = ["a", "a", "b", "b", "x", "a"]
    events = feed(detector, counts(4, 50, 50, 100, 100, 4), recipe=recipe)
    assert [(e.type, e.value, e.detail.get("cause")) for e in events] == [
        ("finding", 50, None),
        ("finding_closed", 50, "recipe"),
        ("finding", 50, None),
        ("finding_closed", 100, "inside"),
    ]
    assert [e.detail["baseline"] for e in events if e.type == "finding"] == ["b@1", "b@2"]
    assert events[2].detail["side"] == "low"
    assert detector.state(0)["cannot_judge"] == 1


def test_findings_do_not_know_the_batch():
    """Recipes that change within a batch are named as they were when the rule spoke."""
    found = [
        Baseline(id="b", version=v, sensor="s/d0", recipe=r, centre=4.0, sigma=1.0, n=100)
        for v, r in ((1, "a"), (2, "b"))
    ]
    rng = np.random.default_rng(5)
    rows = counts(*rng.poisson(8.0, 200))
    recipe = np.repeat(["a", "b"], 5).tolist() * 20
    index = line({"type": "c"}, baselines=found)
    whole, pieces = Attributes(index), Attributes(index)
    one = feed(whole, rows, recipe=recipe)
    many = feed(pieces, rows, range(1, 200), recipe=recipe)
    assert [line_of(e) for e in one] == [line_of(e) for e in many]
    assert len(one) > 2
    assert whole.snapshot() == pieces.snapshot()


def test_gap_clears_and_late_counts_are_not_plotted():
    """After a hole nothing is open; older counts are counted as late."""
    detector = Attributes(line({"type": "c", "centre": 4, "max_gap_s": 10}))
    events = feed(detector, [(0, 0, 40), (0, 20, 40), (0, 5, 4), (0, 21, 4)])
    assert [e.detail.get("cause") for e in events] == [None, "gap", None, "inside"]
    assert detector.state(0)["late"] == 1
    marked = [(0, 30, 4), (0, 31, 4)]
    feed(detector, marked, marks=[Mark.LATE, Mark.SPIKE])
    assert (detector.state(0)["late"], detector.state(0)["cannot_judge"]) == (2, 1)


def test_reset_closes_what_is_open():
    """An operator who found the cause ends the finding."""
    detector = Attributes(line({"type": "c", "centre": 4}))
    (event,) = feed(detector, counts(40))
    (closed,) = detector.reset(0, "operator")
    assert closed.detail["opened"] == event.id
    assert detector.open_findings(0) == []
    assert detector.reset(1, "operator") == []


def test_false_alarms_are_those_that_are_said():
    """Simulated through the detector: one in ARL0 counts opens a finding."""
    detector = Attributes(line({"type": "c", "centre": 7.3}))
    rng = np.random.default_rng(11)
    values = rng.poisson(7.3, 200_000)
    batch = Batch.of(np.zeros(len(values)), np.arange(len(values)) * S, values)
    events = [e for e in detector.update(batch) if e.type == "finding"]
    rate = 1 / events[0].detail["arl0"]
    assert rate < 0.0027
    assert len(events) == pytest.approx(200_000 * rate, abs=4 * np.sqrt(200_000 * rate))


@pytest.mark.parametrize(
    ("chart", "keys"),
    [
        ({"type": "c", "centre": 4}, []),
        ({"type": "u", "centre": 4, "size_of": "area"}, []),
        ({"type": "p", "centre": 1.5, "n": 50}, ["centre"]),
        ({"type": "p", "centre": 0.5}, ["n"]),
        ({"type": "p", "centre": 0.5, "n": 5.5}, ["n"]),
        ({"type": "p", "centre": 0.5, "n": 5, "size_of": "area"}, ["n"]),
        ({"type": "u", "centre": 4, "size_of": "nowhere"}, ["size_of"]),
        ({"type": "np", "centre": 4, "size_of": "area"}, ["size_of"]),
        ({"type": "np", "centre": 40, "n": 20}, ["centre"]),
        ({"type": "c", "centre": -1, "size_of": "area"}, ["centre", "size_of"]),
        ({"type": "laney_p", "centre": 0.1, "n": 1000}, ["sigma_z"]),
        ({"type": "p", "centre": 0.1, "n": 1000, "sigma_z": 2.0}, ["sigma_z"]),
        ({"type": "c", "centre": 4, "rules": "nelson", "cusum_k": 0.5}, ["rules", "cusum_k"]),
        ({"type": "c", "centre": 4, "rules": "nelson", "reason": "many counts"}, []),
        ({"type": "i"}, []),
    ],
)
def test_problems(chart, keys):
    """What a person may get wrong is said with its key, and nothing else."""
    index = line(chart)
    row = index.sensors[0]
    found = problems_of(row.spec.chart, row.spec, row.station)
    assert [key for key, *_ in found] == keys
    assert all(message and allowed for _, message, _, allowed in found)
