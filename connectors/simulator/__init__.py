"""A simulated line: plausible, seeded, with faults that are known. Nobody measured any of it.

:class:`Simulator` makes messages from a line description, :class:`SimulatorSource` plays them into
a running twin, :class:`Script` says which faults happen when.
"""

from connectors.simulator.script import Fault, Script, Truth
from connectors.simulator.simulator import Simulator
from connectors.simulator.source import SimulatorSource

__all__ = ["Fault", "Script", "Simulator", "SimulatorSource", "Truth"]
