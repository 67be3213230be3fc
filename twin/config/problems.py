"""All problems of one version of the line description, collected with their places."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twin.config.names import Doubts
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
        doubts: Names of a kind (``sensor``, ``zone``, ``control`` row, sensor with ``limits`` or
            ``chart``) whose own row is wrong, so that a reference that leads nowhere proves nothing.
        meant: Path a misspelt key should have had, to the path it has in the file.
    """

    def __init__(self, file: str, positions: Positions) -> None:
        self.found: list[Problem] = []
        self.ignore: set[Path] = set()
        self.doubts = Doubts()
        self.meant: dict[Path, Path] = {}
        self._said: set[Path] = set()
        self._file = file
        self._positions = positions

    def add(self, path: Path, message: str, value: Any = None, allowed: str = "") -> None:
        """Note what is wrong at a path of the main file; only the first problem of a key counts.

        A row with ``each`` would otherwise say the same thing a thousand times.
        """
        if any(path[: len(table)] == table for table in self.ignore):
            return
        path = self._written(path)
        if path in self._said:
            return
        self._said.add(path)
        line = self._positions.line(path)
        self.found.append(Problem(self._file, line, dotted(path), found(value), message, allowed))

    def unknown(self, kind: str, name: str, path: Path, message: str, allowed: str = "") -> None:
        """Note a reference to a name that is not there; silent when that name is in doubt."""
        if not self.doubts.cover(kind, name):
            self.add(path, message, name, allowed)

    def knows(self, *paths: Path) -> bool:
        """Whether something is already wrong at one of the paths, or below it."""
        written = [self._written(path) for path in paths]
        return any(said[: len(path)] == path for said in self._said for path in written)

    def _written(self, path: Path) -> Path:
        """Where a path stands in the file."""
        for meant, written in self.meant.items():
            if path[: len(meant)] == meant:
                return self._written((*written, *path[len(meant) :]))
        return path

    def in_order(self) -> list[Problem]:
        """The problems by file and line."""
        return sorted(self.found, key=lambda problem: (problem.file, problem.line, problem.key))
