"""What a line description means in numbers, and what a person should look at again."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from twin.config.connect import is_open
from twin.config.names import matcher
from twin.config.rule_sets import RULE_SETS
from twin.model.line import Role, Sampling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Chart

__all__ = ["FALSE_ALARMS_PER_DAY", "check_text", "report"]

_INDEPENDENT = (
    "ARL0 and false alarms per day hold for independent normal values; values sampled faster than "
    "the process changes give more, unless sigma or the limit counts that in."
)
_SHIFT = (
    "Shift: the smallest lasting shift of the mean that an EWMA or CUSUM is sure to find, in sigma."
)

FALSE_ALARMS_PER_DAY = 15.0
"""More expected false findings per day than this are flagged: about five per operator and shift."""

_BLIND = 3.0
"""A lasting shift of this many sigma is plain to see on the chart: one that needs more is blind."""

_DAY_S = 86_400.0
_ARL0 = (370.4, 500.0, 1_000.0, 5_000.0, 10_000.0, 50_000.0, 100_000.0)
_EWMA_L = {
    0.1: (2.7015, 2.8143, 3.0586, 3.5568, 3.7491, 4.1586, 4.3222),
    0.2: (2.8593, 2.9622, 3.1866, 3.6521, 3.8344, 4.2261, 4.3838),
}
"""Limit in sigma for each entry of ``_ARL0``, by lambda (integral equation, two-sided)."""
_CUSUM_H = {0.5: (4.7749, 5.0707, 5.7574, 7.3608, 8.0530, 9.6617, 10.3547)}
"""Decision limit for each entry of ``_ARL0``, by k (integral equation, two-sided)."""
_Design = tuple[float, ...]
_LOG_MOST = math.log(1e12)
"""Longer runs mean nothing: at a point per second this is thirty thousand years."""


def report(index: LineIndex) -> dict[str, Any]:
    """Numbers and warnings about a valid line description, JSON-able.

    Returns:
        ``line``, ``version``, ``assumes`` (what ARL0 and false alarms rest on), counts (``stations``, ``sensors``, ``charts``, ``alarms``,
        ``channels``, ``gates``, ``control_rows``), ``sources`` as text, ``detectors`` (one entry
        per rule or statistic and period: charts, ``arl0`` in points and ``arl0_h`` in hours,
        expected false alarms per day; None where the table or the period is silent;
        ``smallest_shift`` in sigma that an EWMA or CUSUM finds when it lasts, None for rules),
        ``false_alarms_per_day`` as their sum, and ``warnings`` as sentences.
    """
    line = index.line
    detectors = _detectors(index)
    total = sum(entry["false_alarms_per_day"] or 0.0 for entry in detectors)
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
        "warnings": list(_warnings(index, total)),
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
        head = "charts  detector                   ARL0 points     hours  false alarms/day  shift"
        rows += ["", head]
    for entry in sorted(facts["detectors"], key=lambda e: -(e["false_alarms_per_day"] or 0.0)):
        rows.append(
            f"{entry['charts']:6}  {entry['detector']:25}  {_shown(entry['arl0'])}"
            f" {_shown(entry['arl0_h'])}  {_shown(entry['false_alarms_per_day'], 16)}"
            f"  {_shift(entry['smallest_shift'])}".rstrip()
        )
    if facts["detectors"]:
        rows.append(f"{'in all':>55}  {_shown(facts['false_alarms_per_day'], 16)}")
        rows += [facts["assumes"], _SHIFT]
    if facts["warnings"]:
        rows += ["", *(f"warning: {warning}" for warning in facts["warnings"])]
    return "\n".join(rows)


def _shown(number: float | None, width: int = 9) -> str:
    return f"{'unknown' if number is None else f'{number:.4g}':>{width}}"


def _shift(sigmas: float | None) -> str:
    return "" if sigmas is None else f"{sigmas:5.2f}"


def _sources(index: LineIndex) -> list[str]:
    line = index.line
    listener = line.listener
    heard = [f"listener {listener.host}:{listener.port}"] if listener.enabled else []
    return heard + [f"broker {b.id} at {b.host}:{b.port}" for b in line.broker]


def _detectors(index: LineIndex) -> list[dict[str, Any]]:
    counted: Counter[tuple[_Judge, float | None]] = Counter()
    for row in index.sensors:
        if row.spec.chart:
            for judge in _judges(row.spec.chart):
                counted[judge, row.spec.period_s] += 1
    return [
        {
            "detector": judge.name,
            "charts": charts,
            "period_s": period,
            "arl0": (arl0 := judge.arl0),
            "arl0_h": arl0 * period / 3600 if arl0 and period else None,
            "false_alarms_per_day": charts * _DAY_S / period / arl0 if arl0 and period else None,
            "smallest_shift": judge.shift,
        }
        for (judge, period), charts in counted.items()
    ]


class _Judge(NamedTuple):
    """A rule set or statistic of a chart.

    Attributes:
        name: What the report calls it.
        arl0: Mean number of points between two false findings; None when unknown.
        shift: Smallest lasting shift of the mean, in sigma, that it is sure to find; None for rules.
    """

    name: str
    arl0: float | None
    shift: float | None = None


def _judges(chart: Chart) -> Iterator[_Judge]:
    """Rules and statistics of a chart.

    A lasting shift drives an EWMA towards the shift itself, past its limit or not; a CUSUM only
    grows under a shift that is larger than k. At the same limit a smaller lambda or a larger k
    speaks less often, so what the table does not hold is counted with a neighbour that speaks more.
    """
    if chart.rules is not None:
        yield _Judge(chart.rules, RULE_SETS[chart.rules].arl0)
    weight = chart.ewma_lambda
    if weight is not None:
        arl0 = _arl0(_at_least(_EWMA_L, weight), chart.ewma_l)
        shift = chart.ewma_l * math.sqrt(weight / (2.0 - weight))
        yield _Judge(f"ewma({weight:g}; {chart.ewma_l:g})", arl0, shift)
    if chart.cusum_k is not None:
        arl0 = _arl0(_at_most(_CUSUM_H, chart.cusum_k), chart.cusum_h)
        yield _Judge(f"cusum({chart.cusum_k:g}; {chart.cusum_h:g})", arl0, chart.cusum_k)


def _at_least(table: Mapping[float, _Design], key: float) -> _Design | None:
    """Design of the key, or of the next larger one in the table."""
    return table.get(min((known for known in table if known >= key), default=key))


def _at_most(table: Mapping[float, _Design], key: float) -> _Design | None:
    """Design of the key, or of the next smaller one in the table."""
    return table.get(max((known for known in table if known <= key), default=key))


def _arl0(limits: tuple[float, ...] | None, limit: float) -> float | None:
    """ARL0 of a limit, its logarithm linear between two designs; None below the table.

    Beyond the table the last slope goes on. The slope of an EWMA only rises and that of a CUSUM
    has reached its end value there, so real false alarms are no more than reported.
    """
    if limits is None or limit < limits[0]:
        return None
    upper = min(max(1, sum(known < limit for known in limits)), len(limits) - 1)
    part = (limit - limits[upper - 1]) / (limits[upper] - limits[upper - 1])
    low, high = math.log(_ARL0[upper - 1]), math.log(_ARL0[upper])
    return math.exp(min(low + part * (high - low), _LOG_MOST))


def _warnings(index: LineIndex, false_alarms: float) -> Iterator[str]:
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
    yield from _plan_warnings(index)
    yield from _alarm_warnings(index)
    yield from _response_warnings(index)
    yield from _gate_warnings(index)
    if false_alarms > FALSE_ALARMS_PER_DAY:
        yield (
            f"{false_alarms:.4g} false findings per day are expected on a line in control, more "
            f"than {FALSE_ALARMS_PER_DAY:g}: use fewer rules, fewer points or a longer ARL0"
        )


def _about(rows: Iterable[SensorRow], message: str) -> Iterator[str]:
    ids = [row.id for row in rows]
    if ids:
        more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
        yield f"{', '.join(ids[:3])}{more}: {message}"


def _is_blind(chart: Chart) -> bool:
    """Whether only an EWMA or CUSUM judges the chart, and needs a shift that is too large."""
    judges = list(_judges(chart))
    shifts = [judge.shift for judge in judges if judge.shift is not None]
    # A limit of exactly three sigma may come out one rounding above it.
    return len(shifts) == len(judges) > 0 and min(shifts) > _BLIND * (1 + 1e-9)


def _outside(row: SensorRow, value: float) -> bool:
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
