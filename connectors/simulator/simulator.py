"""The simulated line: all stations on one clock, spoken as the topics and payloads of devices."""

from __future__ import annotations

import heapq
import re
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.simulator.formation import formation
from connectors.simulator.pieces import aging, assembly, mixing
from connectors.simulator.room import dryroom
from connectors.simulator.script import Fault, FaultKind, Script, Truth
from connectors.simulator.web import calender, coating, cutting, drying, se_film
from connectors.simulator.world import Reading, Said, World
from twin.config.build import product_topic
from twin.model.line import Role, Series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.simulator.world import Job
    from twin.model.index import LineIndex, SensorRow

__all__ = ["Simulator"]

# Upstream before downstream: of two things in the same millisecond the earlier station is first.
_STATIONS = (
    *(mixing, coating, drying, calender, se_film, cutting),
    *(assembly, dryroom, formation, aging),
)
_MODELLED = {
    station: re.compile("|".join(keys))
    for station, keys in {
        "mixing": (
            *(
                "stirrer_speed",
                "stirrer_speed_set",
                "temperature",
                "viscosity",
                "standing_time",
                "mix_duration",
            ),
            *("weighing_error", "solids", "grind", "metal_particles"),
        ),
        "coating": (
            *("web_position", "line_speed", "line_speed_set", "pump_pressure", "areal_mass"),
            *("defect_density", "defects", "inspected_area"),
        ),
        "drying": ("zone_temperature_([123]|set)", "residual_moisture"),
        "calender": (
            *(
                "web_position",
                "roll_speed",
                "roll_speed_set",
                "line_load",
                "line_load_skew",
                "web_tension",
            ),
            *("thickness_l[123]", "density", "porosity", "surface_resistivity"),
            "roll_temperature_(top|bottom|set)",
        ),
        "se_film": (
            *("web_position", "film_thickness_l[123]", "line_tension", "tensile_strength"),
            "ionic_conductivity",
        ),
        "cutting": ("laser_speed", "laser_pulse_rate", "laser_pulse_width", "burr_height"),
        "dryroom": (
            "(frost_point|temperature|differential_pressure|particles_0p5|h2s)_z[123]",
            "frost_point_z2_b",
        ),
        "stacking": ("overlay_offset_[xy]",),
        "densify": ("pressure", "pressure_cv"),
        "hipot": ("leakage_current",),
        "sealing": ("leak_rate",),
        "formation": (
            r"r[12]c(0[1-9]|1[0-6])_(voltage|current|temperature|step)",
            *("(air_temperature|temperature_spread)_r[12]", "first_cycle_efficiency"),
            *("discharge_capacity", "dcir_10s"),
        ),
        "aging": ("ocv", "self_discharge"),
    }.items()
}
"""Station to the keys of sensors that have a model."""
_NS_PER_MS = 1_000_000


class Simulator:
    """Messages of a line, in order of event time, the same for the same seed.

    Stations and sensors of the pilot line (``examples/pilot-line``) come from models; what they
    send is left out when the line description does not have that sensor. Any other sensor of the
    description wanders around the centre of its chart or baseline, its target, or its ranges.

    Cutting the time into other steps changes nothing: ``step(10 s)`` then ``step(20 s)`` gives
    the bytes of ``step(20 s)``.

    Args:
        index: The line: which sensors there are, their topics and intervals.
        seed: Seed of everything random.
        start_ns: Event time of the begin, ns since 1970 UTC; cut to whole milliseconds.
        script: Faults; None for a line in control.
    """

    def __init__(
        self, index: LineIndex, seed: int, start_ns: int, script: Script | None = None
    ) -> None:
        self._start_ms = start_ns // _NS_PER_MS
        self._index = index
        self._script = script or Script()
        periods = {row.id: row.spec.period_s for row in index.sensors if row.spec.period_s}
        self._world = World(seed, self._start_ms * _NS_PER_MS, self._script, periods)
        self._stations = {station.id: station for station in index.line.station}
        self._product_topics = {
            name: product_topic(index.line, station) for name, station in self._stations.items()
        }
        self._faults: dict[str, list[tuple[int, Fault]]] = {}
        for n, fault in enumerate(self._script.fault):
            self._faults.setdefault(fault.target, []).append((n, fault))
        self._seq = dict.fromkeys(self._stations, -1)
        self._held: dict[str, float] = {}
        self._hit: dict[int, int] = {}
        self._now_ms = 0
        self._waiting: deque[tuple[int, str, bytes]] = deque()
        modelled: list[Job] = [job for station in _STATIONS for job in station(self._world)]
        self._jobs = modelled + self._others()
        self._queue = [(job.due_ms, n) for n, job in enumerate(self._jobs) if job.due_ms >= 0]
        heapq.heapify(self._queue)

    @property
    def start_ns(self) -> int:
        """Event time of the begin."""
        return self._start_ms * _NS_PER_MS

    def step(self, until_ns: int) -> Iterator[tuple[int, str, bytes]]:
        """Everything that happens before a time.

        Args:
            until_ns: Event time to stop at, ns since 1970 UTC; exclusive.

        Yields:
            Event time in ns, topic, payload. What was not taken from the iterator comes with the
            next call.
        """
        # A time within a millisecond means that the events of that millisecond have happened.
        until_ms = -(-until_ns // _NS_PER_MS) - self._start_ms
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if not self._queue or self._queue[0][0] >= until_ms:
                return
            self._now_ms, n = self._queue[0]
            job = self._jobs[n]
            for said in job.run():
                self._speak(said)
            if job.due_ms >= 0:
                heapq.heapreplace(self._queue, (job.due_ms, n))
            else:
                heapq.heappop(self._queue)

    def truth(self) -> list[Truth]:
        """Faults that have begun so far, in order of their begin."""
        return self._script.truth(self.start_ns, self.start_ns + self._now_ms * _NS_PER_MS + 1)

    # -- speaking -------------------------------------------------------------------------------

    def _speak(self, said: Reading | Said) -> None:
        if isinstance(said, Said):
            topic = self._product_topics.get(said.station)
            if topic is not None:
                self._send(topic, msgspec.json.encode(said.payload(self._start_ms + self._now_ms)))
            return
        row = self._index.by_id.get(f"{said.station}/{said.key}")
        if row is None:
            return
        self._seq[said.station] += 1
        payload: dict[str, Any] = {
            "ts": self._start_ms + self._now_ms,
            "v": float(said.value),
            "u": said.unit,
            "q": 192,
            "seq": self._seq[said.station],
        }
        now_s = self._now_ms / 1000
        acting = [fault for n, fault in self._faults.get(row.id, ()) if self._acts(n, fault, now_s)]
        times = 1
        for fault in acting:
            times *= self._disturb(fault, row.id, payload, now_s)
        encoded = msgspec.json.encode(payload)
        if any(fault.kind is FaultKind.BAD_PAYLOAD for fault in acting):
            encoded = encoded[: len(encoded) // 2]
        for _ in range(times):
            self._send(row.spec.topic, encoded)
        self._held[row.id] = payload["v"]

    def _send(self, topic: str, payload: bytes) -> None:
        self._waiting.append((self.start_ns + self._now_ms * _NS_PER_MS, topic, payload))

    def _disturb(self, fault: Fault, sensor: str, payload: dict[str, Any], now_s: float) -> int:
        """Let a fault of the sensor or of its gateway act; returns how often it is sent."""
        if fault.kind is FaultKind.STUCK:
            payload["v"] = self._held.get(sensor, payload["v"])
        elif fault.kind in (FaultKind.SPIKE, FaultKind.OFFSET):
            payload["v"] += fault.size
        elif fault.kind is FaultKind.DRIFT:
            payload["v"] += fault.size * (now_s - fault.onset_s(now_s)) / 3600.0
        elif fault.kind is FaultKind.GAP:
            return 0
        elif fault.kind is FaultKind.DUPLICATE:
            return 2
        elif fault.kind is FaultKind.WRONG_UNIT:
            payload["u"] = "{wrong}"
        return 1

    def _acts(self, number: int, fault: Fault, now_s: float) -> bool:
        """Whether a fault acts now; one of a single sample hits the first sample it can."""
        if not fault.once:
            return fault.active(now_s)
        occurrence = fault.occurrence(now_s)
        if self._hit.get(number, -1) >= occurrence:
            return False
        self._hit[number] = occurrence
        return True

    # -- sensors without a model ----------------------------------------------------------------

    def _others(self) -> list[Job]:
        return [
            _wanderer(self._world, row, self._index)
            for row in self._index.sensors
            if not _has_model(row) and row.spec.role is not Role.COUNTER and row.spec.topic
        ]


def _has_model(row: SensorRow) -> bool:
    known = _MODELLED.get(row.station.id)
    return known is not None and known.fullmatch(row.spec.key) is not None


def _wanderer(world: World, row: SensorRow, index: LineIndex) -> Job:
    """A sensor nobody made a model for: it wanders around a plausible value."""
    spec = row.spec
    period_s = spec.period_s or 10.0
    mean, sigma = _usual(row, index)
    if spec.role is Role.STATE:
        sigma = 0.0
    slow, gauge = sigma * 0.8, sigma * 0.6
    return world.wandering(row.station.id, spec.key, spec.unit, mean, slow, 10 * period_s, gauge)


def _usual(row: SensorRow, index: LineIndex) -> tuple[float, float]:
    """Mean and sigma of a sensor without a model: what its chart, baseline or limits are around."""
    spec, chart = row.spec, row.spec.chart
    if chart is not None and chart.centre is not None and chart.sigma is not None:
        return chart.centre, chart.sigma
    if chart is None or not chart.set_point:
        for baseline in index.baselines.get(row.id, []):
            if baseline.series is not Series.RESIDUAL:
                return baseline.centre, baseline.sigma
    low, high = spec.operating or spec.range or (0.0, 1.0)
    target = spec.limits.target if spec.limits is not None else None
    return (low + high) / 2.0 if target is None else target, (high - low) / 100.0
