"""How commands speak: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from rich.progress import Task

__all__ = ["Exit", "console", "error_console", "print_json", "progress_bar"]

console = Console(highlight=False, emoji=False)
error_console = Console(stderr=True, highlight=False, emoji=False)


class Exit(IntEnum):
    """Exit codes of the command."""

    DONE = 0
    FAILED = 1
    WRONG_SETTINGS = 2
    UNREADABLE = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


class _Rate(TextColumn):
    """Rows per second so far."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Any:
        speed = task.finished_speed or task.speed
        return "" if speed is None else f"{speed:,.0f}/s"


def progress_bar(*, quiet: bool) -> Progress:
    """A bar with rate and remaining time on stderr; silent when nobody looks."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=error_console,
        disable=quiet or not error_console.is_terminal,
        transient=True,
    )


def print_json(data: Any) -> None:
    """One JSON object on one line of stdout."""
    sys.stdout.write(msgspec.json.encode(data).decode() + "\n")
    sys.stdout.flush()
