"""Limits, deadband and delays on event time."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.alarms.conditions import Conditions
from twin.model.batch import BAD, GOOD, UNCERTAIN, Batch, Mark
from twin.model.line import Limits, Sensor

S = 1_000_000_000
INF = float("inf")


def test_signal_around_its_limit_is_one_alarm(desk):
    """69.9 and 70.1 in turn for an hour with a deadband of 0.5: one alarm, not 180."""
    d = desk(deadband=0.5)
    d.see(*((10 * i, 69.9 if i % 2 else 70.1) for i in range(360)))
    assert d.types() == ["alarm"]
    assert d.alarms.raised == 1


def test_without_deadband_it_chatters(desk):
    """The same signal without a deadband is an alarm each time: the test above tests something."""
    d = desk()
    d.see(*((10 * i, 69.9 if i % 2 else 70.1) for i in range(360)))
    assert d.alarms.raised == 180


def test_limit_itself_is_inside(desk):
    """Beyond is strict, and exactly back by the deadband is back."""
    d = desk(deadband=0.5)
    d.see((1, 70.0))
    assert d.alarms.raised == 0
    d.see((2, 70.1), (3, 69.6))
    assert d.state() == "UNACK"
    d.see((4, 69.5))
    assert d.state() == "RTNUN"


def test_flips_inside_the_delay_raise_nothing(desk):
    """However often it flips, a condition that never holds for the delay is no alarm."""
    d = desk(on_delay_s=5)
    d.see(*((i, 80 if i % 5 else 60) for i in range(300)))
    assert d.types() == []


def test_delay_runs_on_event_time(desk):
    """Raised by the first sample at which it has held for the delay; the onset is its first one."""
    d = desk(on_delay_s=5)
    d.see((1, 60), (2, 80), (6.999, 80))
    assert d.types() == []
    d.see((7, 81))
    occurrence = d.occurrence()
    assert (occurrence.onset_ns, occurrence.raised_ns, occurrence.value) == (2 * S, 7 * S, 81)


def test_off_delay_starts_again_when_it_comes_back(desk):
    """A condition must be gone for the whole off-delay in one piece."""
    d = desk(off_delay_s=5)
    d.see((1, 80), (2, 60), (6, 60), (6.5, 80), (7, 60), (11, 60))
    assert d.state() == "UNACK"
    (cleared,) = d.see((12, 60))
    assert (cleared.type, cleared.t_last) == ("alarm_cleared", 12 * S)
    assert d.alarms.raised == 1


def test_below(desk):
    """`below` mirrors `above`, deadband included."""
    d = desk(when="below", limit=5.0, deadband=1.0)
    d.see((1, 5), (2, 4.9), (3, 5.9))
    assert d.state() == "UNACK"
    assert d.occurrence().limit == 5.0
    d.see((4, 6))
    assert d.state() == "RTNUN"


@pytest.mark.parametrize(("value", "limit"), [(12.1, 12.0), (7.9, 8.0)])
def test_outside_goes_around_the_target(line, alarm, desk, value, limit):
    """`outside` is the half width around the target; the limit that was crossed is named."""
    sensor = Sensor(key="k0", limits=Limits(target=10.0, lsl=5.0, usl=15.0))
    d = desk()
    d.alarms = type(d.alarms)(line([alarm(when="outside", limit=2.0, deadband=0.5)], [sensor]))
    d.see((1, 12), (2, 8), (3, value))
    assert d.occurrence().limit == limit
    d.see((4, 10))
    assert d.state() == "RTNUN"


@pytest.mark.parametrize("mark", [Mark.LATE, Mark.HISTORICAL, Mark.SPIKE, Mark.STUCK, Mark.RATE])
def test_marked_samples_neither_raise_nor_clear(desk, mark):
    """Late, historical and invalid samples say nothing about now."""
    d = desk()
    d.see((1, 99), marks=[mark])
    assert d.types() == []
    d.see((2, 99))
    d.see((3, 10), marks=[mark])
    assert d.state() == "UNACK"


def test_bad_quality_neither_raises_nor_clears(desk):
    """A sensor that knows it is wrong does not call anybody and sends nobody home."""
    d = desk()
    d.see((1, 99), quality=[BAD])
    assert d.types() == []
    d.see((2, 99), quality=[UNCERTAIN])
    d.see((3, 10), (4, float("nan")), quality=[BAD, BAD])
    assert d.state() == "UNACK"


def test_safety_alarms_judge_raw_samples(desk):
    """What statistics call a spike may still be a dangerous value."""
    d = desk(alarm_class="safety")
    d.see((1, 99), marks=[Mark.SPIKE])
    assert d.state() == "UNACK"
    d.see((2, 10), marks=[Mark.LATE])
    assert d.state() == "UNACK"


def test_bad_sample_does_not_restart_a_delay(desk):
    """Between two samples that hold, a bad one changes nothing."""
    d = desk(on_delay_s=5)
    d.see((1, 80), (3, 60), (6, 80), quality=[GOOD, BAD, GOOD])
    assert d.state() == "UNACK"
    assert d.occurrence().onset_ns == 1 * S


def test_many_edges_in_one_batch_come_out_complete():
    """More changes than the first buffer holds are all told, in order."""
    conditions = Conditions(1, [(0, 70.0, -INF, 0.0, 0, 0, False)])
    values = np.tile([80.0, 60.0], 500)
    found = conditions.edges(Batch.of(np.zeros(1000), np.arange(1000) * S, values))
    assert [row for row, *_ in found] == list(range(1000))
    assert [active for *_, active in found] == [True, False] * 500


def test_no_condition_and_no_row_is_nothing():
    """A line without limit alarms costs nothing."""
    assert Conditions(3, []).edges(Batch.of([0], [0], [1.0])) == []
    some = Conditions(1, [(0, 70.0, -INF, 0.0, 0, 0, False)])
    assert some.edges(Batch.of([], [], [])) == []


ROWS = [
    (0, 70.0, -INF, 0.5, 0, 0, False),
    (0, 71.0, -INF, 0.5, 2 * S, 3 * S, False),
    (0, 71.0, 69.0, 0.0, 1 * S, 0, True),
    (2, INF, 69.5, 0.25, 0, 2 * S, False),
]


def plain_edges(batch):
    """The same in plain Python, a condition at a time."""
    found = []
    for c, (owner, high, low, band, on, off, raw) in enumerate(ROWS):
        active, since = False, None
        for row in range(len(batch)):
            marks = int(batch.marks[row])
            if batch.sensor[row] != owner or batch.quality[row] == BAD:
                continue
            if marks & (Mark.LATE | Mark.HISTORICAL) or (marks & Mark.INVALID and not raw):
                continue
            value, when = float(batch.value[row]), int(batch.time_ns[row])
            inside = low + band <= value <= high - band
            turned = inside if active else value > high or value < low
            since = (when if since is None else since) if turned else None
            if since is not None and when - since >= (off if active else on):
                active = not active
                found.append((row, c, since, active))
                since = None
    return sorted(found)


@st.composite
def streams(draw):
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 2),
                st.sampled_from([0, 0, 1, 1, 2, 5]),
                st.sampled_from([68.0, 69.0, 69.3, 69.5, 69.75, 70.0, 70.2, 71.0, 71.5]),
                st.sampled_from([GOOD, GOOD, GOOD, UNCERTAIN, BAD]),
                st.sampled_from([0, 0, 0, Mark.LATE, Mark.SPIKE]),
            ),
            max_size=120,
        )
    )
    sensor, step, value, quality, marks = zip(*rows, strict=True) if rows else ((),) * 5
    return Batch.of(sensor, np.cumsum(np.array(step, np.int64)) * S, value, quality, marks)


@given(streams())
def test_kernel_equals_plain_python(batch):
    """The compiled walk tells the same edges as the definition written down."""
    assert sorted(Conditions(3, ROWS).edges(batch)) == plain_edges(batch)


@given(streams(), st.lists(st.integers(0, 120), max_size=8), st.integers(0, 120))
def test_cuts_and_restarts_change_nothing(batch, cuts, stop):
    """Any cut of the stream, with a restart in between, gives the same edges and state."""
    whole, parts = Conditions(3, ROWS), Conditions(3, ROWS)
    expected = whole.edges(batch)
    found = []
    edges = sorted({0, len(batch), *(min(c, len(batch)) for c in [*cuts, stop])})
    for start, end in pairwise(edges):
        if start == stop:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(parts.snapshot()))
            parts = Conditions(3, ROWS)
            parts.restore(state)
        found += [(start + row, *rest) for row, *rest in parts.edges(batch.part(start, end))]
    assert found == expected
    assert parts.snapshot() == whole.snapshot()
