"""Users, passwords and sessions."""

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from dashboards.board import Auth, Users
from dashboards.board.auth import ThrottledError
from twin.errors import ConfigError

if TYPE_CHECKING:
    from tests.dashboards.board.conftest import FakeClock

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "rolling-coil-27"


def test_first_start_makes_an_admin_with_a_random_password(tmp_path: Path) -> None:
    """There is no default credential: two first starts give two passwords, and each works."""
    first = Users(tmp_path / "a" / "users.json", CHEAP)
    second = Users(tmp_path / "b" / "users.json", CHEAP)
    assert first.first_password
    assert second.first_password
    assert first.first_password != second.first_password
    assert first.verify("admin", first.first_password)
    assert first.role("admin") == "admin"
    again = Users(tmp_path / "a" / "users.json", CHEAP)
    assert again.first_password is None
    assert again.verify("admin", first.first_password)


def test_file_is_private_and_holds_no_password(tmp_path: Path) -> None:
    """The users file has mode 0600 and holds argon2id hashes of the library's strength."""
    path = tmp_path / "users.json"
    users = Users(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert users.first_password
    assert users.first_password not in text
    parameters = extract_parameters(json.loads(text)["users"]["admin"]["password"])
    assert parameters.type is Type.ID
    assert parameters.memory_cost >= 19_456  # OWASP's minimum for argon2id, KiB
    assert parameters.time_cost >= 2


def test_readable_file_refuses_to_start(tmp_path: Path) -> None:
    """A users file that others can read is a configuration error that names the mode."""
    path = tmp_path / "users.json"
    Users(path, CHEAP)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="0o600"):
        Users(path, CHEAP)


@pytest.mark.parametrize("text", ["", "[]", '{"users": []}', '{"users": {"x": {"role": "root"}}}'])
def test_foreign_file_refuses_to_start(tmp_path: Path, text: str) -> None:
    """Anything that is no users file is a configuration error, not a trace."""
    path = tmp_path / "users.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="not a users file"):
        Users(path, CHEAP)


@pytest.mark.parametrize(
    "bad", ["short", "passwordpassword", "aaaaaaaaaaaaaaaa", "PASSWORDPASSWORD"]
)
def test_weak_passwords_are_refused(tmp_path: Path, bad: str) -> None:
    """Short, common and repetitive passwords are refused."""
    users = Users(tmp_path / "users.json", CHEAP)
    with pytest.raises(ConfigError, match="too short or too common"):
        users.put("kim", bad, "operator")
    assert users.role("kim") is None


def test_unknown_role_is_refused(tmp_path: Path) -> None:
    """A role outside the table does not exist."""
    with pytest.raises(ConfigError, match="viewer, operator"):
        Users(tmp_path / "users.json", CHEAP).put("kim", PASSWORD, "root")


async def test_session_ends_when_idle(auth: Auth, clock: "FakeClock") -> None:
    """A session nobody uses ends after 15 minutes; background refreshes do not keep it alive."""
    begun = await auth.login("operator", PASSWORD, "127.0.0.1")
    assert begun is not None
    token, session = begun
    clock.forward(800)
    assert auth.session(token) is session
    clock.forward(800)
    assert auth.session(token, touch=False) is session
    clock.forward(101)
    assert auth.session(token) is None


async def test_session_has_a_longest_life(auth: Auth, clock: "FakeClock") -> None:
    """Even a busy session ends after twelve hours."""
    begun = await auth.login("operator", PASSWORD, "127.0.0.1")
    assert begun is not None
    for _ in range(60):
        clock.forward(720)
        assert auth.session(begun[0]) is not None
    clock.forward(1)
    assert auth.session(begun[0]) is None


async def test_disabled_user_is_out_within_seconds(
    auth: Auth, clock: "FakeClock", tmp_path: Path
) -> None:
    """Disabling a user in another process ends their session within five seconds."""
    begun = await auth.login("operator", PASSWORD, "127.0.0.1")
    assert begun is not None
    Users(tmp_path / "users.json", CHEAP).disable("operator")
    clock.forward(4)
    assert auth.session(begun[0]) is None
    assert await auth.login("operator", PASSWORD, "127.0.0.1") is None


async def test_changed_role_ends_the_session(auth: Auth) -> None:
    """A session never keeps rights its user has lost."""
    begun = await auth.login("engineer", PASSWORD, "127.0.0.1")
    assert begun is not None
    auth.users.put("engineer", PASSWORD, "viewer")
    assert auth.session(begun[0]) is None


async def test_sixth_try_is_throttled(auth: Auth, clock: "FakeClock") -> None:
    """After five failures even the right password waits; the wait doubles and never locks."""
    for _ in range(5):
        assert await auth.login("operator", "wrong", "10.0.0.1") is None
    with pytest.raises(ThrottledError) as first:
        await auth.login("operator", PASSWORD, "10.0.0.1")
    assert first.value.retry_after_s == 60
    assert await auth.login("operator", PASSWORD, "10.0.0.2") is not None
    assert await auth.login("engineer", PASSWORD, "10.0.0.1") is not None
    clock.forward(61)
    for _ in range(5):
        assert await auth.login("operator", "wrong", "10.0.0.1") is None
    with pytest.raises(ThrottledError) as second:
        await auth.login("operator", PASSWORD, "10.0.0.1")
    assert second.value.retry_after_s == 120
    clock.forward(121)
    assert await auth.login("operator", PASSWORD, "10.0.0.1") is not None


async def test_tokens_are_long_and_unlike(auth: Auth) -> None:
    """Session tokens carry 256 random bits; the id in the audit does not reveal them."""
    tokens = set()
    for _ in range(50):
        begun = await auth.login("operator", PASSWORD, "127.0.0.1")
        assert begun is not None
        assert begun[1].id not in begun[0]
        assert len(begun[0]) == 43
        tokens.add(begun[0])
    assert len(tokens) == 50


async def test_logout_ends_only_that_session(auth: Auth) -> None:
    """Logging out on one screen leaves the other logged in."""
    one = await auth.login("operator", PASSWORD, "127.0.0.1")
    two = await auth.login("operator", PASSWORD, "127.0.0.1")
    assert one
    assert two
    auth.logout(one[0])
    assert auth.session(one[0]) is None
    assert auth.session(two[0]) is not None
