"""The anomaly scorer on the Numenta Anomaly Benchmark: one setting, one threshold, all files."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.cli.benches.figure import Figure, Work, cost_of, skipped
from twin.cli.benches.nab_files import Recording, read_labels, read_recordings, write_scores
from twin.cli.benches.nab_score import PROFILES, Best, Truth, best, score_at, truth
from twin.cli.benches.nab_simulated import simulated
from twin.cli.benches.published import published
from twin.detectors import Anomaly
from twin.errors import ConfigError, Problem
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Line, Sampling, Sensor, Station

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Scores = list[NDArray[np.float64]]

__all__ = ["measure"]

_POINTS = "of 100"
_COST = "µs CPU/sample"
_BUDGET_US = 5.0
_NOMINAL = ((1e-2, 1.69), (1e-3, 1.86), (1e-4, 3.20))
"""Rates that are checked, and the best published observed / nominal of each."""
_CLOCK = 16
"""Alarms of the blind clock in each file."""
_PLAIN_ROWS = 20_000
_PEER_ROWS = 2000
_SEEDS = (3, 4, 5)
"""Simulated recordings nothing was chosen on."""
_CAVEATS = "labels are disputed; the threshold is fitted to the same files, as in every row of it"


def measure(work: Work) -> list[Figure]:
    """Scores per profile with their groups, false alarms beside their nominal rate, and cost."""
    folder = published(work, "nab")
    if isinstance(folder, str):
        return [skipped("nab.standard", _POINTS, folder), _simulated(work)]
    recordings = read_recordings(folder)
    if work.out is not None:
        _check_out(work.out, folder)
    labels = read_labels(folder)
    work.say(f"{len(recordings)} files, {sum(len(r.lines) for r in recordings)} rows")
    judged = [_judge(recording) for recording in recordings]
    if work.out is not None:
        for recording, (said, _) in zip(recordings, judged, strict=True):
            write_scores(work.out, recording, said)
        work.say(f"scores are in {work.out}")
    figures = [_simulated(work), _cost(work, recordings)]
    if labels is None:
        return [skipped("nab.standard", _POINTS, f"no labels beside {folder}"), *figures]
    known = [i for i, recording in enumerate(recordings) if recording.name in labels]
    if not known:
        return [skipped("nab.standard", _POINTS, "the labels know none of the files"), *figures]
    truths = [_truth(recordings[i], labels) for i in known]
    groups = [recordings[i].group for i in known]
    scores = [judged[i][0] for i in known]
    chances = [judged[i][1] for i in known]
    conditions = {
        "files": len(known),
        "files_without_labels": len(recordings) - len(known),
        "rows": sum(map(len, scores)),
        "caveats": _CAVEATS,
    }
    return [
        *(_scored(name, scores, truths, groups, conditions) for name in PROFILES),
        *_calibration(chances, truths),
        *figures,
    ]


def _check_out(out: Path, folder: Path) -> None:
    """The recordings must survive."""
    data = folder / "data" if (folder / "data").is_dir() else folder
    if out.resolve() == data.resolve():
        problem = Problem("command line", 0, "--out", str(out), "would overwrite the recordings")
        raise ConfigError([problem])


def _detector() -> Anomaly:
    sensor = Sensor(key="value", sampling=Sampling.EVENT, detect={"anomaly": {}})
    station = Station(id="nab", sensor=[sensor])
    row = SensorRow(0, "nab/value", station, sensor)
    return Anomaly(LineIndex(Line(), "0" * 16, [row], {row.id: row}))


def _judge(recording: Recording) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = len(recording.lines)
    return _detector().scores(Batch.of(np.zeros(n), recording.time_ns, recording.value))


def _truth(recording: Recording, labels: dict[str, list[tuple[str, str]]]) -> Truth:
    try:
        return truth(recording.times, labels[recording.name])
    except ValueError as error:
        raise ConfigError([Problem(recording.name, 0, "windows", "", str(error))]) from error


def _scored(
    name: str, scores: Scores, truths: list[Truth], groups: list[str], conditions: dict[str, Any]
) -> Figure:
    """Score of one profile; beside it each group, and detectors that look at nothing."""
    profile = PROFILES[name]
    found = best(scores, truths, profile)
    rows: list[dict[str, Any]] = []
    for group in dict.fromkeys(groups):
        inside = [i for i, each in enumerate(groups) if each == group]
        outside = [i for i, each in enumerate(groups) if each != group]
        mine = [scores[i] for i in inside], [truths[i] for i in inside]
        rows.append(_row(group, score_at(*mine, profile, found.threshold)))
        if outside:
            others = best([scores[i] for i in outside], [truths[i] for i in outside], profile)
            threshold = "threshold of the other groups"
            rows.append(_row(f"{group}, {threshold}", score_at(*mine, profile, others.threshold)))
    blind = {
        f"blind clock, {_CLOCK} alarms a file": [_clock(len(each)) for each in scores],
        "always on": [np.ones(len(each)) for each in scores],
    }
    # The sweep would switch these off where silence is better: they speak, whatever it costs.
    rows += [_row(what, score_at(said, truths, profile, 1.0)) for what, said in blind.items()]
    rows.append(_row("never on", score_at(scores, truths, profile, np.inf)))
    return Figure(
        name=f"nab.{name}",
        unit=_POINTS,
        runs=[found.score],
        better="higher",
        conditions={
            **conditions,
            "threshold": round(found.threshold, 4),
            "windows": found.windows,
            "windows_found": found.found,
            "false_rows": found.false_rows,
        },
        comparison=rows,
    )


def _simulated(work: Work) -> Figure:
    """Score on simulated recordings of other kinds, with a threshold of their own."""
    scores: Scores = []
    truths: list[Truth] = []
    groups: list[str] = []
    for seed in _SEEDS[: work.count(len(_SEEDS))]:
        recordings, labels = simulated(seed, work.count(10))
        scores += [_judge(recording)[0] for recording in recordings]
        truths += [_truth(recording, labels) for recording in recordings]
        groups += [recording.group for recording in recordings]
    conditions = {"files": len(scores), "rows": sum(map(len, scores)), "data": "simulated"}
    return replace(_scored("standard", scores, truths, groups, conditions), name="nab.simulated")


def _row(name: str, found: Best) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(found.score, 2),
        "unit": f"{_POINTS}, {found.found}/{found.windows} windows, {found.false_rows} false rows",
        "windows": found.windows,
        "windows_found": found.found,
        "false_rows": found.false_rows,
    }


def _clock(n: int) -> NDArray[np.float64]:
    return np.asarray(np.arange(n) % max(1, n // _CLOCK) == 0, np.float64)


def _calibration(chances: Scores, truths: list[Truth]) -> list[Figure]:
    """Observed / nominal false alarms on rows no label has touched yet."""
    rows = [p[t.start : _first_window(t)] for p, t in zip(chances, truths, strict=True)]
    p = np.concatenate(rows)
    conditions = {"rows": len(p), "where": "scored rows before the first window of each file"}
    return [
        Figure(
            name=f"nab.false_alarms_{rate:.0e}".replace("e-0", "e-"),
            unit="observed / nominal",
            runs=[float(np.mean(p < rate) / rate)],
            budget=budget,
            conditions={**conditions, "observed_rows": int(np.sum(p < rate))},
        )
        for rate, budget in _NOMINAL
        if len(p)
    ]


def _first_window(known: Truth) -> int:
    inside = np.flatnonzero(known.window >= 0)
    return max(int(inside[0]), known.start) if len(inside) else len(known.window)


def _cost(work: Work, recordings: list[Recording]) -> Figure:
    """Processor time per sample, beside river and a loop in plain Python."""
    rows = sum(len(each.lines) for each in recordings)
    runs = [
        cost_of(lambda: [_judge(each) for each in recordings]).cpu_s / rows * 1e6
        for _ in range(work.runs)
    ]
    values = np.concatenate([each.value for each in recordings])
    plain = values[: work.count(_PLAIN_ROWS, 1000)].tolist()
    loop = [cost_of(lambda: _plain_loop(plain)).cpu_s / len(plain) * 1e6 for _ in range(work.runs)]
    return Figure(
        name="nab.sample",
        unit=_COST,
        runs=runs,
        budget=_BUDGET_US,
        conditions={"samples": rows, "sensors": 1},
        comparison=[
            _river(values[: work.count(_PEER_ROWS, 200)]),
            {
                "name": "plain loop: mean, deviation, z",
                "value": round(statistics.median(loop), 3),
                "unit": _COST,
            },
        ],
    )


def _plain_loop(values: list[float]) -> int:
    """The least a detector can do: how far from the running mean, in deviations."""
    mean = deviation = 0.0
    far = 0
    for n, x in enumerate(values, 1):
        off = x - mean
        far += abs(off) > 8.0 * deviation
        mean += off / n
        deviation += (abs(off) - deviation) / n
    return far


def _river(values: NDArray[np.float64]) -> dict[str, Any]:
    name = "river HalfSpaceTrees, scaled"
    if find_spec("river") is None:
        return {"name": name, "skipped": "river is not installed"}
    from river import anomaly, preprocessing  # noqa: PLC0415 - only where it is installed

    model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=1)
    samples = [{"x": float(x)} for x in values[np.isfinite(values)]]
    begin = time.process_time()
    for sample in samples:
        model.score_one(sample)
        model.learn_one(sample)
    took = (time.process_time() - begin) / max(1, len(samples)) * 1e6
    return {"name": name, "value": round(took, 1), "unit": _COST}
