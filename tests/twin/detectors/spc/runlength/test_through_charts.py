"""Every chart linetwin ships speaks as often as its run length says, through the real charts.

Seeds are fixed. The short tests allow four standard errors of a few hundred runs, the long ones
(``make chaos``) three standard errors or 1 % with many more.
"""

from __future__ import annotations

import os

import pytest

from twin.detectors.spc.rules import PRESETS
from twin.detectors.spc.runlength import SHIFTS, Method, arl_rules, of_chart
from twin.detectors.spc.runlength.simulate import simulate
from twin.model.line import Chart

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") != "0",
    reason="millions of samples need compiled kernels (NUMBA_DISABLE_JIT is set)",
)

EWMA = {
    f"ewma({weight};{distance};{limits})": Chart(
        rules=None, ewma_lambda=weight, ewma_l=distance, ewma_limits=limits
    )
    for weight, distance in ((0.1, 2.814), (0.2, 2.962))
    for limits in ("fixed", "time-varying", "fir")
}
CUSUM = {
    f"cusum({k};{h};{start})": Chart(rules=None, cusum_k=k, cusum_h=h, cusum_start=start)
    for k, h in ((0.5, 5.0), (0.5, 4.0), (1.0, 2.5))
    for start in ("zero", "head-start")
}
ONE = {name: Chart(rules=name) for name in PRESETS} | EWMA | CUSUM
SEVERAL = {
    "rules + ewma": Chart(rules="shewhart", ewma_lambda=0.1, ewma_l=2.814),
    "all": Chart(rules="western_electric", ewma_lambda=0.1, ewma_l=2.814, cusum_k=0.5),
}


def expected(chart, shift):
    """The run length the product states."""
    shifts = (0.0,) if shift == 0 else (0.0, shift)
    return of_chart(chart, PRESETS.get(chart.rules or ""), shifts).together[-1]


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("name", sorted(ONE))
def test_shipped_charts(name, shift):
    """Rule sets, EWMA and CUSUM, in control and after a shift."""
    found = simulate(ONE[name], shift, runs=500, seed=11)
    assert found.method is Method.SIMULATED
    assert found.arl == pytest.approx(expected(ONE[name], shift).arl, abs=4 * found.standard_error)


@pytest.mark.chaos
@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("name", sorted(ONE))
def test_shipped_charts_for_long(name, shift):
    """The same with many runs."""
    found = simulate(ONE[name], shift, runs=20_000, seed=12)
    stated = expected(ONE[name], shift).arl
    within = max(0.01 * stated, 3 * found.standard_error)
    assert found.arl == pytest.approx(stated, abs=within)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("name", sorted(SEVERAL))
def test_bounds_of_several_statistics(name, shift):
    """Together they speak no more often than their rates add up to, and no later than the first."""
    found = simulate(SEVERAL[name], shift, runs=500, seed=13)
    bound = expected(SEVERAL[name], shift)
    if shift == 0:
        assert bound.method is Method.BOUND
        assert found.arl > bound.arl - 4 * found.standard_error
    else:
        assert bound.method is Method.AT_MOST
        assert found.arl < bound.arl + 4 * found.standard_error


@pytest.mark.parametrize("phi", [0.3, 0.8])
def test_correlated_input(phi):
    """Rules on AR(1) values, exact against the real charts."""
    found = simulate(Chart(rules="nelson"), 0.0, phi=phi, runs=500, seed=14)
    stated = arl_rules(PRESETS["nelson"], phi=phi).arl
    assert found.arl == pytest.approx(stated, abs=4 * found.standard_error)


def test_the_same_seed_gives_the_same_number():
    """Simulated numbers are reproducible, also when the runs are given up early."""
    one = simulate(Chart(rules="nelson"), runs=50, seed=1)
    assert simulate(Chart(rules="nelson"), runs=50, seed=1) == one
    cut = simulate(Chart(rules="shewhart"), runs=200, seed=1, most_samples=40_000)
    assert cut.arl == pytest.approx(370.4, abs=4 * cut.standard_error)
    assert simulate(Chart(rules=None), runs=5, most_samples=100).arl == 1e12
