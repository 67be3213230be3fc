"""MQTT 3.1.1 and 5: the direct listener for devices, the session at a broker, the player.

All three stand on one codec that does no I/O (``codec``). The listener and the session are
sources: they acknowledge a message after the journal has it on disk and never before.
"""
