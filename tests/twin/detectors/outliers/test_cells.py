"""Cells of formation: features from events, recipes by protocol, trays judged when complete."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from twin.detectors.outliers.cells import Cell, Cells, Trays, judge, tray_of, with_recipes
from twin.errors import StateError
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Channel, Line, Sensor, Station
from twin.physics.formation import FormationTracker

S = 1_000_000_000
COUNT = 40


def rack():
    """A line with one tray of forty channels."""
    station = Station(id="f")
    rows, channels = [], []
    for c in range(COUNT):
        for key, unit in (("v", "V"), ("i", "A")):
            spec = Sensor(key=f"{key}{c}", unit=unit)
            rows.append(SensorRow(len(rows), f"f/{spec.key}", station, spec))
        channels.append(
            Channel(station="f", id=f"t1c{c:02d}", voltage=f"f/v{c}", current=f"f/i{c}")
        )
    return LineIndex(Line(), "0" * 16, rows, {row.id: row for row in rows}, channels)


def cycles(minutes, amps):
    """Rest, charge for an hour, rest, discharge for ``minutes`` of each cell, rest."""
    rows = []
    seq = 0
    for second in range(0, 9000, 60):
        for c in range(COUNT):
            seq += 1
            end = 4320 + 60 * minutes[c]
            i = amps[c] if 300 <= second < 3900 else (-amps[c] if 4320 <= second < end else 0.0)
            v = 3.0 + (0.5 if i >= 0 else 0.3)
            rows += [(2 * c, second, v, seq), (2 * c + 1, second, i, seq)]
    sensor, time, value, seqs = zip(*rows, strict=True)
    return Batch.of(sensor, np.array(time) * S, value, seq=seqs)


def events_of(minutes, amps):
    tracker = FormationTracker(rack())
    second = cycles(minutes, amps)
    # A second charge ends the first cycle.
    again = cycles(minutes, amps)
    again.time_ns[:] += 9000 * S
    return tracker.update(second) + tracker.update(again)


@pytest.fixture(scope="module")
def planted():
    """A fast recipe in four channels of forty, one weak cell, one channel that is only fast."""
    rng = np.random.default_rng(1)
    minutes = 50.0 + rng.integers(0, 3, COUNT)
    minutes[7] = 20.0
    amps = np.full(COUNT, 1.0)
    amps[30:34] = 3.0
    return events_of(minutes, amps)


def test_features_and_recipes(planted):
    """Capacity, efficiency and protocol come from the events; two currents are two recipes."""
    cells = Cells(first=True)
    found = with_recipes([cell for event in planted if (cell := cells.add(event))])
    assert len(found) == COUNT
    by_id = {cell.id: cell for cell in found}
    weak = by_id["f/t1c07"]
    assert weak.values["capacity"] == pytest.approx(20 / 60, abs=0.02)
    assert weak.values["efficiency"] == pytest.approx(1 / 3, abs=0.03)
    assert weak.tray == "f/t1"
    assert {cell.recipe for cell in found} == {"1 A up, 1 A down", "3 A up, 3 A down"}
    assert by_id["f/t1c31"].recipe == "3 A up, 3 A down"


def test_weak_cell_is_found_among_its_own(planted):
    """The weak cell stands out among slow cells; the fast ones are too few to be judged."""
    cells = Cells(first=True)
    found = with_recipes([cell for event in planted if (cell := cells.add(event))])
    result = judge(found, "capacity")
    assert [found[place].id for place in result.outliers] == ["f/t1c07"]
    silent = [c.id for c, p in zip(found, result.parts, strict=True) if p.verdict == "cannot judge"]
    assert silent == [f"f/t1c{c}" for c in range(30, 34)]
    with pytest.raises(ValueError, match="2 recipes"):
        judge(found, "capacity", by=["tray"])
    with pytest.raises(ValueError, match="would hide outliers"):
        judge(found, "capacity", mixed="refuse")
    with pytest.raises(ValueError, match="no cell has colour; measured: capacity"):
        judge(found, "colour")


def test_tray_speaks_when_it_is_complete(planted):
    """Findings come with the event that completes the tray, and once."""
    channels = {"f/t1": [f"f/t1c{c:02d}" for c in range(COUNT)]}
    trays = Trays(channels)
    cycle_events = [event for event in planted if event.type == "formation_cycle"]
    last = cycle_events[COUNT - 1]
    found = {}
    for event in planted:
        told = trays.add(event)
        if told:
            found[event.id] = told
    assert list(found) == [last.id]
    told = found[last.id]
    assert [e.type for e in told] == ["finding", "finding_closed"] * 2
    assert [e.detail["feature"] for e in told[::2]] == ["capacity", "efficiency"]
    capacity = told[0]
    assert told[1].detail["opened"] == capacity.id
    assert capacity.sensor == "f/i7"
    assert capacity.detail["side"] == "low"
    assert "robust sigma below the median" in capacity.detail["meaning"]


def test_recipe_somebody_names_counts(planted):
    """With the recipe of the line all cells of a tray are one population."""
    trays = Trays({"f/t1": [f"f/t1c{c:02d}" for c in range(COUNT)]}, ["capacity"])
    told = [e for each in planted for e in trays.add(each, recipe="a") if e.type == "finding"]
    assert told
    assert {event.detail["population"] for event in told} == {"a f/t1"}


def test_unknown_protocols_are_never_the_same():
    """Two cells of which nobody knows how they were formed are not compared."""
    cells = with_recipes([Cell("a", {"capacity": 1.0}), Cell("b", {"capacity": 2.0}, recipe="x")])
    assert [cell.recipe for cell in cells] == ["unknown (a)", "x"]


def test_temperature_is_part_of_the_protocol():
    """The same currents at 25 and 45 Cel are two recipes; half a kelvin is not."""
    cells = [Cell(str(t), {}, protocol=(1.0, 1.02, t)) for t in (25.0, 45.0, 45.5, 24.6)]
    recipes = [cell.recipe for cell in with_recipes(cells)]
    assert recipes[1] == recipes[2]
    assert recipes[0] == recipes[3] != recipes[1]


def test_tray_of_a_channel():
    """The tray is what comes before the last number of the channel's name."""
    names = ["f/r1c01", "f/channel", "f/7", "f/t12-03"]
    assert [tray_of(name) for name in names] == ["f/r1", "f", "f", "f/t12"]


def test_racks_are_never_pooled():
    """Small trays of two racks stay apart, whatever the keys."""
    cells = [
        Cell(f"{rack}{i}", {"capacity": 1.0 + 0.001 * i}, recipe="a", tray=f"t{rack}", rack=rack)
        for rack in "xy"
        for i in range(16)
    ]
    assert [p.parts for p in judge(cells, "capacity").populations] == [16, 16]
    assert [p.parts for p in judge(cells, "capacity", by=["recipe"]).populations] == [16, 16]


def test_cell_under_way_is_no_cell():
    """A charge that flows with the first sample was not seen as a whole: only a later one counts."""
    minutes, amps = np.full(COUNT, 50.0), np.full(COUNT, 1.0)
    batch = cycles(minutes, amps)
    late = batch.time_ns >= 1800 * S
    cut = Batch(*(getattr(batch, name)[late] for name in Batch.__dataclass_fields__))
    more = [cycles(minutes, amps) for _ in range(2)]
    tracker = FormationTracker(rack())
    events = tracker.update(cut)
    for round_, again in enumerate(more, start=1):
        again.time_ns[:] += round_ * 9000 * S
        events += tracker.update(again)
    of_line, of_file = Cells(), Cells(first=True)
    found = [cell for event in events if (cell := of_line.add(event))]
    assert len(found) == COUNT
    assert all(cell.id.endswith("#2") for cell in found)
    assert found[0].values["efficiency"] == pytest.approx(50 / 60, abs=0.02)
    first = [cell for event in events if (cell := of_file.add(event))]
    assert len(first) == COUNT
    assert first[0].values["efficiency"] > 1.2


def test_a_tray_goes_on_where_it_was(planted):
    """A snapshot in mid-formation changes nothing, and another line keeps the trays it knows."""
    channels = {"f/t1": [f"f/t1c{c:02d}" for c in range(COUNT)]}
    whole, first = Trays(channels), Trays(channels)
    expected = whole.update(planted, lambda _: "")
    half = len(planted) // 2
    told = first.update(planted[:half], lambda _: "")
    second = Trays(channels)
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    told += second.update(planted[half:], lambda _: "")
    assert told == expected
    other = Trays({"f/t2": ["f/x1", "f/x2"]})
    other.follow(first)
    assert other.snapshot()["waiting"] == {"f/t2": []}
    with pytest.raises(StateError, match="version 0"):
        other.restore({"version": 0})
