"""Collects what is remarkable about a recording until the times of the rows are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twin.model.table import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Notebook"]

LIMIT = 50
"""So many notes of one code and column are written out; the rest is in the count of each."""


@dataclass(slots=True)
class _Line:
    row: int
    code: str
    column: str
    value: float | None
    message: str
    detail: dict[str, Any]


@dataclass(slots=True)
class Notebook:
    """Notes in the making; :meth:`pages` gives them their times and the order of the rows."""

    lines: list[_Line] = field(default_factory=list)

    def add(
        self,
        code: str,
        message: str,
        *,
        row: int = 0,
        column: str = "",
        value: float | None = None,
        **detail: Any,
    ) -> None:
        """Note one fact about a row, or about the whole file (row 0)."""
        detail.setdefault("count", 1)
        self.lines.append(_Line(row, code, column, value, message, detail))

    def each(
        self,
        code: str,
        rows: Sequence[int] | Sequence[np.signedinteger[Any]] | NDArray[np.int64],
        describe: Callable[[int], tuple[float | None, str, dict[str, Any]]],
        *,
        column: str = "",
    ) -> None:
        """Note every occurrence up to a limit; each carries the count of all of them.

        Args:
            code: Stable code.
            rows: Rows of the occurrences, ascending.
            describe: Row to value, sentence and further facts.
            column: Column concerned.
        """
        total = len(rows)
        for row in rows[:LIMIT]:
            value, message, detail = describe(int(row))
            self.add(code, message, row=int(row), column=column, value=value, count=total, **detail)
        if total > LIMIT:
            more = total - LIMIT
            self.add(
                code,
                f"{more} more rows like the {LIMIT} before; the last is row {int(rows[-1])}.",
                row=int(rows[LIMIT]),
                column=column,
                count=total,
                not_listed=more,
                last_row=int(rows[-1]),
            )

    def codes(self) -> set[str]:
        """Codes noted so far."""
        return {line.code for line in self.lines}

    def pages(self, source: str, time_ns: NDArray[np.int64]) -> list[Note]:
        """The notes in the order of their rows, with event times.

        Args:
            source: Name of the recording.
            time_ns: int64[n], event times of the rows after repairs.
        """
        ordered: Iterable[_Line] = sorted(self.lines, key=lambda line: line.row)
        return [
            Note(
                source=source,
                row=line.row,
                code=line.code,
                column=line.column,
                time_ns=int(time_ns[line.row]) if line.row < len(time_ns) else 0,
                value=line.value,
                message=line.message,
                detail=line.detail,
            )
            for line in ordered
        ]
