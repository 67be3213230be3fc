"""The line description: what ``line.toml`` may say, as data.

Reading the file (with line numbers for every problem) is ``twin.config``; this module only says
what a valid line *is*. Units are UCUM codes. Times are seconds, lengths metres, unless the key
names another unit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

__all__ = [
    "Alarm",
    "AlarmClass",
    "Broker",
    "Channel",
    "Chart",
    "Chemistry",
    "Device",
    "Gate",
    "Ident",
    "Limits",
    "Line",
    "LineHead",
    "Listener",
    "Mapping",
    "Priority",
    "Role",
    "Sampling",
    "Sensor",
    "Sparkplug",
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


class Chart(Model):
    """A control chart with frozen limits (phase II).

    Attributes:
        centre: Centre line, unit of the sensor.
        sigma: Standard deviation of the plotted point, unit of the sensor, > 0.
        rules: Name of a rule set; None (in a file ``"none"``) plots without run rules.
        ewma_lambda: Weight of the newest point, 0 < lambda <= 1; None for no EWMA.
        ewma_l: Limit in standard deviations of the EWMA.
        cusum_k: Reference value in sigma; None for no CUSUM.
        cusum_h: Decision limit in sigma.
        hampel_window: Number of samples of the Hampel window, odd, >= 5; None for no Hampel test.
        hampel_t: Threshold in robust standard deviations.
        max_gap_s: A longer hole clears rule memory; None means five periods.
        baseline: Name and version of the approved baseline the limits come from.
        recipe: Recipe the limits belong to; empty for all.
    """

    centre: float
    sigma: Annotated[float, Field(gt=0)]
    rules: str | None = "western_electric"
    ewma_lambda: Annotated[float, Field(gt=0, le=1)] | None = None
    ewma_l: Annotated[float, Field(gt=0)] = 2.962
    cusum_k: Annotated[float, Field(gt=0)] | None = None
    cusum_h: Annotated[float, Field(gt=0)] = 5.0
    hampel_window: Annotated[int, Field(ge=5, le=501)] | None = None
    hampel_t: Annotated[float, Field(gt=0)] = 3.5
    max_gap_s: Annotated[float, Field(gt=0)] | None = None
    baseline: str = ""
    recipe: str = ""

    _word = field_validator("rules", mode="before")(_none)


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
        sensor: Its sensors.
    """

    id: Ident
    area: Ident = "line"
    title: str = ""
    product: str = ""
    encoder: str = ""
    zone: str = ""
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
        each: Repeats the row, as for sensors.
    """

    station: Ident
    id: str
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
        rules: For ``chart``: the rules that count, of ``rule1`` … ``rule8``, ``r4s``, ``ewma``,
            ``cusum``, ``hampel``; empty means ``rule1``, ``ewma`` and ``cusum``.
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
    station: list[Station] = []
    channel: list[Channel] = []
    mapping: list[Mapping] = []
    alarm: list[Alarm] = []
    gate: list[Gate] = []
