"""Silence: exact deadlines, whenever somebody looks."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twin.config import parse
from twin.engine.freshness import Freshness, max_silence_s
from twin.model.batch import Batch
from twin.model.line import Sensor

S = 1_000_000_000
METRE, TEMP, SLOW, DOOR = range(4)


def hear(freshness, *arrivals):
    """(second, sensor) of samples that arrived together."""
    batch = Batch.of([s for _, s in arrivals], [0] * len(arrivals), [1.0] * len(arrivals))
    return freshness.hear(batch, np.array([round(t * S) for t, _ in arrivals], np.int64))


def said(events):
    return [(e.type, e.sensor.split("/")[1], e.t_last / S) for e in events]


def test_silence_of_a_sensor():
    """Five periods, at least five seconds; what is given wins; some silences mean nothing."""
    assert max_silence_s(Sensor(key="k", period_s=2)) == 10
    assert max_silence_s(Sensor(key="k", period_s=0.1)) == 5
    assert max_silence_s(Sensor(key="k", period_s=2, max_silence_s=3)) == 3
    assert max_silence_s(Sensor(key="k", period_s=2, role="state")) is None
    assert max_silence_s(Sensor(key="k", period_s=2, sampling="event")) is None
    assert max_silence_s(Sensor(key="k")) is None
    assert max_silence_s(Sensor(key="k", sampling="event", max_silence_s=60)) == 60


def test_nobody_heard_is_nobody_missed(index):
    """A sensor that never spoke is without data, not stale."""
    freshness = Freshness(index)
    assert freshness.due_ns() is None
    assert freshness.tick(10**6 * S) == []


def test_deadline_is_exact(index):
    """Stale at the deadline and not one nanosecond before, and told once."""
    freshness = Freshness(index)
    hear(freshness, (1, TEMP))
    assert freshness.due_ns() == 11 * S
    assert freshness.tick(11 * S - 1) == []
    assert said(freshness.tick(11 * S)) == [("stale", "temp", 11)]
    assert freshness.tick(12 * S) == []
    assert freshness.silent() == [("oven/temp", 11 * S)]


@given(st.lists(st.integers(0, 60 * S), max_size=12))
def test_ticks_do_not_matter(index, ticks):
    """However often and late one looks, the same sensors are stale since the same moments."""
    freshness = Freshness(index)
    hear(freshness, (0, METRE), (3, TEMP), (4, SLOW), (4, DOOR))
    found = []
    for tick in [*sorted(ticks), 60 * S]:
        found += freshness.tick(tick)
    assert said(found) == [("stale", "metre", 5), ("stale", "temp", 13), ("stale", "slow", 34)]


def test_back_again(index):
    """The first sample after silence says so at its arrival; later ones do not."""
    freshness = Freshness(index)
    hear(freshness, (1, TEMP))
    freshness.tick(60 * S)
    back = hear(freshness, (61, DOOR), (61, TEMP), (62, TEMP))
    assert said(back) == [("fresh", "temp", 61)]
    assert back[0].row == 1
    assert freshness.silent() == []
    assert said(freshness.tick(100 * S)) == [("stale", "temp", 72)]


def test_ids_differ_for_each_silence(index):
    """Each silence and each return is an event of its own, the same on every run."""

    def run():
        freshness, events = Freshness(index), []
        for start in (0, 100, 200):
            events += hear(freshness, (start, TEMP))
            events += freshness.tick((start + 50) * S)
        return [e.id for e in events]

    assert run() == run()
    assert len(set(run())) == 5


def test_restart_keeps_deadlines(index):
    """A restored part goes on with the same deadlines."""
    freshness, again = Freshness(index), Freshness(index)
    hear(freshness, (1, TEMP), (2, SLOW))
    freshness.tick(11 * S)
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(freshness.snapshot())))
    assert again.due_ns() == freshness.due_ns()
    assert again.silent() == freshness.silent()
    assert said(again.tick(32 * S)) == [("stale", "slow", 32)]


def test_reload_keeps_those_that_stay(index, text):
    """Sensors keep when they were heard, whatever their number is in the new version."""
    freshness = Freshness(index)
    hear(freshness, (1, TEMP), (2, SLOW), (3, METRE))
    freshness.tick(11 * S)
    moved = text.replace('key = "slow"\nmax_silence_s = 30', 'key = "new"')
    moved = moved.replace("max_silence_s", "# ").replace("period_s = 2", "period_s = 4", 1)
    after = Freshness(parse({"line.toml": moved}))
    after.follow(freshness)
    assert after.silent() == [("oven/metre", 8 * S), ("oven/temp", 21 * S)]
    assert after.due_ns() is None
    assert said(hear(after, (30, TEMP))) == [("fresh", "temp", 30)]


def test_changed_silence_gives_a_new_deadline(index, text):
    """A longer silence that is allowed from now on counts from the last sample."""
    freshness = Freshness(index)
    hear(freshness, (1, SLOW))
    after = Freshness(
        parse({"line.toml": text.replace("max_silence_s = 30", "max_silence_s = 50")})
    )
    after.follow(freshness)
    assert after.due_ns() == 51 * S
