"""Which recipe a reading belongs to.

Three may say it, the first that does counts: the product at the station (its own message, or that
of the product it was made from), the station's recipe number (a sensor with role ``state`` named
by ``recipe_from``), the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from twin.model.batch import GOOD, recipe_code

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.batch import Batch
    from twin.model.index import LineIndex

__all__ = ["Recipes"]


class Recipes:
    """Recipes of products and stations, as the codes of :func:`twin.model.batch.recipe_code`.

    Args:
        index: The line.
    """

    def __init__(self, index: LineIndex) -> None:
        self._line = recipe_code(index.line.line.recipe)
        self._products: NDArray[np.int32] = np.full(1024, -1, np.int32)
        stations = {
            f"{station.id}/{station.recipe_from}": station.id
            for station in index.line.station
            if station.recipe_from
        }
        self._members: dict[str, tuple[int, NDArray[np.bool_]]] = {}
        for sensor, station in stations.items():
            mine = np.array([row.station.id == station for row in index.sensors], np.bool_)
            self._members[sensor] = (index.by_id[sensor].index, mine)
        self._said: dict[str, int] = {}

    def learn(self, product: int, recipe: str) -> None:
        """A product belongs to a recipe; empty names change nothing."""
        if not recipe:
            return
        while product >= len(self._products):
            self._products = np.append(self._products, np.full(len(self._products), -1, np.int32))
        self._products[product] = recipe_code(recipe)

    def join(self, batch: Batch) -> None:
        """Fill ``batch.recipe`` in place; products are joined already."""
        recipe = batch.recipe
        recipe[:] = self._line
        for sensor, (number, mine) in self._members.items():
            self._station(sensor, number, mine, batch)
        known = batch.product >= 0
        if known.any():
            # A product nobody gave a recipe may be newer than the table.
            at = np.where(known & (batch.product < len(self._products)), batch.product, 0)
            code = np.where(known & (at == batch.product), self._products[at], -1)
            np.copyto(recipe, code, where=code >= 0)

    def _station(self, sensor: str, number: int, mine: NDArray[np.bool_], batch: Batch) -> None:
        """Readings of a station from its recipe number on, in the order of the journal."""
        said = np.flatnonzero(
            (batch.sensor == number) & (batch.quality == GOOD) & np.isfinite(batch.value)
        )
        codes = [recipe_code(f"{batch.value[row]:g}") for row in said]
        before = self._said.get(sensor, -1)
        here = mine[batch.sensor]
        valid = np.searchsorted(said, np.arange(len(batch)), side="right")
        code = np.array([before, *codes], np.int32)[valid]
        np.copyto(batch.recipe, code, where=here & (code >= 0))
        if codes:
            self._said[sensor] = codes[-1]

    def snapshot(self) -> dict[str, Any]:
        """What stations said; the recipes of products are in their records."""
        return {"said": dict(self._said)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot taken under the same line."""
        self._said = {str(name): int(code) for name, code in state["said"].items()}

    def follow(self, old: Recipes) -> None:
        """Take over what stations said whose sensor is still there."""
        self._said = {name: code for name, code in old._said.items() if name in self._members}
