"""Limits per recipe, points besides samples, and rule sets of the line's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twin.detectors import Charts
from twin.detectors.spc.rules import PRESETS, applicable, problems_of, rule_sets_of
from twin.model.baseline import Baseline
from twin.model.batch import Batch, recipe_code
from twin.model.line import Chart, Line, Role, RuleRow, RuleSetRow, Sensor
from twin.model.points import PointFlag, Points

S = 1_000_000_000
FAST, SLOW = recipe_code("fast"), recipe_code("slow")


def baseline(recipe, centre, sigma=1.0, **more):
    return Baseline(
        id=f"b.{recipe or 'all'}", version=2, sensor="s/a", recipe=recipe, centre=centre,
        sigma=sigma, n=300, approved_by="somebody", **more,
    )  # fmt: skip


def charts(line, *baselines, **chart):
    index = line(Sensor(key="a", period_s=1.0, chart=Chart(**{"rules": "shewhart", **chart})))
    return Charts(replace(index, baselines={"s/a": list(baselines)}))


def samples(values, recipes, start=1):
    batch = Batch.of(np.zeros(len(values)), (start + np.arange(len(values))) * S, values)
    batch.recipe[:] = recipes
    return batch


def said(events):
    return [(e.type, e.detail.get("baseline", e.detail.get("cause"))) for e in events]


def test_limits_are_those_of_the_running_recipe(line):
    """Each recipe is judged by its own baseline, and a change closes what is open."""
    detector = charts(line, baseline("fast", 0.0), baseline("slow", 10.0))
    events = detector.update(samples([4.0, 10.0, 14.0], [FAST, SLOW, SLOW]))
    assert said(events) == [
        ("finding", "b.fast@2"),
        ("finding_closed", "recipe"),
        ("finding", "b.slow@2"),
    ]
    assert (events[2].detail["centre"], events[2].detail["recipe"]) == (10.0, "slow")
    assert detector.state(0)["baseline"] == "b.slow@2"


def test_recipe_change_lets_no_pattern_across(line):
    """Two points beyond two sigma are no pattern when another recipe begins between them."""
    two = {"rules": "western_electric", "centre": 0.0, "sigma": 1.0}
    assert charts(line, **two).update(samples([2.1, 2.1], [FAST, SLOW])) == []
    assert charts(line, **two).update(samples([2.1, 2.1], [FAST, FAST])) != []


def test_recipe_without_limits_cannot_be_judged(line):
    """Its samples are counted and not plotted; the chart goes on when a known recipe runs."""
    detector = charts(line, baseline("fast", 0.0))
    events = detector.update(samples([4.0, 9.0, 9.0], [FAST, SLOW, -1]))
    assert said(events) == [("finding", "b.fast@2"), ("finding_closed", "recipe")]
    state = detector.state(0)
    assert (state["verdict"], state["cannot_judge"], state["points"]) == ("cannot judge", 2, 1)
    assert state["why"].startswith("not enough data yet")
    assert state["centre"] is None
    assert len(detector.update(samples([4.0], [FAST], start=9))) == 1


def test_baseline_for_all_recipes_stands_in(line):
    """A baseline without a recipe counts for every recipe that has none of its own."""
    detector = charts(line, baseline("", 5.0), baseline("fast", 0.0))
    events = detector.update(samples([5.0, 9.0, 9.0], [SLOW, SLOW, FAST]))
    assert [e.detail["centre"] for e in events if e.type == "finding"] == [5.0, 0.0]
    assert charts(line, baseline("", 5.0)).update(samples([9.0], [-1])) != []


def test_declared_limits_win_over_baselines(line):
    """A chart with centre and sigma of its own does not look at baselines."""
    detector = charts(line, baseline("", 100.0), centre=0.0, sigma=1.0, baseline="own@1")
    assert said(detector.update(samples([4.0], [-1]))) == [("finding", "own@1")]


def test_declared_recipe_counts_when_nobody_says_which_runs(line):
    """Limits declared for one recipe judge it and the unsaid, no other."""
    chart = {"centre": 0.0, "sigma": 1.0, "recipe": "fast"}
    assert charts(line, **chart).update(samples([4.0], [-1])) != []
    assert charts(line, **chart).update(samples([4.0], [FAST])) != []
    assert charts(line, **chart).update(samples([4.0], [SLOW])) == []


def test_without_limits_there_is_no_chart_here(line):
    """No declared limits, no baseline, or another type of chart: another detector's work."""
    assert charts(line).state(0) is None
    assert charts(line, type="q", centre=0.0, sigma=1.0).state(0) is None


def test_another_baseline_starts_fresh(line):
    """A new version of a baseline closes what is open; patterns never mix two baselines."""
    old = charts(line, baseline("", 0.0))
    old.update(samples([4.0], [-1]))
    same, other = charts(line, baseline("", 0.0)), charts(line, baseline("", 0.5))
    assert same.follow(old) == []
    assert [e.detail["cause"] for e in other.follow(old)] == ["settings"]
    assert other.state(0)["points"] == 0


# -- points ---------------------------------------------------------------------------------------


def plotted(line, points, rows=100, **chart):
    detector = charts(
        line, **{"centre": 0.0, "sigma": 1.0, "series": "block", "block_s": 60, **chart}
    )
    batch = Batch.of(np.zeros(rows), np.arange(rows) * S, np.full(rows, 99.0))
    assert detector.update(batch) == []  # samples are not plotted
    return detector, detector.update_points(points, batch)


def test_points_are_plotted_instead_of_samples(line):
    """Findings say mode, size, the times of the samples within and the row that completed it."""
    points = Points.of(
        [0, 0], [60 * S, 120 * S], [0.0, 4.0],
        first_ns=[1 * S, 61 * S], row=[10, 20], size=[60, 58], place=[1.0, 2.0],
    )  # fmt: skip
    detector, (event,) = plotted(line, points)
    assert (event.row, event.value, event.place) == (20, 4.0, 2.0)
    assert (event.t_first, event.t_last) == (61 * S, 120 * S)
    assert (event.detail["mode"], event.detail["size"]) == ("block", 58.0)
    assert detector.state(0)["verdict"] == "signal"


@pytest.mark.parametrize("flag", [PointFlag.GAP, PointFlag.RESET])
def test_flagged_points_clear_memory(line, flag):
    """After a hole or with another model no pattern goes across."""
    points = Points.of([0, 0], [1, 2], [2.1, 2.1], flags=[0, flag])
    assert plotted(line, points, rules="western_electric")[1] == []


def test_hole_in_event_time_is_no_gap_between_points(line):
    """How far points are apart is for those who make them to judge."""
    points = Points.of([0, 0], [1, 10**6 * S], [2.1, 2.1], flags=[0, PointFlag.HELD])
    assert len(plotted(line, points, rules="western_electric")[1]) == 1


def test_scale_widens_limits_and_weights(line):
    """A subgroup of a quarter of the size has twice the sigma, for limits, EWMA and CUSUM."""
    settings = {"ewma_lambda": 0.2, "cusum_k": 0.5}
    times = np.arange(1, 7) * S
    values = np.array([1.0, -2.0, 2.5, 1.0, 0.5, 3.5])
    usual, _ = plotted(line, Points.of(np.zeros(6), times, values), **settings)
    twice = Points.of(np.zeros(6), times, 2.0 * values, scale=np.full(6, 2.0))
    wide, events = plotted(line, twice, **settings)
    assert wide.state(0)["ewma"]["value"] == usual.state(0)["ewma"]["value"]
    assert wide.state(0)["cusum"] == usual.state(0)["cusum"]
    rule1 = next(e for e in events if e.rule == "rule1")
    assert (rule1.detail["sigma"], rule1.detail["ucl"], rule1.detail["statistic"]) == (
        2.0,
        6.0,
        3.5,
    )


def test_points_without_a_value_cannot_be_judged(line):
    """NaN says that there was a point nobody can judge."""
    detector, events = plotted(
        line, Points.of([0, 0, 0], [1, 2, 3], [2.1, np.nan, 2.1]), rules="western_electric"
    )
    assert events[0].detail["n_last"] == 2
    assert detector.state(0)["cannot_judge"] == 1


def test_residuals_say_their_level(line):
    """The mean behind residuals stands in the finding: a residual alone has no meaning."""
    model = {"series": "residual", "ar": [0.5], "level": 40.0}
    _, (event,) = plotted(line, Points.of([0], [1], [4.0]), **model)
    assert (event.detail["mode"], event.detail["level"]) == ("residual", 40.0)


def test_cuts_of_points_change_nothing(line):
    """Points one by one give the same events and the same state."""
    rng = np.random.default_rng(3)
    n = 400
    points = Points.of(
        np.zeros(n), np.arange(n) * S, rng.normal(0, 1.5, n),
        row=np.arange(n) // 4, scale=rng.choice([1.0, 1.3], n), flags=rng.choice([0, 0, 0, 1], n),
    )  # fmt: skip
    whole, events = plotted(line, points, rules="nelson", ewma_lambda=0.1, cusum_k=0.5)
    single, none = plotted(line, Points.none(), rules="nelson", ewma_lambda=0.1, cusum_k=0.5)
    batch = Batch.of(np.zeros(n), np.zeros(n), np.zeros(n))
    pieces = [
        e for i in range(n) for e in single.update_points(points.take(slice(i, i + 1)), batch)
    ]
    assert none == []
    assert events == pieces
    assert whole.snapshot() == single.snapshot()


def test_points_outside_the_line_are_refused(line):
    """A foreign sensor or row would write into foreign memory."""
    for broken in (Points.of([1], [1], [0.0]), Points.of([0], [1], [0.0], row=[100])):
        with pytest.raises(ValueError, match=r"points: (sensor|row)"):
            plotted(line, broken)


def test_counter_is_charted_where_points_are_made_of_it(line):
    """A rate has a mean although the count has none."""
    sensor = Sensor(
        key="a", role=Role.COUNTER, period_s=1.0,
        chart=Chart(centre=0.0, sigma=1.0, series="block", block_s=60),
    )  # fmt: skip
    assert Charts(line(sensor)).state(0) is not None


# -- starts ---------------------------------------------------------------------------------------


def test_limits_and_start_are_the_charts_own(line):
    """EWMA limits and CUSUM start are settings of the chart; the detector's own win over them."""
    fixed = charts(line, centre=0.0, sigma=1.0, ewma_lambda=0.2, ewma_limits="fixed",
                   cusum_k=0.5, cusum_start="head-start")  # fmt: skip
    moving = charts(line, centre=0.0, sigma=1.0, ewma_lambda=0.2, cusum_k=0.5)
    for detector in (fixed, moving):
        detector.update(samples([0.5], [-1]))
    assert fixed.state(0)["ewma"]["ucl"] > moving.state(0)["ewma"]["ucl"]
    assert fixed.state(0)["cusum"]["high"] == 2.5
    assert moving.state(0)["cusum"]["high"] == 0.0


def test_operator_reset_gives_a_head_start(line):
    """After a reset both sums start at h/2, so that a cause that was not found shows soon."""
    detector = charts(line, centre=0.0, sigma=1.0, cusum_k=0.5, cusum_h=4.0)
    detector.update(samples([0.0], [-1]))
    detector.reset(0, "operator")
    detector.update(samples([0.5], [-1], start=2))
    assert detector.state(0)["cusum"]["high"] == 2.0


# -- rule sets of the line ------------------------------------------------------------------------


def own(*rules, name="ours", **more):
    return Line(rule_set=[RuleSetRow(id=name, rule=list(rules), **more)])


def test_rule_sets_of_the_line_are_charted(line):
    """A set of the line's own is used by its name, and says its version and run length."""
    index = line(Sensor(key="a", chart=Chart(centre=0.0, sigma=1.0, rules="ours")))
    rules = own(RuleRow(id="wide", points=1, sigma=4.0), version=3)
    (event,) = Charts(replace(index, line=rules)).update(samples([4.5], [-1]))
    assert (event.rule, event.ruleset, event.detail["arl0"]) == ("wide", "ours@3", 15790.0)
    assert rule_sets_of(rules).keys() == PRESETS.keys() | {"ours"}


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        (own(RuleRow(id="a", points=3, k=4, sigma=2.0)), "rule[0].k"),
        (own(RuleRow(id="a", kind="trend", points=6, sigma=1.0)), "rule[0].sigma"),
        (own(RuleRow(id="a", kind="trend", points=1)), "rule[0].points"),
        (own(RuleRow(id="a", kind="alternate", points=2)), "rule[0].points"),
        (own(RuleRow(id="a", kind="within", points=15)), "rule[0].sigma"),
        (own(RuleRow(id="a"), RuleRow(id="a", points=2)), "rule[1].id"),
        (own(RuleRow(id="cusum")), "rule[0].id"),
        (own(RuleRow(id="a"), name="nelson"), "rule_set[0].id"),
        (own(*(RuleRow(id=f"r{i}", sigma=i) for i in range(7))), "rule_set[0].rule"),
    ],
)  # fmt: skip
def test_problems_of_rule_sets_are_named(rules, where):
    """What cannot work is told with its key, the value and what is allowed."""
    ((key, value, message, allowed),) = problems_of(rules)
    assert key.endswith(where)
    assert all((value, message, allowed))


def test_presets_have_no_problems():
    """Every preset could be written in a line description."""
    sets = [
        RuleSetRow(
            id=f"own_{name}",
            rule=[
                RuleRow(id=r.id, kind=r.kind.value, points=r.points, k=r.k, sigma=r.sigma)
                for r in preset.rules
            ],
        )
        for name, preset in PRESETS.items()
    ]
    line = Line(rule_set=sets)
    assert problems_of(line) == []
    assert all(rule_sets_of(line)[f"own_{name}"].id == f"own_{name}@1" for name in PRESETS)


def test_zone_rules_are_for_charts_of_location():
    """On counts and proportions only the single point is left, unless somebody gives a reason."""
    nelson = PRESETS["nelson"]
    assert applicable(nelson, Chart()) is nelson
    assert [r.id for r in applicable(nelson, Chart(type="p", n=50)).rules] == ["rule1"]
    assert applicable(nelson, Chart(type="p", n=50, reason="n p is 40")) is nelson
    assert applicable(PRESETS["shewhart"], Chart(type="c")) is PRESETS["shewhart"]
