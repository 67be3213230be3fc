"""The Sparkplug host: births, data, losses and deaths of edge nodes."""

from __future__ import annotations

import base64
import hashlib
import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import StateError
from twin.ingest import sparkplug_resolve, sparkplug_scan
from twin.ingest.sparkplug import SparkplugHost, SparkplugSettings, warm
from twin.ingest.sparkplug_encode import encode
from twin.ingest.sparkplug_wire import DataType, Limits, Metric, Payload, decode
from twin.model.batch import BAD, GOOD, UNCERTAIN, Mark
from twin.model.message import Reason

S = 1_000_000_000
T0 = 1_750_000_000_000
DOUBLE = int(DataType.DOUBLE)


def topic(kind, device="", node="gw", group="g"):
    """A Sparkplug topic."""
    return f"spBv1.0/{group}/{kind}/{node}" + (f"/{device}" if device else "")


def birth(*metrics, seq=0, bd_seq=1, timestamp=T0):
    """A birth; every metric gets the time of the payload."""
    session = [Metric(name="bdSeq", timestamp=timestamp, datatype=4, value=bd_seq)]
    for metric in metrics:
        metric.timestamp = metric.timestamp or timestamp
    listed = [*session, *metrics] if bd_seq is not None else list(metrics)
    return encode(Payload(timestamp=timestamp, seq=seq, metrics=listed))


def load(value=1.0, name="load", alias=1, **more):
    """A Double metric of a birth."""
    return Metric(name=name, alias=alias, datatype=DOUBLE, value=value, **more)


def data(seq, *metrics, timestamp=T0 + 1000):
    """A DATA payload; metrics without a time get that of the payload."""
    for metric in metrics:
        metric.timestamp = metric.timestamp or timestamp
    return encode(Payload(timestamp=timestamp, seq=seq, metrics=list(metrics)))


def value(number=2.0, alias=1, **more):
    """A metric of DATA by alias."""
    return Metric(alias=alias, value=number, **more)


@pytest.fixture
def host():
    """A host that knows node g/gw with the metric ``load``."""
    host = SparkplugHost()
    host.handle(topic("NBIRTH"), birth(load()), 0)
    return host


def codes(outcome):
    """Codes of the findings."""
    return [code for code, _ in outcome.findings]


# -- published vectors ---------------------------------------------------------------------------


@pytest.fixture
def vectors(recordings):
    """The published payloads and scenarios."""
    path = recordings / "sparkplug" / "payload_vectors.json"
    if hashlib.sha256(path.read_bytes()).hexdigest()[:16] != "4539bda5076aec93":
        pytest.skip("recording differs")
    return json.loads(path.read_text())


@pytest.fixture
def payloads(vectors):
    """Name to payload."""
    return {v["name"]: base64.b64decode(v["base64"]) for v in vectors["vectors"]}


def test_all_vectors_give_exactly_the_expected_findings(vectors, payloads):
    """Each payload, seen after a birth without fault, shows the breaches it holds and no other."""
    for vector in vectors["vectors"]:
        host, kind = SparkplugHost(), vector["message_type"]
        if kind != "NBIRTH":
            seq = (vector["decoded"]["seq"] - 1) % 256
            host.handle(topic("NBIRTH"), birth(load(alias=100), seq=seq, bd_seq=0), 0)
        outcome = host.handle(topic(kind), payloads[vector["name"]], S)

        assert sorted(vector["expected_findings"]) == sorted(codes(outcome)), vector["name"]


def test_all_vectors_decode_to_the_published_facts(vectors, payloads):
    """Times, numbers, aliases, types and values are those of the description."""
    for vector in vectors["vectors"]:
        facts, payload = vector["decoded"], decode(payloads[vector["name"]])
        assert vector["payload_bytes"] == len(payloads[vector["name"]])
        assert (facts["timestamp_ms"], facts["seq"]) == (payload.timestamp, payload.seq)
        assert facts["metric_count"] == len(payload.metrics)
        listed = facts.get("metrics") or facts["metrics_head"]
        for expected, metric in zip(listed, payload.metrics, strict=False):
            found = (metric.name, metric.alias, metric.datatype, metric.value)
            assert (
                expected.get("name"),
                expected["alias"],
                expected["datatype"],
                expected["value"],
            ) == found
        if "metrics_last" in facts:
            rule = [(f"Metric_{k}", k, DOUBLE, 1.5 * k) for k in range(1, 101)]
            read = [(m.name, m.alias, m.datatype, m.value) for m in payload.metrics[2:]]
            assert rule == read


def play(payloads, names, host=None):
    """Outcomes of vectors, one second apart."""
    host = host or SparkplugHost()
    kinds = [name.split("_")[0] for name in names]
    return host, [
        host.handle(topic(kind), payloads[name], i * S)
        for i, (kind, name) in enumerate(zip(kinds, names, strict=True), start=1)
    ]


def test_scenario_birth_then_data(payloads):
    """Data after a birth resolve by alias, without gap or rebirth."""
    host, outcomes = play(payloads, ["NBIRTH_V1", "NDATA_V1"])

    sample = outcomes[1].samples[0]
    assert (sample.name, sample.value, sample.quality) == ("g/gw:Temperature", 22.5, GOOD)
    assert sample.time_ns == 1_750_855_643_474_000_000
    assert all(not (o.gap or o.rebirth) for o in outcomes)
    assert host.due_ns() is None


def test_scenario_gap(payloads):
    """Numbers 2, 3, 4 are missing; exactly one rebirth is asked for when waiting is over."""
    host, outcomes = play(payloads, ["NBIRTH_V1", "NDATA_V1", "NDATA_GAP"])

    assert outcomes[2].gap == ["g/gw"]
    assert dict(outcomes[2].findings)["seq_gap"]["missing"] == [2, 3, 4]
    assert outcomes[2].rebirth == []
    assert host.due_ns() == 5 * S
    assert host.tick(5 * S - 1).rebirth == []
    assert host.tick(5 * S).rebirth == [("g", "gw")]
    assert host.tick(500 * S).rebirth == []


def test_scenario_data_before_birth(payloads):
    """Data of an unknown node are refused, and one rebirth is asked for."""
    _, (outcome, second) = play(payloads, ["NDATA_BEFORE_BIRTH", "NDATA_BEFORE_BIRTH"])

    assert outcome.samples == []
    assert dict(outcome.findings)["unknown_alias"]["aliases"] == [100]
    assert [reason for reason, _ in outcome.refused] == [Reason.UNKNOWN_TAG]
    assert (outcome.rebirth, second.rebirth) == ([("g", "gw")], [])


def test_scenario_wrap(payloads):
    """After 255 comes 0, which is a number like any other."""
    host, _ = play(payloads, ["NBIRTH_V1"])
    for seq in range(1, 256):
        assert "seq_gap" not in codes(host.handle(topic("NDATA"), data(seq, value(alias=100)), S))
    last = host.handle(topic("NDATA"), payloads["NDATA_WRAPAROUND"], S)

    assert [(s.name, s.value) for s in last.samples] == [("g/gw:Temperature", 30.0)]
    assert last.gap == []


def test_scenario_stale_death(payloads):
    """A death of another session is ignored."""
    host, outcomes = play(payloads, ["NBIRTH_V1", "NDATA_V1", "NDEATH_V1"])

    assert outcomes[2].stale == []
    detail = dict(outcomes[2].findings)["stale_death"]
    assert (detail["bd_seq"], detail["birth_bd_seq"]) == (0, 88)
    after = host.handle(topic("NDATA"), data(2, value(alias=100)), 4 * S)
    assert len(after.samples) == 1
    assert after.findings == []


def test_a_shared_alias_is_refused_and_names_stay(payloads):
    """Of the 102 metrics all names work; the aliases 1 and 2 resolve to nothing."""
    host, (born,) = play(payloads, ["NBIRTH_LARGE"])
    by_alias = host.handle(topic("NDATA"), data(1, value(alias=1), value(alias=3)), S)
    by_name = host.handle(topic("NDATA"), data(2, Metric(name="Metric_1", value=9.0)), S)

    assert (len(born.ids), born.ignored) == (100, 2)
    assert [(s.name, s.value) for s in by_alias.samples] == [("g/gw:Metric_3", 2.0)]
    assert [reason for reason, _ in by_alias.refused] == [Reason.SCHEMA]
    assert by_alias.rebirth == []
    assert [(s.name, s.value) for s in by_name.samples] == [("g/gw:Metric_1", 9.0)]


# -- numbers -------------------------------------------------------------------------------------


def test_late_numbers_stop_the_timer(host):
    """When what was missing arrives in time, no rebirth is asked for."""
    host.handle(topic("NDATA"), data(3, value()), S)
    assert host.due_ns() == 3 * S
    host.handle(topic("NDATA"), data(1, value()), S)
    late = host.handle(topic("NDATA"), data(2, value()), S)

    assert codes(late) == ["seq_late"]
    assert len(late.samples) == 1
    assert host.due_ns() is None


def test_messages_move_the_time_like_ticks(host):
    """A rebirth that is due is asked for by the next message, whether or not a tick came first."""
    host.handle(topic("NDATA"), data(3, value()), S)
    outcome = host.handle(topic("NDATA"), data(4, value()), 4 * S)

    assert outcome.rebirth == [("g", "gw")]
    assert dict(outcome.findings)["seq_lost"]["missing"] == [1, 2]


def test_rebirth_requests_are_rate_limited_and_not_forgotten(host):
    """A second loss within 30 s asks when the 30 s are over; a birth in between makes it void."""
    host.handle(topic("NDATA"), data(2, value()), S)
    assert host.tick(3 * S).rebirth == [("g", "gw")]
    host.handle(topic("NDATA"), data(4, value()), 4 * S)
    assert host.tick(6 * S).rebirth == []
    assert host.due_ns() == 33 * S
    assert host.tick(33 * S).rebirth == [("g", "gw")]

    host.handle(topic("NDATA"), data(6, value()), 34 * S)
    host.handle(topic("NBIRTH"), birth(load()), 35 * S)
    assert host.due_ns() is None


def test_data_before_birth_ask_again_only_after_the_rate_limit():
    """A silent node is asked every 30 s while it goes on sending, not once per message."""
    host = SparkplugHost()
    asked = [s for s in range(95) if host.handle(topic("NDATA"), data(s, value()), s * S).rebirth]
    assert asked == [0, 30, 60, 90]


def test_no_patience_asks_at_once():
    """With a reorder time of zero the request goes out with the gap."""
    host = SparkplugHost(SparkplugSettings(reorder_ns=0))
    host.handle(topic("NBIRTH"), birth(load()), 0)

    assert host.handle(topic("NDATA"), data(2, value()), S).rebirth == [("g", "gw")]


def test_one_count_runs_over_node_and_devices(host):
    """Node and device messages share the counter; deaths of devices count, of nodes do not."""
    steps = [
        ("DBIRTH", "d1", birth(load(alias=2), seq=1, bd_seq=None)),
        ("NDATA", "", data(2, value())),
        ("DDATA", "d1", data(3, value(alias=2))),
        ("DDEATH", "d1", data(4)),
        ("NDATA", "", data(5, value())),
    ]
    outcomes = [host.handle(topic(kind, device), body, S) for kind, device, body in steps]

    assert [outcome.findings for outcome in outcomes] == [[]] * 5
    assert [s.name for s in outcomes[2].samples] == ["g/gw/d1:load"]
    assert (outcomes[3].stale, outcomes[3].gap) == (["g/gw/d1"], ["g/gw/d1"])


def test_an_undecodable_message_takes_one_number(host):
    """Damage in the middle is refused with its reason and leaves no gap behind."""
    broken = host.handle(topic("NDATA"), b"\x12\xff", S)
    after = host.handle(topic("NDATA"), data(2, value()), S)

    assert [reason for reason, _ in broken.refused] == [Reason.DECODE]
    assert (after.gap, after.findings) == ([], [])


def test_a_dropped_zero_is_read_as_zero(host):
    """Where 0 is due, a message without a number is that zero, told once per session."""
    host.handle(topic("NBIRTH"), birth(load(), seq=255), S)
    silent = encode(Payload(timestamp=T0, metrics=[value(timestamp=T0)]))
    first = host.handle(topic("NDATA"), silent, S)
    second = host.handle(topic("NDATA"), data(1, value()), S)

    assert first.findings == [("seq_missing", {"node": "g/gw", "read_as": 0})]
    assert second.findings == []


# -- births and deaths ---------------------------------------------------------------------------


def test_a_new_birth_drops_the_old_table(host):
    """After a birth only its own aliases resolve, also for devices."""
    host.handle(topic("DBIRTH", "d1"), birth(load(alias=2), seq=1, bd_seq=None), S)
    host.handle(topic("NBIRTH"), birth(load(name="gap", alias=7)), S)
    old = host.handle(topic("NDATA"), data(1, value(alias=1), value(alias=7)), S)
    device = host.handle(topic("DDATA", "d1"), data(2, value(alias=2)), S)

    assert [s.name for s in old.samples] == ["g/gw:gap"]
    assert old.rebirth == [("g", "gw")]
    assert device.samples == []


def test_a_death_of_the_session_makes_everything_stale(host):
    """Node and devices go offline; later data need a birth."""
    host.handle(topic("DBIRTH", "d1"), birth(load(alias=2), seq=1, bd_seq=None), S)
    will = encode(Payload(metrics=[Metric(name="bdSeq", timestamp=T0, datatype=8, value=1)]))
    death = host.handle(topic("NDEATH"), will, S)
    after = host.handle(topic("NDATA"), data(2, value()), S)

    assert (death.stale, death.gap) == (["g/gw", "g/gw/d1"], ["g/gw"])
    assert death.findings == []
    assert (after.samples, after.rebirth) == ([], [("g", "gw")])


def test_a_session_that_ends_unseen_leaves_a_gap(host):
    """A birth with another session number marks a gap; a rebirth of the same session does not."""
    assert host.handle(topic("NBIRTH"), birth(load(), seq=1), S).gap == []
    assert host.handle(topic("NBIRTH"), birth(load(), bd_seq=2), S).gap == ["g/gw"]


def test_an_unreadable_birth_ends_the_old_table(host):
    """Aliases of a birth that was replaced by an unreadable one must not resolve any more."""
    spoiled = host.handle(topic("NBIRTH"), b"\x12\xff", S)
    after = host.handle(topic("NDATA"), data(1, value()), S)

    assert spoiled.gap == ["g/gw"]
    assert (after.samples, after.rebirth) == ([], [("g", "gw")])


def test_an_alias_of_another_device_is_refused(host):
    """A device cannot speak for another device."""
    host.handle(topic("DBIRTH", "d1"), birth(load(alias=2), seq=1, bd_seq=None), S)
    outcome = host.handle(topic("DDATA", "d1"), data(2, value(alias=1)), S)

    assert outcome.samples == []
    assert "another device" in outcome.refused[0][1]


def test_names_that_come_twice_and_texts_are_reported():
    """The first of two equal names counts; texts are no samples and not refused either."""
    text = Metric(name="model", alias=3, datatype=int(DataType.STRING), value="x" * 5000)
    host = SparkplugHost()
    body = birth(load(), load(alias=2), text)
    outcome = host.handle(topic("NBIRTH"), body, S)

    assert {"duplicate_name", "not_numeric"} == set(codes(outcome))
    assert (
        len(outcome.ids),
        outcome.ignored,
        len(outcome.refused),
        outcome.metrics,
    ) == (1, 2, 1, 4)


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("datatype", "sent", "expected"),
    [
        (DataType.INT8, -2, -2.0),
        (DataType.INT32, -70000, -70000.0),
        (DataType.INT64, -(2**40), -float(2**40)),
        (DataType.UINT8, 255, 255.0),
        (DataType.UINT32, 2**32 - 1, float(2**32 - 1)),
        (DataType.UINT64, 2**64 - 1, float(2**64)),
        (DataType.FLOAT, -0.5, -0.5),
        (DataType.DOUBLE, 0.0, 0.0),
        (DataType.BOOLEAN, True, 1.0),
        (DataType.BOOLEAN, False, 0.0),
        (DataType.DATETIME, 1_750_855_643_474, 1_750_855_643_474.0),
    ],
)
def test_every_number_type_becomes_a_number(datatype, sent, expected):
    """Integers, floats, booleans and times are samples in BIRTH and in DATA by alias."""
    host = SparkplugHost()
    metric = Metric(name="x", alias=1, datatype=int(datatype), value=sent)
    body = birth(metric)
    born = host.handle(topic("NBIRTH"), body, S)
    # DATA leave the type out: only the birth can tell how to read the bits.
    bare = Metric(alias=1, kind=decode(body).metrics[1].kind, value=sent)
    again = host.handle(topic("NDATA"), data(1, bare), S)

    assert [expected] == born.values.tolist() == again.values.tolist()


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (Metric(alias=1, value=math.nan), Reason.NONFINITE),
        (Metric(alias=1, value=-math.inf), Reason.NONFINITE),
        (Metric(alias=1, value=5), Reason.SCHEMA),
        (Metric(alias=1, value=True), Reason.SCHEMA),
        (Metric(alias=1, value="text"), Reason.SCHEMA),
        (Metric(alias=1), Reason.SCHEMA),
        (Metric(alias=1, value=5, datatype=4), Reason.SCHEMA),
        (Metric(alias=9, value=1.0), Reason.UNKNOWN_TAG),
        (Metric(name="nobody", value=1.0), Reason.UNKNOWN_TAG),
        (Metric(alias=1, value=1.0, timestamp=2**63), Reason.TIME_FUTURE),
        (Metric(alias=2, value=300), Reason.SCHEMA),
    ],
)
def test_one_bad_metric_does_not_stop_the_others(metric, reason):
    """A metric that is wrong is refused with its reason; its neighbours are taken."""
    host = SparkplugHost()
    small = Metric(name="small", alias=2, datatype=int(DataType.UINT8), value=0)
    host.handle(topic("NBIRTH"), birth(load(), small), S)
    outcome = host.handle(topic("NDATA"), data(1, value(3.0), metric, value(4.0)), S)

    assert outcome.values.tolist() == [3.0, 4.0]
    assert [reason] == [r for r, _ in outcome.refused]
    assert outcome.metrics == 3


def test_null_is_a_bad_sample_and_transient_is_none(host):
    """is_null keeps the moment without a value; is_transient is not stored; history is marked."""
    null, transient = Metric(alias=1, is_null=True), value(is_transient=True)
    outcome = host.handle(topic("NDATA"), data(1, null, transient, value(is_historical=True)), S)

    assert outcome.qualities.tolist() == [BAD, GOOD]
    assert math.isnan(outcome.values[0])
    assert outcome.marks.tolist() == [0, Mark.HISTORICAL]
    assert outcome.ignored == 1


@pytest.mark.parametrize(
    ("code", "quality"),
    [(192, GOOD), (0, BAD), (500, UNCERTAIN), (64, UNCERTAIN), (216, GOOD), (24, BAD), (256, BAD)],
)
def test_the_quality_property_decides(host, code, quality):
    """Good, bad and stale arrive as GOOD, BAD and UNCERTAIN."""
    outcome = host.handle(topic("NDATA"), data(1, value(properties={"Quality": code})), S)

    assert [quality] == outcome.qualities.tolist()


def test_a_bad_value_may_be_not_a_number(host):
    """NaN is a sample only where the device itself calls it bad."""
    outcome = host.handle(topic("NDATA"), data(1, value(math.nan, properties={"Quality": 0})), S)

    assert outcome.qualities.tolist() == [BAD]
    assert np.isnan(outcome.values).all()


def test_the_unit_comes_from_the_birth_and_may_change():
    """Numbers of the table never change their meaning: another unit is another number."""
    host = SparkplugHost()
    host.handle(topic("NBIRTH"), birth(load(properties={"engUnit": "kN"})), S)
    first = host.handle(topic("NDATA"), data(1, value()), S)
    second = host.handle(topic("NDATA"), data(2, value(properties={"engUnit": "N"})), S)
    third = host.handle(topic("NDATA"), data(3, value()), S)

    assert [o.samples[0].unit for o in (first, second, third)] == ["kN", "N", "N"]
    assert [int(o.ids[0]) for o in (first, second, third)] == [0, 1, 1]


def test_times_fall_back_to_the_payload_and_then_to_the_arrival(host):
    """Own time first, payload time next; only the arrival is marked as substituted."""
    own = host.handle(topic("NDATA"), data(1, value(timestamp=T0 + 5)), S)
    payload = encode(Payload(timestamp=T0 + 6, seq=2, metrics=[value()]))
    none = encode(Payload(seq=3, metrics=[value()]))
    second, third = (host.handle(topic("NDATA"), body, 7 * S) for body in (payload, none))

    assert [int(own.times[0]), int(own.marks[0])] == [(T0 + 5) * 10**6, 0]
    assert [int(second.times[0]), int(second.marks[0])] == [(T0 + 6) * 10**6, 0]
    assert [int(third.times[0]), int(third.marks[0])] == [7 * S, Mark.TS_SUBSTITUTED]
    assert (codes(second), codes(third)) == (["metric_timestamp_missing"], [])
    assert host.counts() == {"g/gw": {"metric_timestamp_missing": 2}}


# -- topics and limits ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "spBv1.0/g/NDATA/n/d",
        "spBv1.0/g/DDATA/n",
        "spBv1.0/g/NFOO/n",
        "spBv1.0/g/NDATA",
        "spBv1.0//NDATA/n",
        "spAv1.0/g/NDATA/n",
        "spBv1.0/g/NDATA/n+",
        "spBv1.0/g/STATE/n",
        "spBv1.0/a/b/c/d/e",
        "",
    ],
)
def test_malformed_topics_are_refused_and_ask_for_nothing(name):
    """A topic against the rules is a refusal with a finding, and no reason for a rebirth."""
    outcome = SparkplugHost().handle(name, data(1, value()), S)

    assert codes(outcome) == ["malformed_topic"]
    assert [reason for reason, _ in outcome.refused] == [Reason.SCHEMA]
    assert outcome.rebirth == []


def test_commands_are_not_ours_and_states_are_read(host):
    """NCMD and DCMD are ignored without a word; STATE is JSON, and nonsense in it is refused."""
    for kind, device in (("NCMD", ""), ("DCMD", "d1")):
        assert host.handle(topic(kind, device), b"\xff", S).refused == []
    state = host.handle("spBv1.0/STATE/scada", b'{"online":true,"timestamp":12}', S)
    broken = host.handle("spBv1.0/STATE/scada", b"ONLINE", S)

    assert state.state == ("scada", True, 12)
    assert [reason for reason, _ in broken.refused] == [Reason.SCHEMA]


def test_nodes_and_metrics_are_bounded():
    """What exceeds the limits is refused as cardinality, the rest works."""
    limits = SparkplugSettings(max_nodes=1, max_metrics=2, limits=Limits(metrics=3))
    host = SparkplugHost(limits)
    three = [load(name=f"m{i}", alias=i) for i in range(3)]
    born = host.handle(topic("NBIRTH"), birth(*three), S)
    other = host.handle(topic("NBIRTH", node="gw2"), birth(load()), S)
    many = host.handle(topic("NDATA"), data(1, *(value() for _ in range(4))), S)

    assert (len(born.ids), [r for r, _ in born.refused]) == (2, [Reason.CARDINALITY])
    assert [r for r, _ in other.refused] == [Reason.CARDINALITY]
    assert [r for r, _ in many.refused] == [Reason.OVERSIZE]


# -- determinism ---------------------------------------------------------------------------------


@st.composite
def traffic(draw):
    """Messages of two nodes with losses, births, deaths, garbage and pauses."""
    kinds = ["data", "data", "data", "skip", "birth", "dbirth", "ddata", "death", "junk", "tick"]
    steps, seq, now = [], {"a": 0, "b": 0}, 0
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=40)):
        node = draw(st.sampled_from("ab"))
        now += draw(st.integers(0, 20)) * S
        if kind == "skip":
            seq[node] += draw(st.integers(1, 3))
            continue
        if kind == "tick":
            steps.append((None, b"", now))
            continue
        number = seq[node] % 256
        name, device, body = {
            "data": ("NDATA", "", data(number, value(1.0 * now), value(alias=9))),
            "ddata": ("DDATA", "d", data(number, value(alias=2))),
            "birth": ("NBIRTH", "", birth(load(), seq=number, bd_seq=now % 3)),
            "dbirth": ("DBIRTH", "d", birth(load(alias=2), seq=number, bd_seq=None)),
            "death": ("NDEATH", "", birth(bd_seq=now % 3)),
            "junk": ("NDATA", "", b"\x12\xff"),
        }[kind]
        seq[node] += kind != "death"
        steps.append((topic(name, device, node), body, now))
    return steps


def run(host, steps):
    """Outcomes as plain data."""
    outcomes = [
        host.tick(now) if name is None else host.handle(name, body, now)
        for name, body, now in steps
    ]
    return [
        repr((o.samples, o.refused, o.findings, o.rebirth, o.stale, o.gap, o.ignored))
        for o in outcomes
    ]


@given(traffic(), st.integers(0, 40))
def test_a_restored_host_continues_like_the_original(steps, cut):
    """Through msgpack and back in mid-stream: same samples, findings, requests and state."""
    whole, first, second = SparkplugHost(), SparkplugHost(), SparkplugHost()
    expected = run(whole, steps)
    outcomes = run(first, steps[:cut])
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    outcomes += run(second, steps[cut:])

    assert expected == outcomes
    assert whole.snapshot() == second.snapshot()


@given(traffic())
def test_every_metric_is_accounted_for(steps):
    """Samples, ignored and refused metrics add up to what the messages carried."""
    host = SparkplugHost()
    for name, body, now in steps:
        if name is not None:
            o = host.handle(name, body, now)
            assert o.metrics in (0, len(o.ids) + o.ignored + len(o.refused))


def test_a_foreign_snapshot_is_refused(host):
    """State of another version, or no state at all, is not continued."""
    with pytest.raises(StateError):
        host.restore({"version": 99})
    with pytest.raises(StateError):
        host.restore({"version": 1, "nodes": [[1, 2]], "names": [], "units": [], "due": {}})


def test_outputs_share_no_memory_with_the_host(host):
    """Columns handed out keep their content when the next message comes."""
    first = host.handle(topic("NDATA"), data(1, value(5.0)), S)
    host.handle(topic("NDATA"), data(2, value(6.0)), S)

    assert first.values.tolist() == [5.0]


def test_each_kernel_is_compiled_once():
    """Whatever is sent after warming, no message waits for another compilation."""
    warm()
    host = SparkplugHost()
    host.handle(topic("NBIRTH"), birth(load(), load(name="b", alias=2)), S)
    host.handle(topic("DBIRTH", "d"), birth(load(alias=3), bd_seq=None, seq=1), S)
    host.handle(topic("NDATA"), data(2, Metric(name="b", value=1.0), value(1)), S)
    host.handle(topic("NDATA"), data(3), S)
    host.handle(topic("NDATA", node="unknown"), data(3, value()), S)
    if not hasattr(sparkplug_scan._payload, "signatures"):
        pytest.skip("kernels run as plain Python (NUMBA_DISABLE_JIT)")

    assert len(sparkplug_scan._payload.signatures) == 1
    assert len(sparkplug_resolve.resolve.signatures) == 1
