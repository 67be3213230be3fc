"""The map that makes plotted points standard normal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from twin.detectors.spc import normalise

HEAVY = stats.t(3)


def test_knots_rise_in_both():
    """A map goes up everywhere, so that it can be turned around and never hides an extreme."""
    points = HEAVY.rvs(1000, random_state=1)

    x, y = np.array(normalise.shape_of(points)).T

    assert (np.diff(x) > 0).all()
    assert (np.diff(y) > 0).all()


def test_scores_of_the_fitted_points_are_standard():
    """Mean 0 and deviation 1 on what was fitted, so that an EWMA of scores starts on its centre."""
    points = HEAVY.rvs(2000, random_state=2)

    scores = normalise.scores(points, normalise.shape_of(points))

    assert abs(scores.mean()) < 1e-9
    assert scores.std() == pytest.approx(1.0)


LAWS = {
    "t3": (stats.t(3), 0.75, 1.35),
    "laplace": (stats.laplace(), 0.75, 1.35),
    "normal": (stats.norm(), 0.75, 1.35),
    # Tails that end are drawn towards exponential ones, which errs on the quiet side.
    "uniform": (stats.uniform(-1, 2), 0.0, 1.1),
    "exponential": (stats.expon(-1), 0.3, 1.1),
}


@pytest.mark.parametrize("name", LAWS)
def test_three_sigma_means_what_it_says(name):
    """Of new points as many are beyond three sigma as of normal ones, whatever the tails are."""
    law, low, high = LAWS[name]
    outside = []
    for seed in range(20):
        old, new = np.split(law.rvs(24_000, random_state=seed), [4000])
        scores = normalise.scores(new, normalise.shape_of(old))
        outside.append(np.mean(np.abs(scores) > 3.0))

    assert low <= np.mean(outside) / 0.0027 < high


def test_coarse_values_keep_their_order():
    """Values of a few steps each get the score of their middle rank."""
    points = np.repeat([-2.0, -1.0, 0.0, 1.0, 2.0], [20, 80, 200, 80, 20])

    scores = normalise.scores(np.unique(points), normalise.shape_of(points))

    assert (np.diff(scores) > 0).all()
    assert scores[2] == pytest.approx(0.0, abs=1e-9)
    assert scores[3] == pytest.approx(-scores[1])


def test_too_little_is_refused():
    """Tails are not invented from a handful of points or from two values."""
    with pytest.raises(ValueError, match="199 points; expected 200"):
        normalise.shape_of(np.arange(199.0))
    with pytest.raises(ValueError, match="2 different values"):
        normalise.shape_of(np.tile([0.0, 1.0], 200))


def test_no_map_changes_nothing():
    """Without knots points stay what they are."""
    assert normalise.scores(np.array([1.0, 2.0]), []).tolist() == [1.0, 2.0]
