"""Which small chunks are worth merging."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twin.history.chunk import Head

__all__ = ["runs_of_small"]

_ENOUGH = 16
"""Chunks that are merged even if little comes together: rewriting stays logarithmic."""


def runs_of_small(heads: Iterable[Head], rows: int) -> Iterator[list[Head]]:
    """Runs of neighbouring small chunks of one sensor.

    A large chunk ends a run, so that a merged chunk does not span what lies between.

    Args:
        heads: Chunks of one sensor.
        rows: Size to come near to; chunks of half of it or more are large.

    Yields:
        At least two chunks, in the order of writing.
    """
    by_time = sorted(heads, key=lambda head: (head.t0, head.id))
    for large, group in groupby(by_time, key=lambda head: head.n >= rows // 2):
        if not large:
            yield from _runs(group, rows)


def _runs(small: Iterable[Head], rows: int) -> Iterator[list[Head]]:
    run: list[Head] = []
    for head in small:
        if sum(h.n for h in run) + head.n > rows:
            yield from _worth(run, rows)
            run = []
        run.append(head)
    yield from _worth(run, rows)


def _worth(run: list[Head], rows: int) -> Iterator[list[Head]]:
    if len(run) >= 2 and (len(run) >= _ENOUGH or sum(head.n for head in run) >= rows // 2):
        yield sorted(run, key=lambda head: head.id)
