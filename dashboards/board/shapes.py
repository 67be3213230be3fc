"""What the board's API says, shape by shape.

``twin.ports.View`` returns plain data of exactly these shapes, the HTTP API hands it on unchanged,
and the OpenAPI document is generated from the same models.

Conventions: an instant is ISO 8601 UTC text (``2025-06-25T12:47:23.474000Z``); the columns ``t`` of
curves are seconds since 1970 UTC as numbers; a sensor is ``station/key``; a value that is unknown
is null, never 0 and never missing; NaN counts as null. Fields with a default may be left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

__all__ = [
    "SHAPES",
    "Ack",
    "Acked",
    "ActResult",
    "Alarm",
    "AlarmState",
    "Beat",
    "Budget",
    "Chart",
    "Contribution",
    "Counts",
    "Credentials",
    "CusumNow",
    "DeadLetter",
    "Discovery",
    "Engine",
    "Event",
    "Ewma",
    "EwmaNow",
    "Finding",
    "GateResult",
    "Group",
    "GroupChart",
    "Health",
    "Hello",
    "JournalState",
    "Judgement",
    "Ledger",
    "Limits",
    "LineHead",
    "Live",
    "Measure",
    "Member",
    "Messages",
    "Other",
    "Overview",
    "ParentLink",
    "Problem",
    "ProblemLine",
    "Product",
    "ProductHere",
    "Reload",
    "Sample",
    "Scatter",
    "Second",
    "Sensor",
    "Series",
    "Session",
    "SourceState",
    "Spend",
    "Station",
    "Tile",
    "check",
]

Instant = Annotated[
    str, Field(description="ISO 8601, UTC", examples=["2025-06-25T12:47:23.474000Z"])
]
Number = float | None
State = Literal["ok", "warn", "alarm", "stale", "nodata", "measured", "learning", "unjudged"]
Column = float | None | list[Number]
"""A line of a chart: one number for all points, or one per point."""
Quality = Literal["good", "uncertain", "bad"]
Priority = Literal["P1", "P2", "P3", "P4"]
AlarmState = Literal[
    "OOSRV", "DSUPR", "SHLVD", "UNACK", "ACKED", "LUNACK", "LACKED", "RTNUN", "NORM"
]


class Shape(BaseModel):
    """Base of all shapes: an unknown key is an error, so a misspelt one is found by a test."""

    model_config = ConfigDict(extra="forbid")


# ---------------------------------------------------------------- overview


class LineHead(Shape):
    """Which line this is.

    Attributes:
        site: Site id.
        name: Line id.
        title: What people call it.
        simulated: True shows a *simulated* badge on everything.
        version: Hash of the line description in force.
    """

    site: str
    name: str
    title: str
    simulated: bool
    version: str


class Engine(Shape):
    """Whether the twin sees anything.

    Attributes:
        alive: The pipeline runs; False makes the board BLIND.
        lag_s: Age of the oldest journal entry the engine has not processed, seconds; 0 when none.
        last_seq: Last journal sequence number processed.
        messages_per_s: Messages processed per second, over the last seconds.
        since: Since when ``alive`` has its value, if known.
        detail: Why it is not alive, in a sentence.
    """

    alive: bool
    lag_s: float
    last_seq: int
    messages_per_s: float
    since: Instant | None = None
    detail: str = ""


class ProductHere(Shape):
    """The product that is at a station now. ``place``: metre on the web, or slot number."""

    id: str
    kind: str
    place: Number = None


class Limits(Shape):
    """Lines drawn beside a value, in the sensor's unit.

    Attributes:
        target: Specification target.
        lsl: Lower specification limit.
        usl: Upper specification limit.
        centre: Centre line of the chart.
        lcl: Lower control limit.
        ucl: Upper control limit.
    """

    target: Number = None
    lsl: Number = None
    usl: Number = None
    centre: Number = None
    lcl: Number = None
    ucl: Number = None


class Finding(Shape):
    """Something a chart, a validity test or a model noticed.

    Attributes:
        id: Event id.
        rule: Rule id, for example ``rule1``, ``ewma``, ``stuck``.
        text: The rule in words (English); the board has its own words for rules it knows.
        t_first: First sample of the pattern.
        t_last: Last sample of the pattern.
        open: The pattern still holds.
        value: The value that opened it.
        product: Product id.
        place: Metre or slot.
    """

    id: str
    rule: str
    text: str
    t_first: Instant
    t_last: Instant
    open: bool
    value: Number = None
    product: str | None = None
    place: Number = None


class Judgement(Shape):
    """What the detectors say about a sensor or a group.

    Attributes:
        detector: Who says so, for example ``charts``, ``short_runs``, ``anomaly``.
        verdict: ``cannot judge`` is an answer of its own and never means ``in control``.
        code: Why, in a word the board can translate: ``learning``, ``self_starting``,
            ``no_points`` (nothing plotted yet), ``no_limits`` (none approved for this recipe),
            ``invalid`` (the newest samples cannot be judged), ``text``; empty where nothing needs
            a reason.
        text: The reason in words (English), where there is no code for it.
        have: What has been learned, with ``learning`` and ``self_starting``.
        need: What is needed before it judges, if known and not there yet.
    """

    detector: str = ""
    verdict: Literal["in control", "signal", "cannot judge"]
    code: Literal["", "learning", "self_starting", "no_points", "no_limits", "invalid", "text"] = ""
    text: str = ""
    have: int | None = None
    need: int | None = None


class Tile(Shape):
    """One sensor (or group of sensors) at this moment.

    Attributes:
        sensor: ``station/key``.
        title: What people call it.
        value: Newest accepted value.
        unit: UCUM code, ``1`` for a pure number.
        quality: Quality of that value.
        time: Its event time.
        age_s: Seconds since it arrived, by the server's clock; null when nothing ever arrived.
        state: ``stale`` = silent longer than allowed, ``nodata`` = nothing yet; both go before
            ``alarm`` (an active alarm of this sensor) and ``warn`` (an open finding). Else ``ok`` =
            judged and in control, ``learning`` or ``unjudged`` = cannot be judged (``judged`` says
            why), ``measured`` = nobody judges it.
        judged: What the detectors say; null when none judges it.
        role: Role of the sensor; ``group`` for a group, whose value is its statistic.
        limits: Lines beside the value; null when there are none.
        spark: About the last 60 values, oldest first; left out with ``sparks=False``.
        finding: The newest open finding.
        alarm: Occurrence id of the most urgent active alarm of this sensor.
    """

    sensor: str
    title: str
    value: Number
    unit: str
    quality: Quality = "good"
    time: Instant | None = None
    age_s: Number = None
    state: State
    judged: Judgement | None = None
    role: str = "characteristic"
    limits: Limits | None = None
    spark: list[Number] = []
    finding: Finding | None = None
    alarm: str | None = None


class Station(Shape):
    """A station with its sensors, in the order of the line description.

    Groups of sensors are the tiles of a station ``group`` at the end, which has no title.
    """

    id: str
    title: str
    area: str
    product: ProductHere | None = None
    tiles: list[Tile]


class Counts(Shape):
    """Alarms that need somebody, by priority (states UNACK, RTNUN, LUNACK count as ``unacked``)."""

    P1: int = 0
    P2: int = 0
    P3: int = 0
    P4: int = 0
    unacked: int = 0
    shelved: int = 0


class Overview(Shape):
    """The whole line at this moment. ``time`` is the server's wall clock."""

    time: Instant
    line: LineHead
    engine: Engine
    stations: list[Station]
    alarms: Counts


# ---------------------------------------------------------------- one sensor


class Sensor(Shape):
    """One sensor with its settings.

    Attributes:
        tile: Its present state.
        station: Station id.
        key: Key within the station.
        topic: Where its data comes from (MQTT topic or Sparkplug metric).
        role: How statistics treat it.
        sampling: When the source sends.
        period_s: Nominal time between samples.
        max_silence_s: Longest silence before it is stale.
        range: Physical range.
        operating: Normal working range.
        control: Row of the control plan.
        chart: Chart settings as in the line description, if it has a chart.
        samples: Samples accepted since the journal began.
    """

    tile: Tile
    station: str
    key: str
    topic: str = ""
    role: str = ""
    sampling: str = ""
    period_s: Number = None
    max_silence_s: Number = None
    range: tuple[float, float] | None = None
    operating: tuple[float, float] | None = None
    control: str = ""
    chart: dict[str, Any] | None = None
    samples: int | None = None


class Series(Shape):
    """History of a sensor; all columns have the same length.

    Attributes:
        sensor: ``station/key``.
        unit: UCUM code.
        start: First instant asked for (or available).
        end: Last instant asked for (or available).
        bin_s: Width of a bin, seconds; 0 when every sample is its own row.
        t: Middle of each bin, seconds since 1970 UTC, ascending.
        mean: Mean of the bin; null for an empty bin or a gap.
        min: Smallest value of the bin.
        max: Largest value of the bin.
    """

    sensor: str
    unit: str
    start: Instant | None = None
    end: Instant | None = None
    bin_s: float = 0.0
    t: list[float]
    mean: list[Number]
    min: list[Number]
    max: list[Number]


class Ewma(Shape):
    """The EWMA line of a chart: ``v``, ``lcl``, ``ucl`` are as long as the chart's ``t``.

    Null where the value is not known exactly any more. ``weight`` is lambda, ``width`` the limit
    in standard deviations of the EWMA.
    """

    weight: float
    width: float
    v: list[Number]
    lcl: list[Number]
    ucl: list[Number]


class EwmaNow(Shape):
    """The EWMA at the last point; null limits before the first."""

    value: Number
    lcl: Number = None
    ucl: Number = None


class CusumNow(Shape):
    """Both sums at the last point, in sigma, against their limit ``h``; ``k`` is the reference."""

    k: float
    h: float
    high: float
    low: float


class Other(Judgement):
    """A detector beside the chart.

    Attributes:
        number: What ``value`` is, for example ``ratio`` of variances or ``p``; empty for none.
        value: Its one number.
    """

    number: str = ""
    value: Number = None


class Scatter(Shape):
    """The chart of the scatter beside a chart of location; columns as in ``Chart``.

    Attributes:
        kind: ``mr`` (moving range), ``r`` (range) or ``s`` (standard deviation).
        unit: UCUM code.
        note: What is plotted, in words (English).
        judged: What this chart says.
        value: Last plotted value.
    """

    kind: str
    unit: str
    note: str = ""
    judged: Judgement
    value: Number = None
    t: list[float]
    v: list[Number]
    rules: list[list[str]]
    centre: Column = None
    lcl: Column = None
    ucl: Column = None


class Chart(Shape):
    """A control chart: the last plotted points with the limits in force.

    Attributes:
        sensor: ``station/key``.
        title: What people call it.
        unit: UCUM code of the sensor.
        plotted_unit: UCUM code of what is plotted; ``1`` for scores and proportions.
        centre: Centre line; null when there is none (the values are plotted all the same).
        sigma: Standard deviation of a plotted point; ±1, 2, 3 sigma zones are drawn from it.
        lcl: What one point alone may not fall below; null where no rule watches that.
        ucl: What it may not exceed; the same.
        limits: Specification limits, in the unit of the sensor.
        ewma: EWMA line, if the chart has one.
        t: Seconds since 1970 UTC of each point.
        v: Value of each point.
        rules: For each point the ids of the rules that fired on it; empty list = none.
        findings: Findings of this sensor, newest first.
        state: State of the sensor.
        judged: What all detectors together say; null when none judges it.
        verdict: What the chart itself says; null without a chart.
        type: Kind of chart, for example ``i``, ``q``, ``p``.
        mode: How samples become points: ``raw``, ``block``, ``piece``, ``thin``, ``residual``, ...
        every: Seconds of a block, samples of a piece, or every how many samples one is plotted.
        deviation_from: Sensor with the set-point the deviation is plotted from; empty for none.
        recipe: Recipe the limits belong to; empty for all.
        level: Mean of the signal behind residuals, in the unit of the sensor.
        baseline: Name and version of the approved baseline.
        ruleset: Name and version of the rule set; empty when no run rules watch.
        arl0: Points between false findings of the rule set on a process in control.
        points: Points judged so far.
        late: Samples that came too late to be plotted.
        cannot_judge: Samples or points that could not be judged.
        ewma_now: EWMA at the last point.
        cusum: Cumulative sums at the last point.
        note: What is plotted, in words, where it needs saying.
        scatter: Chart of the scatter; null when there is none.
        others: Further detectors of this sensor.
        texts: Rule id to the rule in words, for the rules of this chart.
    """

    sensor: str
    title: str
    unit: str
    plotted_unit: str | None = None
    centre: Column = None
    sigma: Number = None
    lcl: Column = None
    ucl: Column = None
    limits: Limits | None = None
    ewma: Ewma | None = None
    t: list[float]
    v: list[Number]
    rules: list[list[str]]
    findings: list[Finding] = []
    state: State
    judged: Judgement | None = None
    verdict: Judgement | None = None
    type: str = ""
    mode: str = ""
    every: Number = None
    deviation_from: str = ""
    level: Number = None
    recipe: str = ""
    baseline: str = ""
    ruleset: str = ""
    arl0: Number = None
    points: int | None = None
    late: int = 0
    cannot_judge: int = 0
    ewma_now: EwmaNow | None = None
    cusum: CusumNow | None = None
    note: str = ""
    scatter: Scatter | None = None
    others: list[Other] = []
    texts: dict[str, str] = {}


# ---------------------------------------------------------------- groups


class Member(Shape):
    """A sensor of a group."""

    sensor: str
    title: str


class Contribution(Shape):
    """What is unusual about one member of a group at the last vector.

    Attributes:
        sensor: ``station/key``.
        title: What people call it.
        value: Its value (of the weighted mean for ``mewma``); null where the group has none.
        unit: UCUM code.
        about: ``level`` = against its own mean, ``others`` = against what the other members say,
            ``residual`` = not as in the baseline, ``noise`` = how much it scatters.
        z: Distance in sigma, with sign.
        weight: How much of the statistic it explains; compare with the other members only.
    """

    sensor: str
    title: str
    value: Number = None
    unit: str = ""
    about: Literal["level", "others", "residual", "noise"] = "level"
    z: Number
    weight: Number


class Group(Shape):
    """Several sensors judged together.

    Attributes:
        sensor: Name in findings, alarms and events: ``group/<id>``.
        id: Id of the group.
        title: What people call it.
        kind: ``t2``, ``mewma``, ``pca`` or ``anomaly``.
        members: Its sensors.
        state: As of a tile.
        time: Event time of the last vector.
        judged: What its detector says; null when nobody judges it.
        finding: The newest open finding.
        statistic: What ``value`` is, for example ``t2``.
        value: The statistic at the last vector.
        ucl: Its limit.
        spe: Squared residual of the last vector (``pca``).
        spe_ucl: Its limit.
        limit_from: Where the limit is from.
        ruleset: Name and version of what it tests.
        recipe: Recipe its numbers belong to; empty for all.
        baseline: Name and version of the approved baseline.
        points: Vectors so far.
        late: Samples that came too late.
        cannot_judge: Samples that could not be judged.
        incomplete: Vectors that missed a member.
        other_recipe: Vectors of another recipe.
        contributions: Members at the last vector, the most unusual first.
    """

    sensor: str
    id: str
    title: str
    kind: str
    members: list[Member]
    state: State
    time: Instant | None = None
    judged: Judgement | None = None
    finding: Finding | None = None
    statistic: str = ""
    value: Number = None
    ucl: Number = None
    spe: Number = None
    spe_ucl: Number = None
    limit_from: str = ""
    ruleset: str = ""
    recipe: str = ""
    baseline: str = ""
    points: int = 0
    late: int = 0
    cannot_judge: int = 0
    incomplete: int = 0
    other_recipe: int = 0
    contributions: list[Contribution] = []


class Second(Shape):
    """A second statistic over the same points: the squared residual of ``pca``."""

    v: list[Number]
    ucl: Number
    rules: list[list[str]]


class GroupChart(Group):
    """A group with the last points of its statistic; columns as in ``Chart``."""

    t: list[float]
    v: list[Number]
    rules: list[list[str]]
    second: Second | None = None
    findings: list[Finding] = []


# ---------------------------------------------------------------- budget


class Spend(Shape):
    """What one statistic of one chart or group spends of the budget, and what it reported.

    Attributes:
        sensor: ``station/key`` or ``group/<id>``.
        title: What people call it.
        chart: Kind of chart; empty for findings nobody planned.
        statistic: What is compared with limits.
        points_per_day: Plotted points; null when nobody said how often the sensor sends.
        arl0: Points between two false findings; null where nobody can know it.
        method: How that number was found.
        standard_error: Its standard error, if simulated.
        expected_per_shift: False findings to be expected per shift.
        share: Of all that is expected.
        observed: Findings seen in the time of ``Budget.observed_from`` till now.
    """

    sensor: str
    title: str
    chart: str = ""
    statistic: str
    points_per_day: Number = None
    arl0: Number = None
    method: str | None = None
    standard_error: Number = None
    expected_per_shift: Number = None
    share: Number = None
    observed: int = 0


class Budget(Shape):
    """False findings planned beside findings seen.

    Attributes:
        version: Version of the line the plan belongs to.
        simulated: Whether the line is.
        shift_h: Length of a shift, hours.
        operators: People who answer at the same time.
        accept: Why a plan over the budget is used; empty when it is not over, or refused.
        allowed_per_shift: False findings per shift people can live with.
        planned_per_shift: False findings per shift to be expected on a line in control.
        unknown: Statistics whose rate nobody can know; they are not in the plan.
        observed: Findings seen, right or wrong.
        observed_from: Since when: 24 h ago, or the first event of the line.
        observed_hours: Length of that time, hours.
        observed_per_shift: The same per shift; null before a whole shift was seen.
        rows: By expected findings, most first.
    """

    version: str
    simulated: bool
    shift_h: float
    operators: int
    accept: str = ""
    allowed_per_shift: float
    planned_per_shift: float
    unknown: int = 0
    observed: int
    observed_from: Instant
    observed_hours: float
    observed_per_shift: Number = None
    rows: list[Spend]


# ---------------------------------------------------------------- alarms


class Acked(Shape):
    """Who acknowledged, when, and what they said."""

    by: str
    at: Instant
    comment: str = ""


class Sample(Shape):
    """One sample. ``seq``: journal sequence number, if known."""

    time: Instant
    value: Number
    seq: int | None = None


class Alarm(Shape):
    """One occurrence of an alarm, with everything an operator needs to act.

    Attributes:
        occurrence: Id of this occurrence; acknowledging names it.
        alarm: Id of the alarm in the line description.
        title: One line an operator understands.
        priority: P1 to P4.
        alarm_class: ``quality``, ``safety``, ``equipment`` or ``system``.
        state: ISA-18.2 state by name.
        sensor: ``station/key``; empty for a system alarm.
        sensor_title: What people call the sensor.
        value: Value that raised it.
        limit: Limit in force at onset.
        unit: Unit of both.
        onset: When the condition began (event time).
        raised: When it was annunciated.
        cleared: When the condition ended; null while it is active.
        acked: Acknowledgement; null while there is none.
        cause: Usual causes.
        consequence: What happens when nobody acts.
        action: What to do.
        respond_s: Time to respond, seconds from ``raised``.
        product: Product at the station at onset.
        place: Metre or slot at onset.
        rule: Rule id; empty for plain limits.
        rule_text: The rule in words (English).
        first_sample: First sample of the pattern.
        count: Times this alarm occurred.
        affected: Products affected so far, if known.
        cost: Money lost so far, in the line's currency, if known.
    """

    occurrence: str
    alarm: str
    title: str
    priority: Priority
    alarm_class: str = "quality"
    state: AlarmState
    sensor: str = ""
    sensor_title: str = ""
    value: Number = None
    limit: Number = None
    unit: str = ""
    onset: Instant
    raised: Instant
    cleared: Instant | None = None
    acked: Acked | None = None
    cause: str = ""
    consequence: str = ""
    action: str = ""
    respond_s: Number = None
    product: str | None = None
    place: Number = None
    rule: str = ""
    rule_text: str = ""
    first_sample: Sample | None = None
    count: int = 1
    affected: int | None = None
    cost: Number = None


class Ack(Shape):
    """Body of an acknowledgement."""

    comment: Annotated[str, Field(max_length=1000)] = ""


class ActResult(Shape):
    """Answer of ``View.act``; it comes after the action is on disk and applied.

    ``View.act`` receives ``{"op": "ack", "occurrence", "comment", "actor", "role", "session",
    "ip"}``, all text.

    Attributes:
        ok: It was done (acknowledging twice is fine and ``ok``).
        code: Why not: ``unknown`` (404), ``changed`` (a newer occurrence exists, 409) or
            ``refused`` (409).
        message: The same in a sentence.
        alarm: The alarm afterwards.
    """

    ok: bool
    code: Literal["", "unknown", "changed", "refused"] = ""
    message: str = ""
    alarm: Alarm | None = None


# ---------------------------------------------------------------- products, events


class ParentLink(Shape):
    """Where a product came from."""

    id: str
    kind: str = ""
    place: Number = None


class GateResult(Shape):
    """Decision of a quality gate on a product."""

    gate: str
    title: str = ""
    decision: Literal["pass", "hold", "fail", "open"]
    time: Instant | None = None
    missing: list[str] = []


class Measure(Shape):
    """A number the twin keeps per product, for example the moisture dose in ppm.h."""

    name: str
    title: str = ""
    value: Number
    unit: str = ""


class Product(Shape):
    """One product.

    Attributes:
        id: Product id.
        kind: Kind, for example ``calendered_coil``.
        station: Where it is, or was last.
        started: First seen.
        ended: Left the station; null while it is there.
        length_m: Metres so far, for webs.
        disposition: What may be done with it.
        parents: Where it came from.
        children: Number of products made from it.
        gates: Gate decisions.
        measures: Numbers kept for it.
        alarms: Alarms that concern it.
        findings: Findings that concern it.
        cost: Cost so far, if known.
    """

    id: str
    kind: str
    station: str
    started: Instant | None = None
    ended: Instant | None = None
    length_m: Number = None
    disposition: Literal["OPEN", "OK", "HOLD", "REWORK", "SCRAP"] = "OPEN"
    parents: list[ParentLink] = []
    children: int = 0
    gates: list[GateResult] = []
    measures: list[Measure] = []
    alarms: int = 0
    findings: int = 0
    cost: Number = None


class Event(Shape):
    """One engine event; fields as in ``twin.model.event.Event``, times as ISO text.

    Attributes:
        number: Its number, 1, 2, 3 … without holes; the SSE stream resumes by it.
    """

    number: int
    id: str
    type: str
    rule: str = ""
    ruleset: str = ""
    sensor: str = ""
    product: str | None = None
    place: Number = None
    t_first: Instant
    t_last: Instant
    value: Number = None
    detail: dict[str, Any] = {}


# ---------------------------------------------------------------- ledger


class Messages(Shape):
    """Journal entries taken in and worked through."""

    received: int
    processed: int


class SourceState(Shape):
    """One source. ``skew_s``: its clock minus ours, as far as its event times tell."""

    source: str
    messages: int
    last: Instant | None = None
    skew_s: Number = None
    state: Literal["ok", "silent", "lost"] = "ok"
    detail: str = ""


class JournalState(Shape):
    """The journal on disk. ``cursor``: last sequence number whose results are committed."""

    segments: int
    bytes: int
    last_seq: int
    cursor: int


class Ledger(Shape):
    """Nothing is lost without being counted: received = stored + rejected + pending, in samples.

    Attributes:
        received: Samples received.
        stored: Samples accepted and stored.
        rejected: Reason code to samples refused for it.
        pending: Samples in the journal that are not processed yet.
        balanced: Whether the equation holds.
        messages: The same in messages.
        findings: Findings so far.
        alarms: Annunciations so far.
        events_sha256: Hash of all events so far.
        duplicates: Repeat deliveries recognised (part of ``rejected["DUPLICATE"]``).
        sources: Sources.
        journal: Journal.
        samples_per_second: Throughput over the last seconds, if measured.
        cpu_us_per_sample: CPU time of the process per sample over the same time, microseconds.
    """

    received: int
    stored: int
    rejected: dict[str, int]
    pending: int
    balanced: bool
    messages: Messages
    findings: int = 0
    alarms: int = 0
    events_sha256: str | None = None
    duplicates: int = 0
    sources: list[SourceState] = []
    journal: JournalState
    samples_per_second: Number = None
    cpu_us_per_sample: Number = None


class DeadLetter(Shape):
    """What was refused, grouped by topic and reason.

    Attributes:
        id: Stable id.
        topic: Topic.
        payload: Beginning of the payload, as text (undecodable bytes escaped).
        reason: Code of ``twin.model.message.Reason``.
        detail: What was wrong and how to mend it.
        first: First time.
        last: Last time.
        count: How often.
    """

    id: str
    topic: str
    payload: str
    reason: str
    detail: str
    first: Instant
    last: Instant
    count: int = 1


class Discovery(Shape):
    """A topic nobody described, with a proposed row. ``proposal`` is TOML text, ready to paste."""

    topic: str
    count: int
    first: Instant
    last: Instant
    example: str
    proposal: str


class ProblemLine(Shape):
    """One thing wrong in a file a person wrote (``twin.errors.Problem``)."""

    file: str
    line: int
    key: str
    value: str
    message: str
    allowed: str = ""
    severity: str = "error"


class Reload(Shape):
    """Answer of ``View.reload``. With ``ok`` False nothing changed and ``problems`` says why."""

    ok: bool
    changed: bool
    version: str
    problems: list[ProblemLine] = []


# ---------------------------------------------------------------- what the board itself says


class Health(Shape):
    """Answer of ``/healthz``: 200 when the engine is alive, else 503."""

    status: Literal["ok", "blind"]
    lag_s: float
    last_seq: int


class Credentials(Shape):
    """Body of a login."""

    user: Annotated[str, Field(min_length=1, max_length=128)]
    password: Annotated[str, Field(min_length=1, max_length=1024)]


class Session(Shape):
    """Who is logged in and what they may do.

    Attributes:
        user: User name; null without login.
        role: Role; null without login.
        csrf: Token to send as ``X-CSRF-Token`` with unsafe methods.
        rights: What this session may do, of ``view``, ``ack``, ``reload``.
        login: Whether logging in is possible at all.
        version: Version of linetwin.
    """

    user: str | None = None
    role: str | None = None
    csrf: str | None = None
    rights: list[str] = []
    login: bool
    version: str


class Hello(Shape):
    """First event of a stream.

    Attributes:
        last_event: Number of the newest event.
        complete: False when events between ``Last-Event-ID`` and now were too many to send (or
            belong to another journal): load the lists again.
    """

    last_event: int
    complete: bool


class Live(Shape):
    """What changed since the last ``live``: whole tiles without ``spark``, keyed by sensor."""

    time: Instant
    engine: Engine
    alarms: Counts
    tiles: list[Tile]
    products: dict[str, ProductHere | None]


class Beat(Shape):
    """Sign of life, once a second, also when nothing changes."""

    time: Instant
    engine: Engine
    alarms: Counts


class Problem(Shape):
    """Every error (RFC 9457): a title, the status, what was wrong. Never a trace."""

    title: str
    status: int
    detail: str = ""
    problems: list[ProblemLine] = []


SHAPES: dict[str, Any] = {
    "overview": Overview,
    "sensor": Sensor,
    "series": Series,
    "chart": Chart,
    "groups": list[Group],
    "group": GroupChart,
    "budget": Budget,
    "alarms": list[Alarm],
    "products": list[Product],
    "events": list[Event],
    "ledger": Ledger,
    "dead_letters": list[DeadLetter],
    "discovery": list[Discovery],
    "act": ActResult,
    "reload": Reload,
}
"""Name of a ``View`` method to the shape it returns."""


def check(method: str, data: object) -> None:
    """Check what a ``View`` method returned; for tests of a view.

    Args:
        method: Name of the method, a key of :data:`SHAPES`.
        data: What it returned.

    Raises:
        pydantic.ValidationError: The data has another shape; names every place.
        TypeError: Something in it (a numpy number, for example) cannot be written as JSON.
        KeyError: There is no such method.
    """
    msgspec.json.encode(data)
    TypeAdapter(SHAPES[method]).validate_python(data, strict=False)
