"""``bench``: what this machine gives, with its conditions."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli.benches import BENCHES, ON_DATA, measure
from twin.cli.out import Exit, console, error_console, print_json
from twin.errors import ConfigError, Problem, TwinError

if TYPE_CHECKING:
    from twin.cli.benches.figure import Figure

__all__ = ["add_to"]

QUICK = 0.02
"""Share of the full counts in a quick run."""


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(bench)


def bench(
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this benchmark; may be given several times."),
    ] = None,
    runs: Annotated[
        int, typer.Option(min=1, max=50, help="Runs of each benchmark; their median counts.")
    ] = 3,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Small counts: shows that it works, the figures mean little."),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Recordings for --only nab or --only skab, or a folder of both; without it LINETWIN_BENCHMARKS.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the verdict on every row of the recordings here."),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Say what can be measured, and end.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure throughput, latency and memory on this machine.

    Nothing listens beyond loopback; everything is written to a temporary folder and removed. What
    cannot be measured here says why. Compare figures between versions on one idle machine, never
    between machines.
    """
    if list_:
        _print_list(json=json)
        return
    names = _chosen(only)
    _check_on_data(names, data, out)
    from twin.cli.benches.figure import Work, skipped  # noqa: PLC0415 - the command line starts without
    from twin.cli.benches.machine import machine  # noqa: PLC0415

    about = machine()
    figures: list[Figure] = []
    failed = False
    for name in names:
        error_console.print(f"[bold]{name}[/]: {BENCHES[name]}")
        with tempfile.TemporaryDirectory(prefix="linetwin-bench-") as folder:
            work = Work(
                folder=Path(folder),
                runs=runs,
                scale=QUICK if quick else 1.0,
                say=_progress,
                data=data,
                out=out,
            )
            load = round(os.getloadavg()[0], 2)
            try:
                found = measure(name, work)
            except ConfigError:
                raise
            except (RuntimeError, OSError, TwinError) as error:
                failed = True
                found = [skipped(name, "", f"failed: {error}")]
        for figure in found:
            figure.conditions["load_average_before"] = load
            error_console.print(f"  {_line_of(figure)}", markup=False)
        figures += found
    if json:
        print_json(
            {
                "machine": about,
                "runs": runs,
                "quick": quick,
                "figures": [figure.plain() for figure in figures],
            }
        )
    else:
        _print_table(about, figures)
    if failed:
        raise typer.Exit(Exit.FAILED)


def _chosen(only: list[str] | None) -> list[str]:
    for name in only or ():
        if name not in BENCHES:
            raise ConfigError(
                [Problem("command line", 0, "--only", name, "is no benchmark", ", ".join(BENCHES))]
            )
    return [name for name in BENCHES if not only or name in only]


def _check_on_data(names: list[str], data: Path | None, out: Path | None) -> None:
    """One folder of recordings belongs to one benchmark."""
    if len(names) == 1 and names[0] in ON_DATA:
        return
    for option, folder in (("--data", data), ("--out", out)):
        if folder is not None:
            hint = " or ".join(f"--only {name}" for name in ON_DATA)
            problem = "goes with one benchmark that judges recordings"
            raise ConfigError([Problem("command line", 0, option, str(folder), problem, hint)])


def _progress(text: str) -> None:
    error_console.print(f"  {text}", style="dim", markup=False)


def _print_list(*, json: bool) -> None:
    if json:
        print_json(BENCHES)
        return
    for name, what in BENCHES.items():
        console.print(f"{name:10} {what}", markup=False)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _line_of(figure: Figure) -> str:
    if figure.skipped:
        return f"{figure.name}: not measured, {figure.skipped}"
    return f"{figure.name}: {_number(figure.value)} {figure.unit}"


def _print_table(about: dict[str, Any], figures: list[Figure]) -> None:
    _plain(", ".join(f"{key} {value}" for key, value in about.items()))
    for figure in figures:
        if figure.skipped:
            _plain(f"{figure.name:36} not measured: {figure.skipped}")
            continue
        value = f"{_number(figure.value):>10} {figure.unit}"
        span = f"{_number(min(figure.runs))} - {_number(max(figure.runs))}"
        _plain(f"{figure.name:36}{value:28} {span:24} {_aim(figure)}".rstrip())
        for other in figure.comparison:
            told = other.get("skipped") or f"{_number(other['value']):>10} {other['unit']}"
            _plain(f"  {other['name']:34}{told}")


def _plain(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _aim(figure: Figure) -> str:
    if figure.budget is None:
        return ""
    sign = "≤" if figure.better == "lower" else "≥"
    verdict = {None: "", True: ", met", False: ", missed"}[figure.met]
    return f"{sign} {_number(figure.budget)}{verdict}"
