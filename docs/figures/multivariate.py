"""Draw the figure of docs/charts/multivariate.md (needs matplotlib).

Data are simulated with a fixed seed and go through the detector itself.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors import Groups
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Group, Line, Sensor, Station

OUT = Path(__file__).resolve().parent.parent / "images" / "charts" / "multivariate.png"
N, FIRST, LAST = 150, 100, 115
CORRELATION = [[1.0, 0.9], [0.9, 1.0]]
S = 1_000_000_000


def groups_of() -> Groups:
    """A T2 group of two sensors of mean 0 and sigma 1."""
    station = Station(id="calender", sensor=[Sensor(key="gap"), Sensor(key="load")])
    rows = [SensorRow(i, f"calender/{s.key}", station, s) for i, s in enumerate(station.sensor)]
    group = Group(
        id="g",
        kind="t2",
        sensors=[row.id for row in rows],
        mean=[0.0, 0.0],
        sigma=[1.0, 1.0],
        correlation=CORRELATION,
    )
    return Groups(LineIndex(Line(group=[group]), "0" * 16, rows, {row.id: row for row in rows}))


def main() -> None:
    """Draw both single charts and T2."""
    rng = np.random.default_rng(11)
    x = rng.standard_normal((N, 2)) @ np.linalg.cholesky(CORRELATION).T
    x[FIRST:LAST] = np.clip(x[FIRST:LAST], -1.5, 1.5)
    x[FIRST:LAST, 0] += 1.0
    x[FIRST:LAST, 1] -= 1.0
    groups = groups_of()
    times = np.repeat(np.arange(N), 2) * S
    groups.update(Batch.of(np.tile([0, 1], N), times, x.ravel()))
    drawn = groups.plotted("g", N) or {}
    figure, axes = plt.subplots(3, 1, figsize=(8, 6), sharex=True, layout="constrained")
    for axis, column, name in zip(axes, x.T, ("gap", "load"), strict=False):
        axis.plot(column, ".-", lw=0.7)
        for limit in (-3, 3):
            axis.axhline(limit, color="tab:red", lw=0.8)
        axis.set_ylabel(f"{name}, sigma")
    axes[2].plot(drawn["v"], ".-", lw=0.7)
    axes[2].axhline(drawn["ucl"], color="tab:red", lw=0.8)
    axes[2].set_ylabel("T2")
    axes[2].set_xlabel("vector (simulated)")
    for axis in axes:
        axis.axvspan(FIRST - 0.5, LAST - 0.5, color="0.9", zorder=0)
    figure.savefig(OUT, dpi=120)


if __name__ == "__main__":
    main()
