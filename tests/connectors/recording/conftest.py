"""Recordings for tests: opened once, and only when they are the very files the numbers are of."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from connectors.recording import open_recording
from twin.model.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from connectors.recording import Recording

SHA = {
    "bdf/SINTEF__SLPBA842124HV__2024-10-23__Rate_25degC__Neware__Time_Bug.bdf.csv": "0f06a4d30bd37e76",
    "bdf/SINTEF__G20M7-202512-Gru6mV__20251228__C30__25degC__Neware.bdf.csv": "8aff9dc5783c87cb",
    "attia/attia_cellC_10C_CF3.txt": "1cd0226dcc9dc342",
    "attia/attia_cellF_3C_split_CF6.txt": "a20729ea308c8621",
    "attia/attia_LSV_cellI.txt": "0ed0913b5da2d141",
    "attia/attia_masses.csv": "cae585bb53806e63",
    "beep/test_Nova_Form-CH01-01_short.csv": "0026256faf5baba0",
    "beep/test_Nova_Form-CH01-01_short_metadata.csv": "2418bc6630a5c284",
    "pyprobe/Sample_data_biologic_02_MB_CA1.txt": "36c25d30597680db",
    "pyprobe/sample_data_novonix.csv": "ba5d0e3bb90e8eea",
    "pyprobe/sample_data_arbin.csv": "7ec1c7688890515b",
    "pyprobe/sample_data_basytec.txt": "48c698c2a6ec2b21",
    "pyprobe/sample_data_maccor.csv": "e0bd6a94d75bfc76",
    "sparkplug/pcap_patterns.csv": "f216c5e0f72a0239",
}


class Opened:
    """A recording with its rows put together, and what its notes say."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        tables = [piece for piece in recording.pieces() if isinstance(piece, Table)]
        self.time_ns = np.concatenate([table.time_ns for table in tables])
        self.columns = {
            name: np.concatenate([table.columns[name] for table in tables])
            for name in recording.columns
        }

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def codes(self) -> set[str]:
        return {note.code for note in self.recording.notes}

    def rows(self, code: str, column: str | None = None) -> list[int]:
        return [
            note.row
            for note in self.recording.notes
            if note.code == code and column in {None, note.column}
        ]

    def note(self, code: str, place: int = 0):
        return [note for note in self.recording.notes if note.code == code][place]


@pytest.fixture(scope="session")
def file(recordings: Path) -> Callable[[str], Path]:
    """A recording file whose checksum is the expected one; skips otherwise."""

    def find(name: str) -> Path:
        path = recordings / name
        if not path.is_file():
            pytest.skip(f"recordings not found at {path} (set LINETWIN_RECORDINGS)")
        if hashlib.sha256(path.read_bytes()).hexdigest()[:16] != SHA[name]:
            pytest.skip("recording differs")
        return path

    return find


@pytest.fixture(scope="session")
def opened(file: Callable[[str], Path]) -> Callable[[str], Opened]:
    """A recording read to its end, once per session."""
    known: dict[str, Opened] = {}

    def get(name: str) -> Opened:
        if name not in known:
            known[name] = Opened(open_recording(file(name), timezone="UTC"))
        return known[name]

    return get
