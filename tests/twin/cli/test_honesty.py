"""Default charts do not cry wolf: fitted, put into force and judged as the line does it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twin.cli.benches import honesty


@pytest.mark.parametrize("phi", honesty.PHIS)
def test_findings_on_correlated_data_are_those_of_chance(phi):
    """Observed over nominal stays between 0.8 and 1.5 for every correlation, with one setting."""
    found = [honesty.judge(honesty.ar1(phi, seed)) for seed in range(10)]

    ratio = sum(v.findings for v in found) / sum(v.by_chance for v in found)
    assert 0.8 < ratio < 1.5


def test_a_shift_after_the_baseline_is_found():
    """Quiet is not blind: a step of five sigma in correlated data is found at once."""
    calm = honesty.ar1(0.5, 1)
    value = calm.value.copy()
    value[calm.fit + 100 :] += 6.0
    before, after = honesty.judge(calm), honesty.judge(replace(calm, value=value))

    assert after.findings > before.findings


def test_stretches_lie_between_labels():
    """Rows in a row without a label, long enough to fit and to judge."""
    free = np.ones(3000, bool)
    free[1500:1600] = False
    free[2000] = False
    time_ns = np.arange(3000) * 10**9

    found = list(honesty.stretches("x", time_ns, np.zeros(3000), free))

    assert [(len(s.value), s.fit) for s in found] == [(1500, 750), (999, 499)]


def test_unstable_start_is_told():
    """A stretch whose first half changes its scatter is refused, not counted as honest."""
    calm = honesty.ar1(0.0, 1)
    value = calm.value * np.where(np.arange(len(calm.value)) < 1000, 1.0, 3.0)

    assert "scatter" in honesty.judge(replace(calm, value=value)).failed


@pytest.mark.parametrize("name", ["nab", "skab"])
def test_recordings_between_their_labels(name, root):
    """The same on published recordings: pooled ratio and median near chance."""
    place = Path(os.environ.get("LINETWIN_BENCHMARKS", root / "../shared/benchmarks")).resolve()
    if not (place / name).is_dir():
        pytest.skip(f"recordings not found at {place / name} (set LINETWIN_BENCHMARKS)")
    figure = honesty.real(name, place / name)

    assert 0.8 < figure.value < 1.5
    assert figure.conditions["passed_phase_1"] > 10
