"""Groups of sensors judged as one vector: Hotelling T2, MEWMA, principal components.

Phase II only: mean, covariance and limits are frozen. What the groups answer in every case:

* Without ``max_age_s`` a vector is the values of all members with the same event time. With it, each
  new value of the *trigger* (the slowest member, by ``period_s``, else the last) makes a vector with
  the last valid values of the others, if none of them is further away in time than ``max_age_s``.
* A vector that lacks a member cannot be judged; it is counted and is no point. So are samples that
  are bad, not a number, or marked stuck, spike or rate: a member keeps its last valid value.
* Limits are strict, findings open and close; T2 and squared residual that rise beyond with the same
  vector share a finding.
* A hole longer than the largest gap, the mark AFTER_GAP of a member, another recipe and a reset
  clear all memory. Under a recipe the numbers do not hold for nothing is judged.
* Late samples (older than the last of the member, or than the last vector) are counted and not used.
* The onset of a MEWMA finding is the most likely begin of a lasting shift among the last 100
  vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec
import numpy as np

from twin.detectors.finding import Row
from twin.detectors.group_row import GroupRow, max_gap_of, trigger_of
from twin.detectors.logic import Logic, columns
from twin.detectors.spc import groups_kernel as kernel
from twin.detectors.spc.groups_model import (
    judge_of,
    problems_of,
    variance_of,
)
from twin.detectors.spc.groups_voice import (
    Change,
    contributions,
    finding,
    main_rule,
    rule_names,
    ruleset_of,
)
from twin.errors import ConfigError, Problem
from twin.model.batch import recipe_code
from twin.model.event import iso

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.detectors.spc.groups_model import Judge
    from twin.model.batch import Batch
    from twin.model.event import Event
    from twin.model.index import LineIndex
    from twin.model.line import Group

__all__ = ["Groups"]

_CAUSES = {
    kernel.CAUSE_POINT: "inside",
    kernel.CAUSE_GAP: "gap",
    kernel.CAUSE_RECIPE: "recipe",
}


class Groups(Logic):
    """Groups of kind ``t2``, ``mewma`` and ``pca``.

    Args:
        index: The line; settings come from its ``[[group]]`` tables.
        mewma_limits: ``fixed`` limits are those of published tables; ``time-varying`` ones are
            narrow after a start (a fast initial response). ARL0 is that of the form chosen.

    Raises:
        ConfigError: A group names a sensor that does not exist, or its numbers do not fit.
    """

    name: ClassVar[str] = "groups"
    version: ClassVar[int] = 1
    about: ClassVar[Literal["sensor", "group"]] = "group"

    def __init__(
        self, index: LineIndex, *, mewma_limits: Literal["fixed", "time-varying"] = "fixed"
    ) -> None:
        rows = [
            GroupRow(i, spec, [index.by_id[name] for name in _checked(spec, index).sensors])
            for i, spec in enumerate(index.line.group)
            if spec.kind != "anomaly"
        ]
        self._fixed = mewma_limits == "fixed"
        self._of = {row.spec.id: row.index for row in rows}
        self._judges = [judge_of(row.spec, mewma_limits) for row in rows]
        self._rulesets = [ruleset_of(row, fixed=self._fixed) for row in rows]
        count, width = len(rows), max((len(row.members) for row in rows), default=1)
        self._specs: NDArray[np.void] = np.zeros(count, kernel.SETTINGS)
        self._mean = np.zeros((count, width))
        self._turn = np.zeros((count, width, width))
        for g, (row, judge) in enumerate(zip(rows, self._judges, strict=True)):
            p = len(row.members)
            self._specs[g] = self._spec(row, judge)
            self._mean[g, :p] = judge.mean
            self._turn[g, :p, :p] = judge.turn
        self._first, self._member_of, self._slot_of = _memberships(rows, len(index))
        self._state: NDArray[np.void] = np.zeros(count, kernel.STATE)
        never = np.iinfo(np.int64).min
        self._state["recipe"] = -1
        self._state["pending_time"] = never
        self._x = np.zeros((count, width))
        self._times = np.full((count, width), never, np.int64)
        self._y = np.zeros((count, width))
        self._history = np.zeros((count, kernel.MEMORY, width))
        self._ring_time = np.zeros((count, kernel.POINTS), np.int64)
        self._ring_value = np.zeros((count, kernel.POINTS, 2))
        self._ring_active = np.zeros((count, kernel.POINTS), np.uint8)
        self._out: NDArray[np.void] = np.zeros(1024, kernel.CHANGE)
        self._out_y = np.zeros((len(self._out), width))
        super().__init__(
            index,
            rows,
            [
                f"{mewma_limits} {row.spec!r} {[m.spec.unit for m in row.members]} "
                f"{trigger_of(row)} {max_gap_of(row)}"
                for row in rows
            ],
            {
                "state": self._state,
                "x": self._x,
                "times": self._times,
                "y": self._y,
                "history": self._history,
                "ring_time": self._ring_time,
                "ring_value": self._ring_value,
                "ring_active": self._ring_active,
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
            row, member, changes = kernel.group_rows(
                row,
                member,
                *cols,
                recipe,
                self._first,
                self._member_of,
                self._slot_of,
                self._specs,
                self._mean,
                self._turn,
                self._state,
                self._x,
                self._times,
                self._y,
                self._history,
                self._ring_time,
                self._ring_value,
                self._ring_active,
                self._out,
                self._out_y,
            )
            for place, change in enumerate(self._out[:changes].tolist()):
                events += self._say(Change._make(change), self._out_y[place], batch, name_of)
        return events

    def reset(self, group: str | int, cause: str) -> list[Event]:
        """Clear the memory of a group: a tool was changed, or an operator found the cause.

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
        now["since"] = 0
        now["active"] = 0
        now["pending"] = 0
        return self._close_findings(g, -1, int(now["time"]), int(now["n"]), None, cause)

    def state(self, group: str | int) -> dict[str, Any] | None:
        """One group for the board; None for one that is not judged here.

        ``verdict`` is ``cannot judge`` before the first vector and while the newest samples make
        none, else ``signal`` or ``in control``. ``contributions`` are those of the last vector.

        Args:
            group: Its id, or its place among the groups of the line.
        """
        g = self._row(group)
        if g < 0:
            return None
        row, now, judge = self._rows[g], self._state[g], self._judges[g]
        seen = bool(now["n"])
        answer: dict[str, Any] = {
            "group": row.spec.id,
            "title": row.spec.title,
            "kind": row.spec.kind,
            "sensors": list(row.spec.sensors),
            "verdict": _verdict(now),
            "statistic": main_rule(row),
            "value": float(now["statistic"]) if seen else None,
            "ucl": judge.limit,
            "limit_from": judge.limit_from,
            "ruleset": self._rulesets[g],
            "baseline": row.spec.baseline,
            "recipe": row.spec.recipe,
            "m": row.spec.m,
            "points": int(now["n"]),
            "points_since_clear": int(now["since"]),
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
            "incomplete": int(now["incomplete"]),
            "other_recipe": int(now["foreign"]),
            "time_ns": int(now["time"]) if seen else None,
            "rules": rule_names(row, int(now["active"])),
            "contributions": self._contributions(g) if now["since"] else [],
            "findings": [_brief(finding.event) for finding in self._open.get(g, [])],
        }
        if row.spec.kind == "mewma":
            answer |= {"lambda": row.spec.ewma_lambda, "arl0": row.spec.arl0}
        else:
            answer["alpha"] = row.spec.alpha
        if np.isfinite(judge.residual_limit):
            answer["components"] = judge.kept
            answer["spe"] = float(now["residual"]) if seen else None
            answer["spe_ucl"] = judge.residual_limit
        return answer

    def plotted(self, group: str | int, points: int) -> dict[str, Any] | None:
        """The last plotted points of a group, oldest first; None for one that is not judged here.

        Returns:
            ``t`` in s since 1970, ``v`` the statistic, ``ucl`` its limit, ``rules`` what was beyond
            at each point; for PCA also ``spe`` and ``spe_ucl``.
        """
        g = self._row(group)
        if g < 0:
            return None
        row, judge, n = self._rows[g], self._judges[g], int(self._state[g]["n"])
        order = np.arange(max(0, n - min(points, kernel.POINTS)), n) % kernel.POINTS
        found: dict[str, Any] = {
            "t": (self._ring_time[g, order] / 1e9).tolist(),
            "v": self._ring_value[g, order, 0].tolist(),
            "ucl": judge.limit,
            "rules": [rule_names(row, active) for active in self._ring_active[g, order].tolist()],
        }
        if np.isfinite(judge.residual_limit):
            found |= {
                "spe": self._ring_value[g, order, 1].tolist(),
                "spe_ucl": judge.residual_limit,
            }
        return found

    def _row(self, group: str | int) -> int:
        place = self._of.get(group, -1) if isinstance(group, str) else group
        return int(self._row_of[place]) if 0 <= place < len(self._row_of) else -1

    def _contributions(self, g: int) -> list[dict[str, Any]]:
        row, now, spec = self._rows[g], self._state[g], self._specs[g]
        variance = float(spec["scale"]) * (1.0 - float(now["fade"]))
        residual = int(now["active"]) == kernel.RESIDUAL
        y = self._y[g, : len(row.members)]
        return contributions(row, self._judges[g], y, variance, residual=residual)

    def _spec(self, row: GroupRow, judge: Judge) -> tuple[Any, ...]:
        spec = row.spec
        age = spec.max_age_s
        return (
            len(row.members),
            judge.kept,
            trigger_of(row),
            0 if age is None else round(age * 1e9),
            max_gap_of(row),
            recipe_code(spec.recipe),
            spec.ewma_lambda if spec.kind == "mewma" else 1.0,
            variance_of(spec),
            1.0 if spec.kind == "mewma" and not self._fixed else 0.0,
            judge.limit,
            judge.residual_limit,
        )

    def _say(
        self, change: Change, y: NDArray[np.float64], batch: Batch, name_of: NameOf | None
    ) -> list[Event]:
        """Events of one change: what closes, then what opens."""
        row: GroupRow = self._rows[change.group]
        at = msgspec.structs.replace(Row.of(batch, change.row, name_of), value=change.statistic)
        ended = change.old & ~change.new
        events: list[Event] = []
        if ended:
            inside = change.cause == kernel.CAUSE_POINT
            last = change.n - 1 if inside else change.n
            events += self._close_findings(
                change.group, ended, change.time_before, last, at, _CAUSES[change.cause]
            )
        opened = change.new & ~change.old
        if opened:
            number = self._number(change.group)
            judge = self._judges[change.group]
            ruleset = self._rulesets[change.group]
            event = finding(row, judge, change, y[: len(row.members)], at, number, ruleset)
            events.append(self._open_finding(change.group, event, number, change.n, opened))
        return events


def _checked(spec: Group, index: LineIndex) -> Group:
    """The group itself.

    Raises:
        ConfigError: It has problems.
    """
    problems = [
        Problem(
            file="line.toml",
            line=0,
            key=f"group.{spec.id}.{trouble.key}",
            value="" if trouble.value is None else str(trouble.value),
            message=trouble.message,
            allowed=trouble.allowed,
        )
        for trouble in problems_of(spec, index)
        if trouble.severity == "error"
    ]
    if problems:
        raise ConfigError(problems)
    return spec


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


def _verdict(now: np.void) -> str:
    if now["n"] == 0 or now["skipped_in_row"]:
        return "cannot judge"
    return "signal" if now["active"] else "in control"


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
