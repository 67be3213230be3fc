"""Mathematics of several variables, and baselines fitted to them."""

from __future__ import annotations

from itertools import combinations

import msgspec
import numpy as np
import pytest

from twin.detectors.spc import multivariate as mv
from twin.detectors.spc.groups_model import problems_of
from twin.detectors.spc.multivariate_model import Model, fit
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Group, Line, Sensor, Station

NAMES = ["a", "b", "c", "d"]
COVARIANCE = np.array(
    [[4.0, 1.2, 0.4, 0.0], [1.2, 1.0, 0.1, 0.2], [0.4, 0.1, 9.0, -1.0], [0.0, 0.2, -1.0, 2.0]]
)
LEFT = np.linspace(1.0, 0.1, 17)


def normal(n, seed=1):
    return np.random.default_rng(seed).multivariate_normal([1, 2, 3, 4], COVARIANCE, n)


def test_limits_of_t2():
    """Fifty vectors of four variables at 0.005: beta, F and chi-squared limits to printed precision."""
    assert mv.t2_phase1_limit(50, 4, 0.005) == pytest.approx(13.2657, abs=5e-5)
    assert mv.t2_phase2_limit(50, 4, 0.005) == pytest.approx(18.6032, abs=5e-5)
    assert mv.t2_known_limit(4, 0.005) == pytest.approx(14.8603, abs=5e-5)
    assert mv.t2_phase2_rate(14.8603, 50, 4) == pytest.approx(0.0157, abs=5e-5)
    assert mv.t2_phase2_rate(18.6032, 50, 4) == pytest.approx(0.005, rel=1e-4)


def test_subgroup_limits_hold():
    """Simulated subgroups of five exceed the limits of both phases as often as they should."""
    rng = np.random.default_rng(3)
    m, n, p, alpha = 20, 5, 3, 0.05
    first, second = [], []
    for _ in range(1500):
        x = rng.standard_normal((m, n, p))
        means = x.mean(axis=1)
        pooled = np.mean([mv.sample_covariance(group) for group in x], axis=0)
        centre = means.mean(axis=0)
        first.append(n * mv.t2(means, centre, pooled))
        second.append(n * mv.t2(rng.standard_normal((20, p)) / np.sqrt(n), centre, pooled))
    one = np.mean(np.array(first) > mv.t2_subgroup_phase1_limit(m, n, p, alpha))
    two = np.mean(np.array(second) > mv.t2_subgroup_phase2_limit(m, n, p, alpha))
    assert one == pytest.approx(alpha, abs=0.004)
    assert two == pytest.approx(alpha, abs=0.004)


@pytest.mark.parametrize("phase", [1, 2])
def test_simulated_limit_agrees_with_theory(phase):
    """For the sample covariance, where theory is exact, the simulation finds the same limit."""
    limit, error = mv.t2_simulated_limit(30, 3, 0.02, phase=phase, estimator="sample")
    exact = (mv.t2_phase1_limit if phase == 1 else mv.t2_phase2_limit)(30, 3, 0.02)
    assert abs(limit - exact) < 4 * error
    assert error < 0.02 * exact
    assert mv.t2_simulated_limit(30, 3, 0.02, phase=phase, estimator="sample") == (limit, error)


def test_differences_are_not_widened_by_drift():
    """A drifting mean doubles the sample covariance and leaves that of the differences alone."""
    x = normal(4000)
    drift = x + np.linspace(0, 8, 4000)[:, None]
    assert mv.difference_covariance(drift) == pytest.approx(COVARIANCE, abs=0.5)
    assert mv.sample_covariance(drift)[1, 1] > 5
    assert mv.sample_covariance(x) == pytest.approx(np.cov(x.T))


def test_shrinkage_follows_ledoit_and_wolf():
    """The weight is the noise of the covariance over its distance from the target."""
    x = np.random.default_rng(5).standard_normal((15, 6)) @ np.diag([1, 1, 2, 1, 1, 3.0])
    shrunk, weight = mv.ledoit_wolf(x)
    off = x - x.mean(axis=0)
    s = off.T @ off / 15
    target = np.trace(s) / 6 * np.eye(6)
    noise = sum(np.sum((np.outer(row, row) - s) ** 2) for row in off) / 15**2
    assert weight == pytest.approx(noise / np.sum((s - target) ** 2))
    assert shrunk == pytest.approx((1 - weight) * s + weight * target)
    assert np.linalg.cond(shrunk) < np.linalg.cond(s)


def test_terms_of_mason_young_tracy():
    """Every ordering of the terms adds up to T2; conditional terms are T2 without the variable."""
    mean, x = np.array([1.0, 2, 3, 4]), np.array([4.0, 1.5, 7.0, 3.0])
    whole = float(mv.t2(x, mean, COVARIANCE)[0])
    terms = {(t.variable, t.given): t for t in mv.decomposition(x, mean, COVARIANCE, m=60)}
    assert len(terms) == 4 * 2**3
    total = terms[2, ()].value + terms[0, (2,)].value + terms[3, (0, 2)].value
    assert total + terms[1, (0, 2, 3)].value == pytest.approx(whole)
    against = mv.conditional_terms(x, mean, COVARIANCE)
    for j in range(4):
        rest = [i for i in range(4) if i != j]
        less = float(mv.t2(x[rest], mean[rest], COVARIANCE[np.ix_(rest, rest)])[0])
        assert against[j] == pytest.approx(whole - less)
        assert terms[j, tuple(rest)].value == pytest.approx(whole - less)
    alone = mv.unconditional_terms(x, mean, COVARIANCE)
    assert [terms[j, ()].value for j in range(4)] == pytest.approx(alone)
    values = [t.value for t in mv.decomposition(x, mean, COVARIANCE)]
    assert values == sorted(values, reverse=True)
    assert terms[0, ()].limit < terms[0, (1,)].limit
    assert all(set(pair) <= set(range(4)) for pair in combinations(range(4), 2))


def test_limit_of_a_conditional_term():
    """The published limit is a little too small, because it ignores how far the given ones are out."""
    rng = np.random.default_rng(9)
    hits = []
    for _ in range(3000):
        x = rng.standard_normal((25, 3))
        terms = mv.decomposition(
            rng.standard_normal(3), x.mean(axis=0), mv.sample_covariance(x), m=25, alpha=0.05
        )
        hits += [t.value > t.limit for t in terms if len(t.given) == 2]
    assert 0.05 < np.mean(hits) < 0.07


@pytest.mark.parametrize(("alpha", "limit"), [(0.05, 16.009), (0.01, 19.984), (0.001, 25.269)])
def test_limit_of_the_residual(alpha, limit):
    """Jackson and Mudholkar with sums of powers: 17 eigenvalues from 1 to 0.1."""
    found, h0 = mv.jackson_mudholkar_limit(LEFT, alpha)
    assert found == pytest.approx(limit, abs=5e-4)
    assert h0 == pytest.approx(0.253, abs=5e-4)
    assert mv.box_limit(LEFT, alpha) == pytest.approx(limit, rel=0.04)


@pytest.mark.parametrize("left", [[0.7], [3.0, 0.1, 0.1, 0.1], [1.0] * 5, LEFT])
def test_residual_limit_is_exceeded_as_often_as_asked(left):
    """Simulated residuals exceed the limit at about the probability it was made for."""
    rng = np.random.default_rng(2)
    spe = (rng.standard_normal((200_000, len(left))) ** 2) @ np.asarray(left)
    limit, _ = mv.jackson_mudholkar_limit(left, 0.01)
    assert np.mean(spe > limit) == pytest.approx(0.01, abs=0.0015)
    assert np.mean(spe > mv.box_limit(left, 0.01)) == pytest.approx(0.01, abs=0.004)


def test_residual_limit_where_h0_is_negative():
    """The normal quantile changes sign with h0; where the bracket ends there is no limit."""
    left = [5.0] + [0.02] * 400
    limit, h0 = mv.jackson_mudholkar_limit(left, 0.01)
    assert h0 < 0
    assert np.isnan(limit) or limit > sum(left)


def test_no_residual_without_variance():
    """Nothing left is a message, not a limit of zero."""
    with pytest.raises(ValueError, match="fewer components"):
        mv.box_limit([], 0.01)


@pytest.mark.parametrize(
    ("p", "limits"),
    [
        (2, [7.347, 8.634, 9.648, 10.083]),
        (4, [11.211, 12.723, 13.864, 14.336]),
        (10, [20.701, 22.656, 24.058, 24.612]),
    ],
)
def test_limit_of_the_mewma(p, limits):
    """h4 for ARL0 200 and lambda 0.05, 0.1, 0.2, 0.3."""
    found = [mv.mewma_limit(p, weight, 200.0) for weight in (0.05, 0.1, 0.2, 0.3)]
    assert found == pytest.approx(limits, abs=6e-4)
    assert mv.mewma_limit(p, 1.0, 200.0) == pytest.approx(mv.t2_known_limit(p, 1 / 200), abs=1e-2)


def test_fit_in_control():
    """A normal baseline: rates by theory and on vectors not used agree, and the record says so."""
    model = fit(normal(4000), NAMES, ["mm"] * 4, alpha=0.01)
    assert (model.m, model.held_out, model.shrinkage) == (3000, 1000, 0.0)
    assert model.theory_rate == 0.01
    assert model.observed_rate == pytest.approx(0.01, abs=0.01)
    assert model.limits["t2"] == pytest.approx(mv.t2_phase2_limit(3000, 4, 0.01))
    assert model.beyond_phase1 == pytest.approx(30, abs=17)
    assert model.warnings == ()
    assert np.array(model.covariance) == pytest.approx(COVARIANCE, abs=0.6)


def test_fit_tells_when_data_are_not_independent():
    """A MEWMA on strongly autocorrelated data signals far more often than planned: a warning."""
    x = normal(3000)
    for t in range(1, len(x)):
        x[t] = 0.9 * x[t - 1] + 0.43589 * x[t]
    model = fit(x, NAMES, kind="mewma", arl0=200.0)
    assert model.observed_rate > 5 * model.theory_rate
    assert "not independent" in model.warnings[0]


@pytest.mark.parametrize("kind", ["t2", "mewma", "pca"])
def test_record_survives_storage(kind):
    """To a plain dict and back, through JSON, nothing changes; the group it makes has no problems."""
    model = fit(normal(400), NAMES, kind=kind, components=0.8)
    plain = msgspec.json.decode(msgspec.json.encode(model.to_dict()))
    assert Model.from_dict(plain) == model
    station = Station(id="s", sensor=[Sensor(key=name) for name in NAMES])
    rows = [SensorRow(i, f"s/{x.key}", station, x) for i, x in enumerate(station.sensor)]
    index = LineIndex(Line(), "0" * 16, rows, {row.id: row for row in rows})
    group = Group(id="g", sensors=[row.id for row in rows], **model.group())
    assert problems_of(group, index) == []
    with pytest.raises(ValueError, match="no multivariate baseline"):
        Model.from_dict({"kind": kind})


def test_components_by_share_and_by_kaiser():
    """The number of components, what it was chosen by and what it explains stand in the record."""
    by_share = fit(normal(400), NAMES, kind="pca", components=0.8)
    assert by_share.chosen_by == "explained variance 0.8"
    assert by_share.explained >= 0.8
    kaiser = fit(normal(400), NAMES, kind="pca")
    assert kaiser.components == sum(value > 1 for value in kaiser.eigenvalues)
    whole = fit(normal(400), NAMES, kind="pca", components=4)
    assert set(whole.limits) == {"t2"}
    assert whole.explained == pytest.approx(1.0)
    assert set(by_share.statistics(normal(3))) == {"t2", "spe"}
    for wrong in (0, 5, -0.5):
        with pytest.raises(ValueError, match="allowed: 1 to 4"):
            fit(normal(400), NAMES, kind="pca", components=wrong)


def test_differences_say_that_their_limits_are_simulated():
    """Limits of successive differences come from seeded simulation, with its error."""
    model = fit(normal(60), NAMES, estimator="differences", alpha=0.02)
    assert "simulated (seed 1" in model.limits_from
    assert model.limits["t2"] > mv.t2_phase2_limit(model.m, 4, 0.02)


@pytest.mark.parametrize("kind", ["t2", "pca"])
def test_few_vectors_shrink(kind):
    """Below ten vectors per variable the covariance shrinks and the limit comes from left-out data."""
    rng = np.random.default_rng(4)
    mix = rng.standard_normal((8, 8))
    beyond = []
    for seed in range(12):
        x = np.random.default_rng(seed).standard_normal((60, 8)) @ mix
        other = np.random.default_rng(100 + seed).standard_normal((500, 8)) @ mix
        model = fit(x, list("abcdefgh"), kind=kind, alpha=0.01, held_out=other)
        assert 0 < model.shrinkage < 1
        assert "left out" in model.limits_from
        assert "shrunk" in model.warnings[0]
        beyond.append(model.observed_rate)
    assert 0.003 < np.mean(beyond) < 0.05


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:4], "4 vectors for 4 variables"),
        (lambda x: np.column_stack([x[:, :3], np.full(len(x), 7.0)]), "d never changes"),
        (
            lambda x: np.column_stack([x[:, :3], x[:, 0] - 2 * x[:, 1]]),
            "a, b, d determine each other",
        ),
        (lambda x: x[:, :3], "4 names"),
    ],
)
def test_what_cannot_be_fitted_says_why(change, words):
    """Constant and dependent columns and too few vectors are refused with a proposal."""
    with pytest.raises(ValueError, match=words):
        fit(change(normal(200)), NAMES, held_out=0.0)


def test_missing_values_are_dropped_and_counted():
    """A vector that lacks a variable is no vector."""
    x = normal(200)
    x[5, 1] = np.nan
    model = fit(x, NAMES, held_out=0.0)
    assert (model.m, model.dropped) == (199, 1)
    assert model.observed_rate is None
    assert "unknown" in model.warnings[0]


def test_singular_covariance_is_refused():
    """A statistic of a covariance that is not positive definite is a message, not a number."""
    with pytest.raises(ValueError, match="not positive definite"):
        mv.t2([1.0, 1.0], [0.0, 0.0], [[1.0, 1.0], [1.0, 1.0]])
    with pytest.raises(ValueError, match="3 vectors of 4"):
        mv.t2_phase2_limit(3, 4, 0.01)
    with pytest.raises(ValueError, match="13 variables"):
        mv.decomposition(np.zeros(13), np.zeros(13), np.eye(13))
