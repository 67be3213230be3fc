"""A view with a believable line behind it, whose time only moves when a test says so."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from argon2 import PasswordHasher

from dashboards.board import Auth, Users, create_app
from twin.model.event import event_id, iso

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.applications import Starlette

START_NS = 1_750_855_643_474_000_000
SECOND = 1_000_000_000
PASSWORD = "rolling-coil-27"  # a test's own users only
SENSORS: list[tuple[str, str, str, float, float, str]] = [
    # sensor, title, unit, centre, sigma, product kind of the station
    ("mixing/viscosity", "Slurry viscosity", "Pa.s", 4.2, 0.08, "mix_batch"),
    ("mixing/temperature", "Process temperature", "Cel", 22.0, 0.3, "mix_batch"),
    ("coating/areal_mass", "Areal mass", "mg/cm2", 26.0, 0.09, "coil"),
    ("coating/line_speed", "Line speed", "m/min", 5.0, 0.01, "coil"),
    ("calender/line_load", "Line load", "N/mm", 300.0, 4.0, "calendered_coil"),
    ("calender/thickness", "Coating thickness", "um", 77.0, 0.45, "calendered_coil"),
    ("calender/roll_temperature", "Roller temperature", "Cel", 100.0, 0.8, "calendered_coil"),
    ("calender/web_tension", "Web tension", "N", 120.0, 2.0, "calendered_coil"),
    ("calender/density", "Coating density", "g/cm3", 3.4, 0.02, "calendered_coil"),
    ("dryroom/frost_point", "Frost point", "Cel", -60.0, 0.9, ""),
    ("dryroom/temperature", "Temperature", "Cel", 22.0, 0.15, ""),
    ("dryroom/differential_pressure", "Differential pressure", "Pa", 15.0, 0.4, ""),
    ("dryroom/h2s", "Hydrogen sulfide", "[ppm]", 0.05, 0.02, ""),
    ("formation/voltage:0", "Channel 0 voltage", "V", 3.65, 0.002, "cell"),
    ("formation/temperature_spread", "Channel temperature spread", "K", 1.4, 0.2, "cell"),
]
STATIONS = [
    ("mixing", "Mixer", "wet-end"),
    ("coating", "Slot-die coater", "wet-end"),
    ("calender", "Calender", "dry-end"),
    ("dryroom", "Dry room", "infrastructure"),
    ("formation", "Formation rack 1", "formation"),
]
RULE1 = "1 point beyond 3 sigma above the centre line"
RULE5 = "2 of 3 points beyond 2 sigma above the centre line"


class FakeClock:
    """A clock a test turns."""

    def __init__(self) -> None:
        self.now = START_NS

    def wall_ns(self) -> int:
        return self.now

    def mono_ns(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


class FakeView:
    """A ``twin.ports.View`` over made-up data; ``tick`` moves it, ``raise_alarm`` alarms."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(7)
        self.clock = FakeClock()
        self.alive = True
        self.simulated = True
        self.title = "Pilot line, sulfidic pouch cells"
        self.titles: dict[str, str] = {}
        self.silent: dict[str, float] = {}
        self.actions: list[dict[str, Any]] = []
        self.wakes: list[Callable[[], None]] = []
        self.broken = False
        self._alarms: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._findings: dict[str, list[dict[str, Any]]] = {}
        self.judged: dict[str, dict[str, Any] | None] = {}
        self.group_title = "Calender as a whole"
        self.chart_more: dict[str, dict[str, Any]] = {}
        self.values: dict[str, list[float]] = {}
        self.times: list[int] = []
        self.metre = 412.0
        self.tick(400, wake=False)

    # -- what a test does to it

    def tick(self, count: int = 1, *, wake: bool = True) -> None:
        """Bring ``count`` seconds of samples."""
        for _ in range(count):
            self.clock.forward(1)
            self.times.append(self.clock.now)
            self.metre += 0.08
            for sensor, _, _, centre, sigma, _ in SENSORS:
                row = self.values.setdefault(sensor, [])
                last = (row[-1] - centre) / sigma if row else 0.0
                row.append(centre + sigma * (0.55 * last + 0.8 * float(self.rng.normal())))
        if wake:
            self.wake()

    def wake(self) -> None:
        for wake in list(self.wakes):
            wake()

    def shift(self, sensor: str, by: float) -> None:
        """Move the newest value by ``by`` sigma."""
        sigma = next(s[4] for s in SENSORS if s[0] == sensor)
        self.values[sensor][-1] += by * sigma

    def find(self, sensor: str, rule: str, text: str) -> None:
        """A chart notices something on the newest point."""
        now = iso(self.clock.now)
        finding = {
            "id": event_id(rule, sensor, self.clock.now),
            "rule": rule,
            "text": text,
            "t_first": now,
            "t_last": now,
            "open": True,
            "value": self.values.get(sensor, [17.0])[-1],
            "product": "CC-0417" if sensor.startswith("calender") else None,
            "place": self.metre if sensor.startswith("calender") else None,
            "index": len(self.times) - 1,
        }
        self._findings.setdefault(sensor, []).insert(0, finding)
        self.add_event("finding", sensor, rule)

    def add_event(self, kind: str, sensor: str = "", rule: str = "") -> None:
        number = len(self._events) + 1
        now = iso(self.clock.now)
        self._events.append(
            {
                "number": number,
                "id": event_id(kind, sensor, number),
                "type": kind,
                "rule": rule,
                "sensor": sensor,
                "t_first": now,
                "t_last": now,
            }
        )

    def raise_alarm(
        self,
        sensor: str = "calender/line_load",
        priority: str = "P2",
        *,
        title: str = "Line load above its limit",
        state: str = "UNACK",
        **more: Any,
    ) -> str:
        """An alarm occurs; returns its occurrence id."""
        occurrence = event_id("alarm", sensor, priority, len(self._alarms))
        now = iso(self.clock.now)
        unit = next((s[2] for s in SENSORS if s[0] == sensor), "")
        self._alarms.append(
            {
                "occurrence": occurrence,
                "alarm": title.lower().replace(" ", "-")[:40],
                "title": title,
                "priority": priority,
                "alarm_class": "quality",
                "state": state,
                "sensor": sensor,
                "sensor_title": next((s[1] for s in SENSORS if s[0] == sensor), ""),
                "value": self.values[sensor][-1] if sensor in self.values else None,
                "limit": 330.0,
                "unit": unit,
                "onset": iso(self.clock.now - 4 * SECOND),
                "raised": now,
                "cleared": None if state in {"UNACK", "ACKED", "SHLVD"} else now,
                "acked": None,
                "cause": "Gap drifted after the roll warmed up, or the coating is too thick.",
                "consequence": "Density above 3.5 g/cm³: the coil is lost from this metre on.",
                "action": "Stop the feed, mark the metres, re-gap at 100 °C, start again at 3 m/min.",
                "respond_s": 300.0,
                "product": "CC-0417",
                "place": self.metre,
                "rule": "",
                "rule_text": "",
                "first_sample": {"time": now, "value": 331.2, "seq": 88_120},
                "count": 2,
                "affected": 3,
                "cost": 184.5,
                **more,
            }
        )
        self.add_event("alarm", sensor)
        self.wake()
        return occurrence

    # -- the port

    def overview(self, *, sparks: bool = True) -> dict[str, Any]:
        if self.broken:
            raise ValueError("canary-in-the-trace")
        stations = []
        for station, title, area in STATIONS:
            rows = [s for s in SENSORS if s[0].startswith(f"{station}/")]
            product = {"coating": "C-0418", "calender": "CC-0417", "mixing": "B-0093"}.get(station)
            stations.append(
                {
                    "id": station,
                    "title": title,
                    "area": area,
                    "product": None
                    if product is None
                    else {
                        "id": product,
                        "kind": rows[0][5],
                        "place": None if station == "mixing" else round(self.metre, 1),
                    },
                    "tiles": [self._tile(s[0], sparks=sparks) for s in rows],
                }
            )
        stations.append(
            {"id": "group", "title": "", "area": "", "tiles": [self._group_tile(sparks=sparks)]}
        )
        return {
            "time": iso(self.clock.now),
            "line": {
                "site": "lab",
                "name": "pilot",
                "title": self.title,
                "simulated": self.simulated,
                "version": "0f3a9c11d2e47b60",
            },
            "engine": {
                "alive": self.alive,
                "lag_s": 0.02,
                "last_seq": len(self.times) * len(SENSORS),
                "messages_per_s": 214.0,
                "since": iso(START_NS),
                "detail": "" if self.alive else "the pipeline stopped",
            },
            "stations": stations,
            "alarms": self._counts(),
        }

    def _counts(self) -> dict[str, int]:
        open_ones = [a for a in self._alarms if a["state"] not in {"NORM", "SHLVD"}]
        counts = {p: sum(a["priority"] == p for a in open_ones) for p in ("P1", "P2", "P3", "P4")}
        unacked = sum(a["state"] in {"UNACK", "RTNUN", "LUNACK"} for a in open_ones)
        return {
            **counts,
            "unacked": unacked,
            "shelved": sum(a["state"] == "SHLVD" for a in self._alarms),
        }

    def _limits(self, sensor: str) -> dict[str, float | None]:
        _, _, _, centre, sigma, _ = next(s for s in SENSORS if s[0] == sensor)
        return {
            "target": centre,
            "lsl": centre - 6 * sigma,
            "usl": centre + 6 * sigma,
            "centre": centre,
            "lcl": centre - 3 * sigma,
            "ucl": centre + 3 * sigma,
        }

    def _tile(self, sensor: str, *, sparks: bool = True) -> dict[str, Any]:
        _, title, unit, _, _, _ = next(s for s in SENSORS if s[0] == sensor)
        findings = [f for f in self._findings.get(sensor, []) if f["open"]]
        active = [
            a for a in self._alarms if a["sensor"] == sensor and a["state"] in {"UNACK", "ACKED"}
        ]
        age = self.silent.get(sensor, 0.4)
        judged = self.judged.get(sensor, {"detector": "charts", "verdict": "in control"})
        calm = _calm(judged)
        state = "alarm" if active else "warn" if findings else calm
        tile = {
            "sensor": sensor,
            "title": self.titles.get(sensor, title),
            "value": self.values[sensor][-1],
            "unit": unit,
            "quality": "good",
            "time": iso(self.clock.now - int(age * SECOND)),
            "age_s": age,
            "state": "stale" if age > 5 else state,
            "judged": judged,
            "role": "characteristic",
            "limits": self._limits(sensor),
            "finding": _public(findings[0]) if findings else None,
            "alarm": active[0]["occurrence"] if active else None,
        }
        return tile | ({"spark": self.values[sensor][-60:]} if sparks else {})

    def _group_tile(self, *, sparks: bool = True) -> dict[str, Any]:
        group = self.groups()[0]
        tile = {
            "sensor": "group/calender",
            "title": self.group_title,
            "value": group["value"],
            "unit": "1",
            "time": group["time"],
            "age_s": 0.4,
            "state": group["state"],
            "judged": group["judged"],
            "role": "group",
            "limits": {"ucl": group["ucl"]},
        }
        return tile | ({"spark": self._statistic()[-60:]} if sparks else {})

    def _statistic(self) -> list[float]:
        return [
            ((a - 300.0) / 4.0) ** 2 + ((b - 3.4) / 0.02) ** 2
            for a, b in zip(
                self.values["calender/line_load"], self.values["calender/density"], strict=True
            )
        ]

    def groups(self) -> list[dict[str, Any]]:
        names = {"calender/line_load": "Line load", "calender/density": "Coating density"}
        findings = self._findings.get("group/calender", [])
        learning = {"detector": "group_anomaly", "verdict": "cannot judge", "code": "learning"}
        load, density = (self.values[name][-1] for name in names)
        return [
            {
                "sensor": "group/calender",
                "id": "calender",
                "title": self.group_title,
                "kind": "pca",
                "members": [{"sensor": s, "title": t} for s, t in names.items()],
                "state": "warn" if findings else "ok",
                "time": iso(self.clock.now),
                "judged": {
                    "detector": "groups",
                    "verdict": "signal" if findings else "in control",
                },
                "finding": _public(findings[0]) if findings else None,
                "statistic": "t2",
                "value": self._statistic()[-1],
                "ucl": 14.2,
                "spe": 0.4,
                "spe_ucl": 2.1,
                "limit_from": "F, m = 200, alpha 0.001",
                "ruleset": "pca(0.001)@1",
                "points": len(self.times),
                "contributions": [
                    {
                        "sensor": "calender/line_load",
                        "title": "Line load",
                        "value": load,
                        "unit": "N/mm",
                        "about": "others",
                        "z": -3.4,
                        "weight": 11.5,
                    },
                    {
                        "sensor": "calender/density",
                        "title": "Coating density",
                        "value": density,
                        "unit": "g/cm3",
                        "about": "level",
                        "z": 0.7,
                        "weight": 0.5,
                    },
                ],
            },
            {
                "sensor": "group/new",
                "id": "new",
                "title": "A new group",
                "kind": "anomaly",
                "members": [{"sensor": s, "title": t} for s, t in names.items()],
                "state": "learning",
                "judged": learning | {"have": 120, "need": 400},
            },
        ]

    def group(self, group: str, points: int) -> dict[str, Any] | None:
        found = next((g for g in self.groups() if g["id"] == group), None)
        if found is None:
            return None
        values = self._statistic()[-points:] if group == "calender" else []
        marks: list[list[str]] = [["t2"] if v > 14.2 else [] for v in values]
        second = {
            "v": [0.1 * v for v in values],
            "ucl": 2.1,
            "rules": [[] for _ in values],
        }
        return found | {
            "t": [t / 1e9 for t in self.times[-len(values) :]] if values else [],
            "v": values,
            "rules": marks,
            "second": second if values else None,
            "findings": [_public(f) for f in self._findings.get(f"group/{group}", [])],
        }

    async def budget(self) -> dict[str, Any]:
        rows = [
            ("calender/line_load", "Line load", "i", "western_electric", 720.0, 91.75, 2.616, 0),
            ("group/calender", self.group_title, "pca", "t2", 86_400.0, 1000.0, 28.8, 31),
            ("dryroom/h2s", "Hydrogen sulfide", "i", "noise", None, None, None, 0),
        ]
        total = 31.416
        return {
            "version": "0f3a9c11d2e47b60",
            "simulated": self.simulated,
            "shift_h": 8.0,
            "operators": 1,
            "accept": "",
            "allowed_per_shift": 1.0,
            "planned_per_shift": total,
            "unknown": 1,
            "observed": 33,
            "observed_from": iso(START_NS),
            "observed_hours": 24.0,
            "observed_per_shift": 11.0,
            "rows": [
                {
                    "sensor": sensor,
                    "title": title,
                    "chart": chart,
                    "statistic": statistic,
                    "points_per_day": points,
                    "arl0": arl0,
                    "method": None if arl0 is None else "exact",
                    "standard_error": None if arl0 is None else 0.0,
                    "expected_per_shift": expected,
                    "share": None if expected is None else expected / total,
                    "observed": seen,
                }
                for sensor, title, chart, statistic, points, arl0, expected, seen in rows
            ]
            + [
                {
                    "sensor": "calender/density",
                    "title": "Coating density",
                    "statistic": "dpat",
                    "observed": 2,
                }
            ],
        }

    def sensor(self, sensor: str) -> dict[str, Any] | None:
        if sensor not in self.values:
            return None
        station, key = sensor.split("/")
        return {
            "tile": self._tile(sensor),
            "station": station,
            "key": key,
            "topic": f"twin/v1/lab/dry-end/pilot/{sensor}",
            "role": "characteristic",
            "sampling": "periodic",
            "period_s": 1.0,
            "max_silence_s": 5.0,
            "range": (0.0, 1000.0),
            "control": "CP13",
            "chart": {"centre": 300.0, "sigma": 4.0, "rules": "western_electric"},
            "samples": len(self.values[sensor]),
        }

    def series(
        self, sensor: str, start_ns: int | None, end_ns: int | None, points: int
    ) -> dict[str, Any]:
        start, end = start_ns or self.times[0], end_ns or self.times[-1]
        rows = [
            (t, v)
            for t, v in zip(self.times, self.values.get(sensor, []), strict=False)
            if start <= t <= end
        ]
        size = max(1, -(-len(rows) // points))
        bins = [rows[i : i + size] for i in range(0, len(rows), size)]
        return {
            "sensor": sensor,
            "unit": next((s[2] for s in SENSORS if s[0] == sensor), ""),
            "start": iso(start),
            "end": iso(end),
            "bin_s": float(size) if size > 1 else 0.0,
            "t": [b[len(b) // 2][0] / 1e9 for b in bins],
            "mean": [sum(v for _, v in b) / len(b) for b in bins],
            "min": [min(v for _, v in b) for b in bins],
            "max": [max(v for _, v in b) for b in bins],
        }

    def chart(self, sensor: str, points: int) -> dict[str, Any] | None:
        if sensor not in self.values:
            return None
        _, title, unit, centre, sigma, _ = next(s for s in SENSORS if s[0] == sensor)
        n = min(points, len(self.times))
        values = self.values[sensor][-n:]
        marks: list[list[str]] = [[] for _ in range(n)]
        for finding in self._findings.get(sensor, []):
            place = finding["index"] - (len(self.times) - n)
            if 0 <= place < n:
                marks[place].append(finding["rule"])
        line, at = [], centre
        for value in values:
            at += 0.2 * (value - at)
            line.append(at)
        width = 2.962 * sigma * (0.2 / 1.8) ** 0.5
        return {
            "sensor": sensor,
            "title": self.titles.get(sensor, title),
            "unit": unit,
            "centre": centre,
            "sigma": sigma,
            "lcl": centre - 3 * sigma,
            "ucl": centre + 3 * sigma,
            "limits": self._limits(sensor),
            "ewma": {
                "weight": 0.2,
                "width": 2.962,
                "v": line,
                "lcl": [centre - width] * n,
                "ucl": [centre + width] * n,
            },
            "t": [t / 1e9 for t in self.times[-n:]],
            "v": values,
            "rules": marks,
            "findings": [_public(f) for f in self._findings.get(sensor, [])],
            "state": self._tile(sensor)["state"],
            "baseline": "calender-300@4",
            "ruleset": "western_electric@1",
            "texts": {"rule1": RULE1, "rule5": RULE5},
            "judged": self._tile(sensor)["judged"],
            "verdict": self._tile(sensor)["judged"],
            "type": "i",
            "mode": "raw",
            "points": len(self.times),
            "arl0": 91.75,
            "ewma_now": {"value": line[-1], "lcl": centre - width, "ucl": centre + width},
            **self.chart_more.get(sensor, {}),
        }

    def alarms(self, *, history: bool) -> list[dict[str, Any]]:
        if history:
            return list(reversed(self._alarms))
        rows = [a for a in self._alarms if a["state"] != "NORM"]
        return sorted(rows, key=lambda a: (a["priority"], a["onset"]))

    def products(self, limit: int) -> list[dict[str, Any]]:
        now = iso(self.clock.now)
        rows: list[tuple[str, str, str, str, float | None, list[tuple[str, str, float | None]]]] = [
            ("CC-0417", "calendered_coil", "calender", "HOLD", 412.3, [("C-0411", "coil", 0.0)]),
            ("C-0418", "coil", "coating", "OPEN", 96.8, [("B-0093", "mix_batch", None)]),
            ("CC-0416", "calendered_coil", "calender", "OK", 800.0, [("C-0410", "coil", 0.0)]),
            ("B-0093", "mix_batch", "mixing", "OK", None, []),
            ("CELL-88121", "cell", "formation", "SCRAP", None, [("CC-0409", "coil", 211.4)]),
        ]
        return [
            {
                "id": name,
                "kind": kind,
                "station": station,
                "started": iso(START_NS),
                "ended": None if disposition == "OPEN" else now,
                "length_m": length,
                "disposition": disposition,
                "parents": [{"id": p, "kind": k, "place": at} for p, k, at in parents],
                "children": 2,
                "gates": [
                    {
                        "gate": "G3",
                        "title": "Calendered coil",
                        "decision": "hold" if disposition == "HOLD" else "pass",
                        "time": now,
                        "missing": ["CP20"] if disposition == "HOLD" else [],
                    }
                ],
                "measures": [
                    {"name": "dose", "title": "Moisture dose", "value": 3.42, "unit": "[ppm].h"}
                ],
                "alarms": 1 if disposition in {"HOLD", "SCRAP"} else 0,
                "findings": 2,
                "cost": 184.5 if disposition in {"HOLD", "SCRAP"} else None,
            }
            for name, kind, station, disposition, length, parents in rows[:limit]
        ]

    def events(self, after: int, limit: int, sensor: str) -> list[dict[str, Any]]:
        rows = [e for e in self._events[after:] if not sensor or e["sensor"] == sensor]
        return rows[:limit]

    def ledger(self) -> dict[str, Any]:
        stored = len(self.times) * len(SENSORS)
        rejected = {"RANGE": 41, "UNKNOWN_TAG": 1204, "DUPLICATE": 12, "DECODE": 3}
        return {
            "received": stored + sum(rejected.values()) + 18,
            "stored": stored,
            "rejected": rejected,
            "pending": 18,
            "balanced": True,
            "messages": {"received": stored + 1278, "processed": stored + 1260},
            "findings": sum(map(len, self._findings.values())),
            "alarms": len(self._alarms),
            "events_sha256": "9f2c" * 16,
            "duplicates": 12,
            "sources": [
                {
                    "source": "mqtt:calender-gw",
                    "messages": 48_211,
                    "last": iso(self.clock.now),
                    "skew_s": 0.012,
                    "state": "ok",
                },
                {
                    "source": 'broker:"plant"',
                    "messages": 1_204,
                    "last": iso(self.clock.now - 95 * SECOND),
                    "skew_s": -3.4,
                    "state": "silent",
                    "detail": "no message for 95 s",
                },
            ],
            "journal": {
                "segments": 3,
                "bytes": 48_234_496,
                "last_seq": stored + 1278,
                "cursor": stored + 1260,
            },
        }

    def dead_letters(self, limit: int) -> list[dict[str, Any]]:
        now = iso(self.clock.now)
        rows = [
            (
                "plant/calender/gap",
                '{"v": 71.2, "u": "mm"}',
                "UNKNOWN_TAG",
                "No sensor reads this topic. Add the row proposed under Discovery.",
                1204,
            ),
            (
                "twin/v1/lab/dry-end/pilot/calender/line_load",
                '{"v": 9999.0}',
                "RANGE",
                (
                    "9999 N/mm is outside the physical range 0 to 1000 N/mm. Check the load cell "
                    "amplifier, or correct range in line.toml."
                ),
                41,
            ),
            (
                "twin/v1/lab/dry-end/pilot/calender/thickness",
                "<script>alert(1)</script>",
                "DECODE",
                "Not JSON at byte 0. The device must send a number or a JSON object.",
                3,
            ),
        ]
        return [
            {
                "id": event_id(t, r),
                "topic": t,
                "payload": p,
                "reason": r,
                "detail": d,
                "first": iso(START_NS),
                "last": now,
                "count": n,
            }
            for t, p, r, d, n in rows[:limit]
        ]

    def discovery(self) -> list[dict[str, Any]]:
        return [
            {
                "topic": "plant/calender/gap",
                "count": 1204,
                "first": iso(START_NS),
                "last": iso(self.clock.now),
                "example": '{"v": 71.2, "u": "mm"}',
                "proposal": '[[station.sensor]]\nkey = "gap"\ntopic = "plant/calender/gap"\n'
                'path = "v"\nunit = "mm"\nperiod_s = 0.1\n',
            }
        ]

    async def act(self, action: dict[str, Any]) -> dict[str, Any]:
        self.actions.append(action)
        alarm = next((a for a in self._alarms if a["occurrence"] == action["occurrence"]), None)
        if alarm is None:
            return {"ok": False, "code": "unknown", "message": "there is no such occurrence"}
        if action["comment"] == "too late":
            return {"ok": False, "code": "changed", "message": "a newer occurrence exists"}
        after = {"UNACK": "ACKED", "RTNUN": "NORM", "LUNACK": "LACKED"}
        alarm["state"] = after.get(alarm["state"], alarm["state"])
        alarm["acked"] = {
            "by": action["actor"],
            "at": iso(self.clock.now),
            "comment": action["comment"],
        }
        self.add_event("alarm", alarm["sensor"])
        self.wake()
        return {"ok": True, "alarm": alarm}

    async def reload(self, actor: str) -> dict[str, Any]:
        if actor == "eve":
            problem = {
                "file": "line.toml",
                "line": 12,
                "key": "station[0].sensor[1].unit",
                "value": "mm/s",
                "message": "is no length",
            }
            return {"ok": False, "changed": False, "version": "0f3a", "problems": [problem]}
        return {"ok": True, "changed": True, "version": "77aa"}

    def last_event(self) -> int:
        return len(self._events)

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        self.wakes.append(wake)
        return lambda: self.wakes.remove(wake)


def _calm(judged: dict[str, Any] | None) -> str:
    """State without alarm or finding."""
    if judged is None:
        return "measured"
    if judged["verdict"] == "in control":
        return "ok"
    return "learning" if judged.get("code") in {"learning", "self_starting"} else "unjudged"


def _public(finding: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in finding.items() if key != "index"}


@dataclass
class Board:
    """A board under test."""

    app: Starlette
    view: FakeView
    auth: Auth
    clock: FakeClock

    @contextlib.asynccontextmanager
    async def client(self, user: str = "") -> AsyncIterator[httpx.AsyncClient]:
        """A browser without a window; with ``user`` already logged in."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://127.0.0.1:8080",
            headers={"origin": "http://127.0.0.1:8080"},
        ) as client:
            if user:
                answer = await client.post("/api/login", json={"user": user, "password": PASSWORD})
                assert answer.status_code == 200, answer.text
                client.headers["x-csrf-token"] = answer.json()["csrf"]
            yield client


@pytest.fixture
def view() -> FakeView:
    return FakeView()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def auth(tmp_path: Path, clock: FakeClock) -> Auth:
    """One user per role (and ``eve``, a second engineer), with a cheap hash."""
    users = Users(
        tmp_path / "users.json", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    )
    for role in ("viewer", "operator", "engineer", "admin"):
        users.put(role, PASSWORD, role)
    users.put("eve", PASSWORD, "engineer")
    return Auth(users, clock)


@pytest.fixture
def board(view: FakeView, auth: Auth, clock: FakeClock) -> Board:
    """A board bound to loopback."""
    app = create_app(view, info={"version": "0.1.0", "loopback": True}, auth=auth)
    return Board(app, view, auth, clock)


@pytest.fixture
def closed_board(view: FakeView, auth: Auth, clock: FakeClock) -> Board:
    """A board that is reachable from elsewhere."""
    app = create_app(view, info={"version": "0.1.0"}, auth=auth)
    return Board(app, view, auth, clock)
