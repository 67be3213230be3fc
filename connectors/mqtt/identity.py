"""Who a device is and what it may do."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import ssl
from typing import TYPE_CHECKING

import argon2

from connectors.mqtt.filters import covers, valid_filter
from twin.errors import ConfigError, Problem
from twin.model.line import Device

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twin.model.line import Listener

__all__ = ["Identities", "Identity"]

_ALARMS = re.compile(r"twin/(.+/)?alarm(/.*)?")
"""Everything a device may ever subscribe to."""
_REMEMBERED = 20_000


class Identity:
    """Rights of a device; verdicts on topics are remembered, so that a message costs a look-up.

    Args:
        device: The row of the line description.
    """

    def __init__(self, device: Device) -> None:
        self.user = device.user
        self._publish = device.publish
        self._subscribe = device.subscribe
        self._allowed: set[str] = set()

    def may_publish(self, topic: str) -> bool:
        """Whether a message under this topic is taken."""
        if topic in self._allowed:
            return True
        if not any(covers(f, topic) for f in self._publish):
            return False
        if len(self._allowed) >= _REMEMBERED:
            self._allowed.clear()
        self._allowed.add(topic)
        return True

    def may_publish_all(self, topics: list[str]) -> bool:
        """Whether messages under all these topics are taken."""
        return self._allowed.issuperset(topics) or all(map(self.may_publish, topics))

    def may_subscribe(self, name: str) -> bool:
        """Whether a filter asks for nothing but what is allowed."""
        return any(covers(f, name) for f in self._subscribe)


class Identities:
    """The identities of a listener. Password files are read here, once.

    Args:
        settings: The listener.
        base_dir: Folder that relative password files are in.

    Attributes:
        tls: TLS of the listener; None for plain connections.

    Raises:
        ConfigError: A password or certificate file cannot be read, a filter is wrong, or the
            listener would be open to the network without identities.
    """

    def __init__(self, settings: Listener, base_dir: Path) -> None:
        problems = list(_problems(settings))
        self._anonymous = Identity(Device(user="")) if settings.anonymous else None
        self._known: dict[str, tuple[Identity, bytes]] = {}
        for i, device in enumerate(settings.device):
            secret = b""
            if device.password_file:
                try:
                    secret = (base_dir / device.password_file).read_bytes().strip()
                except OSError as error:
                    problems.append(
                        _problem(f"device[{i}].password_file", device.password_file, str(error))
                    )
            self._known[device.user] = Identity(device), secret
        if problems:
            raise ConfigError(problems)
        self.tls = _tls(settings, base_dir)
        self._key = secrets.token_bytes(32)
        self._proven: dict[str, bytes] = {}

    async def check(
        self, user: str | None, password: bytes | None, certificate: str = "", *, local: bool
    ) -> Identity | None:
        """The identity of a client, or None when it is refused.

        An argon2 hash is verified in a thread (tens of milliseconds); a password that was right
        once is recognised by a keyed digest, so that a thousand devices can come back at once.

        Args:
            user: User name of CONNECT; None for an anonymous client.
            password: Password of CONNECT.
            certificate: Common name of the client certificate that was verified; empty for none.
            local: Whether the client is on this machine; anonymous clients must be.
        """
        if certificate in self._known and user in (None, certificate):
            return self._known[certificate][0]
        if user is None:
            return self._anonymous if local else None
        identity, secret = self._known.get(user, (None, b""))
        if identity is None or not secret or password is None:
            return None
        if not secret.startswith(b"$argon2"):
            return identity if hmac.compare_digest(secret, password) else None
        digest = hashlib.blake2b(password, key=self._key).digest()
        if hmac.compare_digest(self._proven.get(user, b""), digest):
            return identity
        if not await asyncio.to_thread(_verify, secret, password):
            return None
        self._proven[user] = digest
        return identity


def _verify(secret: bytes, password: bytes) -> bool:
    try:
        return argon2.PasswordHasher().verify(secret, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _tls(settings: Listener, base_dir: Path) -> ssl.SSLContext | None:
    if not settings.cert_file:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        key = base_dir / settings.key_file if settings.key_file else None
        context.load_cert_chain(base_dir / settings.cert_file, key)
        if settings.client_ca_file:
            context.load_verify_locations(base_dir / settings.client_ca_file)
            context.verify_mode = ssl.CERT_OPTIONAL
    except OSError as error:
        raise ConfigError([_problem("cert_file", settings.cert_file, str(error))]) from error
    return context


def _problem(key: str, value: str, message: str, allowed: str = "") -> Problem:
    return Problem("line.toml", 0, f"listener.{key}", value, message, allowed)


def _problems(settings: Listener) -> Iterator[Problem]:
    loopback = settings.host in ("localhost", "::1") or settings.host.startswith("127.")
    if not loopback and not settings.device:
        yield _problem(
            "host",
            settings.host,
            "would accept devices from the network although no identity is declared",
            "127.0.0.1, or one [[listener.device]] table per identity",
        )
    users = [device.user for device in settings.device]
    for i, device in enumerate(settings.device):
        if users.index(device.user) != i:
            yield _problem(f"device[{i}].user", device.user, "is declared twice")
        for name in device.publish:
            if not valid_filter(name):
                yield _problem(f"device[{i}].publish", name, "is not a topic filter")
        for name in device.subscribe:
            if not valid_filter(name) or not _ALARMS.fullmatch(name):
                yield _problem(
                    f"device[{i}].subscribe", name, "is no filter of alarms", "twin/…/alarm/#"
                )
