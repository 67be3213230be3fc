"""The line that is measured, and what its sensors send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from twin import config
from twin.model.message import Entries, Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.index import LineIndex

__all__ = [
    "BENCH_LINE",
    "Message",
    "bench_index",
    "entries",
    "line_text",
    "message",
    "messages",
    "quiet_values",
    "sample_values",
]

SITE, NAME, STATION = "bench", "line1", "calender"
_START_S = 1_700_000_000
_SEED = 20_261_121

_HEAD = f"""
[line]
site = "{SITE}"
name = "{NAME}"
title = "Benchmark"
simulated = true
topic = "{{site}}/{{line}}/{{station}}/{{key}}"
too_old_s = "none"

[detection]
accept = "measures speed"

[[station]]
id = "{STATION}"
area = "electrode"
"""

_SENSORS = """
[[station.sensor]]
key = "s{{n}}"
unit = "um"
period_s = {period_s}
range = [0, 100]
each = {{ n = "0..{last}" }}
{extra}
[station.sensor.chart]
centre = 50
sigma = 1
baseline = "bench@1"
{chart}
"""

_ALARM = """
[[alarm]]
id = "too-thick"
title = "Coating far too thick"
sensor = "calender/*"
when = "above"
limit = 60
deadband = 1
priority = "P3"
"""

USUAL = 'rules = "western_electric"\newma_lambda = 0.2\newma_l = 2.962'
FULL = 'rules = "nelson"\newma_lambda = 0.2\ncusum_k = 0.5\nhampel_window = 11'
"""8 run rules, EWMA, CUSUM, Hampel."""


def line_text(sensors: int, chart: str = USUAL, extra: str = "", period_s: int = 1) -> str:
    """``line.toml`` with ``sensors`` thickness sensors and one alarm, above 60."""
    row = _SENSORS.format(last=sensors - 1, chart=chart, extra=extra, period_s=period_s)
    return _HEAD + row + _ALARM


BENCH_LINE = line_text(1000)
"""As ``examples/bench/line.toml``: 1000 sensors, Western Electric rules and an EWMA."""


def bench_index(
    sensors: int = 1000, chart: str = USUAL, extra: str = "", period_s: int = 1
) -> LineIndex:
    """The same, read and checked."""
    return config.parse({"line.toml": line_text(sensors, chart, extra, period_s)})


def sample_values(count: int) -> NDArray[np.float64]:
    """Values around 50 with standard deviation 1, the same in every run."""
    return np.random.default_rng(_SEED).normal(50.0, 1.0, count).round(3)


_QUIET = np.array([0.4, 1.2, 0.1, -0.6, -1.2, -0.3, 0.7, -0.8])


def quiet_values(count: int, sensors: int) -> NDArray[np.float64]:
    """Values in turn of all sensors that break no rule of any chart: the arithmetic is left."""
    number = np.arange(count)
    value: NDArray[np.float64] = 50.0 + _QUIET[(number // sensors + number % sensors) % len(_QUIET)]
    return value


@dataclass(frozen=True, slots=True)
class Message:
    """A message before it is sent."""

    topic: str
    payload: bytes


def message(key: str, time_s: float, value: float) -> Message:
    """One JSON sample.

    Args:
        key: Sensor key.
        time_s: Event time after the start of all samples.
        value: Thickness, um.
    """
    body = b'{"ts":%.6f,"value":%.3f,"unit":"um","q":192}' % (_START_S + time_s, value)
    return Message(f"{SITE}/{NAME}/{STATION}/{key}", body)


def messages(count: int, sensors: int = 1000, first: int = 0) -> list[Message]:
    """One JSON sample per message, sensor after sensor, one per second and sensor."""
    values = sample_values(count).tolist()
    return [message(f"s{i % sensors}", i / sensors, value) for i, value in enumerate(values, first)]


def entries(sent: list[Message], run: int, rate: float = 100_000.0) -> list[Entries]:
    """The messages as the engine reads them from the journal.

    Args:
        sent: What was published.
        run: Messages per run of entries; the engine takes about 5000 under load.
        rate: Messages per second, for the receive times.
    """
    # Received a day later, so that no event time lies in the future.
    start_ns, step_ns = (_START_S + 86_400) * 1_000_000_000, int(1e9 / rate)
    found = []
    for first in range(0, len(sent), run):
        part = sent[first : first + run]
        found.append(
            Entries(
                first + 1,
                Kind.MESSAGE,
                ["mqtt:bench"] * len(part),
                [message.topic for message in part],
                [message.payload for message in part],
                [start_ns + (first + i) * step_ns for i in range(len(part))],
                [1] * len(part),
            )
        )
    return found
