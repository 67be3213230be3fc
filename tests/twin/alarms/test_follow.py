"""Restart, silence, and another version of the line."""

from __future__ import annotations

import numpy as np

from twin.alarms import Alarms
from twin.detectors import Charts
from twin.model.batch import Batch
from twin.model.line import Chart, Limits, Sensor

S = 1_000_000_000


def move(desk, index, at_s=100):
    """The desk under another version of the line, and what was said about it."""
    alarms = Alarms(index)
    said = alarms.follow(desk.alarms, at_s * S)
    desk.alarms = alarms
    return said


def stored(desk):
    """What would go into the store, by id."""
    return {key: str(o.state()) for key, o in desk.alarms.changed.items()}


def test_restart_in_mid_stream(desk, line, alarm):
    """A restored stage goes on as if it had never stopped: delay, acknowledgement, latch, shelf."""
    settings = {"on_delay_s": 5, "latch": True, "deadband": 1.0}
    rows = [(1, 80), (4, 80), (6, 80), (9, 60), (12, 90), (18, 90), (19, 10)]
    index = line([alarm(**settings)])
    whole, parts = desk(**settings), desk(**settings)
    for i, row in enumerate(rows):
        for d in (whole, parts):
            d.see(row)
            if i == 2:
                d.do("ack", at_s=7)
            if i == 5:
                d.do("shelve", minutes=1, reason="why not", at_s=18)
        parts = parts.again(index)
    assert parts.events == whole.events
    assert parts.alarms.snapshot() == whole.alarms.snapshot()


def test_unchanged_alarm_keeps_its_occurrence(desk, line, alarm):
    """Adding another alarm before it disturbs nothing: id, acknowledgement and condition stay."""
    d = desk(deadband=5.0)
    d.see((1, 80))
    d.do("ack")
    before = d.occurrence().id
    more = alarm(id="another", sensor="s/k0", limit=500.0)
    assert move(d, line([more, alarm(deadband=5.0)])) == []
    assert (d.occurrence().id, d.state()) == (before, "ACKED")
    d.see((2, 66))
    assert d.state() == "ACKED"
    d.see((3, 65))
    assert d.state() == "NORM"
    assert d.alarms.raised == 1


def test_delay_that_runs_goes_on(desk, line, alarm):
    """A reload in the middle of a delay does not start it again."""
    d = desk(on_delay_s=10)
    d.see((1, 80))
    move(d, line([alarm(on_delay_s=10), alarm(id="more", sensor="s/k1")]))
    d.see((11, 80))
    assert d.occurrence().onset_ns == S


def test_removed_alarm_is_retired_with_an_event(desk, line):
    """What is gone from the line description says so once and waits for nobody."""
    d = desk(latch=True)
    d.see((1, 80))
    was = d.occurrence().id
    (event,) = move(d, line([]))
    assert (event.type, event.t_last) == ("alarm_retired", 100 * S)
    assert event.detail["occurrence"] == was
    assert event.detail["reason"] == "the rule changed"
    assert d.alarms.open() == []
    assert stored(d) == {was: "RTNUN"}


def test_shelved_alarm_is_retired_from_its_shelf(desk, line):
    """No shelf outlives its alarm."""
    d = desk()
    d.see((1, 80))
    d.do("ack")
    d.do("shelve", minutes=5, reason="why not")
    was = d.occurrence().id
    move(d, line([]))
    assert stored(d) == {was: "NORM"}


def test_changed_alarm_is_retired_and_judged_anew(desk, line, alarm):
    """A changed limit ends the occurrence; if the condition still holds there is a new one."""
    d = desk()
    d.see((1, 80))
    was = d.occurrence().id
    assert [e.type for e in move(d, line([alarm(limit=75.0)]))] == ["alarm_retired"]
    d.see((2, 80))
    assert d.occurrence().id != was
    assert (d.occurrence().limit, d.occurrence().number) == (75.0, 2)


def test_limit_that_follows_the_target_is_a_change(desk, line, alarm):
    """`outside` rests on the sensor's target: another target is another rule."""
    around = alarm(when="outside", limit=2.0)

    def at(target):
        return line([around], [Sensor(key="k0", limits=Limits(target=target))])

    d = desk()
    d.alarms = Alarms(at(10.0))
    d.see((1, 13))
    assert move(d, at(10.0)) == []
    assert [e.type for e in move(d, at(13.0))] == ["alarm_retired"]


def test_number_goes_on_when_an_alarm_comes_back(desk, line, alarm):
    """Removed and added again: an occurrence with the same onset still gets an id of its own."""
    d = desk()
    d.see((1, 80))
    was = d.occurrence().id
    move(d, line([]))
    d = d.again(line([]))
    move(d, line([alarm()]))
    d.see((1, 80))
    assert d.occurrence().number == 2
    assert d.occurrence().id != was


def test_changed_chart_alarm_is_raised_by_what_is_open(desk, line, alarm):
    """Editing the title of a chart alarm does not make an open finding disappear."""
    sensor = Sensor(key="k0", period_s=1.0, chart=Chart(centre=0, sigma=1))

    def titled(title):
        return line([alarm(id="spc", when="chart", limit=None, title=title)], [sensor])

    d, index = desk(), titled("old")
    charts = Charts(index)
    d.alarms = Alarms(index)
    rows = Batch.of([0], [S], [9.0])
    d.alarms.update(rows, charts.update(rows, None), lambda _: None)
    was = d.occurrence().id
    assert [e.type for e in move(d, titled("new"))] == ["alarm_retired"]
    (event,) = d.alarms.catch_up(charts.open_findings(0))
    assert (event.type, event.detail["title"]) == ("alarm", "new")
    assert d.occurrence().id != was
    assert d.alarms.catch_up(charts.open_findings(0)) == []
    rows = Batch.of([0], [2 * S], [0.0])
    (event,) = d.alarms.update(rows, charts.update(rows, None), lambda _: None)
    assert event.type == "alarm_cleared"


def test_silence_is_an_alarm_of_its_own(desk):
    """`stale` raises a system alarm when the sensor falls silent and clears when it speaks."""
    d = desk(when="stale", limit=None)
    (event,) = d.alarms.stale("s/k0", 5 * S, 9 * S, silent=True)
    assert (event.type, event.t_first, event.t_last) == ("system_alarm", 5 * S, 9 * S)
    assert d.alarms.stale("s/k0", 5 * S, 9 * S, silent=True) == []
    assert d.alarms.stale("s/k1", 5 * S, 9 * S, silent=True) == []
    (event,) = d.alarms.stale("s/k0", 20 * S, 20 * S, silent=False)
    assert event.type == "system_alarm_cleared"
    assert d.state() == "RTNUN"


def test_silence_marks_the_process_alarm_and_leaves_it(desk):
    """A process alarm whose sensor fell silent stays active and says that its input is stale."""
    d = desk()
    d.see((1, 80))
    assert d.alarms.stale("s/k0", 5 * S, 9 * S, silent=True) == []
    assert (d.state(), d.occurrence().input_stale) == ("UNACK", True)
    d.alarms.stale("s/k0", 20 * S, 20 * S, silent=False)
    assert not d.occurrence().input_stale


def test_open_alarms_are_sorted_by_urgency(desk, line, alarm):
    """The most urgent first, then the oldest."""
    d = desk()
    d.alarms = Alarms(
        line(
            [
                alarm(id="late", sensor="s/k0", priority="P3", limit=20.0),
                alarm(id="soon", sensor="s/k0", priority="P3", limit=10.0),
                alarm(id="first", sensor="s/k0", priority="P1", limit=30.0),
                alarm(id="any", sensor="s/*", priority="P4", limit=40.0),
            ]
        )
    )
    d.see(*((float(i), 10.0 * i + 1) for i in range(6)))
    assert [spec.id for spec, _, _ in d.alarms.open()] == ["first", "soon", "late", "any"]


def test_pattern_makes_an_alarm_per_sensor(desk, line, alarm):
    """One alarm with a pattern is one instance per sensor, each with its own occurrence."""
    d = desk()
    d.alarms = Alarms(line([alarm(sensor="s/*")]))
    d.see((1, 80), sensor=0)
    d.see((1, 80), sensor=1)
    assert [(row.id, o.number) for _, row, o in d.alarms.open()] == [("s/k0", 1), ("s/k1", 1)]
    assert len({o.id for *_, o in d.alarms.open()}) == 2


def test_place_and_product_stand_with_the_alarm(desk):
    """An alarm says on which product and at which metre the value was taken."""
    d = desk()
    batch = Batch.of([0], [S], [80.0])
    batch.product[:] = 7
    batch.place[:] = 12.5
    (event,) = d.alarms.update(batch, [], {7: "coil-7"}.get)
    assert (event.product, event.place) == ("coil-7", 12.5)
    assert np.isfinite(d.occurrence().place)
