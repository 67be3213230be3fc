"""Load: publishes QoS 1 messages that were encoded before, as fast as they are acknowledged.

A process of its own, so that what it costs is not
counted as a cost of the receiver. Several connections stand for several devices.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from typing import Any

import msgspec

from connectors.mqtt.codec import encode
from connectors.mqtt.packets import V3, Connect
from connectors.mqtt.wire import pack_text, pack_varint
from twin.cli.benches import lines

__all__ = ["LoadSettings", "connect", "main", "publish_packet"]

_CHUNK = 100
_READ = 1 << 16
_CONNACK_BYTES = 4
_PUBACK_BYTES = 4


class LoadSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What to publish.

    Attributes:
        port: Loopback port of the listener or broker.
        count: Messages altogether.
        sensors: Sensors they belong to, in turn.
        first: Number of the first message; what follows an earlier load goes on in time.
        devices: Connections; divides ``sensors``.
        window: Messages of one connection without an answer.
        rate: Messages per second altogether; 0 for as fast as they are acknowledged.
    """

    port: int
    count: int
    sensors: int = 1000
    first: int = 0
    devices: int = 8
    window: int = 1000
    rate: float = 0.0


def connect(port: int, client_id: str) -> socket.socket:
    """An MQTT 3.1.1 connection that was accepted.

    Raises:
        RuntimeError: It was refused.
    """
    link = socket.create_connection(("127.0.0.1", port), 10.0)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(encode(Connect(client_id, version=V3, keepalive_s=600), V3))
    answer = b""
    while len(answer) < _CONNACK_BYTES:
        more = link.recv(_CONNACK_BYTES - len(answer))
        if not more:
            break
        answer += more
    if answer != b"\x20\x02\0\0":
        raise RuntimeError(f"CONNECT was answered with {answer.hex()}")
    return link


def publish_packet(message: lines.Message, packet_id: int) -> bytes:
    """A QoS 1 PUBLISH of MQTT 3.1.1."""
    topic = pack_text(message.topic)
    length = pack_varint(len(topic) + 2 + len(message.payload))
    return b"\x32%b%b%b%b" % (length, topic, packet_id.to_bytes(2), message.payload)


class _Device:
    """One connection with what it has to say."""

    def __init__(self, settings: LoadSettings, number: int, sent: list[lines.Message]) -> None:
        packets = [publish_packet(message, i % 65535 + 1) for i, message in enumerate(sent)]
        cuts = range(0, len(packets), _CHUNK)
        self._chunks = [b"".join(packets[at : at + _CHUNK]) for at in cuts]
        self.count = len(packets)
        self._window = settings.window
        self._rest = memoryview(b"")
        self._next = 0
        self._answers = 0
        self.link = connect(settings.port, f"bench-{number}")
        self.link.setblocking(False)

    @property
    def acknowledged(self) -> int:
        return self._answers // _PUBACK_BYTES

    @property
    def done(self) -> bool:
        return self.acknowledged >= self.count

    def may_write(self, allowed: int) -> bool:
        """Whether there is something to send now.

        Args:
            allowed: Messages that are due by now.
        """
        begun = min(self._next * _CHUNK, self.count)
        return bool(self._rest) or (
            begun < min(self.count, allowed)
            and begun + _CHUNK - self.acknowledged <= max(self._window, _CHUNK)
        )

    def write(self) -> None:
        """Send what the socket takes of the next chunk."""
        if not self._rest:
            self._rest = memoryview(self._chunks[self._next])
            self._next += 1
        try:
            self._rest = self._rest[self.link.send(self._rest) :]
        except BlockingIOError:
            return

    def read(self) -> None:
        """Count acknowledgements; an MQTT 3.1.1 server sends nothing else here."""
        data = self.link.recv(_READ)
        if not data:
            raise RuntimeError(f"connection lost after {self.acknowledged} acknowledgements")
        if data[-self._answers % _PUBACK_BYTES] != 0x40:
            raise RuntimeError("something else than PUBACK came")
        self._answers += len(data)


def _run(devices: list[_Device], rate: float) -> float:
    """Send everything and wait for the last acknowledgement; seconds it took."""
    selector = selectors.DefaultSelector()
    for device in devices:
        selector.register(device.link, selectors.EVENT_READ, device)
    start = time.monotonic()
    left = list(devices)
    while left:
        due = int((time.monotonic() - start) * rate / len(devices)) if rate else sys.maxsize
        for device in left:
            wanted = selectors.EVENT_READ
            if device.may_write(due):
                wanted |= selectors.EVENT_WRITE
            if selector.get_key(device.link).events != wanted:
                selector.modify(device.link, wanted, device)
        for key, mask in selector.select(0.002 if rate else 5.0):
            if mask & selectors.EVENT_READ:
                key.data.read()
            if mask & selectors.EVENT_WRITE:
                key.data.write()
        left = [device for device in left if not device.done]
    return time.monotonic() - start


def _publish(settings: LoadSettings) -> dict[str, Any]:
    """Get ready, wait for a line on standard input, publish."""
    sent = lines.messages(settings.count, settings.sensors, settings.first)
    step = settings.devices
    devices = [_Device(settings, i, sent[i::step]) for i in range(step) if sent[i::step]]
    _say("ready")
    sys.stdin.readline()
    cpu = time.process_time()
    seconds = _run(devices, settings.rate)
    for device in devices:
        device.link.close()
    return {
        "acknowledged": sum(device.acknowledged for device in devices),
        "seconds": seconds,
        "cpu_s": time.process_time() - cpu,
    }


def main() -> None:
    """Do what each line of standard input says."""
    for text in iter(sys.stdin.readline, ""):
        _say(json.dumps(_publish(msgspec.json.decode(text, type=LoadSettings))))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
