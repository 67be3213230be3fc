"""The pipeline is a function of the journal: how it is cut, or stopped and resumed, changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.conftest import T0
from tests.e2e.streams import bench
from twin.config import parse
from twin.engine.pipeline import Pipeline
from twin.ingest.sparkplug_encode import encode
from twin.ingest.sparkplug_wire import DataType, Metric, Payload
from twin.model.event import line_of, plain
from twin.model.message import Entries, Flag, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twin.engine.pipeline import Output

NS = 1_000_000_000
MIXED = """
[line]
site = "s"
name = "l"
topic = "{station}/{key}"
too_old_s = 3600

[[alarm]]
id = "thick"
sensor = "calender/gauge"
when = "above"
limit = 60
deadband = 2
on_delay_s = 2
off_delay_s = 1

[[alarm]]
id = "chart"
sensor = "calender/*"
when = "chart"
latch = true

[[alarm]]
id = "silent"
sensor = "calender/*"
when = "stale"

[[station]]
id = "calender"
product = "coil"
encoder = "metre"
[[station.sensor]]
key = "metre"
unit = "m"
role = "counter"
period_s = 1
range = [0, 1000]
[[station.sensor]]
key = "gauge"
unit = "um"
period_s = 1
range = [0, 100]
operating = [30, 70]
spike = 8
stuck_s = 4
rate_per_s = 30
offset_m = 2
chart = { centre = 50, sigma = 1, ewma_lambda = 0.2, cusum_k = 0.5, hampel_window = 7 }
[[station.sensor]]
key = "left"
topic = "plc/all"
path = "data.load[0].value"
unit = "kN"
period_s = 1
chart = { centre = 50, sigma = 1, rules = "nelson" }
[[station.sensor]]
key = "right"
topic = "plc/all"
path = "data.load[1].value"
unit = "kN"
period_s = 1
[[station.sensor]]
key = "oven"
sparkplug = "g/gw:load"
unit = "kN"
period_s = 1
chart = { centre = 50, sigma = 1 }

[[station]]
id = "formation"
product = "cell"
[[station.sensor]]
key = "c{n}_voltage"
unit = "V"
role = "follows_setpoint"
period_s = 5
each = { n = "1..2" }
[[station.sensor]]
key = "c{n}_current"
unit = "A"
role = "follows_setpoint"
period_s = 5
each = { n = "1..2" }
[[channel]]
station = "formation"
id = "c{n}"
voltage = "c{n}_voltage"
current = "c{n}_current"
rest_current_a = 0.005
each = { n = "1..2" }
"""

BENCH_LINE = parse({"line.toml": bench(4)})
MIXED_LINE = parse({"line.toml": MIXED})

VALUES = st.sampled_from([50.0, 50.3, 49.5, 52.5, 53.5, 46.0, 61.0, 66.0, 58.5, 150.0, -3.0])
PAUSES = st.sampled_from([0, 0, 0, 1_000_000, 200_000_000, NS, NS, 2 * NS, 7 * NS, 70 * NS])
NUMBER = st.integers(0, 7)
Message = tuple[str, bytes, int]
"""Topic, payload, flags."""


class Script:
    """Turns drawn steps into journal entries with times that only rise."""

    def __init__(self) -> None:
        self.now = T0 * NS
        self.rows: list[tuple[Kind, str, str, bytes, int, int]] = []
        self._seq = 0

    def __repr__(self) -> str:
        return "\n".join(map(str, self.rows))

    def message(self, name: str, payload: bytes, flags: int = 0) -> None:
        """A message from one of three sources."""
        source = f"mqtt:{len(self.rows) % 3}"
        self.rows.append((Kind.MESSAGE, source, name, payload, self.now, flags))

    def value(self, name: str, value: Any, at: float = 0.0, **more: Any) -> None:
        """One sample, ``at`` seconds after now."""
        body = {"ts": self.now / NS + at, "value": value, **more}
        self.message(name, json.dumps(body).encode())

    def control(self, kind: Kind, body: dict[str, Any] | None = None) -> None:
        """A control entry."""
        payload = b"" if body is None else json.dumps(body).encode()
        self.rows.append((kind, "linetwin", "", payload, self.now, 0))

    def spark(self, kind: str, value: float) -> None:
        """A Sparkplug birth, its data in order or out of it, a death."""
        stamp = self.now // 1_000_000
        self._seq = 0 if kind == "NBIRTH" else (self._seq + 1) % 256
        metrics = [Metric(alias=1, timestamp=stamp, value=value)]
        if kind == "NBIRTH":
            double = int(DataType.DOUBLE)
            metrics = [
                Metric(name="bdSeq", timestamp=stamp, datatype=4, value=1),
                Metric(name="load", alias=1, timestamp=stamp, datatype=double, value=value),
            ]
        elif kind == "NDEATH":
            metrics = [Metric(name="bdSeq", timestamp=stamp, datatype=4, value=1)]
        payload = encode(Payload(timestamp=stamp, seq=self._seq, metrics=metrics))
        self.message(f"spBv1.0/g/{kind}/gw", payload)

    def skip_spark(self) -> None:
        """A Sparkplug message was lost on the way."""
        self._seq += 1


def general(script: Script, what: str, number: int, value: float, gauge: str) -> None:
    """Steps any line takes: a sample in many conditions, and control entries."""
    match what:
        case "sample":
            script.value(gauge, value, seq=len(script.rows))
        case "late":
            script.value(gauge, value, -3.0 * number)
        case "ahead":
            script.value(gauge, value, 10.0**number)
        case "again" if script.rows:
            _, _, name, payload, _, _ = script.rows[-1]
            script.message(name or gauge, payload, int(Flag.DUP))
        case "burst":
            for n in range(12):
                script.now += NS
                script.value(gauge, value if value < 60 else 50.2 + 0.1 * n)
        case "wrong":
            wrong = [b"{", b"[]", b'{"ts":1}', b'{"value":"x"}', b"NaN", b"7", b"\xff", b""]
            script.message(gauge, wrong[number])
        case "unit":
            script.value(gauge, value, unit=["um", "mm", "kN", "?"][number % 4])
        case "bad":
            script.value(gauge, None if number % 2 else value, q=[0, 64, 192][number % 3])
        case "unknown":
            script.value(f"somewhere/else{number}", value)
        case "retained":
            script.message(gauge, b'{"ts":1,"value":1}', int(Flag.RETAIN))
        case "tick":
            script.control(Kind.TICK)
        case "source":
            state = "lost" if number % 2 else "back"
            script.control(Kind.SOURCE, {"source": "mqtt:1", "state": state, "detail": ""})
        case "clock":
            script.control(Kind.CLOCK, {"jump_ns": 5})


def mixed(script: Script, what: str, number: int, value: float) -> None:
    """Steps of the line with products, nested documents, Sparkplug and formation."""
    match what:
        case "metre":
            script.value("calender/metre", script.now / NS - T0)
        case "nested":
            body = {"ts": script.now / NS, "data": {"load": [{"value": value}, {"value": number}]}}
            script.message("plc/all", json.dumps(body).encode())
        case "product":
            op = ["start", "end", "position", "transform"][number % 4]
            body = {
                "op": op,
                "id": f"coil{number // 2}",
                "parents": ["coil0"] if number > 5 else [],
            }
            script.message("calender/product", json.dumps(body).encode())
        case "birth":
            script.spark("NBIRTH", value)
        case "data":
            script.spark("NDATA", value)
        case "lost":
            script.skip_spark()
        case "death":
            script.spark("NDEATH", value)
        case "cycler":
            for n in range(4):
                script.now += 5 * NS
                current = [0.5, 0.5, -0.5, 0.0][(number + n // 2) % 4]
                volt, amp = f"c{1 + number % 2}_voltage", f"c{1 + number % 2}_current"
                row = {"ts": script.now / NS, volt: 3 + value / 100 + n / 100, amp: current}
                script.message("formation/row", json.dumps(row).encode())


GENERAL = ["sample", "sample", "late", "ahead", "again", "burst", "wrong", "unit", "bad"]
GENERAL += ["unknown", "retained", "tick", "source", "clock"]
MIXED_STEPS = ["metre", "nested", "product", "birth", "data", "data", "lost", "death", "cycler"]


@st.composite
def journals(draw: st.DrawFn, names: Sequence[str], gauges: Sequence[str]) -> Script:
    """A journal of some hundred entries."""
    script = Script()
    steps = st.tuples(st.sampled_from(names), NUMBER, VALUES, PAUSES)
    for what, number, value, pause in draw(st.lists(steps, min_size=1, max_size=60)):
        script.now += pause
        if what in MIXED_STEPS:
            mixed(script, what, number, value)
        else:
            general(script, what, number, value, gauges[number % len(gauges)])
    return script


def runs(script: Script, cuts: set[int]) -> list[Entries]:
    """The journal as runs of one kind, cut at ``cuts`` as well."""
    found: list[Entries] = []
    for i, (kind, source, name, payload, recv_ns, flags) in enumerate(script.rows):
        if not found or found[-1].kind is not kind or i in cuts:
            found.append(Entries(i + 1, kind, [], [], [], [], []))
        run = found[-1]
        run.sources.append(source)
        run.topics.append(name)
        run.payloads.append(payload)
        run.recv_ns.append(recv_ns)
        run.flags.append(flags)
    return found


def told(outputs: list[Output]) -> dict[str, Any]:
    """Everything a run gave, in comparable form."""
    batches = [batch for out in outputs for batch in out.batches]
    columns = ("sensor", "time_ns", "value", "quality", "marks", "seq", "product", "place")
    return {
        "events": [line_of(event) for out in outputs for event in out.events],
        "letters": [letter for out in outputs for letter in out.letters],
        "rebirths": [pair for out in outputs for pair in out.rebirths],
        "samples": {
            name: np.concatenate([np.zeros(0), *(getattr(b, name) for b in batches)]).tobytes()
            for name in columns
        },
    }


def packed(pipeline: Pipeline) -> bytes:
    """The snapshot as it is stored."""
    return msgspec.msgpack.encode(pipeline.snapshot(), enc_hook=plain)


def judged(line: Any, journal: list[Entries], stops: set[int]) -> tuple[dict[str, Any], bytes]:
    """Run a journal; before the runs in ``stops`` the pipeline is stored and made anew."""
    pipeline, outputs = Pipeline(line), []
    for number, entries in enumerate(journal):
        if number in stops:
            state = packed(pipeline)
            pipeline = Pipeline(line)
            pipeline.restore(msgspec.msgpack.decode(state))
        outputs.append(pipeline.feed(entries))
    ingest = pipeline.ingest
    assert ingest.received == ingest.stored + sum(ingest.dead.counts.values())
    return told(outputs), packed(pipeline)


def check(line: Any, script: Script, cuts: set[int], stops: set[int]) -> None:
    """Whole, cut everywhere, cut somewhere, and resumed: all the same."""
    whole, snapshot = judged(line, runs(script, set()), set())
    for places, halts in (
        (set(range(len(script.rows))), set()),
        (cuts, set()),
        (cuts, stops),
    ):
        again, state = judged(line, runs(script, places), halts)
        for name, value in whole.items():
            assert again[name] == value
        assert state == snapshot


PLACES = st.sets(st.integers(0, 200), max_size=12)


@settings(max_examples=60)
@given(
    script=journals(GENERAL, [f"bench/line1/calender/s{n}" for n in range(4)]),
    cuts=PLACES,
    stops=PLACES,
)
def test_bench_line(script: Script, cuts: set[int], stops: set[int]) -> None:
    """Events, dead letters, samples and state of charts do not depend on the cut."""
    check(BENCH_LINE, script, cuts, stops)


@settings(max_examples=60)
@given(
    script=journals([*GENERAL, *MIXED_STEPS, *MIXED_STEPS], ["calender/gauge"]),
    cuts=PLACES,
    stops=PLACES,
)
def test_mixed_line(script: Script, cuts: set[int], stops: set[int]) -> None:
    """Neither do those of products, nested documents, Sparkplug, alarms and formation."""
    check(MIXED_LINE, script, cuts, stops)


@pytest.mark.parametrize("line", [BENCH_LINE, MIXED_LINE], ids=["bench", "mixed"])
def test_a_journal_that_says_something(line: Any) -> None:
    """The steps above do make findings, alarms, products, steps of formation and dead letters."""
    script = Script()
    gauge = "calender/gauge" if line is MIXED_LINE else "bench/line1/calender/s0"
    for value in (50.0, 53.5, 46.0):
        general(script, "burst", 0, value, gauge)
    for what in GENERAL:
        for number in range(8):
            script.now += NS
            general(script, what, number, 66.0, gauge)
    kinds = {"finding", "finding_closed", "alarm", "alarm_cleared", "stale", "source"}
    if line is MIXED_LINE:
        for number in range(8):
            for what in MIXED_STEPS:
                script.now += NS
                mixed(script, what, number, 50.0)
        kinds |= {"validity", "product", "formation_step", "system_alarm"}
    script.now += 100 * NS
    script.control(Kind.TICK)
    check(line, script, {5, 17, 60}, {2, 3})
    found = {
        json.loads(row)["type"] for row in judged(line, runs(script, set()), set())[0]["events"]
    }
    assert kinds <= found
