"""Ticks while nothing comes, one note when the wall clock jumps, and forgetting that may fail."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from twin.engine import clockwork
from twin.engine.clockwork import Clockwork
from twin.engine.store import StateStore
from twin.errors import SinkError
from twin.model.line import LineHead
from twin.model.message import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from twin.model.message import Block


class Clock:
    """A wall clock that can be set against a monotonic one that cannot."""

    def __init__(self) -> None:
        self.mono = 0
        self.offset = 1_000_000_000_000

    def mono_ns(self) -> int:
        self.mono += 1_000_000
        return self.mono

    def wall_ns(self) -> int:
        return self.mono + self.offset


class Journal:
    """Takes blocks, and counts what others put into it."""

    def __init__(self) -> None:
        self.committed = 0
        self.blocks: list[Block] = []
        self.retained: list[tuple[int, float, int]] = []

    def put(self, block: Block) -> bool:
        self.blocks.append(block)
        self.committed += 1
        return True

    def retain(self, cursor: int, age_s: float, size: int) -> list[int]:
        self.retained.append((cursor, age_s, size))
        return []


class History:
    """A history on a disk that is full."""

    def retain(self, oldest_ns: int) -> int:
        raise SinkError(f"disk full at {oldest_ns}")


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Clock, Journal, Clockwork]:
    monkeypatch.setattr(clockwork, "_TICK_S", 0.001)
    clock, journal = Clock(), Journal()
    line = SimpleNamespace(line=LineHead(journal_days=2.0, journal_gib=1.0))
    engine = SimpleNamespace(pipeline=SimpleNamespace(index=SimpleNamespace(line=line)))
    store = StateStore(tmp_path / "state.db", "test")
    work = Clockwork(journal, engine, store, History(), clock)
    yield clock, journal, work
    store.close()


async def until(journal: Journal, count: int) -> None:
    async with asyncio.timeout(10):
        while len(journal.blocks) < count:
            await asyncio.sleep(0.001)


async def test_tick_only_while_nothing_comes(parts: tuple[Clock, Journal, Clockwork]) -> None:
    """A tick is put when the journal stood still, and none right after another entry."""
    _, journal, work = parts
    task = asyncio.create_task(work.run())
    await until(journal, 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert {block.kind for block in journal.blocks} == {Kind.TICK}


async def test_a_jump_is_noted_once(parts: tuple[Clock, Journal, Clockwork]) -> None:
    """An hour forward and back again are two notes with their size."""
    clock, journal, work = parts
    task = asyncio.create_task(work.run())
    await until(journal, 2)
    for step in (3600, -3600):
        clock.offset += step * 1_000_000_000
        await until(journal, len(journal.blocks) + 4)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    jumps = [json.loads(b.payloads[0])["jump_ns"] for b in journal.blocks if b.kind is Kind.CLOCK]
    assert [round(jump / 1e9) for jump in jumps] == [3600, -3600]


def test_a_failure_to_forget_is_only_logged(
    parts: tuple[Clock, Journal, Clockwork], caplog: pytest.LogCaptureFixture
) -> None:
    """Acquisition does not depend on deleting old data."""
    _, journal, work = parts
    work.retain()
    assert journal.retained == [(0, 172_800.0, 1 << 30)]
    assert "disk full" in caplog.text
