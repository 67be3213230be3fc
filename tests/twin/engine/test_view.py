"""What the board sees of a running engine: real journal, store and history, every method."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from dashboards.board.shapes import SHAPES, check
from twin import config
from twin.engine.runner import Engine, EngineSettings
from twin.engine.store import StateStore
from twin.engine.view import EngineView
from twin.history import History
from twin.journal import Journal, JournalSettings
from twin.model.message import Block, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

S = 1_000_000_000
T0 = 1_760_000_000
TOPIC = "twin/v1/lab/line/one/oven/"


class StoppedClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = T0

    def wall_ns(self) -> int:
        return self.now * S

    def mono_ns(self) -> int:
        return self.now * S


class Twin:
    """Everything between the connectors and the board, in one folder."""

    def __init__(self, folder: Path, text: str) -> None:
        self.line = folder / "line.toml"
        if not self.line.exists():
            self.line.write_text(text)
        self.folder = folder
        self.clock = StoppedClock()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Twin]:
        index, loop = config.load(self.line), asyncio.get_running_loop()
        self.store = StateStore(self.folder / "state.db", "test")
        settings = JournalSettings(ballast_bytes=0, min_interval_s=0.0)
        self.journal = Journal(
            self.folder / "journal", self.clock, code_version="test", settings=settings
        )
        self.journal.open(at_least=self.store.cursor)
        history = History(self.folder / "history.db")

        def tell(told: Any) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self.view.told, told)

        self.engine = Engine(
            self.journal, self.store, history, index, tell, EngineSettings(commit_s=0.0)
        )
        self.view = EngineView(
            self.line, self.journal, self.engine, self.store, history, self.clock
        )
        self.journal.start(loop)
        try:
            await asyncio.to_thread(self.engine.catch_up)
            self.engine.start()
            await self.view.activate(index, "start")
            yield self
        finally:
            await asyncio.to_thread(self.journal.close)
            await asyncio.to_thread(self.engine.stop)
            self.view.close()
            history.close()
            self.store.close()

    async def send(self, *rows: tuple[int, str, object], source: str = "mqtt:a") -> None:
        """Messages at (second, key, value), worked through and committed."""
        block = Block(source)
        for at, key, value in rows:
            body = msgspec.json.encode({"value": value, "ts": (T0 + at) * 1000})
            block.add(TOPIC + key, body, (T0 + at) * S)
            self.clock.now = max(self.clock.now, T0 + at)
        durable = asyncio.Event()
        self.journal.put(block, durable.set)
        await asyncio.wait_for(durable.wait(), 10)
        await self.view.committed(self.journal.committed)

    async def product(self, op: str, name: str, at: int, **more: Any) -> None:
        """A product message."""
        body = {"op": op, "id": name, "ts": (T0 + at) * 1000, **more}
        block = Block("mqtt:a")
        block.add(TOPIC + "product", msgspec.json.encode(body), (T0 + at) * S)
        durable = asyncio.Event()
        self.journal.put(block, durable.set)
        await asyncio.wait_for(durable.wait(), 10)
        await self.view.committed(self.journal.committed)

    def tile(self, sensor: str) -> dict[str, Any]:
        """Tile of a sensor on the overview."""
        tiles = [t for s in self.view.overview()["stations"] for t in s["tiles"]]
        return next(tile for tile in tiles if tile["sensor"] == sensor)


@pytest.fixture
async def twin(tmp_path: Path, text: str) -> AsyncIterator[Twin]:
    """A running twin that has seen a coil, a hot oven, a wrong value and an unknown topic."""
    async with Twin(tmp_path, text).running() as made:
        await made.product("start", "coil-1", 0, kind="coil")
        await made.send(*((t, "metre", 0.5 * t) for t in range(1, 6)))
        await made.send(*((t, "temp", 50 + t % 2) for t in range(1, 5)))
        await made.send((6, "temp", 90), (6, "temp", 90), (6, "slow", "x"), (6, "what/is/this", 5))
        yield made


async def answers(twin: Twin) -> dict[str, list[Any]]:
    """What every reading method answers, by method."""
    view = twin.view
    return {
        "overview": [view.overview(), view.overview(sparks=False)],
        "sensor": [view.sensor(row) for row in ("oven/metre", "oven/temp", "oven/slow")],
        "series": [
            view.series("oven/temp", None, None, 100),
            view.series("oven/temp", T0 * S, (T0 + 3) * S, 2),
            view.series("oven/slow", None, None, 100),
            view.series("no/body", None, None, 100),
        ],
        "chart": [view.chart("oven/temp", 50), view.chart("oven/metre", 50)],
        "alarms": [view.alarms(history=False), view.alarms(history=True)],
        "products": [view.products(10)],
        "events": [view.events(0, 100, ""), view.events(0, 1, "oven/temp")],
        "ledger": [view.ledger()],
        "dead_letters": [view.dead_letters(10)],
        "discovery": [view.discovery()],
        "groups": [view.groups()],
        "group": [view.group(group["id"], 50) for group in view.groups()],
        "budget": [await view.budget()],
    }


async def test_every_method_has_its_shape(twin: Twin) -> None:
    """Whatever the board asks for comes in the shape it was promised."""
    found = await answers(twin)
    assert set(found) == set(SHAPES) - {"act", "reload"}
    for method, data in found.items():
        for answer in data:
            assert answer is not None
            check(method, answer)


async def test_empty_line_has_the_same_shapes(tmp_path: Path, text: str) -> None:
    """Before the first sample nothing is missing but data."""
    async with Twin(tmp_path, text).running() as twin:
        for method, data in (await answers(twin)).items():
            for answer in data:
                check(method, answer)
        assert twin.tile("oven/temp")["state"] == "nodata"
        assert twin.view.ledger()["received"] == 0


async def test_overview_shows_the_line_now(twin: Twin) -> None:
    """Values, states, the piece at the station, and how many alarms wait."""
    over = twin.view.overview()
    assert over["engine"]["alive"]
    assert over["line"]["version"] == twin.engine.pipeline.index.version
    assert over["alarms"]["P2"] == 1
    assert over["alarms"]["unacked"] == 2
    tile = twin.tile("oven/temp")
    assert (tile["value"], tile["state"], tile["unit"]) == (90.0, "alarm", "Cel")
    assert tile["spark"] == [51.0, 50.0, 51.0, 50.0, 90.0]
    assert tile["finding"]["rule"] == "rule1"
    assert over["stations"][0]["product"]["id"] == "coil-1"
    assert twin.view.overview(sparks=False)["stations"][0]["tiles"][1]["spark"] == []


async def test_tile_goes_stale_by_the_clock(twin: Twin) -> None:
    """A value that nobody renewed is not shown as live, even before the engine says so."""
    assert twin.tile("oven/metre")["state"] == "measured"
    twin.clock.now = T0 + 60
    assert twin.tile("oven/metre")["state"] == "stale"
    assert twin.tile("oven/temp")["age_s"] == 54.0


async def test_unknown_sensor(twin: Twin) -> None:
    """Nobody is an answer of its own."""
    assert twin.view.sensor("no/body") is None
    assert twin.view.chart("no/body", 10) is None
    assert twin.view.series("no/body", None, None, 10)["t"] == []


async def test_chart_and_series_hold_the_samples(twin: Twin) -> None:
    """The chart has points, limits and findings; the series has the same values."""
    chart = twin.view.chart("oven/temp", 50)
    assert chart is not None
    assert chart["v"] == [51.0, 50.0, 51.0, 50.0, 90.0]
    assert (chart["lcl"], chart["centre"], chart["ucl"]) == (44, 50, 56)
    assert [f["rule"] for f in chart["findings"]] == ["rule1"]
    assert chart["findings"][0]["open"]
    assert chart["rules"][-1] == ["rule1"]
    series = twin.view.series("oven/temp", None, None, 100)
    assert series["t"] == [T0 + t for t in (1, 2, 3, 4, 6)]
    assert series["max"] == [51.0, 50.0, 51.0, 50.0, 90.0]


async def test_ledger_balances_to_the_sample(twin: Twin) -> None:
    """Received equals stored and rejected; every rejection has its reason."""
    ledger = twin.view.ledger()
    assert ledger["balanced"]
    assert ledger["pending"] == 0
    assert ledger["stored"] == 11  # ten samples and a product message
    assert ledger["rejected"] == {"DUPLICATE": 1, "SCHEMA": 1, "UNKNOWN_TAG": 1}
    assert ledger["received"] == 14
    assert ledger["events_sha256"] == twin.store.events_sha256()
    assert {s["source"]: s["state"] for s in ledger["sources"]} == {"mqtt:a": "ok"}


async def test_refused_and_unknown_are_listed(twin: Twin) -> None:
    """Dead letters say why; an unknown topic comes with a proposed row."""
    letters = {letter["reason"]: letter for letter in twin.view.dead_letters(10)}
    assert letters["SCHEMA"]["topic"] == TOPIC + "slow"
    assert letters["SCHEMA"]["detail"]
    (unknown,) = twin.view.discovery()
    assert unknown["topic"] == TOPIC + "what/is/this"
    assert "[[station.sensor]]" in unknown["proposal"]


async def test_events_have_numbers_without_holes(twin: Twin) -> None:
    """A board that asks after the last number it knows misses nothing."""
    events = twin.view.events(0, 100, "")
    assert [event["number"] for event in events] == list(range(1, twin.view.last_event() + 1))
    assert twin.view.events(twin.view.last_event(), 100, "") == []
    assert {e["sensor"] for e in twin.view.events(0, 100, "oven/temp")} == {"oven/temp"}


async def test_acknowledging_is_answered_when_it_is_stored(twin: Twin) -> None:
    """The answer carries the alarm as it is now; the action stands in the journal."""
    alarm = next(a for a in twin.view.alarms(history=False) if a["alarm"] == "hot")
    assert (alarm["state"], alarm["limit"], alarm["action"]) == ("UNACK", 70.0, "stop the oven")
    action = {"op": "ack", "occurrence": alarm["occurrence"], "comment": "seen", "actor": "ann"}
    answer = await twin.view.act(action)
    check("act", answer)
    assert answer["ok"]
    assert answer["alarm"]["state"] == "ACKED"
    assert answer["alarm"]["acked"]["by"] == "ann"
    again = await twin.view.act(action)
    check("act", again)
    assert (again["ok"], again["code"]) == (False, "refused")
    unknown = await twin.view.act({**action, "occurrence": "feed"})
    check("act", unknown)
    assert (unknown["ok"], unknown["code"], unknown["alarm"]) == (False, "unknown", None)
    runs = twin.journal.read(1, 1000)
    assert sum(len(run) for run in runs if run.kind is Kind.ACTION) == 3


async def test_acknowledging_covers_the_earlier_ones(twin: Twin) -> None:
    """Occurrences that nobody saw are no longer waiting when the newest is acknowledged."""
    await twin.send((8, "temp", 50), (10, "temp", 90))
    first, second = sorted(
        (a for a in twin.view.alarms(history=True) if a["alarm"] == "hot"),
        key=lambda a: a["count"],
    )
    assert (first["state"], second["state"]) == ("RTNUN", "UNACK")
    stale = await twin.view.act({"op": "ack", "occurrence": first["occurrence"], "actor": "ann"})
    assert stale["code"] == "changed"
    await twin.view.act({"op": "ack", "occurrence": second["occurrence"], "actor": "ann"})
    states = {a["count"]: a for a in twin.view.alarms(history=True) if a["alarm"] == "hot"}
    assert (states[1]["state"], states[2]["state"]) == ("NORM", "ACKED")
    assert states[1]["acked"]["by"] == "ann"


async def test_restart_keeps_everything(tmp_path: Path, text: str) -> None:
    """After a restart the same alarms, events, values and counts are there."""
    async with Twin(tmp_path, text).running() as twin:
        await twin.send((1, "temp", 50), (2, "temp", 90))
        alarm = next(a for a in twin.view.alarms(history=False) if a["alarm"] == "hot")
        await twin.view.act({"op": "ack", "occurrence": alarm["occurrence"], "actor": "ann"})
        before = (
            twin.view.alarms(history=False),
            twin.view.ledger()["received"],
            twin.view.series("oven/temp", None, None, 10)["mean"],
            [e for e in twin.view.events(0, 100, "") if e["type"] != "config"],
        )
    async with Twin(tmp_path, text).running() as again:
        after = (
            again.view.alarms(history=False),
            again.view.ledger()["received"],
            again.view.series("oven/temp", None, None, 10)["mean"],
            [e for e in again.view.events(0, 100, "") if e["type"] != "config"],
        )
        assert again.tile("oven/temp")["value"] == 90.0
    assert after == before


async def test_reload_takes_effect_at_once(twin: Twin) -> None:
    """A changed description is in force when the answer comes; alarms that stay go on."""
    before = {a["alarm"]: a["occurrence"] for a in twin.view.alarms(history=False)}
    changed = twin.line.read_text().replace('title = "Temperature"', 'title = "Heat"')
    twin.line.write_text(changed + '\n[[station]]\nid = "new"\n')
    answer = await twin.view.reload("ann")
    check("reload", answer)
    assert (answer["ok"], answer["changed"]) == (True, True)
    assert answer["version"] == twin.view.overview()["line"]["version"]
    assert [s["id"] for s in twin.view.overview()["stations"]] == ["oven", "new"]
    assert twin.tile("oven/temp")["title"] == "Heat"
    assert {a["alarm"]: a["occurrence"] for a in twin.view.alarms(history=False)} == before
    same = await twin.view.reload("ann")
    check("reload", same)
    assert (same["ok"], same["changed"]) == (True, False)


async def test_broken_description_changes_nothing(twin: Twin) -> None:
    """Every problem is named with its line; the old description stays in force."""
    before = twin.view.overview()["line"]["version"]
    twin.line.write_text(twin.line.read_text().replace('unit = "Cel"', 'unit = "warm"'))
    answer = await twin.view.reload("ann")
    check("reload", answer)
    assert (answer["ok"], answer["changed"], answer["version"]) == (False, False, before)
    assert answer["problems"][0]["line"] > 0
    assert twin.view.overview()["line"]["version"] == before
    twin.line.unlink()
    answer = await twin.view.reload("ann")
    check("reload", answer)
    assert not answer["ok"]


async def test_failed_engine_is_not_shown_as_alive(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the engine fails the board says so; messages are still taken."""

    def fail(_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(twin.engine.pipeline, "feed", fail)
    taken = twin.journal.committed
    await twin.send((20, "temp", 50))
    assert twin.journal.committed > taken
    over = twin.view.overview()
    check("overview", over)
    assert not over["engine"]["alive"]
    assert over["engine"]["detail"] == "RuntimeError: boom"
    ledger = twin.view.ledger()
    assert (ledger["pending"], ledger["balanced"]) == (1, True)


async def test_engine_that_is_behind_is_not_shown_as_alive(twin: Twin) -> None:
    """Values that are a minute old are not the line now."""
    async with _held(twin):
        block = Block("mqtt:a")
        block.add(TOPIC + "temp", b"50", (T0 + 7) * S)
        durable = asyncio.Event()
        twin.journal.put(block, durable.set)
        await asyncio.wait_for(durable.wait(), 10)
        twin.clock.now = T0 + 200
        state = twin.view._engine_state()
    assert (state["alive"], state["detail"]) == (False, "the engine is behind")
    await twin.view.committed(twin.journal.committed)
    assert twin.view.overview()["engine"]["alive"]


@contextlib.asynccontextmanager
async def _held(twin: Twin) -> AsyncIterator[None]:
    """The engine cannot go on meanwhile."""
    await asyncio.to_thread(twin.engine.lock.acquire)
    try:
        yield
    finally:
        twin.engine.lock.release()


async def test_watchers_are_woken_until_they_leave(twin: Twin) -> None:
    """Every commit wakes who subscribed; leaving twice is harmless."""
    woken = []
    stop = twin.view.subscribe(lambda: woken.append(1))
    await twin.send((30, "temp", 50))
    assert woken
    stop()
    stop()
    woken.clear()
    await twin.send((31, "temp", 50))
    assert not woken
