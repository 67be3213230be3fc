"""Draw the figure of docs/charts/hampel.md (needs matplotlib).

Values are simulated with a fixed seed and go through the test itself.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors import Hampel
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Line, Sensor, Station

OUT = Path(__file__).resolve().parent.parent / "images" / "charts" / "hampel.png"
N, STEP, S = 420, 260, 1_000_000_000
WRONG = (90, 150, 151, 200, 330)


def main() -> None:
    """A wandering signal with wrong values and a step, the limits, and what was told."""
    chart = Chart(hampel_window=51, rules=None)
    sensor = Sensor(key="x", period_s=1.0, chart=chart)
    row = SensorRow(0, "s/x", Station(id="s", sensor=[sensor]), sensor)
    detector = Hampel(LineIndex(Line(), "0" * 16, [row], {row.id: row}))
    rng = np.random.default_rng(4)
    x = rng.normal(size=N) + np.sin(np.arange(N) / 80.0)
    x[STEP:] += 8.0
    x[list(WRONG)] += (9.0, -8.0, -9.0, 7.0, -8.0)
    edges = np.full((N, 2), np.nan)
    told: list[int] = []
    for i, value in enumerate(x):
        events = detector.update(Batch.of([0], [i * S], [value]))
        told += [i for event in events if event.type == "finding"]
        now = detector.state(0) or {}
        if now["lcl"] is not None:
            edges[i] = now["lcl"], now["ucl"]
    figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    axis.plot(x, ".", color="0.5", ms=3)
    axis.plot(edges, color="tab:red", lw=0.8)
    axis.plot(told, x[told], "o", color="tab:red", ms=6, mfc="none")
    axis.set(
        xlabel="sample (simulated; step of 8 sigma at sample 260)",
        ylabel="value, sigma",
        ylim=(-12, 18),
    )
    figure.savefig(OUT, dpi=80)


if __name__ == "__main__":
    main()
