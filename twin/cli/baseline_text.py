"""What baselines mean, in numbers and in words."""

from __future__ import annotations

from datetime import datetime
from math import sqrt
from typing import TYPE_CHECKING, Any

import scipy

from twin.model.line import Chart, Series

if TYPE_CHECKING:
    from twin.detectors.spc.baseline_fit import Fit
    from twin.model.baseline import Baseline
    from twin.model.index import LineIndex

__all__ = ["compared", "fit_text", "outlook", "record_text", "summary"]

_SHIFTS = (0.0, 0.5, 1.0, 2.0)
_DAY_S = 86_400.0
_ENDLESS = 1e12
"""Longer run lengths are not counted."""
_SURE = 0.001
"""Two baselines differ when chance would make such a difference more rarely than this."""


def outlook(index: LineIndex, baseline: Baseline) -> dict[str, Any]:
    """What the sensor's chart will do with this baseline.

    Returns:
        ``statistics`` by name with ``arl0``; ``arl0`` of all together; ``point_s`` between points;
        ``false_per_day``, ``false_per_shift``; ``delay`` in points after a lasting shift of 0.5, 1
        and 2 sigma. None where nobody can know it.
    """
    from twin.detectors.spc.rules import rule_sets_of  # noqa: PLC0415 - slow to import
    from twin.detectors.spc.runlength import of_chart  # noqa: PLC0415

    row = index.by_id.get(baseline.sensor)
    chart = row.spec.chart if row is not None and row.spec.chart is not None else None
    chart = chart or Chart(rules=baseline.rules or None)
    follows = baseline.tests.get("level_is") == "follows the signal"
    phi = baseline.phi if baseline.phi is not None and -1.0 < baseline.phi < 1.0 else None
    chart = chart.model_copy(
        update={
            "series": baseline.series,
            "ar": list(baseline.ar),
            "model": "ewma" if follows else "ar",
            "phi": phi,
            "centre": baseline.centre,
            "sigma": baseline.sigma,
        }
    )
    rules = rule_sets_of(index.line).get(chart.rules or "")
    runs = of_chart(chart, rules, _SHIFTS)
    arl0 = runs.together[0].arl if runs.together[0] is not None else None
    point_s = _point_s(baseline)
    per_day = _DAY_S / point_s / arl0 if point_s and arl0 else None
    shift_h = index.line.detection.shift_h
    return {
        "statistics": {s.name: s.arl0.arl if s.arl0 else None for s in runs.statistics},
        "arl0": arl0,
        "point_s": point_s,
        "false_per_day": per_day,
        "false_per_shift": None if per_day is None else per_day * shift_h / 24.0,
        "delay": {
            f"{shift:g}": run.arl if run is not None else None
            for shift, run in list(zip(_SHIFTS, runs.together, strict=True))[1:]
        },
    }


def _point_s(baseline: Baseline) -> float | None:
    """Mean time between points of the period."""
    if baseline.n < 2 or not baseline.start or not baseline.end:
        return None
    first, last = (datetime.fromisoformat(t) for t in (baseline.start, baseline.end))
    span = (last - first).total_seconds()
    return span / (baseline.n - 1) if span > 0 else None


def summary(baseline: Baseline, state: str) -> dict[str, Any]:
    """The few facts of a list."""
    return {
        "name": baseline.name,
        "state": state,
        "sensor": baseline.sensor,
        "recipe": baseline.recipe,
        "series": baseline.series.value,
        "n": baseline.n,
        "centre": baseline.centre,
        "sigma": baseline.sigma,
        "unit": baseline.unit,
        "created_by": baseline.created_by,
        "approved_by": baseline.approved_by,
    }


def compared(old: Baseline, new: Baseline) -> dict[str, Any]:
    """How two baselines of one sensor differ, with a verdict on chance.

    The level is compared in standard errors for correlated samples, the scatter by the ratio of
    the standard deviations, whose logarithm has a standard error near 1/sqrt(2 n).

    Returns:
        ``level`` (old, new, shift in sigma of the plotted point, standard errors), ``sigma`` (old,
        new, ratio, standard errors), ``different``, ``comparable`` and ``text``.
    """
    same = (old.sensor, old.series, old.unit) == (new.sensor, new.series, new.unit)
    levels = [b.centre if b.level is None else b.level for b in (old, new)]
    shift = levels[1] - levels[0]
    error = sqrt(sum(_level_error(b) ** 2 for b in (old, new)))
    ratio = new.sigma / old.sigma
    spread_z = (ratio - 1.0) / sqrt(0.5 / old.n + 0.5 / new.n)
    limit = float(-scipy.special.ndtri(_SURE / 2.0))
    level_z = shift / error if error > 0 else 0.0
    different = not same or abs(level_z) > limit or abs(spread_z) > limit
    lines = [
        (
            f"  level  {levels[0]:.6g} -> {levels[1]:.6g} {new.unit}: {shift / old.sigma:+.3g} sigma,"
            f" {level_z:+.2g} standard errors"
        ),
        (
            f"  sigma  {old.sigma:.4g} -> {new.sigma:.4g} {new.unit}: factor {ratio:.3g},"
            f" {spread_z:+.2g} standard errors"
        ),
        f"  series {old.series} -> {new.series}, n {old.n} -> {new.n}",
        _verdict(same=same, different=different),
    ]
    return {
        "old": old.name,
        "new": new.name,
        "comparable": same,
        "level": {
            "old": levels[0],
            "new": levels[1],
            "shift_sigma": shift / old.sigma,
            "standard_errors": level_z,
        },
        "sigma": {
            "old": old.sigma,
            "new": new.sigma,
            "ratio": ratio,
            "standard_errors": spread_z,
        },
        "different": different,
        "text": "\n".join(lines),
    }


def _verdict(*, same: bool, different: bool) -> str:
    if not same:
        return "  another sensor, series or unit: the numbers mean different things"
    return "  they differ" if different else "  no difference beyond chance"


def _level_error(baseline: Baseline) -> float:
    """Standard error of the level: the model's memory makes the mean less certain."""
    left = 1.0 - sum(baseline.ar)
    # A level that follows the signal has no standard error worth a verdict.
    left = max(left, 1e-3)
    return baseline.sigma / left / sqrt(baseline.n)


def fit_text(name: str, one: Fit, ahead: dict[str, Any]) -> str:
    """What a fit did and found, for a person."""
    lines = [name, *(f"  {step}" for step in one.steps)]
    if one.baseline is None:
        lines += [f"  not enough: {text}" for text in one.missing]
        return "\n".join(lines)
    base = one.baseline
    lines += [
        f"  candidate {base.name}: {base.series}, {base.n} points",
        f"  centre {base.centre:.6g}, sigma {base.sigma:.5g} {base.unit} ({base.estimator})",
        *_ahead(ahead),
        *_tests(base),
    ]
    if one.outside:
        lines.append("  points beyond three sigma; leave out only those whose cause is known:")
        from twin.model.event import iso  # noqa: PLC0415

        lines += [
            f"    {iso(o.time_ns)}  {o.value:.6g}  {o.z:+.2f} sigma, round {o.round}"
            for o in one.outside[:20]
        ]
        if len(one.outside) > 20:
            lines.append(f"    … {len(one.outside)} in all")
    if one.failed:
        lines.append(f"  failed: {', '.join(one.failed)}; approval needs --despite and a reason")
    return "\n".join(lines)


def _ahead(ahead: dict[str, Any]) -> list[str]:
    lines = []
    if ahead.get("arl0"):
        more = "more than " if ahead["arl0"] >= _ENDLESS else ""
        lines.append(f"  ARL0 {more}{ahead['arl0']:.4g} points" + _false(ahead))
    delays = [
        f"{s} sigma {d:.3g}"
        for s, d in ahead.get("delay", {}).items()
        if d is not None and d < _ENDLESS
    ]
    if delays:
        lines.append(f"  points to a finding after a lasting shift: {', '.join(delays)}")
    return lines


def _false(ahead: dict[str, Any]) -> str:
    if ahead.get("false_per_day") is None:
        return ""
    return (
        f"; false findings {ahead['false_per_day']:.3g} per day,"
        f" {ahead['false_per_shift']:.3g} per shift"
    )


def _tests(base: Baseline) -> list[str]:
    words = {True: "passed", False: "FAILED"}
    return [
        f"  {name:20} {words[value] if isinstance(value, bool) else value}"
        for name, value in base.tests.items()
    ]


def record_text(base: Baseline, state: str, ahead: dict[str, Any]) -> str:
    """A whole record, for a person."""
    lines = [
        f"{base.name}: {state}",
        f"  sensor {base.sensor}, recipe {base.recipe or 'any'}, series {base.series}",
        f"  centre {base.centre:.8g}, sigma {base.sigma:.6g} {base.unit} ({base.estimator})",
        f"  {base.n} points, {base.start} to {base.end}",
        f"  from {base.source}",
    ]
    if base.series is Series.RESIDUAL:
        memory = ", ".join(f"{a:.5g}" for a in base.ar) or "none"
        lines.append(f"  level {base.level:.8g}, coefficients {memory}, step {base.step_s} s")
    if base.shape:
        lines.append(f"  {len(base.shape)} knots map points to normal scores")
    lines += [
        f"  left out: {gone.points} points, {gone.first} to {gone.last}: {gone.cause}"
        for gone in base.excluded
    ]
    lines += [*_ahead(ahead), *_tests(base)]
    lines.append(f"  made by {base.created_by} {base.created}")
    if base.approved_by:
        lines.append(f"  approved by {base.approved_by} {base.approved}")
    lines.append(f"  reason: {base.reason}")
    return "\n".join(lines)
