"""Run rules as data, and the rule sets that come with linetwin.

Numbers follow Nelson (1984); sources count trends and alternations differently, here *points*
always means plotted points, n points are n - 1 steps. "Beyond" is strict: a point exactly on a
limit is inside, a point exactly on the centre line is on neither side.

References:
    Western Electric Co., Statistical Quality Control Handbook, 1956.
    L. S. Nelson, The Shewhart control chart: tests for special causes, Journal of Quality
    Technology 16 (1984) 237-239.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from twin.model.line import ChartType

if TYPE_CHECKING:
    from twin.model.line import Chart, Line, RuleSetRow

__all__ = [
    "PRESETS",
    "Kind",
    "Rule",
    "RuleSet",
    "applicable",
    "problems_of",
    "rule_set_of",
    "rule_sets_of",
]


class Kind(StrEnum):
    """Shape of a pattern."""

    BEYOND = "beyond"
    """k of the last m points beyond sigma on the same side, the newest among them."""
    EITHER = "either"
    """The same, but every point may be on either side."""
    MIXED = "mixed"
    """The same with points on both sides."""
    WITHIN = "within"
    """m points in a row not beyond sigma."""
    TREND = "trend"
    """m points in a row steadily rising or falling; a tie ends it."""
    ALTERNATE = "alternate"
    """m points in a row alternately up and down; a tie ends it."""
    PAIR = "pair"
    """One point beyond +sigma and the next beyond -sigma, or the reverse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One run rule.

    Attributes:
        id: Name in findings, for example ``rule5``.
        kind: Shape of the pattern.
        points: Length of the pattern m, points, 1 to 60.
        k: How many of them; 0 means all.
        sigma: Distance from the centre line in sigma, >= 0.
        usual: What it usually means at the line.
    """

    id: str
    kind: Kind
    points: int
    k: int = 0
    sigma: float = 0.0
    usual: str = ""

    @property
    def needed(self) -> int:
        """How many of the points must show the pattern."""
        return self.k or self.points

    def meaning(self, side: str) -> str:
        """The pattern in words.

        Args:
            side: ``high``, ``low`` or ``both``.

        Examples:
            >>> Rule(id="rule6", kind=Kind.BEYOND, points=5, k=4, sigma=1.0).meaning("high")
            '4 of 5 points beyond 1 sigma above the centre line'
        """
        where = {"high": "above the centre line", "low": "below the centre line"}.get(side, "")
        row = f"{self.points} points in a row"
        share = f"{self.needed} of {self.points} points" if self.points > 1 else "1 point"
        if self.kind is Kind.BEYOND:
            if self.sigma == 0:
                return f"{row if self.needed == self.points else share} {where}"
            return f"{share} beyond {self.sigma:g} sigma {where}"
        if self.kind is Kind.TREND:
            return f"{row} steadily {'rising' if side == 'high' else 'falling'}"
        return {
            Kind.EITHER: f"{share} beyond {self.sigma:g} sigma, either side",
            Kind.MIXED: f"{share} beyond {self.sigma:g} sigma, on both sides",
            Kind.WITHIN: f"{row} within {self.sigma:g} sigma of the centre line",
            Kind.ALTERNATE: f"{row} alternating up and down",
            Kind.PAIR: f"one point beyond {self.sigma:g} sigma on one side, the next on the other",
        }[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """A named, versioned list of rules; the first that is true names a finding.

    Attributes:
        name: Name in the line description.
        rules: Rules in order of their number, at most 12.
        arl0: Mean number of points between false findings on independent normal data with known
            centre and sigma; None when nobody computed it.
        version: Raised when the rules change.
        source: Where the set is from.
    """

    name: str
    rules: tuple[Rule, ...]
    arl0: float | None = None
    version: int = 1
    source: str = ""

    @property
    def id(self) -> str:
        """Name and version as findings carry them."""
        return f"{self.name}@{self.version}"


def _run(points: int) -> Rule:
    return Rule(id="rule2", kind=Kind.BEYOND, points=points, usual="sustained shift")


def _trend(points: int) -> Rule:
    return Rule(id="rule3", kind=Kind.TREND, points=points, usual="drift or wear")


def _alternate(points: int) -> Rule:
    return Rule(
        id="rule4",
        kind=Kind.ALTERNATE,
        points=points,
        usual="over-adjustment or two alternating streams",
    )


def _beyond(rule: str, k: int, points: int, sigma: float, usual: str) -> Rule:
    return Rule(id=rule, kind=Kind.BEYOND, points=points, k=k, sigma=sigma, usual=usual)


_POINT = _beyond("rule1", 1, 1, 3.0, "large sudden change or gross error")
_TWO_OF_THREE = _beyond("rule5", 2, 3, 2.0, "medium shift")
_FOUR_OF_FIVE = _beyond("rule6", 4, 5, 1.0, "small shift")
_WITHIN = Rule(
    id="rule7", kind=Kind.WITHIN, points=15, sigma=1.0, usual="stratification or sigma too large"
)
_OUTSIDE = Rule(
    id="rule8", kind=Kind.EITHER, points=8, sigma=1.0, usual="mixture of two populations"
)
_R4S = Rule(id="r4s", kind=Kind.PAIR, points=2, sigma=2.0, usual="increased scatter")
_WESTGARD = (
    _POINT,
    _run(10),
    _beyond("rule5", 2, 2, 2.0, "medium shift"),
    _beyond("rule6", 4, 4, 1.0, "small shift"),
)

PRESETS: dict[str, RuleSet] = {
    preset.name: preset
    for preset in (
        RuleSet(name="shewhart", rules=(_POINT,), arl0=370.40, source="Shewhart; Minitab default"),
        RuleSet(
            name="western_electric",
            rules=(_POINT, _run(8), _TWO_OF_THREE, _FOUR_OF_FIVE),
            arl0=91.75,
            source="Western Electric 1956",
        ),
        RuleSet(
            name="western_electric_all",
            rules=(_POINT, _run(8), _TWO_OF_THREE, _FOUR_OF_FIVE, _WITHIN, _OUTSIDE),
            arl0=84.18,
            source="Western Electric 1956 with its supplementary tests",
        ),
        RuleSet(
            name="nelson",
            rules=(
                _POINT,
                _run(9),
                _trend(6),
                _alternate(14),
                _TWO_OF_THREE,
                _FOUR_OF_FIVE,
                _WITHIN,
                _OUTSIDE,
            ),
            arl0=73.48,
            source="Nelson 1984; JMP",
        ),
        RuleSet(
            name="nelson_shift",
            rules=(_POINT, _run(9), _TWO_OF_THREE, _FOUR_OF_FIVE),
            arl0=109.05,
            source="Nelson 1984, the tests for shifts",
        ),
        RuleSet(
            name="minitab_all",
            rules=(
                _POINT,
                _run(9),
                _trend(7),
                _alternate(15),
                _TWO_OF_THREE,
                _FOUR_OF_FIVE,
                _WITHIN,
                _OUTSIDE,
            ),
            arl0=88.1,
            source="Minitab, all tests, counting 7 and 15 points (6 and 14 steps)",
        ),
        RuleSet(
            name="aiag",
            rules=(
                _POINT,
                _run(7),
                _trend(6),
                _alternate(14),
                _TWO_OF_THREE,
                _FOUR_OF_FIVE,
                _WITHIN,
                _OUTSIDE,
            ),
            arl0=54.16,
            source="AIAG SPC manual, long form; tables differ between editions",
        ),
        RuleSet(
            name="aiag_short",
            rules=(_POINT, _run(7), _trend(6)),
            arl0=80.49,
            source="AIAG SPC manual, short form; tables differ between editions",
        ),
        RuleSet(
            name="westgard",
            rules=(*_WESTGARD, _R4S),
            arl0=158.27,
            source="Westgard multirule 1-3s, 2-2s, R4s (on consecutive points), 4-1s, 10x",
        ),
        RuleSet(
            name="westgard_7t",
            rules=(*_WESTGARD[:2], _trend(7), *_WESTGARD[2:], _R4S),
            arl0=151.00,
            source="Westgard multirule with 7T",
        ),
        RuleSet(
            name="juran",
            rules=(_POINT, _run(9), _trend(6), _TWO_OF_THREE, _FOUR_OF_FIVE, _OUTSIDE),
            arl0=88.87,
            source="Juran; tables differ between editions",
        ),
        RuleSet(
            name="montgomery",
            rules=(
                _POINT,
                _run(8),
                _trend(6),
                _alternate(14),
                _TWO_OF_THREE,
                _FOUR_OF_FIVE,
                _WITHIN,
                _OUTSIDE,
            ),
            arl0=65.79,
            source="Montgomery, Introduction to Statistical Quality Control",
        ),
        RuleSet(
            name="ihi", rules=(_POINT, _run(8), _trend(6)), arl0=115.01, source="IHI run charts"
        ),
    )
}
"""Rule sets by name; ``arl0`` from exact chains, with trend or alternation from integral equations."""

_LEVELLED = frozenset({Kind.BEYOND, Kind.EITHER, Kind.MIXED, Kind.WITHIN, Kind.PAIR})
_COUNTED = frozenset({Kind.BEYOND, Kind.EITHER, Kind.MIXED})
_SHORTEST = {Kind.TREND: 2, Kind.ALTERNATE: 3, Kind.PAIR: 2, Kind.MIXED: 2}
_LEVELS = 6
_LOCATION = frozenset({ChartType.I, ChartType.Q, ChartType.DNOM, ChartType.Z})


def rule_set_of(row: RuleSetRow) -> RuleSet:
    """A rule set of the line's own; its ARL0 is not known until somebody computes it."""
    rules = tuple(
        Rule(
            id=rule.id,
            kind=Kind(rule.kind),
            points=2 if rule.kind == "pair" else rule.points,
            k=rule.k,
            sigma=rule.sigma,
            usual=rule.usual,
        )
        for rule in row.rule
    )
    return RuleSet(name=row.id, rules=rules, version=row.version, source=row.source)


def rule_sets_of(line: Line) -> dict[str, RuleSet]:
    """Presets and the line's own rule sets by name. A preset cannot be replaced."""
    return {row.id: rule_set_of(row) for row in line.rule_set} | PRESETS


def problems_of(line: Line) -> list[tuple[str, str, str, str]]:
    """What is wrong with the line's own rule sets.

    Returns:
        Key, value found, what is wrong, and what is allowed, one per problem; empty for none.
    """
    found: list[tuple[str, str, str, str]] = []
    names: set[str] = set()
    for number, row in enumerate(line.rule_set):
        key = f"rule_set[{number}]"
        if row.id in PRESETS:
            found.append(
                (f"{key}.id", repr(row.id), "is the name of a preset", "a name of its own")
            )
        if row.id in names:
            found.append((f"{key}.id", repr(row.id), "is used twice", "one rule set per name"))
        names.add(row.id)
        ids: set[str] = set()
        for place, rule in enumerate(rule_set_of(row).rules):
            at = f"{key}.rule[{place}]"
            if rule.id in ids or rule.id in {"ewma", "cusum", "hampel"}:
                found.append(
                    (f"{at}.id", repr(rule.id), "names another rule", "different ids in a set")
                )
            ids.add(rule.id)
            found += [(f"{at}.{part}", *rest) for part, *rest in _problems(rule)]  # type: ignore[misc]
        levels = {rule.sigma for rule in row.rule if Kind(rule.kind) in _LEVELLED}
        if len(levels) > _LEVELS:
            found.append(
                (
                    f"{key}.rule",
                    f"{len(levels)} distances",
                    "has too many different distances from the centre line",
                    f"{_LEVELS} different values of sigma",
                )
            )
    return found


def _problems(rule: Rule) -> list[tuple[str, str, str, str]]:
    """Key within the rule, value, what is wrong and what is allowed."""
    found = []
    shortest = _SHORTEST.get(rule.kind, 1)
    if rule.points < shortest:
        found.append(
            (
                "points",
                str(rule.points),
                f"is too short for {rule.kind}",
                f"{shortest} to 60 points",
            )
        )
    if rule.k > rule.points:
        found.append(
            ("k", str(rule.k), f"is more than {rule.points} points", f"1 to {rule.points}, or 0")
        )
    if rule.k and rule.kind not in _COUNTED and rule.k != rule.points:
        found.append(("k", str(rule.k), f"has no meaning for {rule.kind}", "0"))
    if rule.kind not in _LEVELLED and rule.sigma:
        found.append(("sigma", str(rule.sigma), f"has no meaning for {rule.kind}", "0"))
    if rule.kind in _LEVELLED and rule.kind is not Kind.BEYOND and rule.sigma <= 0:
        found.append(("sigma", str(rule.sigma), f"is too small for {rule.kind}", "more than 0"))
    return found


def applicable(chosen: RuleSet, chart: Chart) -> RuleSet:
    """The rules of a set that make sense on a chart.

    Zones are those of a symmetric distribution around the centre line. On charts of counts and
    proportions only the rules of a single point beyond limits are left, three sigma if there are
    none, unless the chart gives a reason.
    """
    if chart.type in _LOCATION or chart.reason:
        return chosen
    single = tuple(r for r in chosen.rules if r.kind is Kind.BEYOND and r.points == 1)
    if single == PRESETS["shewhart"].rules or not single:
        return PRESETS["shewhart"]
    if single == chosen.rules:
        return chosen
    return RuleSet(
        name=f"{chosen.name}-limits", rules=single, version=chosen.version, source=chosen.source
    )
