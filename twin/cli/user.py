"""``user``: who may do what on the board."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from dashboards.board.auth import ROLES, Users
from twin.cli.out import console, print_json
from twin.errors import ConfigError, Problem

__all__ = ["add_to"]

users = typer.Typer(no_args_is_help=True, help="Users of the board.")
DataOption = Annotated[Path, typer.Option(metavar="DIR", help="Data folder of the line.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(users, name="user")


@users.command("add")
def add(
    name: Annotated[str, typer.Argument(help="User name.")],
    *,
    data: DataOption,
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")] = "operator",
) -> None:
    """Add a user, or give one a new password; prints the password once."""
    password = secrets.token_urlsafe(12)
    data.mkdir(parents=True, exist_ok=True)
    known = Users(data / "users.json")
    if known.first_password and name != "admin":
        # The file is new and holds the first user too, whose password nobody would ever see.
        _print("admin", "admin", known.first_password)
    known.put(name, password, role)
    _print(name, role, password)


@users.command("disable")
def disable(name: Annotated[str, typer.Argument(help="User name.")], *, data: DataOption) -> None:
    """Lock a user out; sessions end within seconds."""
    known = _known(data)
    if name not in known.names():
        raise _wrong("NAME", name, "is no user", ", ".join(sorted(known.names())))
    known.disable(name)
    console.print(f"{name} is locked out", markup=False)


@users.command("list")
def list_(
    *, data: DataOption, json: Annotated[bool, typer.Option("--json", help="JSON.")] = False
) -> None:
    """List users and roles."""
    names = _known(data).names()
    if json:
        print_json(names)
    else:
        for name, role in sorted(names.items()):
            console.print(f"{name:20} {role}", markup=False)


def _print(name: str, role: str, password: str) -> None:
    console.print(f"{name} ({role}): {password}", markup=False, soft_wrap=True)


def _known(data: Path) -> Users:
    """The users there are; looking for them makes none."""
    if not (data / "users.json").exists():
        raise _wrong("--data", str(data), "holds no users yet", "the data folder of a line")
    return Users(data / "users.json")


def _wrong(key: str, value: str, message: str, allowed: str) -> ConfigError:
    return ConfigError([Problem("command line", 0, key, value, message, allowed)])
