"""The arithmetic alone: charts, run rules and outlier test over batches of samples."""

from __future__ import annotations

import gc
import importlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from twin.cli.benches import lines
from twin.cli.benches.figure import Figure, Work, cost_of
from twin.detectors import Charts, Hampel, Validity
from twin.model.batch import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.model.index import LineIndex

__all__ = ["measure"]

_SAMPLES = 2_000_000
_FEW, _MANY = 1000, 100_000
_WARM = 20
"""Samples per sensor before anything is measured: windows are full, findings are open."""
_BATCH = 5000
"""Rows of a batch: what the engine takes from the journal at once under load."""
_PEER_SAMPLES = 200_000
_COLLECT = (100_000, 20, 50)
"""How rarely the service looks for garbage in cycles, of which events make none."""
_BUDGET_US = 0.2
_UNIT = "µs CPU/sample"
_RULES = "8 run rules, EWMA, CUSUM, Hampel (11)"
_CHECKS = "spike = 20\nrate_per_s = 50\nstuck_s = 60"


@dataclass(frozen=True, slots=True)
class _Took:
    charts_us: float
    hampel_us: float
    validity_us: float
    events: int

    @property
    def rules_us(self) -> float:
        """Charts and outlier test, with making their events."""
        return self.charts_us + self.hampel_us


@dataclass(frozen=True, slots=True)
class _Size:
    """Batches of a line of one size: what fills the windows, then what is measured."""

    sensors: int
    warm: list[Batch]
    noisy: list[Batch]
    quiet: list[Batch]


def measure(work: Work) -> list[Figure]:
    """Processor time per sample of the full rule set, beside programs that do much less."""
    usual = gc.get_threshold()
    gc.set_threshold(*_COLLECT)
    try:
        return _measure(work)
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _measure(work: Work) -> list[Figure]:
    few = _size(work, _FEW)
    index = lines.bench_index(_FEW, lines.FULL, _CHECKS)
    _judge(index, few.warm[:1], few.noisy[:1])  # compiled kernels are loaded
    took = [_judge(index, few.warm, few.noisy) for _ in range(work.runs)]
    calm = [_judge(index, few.warm[:0], few.quiet) for _ in range(work.runs)]
    figures = [
        _figure("full_rule_set", few, [t.rules_us for t in took], took, _peers(few, work)),
        _figure("arithmetic", few, [t.rules_us for t in calm], calm, [], quiet=True),
        _figure("hampel", few, [t.hampel_us for t in took], took, [], rules="Hampel (11)"),
        _figure(
            "validity", few, [t.validity_us for t in took], took, [], rules="stuck, spike, rate"
        ),
    ]
    many = _size(work, max(_FEW, work.count(_MANY, 1)))
    work.say(f"detectors on {many.sensors} sensors")
    index = lines.bench_index(many.sensors, lines.FULL, _CHECKS)
    gc.collect()
    gc.freeze()  # as the service does with the line it has read
    took = [_judge(index, many.warm, many.noisy) for _ in range(work.runs)]
    limit = [_limit(many)]
    figures.append(_figure("full_rule_set_many", many, [t.rules_us for t in took], took, limit))
    return figures


def _figure(
    name: str,
    size: _Size,
    runs: list[float],
    took: list[_Took],
    comparison: list[dict[str, Any]],
    *,
    rules: str = _RULES,
    quiet: bool = False,
) -> Figure:
    count = sum(map(len, size.quiet if quiet else size.noisy))
    values = "a pattern that breaks no rule" if quiet else "normal, in control"
    return Figure(
        name=f"detectors.{name}",
        unit=_UNIT,
        runs=runs,
        budget=_BUDGET_US if name.startswith("full") else None,
        conditions={
            "samples": count,
            "sensors": size.sensors,
            "samples_per_batch": _BATCH,
            "samples_before_per_sensor": 0 if quiet else _WARM,
            "rules": rules,
            "values": values,
            "events_per_1000_samples": round(took[0].events / count * 1000, 2),
        },
        comparison=comparison,
    )


def _size(work: Work, sensors: int) -> _Size:
    count = max(work.count(_SAMPLES, _BATCH), sensors)
    before = sensors * _WARM
    value = lines.sample_values(before + count)
    quiet = lines.quiet_values(count, sensors)
    return _Size(
        sensors,
        _batches(value[:before], sensors),
        _batches(value[before:], sensors, _WARM),
        _batches(quiet, sensors),
    )


def _batches(value: NDArray[np.float64], sensors: int, after_s: int = 0) -> list[Batch]:
    """Round after round of all sensors, a sample per second each."""
    number = np.arange(len(value))
    time_ns = (1_700_000_000 + after_s + number // sensors) * 1_000_000_000
    sensor = number % sensors
    return [
        Batch.of(sensor[at : at + _BATCH], time_ns[at : at + _BATCH], value[at : at + _BATCH])
        for at in range(0, len(value), _BATCH)
    ]


def _judge(index: LineIndex, warm: list[Batch], batches: list[Batch]) -> _Took:
    charts_us, of_charts = _stage(Charts(index), warm, batches)
    hampel_us, of_hampel = _stage(Hampel(index), warm, batches)
    validity_us, _ = _stage(Validity(index), warm, batches)
    return _Took(charts_us, hampel_us, validity_us, of_charts + of_hampel)


def _stage(
    stage: Charts | Hampel | Validity, warm: list[Batch], batches: list[Batch]
) -> tuple[float, int]:
    """Processor time per sample, µs, and events."""
    for batch in warm:
        stage.update(batch)
    events: list[int] = []

    def through() -> None:
        events.extend(len(stage.update(batch)) for batch in batches)

    took = cost_of(through)
    return took.cpu_s / sum(map(len, batches)) * 1e6, sum(events)


# -- what others need for less --------------------------------------------------------------------


def _peers(size: _Size, work: Work) -> list[dict[str, Any]]:
    """The same samples through programs that look at them one by one, and the limit of Python."""
    most = work.count(_PEER_SAMPLES, 1000)
    plain = float(np.median([_plain_loop(size, most) for _ in range(work.runs)]))
    return [
        {"name": "plain Python, one EWMA and rule 1 only", "value": round(plain, 3), "unit": _UNIT},
        _river(size, most),
        _limit(size),
    ]


@njit(cache=True, error_model="numpy")
def _walk(sensor: NDArray[np.int32], value: NDArray[np.float64], mean: NDArray[np.float64]) -> None:
    """The least a detector can do with a batch: one weighted mean per sensor."""
    for i in range(len(sensor)):
        mean[sensor[i]] = 0.8 * mean[sensor[i]] + 0.2 * value[i]


def _limit(size: _Size) -> dict[str, Any]:
    mean = np.full(size.sensors, 50.0)
    _walk(size.noisy[0].sensor, size.noisy[0].value, mean)

    def through() -> None:
        for batch in size.noisy:
            _walk(batch.sensor, batch.value, mean)

    took = cost_of(through).cpu_s / sum(map(len, size.noisy)) * 1e6
    name = "compiled, one EWMA and nothing else"
    return {"name": name, "value": round(took, 4), "unit": _UNIT}


def _river(size: _Size, most: int) -> dict[str, Any]:
    """One Page-Hinkley test (a CUSUM) per sensor, the nearest thing river has."""
    name = "river, one Page-Hinkley test per sensor"
    if importlib.util.find_spec("river") is None:
        return {"name": name, "skipped": "river is not installed"}
    drift = importlib.import_module("river.drift")
    tests = [
        drift.PageHinkley(min_instances=1, delta=0.5, threshold=5.0) for _ in range(size.sensors)
    ]
    rows = _rows(size, most)
    said: list[int] = []

    def loop() -> None:
        for sensor, value in rows:
            test = tests[sensor]
            test.update(value)
            if test.drift_detected:
                said.append(sensor)

    return {"name": name, "value": round(cost_of(loop).cpu_s / len(rows) * 1e6, 3), "unit": _UNIT}


def _rows(size: _Size, most: int) -> list[tuple[int, float]]:
    return [
        (int(sensor), float(value))
        for batch in size.noisy[: most // _BATCH + 1]
        for sensor, value in zip(batch.sensor, batch.value, strict=True)
    ][:most]


def _plain_loop(size: _Size, most: int) -> float:
    """What the obvious program needs for much less: one EWMA and one limit per sample, µs."""
    rows = _rows(size, most)
    mean = [50.0] * size.sensors
    alarms: list[tuple[int, float]] = []

    def loop() -> None:
        for sensor, value in rows:
            z = mean[sensor] = 0.8 * mean[sensor] + 0.2 * value
            if abs(value - 50.0) > 3.0 or abs(z - 50.0) > 0.987:
                alarms.append((sensor, value))

    return cost_of(loop).cpu_s / len(rows) * 1e6
