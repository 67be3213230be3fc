"""``run`` and ``demo``: a live line."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from twin.app import Application, RunOptions
from twin.cli.out import Exit, console, error_console, print_json
from twin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

__all__ = ["add_to", "demo_line", "summary_of"]

_KEYS = (
    "received",
    "stored",
    "rejected",
    "pending",
    "findings",
    "alarms",
    "events_sha256",
    "samples_per_second",
    "cpu_us_per_sample",
)

LineArgument = Annotated[
    Path, typer.Argument(metavar="LINE", help="Line description, for example line.toml.")
]
Seconds = Annotated[
    float | None,
    typer.Option(min=0, help="Stop by itself after so many seconds and print the ledger."),
]
Port = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Port of the board, 0 for a free one. Default 8080, or a free one when that is taken.",
    ),
]
MqttPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Port of the MQTT listener, 0 for a free one. Default: as the line description says.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Journal, state, history and users live here and nowhere else."
        " Default: data/SITE-LINE below the current folder.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="End with one JSON object on stdout.")]


def demo_line() -> Path:
    """The line description of the demo."""
    for base in (Path(__file__).parents[2], Path.cwd()):
        file = base / "examples" / "pilot-line" / "line.toml"
        if file.exists():
            return file
    raise SourceError("examples/pilot-line/line.toml is not here; run it from a checkout")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(run)
    app.command()(demo)


def run(
    line: LineArgument,
    *,
    seconds: Seconds = None,
    port: Port = None,
    mqtt_port: MqttPort = None,
    data: Data = None,
    simulator: Annotated[
        bool | None,
        typer.Option(
            help="Feed the line from the simulator. Default: when the line says simulated = true."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulator.")] = 1,
    faults: Annotated[
        Path | None,
        typer.Option(
            help="Script of faults the simulator injects. Default: faults.toml beside the line,"
            " else the faults of the demo."
        ),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.01, help="Speed of the simulator; 1 is real time.")
    ] = 1.0,
    login: Annotated[
        bool,
        typer.Option(
            "--login",
            help="Ask for a login also for looking. Use it when a proxy makes the board reachable.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Run a line: listen, journal, judge, show it in the browser.

    Devices publish to the MQTT listener; brokers of the line description are subscribed to.
    Stop with Ctrl-C: what was acknowledged is on disk, and the next start goes on there.
    SIGHUP reads the line description again.
    """
    options = RunOptions(
        line=line,
        data=data or _default_data(line),
        port=port,
        mqtt_port=mqtt_port,
        simulate=simulator,
        seed=seed,
        faults=faults,
        speed=speed,
        login=login,
    )
    _run(options, seconds, quiet=json)


def demo(
    *,
    seconds: Seconds = None,
    port: Port = None,
    mqtt_port: MqttPort = None,
    data: Data = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulator.")] = 1,
    speed: Annotated[float, typer.Option(min=0.01, help="1 is real time.")] = 1.0,
    json: Json = False,
) -> None:
    """Run the simulated pilot line that comes with linetwin."""
    line = demo_line()
    options = RunOptions(
        line=line,
        data=data or _default_data(line),
        port=port,
        mqtt_port=mqtt_port,
        simulate=True,
        seed=seed,
        speed=speed,
    )
    _run(options, seconds, quiet=json)


def _default_data(line: Path) -> Path:
    from twin import config  # noqa: PLC0415 - read twice only when no folder is given

    head = config.load(line).line.line
    return Path("data") / f"{head.site}-{head.name}"


def _run(options: RunOptions, seconds: float | None, *, quiet: bool) -> None:
    outcome = asyncio.run(_serve(options, seconds, quiet=quiet))
    if quiet:
        print_json(summary_of(outcome))
    else:
        _print_ledger(outcome)
    if not outcome["balanced"]:
        raise typer.Exit(Exit.FAILED)


async def _serve(options: RunOptions, seconds: float | None, *, quiet: bool) -> dict[str, Any]:
    application = Application(options)
    application.handle_signals()
    async with application.running():
        # With --json stdout belongs to the result; address and first password are told all the same.
        _greet(application, error_console if quiet else console)
        with contextlib.suppress(TimeoutError), _watch(application, quiet=quiet) as refresh:
            async with asyncio.timeout(seconds):
                while not application.stop.is_set():
                    refresh()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(application.stop.wait(), 0.5)
        if application.failure is not None:
            raise application.failure
    return application.final


def summary_of(ledger: dict[str, Any]) -> dict[str, Any]:
    """The ledger as ``run --json`` prints it."""
    return {key: ledger[key] for key in _KEYS}


def _greet(application: Application, out: Console) -> None:
    line = application.index.line
    title = escape(line.line.title or line.line.name)
    simulated = line.line.simulated and "simulated" not in title
    mark = " [bold yellow](simulated)[/]" if simulated else ""
    said = [f"[bold]linetwin[/] runs [bold]{title}[/]{mark}"]
    if application.board is not None:
        said.append(f"  board    {application.board.url}")
    if application.listener is not None:
        said.append(f"  MQTT     mqtt://{line.listener.host}:{application.listener.port}")
    said += [f"  broker   mqtt://{broker.host}:{broker.port}" for broker in line.broker]
    said.append(f"  data     {escape(str(application.options.data))}")
    if application.first_password:
        said.append(
            f"  log in   user [bold]admin[/], password [bold]{application.first_password}[/]"
            " (shown only this once)"
        )
    said.append("  stop     Ctrl-C\n")
    out.print("\n".join(said), soft_wrap=True)


@contextlib.contextmanager
def _watch(application: Application, *, quiet: bool) -> Iterator[Any]:
    """A live line of figures while somebody looks at a terminal."""
    if quiet or not error_console.is_terminal:
        yield lambda: None
        return
    with Live(console=error_console, refresh_per_second=2, transient=True) as live:

        def refresh() -> None:
            ledger = application.view.ledger()
            engine = application.view.overview(sparks=False)["engine"]
            live.update(
                f"{engine['messages_per_s']:,.0f} messages/s · received {ledger['received']:,} ="
                f" stored {ledger['stored']:,} + rejected {sum(ledger['rejected'].values()):,}"
                f" + pending {ledger['pending']:,} · findings {ledger['findings']:,}"
                f" · alarms {ledger['alarms']:,}"
            )

        yield refresh


def _print_ledger(outcome: dict[str, Any]) -> None:
    table = Table(title="Ledger", show_header=False, title_justify="left")
    table.add_row("received", f"{outcome['received']:,}")
    table.add_row("= stored", f"{outcome['stored']:,}")
    table.add_row("+ rejected", f"{sum(outcome['rejected'].values()):,}")
    for reason, count in outcome["rejected"].items():
        table.add_row(f"    {reason}", f"{count:,}")
    table.add_row("+ pending", f"{outcome['pending']:,}")
    table.add_row("balanced", "yes" if outcome["balanced"] else "NO")
    table.add_row("findings", f"{outcome['findings']:,}")
    table.add_row("alarms", f"{outcome['alarms']:,}")
    table.add_row("events", str(outcome["events_sha256"])[:16] + "…")
    console.print(table)
