"""What the vendor formats share: a map from their column names to ours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from connectors.recording.columns import scale_of
from connectors.recording.text import numbers
from twin.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connectors.recording.frame import Frame
    from connectors.recording.notebook import Notebook
    from connectors.recording.text import Cells

__all__ = ["begin", "take"]


def begin(frame: Frame, first_ns: int) -> None:
    """Place the recording in time by the wall clock of its first row."""
    time_s = frame.time_s
    if time_s is not None and len(time_s) and math.isfinite(time_s[0]):
        frame.start_ns = first_ns - round(float(time_s[0]) * 1e9)


def take(
    frame: Frame,
    table: Cells,
    names: Mapping[str, tuple[str, str]],
    notes: Notebook,
    known: Iterable[str] = (),
) -> None:
    """Fill a frame with the columns a format is known to have.

    Args:
        frame: Gets ``values``.
        table: The cells of the file.
        names: Header in the file to (machine name without unit, unit in the file).
        notes: Takes the columns nobody reads.
        known: Further headers the format reads in another way.
    """
    known = set(known)
    left: list[str] = []
    for head in table.columns:
        if head in known:
            continue
        if head not in names:
            left.append(head)
            continue
        quantity, unit = names[head]
        scale = scale_of(unit)
        if scale is None:
            raise RecordingError(f'column "{head}" has the unknown unit "{unit}"')
        name = f"{quantity}_{scale.suffix}" if scale.suffix else quantity
        frame.values[name] = scale(numbers(table, head, notes, name))
    if left:
        notes.add(
            "COLUMN_NOT_USED",
            f"Columns without a BDF quantity were left out: {', '.join(left)}.",
            columns=left,
            count=len(left),
        )
