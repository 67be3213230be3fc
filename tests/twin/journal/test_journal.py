"""The journal: order, durability, damage."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from twin.clock import SystemClock
from twin.journal import Journal, JournalSettings, Reader, frames
from twin.journal.segment import list_segments
from twin.model.message import Block, Entries, Kind

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SETTINGS = JournalSettings(ballast_bytes=0, min_interval_s=0.0)


def block(first: int, count: int, source: str = "mqtt:a") -> Block:
    """Messages numbered by their payload."""
    made = Block(source)
    for number in range(first, first + count):
        made.add(f"t/{number % 7}", str(number).encode(), 1_000 + number, number % 4)
    return made


async def filled(folder: Path, blocks: list[Block], settings: JournalSettings = SETTINGS) -> int:
    """A closed journal with these blocks; returns its last sequence number."""
    journal = Journal(folder, SystemClock(), code_version="test", settings=settings)
    journal.open()
    journal.start(asyncio.get_running_loop())
    for one in blocks:
        done = asyncio.Event()
        journal.put(one, done.set)
        await asyncio.wait_for(done.wait(), 10)
    await asyncio.to_thread(journal.close)
    return journal.committed


def payloads(folder: Path, first: int = 1) -> list[bytes]:
    return [p for run in Reader(folder).entries(first) for p in run.payloads]


@given(
    st.lists(
        st.tuples(
            st.text(max_size=8), st.text(max_size=8), st.binary(max_size=50), st.integers(0, 15)
        ),
        min_size=1,
        max_size=40,
    ),
    st.booleans(),
)
def test_frame_round_trip(rows: list[tuple[str, str, bytes, int]], compress: bool) -> None:
    """What is packed comes back as it was, whatever the names and payloads are."""
    topics = [row[1] for row in rows]
    numbers = {topic: n for n, topic in enumerate(dict.fromkeys(topics), start=1)}
    entries = Entries(
        5,
        Kind.MESSAGE,
        [row[0] for row in rows],
        topics,
        [row[2] for row in rows],
        list(range(len(rows))),
        [row[3] for row in rows],
    )
    codec, body = frames.pack(entries, [numbers[t] for t in topics], compress=compress)
    names = {n: topic for topic, n in numbers.items()}
    assert frames.unpack(5, 0, codec, body, names) == entries


async def test_order_over_restarts_and_segments(tmp_path: Path) -> None:
    """Numbers go on without a hole over restarts and segments, and every payload is there."""
    small = JournalSettings(ballast_bytes=0, segment_bytes=1, min_interval_s=0.0)
    last = 0
    for start in range(0, 3000, 1000):
        last = await filled(tmp_path, [block(start, 400), block(start + 400, 600)], small)
    assert last == 3000
    assert payloads(tmp_path) == [str(n).encode() for n in range(3000)]
    assert len(list_segments(tmp_path)) > 3
    runs = list(Reader(tmp_path).entries(1501, 1701))
    assert runs[0].first_seq == 1501
    assert sum(len(run) for run in runs) == 200


async def test_kinds_do_not_share_a_frame(tmp_path: Path) -> None:
    """A control entry keeps its place between messages."""
    tick = Block("linetwin", Kind.TICK)
    tick.add("", b"", 5)
    await filled(tmp_path, [block(0, 3), tick, block(3, 3)])
    kinds = [(run.kind, len(run)) for run in Reader(tmp_path).entries(1)]
    assert kinds == [(Kind.MESSAGE, 3), (Kind.TICK, 1), (Kind.MESSAGE, 3)]


async def test_durable_means_on_disk(tmp_path: Path) -> None:
    """When the callback comes, another process can read the message."""
    journal = Journal(tmp_path, SystemClock(), code_version="test", settings=SETTINGS)
    journal.open()
    journal.start(asyncio.get_running_loop())
    seen: list[list[bytes]] = []
    done = asyncio.Event()

    def confirm() -> None:
        seen.append(payloads(tmp_path))
        done.set()

    journal.put(block(0, 5), confirm)
    await asyncio.wait_for(done.wait(), 10)
    await asyncio.to_thread(journal.close)
    assert seen == [[b"0", b"1", b"2", b"3", b"4"]]


async def test_full_queue_asks_to_stop_and_to_go_on(tmp_path: Path) -> None:
    """A source is told to stop at the bound and called when there is room again."""
    tight = JournalSettings(ballast_bytes=0, queue_messages=10, min_interval_s=0.0)
    journal = Journal(tmp_path, SystemClock(), code_version="test", settings=tight)
    journal.open()
    assert journal.put(block(0, 9))
    assert not journal.put(block(9, 5))
    again = asyncio.Event()
    journal.on_room(again.set)
    journal.start(asyncio.get_running_loop())
    await asyncio.wait_for(again.wait(), 10)
    await asyncio.to_thread(journal.close)
    assert len(payloads(tmp_path)) == 14


async def test_qos2_ids_survive(tmp_path: Path) -> None:
    """Packet ids of QoS 2 messages are known after a restart until they are released."""
    one = block(0, 2, "mqtt:gw")
    one.qos2 = [11, 12]
    await filled(tmp_path, [one])
    journal = Journal(tmp_path, SystemClock(), code_version="test", settings=SETTINGS)
    journal.open()
    journal.start(asyncio.get_running_loop())
    assert journal.qos2_ids("mqtt:gw") == {11, 12}
    done = asyncio.Event()
    journal.release_qos2("mqtt:gw", 11, done.set)
    await asyncio.wait_for(done.wait(), 10)
    await asyncio.to_thread(journal.close)
    again = Journal(tmp_path, SystemClock(), code_version="test", settings=SETTINGS)
    again.open()
    again.start(asyncio.get_running_loop())
    assert again.qos2_ids("mqtt:gw") == {12}
    await asyncio.to_thread(again.close)


async def test_flipped_byte_is_found_and_the_rest_saved(tmp_path: Path) -> None:
    """A damaged frame is reported with its numbers; the segment is set aside, the rest stays."""
    await filled(tmp_path, [block(n, 1000) for n in range(0, 5000, 1000)])
    (info,) = list_segments(tmp_path)
    with sqlite3.connect(info.path) as db:
        (body,) = db.execute("SELECT body FROM frame WHERE first_seq = 2001").fetchone()
        spoiled = body[:500] + bytes([body[500] ^ 1]) + body[501:]
        db.execute("UPDATE frame SET body = ? WHERE first_seq = 2001", (spoiled,))
    db.close()
    journal = Journal(tmp_path, SystemClock(), code_version="test", settings=SETTINGS)
    journal.open()
    assert journal.damage is not None
    assert journal.damage.missing == [(2001, 3000)]
    assert journal.damage.quarantined == [info.path.name]
    assert (tmp_path / "quarantine" / info.path.name).exists()
    journal.start(asyncio.get_running_loop())
    done = asyncio.Event()
    journal.put(block(5000, 1), done.set)
    await asyncio.wait_for(done.wait(), 10)
    await asyncio.to_thread(journal.close)
    assert journal.committed == 5001
    kept = [*range(2000), *range(3000, 5001)]
    assert payloads(tmp_path) == [str(n).encode() for n in kept]


async def test_cut_tail_is_noticed(tmp_path: Path) -> None:
    """Committed entries that vanish at the end are missed, and their numbers never used again."""
    await filled(tmp_path, [block(0, 1000), block(1000, 1000)])
    (info,) = list_segments(tmp_path)
    with sqlite3.connect(info.path) as db:
        db.execute("DELETE FROM frame WHERE first_seq = 1001")
    db.close()
    journal = Journal(tmp_path, SystemClock(), code_version="test", settings=SETTINGS)
    journal.open()
    assert journal.damage is not None
    assert journal.damage.missing == [(1001, 2000)]
    journal.start(asyncio.get_running_loop())
    done = asyncio.Event()
    journal.put(block(2000, 1), done.set)
    await asyncio.wait_for(done.wait(), 10)
    await asyncio.to_thread(journal.close)
    assert [run.first_seq for run in Reader(tmp_path).entries(1)] == [1, 2001]


async def test_failed_commit_goes_to_a_new_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed commit the same entries are stored once, under the same numbers."""
    journal = Journal(tmp_path, SystemClock(), code_version="test", settings=SETTINGS)
    journal.open()
    first = journal._segment
    journal.start(asyncio.get_running_loop())
    done = asyncio.Event()
    journal.put(block(0, 3), done.set)
    await asyncio.wait_for(done.wait(), 10)

    def broken(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(first, "append", broken)
    done.clear()
    journal.put(block(3, 3), done.set)
    await asyncio.wait_for(done.wait(), 10)
    await asyncio.to_thread(journal.close)
    assert payloads(tmp_path) == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert [info.start_seq for info in list_segments(tmp_path)] == [1, 4]


async def test_rows_that_come_back_are_ignored(tmp_path: Path) -> None:
    """Rows of a failed commit that reappear in the old segment do not count twice."""
    await filled(tmp_path, [block(0, 3)])
    (info,) = list_segments(tmp_path)
    from twin.journal.segment import Segment

    newer = Segment.create(tmp_path, 2, 3, 0, "test")
    newer.append([_entries(3, [b"new"])], compress=False)
    newer.close()
    assert info.start_seq == 1
    assert payloads(tmp_path) == [b"0", b"1", b"new"]


def _entries(seq: int, bodies: list[bytes]) -> Entries:
    n = len(bodies)
    return Entries(seq, Kind.MESSAGE, ["x"] * n, ["t"] * n, bodies, [1] * n, [0] * n)


async def test_retention_never_passes_the_cursor(tmp_path: Path) -> None:
    """Only closed segments wholly before the cursor are deleted, however old they are."""
    small = JournalSettings(ballast_bytes=0, segment_bytes=1, min_interval_s=0.0)
    await filled(tmp_path, [block(n, 10) for n in range(0, 50, 10)], small)
    journal = Journal(tmp_path, SystemClock(), code_version="test", settings=SETTINGS)
    journal.open()
    journal.start(asyncio.get_running_loop())
    assert journal.retain(25, max_age_s=0, max_bytes=0) == [1, 2]
    await asyncio.to_thread(journal.close)
    assert payloads(tmp_path, 21)[0] == b"20"
    assert Reader(tmp_path).first_seq() == 21


def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Whatever was acknowledged before kill -9 is there afterwards, in order, without a hole."""
    program = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from twin.clock import SystemClock
        from twin.journal import Journal, JournalSettings
        from twin.model.message import Block
        async def main():
            j = Journal(Path(sys.argv[1]), SystemClock(), code_version="test",
                        settings=JournalSettings(ballast_bytes=0))
            j.open(); j.start(asyncio.get_running_loop())
            n = int(sys.argv[2])
            while True:
                b = Block("x")
                for _ in range(17):
                    b.add("t", str(n).encode(), n); n += 1
                last = n - 1
                j.put(b, lambda last=last: print(last, flush=True))
                await asyncio.sleep(0)
        asyncio.run(main())
    """)
    start = 0
    for kill_after in (3, 40, 11):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), str(start)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        acknowledged = start - 1
        for _ in range(kill_after):
            acknowledged = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait(10)
        process.stdout.close()
        acknowledged = max([acknowledged, *map(int, rest[:-1])])
        found = [int(p) for p in payloads(tmp_path)]
        assert found == list(range(len(found)))
        assert found[-1] >= acknowledged
        start = len(found)
