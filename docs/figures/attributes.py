"""Draw the figure of docs/charts/attributes.md (needs matplotlib).

Counts are simulated with a fixed seed and go through the detector itself.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors import Attributes
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, ChartType, Line, Sensor, Station

OUT = Path(__file__).resolve().parent.parent / "images" / "charts" / "attributes.png"
N, S = 60, 1_000_000_000


def main() -> None:
    """Draw a p chart with a sample size that changes, and a shift from piece 45 on."""
    chart = Chart(type=ChartType.P, centre=0.05, size_of="inspected")
    station = Station(
        id="stack", sensor=[Sensor(key="rejects", chart=chart), Sensor(key="inspected")]
    )
    rows = [SensorRow(i, f"stack/{s.key}", station, s) for i, s in enumerate(station.sensor)]
    detector = Attributes(LineIndex(Line(), "0" * 16, rows, {row.id: row for row in rows}))
    rng = np.random.default_rng(6)
    sizes = rng.choice([60, 150, 400], N)
    counts = rng.binomial(sizes, np.where(np.arange(N) < 45, 0.05, 0.10))
    values = np.column_stack([counts, sizes]).ravel()
    detector.update(Batch.of(np.tile([0, 1], N), np.repeat(np.arange(N), 2) * S, values))
    drawn = detector.plotted(0, N) or {}
    figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    x = np.arange(1, N + 1)
    for limit in ("lcl", "ucl"):
        axis.step(x, drawn[limit], where="mid", color="tab:red", lw=0.8)
    axis.plot(x, drawn["v"], ".-", lw=0.7)
    axis.axhline(0.05, color="tab:gray", lw=0.8)
    out = [i for i, rules in enumerate(drawn["rules"]) if rules]
    axis.plot(x[out], np.array(drawn["v"])[out], "o", mfc="none", color="tab:red")
    axis.set_xlabel("lot (simulated; twice as many rejects from lot 46 on)")
    axis.set_ylabel("proportion rejected")
    figure.savefig(OUT, dpi=90)


if __name__ == "__main__":
    main()
