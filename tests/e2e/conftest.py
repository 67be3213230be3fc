"""A running line as people meet it: the command in a process, MQTT and HTTP from outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "examples" / "bench" / "line.toml"
LONG_S = 60.0
T0 = 1_700_000_000
"""Event time of the first sample of synthetic streams, seconds since 1970 UTC."""

SMALL = """\
[line]
site = "e2e"
name = "l1"
title = "End to end"
too_old_s = "none"

[listener]
enabled = true

[[alarm]]
id = "too-hard"
title = "Pressed too hard"
sensor = "press/force"
when = "above"
limit = 400
deadband = 10
priority = "P2"
cause = "The pressure valve sticks."
consequence = "The coil tears."
action = "Open the gap."

[[station]]
id = "press"
area = "electrode"
title = "Press"

[[station.sensor]]
key = "force"
title = "Force"
unit = "kN"
range = [0, 500]
sampling = "event"
chart = { centre = 300, sigma = 10, rules = "western_electric" }

[[station.sensor]]
key = "p{n}"
title = "Place {n}"
unit = "um"
range = [0, 100]
sampling = "event"
each = { n = "1..8" }
"""


def topic(key: str) -> str:
    """Topic of a sensor of the small line."""
    return f"twin/v1/e2e/electrode/l1/press/{key}"


def sample(number: float, value: float, **more: Any) -> bytes:
    """One sample, ``number`` seconds after T0."""
    return json.dumps({"ts": T0 + number, "value": value, **more}).encode()


def until(done: Callable[[], Any], what: str, seconds: float = LONG_S) -> Any:
    """Poll ``done`` until it is true, and return what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        found = done()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s for {what}")
        time.sleep(0.03)


def free_port() -> int:
    """A TCP port of loopback nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


def command(*args: object) -> list[str]:
    """The command line of this checkout, installed or not."""
    start = "from twin.cli import main; main()"
    return [sys.executable, "-c", start, *map(str, args)]


def environment() -> dict[str, str]:
    """Wide and colourless, so that sentences stay on one line."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TERM": "dumb"}


def linetwin(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*args),
        cwd=cwd or ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def result(*args: object) -> dict[str, Any]:
    """Run a command with ``--json`` that must succeed; its one JSON object."""
    done = linetwin(*args, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1, done.stdout
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def balanced(ledger: dict[str, Any]) -> bool:
    """The equation everything stands on."""
    right = ledger["stored"] + sum(ledger["rejected"].values()) + ledger["pending"]
    return bool(ledger["received"] == right)


class Process:
    """A command that keeps running; its output goes to a file."""

    def __init__(self, log: Path, *args: object) -> None:
        self.log = log
        with log.open("wb") as handle:
            self.popen = subprocess.Popen(
                command(*args), cwd=ROOT, env=environment(), stdout=handle, stderr=handle
            )

    @property
    def text(self) -> str:
        """Everything it said so far."""
        return self.log.read_text("utf-8", "replace")

    def says(self, pattern: str) -> re.Match[str]:
        """Wait until the output matches."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.text)
            if found is None and self.popen.poll() is not None:
                pytest.fail(f"ended with {self.popen.returncode} before {pattern!r}:\n{self.text}")
            return found

        found = until(look, f"{pattern!r} in the output")
        assert isinstance(found, re.Match)
        return found

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait for the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(LONG_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            pytest.fail(f"did not end after signal {number}:\n{self.text}")


class Line:
    """A line in a folder of its own: ``line.toml``, ``data`` and, while it runs, a process.

    Args:
        folder: Everything is in here.
        text: The line description.
    """

    def __init__(self, folder: Path, text: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = folder / "line.toml"
        self.file.write_text(text, "utf-8")
        self.data = folder / "data"
        self.port, self.mqtt = free_port(), free_port()
        self.password = ""
        self.process: Process | None = None
        self._starts = 0
        self._http: httpx.Client | None = None

    def start(self, *args: object, wait: bool = True) -> Line:
        """Run it."""
        self._starts += 1
        self.process = Process(
            self.folder / f"run{self._starts}.log",
            *("run", self.file, "--data", self.data),
            *("--port", self.port, "--mqtt-port", self.mqtt, *args),
        )
        if wait:
            self.ready()
        return self

    def ready(self) -> None:
        """Wait until it serves."""
        assert self.process is not None
        self.process.says("stop +Ctrl-C")
        found = re.search(r"password (\S+)", self.process.text)
        if found:
            self.password = found[1]
        until(lambda: self.http.get("/healthz").status_code == 200, "a healthy engine")

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        assert self.process is not None
        self._close()
        return self.process.end(signal.SIGINT)

    def kill(self) -> None:
        """``kill -9``."""
        if self.process is not None:
            self._close()
            self.process.end(signal.SIGKILL)

    def _close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    @property
    def http(self) -> httpx.Client:
        """A browser without a login."""
        if self._http is None:
            url = f"http://127.0.0.1:{self.port}"
            self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        return self._http

    def get(self, path: str, **query: Any) -> Any:
        """JSON of an address below ``/api``."""
        answer = self.http.get(f"/api/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> httpx.Response:
        """Post as the first user, logging in when needed."""
        origin = {"origin": f"http://127.0.0.1:{self.port}"}
        if self.get("session")["user"] is None:
            login = {"user": "admin", "password": self.password}
            answer = self.http.post("/api/login", json=login, headers=origin)
            assert answer.status_code == 200, answer.text
        csrf = self.get("session")["csrf"]
        return self.http.post(f"/api/{path}", json=body, headers={**origin, "x-csrf-token": csrf})

    def ledger(self) -> dict[str, Any]:
        """The balance now, which holds at every moment."""
        found = self.get("ledger")
        assert found["balanced"], found
        assert balanced(found), found
        return dict(found)

    def settled(self, received: int) -> dict[str, Any]:
        """Wait until so many samples were received and nothing is pending."""

        def look() -> dict[str, Any] | None:
            now = self.ledger()
            return now if now["received"] >= received and not now["pending"] else None

        return dict(until(look, f"{received} samples"))

    def tile(self, sensor: str) -> dict[str, Any]:
        """What the board shows of a sensor."""
        return dict(self.get(f"sensors/{sensor}")["tile"])

    def events(self) -> bytes:
        """``events.jsonl`` of the line as ``linetwin export`` writes it."""
        out = self.folder / "events.jsonl"
        result("export", self.data, out, "--events")
        return out.read_bytes()


def publish(
    port: int, messages: Iterable[tuple[str, bytes]], *, qos: int = 1, client_id: str = "e2e"
) -> int:
    """Publish with paho and wait for every acknowledgement; their number."""
    sender = Sender(port, client_id)
    try:
        for name, payload in messages:
            sender.send(name, payload, qos)
        until(lambda: sender.confirmed == sender.sent, "acknowledgements")
        return sender.sent
    finally:
        sender.close()


class Sender:
    """A device that remembers what was acknowledged to it."""

    def __init__(self, port: int, client_id: str) -> None:
        self.lost = threading.Event()
        self._up = threading.Event()
        self._sent: list[int] = []
        # Appended to on paho's thread, under its lock: nothing may be waited for there.
        self._confirmed: list[int] = []
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, reconnect_on_failure=False
        )
        self._client.max_inflight_messages_set(200)
        self._client.on_connect = lambda *_: self._up.set()
        self._client.on_publish = lambda _client, _data, mid, *_: self._confirmed.append(mid)
        self._client.on_disconnect = lambda *_: self.lost.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._up.wait(LONG_S), "no CONNACK"

    def send(self, name: str, payload: bytes, qos: int = 1) -> None:
        """Hand over a message."""
        self._sent.append(self._client.publish(name, payload, qos).mid)

    @property
    def sent(self) -> int:
        """Messages handed over."""
        return len(self._sent)

    @property
    def confirmed(self) -> int:
        """How many of them were acknowledged."""
        return len(self._confirmed)

    def acked(self) -> set[int]:
        """Which ones: the first message handed over is 0."""
        number = {mid: n for n, mid in enumerate(self._sent)}
        return {number[mid] for mid in list(self._confirmed)}

    def close(self) -> None:
        """Go."""
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Callable[..., Line]]:
    """Makes lines; whatever still runs at the end is killed."""
    made: list[Line] = []

    def make(text: str = SMALL, name: str = "line") -> Line:
        made.append(Line(tmp_path / name, text))
        return made[-1]

    yield make
    for line in made:
        line.kill()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts commands; whatever still runs at the end is killed."""
    made: list[Process] = []

    def start(*args: object) -> Process:
        made.append(Process(tmp_path / f"process{len(made)}.log", *args))
        return made[-1]

    yield start
    for process in made:
        process.end(signal.SIGKILL)


class Broker:
    """A real mosquitto on a free port that drops nothing."""

    def __init__(self, folder: Path, program: str) -> None:
        self.port = free_port()
        self.log = folder / "mosquitto.log"
        settings = folder / "mosquitto.conf"
        settings.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nlog_type all\n"
            "max_queued_messages 0\nmax_inflight_messages 0\n",
            "utf-8",
        )
        with self.log.open("wb") as handle:
            self.popen = subprocess.Popen([program, "-c", settings], stdout=handle, stderr=handle)
        until(lambda: answers(self.port), "the broker")

    def says(self, text: str) -> None:
        """Wait until it logs a text."""
        until(lambda: text in self.log.read_text("utf-8", "replace"), f"{text!r} in its log")

    def end(self) -> None:
        """Stop it."""
        self.popen.terminate()
        self.popen.wait(LONG_S)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Broker]:
    """A real broker."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed")
    broker = Broker(tmp_path, program)
    yield broker
    broker.end()
