"""What the board shows: plain data made from the pipeline, the store and the history."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from twin import config
from twin.alarms import Occurrence
from twin.config.propose import propose_row
from twin.engine import group_view, present
from twin.engine.budget_view import BudgetView
from twin.engine.chart_view import control_chart
from twin.engine.freshness import max_silence_s
from twin.engine.rate import CpuMeter, Rate
from twin.engine.runner import balance, ledger_of
from twin.engine.tiles import Tiles
from twin.errors import ConfigError
from twin.model.event import iso
from twin.model.message import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twin.engine.pipeline import Pipeline
    from twin.engine.runner import Engine, Told
    from twin.engine.store import StateStore
    from twin.history import History
    from twin.journal import Journal
    from twin.model.index import LineIndex, SensorRow
    from twin.ports import Clock

__all__ = ["EngineView"]

_BLIND_LAG_S = 60.0
_FAMILY = 5000


class EngineView:
    """Implements :class:`twin.ports.View` beside a running engine.

    Reads take the engine's lock for as long as it takes to copy some numbers.
    """

    def __init__(
        self,
        line_file: Path,
        journal: Journal,
        engine: Engine,
        store: StateStore,
        history: History,
        clock: Clock,
    ) -> None:
        self._line_file = line_file
        self._journal = journal
        self._engine = engine
        self._store = store
        self._history = history
        self._clock = clock
        self._reader = store.reader()
        self._reading = threading.Lock()
        self._tiles = Tiles()
        self._budget = BudgetView(store.reader(), clock)
        self._wakes: list[Callable[[], None]] = []
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._actions = 0
        self._rate = Rate(clock)
        self._started = iso(clock.wall_ns())
        self._cpu = CpuMeter(clock)

    def begin(self) -> None:
        """Count speed and CPU time from here: what is repeated after a restart does not count."""
        self._cpu.start_at(self._engine.pipeline.ingest.received)

    # -- called by the application --------------------------------------------------------------

    def told(self, told: Told) -> None:
        """A commit happened (on the event loop)."""
        for action_id, result in told.results.items():
            waiter = self._waiting.pop(action_id, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(result)
        for wake in list(self._wakes):
            wake()

    # -- the line now ---------------------------------------------------------------------------

    def overview(self, *, sparks: bool = True) -> dict[str, Any]:
        """See :class:`twin.ports.View`."""
        now = self._clock.wall_ns()
        with self._engine.lock:
            pipeline = self._engine.pipeline
            index = pipeline.index
            stations = self._tiles.stations(pipeline, now, self._alarm_by_sensor(), sparks=sparks)
            counts = self._counts()
        head = index.line.line
        return {
            "time": iso(now),
            "line": {
                "site": head.site,
                "name": head.name,
                "title": head.title or head.name,
                "simulated": head.simulated,
                "version": index.version,
            },
            "engine": self._engine_state(),
            "stations": stations,
            "alarms": counts,
        }

    def _engine_state(self) -> dict[str, Any]:
        behind = max(0, self._journal.committed - self._engine.processed)
        self._rate.note(self._engine.processed)
        lag = 0.0
        if behind:
            last = self._engine.pipeline.clock_ns
            lag = max(0.0, (self._clock.wall_ns() - last) / 1e9) if last else 0.0
        alive = self._engine.alive and lag < _BLIND_LAG_S
        detail = self._engine.failure or self._journal.failing
        if not alive and not detail:
            detail = "the engine is behind" if self._engine.alive else "the engine is not running"
        return {
            "alive": alive,
            "lag_s": round(lag, 3),
            "last_seq": self._engine.processed,
            "messages_per_s": round(self._rate.per_second(), 1),
            "since": self._started,
            "detail": detail if not alive else "",
        }

    def _tile(self, row: SensorRow, *, sparks: bool) -> dict[str, Any]:
        now, alarms = self._clock.wall_ns(), self._alarm_by_sensor()
        return self._tiles.tile(self._engine.pipeline, row, now, alarms, sparks=sparks)

    def _alarm_by_sensor(self) -> dict[str, Occurrence]:
        found: dict[str, Occurrence] = {}
        for _, row, occurrence in self._engine.pipeline.alarms.open():
            found.setdefault(row.id, occurrence)
        return found

    def _counts(self) -> dict[str, int]:
        counts = {"P1": 0, "P2": 0, "P3": 0, "P4": 0, "unacked": 0, "shelved": 0}
        for spec, _, occurrence in self._engine.pipeline.alarms.open():
            counts[str(spec.priority)] += 1
            state = occurrence.state()
            counts["unacked"] += state in {"UNACK", "RTNUN", "LUNACK"}
            counts["shelved"] += state == "SHLVD"
        return counts

    # -- one sensor -----------------------------------------------------------------------------

    def sensor(self, sensor: str) -> dict[str, Any] | None:
        """See :class:`twin.ports.View`."""
        with self._engine.lock:
            index = self._engine.pipeline.index
            row = index.by_id.get(sensor)
            if row is None:
                return None
            spec = row.spec
            return {
                "tile": self._tile(row, sparks=True),
                "station": row.station.id,
                "key": spec.key,
                "topic": spec.sparkplug or spec.topic,
                "role": str(spec.role),
                "sampling": str(spec.sampling),
                "period_s": spec.period_s,
                "max_silence_s": max_silence_s(spec),
                "range": spec.range,
                "operating": spec.operating,
                "control": spec.control,
                "chart": spec.chart.model_dump() if spec.chart else None,
                "samples": int(self._engine.pipeline.latest.count[row.index]),
            }

    def series(
        self, sensor: str, start_ns: int | None, end_ns: int | None, points: int
    ) -> dict[str, Any]:
        """See :class:`twin.ports.View`."""
        row = self._index().by_id.get(sensor)
        unit = row.spec.unit if row else "1"
        empty: dict[str, Any] = {
            "sensor": sensor,
            "unit": unit,
            "t": [],
            "mean": [],
            "min": [],
            "max": [],
        }
        if row is None:
            return empty
        found = self._history.series(sensor, start_ns, end_ns, points)
        if not len(found["t"]):
            return empty
        return {
            **empty,
            "start": iso(int(found["t"][0])),
            "end": iso(int(found["t"][-1])),
            "t": (np.asarray(found["t"]) / 1e9).tolist(),
            "mean": present.numbers(found["mean"]),
            "min": present.numbers(found["min"]),
            "max": present.numbers(found["max"]),
        }

    def chart(self, sensor: str, points: int) -> dict[str, Any] | None:
        """See :class:`twin.ports.View`."""
        with self._engine.lock:
            pipeline = self._engine.pipeline
            row = pipeline.index.by_id.get(sensor)
            if row is None:
                return None
            tile = self._tile(row, sparks=False)
            drawn = control_chart(pipeline.detection, row, pipeline.index, points)
            open_now = {event.id for event in pipeline.detection.open_findings(row.index)}
        answer: dict[str, Any] = {
            "sensor": sensor,
            "title": tile["title"],
            "unit": row.spec.unit,
            "limits": tile["limits"],
            "state": tile["state"],
            **drawn,
        }
        if "t" not in drawn:
            newest = self._history.last(sensor, points)
            answer["t"] = (np.asarray(newest["t"]) / 1e9).tolist()
            answer["v"] = present.numbers(newest["value"])
            answer["rules"] = [[] for _ in answer["t"]]
            answer["plotted_unit"] = row.spec.unit
            if drawn.get("mode") != "raw":
                # Samples are no points of this chart: its limits do not belong beside them.
                answer |= dict.fromkeys(("centre", "sigma", "lcl", "ucl"))
        answer["findings"] = self._findings(sensor, open_now)
        return answer

    def _findings(self, sensor: str, open_now: set[str]) -> list[dict[str, Any]]:
        with self._reading:
            found = self._reader.newest(sensor, ("finding", "validity"), 50)
        return [present.finding(event, is_open=event.id in open_now) for event in found]

    # -- groups and the budget ------------------------------------------------------------------

    def groups(self) -> list[dict[str, Any]]:
        """See :class:`twin.ports.View`."""
        with self._engine.lock:
            pipeline = self._engine.pipeline
            return [
                self._group(pipeline, number) for number in range(len(pipeline.index.line.group))
            ]

    def group(self, group: str, points: int) -> dict[str, Any] | None:
        """See :class:`twin.ports.View`."""
        with self._engine.lock:
            pipeline = self._engine.pipeline
            names = [spec.id for spec in pipeline.index.line.group]
            if group not in names:
                return None
            number = names.index(group)
            answer = self._group(pipeline, number)
            answer |= group_view.plotted(pipeline.detection, number, points)
            open_now = {event.id for event in pipeline.detection.group_findings(number)}
        answer["findings"] = self._findings(answer["sensor"], open_now)
        return answer

    def _group(self, pipeline: Pipeline, number: int) -> dict[str, Any]:
        row = pipeline.index.groups()[number]
        now, alarms = self._clock.wall_ns(), self._alarm_by_sensor()
        tile = self._tiles.group(pipeline, row, number, now, alarms, sparks=False)
        answer = group_view.group(pipeline.detection, pipeline.index, number)
        return answer | {"state": tile["state"], "time": tile["time"]}

    async def budget(self) -> dict[str, Any]:
        """See :class:`twin.ports.View`."""
        return await asyncio.to_thread(self._budget.answer, self._index())

    def _index(self) -> LineIndex:
        with self._engine.lock:
            return self._engine.pipeline.index

    # -- alarms ---------------------------------------------------------------------------------

    def alarms(self, *, history: bool) -> list[dict[str, Any]]:
        """See :class:`twin.ports.View`."""
        with self._engine.lock:
            alarms = self._engine.pipeline.alarms
            current = [present.alarm(spec, row, o) for spec, row, o in alarms.open()]
            index = self._engine.pipeline.index
        if not history:
            return current
        specs = {spec.id: spec for spec in index.line.alarm}
        rows = index.by_id | {row.id: row for row in index.groups()}
        live = {entry["occurrence"]: entry for entry in current}
        found = []
        with self._reading:
            stored = self._reader.occurrences(500)
        acked: dict[tuple[str, str], Occurrence] = {}
        for body in stored:
            occurrence = msgspec.convert(body, Occurrence)
            _cover(occurrence, acked)
            spec, row = specs.get(occurrence.alarm), rows.get(occurrence.sensor)
            if occurrence.id in live:
                found.append(live[occurrence.id])
            elif spec is not None and row is not None:
                found.append(present.alarm(spec, row, occurrence))
        return found

    async def act(self, action: dict[str, Any]) -> dict[str, Any]:
        """See :class:`twin.ports.View`."""
        self._actions += 1
        action_id = f"{self._clock.wall_ns()}-{self._actions}"
        waiter: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[action_id] = waiter
        try:
            await self._journal.append(
                Kind.ACTION,
                msgspec.json.encode({**action, "action_id": action_id}),
                source=f"board:{action.get('actor', '')}",
            )
            result = await asyncio.wait_for(waiter, 30)
        except TimeoutError:
            return {
                "ok": False,
                "code": "refused",
                "message": "the action is stored; the engine has not carried it out yet",
            }
        finally:
            self._waiting.pop(action_id, None)
        wanted = str(action.get("occurrence", ""))
        alarm = next((a for a in self.alarms(history=True) if a["occurrence"] == wanted), None)
        return {**result, "alarm": alarm}

    async def reload(self, actor: str) -> dict[str, Any]:
        """See :class:`twin.ports.View`."""
        before = self._index().version
        try:
            index = await asyncio.to_thread(config.load_to_run, self._line_file)
        except ConfigError as error:
            return {
                "ok": False,
                "changed": False,
                "version": before,
                "problems": [
                    {
                        "file": p.file,
                        "line": p.line,
                        "key": p.key,
                        "value": p.value,
                        "message": p.message,
                        "allowed": p.allowed,
                        "severity": p.severity,
                    }
                    for p in error.problems
                ],
            }
        if index.version == before:
            return {"ok": True, "changed": False, "version": before, "problems": []}
        warnings = self._not_before_restart(index)
        await self.activate(index, actor)
        return {"ok": True, "changed": True, "version": index.version, "problems": warnings}

    def _not_before_restart(self, index: LineIndex) -> list[dict[str, Any]]:
        """Warnings about tables that are only read when linetwin starts."""
        now = self._index().line
        return [
            {
                "file": self._line_file.name,
                "line": 0,
                "key": key,
                "value": "",
                "message": "changed; connections are opened anew at the next start only",
                "allowed": "",
                "severity": "warning",
            }
            for key in ("listener", "broker")
            if getattr(now, key) != getattr(index.line, key)
        ]

    async def activate(self, index: LineIndex, actor: str) -> None:
        """Put a version of the line into the journal and wait until the engine works with it."""
        body = {"version": index.version, "files": index.files, "actor": actor}
        seq = await self._journal.append(Kind.CONFIG, msgspec.json.encode(body))
        await self.committed(seq)

    async def committed(self, seq: int) -> None:
        """Wait until the results of entry ``seq`` are on disk, or the engine has failed."""
        while self._store.cursor < seq and self._engine.alive:
            turn = asyncio.Event()
            stop = self.subscribe(turn.set)
            try:
                await asyncio.wait_for(turn.wait(), 1.0)
            except TimeoutError:
                continue
            finally:
                stop()

    # -- lists ----------------------------------------------------------------------------------

    def products(self, limit: int) -> list[dict[str, Any]]:
        """See :class:`twin.ports.View`."""
        with self._engine.lock:
            # Children are younger than their parents: the newest hold those of what is shown.
            table = self._engine.pipeline.products.table(max(limit, _FAMILY))
        rows = sorted(table, key=lambda row: row["t_start"] or 0, reverse=True)[:limit]
        children: dict[str, int] = {}
        for row in table:
            for parent in row["parents"]:
                children[parent] = children.get(parent, 0) + 1
        return [
            {
                "id": row["id"],
                "kind": row["kind"],
                "station": row["station"],
                "started": iso(row["t_start"]) if row["t_start"] else None,
                "ended": iso(row["t_end"]) if row["t_end"] else None,
                "length_m": row["length"],
                "parents": [{"id": parent} for parent in row["parents"]],
                "children": children.get(row["id"], 0),
            }
            for row in rows
        ]

    def events(self, after: int, limit: int, sensor: str) -> list[dict[str, Any]]:
        """See :class:`twin.ports.View`."""
        with self._reading:
            found = self._reader.events(after, limit, sensor)
        return [present.event(number, event) for number, event in found]

    def dead_letters(self, limit: int) -> list[dict[str, Any]]:
        """See :class:`twin.ports.View`."""
        with self._reading:
            rows = self._reader.dead(limit)
        return [
            {
                "id": row["id"],
                "topic": row["topic"],
                "payload": row["payload"][:2048].decode("utf-8", "backslashreplace"),
                "reason": row["reason"],
                "detail": row["detail"],
                "first": iso(row["first_ns"]),
                "last": iso(row["last_ns"]),
                "count": row["count"],
            }
            for row in rows
        ]

    def discovery(self) -> list[dict[str, Any]]:
        """See :class:`twin.ports.View`."""
        with self._engine.lock:
            found = sorted(
                self._engine.pipeline.ingest.discovery.found.values(), key=lambda f: -f.last_ns
            )[:500]
            return [
                {
                    "topic": entry.topic,
                    "count": entry.count,
                    "first": iso(entry.first_ns),
                    "last": iso(entry.last_ns),
                    "example": entry.examples[0].decode("utf-8", "backslashreplace")
                    if entry.examples
                    else "",
                    "proposal": propose_row(entry.topic, entry.examples),
                }
                for entry in found
            ]

    def ledger(self) -> dict[str, Any]:
        """See :class:`twin.ports.View`."""
        stats = self._journal.stats()
        with self._engine.lock:
            counts = ledger_of(self._engine.pipeline)
            processed = self._engine.processed
            pending = self._engine.pending()
            sources = [(name, dict(s)) for name, s in self._engine.pipeline.sources.items()]
        committed = self._journal.committed
        return {
            **balance(counts, pending),
            "messages": {"received": committed, "processed": processed},
            "events_sha256": self._store.events_sha256(),
            "duplicates": counts["rejected"].get("DUPLICATE", 0),
            "samples_per_second": self._cpu.per_second(counts["received"]),
            "cpu_us_per_sample": self._cpu.us_per(counts["received"]),
            "sources": [
                {
                    "source": name,
                    "messages": entry["messages"],
                    "last": iso(entry["last_ns"]) if entry["last_ns"] else None,
                    "state": entry["state"],
                    "detail": entry.get("detail", ""),
                }
                for name, entry in sources
            ],
            "journal": {
                "segments": stats["segments"],
                "bytes": stats["bytes"],
                "last_seq": committed,
                "cursor": self._store.cursor,
            },
        }

    def last_event(self) -> int:
        """See :class:`twin.ports.View`."""
        return self._store.last_event

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """See :class:`twin.ports.View`."""
        self._wakes.append(wake)

        def stop() -> None:
            if wake in self._wakes:
                self._wakes.remove(wake)

        return stop

    def close(self) -> None:
        """Let go of the store."""
        self._budget.close()
        self._reader.close()


def _cover(occurrence: Occurrence, acked: dict[tuple[str, str], Occurrence]) -> None:
    """Acknowledging an occurrence acknowledges those before it; newest come first."""
    key = occurrence.alarm, occurrence.sensor
    newer = acked.get(key)
    if occurrence.acked_ns:
        acked[key] = occurrence
    elif newer is not None and not occurrence.active:
        occurrence.acknowledge(newer.acked_by, newer.comment, newer.acked_ns)
