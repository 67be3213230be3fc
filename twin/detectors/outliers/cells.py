"""Cells of formation: their features, their recipes, and which of them are unlike their tray.

Features come from the events of formation, one record per cell. Cells are only compared with cells
of the same recipe; where nobody says the recipe, cells that were charged and discharged with the same
currents at the same temperature have the same one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from twin.detectors.finding import Opened, closing
from twin.detectors.outliers.dpat import Dpat, Part, dpat
from twin.errors import StateError
from twin.model.event import Event, event_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from twin.model.index import LineIndex

__all__ = ["FEATURES", "Cell", "Cells", "Trays", "judge", "tray_of"]

FEATURES = {
    "capacity": "discharge capacity, A.h",
    "charge": "charge taken, A.h",
    "efficiency": "discharge over charge",
    "dcir_1s": "resistance 1 s after a step of the current, Ohm",
    "dcir_10s": "resistance 10 s after a step of the current, Ohm",
    "ocv_drop": "voltage lost during the last rest, V",
}
"""What is known about a cell from its formation."""

_CURRENTS = 0.1
"""Currents that differ by less than this part are the same protocol."""
_TEMPERATURES = 5.0
"""As are temperatures that differ by less, K."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell after formation.

    Attributes:
        id: Product id, or where and when it was formed.
        values: Feature to value; NaN or missing when it was not measured.
        recipe: Its recipe; empty when nobody said.
        tray: Its tray.
        rack: Its rack.
        protocol: Largest charge and discharge current in A and temperature in Cel; NaN unknown.
        t_last: Event time its cycle ended, ns.
        sensor: Sensor its findings are shown at.
        product: Product id; None when nobody said which product was in the channel.
    """

    id: str
    values: dict[str, float]
    recipe: str = ""
    tray: str = ""
    rack: str = ""
    protocol: tuple[float, float, float] = (nan, nan, nan)
    t_last: int = 0
    sensor: str = ""
    product: str | None = None


@dataclass(slots=True)
class _Steps:
    """What the steps of a channel told since its last cycle."""

    values: dict[str, float] = field(default_factory=dict)
    charge: float = nan
    discharge: float = nan
    temperature: float = nan
    under_way: bool = False


class Cells:
    """Makes cells of the events of formation.

    Attributes:
        steps: What the steps of each channel told since its last cycle.

    Args:
        source: Name of the recording they come from; part of a cell's id.
        first: Only the first complete cycle of each channel: a channel holds one cell, and the
            recording begins with it. Otherwise every complete cycle is a cell, but for the one
            that was under way when the recording began.
    """

    def __init__(self, source: str = "", *, first: bool = False) -> None:
        self._source, self._first = source, first
        self.steps: dict[str, _Steps] = {}
        self._done: set[str] = set()

    def add(self, event: Event) -> Cell | None:
        """Take an event; a cell when it ends a complete cycle."""
        channel = str(event.detail.get("channel", ""))
        if event.type == "formation_step":
            _step(self.steps.setdefault(channel, _Steps()), event)
            return None
        if event.type != "formation_cycle":
            return None
        steps = self.steps.pop(channel, _Steps())
        whole = event.detail.get("efficiency") is not None
        again = self._first and channel in self._done
        if not whole or again or (steps.under_way and not self._first):
            return None
        self._done.add(channel)
        number = int(event.detail["number"])
        parts = [self._source, channel if not self._first or not self._source else ""]
        name = "/".join(part for part in parts if part)
        return Cell(
            event.product or (name if self._first else f"{name}#{number}"),
            {**steps.values, **_features(event.detail)},
            tray=tray_of(channel),
            protocol=(steps.charge, steps.discharge, steps.temperature),
            t_last=event.t_last,
            sensor=event.sensor,
            product=event.product,
        )


def _step(steps: _Steps, event: Event) -> None:
    told = event.detail
    kind = event.rule
    peak = told.get("current_peak_a")
    # Nobody saw the begin of a charge that flows with the very first sample.
    steps.under_way |= told.get("number") == 1 and kind != "rest"
    if peak is not None and kind.endswith("discharge"):
        steps.discharge = max(peak, steps.discharge) if isfinite(steps.discharge) else peak
    elif peak is not None and kind.endswith("charge"):
        steps.charge = max(peak, steps.charge) if isfinite(steps.charge) else peak
    if told.get("temperature_min_c") is not None and not isfinite(steps.temperature):
        steps.temperature = float(told["temperature_min_c"])
    for name in ("dcir_1s", "dcir_10s"):
        if told.get(f"{name}_ohm") is not None:
            steps.values[name] = float(told[f"{name}_ohm"])
    first, last = told.get("voltage_first_v"), told.get("voltage_last_v")
    if kind == "rest" and first is not None and last is not None:
        steps.values["ocv_drop"] = float(first) - float(last)


def _features(told: dict[str, Any]) -> dict[str, float]:
    pairs = {
        "capacity": told.get("discharge_ah", told.get("second_half_ah")),
        "charge": told.get("charge_ah", told.get("first_half_ah")),
        "efficiency": told.get("efficiency"),
    }
    return {name: float(value) for name, value in pairs.items() if value is not None}


def tray_of(channel: str) -> str:
    """Tray of a channel by its name: what comes before its last number.

    Examples:
        >>> tray_of("formation/r1c01"), tray_of("formation/channel"), tray_of("f/7")
        ('formation/r1', 'formation', 'f')
    """
    station, _, name = channel.rpartition("/")
    match = re.fullmatch(r"(.*?)[^0-9]*\d+", name)
    head = match[1] if match else ""
    return "/".join(part for part in (station, head) if part)


def with_recipes(cells: Iterable[Cell]) -> list[Cell]:
    """Cells without a recipe get one by their protocol; unknown protocols are never the same."""
    known: list[tuple[tuple[float, float, float], str]] = []
    found = []
    for cell in cells:
        if cell.recipe:
            found.append(cell)
            continue
        name = next((name for other, name in known if _alike(cell.protocol, other)), "")
        if not name:
            name = _protocol_name(cell)
            known.append((cell.protocol, name))
        found.append(replace(cell, recipe=name))
    return found


def _alike(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    if not (isfinite(one[0]) and isfinite(one[1])):
        return False
    near = all(
        abs(a - b) <= _CURRENTS * max(abs(a), abs(b))
        for a, b in zip(one[:2], other[:2], strict=True)
    )
    warm = not (isfinite(one[2]) and isfinite(other[2])) or abs(one[2] - other[2]) <= _TEMPERATURES
    return near and warm


def _protocol_name(cell: Cell) -> str:
    charge, discharge, temperature = cell.protocol
    if not (isfinite(charge) and isfinite(discharge)):
        return f"unknown ({cell.id})"
    warm = f" at {temperature:.0f} Cel" if isfinite(temperature) else ""
    return f"{charge:.3g} A up, {discharge:.3g} A down{warm}"


def judge(
    cells: Sequence[Cell],
    feature: str,
    *,
    by: Sequence[str] = ("recipe", "tray"),
    mixed: Literal["stratify", "refuse"] = "stratify",
    k: float = 6.0,
    lsl: float | None = None,
    usl: float | None = None,
) -> Dpat:
    """Compare cells with the cells of their recipe and tray.

    Args:
        cells: Cells, their recipes known (:func:`with_recipes`).
        feature: What to compare.
        by: What makes a population: ``recipe``, ``tray``. Racks are never pooled.
        mixed: A tray with several recipes is judged recipe by recipe, or refused.
        k: Robust sigmas.
        lsl: Lower specification limit.
        usl: Upper specification limit.

    Raises:
        ValueError: No cell has the feature, or recipes would be mixed.
    """
    values = [cell.values.get(feature, nan) for cell in cells]
    if not any(isfinite(value) for value in values):
        known = sorted({name for cell in cells for name in cell.values})
        raise ValueError(f"no cell has {feature}; measured: {', '.join(known) or 'nothing'}")
    recipes = sorted({cell.recipe for cell in cells})
    if "recipe" not in by and len(recipes) > 1:
        raise ValueError(
            f"{len(recipes)} recipes ({', '.join(recipes[:4])}) would be mixed and hide outliers; "
            "judge by recipe"
        )
    columns = {
        name: [getattr(cell, name) for cell in cells] if name in by else None
        for name in ("recipe", "tray")
    }
    return dpat(
        values,
        recipe=columns["recipe"],
        tray=columns["tray"],
        rack=[cell.rack for cell in cells],
        k=k,
        lsl=lsl,
        usl=usl,
        mixed=mixed,
    )


class Trays:
    """Judges a tray when all its channels have finished a cell; keeps one cell per channel.

    Args:
        channels: Channels of each tray, ``station/id``.
        features: What to compare.
        k: Robust sigmas.
    """

    VERSION = 1

    def __init__(
        self,
        channels: dict[str, list[str]],
        features: Sequence[str] = ("capacity", "efficiency"),
        *,
        k: float = 6.0,
    ) -> None:
        self._tray = {channel: tray for tray, names in channels.items() for channel in names}
        self._size = {tray: len(names) for tray, names in channels.items()}
        self._features, self._k = tuple(features), k
        self._cells = Cells()
        self._waiting: dict[str, dict[str, Cell]] = {tray: {} for tray in channels}

    @classmethod
    def of(cls, index: LineIndex) -> Trays:
        """Trays of a line: as its channels say, else by their names."""
        trays: dict[str, list[str]] = {}
        for channel in index.channels:
            name = f"{channel.station}/{channel.id}"
            tray = f"{channel.station}/{channel.tray}" if channel.tray else tray_of(name)
            trays.setdefault(tray, []).append(name)
        return cls({tray: names for tray, names in trays.items() if len(names) > 1})

    def update(self, events: Iterable[Event], recipe_of: Callable[[str], str]) -> list[Event]:
        """Take what formation said about a batch.

        Args:
            events: Its events, in order of their samples.
            recipe_of: Product id to recipe; empty when nobody said.
        """
        if not self._tray:
            return []
        return [
            found
            for event in events
            for found in self.add(event, recipe_of(event.product) if event.product else "")
        ]

    def add(self, event: Event, recipe: str = "") -> list[Event]:
        """Take an event of formation.

        Args:
            event: ``formation_step`` or ``formation_cycle``; others are passed over.
            recipe: Recipe of the cell, when somebody said.

        Returns:
            One finding per outlier when the event completed its tray.
        """
        channel = str(event.detail.get("channel", ""))
        cell = self._cells.add(event)
        tray = self._tray.get(channel)
        if cell is None or tray is None:
            return []
        waiting = self._waiting[tray]
        waiting[channel] = replace(cell, recipe=recipe, tray=tray)
        if len(waiting) < self._size[tray]:
            return []
        self._waiting[tray] = {}
        cells = with_recipes([waiting[name] for name in sorted(waiting)])
        return [
            told for feature in self._features for told in self._judged(cells, feature, event.row)
        ]

    def snapshot(self) -> dict[str, Any]:
        """Cells that wait for the rest of their tray, as msgpack-able values."""
        plain: dict[str, Any] = msgspec.to_builtins(
            {
                "steps": self._cells.steps,
                "waiting": {tray: list(cells.items()) for tray, cells in self._waiting.items()},
            }
        )
        return {"version": self.VERSION, **plain}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot; trays the line no longer has are left out.

        Raises:
            StateError: The snapshot is unreadable or of another version.
        """
        if state.get("version") != self.VERSION:
            raise StateError(f"snapshot of trays has version {state.get('version')}")
        try:
            steps = msgspec.convert(state["steps"], dict[str, _Steps])
            waiting = msgspec.convert(state["waiting"], dict[str, list[tuple[str, Cell]]])
        except (KeyError, msgspec.ValidationError) as error:
            raise StateError(f"snapshot of trays is unreadable: {error}") from error
        self._cells.steps = steps
        for tray, cells in waiting.items():
            if tray in self._waiting:
                self._waiting[tray] = {
                    channel: cell for channel, cell in cells if self._tray.get(channel) == tray
                }

    def follow(self, old: Trays) -> None:
        """Take over what waits when the line description changes."""
        self.restore(old.snapshot())

    def _judged(self, cells: list[Cell], feature: str, row: int) -> list[Event]:
        if not any(isfinite(cell.values.get(feature, nan)) for cell in cells):
            return []
        result = judge(cells, feature, k=self._k)
        found = []
        for place in result.outliers:
            cell, part = cells[place], result.parts[place]
            opened = _finding(cell, part, feature, self._k, row)
            # A cell is unlike its tray once and for all: there is nothing that could end.
            closed = closing(Opened(opened, 1, 1, 1), cell.t_last, None, cause="single")
            found += [opened, msgspec.structs.replace(closed, row=row)]
        return found


def _finding(cell: Cell, part: Part, feature: str, k: float, row: int) -> Event:
    ruleset = f"dpat({feature};{k:g})@1"
    return Event(
        id=event_id("dpat", ruleset, cell.sensor, "finding", cell.t_last, cell.id),
        type="finding",
        rule="dpat",
        ruleset=ruleset,
        sensor=cell.sensor,
        product=cell.product,
        t_first=cell.t_last,
        t_last=cell.t_last,
        value=part.value,
        detail={
            "cell": cell.id,
            "feature": feature,
            "lcl": part.lower,
            "meaning": f"{feature} of {cell.id} {part.reason}",
            "population": part.population,
            "rules": ["dpat"],
            "side": "high" if part.z > 0 else "low",
            "statistic": part.z,
            "tray": cell.tray,
            "ucl": part.upper,
        },
        row=row,
    )
