"""What every exported detector must do."""

from __future__ import annotations

import os
import pkgutil
from dataclasses import replace
from importlib import import_module
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import twin.detectors
from twin.detectors import warm
from twin.errors import StateError
from twin.model.batch import BAD, Batch, Mark
from twin.model.event import line_of

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"
S = 1_000_000_000


def _compiled_in(module):
    return {name: thing for name, thing in vars(module).items() if hasattr(thing, "py_func")}


KERNELS = [
    module
    for module in (
        import_module(found.name)
        for found in pkgutil.walk_packages(twin.detectors.__path__, "twin.detectors.")
    )
    if _compiled_in(module)
]
"""Modules with compiled functions; those of a new detector are found by themselves."""


def compiled():
    """Forms in which each compiled function exists."""
    functions = {
        f"{thing.py_func.__module__}.{thing.py_func.__name__}": thing
        for module in KERNELS
        for thing in _compiled_in(module).values()
    }
    return {name: len(function.signatures) for name, function in functions.items()}


def lines(events):
    return [line_of(event) for event in events]


def about(kind):
    """What the rows of a detector are: ``sensor``, or ``group`` of sensors."""
    return getattr(kind, "about", "sensor")


def copy(batch):
    return Batch(*(getattr(batch, name).copy() for name in Batch.__dataclass_fields__))


def buffers(detector):
    """Where the kernel of a detector writes what it reports; none for one without a kernel."""
    return [name for name in ("_out", "_facts", "_measures") if hasattr(detector, name)]


def run(detector, batch, cuts=()):
    """Feed the batch in pieces; the detector's own copy, so that marks do not leak."""
    batch = copy(batch)
    edges = [0, *sorted(cuts), len(batch)]
    events = []
    for start, stop in pairwise(edges):
        events += detector.update(batch.part(start, stop))
    return lines(events)


def test_stream_makes_every_detector_speak(kind, line, stream):
    """The conformance stream opens and closes findings, so the other tests compare something."""
    types = {event.type for event in kind(line()).update(stream())}
    expected = "validity" if kind.name == "validity" else "finding"
    assert {expected, f"{expected}_closed"} <= types


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(0, 1500), max_size=12))
def test_cuts_change_nothing(kind, line, stream, cuts):
    """Any way to cut the stream gives the same events and the same state."""
    whole, pieces = kind(line()), kind(line())
    batch = stream(n=1500)
    assert run(whole, batch) == run(pieces, batch, cuts)
    assert whole.snapshot() == pieces.snapshot()


def test_one_by_one_is_the_same(kind, line, stream):
    """A single sample is a batch of length one."""
    whole, single = kind(line()), kind(line())
    batch = stream(n=800)
    assert run(whole, batch) == run(single, batch, range(1, 800))
    assert whole.snapshot() == single.snapshot()


def test_small_buffer_changes_nothing(kind, line, stream):
    """More changes than the buffer holds come out in several rounds, in order and complete."""
    roomy, tight = kind(line()), kind(line())
    for name in buffers(tight):
        setattr(tight, name, getattr(tight, name)[:8].copy())
    assert run(roomy, stream()) == run(tight, stream())
    assert roomy.snapshot() == tight.snapshot()


def test_restore_in_mid_stream(kind, line, stream):
    """A snapshot, through msgpack and a new object, equals never having stopped."""
    batch = stream()
    whole, first, second = kind(line()), kind(line()), kind(line())
    expected = run(whole, batch)
    events = run(first, batch.part(0, 1400))
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    assert second.snapshot() == first.snapshot()
    assert expected == events + run(second, batch.part(1400, len(batch)))
    assert whole.snapshot() == second.snapshot()


def test_replays_are_byte_equal(kind, line, stream):
    """Two runs over the same data give the same bytes."""
    assert run(kind(line()), stream()) == run(kind(line()), stream())


def test_events_have_unique_ids(kind, line, stream):
    """No two events share an id, and every closing event names the one it closes."""
    events = kind(line()).update(stream())
    assert len({event.id for event in events}) == len(events)
    opened = {event.id for event in events}
    closing = [event for event in events if event.type.endswith("_closed")]
    assert closing
    assert all(event.detail["opened"] in opened for event in closing)


def test_snapshot_shares_no_memory(kind, line, stream):
    """A snapshot does not change when the detector goes on."""
    detector = kind(line())
    run(detector, stream(n=500))
    before = detector.snapshot()
    kept = msgspec.msgpack.encode(before)
    run(detector, stream(seed=9, n=500))
    assert kept == msgspec.msgpack.encode(before)


@pytest.mark.parametrize("bad", ["nan", "inf", "quality"])
def test_what_cannot_be_judged_changes_nothing_but_counts(kind, line, stream, bad):
    """NaN, infinity and bad quality are counted and leave the rest of the state alone."""
    detector = kind(line())
    run(detector, stream(n=600))
    time = 10_000 * S
    for name in ("s/k0", "s/k1"):
        assert detector.state(line().by_id[name].index) is not None
    before = {name: array.copy() for name, array in detector._arrays.items()}
    value = {"nan": np.nan, "inf": -np.inf, "quality": 0.0}[bad]
    quality = [BAD if bad == "quality" else 192] * 20
    assert detector.update(Batch.of([0] * 20, [time] * 20, [value] * 20, quality)) == []
    counts = {"skipped", "skipped_in_row"}
    for name, array in detector._arrays.items():
        if name != "state":
            assert np.array_equal(before[name], array)
    for field in detector._arrays["state"].dtype.names:
        same = before["state"][field].tobytes() == detector._arrays["state"][field].tobytes()
        assert same == (field not in counts)
    assert detector.state(0)["cannot_judge"] == before["state"]["skipped"][0] + 20
    assert detector.state(0)["verdict"] == "cannot judge"


def test_late_samples_are_counted_and_change_nothing_else(kind, line, stream):
    """A sample marked late, or older than the last one, does not enter."""
    detector = kind(line())
    run(detector, stream(n=600))
    before = {name: array.copy() for name, array in detector._arrays.items()}
    late = Batch.of([0, 0], [10_000 * S, 0], [9.0, 9.0], marks=[Mark.LATE, 0])
    assert detector.update(late) == []
    assert detector.state(0)["late"] == before["state"]["late"][0] + 2
    for field in detector._arrays["state"].dtype.names:
        same = before["state"][field].tobytes() == detector._arrays["state"][field].tobytes()
        assert same == (field != "late")


def test_nothing_is_known_at_the_start(kind, line):
    """Before the first sample the answer is "cannot judge"; a sensor without settings has none."""
    detector = kind(line())
    assert detector.state(0)["verdict"] == "cannot judge"
    plain = line().by_id["s/plain"].index
    assert detector.state(plain) is None


def test_only_nan_is_never_in_control(kind, line):
    """Twenty NaN leave the state at "cannot judge" and say nothing."""
    detector = kind(line())
    nan = Batch.of([0] * 20, np.arange(20) * S, [np.nan] * 20)
    assert detector.update(nan) == []
    assert detector.state(0)["verdict"] == "cannot judge"


def test_inputs_are_left_alone(kind, line, stream):
    """Only marks may be written, only by the validity tests, and nothing keeps a reference."""
    batch = stream(n=900)
    given_ = copy(batch)
    detector = kind(line())
    detector.update(batch)
    for name in Batch.__dataclass_fields__:
        if name != "marks" or kind.name != "validity":
            assert np.array_equal(
                getattr(given_, name), getattr(batch, name), equal_nan=name in {"value", "place"}
            )
    state = detector.snapshot()
    batch.value[:] = 99
    batch.time_ns[:] = 0
    assert state == detector.snapshot()


def test_other_sensors_do_not_matter(kind, line, stream):
    """The events of a sensor (or group) are those it would have without the others."""
    batch = stream()
    together = kind(line()).update(copy(batch))
    if about(kind) == "group":
        for group in line().line.group:
            mine = np.isin(batch.sensor, [line().by_id[name].index for name in group.sensors])
            alone = Batch(*(getattr(batch, name)[mine] for name in Batch.__dataclass_fields__))
            place = f"group/{group.id}"
            said = [e for e in kind(line()).update(alone) if e.sensor == place]
            assert said
            assert lines(said) == lines(e for e in together if e.sensor == place)
        return
    for sensor in range(5):
        mine = batch.sensor == sensor
        alone = Batch(*(getattr(batch, name)[mine] for name in Batch.__dataclass_fields__))
        expected = lines(kind(line()).update(alone))
        assert expected == lines(e for e in together if e.sensor == f"s/k{sensor}")


def test_memory_depends_on_sensors_only(kind, line, stream):
    """More rows need no more memory; open findings are bounded by the rules."""
    detector = kind(line())
    sizes = {name: array.nbytes for name, array in detector._arrays.items()}
    for seed in range(3):
        run(detector, stream(seed=seed))
    assert sizes == {name: array.nbytes for name, array in detector._arrays.items()}
    assert all(len(getattr(detector, name)) == 1024 for name in buffers(detector))
    assert sum(len(found) for found in detector._open.values()) <= 6 * 16


def test_mirror(kind, line, stream):
    """Turning the signal upside down swaps the sides and changes nothing else."""
    if kind.name == "attributes":
        pytest.skip("counts cannot be negative and have no mirror image")
    if kind.name in ("noise", "spread"):
        pytest.skip("scatter has no sign; see its own tests")
    batch = stream()
    events = kind(line()).update(copy(batch))
    mirrored = kind(line()).update(replace(copy(batch), value=-batch.value))
    swap = {"high": "low", "low": "high", "both": "both"}

    def facts(event, turn):
        side = event.detail["side"]
        return (
            event.type,
            event.rule,
            event.sensor,
            swap[side] if turn else side,
            event.t_first,
            event.t_last,
            -event.value if turn and about(kind) == "sensor" else event.value,
            event.detail["rules"],
        )

    assert [facts(e, turn=False) for e in events] == [facts(e, turn=True) for e in mirrored]


def test_shift_and_scale(kind, line, stream):
    """Another unit with limits in that unit gives the same findings at the same samples."""
    if kind.name == "attributes":
        pytest.skip("counts have no unit")
    batch = stream()
    events = kind(line()).update(copy(batch))
    scaled = kind(line(4.0, 64.0)).update(replace(copy(batch), value=batch.value * 4 + 64))

    def facts(event):
        return event.type, event.rule, event.sensor, event.t_first, event.t_last, event.row

    if kind.name == "charts":
        # EWMA and CUSUM round differently around another centre; rules compare exactly.
        events = [e for e in events if e.rule not in {"ewma", "cusum"}]
        scaled = [e for e in scaled if e.rule not in {"ewma", "cusum"}]
    assert [facts(e) for e in events] == [facts(e) for e in scaled]


def test_causality(kind, line, stream):
    """Removing later samples does not change what was said before."""
    batch = stream()
    whole = run(kind(line()), batch)
    part = run(kind(line()), batch.part(0, 1700))
    assert part == whole[: len(part)]


@pytest.mark.skipif(not JIT, reason="compilation is switched off (NUMBA_DISABLE_JIT)")
def test_compiled_equals_plain_python(kind, line, stream, monkeypatch):
    """The compiled kernel and its Python form give the same events and the same bits."""
    batch = stream(n=1200)
    compiled = kind(line())
    expected = run(compiled, batch)
    for module in KERNELS:
        for name, thing in _compiled_in(module).items():
            monkeypatch.setattr(module, name, thing.py_func)
    plain = kind(line())
    assert expected == run(plain, batch)
    assert compiled.snapshot() == plain.snapshot()


@pytest.mark.skipif(not JIT, reason="compilation is switched off (NUMBA_DISABLE_JIT)")
def test_one_compiled_version(kind, line, stream):
    """Read-only, strided or wider columns are copied instead of compiling another kernel."""
    warm()
    detector = kind(line())
    batch = stream(n=500)
    detector.update(batch)
    wide = replace(
        batch,
        sensor=batch.sensor.astype(np.int64),
        time_ns=np.repeat(batch.time_ns, 2)[::2] + 10_000 * S,
        place=np.repeat(batch.place, 2)[::2],
    )
    wide.sensor.flags.writeable = False
    before = compiled()
    detector.update(wide)
    assert compiled() == before


def test_sensor_outside_the_line_is_refused(kind, line):
    """An index the line does not have would write into foreign memory."""
    with pytest.raises(ValueError, match="sensor index"):
        kind(line()).update(Batch.of([6], [0], [0.0]))


def test_foreign_snapshots_are_refused(kind, line, stream):
    """Another detector, version or settings, or a damaged snapshot, is a StateError."""
    detector = kind(line())
    run(detector, stream(n=500))
    good = detector.snapshot()
    other = kind(line(scale=2.0))
    for broken in (
        {**good, "detector": "other"},
        {**good, "version": 0},
        {**good, "settings": "0" * 16},
        {**good, "arrays": {}},
        {},
    ):
        with pytest.raises(StateError):
            kind(line()).restore(broken)
    with pytest.raises(StateError):
        other.restore(good)


def test_follow_keeps_unchanged_sensors(kind, line, stream):
    """After a change of the line unchanged sensors go on and changed ones start fresh."""
    if about(kind) == "group":
        pytest.skip("a group needs all its sensors; see test_groups.py")
    batch = stream()
    old = kind(line())
    run(old, batch.part(0, 1500))
    index = line()
    rows = list(index.sensors)
    changed = rows[0].spec.model_copy(
        update={
            "spike": 5.0,
            "chart": rows[0].spec.chart.model_copy(update={"centre": 0.5, "hampel_t": 4.0}),
            "detect": {"anomaly": {"rate": 0.01}, "noise": {"alpha": 0.01}},
        }
    )
    rows[0] = replace(rows[0], spec=changed)
    order = [rows[3], rows[1], rows[0]]
    order = [replace(row, index=i) for i, row in enumerate(order)]
    index = replace(index, sensors=order, by_id={row.id: row for row in order})
    new = kind(index)
    open_before = {i: old.open_findings(i) for i in range(6)}
    closed = new.follow(old)
    gone = [e.id for i in (0, 2, 4, 5) for e in open_before[i]]
    assert sorted(gone) == sorted(e.detail["opened"] for e in closed)
    assert all(e.detail["cause"] == "settings" for e in closed)
    assert new.state(2)["verdict"] == "cannot judge"
    if old.state(3) is not None:
        assert new.state(0) == old.state(3)
    assert [e.id for e in new.open_findings(1)] == [e.id for e in open_before[1]]
    rest = batch.part(1500, len(batch))
    mine = rest.sensor == 1
    same = Batch(*(getattr(rest, name)[mine] for name in Batch.__dataclass_fields__))
    moved = replace(same, sensor=np.full(mine.sum(), 1, np.int32))
    assert lines(old.update(copy(same))) == lines(new.update(copy(moved)))


def test_exports_are_complete():
    """``__all__`` is sorted and true."""
    assert twin.detectors.__all__ == sorted(twin.detectors.__all__)
    assert all(hasattr(twin.detectors, name) for name in twin.detectors.__all__)
