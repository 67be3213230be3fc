"""Sequence numbers of an edge node: loss, late arrival and wrap are told apart."""

from __future__ import annotations

import csv
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.ingest.sparkplug_headers import Header, scan_headers
from twin.ingest.sparkplug_seq import SequenceTracker


def follow(numbers, tracker=None):
    """The steps a tracker takes over some numbers; None is a message that cannot be read."""
    tracker = tracker or SequenceTracker()
    steps = []
    for number in numbers:
        if number is None:
            tracker.unnumbered()
        else:
            steps.append(tracker.see(number))
    return steps


@given(st.integers(0, 255), st.integers(1, 1000))
def test_an_unbroken_count_has_no_gap(start, length):
    """Counting on, over any number of wraps, never misses anything."""
    tracker = SequenceTracker()
    steps = follow([(start + i) % 256 for i in range(length)], tracker)

    assert {"first", "ok"} >= {step.kind for step in steps}
    assert tracker.complete


@given(st.integers(0, 255), st.integers(1, 127))
def test_missing_numbers_are_named_in_order(start, missing):
    """A jump names every number between, also over the wrap."""
    _, step = follow([start, (start + missing + 1) % 256])

    assert ("gap", [(start + 1 + i) % 256 for i in range(missing)]) == step[:2]


@given(st.permutations([2, 3, 4]))
def test_missing_numbers_that_arrive_in_any_order_complete_the_count(order):
    """After all late numbers arrived nothing is missing."""
    tracker = SequenceTracker()
    steps = follow([1, 5, *order, 6], tracker)

    assert [step.kind for step in steps] == ["first", "gap", "late", "late", "late", "ok"]
    assert tracker.complete


def test_a_number_given_up_may_still_come():
    """A number that arrives after it was given up is late, and counting goes on."""
    tracker = SequenceTracker()
    follow([1, 3], tracker)

    assert tracker.give_up() == [2]
    assert [step.kind for step in follow([4, 2, 5], tracker)] == ["ok", "late", "ok"]


def test_undecodable_messages_take_one_number_each():
    """Two unreadable messages in a hole of three numbers leave one missing."""
    _, step = follow([1, None, None, 5])

    assert step == ("gap", [4], 2)
    assert follow([1, None, 3])[-1].kind == "ok"


def test_unreadable_messages_without_a_number_do_no_harm():
    """Noise under a node's topic that took no number leaves no gap behind."""
    assert [step.kind for step in follow([1, None, 2, 3])] == ["first", "ok", "ok"]


def test_a_repeated_number_is_no_gap():
    """The same number twice in a row is told as such; numbers are never used to drop messages."""
    assert [s.kind for s in follow([1, 2, 2, 3])] == ["first", "ok", "repeated", "ok"]


def test_a_counter_that_goes_back_is_a_certain_loss():
    """A publisher that starts anew without a birth cannot be completed by late arrivals."""
    tracker = SequenceTracker()
    steps = follow([100, 50, 51], tracker)

    assert [step.kind for step in steps] == ["first", "back", "ok"]
    assert not tracker.complete


def test_a_wrap_turns_waiting_into_loss():
    """When the counter comes round, a number still missing from before is lost for good."""
    tracker = SequenceTracker()
    follow([0, *range(2, 256), 0, 1], tracker)

    assert tracker.waiting == []
    assert not tracker.complete


@given(st.lists(st.none() | st.integers(0, 255), max_size=60), st.integers(0, 60))
def test_a_snapshot_continues_like_the_original(numbers, cut):
    """A tracker restored in mid-stream takes the same steps as one that never stopped."""
    whole, first = SequenceTracker(), SequenceTracker()
    expected = follow(numbers, whole)
    steps = follow(numbers[:cut], first)
    second = SequenceTracker.restored(first.snapshot())
    steps += follow(numbers[cut:], second)

    assert expected == steps
    assert whole == second


@pytest.fixture
def capture(recordings):
    """The recorded headers."""
    path = recordings / "sparkplug" / "pcap_patterns.csv"
    if hashlib.sha256(path.read_bytes()).hexdigest()[:16] != "f216c5e0f72a0239":
        pytest.skip("recording differs")
    lines = path.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("frame,"))
    return list(csv.DictReader(lines[start:]))


def headers(rows):
    """Rows of the capture as headers."""
    for row in rows:
        seq, time = row["seq"], row["payload_timestamp"]
        yield Header(row["topic"], int(seq) if seq else None, int(time) if time else None)


def test_a_real_capture_gives_the_known_losses(capture):
    """The capture's 502 numbers miss 18 read naively, 16 with lost zeros, 11 with all facts."""
    report = scan_headers(headers(capture))
    busy = report.nodes["org_A/702"]

    assert (busy.messages, busy.naive, busy.with_zero, busy.missing) == (509, 18, 16, 11)
    assert report.malformed == 10
    nodes = ["org_A/702", "org_A/node_7", "org_A/node_13", "org_A/node_18"]
    assert nodes == report.rebirth


def test_births_deaths_and_commands_in_a_capture():
    """A birth restarts the count and clears the need for a rebirth; commands count for nothing."""
    report = scan_headers(
        [
            Header("spBv1.0/g/NBIRTH/n", 0, 1),
            Header("spBv1.0/g/NCMD/n", None, 1),
            Header("spBv1.0/g/DDATA/n/d", 2, 1),
            Header("spBv1.0/STATE/host", None, None),
        ]
    )

    assert list(report.nodes) == ["g/n"]
    assert (report.nodes["g/n"].missing, report.rebirth) == (1, [])
