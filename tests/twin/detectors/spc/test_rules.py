"""Run rules on small sequences, against a slow reference, and as data."""

from __future__ import annotations

from itertools import pairwise
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.detectors.spc import PRESETS, Charts, Kind, Rule, RuleSet
from twin.detectors.spc.kernel import LONGEST
from twin.errors import ConfigError
from twin.model.batch import BAD, Batch, Mark

RUN9 = Rule(id="rule2", kind=Kind.BEYOND, points=9)
TREND6 = Rule(id="rule3", kind=Kind.TREND, points=6)
TREND7 = Rule(id="rule3", kind=Kind.TREND, points=7)
ALTERNATE14 = Rule(id="rule4", kind=Kind.ALTERNATE, points=14)
TWO_OF_3 = Rule(id="rule5", kind=Kind.BEYOND, points=3, k=2, sigma=2.0)
TWO_OF_3_EITHER = Rule(id="rule5", kind=Kind.EITHER, points=3, k=2, sigma=2.0)
FOUR_OF_5 = Rule(id="rule6", kind=Kind.BEYOND, points=5, k=4, sigma=1.0)
WITHIN15 = Rule(id="rule7", kind=Kind.WITHIN, points=15, sigma=1.0)
OUTSIDE8 = Rule(id="rule8", kind=Kind.EITHER, points=8, sigma=1.0)
MIXED8 = Rule(id="rule8", kind=Kind.MIXED, points=8, sigma=1.0)
R4S = Rule(id="r4s", kind=Kind.PAIR, points=2, sigma=2.0)
S = 1_000_000_000


def chart(charted, *rules, **settings):
    chosen = RuleSet(name="own", rules=rules)
    return Charts(charted(rules="own", **settings), rule_sets={"own": chosen})


def openings(events):
    return [
        (e.detail["n_first"], e.detail["n_last"], e.detail["side"])
        for e in events
        if e.type == "finding"
    ]


@pytest.mark.parametrize(
    ("rule", "points", "expected"),
    [
        (RUN9, [0.1] * 8 + [0] + [0.1] * 8, []),
        (RUN9, [0.1] * 10, [(1, 9, "high")]),
        (RUN9, [-0.1] * 9, [(1, 9, "low")]),
        (TREND6, [0, 0.1, 0.2, 0.3, 0.4, 0.5], [(1, 6, "high")]),
        (TREND7, [0, 0.1, 0.2, 0.3, 0.4, 0.5], []),
        (TREND6, [0, 0.1, 0.2, 0.2, 0.3, 0.4, 0.5], []),
        (TREND6, [0.5, 0.4, 0.3, 0.2, 0.1, 0], [(1, 6, "low")]),
        (TWO_OF_3, [2.1, 0.5, 2.1], [(1, 3, "high")]),
        (TWO_OF_3, [2.1, 2.1], [(1, 2, "high")]),
        (TWO_OF_3, [2.1, 2.1, 0.5], [(1, 2, "high")]),
        (TWO_OF_3, [2.1, -2.1, 0.5], []),
        (TWO_OF_3_EITHER, [2.1, -2.1, 0.5], [(1, 2, "both")]),
        (TWO_OF_3, [2.0, 2.0, 2.0], []),
        (TWO_OF_3, [2.1, 0.0, 0.0, 2.1], []),
        (FOUR_OF_5, [1.1, 1.1, -0.2, 1.1, 1.1], [(1, 5, "high")]),
        (FOUR_OF_5, [1.1, 1.1, 1.1, -0.2], []),
        (FOUR_OF_5, [-0.2, 1.1, 1.1, 1.1, 1.1], [(2, 5, "high")]),
        (OUTSIDE8, [1.2, -1.2] * 4, [(1, 8, "both")]),
        (OUTSIDE8, [1.2] * 8, [(1, 8, "both")]),
        (MIXED8, [1.2] * 8, []),
        (MIXED8, [1.2] * 8 + [-1.2], [(2, 9, "both")]),
        (WITHIN15, [0.5, -0.5] * 7 + [1.0], [(1, 15, "both")]),
        (WITHIN15, [0.5, -0.5] * 7, []),
        (ALTERNATE14, [0.1, -0.1] * 7, [(1, 14, "both")]),
        (ALTERNATE14, [0.1, -0.1] * 6 + [0.1, 0.1], []),
        (ALTERNATE14, [0.1, -0.1] * 6 + [0.1], []),
        (R4S, [2.1, -2.1], [(1, 2, "both")]),
        (R4S, [-2.1, 2.1], [(1, 2, "both")]),
        (R4S, [2.1, 0.0, -2.1], []),
        (R4S, [2.0, -2.1], []),
        (RUN9, [nan] * 20, []),
    ],
)
def test_small_sequences(charted, values, rule, points, expected):
    """The sequences every implementation must answer the same way."""
    assert expected == openings(chart(charted, rule).update(values(points)))


def test_missing_value_does_not_end_a_run(charted, values):
    """NaN and bad quality are skipped: the pattern goes on with the next good point."""
    assert openings(chart(charted, TWO_OF_3).update(values([2.1, nan, 2.1]))) == [(1, 2, "high")]
    bad = values([2.1, 0.0, 2.1])
    bad.quality[1] = BAD
    assert openings(chart(charted, TWO_OF_3).update(bad)) == [(1, 2, "high")]


@pytest.mark.parametrize("mark", [Mark.STUCK, Mark.SPIKE, Mark.RATE, Mark.LATE])
def test_invalid_and_late_samples_are_not_plotted(charted, values, mark):
    """Samples marked invalid or late are not points."""
    batch = values([2.1, 9.0, 2.1])
    batch.marks[1] = mark
    assert openings(chart(charted, TWO_OF_3).update(batch)) == [(1, 2, "high")]


def test_questionable_and_historical_samples_are_plotted(charted, values):
    """Marks that do not make a sample invalid do not keep it off the chart."""
    batch = values([2.1, 2.1])
    batch.marks[:] = Mark.HISTORICAL | Mark.QUESTIONABLE | Mark.TS_SUBSTITUTED
    assert openings(chart(charted, TWO_OF_3).update(batch)) == [(1, 2, "high")]


@pytest.mark.parametrize(
    ("settings", "times", "expected"),
    [
        ({}, [1, 6], [(1, 2, "high")]),
        ({}, [1, 6.5], []),
        ({"max_gap_s": 60.0}, [1, 61], [(1, 2, "high")]),
        ({"max_gap_s": 60.0}, [1, 62], []),
    ],
)
def test_gap_clears_memory(charted, values, settings, times, expected):
    """A hole longer than five periods, or than declared, lets no pattern across."""
    events = chart(charted, TWO_OF_3, **settings).update(values([2.1, 2.1], times))
    assert expected == openings(events)


def test_gap_mark_clears_memory(charted, values):
    """A gap that the source reported counts like one in event time."""
    batch = values([2.1, 2.1])
    batch.marks[1] = Mark.AFTER_GAP
    assert openings(chart(charted, TWO_OF_3).update(batch)) == []


def test_gap_closes_what_is_open(charted, values):
    """What is open closes at the first sample behind the hole, with the gap as its cause."""
    rule1 = Rule(id="rule1", kind=Kind.BEYOND, points=1, sigma=3.0)
    events = chart(charted, rule1).update(values([4.0, 4.0, 4.0], [1, 2, 100]))
    assert [e.type for e in events] == ["finding", "finding_closed", "finding"]
    closed = events[1]
    assert (closed.detail["cause"], closed.detail["samples"], closed.t_last) == ("gap", 2, 2 * S)
    assert events[0].id != events[2].id


def test_reset_clears_memory(charted, values):
    """A recipe change between two points lets no pattern across and closes what is open."""
    charts = chart(charted, TWO_OF_3)
    charts.update(values([2.1]))
    assert charts.reset(0, "recipe") == []
    assert charts.update(values([2.1], [2])) == []
    charts.update(values([2.1], [3]))
    closed = charts.reset(0, "recipe")
    assert [(e.type, e.detail["cause"]) for e in closed] == [("finding_closed", "recipe")]
    assert charts.state(0)["findings"] == []


def test_open_extend_close(charted, values):
    """A finding opens once, is extended without a word, and closes with its number of samples."""
    events = chart(charted, RUN9).update(values([0.1] * 12 + [-0.1]))
    opened, closed = events
    assert (opened.type, opened.rule, opened.ruleset) == ("finding", "rule2", "own@1")
    assert (opened.t_first, opened.t_last, opened.value) == (1 * S, 9 * S, 0.1)
    assert closed.type == "finding_closed"
    assert closed.detail["opened"] == opened.id
    assert closed.detail["samples"] == 4
    assert (closed.t_first, closed.t_last) == (1 * S, 12 * S)


def test_several_rules_share_a_finding(charted, values):
    """Rules that become true together are one finding, named by the lowest number."""
    charts = Charts(charted(rules="western_electric"))
    events = charts.update(values([2.5, 3.5, 0.0]))
    opened, closed = events
    assert (opened.rule, opened.detail["rules"]) == ("rule1", ["rule1", "rule5"])
    assert opened.detail["meaning"] == "1 point beyond 3 sigma above the centre line"
    assert (opened.detail["n_first"], opened.detail["n_last"]) == (1, 2)
    assert closed.detail["opened"] == opened.id


def test_finding_closes_with_its_last_rule(charted, values):
    """A later rule opens a finding of its own; each closes when its own rules are false."""
    charts = Charts(charted(rules="western_electric"))
    events = charts.update(values([3.5, 2.5, 0.5]))
    assert [(e.type, e.rule) for e in events] == [
        ("finding", "rule1"),
        ("finding_closed", "rule1"),
        ("finding", "rule5"),
        ("finding_closed", "rule5"),
    ]


def test_finding_carries_what_a_person_needs(charted, values):
    """Limits, baseline, side, statistic, convention and false-alarm rate stand in the finding."""
    index = charted(rules="nelson", centre=10.0, sigma=2.0, baseline="cal@3", recipe="NMC")
    batch = values([17.0])
    batch.product[0] = 4
    batch.place[0] = 12.5
    (event,) = Charts(index).update(batch, {4: "coil-4"}.get)
    assert (event.sensor, event.product, event.place) == ("s/k0", "coil-4", 12.5)
    expected = {
        "arl0": 73.48,
        "baseline": "cal@3",
        "centre": 10.0,
        "convention": "points",
        "lcl": 4.0,
        "meaning": "1 point beyond 3 sigma above the centre line",
        "mode": "raw",
        "n_first": 1,
        "n_last": 1,
        "onset": "1970-01-01T00:00:01.000000Z",
        "recipe": "NMC",
        "rules": ["rule1"],
        "side": "high",
        "sigma": 2.0,
        "statistic": 3.5,
        "ucl": 16.0,
        "usual": "large sudden change or gross error",
    }
    assert expected == event.detail


def test_limits_are_the_ones_shown(charted, values):
    """A point on a printed limit is inside, whatever binary rounding does to its z value."""
    charts = Charts(charted(rules="shewhart", centre=5.1, sigma=0.1))
    state = charts.state(0)
    assert charts.update(values([state["ucl"], state["lcl"]])) == []
    assert charts.update(values([np.nextafter(state["ucl"], 9)], [3])) == []
    beyond = [state["ucl"] + 1e-7, 5.1, state["lcl"] - 1e-7]
    assert [s for *_, s in openings(charts.update(values(beyond, [4, 5, 6])))] == ["high", "low"]


def test_points_for_the_board(charted, values):
    """The chart remembers its last points with the rules each of them broke."""
    charts = Charts(charted(rules="western_electric"))
    charts.update(values([0.0] * 150 + [3.5] + [0.0] * 148 + [2.5, 3.5]))
    points = charts.points(0)
    assert len(points["value"]) == 200
    assert points["time_ns"][-1] == 301 * S
    plotted = charts.plotted(0, 60)
    assert plotted["v"][-3:] == [0.0, 2.5, 3.5]
    assert plotted["rules"][-3:] == [[], [], ["rule1", "rule5"]]
    assert plotted["t"][-1] == 301.0
    assert charts.state(0)["rules"] == ["rule1", "rule5"]
    assert charts.state(0)["verdict"] == "signal"


def test_late_points_are_kept_off(charted, values):
    """A sample older than the last plotted one is counted; one at the same time is plotted."""
    charts = chart(charted, TWO_OF_3)
    assert openings(charts.update(values([2.1, 9.0, 0.0, 2.1], [5, 4, 5, 6]))) == [(1, 3, "high")]
    assert charts.state(0)["late"] == 1


def test_counters_and_states_are_not_charted(line):
    """A counter only rises and a state has no mean: their raw value has no chart."""
    from twin.model.line import Chart, Role, Sensor

    spec = Chart(centre=0.0, sigma=1.0)
    index = line(*(Sensor(key=r.value, role=r, chart=spec) for r in (Role.COUNTER, Role.STATE)))
    charts = Charts(index)
    assert charts.update(Batch.of([0, 1], [0, 0], [9.0, 9.0])) == []
    assert charts.state(0) is None


def test_unknown_rule_set_is_refused(charted):
    """The message names the sensor, the value and what is allowed."""
    with pytest.raises(ConfigError, match=r"s/k0.chart.rules.*'nelsen'.*nelson_shift"):
        Charts(charted(rules="nelsen"))


@pytest.mark.parametrize(
    "rules",
    [
        (Rule(id="a", kind=Kind.BEYOND, points=LONGEST + 1),),
        (Rule(id="a", kind=Kind.BEYOND, points=3, k=4),),
        (Rule(id="a", kind=Kind.TREND, points=1),),
        (Rule(id="a", kind=Kind.WITHIN, points=3, sigma=-1.0),),
        (RUN9, RUN9),
        tuple(Rule(id=f"r{i}", kind=Kind.BEYOND, points=2 + i) for i in range(13)),
        tuple(Rule(id=f"r{i}", kind=Kind.BEYOND, points=2, sigma=i) for i in range(7)),
    ],
)
def test_rule_sets_that_do_not_fit_are_refused(charted, rules):
    """A set the kernel cannot hold is refused with its name."""
    with pytest.raises(ValueError, match="'own@1'"):
        chart(charted, *rules)


def test_presets_are_complete():
    """All presets are there, in the order of rule numbers, with version, source and ARL0."""
    assert set(PRESETS) == {
        "shewhart",
        "western_electric",
        "western_electric_all",
        "nelson",
        "nelson_shift",
        "minitab_all",
        "aiag",
        "aiag_short",
        "westgard",
        "westgard_7t",
        "juran",
        "montgomery",
        "ihi",
    }
    for name, preset in PRESETS.items():
        ids = [rule.id for rule in preset.rules if rule.id != "r4s"]
        assert ids == sorted(ids)
        assert (preset.id, preset.source != "", preset.arl0 is not None) == (
            f"{name}@1",
            True,
            True,
        )


# -- a slow reference, written from the definitions -----------------------------------------------


def sides_true(rule, points):
    """Sides on which a rule is true with the newest of ``points``."""
    last = points[-rule.points :]
    if rule.kind in {Kind.TREND, Kind.ALTERNATE}:
        if len(last) < rule.points:
            return set()
        steps = [(b > a) - (b < a) for a, b in pairwise(last)]
        if rule.kind is Kind.TREND:
            return {"high"} if set(steps) == {1} else {"low"} if set(steps) == {-1} else set()
        turns = all(a * b == -1 for a, b in pairwise(steps))
        return {"both"} if turns and 0 not in steps else set()
    high = [x > rule.sigma for x in last]
    low = [x < -rule.sigma for x in last]
    out = [a or b for a, b in zip(high, low, strict=True)]
    if rule.kind is Kind.BEYOND:
        return {
            side
            for side, zone in (("high", high), ("low", low))
            if zone[-1] and sum(zone) >= rule.needed
        }
    if rule.kind is Kind.EITHER:
        return {"both"} if out[-1] and sum(out) >= rule.needed else set()
    if rule.kind is Kind.MIXED:
        return {"both"} if out[-1] and sum(out) >= rule.needed and any(high) and any(low) else set()
    if rule.kind is Kind.WITHIN:
        return {"both"} if len(last) == rule.points and not any(out) else set()
    pair = len(last) == 2 and ((high[1] and low[0]) or (low[1] and high[0]))
    return {"both"} if pair else set()


def reference(rules, samples):
    """What opens at each sample: (ordinal, rules) and how many findings close before it."""
    points, before, n, groups = [], set(), 0, []
    said = []
    for gap, x in samples:
        if isnan(x):
            continue
        n += 1
        if gap:
            points = []
            said += [(n, "closed")] * len(groups)
            groups, before = [], set()
        points.append(x)
        now = {(rule.id, side) for rule in rules for side in sides_true(rule, points)}
        for group in groups:
            group.difference_update(before - now)
        said += [(n, "closed")] * sum(not group for group in groups)
        groups = [group for group in groups if group]
        opened = now - before
        if opened:
            groups.append(set(opened))
            said.append((n, [rule.id for rule in rules if rule.id in {r for r, _ in opened}]))
        before = now
    return said


SETS = [PRESETS[name].rules for name in sorted(PRESETS)] + [
    (TREND6, MIXED8),
    (Rule(id="a", kind=Kind.TREND, points=2), Rule(id="b", kind=Kind.ALTERNATE, points=3)),
    (Rule(id="a", kind=Kind.EITHER, points=4, k=2, sigma=1.5), R4S),
    (
        Rule(id="a", kind=Kind.MIXED, points=4, k=3, sigma=0.5),
        Rule(id="b", kind=Kind.WITHIN, points=3, sigma=0.5),
    ),
]
GRID = st.one_of(
    st.integers(-7, 7).map(lambda i: i / 2),
    st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, nan]),
)
SAMPLE = st.tuples(st.sampled_from([False] * 19 + [True]), GRID)


def stretch(kind, start, length):
    """A stretch as long rules need it: flat, rising, falling or alternating."""
    step = {"flat": 0.0, "rising": 0.25, "falling": -0.25, "alternating": 0.0}[kind]
    turn = -1 if kind == "alternating" else 1
    return [(False, (start + step * i) * turn**i) for i in range(length)]


STRETCH = st.builds(
    stretch,
    st.sampled_from(["flat", "rising", "falling", "alternating"]),
    st.sampled_from([-1.25, -0.25, 0.0, 0.25, 1.0, 1.25, 2.5]),
    st.integers(3, 17),
)
SAMPLES = st.lists(st.one_of(SAMPLE.map(lambda one: [one]), STRETCH), max_size=20).map(
    lambda parts: [one for part in parts for one in part]
)


@given(
    rules=st.sampled_from(SETS),
    samples=SAMPLES,
)
def test_kernel_against_the_definitions(charted, rules, samples):
    """On random short sequences full of ties and points on limits both say the same."""
    charts = chart(charted, *rules)
    times = np.cumsum([100 if gap else 0.01 for gap, _ in samples])
    # A hole ends at the next good point, so a gap before a NaN belongs to the point after it.
    shifted, pending = [], False
    for gap, x in samples:
        pending = pending or gap
        shifted.append((pending and not isnan(x), x))
        pending = pending and isnan(x)
    first = next((i for i, (_, x) in enumerate(shifted) if not isnan(x)), None)
    if first is not None:
        shifted[first] = (False, shifted[first][1])
    batch = Batch.of(np.zeros(len(samples)), times * S, [x for _, x in samples])
    said, n = [], 0
    good = [
        int(t) for t, (_, x) in zip(batch.time_ns.tolist(), samples, strict=True) if not isnan(x)
    ]
    for event in charts.update(batch):
        if event.type == "finding":
            n = event.detail["n_last"]
            said.append((n, event.detail["rules"]))
        else:
            row = event.row
            n = good.index(int(batch.time_ns[row])) + 1
            said.append((n, "closed"))
    assert reference(rules, shifted) == said


@pytest.mark.parametrize(("then", "now"), [(200, 60), (60, 200), (77, 200)])
def test_follow_with_another_number_of_points(charted, values, then, now):
    """The last points survive a change of how many are kept, and patterns keep their first time."""
    index = charted(rules="western_electric")
    old, new = Charts(index, points=then), Charts(index, points=now)
    old.update(values([*np.linspace(-0.5, 0.5, 130), 0.1, 0.1, 0.1]))
    assert new.follow(old) == []
    kept = min(then, now)
    assert old.points(0)["value"][-kept:].tolist() == new.points(0)["value"][-kept:].tolist()
    later = values([0.1] * 6, range(134, 140))
    assert old.update(later) == new.update(later)


def test_too_few_points_are_refused(charted):
    """The longest pattern must fit into the points kept."""
    with pytest.raises(ValueError, match="60 or more"):
        Charts(charted(), points=59)


def test_memory_of_a_large_line(line):
    """A hundred thousand sensors with every detector on fit: less than 3 kB of arrays each."""
    from twin.detectors import Hampel, Validity
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Chart, Line, Sensor

    spec = Chart(centre=0.0, sigma=1.0, rules="nelson", ewma_lambda=0.2, cusum_k=0.5)
    spec = spec.model_copy(update={"hampel_window": 51})
    sensor = Sensor(key="a", period_s=1.0, stuck_s=9.0, chart=spec)
    one = line(sensor)
    count = 20_001
    rows = [SensorRow(i, f"s/{i}", one.sensors[0].station, sensor) for i in range(count)]
    index = LineIndex(Line(), "0" * 16, rows, {})
    arrays = [a for kind in (Validity, Charts, Hampel) for a in kind(index)._arrays.values()]
    assert sum(a.nbytes for a in arrays) / count < 3000
