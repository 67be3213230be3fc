"""``capability``: how wide a process is against its specification, from a recording."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from twin import config
from twin.cli.baseline_common import (
    FilesArgument,
    JsonOption,
    LineArgument,
    MappingOption,
    ZoneOption,
    say,
    time_of,
    wrong,
)
from twin.cli.out import Exit, print_json
from twin.cli.recordings import open_all
from twin.cli.samples import samples_of
from twin.model.batch import GOOD, Mark, recipe_code, recipe_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.spc.capability import Capability
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow

__all__ = ["add_to"]

_BARRED = int(Mark.INVALID) | int(Mark.LATE)


class Estimator(StrEnum):
    """How sigma within is estimated."""

    MEAN_MR = "mean_mr"
    MEDIAN_MR = "median_mr"
    MSSD = "mssd"
    MEAN_RANGE = "mean_range"
    MEAN_S = "mean_s"
    POOLED = "pooled"


_OF_SUBGROUPS = {Estimator.MEAN_RANGE, Estimator.MEAN_S, Estimator.POOLED}


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(capability)


def capability(
    line: LineArgument,
    files: FilesArgument,
    *,
    sensor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="Sensor; may be given several times. Default: all with limits."
        ),
    ] = None,
    recipe: Annotated[str, typer.Option(help="Only samples taken while it ran.")] = "",
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="First event time, ISO 8601.")
    ] = "",
    stop: Annotated[
        str, typer.Option("--to", metavar="TIME", help="Last event time, ISO 8601.")
    ] = "",
    estimator: Annotated[
        Estimator, typer.Option(help="Sigma within; the last three need --size.")
    ] = Estimator.MEAN_MR,
    size: Annotated[
        int | None, typer.Option(min=2, max=1000, help="Samples of a subgroup.")
    ] = None,
    level: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="Probability of the intervals.")
    ] = 0.95,
    mapping: MappingOption = None,
    zone: ZoneOption = "",
    json: JsonOption = False,
) -> None:
    """Capability of sensors with specification limits, with intervals and with every doubt.

    Limits and target come from the line description or its control plan. An index is never printed
    without its interval, and never without a warning when the values are few, unstable, not normal,
    too coarse or of several recipes. Ends with exit code 1 when a sensor has too few values.
    """
    if (estimator in _OF_SUBGROUPS) != (size is not None):
        need = "needs --size" if size is None else "takes no --size"
        raise wrong("--estimator", str(estimator), need, "mean_mr, median_mr, mssd, or with --size")
    index = config.load(line)
    rows = _chosen(index, sensor)
    opened = open_all(files, index, mapping, zone)
    batch = samples_of(opened, index, {row.id for row in rows}, quiet=json)
    low = time_of(start, index, "--from") if start else np.iinfo(np.int64).min
    high = time_of(stop, index, "--to") if stop else np.iinfo(np.int64).max
    batch = batch.take((batch.time_ns >= low) & (batch.time_ns <= high))
    told: dict[str, dict[str, Any]] = {}
    for row in rows:
        told[row.id] = _judged(row, batch, recipe, size, str(estimator), level)
    if json:
        print_json(told)
    else:
        for row in rows:
            say(_text(row, told[row.id]))
    if any("error" in one for one in told.values()):
        raise typer.Exit(Exit.FAILED)


def _chosen(index: LineIndex, sensor: list[str] | None) -> list[SensorRow]:
    limited = {
        row.id: row
        for row in index.sensors
        if row.spec.limits and (row.spec.limits.lsl, row.spec.limits.usl) != (None, None)
    }
    for name in sensor or ():
        if name not in limited:
            what = "has no specification limits" if name in index.by_id else "is no sensor"
            allowed = ", ".join(list(limited)[:12]) or "none: give a sensor limits"
            raise wrong("--sensor", name, what, allowed)
    if not limited:
        raise wrong("LINE", index.line.line.name, "no sensor has specification limits", "limits")
    return [limited[name] for name in dict.fromkeys(sensor or limited)]


def _judged(
    row: SensorRow,
    batch: Batch,
    recipe: str,
    size: int | None,
    estimator: str,
    level: float,
) -> dict[str, Any]:
    """Everything about one sensor, JSON-able; ``error`` where nothing can be said."""
    from twin.detectors.spc import capability as spc  # noqa: PLC0415 - the command line starts without

    mine = batch.take(batch.sensor == row.index)
    good = (mine.quality == GOOD) & ((mine.marks & _BARRED) == 0) & np.isfinite(mine.value)
    if recipe:
        good &= mine.recipe == recipe_code(recipe)
    mine = mine.take(good)
    values = mine.value
    limits = row.spec.limits
    facts: dict[str, Any] = {
        "unit": row.spec.unit,
        "lsl": limits.lsl if limits else None,
        "usl": limits.usl if limits else None,
        "target": limits.target if limits else None,
        "n": len(values),
    }
    groups: Any = values
    if size is not None:
        groups = values[: len(values) // size * size].reshape(-1, size)
    try:
        found: Capability = spc.capability(
            groups,
            lsl=facts["lsl"],
            usl=facts["usl"],
            target=facts["target"],
            estimator=estimator,  # type: ignore[arg-type]  # one of its names, by the enumeration
            level=level,
            in_control=_in_control(values, size),
            resolution=row.spec.resolution,
            recipes=[recipe_name(code) for code in np.unique(mine.recipe).tolist()],
        )
    except ValueError as error:
        return {**facts, "error": str(error)}
    return {**facts, **asdict(found)}


def _in_control(values: NDArray[np.float64], size: int | None) -> bool | None:
    """Whether the retrospective chart (rule 1) of the plotted points is quiet; None without one."""
    from twin.detectors.spc.shewhart import individuals, outside  # noqa: PLC0415

    points = values
    if size is not None:
        points = values[: len(values) // size * size].reshape(-1, size).mean(axis=1)
    if len(points) < 2 or np.ptp(points) == 0:
        return None
    return not outside(points, individuals(points)).any()


def _text(row: SensorRow, told: dict[str, Any]) -> str:
    unit = row.spec.unit
    head = f"{row.id}: {told['n']} values, specification "
    head += " to ".join("open" if told[k] is None else f"{told[k]:g}" for k in ("lsl", "usl"))
    if "error" in told:
        return f"{head} {unit}: {told['error']}"
    within, overall = told["within"], told["overall"]
    sigmas = f"sigma within {within['value']:.4g} ({within['estimator']})"
    lines = [
        f"{head} {unit}",
        f"  mean {told['mean']:.6g}, {sigmas}, overall {overall['value']:.4g}",
    ]
    for index in told["indices"]:
        name = {"cp": "Cp", "pp": "Pp"}.get(index["name"], index["name"].capitalize())
        span = f"{index['low']:.3f} to {index['high']:.3f}"
        lines.append(f"  {name:4} {index['value']:7.3f}   {index['level']:.0%} interval {span}")
    lines += [f"  warning: {warning}" for warning in told["warnings"]]
    return "\n".join(lines)
