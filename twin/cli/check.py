"""``check``: is a line description right, and what does it mean?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from twin import config
from twin.cli.out import Exit, console, error_console, print_json
from twin.config.refuse import refusals
from twin.config.report import check_text, report
from twin.errors import ConfigError, Problem

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(check)


def check(
    line: Annotated[Path, typer.Argument(metavar="LINE", help="Line description to check.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check a line description without any network.

    Prints every problem with file, line, key, value and what is allowed; then what the line means:
    its sensors, charts and alarms, how many false findings to expect and how soon each chart finds
    a shift. A line that expects more false findings than its budget is refused, as `run` would.
    """
    try:
        index = config.load(line)
    except ConfigError as error:
        _refuse(error.problems, {}, json=json)
        raise typer.Exit(Exit.WRONG_SETTINGS) from error
    facts = report(index) if json else {}
    if not json:
        console.print(check_text(index), markup=False, highlight=False, soft_wrap=True)
    if wrong := refusals(index):
        _refuse(wrong, facts, json=json)
        raise typer.Exit(Exit.WRONG_SETTINGS)
    if json:
        print_json({"ok": True, "problems": [], **facts})


def _refuse(problems: list[Problem], facts: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json({"ok": False, "problems": [asdict(p) for p in problems], **facts})
        return
    for problem in problems:
        error_console.print(
            str(problem), style="red", markup=False, highlight=False, soft_wrap=True
        )
    error_console.print(f"{len(problems)} problem(s)", style="bold red")
