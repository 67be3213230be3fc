"""The pipeline as a function: time, silence, control entries, reload."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.config import parse
from twin.engine.pipeline import Pipeline
from twin.ingest import stage
from twin.ingest.payload import read_single
from twin.model.event import SYSTEM_TYPES, line_of
from twin.model.message import Entries, Kind
from twin.model.table import Table

S = 1_000_000_000
T0 = 1_760_000_000
TOPIC = "twin/v1/lab/line/one/oven/"


def messages(*rows, first=1):
    """(receive second, sensor, value, event second or None)."""
    payloads = [
        msgspec.json.encode({"value": value, "ts": (T0 + (at if when is None else when)) * 1000})
        for at, _, value, when in rows
    ]
    n = len(rows)
    return Entries(
        first,
        Kind.MESSAGE,
        ["mqtt:a"] * n,
        [TOPIC + key for _, key, _, _ in rows],
        payloads,
        [(T0 + at) * S for at, *_ in rows],
        [0] * n,
    )


def control(kind, body, at, seq=1):
    payload = b"" if body is None else msgspec.json.encode(body)
    return Entries(seq, kind, ["linetwin"], [""], [payload], [(T0 + at) * S], [0])


def types(out):
    return [event.type for event in out.events]


def only(out, *kinds):
    return [(e.type, e.sensor, e.t_last // S - T0) for e in out.events if e.type in kinds]


def test_samples_go_through_all_stages(index):
    """A hot oven is a finding of its chart and an alarm of its limit, in this order."""
    pipeline = Pipeline(index)
    out = pipeline.feed(messages((1, "temp", 50, None), (3, "temp", 90, None)))
    assert types(out) == ["finding", "alarm", "alarm"]
    assert [e.detail.get("alarm") for e in out.events] == [None, "hot", "spc"]
    assert [len(batch) for batch in out.batches] == [2]
    assert (pipeline.findings, pipeline.alarms.raised) == (1, 2)
    assert pipeline.sources["mqtt:a"]["messages"] == 2


def test_message_linetwin_fails_on_is_refused(index, monkeypatch):
    """A mistake of ours in one message is a dead letter, and its neighbours are stored."""

    def fail(payload, *rest):
        if b"13" in payload:
            raise ZeroDivisionError("ours")
        return read_single(payload, *rest)

    monkeypatch.setattr(stage, "read_single", fail)
    pipeline = Pipeline(index)
    rows = messages((1, "temp", 50, 1), (2, "temp", 1.13, 2), (3, "temp", 51, 3))
    out = pipeline.feed(rows)
    (letter,) = out.letters
    assert (letter.reason, letter.seq) == ("HANDLER_ERROR", 2)
    assert "ZeroDivisionError: ours" in letter.detail
    assert out.batches[0].value.tolist() == [50, 51]
    assert pipeline.ingest.received == pipeline.ingest.stored + 1


def test_silence_comes_before_the_message_that_ends_it(index):
    """A hole between two messages is told at its exact time although no tick was seen."""
    pipeline = Pipeline(index)
    out = pipeline.feed(messages((1, "temp", 50, None), (100, "temp", 50, None)))
    assert only(out, "stale", "fresh", "system_alarm", "system_alarm_cleared") == [
        ("stale", "oven/temp", 11),
        ("system_alarm", "oven/temp", 11),
        ("fresh", "oven/temp", 100),
        ("system_alarm_cleared", "oven/temp", 100),
    ]


def test_tick_tells_silence(index):
    """While nothing arrives a tick is what makes time pass."""
    pipeline = Pipeline(index)
    pipeline.feed(messages((1, "temp", 50, None)))
    assert types(pipeline.feed(control(Kind.TICK, None, 10))) == []
    assert types(pipeline.feed(control(Kind.TICK, None, 12))) == ["stale", "system_alarm"]


def test_clock_set_back_makes_nobody_stale(index):
    """A wall clock that jumps back an hour does not make a sensor flap that sends all the time."""
    pipeline = Pipeline(index)
    pipeline.feed(messages((4000, "temp", 50, 4000)))
    rows = [(400 + 2 * i, "temp", 50 + i % 2, 4002 + 2 * i) for i in range(20)]
    out = pipeline.feed(messages(*rows, first=2))
    assert only(out, "stale", "fresh") == []


def test_actions_are_answered(index):
    """An action gives an answer under its id, whether it was possible or not."""
    pipeline = Pipeline(index)
    out = pipeline.feed(messages((1, "temp", 90, None)))
    wanted = next(e.detail["occurrence"] for e in out.events if e.type == "alarm")
    body = {"op": "ack", "occurrence": wanted, "actor": "ann", "action_id": "1"}
    out = pipeline.feed(control(Kind.ACTION, body, 2, 2))
    assert out.results == {"1": {"ok": True, "code": "", "message": ""}}
    assert types(out) == ["alarm_acknowledged"]
    out = pipeline.feed(control(Kind.ACTION, {**body, "action_id": "2"}, 3, 3))
    assert out.results["2"]["code"] == "refused"
    assert out.events == []


def test_nonsense_in_an_action_is_an_answer(index):
    """Whatever a client sends as an action, the engine goes on."""
    pipeline = Pipeline(index)
    out = pipeline.feed(messages((1, "temp", 90, None)))
    wanted = next(e.detail["occurrence"] for e in out.events if e.type == "alarm")
    for i, body in enumerate(
        [
            {"op": "shelve", "occurrence": wanted, "minutes": "x", "reason": "r"},
            {"op": "shelve", "occurrence": wanted, "minutes": 1e300, "reason": "r"},
            {"op": None, "occurrence": wanted},
            {"occurrence": [1]},
            {},
        ]
    ):
        out = pipeline.feed(control(Kind.ACTION, body, 2 + i, 2 + i))
        assert [result["ok"] for result in out.results.values()] == [False]


def config(text, at=50, seq=5):
    index = parse({"line.toml": text})
    body = {"version": index.version, "files": index.files, "actor": "ann"}
    return control(Kind.CONFIG, body, at, seq)


def test_reload_gives_open_conditions_to_changed_alarms(index, text):
    """A changed alarm takes over what is open: nothing disappears by editing a text."""
    pipeline = Pipeline(index)
    pipeline.feed(messages((1, "slow", 1, None), (30, "temp", 90, None)))
    pipeline.feed(control(Kind.TICK, None, 36, 3))
    before = {spec.id: o.id for spec, _, o in pipeline.alarms.open()}
    assert set(before) == {"hot", "spc", "silent"}
    changed = text.replace('id = "spc"', 'id = "spc"\ntitle = "Look at the chart"').replace(
        'id = "silent"', 'id = "silent"\ntitle = "No data"'
    )
    out = pipeline.feed(config(changed, at=38))
    assert out.configured
    assert types(out).count("alarm_retired") == 2
    after = {spec.id: o.id for spec, _, o in pipeline.alarms.open()}
    assert after["hot"] == before["hot"]
    assert after["spc"] != before["spc"]
    assert after["silent"] != before["silent"]


def test_reload_of_a_chart_clears_its_alarm(index, text):
    """New limits end the old findings, and with them their alarm."""
    pipeline = Pipeline(index)
    pipeline.feed(messages((1, "temp", 90, None)))
    out = pipeline.feed(config(text.replace("sigma = 2", "sigma = 20"), at=2))
    told = [(e.type, e.detail.get("alarm")) for e in out.events]
    assert told == [("finding_closed", None), ("alarm_cleared", "spc"), ("config", None)]


def test_sensor_heard_for_the_first_time_is_watched_at_once(index):
    """A short silence inside one run is found although longer ones were being waited for."""
    pipeline = Pipeline(index)
    pipeline.feed(messages((1, "slow", 1, None)))
    rows = [(2, "temp", 50, None), *((t, "metre", t, None) for t in range(3, 25))]
    out = pipeline.feed(messages(*rows, first=2))
    assert only(out, "stale") == [("stale", "oven/temp", 12)]
    out = pipeline.feed(control(Kind.TICK, None, 27, 40))
    assert only(out, "stale") == []
    out = pipeline.feed(control(Kind.TICK, None, 29, 41))
    assert only(out, "stale") == [("stale", "oven/metre", 29)]


def test_same_version_changes_nothing(index, text):
    """A configuration that is in force already is only noted."""
    pipeline = Pipeline(index)
    stages = pipeline.alarms
    out = pipeline.feed(config(text))
    assert types(out) == ["config"]
    assert pipeline.alarms is stages


def test_line_that_is_refused_is_noted(index):
    """An entry with a description this version refuses leaves the line as it is."""
    pipeline = Pipeline(index)
    body = {"version": "x", "files": {"line.toml": "[[station]]\nid = 5"}, "actor": "ann"}
    out = pipeline.feed(control(Kind.CONFIG, body, 1))
    assert types(out) == ["config"]
    assert "station" in out.events[0].detail["refused"]
    assert pipeline.index is index


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (Kind.CLOCK, {"jump_ns": 5}, "clock"),
        (Kind.GAP, {"first_seq": 1, "last_seq": 2, "why": "damage"}, "gap"),
        (Kind.SOURCE, {"source": "mqtt:a", "state": "lost", "detail": "x"}, "source"),
        (
            Kind.NOTE,
            {
                "source": "f",
                "row": 7,
                "code": "TIME_REGRESSION",
                "column": "",
                "time_ns": 5,
                "value": None,
                "message": "back",
                "detail": {"count": 1},
            },
            "data_quality",
        ),
    ],
)
def test_control_entries_become_events(index, kind, body, expected):
    """What happened to the data is told like everything else."""
    pipeline = Pipeline(index)
    assert types(pipeline.feed(control(kind, body, 1))) == [expected]


def test_source_that_was_lost_is_shown(index):
    """The state of a source is kept for the ledger."""
    pipeline = Pipeline(index)
    body = {"source": "broker:b", "state": "lost", "detail": "refused"}
    pipeline.feed(control(Kind.SOURCE, body, 1))
    assert pipeline.sources["broker:b"]["state"] == "lost"
    pipeline.feed(control(Kind.SOURCE, {**body, "state": "back"}, 2, 2))
    assert pipeline.sources["broker:b"]["state"] == "ok"


def streams():
    row = st.tuples(
        st.sampled_from([0, 1, 1, 2, 5, 20]),
        st.sampled_from(["temp", "temp", "metre", "slow", "door", "nobody"]),
        st.sampled_from([50, 51, 48, 57, 69, 70, 71, 90, 500, -3]),
    )
    return st.lists(row, min_size=1, max_size=60)


@settings(max_examples=40)
@given(streams(), st.lists(st.integers(0, 60), max_size=6), st.integers(0, 60))
def test_cuts_and_restarts_change_nothing(text, rows, cuts, stop):
    """Any run of entries, cut anywhere and restarted in between, tells the same bytes."""
    index = parse({"line.toml": text})
    at, arrivals = 0, []
    for step, key, value in rows:
        at += step
        arrivals.append((at, key, value, None))
    entries, n = messages(*arrivals), len(rows)
    whole, parts = Pipeline(index), Pipeline(index)
    expected = [(e.type, line_of(e)) for e in whole.feed(entries).events]
    found = []
    for start, end in pairwise(sorted({0, n, *(min(c, n) for c in [*cuts, stop])})):
        if start == stop:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(parts.snapshot()))
            parts = Pipeline(index)
            parts.restore(state)
        found += parts.feed(entries.part(start, end)).events
    assert [(e.type, line_of(e)) for e in found] == expected
    assert msgspec.msgpack.encode(parts.snapshot()) == msgspec.msgpack.encode(whole.snapshot())


@settings(max_examples=40)
@given(streams(), st.lists(st.integers(0, 60), max_size=6))
def test_recording_is_cut_like_messages(text, rows, cuts):
    """Rows of a recording give the same events for every cut, and the same ones as messages."""
    index = parse({"line.toml": text})
    n, names = len(rows), ("temp", "metre", "slow", "door")
    times = np.cumsum([max(1, step) for step, _, _ in rows])
    columns = {name: np.full(n, np.nan) for name in names}
    for i, (_, key, value) in enumerate(rows):
        columns.get(key, columns["door"])[i] = value

    def table(start, stop):
        part = {name: column[start:stop] for name, column in columns.items()}
        when = (times[start:stop].astype(np.int64) + T0) * S
        return Table("file", TOPIC[:-1], start, when, part)

    whole, parts = Pipeline(index), Pipeline(index)
    expected = [(e.type, line_of(e)) for e in whole.feed_table(table(0, n), 1).events]
    found = []
    for start, end in pairwise(sorted({0, n, *(min(c, n) for c in cuts)})):
        found += parts.feed_table(table(start, end), start + 1).events
    assert [(e.type, line_of(e)) for e in found] == expected
    live = Pipeline(index)
    rows = [
        (int(times[i]), key if key in names else "door", value, None)
        for i, (_, key, value) in enumerate(rows)
    ]
    said = live.feed(messages(*rows)).events
    # Time passes with a refused message, too, so only what is about the line is compared.
    wanted = [line for kind, line in expected if kind not in SYSTEM_TYPES]
    assert [line_of(e) for e in said if e.type not in SYSTEM_TYPES] == wanted
