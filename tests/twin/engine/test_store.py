"""The state database: one transaction per step, nothing twice, nothing half."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from twin.alarms import Occurrence
from twin.engine.store import Commit, Snapshot, StateStore
from twin.errors import StateError
from twin.ingest.dead import DeadLetter
from twin.model.event import Event, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    """An empty store."""
    made = StateStore(tmp_path / "state.db", "1")
    yield made
    made.close()


def event(name: str, kind: str = "finding", sensor: str = "s/k") -> Event:
    return Event(id=name, type=kind, sensor=sensor, detail={"n": 1})


def letter(topic: str, reason: str = "SCHEMA", seq: int = 1, at: int = 100) -> DeadLetter:
    return DeadLetter(seq, "mqtt:a", topic, b"{}", reason, f"why {seq}", at)


def occurrence(name: str, raised_ns: int = 1) -> Occurrence:
    return Occurrence(
        id=name, alarm="hot", sensor="s/k", number=1, onset_ns=raised_ns, raised_ns=raised_ns
    )


def test_step_is_there_after_reopening(store: StateStore, tmp_path: Path) -> None:
    """Everything of a step is stored: events, letters, occurrences, line, ledger, cursor."""
    step = Commit(
        7,
        [event("a")],
        [letter("t")],
        [occurrence("o")],
        {"received": 3},
        ("v1", {"line.toml": "x"}),
        Snapshot(7, "v1", {"a": 1}),
    )
    assert store.commit(step) == [(1, step.events[0])]
    store.close()
    again = StateStore(tmp_path / "state.db", "1")
    reader = again.reader()
    assert (again.cursor, again.ledger, again.last_event) == (7, {"received": 3}, 1)
    assert reader.events(0, 10, "") == [(1, step.events[0])]
    assert [row["topic"] for row in reader.dead(10)] == ["t"]
    assert [o["id"] for o in reader.occurrences(10)] == ["o"]
    assert reader.snapshot_cursors() == [7]
    assert again.line_files("v1") == {"line.toml": "x"}
    assert again.line_files("v2") is None
    assert list(again.snapshots()) == [step.snapshot]
    reader.close()
    again.close()


def test_failed_step_leaves_nothing(store: StateStore) -> None:
    """A step that cannot be stored to the end is not stored at all, and the next one works."""
    store.commit(Commit(1, [event("a")]))
    before = store.events_sha256()
    with pytest.raises(TypeError):
        store.commit(
            Commit(2, [event("b")], [letter("t")], [occurrence("o")], {"not": object()}, ("v", {}))
        )
    reader = store.reader()
    assert (store.cursor, store.last_event, store.events_sha256()) == (1, 1, before)
    assert [e.id for _, e in reader.events(0, 10, "")] == ["a"]
    assert reader.dead(10) == reader.occurrences(10) == []
    assert store.line_files("v") is None
    assert store.commit(Commit(2, [event("b")]))[0][0] == 2
    reader.close()


def test_repeated_event_is_stored_once(store: StateStore) -> None:
    """A step repeated after a crash adds nothing; only what is new has a number and is told."""
    store.commit(Commit(1, [event("a"), event("b")]))
    new = store.commit(Commit(2, [event("a"), event("c"), event("b"), event("c"), event("d")]))
    assert [(n, e.id) for n, e in new] == [(3, "c"), (4, "d")]


def test_event_numbers_have_no_holes(store: StateStore) -> None:
    """Numbers are contiguous over steps and restarts, system events among them."""
    for step in range(5):
        kinds = ["finding", "stale", "finding"]
        store.commit(Commit(step, [event(f"{step}{i}", kind) for i, kind in enumerate(kinds)]))
    reader = store.reader()
    assert [n for n, _ in reader.events(0, 100, "")] == list(range(1, 16))
    assert [n for n, _ in reader.events(12, 2, "")] == [13, 14]
    assert reader.events(0, 100, "another/sensor") == []
    reader.close()


def test_hash_is_that_of_the_file(store: StateStore, tmp_path: Path) -> None:
    """The running hash equals SHA-256 of the written file, now and after reopening."""
    out = tmp_path / "events.jsonl"
    for step in range(3):
        store.commit(Commit(step, [event(f"a{step}"), event(f"s{step}", "source")]))
        store.write_events(out)
        assert hashlib.sha256(out.read_bytes()).hexdigest() == store.events_sha256()
    assert out.read_bytes() == b"".join(line_of(event(f"a{step}")) for step in range(3))
    assert not list(tmp_path.glob("*.part"))
    again = StateStore(store.path, "1")
    assert again.events_sha256() == store.events_sha256()
    again.close()


def test_hash_of_nothing(store: StateStore) -> None:
    """Without events it is the hash of an empty file."""
    assert store.events_sha256() == hashlib.sha256(b"").hexdigest()


def test_two_snapshots_are_kept(store: StateStore) -> None:
    """The newest, and the one before as a fall-back; newest first."""
    for cursor in (10, 20, 30):
        store.commit(Commit(cursor, snapshot=Snapshot(cursor, "v", {"at": cursor})))
    assert [s.cursor for s in store.snapshots()] == [30, 20]


def test_damaged_snapshot_is_passed_over(store: StateStore) -> None:
    """A flipped bit in the newest one leaves the older one."""
    for cursor in (10, 20):
        store.commit(Commit(cursor, snapshot=Snapshot(cursor, "v", {"at": cursor})))
    with sqlite3.connect(store.path) as other:
        (body,) = other.execute("SELECT body FROM snapshot WHERE cursor = 20").fetchone()
        other.execute(
            "UPDATE snapshot SET body = ? WHERE cursor = 20", (body[:-1] + bytes([body[-1] ^ 1]),)
        )
    other.close()
    assert [s.cursor for s in store.snapshots()] == [10]


def test_snapshot_of_another_version_is_passed_over(store: StateStore) -> None:
    """State is only understood by the code that wrote it."""
    store.commit(Commit(10, snapshot=Snapshot(10, "v", {})))
    again = StateStore(store.path, "2")
    assert list(again.snapshots()) == []
    assert again.cursor == 10
    again.close()


def test_foreign_schema_is_refused_in_words(store: StateStore) -> None:
    """A file of another generation is not touched; the sentence says what to do."""
    with sqlite3.connect(store.path) as other:
        other.execute(
            "UPDATE meta SET value = ? WHERE key = 'schema'", (msgspec.msgpack.encode(9),)
        )
    other.close()
    with pytest.raises(StateError, match=r"schema 9.*reads 1.*Move it away"):
        StateStore(store.path, "1")


def test_dead_letters_are_one_row_per_topic_and_reason(store: StateStore) -> None:
    """The newest example, how often, since when; newest row first."""
    store.commit(Commit(1, letters=[letter("a", seq=1, at=100), letter("b", seq=2, at=200)]))
    store.commit(
        Commit(2, letters=[letter("a", seq=3, at=300), letter("a", "RANGE", seq=4, at=250)])
    )
    reader = store.reader()
    found = reader.dead(10)
    assert [(r["topic"], r["reason"], r["count"]) for r in found] == [
        ("a", "SCHEMA", 2),
        ("a", "RANGE", 1),
        ("b", "SCHEMA", 1),
    ]
    assert (found[0]["first_ns"], found[0]["last_ns"]) == (100, 300)
    assert (found[0]["seq"], found[0]["detail"]) == (3, "why 3")
    assert len(reader.dead(1)) == 1
    reader.close()


def test_occurrence_is_replaced_and_newest_comes_first(store: StateStore) -> None:
    """The row of an occurrence follows its state."""
    first = occurrence("first", 1)
    store.commit(Commit(1, occurrences=[first, occurrence("second", 2)]))
    first.acked_by = "ann"
    store.commit(Commit(2, occurrences=[first]))
    reader = store.reader()
    assert [(o["id"], o["acked_by"]) for o in reader.occurrences(10)] == [
        ("second", ""),
        ("first", "ann"),
    ]
    reader.close()


def test_newest_events_of_a_sensor(store: StateStore) -> None:
    """By type, newest first, at most so many."""
    names = ["a", "b", "c"]
    store.commit(Commit(1, [event(name) for name in names]))
    store.commit(Commit(2, [event("d", "alarm"), event("e", sensor="s/other")]))
    reader = store.reader()
    assert [e.id for e in reader.newest("s/k", ("finding", "validity"), 2)] == ["c", "b"]
    reader.close()


def test_key(store: StateStore) -> None:
    """A store remembers what it belongs to."""
    assert store.key() == ""
    store.set_key("replay 1")
    assert store.key() == "replay 1"


def test_reader_cannot_write(store: StateStore) -> None:
    """Whoever looks changes nothing."""
    reader = store.reader()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM event")
    reader.close()
