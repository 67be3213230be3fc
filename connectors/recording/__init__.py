"""Recordings of any format as tables, samples and notes on what is wrong with them."""

from connectors.recording.parquet import read_entries, write_entries, write_samples
from connectors.recording.source import FORMATS, Recording, open_recording

__all__ = [
    "FORMATS",
    "Recording",
    "open_recording",
    "read_entries",
    "write_entries",
    "write_samples",
]
