"""Draw the figure of docs/charts/shewhart.md (needs matplotlib): NIST flow data, limits by phase I."""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors.spc.shewhart import between_within, individuals, xbar_s

OUT = Path(__file__).resolve().parent.parent / "images" / "charts" / "shewhart.png"
FLOW = [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]


def main() -> None:
    """Draw the individuals chart, and limits of piece means from within and from between."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    found = individuals(FLOW)
    left.plot(range(1, 11), FLOW, ".-", lw=0.7)
    for line, style in ((found.centre, "-"), (found.lower, "--"), (found.upper, "--")):
        left.axhline(line, color="tab:red", lw=0.8, ls=style)
    left.set_title("NIST flow rate, individuals", fontsize=9)
    rng = np.random.default_rng(8)
    pieces = rng.normal(0, 0.4, (40, 16)) + rng.normal(0, 1.0, (40, 1))
    right.plot(range(1, 41), pieces.mean(axis=1), ".-", lw=0.7)
    for pair, colour, name in (
        (xbar_s(pieces), "tab:orange", "from scatter within"),
        (between_within(pieces), "tab:red", "from moving range of means"),
    ):
        right.axhline(pair.location.upper, color=colour, lw=0.8, ls="--", label=name)
        right.axhline(pair.location.lower, color=colour, lw=0.8, ls="--")
    right.set_title("16 places per piece, simulated and in control", fontsize=9)
    right.legend(fontsize=8)
    for axis in (left, right):
        axis.set_xlabel("piece")
    figure.savefig(OUT, dpi=90)


if __name__ == "__main__":
    main()
