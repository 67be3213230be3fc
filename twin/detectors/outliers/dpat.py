"""Part average testing of trays: parts that are unlike their neighbours (after AEC-Q001).

Dynamic limits are median +- 6 robust sigma, robust sigma = (Q3 - Q1)/1.35, of the parts of one
recipe in one tray (or lot), and never wider than the specification. Recipes are never mixed: a
mixed population has wide limits that hide real outliers, and means that mean nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from twin.detectors.outliers.quantiles import nothing, quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Dpat", "Part", "Population", "StaticPat", "dpat", "static_pat"]

_ROBUST = 1.35
"""Interquartile range of a normal distribution in standard deviations, as AEC-Q001 rounds it."""
_FEWEST = 8
"""Parts below which neither a median nor quartiles say anything about a single part."""
_LOTS, _LOT_PARTS = 6, 30

Verdict = Literal["inside", "outlier", "out of specification", "cannot judge"]


@dataclass(frozen=True, slots=True)
class Population:
    """The parts that were compared with each other.

    Attributes:
        name: Recipe, and tray or the trays that were pooled.
        recipe: Their recipe.
        trays: Their trays.
        parts: How many there are.
        median: Their median; of a pool that of the medians of its trays.
        sigma: Robust sigma; NaN where nothing can be judged.
        pooled: Whether trays were pooled after their medians were made equal.
        note: Why nothing can be judged, or what to keep in mind.
    """

    name: str
    recipe: str
    trays: tuple[str, ...]
    parts: int
    median: float
    sigma: float
    pooled: bool
    note: str


@dataclass(frozen=True, slots=True)
class Part:
    """What is said about one part.

    Attributes:
        place: Its place among the values.
        value: Its value.
        verdict: ``inside``, ``outlier``, ``out of specification`` or ``cannot judge``.
        reason: Why, in words.
        population: Name of the population it was judged in; empty for none.
        lower: Limits in the unit of the value; NaN without.
        upper: The other one.
        z: Distance from the median of its tray in robust sigma; NaN without.
    """

    place: int
    value: float
    verdict: Verdict
    reason: str
    population: str
    lower: float
    upper: float
    z: float


@dataclass(frozen=True, slots=True)
class Dpat:
    """What the test says.

    Attributes:
        parts: One entry per value, in order.
        populations: The populations they were judged in.
        notes: What was done about mixed recipes.
    """

    parts: tuple[Part, ...]
    populations: tuple[Population, ...]
    notes: tuple[str, ...]

    @property
    def outliers(self) -> tuple[int, ...]:
        """Places of parts unlike their neighbours or outside their specification."""
        return tuple(
            part.place for part in self.parts if part.verdict in ("outlier", "out of specification")
        )


@dataclass(frozen=True, slots=True)
class StaticPat:
    """Limits from past lots.

    Attributes:
        lower: Lower limit, never wider than the specification.
        upper: Upper limit.
        median: Median of all parts.
        sigma: Robust sigma.
        lots: Lots it was made from.
        parts: Parts it was made from.
    """

    lower: float
    upper: float
    median: float
    sigma: float
    lots: int
    parts: int


def dpat(
    values: ArrayLike,
    *,
    recipe: Sequence[str] | None = None,
    tray: Sequence[str] | None = None,
    rack: Sequence[str] | None = None,
    lsl: float | None = None,
    usl: float | None = None,
    k: float = 6.0,
    least: int = 32,
    quantile_type: int = 7,
    mixed: Literal["stratify", "refuse"] = "stratify",
) -> Dpat:
    """Compare every part with the parts of its recipe and tray.

    Trays with fewer than ``least`` parts are pooled with trays of the same recipe and rack, after
    the median of each tray was subtracted. A tray with fewer than 8 parts is neither judged nor
    pooled: its own median would follow its own outlier.

    Args:
        values: One per part; what is not a number cannot be judged.
        recipe: Recipe of each part; None when all have the same.
        tray: Tray (or lot) of each part; None when all are in one.
        rack: Rack of each part; only trays of one rack are pooled. None when there is one.
        lsl: Lower specification limit.
        usl: Upper specification limit.
        k: Robust sigmas.
        least: Parts a tray needs to be judged alone.
        quantile_type: Type of the quartiles, 1 to 9.
        mixed: What to do when a tray holds several recipes: judge each alone, or refuse.

    Raises:
        ValueError: Columns have different lengths, a part has no recipe although others have one,
            or a tray holds several recipes and ``mixed`` is ``refuse``.
    """
    x = np.asarray(values, np.float64).ravel()
    recipes, trays, racks = (
        _labels(name, column, len(x))
        for name, column in (("recipe", recipe), ("tray", tray), ("rack", rack))
    )
    notes = _mixed(recipes, trays, racks, mixed)
    strata: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for i in np.flatnonzero(np.isfinite(x)).tolist():
        strata[recipes[i], racks[i], trays[i]].append(i)
    pools: dict[tuple[str, str], list[str]] = defaultdict(list)
    alone: list[tuple[str, str, list[str]]] = []
    for (name, where, which), inside in sorted(strata.items()):
        if _FEWEST <= len(inside) < least:
            pools[name, where].append(which)
        else:
            alone.append((name, where, [which]))
    found = {
        i: Part(
            i, float(x[i]), "cannot judge", "no value", "", float("nan"), float("nan"), float("nan")
        )
        for i in np.flatnonzero(~np.isfinite(x)).tolist()
    }
    populations = []
    for name, where, group in alone + [(*key, group) for key, group in sorted(pools.items())]:
        members = {which: strata[name, where, which] for which in group}
        population, shifts = _population(x, name, where, members, least, quantile_type)
        populations.append(population)
        for which, places in members.items():
            for i in places:
                found[i] = _judge(i, float(x[i]), population, shifts[which], k, lsl, usl)
    return Dpat(tuple(found[i] for i in range(len(x))), tuple(populations), tuple(notes))


def _labels(name: str, column: Sequence[str] | None, n: int) -> list[str]:
    if column is None:
        return [""] * n
    labels = [str(label) for label in column]
    if len(labels) != n:
        raise ValueError(f"{name} has {len(labels)} entries for {n} values")
    if name == "recipe" and "" in labels and len(set(labels)) > 1:
        raise ValueError(
            f"part {labels.index('')} has no recipe and others have one; say it for all of them"
        )
    return labels


def _mixed(recipes: list[str], trays: list[str], racks: list[str], mixed: str) -> list[str]:
    held: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, which, where in zip(recipes, trays, racks, strict=True):
        held[where, which].add(name)
    several = {key: sorted(names) for key, names in held.items() if len(names) > 1}
    notes = []
    for (where, which), names in sorted(several.items()):
        place = " ".join(part for part in (where, which) if part) or "the lot"
        text = f"{place} holds {len(names)} recipes ({', '.join(names)})"
        if mixed == "refuse":
            raise ValueError(
                f"{text}: together they would hide outliers; judge each recipe alone (stratify)"
            )
        notes.append(f"{text}; each was judged alone")
    return notes


def _population(
    x: NDArray[np.float64],
    recipe: str,
    rack: str,
    members: dict[str, list[int]],
    least: int,
    quantile_type: int,
) -> tuple[Population, dict[str, float]]:
    medians = {which: float(np.median(x[places])) for which, places in members.items()}
    together = np.concatenate([x[places] - medians[which] for which, places in members.items()])
    name = " ".join(part for part in (recipe, rack, "+".join(members)) if part) or "all parts"
    width = quantile(together, 0.75, quantile_type) - quantile(together, 0.25, quantile_type)
    sigma, note = width / _ROBUST, ""
    if len(together) < _FEWEST:
        sigma = float("nan")
        note = f"{len(together)} parts, fewer than {_FEWEST}: nothing to compare with"
    elif nothing(width, np.concatenate([x[places] for places in members.values()])):
        sigma = float("nan")
        note = "half of the parts are equal: their scatter is unknown"
    elif len(together) < least:
        note = f"{len(together)} parts, fewer than {least}: false outliers are more frequent"
    population = Population(
        name,
        recipe,
        tuple(members),
        len(together),
        float(np.median(list(medians.values()))),
        sigma,
        len(members) > 1,
        note,
    )
    return population, medians


def _judge(
    i: int,
    value: float,
    population: Population,
    median: float,
    k: float,
    lsl: float | None,
    usl: float | None,
) -> Part:
    sigma = population.sigma
    judged = np.isfinite(sigma)
    low = median - k * sigma if judged else -np.inf
    high = median + k * sigma if judged else np.inf
    lower, upper = (
        max(low, -np.inf if lsl is None else lsl),
        min(high, np.inf if usl is None else usl),
    )
    z = (value - median) / sigma if judged else float("nan")
    verdict: Verdict = "inside"
    reason = f"within {k:g} robust sigma of the median {median:.6g}"
    if (lsl is not None and value < lsl) or (usl is not None and value > usl):
        bound = lsl if lsl is not None and value < lsl else usl
        side = "below" if lsl is not None and value < lsl else "above"
        verdict, reason = "out of specification", f"{side} the specification limit {bound:g}"
    elif not judged:
        verdict, reason = "cannot judge", population.note
    elif not low <= value <= high:
        side = "above" if value > high else "below"
        verdict = "outlier"
        reason = f"{abs(z):.1f} robust sigma {side} the median {median:.6g} of its tray"
    return Part(
        i,
        value,
        verdict,
        reason,
        population.name,
        lower if np.isfinite(lower) else float("nan"),
        upper if np.isfinite(upper) else float("nan"),
        z,
    )


def static_pat(
    values: ArrayLike,
    lot: Sequence[str],
    *,
    lsl: float | None = None,
    usl: float | None = None,
    k: float = 6.0,
    quantile_type: int = 7,
) -> StaticPat:
    """Limits from at least six lots of at least thirty parts of one recipe.

    Raises:
        ValueError: There are fewer lots or parts, or half of the parts are equal.
    """
    x = np.asarray(values, np.float64).ravel()
    lots = _labels("lot", lot, len(x))
    ok = np.isfinite(x)
    counts: dict[str, int] = defaultdict(int)
    for name, good in zip(lots, ok.tolist(), strict=True):
        counts[name] += good
    whole = [name for name, count in counts.items() if count >= _LOT_PARTS]
    if len(whole) < _LOTS:
        raise ValueError(
            f"{len(whole)} lots with {_LOT_PARTS} parts or more; needed: {_LOTS}. Use dynamic limits "
            "until there are enough"
        )
    part = x[ok & np.isin(lots, whole)]
    median = float(np.median(part))
    width = quantile(part, 0.75, quantile_type) - quantile(part, 0.25, quantile_type)
    if nothing(width, part):
        raise ValueError("half of the parts are equal: their scatter is unknown")
    sigma = width / _ROBUST
    lower, upper = median - k * sigma, median + k * sigma
    return StaticPat(
        lower if lsl is None else max(lower, lsl),
        upper if usl is None else min(upper, usl),
        median,
        sigma,
        len(whole),
        len(part),
    )
