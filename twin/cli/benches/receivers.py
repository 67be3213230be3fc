"""Bare receivers: other MQTT clients that count QoS 1 messages and do nothing else.

A process of its own, so that its processor time is nobody else's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import msgspec

__all__ = ["ReceiverSettings", "main"]

_PATIENCE_S = 60.0


class ReceiverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What to receive.

    Attributes:
        client: ``paho``, ``gmqtt`` or ``aiomqtt``.
        port: Loopback port of the broker.
        count: Messages to wait for.
        topic: Topic filter.
    """

    client: str
    port: int
    count: int
    topic: str


class _Count:
    """Messages so far, and the processor time from the subscription on."""

    def __init__(self, wanted: int) -> None:
        self.left = wanted
        self.cpu = 0.0

    def begin(self) -> None:
        """The broker confirmed the subscription."""
        self.cpu = time.process_time()
        _say("ready")

    def one(self) -> bool:
        """Another message; True for the last."""
        self.left -= 1
        return self.left <= 0

    def end(self) -> None:
        """Tell what it took."""
        _say(json.dumps({"cpu_s": time.process_time() - self.cpu, "missing": self.left}))


def _paho(settings: ReceiverSettings, count: _Count) -> None:
    from paho.mqtt import client as paho  # noqa: PLC0415 - only one of the clients is needed
    from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

    client = paho.Client(CallbackAPIVersion.VERSION2, "bench-paho", protocol=paho.MQTTv5)

    def on_connect(client: Any, *_: Any) -> None:
        client.subscribe(settings.topic, qos=1)

    def on_message(client: Any, _user: Any, _message: Any) -> None:
        if count.one():
            client.disconnect()

    client.on_connect = on_connect
    client.on_subscribe = lambda *_: count.begin()
    client.on_message = on_message
    client.connect("127.0.0.1", settings.port)
    client.loop_forever()


async def _gmqtt(settings: ReceiverSettings, count: _Count) -> None:
    import gmqtt  # noqa: PLC0415 - only one of the clients is needed

    done = asyncio.Event()

    def on_message(*_: Any) -> int:
        if count.one():
            done.set()
        return 0

    client = gmqtt.Client("bench-gmqtt")
    client.on_message = on_message
    client.on_subscribe = lambda *_: count.begin()
    await client.connect("127.0.0.1", settings.port)
    client.subscribe(settings.topic, qos=1)
    async with asyncio.timeout(_PATIENCE_S):
        await done.wait()
    await client.disconnect()


async def _aiomqtt(settings: ReceiverSettings, count: _Count) -> None:
    import aiomqtt  # noqa: PLC0415 - only one of the clients is needed

    async with aiomqtt.Client("127.0.0.1", settings.port, identifier="bench-aiomqtt") as client:
        await client.subscribe(settings.topic, qos=1)
        count.begin()
        async with asyncio.timeout(_PATIENCE_S):
            async for _ in client.messages:
                if count.one():
                    break


def main() -> None:
    """Read settings, subscribe, say so, receive, say what it took."""
    settings = msgspec.json.decode(sys.stdin.readline(), type=ReceiverSettings)
    count = _Count(settings.count)
    if settings.client == "paho":
        _paho(settings, count)
    else:
        asyncio.run({"gmqtt": _gmqtt, "aiomqtt": _aiomqtt}[settings.client](settings, count))
    count.end()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
