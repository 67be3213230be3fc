"""The command line's root: commands, logging, errors to exit codes."""

from __future__ import annotations

import logging
import sqlite3
import sys
from typing import Annotated

import typer

from twin import __version__
from twin.cli import (
    arl,
    baseline,
    bench,
    capability,
    check,
    dpat,
    inspect,
    replay,
    run,
    transfer,
    user,
)
from twin.cli.out import Exit, error_console
from twin.errors import ConfigError, RecordingError, SourceError, TwinError

__all__ = ["app", "main"]

app = typer.Typer(
    name="linetwin",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help=(
        "A digital twin that runs beside a battery-cell pilot line.\n\n"
        "Start with `linetwin demo`: a simulated line, live in the browser, no broker and no"
        " database needed. `linetwin check line.toml` tells what is wrong with a line description,"
        " `linetwin run line.toml` runs it, `linetwin replay FILE --line line.toml --out DIR`"
        " judges a recording with it.\n\n"
        "Exit codes: 0 done, 1 failed while running, 2 wrong arguments or line description,"
        " 3 unreadable input, 4 unreachable port, broker or file, 130 interrupted."
    ),
)


def _version(*, wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"linetwin {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    *,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Log more; twice for everything.")
    ] = 0,
    _print_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and end.", is_eager=True, callback=_version
        ),
    ] = False,
) -> None:
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


for module in (run, check, arl, replay, transfer, baseline, capability, dpat, inspect, bench, user):
    module.add_to(app)


def main() -> None:
    """Entry point: every error a person can mend is a sentence and an exit code."""
    try:
        app(standalone_mode=True)
    except ConfigError as error:
        for problem in error.problems:
            _say(problem)
        code = Exit.WRONG_SETTINGS
    except RecordingError as error:
        _say(error)
        code = Exit.UNREADABLE
    except (SourceError, OSError) as error:
        _say(error)
        code = Exit.UNREACHABLE
    except TwinError as error:
        _say(error)
        code = Exit.FAILED
    except sqlite3.Error as error:
        _say(f"a file of the data folder is damaged: {error}; see linetwin doctor --data DIR")
        code = Exit.FAILED
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    else:
        return
    sys.exit(code)


def _say(error: object) -> None:
    """One sentence on one line: a wrapped path can neither be copied nor searched for."""
    error_console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
