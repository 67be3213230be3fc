"""What every exported detector must do when it is reset, made twice, or fed with points."""

from __future__ import annotations

from dataclasses import fields, replace

import msgspec
import numpy as np
import pytest

from twin.model.batch import Batch
from twin.model.event import line_of
from twin.model.points import PointFlag, Points

S = 1_000_000_000


def lines(events):
    return [line_of(event) for event in events]


def copy(batch):
    return Batch(*(getattr(batch, field.name).copy() for field in fields(Batch)))


def without_counts(event):
    """What an event says besides how many there were before it."""
    detail = {
        key: value
        for key, value in event.detail.items()
        if key not in {"n_first", "n_last", "n", "opened"}
    }
    return event.type, event.rule, event.sensor, event.t_first, event.t_last, event.value, detail


def test_two_of_a_kind_share_nothing(kind, line, stream):
    """What one detector learns is unknown to the next: there are no shared defaults."""
    before = kind(line()).snapshot()
    kind(line()).update(stream())
    assert kind(line()).snapshot() == before


def test_events_share_nothing_with_the_detector(kind, line, stream):
    """Whoever gets an event may do with its detail what he likes."""
    batch = stream()
    spoiled, careful = kind(line()), kind(line())
    half = len(batch) // 2
    for event in spoiled.update(copy(batch).part(0, half)):
        if event.type.endswith("_closed"):
            event.detail.clear()
    careful.update(copy(batch).part(0, half))
    rest = [detector.update(copy(batch).part(half, len(batch))) for detector in (spoiled, careful)]
    assert lines(rest[0]) == lines(rest[1])


def test_declared_names(kind):
    """A detector says its name, its version, its place and what it judges."""
    assert kind.name.isidentifier()
    assert kind.version >= 1
    assert isinstance(kind.order, int)
    assert kind.about in {"sensor", "group"}
    assert kind.judges in {"samples", "points"}
    assert hasattr(kind, "update_points") == (kind.judges == "points")


def test_inserted_nan_changes_nothing_but_counts(kind, line, stream):
    """Samples without a value between the others leave every event as it is."""
    if kind.name == "validity":
        pytest.skip("a flat stretch is one of samples that arrived; NaN ends none and counts")
    rng = np.random.default_rng(5)
    batch = stream()
    n = len(batch)
    rows = np.sort(np.concatenate([np.arange(n), rng.integers(0, n, n // 5)]))
    again = np.concatenate([[False], rows[1:] == rows[:-1]])
    # The copy stands behind its original, at the same time and with its marks.
    holes = copy(batch).take(rows)
    holes.value[again] = np.nan
    holes.marks[again] = 0
    assert lines(kind(line()).update(copy(batch))) == lines(kind(line()).update(holes))


def test_reset_equals_a_fresh_start(kind, line, stream):
    """After a reset nothing of the past counts: what follows is what a new detector says."""
    if not hasattr(kind, "reset"):
        pytest.skip("has no reset by an operator")
    if kind.about == "group":
        pytest.skip("groups are reset by their number; see their own tests")
    if kind.name == "short_runs":
        pytest.skip("a reset of statistics keeps the mean and sigma learned so far")
    index = line(cusum_start="head-start")
    batch = stream()
    half = len(batch) // 2
    used, fresh = kind(index), kind(index)
    used.update(copy(batch).part(0, half))
    for sensor in range(6):
        was = {event.id for event in used.open_findings(sensor)}
        closed = used.reset(sensor, "operator")
        assert {event.detail["opened"] for event in closed} == was
        assert all(event.detail["cause"] == "operator" for event in closed)
        assert used.open_findings(sensor) == []
    # Late is what is older than the newest sample: samples of the second half that the reset
    # detector has not yet seen are none of them.
    rest = copy(batch).part(half, len(batch))
    rest = rest.take(rest.time_ns >= batch.time_ns[:half].max())
    expected = [without_counts(event) for event in fresh.update(copy(rest))]
    assert expected
    assert expected == [without_counts(event) for event in used.update(copy(rest))]


# -- points ---------------------------------------------------------------------------------------


def plotted(line, kind, stream):
    """A detector whose charts plot points, and points."""
    index = line(series="thin", every=2)
    batch = stream()
    rng = np.random.default_rng(11)
    n = len(batch)
    rows = np.arange(0, n, 2)
    flags = rng.choice(
        [0, PointFlag.GAP, PointFlag.RESET, PointFlag.HELD], n, p=[0.9, 0.03, 0.03, 0.04]
    )
    points = Points.of(
        batch.sensor[rows],
        np.sort(batch.time_ns[rows]),
        batch.value[rows],
        row=rows,
        scale=rng.choice([1.0, 1.5], len(rows)),
        flags=flags[rows],
        spread=np.abs(rng.normal(size=len(rows))),
        size=np.full(len(rows), 4.0),
    )
    return kind(index), points, batch


def judge(detector, points, batch, step):
    return [
        event
        for start in range(0, len(points), step)
        for event in detector.update_points(points.take(slice(start, start + step)), batch)
    ]


def test_cuts_of_points_change_nothing(kind, line, stream):
    """Points one by one, in pieces or all at once: the same events and the same state."""
    if kind.judges != "points":
        pytest.skip("judges samples")
    whole, points, batch = plotted(line, kind, stream)
    expected = judge(whole, points, batch, len(points))
    kept = msgspec.msgpack.encode(whole.snapshot())
    for step in (1, 7, 500):
        pieces = kind(line(series="thin", every=2))
        assert lines(judge(pieces, points, batch, step)) == lines(expected)
        assert msgspec.msgpack.encode(pieces.snapshot()) == kept


def test_points_are_left_alone(kind, line, stream):
    """Points are read, never written, and nothing keeps a reference."""
    if kind.judges != "points":
        pytest.skip("judges samples")
    detector, points, batch = plotted(line, kind, stream)
    before = Points(*(getattr(points, field.name).copy() for field in fields(Points)))
    detector.update_points(points, batch)
    for field in fields(Points):
        assert np.array_equal(
            getattr(before, field.name), getattr(points, field.name), equal_nan=field.name in {"value", "place", "spread"},
        )  # fmt: skip
    kept = detector.snapshot()
    points.value[:] = 99.0
    assert detector.snapshot() == kept


def test_rows_of_point_events_are_rows_of_the_batch(kind, line, stream):
    """An event about a point stands where the sample stands that completed it."""
    if kind.judges != "points":
        pytest.skip("judges samples")
    detector, points, batch = plotted(line, kind, stream)
    later = replace(points, row=points.row // 2)
    detector.update_points(points.take(slice(0, 400)), batch)
    events = detector.update_points(later.take(slice(400, None)), batch)
    rows = [event.row for event in events]
    assert rows == sorted(rows)
    assert set(rows) <= set(later.row.tolist())
