"""``ledger``, ``doctor``: look at a line's data without starting it."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from twin import __version__, config
from twin.cli.out import Exit, console, print_json
from twin.config.propose import propose_row
from twin.engine.runner import balance
from twin.engine.store import StateStore
from twin.errors import ConfigError, RecordingError
from twin.ingest.discovery import Discovery, Found
from twin.journal import Reader
from twin.journal.hwm import HighWaterMark
from twin.journal.segment import list_segments
from twin.model.message import Kind

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(ledger)
    app.command()(discover)
    app.command()(doctor)


def ledger(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="Data folder of a line.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the balance of a line's data: received = stored + rejected + pending.

    Reads the files, so it also tells about a line that is not running. A message that waits
    counts as one sample until it is decoded.
    """
    facts = ledger_of(data)
    if json:
        print_json(facts)
    else:
        for key in ("received", "stored", "rejected", "pending", "findings", "alarms"):
            console.print(f"{key:10} {facts[key]}")
        console.print(f"{'balanced':10} {'yes' if facts['balanced'] else 'NO'}")
    if not facts["balanced"]:
        raise typer.Exit(Exit.FAILED)


def ledger_of(data: Path) -> dict[str, Any]:
    """The ledger of a data folder, from its files.

    Raises:
        RecordingError: The folder holds no line's data.
    """
    counts: dict[str, Any] = {}
    cursor, sha = 0, hashlib.sha256().hexdigest()
    if (data / "state.db").exists():
        store = StateStore(data / "state.db", __version__)
        try:
            counts, cursor = store.ledger, store.cursor
            sha = store.events_sha256()
        finally:
            store.close()
    elif not list_segments(data / "journal"):
        raise RecordingError(f"{data}: no journal and no state.db; give the data folder of a line")
    last, pending = cursor, 0
    for entries in Reader(data / "journal").entries(cursor + 1):
        last = entries.last_seq
        pending += len(entries) if entries.kind is Kind.MESSAGE else 0
    return {
        **balance(counts, pending),
        "events_sha256": sha,
        "journal_last_seq": last,
        "cursor": cursor,
    }


def discover(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="Data folder of a line.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Propose rows of the line description for topics nobody described.

    Reads the newest snapshot, which is at most a minute old while the line runs; the board's page
    Ledger shows the same list live.
    """
    found = _discovered(data)
    rows = {entry.topic: propose_row(entry.topic, entry.examples) for entry in found}
    if json:
        print_json({"topics": [{"topic": topic, "row": row} for topic, row in rows.items()]})
        return
    for entry in found:
        console.print(f"# {entry.topic}: {entry.count} messages", markup=False, highlight=False)
        console.print(rows[entry.topic], markup=False, highlight=False, soft_wrap=True)


def _discovered(data: Path) -> list[Found]:
    if not (data / "state.db").exists():
        raise RecordingError(f"{data}: no state.db; give the data folder of a line")
    store = StateStore(data / "state.db", __version__)
    try:
        snapshot = next(iter(store.snapshots()), None)
    finally:
        store.close()
    discovery = Discovery()
    if snapshot is not None:
        discovery.restore(snapshot.state["stages"]["ingest"]["discovery"])
    return sorted(discovery.found.values(), key=lambda entry: entry.topic)


def doctor(
    *,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Data folder to examine.")
    ] = None,
    line: Annotated[Path | None, typer.Option(help="Line description to examine.")] = None,
    disk: Annotated[
        bool, typer.Option("--disk", help="Measure how long 200 durable commits take.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Examine the installation, a line description, a data folder and its disk.

    Ends with exit code 1 when something needs a person.
    """
    findings = [*_installation()]
    if line is not None:
        findings += _line(line)
    if data is not None:
        findings += _data(data)
    if disk:
        findings.append(_disk(data or Path.cwd()))
    if json:
        print_json([{"what": w, "state": s, "text": t} for w, s, t in findings])
    else:
        for what, state, text in findings:
            style = {"ok": "green", "warn": "yellow", "bad": "red"}[state]
            console.print(f"[{style}]{state:4}[/] {what:14}", end=" ")
            console.print(text, markup=False, highlight=False)
    if any(state == "bad" for _, state, _ in findings):
        raise typer.Exit(Exit.FAILED)


def _installation() -> list[tuple[str, str, str]]:
    version = ".".join(map(str, sys.version_info[:3]))
    return [
        ("linetwin", "ok", __version__),
        ("python", "ok" if sys.version_info >= (3, 11) else "bad", version),
        ("sqlite", "ok", sqlite3.sqlite_version),
        *(
            (tool, "ok" if shutil.which(tool) else "warn", shutil.which(tool) or "not installed")
            for tool in ("mosquitto_pub",)
        ),
    ]


def _line(file: Path) -> list[tuple[str, str, str]]:
    try:
        index = config.load(file)
    except ConfigError as error:
        return [("line", "bad", str(problem)) for problem in error.problems]
    return [("line", "ok", f"{file}: {len(index)} sensors, version {index.version}")]


def _data(data: Path) -> list[tuple[str, str, str]]:
    if not (data / "state.db").exists() and not list_segments(data / "journal"):
        return [("data", "warn", f"{data}: nothing there yet")]
    found: list[tuple[str, str, str]] = []
    facts = ledger_of(data)
    state = "ok" if facts["balanced"] else "bad"
    found.append(
        (
            "ledger",
            state,
            (
                f"received {facts['received']} = stored {facts['stored']}"
                f" + rejected {sum(facts['rejected'].values())} + pending {facts['pending']}"
            ),
        )
    )
    segments = list_segments(data / "journal")
    mark = HighWaterMark(data / "journal" / "hwm")
    known = mark.read()
    mark.close()
    behind = facts["journal_last_seq"] < known
    found.append(
        (
            "journal",
            "bad" if behind else "ok",
            f"{len(segments)} segments, last entry {facts['journal_last_seq']}"
            + (f"; {known} was committed: entries are missing" if behind else ""),
        )
    )
    quarantine = data / "journal" / "quarantine"
    if quarantine.is_dir() and any(quarantine.iterdir()):
        names = ", ".join(sorted(p.name for p in quarantine.iterdir()))
        found.append(("journal", "bad", f"damaged segments were set aside: {names}"))
    usage = shutil.disk_usage(data)
    used = 1 - usage.free / usage.total
    found.append(
        (
            "disk space",
            "bad" if used > 0.95 else "warn" if used > 0.85 else "ok",
            f"{used:.0%} used, {usage.free / (1 << 30):.1f} GiB free",
        )
    )
    mode = (data / "users.json").stat().st_mode & 0o777 if (data / "users.json").exists() else 0o600
    found.append(
        ("users", "ok" if not mode & 0o077 else "bad", f"users.json has mode {mode:o}, wanted 600")
    )
    return found


def _disk(folder: Path) -> tuple[str, str, str]:
    """Median and 99 % time of a synced write of 64 KiB."""
    file = folder / ".linetwin-disk-probe"
    times = []
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(200):
            begin = time.perf_counter()
            os.write(handle, b"\0" * 65_536)
            os.fsync(handle)
            times.append((time.perf_counter() - begin) * 1e3)
    finally:
        os.close(handle)
        file.unlink()
    median = statistics.median(times)
    worst = sorted(times)[int(len(times) * 0.99)]
    text = f"durable write of 64 KiB: median {median:.2f} ms, 99 % {worst:.2f} ms"
    if median < 0.05:
        return "disk", "warn", text + "; too fast to be true: does it really sync?"
    if worst > 50:
        return "disk", "warn", text + "; slow: acknowledgements will be late"
    return "disk", "ok", text
