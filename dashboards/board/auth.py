"""Who may do what on the board: users, sessions, and the brake on guessing passwords.

Four roles, each with the rights of the one before: viewer (look), operator (acknowledge), engineer
(load a changed line description), admin (keep users). Sessions live on the server; the browser
holds a random token in an HttpOnly cookie and nothing else. Without TLS the board belongs on
loopback, where looking needs no login and acting always does.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from twin.clock import SystemClock
from twin.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from twin.ports import Clock

__all__ = ["RIGHTS", "ROLES", "Auth", "Session", "ThrottledError", "Users"]

ROLES: Final = ("viewer", "operator", "engineer", "admin")
RIGHTS: Final[dict[str, frozenset[str]]] = {
    "viewer": frozenset({"view"}),
    "operator": frozenset({"view", "ack"}),
    "engineer": frozenset({"view", "ack", "reload"}),
    "admin": frozenset({"view", "ack", "reload", "users"}),
}
"""Role to rights; a right that is not here is denied."""

MIN_LENGTH: Final = 12
_COMMON: Final = frozenset(
    {
        "password1234",
        "passwordpassword",
        "123456789012",
        "1234567890123",
        "qwertyuiop12",
        "qwertyuiopas",
        "administrator",
        "iloveyou1234",
        "letmeinletmein",
        "changemechangeme",
        "abcdefghijkl",
        "linetwinlinetwin",
    }
)
_SECOND: Final = 1_000_000_000
_WINDOW_NS: Final = 60 * _SECOND
_TRIES: Final = 5
_LONGEST_WAIT_NS: Final = 900 * _SECOND
_REMEMBERED: Final = 10_000
_SESSIONS: Final = 1000


class ThrottledError(Exception):
    """Too many failed logins. ``retry_after_s``: when the next try is looked at."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"too many failed logins; try again in {retry_after_s} s")


class Users:
    """The users file: name to role and argon2id hash, JSON, readable by its owner only.

    Commands may change the file while the board runs; it is read again when it changed.
    """

    def __init__(self, path: Path, hasher: PasswordHasher | None = None) -> None:
        self._path = path
        self._hasher = hasher or PasswordHasher()
        # Unknown users are checked against this, so that their answer takes as long.
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))
        self._stamp: tuple[int, int, int] | None = None
        self._users: dict[str, dict[str, Any]] = {}
        self.first_password: str | None = None
        """Random password of ``admin`` when this call created the file; print it once."""
        if path.exists():
            self.refresh()
        else:
            self.first_password = secrets.token_urlsafe(12)
            self.put("admin", self.first_password, "admin")

    def refresh(self) -> None:
        """Read the file again if it changed.

        Raises:
            ConfigError: Others may read the file, or it is not what :meth:`put` writes.
        """
        stat = self._path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if stamp == self._stamp:
            return
        if stat.st_mode & 0o077:
            raise self._wrong("mode", oct(stat.st_mode & 0o777), "others may read it", "0o600")
        try:
            users = json.loads(self._path.read_text("utf-8"))["users"]
            self._users = {
                str(name): {
                    "role": ROLES[ROLES.index(row["role"])],
                    "password": str(row["password"]),
                    "disabled": bool(row.get("disabled", False)),
                }
                for name, row in users.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._wrong(
                "users", "", "is not a users file", 'made by "linetwin user"'
            ) from error
        self._stamp = stamp

    def put(self, name: str, password: str, role: str) -> None:
        """Add a user, or give one a new password and role.

        Raises:
            ConfigError: Unknown role, empty name, or a password that is short or common.
        """
        if role not in ROLES:
            raise self._wrong("role", role, "is no role", ", ".join(ROLES))
        if not name.strip() or len(name) > 128:
            raise self._wrong("name", name, "is no user name", "1 to 128 characters")
        plain = password.lower()
        if len(password) < MIN_LENGTH or plain in _COMMON or len(set(plain)) < 5 or plain == name:
            raise self._wrong(
                "password", "", "is too short or too common", f"at least {MIN_LENGTH} characters"
            )
        row = {"role": role, "password": self._hasher.hash(password), "disabled": False}
        self._users[name] = row
        self._write()

    def disable(self, name: str, disabled: bool = True) -> None:
        """Lock a user out (running sessions end within seconds), or let them in again.

        Raises:
            KeyError: There is no such user.
        """
        self._users[name]["disabled"] = disabled
        self._write()

    def role(self, name: str) -> str | None:
        """Role of a user who may log in; None for everybody else."""
        row = self._users.get(name)
        return None if row is None or row["disabled"] else str(row["role"])

    def names(self) -> dict[str, str]:
        """Every user with their role; a disabled one has ``disabled`` instead."""
        return {n: "disabled" if r["disabled"] else r["role"] for n, r in self._users.items()}

    def verify(self, name: str, password: str) -> bool:
        """Whether the password is right and the user enabled; takes the same time for all."""
        row = self._users.get(name)
        stored = self._nobody if row is None else str(row["password"])
        try:
            self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False
        return row is not None and not row["disabled"]

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(self._path.name + ".new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"users": self._users}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        stat = self._path.stat()
        self._stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)

    def _wrong(self, key: str, value: str, message: str, allowed: str) -> ConfigError:
        return ConfigError([Problem(str(self._path), 0, key, value, message, allowed)])


@dataclass(slots=True)
class Session:
    """A login. ``id`` names it in the audit and opens nothing."""

    id: str
    user: str
    role: str
    csrf: str
    started_ns: int
    seen_ns: int

    def may(self, right: str) -> bool:
        """Whether the role has the right."""
        return right in RIGHTS[self.role]


@dataclass(slots=True)
class _Failures:
    times_ns: list[int] = field(default_factory=list)
    blocks: int = 0
    until_ns: int = 0


class Auth:
    """Sessions over a users file.

    Args:
        users: The users.
        clock: Monotonic time for idle sessions and the login brake.
        idle_s: A session nobody used for this long ends.
        longest_s: A session ends after this long in any case.
    """

    def __init__(
        self,
        users: Users,
        clock: Clock | None = None,
        idle_s: float = 900.0,
        longest_s: float = 43_200.0,
    ) -> None:
        self.users = users
        self._clock = clock or SystemClock()
        self._idle_ns = int(idle_s * _SECOND)
        self._longest_ns = int(longest_s * _SECOND)
        self._sessions: dict[bytes, Session] = {}
        self._failures: dict[tuple[str, str], _Failures] = {}
        self._refreshed_ns = 0
        # One argon2id check takes 64 MiB; a storm of logins must not take the machine.
        self._checking = asyncio.Semaphore(2)

    async def login(self, user: str, password: str, address: str) -> tuple[str, Session] | None:
        """Check a password and begin a session with a new token.

        Returns:
            Token for the cookie and the session, or None; the same answer after the same time
            for an unknown user, a disabled one and a wrong password.

        Raises:
            ThrottledError: Five failures of this user from this address within a minute. The wait
                doubles with every further round up to 15 minutes, and never becomes a lock.
        """
        key = (user, address)
        self._brake(key)
        async with self._checking:
            self._brake(key)
            self._refresh(force=True)
            right = await asyncio.to_thread(self.users.verify, user, password)
        role = self.users.role(user)
        if not right or role is None:
            self._failed(key)
            return None
        self._failures.pop(key, None)
        return self._begin(user, role)

    def session(self, token: str | None, *, touch: bool = True) -> Session | None:
        """The session of a token, if it still holds.

        Args:
            token: Value of the cookie.
            touch: Whether this counts as use (a background refresh does not).
        """
        if not token:
            return None
        self._refresh()
        key = _key(token)
        session = self._sessions.get(key)
        if session is None:
            return None
        now = self._clock.mono_ns()
        over = now - session.seen_ns > self._idle_ns or now - session.started_ns > self._longest_ns
        if over or self.users.role(session.user) != session.role:
            del self._sessions[key]
            return None
        if touch:
            session.seen_ns = now
        return session

    def logout(self, token: str | None) -> None:
        """End a session."""
        if token:
            self._sessions.pop(_key(token), None)

    def _begin(self, user: str, role: str) -> tuple[str, Session]:
        token = secrets.token_urlsafe(32)
        now = self._clock.mono_ns()
        key = _key(token)
        session = Session(key.hex()[:16], user, role, secrets.token_urlsafe(32), now, now)
        self._sessions[key] = session
        while len(self._sessions) > _SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return token, session

    def _refresh(self, *, force: bool = False) -> None:
        now = self._clock.mono_ns()
        if force or now - self._refreshed_ns > _SECOND:
            self._refreshed_ns = now
            self.users.refresh()

    def _brake(self, key: tuple[str, str]) -> None:
        failures = self._failures.get(key)
        if failures is not None and failures.until_ns > (now := self._clock.mono_ns()):
            raise ThrottledError(-(-(failures.until_ns - now) // _SECOND))

    def _failed(self, key: tuple[str, str]) -> None:
        now = self._clock.mono_ns()
        failures = self._failures.setdefault(key, _Failures())
        failures.times_ns = [t for t in failures.times_ns if now - t < _WINDOW_NS]
        failures.times_ns.append(now)
        if len(failures.times_ns) >= _TRIES:
            wait = min(_WINDOW_NS << min(failures.blocks, 10), _LONGEST_WAIT_NS)
            failures.until_ns = now + wait
            failures.blocks += 1
            failures.times_ns.clear()
        while len(self._failures) > _REMEMBERED:
            del self._failures[next(iter(self._failures))]


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
