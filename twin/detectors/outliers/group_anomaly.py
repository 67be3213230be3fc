"""Groups that learn what is usual and say when they leave it, and when they change.

Where nobody has a baseline yet, or a process has more behaviour than a covariance: the first
vectors of a group are its baseline, everything after them is compared with it. What the detector
answers in every case:

* Until ``baseline_rows`` vectors are there it says ``not enough data yet`` and never signals. A
  recipe change and a reset begin anew. When the end of the baseline already left its beginning,
  only the beginning is learned from, and the finding is there with the first judged vector.
* ``anomaly`` opens when a level or the noise of a member has been beyond the limit for three
  vectors, and closes when all are well inside again. Meanwhile the home level is at rest, so that a
  lasting fault does not become usual.
* ``change`` is open while levels move; its begin and its end are change points.
* The limit is the same for all members; what a distance is worth was learned: a member whose level
  wandered in the baseline (a temperature) must move much farther than one that stood still.
* A member that was constant in the baseline has no scale and is not judged; the state names it.
* A vector that lacks a member cannot be judged. Late samples are counted and not used. A hole longer
  than the largest gap closes findings; the learned baseline stays.
"""

from __future__ import annotations

from math import expm1, log1p
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import msgspec
import numpy as np
import scipy

from twin.detectors.finding import Row
from twin.detectors.group_row import GroupRow, max_gap_of, trigger_of
from twin.detectors.logic import Logic, columns
from twin.detectors.outliers import group_anomaly_kernel as kernel
from twin.detectors.outliers.group_anomaly_model import FREEDOM, MEANS, shrinkage
from twin.model.batch import recipe_code
from twin.model.event import Event, event_id, iso

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.index import LineIndex

__all__ = ["GroupAnomaly", "limit_of", "p_value"]

_RULES = {kernel.AWAY: "anomaly", kernel.MOVING: "change"}
_USUAL = {
    "anomaly": "a fault, another operating point, or a sensor that fails",
    "change": "the process is on its way to another state",
}
_CAUSES = {
    kernel.CAUSE_POINT: "inside",
    kernel.CAUSE_GAP: "gap",
    kernel.CAUSE_RECIPE: "recipe",
}
_CHECK = 1.5
"""Limit inside the baseline, as a multiple of the limit after it."""
_TOLD = 3


def limit_of(rate: float, members: int) -> float:
    """Distance, in sigma, that the largest of all features exceeds with probability ``rate``.

    Two features per member, taken as independent (Sidak).
    """
    return float(-scipy.special.ndtri(-expm1(log1p(-rate) / (2 * members)) / 2))


def p_value(distance: float, members: int) -> float:
    """Probability that the largest of all features of a vector in control is at least this far."""
    one = 2.0 * float(scipy.special.ndtr(-distance))
    return 1.0 if one >= 1.0 else float(-expm1(2 * members * log1p(-one)))


class GroupAnomaly(Logic):
    """Groups of kind ``anomaly``.

    Args:
        index: The line; settings come from its ``[[group]]`` tables.
    """

    name: ClassVar[str] = "group_anomaly"
    version: ClassVar[int] = 1
    about: ClassVar[Literal["sensor", "group"]] = "group"

    def __init__(self, index: LineIndex) -> None:
        rows = [
            GroupRow(i, spec, [index.by_id[name] for name in spec.sensors])
            for i, spec in enumerate(index.line.group)
            if spec.kind == "anomaly"
        ]
        self._of = {row.spec.id: row.index for row in rows}
        self._rulesets = [f"anomaly({row.spec.rate:g})@{self.version}" for row in rows]
        count, width = len(rows), max((len(row.members) for row in rows), default=1)
        longest = max((row.spec.baseline_rows for row in rows), default=1)
        self._specs: NDArray[np.void] = np.zeros(count, kernel.SETTINGS)
        self._tables = np.zeros((count, 3, len(FREEDOM)))
        for g, row in enumerate(rows):
            limit = limit_of(row.spec.rate, len(row.members))
            self._specs[g] = _spec(row, limit)
            self._tables[g] = [shrinkage(limit), shrinkage(limit), shrinkage(_CHECK * limit)]
        self._first, self._member_of, self._slot_of = _memberships(rows, len(index))
        never = np.iinfo(np.int64).min
        self._state: NDArray[np.void] = np.zeros(count, kernel.STATE)
        self._state["recipe"] = -1
        self._state["pending_time"] = never
        self._x = np.zeros((count, width))
        self._times = np.full((count, width), never, np.int64)
        self._buffer = np.zeros((count, longest, width))
        self._centre = np.zeros((count, width))
        self._scale = np.zeros((count, width))
        self._units = np.zeros((count, 3 * width))
        self._means = np.zeros((count, MEANS, 2 * width))
        self._last = np.zeros((count, width))
        self._calm_n = np.zeros((count, 2 * width), np.int64)
        self._calm_time = np.zeros((count, 2 * width), np.int64)
        self._z = np.zeros((count, 2 * width))
        self._ring_time = np.zeros((count, kernel.POINTS), np.int64)
        self._ring_value = np.zeros((count, kernel.POINTS))
        self._out: NDArray[np.void] = np.zeros(1024, kernel.CHANGE)
        self._out_z = np.zeros((len(self._out), 2 * width))
        super().__init__(
            index,
            rows,
            [
                f"{row.spec!r} {[m.spec.unit for m in row.members]} "
                f"{trigger_of(row)} {max_gap_of(row)}"
                for row in rows
            ],
            {
                "state": self._state,
                "x": self._x,
                "times": self._times,
                "buffer": self._buffer,
                "centre": self._centre,
                "scale": self._scale,
                "units": self._units,
                "means": self._means,
                "last": self._last,
                "calm_n": self._calm_n,
                "calm_time": self._calm_time,
                "z": self._z,
                "ring_time": self._ring_time,
                "ring_value": self._ring_value,
            },
            subjects=len(index.line.group),
        )

    def update(self, batch: Batch, name_of: NameOf | None = None) -> list[Event]:
        """Take the rows in order.

        Args:
            batch: Accepted samples, marked by the validity tests.
            name_of: Product index to product id, for the events.

        Returns:
            Findings opened and closed, in order of the samples that completed their vectors.
        """
        if not self._rows:
            return []
        cols = columns(batch, self._sensors)
        recipe = np.ascontiguousarray(batch.recipe, np.int32)
        if not recipe.flags.writeable:
            recipe = recipe.copy()
        events: list[Event] = []
        row = member = 0
        while row < len(batch):
            row, member, changes = kernel.anomaly_rows(
                row,
                member,
                *cols,
                recipe,
                self._first,
                self._member_of,
                self._slot_of,
                self._specs,
                self._tables,
                self._state,
                self._x,
                self._times,
                self._buffer,
                self._centre,
                self._scale,
                self._units,
                self._means,
                self._last,
                self._calm_n,
                self._calm_time,
                self._z,
                self._ring_time,
                self._ring_value,
                self._out,
                self._out_z,
            )
            for place, change in enumerate(self._out[:changes].tolist()):
                events += self._say(_Change._make(change), self._out_z[place], batch, name_of)
        return events

    def reset(self, group: str | int, cause: str) -> list[Event]:
        """Learn a group anew: a tool was changed, or what is open is the new usual state.

        Args:
            group: Its id, or its place among the groups of the line.
            cause: Short word for the closing events.

        Returns:
            Closing events of what was open; empty for an unknown group.
        """
        g = self._row(group)
        if g < 0:
            return []
        now = self._state[g]
        kernel.forget(now)
        now["pending"] = 0
        return self._close_findings(g, -1, int(now["time"]), int(now["n"]), None, cause)

    def state(self, group: str | int) -> dict[str, Any] | None:
        """One group for the board; None for one that is not judged here.

        ``verdict`` is ``cannot judge`` while it learns and while the newest samples make no vector,
        else ``signal`` or ``in control``; ``why`` says why it cannot judge. ``score`` is 0.5 at the
        limit and below 1.

        Args:
            group: Its id, or its place among the groups of the line.
        """
        g = self._row(group)
        if g < 0:
            return None
        row, now = self._rows[g], self._state[g]
        spec, p = row.spec, len(row.members)
        why = self._why(g)
        distance, limit = float(now["distance"]), float(self._specs[g]["limit"])
        ready = now["phase"] == kernel.READY
        return {
            "group": spec.id,
            "title": spec.title,
            "kind": spec.kind,
            "sensors": list(spec.sensors),
            "verdict": "cannot judge" if why else ("signal" if now["active"] else "in control"),
            "why": why,
            "statistic": "anomaly",
            "value": distance if ready else None,
            "ucl": limit,
            "score": distance**2 / (distance**2 + limit**2) if ready else 0.0,
            "p": p_value(distance, p) if ready else None,
            "moving": float(now["moving"]) if ready else None,
            "rate": spec.rate,
            "ruleset": self._rulesets[g],
            "learned": int(now["learned"]),
            "baseline_rows": spec.baseline_rows,
            "contaminated": bool(now["contaminated"]),
            "not_judged": self._constant(g),
            "points": int(now["n"]),
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
            "incomplete": int(now["incomplete"]),
            "other_recipe": int(now["foreign"]),
            "time_ns": int(now["time"]) if now["n"] else None,
            "rules": _names(int(now["active"])),
            "contributions": _contributions(row, self._z[g, : 2 * p]) if ready else [],
            "findings": [_brief(finding.event) for finding in self._open.get(g, [])],
        }

    def plotted(self, group: str | int, points: int) -> dict[str, Any] | None:
        """The last distances of a group, oldest first; None for one that is not judged here.

        Returns:
            ``t`` in s since 1970, ``v`` the distance (0 while learning), ``ucl`` the limit.
        """
        g = self._row(group)
        if g < 0:
            return None
        n = int(self._state[g]["n"])
        order = np.arange(max(0, n - min(points, kernel.POINTS)), n) % kernel.POINTS
        return {
            "t": (self._ring_time[g, order] / 1e9).tolist(),
            "v": self._ring_value[g, order].tolist(),
            "ucl": float(self._specs[g]["limit"]),
        }

    def _row(self, group: str | int) -> int:
        place = self._of.get(group, -1) if isinstance(group, str) else group
        return int(self._row_of[place]) if 0 <= place < len(self._row_of) else -1

    def _constant(self, g: int) -> list[str]:
        """Members without a scale; empty while learning."""
        if self._state[g]["phase"] == kernel.LEARNING:
            return []
        members = self._rows[g].members
        return [m.id for m, s in zip(members, self._scale[g], strict=False) if s == 0.0]

    def _why(self, g: int) -> str:
        now, rows = self._state[g], self._rows[g].spec.baseline_rows
        if now["phase"] == kernel.LEARNING:
            return f"not enough data yet: {int(now['learned'])} of {rows}"
        if now["phase"] == kernel.CONSTANT:
            return "every member was constant while it learned"
        if now["skipped_in_row"]:
            return "the newest samples make no vector"
        return ""

    def _say(
        self, change: _Change, z: NDArray[np.float64], batch: Batch, name_of: NameOf | None
    ) -> list[Event]:
        """Events of one change: what closes, then what opens."""
        g = change.group
        at = msgspec.structs.replace(Row.of(batch, change.row, name_of), value=change.distance)
        events: list[Event] = []
        for bit, rule in _RULES.items():
            if change.old & ~change.new & bit:
                inside = change.cause == kernel.CAUSE_POINT
                last = change.n - 1 if inside else change.n
                cause = _CAUSES[change.cause]
                events += self._close_findings(g, bit, change.time_before, last, at, cause)
            if change.new & ~change.old & bit:
                number = self._number(g)
                event = self._finding(rule, change, z, at, number)
                events.append(self._open_finding(g, event, number, change.n, bit))
        return events

    def _finding(
        self, rule: str, change: _Change, z: NDArray[np.float64], at: Row, number: int
    ) -> Event:
        row: GroupRow = self._rows[change.group]
        spec, p = row.spec, len(row.members)
        ranked = _contributions(row, z[: 2 * p])
        away = rule == "anomaly"
        value = change.distance if away else change.moving
        limit = float(self._specs[change.group]["limit"])
        words = "; ".join(item["words"] for item in ranked[:_TOLD] if abs(item["z"]) > limit / 2)
        what = "left its baseline" if away else "is changing"
        detail: dict[str, Any] = {
            "baseline": f"first {spec.baseline_rows} vectors",
            "contaminated": bool(self._state[change.group]["contaminated"]),
            "contributions": ranked,
            "convention": "points",
            "group": spec.id,
            "kind": spec.kind,
            "meaning": f"{spec.title or spec.id} {what}" + (f": {words}" if words else ""),
            "mode": "learned",
            "n_first": change.onset_n if away else change.n,
            "n_last": change.n,
            "onset": iso(change.onset_time if away else at.time_ns),
            "p": p_value(value, p),
            "rate": spec.rate,
            "recipe": spec.recipe,
            "rules": [rule],
            "sensors": list(spec.sensors),
            "side": "both",
            "statistic": value,
            "ucl": limit,
            "usual": _USUAL[rule],
        }
        first = change.onset_time if away else at.time_ns
        ruleset = self._rulesets[change.group]
        return Event(
            id=event_id(rule, ruleset, row.id, "finding", first, number),
            type="finding",
            rule=rule,
            ruleset=ruleset,
            sensor=row.id,
            product=at.product,
            place=at.place,
            t_first=first,
            t_last=at.time_ns,
            value=value,
            detail=detail,
            row=at.i,
        )


class _Change(NamedTuple):
    """One entry of ``group_anomaly_kernel.CHANGE`` in plain Python, same order of fields."""

    row: int
    group: int
    cause: int
    old: int
    new: int
    n: int
    time_before: int
    onset_n: int
    onset_time: int
    distance: float
    moving: float


def _spec(row: GroupRow, limit: float) -> tuple[Any, ...]:
    age = row.spec.max_age_s
    return (
        len(row.members),
        trigger_of(row),
        0 if age is None else round(age * 1e9),
        max_gap_of(row),
        recipe_code(row.spec.recipe),
        row.spec.baseline_rows,
        limit,
        _CHECK * limit,
    )


def _memberships(
    rows: list[GroupRow], sensors: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of each sensor the groups it is in and its place there, one sensor after the other."""
    found = sorted(
        (member.index, g, slot)
        for g, row in enumerate(rows)
        for slot, member in enumerate(row.members)
    )
    table = np.array(found, np.int64).reshape(-1, 3)
    first = np.searchsorted(table[:, 0], np.arange(sensors + 1)).astype(np.int64)
    return first, table[:, 1].copy(), table[:, 2].copy()


def _names(active: int) -> list[str]:
    return [rule for bit, rule in _RULES.items() if active & bit]


def _contributions(row: GroupRow, z: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Members by their largest distance, most first, each with words."""
    p = len(row.members)
    told = []
    for j, member in enumerate(row.members):
        level, noise = float(z[j]), float(z[p + j])
        about = "level" if abs(level) >= noise else "noise"
        far = level if about == "level" else noise
        side = "more than" if about == "noise" else ("above" if far > 0 else "below")
        words = f"{about} of {member.id} {abs(far):.2g} sigma {side} usual"
        item = {"sensor": member.id, "about": about, "z": far, "words": words}
        told.append({**item, "level": level, "noise": noise})
    return sorted(told, key=lambda item: -abs(item["z"]))


def _brief(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "rule": event.rule,
        "rules": event.detail["rules"],
        "side": event.detail["side"],
        "meaning": event.detail["meaning"],
        "onset": iso(event.t_first),
        "t_last": iso(event.t_last),
        "value": event.value,
    }
