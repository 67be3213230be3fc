"""Rows proposed for unknown topics."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.config import parse, propose_row


def pasted(row, station="calender"):
    """The line a person gets who pastes the proposal below a station."""
    return parse({"line.toml": f'[[station]]\nid = "{station}"\n\n{row}'})


@pytest.mark.parametrize(
    ("examples", "unit"),
    [
        ([b"12.5"], "1"),
        ([b" +7e3 "], "1"),
        ([b'{"v": 3}'], "1"),
        ([b'{"value": 3, "unit": "um", "ts": 1700000000.5, "q": 192}'], "um"),
        ([b'[{"v": 1, "u": "Cel"}, {"v": 2, "u": "Cel"}]'], "Cel"),
        ([b'{"v": 1, "u": "W.h/kg", "seq": 1, "src": "x", "pid": "c1", "x": 2.5}'], "W.h/kg"),
        ([b'{"v": 1, "u": "Cel"}', b'{"v": 1, "u": "C'], "Cel"),
        ([], "1"),
        ([b"\xff\x00"], "1"),
    ],
)
def test_single_values(examples, unit):
    """A number, an object with a value or an array of them is one sensor with its unit."""
    index = pasted(propose_row("plant/calender/Roll Temp", examples))
    (row,) = index.sensors
    assert (row.id, row.spec.topic, row.spec.unit, row.spec.path) == (
        "calender/roll_temp",
        "plant/calender/Roll Temp",
        unit,
        "",
    )


def test_an_unknown_unit_is_explained():
    """A unit that is no UCUM code does not stop the row from loading; the row says what is meant."""
    row = propose_row("a/b", [b'{"v": 1, "unit": "\xc2\xb0C"}'])
    assert 'did you mean \\"Cel\\"' in row
    assert pasted(row).sensors[0].spec.unit == "1"


def test_nested_numbers_become_rows_with_a_path():
    """Each number of a document is a sensor; texts, flags, time and sequence are none."""
    payload = {
        "ts": 1700000000000,
        "seq": 5,
        "device": "gw",
        "ok": True,
        "load": {"drive": 150.5, "operator": 149.5},
        "gap": [{"value": 77, "unit": "um"}, {"value": 78, "unit": "um"}],
        "a.b": 1,
    }
    index = pasted(propose_row("plant/calender", [json.dumps(payload).encode()]))
    assert [(row.spec.key, row.spec.path, row.spec.unit) for row in index.sensors] == [
        ("drive", "load.drive", "1"),
        ("operator", "load.operator", "1"),
        ("gap_0", "gap[0]", "um"),
        ("gap_1", "gap[1]", "um"),
    ]
    assert {row.spec.topic for row in index.sensors} == {"plant/calender"}
    assert index.line.mapping == []


def test_time_at_an_unusual_place_becomes_a_mapping():
    """A mapping names the place of the time and of the quality."""
    payload = b'{"meta": {"sampleTime": "2025-06-25T12:00:00Z", "q": 192}, "oilTemp": {"t1": 40.5}}'
    index = pasted(propose_row("plant/press/data", [payload]), "press")
    (mapping,) = index.line.mapping
    assert (mapping.topic, mapping.time) == ("plant/press/data", "meta.sampleTime")
    assert mapping.values["press/t1"] == "oilTemp.t1"
    assert "press/t1" in index.by_id


def test_names_never_clash():
    """Numbers with the same last name get keys of their own."""
    payload = b'{"a": {"v1": 1, "x": {"v1": 2}}, "A": {"v1": 3}, "a_v1": 4}'
    index = pasted(propose_row("t", [payload]))
    assert len(index) == 4


def test_sparkplug_metrics():
    """A metric of Sparkplug is proposed as such, with a key of allowed letters."""
    (row,) = pasted(propose_row("site-area/gw1/calender:Roll/Temp 1", [])).sensors
    assert (row.spec.key, row.spec.sparkplug, row.spec.topic) == (
        "roll_temp_1",
        "site-area/gw1/calender:Roll/Temp 1",
        "",
    )


def test_nothing_to_propose_is_a_comment():
    """A document without numbers, or a topic nobody may publish to, gives no row."""
    for topic, payload in [("a/b", b'{"state": "on"}'), ("$SYS/x", b"1"), ("a", b'{"x": {}}')]:
        row = propose_row(topic, [payload])
        assert row.startswith("#")
        assert len(pasted(row)) == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20),
)
def test_every_proposal_loads(topic, payload):
    """Whatever was sent wherever, the proposal is TOML that loads below the right station."""
    row = propose_row(topic, [payload])
    station = row.partition('say station "')[2].partition('"')[0] or "calender"
    assert len(pasted(row, station)) == row.count("[[station.sensor]]")
