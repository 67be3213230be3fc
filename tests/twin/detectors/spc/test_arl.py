"""Average run lengths through the real kernel, against exact or published values.

Every sensor is one run; a run ends with its first finding. Seeds are fixed, so a test that passes
passes always; the tolerance is three standard errors of the simulation.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from twin.detectors.spc import PRESETS, Charts, Kind, Rule, RuleSet
from twin.model.batch import Batch

RUNS = 3000
S = 1_000_000_000
pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") != "0",
    reason="millions of samples need compiled kernels (NUMBA_DISABLE_JIT is set)",
)
OWN = {
    "trend6": RuleSet(name="trend6", rules=(Rule(id="rule3", kind=Kind.TREND, points=6),)),
    "alternate14": RuleSet(
        name="alternate14", rules=(Rule(id="rule4", kind=Kind.ALTERNATE, points=14),)
    ),
    "shewhart_2of3": RuleSet(
        name="shewhart_2of3",
        rules=(
            Rule(id="rule1", kind=Kind.BEYOND, points=1, sigma=3.0),
            Rule(id="rule5", kind=Kind.BEYOND, points=3, k=2, sigma=2.0),
        ),
    ),
}


def run_lengths(index, shift, seed, **options):
    """Points to the first finding of each run."""
    charts = Charts(index, rule_sets=PRESETS | OWN, points=60, **options)
    rng = np.random.default_rng(seed)
    lengths = np.zeros(RUNS)
    alive = np.arange(RUNS)
    done, points = 0, 8
    while len(alive):
        values = rng.normal(shift, 1.0, (points, len(alive)))
        times = np.repeat(np.arange(done, done + points) * S, len(alive))
        for event in charts.update(Batch.of(np.tile(alive, points), times, values.ravel())):
            sensor = int(event.sensor[3:])
            if event.type == "finding" and not lengths[sensor]:
                lengths[sensor] = event.detail["n_last"]
        alive = alive[lengths[alive] == 0]
        done += points
        points = max(8, min(100, 100_000 // max(1, len(alive))))
    return lengths


def check(lengths, expected):
    error = lengths.std(ddof=1) / np.sqrt(RUNS)
    assert lengths.mean() == pytest.approx(expected, abs=3 * error)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_in_control(charted, name):
    """The false-alarm rate of a preset is the one it states."""
    check(run_lengths(charted(RUNS, rules=name), 0.0, 6), PRESETS[name].arl0)


@pytest.mark.parametrize(("name", "expected"), [("trend6", 421.60), ("alternate14", 601.0)])
def test_own_sets_in_control(charted, name, expected):
    """Trend and alternation alone count points, not steps."""
    check(run_lengths(charted(RUNS, rules=name), 0.0, 2), expected)


@pytest.mark.parametrize(
    ("name", "shift", "expected"),
    [
        ("shewhart", 0.6, 119.67),
        ("shewhart", 1.0, 43.89),
        ("shewhart", 2.0, 6.30),
        ("shewhart", 3.0, 2.00),
        ("shewhart_2of3", 0.6, 57.92),
        ("shewhart_2of3", 1.0, 20.01),
        ("shewhart_2of3", 2.0, 3.65),
        ("western_electric", 0.2, 66.80),
        ("western_electric", 0.6, 20.91),
        ("western_electric", 1.0, 9.22),
        ("western_electric", 2.0, 3.13),
        ("western_electric", 3.0, 1.67),
        ("nelson", 1.0, 9.63),
        ("westgard", 1.0, 12.97),
        ("ihi", 1.0, 14.4),
    ],
)
def test_rules_after_a_shift(charted, name, shift, expected):
    """Detection times of run rules (Champ and Woodall 1987, Technometrics 29, 393-399)."""
    check(run_lengths(charted(RUNS, rules=name), shift, 3), expected)


@pytest.mark.parametrize(
    ("weight", "distance", "limits", "shift", "expected"),
    [
        (0.2, 2.962, "fixed", 0.0, 499.74),
        (0.2, 2.962, "fixed", 1.0, 10.54),
        (0.1, 2.814, "fixed", 1.0, 10.33),
        (0.2, 2.962, "time-varying", 0.0, 494.39),
        (0.2, 2.962, "time-varying", 1.0, 9.55),
        (0.1, 2.814, "time-varying", 0.5, 28.51),
        (0.1, 2.814, "time-varying", 2.0, 2.64),
    ],
)
def test_ewma(charted, weight, distance, limits, shift, expected):
    """EWMA with fixed and with time-varying limits, in control and after a shift."""
    index = charted(RUNS, ewma_lambda=weight, ewma_l=distance)
    check(run_lengths(index, shift, 4, ewma_limits=limits), expected)


@pytest.mark.parametrize(
    ("h", "start", "shift", "expected"),
    [
        (5.0, "zero", 0.0, 465.44),
        (5.0, "zero", 1.0, 10.38),
        (5.0, "zero", 2.0, 4.01),
        (4.0, "zero", 0.0, 167.68),
        (4.0, "head-start", 0.0, 148.70),
        (5.0, "head-start", 1.0, 6.35),
        (5.0, "head-start", 0.5, 28.67),
    ],
)
def test_cusum(charted, h, start, shift, expected):
    """CUSUM with and without head start, in control and after a shift."""
    index = charted(RUNS, cusum_k=0.5, cusum_h=h)
    check(run_lengths(index, shift, 5, cusum_start=start), expected)
