"""Draw the figure of docs/charts/anomaly.md: ``python docs/figures/anomaly.py`` (needs matplotlib).

Data are simulated with a fixed seed and go through the detector itself.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors import Anomaly
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Line, Sensor, Station

HERE = Path(__file__).resolve().parent.parent / "images" / "charts"
DAY, DAYS = 288, 12
STEP_NS = 300_000_000_000
RATE = 1e-4


def signal() -> np.ndarray:
    """Twelve days at five minutes: a daily pattern, noise, and four things that are not usual."""
    rng = np.random.default_rng(11)
    n = DAYS * DAY
    day = np.arange(n) % DAY
    x = rng.normal(size=n) + 12.0 / (1.0 + np.exp(-(np.minimum(day - 96, 216 - day)) / 6.0))
    x[5 * DAY + 40] += 14  # a spike at night
    x[7 * DAY + 100 : 7 * DAY + 212] -= 12  # a day that does not come
    x[9 * DAY + 150 : 9 * DAY + 200] += rng.normal(size=50) * 5  # noise
    x[10 * DAY + 20 : 10 * DAY + 70] = 6.0  # a value that stays
    return x


def main() -> None:
    """Signal, score and chance below each other."""
    x = signal()
    n = len(x)
    sensor = Sensor(key="k", period_s=300.0, detect={"anomaly": {"rate": RATE}})
    row = SensorRow(0, "s/k", Station(id="s", sensor=[sensor]), sensor)
    index = LineIndex(Line(), "0" * 16, [row], {row.id: row})
    batch = Batch.of(np.zeros(n), np.arange(n) * STEP_NS, x)
    score, chance = Anomaly(index).scores(batch)
    found = [event for event in Anomaly(index).update(batch) if event.type == "finding"]
    days = np.arange(n) / DAY
    fig, (top, middle, bottom) = plt.subplots(3, 1, figsize=(8, 5.2), sharex=True)
    top.plot(days, x, color="0.35", lw=0.6)
    for event in found:
        top.axvline(event.row / DAY, color="tab:red", lw=1)
        top.annotate(event.detail["expert"], (event.row / DAY, 23), fontsize=7, color="tab:red")
    top.set(ylabel="value", ylim=(-6, 26))
    middle.plot(days, score, color="tab:blue", lw=0.7)
    middle.set(ylabel="score", ylim=(0, 1))
    bottom.semilogy(days, chance, color="0.35", lw=0.5)
    bottom.axhline(RATE, color="tab:red", lw=0.8, ls="--")
    bottom.set(ylabel="chance", xlabel="days")
    fig.tight_layout()
    HERE.mkdir(parents=True, exist_ok=True)
    fig.savefig(HERE / "anomaly.png", dpi=110)


if __name__ == "__main__":
    main()
