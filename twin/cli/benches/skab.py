"""The Skoltech Anomaly Benchmark: the shipped group detector, one setting for all files.

Beside every figure stand detectors that look at nothing. An alarm that is simply switched on after
30 % of each scored part has an F1 that many published methods have; one that says "change" every
30 s has a change-point score that no published method has. A figure that does not beat them, at a
much lower false-alarm rate, means nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from twin.cli.benches.figure import Figure, Work, skipped
from twin.cli.benches.published import published
from twin.cli.benches.skab_files import (
    BASELINE,
    SETTING,
    Verdict,
    cost_per_vector,
    find,
    judge,
    read,
    write,
)
from twin.cli.benches.skab_score import PROFILES, Counts, change_scores, edges, tally
from twin.detectors.spc.multivariate import (
    box_limit,
    jackson_mudholkar_limit,
    pca_t2_limit,
)
from twin.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from twin.cli.benches.skab_files import Recording

    Flags = NDArray[np.bool_]
    Said = tuple[Flags, Flags]

__all__ = ["measure", "t2_and_q"]

_FREE = "anomaly-free"
"""Folder of recordings without anomalies."""
_CLOCK = 0.3
_TICK_ROWS = 30
_ALPHA = 0.01
_BUDGET_US = 5.0
_BEST_F1, _BEST_FAR, _BEST_CHANGE = 0.78, 13.5, 32.42
_OURS = "linetwin"
_ROWS = (
    _OURS,
    f"blind: on from {_CLOCK:.0%} of the scored rows",
    "blind: always on",
    f"blind: a change every {_TICK_ROWS} rows",
    "T2 + Q of principal components, limits at 99 %",
)


def measure(work: Work) -> list[Figure]:
    """F1, false and missed alarms, change points; per folder in the conditions.

    Raises:
        ConfigError: The folder that was named cannot be used.
    """
    place = published(work, "skab")
    if isinstance(place, str):
        return [skipped("skab.f1", "", place, _BEST_F1)]
    root, files = find(place, work.out)
    recordings = [read(root, file) for file in files]
    verdicts = []
    for recording in recordings:
        if len(recording.x) <= BASELINE:
            raise RecordingError(
                f"{recording.name}: {len(recording.x)} rows; the first {BASELINE} are for learning"
            )
        verdicts.append(judge(recording))
    if work.out is not None:
        for recording, verdict in zip(recordings, verdicts, strict=True):
            write(recording, verdict, work.out)
        work.say(f"verdicts on {len(recordings)} files written to {work.out}")
    pairs = list(zip(recordings, verdicts, strict=True))
    labelled = [pair for pair in pairs if pair[0].anomaly is not None]
    conditions = {"files": len(labelled), "setting": SETTING, "baseline_rows": BASELINE}
    figures = _scores(labelled, conditions, work) if labelled else _without_labels(pairs)
    free = [pair for pair in pairs if pair[0].folder.rpartition("/")[2] == _FREE]
    if free:
        figures.append(_false_alarms(free))
    figures.append(
        Figure(
            name="skab.vector",
            unit="µs CPU/vector",
            runs=[cost_per_vector(recordings) for _ in range(work.runs)],
            budget=_BUDGET_US,
            conditions={"vectors": sum(len(r.x) for r in recordings), "batches": "a file each"},
        )
    )
    return figures


def _without_labels(pairs: Sequence[tuple[Recording, Verdict]]) -> list[Figure]:
    why = f"none of {len(pairs)} files has a column anomaly: judged and written, not scored"
    return [skipped("skab.f1", "", why, _BEST_F1)]


def _scores(
    pairs: Sequence[tuple[Recording, Verdict]], conditions: dict[str, Any], work: Work
) -> list[Figure]:
    """Figures over all labelled files, each with the reference rows beside it."""
    said = {name: [_said(name, *pair) for pair in pairs] for name in _ROWS}
    recordings = [pair[0] for pair in pairs]
    every = range(len(recordings))
    found = {name: _score(recordings, rows, every) for name, rows in said.items()}
    folders = {
        folder or ".": _rounded(
            _score(
                recordings,
                said[_OURS],
                [i for i, each in enumerate(recordings) if each.folder == folder],
            )
        )
        for folder in sorted({each.folder for each in recordings})
    }
    work.say(f"{'':47} {'F1':>6} {'FAR %':>6} {'MAR %':>6}   change points {', '.join(PROFILES)}")
    for name, row in {**found, **{f"{_OURS}, {k}": v for k, v in folders.items()}}.items():
        work.say(_told(name, row))
    shape: list[tuple[str, str, str, Literal["lower", "higher"], float | None]] = [
        ("skab.f1", "f1", "", "higher", _BEST_F1),
        ("skab.far", "far", "% of normal rows", "lower", _BEST_FAR),
        ("skab.mar", "mar", "% of anomalous rows", "lower", None),
        ("skab.change_points", "standard", "points", "higher", _BEST_CHANGE),
        ("skab.change_points_low_fp", "low_fp", "points", "higher", None),
        ("skab.change_points_low_fn", "low_fn", "points", "higher", None),
    ]
    return [
        Figure(
            name=name,
            unit=unit,
            runs=[found[_OURS][key]],
            better=better,
            budget=budget,
            conditions={**conditions, "folders": folders},
            comparison=[
                {"name": row, "value": round(found[row][key], 3), "unit": unit}
                for row in _ROWS
                if row != _OURS
            ],
        )
        for name, key, unit, better, budget in shape
    ]


def _told(name: str, row: dict[str, float]) -> str:
    changes = " / ".join(f"{row[profile]:.1f}" for profile in PROFILES)
    return f"{name:47} {row['f1']:6.3f} {row['far']:6.1f} {row['mar']:6.1f}   {changes}"


def _rounded(row: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 3) for key, value in row.items()}


def _score(
    recordings: Sequence[Recording], said: Sequence[Said], which: Sequence[int]
) -> dict[str, float]:
    counts = Counts()
    files = []
    for i in which:
        truth, change = recordings[i].anomaly, recordings[i].changepoint
        if truth is None:
            continue
        state, points = said[i]
        counts += tally(truth[BASELINE:], state[BASELINE:])
        if change is not None:
            time_s = recordings[i].time_s[BASELINE:]
            files.append((time_s, change[BASELINE:], points[BASELINE:]))
    return {"f1": counts.f1, "far": counts.far, "mar": counts.mar, **change_scores(files)}


def _said(name: str, recording: Recording, verdict: Verdict) -> Said:
    """State and change points of one row of the table, shape (n,) each."""
    if name == _OURS:
        return verdict.anomaly, verdict.changepoint
    n = len(recording.x)
    number = np.arange(n) - BASELINE
    if name == _ROWS[1]:
        state = number >= int(_CLOCK * (n - BASELINE))
    elif name == _ROWS[2]:
        state = number >= 0
    elif name == _ROWS[3]:
        return number >= 0, (number >= 0) & (number % _TICK_ROWS == 0)
    else:
        state = t2_and_q(recording.x, BASELINE)
    return state, edges(state)


def t2_and_q(x: NDArray[np.float64], baseline: int) -> Flags:
    """The classic pair on principal components of the standardised baseline, each row by itself.

    Components with more than the mean variance are kept; limits at 99 %, that of the residual by
    Jackson and Mudholkar. Rows with an empty cell raise nothing.

    Args:
        x: Rows, shape (n, p).
        baseline: Rows that are fitted, and not judged.
    """
    fit = x[:baseline][np.isfinite(x[:baseline]).all(axis=1)]
    sigma = fit.std(axis=0, ddof=1)
    use = sigma > 0
    z = (x[:, use] - fit[:, use].mean(axis=0)) / sigma[use]
    values, vectors = np.linalg.eigh(np.corrcoef(fit[:, use].T))
    kept = values > 1.0
    a = int(kept.sum())
    scores = z @ vectors
    t2 = np.sum(scores[:, kept] ** 2 / values[kept], axis=1)
    state = t2 > pca_t2_limit(a, len(fit), _ALPHA)
    if a < len(values):
        limit, _ = jackson_mudholkar_limit(values[~kept], _ALPHA)
        if np.isnan(limit):
            limit = box_limit(values[~kept], _ALPHA)
        state |= np.sum(scores[:, ~kept] ** 2, axis=1) > limit
    state[:baseline] = False
    return np.asarray(state)


def _false_alarms(pairs: Sequence[tuple[Recording, Verdict]]) -> Figure:
    """Rows of recordings without anomalies that were called anomalous, same setting."""
    state = np.concatenate([verdict.anomaly[BASELINE:] for _, verdict in pairs])
    points = np.concatenate([verdict.changepoint[BASELINE:] for _, verdict in pairs])
    opened = sum(int(np.sum(np.diff(verdict.anomaly.astype(int)) == 1)) for _, verdict in pairs)
    return Figure(
        name="skab.anomaly_free",
        unit="% of rows",
        runs=[100.0 * float(state.mean())],
        conditions={
            "rows": len(state),
            "findings": opened,
            "change_points": int(points.sum()),
            "baseline_rows": BASELINE,
        },
    )
