"""What the first samples say about a source."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from scipy.signal import lfilter

from twin.detectors import cadence_kernel
from twin.detectors.cadence import Cadence
from twin.model.batch import BAD, Batch, Mark
from twin.model.event import line_of
from twin.model.line import Chart, Sensor

S = 1_000_000_000


def charted(line, **chart):
    spec = Chart(**{"centre": 0.0, "sigma": 1.0, **chart})
    # Without a period no hole is too long: gateways may be silent for long.
    return line(*(Sensor(key=f"k{i}", chart=spec) for i in range(3)))


def changes(step=0.5, n=4000, seed=1, phi=0.0, deadband=0.0):
    """Times and values that a gateway sends which sends only changes."""
    e = np.random.default_rng(seed).normal(size=n) * np.sqrt(1 - phi**2)
    x = lfilter([1.0], [1.0, -phi], e)
    x = np.round(x / step) * step if step else x
    kept = [0]
    for i in range(1, n):
        away = abs(x[i] - x[kept[-1]])
        if away > 0 and away >= deadband:
            kept.append(i)
    return np.array(kept), x[kept]


def stream():
    """One source that sends changes, one that sends everything, one in between with bad samples."""
    time, value = changes()
    rng = np.random.default_rng(2)
    every = np.arange(len(time))
    parts = [(0, time, value), (1, every, rng.normal(size=len(time))), (2, time, value[::-1])]
    sensor = np.concatenate([np.full(len(t), s) for s, t, _ in parts])
    seconds = np.concatenate([t for _, t, _ in parts])
    values = np.concatenate([v for *_, v in parts])
    order = np.argsort(seconds, kind="stable")
    n = len(order)
    marks = np.zeros(n, np.uint8)
    marks[rng.integers(0, n, 50)] = Mark.LATE
    values[rng.integers(0, n, 50)] = np.nan
    quality = np.full(n, 192, np.uint8)
    quality[rng.integers(0, n, 50)] = BAD
    return Batch.of(sensor[order], seconds[order] * S, values[order], quality, marks)


def run(cadence, batch, cuts=()):
    events = []
    for start, stop in pairwise([0, *cuts, len(batch)]):
        events += cadence.update(batch.part(start, stop))
    return [line_of(event) for event in events]


@pytest.mark.parametrize(
    ("step", "phi", "deadband"), [(0.5, 0, 0), (1.0, 0, 0), (0.0, 0.9, 0.5), (0.0, 0.9, 1.0)]
)
def test_report_by_exception_is_said_once(line, step, phi, deadband):
    """A source that sends only changes is found out once, with what to declare."""
    time, value = changes(step, 30_000, phi=phi, deadband=deadband)
    cadence = Cadence(charted(line))
    events = cadence.update(Batch.of(np.zeros(len(time)), time * S, value))
    assert [(event.type, event.rule) for event in events] == [("data_quality", "by_exception")]
    assert 'sampling = "by_exception"' in events[0].detail["advice"]
    assert "looks like report by exception" in events[0].detail["meaning"]
    assert events[0].detail["deadband"] == pytest.approx(deadband or step, rel=0.1)
    assert cadence.state(0)["verdict"] == "by exception"


@pytest.mark.parametrize("lost", [0.0, 0.3])
def test_periodic_sources_are_not_accused(line, lost):
    """Continuous and digital sources, with or without lost messages, are periodic."""
    rng = np.random.default_rng(4)
    kept = np.flatnonzero(rng.random(3000) >= lost)
    for step in (0.0, 0.1, 0.25):
        value = rng.normal(size=3000)
        value = np.round(value / step) * step if step else value
        cadence = Cadence(charted(line))
        assert cadence.update(Batch.of(np.zeros(len(kept)), kept * S, value[kept])) == []
        assert cadence.state(0)["verdict"] == "periodic"


def test_coarse_sensor(line):
    """A resolution above a quarter of sigma is said in words, where zone rules read samples."""
    value = np.round(np.random.default_rng(5).normal(size=2000) / 0.4) * 0.4
    batch = Batch.of(np.zeros(2000), np.arange(2000) * S, value)
    (event,) = Cadence(charted(line)).update(batch)
    assert event.rule == "resolution"
    assert event.detail["statistic"] == pytest.approx(0.4)
    assert "miss much" in event.detail["meaning"]
    assert Cadence(charted(line, series="block", block_s=60.0)).update(batch) == []


def test_cuts_snapshot_and_memory(line):
    """Any cut, a small buffer and a snapshot in mid-stream change nothing; memory is fixed."""
    index, batch = charted(line), stream()
    whole, single, tight, first, second = (Cadence(index) for _ in range(5))
    tight._out = tight._out[:1].copy()
    sizes = [array.nbytes for array in whole._arrays.values()]
    expected = run(whole, batch)
    assert len(expected) == 2
    assert expected == run(single, batch, range(1, len(batch))) == run(tight, batch)
    events = run(first, batch.part(0, 1500))
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    assert expected == events + run(second, batch.part(1500, len(batch)))
    assert whole.snapshot() == single.snapshot() == second.snapshot()
    assert sizes == [array.nbytes for array in whole._arrays.values()]


def test_bad_and_late_samples_are_only_counted(line):
    """NaN, bad quality and late samples change nothing but their counts."""
    cadence = Cadence(charted(line))
    cadence.update(Batch.of([0] * 9, np.arange(9) * S, np.arange(9) % 3))
    before = cadence._state.copy()
    bad = Batch.of([0] * 3, [20 * S, 21 * S, 0], [np.nan, 1.0, 1.0], [192, BAD, 192])
    assert cadence.update(bad) == []
    state = cadence.state(0)
    assert (state["cannot_judge"], state["late"], state["verdict"]) == (2, 1, "cannot judge")
    for name in before.dtype.names:
        same = before[name].tobytes() == cadence._state[name].tobytes()
        assert same == (name not in {"late", "skipped", "skipped_in_row"})


def test_one_compiled_version_equals_plain_python(line, monkeypatch):
    """The compiled walk and its Python form give the same events and state."""
    index, batch = charted(line), stream()
    compiled, plain = Cadence(index), Cadence(index)
    expected = run(compiled, batch)
    function = cadence_kernel.cadence_rows
    monkeypatch.setattr(cadence_kernel, "cadence_rows", getattr(function, "py_func", function))
    assert expected == run(plain, batch)
    assert compiled.snapshot() == plain.snapshot()
