"""Chunks: what is packed is unpacked, and damage never passes for data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.history.chunk import ChunkDamagedError, Head, Rows, pack, seal, unpack
from twin.history.merge import runs_of_small
from twin.model.batch import BAD, GOOD


@st.composite
def some_rows(draw):
    """Rows in order of time, with equal times, bad quality and missing values."""
    n = draw(st.integers(1, 50))
    time = draw(st.lists(st.integers(-(2**62), 2**62), min_size=n, max_size=n))
    value = draw(st.lists(st.floats(-1e300, 1e300), min_size=n, max_size=n))
    quality = np.array(draw(st.lists(st.sampled_from([BAD, GOOD]), min_size=n, max_size=n)))
    values = np.where(quality == BAD, np.nan, np.array(value))
    marks = np.arange(n, dtype=np.uint8)
    return Rows(np.array(time, np.int64), values, quality.astype(np.uint8), marks).by_time()


def same(one, other):
    """Whether rows are equal bit by bit."""
    return all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in (
            (one.time, other.time),
            (one.value, other.value),
            (one.quality, other.quality),
            (one.marks, other.marks),
        )
    )


@given(some_rows())
def test_rows_survive_packing_bit_by_bit(rows):
    """Times, values, qualities and marks come back unchanged."""
    body = pack(rows)

    assert same(rows, unpack(seal(1, 7, rows, body), body))


@given(some_rows())
def test_heads_tell_what_is_in_the_body(rows):
    """Statistics count exactly the rows a chart shows."""
    head = seal(1, 7, rows, pack(rows))
    shown = rows.value[rows.quality != BAD]

    assert (head.t0, head.t1, head.n, head.good) == (
        rows.time.min(),
        rows.time.max(),
        len(rows),
        len(shown),
    )
    if len(shown):
        assert (head.low, head.high) == (shown.min(), shown.max())
    assert head.intact


@given(some_rows(), st.data())
def test_a_flipped_bit_in_the_body_is_found(rows, data):
    """No single flipped bit gives other rows."""
    body = bytearray(pack(rows))
    head = seal(1, 7, rows, bytes(body))
    body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(ChunkDamagedError):
        unpack(head, bytes(body))


@pytest.mark.parametrize("place", range(len(Head._fields)))
def test_a_changed_cell_of_the_head_is_found(place):
    """Every cell of the head is under its checksum."""
    rows = Rows(np.array([1, 2]), np.array([1.0, 2.0]), *[np.full(2, GOOD, np.uint8)] * 2)
    body = pack(rows)
    cells = list(seal(1, 7, rows, body))
    for wrong in (cells[place] + 1, "text", None):
        changed = Head.read((*cells[:place], wrong, *cells[place + 1 :]))
        assert not changed.intact
        with pytest.raises(ChunkDamagedError):
            unpack(changed, body)


def test_a_missing_body_is_damage():
    """A head without its body gives no rows."""
    rows = Rows(np.array([1]), np.array([1.0]), *[np.full(1, GOOD, np.uint8)] * 2)
    with pytest.raises(ChunkDamagedError):
        unpack(seal(1, 7, rows, pack(rows)), None)


def heads(*sizes):
    """Neighbouring chunks of these sizes."""
    return [Head(1, i, i, i, n, n, 0.0, 0.0, 0.0, 0.0, 0, 0, 0) for i, n in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "runs"),
    [
        ([], []),
        ([100, 100], []),
        ([300, 300], [[0, 1]]),
        ([10] * 16, [list(range(16))]),
        ([300, 700, 300, 300], [[2, 3]]),
        ([300, 400, 400, 300], [[0, 1], [2, 3]]),
        ([10] * 15, []),
    ],
)
def test_only_worthwhile_neighbours_are_merged(sizes, runs):
    """Runs are many or large enough, end at large chunks, and stay within the size."""
    assert [[head.id for head in run] for run in runs_of_small(heads(*sizes), 1000)] == runs
