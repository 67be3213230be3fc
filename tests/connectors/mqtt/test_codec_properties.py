"""The codec for any packet, any bytes and any cut of the stream."""

import itertools
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.mqtt.codec import Decoder, encode
from connectors.mqtt.packets import (
    V3,
    V5,
    Ack,
    Connect,
    Ping,
    Pubacks,
    Publish,
    Publishes,
    Subscribe,
    Subscription,
    Type,
    Unsubscribe,
    Will,
)
from connectors.mqtt.properties import Property
from connectors.mqtt.reasons import ProtocolError

LIMIT = 1 << 16
ids = st.integers(1, 65535)
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
topic = st.text(string.ascii_letters + "/é$ ", min_size=1, max_size=30)
payload = st.binary(max_size=200)
properties = st.fixed_dictionaries(
    {},
    optional={
        Property.PAYLOAD_FORMAT: st.integers(0, 1),
        Property.MESSAGE_EXPIRY: st.integers(0, 2**32 - 1),
        Property.CONTENT_TYPE: text,
        Property.CORRELATION_DATA: st.binary(max_size=20),
        Property.USER: st.lists(st.tuples(text, text), min_size=1, max_size=3),
    },
)


@st.composite
def publish(draw, version):
    qos = draw(st.integers(0, 2))
    return Publish(
        draw(topic),
        draw(payload),
        qos,
        draw(ids) if qos else 0,
        draw(st.booleans()) if qos else False,
        draw(st.booleans()),
        draw(properties) if version == V5 else {},
    )


def packets(version):
    option = st.integers(0, 2)
    if version == V5:
        one = st.builds(Subscription, text, option, st.just(False), st.booleans(), option)
    else:
        one = st.builds(Subscription, text, option)
    reason = st.sampled_from([0, 0x92]) if version == V5 else st.just(0)
    return st.one_of(
        publish(version),
        publish(version),
        st.builds(Ack, st.sampled_from([Type.PUBREC, Type.PUBREL, Type.PUBCOMP]), ids, reason),
        st.builds(Ack, st.just(Type.PUBACK), ids, reason),
        st.builds(Subscribe, ids, st.lists(one, min_size=1, max_size=3)),
        st.builds(Unsubscribe, ids, st.lists(text, min_size=1, max_size=3)),
        st.just(Ping()),
    )


@st.composite
def connects(draw):
    version = draw(st.sampled_from([V3, V5]))
    user = draw(st.none() | text)
    props = draw(properties) if version == V5 else {}
    will = draw(st.none() | st.builds(Will, topic, payload, st.integers(0, 2), st.booleans()))
    if will is not None:
        will.properties = props
    password = None if user is None else draw(st.none() | payload)
    return Connect(draw(text), version, draw(st.booleans()), draw(ids), user, password, will)


def flat(stream):
    """Packets one by one, so that runs cut differently compare equal."""
    out = []
    for item in stream:
        if isinstance(item, Publishes):
            out += item.each()
        elif isinstance(item, Pubacks):
            out += [Ack(Type.PUBACK, i, r) for i, r in zip(item.ids, item.reasons, strict=True)]
        else:
            out.append(item)
    return out


def decode(pieces, *, server=True, version=0):
    """Packets of a stream in pieces, and the reason code it ended with, if any."""
    decoder = Decoder(server=server, version=version, max_packet=LIMIT, alias_maximum=4)
    got = []
    try:
        for piece in pieces:
            for item in decoder.feed(piece):
                got += flat([item])
    except ProtocolError as error:
        return got, error.code
    return got, None


def cut(data, places):
    marks = sorted({0, len(data), *(p % (len(data) + 1) for p in places)})
    return [data[a:b] for a, b in itertools.pairwise(marks)]


@given(st.data(), connects())
@settings(deadline=None)
def test_round_trip(data, connect):
    """What is encoded comes back, in order, for both versions."""
    sent = data.draw(st.lists(packets(connect.version), max_size=10))
    raw = b"".join(encode(p, connect.version) for p in [connect, *sent])
    assert decode([raw]) == ([connect, *sent], None)


@given(st.data(), connects(), st.lists(st.integers(0, 10_000), max_size=12))
@settings(deadline=None)
def test_cuts_change_nothing(data, connect, places):
    """Any split of the stream gives the same packets."""
    sent = data.draw(st.lists(packets(connect.version), max_size=10))
    raw = b"".join(encode(p, connect.version) for p in [connect, *sent])
    assert decode(cut(raw, places)) == decode([raw])


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_mutated_bytes_are_refused_or_read(data):
    """Damaged streams raise nothing but ProtocolError, whatever the split."""
    version = data.draw(st.sampled_from([V3, V5]))
    sent = data.draw(st.lists(packets(version), min_size=1, max_size=6))
    raw = bytearray(b"".join(encode(p, version) for p in sent))
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4)
    ):
        raw[at % len(raw)] = value
    places = data.draw(st.lists(st.integers(0, 10_000), max_size=6))
    stream = bytes(raw)
    assert decode(cut(stream, places), version=version) == decode([stream], version=version)


@given(st.binary(max_size=300), st.sampled_from([0, V3, V5]), st.booleans())
@settings(deadline=None, max_examples=300)
def test_random_bytes_are_refused_or_read(raw, version, server):
    """Noise raises nothing but ProtocolError, whole or byte by byte."""
    single = [raw[i : i + 1] for i in range(len(raw))]
    whole = decode([raw], server=server, version=version)
    assert decode(single, server=server, version=version) == whole
