"""The history store: nothing is lost, doubled or invented, and charts show what was measured."""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.errors import SinkError, StateError
from twin.history import History
from twin.history.store import CHUNK_ROWS
from twin.model.batch import BAD, GOOD, UNCERTAIN, Batch

ROOT = Path(__file__).resolve().parents[3]
IDS = ["calender/gap", "calender/load", "dryroom/dew_point"]


@pytest.fixture
def store(tmp_path):
    """An empty store that knows three sensors."""
    with History(tmp_path / "history.db") as history:
        history.bind(IDS)
        yield history


def batch(sensor, time, value, seq, quality=None):
    """A batch from lists."""
    return Batch.of(sensor, time, value, quality=quality, seq=seq)


def samples(history, sensor="calender/gap", most=10**6):
    """(time, value) of everything in the store."""
    rows = history.last(sensor, most)
    return list(zip(rows["t"].tolist(), rows["value"].tolist(), strict=True))


def brute(time, value, quality, start, end, points):
    """Down-sampling in the most obvious way."""
    width = max(1, -(-(end - start) // points))
    bins = {}
    for t, v, q in zip(time.tolist(), value.tolist(), quality.tolist(), strict=True):
        if start <= t < end and q != BAD and np.isfinite(v):
            bins.setdefault((t - start) // width, []).append(v)
    return [
        (start + k * width, min(vs), float(np.mean(vs)), max(vs), len(vs))
        for k, vs in sorted(bins.items())
    ]


# -- reading back --------------------------------------------------------------------------------


def test_rows_are_seen_before_and_after_a_flush(store):
    """Every appended row is there exactly once, in memory, on disk and after opening again."""
    store.append(batch([0, 1, 0], [3, 1, 2], [30.0, 10.0, 20.0], [1, 2, 3]))
    expected = [(2, 20.0), (3, 30.0)]

    assert (samples(store), store.pending, store.cursor) == (expected, 3, -1)
    store.flush(3)
    assert (samples(store), store.pending, store.cursor) == (expected, 0, 3)
    with History(store._path) as again:
        assert (samples(again), again.cursor) == (expected, 3)


def test_rows_beyond_the_cursor_stay_in_memory(store):
    """A flush writes what the cursor covers; the rest comes with the next one."""
    store.append(batch([0, 0, 0], [1, 2, 3], [1.0, 2.0, 3.0], [5, 6, 6]))
    store.flush(5)
    with History(store._path) as disk:
        assert samples(disk) == [(1, 1.0)]
    assert (samples(store), store.pending) == ([(1, 1.0), (2, 2.0), (3, 3.0)], 2)


def test_processing_again_after_a_restart_changes_nothing(store):
    """Rows the cursor covers are ignored, newer rows of the same batch are taken."""
    rows = batch([0, 0, 1], [1, 2, 3], [1.0, 2.0, 3.0], [1, 2, 3])
    store.append(rows)
    store.flush(2)
    with History(store._path) as again:
        again.bind(IDS)
        again.append(rows)
        assert again.pending == 1
        again.flush(3)
        again.append(rows)
        again.flush(3)
        assert samples(again) == [(1, 1.0), (2, 2.0)]
        assert samples(again, "calender/load") == [(3, 3.0)]


def test_sensors_are_kept_by_name(store):
    """A new numbering of the line, even before a flush, leaves every sensor its history."""
    store.append(batch([0], [1], [1.0], [1]))
    store.bind(["new/one", "calender/gap"])
    store.append(batch([1, 0], [2, 2], [2.0, 9.0], [2, 2]))
    store.flush(2)

    assert samples(store) == [(1, 1.0), (2, 2.0)]
    assert samples(store, "new/one") == [(2, 9.0)]
    assert samples(store, "nobody/knows") == []


def test_an_unbound_sensor_is_an_error(store):
    """A batch for a sensor nobody bound is refused, not stored under another name."""
    with pytest.raises(IndexError):
        store.append(batch([3], [1], [1.0], [1]))


def test_the_batch_may_be_used_again(store):
    """The store keeps copies."""
    rows = batch([0], [1], [1.0], [1])
    store.append(rows)
    rows.value[0] = 99.0

    assert samples(store) == [(1, 1.0)]


def test_latest_knows_disk_and_memory(store):
    """The newest sample by event time counts, wherever it is; of equal times the later one."""
    store.append(batch([0, 0, 1], [5, 9, 5], [1.0, 2.0, np.nan], [1, 1, 1], [GOOD, GOOD, BAD]))
    store.flush(1)
    store.append(batch([0, 2, 2], [7, 4, 4], [3.0, 4.0, 5.0], [2, 2, 2]))
    found = store.latest()

    assert found["calender/gap"] == (9, 2.0, GOOD)
    assert found["dryroom/dew_point"] == (4, 5.0, GOOD)
    assert (found["calender/load"][0], found["calender/load"][2]) == (5, BAD)
    assert np.isnan(found["calender/load"][1])


def test_last_looks_through_chunks_that_overlap(store):
    """The last rows are right although late rows stand in younger chunks."""
    for seq, times in enumerate([[10, 40], [20, 30], [5, 50], [35, 36]], start=1):
        store.append(batch([0, 0], times, np.array(times) / 10, [seq, seq]))
        store.flush(seq) if seq < 4 else None

    for n in range(1, 9):
        assert [t for t, _ in samples(store, most=n)] == [5, 10, 20, 30, 35, 36, 40, 50][-n:]


# -- down-sampling -------------------------------------------------------------------------------


@st.composite
def measured(draw):
    """Samples of two sensors, late and out of order, cut into batches and flushes."""
    n = draw(st.integers(0, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    time = np.sort(rng.integers(0, 1000, n)) + rng.integers(0, 30, n) * rng.integers(0, 2, n)
    quality = rng.choice([GOOD, UNCERTAIN, BAD], n, p=[0.8, 0.1, 0.1]).astype(np.uint8)
    value = np.where(rng.random(n) < 0.05, np.nan, rng.normal(size=n).round(3))
    sensor = rng.integers(0, 2, n)
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=6)))
    return sensor, time, value, quality, cuts


@settings(max_examples=60)
@given(measured(), st.integers(-100, 1100), st.integers(1, 1200), st.integers(1, 60), st.booleans())
def test_down_sampling_equals_brute_force(tmp_path_factory, rows, start, span, points, merge):
    """Bins hold exactly the samples of their time, from statistics, bodies and memory alike."""
    sensor, time, value, quality, cuts = rows
    with History(tmp_path_factory.mktemp("history") / "h.db") as history:
        history.bind(IDS)
        edges = [0, *cuts, len(time)]
        for i, (a, b) in enumerate(itertools.pairwise(edges), start=1):
            cut = slice(a, b)
            history.append(
                batch(sensor[cut], time[cut], value[cut], np.full(b - a, i), quality[cut])
            )
            if i % 3:
                history.flush(i)
        if merge:
            history.compact()
        mine = sensor == 0
        found = history.series("calender/gap", start, start + span, points)
    expected = brute(time[mine], value[mine], quality[mine], start, start + span, points)
    shown = sum(n for *_, n in expected)
    if shown <= points:  # few samples are shown one by one
        assert found["n"].tolist() == [1] * shown
        expected = brute(time[mine], value[mine], quality[mine], start, start + span, span)
        assert np.unique(found["t"]).tolist() == [t for t, *_ in expected]
        assert sorted(found["mean"]) == sorted(
            v
            for t, v, q in zip(time[mine], value[mine], quality[mine], strict=True)
            if start <= t < start + span and q != BAD and np.isfinite(v)
        )
        return
    columns = [found[name].tolist() for name in ("t", "min", "max", "n")]
    assert list(zip(*columns, strict=True)) == [(t, low, hi, n) for t, low, _, hi, n in expected]
    np.testing.assert_allclose(found["mean"], [m for _, _, m, _, _ in expected], atol=1e-12)


def test_open_ends_reach_from_the_first_to_the_latest(store):
    """Without bounds the whole history is shown, memory included."""
    store.append(batch([0] * 3, [10, 20, 30], [1.0, 2.0, 3.0], [1] * 3))
    store.flush(1)
    store.append(batch([0], [40], [4.0], [2]))

    assert store.series("calender/gap", None, None, 10)["t"].tolist() == [10, 20, 30, 40]
    assert store.series("calender/gap", None, None, 2)["n"].tolist() == [2, 2]
    assert store.series("calender/gap", 20, None, 9)["t"].tolist() == [20, 30, 40]
    assert store.series("calender/load", None, None, 9)["t"].tolist() == []
    with pytest.raises(ValueError, match="at least 1"):
        store.series("calender/gap", None, None, 0)


def test_a_coarse_chart_does_not_read_bodies(store):
    """Where a chunk lies in one bin its statistics are enough: bodies may even be gone."""
    for seq in range(1, 21):
        store.append(batch([0] * 5, seq * 100 + np.arange(5), np.arange(5.0), [seq] * 5))
        store.flush(seq)
    store._disk.execute("DELETE FROM body")
    found = store.series("calender/gap", 0, 4000, 4)

    assert (found["n"].tolist(), found["max"].tolist()) == ([45, 50, 5], [4.0, 4.0, 4.0])
    assert store.damage == []


# -- upkeep --------------------------------------------------------------------------------------


def test_long_runs_are_cut_into_chunks(store):
    """No chunk is larger than the limit, and nothing is lost at the cuts."""
    n = 2 * CHUNK_ROWS + 7
    store.append(batch(np.zeros(n), np.arange(n), np.arange(n), np.ones(n)))
    store.flush(1)
    sizes = store._disk.execute("SELECT n FROM chunk ORDER BY t0").fetchall()

    assert sizes == [(CHUNK_ROWS,), (CHUNK_ROWS,), (7,)]
    assert samples(store) == [(t, float(t)) for t in range(n)]


def test_compacting_changes_nothing_but_the_number_of_chunks(store):
    """Small chunks become few; rows, cursor and order of equal times stay."""
    for seq in range(1, 41):
        store.append(batch([0, 0], [seq // 2, seq], [seq, -seq], [seq, seq]))
        store.flush(seq)
    before = samples(store)

    assert store.compact() == 1
    assert store.compact() == 0
    assert (samples(store), store.cursor) == (before, 40)
    (chunks,) = store._disk.execute("SELECT count(*) FROM chunk").fetchone()
    (bodies,) = store._disk.execute("SELECT count(*) FROM body").fetchone()
    assert (chunks, bodies) == (1, 1)


def test_compacting_can_be_done_in_small_steps(store):
    """The caller decides how much is merged at once."""
    for seq in range(1, 33):
        store.append(batch([0, 1], [seq, seq], [1.0, 1.0], [seq, seq]))
        store.flush(seq)

    assert [store.compact(1) for _ in range(3)] == [1, 1, 0]


def test_retention_deletes_whole_chunks_that_are_too_old(store):
    """Chunks that end before the moment go, those that reach over it stay."""
    for seq, times in enumerate([[1, 2], [3, 10], [11, 12]], start=1):
        store.append(batch([0, 0], times, [0.0, 0.0], [seq, seq]))
        store.flush(seq)

    assert store.retain(10) == 2
    assert [t for t, _ in samples(store)] == [3, 10, 11, 12]
    assert store.retain(10) == 0


# -- damage --------------------------------------------------------------------------------------


def flip(path, table, column):
    """Change the chunk with the smallest id behind the store's back."""
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE {table} SET {column} WHERE id = (SELECT min(id) FROM chunk)")
    db.close()


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("body", "data = zeroblob(40)"),
        ("body", "data = 'text'"),
        ("chunk", "high = 1e9"),
        ("chunk", "n = 3"),
        ("chunk", "good = 'many'"),
    ],
)
def test_a_damaged_chunk_is_reported_and_left_out(store, table, change):
    """What fails its checksum never becomes data; everything else stays readable."""
    for seq in (1, 2):
        store.append(batch([0] * 4, seq * 10 + np.arange(4), [seq] * 4, [seq] * 4))
        store.flush(seq)
    flip(store._path, table, change)

    assert samples(store) == [(t, 2.0) for t in range(20, 24)]
    assert store.series("calender/gap", 0, 100, 99)["mean"].tolist() == [2.0] * 4
    assert [(d.sensor, d.t1) for d in store.damage] == [("calender/gap", 13)]
    assert store.compact() == 0


def test_a_file_that_is_no_database_is_moved_aside(tmp_path):
    """A destroyed file is kept for inspection, reported, and the store starts anew."""
    path = tmp_path / "history.db"
    path.write_bytes(b"nothing a database would say" * 100)
    with History(path) as history:
        assert history.cursor == -1
        assert "history.db.damaged-1" in history.damage[0].detail
    assert (tmp_path / "history.db.damaged-1").stat().st_size == 2800


@pytest.mark.parametrize("fill", [b"\x00", b"\xff", b"\x0d"])
def test_a_destroyed_page_anywhere_never_becomes_data(tmp_path, fill):
    """Whatever page of the file is overwritten, what can still be read is what was written."""
    whole = tmp_path / "whole.db"
    rng = np.random.default_rng(3)
    with History(whole) as history:
        history.bind(IDS)
        for seq in range(1, 13):
            history.append(
                batch(np.zeros(300), seq * 1000 + np.arange(300), rng.normal(size=300), [seq] * 300)
            )
            history.flush(seq)
        written = set(samples(history))
    image = whole.read_bytes()
    reported = 0
    for page in range(len(image) // 4096):
        path = tmp_path / f"{page}.db"
        path.write_bytes(image[: page * 4096] + fill * 4096 + image[(page + 1) * 4096 :])
        with History(path) as history:
            history.bind(IDS)
            found = samples(history)
            total = history.series("calender/gap", 0, 20_000, 5)["n"].sum()
            assert set(found) <= written
            assert total <= len(written)
            if len(found) < len(written):
                assert history.damage
                reported += 1
    assert reported > 5


def test_a_later_version_is_refused(tmp_path):
    """A file of a later program is left alone."""
    path = tmp_path / "history.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match="99"):
        History(path)


def test_a_failed_flush_keeps_the_rows(store):
    """When the disk refuses, nothing is half written and the next flush writes everything."""
    store.append(batch([0], [1], [1.0], [1]))
    store._disk.execute("PRAGMA query_only = ON")
    with pytest.raises(SinkError):
        store.flush(1)
    assert (samples(store), store.pending, store.cursor) == ([(1, 1.0)], 1, -1)

    store._disk.execute("PRAGMA query_only = OFF")
    store.flush(1)
    assert (samples(store), store.pending, store.cursor) == ([(1, 1.0)], 0, 1)


# -- at the same time ----------------------------------------------------------------------------


def test_a_reader_sees_every_row_once_while_others_write_and_compact(store):
    """At every moment a reader sees a complete beginning of the data: no hole, no double."""
    problems, done = [], threading.Event()

    def read():
        while not done.is_set():
            times = [t for t, _ in samples(store)]
            if times != list(range(len(times))):
                problems.append(times)
            total = store.series("calender/gap", None, None, 3)["n"].sum()
            if total < len(times):
                problems.append((total, len(times)))

    def merge():
        while not done.is_set():
            store.compact()

    threads = [threading.Thread(target=read), threading.Thread(target=merge)]
    for thread in threads:
        thread.start()
    for seq in range(300):
        store.append(batch([0], [seq], [1.0], [seq]))
        if seq % 3 == 0:
            store.flush(seq)
    done.set()
    for thread in threads:
        thread.join(timeout=60)

    assert not any(thread.is_alive() for thread in threads)
    assert problems == []
    assert len(samples(store)) == 300


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path

    import numpy as np

    from twin.history import History
    from twin.model.batch import Batch

    with History(Path(sys.argv[1])) as history:
        history.bind(["a/x", "a/y"])
        seq = history.cursor + 1
        while True:
            for _ in range(5):
                n = 20 + seq % 7
                stamp = np.arange(n) + seq * 100
                history.append(Batch.of(np.arange(n) % 2, stamp, stamp * 0.5, seq=np.full(n, seq)))
                seq += 1
            history.flush(seq - 1)
            if seq % 40 == 0:
                history.compact()
            print(seq - 1, flush=True)
    """
)


@pytest.mark.slow
def test_a_killed_writer_leaves_exactly_what_its_cursor_says(tmp_path):
    """After kill -9 in mid-write, rows and cursor agree, again and again on the same file."""
    path = tmp_path / "history.db"
    rng = np.random.default_rng(7)
    confirmed = -1
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            for _ in range(int(rng.integers(3, 25))):
                confirmed = int(writer.stdout.readline())
            os.kill(writer.pid, signal.SIGKILL)
            rest = writer.stdout.read().split("\n")[:-1]
        confirmed = max([confirmed, *map(int, rest)])
        with History(path) as history:
            assert history.cursor >= confirmed
            found = sorted(samples(history, "a/x") + samples(history, "a/y"))
            stamps = [
                seq * 100 + i for seq in range(history.cursor + 1) for i in range(20 + seq % 7)
            ]
            assert found == [(stamp, stamp * 0.5) for stamp in stamps]
            assert history.damage == []
