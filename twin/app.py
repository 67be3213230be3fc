"""Composition: the only module that knows the twin, its connectors and the board.

A running line is an :class:`Application`: it locks the data folder, opens journal, state and
history, starts the engine's thread, the sources and the board, and takes them down in the order
that loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.mqtt.listener import Listener
from connectors.mqtt.session import Session
from connectors.simulator.script import Script, default_faults
from connectors.simulator.source import SimulatorSource
from connectors.sparkplug.host import rebirth_command
from dashboards.board.app import create_app
from dashboards.board.auth import Auth, Users
from dashboards.board.server import Running, serve
from twin import __version__, config
from twin.clock import SystemClock
from twin.engine.clockwork import Clockwork
from twin.engine.runner import Engine, Told
from twin.engine.store import StateStore
from twin.engine.view import EngineView
from twin.errors import ConfigError, Problem, SourceError
from twin.history import History
from twin.journal import Journal
from twin.model.event import iso
from twin.model.message import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from typing import Self

    from twin.model.event import Event
    from twin.model.index import LineIndex
    from twin.ports import Source

__all__ = ["Application", "RunOptions", "lock_folder"]

log = logging.getLogger("linetwin")

_HOST = "127.0.0.1"
"""The board speaks plain HTTP: a TLS proxy on this machine makes it reachable, with ``login``."""
_PATIENCE_S = 2.0
"""A start that takes longer says what it is doing."""
_ALARM_EVENTS = frozenset(
    {
        "alarm",
        "alarm_cleared",
        "alarm_acknowledged",
        "alarm_shelved",
        "alarm_unshelved",
        "alarm_reset",
        "alarm_retired",
        "system_alarm",
        "system_alarm_cleared",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a line is run.

    Attributes:
        line: The line description.
        data: Folder for journal, state, history and users; nothing is written elsewhere.
        port: Port of the board; None tries 8080 and takes a free one when that is in use.
        mqtt_port: Port of the listener; None takes the line description's, or a free one when
            that is in use.
        simulate: Whether the simulator feeds the line; None means what the line description says.
        seed: Seed of the simulator.
        faults: Script of injected faults.
        speed: How many times faster than real time the simulator runs.
        login: Whether looking at the board needs a login too; needed behind a proxy.
    """

    line: Path
    data: Path
    port: int | None = None
    mqtt_port: int | None = None
    simulate: bool | None = None
    seed: int = 1
    faults: Path | None = None
    speed: float = 1.0
    login: bool = False


class Application:
    """A running line. Use :meth:`running`."""

    def __init__(self, options: RunOptions) -> None:
        self.options = options
        self.clock = SystemClock()
        self.index: LineIndex = config.load_to_run(options.line)
        self.stop = asyncio.Event()
        self.first_password: str | None = None
        self.listener: Listener | None = None
        self.sessions: list[Session] = []
        self.board: Running | None = None
        self.failure: BaseException | None = None
        self.final: dict[str, Any] = {}
        """The ledger when everything had stopped."""

    # -- life ---------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Start everything; stop everything in order at the end."""
        data = self.options.data
        with lock_folder(data):
            loop = asyncio.get_running_loop()
            self.store = StateStore(data / "state.db", __version__)
            self.journal = Journal(data / "journal", self.clock, code_version=__version__)
            snapshot = next(iter(self.store.snapshots()), None)
            self.journal.open(
                at_least=self.store.cursor,
                verify_from=snapshot.cursor + 1 if snapshot else 1,
            )
            self.history = History(data / "history.db")
            self.engine = Engine(
                self.journal,
                self.store,
                self.history,
                self.index,
                lambda told: _to_loop(loop, self._told, told),
            )
            self.view = EngineView(
                self.options.line,
                self.journal,
                self.engine,
                self.store,
                self.history,
                self.clock,
            )
            self.journal.start(loop)
            try:
                await self._warm()
                await asyncio.to_thread(self.engine.catch_up)
                await self._announce()
                self.view.begin()
                self.engine.start()
                _settle_memory()
                async with self._sources(), self._board(data):
                    self._publish_open()
                    yield self
                # Sources are closed: what they handed over is stored, then worked through.
                await self._drain()
            finally:
                await asyncio.to_thread(self._close)

    async def _warm(self) -> None:
        """Compile what this line needs; who has to wait for it is told why."""
        work = asyncio.create_task(asyncio.to_thread(self.engine.warm))
        if not (await asyncio.wait({work}, timeout=_PATIENCE_S))[0]:
            log.warning(
                "compiling the detectors: once after an installation or update, about a minute"
            )
        await work

    def _close(self) -> None:
        self.journal.close()
        self.engine.stop()
        self.final = self.view.ledger()
        self.view.close()
        self.history.close()
        self.store.close()

    async def _announce(self) -> None:
        """Tell the journal what begins here: damage, and the line that holds from now on."""
        damage = self.journal.damage
        if damage is not None and damage.found:
            for first, last in damage.missing or [(0, -1)]:
                body = {"first_seq": first, "last_seq": last, "why": damage.sentence()}
                await self.journal.append(Kind.GAP, msgspec.json.encode(body))
        body = {
            "version": self.index.version,
            "files": self.index.files,
            "actor": "start",
            "code": __version__,
        }
        await self.journal.append(Kind.CONFIG, msgspec.json.encode(body))

    async def _drain(self) -> None:
        """Wait until the engine has worked through what is stored, as long as it makes progress."""
        seen, patience = -1, 0
        while self.engine.alive and patience < 50:
            await asyncio.sleep(0.02)
            if self.journal.stats()["waiting"] == 0 and self.engine.drained():
                return
            patience = patience + 1 if self.engine.processed == seen else 0
            seen = self.engine.processed

    # -- sources ------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _sources(self) -> AsyncIterator[None]:
        clockwork = Clockwork(self.journal, self.engine, self.store, self.history, self.clock)
        tasks = [asyncio.create_task(clockwork.run(), name="twin.clockwork")]
        try:
            for name, source in self._make_sources():
                tasks.append(asyncio.create_task(self._run(source), name=f"twin.source.{name}"))
            if self.listener is not None:
                await self._first({asyncio.create_task(self.listener.started.wait())}, tasks)
            for task in tasks:
                task.add_done_callback(self._ended)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, source: Source) -> None:
        await source.run(self.journal)

    async def _first(
        self, wanted: set[asyncio.Task[Any]], others: list[asyncio.Task[None]]
    ) -> None:
        """Wait for ``wanted``; when another task dies first, raise its error."""
        await asyncio.wait({*wanted, *others}, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            if task.done():
                for waiting in wanted:
                    waiting.cancel()
                task.result()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        log.error("%s ended: %s", task.get_name(), task.exception())
        self.failure = task.exception()
        self.stop.set()

    def _make_sources(self) -> list[tuple[str, Source]]:
        line, options = self.index.line, self.options
        base = options.line.parent
        sources: list[tuple[str, Source]] = []
        # Who names a port wants the listener, whatever the line description says.
        if line.listener.enabled or options.mqtt_port is not None:
            port = options.mqtt_port
            if port is None:
                port = _free_or(line.listener.host, line.listener.port, "MQTT listener")
            settings = line.listener.model_copy(update={"port": port, "enabled": True})
            self.listener = Listener(settings, self.clock, base)
            sources.append(("listener", self.listener))
        for broker in line.broker:
            client_id = broker.client_id or f"{line.line.site}-{line.line.name}-ingest"
            session = Session(broker, client_id, self.clock, base)
            self.sessions.append(session)
            sources.append((broker.id, session))
        simulate = line.line.simulated if options.simulate is None else options.simulate
        if simulate:
            sources.append(("simulator", self._simulator()))
        return sources

    def _simulator(self) -> SimulatorSource:
        script = Script.load(self.options.faults or default_faults(self.options.line))
        return SimulatorSource(
            self.index, self.options.seed, self.clock, speed=self.options.speed, script=script
        )

    # -- what leaves --------------------------------------------------------------------------

    def _told(self, told: Told) -> None:
        self.view.told(told)
        if self.listener is not None:
            for _, event in told.events:
                if event.type in _ALARM_EVENTS:
                    self._publish_alarm(event)
        self._ask_births(told.rebirths)

    def _ask_births(self, nodes: list[tuple[str, str]]) -> None:
        """Ask Sparkplug nodes for their birth certificates, unless the request is an old one."""
        wall = self.clock.wall_ns()
        settings = self.engine.pipeline.index.line.sparkplug
        age_s = (wall - self.engine.pipeline.clock_ns) / 1e9
        if not settings.rebirth or age_s > settings.rebirth_max_age_s:
            return
        for group, node in nodes:
            message = rebirth_command(group, node, wall // 1_000_000)
            for session in self.sessions:
                session.publish(*message)

    def _publish_open(self) -> None:
        """What devices were told before the restart, with the same event ids."""
        with self.engine.lock:
            open_now = [o for _, _, o in self.engine.pipeline.alarms.open()]
        with contextlib.closing(self.store.reader()) as reader:
            for occurrence in open_now:
                for event in reader.newest(occurrence.sensor, _ALARM_EVENTS, 100):
                    if event.detail.get("occurrence") == occurrence.id:
                        self._publish_alarm(event)
                        break

    def _publish_alarm(self, event: Event) -> None:
        """Alarm state as a retained message for devices (lamps, horns, gateways)."""
        head = self.engine.pipeline.index.line.line
        alarm = str(event.detail.get("alarm", ""))
        topic = f"twin/v1/{head.site}/{head.name}/alarm/{alarm}/{event.sensor}"
        body = {
            "event_id": event.id,
            "occurrence": event.detail.get("occurrence"),
            "state": event.detail.get("state"),
            "priority": event.detail.get("priority"),
            "title": event.detail.get("title"),
            "sensor": event.sensor,
            "value": event.value,
            "onset": iso(event.t_first),
            "time": iso(event.t_last),
            "simulated": head.simulated,
        }
        if self.listener is not None:
            self.listener.publish(topic, msgspec.json.encode(body), retain=True)

    # -- board --------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _board(self, data: Path) -> AsyncIterator[None]:
        users = Users(data / "users.json")
        self.first_password = users.first_password
        port = self.options.port
        if port is None:
            port = _free_or(_HOST, 8080, "board")
        info = {"version": __version__, "loopback": not self.options.login}
        app = create_app(self.view, info=info, auth=Auth(users))
        try:
            self.board = await serve(app, _HOST, port)
        except OSError as error:
            raise SourceError(
                f"the board cannot listen on {_HOST}:{port} ({error.strerror}); choose --port"
            ) from error
        try:
            yield
        finally:
            await self.board.close()

    def handle_signals(self) -> None:
        """SIGINT and SIGTERM stop; SIGHUP reads the line description again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._on_hup)

    def _on_hup(self) -> None:
        self._reloading = asyncio.get_running_loop().create_task(self._reload(), name="twin.reload")

    async def _reload(self) -> None:
        answer = await self.view.reload("signal")
        if not answer["ok"]:
            for problem in answer["problems"]:
                log.error("not reloaded: %s", Problem(**problem))
        elif answer["changed"]:
            log.info("line description %s is in force", answer["version"])
        else:
            log.info("line description unchanged")


def _settle_memory() -> None:
    """Spare the collector what lives as long as the process.

    Samples are tuples and arrays without cycles: reference counting frees them, and a collection
    after every 700 of them only walks the line description again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


@contextlib.contextmanager
def lock_folder(data: Path) -> Iterator[None]:
    """Make the data folder; one linetwin works in it, the lock goes with the process."""
    data.mkdir(parents=True, exist_ok=True)
    handle = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                [
                    Problem(
                        file=str(data),
                        line=0,
                        key="--data",
                        value=str(data),
                        message="another linetwin works in this folder",
                        allowed="one process per data folder",
                    )
                ]
            ) from error
        yield
    finally:
        os.close(handle)


def _to_loop(loop: asyncio.AbstractEventLoop, call: Callable[[Told], None], told: Told) -> None:
    # The loop is gone when the engine's last commit happens during shutdown.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, told)


def _free_or(host: str, port: int, what: str) -> int:
    """``port`` when it can be bound, else a free one: the port was not asked for by name."""
    if port == 0:
        return 0
    for candidate in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                log.warning("port %d is in use; the %s takes another one", candidate, what)
                continue
            return int(probe.getsockname()[1])
    return 0
