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
    from twin.model.index import LineIndex

__all__ = ["measure"]

_SAMPLES = 2_000_000
_SENSORS = 1000
_BATCH = 5000
"""Rows of a batch: what the engine takes from the journal at once under load."""
_PLAIN_SAMPLES = 200_000
_BUDGET_US = 0.2


@dataclass(frozen=True, slots=True)
class _Took:
    charts_us: float
    hampel_us: float
    validity_us: float
    findings: int


def measure(work: Work) -> list[Figure]:
    """Processor time per sample of the full rule set, beside a loop in plain Python."""
    count = work.count(_SAMPLES, _BATCH)
    index = lines.bench_index(_SENSORS, lines.FULL, "spike = 20\nrate_per_s = 50\nstuck_s = 60")
    batches = _batches(count)
    _judge(index, batches[:1])  # compiled kernels are loaded
    took = [_judge(index, batches) for _ in range(work.runs)]
    plain = [_plain_loop(batches, work.count(_PLAIN_SAMPLES, 1000)) for _ in range(work.runs)]
    conditions = {
        "samples": count,
        "sensors": _SENSORS,
        "samples_per_batch": _BATCH,
        "values": "normal, in control",
        "events_per_1000_samples": round(took[0].findings / count * 1000, 2),
    }
    rules = "8 run rules, EWMA, CUSUM, Hampel (11)"
    return [
        Figure(
            name="detectors.full_rule_set",
            unit="µs CPU/sample",
            runs=[t.charts_us + t.hampel_us for t in took],
            budget=_BUDGET_US,
            conditions={**conditions, "rules": rules},
            comparison=[
                {
                    "name": "plain Python, one EWMA and rule 1 only",
                    "value": round(float(np.median(plain)), 3),
                    "unit": "µs CPU/sample",
                }
            ],
        ),
        Figure(
            name="detectors.hampel",
            unit="µs CPU/sample",
            runs=[t.hampel_us for t in took],
            conditions={**conditions, "rules": "Hampel (11) of the figure above"},
        ),
        Figure(
            name="detectors.validity",
            unit="µs CPU/sample",
            runs=[t.validity_us for t in took],
            conditions={**conditions, "rules": "stuck, spike, rate"},
        ),
    ]


def _batches(count: int) -> list[Batch]:
    """Round after round of all sensors, a sample per second each."""
    number = np.arange(count)
    value = lines.sample_values(count)
    time_ns = (1_700_000_000 + number // _SENSORS) * 1_000_000_000
    sensor = number % _SENSORS
    cuts = range(0, count, _BATCH)
    return [
        Batch.of(sensor[at : at + _BATCH], time_ns[at : at + _BATCH], value[at : at + _BATCH])
        for at in cuts
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
