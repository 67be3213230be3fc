"""What a line description means in numbers, and what a person should look at again."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from twin.config.budget import allowed_per_shift, entries
from twin.config.charts import chart_warnings
from twin.config.connect import is_open
from twin.config.names import matcher
from twin.detectors.spc.runlength import LONGEST_ARL, SHIFTS
from twin.model.line import Role, Sampling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Chart

__all__ = ["check_text", "report"]

_INDEPENDENT = (
    "ARL0 and false findings hold for normal values that are independent, or correlated as "
    "declared; values sampled faster than the process changes give more, unless sigma or the limit "
    "counts that in. Delays: points from a lasting shift of the mean, in sigma of the plotted "
    "point (of a group: Mahalanobis distance), to its finding."
)

_BLIND = 3.0
"""A lasting shift of this many sigma is plain to see on the chart: one that needs more is blind."""

_DAY_S = 86_400.0
_SETTINGS = re.compile(r"(ewma|cusum)\(([^;]+); ([^)]+)\)")


def report(index: LineIndex) -> dict[str, Any]:
    """Numbers and warnings about a valid line description, JSON-able.

    Returns:
        ``line``, ``version``, ``assumes`` (what the numbers rest on), counts (``stations``,
        ``sensors``, ``charts``, ``alarms``, ``channels``, ``gates``, ``control_rows``),
        ``sources`` as text, ``detectors`` (one entry per statistic and rate of points: see
        :func:`_detectors`), ``false_alarms_per_day`` and ``false_alarms_per_shift`` as their sums,
        ``budget_per_shift``, ``accepted`` (the reason a plan over the budget is used all the same),
        and ``warnings`` as sentences.
    """
    line = index.line
    detectors = _detectors(index)
    total = sum(entry["false_alarms_per_day"] or 0.0 for entry in detectors)
    per_shift = total * line.detection.shift_h / 24
    return {
        "line": f"{line.line.site}/{line.line.name}",
        "version": index.version,
        "assumes": _INDEPENDENT,
        "stations": len(line.station),
        "sensors": len(index),
        "charts": sum(row.spec.chart is not None for row in index.sensors),
        "alarms": len(line.alarm),
        "channels": len(index.channels),
        "gates": len(line.gate),
        "control_rows": len(index.control),
        "sources": _sources(index),
        "detectors": detectors,
        "false_alarms_per_day": total,
        "false_alarms_per_shift": per_shift,
        "budget_per_shift": allowed_per_shift(index),
        "accepted": line.detection.accept,
        "warnings": list(_warnings(index, per_shift)),
    }


def check_text(index: LineIndex) -> str:
    """The report as a page for a terminal."""
    facts = report(index)
    counts = ("stations", "sensors", "charts", "alarms", "channels", "gates")
    rows = [
        f"{facts['line']}, version {facts['version']}",
        ", ".join(f"{facts[name]} {name}" for name in counts),
        f"control plan: {facts['control_rows']} rows",
        "sources: " + (", ".join(facts["sources"]) or "none"),
    ]
    if facts["detectors"]:
        rows += ["", *_table(facts), facts["assumes"]]
    if facts["warnings"]:
        rows += ["", *(f"warning: {warning}" for warning in facts["warnings"])]
    return "\n".join(rows)


def _table(facts: dict[str, Any]) -> list[str]:
    """What judges, how often it is wrong, and how fast it is right."""
    shifts = " / ".join(f"{shift:g}" for shift in SHIFTS[1:])
    head = (
        f"{'charts':>6}  {'detector':25} {'ARL0 points':>11} {'hours':>9} {'false/day':>10} "
        f"{'per shift':>10}  {f'delay at {shifts} sigma':44}  method"
    )
    most_first = sorted(facts["detectors"], key=lambda e: -(e["false_alarms_per_day"] or 0.0))
    total = (
        f"{'in all':>54} {_shown(facts['false_alarms_per_day'], 10)} "
        f"{_shown(facts['false_alarms_per_shift'], 10)}  of {facts['budget_per_shift']:g} per shift"
    )
    return [head, *(_table_row(entry) for entry in most_first), total]


def _table_row(entry: dict[str, Any]) -> str:
    return (
        f"{entry['charts']:6}  {entry['detector']:25} {_shown(entry['arl0'], 11)} "
        f"{_shown(entry['arl0_h'])} {_shown(entry['false_alarms_per_day'], 10)} "
        f"{_shown(entry['false_alarms_per_shift'], 10)}  {_delays(entry):44}  "
        f"{entry['method'] or ''}"
    ).rstrip()


def _shown(number: float | None, width: int = 9) -> str:
    if number is not None and number >= LONGEST_ARL:
        return f"{f'>{LONGEST_ARL:.0e}':>{width}}"
    return f"{'unknown' if number is None else f'{number:.4g}':>{width}}"


def _delays(entry: dict[str, Any]) -> str:
    """Delays in points, and in time where the time between points is known."""
    delays = [delay["points"] for delay in entry["delays"]]
    if all(points is None for points in delays):
        return ""
    period = entry["period_s"]
    text = " / ".join(_points(points) for points in delays) + " points"
    if period:
        known = [None if points is None else points * period for points in delays]
        text += f" ({' / '.join(_span(seconds) for seconds in known)})"
    return text


def _points(points: float | None) -> str:
    if points is None:
        return "-"
    return "never" if points >= LONGEST_ARL else f"{points:.3g}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((365.25 * _DAY_S, "y"), (_DAY_S, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 * size else "never"
    return f"{seconds:.3g} s"


def _sources(index: LineIndex) -> list[str]:
    line = index.line
    listener = line.listener
    heard = [f"listener {listener.host}:{listener.port}"] if listener.enabled else []
    return heard + [f"broker {b.id} at {b.host}:{b.port}" for b in line.broker]


def _detectors(index: LineIndex) -> list[dict[str, Any]]:
    """Equal statistics at equal rates, counted.

    Returns:
        Entries with ``detector``, ``charts``, ``period_s`` (between plotted points), ``arl0`` in
        points and ``arl0_h`` in hours, ``method`` and ``standard_error`` of that number,
        ``false_alarms_per_day`` and ``false_alarms_per_shift`` of all its charts,
        ``delays`` (``shift`` in sigma, ``points``, ``seconds``, ``method``) and ``smallest_shift``
        in sigma that an EWMA or CUSUM finds when it lasts. None stands for what nobody can know.
    """
    counted = Counter((e.statistic, e.points_per_day, e.runs) for e in entries(index))
    part = index.line.detection.shift_h / 24
    return [
        {
            "detector": name,
            "charts": charts,
            "period_s": (period := _DAY_S / points if points else None),
            "arl0": (arl0 := runs[0].arl if runs[0] else None),
            "arl0_h": arl0 * period / 3600 if arl0 and period else None,
            "method": runs[0].method.value if runs[0] else None,
            "standard_error": runs[0].standard_error if runs[0] else None,
            "false_alarms_per_day": (day := charts * points / arl0 if arl0 and points else None),
            "false_alarms_per_shift": None if day is None else day * part,
            "delays": [
                {
                    "shift": shift,
                    "points": run.arl if run else None,
                    "seconds": run.arl * period if run and period else None,
                    "method": run.method.value if run else None,
                }
                for shift, run in zip(SHIFTS[1:], runs[1:], strict=True)
            ],
            "smallest_shift": _smallest_shift(name),
        }
        for (name, points, runs), charts in counted.items()
    ]


def _smallest_shift(statistic: str) -> float | None:
    """Smallest lasting shift a statistic is sure to find, in sigma; None for rules.

    A lasting shift drives an EWMA towards the shift itself, past its limit or not; a CUSUM only
    grows under a shift that is larger than k.
    """
    settings = _SETTINGS.fullmatch(statistic)
    if settings is None:
        return None
    first, second = float(settings[2]), float(settings[3])
    return first if settings[1] == "cusum" else second * math.sqrt(first / (2.0 - first))


def _warnings(index: LineIndex, per_shift: float) -> Iterator[str]:
    rows = index.sensors
    yield from _about(
        (
            row
            for row in rows
            if row.spec.role is Role.CHARACTERISTIC and not row.spec.chart and not row.spec.limits
        ),
        "a characteristic without chart or limits: nobody watches it",
    )
    yield from _about(
        (r for r in rows if r.spec.sampling is Sampling.PERIODIC and r.spec.period_s is None),
        "no period_s: silence and gaps cannot be told from normal",
    )
    yield from _about(
        (row for row in rows if row.spec.chart and _outside(row, row.spec.chart.centre)),
        "the chart's centre is outside range",
    )
    yield from _about(
        (row for row in rows if row.spec.chart and _is_blind(row.spec.chart)),
        f"the chart is blind to lasting shifts of {_BLIND:g} sigma: its EWMA and CUSUM need more; "
        "a longer memory (smaller ewma_lambda) or a lower limit finds less",
    )
    if is_open(index.line.listener) and not index.line.listener.cert_file:
        yield "the listener is reachable from elsewhere without TLS: passwords can be read on the way"
    yield from chart_warnings(index)
    yield from _plan_warnings(index)
    yield from _alarm_warnings(index)
    yield from _response_warnings(index)
    yield from _gate_warnings(index)
    detection = index.line.detection
    if per_shift > allowed_per_shift(index):
        accepted = (
            f"accepted: {detection.accept}"
            if detection.accept
            else "the line will not run like that"
        )
        yield (
            f"{per_shift:.4g} false findings per shift are expected on a line in control, the "
            f"budget is {allowed_per_shift(index):g}; {accepted}"
        )


def _about(rows: Iterable[SensorRow], message: str) -> Iterator[str]:
    ids = [row.id for row in rows]
    if ids:
        more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
        yield f"{', '.join(ids[:3])}{more}: {message}"


def _is_blind(chart: Chart) -> bool:
    """Whether only an EWMA or CUSUM judges the chart, and needs a shift that is too large."""
    shifts = []
    if chart.ewma_lambda is not None:
        weight = chart.ewma_lambda
        shifts.append(chart.ewma_l * math.sqrt(weight / (2.0 - weight)))
    if chart.cusum_k is not None:
        shifts.append(chart.cusum_k)
    # A limit of exactly three sigma may come out one rounding above it.
    return chart.rules is None and bool(shifts) and min(shifts) > _BLIND * (1 + 1e-9)


def _outside(row: SensorRow, value: float | None) -> bool:
    if value is None:
        return False
    return row.spec.range is not None and not row.spec.range[0] <= value <= row.spec.range[1]


def _plan_warnings(index: LineIndex) -> Iterator[str]:
    used = {row.spec.control for row in index.sensors}
    alone = []
    for name, row in index.control.items():
        sensor = f"{row['station']}/{row['metric']}"
        if name in used:
            continue
        if sensor in index.by_id:
            yield f'control plan row {name} is about {sensor}, which does not say control = "{name}"'
        else:
            alone.append(name)
    if alone:
        yield f"control plan rows without a sensor: {', '.join(alone)}"


def _alarm_warnings(index: LineIndex) -> Iterator[str]:
    for alarm in index.line.alarm:
        if alarm.limit is None or alarm.when not in ("above", "below"):
            continue
        expression = matcher(alarm.sensor)
        yield from _about(
            (
                row
                for row in index.sensors
                if expression.fullmatch(row.id) and _outside(row, alarm.limit)
            ),
            f"alarm {alarm.id} never comes or never goes, its limit is outside range",
        )


def _response_warnings(index: LineIndex) -> Iterator[str]:
    """Two alarms that ask for the same thing are one too many; one too late asks for nothing."""
    seen: dict[tuple[str, str], str] = {}
    for alarm in index.line.alarm:
        if alarm.respond_s <= alarm.on_delay_s:
            yield f"alarm {alarm.id}: the time to respond is over before on_delay_s is"
        if alarm.cause and alarm.action:
            other = seen.setdefault((alarm.cause, alarm.action), alarm.id)
            if other != alarm.id:
                yield f"alarms {other} and {alarm.id} have the same cause and action"


def _gate_warnings(index: LineIndex) -> Iterator[str]:
    metrics = {row["metric"] for row in index.control.values()}
    known = metrics | index.by_id.keys() | index.control.keys()
    known |= {row.spec.key for row in index.sensors}
    for gate in index.line.gate:
        unknown = [need for need in gate.needs if need not in known]
        if unknown:
            yield (
                f"gate {gate.id} needs {', '.join(unknown)}, which no sensor and no row of the "
                "control plan gives: products stay on HOLD unless it is measured otherwise"
            )
