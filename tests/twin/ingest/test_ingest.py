"""Ingest: what is accepted, what is refused and why, and that every sample is counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.config import parse
from twin.ingest import Ingest, ProductMessage
from twin.ingest.payload import iso_to_ns
from twin.ingest.times import MISSING, UNREADABLE, to_ns
from twin.model.batch import BAD, GOOD, UNCERTAIN, Batch, Mark
from twin.model.message import Entries, Flag, Kind

if TYPE_CHECKING:
    from twin.model.index import LineIndex

RECV = 10**18
LINE = """
[line]
site = "site"
name = "l1"

[[station]]
id = "calender"
area = "electrode"

[[station.sensor]]
key = "gap"
unit = "um"
range = [0, 500]
operating = [10, 400]
period_s = 1.0

[[station.sensor]]
key = "load"
unit = "m"
period_s = 1.0

[[station.sensor]]
key = "inner"
unit = "Cel"
topic = "plant/oven"
path = "data.temps[1].value"

[[station.sensor]]
key = "speed"
unit = "m/min"
topic = "spare/speed"

[[station.sensor]]
key = "metric"
unit = "mm"
sparkplug = "g/n:Temperature"

[[mapping]]
topic = "foreign/+/state"
time = "meta.when"
time_unit = "ms"
seq = "meta.n"
values = { "calender/gap" = "v.{1}" }
units = { "calender/gap" = "mm" }
"""

GAP = "twin/v1/site/electrode/l1/calender/gap"


@pytest.fixture
def index() -> LineIndex:
    return parse({"line.toml": LINE})


def entries(*messages: tuple[str, bytes], first_seq: int = 1, recv_ns: int = 10**18) -> Entries:
    """Messages as the journal gives them."""
    n = len(messages)
    return Entries(
        first_seq,
        Kind.MESSAGE,
        ["mqtt:x"] * n,
        [topic for topic, _ in messages],
        [payload for _, payload in messages],
        [recv_ns + i for i in range(n)],
        [1] * n,
    )


def taken(ingest: Ingest, *messages: tuple[str, bytes]) -> list[tuple[str, float, int]]:
    """(sensor key, value, event time) of what was accepted."""
    decoded = ingest.decode(entries(*messages))
    rows = []
    for item in decoded.items:
        assert isinstance(item, Batch)
        rows += [
            (ingest._index.sensors[s].spec.key, v, t)
            for s, v, t in zip(item.sensor, item.value, item.time_ns, strict=True)
        ]
    return rows


@pytest.mark.parametrize(
    ("payload", "value", "time_ns"),
    [
        (b"12.5", 12.5, RECV),
        (b" +12.5\n", 12.5, RECV),
        (b'{"value": 12.5}', 12.5, RECV),
        (b'{"v": 12.5, "ts": 999999999}', 12.5, 999_999_999 * 10**9),
        (b'{"v": 12.5, "ts": 999999999.5}', 12.5, 999_999_999_500_000_000),
        (b'{"v": 12.5, "ts": 999999999123}', 12.5, 999_999_999_123 * 10**6),
        (b'{"v": 12.5, "ts": 999999999123456}', 12.5, 999_999_999_123_456 * 10**3),
        (b'{"v": 12.5, "ts": 999999999123456789}', 12.5, 999_999_999_123_456_789),
        (b'{"v": 12.5, "ts": "2001-09-09T01:46:39.5Z"}', 12.5, 999_999_999_500_000_000),
        (b'{"v": 0.0125, "u": "mm"}', 12.5, RECV),
        (b'{"value": 12500, "unit": "nm"}', 12.5, RECV),
        (
            b'[{"v": 12.5, "ts": 999999999, "seq": 1, "src": "a", "pid": "C-1", "x": 3.5}]',
            12.5,
            999_999_999 * 10**9,
        ),
    ],
)
def test_forms_of_a_value(index: LineIndex, payload: bytes, value: float, time_ns: int) -> None:
    """Plain numbers, objects and arrays give the same sample, whatever the unit of time and value."""
    (row,) = taken(Ingest(index), (GAP, payload))
    assert row[0] == "gap"
    assert row[1] == pytest.approx(value, rel=1e-12)
    assert row[2] == time_ns


@pytest.mark.parametrize(
    ("payload", "reason", "hint"),
    [
        (b"", "DECODE", "empty"),
        (b"12,5", "DECODE", "decimal point"),
        (b"{", "DECODE", "JSON"),
        (b"\xff\xfe1", "DECODE", "JSON"),
        (b"nan", "NONFINITE", "finite"),
        (b"1e400", "NONFINITE", "range"),
        (b'{"v": NaN}', "NONFINITE", "null"),
        (b'{"v": "12"}', "SCHEMA", "without quotes"),
        (b'{"ts": 5}', "SCHEMA", '"value" is missing'),
        (b'{"v": 1, "colour": 2}', "SCHEMA", "colour"),
        (b'{"v": null}', "SCHEMA", "q = 0"),
        (b'{"v": 1, "q": 999}', "SCHEMA", "192 good"),
        (b'{"v": 1, "seq": -5}', "SCHEMA", "negative"),
        (b'{"v": 1, "ts": "yesterday"}', "SCHEMA", "ISO 8601"),
        (b'{"v": 1, "ts": "2001-09-09T01:46:39"}', "SCHEMA", "zone"),
        (b'{"v": 1, "u": "V"}', "UNIT", '"um"'),
        (b'{"v": 1, "u": "\xc2\xb5m/s"}', "UNIT", '"um"'),
        (b'{"v": 1, "u": "micron"}', "UNIT", "did you mean"),
        (b"501", "RANGE", "0 … 500"),
        (b"-1", "RANGE", "physical range"),
        (b'{"v": 1, "ts": 1000100000}', "TIME_FUTURE", "clock"),
        (b'{"v": 1, "ts": 1000}', "TIME_TOO_OLD", "too_old_s"),
        (b"[" * 100_000, "DEPTH", "deeply"),
        (b"true", "SCHEMA", "true is no value in um"),
        (b'{"v": false}', "SCHEMA", "false is no value"),
        (b"null", "SCHEMA", "null alone"),
        (b"1_000", "DECODE", "neither JSON nor a number"),
        (b"-inf", "NONFINITE", "finite"),
        (b"[]", "SCHEMA", "empty"),
        (b"[1, 2", "DECODE", "JSON"),
        (b"[" + b",".join([b'{"v":1}'] * 501) + b"]", "OVERSIZE", "at most 500"),
        (b'{"v": 1, "src": "' + b"x" * 300_000 + b'"}', "OVERSIZE", "262144"),
    ],
)
def test_refusals_tell_how_to_mend_it(
    index: LineIndex, payload: bytes, reason: str, hint: str
) -> None:
    """What is wrong is refused with its reason and a sentence that helps, and counted once."""
    ingest = Ingest(index)
    decoded = ingest.decode(entries((GAP, payload)))
    assert decoded.items == []
    (letter,) = decoded.letters
    assert (letter.reason, letter.topic) == (reason, GAP)
    assert hint in letter.detail
    assert ingest.dead.counts == {reason: 1}
    assert ingest.received == 1
    assert ingest.stored == 0


def test_bad_quality_is_stored_without_judgement(index: LineIndex) -> None:
    """A bad sample is stored, outside the range or without a value."""
    now = RECV // 10**6
    decoded = Ingest(index).decode(
        entries(
            (GAP, b'{"v": 1, "ts": %d, "q": 200}' % now),
            (GAP, b'{"v": 1, "ts": %d, "q": 64}' % (now + 1)),
            (GAP, b'{"v": null, "ts": %d, "q": 0}' % (now + 2)),
            (GAP, b'{"v": 600, "ts": %d, "q": 5}' % (now + 3)),
        )
    )
    (batch,) = decoded.items
    assert isinstance(batch, Batch)
    assert batch.quality.tolist() == [GOOD, UNCERTAIN, BAD, BAD]
    assert np.isnan(batch.value[2])


def test_one_bad_element_does_not_spoil_its_neighbours(index: LineIndex) -> None:
    """The good samples of an array are stored, each bad one is refused and counted."""
    ingest = Ingest(index)
    now = RECV // 10**6
    array = b'[{"v":1,"ts":%d},{"v":"x"},{"v":2,"ts":%d},{"nonsense":3},7]' % (now, now + 1)
    decoded = ingest.decode(entries((GAP, array)))
    (batch,) = decoded.items
    assert isinstance(batch, Batch)
    assert batch.value.tolist() == [1, 2]
    assert ingest.dead.counts == {"SCHEMA": 3}
    assert (ingest.received, ingest.stored) == (5, 2)
    assert decoded.letters[0].detail.startswith("sample 2 of 5")


def test_marks(index: LineIndex) -> None:
    """A substituted time, a value outside the operating range and a late sample are marked."""
    now = RECV // 10**6
    decoded = Ingest(index).decode(
        entries(
            (GAP, b"100"),
            (GAP, b'{"v": 5, "ts": %d}' % (now + 1000)),
            (GAP, b'{"v": 100, "ts": %d}' % (now + 500)),
            (GAP, b'{"v": 100, "ts": %d}' % (now + 90_000)),
        )
    )
    (batch,) = decoded.items
    assert isinstance(batch, Batch)
    assert batch.marks.tolist() == [
        Mark.TS_SUBSTITUTED,
        Mark.QUESTIONABLE,
        Mark.LATE,
        Mark.TS_SUBSTITUTED | Mark.LATE,
    ]


def test_duplicates_and_conflicts(index: LineIndex) -> None:
    """The same sample again is a duplicate, another value for the same moment a conflict."""
    ingest = Ingest(index)
    now = RECV // 10**6
    same = (GAP, b'{"v": 1, "ts": %d}' % now)
    later = (GAP, b'{"v": 2, "ts": %d}' % (now + 1))
    other = (GAP, b'{"v": 3, "ts": %d}' % now)
    numbered = (GAP, b'{"v": 3, "ts": %d, "seq": 9}' % now)
    decoded = ingest.decode(entries(same, later, same, other, numbered, numbered))
    (batch,) = decoded.items
    assert isinstance(batch, Batch)
    assert batch.value.tolist() == [1, 2, 3]
    assert ingest.dead.counts == {"DUPLICATE": 2, "CONFLICT": 1}
    assert [letter.reason for letter in decoded.letters] == ["CONFLICT"]


def test_plain_numbers_are_never_duplicates(index: LineIndex) -> None:
    """Without an event time two equal values are two samples."""
    assert len(taken(Ingest(index), (GAP, b"5"), (GAP, b"5"))) == 2


def test_nested_documents(index: LineIndex) -> None:
    """A path and a mapping find values, times and units in foreign payloads."""
    oven = json.dumps({"ts": 10**9, "data": {"temps": [{"value": 1}, {"value": 21.5}]}}).encode()
    foreign = b'{"meta": {"when": 1000000000000, "n": 4}, "v": {"gap": 0.02}}'
    rows = taken(Ingest(index), ("plant/oven", oven), ("foreign/gap/state", foreign))
    assert rows == [("inner", 21.5, RECV), ("gap", 20.0, RECV)]


def test_unknown_topics_are_discovered(index: LineIndex) -> None:
    """An unknown topic is refused, counted and remembered with an example."""
    ingest = Ingest(index)
    decoded = ingest.decode(entries(("new/topic", b"5"), ("foreign/nobody", b"{}")))
    assert [letter.reason for letter in decoded.letters] == ["UNKNOWN_TAG"] * 2
    assert ingest.discovery.found["new/topic"].examples == [b"5"]
    assert ingest.received == 2


def test_a_flood_of_topics_stays_bounded(index: LineIndex) -> None:
    """A hundred thousand unknown topics leave a bounded list and an exact count."""
    ingest = Ingest(index)
    for start in range(0, 100_000, 1000):
        ingest.decode(entries(*[(f"junk/{n}", b"1") for n in range(start, start + 1000)]))
    assert len(ingest.discovery.found) == 2000
    assert ingest.discovery.overflow == 98_000
    assert ingest.dead.counts == {"UNKNOWN_TAG": 100_000}


def test_retained_messages_are_no_samples(index: LineIndex) -> None:
    """A retained delivery is counted and not taken as fresh."""
    ingest = Ingest(index)
    run = entries((GAP, b"5"))
    run.flags[0] = int(Flag.RETAIN)
    assert ingest.decode(run).items == []
    assert ingest.dead.counts == {"RETAINED": 1}


def test_product_messages_keep_their_place(index: LineIndex) -> None:
    """A product message stands between the samples before and after it."""
    product = "twin/v1/site/electrode/l1/calender/product"
    decoded = Ingest(index).decode(
        entries((GAP, b"1"), (product, b'{"op": "start", "id": "C-1"}'), (GAP, b"2"))
    )
    assert [type(item) for item in decoded.items] == [Batch, ProductMessage, Batch]


def test_letters_are_throttled_and_all_counted(index: LineIndex) -> None:
    """More than 100 letters a minute of one topic and reason are only counted."""
    ingest = Ingest(index)
    decoded = ingest.decode(entries(*[(GAP, b"x")] * 250))
    assert len(decoded.letters) == 100
    assert ingest.dead.counts == {"DECODE": 250}


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(1, 7))
def test_any_payload_is_counted_exactly_once(payloads: list[bytes], step: int) -> None:
    """Whatever is sent, nothing raises, and received = stored + refused, for every split."""
    index = parse({"line.toml": LINE})
    whole, parts = Ingest(index), Ingest(index)
    messages = [(GAP, p) for p in payloads]
    run = entries(*messages)
    whole.decode(run)
    for start in range(0, len(messages), step):
        parts.decode(run.part(start, min(start + step, len(messages))))
    for ingest in (whole, parts):
        assert ingest.received == ingest.stored + sum(ingest.dead.counts.values())
    assert whole.snapshot() == parts.snapshot()


def test_snapshot_goes_on(index: LineIndex) -> None:
    """A restored ingest knows what was sent before and counts on."""
    now = RECV // 10**6
    first, second = Ingest(index), Ingest(index)
    message = (GAP, b'{"v": 1, "ts": %d}' % now)
    first.decode(entries(message, ("who", b"1")))
    second.restore(first.snapshot())
    second.decode(entries(message, first_seq=3))
    assert second.dead.counts == {"UNKNOWN_TAG": 1, "DUPLICATE": 1}
    assert second.received == 3


@given(st.integers(-(10**18), 4 * 10**18))
def test_iso_round_trip_to_the_nanosecond(time_ns: int) -> None:
    """A time written with nine digits is read back exactly."""
    from twin.model.event import iso

    text = f"{iso(time_ns)[:-1]}{time_ns % 1000:03d}Z"
    assert iso_to_ns(text) == time_ns


def test_times_of_every_kind() -> None:
    """Missing and unreadable times are told apart from times."""
    assert to_ns([None, "x", True, 5], {}).tolist() == [MISSING, UNREADABLE, UNREADABLE, 5 * 10**9]
    assert to_ns([1.5, 2.5], {0: "ms", 1: "us"}).tolist() == [1_500_000, 2000]
