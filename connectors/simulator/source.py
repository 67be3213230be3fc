"""The simulated line as a source of a running twin."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from connectors.simulator.simulator import Simulator
from twin.model.message import Block

if TYPE_CHECKING:
    from connectors.simulator.script import Script, Truth
    from twin.model.index import LineIndex
    from twin.ports import Clock, Intake

__all__ = ["SimulatorSource"]

_TURN_S = 0.05
_MOST_NS = 1_000_000_000  # simulated time per block, so that catching up stays bounded
_NS = 1_000_000_000


class SimulatorSource:
    """Plays the simulated line into the journal, paced by the clock.

    The simulation begins when :meth:`run` is called. When the journal has no room the source
    stops; the messages of that time come afterwards, with their own event times, as those of a
    gateway with a buffer do.

    Delivery: nothing is confirmed to anybody, so nothing can be lost that was ever sent; after a
    restart the simulation begins anew.

    Args:
        index: The line.
        seed: Seed of everything random.
        clock: Wall and monotonic time.
        speed: Simulated seconds per second. With any other speed than 1 the receive time is the
            simulated time, because event times would run ahead of the clock.
        script: Faults; None for a line in control.
    """

    NAME = "simulator"

    def __init__(
        self,
        index: LineIndex,
        seed: int,
        clock: Clock,
        speed: float = 1.0,
        script: Script | None = None,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed is {speed}, expected > 0")
        self._index, self._seed, self._clock = index, seed, clock
        self._speed, self._script = speed, script
        self._simulator: Simulator | None = None

    async def run(self, intake: Intake) -> None:
        """Bring messages until cancelled."""
        room = asyncio.Event()
        begin_mono = self._clock.mono_ns()
        begin_wall = self._clock.wall_ns()
        simulator = Simulator(self._index, self._seed, begin_wall, self._script)
        self._simulator = simulator
        reached = simulator.start_ns
        while True:
            passed = int((self._clock.mono_ns() - begin_mono) * self._speed)
            target = min(simulator.start_ns + passed, reached + _MOST_NS)
            caught_up = target == simulator.start_ns + passed
            block = self._block(simulator, target)
            reached = target
            if len(block) and not intake.put(block):
                room.clear()
                intake.on_room(room.set)
                await room.wait()
            await asyncio.sleep(_TURN_S if caught_up else 0)

    def truth(self) -> list[Truth]:
        """Faults that have begun so far; empty before :meth:`run`."""
        return [] if self._simulator is None else self._simulator.truth()

    def _block(self, simulator: Simulator, until_ns: int) -> Block:
        block = Block(self.NAME)
        wall = self._clock.wall_ns()
        for time_ns, topic, payload in simulator.step(until_ns):
            block.add(topic, payload, wall if self._speed == 1.0 else time_ns)
        return block
