"""Points that lie on a limit in decimal numbers are inside, whatever binary rounding makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.detectors.spc import Charts
from twin.model.batch import Batch
from twin.model.index import LineIndex

Build = Callable[..., LineIndex]
Values = Callable[[Sequence[float]], Batch]

CENT = Decimal("0.01")


@pytest.mark.parametrize(
    ("chart", "points"),
    [
        ({"centre": 20.9, "sigma": 0.02, "rules": "nelson"}, [20.96, 20.84]),
        ({"centre": 0.3, "sigma": 0.01, "rules": "western_electric"}, [0.1 + 0.2] * 12),
        ({"centre": 0.3, "sigma": 1e-12, "rules": "western_electric"}, [0.1 + 0.2] * 12),
        ({"centre": 20.9, "sigma": 0.02, "ewma_lambda": 1.0, "ewma_l": 3.0}, [20.96, 20.84]),
        ({"centre": 0.3, "sigma": 0.1, "cusum_k": 0.5, "cusum_h": 4.0}, [0.4] * 8),
        ({"centre": 0.3, "sigma": 0.1, "cusum_k": 0.5, "cusum_h": 4.0}, [0.2] * 8),
        ({"centre": 1e9, "sigma": 1e-3, "rules": "nelson"}, [1e9 + 0.003, 1e9 - 0.003]),
        (
            {"centre": 1e9, "sigma": 1e-3, "ewma_lambda": 1.0, "ewma_l": 3.0},
            [1e9 + 0.003, 1e9 - 0.003],
        ),
        ({"centre": 1e9, "sigma": 1e-3, "cusum_k": 0.5, "cusum_h": 4.0}, [1e9 + 0.001] * 8),
    ],
)
def test_on_the_limit_is_inside(
    charted: Build, values: Values, chart: dict[str, object], points: list[float]
) -> None:
    """Rules, EWMA and CUSUM, also where the centre line is large against sigma."""
    assert Charts(charted(**chart)).update(values(points)) == []


@pytest.mark.parametrize(
    ("chart", "points", "rule"),
    [
        ({"rules": "shewhart"}, [1e9 + 0.0031], "rule1"),
        ({"rules": None, "ewma_lambda": 1.0, "ewma_l": 3.0}, [1e9 + 0.0031], "ewma"),
        ({"rules": None, "cusum_k": 0.5, "cusum_h": 4.0}, [1e9 + 0.001] * 9, "cusum"),
    ],
)
def test_beyond_the_limit_of_a_large_centre_line(
    charted: Build, values: Values, chart: dict[str, object], points: list[float], rule: str
) -> None:
    """The slack for rounding hides nothing that a tenth of sigma shows."""
    index = charted(centre=1e9, sigma=1e-3, **chart)
    assert [event.rule for event in Charts(index).update(values(points))] == [rule]


def test_the_onset_of_a_sum_is_behind_a_sum_of_nothing(charted: Build, values: Values) -> None:
    """A CUSUM that is 0 in decimal numbers has not begun."""
    index = charted(centre=0.3, sigma=0.1, cusum_k=0.5, cusum_h=4.0)
    (event,) = Charts(index).update(values([0.35] * 5 + [0.8]))
    assert (event.detail["n_first"], event.detail["statistic"]) == (6, pytest.approx(4.5))


@given(
    centre=st.integers(-10_000, 10_000),
    sigma=st.integers(1, 500),
    k=st.sampled_from([1, 2, 3]),
    side=st.sampled_from([1, -1]),
)
def test_two_decimals(
    charted: Build, values: Values, centre: int, sigma: int, k: int, side: int
) -> None:
    """At centre +- k sigma a point is never beyond; a millionth of sigma further it is."""
    middle, scatter = centre * CENT, sigma * CENT
    on = middle + side * k * scatter
    further = on + side * scatter * Decimal("1e-6")
    chart = {
        "centre": float(middle), "sigma": float(scatter), "ewma_lambda": 1.0, "ewma_l": float(k),
        "cusum_k": 0.5, "cusum_h": k - 0.5,
    }  # fmt: skip
    index = charted(**chart)
    assert Charts(index).update(values([float(on)])) == []
    events = Charts(index).update(values([float(further)]))
    assert [event.rule for event in events] == ["ewma", "cusum"]


@given(
    centre=st.integers(-10_000, 10_000), sigma=st.integers(1, 500), side=st.sampled_from([1, -1])
)
def test_two_decimals_of_run_rules(
    charted: Build, values: Values, centre: int, sigma: int, side: int
) -> None:
    """Every zone of the Western Electric rules, and the centre line, count strictly."""
    middle, scatter = centre * CENT, sigma * CENT
    for k, points, rule in ((3, 1, "rule1"), (2, 2, "rule5"), (1, 4, "rule6"), (0, 8, "rule2")):
        on = middle + side * k * scatter
        index = charted(centre=float(middle), sigma=float(scatter), rules="western_electric")
        assert rule not in _rules(index, values, float(on), points)
        further = on + side * scatter * Decimal("1e-6")
        assert rule in _rules(index, values, float(further), points)


def _rules(index: LineIndex, values: Values, point: float, count: int) -> set[str]:
    """All rules that were true with any of some equal points."""
    charts = Charts(index)
    charts.update(values([point] * count))
    shown = charts.plotted(0, count)
    assert shown is not None
    return {rule for rules in shown["rules"] for rule in rules}
