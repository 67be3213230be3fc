"""The scoring of the Numenta Anomaly Benchmark: windows, one threshold, three profiles.

A detection at relative position y of a labelled window (-1 left edge, 0 right edge) is worth
``S(y) = 2 / (1 + exp(5 y)) - 1``; the best detection of a window counts. A detection outside
costs the false-positive weight times S of its distance behind the last window in window widths,
all of it from three widths on and before the first window. A window without detection costs the
false-negative weight. The first 15 % of a file, at most 750 rows, are not scored. One threshold
serves the whole corpus, the best one of a sweep over all scores; 0 is a detector that never
speaks, 100 one that speaks at the left edge of every window and nowhere else.

Source: Lavin & Ahmad 2015, *Evaluating Real-time Anomaly Detection Algorithms*, and the
benchmark's published scoring.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["PROFILES", "Best", "Profile", "Truth", "best", "probation", "score_at", "truth"]

_FAR = 3.0
"""Window widths behind a window from where a false alarm costs its whole weight."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user of alarms pays and gains.

    Attributes:
        tp: Gain of a detection at the left edge of a window.
        fp: Cost of a detection far from every window.
        fn: Cost of a window without detection.
    """

    tp: float
    fp: float
    fn: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "low_fp": Profile(1.0, 0.22, 1.0),
    "low_fn": Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True, slots=True)
class Truth:
    """What a detection at each row of a file is worth.

    Attributes:
        worth: Shape (n,); 0 to 1 inside a window, 0 to -1 outside.
        window: Shape (n,); number of the window, -1 outside.
        start: First row that is scored.
    """

    worth: NDArray[np.float64]
    window: NDArray[np.int64]
    start: int

    @property
    def windows(self) -> int:
        """Windows with at least one scored row."""
        return len(np.unique(self.window[self.start :][self.window[self.start :] >= 0]))


@dataclass(frozen=True, slots=True)
class Best:
    """The best threshold of a sweep and what it gives.

    Attributes:
        threshold: Rows with at least this score are detections; infinity for none.
        score: Normalised score, 100 for a perfect detector, 0 for one that never speaks.
        found: Windows with a detection.
        windows: All windows.
        false_rows: Rows above the threshold outside all windows.
    """

    threshold: float
    score: float
    found: int
    windows: int
    false_rows: int


def probation(rows: int) -> int:
    """Rows at the start of a file that are not scored."""
    return min(floor(0.15 * rows), 750)


def truth(times: Sequence[str], windows: Sequence[tuple[str, str]]) -> Truth:
    """What a detection at each row is worth.

    Args:
        times: Timestamps of the file as text, in order.
        windows: First and last timestamp of each window, in order, not overlapping.

    Raises:
        ValueError: A window begins or ends at no timestamp of the file.
    """
    n = len(times)
    first_of: dict[str, int] = {}
    for i, time in enumerate(times):
        first_of.setdefault(time, i)
    window = np.full(n, -1, np.int64)
    position = np.full(n, inf)
    for number, (left, right) in enumerate(windows):
        if left not in first_of or right not in first_of:
            raise ValueError(f"window {left} to {right} is not in the file")
        a, b = first_of[left], first_of[right]
        width = b - a + 1
        window[a : b + 1] = number
        position[a : b + 1] = -(b - np.arange(a, b + 1) + 1) / width
        position[b + 1 :] = np.arange(1, n - b) / max(width - 1, 1)
    near = position < _FAR
    worth = np.full(n, -1.0)
    worth[near] = _sigmoid(position[near])
    worth[window >= 0] /= _sigmoid(np.array([-1.0]))[0]
    return Truth(worth, window, probation(n))


def best(scores: Sequence[NDArray[np.float64]], truths: Sequence[Truth], profile: Profile) -> Best:
    """Sweep one threshold over all files.

    Args:
        scores: One array per file, higher is stranger.
        truths: What their rows are worth, in the same order.
        profile: Gains and costs.
    """
    sweep = _Sweep(scores, truths)
    total = sweep.total(profile)
    # The first of equals, as in the published sweep: the highest threshold.
    return sweep.at(int(np.argmax(total)), total, profile)


def score_at(
    scores: Sequence[NDArray[np.float64]],
    truths: Sequence[Truth],
    profile: Profile,
    threshold: float,
) -> Best:
    """Normalised score of some files at a threshold found elsewhere."""
    sweep = _Sweep(scores, truths)
    step = int(np.searchsorted(-sweep.threshold, -threshold, side="right")) - 1
    return sweep.at(step, sweep.total(profile), profile)


def _sigmoid(y: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 2.0 / (1.0 + np.exp(5.0 * y)) - 1.0
    return found


class _Sweep:
    """Gains, costs and counts at every threshold, from none (infinity) down."""

    def __init__(self, scores: Sequence[NDArray[np.float64]], truths: Sequence[Truth]) -> None:
        offsets = np.cumsum([0, *(int(each.window.max(initial=-1)) + 1 for each in truths)])
        parts = list(zip(scores, truths, offsets[:-1], strict=True))
        score = np.concatenate([s[t.start :] for s, t, _ in parts])
        worth = np.concatenate([t.worth[t.start :] for _, t, _ in parts])
        window = np.concatenate(
            [np.where(t.window >= 0, t.window + o, -1)[t.start :] for _, t, o in parts]
        )
        order = np.argsort(-score, kind="stable")
        score, worth, window = score[order], worth[order], window[order]
        outside = window < 0
        gain = np.zeros(len(score))
        found = np.zeros(len(score), np.int64)
        reached: dict[int, float] = {}
        for i in np.flatnonzero(~outside).tolist():
            before = reached.get(int(window[i]))
            if before is None or worth[i] > before:
                gain[i] = worth[i] - (before or 0.0)
                found[i] = before is None
                reached[int(window[i])] = float(worth[i])
        ends = np.flatnonzero(np.diff(score))
        last = np.append(ends, len(score) - 1) if len(score) else ends
        self.windows = len(reached)
        self.threshold = np.append(inf, score[last])
        self.gain = np.append(0.0, np.cumsum(gain)[last])
        self.found = np.append(0, np.cumsum(found)[last])
        self.cost = np.append(0.0, np.cumsum(np.where(outside, worth, 0.0))[last])
        self.false_rows = np.append(0, np.cumsum(outside)[last])

    def total(self, profile: Profile) -> NDArray[np.float64]:
        """Raw score at every threshold."""
        missed = self.windows - self.found
        total: NDArray[np.float64] = (
            profile.tp * self.gain + profile.fp * self.cost - profile.fn * missed
        )
        return total

    def at(self, step: int, total: NDArray[np.float64], profile: Profile) -> Best:
        null, perfect = -profile.fn * self.windows, profile.tp * self.windows
        span = perfect - null
        return Best(
            threshold=float(self.threshold[step]),
            score=100.0 * (float(total[step]) - null) / span if span else 0.0,
            found=int(self.found[step]),
            windows=self.windows,
            false_rows=int(self.false_rows[step]),
        )
