"""Tests of equal variances against another program."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from twin.detectors.spc.equal_variances import equal_variances


def groups(scales, seed=1, n=25):
    rng = np.random.default_rng(seed)
    return [rng.normal(10 * i, scale, n + i) for i, scale in enumerate(scales)]


@pytest.mark.parametrize("scales", [(1, 1, 1), (1, 1.3, 0.8), (1, 3)])
def test_same_answer_as_another_program(scales):
    """Levene with medians and Bartlett, statistic and p."""
    data = groups(scales)
    found = equal_variances(data)
    expected = stats.levene(*data, center="median")
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    found = equal_variances(data, test="bartlett")
    expected = stats.bartlett(*data)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_verdict():
    """Three times the scatter is found, the same scatter is not."""
    assert equal_variances(groups((1, 3))).p < 0.001
    assert equal_variances(groups((1, 1))).p > 0.05


@pytest.mark.parametrize("test", ["levene", "bartlett"])
@pytest.mark.parametrize(
    "data", [[[1.0, 2.0, 3.0]], [[1.0], [1.0, 2.0, 3.0]], [[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]]]
)
def test_too_little_is_refused(test, data):
    """One group, one value or no scatter cannot be compared."""
    with pytest.raises(ValueError, match="allowed"):
        equal_variances(data, test=test)
