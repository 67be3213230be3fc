"""The newest sample of each sensor, and its last sixty values."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twin.config import parse
from twin.engine.latest import Latest
from twin.model.batch import BAD, Batch, Mark

METRE, TEMP = 0, 1


def take(latest, sensors, values, **columns):
    n = len(values)
    batch = Batch.of(sensors, np.arange(n), values, **columns)
    latest.take(batch, np.arange(n, dtype=np.int64) + 1000)


def test_newest_of_many_in_one_batch(index):
    """Of many samples of one sensor in a batch the last one stands, with all its facts."""
    latest = Latest(index)
    batch = Batch.of([TEMP, METRE, TEMP], [10, 20, 30], [1.0, 2.0, 3.0], [192, 192, BAD])
    batch.place[:] = [0.1, 0.2, 0.3]
    batch.product[:] = [5, 6, 7]
    latest.take(batch, np.array([11, 21, 31], np.int64))
    facts = (latest.value, latest.time_ns, latest.recv_ns, latest.quality, latest.product)
    assert [column[TEMP] for column in facts] == [3.0, 30, 31, BAD, 7]
    assert latest.place[TEMP] == 0.3
    assert latest.count.tolist() == [1, 2, 0, 0]
    assert latest.spark(TEMP) == [1.0, 3.0]


def test_before_the_first_sample(index):
    """Nothing is there: no value, no time, no curve."""
    latest = Latest(index)
    assert np.isnan(latest.value[TEMP])
    assert (latest.time_ns[TEMP], latest.recv_ns[TEMP]) == (-1, -1)
    assert latest.spark(TEMP) == []


def test_late_samples_move_nothing(index):
    """Late and historical samples are history, not news."""
    latest = Latest(index)
    take(latest, [TEMP] * 3, [1.0, 2.0, 3.0], marks=[0, Mark.LATE, Mark.HISTORICAL])
    take(latest, [TEMP], [9.0], marks=[Mark.LATE])
    assert latest.value[TEMP] == 1.0
    assert latest.spark(TEMP) == [1.0]


def test_curve_holds_sixty(index):
    """A batch longer than the ring leaves its last sixty values, oldest first."""
    latest = Latest(index)
    take(latest, [TEMP] * 10, np.arange(10.0))
    take(latest, [TEMP] * 200, np.arange(10.0, 210.0))
    assert latest.spark(TEMP) == np.arange(150.0, 210.0).tolist()


def test_missing_value_is_a_hole_in_the_curve(index):
    """A sample without a number is shown as none."""
    latest = Latest(index)
    take(latest, [TEMP, TEMP], [1.0, np.nan], quality=[192, BAD])
    assert latest.spark(TEMP) == [1.0, None]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(-9, 9)), max_size=300),
    st.lists(st.integers(0, 300), max_size=6),
)
def test_cuts_and_restarts_change_nothing(index, rows, cuts):
    """Any way to cut the samples, with a restart after each piece, gives the same state."""
    n = len(rows)
    sensors, values = [s for s, _ in rows], [v for _, v in rows]
    whole, parts = Latest(index), Latest(index)
    batch = Batch.of(sensors, np.arange(n), values)
    recv = np.arange(n, dtype=np.int64)
    whole.take(batch, recv)
    for start, stop in pairwise(sorted({0, n, *(min(c, n) for c in cuts)})):
        parts.take(batch.part(start, stop), recv[start:stop])
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(parts.snapshot()))
        parts = Latest(index)
        parts.restore(state)
    assert parts.snapshot() == whole.snapshot()
    for sensor in range(4):
        expected = [v for s, v in rows if s == sensor][-60:]
        assert whole.spark(sensor) == expected


def test_reload_keeps_those_that_stay(index, text):
    """A sensor keeps its value and curve when its number changes."""
    latest = Latest(index)
    take(latest, [TEMP, TEMP], [1.0, 2.0])
    first, rest = text.split("[[station.sensor]]", 1)
    more = f'{first}[[station.sensor]]\nkey = "aaa"\n\n[[station.sensor]]{rest}'
    after_index = parse({"line.toml": more})
    after = Latest(after_index)
    after.follow(latest)
    temp = after_index.by_id["oven/temp"].index
    assert temp == TEMP + 1
    assert (after.value[temp], after.count[temp]) == (2.0, 2)
    assert after.spark(temp) == [1.0, 2.0]
    assert after.spark(after_index.by_id["oven/aaa"].index) == []
