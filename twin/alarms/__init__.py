"""Alarms: conditions that require an operator's response in limited time.

The state of an alarm is an orthogonal record (condition, acknowledgement, latch, shelf); the name
shown is derived from it. An occurrence is one activation, from onset to normal, with an id of its
own; it is never acknowledged by the system and never becomes active again.
"""

from twin.alarms.server import CALLING, Alarms
from twin.alarms.state import Occurrence, State

__all__ = ["CALLING", "Alarms", "Occurrence", "State"]
