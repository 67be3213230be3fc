"""Draw the figure of docs/charts/ewma-cusum.md (needs matplotlib).

Values are simulated with a fixed seed and go through the chart itself.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors import Charts
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Line, Sampling, Sensor, Station

OUT = Path(__file__).resolve().parent.parent / "images" / "charts" / "ewma-cusum.png"
N, SHIFT, S = 70, 40, 1_000_000_000


def main() -> None:
    """Points with a shift of one sigma, their EWMA and their CUSUM."""
    chart = Chart(
        centre=0.0, sigma=1.0, rules="shewhart", ewma_lambda=0.1, ewma_l=2.814, cusum_k=0.5
    )
    sensor = Sensor(key="x", sampling=Sampling.EVENT, chart=chart)
    row = SensorRow(0, "s/x", Station(id="s", sensor=[sensor]), sensor)
    detector = Charts(LineIndex(Line(), "0" * 16, [row], {row.id: row}))
    x = np.random.default_rng(21).normal(size=N)
    x[SHIFT:] += 1.0
    states: list[dict[str, Any]] = []
    found: dict[str, int] = {}
    for i, value in enumerate(x):
        for event in detector.update(Batch.of([0], [i * S], [value])):
            if event.type == "finding":
                found.setdefault(event.rule, i + 1)
        states.append(detector.state(0) or {})
    n = np.arange(1, N + 1)
    figure, axes = plt.subplots(3, 1, figsize=(8, 5), sharex=True, layout="constrained")
    axes[0].plot(n, x, ".-", lw=0.6)
    for limit in (-3, 3):
        axes[0].axhline(limit, color="tab:red", lw=0.8)
    axes[1].plot(n, [s["ewma"]["value"] for s in states], ".-", lw=0.6)
    for edge in ("lcl", "ucl"):
        axes[1].plot(n, [s["ewma"][edge] for s in states], color="tab:red", lw=0.8)
    axes[2].plot(n, [s["cusum"]["high"] for s in states], ".-", lw=0.6, label="high")
    axes[2].plot(n, [s["cusum"]["low"] for s in states], ".-", lw=0.6, label="low")
    axes[2].axhline(chart.cusum_h, color="tab:red", lw=0.8)
    axes[2].legend(fontsize=8, loc="upper left")
    for axis, name, rule in zip(
        axes, ("point", "EWMA", "CUSUM"), ("rule1", "ewma", "cusum"), strict=True
    ):
        axis.set_ylabel(name)
        axis.axvspan(SHIFT + 0.5, N + 0.5, color="0.93")
        if rule in found:
            axis.axvline(found[rule], color="tab:red", lw=0.8, ls=":")
    axes[2].set_xlabel(f"point (simulated; grey: shift of one sigma from point {SHIFT + 1} on)")
    figure.savefig(OUT, dpi=80)


if __name__ == "__main__":
    main()
