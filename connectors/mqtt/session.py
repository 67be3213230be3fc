"""The ingest session: takes messages from any MQTT 5 broker and loses none that reached it.

The session at the broker outlives the connection (clean start is never asked for, and the expiry
is days), so the broker queues what arrives while linetwin is away. A PUBACK means that the message
is in the journal.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections import Counter, deque
from typing import TYPE_CHECKING

import numpy as np

from connectors.mqtt.codec import encode, encode_pubacks
from connectors.mqtt.fast import warm
from connectors.mqtt.filters import valid_filter
from connectors.mqtt.link import Link, connected
from connectors.mqtt.packets import (
    V5,
    Connack,
    Connect,
    Pubacks,
    Publish,
    Publishes,
    Suback,
    Subscribe,
    Subscription,
)
from connectors.mqtt.properties import Properties, Property
from connectors.mqtt.reasons import Code, ProtocolError, words
from twin.errors import ConfigError, Problem, SourceError
from twin.model.message import Block, Flag, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from connectors.mqtt.packets import Item
    from twin.model.line import Broker
    from twin.ports import Clock, Intake

__all__ = ["Session"]

_LOG = logging.getLogger(__name__)

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
_FIGHT_WAIT_S = 60.0
_FIGHTS_PER_MIN = 3
_SUBSCRIBE_ID = 1


class Session:
    """MQTT 5 client of a broker; a source.

    Args:
        settings: A ``[[broker]]`` table of the line description.
        client_id: Used when the settings name none; must not change from run to run.
        clock: Receive times.
        base_dir: Folder of the line description; relative files are in it.
        rng: Jitter of the reconnect delay; seeded by the operating system when left out.

    Raises:
        ConfigError: A filter is wrong or a bare ``#``, or a file cannot be read.
    """

    def __init__(
        self,
        settings: Broker,
        client_id: str,
        clock: Clock,
        base_dir: Path,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.settings = settings
        self.source = f"broker:{settings.id}"
        self._client_id = settings.client_id or client_id
        self._clock = clock
        self._rng = np.random.default_rng() if rng is None else rng
        self._password, self._tls = _files(settings, base_dir)
        self._counts: Counter[str] = Counter()
        self._link: Link | None = None
        self._generation = 0
        self._lost_at: int | None = None
        self._drops: deque[float] = deque(maxlen=_FIGHTS_PER_MIN + 1)
        self._ids: list[int] = []
        self._planned = False
        self._out: dict[int, str] = {}
        self._last_id = _SUBSCRIBE_ID
        self._quota = 0

    async def run(self, intake: Intake) -> None:
        """Take messages until cancelled; connect and reconnect inside."""
        warm()
        self._intake = intake
        wait_s = _FIRST_WAIT_S
        while True:
            before = self._generation
            try:
                await self._connection()
            except SourceError as error:
                why = str(error)
            self._link = None
            self._report_lost(why)
            if self._generation != before:
                wait_s = _FIRST_WAIT_S
            least_s = _FIGHT_WAIT_S if self._fighting() else wait_s / 2
            await asyncio.sleep(least_s + wait_s / 2 * self._rng.random())
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def stats(self) -> dict[str, int]:
        """Counters since the start, and ``connected`` (0 or 1) at this moment."""
        return {
            "messages": 0,
            "connects": self._generation,
            "sessions_lost": 0,
            **self._counts,
            "connected": int(self._link is not None),
        }

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> bool:
        """Send a message to the broker, for example a Sparkplug rebirth request.

        Args:
            topic: Topic name.
            payload: The message.
            qos: 0 or 1. The answer to QoS 1 is counted, a refusal is logged; nothing is repeated.
            retain: Ask the broker to keep it.

        Returns:
            False when it was not sent: no connection, or too many messages unanswered.
        """
        if self._link is None or (qos and len(self._out) >= self._quota):
            return False
        number = 0
        if qos:
            number = self._next_id()
            self._out[number] = topic
        self._link.write(encode(Publish(topic, payload, min(qos, 1), number, retain=retain), V5))
        self._counts["published"] += 1
        return True

    async def _connection(self) -> None:
        """One connection from CONNECT to its end.

        Raises:
            SourceError: Always, with the reason it ended.
        """
        settings = self.settings
        properties: Properties = {
            Property.SESSION_EXPIRY: settings.session_expiry_s,
            Property.RECEIVE_MAXIMUM: settings.receive_maximum,
            Property.MAXIMUM_PACKET_SIZE: settings.max_packet_bytes,
        }
        connect = Connect(
            self._client_id,
            clean_start=False,
            keepalive_s=settings.keepalive_s,
            user=settings.user or None,
            password=self._password,
            properties=properties,
        )

        def link() -> Link:
            return Link(connect, max_packet=settings.max_packet_bytes, take=self._take)

        async with connected(link, settings.host, settings.port, self._tls) as (protocol, answer):
            self._begin(protocol, answer)
            why = await asyncio.shield(protocol.lost)
            self._drops.append(asyncio.get_running_loop().time())
            raise SourceError(why)

    def _begin(self, link: Link, answer: Connack) -> None:
        """A connection was accepted: a new generation, in which older packet ids mean nothing."""
        self._link = link
        self._generation += 1
        self._ids = []
        self._out = {}
        self._quota = answer.properties.get(Property.RECEIVE_MAXIMUM, 65535)
        self._report_back(session_present=answer.session_present)
        # Also when the session is still there: the filters may have changed. Retain handling 1
        # sends kept messages for new subscriptions only.
        wanted = [Subscription(name, 1, retain_handling=1) for name in self.settings.topics]
        if wanted:
            link.write(encode(Subscribe(_SUBSCRIBE_ID, wanted), V5))

    def _take(self, item: Item) -> None:
        match item:
            case Publishes():
                self._publishes(item)
            case Suback(reasons=reasons):
                self._granted(reasons)
            case Pubacks(ids=ids, reasons=reasons):
                for number, reason in zip(ids, reasons, strict=True):
                    topic = self._out.pop(number, "")
                    if reason >= 0x80:
                        self._counts["refused_publishes"] += 1
                        _LOG.warning("%s: publish to %r: %s", self.source, topic, words(reason))
            case _:
                raise ProtocolError(Code.PROTOCOL_ERROR, f"unexpected {type(item).__name__}")

    def _publishes(self, run: Publishes) -> None:
        kinds = set(run.flags)
        if any(kind & Flag.QOS2 for kind in kinds):
            raise ProtocolError(Code.QOS_NOT_SUPPORTED, "QoS 2 message for a QoS 1 subscription")
        self._counts["messages"] += len(run)
        if any(kind & Flag.RETAIN for kind in kinds):
            self._counts["retained"] += sum(bool(flag & Flag.RETAIN) for flag in run.flags)
        ids = run.ids if 0 not in run.ids else [number for number in run.ids if number]
        block = Block(self.source, topics=run.topics, payloads=run.payloads, flags=run.flags)
        block.recv_ns = [self._clock.wall_ns()] * len(run)
        durable = self._on_durable(ids, self._generation) if ids else None
        if not self._intake.put(block, durable):
            self._pause()

    def _on_durable(self, ids: list[int], generation: int) -> Callable[[], None]:
        def durable() -> None:
            # Packet ids start anew with a session the broker made anew: an old acknowledgement
            # would remove a message there that was never received here.
            if generation != self._generation or self._link is None:
                self._counts["stale_acks"] += len(ids)
                return
            self._ids += ids
            if not self._planned:
                self._planned = True
                asyncio.get_running_loop().call_soon(self._flush)

        return durable

    def _flush(self) -> None:
        """All acknowledgements of this turn of the event loop, in receive order, in one write."""
        self._planned = False
        ids, self._ids = self._ids, []
        if ids and self._link is not None:
            self._link.write(encode_pubacks(ids))

    def _pause(self) -> None:
        link = self._link
        if link is not None and not link.held("full"):
            self._counts["pauses"] += 1
            link.hold("full")
            self._intake.on_room(lambda: link.free("full"))

    def _granted(self, reasons: list[int]) -> None:
        for name, reason in zip(self.settings.topics, reasons, strict=False):
            if reason >= 0x80:
                self._counts["refused_subscriptions"] += 1
                _LOG.error("%s: subscription %r refused: %s", self.source, name, words(reason))

    def _fighting(self) -> bool:
        """Whether connections end so often that another client seems to use the client id.

        The rate tells, not the reason: brokers say "unspecified error" as well.
        """
        now = asyncio.get_running_loop().time()
        if len(self._drops) <= _FIGHTS_PER_MIN or now - self._drops[0] > 60.0:
            return False
        self._counts["fights"] += 1
        _LOG.warning(
            "%s: %d connections lost within a minute; does another client use the id %r?",
            self.source,
            len(self._drops),
            self._client_id,
        )
        return True

    def _report_lost(self, why: str) -> None:
        if self._lost_at is None:
            self._lost_at = self._clock.mono_ns()
            _LOG.warning("%s: source lost: %s", self.source, why)
            self._put_state("lost", why)

    def _report_back(self, *, session_present: bool) -> None:
        again = self._generation > 1
        gap = again and not session_present
        self._counts["sessions_lost"] += gap
        state = "new" if self._lost_at is None else "back"
        detail = "session continued" if session_present else "new session at the broker"
        if self._lost_at is None:
            _LOG.info("%s: connected, %s", self.source, detail)
        else:
            away_s = (self._clock.mono_ns() - self._lost_at) / 1e9
            _LOG.warning("%s: source back after %.1f s, %s", self.source, away_s, detail)
        self._lost_at = None
        self._put_state(state, detail, gap_possible=gap, session_present=session_present)

    def _put_state(self, state: str, detail: str, **more: bool) -> None:
        entry = {"source": self.source, "state": state, "detail": detail, **more}
        block = Block(self.source, Kind.SOURCE)
        block.add("", json.dumps(entry).encode(), self._clock.wall_ns())
        if not self._intake.put(block):
            self._pause()

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % 65535 + 1
            if self._last_id not in self._out and self._last_id != _SUBSCRIBE_ID:
                return self._last_id


def _files(settings: Broker, base_dir: Path) -> tuple[bytes | None, ssl.SSLContext | None]:
    """Password and TLS settings; everything that can be checked without a network is."""
    problems = [
        _problem(settings, f"topics[{i}]", name, "is refused as a topic filter", "explicit filters")
        for i, name in enumerate(settings.topics)
        if name == "#" or name.startswith("$share/") or not valid_filter(name)
    ]
    password, tls = None, None
    try:
        if settings.password_file:
            password = (base_dir / settings.password_file).read_bytes().strip()
    except OSError as error:
        problems.append(_problem(settings, "password_file", settings.password_file, str(error)))
    try:
        if settings.tls:
            ca = str(base_dir / settings.ca_file) if settings.ca_file else None
            tls = ssl.create_default_context(cafile=ca)
    except OSError as error:
        problems.append(_problem(settings, "ca_file", settings.ca_file, str(error)))
    if problems:
        raise ConfigError(problems)
    return password, tls


def _problem(settings: Broker, key: str, value: str, message: str, allowed: str = "") -> Problem:
    return Problem("line.toml", 0, f"broker {settings.id!r}: {key}", value, message, allowed)
