"""``replay``: judge a recording, or play it into a broker."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import numpy as np
import typer

from connectors.mqtt.player import play
from twin import __version__, config
from twin.cli.interrupt import Interrupt
from twin.cli.out import console, error_console, print_json, progress_bar
from twin.cli.recordings import Opened, messages, open_all
from twin.engine.replay import Replay, part_of
from twin.errors import ConfigError, Problem
from twin.model.message import Entries
from twin.model.table import Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from twin.model.index import LineIndex
    from twin.model.table import Samples, Table

    Piece = Table | Samples | Note | Entries

__all__ = ["add_to"]


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
        typer.Option(
            metavar="LINE",
            help="Line description the recording is judged by."
            " Default for a journal: the versions it was recorded with.",
        ),
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
    follow = index is None and all(o.journal for o in opened)
    if index is None:
        index = next((o.index for o in opened if o.index is not None), None)
    if index is None:
        raise _wrong("--line", "", "is missing", "the line description to judge by")
    out.mkdir(parents=True, exist_ok=True)
    run = Replay(
        out,
        index,
        [(o.name, o.sha256) for o in opened],
        __version__,
        split=split,
        follow=follow,
        reading=f"{zone} {mapping.read_text('utf-8') if mapping is not None else ''}",
    )
    _judge(run, opened, factor, quiet=json)


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


def _judge(run: Replay, opened: list[Opened], factor: float | None, *, quiet: bool) -> None:
    if run.resumed and not quiet:
        error_console.print(f"going on after row {run.rows:,} of an interrupted replay")
    with Interrupt() as interrupt, progress_bar(quiet=quiet) as bar:
        task = bar.add_task("replay", total=sum(o.rows for o in opened), completed=run.rows)
        pace: _Pace | None = None
        for piece, base in _pieces(run, opened):
            if factor is not None and pace is None and not isinstance(piece, Note) and len(piece):
                pace = _Pace(factor, int(_times(piece)[0]))
            for part in _paced(piece, pace, interrupt):
                run.feed(part, base)
                bar.update(task, completed=run.rows)
                # Between two parts the state is whole, so this is where it can be kept.
                if interrupt.asked:
                    run.abandon()
                    message = "interrupted; the same command goes on from here"
                    error_console.print(message, style="yellow")
                    raise KeyboardInterrupt
    summary = run.finish(ended=not all(o.journal for o in opened))
    if summary["received"] and not summary["stored"]:
        reasons = ", ".join(summary["rejected"])
        error_console.print(
            f"nothing of the recording was accepted ({reasons}): is it the right --line?",
            style="yellow",
        )
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
    console.print(
        f"{run.out / 'events.jsonl'}, {run.out / 'summary.json'}", markup=False, soft_wrap=True
    )


def _pieces(run: Replay, opened: list[Opened]) -> Iterator[tuple[Piece, int]]:
    """What is not done yet, with the rows of all recordings before each piece."""
    base = 0
    for recording in opened:
        skip = max(0, run.rows - base)
        # At its very end a recording may still have notes to tell.
        if skip <= recording.rows:
            for piece in recording.pieces(skip):
                yield piece, base
        base += recording.rows


class _Pace:
    """When rows are due: recorded time passes ``factor`` times as fast as real time."""

    def __init__(self, factor: float, first_ns: int) -> None:
        self._factor, self._first_ns = factor, first_ns
        self._begin = time.monotonic()

    def now_ns(self) -> int:
        """Recorded time that has been reached."""
        return self._first_ns + int((time.monotonic() - self._begin) * self._factor * 1e9)

    def wait_s(self, time_ns: int) -> float:
        """Seconds until a recorded time is reached."""
        return (time_ns - self.now_ns()) / 1e9 / self._factor


def _times(piece: Table | Samples | Entries) -> NDArray[np.int64]:
    return np.array(piece.recv_ns if isinstance(piece, Entries) else piece.time_ns, np.int64)


def _paced(piece: Piece, pace: _Pace | None, interrupt: Interrupt) -> Iterator[Piece]:
    """Whole at full speed; otherwise what is due, as soon as it is due."""
    if pace is None or isinstance(piece, Note):
        yield piece
        return
    times = np.maximum.accumulate(_times(piece))
    start = 0
    while start < len(piece):
        interrupt.sleep(pace.wait_s(int(times[start])))
        stop = int(np.searchsorted(times, pace.now_ns(), "right"))
        stop = min(max(stop, start + 1), len(piece))
        yield part_of(piece, start, stop)
        start = stop


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
