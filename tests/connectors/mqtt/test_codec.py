"""The codec against bytes written by hand from the two standards."""

import pytest

from connectors.mqtt.codec import Decoder, encode, encode_pubacks
from connectors.mqtt.fast import TopicNames
from connectors.mqtt.packets import (
    V3,
    V5,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Ping,
    Pubacks,
    Publish,
    Publishes,
    Suback,
    Subscribe,
    Subscription,
    Type,
    Unsuback,
    Unsubscribe,
    Will,
)
from connectors.mqtt.properties import Property
from connectors.mqtt.reasons import Code, ProtocolError
from connectors.mqtt.wire import Reader, pack_varint

CONNECT_3 = bytes.fromhex("10 0d 0004 4d515454 04 02 003c 0001 61")
CONNECT_5 = bytes.fromhex("10 0e 0004 4d515454 05 02 003c 00 0001 61")


def items(data, *, server=True, version=V5, **kw):
    """Everything in the bytes, messages one by one."""
    out = []
    for item in Decoder(server=server, version=version, max_packet=1 << 20, **kw).feed(data):
        out += list(item.each()) if isinstance(item, Publishes) else [item]
    return out


VECTORS = [
    # (version, from server?, hex, packet)
    (V3, False, CONNECT_3.hex(), Connect("a", V3, True, 60)),
    (V5, False, CONNECT_5.hex(), Connect("a", V5, True, 60)),
    (
        V3,
        False,
        # user name, password, will retain, will QoS 1, will flag, clean session
        "10 1b 0004 4d515454 04 ee 000a 0001 61 0001 77 0002 6f6e 0001 75 0002 7077",
        Connect("a", V3, True, 10, "u", b"pw", Will("w", b"on", 1, True)),
    ),
    (
        V5,
        False,
        "10 20 0004 4d515454 05 0c 000a 05 11 0000000a 0001 61 05 18 00000005 0001 77 0002 6f6e",
        Connect(
            "a",
            V5,
            False,
            10,
            None,
            None,
            Will("w", b"on", 1, False, {Property.WILL_DELAY: 5}),
            {Property.SESSION_EXPIRY: 10},
        ),
    ),
    (V3, True, "20 02 01 00", Connack(True, 0)),
    (V5, True, "20 06 00 00 03 21 03e8", Connack(False, 0, {Property.RECEIVE_MAXIMUM: 1000})),
    (V3, False, "30 05 0003 612f62", Publish("a/b", b"")),
    (V3, False, "3b 08 0003 612f62 000a 78", Publish("a/b", b"x", 1, 10, True, True)),
    (V5, False, "34 09 0003 612f62 000a 00 78", Publish("a/b", b"x", 2, 10)),
    (
        V5,
        False,
        "30 0f 0001 61 0a 02 0000003c 01 01 03 0000 78",
        Publish(
            "a",
            b"x",
            properties={
                Property.MESSAGE_EXPIRY: 60,
                Property.PAYLOAD_FORMAT: 1,
                Property.CONTENT_TYPE: "",
            },
        ),
    ),
    (V5, False, "50 02 0102", Ack(Type.PUBREC, 258)),
    (V5, False, "62 03 0102 92", Ack(Type.PUBREL, 258, 0x92)),
    (
        V5,
        False,
        "70 08 0102 92 04 1f 0001 78",
        Ack(Type.PUBCOMP, 258, 0x92, {Property.REASON_STRING: "x"}),
    ),
    (V3, False, "82 06 0001 0001 61 01", Subscribe(1, [Subscription("a", 1)])),
    (
        V5,
        False,
        "82 09 0001 02 0b 05 0001 61 2d",
        Subscribe(1, [Subscription("a", 1, True, True, 2)], {Property.SUBSCRIPTION_ID: [5]}),
    ),
    (V3, True, "90 04 0001 01 80", Suback(1, [1, 0x80])),
    (V5, True, "90 04 0001 00 87", Suback(1, [0x87])),
    (V3, False, "a2 05 0001 0001 61", Unsubscribe(1, ["a"])),
    (V5, False, "a2 06 0001 00 0001 61", Unsubscribe(1, ["a"])),
    (V3, True, "b0 02 0001", Unsuback(1)),
    (V5, True, "b0 04 0001 00 11", Unsuback(1, [0x11])),
    (V3, False, "c0 00", Ping()),
    (V5, True, "d0 00", Ping(response=True)),
    (V3, False, "e0 00", Disconnect()),
    (V5, False, "e0 01 04", Disconnect(4)),
    (V5, True, "e0 07 8e 05 1f 0002 6279", Disconnect(0x8E, {Property.REASON_STRING: "by"})),
    (V5, False, "f0 00", Auth()),
    (V5, False, "f0 06 18 04 15 0001 78", Auth(0x18, {Property.AUTH_METHOD: "x"})),
]


def _entry(vector):
    version, _, text, packet = vector
    return f"{type(packet).__name__}-{version}-{text[:8]}"


@pytest.mark.parametrize("vector", VECTORS, ids=_entry)
def test_vectors_decode(vector):
    """Bytes from the standard give the packet they describe."""
    version, from_server, text, packet = vector
    known = 0 if isinstance(packet, Connect) else version
    assert items(bytes.fromhex(text), server=not from_server, version=known) == [packet]


@pytest.mark.parametrize("vector", VECTORS, ids=_entry)
def test_vectors_encode(vector):
    """A packet is encoded to the very bytes of the standard."""
    version, _, text, packet = vector
    assert encode(packet, version).hex() == bytes.fromhex(text).hex()


@pytest.mark.parametrize(
    ("version", "text", "want"),
    [
        (V3, "40 02 0007", Pubacks([7], [0])),
        (V5, "40 02 0007 40 03 0008 10 40 04 0009 87 00", Pubacks([7, 8, 9], [0, 0x10, 0x87])),
        (V5, "40 08 0007 87 04 1f 0001 78", Pubacks([7], [0x87])),
    ],
)
def test_pubacks_are_columns(version, text, want):
    """PUBACKs of every length come as columns."""
    assert items(bytes.fromhex(text), server=False, version=version) == [want]


def test_pubacks_encode_as_one_run():
    """Positive PUBACKs are four bytes each, in the order given."""
    assert encode_pubacks([1, 258, 65535]).hex() == "40020001400201024002ffff"


def test_connect_sets_the_version():
    """Packets behind CONNECT in the same read are decoded in the version it names."""
    got = items(CONNECT_5 + bytes.fromhex("30 05 0001 61 00 78"), version=0)
    assert got[1] == Publish("a", b"x")
    got = items(CONNECT_3 + bytes.fromhex("30 05 0001 61 00 78"), version=0)
    assert got[1] == Publish("a", b"\0x")


def test_runs_become_columns():
    """Many PUBLISH packets in one read are one set of columns, in order, with DUP and retain."""
    sent = [Publish(f"t/{i % 3}", b"%d" % i, i % 3, i + 1 if i % 3 else 0) for i in range(10_000)]
    sent[5].dup = sent[5].retain = True
    data = b"".join(encode(p, V5) for p in sent)
    got = list(Decoder(server=True, version=V5, max_packet=1000).feed(data))
    assert [len(p) for p in got] == [4096, 4096, 1808]
    assert [m for p in got for m in p.each()] == sent


def test_topic_alias_is_resolved():
    """An alias stands for the last topic it was set to, from the same connection only."""
    props = {Property.TOPIC_ALIAS: 2}
    data = b"".join(
        encode(Publish(topic, b"x", properties=props), V5) for topic in ("a", "", "b", "")
    )
    got = items(data, alias_maximum=2)
    assert [p.topic for p in got] == ["a", "a", "b", "b"]


def test_topic_cache_is_bounded():
    """The cache of topic names never holds more than its capacity."""
    names = TopicNames(capacity=10)
    for i in range(1000):
        assert names.name(b"t%d" % i) == f"t{i}"
        assert len(names) <= 10
    names.name(b"x" * 2000)
    assert len(names) <= 10


MALFORMED = [
    # (name, version, server side?, hex, reason code)
    ("packet type 0", V5, True, "00 00", Code.MALFORMED),
    ("AUTH in 3.1.1", V3, True, "f0 00", Code.MALFORMED),
    ("reserved bits of PINGREQ", V5, True, "c1 00", Code.MALFORMED),
    ("reserved bits of PUBREL", V5, True, "60 02 0001", Code.MALFORMED),
    ("reserved bits of SUBSCRIBE", V3, True, "80 06 0001 0001 61 01", Code.MALFORMED),
    ("length of five bytes", V5, True, "30 ff ff ff ff 01", Code.MALFORMED),
    ("length not shortest", V5, True, "c0 80 00", Code.MALFORMED),
    ("publish length not shortest", V5, True, "30 84 00 0001 61 00", Code.MALFORMED),
    ("too large", V5, True, "30 80 80 80 01", Code.TOO_LARGE),
    ("QoS 3", V3, True, "36 07 0003 612f62 000a", Code.MALFORMED),
    ("DUP with QoS 0", V3, True, "38 05 0003 612f62", Code.MALFORMED),
    ("packet id 0", V3, True, "32 07 0003 612f62 0000", Code.PROTOCOL_ERROR),
    ("no room for packet id", V3, True, "32 05 0003 612f62", Code.MALFORMED),
    ("topic past the end", V3, True, "30 05 0004 612f62", Code.MALFORMED),
    ("no topic length", V3, True, "30 01 00", Code.MALFORMED),
    ("empty topic", V3, True, "30 02 0000", Code.PROTOCOL_ERROR),
    ("empty topic, no alias", V5, True, "30 03 0000 00", Code.PROTOCOL_ERROR),
    ("empty topic, other property", V5, True, "30 05 0000 02 0101", Code.PROTOCOL_ERROR),
    ("wildcard +", V5, True, "30 06 0003 612f2b 00", Code.BAD_TOPIC),
    ("wildcard #", V3, True, "30 05 0003 612f23", Code.BAD_TOPIC),
    ("topic not UTF-8", V3, True, "30 04 0002 c328", Code.MALFORMED),
    ("topic with surrogate", V3, True, "30 05 0003 eda080", Code.MALFORMED),
    ("topic with null", V3, True, "30 05 0003 610062", Code.MALFORMED),
    ("alias 0", V5, True, "30 07 0001 61 03 230000", Code.BAD_ALIAS),
    ("alias above maximum", V5, True, "30 07 0001 61 03 230001", Code.BAD_ALIAS),
    ("unknown property", V5, True, "30 06 0001 61 02 0401", Code.MALFORMED),
    ("property of another packet", V5, True, "30 07 0001 61 03 210001", Code.PROTOCOL_ERROR),
    ("property twice", V5, True, "30 08 0001 61 04 01010101", Code.PROTOCOL_ERROR),
    ("flag property of 2", V5, True, "30 06 0001 61 02 0102", Code.PROTOCOL_ERROR),
    ("property past the end", V5, True, "30 05 0001 61 02 01", Code.MALFORMED),
    ("property cut", V5, True, "30 06 0001 61 02 0200", Code.MALFORMED),
    ("wildcard response topic", V5, True, "30 08 0001 61 04 0800 0123", Code.PROTOCOL_ERROR),
    ("subscription id by client", V5, True, "30 06 0001 61 02 0b01", Code.PROTOCOL_ERROR),
    ("bytes behind PINGREQ", V5, True, "c0 01 00", Code.MALFORMED),
    ("PUBACK id 0", V5, True, "40 02 0000", Code.PROTOCOL_ERROR),
    ("PUBACK too long for 3.1.1", V3, True, "40 03 0001 00", Code.MALFORMED),
    ("second CONNECT", V5, True, CONNECT_5.hex(), Code.PROTOCOL_ERROR),
    ("SUBACK to a server", V5, True, "90 04 0001 00 00", Code.PROTOCOL_ERROR),
    ("PINGREQ to a client", V5, False, "c0 00", Code.PROTOCOL_ERROR),
    ("CONNECT to a client", 0, False, CONNECT_5.hex(), Code.PROTOCOL_ERROR),
    ("DISCONNECT of a 3.1.1 server", V3, False, "e0 00", Code.PROTOCOL_ERROR),
    ("SUBSCRIBE without filter", V5, True, "82 03 0001 00", Code.PROTOCOL_ERROR),
    ("UNSUBSCRIBE without filter", V3, True, "a2 02 0001", Code.PROTOCOL_ERROR),
    ("subscription QoS 3", V5, True, "82 07 0001 00 0001 61 03", Code.PROTOCOL_ERROR),
    ("subscription reserved bits", V5, True, "82 07 0001 00 0001 61 41", Code.MALFORMED),
    ("3.1.1 subscription options", V3, True, "82 06 0001 0001 61 05", Code.MALFORMED),
    ("retain handling 3", V5, True, "82 07 0001 00 0001 61 30", Code.PROTOCOL_ERROR),
    ("CONNACK flags", V5, False, "20 03 02 00 00", Code.MALFORMED),
    ("receive maximum 0", V5, False, "20 06 00 00 03 210000", Code.PROTOCOL_ERROR),
    ("SUBACK without reason", V5, False, "90 03 0001 00", Code.PROTOCOL_ERROR),
    ("PINGREQ before CONNECT", 0, True, "c0 00", Code.PROTOCOL_ERROR),
    ("PUBLISH before CONNECT", 0, True, "30 05 0003 612f62", Code.PROTOCOL_ERROR),
    ("MQTT 3.1", 0, True, "10 0f 0006 4d5149736470 03 02 003c 0001 61", Code.UNSUPPORTED_VERSION),
    ("level 6", 0, True, "10 0d 0004 4d515454 06 02 003c 0001 61", Code.UNSUPPORTED_VERSION),
    ("CONNECT reserved flag", 0, True, "10 0d 0004 4d515454 04 03 003c 0001 61", Code.MALFORMED),
    ("will QoS without will", 0, True, "10 0d 0004 4d515454 04 0a 003c 0001 61", Code.MALFORMED),
    ("will QoS 3", 0, True, "10 0d 0004 4d515454 04 1e 003c 0001 61", Code.MALFORMED),
    ("password alone", 0, True, "10 10 0004 4d515454 04 42 003c 0001 61 0001 70", Code.MALFORMED),
]


@pytest.mark.parametrize("case", MALFORMED, ids=lambda c: c[0])
def test_malformed_carries_its_reason(case):
    """What breaks the protocol is refused with the reason code the standard gives it."""
    _, version, server, text, code = case
    with pytest.raises(ProtocolError) as caught:
        items(bytes.fromhex(text), server=server, version=version)
    assert caught.value.code == code


def test_good_packets_before_a_fault_are_given():
    """The messages in front of a bad one in the same run are not lost."""
    good = encode(Publish("a", b"1", 1, 1), V5)
    alias = encode(Publish("a", b"2", properties={Property.TOPIC_ALIAS: 9}), V5)
    for bad in (alias, bytes.fromhex("32 06 0001 61 0000 00"), encode(Publish("+", b""), V5)):
        got = []
        stream = Decoder(server=True, version=V5, max_packet=99).feed(good + good + bad)
        with pytest.raises(ProtocolError):
            got.extend(stream)
        got = [message for item in got for message in item.each()]
        assert got == [Publish("a", b"1", 1, 1)] * 2


def test_size_is_refused_before_the_packet_is_read():
    """Five header bytes are enough to refuse a packet that is too large."""
    decoder = Decoder(server=True, version=V5, max_packet=1000)
    with pytest.raises(ProtocolError) as caught:
        list(decoder.feed(b"\x30" + pack_varint(1000)))
    assert caught.value.code == Code.TOO_LARGE


def test_packet_of_the_largest_size_is_taken():
    """The limit is the size of the whole packet, header included."""
    data = encode(Publish("a", bytes(1000)), V5)
    assert len(list(Decoder(server=True, version=V5, max_packet=len(data)).feed(data))) == 1
    with pytest.raises(ProtocolError):
        list(Decoder(server=True, version=V5, max_packet=len(data) - 1).feed(data))


@pytest.mark.parametrize("value", [0, 127, 128, 16383, 16384, 2097151, 2097152, 268435455])
def test_varint_limits(value):
    """Variable byte integers round trip at the limits of table 1-1."""
    raw = pack_varint(value)
    assert Reader(raw, 0, len(raw)).varint() == value


def test_strings_that_have_no_form_are_refused():
    """Too long strings, null characters and lone surrogates cannot be sent."""
    for topic in ("a" * 65536, "a\0", "\ud800"):
        with pytest.raises(ProtocolError):
            encode(Publish(topic, b""), V5)
