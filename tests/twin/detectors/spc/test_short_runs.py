"""Charts of short runs: Q charts against the published example, and what they learn."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from twin.detectors.spc.runlength import arl_rules
from twin.detectors.spc.short_runs import SHORT_RUN, ShortRuns, is_short_run, problems_of
from twin.model.baseline import Baseline
from twin.model.batch import Batch, recipe_code
from twin.model.event import line_of
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Line, RuleRow, RuleSetRow, Sensor, Station
from twin.model.points import PointFlag, Points

S = 1_000_000_000
ONE = {"type": "q", "rules": "shewhart", "cusum_k": None}
"""Rule 1 alone."""
FLOW = [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]
"""NIST/SEMATECH e-Handbook 6.3.2.2, flow rate."""


def line(*charts, baselines=None, **sensor):
    sensors = [
        Sensor(key=f"k{i}", sampling="event", chart=Chart(**chart), **sensor)
        for i, chart in enumerate(charts)
    ]
    station = Station(id="s", sensor=sensors)
    rows = [SensorRow(i, f"s/{x.key}", station, x) for i, x in enumerate(sensors)]
    by_id = {row.id: row for row in rows}
    return LineIndex(Line(), "0" * 16, rows, by_id, baselines=baselines or {})


def build(values, recipe=None, start=0):
    batch = Batch.of(np.zeros(len(values)), (start + np.arange(len(values))) * S, values)
    if recipe is not None:
        batch.recipe[:] = [recipe_code(name) for name in recipe]
    return batch


def feed(detector, values, recipe=None, cuts=(), start=0):
    batch = build(values, recipe, start)
    edges = [0, *cuts, len(batch)]
    return [e for a, b in pairwise(edges) for e in detector.update(batch.part(a, b))]


def q_by_hand(x):
    """Quesenberry 1991, equation for unknown mean and sigma."""
    q = []
    for r in range(3, len(x) + 1):
        before = np.array(x[: r - 1])
        t = np.sqrt((r - 1) / r) * (x[r - 1] - before.mean()) / before.std(ddof=1)
        q.append(stats.norm.ppf(stats.t.cdf(t, r - 2)))
    return q


def test_flow_series():
    """The Q values of the flow series, pieces 3 to 10."""
    detector = ShortRuns(line(ONE))
    assert feed(detector, FLOW) == []
    found = detector.plotted(0, 50)
    expected = [0.5387, 1.1335, -0.8989, 1.0115, 1.4786, 1.0988, 1.4450, 0.6189]
    assert found["v"] == pytest.approx(expected, abs=5e-5)
    assert found["v"] == pytest.approx(q_by_hand(FLOW), rel=1e-9)
    assert found["t"] == list(range(2, 10))
    state = detector.state(0)
    assert (state["learned"], state["verdict"], state["mode"]) == (
        10,
        "in control",
        "self-starting",
    )
    assert state["mean"] == pytest.approx(50.81)
    assert state["s"] == pytest.approx(np.std(FLOW, ddof=1))


def test_default_rules_speak_on_the_flow_series():
    """Pieces 4, 6, 7 and 8 are beyond one sigma: 4 of 5, and none of the rest is learned."""
    detector = ShortRuns(line({"type": "q"}))
    (event, closed) = feed(detector, FLOW)
    assert event.detail["rules"] == ["rule6"]
    assert (event.t_first, event.t_last) == (3 * S, 7 * S)
    assert closed.t_last == 8 * S
    assert event.detail["arl0"] == 166.05
    assert detector.state(0)["learned"] == 8


def test_rule_sets_of_the_line():
    """A chart may name a rule set that the line brings itself."""
    rule = RuleRow(id="two", kind="beyond", points=2, sigma=1.0)
    index = line({"type": "q", "rules": "mine", "cusum_k": None})
    index = replace(index, line=Line(rule_set=[RuleSetRow(id="mine", rule=[rule])]))
    events = feed(ShortRuns(index), FLOW)
    assert [(e.ruleset, e.t_last) for e in events if e.type == "finding"] == [("mine@1", 6 * S)]


def test_scores_are_independent_and_normal():
    """In control, whatever mean and sigma are, the scores are independent N(0, 1)."""
    rng = np.random.default_rng(3)
    scores = []
    for _ in range(300):
        # Nothing may speak, or the piece would not be learned: no rules, no CUSUM.
        detector = ShortRuns(line({"type": "q", "rules": None, "cusum_k": None}))
        feed(detector, rng.normal(37, 5, 30))
        scores.append(detector.plotted(0, 50)["v"])
    z = np.array(scores)
    assert z.shape == (300, 28)
    assert stats.kstest(z[:, 0], "norm").pvalue > 0.01
    assert stats.kstest(z.ravel(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(z[:, :-1].ravel(), z[:, 1:].ravel())[0, 1]) < 0.03


def test_first_pieces_cannot_be_judged():
    """Two pieces, and a start without scatter, are learned and not judged."""
    detector = ShortRuns(line({"type": "q"}))
    verdicts = []
    for i, value in enumerate([5.0, 5.0, 5.0, 5.0, 9.0, 6.0]):
        assert feed(detector, [value], start=i) == []
        verdicts.append(detector.state(0)["verdict"])
    assert verdicts == ["cannot judge"] * 5 + ["in control"]
    assert detector.state(0)["learned"] == 6
    assert detector.state(0)["points"] == 1


def test_rounding_is_no_scatter():
    """Values that differ by rounding only are a constant start."""
    detector = ShortRuns(line({"type": "q"}))
    assert feed(detector, [0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2, 0.4]) == []
    assert detector.state(0)["points"] == 0


def test_signalling_piece_is_not_learned():
    """An outlier changes neither mean nor scatter; the next good piece closes the finding."""
    detector = ShortRuns(line(ONE))
    feed(detector, FLOW)
    events = feed(detector, [99.0, 51.0], start=10)
    assert [e.type for e in events] == ["finding", "finding_closed"]
    detail = events[0].detail
    assert detail["rules"] == ["rule1"]
    assert (detail["learned"], detail["mode"]) == (10, "self-starting")
    assert detail["mean"] == pytest.approx(50.81)
    assert detail["plotted"] == pytest.approx(q_by_hand([*FLOW, 99.0])[-1])
    assert events[0].value == 99.0
    assert detector.state(0)["learned"] == 11
    assert detector.state(0)["mean"] == pytest.approx(np.mean([*FLOW, 51.0]))


def test_self_starting_cusum_finds_a_small_shift():
    """A shift of one sigma after thirty pieces is found by the CUSUM, with its onset."""
    rng = np.random.default_rng(12)
    found = []
    for _ in range(40):
        detector = ShortRuns(line({"type": "q", "rules": None}))
        x = rng.normal(100, 2, 90)
        x[50:] += 3.0
        events = [e for e in feed(detector, x) if e.t_last >= 50 * S and e.type == "finding"]
        if events:
            found.append(events[0])
    assert len(found) >= 36
    details = [e.detail for e in found]
    assert all(d["rules"] == ["cusum"] for d in details)
    assert np.median([d["n_last"] for d in details]) < 65
    assert np.median([d["estimated_shift"] for d in details]) == pytest.approx(3.0, abs=1.5)
    assert np.median([d["estimated_mean"] for d in details]) == pytest.approx(103.0, abs=1.5)


def test_ewma_of_scores():
    """The EWMA is that of the Q values, with the limits of its start."""
    chart = {"type": "q", "rules": None, "cusum_k": None, "ewma_lambda": 0.2}
    detector = ShortRuns(line(chart))
    feed(detector, FLOW)
    z = 0.0
    for q in q_by_hand(FLOW):
        z = 0.2 * q + 0.8 * z
    ewma = detector.state(0)["ewma"]
    assert ewma["value"] == pytest.approx(z)
    width = 2.962 * np.sqrt(0.2 / 1.8 * (1 - 0.8**16))
    assert ewma["ucl"] == pytest.approx(width)


def test_false_alarms_are_those_of_the_rule_set():
    """Without a CUSUM the default rules open a finding every ARL0 points."""
    assert arl_rules(SHORT_RUN).arl == pytest.approx(SHORT_RUN.arl0, abs=0.005)
    rng = np.random.default_rng(7)
    lengths = []
    for _ in range(400):
        detector = ShortRuns(line({"type": "q", "cusum_k": None}))
        batch = build(rng.normal(0, 1, 1200))
        events = detector.update(batch)
        first = next((e for e in events if e.type == "finding"), None)
        lengths.append(first.detail["n_last"] if first else 1198)
    assert np.mean(lengths) == pytest.approx(166.05, abs=4 * np.std(lengths) / 20)


def test_recipes_have_memories_of_their_own():
    """A recipe that comes back goes on where it was; a run never mixes two recipes."""
    detector = ShortRuns(line(ONE))
    feed(detector, FLOW, ["a"] * 10)
    assert feed(detector, [500.0, 501.0, 499.0], ["b"] * 3, start=10) == []
    assert detector.state(0)["learned"] == 3
    events = feed(detector, [99.0], ["a"], start=13)
    assert [e.detail["mean"] for e in events] == [pytest.approx(50.81)]
    (closed,) = feed(detector, [500.5], ["b"], start=14)
    assert closed.detail["cause"] == "recipe"
    assert detector.state(0)["learned"] == 4


def test_memory_is_bounded():
    """Eight recipes are remembered; the one not seen for longest is forgotten."""
    detector = ShortRuns(line({"type": "q"}))
    start = 0
    for name in [*"abcdefgh", "a", "i"]:
        feed(detector, [1.0, 2.0, 3.0], [name] * 3, start=start)
        start += 3
    feed(detector, [1.0], ["a"], start=start)
    assert detector.state(0)["learned"] == 7
    feed(detector, [1.0], ["b"], start=start + 1)
    assert detector.state(0)["learned"] == 1


def test_stands_in_until_there_is_a_baseline():
    """A usual chart without limits is self-starting for recipes nobody has approved."""
    approved = Baseline(id="b", version=1, sensor="s/k0", recipe="a", centre=0, sigma=1, n=300)
    index = line({}, {"centre": 0.0, "sigma": 1.0}, baselines={"s/k0": [approved]})
    assert [is_short_run(row, index) for row in index.sensors] == [True, False]
    detector = ShortRuns(index)
    feed(detector, [100.0, 50.0, 900.0], ["a"] * 3)
    assert detector.state(0) is None
    assert detector.plotted(0, 10) is None
    feed(detector, [1.0, 2.0, 3.0], ["x"] * 3, start=3)
    assert (detector.state(0)["learned"], detector.state(0)["type"]) == (3, "q")
    everything = approved.model_copy(update={"recipe": ""})
    detector = ShortRuns(line({}, baselines={"s/k0": [everything]}))
    feed(detector, [1.0, 2.0, 3.0], ["x"] * 3)
    assert detector.state(0) is None


def test_deviation_from_nominal():
    """One sigma, a nominal value per recipe; without one the piece cannot be judged."""
    chart = {
        "type": "dnom",
        "sigma": 0.5,
        "nominal": {"a": 10.0, "b": 20.0},
        "rules": "shewhart",
        "cusum_k": 0.5,
    }
    detector = ShortRuns(line(chart))
    recipe = ["a", "b", "b", "x", "a", "a"]
    events = feed(detector, [10.5, 20.5, 22.0, 10.0, 8.4, 10.0], recipe)
    assert [(e.type, e.detail["side"]) for e in events] == [
        ("finding", "high"),
        ("finding_closed", "high"),
        ("finding", "low"),
        ("finding_closed", "low"),
    ]
    assert events[0].detail["nominal"] == 20.0
    assert events[0].detail["plotted"] == 2.0
    assert (events[0].detail["ucl"], events[0].detail["recipe"]) == (1.5, "b")
    assert events[1].detail["cause"] == "recipe"
    assert detector.state(0)["cannot_judge"] == 1
    assert detector.plotted(0, 9)["v"] == pytest.approx([0.5, 0.5, 2.0, -1.6, 0.0])


def test_rounding_decides_nothing_on_a_limit():
    """A decimal value that lies on a limit or on the centre line does, whatever binary makes of it."""
    chart = {"type": "dnom", "sigma": 0.1, "nominal": {"": 10.0}, "rules": "western_electric"}
    assert feed(ShortRuns(line(chart)), [10.3, 9.7, 10.0, 10.2, 10.2]) == []
    (event,) = feed(ShortRuns(line(chart)), [10.3, 10.3001])
    assert event.row == 1
    on_centre = {"type": "dnom", "sigma": 0.1, "nominal": {"": 0.3}, "rules": "western_electric"}
    assert feed(ShortRuns(line(on_centre)), [0.1 + 0.2] * 9) == []


def test_standardised_by_recipe():
    """Every recipe has its own sigma; an entry without a name is for all others."""
    chart = {
        "type": "z",
        "nominal": {"a": 10.0, "": 0.0},
        "sigmas": {"a": 2.0, "": 1.0},
        "rules": None,
        "cusum_k": 0.5,
    }
    detector = ShortRuns(line(chart))
    events = feed(detector, [12.0, 16.5, 16.5, 16.5], ["a"] * 4)
    assert detector.plotted(0, 9)["v"] == [1.0, 3.25, 3.25, 3.25]
    (event,) = events
    assert event.detail["rules"] == ["cusum"]
    assert event.detail["estimated_mean"] > 14.0
    feed(detector, [2.0], ["other"], start=4)
    assert detector.plotted(0, 1)["v"] == [2.0]


def test_points_are_judged_like_samples():
    """A chart of blocks judges the points made of them, and says their size of row and time."""
    detector = ShortRuns(line({**ONE, "series": "block", "block_s": 60.0}))
    batch = build([0.0] * 11)
    assert detector.update(batch) == []
    values = [*FLOW, 99.0]
    points = Points.of(np.zeros(11), np.arange(11) * S, values)
    (event,) = detector.update_points(points, batch)
    assert (event.row, event.value, event.detail["learned"]) == (10, 99.0, 10)
    flags = np.array([PointFlag.GAP])
    gap = Points.of([0], [20 * S], [51.0], flags=flags)
    (closed,) = detector.update_points(gap, batch)
    assert closed.detail["cause"] == "gap"
    with pytest.raises(ValueError, match="there are"):
        detector.update_points(Points.of([9], [0], [0.0]), batch)


def test_reset_and_forget():
    """A reset closes and goes on; with ``forget`` the recipe is learned anew."""
    detector = ShortRuns(line(ONE))
    feed(detector, [*FLOW, 99.0])
    (closed,) = detector.reset(0, "operator")
    assert closed.detail["cause"] == "operator"
    assert detector.state(0)["learned"] == 10
    detector.reset(0, "new target", forget=True)
    assert detector.state(0)["learned"] == 0
    assert feed(detector, [99.0, 100.0, 98.0, 99.5], start=20) == []
    assert detector.state(0)["verdict"] == "in control"


@pytest.mark.parametrize("cuts", [range(1, 400), (7, 100, 101), (250,)])
def test_cuts_change_nothing(cuts):
    """Recipes, gaps and signals give the same events and state however the stream is cut."""
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, 400)
    x[100:140] += 3
    recipe = np.repeat(rng.choice(list("abcdefghijk"), 40), 10).tolist()
    chart = {"type": "q", "ewma_lambda": 0.2}
    whole, pieces = ShortRuns(line(chart)), ShortRuns(line(chart))
    one, many = feed(whole, x, recipe), feed(pieces, x, recipe, cuts)
    assert [line_of(e) for e in one] == [line_of(e) for e in many]
    assert whole.snapshot() == pieces.snapshot()
    assert len(one) > 4


@pytest.mark.parametrize(
    ("chart", "keys"),
    [
        ({"type": "q"}, []),
        ({"type": "q", "centre": 1.0, "sigma": 1.0}, ["centre", "sigma"]),
        ({"type": "q", "nominal": {"a": 1.0}, "sigmas": {"a": 1.0}}, ["sigmas", "nominal"]),
        ({"type": "dnom", "sigma": 1.0, "nominal": {"a": 1.0}}, []),
        ({"type": "dnom", "nominal": {"a": 1.0}}, ["sigma"]),
        ({"type": "dnom", "sigma": 1.0}, ["nominal"]),
        ({"type": "dnom", "sigma": 1.0, "nominal": {"x": 1.0}}, ["nominal"]),
        ({"type": "dnom", "sigma": 1.0, "nominal": {"": 1.0}, "sigmas": {"a": 1}}, ["sigmas"]),
        ({"type": "z", "nominal": {"a": 1.0}, "sigmas": {"a": 1.0}}, []),
        ({"type": "z", "nominal": {"a": 1.0}}, ["sigmas"]),
        (
            {"type": "z", "nominal": {"a": 1}, "sigmas": {"a": 1, "b": 1}, "sigma": 1},
            ["sigmas", "sigma"],
        ),
        ({"type": "c", "centre": 1.0}, []),
    ],
)
def test_problems(chart, keys):
    """What a person may get wrong is said with its key, and nothing else."""
    row = line(chart).sensors[0]
    found = problems_of(row.spec.chart, row.spec, ["a", "b"])
    assert [key for key, *_ in found] == keys
    assert all(message and allowed for _, message, _, allowed in found)


def test_residuals_without_a_model_wait_for_a_baseline():
    """Nothing makes points of them, so "self-starting" would be a promise nobody keeps."""
    waits = line({"series": "residual"}, period_s=1.0)
    starts = line({"series": "residual", "ar": [0.8], "level": 20.0}, period_s=1.0)

    assert not is_short_run(waits.sensors[0], waits)
    assert is_short_run(starts.sensors[0], starts)


def test_the_recipe_of_the_line_has_its_name():
    """Also when no baseline and no nominal value belongs to it."""
    index = line(ONE)
    named = Line.model_validate({"line": {"recipe": "nmc-3"}})
    detector = ShortRuns(replace(index, line=named))
    feed(detector, FLOW, ["nmc-3"] * len(FLOW))

    assert detector.state(0)["recipe"] == "nmc-3"
