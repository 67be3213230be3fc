"""``check``: is a line description right, and what does it mean?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin import config
from twin.cli.out import Exit, console, error_console, print_json
from twin.config.report import check_text, report
from twin.errors import ConfigError

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
    its sensors, charts and alarms, and how many false alarms to expect per day.
    """
    try:
        index = config.load(line)
    except ConfigError as error:
        if json:
            problems = [
                {
                    "file": p.file,
                    "line": p.line,
                    "key": p.key,
                    "value": p.value,
                    "message": p.message,
                    "allowed": p.allowed,
                    "severity": p.severity,
                }
                for p in error.problems
            ]
            print_json({"ok": False, "problems": problems})
        else:
            for problem in error.problems:
                error_console.print(
                    str(problem), style="red", markup=False, highlight=False, soft_wrap=True
                )
            error_console.print(f"{len(error.problems)} problem(s)", style="bold red")
        raise typer.Exit(Exit.WRONG_SETTINGS) from error
    if json:
        print_json({"ok": True, "problems": [], **report(index)})
    else:
        console.print(check_text(index), markup=False, highlight=False)
