"""Reading a line description: files or texts in, one index or every problem out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from twin.config import baselines, control_plan
from twin.config.build import build
from twin.config.charts import check_charts
from twin.config.check import check
from twin.config.shape import shape
from twin.errors import ConfigError, Problem
from twin.model.index import LineIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from twin.config.build import Built
    from twin.config.problems import Problems
    from twin.model.baseline import Baseline

__all__ = ["load", "parse"]


def load(path: Path) -> LineIndex:
    """Read a line description, and the control plan and the baselines it names.

    Args:
        path: The TOML file; the names of the others are relative to it.

    Raises:
        ConfigError: Something is wrong; carries every problem with its file and line.
    """

    def text_of(name: str) -> str:
        return _text((path.parent / name).read_bytes())

    return _read(path.name, text_of)


def parse(files: Mapping[str, str], main: str = "line.toml") -> LineIndex:
    """The same from texts, as ``LineIndex.files`` holds them.

    Args:
        files: File name to text.
        main: Name of the TOML file. When it is not there and just one file ends in ``.toml``,
            that one is meant.

    Raises:
        ConfigError: Something is wrong; carries every problem with its file and line.
    """
    if main not in files:
        others = [name for name in files if name.endswith(".toml")]
        main = others[0] if len(others) == 1 else main

    def text_of(name: str) -> str:
        if name not in files:
            raise FileNotFoundError(name)
        return files[name]

    return _read(main, text_of)


def _read(main: str, text_of: Callable[[str], str]) -> LineIndex:
    files = {main: _open(main, text_of)}
    line, problems = shape(files[main], main)
    plan = control_plan.ControlPlan()
    name = line.line.control_plan
    if name:
        try:
            files[name] = _open(name, text_of)
        except ConfigError as error:
            plan.problems += _where_named(error.problems, problems, name)
            plan.doubts.add("*")
        else:
            plan = control_plan.read(files[name], name)
    if problems.knows(("line", "control_plan")):
        plan.doubts.add("*")
    for row in plan.doubts:
        problems.doubts.add("control", row)
    built = build(line, plan.rows, problems)
    in_force, not_right = _baselines(line.line.baselines, text_of, files, built, plan.rows)
    check_charts(line, built, in_force, problems)
    check(line, built, problems)
    wrong = problems.in_order() + plan.problems + not_right
    if wrong:
        raise ConfigError(wrong)
    version = _version(files)
    return LineIndex(
        line, version, built.sensors, built.by_id, built.channels, plan.rows, in_force, files
    )


def _baselines(
    name: str,
    text_of: Callable[[str], str],
    files: dict[str, str],
    built: Built,
    control: Mapping[str, dict[str, str]],
) -> tuple[dict[str, list[Baseline]], list[Problem]]:
    """Baselines in force; a file that is not there yet holds none."""
    if not name:
        return {}, []
    try:
        files[name] = text_of(name)
    except FileNotFoundError:
        return {}, []
    except (UnicodeDecodeError, OSError):
        try:
            _open(name, text_of)
        except ConfigError as error:
            return {}, error.problems
    entries, problems = baselines.decode(files[name], name)
    problems += baselines.check(entries, name, built.by_id, control)
    return baselines.approved(entries), problems


def _text(data: bytes) -> str:
    # Spreadsheets put a byte-order mark in front of UTF-8.
    return data.decode("utf-8-sig").replace("\r\n", "\n")


def _open(name: str, text_of: Callable[[str], str]) -> str:
    try:
        return text_of(name)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{error.object[error.start]:02x}"
        problem = Problem(name, line, "file", found, "is not UTF-8", "save it as UTF-8")
    except OSError as error:
        why = error.strerror or "no such file"
        problem = Problem(name, 0, "file", "", f"cannot be read: {why}")
    raise ConfigError([problem])


def _where_named(found: list[Problem], problems: Problems, name: str) -> list[Problem]:
    """Problems with a place in the file itself; those without stand where the file is named."""
    for problem in found:
        if not problem.line:
            problems.add(("line", "control_plan"), problem.message, name, problem.allowed)
    return [problem for problem in found if problem.line]


def _version(files: Mapping[str, str]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name, text in sorted(files.items()):
        for part in (name, text):
            data = part.encode()
            digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
