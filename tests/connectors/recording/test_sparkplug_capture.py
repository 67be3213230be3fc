"""A capture of Sparkplug traffic: headers of every message, and what is odd about them."""

from __future__ import annotations

import pytest

from connectors.recording import open_recording

CAPTURE = "sparkplug/pcap_patterns.csv"


@pytest.fixture(scope="module")
def capture(file):
    """The opened capture."""
    return open_recording(file(CAPTURE), timezone="UTC")


def test_every_message_is_there(capture):
    """522 messages of 14 nodes, no birth among them."""
    records = capture.records()
    assert capture.format == "sparkplug_capture"
    assert (capture.rows, len(records)) == (522, 522)
    types = [record.type for record in records]
    assert (types.count("NDATA"), types.count("DDATA")) == (275, 247)
    assert len({record.node for record in records}) == 14
    assert records[-1].time == pytest.approx(95.14, abs=0.005)
    own = [record for record in records if record.node == "702"]
    assert [sum(r.type == kind for r in own) for kind in ("NDATA", "DDATA")] == [262, 247]
    assert len({r.device for r in own if r.device}) == 5
    assert "UMH" in capture.attribution


def test_an_empty_number_is_none_not_zero(capture):
    """Sequence numbers the exporter left out are None; nothing is filled in."""
    own = [record for record in capture.records() if record.node == "702"]
    assert sum(record.seq is not None for record in own) == 502
    assert 0 not in {record.seq for record in own}
    empty = {record.frame for record in own if record.seq is None and record.metric_count}
    assert empty == {355, 671}


def test_findings(capture):
    """Malformed topics, undecodable messages and empty numbers are notes at their rows."""
    frames = {
        code: [note.detail["frame"] for note in capture.notes if note.code == code]
        for code in ("TOPIC_MALFORMED", "UNDECODABLE", "SEQ_EMPTY")
    }
    assert len(frames["TOPIC_MALFORMED"]) == 10
    assert frames["UNDECODABLE"] == [211, 270, 394, 566, 643]
    assert frames["SEQ_EMPTY"] == [355, 671]
    (lost,) = [note.detail for note in capture.notes if note.code == "SEQ_MISSING"]
    assert (lost["node"], lost["missing"]) == ("org_A/702", 11)
    assert (lost["with_zero"], lost["naive"]) == (16, 18)
    unborn = [note.detail["node"] for note in capture.notes if note.code == "NO_BIRTH"]
    assert sorted(unborn) == ["org_A/702", "org_A/node_13", "org_A/node_18", "org_A/node_7"]
    assert list(capture.pieces()) == capture.notes
    assert "CRLF" in {note.code for note in capture.notes}
