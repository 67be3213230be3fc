"""Draw the figure of docs/charts/outlier-tests.md (needs matplotlib).

Data are simulated with a fixed seed and go through the test itself.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors.outliers.dpat import dpat

OUT = Path(__file__).resolve().parent.parent / "images" / "charts" / "outlier-tests.png"
EACH, ODD = 40, 17


def main() -> None:
    """Draw the tray judged as one population, and recipe by recipe."""
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.normal(4.0, 0.02, EACH), rng.normal(3.6, 0.02, EACH)])
    x[ODD] = 3.75
    recipe = ["slow"] * EACH + ["fast"] * EACH
    answers = {
        "one population": dpat(x, tray=["t1"] * len(x)),
        "recipe by recipe": dpat(x, recipe=recipe, tray=["t1"] * len(x)),
    }
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.5), sharey=True, layout="constrained")
    for axis, (title, answer) in zip(axes, answers.items(), strict=True):
        places = np.arange(len(x))
        axis.plot(places, x, ".")
        axis.step(
            places, [part.lower for part in answer.parts], color="tab:red", where="mid", lw=0.8
        )
        axis.step(
            places, [part.upper for part in answer.parts], color="tab:red", where="mid", lw=0.8
        )
        for place in answer.outliers:
            axis.plot(place, x[place], "o", mfc="none", mec="tab:red", ms=10)
        axis.set_title(f"{title}: {len(answer.outliers)} outliers")
        axis.set_xlabel("cell (simulated)")
    axes[0].set_ylim(1.5, 6.2)
    axes[0].set_ylabel("capacity, A.h")
    figure.savefig(OUT, dpi=120)


if __name__ == "__main__":
    main()
