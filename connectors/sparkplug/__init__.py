"""Sparkplug B, the sending half of a host application: its STATE and its requests for rebirth.

Receiving is done elsewhere: messages come through the MQTT session into the journal, and
:mod:`twin.ingest.sparkplug` reads them. What that decides to say to edge nodes is said here.
"""

from connectors.sparkplug.host import HostPublisher, Message, rebirth_command, state_message
from connectors.sparkplug.settings import SparkplugHostSettings

__all__ = [
    "HostPublisher",
    "Message",
    "SparkplugHostSettings",
    "rebirth_command",
    "state_message",
]
