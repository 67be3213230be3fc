"""The simulator as a source: paced by the clock, and stopped by a journal without room."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from connectors.simulator import Fault, Script, Simulator, SimulatorSource
from twin.model.message import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.model.index import LineIndex
    from twin.model.message import Block

T0 = 1_763_720_000_000_000_000
S = 1_000_000_000


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.passed_ns = 0

    def wall_ns(self) -> int:
        return T0 + self.passed_ns

    def mono_ns(self) -> int:
        return 5 * S + self.passed_ns


class Journal:
    """Keeps what it is given; has room for so many blocks."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.blocks: list[Block] = []
        self.room = room
        self.resume: Callable[[], None] | None = None

    def put(self, block: Block, on_durable: Callable[[], None] | None = None) -> bool:
        self.blocks.append(block)
        self.room -= 1
        return self.room > 0

    def on_room(self, resume: Callable[[], None]) -> None:
        self.resume = resume

    def qos2_ids(self, source: str) -> set[int]:
        return set()

    def release_qos2(
        self, source: str, packet_id: int, on_durable: Callable[[], None] | None = None
    ) -> None:
        raise AssertionError("the simulator has no packet ids")

    @property
    def messages(self) -> list[tuple[str, bytes]]:
        return [m for b in self.blocks for m in zip(b.topics, b.payloads, strict=True)]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_messages_come_with_the_clock(pilot: LineIndex) -> None:
    """After three seconds everything of three seconds is in the journal, and nothing more."""
    clock, journal = HandClock(), Journal()
    task = asyncio.create_task(SimulatorSource(pilot, 1, clock).run(journal))
    await asyncio.sleep(0.1)
    assert journal.messages == []
    clock.passed_ns = 3 * S
    expected = [(topic, payload) for _, topic, payload in Simulator(pilot, 1, T0).step(T0 + 3 * S)]
    await _until(lambda: len(journal.messages) >= len(expected))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert journal.messages == expected
    assert {(b.kind, b.source) for b in journal.blocks} == {(Kind.MESSAGE, "simulator")}
    assert all(t == T0 + 3 * S for b in journal.blocks for t in b.recv_ns)
    assert all(len(block) < 1000 for block in journal.blocks)


async def test_a_full_journal_stops_the_source_and_nothing_is_lost(pilot: LineIndex) -> None:
    """The source waits for room, then sends the time in between with the event times of then."""
    clock, journal = HandClock(), Journal(room=1)
    task = asyncio.create_task(SimulatorSource(pilot, 1, clock).run(journal))
    await asyncio.sleep(0.02)
    clock.passed_ns = S
    await _until(lambda: journal.resume is not None)
    clock.passed_ns = 6 * S
    await asyncio.sleep(0.15)
    assert len(journal.blocks) == 1
    journal.room = 1_000_000
    assert journal.resume is not None
    journal.resume()
    expected = [(topic, payload) for _, topic, payload in Simulator(pilot, 1, T0).step(T0 + 6 * S)]
    await _until(lambda: len(journal.messages) >= len(expected))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert journal.messages == expected


async def test_a_fast_simulation_is_received_at_its_own_time(pilot: LineIndex) -> None:
    """At ten times the speed ten seconds pass in one, and no event is ahead of its receipt."""
    clock, journal = HandClock(), Journal()
    script = Script(fault=[Fault(at_s=5, kind="spike", target="coating/areal_mass", size=3)])
    source = SimulatorSource(pilot, 1, clock, speed=10.0, script=script)
    assert source.truth() == []
    task = asyncio.create_task(source.run(journal))
    await asyncio.sleep(0.02)
    clock.passed_ns = S
    simulator = Simulator(pilot, 1, T0, script)
    expected = list(simulator.step(T0 + 10 * S))
    await _until(lambda: len(journal.messages) >= len(expected))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [t for b in journal.blocks for t in b.recv_ns] == [t for t, _, _ in expected]
    assert source.truth() == simulator.truth() != []


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_leads_nowhere_is_refused(pilot: LineIndex, speed: float) -> None:
    """Time must go forward."""
    with pytest.raises(ValueError, match="expected > 0"):
        SimulatorSource(pilot, 1, HandClock(), speed=speed)
