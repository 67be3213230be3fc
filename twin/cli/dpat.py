"""``dpat``: cells that are unlike the other cells of their recipe and tray."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin import config
from twin.cli.out import console, error_console, print_json
from twin.cli.recordings import open_all
from twin.detectors.outliers.cells import FEATURES, Cell, Cells, judge, with_recipes
from twin.engine.pipeline import Pipeline
from twin.errors import ConfigError, Problem, RecordingError
from twin.model.message import Entries
from twin.model.table import Samples, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.cli.recordings import Opened
    from twin.detectors.outliers.dpat import Dpat
    from twin.model.event import Event
    from twin.model.index import LineIndex

__all__ = ["add_to"]

_KEYS = ("recipe", "tray", "rack")


class Mixed(StrEnum):
    """What to do with several recipes in a tray."""

    STRATIFY = "stratify"
    REFUSE = "refuse"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(dpat)


def dpat(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECORDING…",
            help="Recordings of formation, data folders, or CSV tables with one row per cell"
            " (columns cell, recipe, tray, rack and the features).",
        ),
    ],
    *,
    line: Annotated[
        Path | None,
        typer.Option(metavar="LINE", help="Line description that names the formation channels."),
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"{', '.join(FEATURES)}, or a column of a table; may be given several times."
            " Default: capacity.",
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(metavar="KEYS", help="What cells must share: recipe, tray; the rack always."),
    ] = "recipe,tray",
    cells: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="CSV with recipe, tray or rack of each cell (column cell)."
        ),
    ] = None,
    mixed: Annotated[
        Mixed, typer.Option(help="A tray with several recipes: judge each alone, or refuse.")
    ] = Mixed.STRATIFY,
    k: Annotated[float, typer.Option("--k", min=1.0, help="Width in robust sigma.")] = 6.0,
    lsl: Annotated[float | None, typer.Option("--lsl", help="Lower specification limit.")] = None,
    usl: Annotated[float | None, typer.Option("--usl", help="Upper specification limit.")] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="TOML file that says how to read a CSV.")
    ] = None,
    zone: Annotated[
        str, typer.Option(help="IANA zone of recordings without one. Default: as the line says.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Find cells that are unlike their neighbours (dynamic part average testing).

    Limits are median +- 6 robust sigma of the cells of one recipe in one tray. Trays with fewer than
    32 cells are pooled with trays of the same recipe and rack. Cells of different recipes are never
    compared; a cell with nothing to compare with is told as one that cannot be judged. A recording of
    one channel is one cell, judged by its first complete cycle; otherwise every complete cycle of a
    channel is a cell.
    """
    keys = _keys(by)
    index = config.load(line) if line is not None else None
    found = list(_all_cells(recordings, index, mapping, zone))
    if cells is not None:
        found = _told(found, cells)
    if not found:
        raise RecordingError(
            "no complete formation cycle in these recordings: does the line have [[channel]] tables?"
        )
    found = with_recipes(found)
    results = {}
    for name in feature or ["capacity"]:
        try:
            results[name] = judge(found, name, by=keys, mixed=mixed.value, k=k, lsl=lsl, usl=usl)
        except ValueError as error:
            raise _wrong(
                "--feature" if "no cell has" in str(error) else "--by", name, error
            ) from error
    if json:
        print_json({"by": keys, "cells": len(found), "features": _plain(found, results)})
    else:
        _print(found, results)


def _keys(by: str) -> list[str]:
    keys = [key.strip() for key in by.split(",") if key.strip()]
    unknown = [key for key in keys if key not in _KEYS]
    if unknown:
        raise ConfigError(
            [Problem("command line", 0, "--by", unknown[0], "is no key", ", ".join(_KEYS))]
        )
    return keys


def _wrong(key: str, value: str, error: Exception) -> ConfigError:
    return ConfigError([Problem("command line", 0, key, value, str(error))])


def _all_cells(
    files: list[Path], index: LineIndex | None, mapping: Path | None, zone: str
) -> Iterator[Cell]:
    for file in files:
        table = _table(file) if mapping is None else None
        if table is not None:
            yield from table
            continue
        (opened,) = open_all([file], index, mapping, zone)
        if opened.attribution:
            error_console.print(opened.attribution, style="dim", markup=False)
        judged_by = index or opened.index
        if judged_by is None:
            raise ConfigError(
                [
                    Problem(
                        "command line",
                        0,
                        "--line",
                        "",
                        "is missing",
                        "the line description that names the formation channels",
                    )
                ]
            )
        one = len(judged_by.channels) == 1 and not opened.journal
        collector = Cells(file.stem if one else "", first=one)
        for event in _events(opened, judged_by):
            cell = collector.add(event)
            if cell is not None:
                # A recording of one channel is a cell of its own; its folder is the tray.
                yield replace(cell, tray=file.resolve().parent.name) if one else cell


def _table(file: Path) -> list[Cell] | None:
    """Rows of a table of cells; None for another file."""
    if file.suffix.lower() != ".csv" or not file.is_file():
        return None
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as text:
        reader = csv.DictReader(text)
        if "cell" not in (reader.fieldnames or ()):
            return None
        return [
            Cell(
                row["cell"],
                {
                    name: _number(value)
                    for name, value in row.items()
                    if name not in ("cell", *_KEYS)
                },
                recipe=row.get("recipe") or "",
                tray=row.get("tray") or "",
                rack=row.get("rack") or "",
            )
            for row in reader
        ]


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return float("nan")


def _told(cells: list[Cell], file: Path) -> list[Cell]:
    """Cells with what a table says about them."""
    rows = _table(file)
    if rows is None:
        raise RecordingError(f"{file}: is no CSV with a column cell")
    by_id = {row.id: row for row in rows}
    return [
        replace(
            cell,
            recipe=by_id[cell.id].recipe or cell.recipe,
            tray=by_id[cell.id].tray or cell.tray,
            rack=by_id[cell.id].rack or cell.rack,
        )
        if cell.id in by_id
        else cell
        for cell in cells
    ]


def _events(opened: Opened, index: LineIndex) -> Iterator[Event]:
    """What the pipeline says about a recording."""
    pipeline = Pipeline(index, keep_line=not opened.journal)
    for piece in opened.pieces(0):
        if isinstance(piece, Table):
            out = pipeline.feed_table(piece, piece.first_row + 1)
        elif isinstance(piece, Samples):
            out = pipeline.feed_samples(piece, piece.first_row + 1)
        elif isinstance(piece, Entries):
            out = pipeline.feed(piece)
        else:
            out = pipeline.feed_note(piece)
        yield from out.events
    if not opened.journal:
        yield from pipeline.finish().events


def _plain(cells: list[Cell], results: dict[str, Dpat]) -> dict[str, Any]:
    return {
        name: {
            "outliers": [cells[place].id for place in result.outliers],
            "cannot_judge": sum(part.verdict == "cannot judge" for part in result.parts),
            "parts": [
                {
                    "cell": cell.id,
                    "recipe": cell.recipe,
                    "tray": cell.tray,
                    "rack": cell.rack,
                    **{key: value for key, value in asdict(part).items() if key != "place"},
                }
                for cell, part in zip(cells, result.parts, strict=True)
            ],
            "populations": [asdict(population) for population in result.populations],
            "notes": list(result.notes),
        }
        for name, result in results.items()
    }


def _print(cells: list[Cell], results: dict[str, Dpat]) -> None:
    for name, result in results.items():
        silent = sum(part.verdict == "cannot judge" for part in result.parts)
        _say(
            f"{name}: {len(result.outliers)} outliers of {len(cells)} cells,"
            f" {silent} cannot be judged"
        )
        for note in result.notes:
            _say(f"  {note}")
        for population in result.populations:
            doubt = f"; {population.note}" if population.note else ""
            _say(
                f"  {population.name}: {population.parts} cells, median {population.median:.6g},"
                f" robust sigma {population.sigma:.3g}{doubt}"
            )
        for place in result.outliers:
            part = result.parts[place]
            _say(f"  {cells[place].id}: {part.value:.6g}, {part.verdict}: {part.reason}")


def _say(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
