"""Alarms of charts: which findings call somebody, and when they let go."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.alarms import Alarms
from twin.detectors import Charts, Hampel
from twin.model.batch import BAD, Batch
from twin.model.event import line_of
from twin.model.line import Alarm, Chart, Sensor

S = 1_000_000_000
CHART = Chart(
    centre=0, sigma=1, rules="nelson", ewma_lambda=0.2, cusum_k=0.5, hampel_window=7, baseline="b@1"
)


class Stages:
    """Charts, outliers and alarms in the order of the pipeline."""

    def __init__(self, line, **settings):
        alarm = Alarm(**{"id": "spc", "sensor": "s/*", "when": "chart", **settings})
        limit = Alarm(id="high", sensor="s/k0", when="above", limit=2.5, on_delay_s=1)
        sensors = [Sensor(key=f"k{i}", period_s=1.0, chart=CHART) for i in range(2)]
        self.index = line([alarm, limit] if not settings else [alarm], sensors)
        self.charts, self.hampel = Charts(self.index), Hampel(self.index)
        self.alarms = Alarms(self.index)

    def see(self, batch):
        found = self.charts.update(batch, _nobody) + self.hampel.update(batch, _nobody)
        found.sort(key=lambda event: event.row)
        return self.alarms.update(batch, found, _nobody)

    def restart(self):
        for name, kind in (("charts", Charts), ("hampel", Hampel), ("alarms", Alarms)):
            state = msgspec.msgpack.encode(getattr(self, name).snapshot())
            fresh = kind(self.index)
            fresh.restore(msgspec.msgpack.decode(state))
            setattr(self, name, fresh)


def _nobody(_):
    return None


def values(*numbers, sensor=0, start=1, quality=None):
    times = (np.arange(len(numbers)) + start) * S
    return Batch.of(np.full(len(numbers), sensor), times, numbers, quality)


def test_rule_one_calls_by_default(line):
    """One point beyond three sigma raises; the next point inside clears."""
    stages = Stages(line)
    (event,) = [e for e in stages.see(values(0.1, 9.0)) if e.detail["alarm"] == "spc"]
    assert (event.type, event.rule, event.value) == ("alarm", "rule1", 9.0)
    ((_, _, occurrence),) = stages.alarms.open()
    assert occurrence.rule_text
    assert occurrence.state() == "UNACK"


@pytest.mark.parametrize("rule", ["ewma", "cusum"])
def test_small_shifts_call_by_default(line, rule):
    """EWMA and CUSUM have a known price and call; the alarm names the one that was first."""
    stages = Stages(line, rules=[rule])
    stages.see(values(*[1.4, 1.5] * 12))
    assert [o.rule for _, _, o in stages.alarms.open()] == [rule]


def test_run_rules_are_prompts(line):
    """Points on one side, or hugging the centre, are findings for an engineer and no alarm."""
    stages = Stages(line)
    found = stages.charts.update(values(*[0.01, 0.02] * 8), _nobody)
    assert {event.rule for event in found} == {"rule2", "rule4", "rule7"}
    assert stages.alarms.update(values(), found, _nobody) == []


def test_run_rules_call_when_somebody_wants_it(line):
    """An alarm that names a run rule gets it."""
    stages = Stages(line, rules=["rule2"])
    assert [e.rule for e in stages.see(values(*[0.01, 0.02] * 8))] == ["rule2"]


def test_outliers_call_only_when_named(line):
    """Hampel findings are nobody's alarm unless the alarm says so."""
    noise = [0.1, -0.2, 0.0, 0.2, -0.1, 0.15, -0.05, 2.9]
    assert Stages(line).see(values(*noise, sensor=1)) == []
    assert [e.rule for e in Stages(line, rules=["hampel"]).see(values(*noise, sensor=1))] == [
        "hampel"
    ]


def test_several_findings_keep_one_alarm(line):
    """A second finding joins the open alarm, which clears with the last of them."""
    stages = Stages(line, sensor="s/k1")
    told = stages.see(values(5.0, 5.0, 5.0, 5.0, 5.0, 5.0, sensor=1))
    assert [event.type for event in told] == ["alarm"]
    told = stages.see(values(*[0.0] * 3, sensor=1, start=10))
    assert told == []  # rule 1 is over, EWMA and CUSUM are not
    told = stages.see(values(*[-0.4, 0.4] * 40, sensor=1, start=20))
    assert [event.type for event in told] == ["alarm_cleared"]
    assert stages.alarms.raised == 1


def test_bad_samples_change_nothing(line):
    """A sample of bad quality neither raises a chart alarm nor clears one."""
    stages = Stages(line, sensor="s/k1")
    assert stages.see(values(50.0, sensor=1, quality=[BAD])) == []
    stages.see(values(9.0, sensor=1, start=5))
    assert stages.see(values(0.0, sensor=1, start=6, quality=[BAD])) == []
    ((_, _, occurrence),) = stages.alarms.open()
    assert occurrence.active


def test_findings_that_end_with_their_chart_clear(line):
    """When a changed chart ends its findings, their alarm clears at that time."""
    stages = Stages(line, sensor="s/k1")
    found = stages.charts.update(values(9.0, sensor=1), _nobody)
    stages.alarms.update(values(9.0, sensor=1), found, _nobody)
    ended = [
        msgspec.structs.replace(e, type="finding_closed", detail={"opened": e.id}) for e in found
    ]
    told = stages.alarms.close_findings(ended, 77 * S)
    assert [(e.type, e.t_last) for e in told] == [("alarm_cleared", 77 * S)]
    assert stages.alarms.close_findings(ended, 78 * S) == []


def streams():
    pieces = st.tuples(
        st.sampled_from([0.0, 0.0, 2.0, -2.0, 6.0]), st.integers(1, 15), st.integers(0, 1)
    )
    return st.lists(pieces, min_size=1, max_size=8)


@settings(max_examples=40)
@given(streams(), st.lists(st.integers(0, 120), max_size=8), st.integers(0, 120))
def test_cuts_and_restarts_change_nothing(line, pieces, cuts, stop):
    """Alarms of limits and charts are the same bytes for every cut, with a restart in between."""
    rng = np.random.default_rng(3)
    level = np.concatenate([np.full(n, shift) for shift, n, _ in pieces])
    sensor = np.concatenate([np.full(n, k) for _, n, k in pieces])
    n = len(level)
    batch = Batch.of(sensor, np.arange(n) * S, level + rng.normal(size=n).round(2))
    whole, parts = Stages(line), Stages(line)
    expected = [line_of(event) for event in whole.see(batch)]
    found = []
    for start, end in pairwise(sorted({0, n, *(min(c, n) for c in [*cuts, stop])})):
        if start == stop:
            parts.restart()
        found += [line_of(event) for event in parts.see(batch.part(start, end))]
    assert found == expected
    assert parts.alarms.snapshot() == whole.alarms.snapshot()
