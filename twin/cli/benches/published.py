"""Where published recordings are: named by the person, by the environment, or beside the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from twin.errors import ConfigError, Problem

if TYPE_CHECKING:
    from twin.cli.benches.figure import Work

__all__ = ["published"]

_VARIABLE = "LINETWIN_BENCHMARKS"
_USUAL = Path("../shared/benchmarks")


def published(work: Work, name: str) -> Path | str:
    """Folder of a published set of recordings, or why there is none.

    Args:
        work: What the benchmark was given; ``work.data`` wins over every other place. It may be
            the folder of the set, or one that holds several sets as the usual places do.
        name: Sub-folder of the set in such places.

    Raises:
        ConfigError: The person named a folder that does not exist.
    """
    if work.data is not None:
        if not work.data.is_dir():
            problem = "is no folder that can be read"
            raise ConfigError([Problem("command line", 0, "--data", str(work.data), problem)])
        within = work.data / name
        return within if within.is_dir() else work.data
    place = Path(os.environ.get(_VARIABLE) or _USUAL) / name
    return place if place.is_dir() else f"recordings not found at {place} (set {_VARIABLE})"
