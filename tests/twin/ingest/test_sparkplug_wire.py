"""The wire format of Sparkplug payloads: what comes back is what was sent, and garbage is refused."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.errors import DecodeError
from twin.ingest.sparkplug_encode import encode
from twin.ingest.sparkplug_scan import Wire
from twin.ingest.sparkplug_wire import (
    DataType,
    Limits,
    Metric,
    Payload,
    decode,
    properties,
)
from twin.model.message import Reason

U64 = st.integers(0, 2**64 - 1)
TEXT = st.text(max_size=20)
RANGES = {
    DataType.INT8: (-(2**7), 2**7 - 1),
    DataType.INT16: (-(2**15), 2**15 - 1),
    DataType.INT32: (-(2**31), 2**31 - 1),
    DataType.INT64: (-(2**63), 2**63 - 1),
    DataType.UINT8: (0, 2**8 - 1),
    DataType.UINT16: (0, 2**16 - 1),
    DataType.UINT32: (0, 2**32 - 1),
    DataType.UINT64: (0, 2**64 - 1),
    DataType.DATETIME: (0, 2**63 - 1),
}


@st.composite
def typed_values(draw):
    """A data type with a value it can hold."""
    kind = draw(st.sampled_from([*RANGES, *range(9, 13), DataType.TEXT, DataType.BYTES]))
    if kind in RANGES:
        return kind, draw(st.integers(*RANGES[kind]))
    values = {
        DataType.FLOAT: st.floats(width=32, allow_nan=False),
        DataType.DOUBLE: st.floats(allow_nan=False),
        DataType.BOOLEAN: st.booleans(),
        DataType.STRING: TEXT,
        DataType.TEXT: TEXT,
        DataType.BYTES: st.binary(max_size=20),
    }
    return kind, draw(values[kind])


PROPERTIES = st.dictionaries(
    TEXT,
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        TEXT,
    ),
    max_size=4,
)


@st.composite
def metrics(draw):
    """Any metric a publisher can send."""
    datatype, value = draw(typed_values())
    null = draw(st.booleans())
    return Metric(
        name=draw(st.none() | TEXT),
        alias=draw(st.none() | U64),
        timestamp=draw(st.none() | U64),
        datatype=int(datatype),
        value=None if null else value,
        is_historical=draw(st.booleans()),
        is_transient=draw(st.booleans()),
        is_null=null,
        properties=draw(PROPERTIES),
    )


def refusal(read, data):
    """Reason for which bytes are refused, None when they are read."""
    try:
        read(data)
    except DecodeError as error:
        return error.reason
    return None


@given(st.none() | U64, st.none() | st.integers(0, 255), st.lists(metrics(), max_size=6))
def test_what_is_encoded_is_decoded_unchanged(timestamp, seq, sent):
    """A payload survives the way to bytes and back, absent fields and zeros included."""
    back = decode(encode(Payload(timestamp=timestamp, seq=seq, metrics=sent)))

    assert (timestamp, seq) == (back.timestamp, back.seq)
    for metric in back.metrics:
        metric.kind = None
    assert sent == back.metrics


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused_as_such(data):
    """Garbage raises DecodeError and nothing else."""
    assert refusal(decode, data) in (None, Reason.DECODE, Reason.OVERSIZE)


@settings(max_examples=300)
@given(st.data(), st.lists(metrics(), min_size=1, max_size=3))
def test_damaged_payloads_are_decoded_or_refused_as_such(data, sent):
    """Cut or flipped bytes of a real payload raise DecodeError and nothing else."""
    whole = bytearray(encode(Payload(timestamp=1, seq=2, metrics=sent)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    damaged = bytes(whole[: data.draw(st.integers(at, len(whole)))])
    assert refusal(decode, damaged) in (None, Reason.DECODE, Reason.OVERSIZE)


@given(st.binary(max_size=60))
def test_any_property_set_is_read_or_refused_as_such(data):
    """Garbage in place of properties raises DecodeError and nothing else."""
    assert refusal(properties, data) in (None, Reason.DECODE, Reason.OVERSIZE)


def test_zero_and_false_are_values():
    """A zero or false on the wire is told apart from an absent field."""
    there = decode(encode(Payload(timestamp=0, seq=0, metrics=[Metric(alias=0, value=False)])))
    absent = decode(encode(Payload(metrics=[Metric()])))

    assert (there.timestamp, there.seq) == (0, 0)
    assert (there.metrics[0].alias, there.metrics[0].value) == (0, False)
    assert (absent.timestamp, absent.seq) == (None, None)
    assert absent.metrics[0] == Metric()


@pytest.mark.parametrize("bits", [0xFE, 0xFFFE, 0xFFFF_FFFE, 2**64 - 2])
def test_signs_extended_to_any_width_mean_the_same(bits):
    """Minus two of an Int8 is read from 8, 16, 32 and 64 bits alike."""
    number = bytearray()
    while bits > 0x7F:
        number.append(bits & 0x7F | 0x80)
        bits >>= 7
    number.append(bits)
    metric = b"\x20\x01\x50" + bytes(number)

    assert decode(b"\x12" + bytes([len(metric)]) + metric).metrics[0].value == -2


def test_a_published_schema_example_by_hand():
    """Bytes written out by hand from the field numbers give the fields they name."""
    metric = b"\x10\x64\x18\x05\x69" + struct.pack("<d", 22.5)
    payload = b"\x08\x07\x12" + bytes([len(metric)]) + metric + b"\x18\x00"

    expected = Metric(alias=100, timestamp=5, kind=Wire.DOUBLE, value=22.5)
    assert Payload(timestamp=7, seq=0, metrics=[expected]) == decode(payload)


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (b"\x08", "ends inside"),
        (b"\x12\x05\x10", "ends inside"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "longer than 64 bits"),
        (b"\x0b", "wire type"),
        (b"\x09" + bytes(8), "wire type"),
        (b"\x12\x05\x6d" + bytes(4), "wire type"),
        (b"\x00\x00", "wire type"),
        (b"\x12\x0b\x4a\x09\x0a\x01a\x0a\x01b\x12\x01\x00", "ends inside"),
        (b"\x12\x05\x4a\x03\x0a\x01a", "1 keys and 0 values"),
        (b"\x12\x03\x0a\x01\xff", "not UTF-8"),
    ],
)
def test_refusals_say_what_is_wrong(payload, detail):
    """Every kind of damage is named in the refusal."""
    with pytest.raises(DecodeError, match=detail) as caught:
        decode(payload)
    assert caught.value.reason == Reason.DECODE


def test_limits_are_kept():
    """More metrics, longer names or longer texts than the limits allow are refused."""
    limits = Limits(metrics=2, string=10)
    three = encode(Payload(metrics=[Metric(alias=i, value=1.0) for i in range(3)]))
    long_name = encode(Payload(metrics=[Metric(name="n" * 11)]))
    long_text = encode(Payload(metrics=[Metric(value="t" * 11)]))
    for payload in (three, long_name, long_text):
        with pytest.raises(DecodeError) as caught:
            decode(payload, limits if payload is not long_name else Limits(string=4))
        assert caught.value.reason == Reason.OVERSIZE


def test_unknown_fields_are_stepped_over():
    """A field of a later version does not stand in the way."""
    extra = b"\xa2\x06\x03abc\xa8\x06\x01\xb5\x06\x00\x00\x00\x00\xb9\x06" + bytes(8)
    metric = extra + b"\x10\x01"

    back = decode(extra + b"\x12" + bytes([len(metric)]) + metric + b"\x18\x03")

    assert Payload(seq=3, metrics=[Metric(alias=1)]) == back


@pytest.mark.parametrize(
    ("value", "datatype"),
    [
        ("text", DataType.DOUBLE),
        (1.0, DataType.STRING),
        (1.5, DataType.INT32),
        (math.inf, DataType.INT32),
        (2**32, DataType.UINT32),
        (2**64, DataType.UINT64),
        (1e300, DataType.FLOAT),
        (b"bytes", DataType.INT8),
    ],
)
def test_values_that_do_not_fit_are_not_written(value, datatype):
    """A publisher cannot send a value its data type does not hold."""
    with pytest.raises(ValueError, match=r"no number|no text|no integer|does not fit"):
        encode(Payload(metrics=[Metric(value=value, datatype=datatype)]))
