"""Parquet: sensor samples, wide tables, and exported journals; reading and writing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.recording.columns import unit_of
from connectors.recording.frame import Frame
from twin.errors import RecordingError
from twin.model.message import Entries, Kind
from twin.model.table import Samples

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from connectors.recording.notebook import Notebook

__all__ = [
    "kind_of",
    "read_entries",
    "read_samples",
    "read_wide",
    "write_entries",
    "write_samples",
]

ROW_GROUP = 50_000
"""Rows collected before they are written."""

SAMPLES = pa.schema(
    [
        ("sensor", pa.dictionary(pa.int32(), pa.string())),
        ("time_ns", pa.int64()),
        ("value", pa.float64()),
        ("quality", pa.uint8()),
        ("unit", pa.dictionary(pa.int32(), pa.string())),
    ]
)
ENTRIES = pa.schema(
    [
        ("seq", pa.int64()),
        ("kind", pa.uint8()),
        ("source", pa.dictionary(pa.int32(), pa.string())),
        ("topic", pa.dictionary(pa.int32(), pa.string())),
        ("payload", pa.binary()),
        ("recv_ns", pa.int64()),
        ("flags", pa.uint8()),
    ]
)


def kind_of(path: Path) -> str:
    """``samples``, ``journal`` or ``parquet`` (wide), from the names of the columns.

    Raises:
        RecordingError: The file is no readable Parquet.
    """
    names = set(_open(path).schema_arrow.names)
    if {"sensor", "time_ns", "value"} <= names:
        return "samples"
    if {"seq", "kind", "source", "topic", "payload"} <= names:
        return "journal"
    return "parquet"


def _open(path: Path, **options: Any) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, **options)
    except (pa.ArrowInvalid, OSError) as problem:
        raise RecordingError(f"{path}: not a complete Parquet file: {problem}") from problem


def read_samples(path: Path, batch: int, first_row: int = 0) -> Iterator[Samples]:
    """Samples of a long Parquet file in blocks of at most ``batch`` rows.

    A sensor that stands with several units appears once per unit in ``Samples.sensors``.
    """
    file = _open(path, read_dictionary=["sensor", "unit"])
    has = set(file.schema_arrow.names)
    columns = [name for name in SAMPLES.names if name in has]
    row = 0
    for block in file.iter_batches(batch_size=batch, columns=columns):
        stop = row + block.num_rows
        part = block.slice(max(first_row - row, 0)) if stop > first_row else None
        if part is not None and part.num_rows:
            yield _samples(part, path.name, max(row, first_row))
        row = stop


def _samples(block: pa.RecordBatch, source: str, first_row: int) -> Samples:
    if pc.any(pc.is_null(block["sensor"])).as_py() or pc.any(pc.is_null(block["time_ns"])).as_py():
        raise RecordingError(f"{source}: empty sensor or time_ns after row {first_row}")
    sensor = pc.dictionary_encode(block["sensor"])
    names = sensor.dictionary.to_pylist()
    code = sensor.indices.to_numpy().astype(np.int64)
    units = [""]
    if "unit" in block.schema.names:
        unit = pc.dictionary_encode(pc.fill_null(block["unit"], ""))
        units = [text or "" for text in unit.dictionary.to_pylist()] or [""]
        code = code * len(units) + unit.indices.to_numpy()
    pairs, code = np.unique(code, return_inverse=True)
    value = block["value"].to_numpy(zero_copy_only=False).astype(np.float64)
    if "quality" in block.schema.names:
        quality = pc.fill_null(block["quality"], 192).to_numpy(zero_copy_only=False)
    else:
        quality = np.full(len(value), 192)
    return Samples(
        source=source,
        first_row=first_row,
        sensors=[names[pair // len(units)] for pair in pairs],
        code=code.astype(np.int32),
        time_ns=block["time_ns"].to_numpy(zero_copy_only=False).astype(np.int64),
        value=value,
        quality=np.where(np.isnan(value), 0, quality).astype(np.uint8),
        units=[units[pair % len(units)] for pair in pairs],
    )


def read_wide(path: Path, notes: Notebook) -> Frame:
    """A Parquet file with one row per moment and a time column.

    The time is a timestamp column, ``time_ns``, ``test_time_second`` or ``unix_time_second``. A
    column may carry its UCUM unit as field metadata ``unit``.

    Raises:
        RecordingError: There is no time column.
    """
    table = _open(path).read()
    frame = Frame(rows=table.num_rows, values={}, notes=notes)
    stamp = next((f.name for f in table.schema if pa.types.is_timestamp(f.type)), None)
    for field in table.schema:
        if field.name in {stamp, "time_ns"}:
            continue
        if not (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
            text = f"Column {field.name} holds {field.type}, no numbers; left out."
            notes.add("COLUMN_NOT_USED", text, column=field.name)
            continue
        column = table[field.name].cast(pa.float64(), safe=False)
        frame.values[field.name] = np.ascontiguousarray(column.to_numpy(), dtype=np.float64)
        unit = (field.metadata or {}).get(b"unit", b"").decode()
        frame.units[field.name] = unit or unit_of(field.name)
    absolute = _wide_time(table, stamp)
    if absolute is not None and len(absolute):
        frame.start_ns = int(absolute[0])
        frame.time_s = (absolute - absolute[0]) / 1e9
        return frame
    unix = frame.values.get("unix_time_second")
    frame.time_s = frame.values.get("test_time_second", unix)
    if unix is not None and frame.rows and frame.time_s is not None:
        frame.start_ns = round((unix[0] - frame.time_s[0]) * 1e6) * 1000
    if frame.time_s is None:
        raise RecordingError(
            f"{path.name}: no time column; expected a timestamp, time_ns, test_time_second or "
            "unix_time_second"
        )
    return frame


def _wide_time(table: pa.Table, stamp: str | None) -> NDArray[np.int64] | None:
    if "time_ns" in table.schema.names:
        return np.asarray(table["time_ns"].to_numpy(), dtype=np.int64)
    if stamp is None:
        return None
    ticks = table[stamp].cast(pa.timestamp("ns", tz=table.schema.field(stamp).type.tz))
    return np.asarray(ticks.cast(pa.int64()).to_numpy(), dtype=np.int64)


def write_samples(path: Path, blocks: Iterable[Samples]) -> int:
    """Write samples as Parquet (zstd); returns the number of rows."""
    return _write(path, SAMPLES, map(_samples_table, blocks))


def _samples_table(block: Samples) -> pa.Table:
    units = block.units or [""] * len(block.sensors)
    code = pa.array(block.code, pa.int32())
    columns = [
        pa.DictionaryArray.from_arrays(code, pa.array(block.sensors, pa.string())),
        pa.array(block.time_ns, pa.int64()),
        pa.array(block.value, pa.float64()),
        pa.array(block.quality, pa.uint8()),
        pa.DictionaryArray.from_arrays(code, pa.array(units, pa.string())),
    ]
    return pa.Table.from_arrays(columns, schema=SAMPLES)


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> int:
    """Write tables in row groups of a useful size, however small the tables are."""
    waiting: list[pa.Table] = []
    rows = held = 0

    def flush() -> None:
        if waiting:
            writer.write_table(pa.concat_tables(waiting).unify_dictionaries().combine_chunks())

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables:
            waiting.append(table)
            rows, held = rows + table.num_rows, held + table.num_rows
            if held >= ROW_GROUP:
                flush()
                waiting, held = [], 0
        flush()
    return rows


def read_entries(path: Path, batch: int = 50_000) -> Iterator[Entries]:
    """Entries of an exported journal, cut where the kind changes or numbers are missing.

    Raises:
        RecordingError: Sequence numbers go back, or a kind is unknown.
    """
    last = -1
    for block in _open(path).iter_batches(batch_size=batch):
        seq = block["seq"].to_numpy()
        kind = block["kind"].to_numpy(zero_copy_only=False)
        order = np.diff(np.r_[last, seq])
        if np.any(order <= 0):
            raise RecordingError(f"{path.name}: sequence numbers go back after {last}")
        cuts = np.flatnonzero((np.diff(seq) != 1) | (np.diff(kind) != 0)) + 1
        edges = [0, *cuts.tolist(), len(seq)]
        for start, stop in itertools.pairwise(edges):
            yield _entries(block.slice(start, stop - start), path.name)
        last = int(seq[-1])


def _entries(block: pa.RecordBatch, source: str) -> Entries:
    number = block["kind"][0].as_py()
    try:
        kind = Kind(number)
    except ValueError as problem:
        raise RecordingError(f"{source}: unknown kind {number} of a journal entry") from problem
    return Entries(
        first_seq=block["seq"][0].as_py(),
        kind=kind,
        sources=block["source"].to_pylist(),
        topics=block["topic"].to_pylist(),
        payloads=block["payload"].to_pylist(),
        recv_ns=block["recv_ns"].to_pylist(),
        flags=block["flags"].to_pylist(),
    )


def write_entries(path: Path, runs: Iterable[Entries]) -> int:
    """Write journal entries as Parquet (zstd); returns their number."""
    return _write(path, ENTRIES, map(_entries_table, runs))


def _entries_table(run: Entries) -> pa.Table:
    columns = [
        pa.array(np.arange(run.first_seq, run.first_seq + len(run), dtype=np.int64)),
        pa.array(np.full(len(run), int(run.kind), np.uint8)),
        pa.array(run.sources, pa.string()).dictionary_encode(),
        pa.array(run.topics, pa.string()).dictionary_encode(),
        pa.array(run.payloads, pa.binary()),
        pa.array(run.recv_ns, pa.int64()),
        pa.array(run.flags, pa.uint8()),
    ]
    return pa.Table.from_arrays(columns, schema=ENTRIES)
