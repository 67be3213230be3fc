"""Draw the figure of docs/charts/short-runs.md (needs matplotlib).

Values are simulated with a fixed seed and go through the detector itself.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors import ShortRuns
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, ChartType, Line, Sensor, Station

OUT = Path(__file__).resolve().parent.parent / "images" / "charts" / "short-runs.png"
N, SHIFT, S = 45, 28, 1_000_000_000


def main() -> None:
    """Draw raw values of a new recipe, their Q values and the self-starting CUSUM."""
    chart = Chart(type=ChartType.Q)
    station = Station(id="coater", sensor=[Sensor(key="mass", chart=chart)])
    row = SensorRow(0, "coater/mass", station, station.sensor[0])
    detector = ShortRuns(LineIndex(Line(), "0" * 16, [row], {row.id: row}))
    x = np.random.default_rng(3).normal(120.0, 0.8, N)
    x[SHIFT:] += 1.2
    high: list[float] = []
    found: list[int] = []
    for i, value in enumerate(x):
        events = detector.update(Batch.of([0], [i * S], [value]))
        found += [i + 1 for event in events if event.type == "finding"]
        high.append(((detector.state(0) or {}).get("cusum") or {}).get("high", 0.0))
    drawn = detector.plotted(0, N) or {}
    figure, axes = plt.subplots(3, 1, figsize=(8, 5), sharex=True, layout="constrained")
    axes[0].plot(range(1, N + 1), x, ".-", lw=0.7)
    axes[1].plot(range(N - len(drawn["v"]) + 1, N + 1), drawn["v"], ".-", lw=0.7)
    for limit in (-3, 3):
        axes[1].axhline(limit, color="tab:red", lw=0.8)
    axes[2].plot(range(1, N + 1), high, ".-", lw=0.7)
    axes[2].axhline(5.0, color="tab:red", lw=0.8)
    for axis, name in zip(axes, ("g/m2", "Q", "CUSUM of Q"), strict=True):
        axis.set_ylabel(name)
        for piece in found:
            axis.axvline(piece, color="tab:red", lw=0.6, ls=":")
    axes[2].set_xlabel(f"piece (simulated; shift of 1.5 sigma from piece {SHIFT + 1} on)")
    figure.savefig(OUT, dpi=85)


if __name__ == "__main__":
    main()
