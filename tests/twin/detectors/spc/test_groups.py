"""Groups of sensors: vectors, statistics, run lengths through the detector, configuration."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.stats import ncx2

from twin.detectors import Groups
from twin.detectors.spc.groups_model import judge_of, problems_of
from twin.detectors.spc.multivariate import (
    conditional_terms,
    jackson_mudholkar_limit,
    mewma,
    t2,
    t2_phase2_limit,
    unconditional_terms,
)
from twin.errors import ConfigError
from twin.model.batch import BAD, Batch, Mark, recipe_code
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Group, Line, Role, Sensor, Station

S = 1_000_000_000
MEAN, SIGMA = [10.0, 50.0, -3.0], [2.0, 0.5, 1.0]
CORRELATION = [[1.0, 0.6, 0.2], [0.6, 1.0, -0.1], [0.2, -0.1, 1.0]]
COVARIANCE = np.array(CORRELATION) * np.outer(SIGMA, SIGMA)


def line_of(*groups, sensors=3, **spec):
    made = [Sensor(key=f"k{i}", unit="Cel", **spec) for i in range(sensors)]
    station = Station(id="s", sensor=made)
    rows = [SensorRow(i, f"s/{x.key}", station, x) for i, x in enumerate(made)]
    return LineIndex(Line(group=list(groups)), "0" * 16, rows, {row.id: row for row in rows})


def group_of(kind="t2", members=3, number=0, **settings):
    table = {
        "mean": MEAN[:members],
        "sigma": SIGMA[:members],
        "correlation": [row[:members] for row in CORRELATION[:members]],
        **settings,
    }
    sensors = [f"s/k{number * members + i}" for i in range(members)]
    return Group(**{"id": f"g{number}", "kind": kind, "sensors": sensors, **table})


def batch_of(x, start=1, marks=None):
    x = np.atleast_2d(x)
    n, p = x.shape
    times = np.repeat(np.arange(start, start + n), p) * S
    return Batch.of(np.tile(np.arange(p), n), times, x.ravel(), marks=marks)


def normal(n, seed=1, shift=0.0):
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(MEAN, COVARIANCE, n) + np.array(shift) * SIGMA


def test_t2_is_the_mahalanobis_distance():
    """The plotted statistic is (x - mean)' S^-1 (x - mean), the limit that of phase II."""
    groups = Groups(line_of(group_of(m=50, alpha=0.005)))
    x = normal(150)
    groups.update(batch_of(x))
    drawn = groups.plotted("g0", 200)
    assert drawn["v"] == pytest.approx(t2(x, MEAN, COVARIANCE))
    assert drawn["ucl"] == pytest.approx(t2_phase2_limit(50, 3, 0.005))
    assert drawn["t"] == [float(t) for t in range(1, 151)]


@pytest.mark.parametrize("limits", ["fixed", "time-varying"])
def test_mewma_is_that_of_lowry(limits):
    """The plotted statistic is Z' Sigma_Z^-1 Z with either form of Sigma_Z."""
    groups = Groups(line_of(group_of("mewma", limit=11.0)), mewma_limits=limits)
    x = normal(120)
    groups.update(batch_of(x))
    expected = mewma(x, MEAN, COVARIANCE, 0.1, limits=limits)
    assert groups.plotted("g0", 200)["v"] == pytest.approx(expected)


def test_components_and_residual():
    """PCA plots T2 of the kept components and the squared residual of the standardised vector."""
    groups = Groups(line_of(group_of("pca", components=1)))
    x = normal(100)
    groups.update(batch_of(x))
    values, vectors = np.linalg.eigh(np.array(CORRELATION))
    z = (x - MEAN) / SIGMA
    score = z @ vectors[:, -1]
    drawn = groups.plotted("g0", 200)
    assert drawn["v"] == pytest.approx(score**2 / values[-1])
    left = z - np.outer(score, vectors[:, -1])
    assert drawn["spe"] == pytest.approx((left**2).sum(axis=1))
    limit, _ = jackson_mudholkar_limit(values[:-1], 0.0027)
    assert drawn["spe_ucl"] == pytest.approx(limit)


def test_contributions_of_components_add_up():
    """The shares of T2 and of the squared residual sum to the statistics."""
    groups = Groups(line_of(group_of("pca", components=2)))
    events = groups.update(batch_of([[10.0, 54.0, -3.0]]))
    shares = events[0].detail["contributions"]
    state = groups.state("g0")
    assert sum(item["t2"] for item in shares) == pytest.approx(state["value"])
    assert sum(item["spe"] for item in shares) == pytest.approx(state["spe"])
    assert events[0].detail["rules"] == ["t2", "spe"]


def test_contradiction_is_named():
    """Values that are usual alone and contradict each other name the culprit by its sensor."""
    groups = Groups(line_of(group_of(alpha=0.005)))
    x = np.array([14.0, 49.0, -3.0])
    (event,) = groups.update(batch_of(x))
    told = event.detail
    assert (event.rule, event.sensor, told["ucl"]) == (
        "t2",
        "group/g0",
        pytest.approx(12.838, 1e-4),
    )
    assert event.value == pytest.approx(float(t2(x, MEAN, COVARIANCE)[0]))
    by_name = {item["sensor"]: item for item in told["contributions"]}
    alone = unconditional_terms(x, MEAN, COVARIANCE)
    against = conditional_terms(x, MEAN, COVARIANCE)
    for i, name in enumerate(["s/k0", "s/k1", "s/k2"]):
        assert by_name[name]["unconditional"] == pytest.approx(alone[i])
        assert by_name[name]["conditional"] == pytest.approx(against[i])
    assert told["contributions"][0]["sensor"] == "s/k0"
    assert "s/k0" in told["meaning"]
    assert "above what the others say" in told["meaning"]


def test_opens_extends_closes():
    """Three vectors beyond are one finding, closed by the first inside."""
    groups = Groups(line_of(group_of()))
    x = np.tile(MEAN, (6, 1))
    x[2:5, 0] += 12.0
    opened, closed = groups.update(batch_of(x))
    assert (opened.type, opened.t_first, opened.row) == ("finding", 3 * S, 8)
    assert (closed.type, closed.t_last, closed.row) == ("finding_closed", 5 * S, 17)
    assert closed.detail["samples"] == 3
    assert closed.detail["cause"] == "inside"


def test_a_point_on_the_limit_is_inside():
    """Beyond is strict."""
    on = Groups(line_of(group_of(members=2, correlation=[[1, 0], [0, 1]], limit=4.0)))
    assert on.update(batch_of([[14.0, 50.0]])) == []
    assert len(on.update(batch_of([[14.0 + 1e-9, 50.0]], start=2))) == 1


def test_onset_of_a_lasting_shift():
    """MEWMA names the first vector of a step, not the one that signalled."""
    groups = Groups(line_of(group_of("mewma", limit=12.0)))
    x = np.concatenate([normal(80, seed=3), normal(30, seed=4, shift=[1.5, 0, -1.0])])
    found = [e for e in groups.update(batch_of(x)) if e.type == "finding"]
    assert len(found) == 1
    assert abs(found[0].t_first // S - 81) <= 2
    assert found[0].t_last > found[0].t_first


def test_missing_member_cannot_be_judged():
    """Without a value of the same time from every member there is no vector, and no verdict."""
    groups = Groups(line_of(group_of(limit=5.0)))
    groups.update(batch_of([MEAN]))
    events = groups.update(
        Batch.of([0, 1, 0, 1, 2], [2 * S, 2 * S, 3 * S, 3 * S, 2 * S], [99.0] * 5)
    )
    assert events == []
    state = groups.state("g0")
    assert state["points"] == 1
    assert state["verdict"] == "cannot judge"
    assert (state["incomplete"], state["late"]) == (1, 1)


def test_bad_member_cannot_be_judged():
    """A vector with an invalid member is no point, with a maximum age its last valid value counts."""
    same = Groups(line_of(group_of(limit=5.0)))
    quality = [192, BAD, 192]
    vector = Batch.of([0, 1, 2], [S] * 3, [99.0] * 3, quality)
    assert same.update(vector) == []
    assert same.state("g0")["verdict"] == "cannot judge"
    aged = Groups(line_of(group_of(limit=5.0, max_age_s=10.0)))
    aged.update(batch_of([MEAN], start=0))
    assert len(aged.update(Batch.of([0, 1, 2], [S] * 3, [99.0, 99.0, -3.0], quality))) == 1
    assert aged.state("g0")["contributions"][0]["sensor"] == "s/k0"


def test_trigger_and_age():
    """The slowest member makes vectors, of values that are not older than the maximum age."""
    index = line_of(group_of(max_age_s=2.0))
    slow = index.sensors[1].spec.model_copy(update={"period_s": 10.0})
    index.sensors[1] = SensorRow(1, "s/k1", index.sensors[1].station, slow)
    index.by_id["s/k1"] = index.sensors[1]
    groups = Groups(index)
    groups.update(Batch.of([0, 2, 0, 2, 1], np.array([7, 8, 9, 9, 10]) * S, [10, -3, 10, -3, 50.0]))
    assert groups.state("g0")["points"] == 1
    groups.update(Batch.of([0, 1], np.array([19, 20]) * S, [10, 50.0]))
    assert groups.state("g0")["points"] == 1
    assert groups.state("g0")["incomplete"] == 1
    assert groups.state("g0")["verdict"] == "cannot judge"


def test_gap_clears_memory():
    """After a hole longer than max_gap_s, or the mark of one, the MEWMA starts again."""
    for how in ("hole", "mark"):
        groups = Groups(line_of(group_of("mewma", limit=9.0, max_gap_s=5.0)))
        x = normal(30, shift=2.0)
        groups.update(batch_of(x))
        assert groups.state("g0")["verdict"] == "signal"
        marks = np.array([Mark.AFTER_GAP, 0, 0]) if how == "mark" else None
        (closed,) = groups.update(batch_of([MEAN], start=31 if how == "mark" else 60, marks=marks))
        assert closed.detail["cause"] == "gap"
        assert groups.state("g0")["points_since_clear"] == 1
        assert groups.state("g0")["value"] == 0.0


def test_another_recipe_clears_memory_and_is_not_judged():
    """A vector never mixes two recipes; under a foreign one the group says cannot judge."""
    groups = Groups(line_of(group_of(limit=5.0, recipe="a")))
    batch = batch_of(np.full((4, 3), 99.0))
    batch.recipe[:] = np.repeat([recipe_code("a"), recipe_code("b"), recipe_code("b"), -1], 3)
    events = groups.update(batch)
    assert [event.type for event in events] == ["finding", "finding_closed"]
    assert events[1].detail["cause"] == "recipe"
    assert events[1].row == 3
    state = groups.state("g0")
    assert (state["points"], state["other_recipe"]) == (1, 9)
    assert state["verdict"] == "cannot judge"


def test_reset_equals_a_fresh_start():
    """After a reset with cause the statistics are those of a new detector."""
    groups, fresh = (Groups(line_of(group_of("mewma", limit=9.0))) for _ in range(2))
    groups.update(batch_of(normal(30, shift=2.0)))
    (closed,) = groups.reset("g0", "tool")
    assert closed.detail["cause"] == "tool"
    late = batch_of(normal(20, seed=5), start=31)
    groups.update(late)
    fresh.update(late)
    assert groups.plotted("g0", 20) == fresh.plotted("g0", 20)
    assert groups.reset("nobody", "tool") == []


def test_follow_keeps_unchanged_groups():
    """A group whose settings changed starts fresh and closes; a group that did not goes on."""
    first = line_of(group_of(limit=5.0), group_of("mewma", limit=9.0, id="m"))
    old = Groups(first)
    old.update(batch_of(normal(30, shift=2.0)))
    new = Groups(line_of(group_of("mewma", limit=9.0, id="m"), group_of(limit=6.0)))
    closed = new.follow(old)
    assert [event.sensor for event in closed] == ["group/g0"]
    assert new.state("g0")["verdict"] == "cannot judge"
    assert new.state("m") == old.state("m")
    assert [e.id for e in new.open_findings(0)] == [e.id for e in old.open_findings(1)]
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(new.snapshot()))
    again = Groups(line_of(group_of("mewma", limit=9.0, id="m"), group_of(limit=6.0)))
    again.restore(state)
    assert again.state("m") == old.state("m")


def run_lengths(shift, runs, seed=1, groups=400, **settings):
    """Run lengths through the detector: many equal groups side by side, each run from zero state."""
    members = 2
    index = line_of(
        *(group_of(members=members, number=i, **settings) for i in range(groups)),
        sensors=groups * members,
    )
    detector = Groups(index)
    lower = np.linalg.cholesky(COVARIANCE[:members, :members])
    away = lower @ np.array([shift, 0.0]) + MEAN[:members]
    rng = np.random.default_rng(seed)
    each, second = runs // groups, 0
    done, length, lengths = np.zeros(groups, int), np.zeros(groups, int), []
    fresh = np.zeros(groups, bool)
    while (done < each).any():
        second += 1
        x = rng.standard_normal((groups, members)) @ lower.T + away
        marks = np.where(np.repeat(fresh, members), Mark.AFTER_GAP, 0)
        at = np.full(x.size, second * S)
        events = detector.update(Batch.of(np.arange(x.size), at, x.ravel(), marks=marks))
        length += 1
        fresh[:] = False
        for event in events:
            if event.type == "finding":
                g = int(event.detail["group"][1:])
                if done[g] < each:
                    lengths.append(length[g])
                done[g] += 1
                length[g], fresh[g] = 0, True
    return np.mean(lengths), np.std(lengths) / np.sqrt(len(lengths))


@pytest.mark.parametrize(
    ("shift", "arl", "runs"),
    [(0.0, 200.0, 1200), (0.5, 28.18, 2000), (1, 10.13, 4000), (2, 4.4, 4000)],
)
def test_mewma_run_length(shift, arl, runs):
    """Two variables, lambda 0.1, fixed limit 8.634: the run lengths of the Markov chain."""
    mean, error = run_lengths(shift, runs, kind="mewma", limit=8.634)
    assert abs(mean - arl) < 3 * error + 0.005


@pytest.mark.parametrize(("shift", "runs"), [(0.0, 1200), (0.5, 1200), (1.0, 2000), (2.0, 4000)])
def test_t2_run_length(shift, runs):
    """Known parameters: T2 is noncentral chi-squared, so the run length is 1/P(beyond)."""

    mean, error = run_lengths(shift, runs, kind="t2", alpha=0.01)
    assert abs(mean - 1 / ncx2.sf(9.2103404, 2, max(shift**2, 1e-12))) < 3 * error


def test_components_run_length():
    """All components kept: PCA has the run length of T2."""
    mean, error = run_lengths(1.0, 2000, kind="pca", alpha=0.01, components=2)
    other, _ = run_lengths(1.0, 2000, kind="t2", alpha=0.01)
    assert mean == pytest.approx(other)
    assert error > 0


@pytest.mark.parametrize(
    ("settings", "key", "words"),
    [
        ({"sensors": ["s/k0", "s/k1", "s/k9"]}, "sensors", "no such sensor"),
        ({"sensors": ["s/k0", "s/k1", "s/k1"]}, "sensors", "named twice"),
        ({"mean": [1.0]}, "mean", "1 numbers for 3 sensors"),
        ({"sigma": []}, "sigma", "missing"),
        ({"correlation": []}, "correlation", "missing"),
        ({"correlation": [[1.0, 0.5], [0.5, 1.0]]}, "correlation", "3 rows of 3"),
        ({"correlation": COVARIANCE.tolist()}, "correlation", "not 1 on its diagonal"),
        (
            {"correlation": [[1, 0.6, 0], [0.5, 1, 0], [0, 0, 1]]},
            "correlation",
            "not symmetric at s/k0",
        ),
        ({"correlation": [[1, 1, 0], [1, 1, 0], [0, 0, 1]]}, "correlation", "singular"),
        (
            {"correlation": [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]},
            "correlation",
            "positive",
        ),
        ({"components": 4}, "components", "more than the 3 sensors"),
        ({"m": 4}, "m", "too small"),
    ],
)
def test_problems(settings, key, words):
    """What keeps a group from being judged is said with its key, and the detector refuses it."""
    group = group_of("pca", **settings)
    (trouble,) = problems_of(group, line_of())
    assert trouble.key == key
    assert words in trouble.message
    assert trouble.allowed
    with pytest.raises(ConfigError, match=f"group.g0.{key}"):
        Groups(line_of(group))


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.CHARACTERISTIC])
def test_roles_that_are_no_members(role):
    """Slow covariates, set-points, counters and states are no monitored variables."""
    troubles = problems_of(group_of(), line_of(role=role))
    assert [trouble.key for trouble in troubles] == ["sensors"] * 3
    assert all(str(role) in trouble.message for trouble in troubles)


def test_small_baseline_is_a_warning():
    """Fewer than ten vectors per sensor warn, and are judged with the limit of phase II."""
    group = group_of(m=20)
    (trouble,) = problems_of(group, line_of())
    assert trouble.severity == "warning"
    assert judge_of(group).limit == pytest.approx(t2_phase2_limit(20, 3, 0.0027))
    assert problems_of(group_of(m=20, limit=30.0), line_of()) == []


def test_groups_that_learn_are_left_to_others():
    """A group of kind anomaly needs no numbers and is not judged here."""
    group = Group(id="a", kind="anomaly", sensors=["s/k0", "s/k1"])
    index = line_of(group, group_of(limit=5.0))
    assert problems_of(group, index) == []
    groups = Groups(index)
    assert groups.state("a") is None
    assert groups.state(0) is None
    assert groups.plotted("a", 10) is None
    assert groups.state(1)["group"] == "g0"
