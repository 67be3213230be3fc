"""Draw the figure of docs/capability.md (needs matplotlib): how wide the interval of Cpk is."""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from twin.detectors.spc.capability import Sigma, cpk

OUT = Path(__file__).resolve().parent.parent / "images" / "charts" / "capability.png"


def main() -> None:
    """Draw 95 % intervals of an estimated Cpk of 1.33 against the number of values."""
    sizes = list(range(10, 301, 2))
    found = [cpk(0.0, None, 4.0, Sigma(1.0, n - 1.0, "overall s"), n) for n in sizes]
    figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axis.fill_between(sizes, [f.low for f in found], [f.high for f in found], alpha=0.3)
    axis.axhline(found[0].value, lw=0.9)
    axis.axvline(25, color="tab:red", lw=0.8, ls="--")
    axis.set_xlabel("number of values (dashed: 25, the fewest shown without a warning)")
    axis.set_ylabel("Cpk, estimate and 95 % interval")
    figure.savefig(OUT, dpi=90)


if __name__ == "__main__":
    main()
