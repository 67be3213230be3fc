"""What the commands about baselines share: arguments, the file, and names in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from twin.cli.out import console
from twin.config import baselines
from twin.errors import ConfigError, Problem

if TYPE_CHECKING:
    from twin.config.baselines import Entry
    from twin.model.baseline import Baseline
    from twin.model.index import LineIndex

__all__ = [
    "ByOption",
    "FilesArgument",
    "JsonOption",
    "LineArgument",
    "MappingOption",
    "NameArgument",
    "ZoneOption",
    "entries_of",
    "file_of",
    "named",
    "newest",
    "say",
    "time_of",
    "wrong",
]

LineArgument = Annotated[Path, typer.Argument(metavar="LINE", help="Line description.")]
FilesArgument = Annotated[
    list[Path],
    typer.Argument(metavar="RECORDING…", help="Recordings in order, or the data folder of a line."),
]
NameArgument = Annotated[str, typer.Argument(metavar="ID@V", help="Baseline and its version.")]
MappingOption = Annotated[Path | None, typer.Option(help="TOML file that says how to read a CSV.")]
ZoneOption = Annotated[
    str, typer.Option(help="IANA zone of recordings without one. Default: as the line says.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ByOption = Annotated[str, typer.Option(metavar="NAME", help="Who does it.")]


def say(text: str) -> None:
    """Text on stdout as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def wrong(key: str, value: str, message: str, allowed: str) -> ConfigError:
    """A wrong word on the command line."""
    return ConfigError([Problem("command line", 0, key, value, message, allowed)])


def file_of(line: Path, index: LineIndex) -> Path:
    """The baseline file of a line, which need not be there yet.

    Raises:
        ConfigError: The line names none.
    """
    name = index.line.line.baselines
    if not name:
        raise ConfigError(
            [Problem(line.name, 0, "line.baselines", "", "is missing", '"baselines.jsonl"')]
        )
    return line.parent / name


def entries_of(path: Path) -> list[Entry]:
    """All records; none without a file.

    Raises:
        ConfigError: A record was changed by hand.
    """
    if not path.exists():
        return []
    entries, problems = baselines.decode(path.read_text("utf-8"), path.name)
    if problems:
        raise ConfigError(problems)
    return entries


def named(entries: list[Entry], name: str) -> Baseline:
    """The newest record of that name: an approval comes after its candidate."""
    found = [entry.baseline for entry in entries if entry.baseline.name == name]
    if not found:
        names = list(dict.fromkeys(entry.baseline.name for entry in entries))
        raise wrong("ID@V", name, "is no baseline", ", ".join(names[-12:]) or "none yet")
    return found[-1]


def newest(entries: list[Entry], name: str) -> int:
    """Newest version of an id, 0 for none."""
    return max((e.baseline.version for e in entries if e.baseline.id == name), default=0)


def time_of(text: str, index: LineIndex, option: str) -> int:
    """ISO 8601 to ns; without an offset in the zone of the line."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise wrong(option, text, "is no time", "ISO 8601, 2026-03-01T06:00:00Z") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(index.line.line.timezone))
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
