"""Simulated recordings: the same for the same seed, labelled as the benchmark labels."""

from __future__ import annotations

import numpy as np
import pytest

from twin.cli.benches.figure import Work
from twin.cli.benches.nab import measure
from twin.cli.benches.nab_score import truth
from twin.cli.benches.nab_simulated import simulated


@pytest.fixture(scope="module")
def made():
    return simulated(7, most=1)


def test_a_seed_makes_the_same_recordings(made):
    """Another seed makes others."""
    again, labels = simulated(7, most=1)
    other, _ = simulated(8, most=1)
    assert labels == made[1]
    for first, second, third in zip(made[0], again, other, strict=True):
        assert np.array_equal(first.value, second.value)
        assert not np.array_equal(first.value[:500], third.value[:500])


def test_windows_are_a_tenth_of_a_file_behind_what_is_not_scored(made):
    """They are in the file, do not overlap, and hold something."""
    for recording in made[0]:
        known = truth(recording.times, made[1][recording.name])
        assert np.all(np.isfinite(recording.value))
        assert known.windows == len(made[1][recording.name]) >= 1
        assert 0.06 < np.mean(known.window >= 0) <= 0.11
        assert not np.any(known.window[: known.start] >= 0)


def test_the_scorer_is_judged_on_what_nothing_was_chosen_on(tmp_path, monkeypatch):
    """Kinds it was not developed on are found far better than a blind clock finds them."""
    monkeypatch.setenv("LINETWIN_BENCHMARKS", str(tmp_path / "nothing"))
    _, figure = measure(Work(folder=tmp_path, scale=0.1))
    assert figure.conditions["data"] == "simulated"
    rows = {row["name"]: row["value"] for row in figure.comparison}
    assert figure.value > 65
    assert figure.value > 2 * rows["blind clock, 16 alarms a file"]
