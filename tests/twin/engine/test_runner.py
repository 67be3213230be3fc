"""The engine over a journal that is not whole, and after an update."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from twin.clock import SystemClock
from twin.engine.pipeline import Pipeline
from twin.engine.runner import Engine, EngineSettings, Told, resume
from twin.engine.store import Commit, Snapshot, StateStore
from twin.history import History
from twin.journal import Journal, JournalSettings
from twin.model.message import Block

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from twin.model.index import LineIndex

TOPIC = "twin/v1/lab/line/one/oven/temp"


async def written(folder: Path, count: int, at_least: int = 0) -> Journal:
    """A journal, still open, with so many more messages."""
    settings = JournalSettings(ballast_bytes=0, min_interval_s=0.0)
    clock = SystemClock()
    journal = Journal(folder / "journal", clock, code_version="t", settings=settings)
    journal.open(at_least=at_least)
    journal.start(asyncio.get_running_loop())
    block = Block("mqtt:a")
    for i in range(count):
        block.add(TOPIC, str(50 + i % 3).encode(), clock.wall_ns() + i)
    durable = asyncio.Event()
    journal.put(block, durable.set)
    await asyncio.wait_for(durable.wait(), 10)
    return journal


async def worked(
    folder: Path, journal: Journal, index: LineIndex, version: str = "1", batch: int = 100
) -> dict[str, Any]:
    """Run the engine until everything is committed; returns its counts."""
    store, history = StateStore(folder / "state.db", version), History(folder / "history.db")
    committed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell(_: Told) -> None:
        loop.call_soon_threadsafe(committed.set)

    engine = Engine(journal, store, history, index, tell, EngineSettings(commit_s=0.0, batch=batch))
    await asyncio.to_thread(engine.catch_up)
    repeated = engine.pipeline.ingest.received
    engine.start()
    while not engine.drained():
        committed.clear()
        await asyncio.wait_for(committed.wait(), 10)
    await asyncio.to_thread(journal.close)
    await asyncio.to_thread(engine.stop)
    assert not engine.failure
    found = {
        "received": engine.pipeline.ingest.received,
        "repeated": repeated,
        "cursor": store.cursor,
        "rows": len(history.series("oven/temp", None, None, 100_000)["t"]),
    }
    history.close()
    store.close()
    return found


async def test_hole_larger_than_a_batch_is_passed(tmp_path: Path, index: LineIndex) -> None:
    """Thousands of missing entries do not stop the engine before those behind them."""
    journal = await written(tmp_path, 10)
    await asyncio.to_thread(journal.close)
    journal = await written(tmp_path, 20, at_least=5000)
    assert journal.damage is not None
    assert journal.damage.missing == [(11, 5000)]
    found = await worked(tmp_path, journal, index)
    assert (found["received"], found["cursor"]) == (30, 5020)


async def test_first_start_after_an_update_repeats_the_journal(
    tmp_path: Path, index: LineIndex
) -> None:
    """Without a usable snapshot the state is made anew from the journal, in bounded steps."""
    first = await worked(tmp_path, await written(tmp_path, 450), index)
    assert (first["received"], first["repeated"], first["rows"]) == (450, 0, 450)
    again = await worked(tmp_path, await written(tmp_path, 50), index, version="2")
    assert (again["received"], again["repeated"]) == (500, 450)
    assert again["rows"] == 500


async def test_journal_that_begins_later_is_repeated_from_there(
    tmp_path: Path, index: LineIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What retention deleted is passed; what is there is repeated, and nothing beyond the cursor."""
    await worked(tmp_path, await written(tmp_path, 450), index)
    journal = await written(tmp_path, 1)
    read: Callable[[int, int], list[Any]] = journal.read
    monkeypatch.setattr(journal, "read", lambda seq, limit: read(max(seq, 401), limit))
    again = await worked(tmp_path, journal, index, version="2", batch=1000)
    assert (again["repeated"], again["received"], again["cursor"]) == (50, 51, 451)


def test_snapshot_that_cannot_be_used_is_passed(tmp_path: Path, index: LineIndex) -> None:
    """A snapshot of a line that is not there any more, or of another form, is not used."""
    store = StateStore(tmp_path / "state.db", "1")
    good = Pipeline(index).snapshot()
    store.commit(Commit(5, snapshot=Snapshot(5, index.version, good)))
    store.commit(Commit(9, snapshot=Snapshot(9, "gone", good)))
    assert resume(store, index)[1] == 5
    store.commit(Commit(10, snapshot=Snapshot(10, index.version, {**good, "stages": {}})))
    store.commit(Commit(11, snapshot=Snapshot(11, index.version, {})))
    assert resume(store, index)[1] == 0
    store.close()
