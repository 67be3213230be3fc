"""Bytes of a text recording to strings and numbers, saying what was odd about them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from twin.errors import RecordingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connectors.recording.notebook import Notebook

__all__ = ["Cells", "Text", "cells", "decode", "first_line", "numbers", "split_line"]

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Text:
    r"""A decoded file.

    Attributes:
        body: The whole text with ``\\n`` line ends, without a byte-order mark.
        head: The first lines, enough to recognise a format.
    """

    body: str
    head: tuple[str, ...]

    def after(self, line: int) -> str:
        """The text from 0-based line number ``line`` on."""
        place = 0
        for _ in range(line):
            end = self.body.find("\n", place)
            if end < 0:
                return ""
            place = end + 1
        return self.body[place:]


def decode(raw: bytes, notes: Notebook) -> Text:
    """Decode UTF-8, or Latin-1 where UTF-8 fails, and note every oddity of the bytes."""
    if raw.startswith(_BOM):
        raw = raw[len(_BOM) :]
        notes.add("BYTE_ORDER_MARK", "The file begins with a byte-order mark; it was taken off.")
    try:
        body = raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        body = raw.decode("latin-1")
        notes.add(
            "LATIN1",
            f"Not UTF-8 (byte {problem.start}: 0x{raw[problem.start]:02X}); read as Latin-1.",
            byte=problem.start,
        )
    if "\ufffd" in body:
        notes.add(
            "DESTROYED_CHARACTER",
            "Characters were replaced by U+FFFD before the file came here; column names are "
            "recognised without them.",
            count=body.count("\ufffd"),
        )
    if "\r" in body:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
        notes.add("CRLF", "Line ends are CR LF; read as line ends.")
    if body and not body.endswith("\n"):
        notes.add("NO_FINAL_NEWLINE", "The last line has no line end; it was read as complete.")
    return Text(body, tuple(body[:200_000].split("\n", 400)[:400]))


def first_line(text: Text, pattern: str, lines: int = 400) -> int | None:
    """0-based number of the first of ``lines`` lines that matches a regular expression."""
    wanted = re.compile(pattern)
    return next((i for i, line in enumerate(text.head[:lines]) if wanted.search(line)), None)


def split_line(line: str, delimiter: str) -> list[str]:
    """Fields of one line, quotes respected."""
    rows = csv.reader(io.StringIO(line), delimiter=delimiter)
    return [field.strip() for field in next(rows, [])]


@dataclass(frozen=True, slots=True)
class Cells:
    """Columns of text.

    Attributes:
        columns: Header to cells (null where empty).
        rows: Number of rows.
    """

    columns: dict[str, pa.ChunkedArray]
    rows: int

    def texts(self, name: str) -> list[str]:
        """A column as strings; an empty cell is an empty string."""
        return [cell or "" for cell in self.columns[name].to_pylist()]


def cells(header: list[str], body: str, delimiter: str, notes: Notebook) -> Cells:
    """Cut a text into columns of strings.

    Args:
        header: Column names. Empty names at the end come from a delimiter at the end of the line.
        body: Data lines.
        delimiter: One character.
        notes: Takes what was odd.

    Raises:
        RecordingError: A column name stands twice, or there are no data.
    """
    while header and not header[-1]:
        header = header[:-1]
        notes.add("TRAILING_DELIMITER", "The header ends with a delimiter; no column was made.")
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise RecordingError(f"column names stand twice: {', '.join(sorted(twice))}")
    if not body.strip():
        return Cells({name: pa.chunked_array([[]], pa.string()) for name in header}, 0)
    if f"{delimiter}\n" in body and body.split("\n", 1)[0].count(delimiter) == len(header):
        body = body.replace(f"{delimiter}\n", "\n").removesuffix(delimiter)
    broken: list[tuple[int, int]] = []

    def skip(row: pacsv.InvalidRow) -> str:
        broken.append((row.number or 0, row.actual_columns))
        return "skip"

    try:
        table = pacsv.read_csv(
            pa.BufferReader(body.encode()),
            read_options=pacsv.ReadOptions(column_names=header, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, invalid_row_handler=skip, newlines_in_values=False
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as problem:
        raise RecordingError(f"the table cannot be cut into columns: {problem}") from problem
    for place, (number, found) in enumerate(broken[:50]):
        # The row number counts the lines of the table from 1, skipped ones included.
        notes.add(
            "ROW_SHAPE",
            f"Data line {number} has {found} fields instead of {len(header)}; left out.",
            row=max(number - 1 - place, 0),
            count=len(broken),
            line=number,
        )
    return Cells({name: table.column(name) for name in header}, table.num_rows)


def numbers(
    table: Cells, name: str, notes: Notebook, column: str = "", decimal: str = "."
) -> NDArray[np.float64]:
    """A column as float64; an empty cell is NaN, a cell that is no number is NaN and a note."""
    array = pc.utf8_trim_whitespace(table.columns[name])
    array = pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)
    if decimal != ".":
        array = pc.replace_substring(array, decimal, ".")
    try:
        values = pc.cast(array, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        values = _one_by_one(array.to_pylist(), notes, column or name)
    values = np.ascontiguousarray(values, dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        values = values.copy()
        values[infinite] = np.nan
        notes.add(
            "NOT_FINITE",
            f"{len(infinite)} cells of {column or name} are infinite; taken as empty.",
            row=int(infinite[0]),
            column=column or name,
            count=len(infinite),
        )
    return values


def _one_by_one(texts: list[str | None], notes: Notebook, column: str) -> NDArray[np.float64]:
    values = np.full(len(texts), np.nan)
    bad: list[int] = []
    for row, text in enumerate(texts):
        if text is None:
            continue
        try:
            values[row] = float(text)
        except ValueError:
            bad.append(row)
    notes.each(
        "NOT_A_NUMBER",
        bad,
        lambda row: (None, f"Row {row}: {texts[row]!r} is no number; taken as empty.", {}),
        column=column,
    )
    return values
