"""Damaged recordings: read with notes or refused in words, never a crash; notes are plain data."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from connectors.recording import open_recording
from twin.errors import RecordingError
from twin.model.table import Note, Table

NAMES = [
    "bdf/SINTEF__SLPBA842124HV__2024-10-23__Rate_25degC__Neware__Time_Bug.bdf.csv",
    "bdf/SINTEF__G20M7-202512-Gru6mV__20251228__C30__25degC__Neware.bdf.csv",
    "attia/attia_cellC_10C_CF3.txt",
    "attia/attia_LSV_cellI.txt",
    "beep/test_Nova_Form-CH01-01_short.csv",
    "pyprobe/Sample_data_biologic_02_MB_CA1.txt",
    "pyprobe/sample_data_novonix.csv",
    "pyprobe/sample_data_arbin.csv",
    "pyprobe/sample_data_basytec.txt",
    "pyprobe/sample_data_maccor.csv",
    "sparkplug/pcap_patterns.csv",
]


def damaged(raw: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with a few changed, lost, added or repeated, and sometimes cut."""
    data = bytearray(raw[: int(rng.integers(1, len(raw)))] if rng.random() < 0.3 else raw)
    for _ in range(int(rng.integers(1, 10))):
        if not data:
            break
        place = int(rng.integers(0, len(data)))
        kind = rng.integers(0, 4)
        if kind == 0:
            data[place] = int(rng.integers(0, 256))
        elif kind == 1:
            del data[place : place + int(rng.integers(1, 40))]
        elif kind == 2:
            data[place:place] = b'",\n\t;0-9eN'[: int(rng.integers(1, 10))]
        else:
            data[place:place] = data[place : place + 80]
    return bytes(data)


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_said_in_words(file, tmp_path, name):
    """Whatever happens to the bytes: rows with notes in row order, or a RecordingError."""
    raw = file(name).read_bytes()[:40_000]
    rng = np.random.default_rng(20_260)
    target = tmp_path / "damaged"
    for _ in range(25):
        target.write_bytes(damaged(raw, rng))
        try:
            recording = open_recording(target, timezone="UTC")
        except RecordingError:
            continue
        row = 0
        for piece in recording.pieces():
            if isinstance(piece, Table):
                assert piece.first_row == row
                row += len(piece)
        assert row == recording.rows or recording.format == "sparkplug_capture"


@pytest.mark.parametrize("name", NAMES)
def test_notes_are_plain_data(file, name):
    """Every note can be written as JSON and read back, with a code and a sentence."""
    for note in open_recording(file(name), timezone="UTC").notes:
        again = msgspec.json.decode(msgspec.json.encode(note), type=Note)
        assert again == note
        assert note.code == note.code.upper()
        assert note.message.endswith(".")
        assert note.detail["count"] >= 1
