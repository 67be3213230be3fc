"""Simulated recordings of kinds that are none of the recorded ones: a check against over-fitting.

Each kind has a known cause for each of its windows, and unlabelled irregularities of the same kind
that are smaller, as recordings have them. Windows are laid as the benchmark lays them: together
a tenth of the file, each around its event. What is simulated is judged with the same setting and
is never counted among the recordings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.cli.benches.nab_files import Recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Made = tuple[Values, list[int]]

__all__ = ["simulated"]

_MINUTE = 60
_BEGIN_S = 1_704_067_200
"""A Monday."""


def simulated(
    seed: int = 1, most: int = 10
) -> tuple[list[Recording], dict[str, list[tuple[str, str]]]]:
    """Recordings of all kinds and their windows.

    Args:
        seed: Another one gives other recordings of the same kinds.
        most: Recordings of one kind; fewer for a quick run.
    """
    recordings: list[Recording] = []
    labels: dict[str, list[tuple[str, str]]] = {}
    for k, (group, make, step_s, count) in enumerate(_KINDS):
        for number in range(min(count, most)):
            values, events = make(np.random.default_rng((seed, k, number)))
            name = f"{group}/{make.__name__.strip('_')}_{number}.csv"
            recording = _recording(name, values, step_s)
            recordings.append(recording)
            labels[name] = _windows(recording.times, events)
    return recordings, labels


def _recording(name: str, values: Values, step_s: int) -> Recording:
    time_ns = (_BEGIN_S + step_s * np.arange(len(values))) * 1_000_000_000
    times = np.datetime_as_string(time_ns.astype("datetime64[ns]"), unit="s").tolist()
    values = np.round(values, 3)
    lines = [f"{t},{x}" for t, x in zip(times, values.tolist(), strict=True)]
    return Recording(name, "timestamp,value", lines, times, time_ns, values)


def _windows(times: list[str], events: list[int]) -> list[tuple[str, str]]:
    """Together a tenth of the file; windows that would overlap are one."""
    half = len(times) // (20 * max(1, len(events)))
    spans: list[list[int]] = []
    for event in sorted(events):
        left, right = max(0, event - half), min(len(times) - 1, event + half)
        if spans and left <= spans[-1][1]:
            spans[-1][1] = right
        else:
            spans.append([left, right])
    return [(times[a], times[b]) for a, b in spans]


def _places(rng: np.random.Generator, rows: int, count: int) -> list[int]:
    """Rows of events, behind the first fifth and apart from each other."""
    step = 0.78 * rows / count
    return [int(0.2 * rows + step * (i + rng.uniform(0.1, 0.8))) for i in range(count)]


def _smooth(rng: np.random.Generator, rows: int, memory: float) -> Values:
    """First-order autoregression with deviation 1 that forgets within ``memory`` rows."""
    keep = np.exp(-1.0 / memory)
    noise = rng.normal(size=rows) * np.sqrt(1 - keep * keep)
    out = np.empty(rows)
    level = rng.normal()
    for i in range(rows):
        level = keep * level + noise[i]
        out[i] = level
    return out


def _day(rows: int, step_s: int, phase: float = 0.0) -> Values:
    """A day with a morning and an evening, 0 to 1."""
    angle = 2 * np.pi * (np.arange(rows) * step_s / 86_400 + phase)
    day: Values = 0.5 - 0.4 * np.cos(angle) - 0.1 * np.cos(2 * angle + 1)
    return day


def _weekend(rows: int, step_s: int) -> NDArray[np.bool_]:
    weekend: NDArray[np.bool_] = (np.arange(rows) * step_s // 86_400) % 7 >= 5
    return weekend


def _posts(rng: np.random.Generator) -> Made:
    """Counts every 5 minutes with a day and bursts of all sizes; the largest are events."""
    rows = 15_850
    rate = 10 ** rng.uniform(0.6, 2.0)
    busy = rate * (0.3 + _day(rows, 300)) * np.exp(0.3 * _smooth(rng, rows, 100))
    count = int(rng.integers(25, 60))
    sizes = rate * (0.7 + 0.7 * rng.pareto(1.3, count))
    starts = rng.integers(0, rows - 50, count)
    for size, start in zip(sizes, starts, strict=True):
        fade = rng.uniform(1, 25)
        length = min(rows - start, 150)
        busy[start : start + length] += size * np.exp(-np.arange(length) / fade)
    late = starts > 0.15 * rows
    order = np.argsort(-np.where(late, sizes, 0))
    events: list[int] = []
    for k in order.tolist():
        if len(events) < rng.integers(3, 5) and all(abs(starts[k] - e) > 800 for e in events):
            events.append(int(starts[k]))
    shape = rng.uniform(4, 12)
    return rng.negative_binomial(shape, shape / (shape + busy)).astype(float), events


def _prices(rng: np.random.Generator) -> Made:
    """Hourly, a day, log-normal noise; events are spikes or a few odd hours."""
    rows = 1640
    values = (0.1 + 0.1 * _day(rows, 3600, rng.uniform())) * np.exp(
        0.15 * _smooth(rng, rows, 5) + 0.1 * rng.normal(size=rows)
    )
    for place in rng.integers(0, rows, 8):
        values[place] *= rng.uniform(1.3, 1.7)
    events = _places(rng, rows, int(rng.integers(1, 4)))
    for event in events:
        values[event : event + int(rng.integers(1, 5))] *= rng.uniform(2.2, 5)
    return values, events


def _rides(rng: np.random.Generator) -> Made:
    """Half-hourly, a strong day and week; events are days that are not as they should be."""
    rows = 10_320
    values = 3000 + 22_000 * _day(rows, 1800) * np.where(_weekend(rows, 1800), 0.8, 1.0)
    values *= np.exp(0.06 * _smooth(rng, rows, 20) + 0.02 * rng.normal(size=rows))
    events = []
    for k, place in enumerate(_places(rng, rows, 5)):
        start = place // 48 * 48 + 14
        length = (30, 20, 60, 12, 34)[k]
        values[start : start + length] *= (0.6, 1.4, 0.3, 1.6, 0.5)[k]
        events.append(start + length // 2)
    return values, events


def _machine(rng: np.random.Generator) -> Made:
    """A machine's temperature every 5 minutes; stops, a dip, and a drift to the failure."""
    rows = 22_700
    values = 85 + 5 * _smooth(rng, rows, 400) + 2.5 * _smooth(rng, rows, 30)
    values += 0.5 * rng.normal(size=rows)
    stop, dip, drift, failure = _places(rng, rows, 4)
    values[stop : stop + 60] -= 60 * np.exp(-np.arange(60) / 25)
    values[dip : dip + 120] -= 22 * np.sin(np.pi * np.arange(120) / 120)
    values[drift : drift + 500] -= 28 * np.arange(500) / 500
    values[drift + 500 : drift + 560] -= 28 * np.exp(-np.arange(60) / 20)
    values[failure : failure + 200] -= 70 * np.exp(-np.arange(200) / 60)
    return values, [stop, dip + 40, drift + 350, failure]


def _room(rng: np.random.Generator) -> Made:
    """A room's temperature every hour, a day and slow weather; a fall and a failure."""
    rows = 7270
    values = 71 + 3 * _smooth(rng, rows, 200) + 1.0 * _smooth(rng, rows, 6)
    values += 2 * _day(rows, 3600)
    fall, failure = _places(rng, rows, 2)
    values[fall : fall + 40] -= 9 * np.exp(-np.arange(40) / 20)
    values[failure : failure + 150] += 9 * np.arange(150) / 150
    return values, [fall, failure + 100]


def _scaling(rng: np.random.Generator) -> Made:
    """Load of machines that are added and removed; the event is a level it never had."""
    rows = 18_050
    values = 35 + 12 * _day(rows, 300) + 3 * _smooth(rng, rows, 12) + 2 * rng.normal(size=rows)
    values += 4 * (_smooth(rng, rows, 60) > 1.2)
    (event,) = _places(rng, rows, 1)
    values[event : event + 1400] += 40
    return np.minimum(values, 100), [event + 500]


def _latency(rng: np.random.Generator) -> Made:
    """A service's latency with small spikes; events are a few large ones in a row."""
    rows = 4032
    values = 45 + 1.5 * rng.normal(size=rows) + rng.exponential(0.8, rows)
    for place in rng.integers(0, rows, 15):
        values[place] += rng.uniform(4, 9)
    events = _places(rng, rows, 3)
    for event in events:
        values[event : event + int(rng.integers(1, 4))] += rng.uniform(11, 50)
    return values, events


def _keys(rng: np.random.Generator) -> Made:
    """Times of key strokes: short, heavy-tailed; events are another person's hand."""
    rows = int(rng.choice([1880, 5310]))
    values = 0.1 * np.exp(0.5 * rng.standard_t(4, rows))
    values[rng.random(rows) < 0.02] *= 6
    events = _places(rng, rows, 2)
    for event in events:
        values[event : event + 40] *= rng.uniform(3, 8, 40)
    return values, events


_KINDS: list[tuple[str, Callable[[np.random.Generator], Made], int, int]] = [
    ("counts", _posts, 5 * _MINUTE, 10),
    ("trade", _prices, 60 * _MINUTE, 6),
    ("causes", _rides, 30 * _MINUTE, 2),
    ("causes", _machine, 5 * _MINUTE, 2),
    ("causes", _room, 60 * _MINUTE, 1),
    ("causes", _scaling, 5 * _MINUTE, 1),
    ("causes", _latency, 5 * _MINUTE, 1),
    ("causes", _keys, 5 * _MINUTE, 2),
]
"""Group, maker, seconds from row to row, and how many; shares as among public recordings."""
