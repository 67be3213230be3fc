"""Groups that learn their own baseline: what they say, when, and what they never say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twin.detectors.outliers.group_anomaly import GroupAnomaly, limit_of, p_value
from twin.detectors.outliers.group_anomaly_model import FREEDOM, shrinkage
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Group, Line, Sensor, Station

S = 1_000_000_000
ROWS = 400


def line(p=4, **group):
    """A group of p sensors at 1 Hz."""
    sensors = [Sensor(key=f"k{j}", period_s=1.0) for j in range(p)]
    station = Station(id="s", sensor=sensors)
    rows = [SensorRow(j, f"s/k{j}", station, sensor) for j, sensor in enumerate(sensors)]
    settings = {"id": "g", "kind": "anomaly", "baseline_rows": ROWS, "rate": 1e-3, **group}
    spec = Group(sensors=[row.id for row in rows], **settings)
    return LineIndex(Line(group=[spec]), "0" * 16, rows, {row.id: row for row in rows})


def batch_of(x, start=0, recipe=-1):
    """Vectors one second apart, all members with the same time."""
    n, p = x.shape
    time = np.repeat(start + np.arange(n), p) * S
    batch = Batch.of(np.tile(np.arange(p), n), time, x.ravel())
    batch.recipe[:] = recipe
    return batch


def normal(n, p=4, seed=1):
    return np.random.default_rng(seed).normal(size=(n, p))


def feed(detector, x, start=0, recipe=-1):
    return detector.update(batch_of(x, start, recipe))


def facts(events):
    return [(event.rule, event.type, event.row // 4) for event in events]


def test_a_shift_opens_quickly_and_closes_when_it_is_over():
    """A step of 3 sigma in one of four members, vectors 700 to 999."""
    x = normal(1300)
    x[700:1000, 2] += 3.0
    events = feed(GroupAnomaly(line()), x)
    opened, closed = (event for event in events if event.rule == "anomaly")

    assert 700 <= opened.row // 4 <= 715
    assert abs(opened.t_first / S - 700) <= 5
    assert opened.sensor == "group/g"
    assert opened.detail["contributions"][0]["sensor"] == "s/k2"
    assert "level of s/k2" in opened.detail["meaning"]
    assert "above usual" in opened.detail["meaning"]
    assert opened.detail["p"] < 1e-3
    assert 1000 <= closed.row // 4 <= 1030
    assert closed.detail["cause"] == "inside"
    assert closed.detail["opened"] == opened.id


def test_a_lasting_shift_does_not_become_usual():
    """The home level is at rest while a finding is open: it is still open after 2000 vectors."""
    x = normal(3000)
    x[900:, 0] -= 4.0
    detector = GroupAnomaly(line())
    events = feed(detector, x)

    assert [e.type for e in events if e.rule == "anomaly"] == ["finding"]
    assert detector.state("g")["verdict"] == "signal"


def test_the_begin_and_the_end_of_a_change_are_told():
    """``change`` is open while the level moves, and closed on the plateau."""
    x = normal(1500)
    x[700:, 1] += np.clip((np.arange(800) - 0) / 60, 0, 1) * 12
    opened, closed = (e for e in feed(GroupAnomaly(line()), x) if e.rule == "change")

    assert 700 <= opened.row // 4 <= 730
    assert 760 <= closed.row // 4 <= 830


def test_noise_is_an_anomaly_too():
    """One member three times as noisy, with the same mean."""
    x = normal(1200)
    x[800:, 3] *= 3.0
    detector = GroupAnomaly(line())
    events = feed(detector, x[:840])
    most = detector.state("g")["contributions"][0]

    assert events[0].rule == "anomaly"
    assert 800 <= events[0].row // 4 <= 830
    assert most["sensor"] == "s/k3"
    assert most["noise"] > limit_of(1e-3, 4)


def test_a_member_that_wandered_in_the_baseline_may_go_on_wandering():
    """A temperature that drifts raises nothing; the same way of a member that stood still does."""
    n = 2000
    x = normal(n)
    drift = 6.0 * np.sin(np.arange(n) / 300.0)
    slow, sudden = x.copy(), x.copy()
    slow[:, 0] = 0.1 * slow[:, 0] + drift
    sudden[ROWS:, 0] += drift[ROWS:] - drift[ROWS]

    assert [e for e in feed(GroupAnomaly(line()), slow) if e.rule == "anomaly"] == []
    assert [e for e in feed(GroupAnomaly(line()), sudden) if e.rule == "anomaly"] != []


def test_while_it_learns_it_says_so_and_never_signals():
    """Whatever happens in the first vectors, there is no verdict."""
    detector = GroupAnomaly(line())
    x = normal(ROWS - 1)
    x[200:] += 50

    assert feed(detector, x) == []
    assert detector.state("g")["verdict"] == "cannot judge"
    assert detector.state("g")["why"] == "not enough data yet: 399 of 400"
    assert detector.state("g")["score"] == 0.0


def test_a_contaminated_baseline_is_noticed():
    """When the last quarter of the baseline already left it, the finding is there at once."""
    x = normal(900)
    x[300:600, 1] += 6.0
    detector = GroupAnomaly(line())
    events = [e for e in feed(detector, x) if e.rule == "anomaly"]

    assert [e.type for e in events] == ["finding", "finding_closed"]
    assert events[0].row // 4 == ROWS
    assert events[0].detail["contaminated"] is True
    assert 600 <= events[1].row // 4 <= 630
    assert detector.state("g")["contaminated"] is True


def test_constant_members_are_named_and_not_judged():
    """A member without any scale says nothing; one that only ever rounds has that as its scale."""
    x = normal(900)
    x[:, 1] = 5.0
    x[600:, 1] = 99.0
    detector = GroupAnomaly(line())

    assert [e for e in feed(detector, x) if e.rule == "anomaly"] == []
    assert detector.state("g")["not_judged"] == ["s/k1"]

    blind = GroupAnomaly(line())
    feed(blind, np.ones((500, 4)))
    assert blind.state("g")["why"] == "every member was constant while it learned"


def test_one_wrong_vector_is_no_anomaly():
    """A single spike of 100 sigma opens nothing."""
    x = normal(900)
    x[600] += 100.0

    assert [e for e in feed(GroupAnomaly(line()), x) if e.rule == "anomaly"] == []


def test_a_missing_member_makes_no_vector():
    """Cannot judge is counted, and is never in control."""
    detector = GroupAnomaly(line())
    feed(detector, normal(600))
    x = normal(5, seed=3)
    x[:, 2] = np.nan

    assert feed(detector, x, start=600) == []
    now = detector.state("g")
    assert (now["verdict"], now["points"]) == ("cannot judge", 600)
    assert now["why"] == "the newest samples make no vector"


def test_another_recipe_and_a_reset_learn_anew():
    """What is usual for one recipe says nothing about another one."""
    detector = GroupAnomaly(line())
    x = normal(800)
    x[700:] += 9.0
    feed(detector, x, recipe=1)
    closed = feed(detector, normal(100) + 9.0, start=800, recipe=2)

    assert {e.detail["cause"] for e in closed} == {"recipe"}
    assert detector.state("g")["learned"] == 100

    other = GroupAnomaly(line())
    feed(other, x)
    assert {e.detail["cause"] for e in other.reset("g", "new tool")} == {"new tool"}
    assert other.state("g")["why"] == "not enough data yet: 0 of 400"
    assert other.reset("unknown", "x") == []


def test_a_hole_closes_and_keeps_what_was_learned():
    """After a hole the short memories begin at home again."""
    detector = GroupAnomaly(line())
    x = normal(800)
    x[700:] += 9.0
    feed(detector, x)
    closed = feed(detector, normal(50, seed=4), start=900)

    assert {e.detail["cause"] for e in closed} == {"gap"}
    assert detector.state("g")["verdict"] == "in control"
    assert detector.state("g")["learned"] == ROWS


def test_a_new_version_of_the_line_keeps_what_an_unchanged_group_learned():
    """Another, wider group beside it changes nothing; another rate learns anew."""
    x = normal(900)
    x[700:] += 4.0
    old, other = GroupAnomaly(line()), GroupAnomaly(line(rate=1e-5))
    feed(old, x[:800])
    index = line(p=6)
    first = Group(id="wide", kind="anomaly", sensors=list(index.by_id), baseline_rows=900)
    spec = line().line.group[0]
    new = GroupAnomaly(replace(index, line=Line(group=[first, spec])))

    assert new.follow(old) == []
    assert new.state("g") == old.state("g")
    assert new.state("wide")["learned"] == 0
    assert feed(new, x[800:], start=800) == feed(old, x[800:], start=800)
    assert {event.detail["cause"] for event in other.follow(old)} == {"settings"}
    assert other.state("g")["learned"] == 0


def test_causality():
    """What is said about the first vectors does not depend on later ones."""
    x = normal(1300)
    x[700:1000, 2] += 3.0
    whole = feed(GroupAnomaly(line()), x)
    for n in (500, 705, 900, 1100):
        part = feed(GroupAnomaly(line()), x[:n])
        assert facts(part) == facts(e for e in whole if e.row < 4 * n)


@pytest.mark.parametrize("rate", [1e-2, 1e-3])
def test_false_alarms_on_normal_values_stay_below_the_declared_rate(rate):
    """Shares of vectors in a finding, over 30 baselines: nominal or less."""
    away = total = 0
    for seed in range(30):
        detector = GroupAnomaly(line(rate=rate))
        n = 2400
        state = np.zeros(n, bool)
        for event in feed(detector, normal(n, seed=seed)):
            if event.rule == "anomaly":
                state[event.row // 4 :] = event.type == "finding"
        away += int(state[ROWS:].sum())
        total += n - ROWS
    assert away / total <= rate


def test_limits_and_p_values_belong_together():
    """The p-value of the limit is the rate; one feature more makes the limit larger."""
    assert p_value(limit_of(1e-3, 8), 8) == pytest.approx(1e-3)
    assert limit_of(1e-3, 8) == pytest.approx(4.0, abs=0.01)
    assert limit_of(1e-3, 9) > limit_of(1e-3, 8)
    assert p_value(0.0, 8) == 1.0


def test_badly_known_sigmas_count_for_less():
    """Student's t: few degrees of freedom shrink a distance, many leave it."""
    table = shrinkage(4.0)

    assert np.all(np.diff(table) >= 0)
    assert table[-1] == pytest.approx(1.0, abs=1e-3)
    assert table[np.searchsorted(FREEDOM, 10.0)] == pytest.approx(4.0 / 6.21, abs=0.03)
