"""What has to happen from time to time: ticks, clock jumps, forgetting what is old."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from typing import TYPE_CHECKING

import msgspec

from twin.errors import TwinError
from twin.model.message import Block, Kind

if TYPE_CHECKING:
    from twin.engine.runner import Engine
    from twin.engine.store import StateStore
    from twin.history import History
    from twin.journal import Journal
    from twin.ports import Clock

__all__ = ["Clockwork"]

log = logging.getLogger("linetwin.clock")

_TICK_S = 1.0
_JUMP_NS = 1_000_000_000
_RETAIN_EVERY_S = 600.0


class Clockwork:
    """Tells the journal that time passes, which is the only way the engine gets to know.

    Args:
        journal: Gets ticks and clock jumps.
        engine: Knows the line and its settings.
        store: Knows how far back a restart may reach.
        history: Forgets old samples.
        clock: Wall and monotonic time.
    """

    def __init__(
        self, journal: Journal, engine: Engine, store: StateStore, history: History, clock: Clock
    ) -> None:
        self._journal = journal
        self._engine = engine
        self._store = store
        self._history = history
        self._clock = clock

    async def run(self) -> None:
        """Once a second until cancelled: a tick when nothing else came, a note when time jumped."""
        last_seq = self._journal.committed
        offset = self._clock.wall_ns() - self._clock.mono_ns()
        retained = self._clock.mono_ns()
        while True:
            await asyncio.sleep(_TICK_S)
            wall, mono = self._clock.wall_ns(), self._clock.mono_ns()
            jump = wall - mono - offset
            if abs(jump) > _JUMP_NS:
                log.warning("the wall clock jumped by %.1f s", jump / 1e9)
                self._put(Kind.CLOCK, msgspec.json.encode({"jump_ns": jump}), wall)
                offset = wall - mono
            if self._journal.committed == last_seq:
                self._put(Kind.TICK, b"", wall)
            last_seq = self._journal.committed
            if (mono - retained) / 1e9 > _RETAIN_EVERY_S:
                retained = mono
                await asyncio.to_thread(self.retain)

    def _put(self, kind: Kind, payload: bytes, wall_ns: int) -> None:
        block = Block("linetwin", kind)
        block.add("", payload, wall_ns)
        self._journal.put(block)

    def retain(self) -> None:
        """Delete what is older or larger than the line description allows.

        A failure is logged and tried again the next time: acquisition does not depend on it.
        """
        head = self._engine.pipeline.index.line.line
        try:
            # The older snapshot is the fall-back: what lies behind it must stay readable.
            with contextlib.closing(self._store.reader()) as reader:
                cursor = min(reader.snapshot_cursors(), default=0)
            self._journal.retain(
                cursor, head.journal_days * 86_400, int(head.journal_gib * (1 << 30))
            )
            self._history.retain(self._clock.wall_ns() - int(head.history_days * 86_400e9))
            self._history.compact()
        except (TwinError, OSError, sqlite3.Error) as error:
            log.warning("old data could not be deleted: %s", error)
