"""``export``, ``import``, ``record`` and ``simulate``: data in and out of a journal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from connectors.mqtt.listener import Listener
from connectors.mqtt.session import Session
from connectors.recording import write_entries, write_samples
from connectors.simulator.script import Script, default_faults
from connectors.simulator.simulator import Simulator
from twin import __version__, config
from twin.cli.out import console, print_json, progress_bar
from twin.cli.recordings import Opened, messages_of, open_all
from twin.clock import SystemClock
from twin.config import parse
from twin.engine.pipeline import Pipeline
from twin.engine.store import StateStore
from twin.errors import ConfigError, Problem, RecordingError
from twin.journal import Journal, Reader
from twin.model.event import plain
from twin.model.message import Block, Entries, Kind
from twin.model.table import Note, Samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.model.index import LineIndex

__all__ = ["add_to"]

DataOption = Annotated[
    Path, typer.Option(metavar="DIR", help="Data folder of the line (see `linetwin run --data`).")
]
LineOption = Annotated[Path, typer.Option(metavar="LINE", help="Line description.")]
JsonOption = Annotated[bool, typer.Option("--json", help="End with one JSON object on stdout.")]
_AT_ONCE = 1000


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(export)
    app.command("import")(import_)
    app.command()(record)
    app.command()(simulate)


def export(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="Data folder or journal folder.")],
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Parquet (or .jsonl) file to write.")],
    *,
    samples: Annotated[
        bool,
        typer.Option("--samples", help="Checked samples in declared units, for notebooks."),
    ] = False,
    events: Annotated[bool, typer.Option("--events", help="Events as JSON lines.")] = False,
    line: Annotated[
        Path | None, typer.Option(help="Line description for --samples. Default: the recorded one.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Turn a journal into one file; reading it disturbs no running linetwin.

    By default the file holds every entry as received and replays to the same events. With
    --samples it holds what was accepted, with --events what was said.
    """
    if samples and events:
        raise ConfigError(
            [Problem("command line", 0, "--samples", "", "goes not with --events", "one of them")]
        )
    if events:
        state = data / "state.db"
        if not state.exists():
            raise RecordingError(f"{data}: no state.db; give the data folder of a line")
        store = StateStore(state, __version__)
        store.write_events(out)
        facts: dict[str, Any] = {"file": str(out), "sha256": store.events_sha256()}
        store.close()
    else:
        journal = data / "journal" if (data / "journal").is_dir() else data
        reader = Reader(journal)
        if next(reader.entries(reader.first_seq()), None) is None:
            raise RecordingError(
                f"{data}: holds no journal entries; give the data folder of a line"
            )
        runs = reader.entries(reader.first_seq())
        if samples:
            index = config.load(line) if line is not None else None
            rows = write_samples(out, _samples_of(runs, index))
        else:
            rows = write_entries(out, runs)
        facts = {"file": str(out), "rows": rows}
    if json:
        print_json(facts)
    else:
        console.print(", ".join(f"{key} {value}" for key, value in facts.items()))


def _samples_of(runs: Iterator[Entries], index: LineIndex | None) -> Iterator[Samples]:
    """Accepted samples of a journal, judged as they were when they came."""
    pipeline: Pipeline | None = Pipeline(index, keep_line=True) if index is not None else None
    row = unjudged = 0
    for entries in runs:
        if pipeline is None:
            if entries.kind is not Kind.CONFIG:
                unjudged += entries.kind is Kind.MESSAGE
                continue
            pipeline = Pipeline(parse(msgspec.json.decode(entries.payloads[0])["files"]))
        out = pipeline.feed(entries)
        names = [sensor.id for sensor in pipeline.index.sensors]
        units = [sensor.spec.unit for sensor in pipeline.index.sensors]
        for batch in out.batches:
            yield Samples(
                "journal",
                row,
                names,
                batch.sensor,
                batch.time_ns,
                batch.value,
                batch.quality,
                units,
            )
            row += len(batch)
    if pipeline is None and unjudged:
        raise ConfigError(
            [
                Problem(
                    "command line",
                    0,
                    "--line",
                    "",
                    "is missing: these entries were recorded and never run",
                    "the line description to judge them by",
                )
            ]
        )


def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings, in order.")],
    *,
    line: LineOption,
    data: DataOption,
    mapping: Annotated[
        Path | None, typer.Option(help="TOML file that says how to read a CSV.")
    ] = None,
    zone: Annotated[str, typer.Option(help="IANA zone of recordings without one.")] = "",
    json: JsonOption = False,
) -> None:
    """Put recordings into the journal of a line; the next `linetwin run` works through them.

    Every row is stored with its own event time, and so is every defect the reader finds.
    Importing the same file twice changes nothing: its samples are recognised as duplicates.
    """
    index = config.load(line)
    opened = open_all(files, index, mapping, zone)
    count = asyncio.run(_import(opened, index, data, json=json))
    if json:
        print_json({"stored": count})
    else:
        console.print(f"{count:,} messages stored in {data}")


async def _import(opened: list[Opened], index: LineIndex, data: Path, *, json: bool) -> int:
    async with _journal(data, SystemClock()) as journal:
        count = 0
        with progress_bar(quiet=json) as bar:
            task = bar.add_task("import", total=sum(o.rows for o in opened))
            for block in _blocks(opened, index):
                await _stored(journal, block)
                count += len(block) if block.kind is Kind.MESSAGE else 0
                bar.update(task, completed=count)
    return count


def _blocks(opened: list[Opened], index: LineIndex) -> Iterator[Block]:
    """Rows as messages and defects as notes, in order.

    A row counts as received when it was recorded: however old it is, it is not too old.
    """
    for recording in opened:
        newest = 0
        block = Block("import")
        for piece in recording.pieces(0):
            if isinstance(piece, Note):
                yield block
                block = Block("import")
                note = Block("import", Kind.NOTE)
                note.add("", msgspec.json.encode(piece, enc_hook=plain), max(newest, piece.time_ns))
                yield note
                continue
            for time_ns, topic, payload in messages_of(piece, index):
                newest = max(newest, time_ns)
                block.add(topic, payload, newest)
                if len(block) >= _AT_ONCE:
                    yield block
                    block = Block("import")
        yield block


async def _stored(journal: Journal, block: Block) -> None:
    if not len(block):
        return
    done = asyncio.Event()
    journal.put(block, done.set)
    await done.wait()


@contextlib.asynccontextmanager
async def _journal(data: Path, clock: SystemClock) -> Any:
    from twin.app import lock_folder  # noqa: PLC0415 - pulls in the whole application

    with lock_folder(data):
        journal = Journal(data / "journal", clock, code_version=__version__)
        journal.open()
        journal.start(asyncio.get_running_loop())
        try:
            yield journal
        finally:
            await asyncio.to_thread(journal.close)


def record(
    line: Annotated[Path, typer.Argument(metavar="LINE", help="Line description.")],
    *,
    data: DataOption,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop after so many seconds.")
    ] = None,
    mqtt_port: Annotated[int | None, typer.Option(min=0, max=65535, help="Listener port.")] = None,
    json: JsonOption = False,
) -> None:
    """Take data in and store it, without judging anything.

    Listens and subscribes as `linetwin run` does and fills the journal; run, replay or export it
    later.
    """
    count, port = asyncio.run(_record(line, data, seconds, mqtt_port, quiet=json))
    if json:
        print_json({"stored": count, "mqtt_port": port})
    else:
        console.print(f"{count:,} entries in {data}")


async def _record(
    file: Path, data: Path, seconds: float | None, mqtt_port: int | None, *, quiet: bool
) -> tuple[int, int]:
    index = config.load(file)
    clock = SystemClock()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings = index.line.listener
    if mqtt_port is not None:
        settings = settings.model_copy(update={"port": mqtt_port})
    async with _journal(data, clock) as journal:
        before = journal.committed
        listener = Listener(settings, clock, file.parent)
        tasks = [asyncio.create_task(listener.run(journal))] if settings.enabled else []
        for broker in index.line.broker:
            client = broker.client_id or f"{index.line.line.site}-{index.line.line.name}-ingest"
            session = Session(broker, client, clock, file.parent)
            tasks.append(asyncio.create_task(session.run(journal)))
        waiter: asyncio.Task[Any] = asyncio.create_task(stop.wait())
        try:
            if settings.enabled:
                started: asyncio.Task[Any] = asyncio.create_task(listener.started.wait())
                await asyncio.wait({started, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                if not quiet and started.done():
                    console.print(f"recording from mqtt://{settings.host}:{listener.port}")
                started.cancel()
            await asyncio.wait(
                {waiter, *tasks}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in (*tasks, waiter):
                task.cancel()
            await asyncio.gather(*tasks, waiter, return_exceptions=True)
    return journal.committed - before, listener.port


def simulate(
    line: Annotated[Path, typer.Argument(metavar="LINE", help="Line description to simulate.")],
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Parquet file to write.")],
    *,
    seconds: Annotated[float, typer.Option(min=1, help="Simulated time.")] = 600.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same recording.")] = 1,
    start: Annotated[
        str, typer.Option(help="Event time of the beginning, ISO 8601.")
    ] = "2026-01-05T06:00:00Z",
    faults: Annotated[
        Path | None,
        typer.Option(
            help="Script of faults to inject. Default: faults.toml beside the line, else those of"
            " the demo."
        ),
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Inject no faults at all.")] = False,
    json: JsonOption = False,
) -> None:
    """Write a simulated recording, with injected faults and a known truth.

    The truth (which fault, where, from when to when) is written beside the recording.
    """
    from twin.ingest.payload import iso_to_ns  # noqa: PLC0415 - only here

    index = config.load(line)
    try:
        start_ns = iso_to_ns(start)
    except ValueError as error:
        raise ConfigError(
            [Problem("command line", 0, "--start", start, str(error), "2026-01-05T06:00:00Z")]
        ) from error
    script = None if clean else Script.load(faults or default_faults(line))
    simulator = Simulator(index, seed, start_ns, script)
    with progress_bar(quiet=json) as bar:
        task = bar.add_task("simulate", total=int(seconds))
        rows = write_entries(out, _simulated(simulator, start_ns, seconds, bar, task))
    truth = out.with_suffix(".truth.json")
    truth.write_bytes(msgspec.json.format(msgspec.json.encode(simulator.truth()), indent=2))
    if json:
        print_json({"file": str(out), "truth": str(truth), "rows": rows, "simulated": True})
    else:
        console.print(f"{rows:,} simulated messages in {out}, truth in {truth}")


def _simulated(
    simulator: Simulator, start_ns: int, seconds: float, bar: Any, task: Any
) -> Iterator[Entries]:
    seq = 1
    for second in range(1, int(seconds) + 1):
        entries = Entries(seq, Kind.MESSAGE, [], [], [], [], [])
        for time_ns, topic, payload in simulator.step(start_ns + second * 1_000_000_000):
            entries.sources.append("simulator")
            entries.topics.append(topic)
            entries.payloads.append(payload)
            entries.recv_ns.append(time_ns)
            entries.flags.append(0)
        if len(entries):
            yield entries
            seq += len(entries)
        bar.update(task, completed=second)
