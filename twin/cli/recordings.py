"""Recordings for commands: any file or data folder, as pieces or as messages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from connectors.recording import open_recording, read_entries
from twin.config import parse
from twin.errors import ConfigError, Problem, RecordingError
from twin.ingest.route import Router, station_topic
from twin.journal import Reader
from twin.model.event import iso
from twin.model.message import Entries, Kind
from twin.model.table import Note, Samples, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from twin.model.index import LineIndex

    Piece = Table | Samples | Note | Entries

__all__ = ["Opened", "messages", "messages_of", "open_all"]

_ENTRIES_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording ready to be read.

    Attributes:
        name: File or folder name.
        sha256: Hash of its content.
        rows: Rows in it; of a journal the last sequence number.
        journal: It is a journal: it has no end of its own.
        pieces: Reads it from a row on.
        attribution: Line to print when it is shown.
        index: The line it was recorded with, if it knows.
    """

    name: str
    sha256: str
    rows: int
    journal: bool
    pieces: Callable[[int], Iterator[Piece]]
    attribution: str = ""
    index: LineIndex | None = None


def open_all(
    files: list[Path], index: LineIndex | None, mapping: Path | None, zone: str
) -> list[Opened]:
    """Open recordings in the order given.

    Raises:
        RecordingError: One cannot be read; nothing was processed.
    """
    timezone = zone or (index.line.line.timezone if index is not None else "UTC")
    return [_open(file, timezone, mapping) for file in files]


def _open(file: Path, timezone: str, mapping: Path | None) -> Opened:
    if file.is_dir():
        return _journal(file)
    if not file.exists():
        raise RecordingError(f"{file}: no such file")
    recording = open_recording(file, timezone=timezone, mapping=_mapping(mapping))
    if recording.format == "journal":
        last, index = _scan(read_entries(file, _ENTRIES_AT_ONCE))
        return Opened(
            file.name,
            recording.sha256,
            last,
            journal=True,
            pieces=lambda skip: _after(read_entries(file, _ENTRIES_AT_ONCE), skip),
            index=index,
        )
    return Opened(
        file.name,
        recording.sha256,
        recording.rows,
        journal=False,
        pieces=recording.pieces,
        attribution=recording.attribution,
    )


def _mapping(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    import tomllib  # noqa: PLC0415 - only for CSV files

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            [Problem(str(file), 0, "--mapping", "", f"cannot be read: {error}", "a TOML file")]
        ) from error


def _journal(folder: Path) -> Opened:
    """The data folder of a line, or its journal folder."""
    journal = folder / "journal" if (folder / "journal").is_dir() else folder
    reader = Reader(journal)
    first = reader.first_seq()
    digest = hashlib.sha256()

    def hashed() -> Iterator[Entries]:
        for entries in reader.entries(first):
            digest.update(str((entries.first_seq, entries.kind, entries.topics)).encode())
            digest.update(b"".join(entries.payloads))
            yield entries

    last, index = _scan(hashed())
    if last < first:
        raise RecordingError(f"{folder}: holds no journal entries")
    return Opened(
        folder.name,
        digest.hexdigest(),
        last,
        journal=True,
        pieces=lambda skip: reader.entries(max(first, skip + 1), last + 1),
        index=index,
    )


def _scan(runs: Iterable[Entries]) -> tuple[int, LineIndex | None]:
    """The last sequence number of a journal, and the first line description it holds."""
    last, index = 0, None
    for entries in runs:
        last = entries.last_seq
        if index is None and entries.kind is Kind.CONFIG:
            index = parse(msgspec.json.decode(entries.payloads[0])["files"])
    return last, index


def _after(runs: Iterator[Entries], skip: int) -> Iterator[Entries]:
    for entries in runs:
        if entries.last_seq > skip:
            low = max(0, skip + 1 - entries.first_seq)
            yield entries if low == 0 else entries.part(low, len(entries))


def messages(opened: list[Opened], index: LineIndex | None) -> Iterator[tuple[float, str, bytes]]:
    """Recordings as messages: seconds since the first one, topic, payload.

    Rows of a table become one JSON object each, under the ``row`` topic of the station whose
    sensors they feed; single samples go to the topics of their sensors; entries of a journal are
    what they were.
    """
    start: int | None = None
    newest = 0
    for recording in opened:
        for piece in recording.pieces(0):
            for time_ns, topic, payload in messages_of(piece, index):
                if start is None:
                    start = newest = time_ns
                newest = max(newest, time_ns)
                yield (newest - start) / 1e9, topic, payload


def messages_of(piece: Piece, index: LineIndex | None) -> Iterator[tuple[int, str, bytes]]:
    """Event time in ns, topic and payload of every row; a note is no message."""
    if isinstance(piece, Entries):
        if piece.kind is Kind.MESSAGE:
            yield from zip(piece.recv_ns, piece.topics, piece.payloads, strict=True)
    elif isinstance(piece, Table):
        yield from _rows(piece, index)
    elif isinstance(piece, Samples):
        yield from _samples(piece, index)


def _rows(table: Table, index: LineIndex | None) -> Iterator[tuple[int, str, bytes]]:
    columns = dict(table.columns)
    topic = table.topic
    if index is not None:
        router = Router(index)
        station = None
        for name in list(columns):
            target = router.column(name)
            factor = target.factor(table.units.get(name) or target.unit) if target else None
            if target is None or factor is None:
                continue
            station = station or index.sensors[target.index].station
            if factor != (1.0, 0.0):
                columns[name] = columns[name] * factor[0] + factor[1]
        if station is not None:
            topic = station_topic(index.line.line, station, "row")
    names = list(columns)
    matrix = np.column_stack([columns[name] for name in names])
    for i, row in enumerate(matrix.tolist()):
        time_ns = int(table.time_ns[i])
        body: dict[str, Any] = {"ts": _exact(time_ns), "seq": table.first_row + i}
        body.update((n, v) for n, v in zip(names, row, strict=True) if v == v)  # noqa: PLR0124
        yield time_ns, topic, msgspec.json.encode(body)


def _exact(time_ns: int) -> str:
    """ISO 8601 with nanoseconds: nothing is lost on the way."""
    return f"{iso(time_ns)[:-1]}{time_ns % 1000:03d}Z"


def _samples(samples: Samples, index: LineIndex | None) -> Iterator[tuple[int, str, bytes]]:
    if index is None:
        raise ConfigError(
            [
                Problem(
                    "command line",
                    0,
                    "--line",
                    "",
                    "is missing: single samples need the topics of their sensors",
                    "a line description",
                )
            ]
        )
    # A sensor without a topic of its own is sent all the same: the other side says what it is.
    topics = [
        (index.by_id[name].spec.topic if name in index.by_id else "") or f"recording/{name}"
        for name in samples.sensors
    ]
    for i in range(len(samples)):
        code = int(samples.code[i])
        time_ns = int(samples.time_ns[i])
        value = float(samples.value[i])
        body: dict[str, Any] = {
            "ts": _exact(time_ns),
            "value": value if value == value else None,  # noqa: PLR0124 - NaN
            "q": int(samples.quality[i]),
            "seq": samples.first_row + i,
        }
        if samples.units and samples.units[code]:
            body["unit"] = samples.units[code]
        yield time_ns, topics[code], msgspec.json.encode(body)
