"""Time: regressions, zero steps, wrong factors, drifting and coarse clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connectors.recording.frame import Frame
    from connectors.recording.notebook import Notebook

__all__ = ["drift", "factor", "near_steps", "repair", "step_time", "wall_clock", "zero_steps"]

REPAIR_NS = 10_000_000
"""A repaired row stands 0.01 s before the row after it: the step of the cyclers that do this."""

NEAR = 0.05
"""A step below this part of the median step is a near-duplicate."""

DRIFT_S = 0.1
"""Clocks that differ by less over the whole file agree."""

FACTORS = (3600.0, 60.0, 1000.0, 1 / 3600.0, 1 / 60.0, 1 / 1000.0)
"""Mistakes that happen with units of time."""

TOLERANCE = 0.05
"""How well a factor has to fit to be proposed."""


def repair(time_ns: NDArray[np.int64], notes: Notebook) -> NDArray[np.int64]:
    """Repair single rows that go back in time and return; note every other regression.

    Args:
        time_ns: int64[n], run times as recorded, ns.
        notes: Takes one note per regression.

    Returns:
        int64[n]; a repaired row has the time of the next row minus 0.01 s, but not before the
        row ahead of it. The rows themselves are valid samples and stay.
    """
    back = np.flatnonzero(np.diff(time_ns) < 0) + 1
    if not len(back):
        return time_ns
    fixed = time_ns.copy()
    single, other = [], []
    for row in back:
        if row + 1 < len(time_ns) and time_ns[row + 1] >= fixed[row - 1]:
            fixed[row] = max(time_ns[row + 1] - REPAIR_NS, fixed[row - 1])
            single.append(row)
        else:
            other.append(row)
    worst = float((time_ns[back] - time_ns[back - 1]).min() / 1e9)
    notes.each(
        "TIME_REGRESSION",
        single,
        lambda row: (
            float(time_ns[row] / 1e9),
            (
                f"Row {row}: time goes back from {time_ns[row - 1] / 1e9:g} s to "
                f"{time_ns[row] / 1e9:g} s for this one row; the row was kept, its time set to "
                f"{fixed[row] / 1e9:g} s."
            ),
            {"repaired_s": float(fixed[row] / 1e9), "worst_s": worst},
        ),
        column="test_time_second",
    )
    notes.each(
        "TIME_BACKWARD",
        other,
        lambda row: (
            float(time_ns[row] / 1e9),
            (
                f"Row {row}: time goes back from {time_ns[row - 1] / 1e9:g} s to "
                f"{time_ns[row] / 1e9:g} s and does not return; nothing was changed."
            ),
            {"worst_s": worst},
        ),
        column="test_time_second",
    )
    return fixed


def zero_steps(frame: Frame, time_ns: NDArray[np.int64]) -> None:
    """Rows with the time of the row before: kept in order, of no use for rates and dQ/dV."""
    rows = np.flatnonzero(np.diff(time_ns) == 0) + 1
    frame.notes.each(
        "TIME_ZERO_STEP",
        rows,
        lambda row: (
            float(time_ns[row] - time_ns[0]) / 1e9,
            (
                f"Row {row} has the same time as the row before; both were kept in their order, "
                "exclude them from rates and dQ/dV."
            ),
            {},
        ),
        column="test_time_second",
    )


def near_steps(frame: Frame, time_ns: NDArray[np.int64]) -> None:
    """Steps far shorter than usual, as they stand at step edges: one note for the file."""
    step = np.diff(time_ns)
    positive = step[step > 0]
    if len(positive) < 3:
        return
    rows = np.flatnonzero((step > 0) & (step < NEAR * np.median(positive))) + 1
    if len(rows):
        row = int(rows[0])
        frame.notes.add(
            "TIME_NEAR_STEP",
            f"{len(rows)} rows follow the row before by less than {NEAR:.0%} of the usual step, "
            f"the first after {step[row - 1] / 1e9:g} s; kept, of no use for rates.",
            row=row,
            column="test_time_second",
            value=float(step[row - 1] / 1e9),
            count=len(rows),
        )


def drift(frame: Frame) -> None:
    """Two clocks in one file: report how they drift; test time counts inside, unix for joins."""
    unix = frame.values.get("unix_time_second")
    if unix is None or frame.time_s is None or "test_time_second" not in frame.values:
        return
    offset = unix - frame.time_s
    both = np.flatnonzero(np.isfinite(offset))
    if len(both) < 2:
        return
    first, last = both[0], both[-1]
    span = frame.time_s[last] - frame.time_s[first]
    change = float(offset[last] - offset[first])
    if abs(change) < DRIFT_S or span <= 0:
        return
    ppm = change / float(span) * 1e6
    frame.notes.add(
        "CLOCK_DRIFT",
        f"unix_time_second and test_time_second drift by {change:.2f} s in {span / 3600:.1f} h "
        f"({ppm:.2f} ppm); test time was used inside the file.",
        column="unix_time_second",
        value=ppm,
        drift_s=change,
        ppm=ppm,
        offset_min_s=float(np.nanmin(offset)),
        offset_max_s=float(np.nanmax(offset)),
    )


def wall_clock(frame: Frame, time_ns: NDArray[np.int64]) -> None:
    """A wall clock that only shows whole seconds beside a finer run time."""
    wall = frame.wall_s
    if wall is None or len(wall) < 3:
        return
    step = np.diff(wall)
    whole = bool(np.all(np.isnan(wall) | (wall == np.floor(wall))))
    fine = bool(np.any(np.diff(time_ns) % 1_000_000_000))
    if whole and fine:
        equal = int(np.count_nonzero(step == 0))
        frame.notes.add(
            "WALL_CLOCK_COARSE",
            f"The wall clock shows whole seconds ({equal} equal neighbours, "
            f"{np.nanmin(step):g} to {np.nanmax(step):g} s apart); run time was used.",
            column="date_time",
            equal_neighbours=equal,
            step_min_s=float(np.nanmin(step)),
            step_max_s=float(np.nanmax(step)),
        )


def factor(frame: Frame, time_ns: NDArray[np.int64], nominal_ah: float | None) -> None:
    """A time axis that is wrong by 3600, 60 or 1000: propose, never apply.

    Evidence, in this order: a wall clock of the file, a capacity counter against the integral of
    the current, the nameplate capacity against the largest charge that flowed in one direction.
    """
    duration = float(time_ns[-1] - time_ns[0]) / 1e9 if len(time_ns) else 0.0
    if duration <= 0:
        return
    evidence: list[tuple[str, float]] = []
    wall = frame.wall_s
    if wall is not None and np.isfinite(wall[-1]) and wall[-1] > 10:
        evidence.append(("the wall clock", duration / float(wall[-1])))
    current = frame.values.get("current_ampere")
    if current is not None:
        charge = np.diff(time_ns) / 3.6e12 * (current[1:] + current[:-1]) / 2
        up, down = float(charge[charge > 0].sum()), -float(charge[charge < 0].sum())
        for column, integral in (("charging_capacity_ah", up), ("discharging_capacity_ah", down)):
            counter = frame.values.get(column)
            counted = _counted(counter) if counter is not None else 0.0
            if counted > 0 and integral > 0:
                evidence.append((column, integral / counted))
        net = frame.values.get("net_capacity_ah")
        counted = abs(float(net[-1] - net[0])) if net is not None else 0.0
        if counted > 0 and abs(up - down) > 0:
            evidence.append(("net_capacity_ah", abs(up - down) / counted))
    for name, ratio in evidence:
        found = next((f for f in FACTORS if abs(ratio / f - 1) < TOLERANCE), None)
        if found is not None:
            _propose(frame, found, f"{name} says the time is {ratio:.4g} times too long", time_ns)
            return
    if nominal_ah and current is not None and not evidence:
        integral = float(np.abs(np.diff(time_ns) / 3.6e12 * current[1:]).sum())
        if integral / 3600 > 0.01 * nominal_ah and integral > 500 * nominal_ah:
            why = f"{integral:.4g} A.h flowed through a cell of {nominal_ah:g} A.h"
            _propose(frame, 3600.0, why, time_ns)


def _counted(counter: NDArray[np.float64]) -> float:
    """What a counter counted, resets included."""
    step = np.diff(counter[np.isfinite(counter)])
    return float(step[step > 0].sum())


def _propose(frame: Frame, found: float, why: str, time_ns: NDArray[np.int64]) -> None:
    step = np.diff(time_ns) / 1e9
    frame.notes.add(
        "TIME_FACTOR",
        f"The time axis seems to be wrong by a factor of {found:g}: {why}. Nothing was changed; "
        "charges and durations of this file are not to be used.",
        column="test_time_second",
        value=found,
        proposed_factor=1 / found,
        median_step_s=float(np.median(step)),
        duration_s=float(step.sum()),
    )


def step_time(frame: Frame, time_ns: NDArray[np.int64]) -> None:
    """A step time that does not start again with the step."""
    column, step = frame.values.get("step_time_second"), frame.values.get("step_index")
    if column is None or step is None or len(step) < 2:
        return
    starts = np.r_[0, np.flatnonzero(np.diff(step) != 0) + 1]
    since = (time_ns - time_ns[np.repeat(starts, np.diff(np.r_[starts, len(step)]))]) / 1e9
    usual = float(np.median(np.diff(time_ns))) / 1e9
    ahead = column[starts] - since[starts]
    wrong = starts[(starts > 0) & (ahead > 10 * usual + 1)]
    frame.notes.each(
        "STEP_TIME",
        wrong,
        lambda row: (
            float(column[row]),
            (
                f"Row {row} begins step {step[row]:g}, but its step time is {column[row]:g} s; "
                "do not use this column."
            ),
            {},
        ),
        column="step_time_second",
    )
