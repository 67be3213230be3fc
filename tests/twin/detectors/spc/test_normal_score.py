"""Normal scores of t values against another program."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from twin.detectors.spc.normal_score import normal_score, t_tail

T = [1e-9, 1e-3, 0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 30.0, 1e3]


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 15, 19, 20, 21, 50, 200, 5000])
def test_scores(df):
    """Both sides, from the middle to the far tail, for few and many degrees of freedom."""
    for t in T:
        p = stats.t.sf(t, df)
        if p > 1e-290:
            expected = stats.norm.isf(p)
            assert normal_score(t, float(df)) == pytest.approx(expected, rel=1e-7, abs=1e-9)
            assert normal_score(-t, float(df)) == -normal_score(t, float(df))


@pytest.mark.parametrize("df", [1, 2, 5, 40])
def test_tail(df):
    """The tail probability is that of the t distribution."""
    for t in T:
        assert t_tail(t, float(df)) == pytest.approx(stats.t.sf(t, df), rel=1e-9)
    assert t_tail(0.0, float(df)) == 0.5


def test_extremes():
    """Zero is zero, and no value is so far that the score is no number."""
    assert normal_score(0.0, 3.0) == 0.0
    for t in (1e150, 1e308, np.inf):
        assert 20.0 < normal_score(t, 1.0) <= 37.0
        assert normal_score(-t, 30.0) == -37.0
