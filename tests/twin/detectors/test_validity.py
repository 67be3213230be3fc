"""Validity tests: stuck, spike, rate of change and gap."""

from __future__ import annotations

import numpy as np
import pytest

from twin.detectors import Charts, Validity
from twin.model.batch import BAD, Batch, Mark
from twin.model.line import Chart, Sampling, Sensor

S = 1_000_000_000


def judge(index, batch):
    """Events in short, and the marks."""
    events = Validity(index).update(batch)
    return [(e.type, e.rule, e.t_first // S, e.t_last // S) for e in events], batch.marks.tolist()


def test_stuck_sensor(line, values):
    """The same value for longer than allowed is stuck until another value comes."""
    index = line(Sensor(key="a", stuck_s=3.0))
    events, marks = judge(index, values([1, 2, 2, 2, 2, 2, 2, 3]))
    assert marks == [0, 0, 0, 0, 0, Mark.STUCK, Mark.STUCK, 0]
    assert events == [("validity", "stuck", 2, 6), ("validity_closed", "stuck", 2, 7)]


def test_stuck_within_resolution(line, values):
    """Values within half a step of the sensor are the same value."""
    index = line(Sensor(key="a", stuck_s=2.0, resolution=0.5))
    assert judge(index, values([1.0, 1.1, 1.2, 1.25]))[1] == [0, 0, 0, Mark.STUCK]


def test_two_equal_values_are_not_stuck(line, values):
    """Two samples far apart prove nothing; the third makes it stuck."""
    index = line(Sensor(key="a", stuck_s=3.0))
    assert judge(index, values([1, 1, 1], [1, 60, 61]))[1] == [0, 0, Mark.STUCK]


def test_spike_that_returns(line, values):
    """A single value that jumps and returns is withheld and reported with the next sample."""
    index = line(Sensor(key="a", spike=5.0, unit="um"))
    batch = values([1, 1, 9, 1, 1])
    batch.product[2] = 3
    batch.place[2] = 7.5
    (event,) = Validity(index).update(batch, {3: "coil-3"}.get)
    assert batch.marks.tolist() == [0, 0, Mark.SPIKE, 0, 0]
    assert (event.type, event.rule, event.ruleset) == ("validity", "spike", "validity@1")
    assert (event.t_first, event.t_last, event.value, event.row) == (3 * S, 3 * S, 9.0, 3)
    assert (event.product, event.place) == ("coil-3", 7.5)
    assert event.detail["meaning"] == "a single value 8 um away that returned (allowed 5 um)"


def test_spike_over_two_batches(line, values):
    """The verdict waits over the end of a batch and still names the product of the spike."""
    validity = Validity(line(Sensor(key="a", spike=5.0)))
    first = values([1, 9], [1, 2])
    first.product[:] = 5
    assert validity.update(first, {5: "p5"}.get) == []
    assert validity.state(0)["failing"] == ["spike"]
    (event,) = validity.update(values([1], [3]), {5: "p5"}.get)
    assert (event.product, event.value) == ("p5", 9.0)


def test_step_is_not_a_spike(line, values):
    """A step costs one withheld sample and is not reported."""
    index = line(Sensor(key="a", spike=5.0))
    assert judge(index, values([1, 1, 9, 9, 9])) == ([], [0, 0, Mark.SPIKE, 0, 0])


def test_two_spikes_of_opposite_sign(line, values):
    """Up and down again: both are spikes."""
    index = line(Sensor(key="a", spike=5.0))
    events, marks = judge(index, values([0, 9, -9, 0]))
    assert marks == [0, Mark.SPIKE, Mark.SPIKE, 0]
    assert [(rule, first) for _, rule, first, _ in events] == [("spike", 2), ("spike", 3)]


def test_spike_does_not_reach_the_chart(line, values):
    """What validity marks, the chart does not plot."""
    chart = Chart(centre=0.0, sigma=1.0, rules="shewhart")
    index = line(Sensor(key="a", spike=5.0, chart=chart))
    batch = values([0, 0, 20, 0])
    Validity(index).update(batch)
    charts = Charts(index)
    assert charts.update(batch) == []
    assert (charts.state(0)["points"], charts.state(0)["cannot_judge"]) == (3, 1)


def test_rate_of_change(line, values):
    """Changes faster than plausible are invalid until the value is plausible again."""
    index = line(Sensor(key="a", rate_per_s=1.0))
    events, marks = judge(index, values([0, 1, 9, 9, 2], [1, 2, 3, 4, 5]))
    assert marks == [0, 0, Mark.RATE, Mark.RATE, 0]
    assert events == [("validity", "rate", 3, 3), ("validity_closed", "rate", 3, 4)]


def test_rate_uses_the_real_step(line, values):
    """The same change over a longer time is slower."""
    index = line(Sensor(key="a", rate_per_s=1.0))
    assert judge(index, values([0, 8], [1, 10]))[1] == [0, 0]


def test_rate_of_a_burst(line, values):
    """Two samples in the same instant are compared over half a period, not over nothing."""
    index = line(Sensor(key="a", period_s=1.0, rate_per_s=1.0))
    assert judge(index, values([0, 0.4, 0.4], [1, 1, 1]))[1] == [0, 0, 0]
    assert judge(index, values([0, 0.6], [1, 1]))[1] == [0, Mark.RATE]


@pytest.mark.parametrize(
    ("sensor", "hole", "gap"),
    [
        (Sensor(key="a", period_s=1.0), 5, False),
        (Sensor(key="a", period_s=1.0), 6, True),
        (Sensor(key="a", period_s=1.0, chart=Chart(centre=0, sigma=1, max_gap_s=20)), 20, False),
        (Sensor(key="a", period_s=1.0, chart=Chart(centre=0, sigma=1, max_gap_s=20)), 21, True),
        (Sensor(key="a", sampling=Sampling.BY_EXCEPTION, period_s=1.0, spike=1.0), 900, False),
        (Sensor(key="a", sampling=Sampling.BY_EXCEPTION, max_silence_s=60.0), 61, True),
        (Sensor(key="a", sampling=Sampling.EVENT, period_s=1.0, spike=1.0), 900, False),
        (Sensor(key="a", spike=1.0), 900, False),
    ],
)
def test_gap(line, values, sensor, hole, gap):
    """A hole longer than declared, or than five periods, is a gap; per piece there is none."""
    events, marks = judge(line(sensor), values([0, 0], [1, 1 + hole]))
    assert marks == [0, Mark.AFTER_GAP if gap else 0]
    assert events == ([("validity", "gap", 1, 1 + hole)] if gap else [])


def test_gap_ends_what_was_open(line, values):
    """Behind a gap nothing is compared with what was before."""
    index = line(Sensor(key="a", period_s=1.0, stuck_s=1.0, spike=2.0, rate_per_s=1.0))
    events, marks = judge(index, values([5, 5, 5, 5, 50], [1, 2, 3, 4, 30]))
    assert marks == [0, 0, Mark.STUCK, Mark.STUCK, Mark.AFTER_GAP]
    assert [(kind, rule) for kind, rule, *_ in events] == [
        ("validity", "stuck"),
        ("validity_closed", "stuck"),
        ("validity", "gap"),
    ]


def test_bad_samples_do_not_fill_a_gap(line, values):
    """A hole is measured between good samples."""
    batch = values([0, 0, 0], [1, 4, 7])
    batch.quality[1] = BAD
    assert judge(line(Sensor(key="a", period_s=1.0)), batch)[1] == [0, 0, Mark.AFTER_GAP]


def test_marks_are_added(line, values):
    """Marks that ingest set stay."""
    batch = values([0, 9])
    batch.marks[:] = Mark.QUESTIONABLE
    Validity(line(Sensor(key="a", rate_per_s=1.0))).update(batch)
    assert batch.marks.tolist() == [Mark.QUESTIONABLE, Mark.QUESTIONABLE | Mark.RATE]


def test_marks_must_be_writable(line, values):
    """Marks are set in place; a batch that does not allow it is refused."""
    batch = values([0.0])
    batch.marks.flags.writeable = False
    with pytest.raises(ValueError, match=r"batch\.marks"):
        Validity(line(Sensor(key="a", spike=1.0))).update(batch)


def test_state(line, values):
    """The board sees what fails now and the last valid value."""
    validity = Validity(line(Sensor(key="a", rate_per_s=1.0)))
    validity.update(values([0, 9]))
    state = validity.state(0)
    assert (state["verdict"], state["failing"]) == ("invalid", ["rate"])
    assert (state["valid"], state["valid_ns"]) == (0.0, 1 * S)
    assert [event.rule for event in validity.open_findings(0)] == ["rate"]
    validity.update(Batch.of([0], [3 * S], [np.nan]))
    assert validity.state(0)["verdict"] == "cannot judge"
