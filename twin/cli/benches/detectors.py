"""The arithmetic alone: charts, run rules and outlier test over batches of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from twin.cli.benches import lines
from twin.cli.benches.figure import Figure, Work, cost_of
from twin.detectors import Charts, Hampel, Validity
from twin.model.batch import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.index import LineIndex

__all__ = ["measure"]

_SAMPLES = 2_000_000
_SENSORS = 1000
_BATCH = 5000
"""Rows of a batch: what the engine takes from the journal at once under load."""
_PLAIN_SAMPLES = 200_000
_BUDGET_US = 0.2
_UNIT = "µs CPU/sample"


@dataclass(frozen=True, slots=True)
class _Took:
    charts_us: float
    hampel_us: float
    validity_us: float
    events: int


def measure(work: Work) -> list[Figure]:
    """Processor time per sample of the full rule set, beside a loop in plain Python."""
    count = work.count(_SAMPLES, _BATCH)
    index = lines.bench_index(_SENSORS, lines.FULL, "spike = 20\nrate_per_s = 50\nstuck_s = 60")
    noisy = _batches(lines.sample_values(count))
    quiet = _batches(lines.quiet_values(count, _SENSORS))
    _judge(index, noisy[:1])  # compiled kernels are loaded
    took = [_judge(index, noisy) for _ in range(work.runs)]
    calm = [_judge(index, quiet) for _ in range(work.runs)]
    plain = [_plain_loop(noisy, work.count(_PLAIN_SAMPLES, 1000)) for _ in range(work.runs)]
    conditions = {"samples": count, "sensors": _SENSORS, "samples_per_batch": _BATCH}
    normal = {
        **conditions,
        "values": "normal, in control",
        "events_per_1000_samples": round(took[0].events / count * 1000, 2),
    }
    rules = "8 run rules, EWMA, CUSUM, Hampel (11)"
    return [
        Figure(
            name="detectors.full_rule_set",
            unit=_UNIT,
            runs=[t.charts_us + t.hampel_us for t in took],
            budget=_BUDGET_US,
            conditions={**normal, "rules": rules},
            comparison=[
                {
                    "name": "plain Python, one EWMA and rule 1 only",
                    "value": round(float(np.median(plain)), 3),
                    "unit": _UNIT,
                }
            ],
        ),
        Figure(
            name="detectors.arithmetic",
            unit=_UNIT,
            runs=[t.charts_us + t.hampel_us for t in calm],
            conditions={
                **conditions,
                "rules": rules,
                "values": "a pattern that breaks no rule",
                "events": calm[0].events,
            },
        ),
        Figure(
            name="detectors.hampel",
            unit=_UNIT,
            runs=[t.hampel_us for t in took],
            conditions={**normal, "rules": "Hampel (11) of the first figure"},
        ),
        Figure(
            name="detectors.validity",
            unit=_UNIT,
            runs=[t.validity_us for t in took],
            conditions={**normal, "rules": "stuck, spike, rate"},
        ),
    ]


def _batches(value: NDArray[np.float64]) -> list[Batch]:
    """Round after round of all sensors, a sample per second each."""
    number = np.arange(len(value))
    time_ns = (1_700_000_000 + number // _SENSORS) * 1_000_000_000
    sensor = number % _SENSORS
    return [
        Batch.of(sensor[at : at + _BATCH], time_ns[at : at + _BATCH], value[at : at + _BATCH])
        for at in range(0, len(value), _BATCH)
    ]


def _judge(index: LineIndex, batches: list[Batch]) -> _Took:
    charts_us, of_charts = _stage(Charts(index), batches)
    hampel_us, of_hampel = _stage(Hampel(index), batches)
    validity_us, of_validity = _stage(Validity(index), batches)
    return _Took(charts_us, hampel_us, validity_us, of_charts + of_hampel + of_validity)


def _stage(stage: Charts | Hampel | Validity, batches: list[Batch]) -> tuple[float, int]:
    """Processor time per sample, µs, and events."""
    events: list[int] = []

    def through() -> None:
        events.extend(len(stage.update(batch)) for batch in batches)

    took = cost_of(through)
    return took.cpu_s / sum(map(len, batches)) * 1e6, sum(events)


def _plain_loop(batches: list[Batch], most: int) -> float:
    """What the obvious program needs for much less: one EWMA and one limit per sample, µs."""
    rows = [
        (int(sensor), float(value))
        for batch in batches
        for sensor, value in zip(batch.sensor, batch.value, strict=True)
    ][:most]
    mean = [50.0] * _SENSORS
    alarms: list[tuple[int, float]] = []

    def loop() -> None:
        for sensor, value in rows:
            z = mean[sensor] = 0.8 * mean[sensor] + 0.2 * value
            if abs(value - 50.0) > 3.0 or abs(z - 50.0) > 0.987:
                alarms.append((sensor, value))

    return cost_of(loop).cpu_s / len(rows) * 1e6
