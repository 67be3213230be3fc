"""Parquet: samples, wide tables and journals survive the way there and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.recording import open_recording, read_entries, write_entries, write_samples
from connectors.recording import source as recording_source
from twin.errors import RecordingError
from twin.model.message import Entries, Kind
from twin.model.table import Note, Samples, Table


def block(first, sensors, units, codes):
    """Samples with numbers that show where they stood."""
    n = len(codes)
    return Samples(
        "x",
        first,
        sensors,
        np.array(codes, np.int32),
        np.arange(first, first + n, dtype=np.int64) * 10,
        np.arange(first, first + n) / 4,
        np.full(n, 192, np.uint8),
        units,
    )


def flat(pieces):
    """Samples as plain rows."""
    return [
        (p.sensors[c], p.units[c], int(t), float(v), int(q))
        for p in pieces
        for c, t, v, q in zip(p.code, p.time_ns, p.value, p.quality, strict=True)
    ]


def test_samples_there_and_back(tmp_path, monkeypatch):
    """Samples with changing lists of sensors come back row by row, in order."""
    monkeypatch.setattr(recording_source, "CHUNK", 3)
    blocks = [
        block(0, ["a/x", "a/y"], ["V", ""], [0, 1, 1, 0]),
        block(4, ["a/y", "a/z"], ["", "A"], [1, 0, 1]),
    ]
    file = tmp_path / "s.parquet"
    assert write_samples(file, blocks) == 7
    recording = open_recording(file, timezone="UTC")
    assert (recording.format, recording.rows, recording.start_ns) == ("samples", 7, 0)
    assert sorted(recording.columns) == ["a/x", "a/y", "a/z"]
    pieces = list(recording.pieces())
    assert all(len(piece) <= 3 for piece in pieces)
    assert [piece.first_row for piece in pieces] == np.cumsum([0, *map(len, pieces[:-1])]).tolist()
    assert flat(pieces) == flat(blocks)
    assert flat(recording.pieces(5)) == flat(blocks)[5:]


def test_wide_table(tmp_path):
    """A timestamp column gives the time, field metadata the unit; text columns are noted."""
    schema = pa.schema(
        [
            pa.field("when", pa.timestamp("ms", tz="UTC")),
            pa.field("line_load", pa.float32(), metadata={"unit": "N/mm"}),
            pa.field("note", pa.string()),
        ]
    )
    table = pa.table(
        {
            "when": pa.array([1000, 2000, 4000], pa.int64()),
            "line_load": [1.5, None, 2.5],
            "note": list("abc"),
        }
    ).cast(
        pa.schema([pa.field("when", pa.int64()), pa.field("line_load", pa.float32()), schema[2]])
    )
    columns = [table["when"].cast(pa.timestamp("ms", tz="UTC")), table["line_load"], table["note"]]
    file = tmp_path / "w.parquet"
    pq.write_table(pa.Table.from_arrays([c.combine_chunks() for c in columns], schema=schema), file)
    recording = open_recording(file, timezone="UTC")
    assert recording.format == "parquet"
    pieces = [piece for piece in recording.pieces() if isinstance(piece, Table)]
    assert np.concatenate([p.time_ns for p in pieces]).tolist() == [
        *(1_000_000_000, 2_000_000_000, 4_000_000_000)
    ]
    assert np.isnan(np.concatenate([p.columns["line_load"] for p in pieces])[1])
    assert recording.units == {"line_load": "N/mm"}
    assert [p.column for p in recording.pieces() if isinstance(p, Note)] == ["note"]


def test_wide_table_needs_a_time(tmp_path):
    """Without a time column the table is refused with the names that would do."""
    file = tmp_path / "w.parquet"
    pq.write_table(pa.table({"x": [1.0]}), file)
    with pytest.raises(RecordingError, match="test_time_second"):
        open_recording(file, timezone="UTC")


def run(first, kind, payloads):
    """Journal entries of one kind."""
    n = len(payloads)
    return Entries(
        first, kind, ["mqtt:a"] * n, [f"t/{k}" for k in range(n)], payloads, [5] * n, [1] * n
    )


def test_journal_there_and_back(tmp_path):
    """Entries come back in runs of one kind without holes; a hole cuts a run."""
    runs = [
        run(1, Kind.CONFIG, [b"{}"]),
        run(2, Kind.MESSAGE, [b"1", b"\x00\xff", b"3"]),
        run(9, Kind.MESSAGE, [b"9"]),
    ]
    file = tmp_path / "j.parquet"
    assert write_entries(file, runs) == 5
    assert list(read_entries(file)) == runs
    small = list(read_entries(file, batch=2))
    assert [entries.first_seq for entries in small] == [1, 2, 3, 9]
    assert [p for entries in small for p in entries.payloads] == [
        b"{}",
        b"1",
        b"\x00\xff",
        b"3",
        b"9",
    ]
    recording = open_recording(file, timezone="UTC")
    assert (recording.format, recording.rows) == ("journal", 5)
    with pytest.raises(RecordingError, match="read_entries"):
        next(recording.pieces())


def test_damaged_files_are_refused(tmp_path):
    """A cut Parquet file and numbers that go back are errors, not fewer rows."""
    file = tmp_path / "j.parquet"
    write_entries(file, [run(5, Kind.MESSAGE, [b"a"]), run(1, Kind.MESSAGE, [b"b"])])
    with pytest.raises(RecordingError, match="go back"):
        list(read_entries(file))
    cut = tmp_path / "c.parquet"
    cut.write_bytes(file.read_bytes()[:200])
    with pytest.raises(RecordingError, match="not a complete Parquet"):
        open_recording(cut, timezone="UTC")
