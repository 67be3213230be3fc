"""``baseline``: fit, rehearse, approve and compare what the charts of a line compare with."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import numpy as np
import typer

from twin import config
from twin.cli.baseline_text import compared, fit_text, outlook, record_text, summary
from twin.cli.out import Exit, console, error_console, print_json, progress_bar
from twin.cli.recordings import open_all
from twin.cli.samples import judged, samples_of
from twin.clock import SystemClock
from twin.config import baselines
from twin.errors import ConfigError, Problem
from twin.model.event import iso
from twin.model.line import Chart, Role, Series

if TYPE_CHECKING:
    from twin.config.baselines import Entry
    from twin.detectors.spc.baseline_fit import Fit
    from twin.model.baseline import Baseline
    from twin.model.event import Event
    from twin.model.index import LineIndex, SensorRow

__all__ = ["add_to"]

app = typer.Typer(
    no_args_is_help=True,
    help="Baselines: what a chart compares with, fitted, rehearsed and approved.",
)

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


def add_to(root: typer.Typer) -> None:
    """Add the commands of this module."""
    root.add_typer(app, name="baseline")


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
        str, typer.Option(help="Only samples taken while it ran. Default: all, if it was one.")
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
    path = _file(line, index)
    rows = _chosen(index, sensor, every=every)
    chosen = _series(series)
    cuts = tuple(_cut(text, index) for text in exclude or ())
    opened = open_all(files, index, mapping, zone)
    batch = samples_of(opened, index, _needed(index, rows), quiet=json)
    low = _time(start, index, "--from") if start else np.iinfo(np.int64).min
    high = _time(stop, index, "--to") if stop else np.iinfo(np.int64).max
    batch = batch.take((batch.time_ns >= low) & (batch.time_ns <= high))
    entries = _entries(path)
    from twin.detectors.spc import baseline_fit  # noqa: PLC0415 - the command line starts without

    created = iso(SystemClock().wall_ns())
    found: dict[str, Fit] = {}
    with progress_bar(quiet=json) as bar:
        task = bar.add_task("fit", total=len(rows))
        for row in rows:
            name = _id(row, recipe)
            version = _newest(entries, name) + 1
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
        _lines(fit_text(name, one, ahead))
        before = _in_force(force, one.baseline)
        if before is not None and one.baseline is not None:
            _lines(compared(before, one.baseline)["text"])


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


# -- rehearse -------------------------------------------------------------------------------------


@app.command("rehearse")
def rehearse(
    line: LineArgument,
    files: FilesArgument,
    *,
    baseline: Annotated[str, typer.Option(metavar="ID@V", help="Candidate to rehearse.")],
    mapping: MappingOption = None,
    zone: ZoneOption = "",
    json: JsonOption = False,
) -> None:
    """Let a candidate judge a recording, with the charts that run at the line.

    Lists its findings per shift beside what chance alone would give. Nothing is changed.
    """
    index = config.load(line)
    chosen = _named(_entries(_file(line, index)), baseline)
    stage = _with_candidate(index, chosen)
    opened = open_all(files, index, mapping, zone)
    shift_ns = round(index.line.detection.shift_h * 3600e9)
    covered: dict[int, tuple[int, int]] = {}
    events: list[Event] = []
    for out in judged(opened, stage, quiet=json):
        for batch in out.batches:
            time = batch.time_ns[batch.sensor == index.by_id[chosen.sensor].index]
            for at in np.unique(time // shift_ns).tolist():
                inside = time[time // shift_ns == at]
                span = covered.get(at, (int(inside.min()), int(inside.max())))
                covered[at] = min(span[0], int(inside.min())), max(span[1], int(inside.max()))
        said = [e for e in out.events if e.type == "finding" and e.sensor == chosen.sensor]
        events += [e for e in said if e.rule != "hampel"]
    found = Counter(event.t_last // shift_ns for event in events)
    per_day = outlook(stage, chosen)["false_per_day"]
    facts: dict[str, Any] = {
        "baseline": chosen.name,
        "findings": [_brief(event) for event in events],
        "shifts": [
            {
                "start": iso(at * shift_ns),
                "hours": (last - first) / 3600e9,
                "findings": found[at],
                "by_chance": None if per_day is None else per_day * (last - first) / 86400e9,
            }
            for at, (first, last) in sorted(covered.items())
        ],
    }
    if json:
        print_json(facts)
        return
    console.print(f"{chosen.name}: {len(events)} findings in {len(covered)} shifts")
    for shift in facts["shifts"]:
        chance = "" if shift["by_chance"] is None else f", {shift['by_chance']:.3g} by chance alone"
        _lines(f"  {shift['start']}  {shift['hours']:.1f} h  {shift['findings']} findings{chance}")
    for event in facts["findings"]:
        _lines(f"  {event['time']}  {event['rule']:8} {event['value']:.6g}")


def _brief(event: Event) -> dict[str, Any]:
    return {
        "time": iso(event.t_last),
        "first": iso(event.t_first),
        "rule": event.rule,
        "value": event.value,
        "side": event.detail.get("side"),
        "baseline": event.detail.get("baseline"),
    }


def _with_candidate(index: LineIndex, chosen: Baseline) -> LineIndex:
    """The line as if the candidate were in force, for its sensor alone."""
    row = index.by_id[chosen.sensor]
    chart = (row.spec.chart or Chart(rules=chosen.rules or "shewhart")).model_copy(
        update={"centre": None, "sigma": None, "series": chosen.series}
    )
    changed = replace(row, spec=row.spec.model_copy(update={"chart": chart}))
    rows = [changed if r.index == row.index else r for r in index.sensors]
    others = [b for b in index.baselines.get(row.id, ()) if b.recipe != chosen.recipe]
    return replace(
        index,
        sensors=rows,
        by_id={r.id: r for r in rows},
        baselines={**index.baselines, row.id: [*others, chosen]},
    )


# -- approve --------------------------------------------------------------------------------------


@app.command("approve")
def approve(
    line: LineArgument,
    name: NameArgument,
    *,
    by: ByOption,
    reason: Annotated[str, typer.Option(help="Why its limits shall hold.")],
    despite: Annotated[
        bool, typer.Option("--despite", help="Although tests failed; the reason says why.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Put a candidate into force; a running line takes it with its next reload.

    Class CC of the control plan needs another person than the one who made it. A candidate that
    failed a test is refused without --despite.
    """
    index = config.load(line)
    path = _file(line, index)
    entries = _entries(path)
    chosen = _named(entries, name)
    if chosen.approved_by:
        raise _wrong("ID@V", name, f"was approved by {chosen.approved_by}", "a candidate")
    newest = _newest(entries, chosen.id)
    if chosen.version < newest:
        raise _wrong("ID@V", name, "has been left behind", f"{chosen.id}@{newest}")
    if not by.strip() or not reason.strip():
        raise _wrong("--by", by, "needs a name, and --reason a reason", "words")
    from twin.detectors.spc.baseline_fit import FAILS  # noqa: PLC0415

    failed = [test for test in FAILS if chosen.tests.get(test) is False]
    if failed and not despite:
        raise _wrong(
            "ID@V", name, f"failed {', '.join(failed)}", "more or calmer data, or --despite"
        )
    signed = chosen.model_copy(
        update={
            "approved_by": by.strip(),
            "approved": iso(SystemClock().wall_ns()),
            "reason": reason.strip(),
        }
    )
    new = [*entries, baselines.Entry(len(entries) + 1, signed, "")]
    problems = baselines.check(new, path.name, index.by_id, index.control)
    if problems:
        raise ConfigError(problems)
    baselines.append(path, [signed])
    note = _declared(index, signed.sensor)
    if json:
        print_json({**summary(signed, "in force"), "note": note})
        return
    console.print(f"{signed.name} is in force from the next reload of the line on")
    if note:
        error_console.print(note, style="yellow", markup=False, soft_wrap=True)


def _declared(index: LineIndex, sensor: str) -> str:
    """What stands in the way of a baseline, in words; empty for nothing."""
    chart = index.by_id[sensor].spec.chart
    if chart is None:
        return f"{sensor} has no chart yet: nothing uses this baseline"
    if chart.centre is not None and chart.sigma is not None:
        return f"the chart of {sensor} declares centre and sigma, and they win: take them out"
    return ""


# -- look -----------------------------------------------------------------------------------------


@app.command("list")
def list_(line: LineArgument, *, json: JsonOption = False) -> None:
    """List all baselines and what has become of them."""
    index = config.load(line)
    path = _file(line, index)
    entries = _entries(path)
    states = baselines.state_of(entries)
    newest = {entry.baseline.name: entry.baseline for entry in entries}
    rows = [summary(baseline, states[name]) for name, baseline in newest.items()]
    if json:
        print_json({"file": path.name, "baselines": rows})
        return
    if not rows:
        console.print(f"{path.name}: no baselines yet", markup=False)
    for row in rows:
        _lines(
            f"{row['name']:40} {row['state']:11} {row['series']:9} n {row['n']:<7}"
            f" centre {row['centre']:<12.6g} sigma {row['sigma']:.4g} {row['unit']}"
        )


@app.command("show")
def show(line: LineArgument, name: NameArgument, *, json: JsonOption = False) -> None:
    """Show one baseline with everything its record says."""
    index = config.load(line)
    entries = _entries(_file(line, index))
    chosen = _named(entries, name)
    state = baselines.state_of(entries)[chosen.name]
    ahead = outlook(index, chosen)
    if json:
        record = chosen.model_dump(mode="json")
        print_json({"state": state, "record": record, "outlook": ahead})
        return
    _lines(record_text(chosen, state, ahead))


@app.command("compare")
def compare(
    line: LineArgument,
    first: NameArgument,
    second: Annotated[str, typer.Argument(metavar="ID@V", help="The one to compare with.")],
    *,
    json: JsonOption = False,
) -> None:
    """Compare two baselines: how far the centre moved and the scatter changed."""
    index = config.load(line)
    entries = _entries(_file(line, index))
    facts = compared(_named(entries, first), _named(entries, second))
    if json:
        print_json(facts)
    else:
        _lines(facts["text"])


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
    path = _file(line, index)
    entries = _entries(path)
    force = [b for found in baselines.approved(entries).values() for b in found]
    if not force:
        raise _wrong("LINE", str(line), "has no baseline in force", "baseline approve")
    opened = open_all(files, index, mapping, zone)
    rows = [index.by_id[b.sensor] for b in force]
    batch = samples_of(opened, index, _needed(index, rows), quiet=json)
    from twin.detectors.spc import baseline_fit  # noqa: PLC0415

    created = iso(SystemClock().wall_ns())
    facts: list[dict[str, Any]] = []
    new: list[Baseline] = []
    for old in force:
        version = _newest(entries, old.id) + 1
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
        _lines(f"{fact['baseline']}: {end}\n{said}")


# -- helpers --------------------------------------------------------------------------------------


def _lines(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _wrong(key: str, value: str, message: str, allowed: str) -> ConfigError:
    return ConfigError([Problem("command line", 0, key, value, message, allowed)])


def _file(line: Path, index: LineIndex) -> Path:
    name = index.line.line.baselines
    if not name:
        raise ConfigError(
            [Problem(line.name, 0, "line.baselines", "", "is missing", '"baselines.jsonl"')]
        )
    return line.parent / name


def _entries(path: Path) -> list[Entry]:
    if not path.exists():
        return []
    entries, problems = baselines.decode(path.read_text("utf-8"), path.name)
    if problems:
        raise ConfigError(problems)
    return entries


def _named(entries: list[Entry], name: str) -> Baseline:
    """The newest record of that name: an approval comes after its candidate."""
    found = [entry.baseline for entry in entries if entry.baseline.name == name]
    if not found:
        names = list(dict.fromkeys(entry.baseline.name for entry in entries))
        raise _wrong("ID@V", name, "is no baseline", ", ".join(names[-12:]) or "none yet")
    return found[-1]


def _newest(entries: list[Entry], name: str) -> int:
    return max((e.baseline.version for e in entries if e.baseline.id == name), default=0)


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
        raise _wrong("--series", text, "is no series", ", ".join(names))
    return text if text == "auto" else Series(text)


def _chosen(index: LineIndex, sensor: list[str] | None, *, every: bool) -> list[SensorRow]:
    if every == bool(sensor):
        raise _wrong("--sensor", "", "give sensors or --all", "--sensor ID, --all")
    if every:
        rows = [
            row
            for row in index.sensors
            if row.spec.chart is not None
            and row.spec.role is not Role.STATE
            and index.control.get(row.spec.control, {}).get("class") != "SAFETY"
        ]
        if not rows:
            raise _wrong("--all", "", "no sensor of this line has a chart", "--sensor ID")
        return rows
    unknown = [name for name in sensor or () if name not in index.by_id]
    if unknown:
        some = ", ".join(list(index.by_id)[:12])
        raise _wrong("--sensor", unknown[0], "is no sensor of this line", some)
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
        raise _wrong("--exclude", text, "is no period with a cause", "FROM/TO CAUSE")
    return _time(first, index, "--exclude"), _time(last, index, "--exclude"), cause.strip()


def _time(text: str, index: LineIndex, option: str) -> int:
    """ISO 8601 to ns; without an offset in the zone of the line."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _wrong(option, text, "is no time", "ISO 8601, 2026-03-01T06:00:00Z") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(index.line.line.timezone))
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
