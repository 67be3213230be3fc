"""Topic filters, order of acknowledgements, and the compiled kernels."""

import numpy as np
import pytest

from connectors.mqtt import fast
from connectors.mqtt.acks import AckQueue
from connectors.mqtt.codec import encode
from connectors.mqtt.filters import covers, valid_filter
from connectors.mqtt.packets import V5, Ack, Publish, Type


@pytest.mark.parametrize(
    ("outer", "inner", "want"),
    [
        ("#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a/#", "a", True),
        ("a/+", "a", False),
        ("a/+", "a/", True),
        ("a/+", "a/b/c", False),
        ("a/b", "a/+", False),
        ("a/+", "a/#", False),
        ("a/+/#", "a/+/b/#", True),
        ("twin/+/+/+/alarm/#", "twin/v1/s/l/alarm", True),
        ("twin/+/+/+/alarm/#", "twin/#", False),
        ("a", "a", True),
        ("a", "A", False),
        ("", "a", False),
    ],
)
def test_covers(outer, inner, want):
    """A filter covers names and filters as section 4.7 of the standard says."""
    assert covers(outer, inner) is want


@pytest.mark.parametrize("name", ["", "a#", "#/a", "a/b+", "a/\0", "a/##", "x" * 65536])
def test_invalid_filters(name):
    """Wildcards stand alone in a level, and # only at the end."""
    assert not valid_filter(name)


async def test_acks_wait_for_earlier_ones():
    """An acknowledgement that is ready early waits; those ready together leave in one write."""
    import asyncio

    written = []
    queue = AckQueue(written.append)
    first, second, third = queue.reserve(2), queue.reserve(1), queue.reserve()
    queue.fill(second, b"2")
    await asyncio.sleep(0)
    assert (written, queue.open) == ([], 3)
    queue.fill(first, b"1")
    assert written == []
    await asyncio.sleep(0)
    assert (written, queue.open) == ([b"12"], 0)
    queue.fill(third, b"3")
    queue.answer(b"4")
    await asyncio.sleep(0)
    assert written == [b"12", b"34"]


def test_compiled_kernels_equal_their_python_form():
    """The compiled walk over the bytes finds what the plain one finds, at every cut."""
    data = b"".join(
        encode(Publish("a/b", b"x" * (i * 40), i % 3, i if i % 3 else 0), V5) for i in range(8)
    )
    acks = b"".join(encode(Ack(Type.PUBACK, i, r), V5) for i, r in [(1, 0), (300, 0x87), (9, 0)])
    for stop in range(1, len(data) + 1):
        view = np.frombuffer(data[:stop], np.uint8)
        out, plain = np.zeros((2, 7, 9), np.int64)
        got = fast.scan_publishes(view, 0, True, 10_000, out)
        assert got == fast.scan_publishes.py_func(view, 0, True, 10_000, plain)
        assert (out == plain).all()
    for stop in range(1, len(acks) + 1):
        view = np.frombuffer(acks[:stop], np.uint8)
        out, plain = np.zeros((2, 2, 9), np.int64)
        got = fast.scan_pubacks(view, 0, True, out)
        assert got == fast.scan_pubacks.py_func(view, 0, True, plain)
        assert (out == plain).all()
    assert len(fast.scan_publishes.signatures) == 1
