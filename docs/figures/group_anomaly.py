"""Draw docs/charts/group-anomaly.md: ``python docs/figures/group_anomaly.py`` (needs matplotlib).

Data are simulated with a fixed seed and go through the detector itself.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors import GroupAnomaly
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Group, Line, Sensor, Station

HERE = Path(__file__).resolve().parent.parent / "images" / "charts"
N, ROWS = 1200, 400


def signals() -> np.ndarray:
    """A flow, a pressure and a slow temperature; a valve closes slowly and opens again."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(N, 3))
    valve = np.interp(np.arange(N), [600, 660, 960, 1020], [0, 1, 1, 0])
    x[:, 0] -= 3.0 * valve
    x[:, 1] += 0.6 * valve
    x[:, 2] = 0.2 * x[:, 2] + 4.0 * np.sin(np.arange(N) / 220.0)
    return x


def main() -> None:
    """Signals, distance, and what was said."""
    x = signals()
    keys = ("flow", "pressure", "temperature")
    sensors = [Sensor(key=key, period_s=1.0) for key in keys]
    station = Station(id="s", sensor=sensors)
    rows = [SensorRow(j, f"s/{each.key}", station, each) for j, each in enumerate(sensors)]
    group = Group(
        id="g", kind="anomaly", sensors=[r.id for r in rows], rate=1e-3, baseline_rows=ROWS
    )
    index = LineIndex(Line(group=[group]), "0" * 16, rows, {row.id: row for row in rows})
    detector = GroupAnomaly(index)
    distance = np.zeros(N)
    events = []
    for i in range(N):
        events += [(i, e) for e in detector.update(Batch.of([0, 1, 2], [i * 10**9] * 3, x[i]))]
        distance[i] = (detector.plotted("g", 1) or {"v": [0.0]})["v"][0]
    limit = (detector.state("g") or {"ucl": 0.0})["ucl"]
    fig, axes = plt.subplots(4, 1, figsize=(8, 5.6), sharex=True)
    for j, key in enumerate(keys):
        axes[j].plot(x[:, j], color="0.4", lw=0.5)
        axes[j].set_ylabel(key)
        axes[j].axvspan(0, ROWS, color="0.93")
    axes[3].plot(distance, color="tab:blue", lw=0.8)
    axes[3].axhline(limit, color="tab:red", lw=0.8, ls="--")
    axes[3].set(ylabel="distance", xlabel="vectors (grey: baseline)")
    for i, event in events:
        colour = "tab:red" if event.rule == "anomaly" else "tab:orange"
        axes[3].axvline(i, color=colour, lw=1, ls="-" if event.type == "finding" else ":")
    fig.tight_layout()
    HERE.mkdir(parents=True, exist_ok=True)
    fig.savefig(HERE / "group-anomaly.png", dpi=110)


if __name__ == "__main__":
    main()
