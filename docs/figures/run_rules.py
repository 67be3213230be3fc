"""Draw the figure of docs/charts/run-rules.md (needs matplotlib): one pattern per rule.

The points are made up; which of them belong to the pattern is what the chart itself says.
"""

# ruff: noqa: INP001 - a script beside the pages, no package
from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from twin.detectors import Charts
from twin.detectors.spc.rules import PRESETS, RuleSet
from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Line, Sampling, Sensor, Station

OUT = Path(__file__).resolve().parent.parent / "images" / "charts" / "run-rules.png"
S = 1_000_000_000
QUIET = [0.3, -0.6, 0.9, -0.2, 0.4, -1.1, 0.2]
PATTERNS = {
    "rule1": [*QUIET, 3.4, 0.3],
    "rule2": [*QUIET, -0.5, *[0.6, 1.1, 0.4, 0.9, 0.2, 0.7, 1.3, 0.5, 0.8], -0.2],
    "rule3": [*QUIET, 0.4, *[-1.2, -0.8, -0.5, 0.1, 0.7, 1.5], 0.2],
    "rule4": [*QUIET[:4], 0.8, -0.9, 0.7, -0.6, 1.0, -0.8, 0.6, -1.1, 0.9, -0.5, 0.8, -0.7, 0.6],
    "rule5": [*QUIET, 2.3, 0.8, 2.5, 0.2],
    "rule6": [*QUIET, 1.3, 1.6, 0.5, 1.2, 1.4, -0.2],
    "rule7": [1.6, -1.4, *(0.7 * np.sin(np.arange(15) * 2.3)), 1.5],
    "rule8": [*QUIET[:3], 1.6, -1.3, 1.4, 1.8, -1.5, -1.9, 1.2, -1.4, 0.2],
    "r4s": [*QUIET, 2.4, -2.6, 0.3],
}


def pattern(rule: str) -> tuple[np.ndarray, int, int, str]:
    """Points, first and last of the pattern, and its meaning, as a chart with this rule says."""
    preset = "westgard" if rule == "r4s" else "nelson"
    chosen = tuple(one for one in PRESETS[preset].rules if one.id == rule)
    chart = Chart(centre=0.0, sigma=1.0, rules="one")
    sensor = Sensor(key="x", sampling=Sampling.EVENT, chart=chart)
    row = SensorRow(0, "s/x", Station(id="s", sensor=[sensor]), sensor)
    index = LineIndex(Line(), "0" * 16, [row], {row.id: row})
    charts = Charts(index, rule_sets={"one": RuleSet(name="one", rules=chosen)})
    values = np.array(PATTERNS[rule])
    said = charts.update(Batch.of([0] * len(values), np.arange(len(values)) * S, values))
    found = next(event.detail for event in said if event.type == "finding")
    return values, found["n_first"] - 1, found["n_last"] - 1, found["meaning"]


def main() -> None:
    """Nine small charts."""
    figure, axes = plt.subplots(3, 3, figsize=(9, 5.4), sharey=True, layout="constrained")
    for axis, rule in zip(axes.flat, PATTERNS, strict=True):
        values, first, last, meaning = pattern(rule)
        axis.axhline(0, color="0.4", lw=0.6)
        for sigma in (1, 2, 3):
            for side in (-sigma, sigma):
                style = "-" if sigma == 3 else ":"
                axis.axhline(side, color="tab:red", lw=0.6, ls=style)
        axis.plot(values, ".-", color="0.5", lw=0.6)
        axis.plot(range(first, last + 1), values[first : last + 1], ".", color="tab:blue")
        axis.plot(last, values[last], "o", color="tab:red", ms=4)
        axis.set_title(f"{rule}: {meaning}", fontsize=6.5)
        axis.set_xticks([])
        axis.set_yticks([-3, 0, 3])
    figure.savefig(OUT, dpi=75)


if __name__ == "__main__":
    main()
