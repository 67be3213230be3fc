"""Opening recordings: formats by content, times, pieces in order, refusals that help."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

import numpy as np
import pytest

from connectors.recording import open_recording
from connectors.recording import source as recording_source
from connectors.recording.mapping import mapping_of
from twin.errors import RecordingError
from twin.model.batch import BAD
from twin.model.table import Note, Samples, Table

WIDE = """Zeit;Last links;Walze;Kommentar
01.03.2025 10:00:00;300,5;80,1;Start
01.03.2025 10:00:01;301,0;80,2;
01.03.2025 10:00:02;;80,2;
"""
MAPPING = {
    "delimiter": ";",
    "decimal": ",",
    "time": {"column": "Zeit", "format": "%d.%m.%Y %H:%M:%S"},
    "columns": {
        "Last links": {"sensor": "calender/line_load", "unit": "N/mm"},
        "Walze": {"sensor": "calender/roll_temperature", "unit": "Cel"},
    },
}


def bdf(path, rows=200):
    """A small file with labels instead of machine names and a zero step at every tenth row."""
    lines = ["Test Time / s,Voltage / mV,Current / A,Step Index / 1"]
    lines += [f"{r - (r % 10 == 9)},{3000 + r},{0.1 + r * 1e-4:.4f},1" for r in range(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_unknown_format_says_what_was_tried(tmp_path):
    """A file nobody knows is refused with the formats tried and the way out."""
    file = tmp_path / "x.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(RecordingError, match=r"tried bdf, novonix.*mapping"):
        open_recording(file, timezone="UTC")


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "is empty"), ("test_time_second,voltage_volt\n", "no rows"), (None, "No such file")],
)
def test_nothing_to_read(tmp_path, content, reason):
    """Missing, empty and header-only files are refused with a reason."""
    file = tmp_path / "x.csv"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RecordingError, match=reason):
        open_recording(file, timezone="UTC")


def test_format_is_recognised_from_the_content(tmp_path):
    """The extension plays no part."""
    assert open_recording(bdf(tmp_path / "cell.xyz"), timezone="UTC").format == "bdf"


def test_labels_and_other_units(tmp_path):
    """BDF labels give the same names; mV become V."""
    recording = open_recording(bdf(tmp_path / "c.csv"), timezone="UTC")
    assert recording.columns == ["test_time_second", "voltage_volt", "current_ampere", "step_index"]
    table = next(piece for piece in recording.pieces() if isinstance(piece, Table))
    assert table.columns["voltage_volt"][0] == 3.0
    assert table.units["voltage_volt"] == "V"


def test_start_can_be_given(tmp_path):
    """A declared start places a file without a clock, and the note about it is gone."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    recording = open_recording(bdf(tmp_path / "c.csv"), timezone="UTC", start=start)
    assert recording.start_ns == int(start.timestamp()) * 1_000_000_000
    assert not recording.relative_time
    assert "TIME_RELATIVE" not in {note.code for note in recording.notes}
    with pytest.raises(RecordingError, match="no time zone"):
        open_recording(bdf(tmp_path / "c.csv"), timezone="UTC", start=datetime(2026, 1, 1))  # noqa: DTZ001 - the point


def test_zone_must_exist(tmp_path):
    """A zone nobody knows is refused before anything is read."""
    with pytest.raises(RecordingError, match="Europe/Berlin"):
        open_recording(bdf(tmp_path / "c.csv"), timezone="Berlin")


def test_pieces_are_in_row_order(tmp_path, monkeypatch):
    """Notes stand directly before their row, tables are small enough and without gaps."""
    monkeypatch.setattr(recording_source, "CHUNK", 7)
    recording = open_recording(bdf(tmp_path / "c.csv"), timezone="UTC")
    row = 0
    for piece in recording.pieces():
        if isinstance(piece, Note):
            assert piece.row in {0, row}
            continue
        assert piece.first_row == row
        assert 0 < len(piece) <= 7
        row += len(piece)
    assert row == 200


@pytest.mark.parametrize("first", [0, 1, 49, 50, 199, 200])
def test_going_on_from_a_row(tmp_path, first):
    """Reading from a row on gives the rest of the rows and the notes from there."""
    recording = open_recording(bdf(tmp_path / "c.csv"), timezone="UTC")
    whole = list(recording.pieces())
    rest = list(recording.pieces(first))
    times = [t for p in whole if isinstance(p, Table) for t in p.time_ns.tolist()]
    assert [t for p in rest if isinstance(p, Table) for t in p.time_ns.tolist()] == times[first:]
    notes = [piece for piece in rest if isinstance(piece, Note)]
    assert notes == [note for note in recording.notes if note.row >= first]


def test_a_current_without_time_is_not_handed_out(tmp_path):
    """Without a time column a current would be integrated over row numbers: it is left out."""
    file = tmp_path / "x.csv"
    file.write_text("U,I\n3.1,1\n3.2,1\n")
    columns = {"U": {"name": "voltage_volt"}, "I": {"name": "current_ampere"}}
    recording = open_recording(file, timezone="UTC", mapping={"columns": columns})
    assert recording.columns == ["voltage_volt"]
    (note,) = [note for note in recording.notes if note.code == "NO_TIME"]
    assert note.detail["columns"] == ["current_ampere"]


def test_wide_csv_by_mapping(tmp_path):
    """Decimal comma, German dates in a zone, empty cells: rows with sensor ids as columns."""
    file = tmp_path / "plant.csv"
    file.write_text(WIDE)
    recording = open_recording(file, timezone="Europe/Berlin", mapping=MAPPING)
    assert recording.format == "csv"
    assert recording.columns == ["calender/line_load", "calender/roll_temperature"]
    assert recording.units["calender/line_load"] == "N/mm"
    start = datetime(2025, 3, 1, 9, 0, 0, tzinfo=UTC)
    assert recording.start_ns == int(start.timestamp()) * 1_000_000_000
    table = next(piece for piece in recording.pieces() if isinstance(piece, Table))
    load = table.columns["calender/line_load"]
    assert load[:2].tolist() == [300.5, 301.0]
    assert np.isnan(load[2])
    assert {"WALL_CLOCK_ZONE", "COLUMN_NOT_USED"} <= {note.code for note in recording.notes}


def test_long_csv_by_mapping(tmp_path):
    """One sample per row becomes samples; a cell that is no number is a bad sample and a note."""
    file = tmp_path / "history.csv"
    file.write_text(
        "tag,t,v\nLL,1740000000000,300\ncalender/gap,1740000000500,12\nLL,1740000001000,?\n"
    )
    mapping = {
        "time": {"column": "t", "format": "unix", "unit": "ms"},
        "sensor_column": "tag",
        "value_column": "v",
        "columns": {"LL": {"sensor": "calender/line_load", "unit": "N/mm"}},
    }
    recording = open_recording(file, timezone="UTC", mapping=mapping)
    blocks = [piece for piece in recording.pieces() if isinstance(piece, Samples)]
    names = [b.sensors[c] for b in blocks for c in b.code]
    assert names == ["calender/line_load", "calender/gap", "calender/line_load"]
    assert [t for b in blocks for t in b.time_ns.tolist()] == [
        *(1_740_000_000_000_000_000, 1_740_000_000_500_000_000, 1_740_000_001_000_000_000)
    ]
    assert blocks[-1].quality[-1] == BAD
    assert recording.units == {"calender/gap": "", "calender/line_load": "N/mm"}
    assert "NOT_A_NUMBER" in {note.code for note in recording.notes}


def test_elapsed_time_and_iso_time(tmp_path):
    """Elapsed minutes count from zero, ISO times with a zone are absolute."""
    file = tmp_path / "t.csv"
    file.write_text("t,x\n0,1\n0.5,2\n")
    columns = {"x": {"name": "line_load", "unit": "N/mm"}}
    mapping = {"time": {"column": "t", "format": "elapsed", "unit": "min"}, "columns": columns}
    recording = open_recording(file, timezone="UTC", mapping=mapping)
    table = next(piece for piece in recording.pieces() if isinstance(piece, Table))
    assert table.time_ns.tolist() == [0, 30_000_000_000]
    file.write_text("t,x\n2025-03-01T10:00:00+02:00,1\n2025-03-01T08:00:01Z,2\n")
    recording = open_recording(
        file, timezone="America/New_York", mapping={"time": {"column": "t"}, "columns": columns}
    )
    assert recording.start_ns == 1_740_816_000_000_000_000
    assert "WALL_CLOCK_ZONE" not in {note.code for note in recording.notes}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"columns": {"Nirgends": {"name": "x"}}}, "Nirgends"),
        ({"columns": {"Walze": {"name": "x", "sensor": "y"}}}, "either sensor or name"),
        ({"time": {"column": "Zeit", "format": "%Y-%m-%d"}}, "row 0"),
        ({"delimeter": ";"}, "delimeter"),
        ({"header_line": 99}, "header_line"),
        ({"delimiter": ","}, "same character"),
        ({"sensor_column": "Zeit"}, "belong together"),
    ],
)
def test_wrong_mappings_are_refused(tmp_path, change, reason):
    """A mapping that does not fit says which key or column is wrong."""
    file = tmp_path / "plant.csv"
    file.write_text(WIDE)
    with pytest.raises(RecordingError, match=reason):
        open_recording(file, timezone="UTC", mapping=MAPPING | change)


def test_sample_mapping_is_valid_and_shows_the_defaults(root):
    """The sample mapping loads; with every comment sign taken off it still does."""
    text = (root / "connectors/recording/sample.toml").read_text()
    assert mapping_of(tomllib.loads(text)).columns
    commented = [line.removeprefix("# ") if "= " in line else line for line in text.splitlines()]
    shown = mapping_of(tomllib.loads("\n".join(commented)))
    words = set(text.replace("[", " ").replace("]", " ").split())
    assert set(type(shown).model_fields) <= words
