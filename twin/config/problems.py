"""All problems of one version of the line description, collected with their places."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twin.config.positions import dotted
from twin.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twin.config.positions import Path, Positions

__all__ = ["Problems", "found", "some"]


def found(value: Any) -> str:
    """A value as it would stand in the file, shortened for a message."""
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def some(names: Iterable[str], none: str = "none are described") -> str:
    """The first of many names, for a message."""
    known = list(names)
    return ", ".join(known[:12]) + (f" … ({len(known)})" if len(known) > 12 else "") or none


class Problems:
    """Collects problems of the main file; rows of other files are added as they are.

    Attributes:
        found: Problems so far.
        ignore: Tables that are not what the person meant: what follows from that is not reported.
        partial: Kinds of names (``sensor``, ``zone``, ``control``, ``limits``) of which some had to
            be left out, so that one that leads nowhere proves nothing.
    """

    def __init__(self, file: str, positions: Positions) -> None:
        self.found: list[Problem] = []
        self.ignore: set[Path] = set()
        self.partial: set[str] = set()
        self._said: set[Path] = set()
        self._file = file
        self._positions = positions

    def add(self, path: Path, message: str, value: Any = None, allowed: str = "") -> None:
        """Note what is wrong at a path of the main file; only the first problem of a key counts.

        A row with ``each`` would otherwise say the same thing a thousand times.
        """
        if path in self._said or any(path[: len(table)] == table for table in self.ignore):
            return
        self._said.add(path)
        line = self._positions.line(path)
        self.found.append(Problem(self._file, line, dotted(path), found(value), message, allowed))

    def unknown(self, kind: str, path: Path, message: str, value: Any, allowed: str = "") -> None:
        """Note a reference that leads nowhere; silent when its target may just be left out."""
        if kind not in self.partial:
            self.add(path, message, value, allowed)

    def knows(self, path: Path) -> bool:
        """Whether something is already wrong there or below."""
        return any(said[: len(path)] == path for said in self._said)

    def in_order(self) -> list[Problem]:
        """The problems by file and line."""
        return sorted(self.found, key=lambda problem: (problem.file, problem.line, problem.key))
