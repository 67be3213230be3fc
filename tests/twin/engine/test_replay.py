"""Replay: the same bytes however it is cut, interrupted or started again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from twin.config import parse
from twin.engine.replay import Replay, cut
from twin.model.message import Entries, Kind
from twin.model.table import Note, Samples, Table

if TYPE_CHECKING:
    from pathlib import Path

    from twin.model.index import LineIndex

S = 1_000_000_000
T0 = 1_760_000_000
RECORDINGS = [("a.csv", "11" * 32)]


def table(start: int = 0, stop: int = 200) -> Table:
    """Two sensors, one row a second; the temperature runs away twice."""
    n = np.arange(start, stop)
    temp = 50 + np.sin(n * 1.7) * 2
    temp[(n > 60) & (n < 80)] = 90
    temp[n > 150] = 75
    return Table("a.csv", "t", start, (T0 + n) * S, {"temp": temp, "metre": n * 0.5})


def note(row: int) -> Note:
    return Note("a.csv", row, "TIME_REGRESSION", "temp", (T0 + row) * S, 1.0, "time goes back")


def run(out: Path, index: LineIndex, *, split: int | None = None) -> bytes:
    replay = Replay(out, index, RECORDINGS, "1", split=split)
    replay.feed(table(0, 100), 0)
    replay.feed(note(100), 0)
    replay.feed(table(100, 200), 0)
    replay.finish(ended=True)
    return (out / "events.jsonl").read_bytes()


@pytest.mark.parametrize("split", [1, 7, 64, 1000])
def test_split_changes_nothing(tmp_path: Path, index: LineIndex, split: int) -> None:
    """Rows per step do not change a byte."""
    whole = run(tmp_path / "a", index)
    assert whole.count(b"\n") > 5
    assert run(tmp_path / "b", index, split=split) == whole


def test_summary_says_what_happened(tmp_path: Path, index: LineIndex) -> None:
    """The summary has the ledger, the hash of the events and the defects."""
    replay = Replay(tmp_path, index, RECORDINGS, "1")
    replay.feed(table(), 0)
    replay.feed(note(7), 0)
    summary = replay.finish(ended=True)
    assert set(summary) == {
        "received",
        "stored",
        "rejected",
        "pending",
        "findings",
        "alarms",
        "events_sha256",
        "samples_per_second",
        "cpu_us_per_sample",
    }
    assert summary["received"] == summary["stored"] == 400
    assert summary["alarms"] > 2
    events = (tmp_path / "events.jsonl").read_bytes()
    assert summary["events_sha256"] == hashlib.sha256(events).hexdigest()
    written = msgspec.json.decode((tmp_path / "summary.json").read_bytes())
    assert summary.items() <= written.items()
    assert written["recordings"] == [{"name": "a.csv", "sha256": "11" * 32}]
    assert [d["rule"] for d in written["defects"]] == ["TIME_REGRESSION"]
    assert written["line"] == index.version
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "summary.json"]


@pytest.mark.parametrize("stop", [1, 70, 155])
def test_interrupted_replay_goes_on(tmp_path: Path, index: LineIndex, stop: int) -> None:
    """Started again with the same arguments it goes on at its checkpoint, to the same bytes."""
    expected = run(tmp_path / "whole", index)
    out = tmp_path / "parts"
    first = Replay(out, index, RECORDINGS, "1")
    assert not first.resumed
    first.feed(table(0, min(stop, 100)), 0)
    if stop > 100:
        first.feed(note(100), 0)
        first.feed(table(100, stop), 0)
    first.abandon()
    assert not (out / "events.jsonl").exists()
    second = Replay(out, index, RECORDINGS, "1")
    assert second.resumed
    assert second.rows == stop
    if stop < 100:
        second.feed(table(stop, 100), 0)
        second.feed(note(100), 0)
    second.feed(table(max(stop, 100), 200), 0)
    summary = second.finish(ended=True)
    assert (out / "events.jsonl").read_bytes() == expected
    assert summary["received"] == 400


@pytest.mark.parametrize("what", ["recording", "line", "code", "reading"])
def test_another_question_starts_afresh(
    tmp_path: Path, index: LineIndex, text: str, what: str
) -> None:
    """With another recording, line, version or way of reading, nothing old is used."""
    first = Replay(tmp_path, index, RECORDINGS, "1")
    first.feed(table(0, 50), 0)
    first.abandon()
    recordings = [("a.csv", "22" * 32)] if what == "recording" else RECORDINGS
    other = parse({"line.toml": text + "\n"}) if what == "line" else index
    reading = "zone=UTC" if what == "reading" else ""
    second = Replay(tmp_path, other, recordings, "2" if what == "code" else "1", reading=reading)
    assert (second.resumed, second.rows) == (False, 0)
    second.abandon()


def test_name_of_a_recording_does_not_matter(tmp_path: Path, index: LineIndex) -> None:
    """A moved file with the same content goes on."""
    first = Replay(tmp_path, index, RECORDINGS, "1")
    first.feed(table(0, 50), 0)
    first.abandon()
    second = Replay(tmp_path, index, [("elsewhere.csv", "11" * 32)], "1")
    assert second.rows == 50
    second.abandon()


def test_cut_gives_parts_of_every_kind() -> None:
    """Tables, samples and entries are cut in order without losing a row; a note is whole."""
    entries = Entries(5, Kind.MESSAGE, ["s"] * 7, ["t"] * 7, [b"1"] * 7, list(range(7)), [0] * 7)
    samples = Samples(
        "f",
        3,
        ["a/b"],
        np.zeros(7, np.int32),
        np.arange(7, dtype=np.int64),
        np.arange(7.0),
        np.full(7, 192, np.uint8),
    )
    for piece in (entries, samples, table(0, 7)):
        parts = list(cut(piece, 3))
        assert [len(part) for part in parts] == [3, 3, 1]
        assert list(cut(piece, 7)) == list(cut(piece, None)) == [piece]
    assert [part.first_seq for part in cut(entries, 3)] == [5, 8, 11]
    assert [part.first_row for part in cut(samples, 3)] == [3, 6, 9]
    assert [part.value.tolist() for part in cut(samples, 3)][2] == [6.0]
    assert list(cut(note(1), 1)) == [note(1)]
