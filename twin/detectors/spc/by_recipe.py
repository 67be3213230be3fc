"""Numbers that differ by recipe, as arrays a kernel can search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from twin.model.batch import recipe_code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["ByRecipe", "find_recipe"]

_ALL = -1


class ByRecipe:
    """For every row of a detector, numbers by recipe.

    Args:
        rows: Per row: recipe name to numbers, all of the same length; the empty name stands for
            every recipe without numbers of its own.
        width: How many numbers belong to a recipe.

    Attributes:
        starts: int64, shape (rows + 1,); where the entries of each row begin.
        codes: int64, shape (entries,); recipe codes.
        numbers: float64, shape (entries, width).
        names: Recipe name of each entry.
    """

    def __init__(self, rows: Sequence[Mapping[str, tuple[float, ...]]], width: int) -> None:
        entries = [(name, row[name]) for row in rows for name in sorted(row)]
        self.names = [name for name, _ in entries]
        self.starts: NDArray[np.int64] = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
        self.codes = np.array([recipe_code(name) for name, _ in entries], np.int64)
        self.numbers = np.array([numbers for _, numbers in entries], np.float64).reshape(-1, width)


@njit(cache=True, error_model="numpy")
def find_recipe(starts: NDArray[np.int64], codes: NDArray[np.int64], row: int, code: int) -> int:
    """Entry of a recipe for a row of the detector, -1 when there is none."""
    fallback = -1
    for entry in range(starts[row], starts[row + 1]):
        if codes[entry] == code:
            return entry
        if codes[entry] == _ALL:
            fallback = entry
    return fallback
