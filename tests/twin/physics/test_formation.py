"""Steps and cycles of formation channels, on built data and with every cut of the stream."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import StateError
from twin.model.batch import Batch
from twin.model.event import line_of
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Channel, Line, Sensor, Station
from twin.physics.formation import FormationTracker

STATION = Station(id="formation", area="formation")
KEYS = ("v", "i", "n", "q", "t1", "t2", "t3", "other")
UNITS = {"v": "V", "i": "A", "q": "A.h", "t1": "Cel", "t2": "Cel", "t3": "Cel"}
FULL = {
    "voltage": "v",
    "current": "i",
    "step": "n",
    "capacity": "q",
    "temperature": ["t1", "t2", "t3"],
}
S = 1_000_000_000


def index_of(units: dict[str, str] | None = None, **settings: object) -> LineIndex:
    """A line with one channel; sensor keys as in :data:`KEYS`."""
    unit = UNITS | (units or {})
    rows = [
        SensorRow(k, f"formation/{key}", STATION, Sensor(key=key, unit=unit.get(key, "1")))
        for k, key in enumerate(KEYS)
    ]
    named = {
        name: [f"formation/{key}" for key in value]
        if isinstance(value, list)
        else f"formation/{value}"
        if isinstance(value, str)
        else value
        for name, value in settings.items()
    }
    channel = Channel(station="formation", id="ch1", **named)
    return LineIndex(Line(), "1", rows, {row.id: row for row in rows}, [channel])


def batch_of(rows: list[tuple[float, dict[str, float]]]) -> Batch:
    """Rows of (seconds, key to value), one message per row."""
    flat = [
        (KEYS.index(key), round(t * S), value, seq)
        for seq, (t, row) in enumerate(rows)
        for key, value in row.items()
    ]
    sensor, time, value, seq = zip(*flat, strict=True)
    return Batch.of(sensor, time, value, seq=seq)


def run(index: LineIndex, batch: Batch, size: int | None = None) -> list:
    """All events of a stream, cut between messages into parts of about ``size`` samples."""
    tracker = FormationTracker(index)
    events = []
    for part in parts(batch, size):
        events += tracker.update(part)
    return events + tracker.finish()


def parts(batch: Batch, size: int | None) -> list[Batch]:
    """The batch in parts; a message is never split."""
    if size is None:
        return [batch]
    cuts = [0]
    for row in range(1, len(batch)):
        if batch.seq[row] != batch.seq[row - 1] and row - cuts[-1] >= size:
            cuts.append(row)
    return [batch.part(a, b) for a, b in zip(cuts, [*cuts[1:], len(batch)], strict=True)]


def pulse() -> list[tuple[float, dict[str, float]]]:
    """60 s rest, 1 h charge at 1 A, 60 s rest, 30 min discharge at 1.8 A; 10 s rows."""
    rows: list[tuple[float, dict[str, float]]] = []
    t = 0.0
    charge = 0.0
    for number, (seconds, ampere) in enumerate([(60, 0.0), (3600, 1.0), (60, 0.0), (1800, -1.8)]):
        for k in range(seconds // 10 + 1):
            volt = 3.5 + 0.2 * charge + 0.02 * ampere
            rows.append((t, {"v": volt, "i": ampere, "n": number + 1, "q": abs(charge)}))
            if k < seconds // 10:
                t += 10
                charge += ampere / 360
    return rows


def steps(events: list) -> list:
    return [event for event in events if event.type == "formation_step"]


def cycles(events: list) -> list:
    return [event for event in events if event.type == "formation_cycle"]


def test_steps_of_a_pulse():
    """Kinds, charges, energies and durations of four steps."""
    events = run(index_of(**FULL), batch_of(pulse()))
    assert [event.rule for event in steps(events)] == ["rest", "charge", "rest", "discharge"]
    charge = [round(event.value, 9) for event in steps(events)]
    assert charge == [0.0, 1.0, 0.0, -0.9]
    detail = steps(events)[1].detail
    assert detail["duration_s"] == 3600.0
    assert detail["energy_wh"] == pytest.approx(3.62, rel=1e-9)
    assert detail["current_mean_a"] == 1.0
    assert (detail["rows"], detail["step"], detail["complete"]) == (361, 2.0, True)
    assert detail["counter_ah"] == pytest.approx(1.0)
    assert not steps(events)[3].detail["complete"]
    assert steps(events)[1].t_first == 60 * S


def test_cycle_of_a_pulse():
    """Charge and discharge make one cycle; the efficiency is the ratio of the integrals."""
    (cycle,) = cycles(run(index_of(**FULL), batch_of(pulse())))
    assert cycle.value == pytest.approx(0.9)
    assert cycle.detail["charge_ah"] == pytest.approx(1.0)
    assert not cycle.detail["complete"]


def test_cycle_is_told_when_the_next_charge_begins():
    """The cycle comes with the first charging rows after its discharge, not at the end."""
    rows = pulse()
    end = rows[-1][0]
    rows += [(end + 10 * k, {"v": 3.6, "i": 0.5, "n": 5, "q": 0.1}) for k in range(1, 8)]
    tracker = FormationTracker(index_of(**FULL))
    (cycle,) = cycles(tracker.update(batch_of(rows)))
    assert cycle.detail["complete"]
    assert cycle.detail["number"] == 1


def test_steps_from_the_sign_of_the_current():
    """Without a step number the sign of the current makes the steps."""
    rows = [(t, {key: row[key] for key in ("v", "i")}) for t, row in pulse()]
    settings = {"voltage": "v", "current": "i", "rest_current_a": 0.01}
    found = steps(run(index_of(**settings), batch_of(rows)))
    assert [event.rule for event in found] == ["rest", "charge", "rest", "discharge"]
    assert found[3].value == pytest.approx(-0.9)
    assert found[1].detail["step"] is None


def test_a_configured_step_sensor_may_stay_silent():
    """A recording without the step column falls back to the sign of the current."""
    rows = [(t, {key: row[key] for key in ("v", "i")}) for t, row in pulse()]
    found = steps(run(index_of(**FULL), batch_of(rows)))
    assert [event.rule for event in found] == ["rest", "charge", "rest", "discharge"]


def test_half_cycles_from_a_capacity_counter():
    """Without current, resets above the threshold end half cycles; jitter does not."""
    up = [k * 1e-6 for k in range(100)]
    down = [k * 5e-7 for k in range(100)]
    jitter = [0.5e-9, 0.2e-9]
    capacity = [*up, *jitter, *down, *up[:50]]
    rows = [
        (k, {"v": 1.0 - 0.001 * k if k < 100 else 0.9 + k * 1e-3, "q": q})
        for k, q in enumerate(capacity)
    ]
    events = run(index_of(voltage="v", capacity="q"), batch_of(rows))
    assert [event.detail["rows"] for event in steps(events)] == [100, 102, 50]
    assert steps(events)[0].rule == "discharge"
    assert "charge_ah" not in steps(events)[0].detail
    assert "duration_s" not in steps(events)[0].detail
    first, second = cycles(events)
    assert first.value == pytest.approx(0.5)
    assert first.detail["complete"]
    assert second.value is None
    assert not second.detail["complete"]


@pytest.mark.parametrize(
    ("volts", "amperes", "kind"),
    [
        ([3.5, 3.6, 3.7, 3.8], [1, 1, 1, 1], "charge"),
        ([4.2, 4.2, 4.2, 4.2], [1, 0.6, 0.3, 0.1], "cv_charge"),
        ([3.9, 4.1, 4.2, 4.2], [1, 1, 1, 0.1], "cccv_charge"),
        ([3.0, 3.0, 3.0, 3.0], [-1, -0.6, -0.3, -0.1], "cv_discharge"),
        ([3.6, 3.2, 3.0, 3.0], [-1, -1, -1, -0.1], "cccv_discharge"),
        ([3.5, 3.6, 3.5, 3.4], [1, 1, -1, -1], "mixed"),
    ],
)
def test_kinds(volts, amperes, kind):
    """Constant current, constant voltage and both in one step are told apart."""
    rows = [
        (10 * k, {"v": v, "i": i, "n": 1})
        for k, (v, i) in enumerate(zip(volts, amperes, strict=True))
    ]
    (step,) = steps(run(index_of(**FULL), batch_of(rows)))
    assert step.rule == kind


def test_raw_regressions_are_bridged():
    """One row per step with time 0: charges stay right, and the regressions are counted."""
    rows = []
    for t, row in pulse():
        again = bool(rows) and rows[-1][1]["n"] != row["n"]
        rows += [(t, row), (t + 0.01, row)] if again else [(t, row)]
    clean = steps(run(index_of(**FULL), batch_of(rows)))
    starts = [k for k in range(1, len(rows)) if rows[k][1]["n"] != rows[k - 1][1]["n"]]
    raw = [(0.0, row) if k in starts else (t, row) for k, (t, row) in enumerate(rows)]
    bridged = steps(run(index_of(**FULL), batch_of(raw)))
    assert [event.detail["regressions"] for event in bridged] == [0, 1, 1, 1]
    for was, now in zip(clean, bridged, strict=True):
        assert now.value == pytest.approx(was.value, abs=1e-9)


def test_a_clock_set_back_is_a_break():
    """A clock that is set back for good: nothing is integrated over the jump."""
    rows = [(t if t < 2000 else t - 1500, row) for t, row in pulse()]
    events = run(index_of(**FULL), batch_of(rows))
    charge = steps(events)[1]
    assert charge.detail["clock_set_back"] == 1
    assert charge.value == pytest.approx(1.0, abs=0.01)
    assert cycles(events)[0].detail["uncertain"]


def test_a_gap_is_not_integrated():
    """A hole of days is counted, not filled with charge."""
    rows = [(t if t < 2000 else t + 400_000, row) for t, row in pulse()]
    charge = steps(run(index_of(**FULL), batch_of(rows)))[1]
    assert charge.detail["gaps"] == 1
    assert charge.detail["gap_s"] == pytest.approx(400_010)
    assert charge.value == pytest.approx(1.0, abs=0.01)


def test_counter_that_resets_inside_a_step():
    """The lost part of a counter is found; counters then disagree with the integral."""
    rows = pulse()
    rows = [(t, dict(row)) for t, row in rows]
    for _, row in rows[200:368]:
        row["q"] = max(0.0, row["q"] - rows[199][1]["q"])
    events = run(index_of(**FULL), batch_of(rows))
    charge = steps(events)[1]
    lost = rows[199][1]["q"]
    assert charge.detail["counter_resets"] == 1
    assert charge.detail["counter_lost_ah"] == pytest.approx(lost, abs=1e-9)
    assert charge.detail["counter_ah"] == pytest.approx(1.0, abs=0.01)
    assert charge.detail["counter_raw_ah"] == pytest.approx(1.0 - lost, abs=0.01)
    assert cycles(events)[0].detail["counters_disagree"]


def test_resistance_after_a_rest():
    """R at 1, 3 and 10 s and of the first sample, against the last rest sample."""
    rows = [(0.1 * k, {"v": 3.0, "i": 0.0, "n": 1}) for k in range(101)]
    for k in range(150):
        t = 10.1 + 0.1 * k
        volt = 3.0 + 2.0 * (0.010 + 0.001 * (t - 10.0))
        rows.append((t, {"v": volt, "i": 2.0, "n": 2}))
    detail = steps(run(index_of(**FULL), batch_of(rows)))[1].detail
    assert detail["dcir_first_ohm"] == pytest.approx(0.0101)
    assert detail["dcir_1s_ohm"] == pytest.approx(0.011)
    assert detail["dcir_3s_ohm"] == pytest.approx(0.013)
    assert detail["dcir_10s_ohm"] == pytest.approx(0.020)


def test_resistance_is_not_made_up():
    """Rows 10 s apart say nothing about 1 s or 3 s; a falling current says nothing at all."""
    detail = steps(run(index_of(**FULL), batch_of(pulse())))[1].detail
    assert not {"dcir_1s_ohm", "dcir_3s_ohm"} & set(detail)
    assert "dcir_10s_ohm" in detail
    rows = [(k, {"v": 3.0, "i": 0.0, "n": 1}) for k in range(5)]
    rows += [(5 + 0.5 * k, {"v": 3.1, "i": 2.0 * 0.5**k, "n": 2}) for k in range(30)]
    detail = steps(run(index_of(**FULL), batch_of(rows)))[1].detail
    assert not {"dcir_3s_ohm", "dcir_10s_ohm"} & set(detail)


def test_thermocouples_that_disagree():
    """One event per step names the thermocouple that stands apart."""
    rows = [
        (k, {"v": 3.0, "i": 1.0, "n": 1, "t1": 25.0, "t2": 25.5 + 0.5 * k, "t3": 25.2})
        for k in range(20)
    ]
    (event,) = [e for e in run(index_of(**FULL), batch_of(rows)) if e.type == "data_quality"]
    assert event.rule == "temperature_spread"
    assert event.sensor == "formation/t2"
    assert event.value == pytest.approx(5.5)
    assert event.t_first == 10 * S


def test_units_of_the_sensors():
    """Sensors in mV, mA and mA.h give the same events as V, A and A.h."""
    rows = [
        (t, {"v": r["v"] * 1000, "i": r["i"] * 1000, "n": r["n"], "q": r["q"] * 1000})
        for t, r in pulse()
    ]
    small = run(index_of({"v": "mV", "i": "mA", "q": "mA.h"}, **FULL), batch_of(rows))
    for was, now in zip(run(index_of(**FULL), batch_of(pulse())), small, strict=True):
        assert now.id == was.id
        assert now.value == pytest.approx(was.value, abs=1e-9)


def test_each_sensor_in_its_own_message():
    """Live channels send every sensor on its own; the charge is the same."""
    rows = []
    for t, row in pulse():
        rows += [
            (t, {"n": row["n"]}),
            (t, {"v": row["v"]}),
            (t, {"i": row["i"]}),
            (t, {"t1": 25.0}),
        ]
    found = steps(run(index_of(**FULL), batch_of(rows)))
    assert [round(event.value, 9) for event in found] == [0.0, 1.0, 0.0, -0.9]
    assert all(event.detail["regressions"] == 0 for event in found)


def test_companions_do_not_turn_back_the_clock():
    """A voltage a little later than the current is no regression of the current."""
    rows = []
    for t, row in pulse():
        rows += [(t + 0.02, {"v": row["v"]}), (t, {"i": row["i"], "n": row["n"]})]
    found = steps(run(index_of(**FULL), batch_of(rows)))
    assert all(event.detail["regressions"] == 0 for event in found)
    assert found[1].value == pytest.approx(1.0)


def test_bad_and_foreign_samples_are_passed_over():
    """Bad quality, NaN and other sensors change nothing."""
    clean = batch_of(pulse())
    rows = [(t, {**row, "other": 1.0}) for t, row in pulse()]
    dirty = batch_of(rows)
    bad = Batch.of([1, 0], [10 * S, 10 * S], [99.0, np.nan], quality=[0, 0], seq=[-1, -1])
    tracker = FormationTracker(index_of(**FULL))
    events = tracker.update(bad) + tracker.update(dirty) + tracker.finish()
    assert [line_of(e) for e in events] == [line_of(e) for e in run(index_of(**FULL), clean)]


def test_order_of_values_in_a_message_does_not_matter():
    """The values of one message may come in any order."""
    rows = [(t, dict(reversed(row.items()))) for t, row in pulse()]
    turned = run(index_of(**FULL), batch_of(rows))
    assert turned == run(index_of(**FULL), batch_of(pulse()))


@pytest.mark.parametrize("size", [1, 7, 1000, None])
def test_cuts_change_nothing(size):
    """How the stream is cut into batches changes no byte of the events."""
    whole = [line_of(event) for event in run(index_of(**FULL), batch_of(pulse()))]
    assert [line_of(event) for event in run(index_of(**FULL), batch_of(pulse()), size)] == whole


@given(st.integers(0, 560), st.booleans())
def test_snapshot_and_restore(cut, settle):
    """Stopping anywhere and going on from a packed snapshot changes no byte."""
    index = index_of(**FULL)
    batch = batch_of(pulse())
    edge = int(np.searchsorted(batch.seq, cut))
    first = FormationTracker(index)
    events = first.update(batch.part(0, edge))
    packed = msgspec.msgpack.encode(first.snapshot())
    second = FormationTracker(index)
    if settle:
        second.update(batch)  # whatever it held before is gone
    second.restore(msgspec.msgpack.decode(packed))
    assert msgspec.msgpack.encode(second.snapshot()) == packed
    events += second.update(batch.part(edge, len(batch))) + second.finish()
    assert list(map(line_of, events)) == list(map(line_of, run(index, batch)))


def test_snapshots_of_other_settings_are_refused():
    """A snapshot of another channel or version is not mixed in."""
    snapshot = FormationTracker(index_of(**FULL)).snapshot()
    with pytest.raises(StateError, match="settings"):
        FormationTracker(index_of(**FULL, rest_current_a=0.5)).restore(snapshot)
    with pytest.raises(StateError, match="version"):
        FormationTracker(index_of(**FULL)).restore(snapshot | {"version": 0})
    with pytest.raises(StateError, match="size"):
        FormationTracker(index_of(**FULL)).restore(snapshot | {"state": b""})


def test_another_version_of_the_line():
    """An unchanged channel goes on undisturbed; a changed one tells what was open and begins anew."""
    batch = batch_of(pulse())
    cut = int(np.searchsorted(batch.seq, 300))
    old, new = FormationTracker(index_of(**FULL)), FormationTracker(index_of(**FULL))
    events = old.update(batch.part(0, cut))
    assert new.follow(old) == []
    events += new.update(batch.part(cut, len(batch))) + new.finish()
    whole = run(index_of(**FULL), batch)
    assert list(map(line_of, events)) == list(map(line_of, whole))
    old = FormationTracker(index_of(**FULL))
    old.update(batch.part(0, cut))
    other = FormationTracker(index_of(**FULL, rest_current_a=0.1))
    (step, cycle) = other.follow(old)
    assert (step.rule, step.detail["complete"]) == ("charge", False)
    assert not cycle.detail["complete"]
    assert steps(other.update(batch.part(cut, len(batch))))[0].detail["rows"] < 100


def test_many_steps_in_one_batch():
    """More steps than the output holds at once are all told, in order."""
    rows = [(10 * k, {"v": 3.0, "i": float(k % 2), "n": k}) for k in range(2000)]
    found = steps(run(index_of(**FULL), batch_of(rows)))
    assert [event.detail["step"] for event in found] == [float(k) for k in range(2000)]
    assert len({event.id for event in found}) == 2000


def test_a_line_without_channels():
    """Without channels there is nothing to do."""
    index = index_of(**FULL)
    empty = FormationTracker(LineIndex(Line(), "1", index.sensors, index.by_id))
    assert empty.update(batch_of(pulse())) + empty.finish() == []
