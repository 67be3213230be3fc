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


def slow(values, window, t, resolution=0.0, *, learn=False):
    """The definition on plain lists: ordinals that open a finding."""
    kept, found, state, flagged = [], [], 0, 0
    for n, x in enumerate(values, 1):
        look = [*kept[-(window - 1) :], x]
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
            flagged = flagged + 1 if side else 0
        if flagged >= window:
            kept, side, flagged = [x], 0, 0
        elif not side or learn:
            kept.append(x)
        if side and side != state:
            found.append(n)
        state = side
    return found


@pytest.mark.parametrize("window", [5, 6, 11])
@given(
    values_=st.lists(
        st.one_of(st.integers(-4, 4).map(float), st.floats(-3, 3, width=16), st.just(50.0)),
        max_size=80,
    ),
    learn=st.booleans(),
    resolution=st.sampled_from([None, 2.0]),
)
def test_against_the_definition(charted, line, values, window, values_, learn, resolution):
    """Odd and even windows, ties and clusters: the same as sorting every window anew."""
    chart = Chart(centre=0.0, sigma=1.0, rules=None, hampel_window=window, hampel_t=3.0)
    index = line(Sensor(key="a", period_s=1.0, resolution=resolution, chart=chart))
    events = Hampel(index, learn_outliers=learn).update(values(values_))
    expected = slow(values_, window, 3.0, resolution or 0.0, learn=learn)
    assert expected == opened(events)


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
    assert (found.rule, found.ruleset, found.t_first) == ("hampel", "hampel(5;3.5)@1", 6 * S)
    assert (found.detail["side"], found.detail["centre"], found.value) == ("high", 0.0, 9.0)
    assert found.detail["sigma"] == pytest.approx(1.4826 * 0.25)
    assert found.detail["ucl"] == pytest.approx(3.5 * 1.4826 * 0.25)
    assert (closed.type, closed.detail["opened"]) == ("finding_closed", found.id)
    assert closed.detail["samples"] == 1


def test_outliers_are_not_learned(charted, values):
    """A cluster of outliers does not widen the window; the parameter lets it."""
    cluster = [*QUIET, 9.0, 9.0, 9.0, 0.0, 9.0]
    strict = Hampel(charted(hampel_window=5))
    assert opened(strict.update(values(cluster))) == [6, 10]
    lenient = Hampel(charted(hampel_window=5), learn_outliers=True)
    assert opened(lenient.update(values(cluster))) == [6]


def test_new_level_restarts_the_window(charted, values):
    """As many outliers in a row as the window is long are a new level, not outliers."""
    detector = Hampel(charted(hampel_window=5))
    events = detector.update(values([*QUIET, *[9.0] * 5]))
    assert [(e.type, e.detail.get("cause")) for e in events] == [
        ("finding", None),
        ("finding_closed", "level"),
    ]
    assert detector.state(0)["verdict"] == "cannot judge"
    later = values([9.0, 9.0, 9.0, 9.0], [11, 12, 13, 14])
    assert detector.update(later) == []
    assert detector.state(0)["verdict"] == "in control"


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
    ("window", "t", "share"),
    [(7, 3.0, 0.047), (21, 3.0, 0.014), (51, 3.0, 0.0065), (21, 4.0, 0.0033)],
)
def test_share_flagged_on_clean_data(charted, window, t, share):
    """Clean normal data with the newest value inside the window: the known shares of flags."""
    n = 60_000
    rng = np.random.default_rng(11)
    index = charted(1, hampel_window=window, hampel_t=t)
    detector = Hampel(index, learn_outliers=True)
    batch = Batch.of(np.zeros(n), np.arange(n) * S, rng.normal(size=n))
    flagged = sum(
        event.detail["samples"] for event in detector.update(batch) if "samples" in event.detail
    )
    assert flagged / n == pytest.approx(share, rel=0.12)
