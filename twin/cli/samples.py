"""Recordings and data folders as samples: decoded, checked and marked, each with its recipe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from twin.cli.out import progress_bar
from twin.engine.pipeline import Pipeline
from twin.model.batch import Batch
from twin.model.message import Entries
from twin.model.table import Note, Samples, Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from twin.cli.recordings import Opened
    from twin.engine.pipeline import Output
    from twin.model.index import LineIndex

__all__ = ["judged", "samples_of"]


def judged(opened: list[Opened], index: LineIndex, *, quiet: bool) -> Iterator[Output]:
    """Run recordings through the stages of a line, piece by piece; nothing is written.

    Versions of the line that a journal holds are ignored: ``index`` judges.
    """
    pipeline = Pipeline(index, keep_line=True)
    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("read", total=sum(o.rows for o in opened))
        base = 0
        for recording in opened:
            for piece in recording.pieces(0):
                if isinstance(piece, Note):
                    yield pipeline.feed_note(piece)
                    continue
                if isinstance(piece, Table):
                    yield pipeline.feed_table(piece, base + piece.first_row + 1)
                    done = base + piece.first_row + len(piece)
                elif isinstance(piece, Samples):
                    yield pipeline.feed_samples(piece, base + piece.first_row + 1)
                    done = base + piece.first_row + len(piece)
                elif isinstance(piece, Entries):
                    yield pipeline.feed(piece)
                    done = base + piece.last_seq
                bar.update(task, completed=done)
            base += recording.rows
        yield pipeline.finish()


def samples_of(
    opened: list[Opened], index: LineIndex, sensors: Collection[str], *, quiet: bool
) -> Batch:
    """All samples of some sensors in the order of the recordings, marked by the validity tests.

    Args:
        opened: Recordings in order.
        index: The line.
        sensors: Sensor ids.
        quiet: Show no progress.
    """
    wanted = np.zeros(len(index), np.bool_)
    wanted[[index.by_id[name].index for name in sensors]] = True
    bare = replace(index, line=index.line.model_copy(update={"alarm": []}), channels=[])
    parts = [
        batch.take(wanted[batch.sensor])
        for out in judged(opened, bare, quiet=quiet)
        for batch in out.batches
    ]
    return _joined([part for part in parts if len(part)])


def _joined(parts: list[Batch]) -> Batch:
    if not parts:
        return Batch.of([], [], [])
    names = Batch.__dataclass_fields__
    return Batch(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})
