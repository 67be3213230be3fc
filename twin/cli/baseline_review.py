"""``baseline rehearse``, ``approve``, ``list``, ``show``, ``compare``: what candidates are worth."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from twin import config
from twin.cli.baseline_common import (
    ByOption,
    FilesArgument,
    JsonOption,
    LineArgument,
    MappingOption,
    NameArgument,
    ZoneOption,
    entries_of,
    file_of,
    named,
    newest,
    say,
    wrong,
)
from twin.cli.baseline_text import compared, outlook, record_text, summary
from twin.cli.out import console, error_console, print_json
from twin.cli.recordings import open_all
from twin.cli.samples import judged
from twin.clock import SystemClock
from twin.config import baselines
from twin.errors import ConfigError
from twin.model.event import iso
from twin.model.line import Chart

if TYPE_CHECKING:
    from twin.model.baseline import Baseline
    from twin.model.event import Event
    from twin.model.index import LineIndex

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("rehearse")(rehearse)
    app.command("approve")(approve)
    app.command("list")(list_)
    app.command("show")(show)
    app.command("compare")(compare)


# -- rehearse -------------------------------------------------------------------------------------


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
    chosen = named(entries_of(file_of(line, index)), baseline)
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
        say(f"  {shift['start']}  {shift['hours']:.1f} h  {shift['findings']} findings{chance}")
    for event in facts["findings"]:
        say(f"  {event['time']}  {event['rule']:8} {event['value']:.6g}")


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
    path = file_of(line, index)
    entries = entries_of(path)
    chosen = named(entries, name)
    if chosen.approved_by:
        raise wrong("ID@V", name, f"was approved by {chosen.approved_by}", "a candidate")
    last = newest(entries, chosen.id)
    if chosen.version < last:
        raise wrong("ID@V", name, "has been left behind", f"{chosen.id}@{last}")
    if not by.strip() or not reason.strip():
        raise wrong("--by", by, "needs a name, and --reason a reason", "words")
    from twin.detectors.spc.baseline_fit import FAILS  # noqa: PLC0415

    failed = [test for test in FAILS if chosen.tests.get(test) is False]
    if failed and not despite:
        raise wrong(
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


def list_(line: LineArgument, *, json: JsonOption = False) -> None:
    """List all baselines and what has become of them."""
    index = config.load(line)
    path = file_of(line, index)
    entries = entries_of(path)
    states = baselines.state_of(entries)
    records = {entry.baseline.name: entry.baseline for entry in entries}
    rows = [summary(baseline, states[name]) for name, baseline in records.items()]
    if json:
        print_json({"file": path.name, "baselines": rows})
        return
    if not rows:
        console.print(f"{path.name}: no baselines yet", markup=False)
    for row in rows:
        say(
            f"{row['name']:40} {row['state']:11} {row['series']:9} n {row['n']:<7}"
            f" centre {row['centre']:<12.6g} sigma {row['sigma']:.4g} {row['unit']}"
        )


def show(line: LineArgument, name: NameArgument, *, json: JsonOption = False) -> None:
    """Show one baseline with everything its record says."""
    index = config.load(line)
    entries = entries_of(file_of(line, index))
    chosen = named(entries, name)
    state = baselines.state_of(entries)[chosen.name]
    ahead = outlook(index, chosen)
    if json:
        record = chosen.model_dump(mode="json")
        print_json({"state": state, "record": record, "outlook": ahead})
        return
    say(record_text(chosen, state, ahead))


def compare(
    line: LineArgument,
    first: NameArgument,
    second: Annotated[str, typer.Argument(metavar="ID@V", help="The one to compare with.")],
    *,
    json: JsonOption = False,
) -> None:
    """Compare two baselines: how far the centre moved and the scatter changed."""
    index = config.load(line)
    entries = entries_of(file_of(line, index))
    facts = compared(named(entries, first), named(entries, second))
    if json:
        print_json(facts)
    else:
        say(facts["text"])
