"""Draw the figure of docs/charts/spread.md (needs matplotlib).

Pieces are simulated with a fixed seed and go through the detectors themselves.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors import Charts
from twin.detectors.series import Series
from twin.detectors.spc.spread import Spread
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Line, Sensor, Station
from twin.model.line import Series as Kind
from twin.model.line import Spread as Of

OUT = Path(__file__).resolve().parent.parent / "images" / "charts" / "spread.png"
PIECES, SIZE, FROM, S = 50, 8, 35, 1_000_000_000
LIMITS = {"centre": 120.0, "lcl": 118.2, "ucl": 121.8}
"""Of the means; a chart of scatter brings its own, point by point."""


def main() -> None:
    """Means of pieces, and the standard deviation within them, which grows."""
    chart = Chart(
        rules="shewhart",
        series=Kind.PIECE,
        size=SIZE,
        centre=120.0,
        sigma=0.6,
        spread=Of.S,
        sigma_within=1.1,
    )
    sensor = Sensor(key="mass", period_s=1.0, chart=chart)
    row = SensorRow(0, "coater/mass", Station(id="coater", sensor=[sensor]), sensor)
    index = LineIndex(Line(), "0" * 16, [row], {row.id: row})
    rng = np.random.default_rng(6)
    within = np.where(np.arange(PIECES) < FROM, 1.1, 2.0)
    x = 120.0 + rng.normal(0, 0.45, (PIECES, 1)) + rng.normal(size=(PIECES, SIZE)) * within[:, None]
    batch = Batch.of([0] * x.size, np.arange(x.size) * S, x.ravel())
    points = Series(index).update(batch)
    figure, axes = plt.subplots(2, 1, figsize=(8, 4), sharex=True, layout="constrained")
    for axis, detector, name in zip(
        axes, (Charts(index), Spread(index)), ("mean, g/m2", "s within, g/m2"), strict=True
    ):
        told = [e for e in detector.update_points(points, batch) if e.type == "finding"]
        drawn = {**LIMITS, **(detector.plotted(0, PIECES) or {})}
        n = np.arange(1, len(drawn["v"]) + 1)
        axis.plot(n, drawn["v"], ".-", lw=0.6)
        for edge in ("centre", "lcl", "ucl"):
            axis.plot(n, np.broadcast_to(drawn[edge], n.shape), color="tab:red", lw=0.8)
        for event in told:
            axis.axvline(event.detail["n_last"], color="tab:red", lw=0.8, ls=":")
        axis.axvspan(FROM + 0.5, PIECES + 0.5, color="0.93")
        axis.set_ylabel(name)
    axes[1].set_xlabel(f"piece (simulated; grey: 1.8 times the scatter from piece {FROM + 1} on)")
    figure.savefig(OUT, dpi=80)


if __name__ == "__main__":
    main()
