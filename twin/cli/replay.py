"""``replay``: judge a recording, or play it into a broker."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from connectors.mqtt.player import play
from twin import __version__, config
from twin.cli.out import console, error_console, print_json, progress_bar
from twin.cli.recordings import Opened, messages, open_all
from twin.engine.replay import Replay, cut
from twin.errors import ConfigError, Problem
from twin.model.message import Entries
from twin.model.table import Note, Samples, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

    from twin.model.index import LineIndex

__all__ = ["add_to"]

_SHOWN = 10


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(replay)


def replay(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help="Recordings in order: cycler files, BDF, CSV, Parquet, exported journals,"
            " or the data folder of a line.",
        ),
    ],
    *,
    line: Annotated[
        Path | None,
        typer.Option(metavar="LINE", help="Line description the recording is judged by."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for events.jsonl and summary.json."),
    ] = None,
    speed: Annotated[
        str, typer.Option(help="`max`, or a factor: 1 is the speed it was recorded at.")
    ] = "max",
    to: Annotated[
        str,
        typer.Option(
            metavar="mqtt://HOST:PORT",
            help="Play the recording into a broker or listener instead, with its event times.",
        ),
    ] = "",
    mapping: Annotated[
        Path | None, typer.Option(help="TOML file that says how to read a CSV.")
    ] = None,
    zone: Annotated[
        str, typer.Option(help="IANA zone of recordings without one. Default: as the line says.")
    ] = "",
    split: Annotated[
        int | None,
        typer.Option(min=1, help="Process so many rows at a time; the result is the same."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object on stdout.")
    ] = False,
) -> None:
    """Run a recording through the same pipeline as live data.

    The same recording and line give the same events.jsonl to the byte, at any speed and after any
    interruption: started again with the same arguments, an interrupted replay goes on where it was.
    """
    factor = _speed(speed)
    index = config.load(line) if line is not None else None
    opened = open_all(files, index, mapping, zone)
    for recording in opened:
        if recording.attribution and not json:
            error_console.print(recording.attribution, style="dim", markup=False)
    if to:
        _play(opened, index, to, factor, quiet=json)
        return
    if out is None:
        raise _wrong(
            "--out", "", "is missing", "a folder for the results, or --to mqtt://host:port"
        )
    if index is None:
        index = next((o.index for o in opened if o.index is not None), None)
    if index is None:
        raise _wrong("--line", "", "is missing", "the line description to judge by")
    _judge(opened, index, out, factor, split, quiet=json)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor < 1e9:
        raise _wrong("--speed", text, "is no speed", "max, or a factor such as 1 or 60")
    return factor


def _wrong(key: str, value: str, message: str, allowed: str) -> ConfigError:
    return ConfigError([Problem("command line", 0, key, value, message, allowed)])


def _judge(
    opened: list[Opened],
    index: LineIndex,
    out: Path,
    factor: float | None,
    split: int | None,
    *,
    quiet: bool,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    run = Replay(out, index, [(o.name, o.sha256) for o in opened], __version__, split=split)
    if run.resumed and not quiet:
        error_console.print(f"going on after row {run.rows:,} of an interrupted replay")
    try:
        with progress_bar(quiet=quiet) as bar:
            task = bar.add_task("replay", total=sum(o.rows for o in opened), completed=run.rows)
            _feed(run, opened, factor, bar, task)
    except KeyboardInterrupt:
        run.abandon()
        error_console.print("interrupted; the same command goes on from here", style="yellow")
        raise
    summary = run.finish(ended=not all(o.journal for o in opened))
    if quiet:
        print_json(summary)
        return
    console.print(
        f"received {summary['received']:,} = stored {summary['stored']:,}"
        f" + rejected {sum(summary['rejected'].values()):,} + pending 0"
    )
    console.print(
        f"{summary['findings']:,} findings, {summary['alarms']:,} alarms;"
        f" {summary['samples_per_second']:,.0f} samples/s"
    )
    console.print(f"{out / 'events.jsonl'}, {out / 'summary.json'}")


def _feed(
    run: Replay, opened: list[Opened], factor: float | None, bar: Progress, task: TaskID
) -> None:
    base = 0
    start: tuple[float, int] | None = None
    for recording in opened:
        skip = max(0, run.rows - base)
        if skip < recording.rows or recording.rows == 0:
            for piece in recording.pieces(skip):
                for part in _paced(piece, factor):
                    if factor is not None and not isinstance(part, Note):
                        first, last = _span(part)
                        start = start or (time.monotonic(), first)
                        ahead = (last - start[1]) / 1e9 / factor - (time.monotonic() - start[0])
                        if ahead > 0:
                            time.sleep(ahead)
                    run.feed(part, base)
                    bar.update(task, completed=run.rows)
        base += recording.rows


def _span(piece: Table | Samples | Entries) -> tuple[int, int]:
    if isinstance(piece, Entries):
        return piece.recv_ns[0], piece.recv_ns[-1]
    return int(piece.time_ns[0]), int(piece.time_ns[-1])


def _paced(
    piece: Table | Samples | Note | Entries, factor: float | None
) -> Iterator[Table | Samples | Note | Entries]:
    """Pieces small enough that pacing shows: whole at full speed, rows one by one otherwise."""
    if factor is None or isinstance(piece, Note):
        yield piece
        return
    yield from cut(piece, 1)


def _play(
    opened: list[Opened], index: LineIndex | None, to: str, factor: float | None, *, quiet: bool
) -> None:
    address = urlsplit(to)
    if address.scheme != "mqtt" or not address.hostname:
        raise _wrong("--to", to, "is no MQTT address", "mqtt://host:port")
    total = sum(o.rows for o in opened)
    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("play", total=total)
        stats = asyncio.run(
            play(
                messages(opened, index),
                address.hostname,
                address.port or 1883,
                speed=factor,
                user=address.username or "",
                password=address.password or "",
                client_id=f"linetwin-replay-{opened[0].sha256[:8]}",
                progress=lambda count: bar.update(task, completed=count),
            )
        )
    facts: dict[str, Any] = {
        "published": stats.sent,
        "acknowledged": stats.acknowledged,
        "seconds": round(stats.seconds, 3),
    }
    if quiet:
        print_json(facts)
    else:
        console.print(
            f"{stats.acknowledged:,} of {stats.sent:,} messages acknowledged in {stats.seconds:.1f} s"
        )
