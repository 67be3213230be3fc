"""The line description: what ``line.toml`` may say, as data.

Reading the file (with line numbers for every problem) is ``twin.config``; this module only says
what a valid line *is*. Units are UCUM codes. Times are seconds, lengths metres, unless the key
names another unit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

__all__ = [
    "Alarm",
    "AlarmClass",
    "Broker",
    "Channel",
    "Chart",
    "ChartType",
    "Chemistry",
    "Detection",
    "Device",
    "Gate",
    "Group",
    "Ident",
    "Limits",
    "Line",
    "LineHead",
    "Listener",
    "Mapping",
    "Priority",
    "Role",
    "RuleRow",
    "RuleSetRow",
    "Sampling",
    "Sensor",
    "Series",
    "Sparkplug",
    "Spread",
    "Station",
    "Zone",
]

Ident = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
"""Ids of stations, sensors, lines: lower case letters, digits, ``_`` and ``-``."""


class Model(BaseModel):
    """Immutable, and a key nobody knows is an error: it is usually a typing mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _none(value: object) -> object:
    """TOML has no null, so the word stands for it."""
    return None if value == "none" else value


class Role(StrEnum):
    """What a sensor's value means for statistics (declared by a person, never guessed)."""

    CHARACTERISTIC = "characteristic"
    SLOW_COVARIATE = "slow_covariate"
    FOLLOWS_SETPOINT = "follows_setpoint"
    COUNTER = "counter"
    STATE = "state"


class Sampling(StrEnum):
    """When a source sends."""

    PERIODIC = "periodic"
    BY_EXCEPTION = "by_exception"
    EVENT = "event"


class Limits(Model):
    """Specification limits: gates and alarms use them, control charts never do.

    Attributes:
        target: Value wanted, unit of the sensor.
        lsl: Lower specification limit, unit of the sensor; None when there is none.
        usl: Upper specification limit, unit of the sensor; None when there is none.
        warn: Value at which a person wants to be warned, between target and limit.
    """

    target: float | None = None
    lsl: float | None = None
    usl: float | None = None
    warn: float | None = None


class ChartType(StrEnum):
    """What a chart compares with its limits."""

    I = "i"  # noqa: E741 - the name of the chart
    """The plotted point itself: a value, a residual, or the mean of a subgroup."""
    Q = "q"
    """Self-starting: mean and sigma unknown, from the third point on (short runs)."""
    DNOM = "dnom"
    """Deviation from the recipe's nominal value."""
    Z = "z"
    """Deviation from nominal in sigmas of the recipe."""
    P = "p"
    NP = "np"
    C = "c"
    U = "u"
    LANEY_P = "laney_p"
    LANEY_U = "laney_u"


class Series(StrEnum):
    """How the samples of a sensor become plotted points."""

    RAW = "raw"
    """Every sample."""
    RESIDUAL = "residual"
    """What a model of the sensor's own past did not expect."""
    BLOCK = "block"
    """Mean over a time window."""
    PIECE = "piece"
    """Mean over ``size`` samples, or over a piece of material (its end closes the subgroup)."""
    THIN = "thin"
    """Every k-th sample."""


class Spread(StrEnum):
    """Chart of the scatter that stands beside a chart of location."""

    NONE = "none"
    MR = "mr"
    R = "r"
    S = "s"


class Chart(Model):
    """A control chart with frozen limits (phase II).

    ``sigma`` is always the standard deviation of the *plotted* point, in the unit of the plotted
    point. Without ``centre`` and ``sigma`` the limits come from the approved baseline of the
    current recipe; as long as there is none, the chart is self-starting (``q``).

    Attributes:
        type: What is compared with limits.
        series: How samples become plotted points.
        centre: Centre line; mean proportion, count or rate for attribute charts.
        sigma: Standard deviation of the plotted point, > 0; attribute charts need none.
        rules: Name of a rule set; None (in a file ``"none"``) plots without run rules.
        ewma_lambda: Weight of the newest point, 0 < lambda <= 1; None for no EWMA.
        ewma_l: Limit in standard deviations of the EWMA.
        ewma_limits: ``time-varying`` limits are narrow after a start; ``fixed`` ones are those of
            published tables; ``fir`` ones begin at half the time-varying width (fast initial
            response).
        cusum_k: Reference value in sigma; None for no CUSUM.
        cusum_h: Decision limit in sigma.
        cusum_start: ``zero``, or ``head-start``: both sums begin at h/2 (fast initial response).
        spread: Chart of the scatter beside this one: moving range of the plotted points (``mr``),
            or range (``r``) or standard deviation (``s``) within subgroups.
        sigma_within: Standard deviation of a single value within a subgroup, for ``r`` and ``s``.
        block_s: Length of a block, s (series ``block``).
        size: Samples of a subgroup (series ``piece``), 2 to 1000; None takes a whole product.
        every: Every how many samples one is plotted (series ``thin``).
        level: Mean the residual model returns to, unit of the sensor (series ``residual``).
        ar: Coefficients of the past 1, 2, ... samples (series ``residual``).
        tau_s: Correlation time; the coefficient of the past sample is exp(-step/tau) with the real
            time step (series ``residual``; instead of ``ar``).
        model: ``ar``, or a centre line that follows the signal: ``ewma`` or ``holt``.
        alpha: Weight of the newest sample for the level (``ewma``, ``holt``), 0 < alpha <= 1.
        beta: Weight of the newest step for the trend (``holt``), 0 < beta <= 1.
        phi: Known correlation between neighbouring samples, for the false-alarm count of ``check``.
        set_point: Key of the sensor, at the same station, whose value is wanted: the deviation
            from it is charted.
        settle_s: How long after a change of set-point nothing is judged.
        n: Sample size of ``p``, ``np`` and ``u`` charts (area or length for ``u``), > 0.
        size_of: Key of the sensor, at the same station, that brings the sample size.
        sigma_z: Scatter between subgroups beyond binomial or Poisson (Laney charts), > 0.
        count_limits: Limits of ``p``, ``np``, ``c`` and ``u`` charts: ``sigma`` at a multiple of
            sigma, ``exact`` quantiles of the distribution, ``auto`` quantiles where fewer than nine
            events are expected.
        nominal: Nominal value by recipe (``dnom``, ``z``).
        sigmas: Standard deviation by recipe (``z``).
        hampel_window: Number of samples of the Hampel window, odd, >= 5; None for no Hampel test.
        hampel_t: Threshold in robust standard deviations.
        max_gap_s: A longer hole clears rule memory; None means five periods.
        baseline: Name and version of the approved baseline the limits come from.
        recipe: Recipe the limits belong to; empty for all.
        reason: Why zone rules stand on a chart where they are off by default.
    """

    type: ChartType = ChartType.I
    series: Series = Series.RAW
    centre: float | None = None
    sigma: Annotated[float, Field(gt=0)] | None = None
    rules: str | None = "western_electric"
    ewma_lambda: Annotated[float, Field(gt=0, le=1)] | None = None
    ewma_l: Annotated[float, Field(gt=0)] = 2.962
    ewma_limits: Literal["time-varying", "fixed", "fir"] = "time-varying"
    cusum_k: Annotated[float, Field(gt=0)] | None = None
    cusum_h: Annotated[float, Field(gt=0)] = 5.0
    cusum_start: Literal["zero", "head-start"] = "zero"
    spread: Spread = Spread.NONE
    sigma_within: Annotated[float, Field(gt=0)] | None = None
    block_s: Annotated[float, Field(gt=0)] | None = None
    size: Annotated[int, Field(ge=2, le=1000)] | None = None
    every: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    level: float | None = None
    ar: Annotated[list[float], Field(max_length=16)] = []
    tau_s: Annotated[float, Field(gt=0)] | None = None
    model: Literal["ar", "ewma", "holt"] = "ar"
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.2
    beta: Annotated[float, Field(gt=0, le=1)] = 0.1
    phi: Annotated[float, Field(gt=-1, lt=1)] | None = None
    set_point: str = ""
    settle_s: Annotated[float, Field(ge=0)] = 0.0
    n: Annotated[float, Field(gt=0)] | None = None
    size_of: str = ""
    sigma_z: Annotated[float, Field(gt=0)] | None = None
    count_limits: Literal["auto", "sigma", "exact"] = "auto"
    nominal: dict[str, float] = {}
    sigmas: dict[str, Annotated[float, Field(gt=0)]] = {}
    hampel_window: Annotated[int, Field(ge=5, le=501)] | None = None
    hampel_t: Annotated[float, Field(gt=0)] = 3.5
    max_gap_s: Annotated[float, Field(gt=0)] | None = None
    baseline: str = ""
    recipe: str = ""
    reason: str = ""

    _word = field_validator("rules", mode="before")(_none)

    @property
    def lcl(self) -> float | None:
        """Lower three-sigma limit of the plotted point; None when nothing is declared here."""
        return None if self.centre is None or self.sigma is None else self.centre - 3 * self.sigma

    @property
    def ucl(self) -> float | None:
        """Upper three-sigma limit of the plotted point; None when nothing is declared here."""
        return None if self.centre is None or self.sigma is None else self.centre + 3 * self.sigma


class RuleRow(Model):
    """One run rule of a set of the line's own.

    Attributes:
        id: Name in findings, for example ``rule2``.
        kind: ``beyond`` (k of m points on one side), ``either`` (k of m outside, any side),
            ``mixed`` (the same, with points on both sides), ``within``, ``trend``, ``alternate``,
            ``pair``.
        points: Length of the pattern m in points (n points are n - 1 steps).
        k: How many of them; 0 means all.
        sigma: Distance from the centre line in sigma; 0 with ``beyond`` is a run on one side.
        usual: What it usually means at the line.
    """

    id: Ident
    kind: Literal["beyond", "either", "mixed", "within", "trend", "alternate", "pair"] = "beyond"
    points: Annotated[int, Field(ge=1, le=60)] = 1
    k: Annotated[int, Field(ge=0, le=60)] = 0
    sigma: Annotated[float, Field(ge=0)] = 0.0
    usual: str = ""


class RuleSetRow(Model):
    """A rule set of the line's own, beside the presets.

    Attributes:
        id: Name that charts use in ``rules``.
        version: Raised by its author whenever a rule changes.
        source: Where it is from.
        rule: Its rules; the first that is true names a finding.
    """

    id: Ident
    version: Annotated[int, Field(ge=1)] = 1
    source: str = ""
    rule: Annotated[list[RuleRow], Field(min_length=1, max_length=12)]


class Group(Model):
    """Several sensors that are judged together.

    Attributes:
        id: Name in findings.
        title: What people call it.
        kind: ``t2`` (Hotelling), ``mewma``, ``pca`` (T2 of the components and the residual), or
            ``anomaly`` (learns its own baseline).
        sensors: Sensor ids (``station/key``), 2 to 30.
        max_age_s: Oldest last value that may still be put beside a newer one; None means that all
            values must have the same event time.
        alpha: False-alarm probability per vector of ``t2`` and ``pca``.
        limit: Limit of the statistic; None takes it from ``alpha`` or ``arl0``.
        arl0: Mean number of vectors between false findings, for ``mewma``.
        ewma_lambda: Weight of the newest vector (``mewma``).
        mean: Mean of each sensor, in order of ``sensors``.
        sigma: Standard deviation of each sensor.
        correlation: Correlation matrix, row by row.
        m: Number of vectors mean and covariance were estimated from; None when they are known.
        components: Principal components kept (``pca``); None keeps those above the mean.
        rate: False alarms per vector (``anomaly``).
        baseline_rows: Vectors to learn from (``anomaly``).
        baseline: Name and version of the approved baseline the numbers come from.
        recipe: Recipe they belong to; empty for all.
        max_gap_s: A longer hole clears memory.
    """

    id: Ident
    title: str = ""
    kind: Literal["t2", "mewma", "pca", "anomaly"]
    sensors: Annotated[list[str], Field(min_length=2, max_length=30)]
    max_age_s: Annotated[float, Field(gt=0)] | None = None
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.0027
    limit: Annotated[float, Field(gt=0)] | None = None
    arl0: Annotated[float, Field(gt=1)] = 500.0
    ewma_lambda: Annotated[float, Field(gt=0, le=1)] = 0.1
    mean: list[float] = []
    sigma: list[Annotated[float, Field(gt=0)]] = []
    correlation: list[list[float]] = []
    m: Annotated[int, Field(ge=2)] | None = None
    components: Annotated[int, Field(ge=1)] | None = None
    rate: Annotated[float, Field(gt=0, lt=0.5)] = 1e-4
    baseline_rows: Annotated[int, Field(ge=50)] = 400
    baseline: str = ""
    recipe: str = ""
    max_gap_s: Annotated[float, Field(gt=0)] | None = None


class Detection(Model):
    """How many false findings the people at the line can live with.

    Attributes:
        budget_per_shift: Expected false findings per operator and shift on a line in control; a
            plan that needs more is refused.
        operators: People who answer at the same time.
        shift_h: Length of a shift, h.
        accept: Why a plan over the budget is used all the same; empty refuses it.
    """

    budget_per_shift: Annotated[float, Field(gt=0)] = 1.0
    operators: Annotated[int, Field(ge=1)] = 1
    shift_h: Annotated[float, Field(gt=0)] = 8.0
    accept: str = ""


class Sensor(Model):
    """One row: a quantity that somebody measures at a station.

    Attributes:
        key: Metric name, unique within the station; may hold ``{name}`` of ``each``.
        title: What people call it.
        topic: MQTT topic; empty means the line's topic pattern.
        sparkplug: ``group/node:metric`` or ``group/node/device:metric`` instead of a topic.
        path: Place of the value in a nested JSON payload, for example ``data.load[0].value``.
        column: Column of a recording that feeds this sensor (BDF machine name), if not the key.
        unit: UCUM code; ``1`` for a pure number, ``{count}`` style annotations allowed.
        role: How statistics treat it.
        sampling: When the source sends.
        period_s: Nominal time between samples.
        max_silence_s: Longest silence before the sensor is stale; None means 5 periods, at least 5 s.
        range: Physical range of the sensor; values outside are refused.
        operating: Range it normally works in; values outside are kept and marked questionable.
        resolution: Smallest step the sensor can show.
        stuck_s: The same value for longer than this is a stuck sensor; None switches the test off.
        spike: A single sample that jumps by more than this and returns is a spike.
        rate_per_s: Fastest plausible change.
        offset_m: Distance of the sensor behind the station's reference point along the web.
        control: Row of the control plan, for example ``CP13``.
        chart: Control chart.
        detect: Settings of further detectors by their name, for example
            ``detect.anomaly = { rate = 1e-4 }``.
        limits: Specification limits; they win over those of the control plan row.
        each: Repeats the row: every name gets the values of a range (``"0..999"``, ``"01..16"``)
            or a list; ``key``, ``title``, ``topic``, ``path``, ``column``, ``sparkplug`` and
            ``control`` hold it as ``{name}``.
    """

    key: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_{}:-]{1,64}$")]
    title: str = ""
    topic: str = ""
    sparkplug: str = ""
    path: str = ""
    column: str = ""
    unit: str = "1"
    role: Role = Role.CHARACTERISTIC
    sampling: Sampling = Sampling.PERIODIC
    period_s: Annotated[float, Field(gt=0)] | None = None
    max_silence_s: Annotated[float, Field(gt=0)] | None = None
    range: tuple[float, float] | None = None
    operating: tuple[float, float] | None = None
    resolution: Annotated[float, Field(gt=0)] | None = None
    stuck_s: Annotated[float, Field(gt=0)] | None = None
    spike: Annotated[float, Field(gt=0)] | None = None
    rate_per_s: Annotated[float, Field(gt=0)] | None = None
    offset_m: float = 0.0
    control: str = ""
    chart: Chart | None = None
    detect: dict[str, dict[str, Any]] = {}
    limits: Limits | None = None
    each: dict[str, str | list[str]] = {}


class Station(Model):
    """A place where products are worked on or measured.

    Attributes:
        id: Station id, as in topics and in the control plan.
        area: Area of the topic tree.
        title: What people call it.
        product: Kind of product worked on here, for example ``calendered_coil``; empty for none.
        encoder: Key of the counter sensor that gives the metre on the web, if there is one.
        zone: Dry-room zone the station stands in.
        recipe_from: Key of a sensor with role ``state`` whose value is the number of the recipe.
        sensor: Its sensors.
    """

    id: Ident
    area: Ident = "line"
    title: str = ""
    product: str = ""
    encoder: str = ""
    zone: str = ""
    recipe_from: str = ""
    sensor: list[Sensor] = []


class Zone(Model):
    """A part of the dry room with its own climate.

    Attributes:
        id: Zone id.
        title: What people call it.
    """

    id: Ident
    title: str = ""


class Channel(Model):
    """Formation channels: the sensors that together describe one cell under test.

    Attributes:
        station: Station of the sensors.
        id: Channel id; may hold ``{name}`` of ``each``, as the sensor keys may.
        voltage: Sensor key of the cell voltage (V).
        current: Sensor key of the current (A), positive charges the cell.
        step: Sensor key of the step number; empty when steps are found from the current.
        cycle: Sensor key of the cycle number.
        temperature: Sensor keys of thermocouples (Cel).
        charge: Sensor key of a charge counter (A.h), cross-check only.
        discharge: Sensor key of a discharge counter (A.h), cross-check only.
        capacity: Sensor key of a single capacity counter (A.h) that resets per half cycle.
        rest_current_a: Currents smaller than this are rest.
        nominal_ah: Nameplate capacity, for plausibility.
        tray: Tray its cell stands in, compared as one family; empty means what comes before the
            last number of the id.
        each: Repeats the row, as for sensors.
    """

    station: Ident
    id: str
    tray: str = ""
    voltage: str = ""
    current: str = ""
    step: str = ""
    cycle: str = ""
    temperature: list[str] = []
    charge: str = ""
    discharge: str = ""
    capacity: str = ""
    rest_current_a: Annotated[float, Field(gt=0)] = 1e-6
    nominal_ah: Annotated[float, Field(gt=0)] | None = None
    each: dict[str, str | list[str]] = {}


class Priority(StrEnum):
    """P1 safety, P2 product being lost now, P3 quality drift with a response, P4 maintenance."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


class AlarmClass(StrEnum):
    """Who cares about it."""

    QUALITY = "quality"
    SAFETY = "safety"
    EQUIPMENT = "equipment"
    SYSTEM = "system"


class Alarm(Model):
    """A condition that requires an operator's response in limited time.

    Attributes:
        id: Stable id.
        title: One line an operator understands.
        sensor: ``station/key``; ``*`` matches any run of characters.
        when: ``above``/``below``/``outside`` a limit; ``chart`` = a finding of the sensor's chart;
            ``stale`` = no data.
        limit: Limit in the sensor's unit (``above``, ``below``); for ``outside`` the half width
            around the target of the limits.
        rules: For ``chart``: the rules that count, for example ``rule1`` or ``hampel``; empty means
            ``rule1``, ``ewma``, ``cusum``, those of groups, ``anomaly``, ``noise`` and ``dpat``.
        deadband: The value must come back by this much before the alarm clears.
        on_delay_s: The condition must hold this long.
        off_delay_s: The condition must be gone this long.
        priority: See :class:`Priority`. P1 and P2 need cause, consequence and action.
        alarm_class: Who cares about it.
        latch: Stays until it is reset by a person.
        cause: Usual causes.
        consequence: What happens when nobody acts.
        action: What the operator does.
        respond_s: Time to respond.
        owner: Who answers for the rationalisation.
    """

    id: Ident
    title: str = ""
    sensor: str
    when: Literal["above", "below", "outside", "chart", "stale"]
    limit: float | None = None
    rules: list[str] = []
    deadband: Annotated[float, Field(ge=0)] = 0.0
    on_delay_s: Annotated[float, Field(ge=0)] = 0.0
    off_delay_s: Annotated[float, Field(ge=0)] = 0.0
    priority: Priority = Priority.P3
    alarm_class: AlarmClass = AlarmClass.QUALITY
    latch: bool = False
    cause: str = ""
    consequence: str = ""
    action: str = ""
    respond_s: Annotated[float, Field(gt=0)] = 600.0
    owner: str = ""


class Gate(Model):
    """A decision on a product: which characteristics must be there and inside their limits.

    Attributes:
        id: Gate id, for example ``G4``.
        product: Kind of product it decides on.
        needs: Control plan rows, metrics of the control plan or sensors that must be inside.
        title: What people call it.
    """

    id: str
    product: str
    needs: list[str]
    title: str = ""


class Mapping(Model):
    """Reads a foreign payload: one topic carries several values at named places.

    Attributes:
        topic: MQTT topic filter; ``+`` and ``#`` allowed. ``{1}``, ``{2}`` … in ``values`` stand
            for what each ``+`` matched.
        time: Path of the event time; empty means ``ts``, ``timestamp`` or ``time`` at the top,
            and without these the receive time.
        time_unit: Unit of a numeric time; ``auto`` tells seconds, ms, us and ns apart by size.
        seq: Path of the source's sequence number.
        quality: Path of the quality code.
        values: Sensor id (``station/key``) to path of its value.
        units: Sensor id to the unit the device sends, when it differs from the declared one.
    """

    topic: str
    time: str = ""
    time_unit: Literal["auto", "s", "ms", "us", "ns", "iso"] = "auto"
    seq: str = ""
    quality: str = ""
    values: dict[str, str]
    units: dict[str, str] = {}


class Device(Model):
    """An identity that may connect to the direct listener.

    Attributes:
        user: User name.
        password_file: File with the password or its argon2 hash; relative to the line description.
            Empty means that only a client certificate proves this identity.
        publish: Topic filters it may publish to.
        subscribe: Topic filters it may subscribe to, below ``twin/…/alarm/``.
    """

    user: str
    password_file: str = ""
    publish: list[str] = ["#"]
    subscribe: list[str] = ["twin/+/+/+/alarm/#"]


class Listener(Model):
    """The direct MQTT listener.

    Attributes:
        enabled: Whether it listens.
        host: Address; anything but loopback needs identities.
        port: TCP port; 0 takes a free one.
        anonymous: Whether clients without a user name may connect (loopback only).
        max_packet_bytes: Largest packet accepted.
        receive_maximum: QoS 1 and 2 messages a device may have in flight.
        max_connections: Connections accepted at the same time.
        keepalive_max_s: Longest keep-alive a client may ask for.
        cert_file: Certificate of the listener (PEM, with its chain); empty means no TLS.
        key_file: Private key of the certificate; empty when it is in the same file.
        client_ca_file: CA of client certificates; the common name of one is its user name.
        device: Identities.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 1883
    anonymous: bool = True
    max_packet_bytes: Annotated[int, Field(ge=1024, le=16_777_216)] = 262_144
    receive_maximum: Annotated[int, Field(ge=1, le=65535)] = 1000
    max_connections: Annotated[int, Field(ge=1)] = 1000
    keepalive_max_s: Annotated[int, Field(ge=1, le=65535)] = 3600
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    device: list[Device] = []


class Broker(Model):
    """An external MQTT 5 broker to take data from.

    Attributes:
        id: Name of the source.
        host: Broker address.
        port: Broker port.
        client_id: Stable client id; empty means ``<site>-<line>-ingest``.
        user: User name; empty for none.
        password_file: File that holds the password.
        tls: Whether to use TLS.
        ca_file: CA certificate; empty means the system's.
        topics: Explicit topic filters; a bare ``#`` is refused.
        session_expiry_s: How long the broker keeps the session while linetwin is away.
        receive_maximum: Messages in flight.
        keepalive_s: Keep-alive.
        max_packet_bytes: Largest packet accepted.
    """

    id: Ident = "broker"
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    client_id: str = ""
    user: str = ""
    password_file: str = ""
    tls: bool = False
    ca_file: str = ""
    topics: list[str] = []
    session_expiry_s: Annotated[int, Field(ge=0)] = 604_800
    receive_maximum: Annotated[int, Field(ge=1, le=65535)] = 1000
    keepalive_s: Annotated[int, Field(ge=5, le=65535)] = 20
    max_packet_bytes: Annotated[int, Field(ge=1024)] = 262_144


class Sparkplug(Model):
    """How Sparkplug B nodes are followed.

    Attributes:
        rebirth: Whether a node may be asked for its birth certificate; the only thing linetwin
            ever sends towards machines.
        reorder_timeout_s: How long a missing message may still arrive before a rebirth is asked
            for; longer where several brokers or bridges stand in between.
        rebirth_interval_s: Shortest time between two rebirth requests to one node.
        rebirth_max_age_s: An older request is not sent: the past must not command devices.
        max_metrics: Metrics accepted in one DATA message.
        max_birth_metrics: Metrics accepted in one BIRTH message.
        max_nodes: Edge nodes followed at the same time.
    """

    rebirth: bool = True
    reorder_timeout_s: Annotated[float, Field(ge=0, le=3600)] = 2.0
    rebirth_interval_s: Annotated[float, Field(ge=1, le=86400)] = 30.0
    rebirth_max_age_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    max_metrics: Annotated[int, Field(ge=1, le=100_000)] = 500
    max_birth_metrics: Annotated[int, Field(ge=1, le=100_000)] = 5000
    max_nodes: Annotated[int, Field(ge=1, le=100_000)] = 1000


class Chemistry(Model):
    """What the products are made of; used by models and shown on the board.

    Attributes:
        recipe: Recipe the line runs.
        description: One line about it.
    """

    recipe: str = ""
    description: str = ""


class LineHead(Model):
    """Name and general settings of the line.

    Attributes:
        site: First id of the topic tree.
        name: The line's id.
        title: What people call it.
        simulated: Everything shown says *simulated*.
        timezone: IANA zone of recordings without one, for example ``Europe/Berlin``.
        topic: Topic pattern of sensors without a topic of their own; ``{site} {area} {line}
            {station} {key}`` are filled in.
        control_plan: CSV with control plan rows, relative to this file.
        recipe: Recipe the line runs when products do not say another one.
        baselines: File with the baselines of the line's charts, relative to this file.
        future_s: Event times further ahead of the receive time are replaced by it.
        too_old_s: Older event times are refused; None (in a file ``"none"``) accepts any age.
        journal_days: Age after which closed journal segments are deleted, never past a cursor.
        journal_gib: Size after which the oldest closed segments are deleted.
        history_days: Age after which samples leave the history.
    """

    site: Ident = "site"
    name: Ident = "line1"
    title: str = ""
    simulated: bool = False
    timezone: str = "UTC"
    topic: str = "twin/v1/{site}/{area}/{line}/{station}/{key}"
    control_plan: str = ""
    recipe: str = ""
    baselines: str = ""
    future_s: Annotated[float, Field(ge=0)] = 60.0
    too_old_s: Annotated[float, Field(gt=0)] | None = 604_800.0
    journal_days: Annotated[float, Field(gt=0)] = 7.0
    journal_gib: Annotated[float, Field(gt=0)] = 50.0
    history_days: Annotated[float, Field(gt=0)] = 365.0

    _word = field_validator("too_old_s", mode="before")(_none)


class Line(Model):
    """A whole line description, valid in itself."""

    line: LineHead = LineHead()
    chemistry: Chemistry = Chemistry()
    listener: Listener = Listener()
    broker: list[Broker] = []
    sparkplug: Sparkplug = Sparkplug()
    zone: list[Zone] = []
    detection: Detection = Detection()
    rule_set: list[RuleSetRow] = []
    station: list[Station] = []
    group: list[Group] = []
    channel: list[Channel] = []
    mapping: list[Mapping] = []
    alarm: list[Alarm] = []
    gate: list[Gate] = []
