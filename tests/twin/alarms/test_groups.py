"""Alarms on what is found in a group of sensors."""

from __future__ import annotations

import pytest

from twin.alarms import Alarms
from twin.config import parse
from twin.errors import ConfigError
from twin.model.batch import Batch
from twin.model.event import Event

LINE = """
[[station]]
id = "press"
[[station.sensor]]
key = "a"
period_s = 1
[[station.sensor]]
key = "b"
period_s = 1

[[group]]
id = "pair"
title = "Both"
kind = "t2"
sensors = ["press/a", "press/b"]
mean = [0, 0]
sigma = [1, 1]
correlation = [[1, 0.5], [0.5, 1]]

[[alarm]]
id = "pair_away"
sensor = "group/pair"
when = "chart"
priority = "P3"
title = "The two move apart"
"""


def finding(kind: str, **more: object) -> Event:
    return Event(id=kind, type=kind, rule="t2", sensor="group/pair", **more)


def test_a_finding_of_a_group_raises_and_clears_its_alarm():
    """The alarm names the group; it goes when the finding closes."""
    alarms = Alarms(parse({"line.toml": LINE}))
    none = Batch.of([], [], [])
    opened = finding("finding", t_first=1, t_last=2, value=20.0, detail={"rules": ["t2"]})
    (event,) = alarms.update(none, [opened], lambda _: None)
    assert (event.type, event.sensor, event.t_first) == ("alarm", "group/pair", 1)
    ((spec, row, occurrence),) = alarms.open()
    assert (spec.id, row.spec.title, occurrence.active) == ("pair_away", "Both", True)
    closed = finding("finding_closed", t_last=3, detail={"opened": "finding"})
    (event,) = alarms.update(none, [closed], lambda _: None)
    assert event.type == "alarm_cleared"


def test_only_findings_are_about_groups():
    """An alarm on a limit cannot be about a group: it has no value of its own."""
    broken = LINE.replace('when = "chart"', 'when = "above"\nlimit = 3')
    with pytest.raises(ConfigError, match=r"alarm\[0\].sensor.*no such sensor.*press/a, press/b"):
        parse({"line.toml": broken})


def test_rules_of_a_set_of_the_lines_own_may_be_named():
    """An alarm may wait for a rule that only this line has."""
    own = '[[rule_set]]\nid = "mine"\nrule = [{ id = "five", kind = "beyond", points = 5 }]\n'
    text = own + LINE.replace('when = "chart"', 'when = "chart"\nrules = ["five", "t2"]')
    assert parse({"line.toml": text}).line.alarm[0].rules == ["five", "t2"]
    with pytest.raises(ConfigError, match=r"alarm\[0\].rules\[0\].*unknown rule"):
        parse({"line.toml": text.replace('"five", "t2"', '"six", "t2"')})


def test_an_alarm_of_a_residual_shows_the_reading():
    """The chart plots what the model did not expect; the operator reads the sensor."""
    text = LINE[: LINE.index("[[group]]")] + (
        '[[alarm]]\nid = "a_away"\nsensor = "press/a"\nwhen = "chart"\npriority = "P3"\n'
        'title = "A has moved"\n'
    )
    text = text.replace('key = "a"\n', 'key = "a"\nchart = { rules = "shewhart" }\n')
    alarms = Alarms(parse({"line.toml": text}))
    batch = Batch.of([1, 0], [1, 1], [7.0, 268.6])
    opened = Event(
        id="f", type="finding", rule="rule1", sensor="press/a", t_first=1, t_last=1, value=-18.7,
        detail={"rules": ["rule1"], "mode": "residual"}, row=1,
    )  # fmt: skip
    alarms.update(batch, [opened], lambda _: None)
    ((_, _, occurrence),) = alarms.open()
    assert occurrence.value == 268.6
