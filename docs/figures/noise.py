"""Draw the figure of docs/charts/noise.md: ``python docs/figures/noise.py`` (needs matplotlib).

Data are simulated with a fixed seed and go through the detector itself.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors import Noise
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Line, Sensor, Station

HERE = Path(__file__).resolve().parent.parent / "images" / "charts"
N = 3600


def main() -> None:
    """Values, and the ratio of variances of each block."""
    rng = np.random.default_rng(5)
    i = np.arange(N)
    scale = np.where((i >= 1800) & (i < 2400), 2.0, np.where(i >= 2900, 0.4, 1.0))
    x = rng.normal(size=N) * scale + 3.0 * np.sin(i / 400.0)
    sensor = Sensor(key="k", period_s=1.0, detect={"noise": {}})
    row = SensorRow(0, "s/k", Station(id="s", sensor=[sensor]), sensor)
    detector = Noise(LineIndex(Line(), "0" * 16, [row], {row.id: row}))
    ratio = np.full(N, np.nan)
    events = []
    for k in range(N):
        events += [(k, e) for e in detector.update(Batch.of([0], [k * 10**9], [x[k]]))]
        now = detector.state(0)
        if now is not None and now["ratio"] is not None:
            ratio[k] = now["ratio"]
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 4), sharex=True)
    top.plot(x, color="0.4", lw=0.5)
    top.axvspan(0, 1200, color="0.93")
    top.set_ylabel("value")
    bottom.semilogy(ratio, color="tab:blue", lw=1, drawstyle="steps-post")
    bottom.set(ylabel="ratio of variances", xlabel="s (grey: baseline)")
    for k, event in events:
        for axis in (top, bottom):
            axis.axvline(k, color="tab:red", lw=1, ls="-" if event.type == "finding" else ":")
    fig.tight_layout()
    HERE.mkdir(parents=True, exist_ok=True)
    fig.savefig(HERE / "noise.png", dpi=110)


if __name__ == "__main__":
    main()
