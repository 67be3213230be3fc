"""Joining readings to products and metres, and the record of the products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.config import parse
from twin.errors import DecodeError, StateError
from twin.model.batch import BAD, Batch
from twin.products import Products, kernel

if TYPE_CHECKING:
    from twin.model.index import LineIndex

LINE = """
[[station]]
id = "calender"
product = "calendered_coil"
encoder = "metre"

[[station.sensor]]
key = "metre"
unit = "m"
role = "counter"
period_s = 1
range = [0, 1000]

[[station.sensor]]
key = "gauge"
unit = "um"
period_s = 1
offset_m = 2

[[station]]
id = "sealing"
[[station.sensor]]
key = "leak"
sampling = "event"

[[station]]
id = "formation"
product = "cell"
[[station.sensor]]
key = "c{n}_voltage"
unit = "V"
period_s = 5
each = { n = "1..2" }

[[channel]]
station = "formation"
id = "c{n}"
voltage = "c{n}_voltage"
each = { n = "1..2" }
"""

T0 = 1_760_000_000_000
"""Start of every test, ms since 1970 UTC."""
METRE, GAUGE, LEAK, CELL1, CELL2 = range(5)


@pytest.fixture
def index() -> LineIndex:
    """A calender with an encoder, a station without, and two formation channels."""
    return parse({"line.toml": LINE})


def say(
    products: Products, op: str, name: str, at_s: float, seq: int = 1, **more: Any
) -> list[Any]:
    """Hand over a product message at T0 + at_s."""
    message = {"op": op, "id": name, "ts": T0 + round(at_s * 1000), "station": "calender", **more}
    return products.handle(message, 0, seq)


def rows(*readings: tuple[float, int, float]) -> Batch:
    """A batch of (seconds after T0, sensor, value)."""
    times = [(T0 + round(at_s * 1000)) * 1_000_000 for at_s, _, _ in readings]
    return Batch.of([s for _, s, _ in readings], times, [v for _, _, v in readings])


def joined(products: Products, *readings: tuple[float, int, float]) -> Batch:
    """The batch after the join."""
    batch = rows(*readings)
    products.join(batch)
    return batch


def names(products: Products, batch: Batch) -> list[str | None]:
    """Product ids of the rows."""
    return [products.name_of(int(i)) for i in batch.product]


def web(speed: float, seconds: range, begin: float = 0.0) -> list[tuple[float, int, float]]:
    """Encoder readings of a web that runs evenly, m/s."""
    return [(float(s), METRE, begin + speed * s) for s in seconds]


def row(products: Products, name: str) -> dict[str, Any]:
    """The product's row of the table."""
    return next(entry for entry in products.table() if entry["id"] == name)


def test_a_reading_belongs_to_the_product_at_its_event_time(index: LineIndex) -> None:
    """Rows around a coil change go to the coil that was there when they were taken."""
    products = Products(index)
    say(products, "start", "A", 0)
    say(products, "end", "A", 10)
    say(products, "start", "B", 12)
    batch = joined(products, *((s, GAUGE, 1.0) for s in (-1, 0, 9.999, 10, 11, 12, 13)))
    assert names(products, batch) == [None, "A", "A", None, None, "B", "B"]


def test_a_newcomer_ends_the_stay_of_a_product_nobody_ended(index: LineIndex) -> None:
    """A start without the end of the one before is taken as that end."""
    products = Products(index)
    say(products, "start", "A", 0)
    say(products, "start", "B", 5)
    batch = joined(products, (4, GAUGE, 1.0), (6, GAUGE, 1.0))
    assert names(products, batch) == ["A", "B"]
    assert row(products, "A")["state"] == "waiting"
    assert row(products, "A")["t_end"] == row(products, "B")["t_start"]


def test_a_late_start_ends_where_the_next_product_came(index: LineIndex) -> None:
    """A start told after the start of its successor fills the time until then."""
    products = Products(index)
    say(products, "start", "B", 5)
    say(products, "start", "A", 0)
    batch = joined(products, (4, GAUGE, 1.0), (6, GAUGE, 1.0))
    assert names(products, batch) == ["A", "B"]
    assert row(products, "A")["t_end"] == row(products, "B")["t_start"]


def test_the_place_is_the_metre_of_the_run_under_the_sensor(index: LineIndex) -> None:
    """A gauge 2 m behind the nip sees material 2 m less far; the metre begins with the run."""
    products = Products(index)
    say(products, "start", "A", 2)
    batch = joined(products, *web(0.5, range(11), begin=100), (9.5, GAUGE, 77.0))
    assert batch.place[-1] == pytest.approx(0.5 * 7.5 - 2)
    assert batch.place[10] == pytest.approx(4.0)
    assert row(products, "A")["length"] == pytest.approx(4.0)


def test_ahead_of_the_encoder_the_web_goes_on_for_one_interval(index: LineIndex) -> None:
    """Just after the newest reading the line goes on, later the web is taken to stand."""
    products = Products(index)
    say(products, "start", "A", 0)
    batch = joined(products, *web(0.5, range(5)), (4.5, GAUGE, 1.0), (9, GAUGE, 1.0))
    assert batch.place[-2:] == pytest.approx([2.25 - 2, 2.5 - 2])


def test_a_place_uses_only_readings_that_were_known(index: LineIndex) -> None:
    """A reading that comes later in the journal does not change a place given before."""
    products = Products(index)
    say(products, "start", "A", 0)
    before = joined(products, *web(0.5, range(3)), (2.5, GAUGE, 1.0)).place[-1]
    after = joined(products, (3, METRE, 2.5), (2.5, GAUGE, 1.0)).place[-1]
    assert before == pytest.approx(1.25 - 2)
    assert after == pytest.approx(1.75 - 2)


def test_before_the_first_reading_there_is_no_metre(index: LineIndex) -> None:
    """Without any encoder reading the product is known and the place is not."""
    products = Products(index)
    say(products, "start", "A", 0)
    batch = joined(products, (1, GAUGE, 1.0))
    assert names(products, batch) == ["A"]
    assert np.isnan(batch.place[0])


def test_a_reset_of_the_counter_does_not_lose_the_metre(index: LineIndex) -> None:
    """A counter that begins anew goes on where it was; what it shows was travelled since."""
    products = Products(index)
    say(products, "start", "A", 0)
    batch = joined(products, *web(0.5, range(101)), (101, METRE, 0.3), (102, METRE, 0.8))
    assert batch.place[-3:] == pytest.approx([50.0, 50.3, 50.8])


def test_a_counter_that_is_set_to_a_far_value_adds_nothing(index: LineIndex) -> None:
    """A drop to a count the web cannot have run since is no travel."""
    products = Products(index)
    say(products, "start", "A", 0)
    batch = joined(products, *web(0.5, range(101), 800), (101, METRE, 400), (102, METRE, 400.5))
    assert batch.place[-3:] == pytest.approx([50.0, 50.0, 50.5])


def test_a_counter_that_wraps_goes_on(index: LineIndex) -> None:
    """At the end of its range (1000 m) the counter starts at 0 and no metre is lost."""
    products = Products(index)
    say(products, "start", "A", 0)
    batch = joined(products, (0, METRE, 999.0), (1, METRE, 999.5), (2, METRE, 0.0), (3, METRE, 0.5))
    assert batch.place == pytest.approx([0.0, 0.5, 1.0, 1.5])


def test_a_web_that_rolls_back_has_a_smaller_metre(index: LineIndex) -> None:
    """A small step back is movement, not a reset; the length keeps its largest value."""
    products = Products(index)
    say(products, "start", "A", 0)
    batch = joined(products, (0, METRE, 0.0), (1, METRE, 5.0), (2, METRE, 4.5))
    assert batch.place[-1] == pytest.approx(4.5)
    assert row(products, "A")["length"] == pytest.approx(5.0)


def test_bad_and_late_encoder_readings_are_ignored(index: LineIndex) -> None:
    """A reading of bad quality, or older than one already known, does not move the web."""
    products = Products(index)
    say(products, "start", "A", 0)
    batch = rows((0, METRE, 0.0), (2, METRE, 1.0), (1, METRE, 77.0), (3, METRE, np.nan))
    batch.quality[3] = BAD
    products.join(batch)
    assert joined(products, (2, GAUGE, 1.0)).place[0] == pytest.approx(1.0 - 2)


def test_cells_are_told_apart_by_their_channel(index: LineIndex) -> None:
    """Two cells at one station stand in two slots; the place is the number of the channel."""
    products = Products(index)
    say(products, "move", "X", 0, station="formation", slot="c1")
    say(products, "move", "Y", 0, station="formation", slot="c2")
    batch = joined(products, (1, CELL2, 3.6), (1, CELL1, 3.7))
    assert names(products, batch) == ["Y", "X"]
    assert batch.place.tolist() == [2.0, 1.0]
    assert (row(products, "Y")["kind"], row(products, "Y")["slot"]) == ("cell", "c2")


def test_move_leaves_every_other_place(index: LineIndex) -> None:
    """A product that moved is no longer where it was; a start leaves it at both stations."""
    products = Products(index)
    say(products, "start", "A", 0)
    say(products, "start", "A", 1, station="sealing")
    both = joined(products, (2, GAUGE, 1.0), (2, LEAK, 1.0))
    say(products, "move", "A", 3, station="formation", slot="c1")
    moved = joined(products, (4, GAUGE, 1.0), (4, LEAK, 1.0), (4, CELL1, 1.0))
    assert names(products, both) == ["A", "A"]
    assert names(products, moved) == [None, None, "A"]


def test_transform_replaces_the_parents_at_the_station(index: LineIndex) -> None:
    """The child stands where its parent stood, keeps it as parent, and the parent is consumed."""
    products = Products(index)
    say(products, "start", "coat", 0, kind="coated_coil")
    say(products, "transform", "cal", 5, parents=["coat"])
    batch = joined(products, (4, GAUGE, 1.0), (6, GAUGE, 1.0))
    assert names(products, batch) == ["coat", "cal"]
    assert row(products, "cal")["parents"] == ["coat"]
    assert row(products, "coat")["state"] == "consumed"
    assert products.at("calender") == row(products, "cal")


def test_a_late_start_moves_the_border_for_rows_that_come_after(index: LineIndex) -> None:
    """Rows joined before the late message keep their product; later rows see the new border."""
    products = Products(index)
    say(products, "start", "A", 0)
    early = joined(products, (8, GAUGE, 1.0))
    say(products, "start", "B", 5)
    late = joined(products, (4, GAUGE, 1.0), (8, GAUGE, 1.0))
    assert names(products, early) == ["A"]
    assert names(products, late) == ["A", "B"]


def test_an_end_that_comes_before_its_start_still_ends_it(index: LineIndex) -> None:
    """Messages that overtook each other give the same history as in order."""
    one, other = Products(index), Products(index)
    for products, order in ((one, ("start", "end")), (other, ("end", "start"))):
        for op in order:
            say(products, op, "A", {"start": 0, "end": 5}[op])
    assert one.table() == other.table()
    assert one.table()[0]["t_end"] == (T0 + 5000) * 1_000_000


def test_saying_it_twice_changes_nothing(index: LineIndex) -> None:
    """A repeated message gives no event and no other state."""
    products = Products(index)
    first = say(products, "start", "A", 0, parents=["raw"])
    before = products.snapshot()
    assert [(e.type, e.rule, e.product) for e in first] == [("product", "start", "A")]
    assert first[0].detail == {
        "kind": "calendered_coil",
        "parents": ["raw"],
        "slot": "",
        "station": "calender",
    }
    assert say(products, "start", "A", 0, parents=["raw"], seq=9) == []
    assert products.snapshot() == before


def test_a_message_without_time_happened_when_it_was_received(index: LineIndex) -> None:
    """The receive time stands in for a missing ts."""
    products = Products(index)
    message = {"op": "start", "id": "A", "station": "calender"}
    (event,) = products.handle(message, 123_000_000_000, 1)
    assert event.t_first == 123_000_000_000


def test_dispositions_are_kept_beside_the_place(index: LineIndex) -> None:
    """Hold and release change the disposition only; scrap also takes the product away."""
    products = Products(index)
    say(products, "start", "A", 0)
    seen = []
    for at_s, op in enumerate(("hold", "release", "scrap"), start=1):
        say(products, op, "A", at_s)
        seen.append((row(products, "A")["disposition"], row(products, "A")["state"]))
    assert seen == [("HOLD", "working"), ("OK", "working"), ("SCRAP", "scrapped")]
    assert products.at("calender") is None


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        ({"op": "explode"}, "SCHEMA", "explode"),
        ({"id": ""}, "SCHEMA", "id"),
        ({"id": "with blank"}, "SCHEMA", "id"),
        ({"ts": "now"}, "SCHEMA", "ts"),
        ({"ts": -1}, "SCHEMA", "ts"),
        ({"colour": "red"}, "SCHEMA", "colour"),
        ({"station": "moon"}, "SCHEMA", 'no station "moon"; known: calender, sealing'),
        ({"station": "formation", "slot": "c9"}, "SCHEMA", 'no slot "c9"; known: c1, c2'),
        ({"slot": "c1"}, "SCHEMA", "known: none"),
        ({"station": "sealing"}, "SCHEMA", 'send "kind"'),
        ({"op": "transform"}, "SCHEMA", "needs parents"),
        ({"parents": ["new"]}, "SCHEMA", "its own parent"),
        ({"parents": ["a", "a"]}, "SCHEMA", "twice"),
        ({"id": "A", "kind": "sheet"}, "CONFLICT", "is a calendered_coil"),
        ({"id": "A", "parents": ["B"]}, "CONFLICT", "own ancestor"),
    ],
)
def test_a_wrong_message_is_refused_and_changes_nothing(
    index: LineIndex, change: dict[str, Any], reason: str, says: str
) -> None:
    """Every refusal names its reason and what was wrong, and leaves no trace."""
    products = Products(index)
    say(products, "start", "A", 0)
    say(products, "start", "B", 1, parents=["A"])
    before = products.snapshot()
    message = {"op": "start", "id": "new", "ts": T0, "station": "calender", **change}
    with pytest.raises(DecodeError) as refusal:
        products.handle(message, 0, 3)
    assert refusal.value.reason == reason
    assert says in refusal.value.detail
    assert products.snapshot() == before


def test_a_station_that_sends_in_a_loop_is_stopped(index: LineIndex) -> None:
    """The history of one product is bounded."""
    products = Products(index)
    for at_s in range(1000):
        say(products, "hold", "A", at_s)
    with pytest.raises(DecodeError, match="CARDINALITY"):
        say(products, "hold", "A", 1001)


def test_only_the_newest_finished_products_are_kept(index: LineIndex) -> None:
    """Products at a station are never dropped; of the others the oldest go first."""
    products = Products(index, keep=3)
    say(products, "start", "cell", 0, station="formation", slot="c1")
    for i in range(10):
        say(products, "start", f"coil{i}", i)
        say(products, "end", f"coil{i}", i + 1)
    assert [entry["id"] for entry in products.table()] == ["cell", "coil7", "coil8", "coil9"]
    assert [entry["id"] for entry in products.table(2)] == ["coil8", "coil9"]
    assert (products.name_of(0), products.name_of(1), products.name_of(-1)) == ("cell", None, None)


def test_counts_survive_when_a_stay_leaves_its_ring(index: LineIndex) -> None:
    """Rows and length of a product stay known after many others followed at the station."""
    products = Products(index)
    for i in range(3 * kernel.STAYS):
        say(products, "start", f"coil{i}", 10 * i)
        joined(products, *((10 * i + s, METRE, 10.0 * i + s) for s in range(10)))
    counts = {entry["id"]: (entry["count"], entry["length"]) for entry in products.table()}
    assert set(counts.values()) == {(10, 9.0)}


# -- every way to cut the stream --------------------------------------------------------------

_reading = st.tuples(
    st.floats(0, 60).map(lambda s: round(s, 2)),
    st.sampled_from([METRE, METRE, GAUGE, LEAK, CELL1]),
    st.floats(0, 999),
)
_message = st.tuples(
    st.sampled_from(["start", "end", "move", "create", "scrap"]),
    st.sampled_from(["A", "B", "C"]),
    st.integers(0, 60),
    st.sampled_from([("calender", None), ("sealing", None), ("formation", "c1")]),
)


def _play(
    products: Products, journal: list[Any], cuts: set[int], first: int = 0
) -> list[tuple[Any, ...]]:
    """Feed a journal of readings and messages, cutting batches at ``cuts`` as well."""
    said: list[tuple[Any, ...]] = []
    waiting: list[tuple[float, int, float]] = []

    def flush() -> None:
        batch = joined(products, *waiting)
        said.extend(zip(names(products, batch), map(repr, batch.place.tolist()), strict=True))
        waiting.clear()

    for i, entry in enumerate(journal, start=first):
        if i in cuts:
            flush()
        if isinstance(entry[1], int):
            waiting.append(entry)
            continue
        flush()
        op, name, at_s, (station, slot) = entry
        events = say(products, op, name, at_s, kind="thing", station=station, slot=slot, seq=i)
        said.extend((event.id, event.t_first) for event in events)
    flush()
    return said


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.one_of(_reading, _reading, _message), max_size=60),
    st.sets(st.integers(0, 60)),
    st.integers(0, 60),
)
def test_every_cut_gives_the_same_and_so_does_a_restart(
    journal: list[Any], cuts: set[int], restart: int
) -> None:
    """Batch borders, and a snapshot restored in mid-stream, change neither answer nor state."""
    line = parse({"line.toml": LINE})
    whole, cut, resumed = Products(line), Products(line), Products(line)
    expected = _play(whole, journal, set())
    assert _play(cut, journal, cuts) == expected
    first = _play(resumed, journal[:restart], set())
    again = Products(line)
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(resumed.snapshot())))
    assert first + _play(again, journal[restart:], set(), restart) == expected
    assert msgspec.msgpack.encode(again.snapshot()) == msgspec.msgpack.encode(whole.snapshot())
    assert msgspec.msgpack.encode(cut.snapshot()) == msgspec.msgpack.encode(whole.snapshot())


def test_a_snapshot_of_another_line_is_refused(index: LineIndex) -> None:
    """A snapshot fits only the stations and channels it was taken from."""
    other = Products(parse({"line.toml": '[[station]]\nid = "calender"\n'}))
    with pytest.raises(StateError, match="other stations"):
        Products(index).restore(other.snapshot())
    with pytest.raises(StateError, match="version 0"):
        Products(index).restore({**other.snapshot(), "version": 0})


def test_another_version_of_the_line_goes_on_with_what_was_known(index: LineIndex) -> None:
    """Products, stays and the metre carry over to stations that remain."""
    old = Products(index)
    say(old, "start", "A", 0)
    say(old, "start", "gone", 0, station="sealing", kind="cell")
    joined(old, *web(0.5, range(5)))
    smaller = """
[[station]]
id = "calender"
encoder = "metre"
[[station.sensor]]
key = "gauge"
period_s = 1
[[station.sensor]]
key = "metre"
unit = "m"
role = "counter"
period_s = 1
"""
    new = Products(parse({"line.toml": smaller}))
    new.follow(old)
    batch = joined(new, (5, 1, 2.5), (5, 0, 1.0))
    assert names(new, batch) == ["A", "A"]
    assert batch.place.tolist() == pytest.approx([2.5, 2.5])
    assert [entry["id"] for entry in new.table()] == ["A"]
    assert new.table()[0]["count"] == 7


def test_one_compiled_version_serves_every_batch(index: LineIndex) -> None:
    """No dtype or layout sneaks in that would compile the walk again in mid-stream."""
    products = Products(index)
    batch = rows(*web(0.5, range(20)))
    products.join(batch.part(0, 7))
    products.join(batch.part(7, 20))
    signatures = getattr(kernel.join, "signatures", [None])  # without the compiler there are none
    assert len(signatures) == 1
