"""``baseline``: fit and propose what the charts of a line compare with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from twin import config
from twin.cli import baseline_review
from twin.cli.baseline_common import (
    ByOption,
    FilesArgument,
    JsonOption,
    LineArgument,
    MappingOption,
    ZoneOption,
    entries_of,
    file_of,
    newest,
    say,
    time_of,
    wrong,
)
from twin.cli.baseline_text import compared, fit_text, outlook
from twin.cli.out import Exit, print_json, progress_bar
from twin.cli.recordings import open_all
from twin.cli.samples import samples_of
from twin.clock import SystemClock
from twin.config import baselines
from twin.model.batch import recipe_code
from twin.model.event import iso
from twin.model.line import Role, Series

if TYPE_CHECKING:
    from twin.config.baselines import Entry
    from twin.detectors.spc.baseline_fit import Fit
    from twin.model.baseline import Baseline
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow

__all__ = ["add_to"]

app = typer.Typer(
    no_args_is_help=True,
    help="Baselines: what a chart compares with, fitted, rehearsed and approved.",
)


def add_to(root: typer.Typer) -> None:
    """Add the commands of this module and those that judge candidates."""
    root.add_typer(app, name="baseline")
    baseline_review.add_to(app)


# -- fit ------------------------------------------------------------------------------------------


@app.command("fit")
def fit(
    line: LineArgument,
    files: FilesArgument,
    *,
    by: ByOption,
    reason: Annotated[str, typer.Option(help="Why it is made.")],
    sensor: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Sensor to fit; may be given several times."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Fit every sensor with a chart.")] = False,
    recipe: Annotated[
        str,
        typer.Option(help="Only samples taken while it ran. Default: the line's, if no other ran."),
    ] = "",
    series: Annotated[
        str, typer.Option(help="`auto`, `raw`, `residual`, `block`, `piece` or `thin`.")
    ] = "auto",
    block: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Length of a block.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=2, help="Samples of a subgroup. Default: a whole piece.")
    ] = None,
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="First event time, ISO 8601.")
    ] = "",
    stop: Annotated[
        str, typer.Option("--to", metavar="TIME", help="Last event time, ISO 8601.")
    ] = "",
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM/TO CAUSE",
            help="Leave out a period, for example"
            " `2026-03-01T06:00Z/2026-03-01T06:20Z web break`; the cause is recorded.",
        ),
    ] = None,
    mapping: MappingOption = None,
    zone: ZoneOption = "",
    json: JsonOption = False,
) -> None:
    """Fit candidates and add them to the baseline file.

    Says what was found step by step and lists points beyond three sigma, whose cause somebody may
    know. Nothing uses a candidate before it is approved. Ends with exit code 1 when a sensor has
    not enough data.
    """
    index = config.load(line)
    path = file_of(line, index)
    rows = _chosen(index, sensor, every=every)
    chosen = _series(series)
    cuts = tuple(_cut(text, index) for text in exclude or ())
    opened = open_all(files, index, mapping, zone)
    batch = samples_of(opened, index, _needed(index, rows), quiet=json)
    low = time_of(start, index, "--from") if start else np.iinfo(np.int64).min
    high = time_of(stop, index, "--to") if stop else np.iinfo(np.int64).max
    batch = batch.take((batch.time_ns >= low) & (batch.time_ns <= high))
    entries = entries_of(path)
    recipe = recipe or _running(index, batch)
    from twin.detectors.spc import baseline_fit  # noqa: PLC0415 - the command line starts without

    created = iso(SystemClock().wall_ns())
    found: dict[str, Fit] = {}
    with progress_bar(quiet=json) as bar:
        task = bar.add_task("fit", total=len(rows))
        for row in rows:
            name = _id(row, recipe)
            version = newest(entries, name) + 1
            found[row.id] = baseline_fit.fit(
                index,
                row.id,
                batch,
                baseline_fit.Ask(
                    id=name,
                    version=version,
                    recipe=recipe,
                    series=chosen,
                    block_s=block,
                    size=size,
                    left_out=tuple(baseline_fit.LeftOut(*cut) for cut in cuts),
                    rules=_rules(row),
                    by=by,
                    created=created,
                    reason=reason,
                    source=", ".join(f"{o.name} sha256 {o.sha256[:16]}" for o in opened),
                    supersedes=f"{name}@{version - 1}" if version > 1 else "",
                ),
            )
            bar.advance(task)
    baselines.append(path, [f.baseline for f in found.values() if f.baseline is not None])
    _tell(index, found, entries, json=json)
    if any(f.baseline is None for f in found.values()):
        raise typer.Exit(Exit.FAILED)


def _tell(index: LineIndex, found: dict[str, Fit], entries: list[Entry], *, json: bool) -> None:
    force = baselines.approved(entries)
    if json:
        print_json({name: _plain_fit(index, name, one, force) for name, one in found.items()})
        return
    for name, one in found.items():
        ahead = outlook(index, one.baseline) if one.baseline is not None else {}
        say(fit_text(name, one, ahead))
        before = _in_force(force, one.baseline)
        if before is not None and one.baseline is not None:
            say(compared(before, one.baseline)["text"])


def _plain_fit(
    index: LineIndex, name: str, one: Fit, force: dict[str, list[Baseline]]
) -> dict[str, Any]:
    base = one.baseline
    before = _in_force(force, base)
    return {
        "sensor": name,
        "baseline": None if base is None else base.model_dump(mode="json"),
        "steps": one.steps,
        "missing": one.missing,
        "failed": one.failed,
        "outside": [
            {"time": iso(o.time_ns), "value": o.value, "z": o.z, "round": o.round}
            for o in one.outside
        ],
        "outlook": {} if base is None else outlook(index, base),
        "compared": None if before is None or base is None else compared(before, base),
    }


def _in_force(force: dict[str, list[Baseline]], base: Baseline | None) -> Baseline | None:
    if base is None:
        return None
    return next((b for b in force.get(base.sensor, ()) if b.recipe == base.recipe), None)


@app.command("propose")
def propose(
    line: LineArgument,
    files: FilesArgument,
    *,
    by: ByOption,
    reason: Annotated[str, typer.Option(help="Why it is proposed.")] = "estimates of newer data",
    mapping: MappingOption = None,
    zone: ZoneOption = "",
    json: JsonOption = False,
) -> None:
    """Fit newer data for every baseline in force, and add those that differ as candidates.

    Limits never follow the data by themselves: what has drifted becomes a proposal for the next
    version, which somebody rehearses and approves or leaves.
    """
    index = config.load(line)
    path = file_of(line, index)
    entries = entries_of(path)
    force = [b for found in baselines.approved(entries).values() for b in found]
    if not force:
        raise wrong("LINE", str(line), "has no baseline in force", "baseline approve")
    opened = open_all(files, index, mapping, zone)
    rows = [index.by_id[b.sensor] for b in force]
    batch = samples_of(opened, index, _needed(index, rows), quiet=json)
    from twin.detectors.spc import baseline_fit  # noqa: PLC0415

    created = iso(SystemClock().wall_ns())
    facts: list[dict[str, Any]] = []
    new: list[Baseline] = []
    for old in force:
        version = newest(entries, old.id) + 1
        ask = baseline_fit.Ask(
            id=old.id,
            version=version,
            recipe=old.recipe,
            tool=old.tool,
            series=old.series,
            block_s=old.block_s,
            size=old.size,
            rules=old.rules,
            by=by,
            created=created,
            reason=reason,
            source=", ".join(f"{o.name} sha256 {o.sha256[:16]}" for o in opened),
            supersedes=f"{old.id}@{version - 1}",
        )
        one = baseline_fit.fit(index, old.sensor, batch, ask)
        fact: dict[str, Any] = {"baseline": old.name, "missing": one.missing, "proposed": None}
        if one.baseline is not None:
            told = compared(old, one.baseline)
            fact["compared"] = told
            if told["different"]:
                new.append(one.baseline)
                fact["proposed"] = one.baseline.name
        facts.append(fact)
    baselines.append(path, new)
    if json:
        print_json({"proposals": facts})
        return
    for fact in facts:
        said = fact["compared"]["text"] if "compared" in fact else "; ".join(fact["missing"])
        end = f"proposed as {fact['proposed']}" if fact["proposed"] else "nothing is proposed"
        say(f"{fact['baseline']}: {end}\n{said}")


# -- helpers --------------------------------------------------------------------------------------


def _running(index: LineIndex, batch: Batch) -> str:
    """The line's recipe when nothing else ran; a baseline of one recipe must not judge another."""
    name = index.line.line.recipe
    return name if name and (batch.recipe == recipe_code(name)).all() else ""


def _id(row: SensorRow, recipe: str) -> str:
    """Name of the baselines of a sensor and recipe."""
    text = row.id.replace("/", ".") + (f":{recipe}" if recipe else "")
    return re.sub(r"[^a-z0-9_.:-]", "-", text.lower())[:80]


def _rules(row: SensorRow) -> str:
    if row.spec.chart is None:
        return "shewhart"
    return row.spec.chart.rules or ""


def _series(text: str) -> Any:
    names = ["auto", *(s.value for s in Series)]
    if text not in names:
        raise wrong("--series", text, "is no series", ", ".join(names))
    return text if text == "auto" else Series(text)


def _chosen(index: LineIndex, sensor: list[str] | None, *, every: bool) -> list[SensorRow]:
    if every == bool(sensor):
        raise wrong("--sensor", "", "give sensors or --all", "--sensor ID, --all")
    if every:
        rows = [
            row
            for row in index.sensors
            if row.spec.chart is not None
            and row.spec.role is not Role.STATE
            and index.control.get(row.spec.control, {}).get("class") != "SAFETY"
        ]
        if not rows:
            raise wrong("--all", "", "no sensor of this line has a chart", "--sensor ID")
        return rows
    unknown = [name for name in sensor or () if name not in index.by_id]
    if unknown:
        some = ", ".join(list(index.by_id)[:12])
        raise wrong("--sensor", unknown[0], "is no sensor of this line", some)
    return [index.by_id[name] for name in dict.fromkeys(sensor or ())]


def _needed(index: LineIndex, rows: list[SensorRow]) -> set[str]:
    """The sensors, and those that bring their set-points."""
    found = {row.id for row in rows}
    for row in rows:
        chart = row.spec.chart
        name = f"{row.station.id}/{chart.set_point}" if chart and chart.set_point else ""
        if name in index.by_id:
            found.add(name)
    return found


def _cut(text: str, index: LineIndex) -> tuple[int, int, str]:
    """First and last event time to leave out, and the cause."""
    period, _, cause = text.strip().partition(" ")
    first, slash, last = period.partition("/")
    if not slash or not cause.strip():
        raise wrong("--exclude", text, "is no period with a cause", "FROM/TO CAUSE")
    return time_of(first, index, "--exclude"), time_of(last, index, "--exclude"), cause.strip()
