"""The causal Hampel test: definition, edge cases, false-alarm rate."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.detectors import Hampel
from twin.model.batch import Batch
from twin.model.line import Chart, Sensor

S = 1_000_000_000
QUIET = [0.5, -0.5, 0.25, -0.25, 0.0]


def opened(events):
    return [event.detail["n_last"] for event in events if event.type == "finding"]


def slow(values, window, t, resolution=0.0):
    """The definition on plain lists: ordinals that open a finding."""
    found, state = [], 0
    for n, x in enumerate(values, 1):
        look = values[max(0, n - window) : n]
        side = 0
        if len(look) == window:
            median = statistics.median(look)
            scale = 1.4826 * statistics.median(abs(v - median) for v in look)
            least = 0.0
            if scale == 0:
                scale = statistics.fmean(abs(v - median) for v in look) / 0.7978845608028654
                least = resolution
            if abs(x - median) > max(t * scale, least):
                side = 1 if x > median else -1
        if side and side != state:
            found.append(n)
        state = side
    return found


@pytest.mark.parametrize("window", [5, 6, 11, 35])
@given(
    values_=st.lists(
        st.one_of(st.integers(-4, 4).map(float), st.floats(-3, 3, width=16), st.just(50.0)),
        max_size=80,
    ),
    resolution=st.sampled_from([None, 2.0]),
)
def test_against_the_definition(charted, line, values, window, values_, resolution):
    """Odd and even windows, ties and clusters: the same as sorting every window anew."""
    chart = Chart(centre=0.0, sigma=1.0, rules=None, hampel_window=window, hampel_t=3.0)
    index = line(Sensor(key="a", period_s=1.0, resolution=resolution, chart=chart))
    events = Hampel(index).update(values(values_))
    assert slow(values_, window, 3.0, resolution or 0.0) == opened(events)


def test_no_verdict_before_the_window_is_full(charted, values):
    """The first values cannot be judged, however far they are from each other."""
    detector = Hampel(charted(hampel_window=5))
    assert detector.update(values([0.0, 1e6, 0.0, -1e6])) == []
    assert detector.state(0)["verdict"] == "cannot judge"
    detector.update(values([0.0], [5]))
    assert detector.state(0)["verdict"] == "in control"


def test_outlier_opens_and_closes(charted, values):
    """A single value far away is one finding that closes with the next value."""
    detector = Hampel(charted(hampel_window=5))
    found, closed = detector.update(values([*QUIET, 9.0, 0.0]))
    assert (found.rule, found.ruleset, found.t_first) == ("hampel", "hampel(5;3.5)@2", 6 * S)
    assert (found.detail["side"], found.detail["centre"], found.value) == ("high", 0.0, 9.0)
    assert found.detail["sigma"] == pytest.approx(1.4826 * 0.25)
    assert found.detail["ucl"] == pytest.approx(3.5 * 1.4826 * 0.25)
    assert (closed.type, closed.detail["opened"]) == ("finding_closed", found.id)
    assert closed.detail["samples"] == 1


def test_a_cluster_is_resisted_up_to_half_of_the_window(charted, values):
    """Outliers enter the window, which bears with them until they are more than half of it."""
    detector = Hampel(charted(hampel_window=5))
    events = detector.update(values([*QUIET, 9.0, 9.0, 9.0, 9.0]))
    assert [(e.type, e.detail.get("cause"), e.detail.get("samples")) for e in events] == [
        ("finding", None, None),
        ("finding_closed", "inside", 2),
    ]
    assert detector.state(0)["median"] == 9.0


def test_a_new_level_is_accepted(charted, values):
    """More than half of a window on another level is the level, and what was before stands out."""
    detector = Hampel(charted(hampel_window=5))
    assert opened(detector.update(values([*QUIET, *[9.0, 9.25, 8.75, 9.5, 8.5, 9.0, 0.0]]))) == [
        6,
        12,
    ]


def test_gap_clears_the_window(charted, values):
    """Values before a hole say nothing about values behind it."""
    detector = Hampel(charted(hampel_window=5))
    assert detector.update(values([*QUIET, 9.0], [1, 2, 3, 4, 5, 11])) == []
    assert detector.state(0)["filled"] == 1


def test_constant_signal(charted, line, values):
    """A constant signal flags only what differs by more than the resolution."""
    chart = Chart(centre=0.0, sigma=1.0, rules=None, hampel_window=5)
    index = line(Sensor(key="a", period_s=1.0, resolution=0.5, chart=chart))
    assert opened(Hampel(index).update(values([1.0] * 8 + [1.5] + [1.0] * 4))) == []
    assert opened(Hampel(index).update(values([1.0] * 8 + [1.75] + [1.0] * 4))) == [9]


@pytest.mark.parametrize(
    ("window", "three", "four"),
    [(7, 0.047, 0.024), (11, 0.028, 0.011), (21, 0.014, 0.0033), (51, 0.0065, 0.0008)],
)
def test_share_flagged_on_clean_data(charted, window, three, four):
    """Clean normal values: the known shares of flags, which the docs tell."""
    n = 150_000
    batch = Batch.of(np.zeros(n), np.arange(n) * S, np.random.default_rng(11).normal(size=n))
    for t, share in ((3.0, three), (4.0, four)):
        events = Hampel(charted(1, hampel_window=window, hampel_t=t)).update(batch)
        flagged = sum(event.detail.get("samples", 0) for event in events)
        # Half of the last digit that is told, and three standard errors.
        assert flagged / n == pytest.approx(share, abs=0.02 * share + 3 * (share / n) ** 0.5)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rounding_is_no_outlier(charted, values, sign):
    """0.1 + 0.2 among values of 0.3 is equal to them; what differs in the ninth digit is not."""
    index = charted(hampel_window=11, hampel_t=3.0)
    assert Hampel(index).update(values([sign * 0.3] * 60 + [sign * (0.1 + 0.2)])) == []
    mixed = [sign * 0.3, sign * (0.1 + 0.2)] * 30
    assert Hampel(index).update(values([*mixed, sign * 0.7 + sign * -0.4])) == []
    assert opened(Hampel(index).update(values([*mixed, sign * 0.300000001]))) == [61]
