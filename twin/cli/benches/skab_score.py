"""Scores of the Skoltech Anomaly Benchmark: outliers by F1, FAR, MAR, change points by windows.

Outliers are counted over the scored parts of all files together. Change points follow the
evaluation that the published leaderboard was made with: a window of 60 s *behind* every labelled
change point (where two overlap, the later one begins where the earlier one ends), the first
detection inside counts, from 1 at the left edge along a tanh to the price of a false alarm at the
right edge, others inside are free, every one outside costs; the sum over all files is scaled so
that no detection at all is 0 and a perfect one is 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import pi, tanh
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]

__all__ = ["PROFILES", "WINDOW_S", "Counts", "change_scores", "edges", "tally"]

WINDOW_S = 60.0
"""Width of the window behind a change point, s."""
PROFILES = {"standard": (-0.11, -1.0), "low_fp": (-0.22, -1.0), "low_fn": (-0.11, -2.0)}
"""Price of a false alarm and of a missed change point; a hit at the left edge earns 1."""
_STEPS = 1000
"""Steps in which the position inside a window is counted, as in the published evaluation."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by what they are and what was said about them."""

    tp: int = 0
    tn: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.tp + other.tp, self.tn + other.tn, self.fp + other.fp, self.fn + other.fn
        )

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without a hit."""
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn) if self.tp else 0.0

    @property
    def far(self) -> float:
        """False alarms in % of normal rows; NaN without normal rows."""
        return 100 * self.fp / (self.fp + self.tn) if self.fp + self.tn else float("nan")

    @property
    def mar(self) -> float:
        """Missed rows in % of anomalous rows; NaN without anomalous rows."""
        return 100 * self.fn / (self.fn + self.tp) if self.fn + self.tp else float("nan")


def tally(truth: Flags, said: Flags) -> Counts:
    """Compare the flags of scored rows; both of shape (n,)."""
    return Counts(
        tp=int(np.sum(truth & said)),
        tn=int(np.sum(~truth & ~said)),
        fp=int(np.sum(~truth & said)),
        fn=int(np.sum(truth & ~said)),
    )


def edges(state: Flags) -> Flags:
    """Rows where a state begins or ends; one that is on in the first row begins there."""
    return np.diff(state, prepend=False)


def change_scores(
    files: Sequence[tuple[NDArray[np.float64], Flags, Flags]],
) -> dict[str, float]:
    """Scores of change points over several files, by profile.

    Args:
        files: Per file time (s, ascending), labelled and detected change points, each of shape
            (n,), scored rows only.

    Returns:
        Score by profile; 0 as from a detector that says nothing, 100 from a perfect one; NaN when
        no change point is labelled.
    """
    parts = [_judged(*file) for file in files]
    windows = sum(part[0] for part in parts)
    if not windows:
        return dict.fromkeys(PROFILES, float("nan"))
    false = sum(part[1] for part in parts)
    places = [place for part in parts for place in part[2]]
    scores = {}
    for name, (price, missed) in PROFILES.items():
        earned = sum(_worth(place, price) for place in places)
        score = earned + price * false + missed * (windows - len(places))
        null = missed * windows
        scores[name] = 100 * (score - null) / (windows - null)
    return scores


def _judged(time: NDArray[np.float64], truth: Flags, said: Flags) -> tuple[int, int, list[float]]:
    """Number of windows, detections outside, and of every window that was hit where, 0 to 1."""
    spans = [[start, start + WINDOW_S] for start in time[truth].tolist()]
    for before, after in pairwise(spans):
        after[0] = max(after[0], before[1])
    hits = time[said]
    outside = np.ones(len(hits), bool)
    places: list[float] = []
    for left, right in spans:
        inside = (hits >= left) & (hits <= right)
        outside &= ~inside
        if inside.any():
            width = right - left
            places.append(float(hits[inside][0] - left) / width if width > 0 else 0.0)
    return len(spans), int(outside.sum()), places


def _worth(place: float, price: float) -> float:
    """What the first detection in a window earns at a relative place in it."""
    step = min(int(place * _STEPS), _STEPS - 1)
    x = -pi / 2 + pi * step / (_STEPS - 1)
    half = (1.0 - price) / 2
    return half * -tanh(x) / tanh(pi / 2) + half + price
