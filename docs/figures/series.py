"""Draw the figures of docs/charts/series.md: ``python docs/figures/series.py`` (needs matplotlib).

Data are simulated with a fixed seed and go through the detectors themselves.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors.series import Series
from twin.detectors.spc.autocorrelation import fit_ar
from twin.detectors.spc.sampling import hold
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Line, Sensor, Station

HERE = Path(__file__).resolve().parent.parent / "images" / "charts"
PHI, N, STEP_AT = 0.9, 1800, 1200
S = 1_000_000_000


def signal(rng: np.random.Generator, n: int) -> np.ndarray:
    """AR(1) with mean 0, variance 1."""
    x = np.zeros(n)
    for i in range(1, n):
        x[i] = PHI * x[i - 1] + rng.normal() * np.sqrt(1 - PHI**2)
    return x


def points(value: np.ndarray, **chart: object) -> tuple[np.ndarray, np.ndarray]:
    """Times (s) and values of the points the engine makes of samples at 1 Hz."""
    sensor = Sensor(key="k", period_s=1.0, chart=Chart(centre=0.0, sigma=1.0, **chart))
    row = SensorRow(0, "s/k", Station(id="s", sensor=[sensor]), sensor)
    index = LineIndex(Line(), "0" * 16, [row], {row.id: row})
    made = Series(index).update(Batch.of(np.zeros(len(value)), np.arange(len(value)) * S, value))
    return made.time_ns / S, made.value


def draw_chart(ax: plt.Axes, t: np.ndarray, v: np.ndarray, sigma: float, title: str) -> None:
    """A Shewhart chart; points beyond three sigma in red."""
    out = np.abs(v) > 3 * sigma
    ax.plot(t, v, color="0.35", lw=0.7)
    ax.plot(t[out], v[out], "o", color="tab:red", ms=3)
    for k in (-3, 0, 3):
        ax.axhline(k * sigma, color="tab:blue", lw=0.8, ls="-" if k == 0 else "--")
    ax.axvline(STEP_AT, color="tab:orange", lw=1)
    ax.set_title(f"{title}: {int(out[t < STEP_AT].sum())} false signals", loc="left", fontsize=9)


def correlation() -> None:
    """The same signal charted raw, as residuals and as block means."""
    rng = np.random.default_rng(4)
    past, x = signal(rng, 2000), signal(rng, N)
    x[STEP_AT:] += 2.0
    fit = fit_ar(past, order=1)
    _, means = points(past, series="block", block_s=60.0)
    fig, axes = plt.subplots(3, 1, figsize=(8, 6), sharex=True, layout="constrained")
    raw_sigma = float(np.abs(np.diff(past)).mean()) / 1.128379
    draw_chart(axes[0], np.arange(N), x, raw_sigma, "raw, sigma from the moving range")
    residual = points(x, series="residual", ar=list(fit.ar), level=fit.level)
    draw_chart(axes[1], *residual, fit.sigma, "residual")
    block_sigma = float(np.abs(np.diff(means)).mean()) / 1.128379
    draw_chart(axes[2], *points(x, series="block", block_s=60.0), block_sigma, "means of 60 s")
    axes[2].set_xlabel("time in s; orange: a step of two sigma of the signal")
    fig.savefig(HERE / "series.png", dpi=110)


def exception() -> None:
    """What a gateway with a deadband sends, and what holding makes of it."""
    x = signal(np.random.default_rng(7), 150)
    kept = [0]
    for i in range(1, len(x)):
        if abs(x[i] - x[kept[-1]]) >= 0.5:
            kept.append(i)
    sent = np.array(kept)
    held = hold(sent * S, x[sent], S, 1000 * S)
    fig, ax = plt.subplots(figsize=(8, 2.8), layout="constrained")
    ax.plot(x, color="0.7", lw=1, label="process")
    ax.step(held.time_ns / S, held.value, where="post", lw=1, label="rebuilt by holding")
    ax.plot(sent, x[sent], "o", color="tab:red", ms=4, label="sent (deadband 0.5 sigma)")
    ax.set_xlabel("time in s")
    ax.legend(frameon=False, fontsize=8, ncols=3)
    fig.savefig(HERE / "by-exception.png", dpi=110)


if __name__ == "__main__":
    HERE.mkdir(parents=True, exist_ok=True)
    correlation()
    exception()
