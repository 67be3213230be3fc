"""The same through a real broker, beside clients that only receive."""

from __future__ import annotations

import statistics
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from twin.cli.benches import lines
from twin.cli.benches.children import Child, free_port, helper, wait_for_port
from twin.cli.benches.figure import Figure, Work, skipped
from twin.cli.benches.machine import find_program
from twin.cli.benches.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twin.cli.benches.children import Helper
    from twin.cli.benches.running import Twin

__all__ = ["measure"]

_MESSAGES = 100_000
_PEER_MESSAGES = 16_000
_DEVICES = 4
_RATE = 8000.0
"""Messages per second: every receiver keeps up, so none is measured on a backlog."""
_UNIT = "µs CPU/message"
_TOPIC = f"{lines.SITE}/{lines.NAME}/#"
_PEERS = {
    "mosquitto_sub": "mosquitto_sub, receives only",
    "paho": "paho, receives only",
    "gmqtt": "gmqtt, receives only",
    "aiomqtt": "aiomqtt, receives only",
}


def measure(work: Work) -> list[Figure]:
    """Processor time of linetwin per message, and of clients that only receive."""
    program = find_program("mosquitto")
    if program is None:
        return [skipped("session.message", _UNIT, "mosquitto is not installed")]
    count, peer_count = work.count(_MESSAGES, 2000), work.count(_PEER_MESSAGES, 1000)
    fast: list[float] = []
    same: list[float] = []
    peers: dict[str, list[float]] = {name: [] for name in _PEERS}
    with helper("load", work.folder) as load:
        for run in range(work.runs):
            folder = work.folder / f"session-{run}"
            folder.mkdir()
            work.say(f"run {run + 1}: linetwin, then {', '.join(_PEERS)}")
            with _broker(program, folder) as port:
                found = _linetwin(load, folder, port, (count, peer_count))
                fast.append(found[0])
                same.append(found[1])
                for name in _PEERS:
                    if not _missing(name):
                        peers[name].append(_peer(load, folder, name, port, peer_count))
    comparison = [_compared(name, found) for name, found in peers.items()]
    conditions = {
        "payload": lines.messages(1)[0].payload.decode(),
        "broker": "mosquitto on the same cores, not counted",
        "mqtt": "linetwin, paho, gmqtt 5; aiomqtt, mosquitto_sub 3.1.1; all QoS 1",
        "linetwin": "received, stored, checked, charted, judged",
    }
    return [
        Figure(
            name="session.message",
            unit=_UNIT,
            runs=fast,
            conditions={**conditions, "messages": count, "load": "as fast as the broker forwards"},
        ),
        Figure(
            name="session.message_at_peer_load",
            unit=_UNIT,
            runs=same,
            conditions={**conditions, "messages": peer_count, "messages_per_second": _RATE},
            comparison=comparison,
        ),
    ]


def _missing(name: str) -> str:
    if name == "mosquitto_sub":
        return "" if find_program(name) else "mosquitto_sub is not installed"
    module = "paho.mqtt" if name == "paho" else name
    try:
        return "" if find_spec(module) else f"{name} is not installed"
    except ModuleNotFoundError:
        return f"{name} is not installed"


def _compared(name: str, found: list[float]) -> dict[str, Any]:
    title = _PEERS[name]
    if not found:
        return {"name": title, "skipped": _missing(name)}
    return {"name": title, "value": round(statistics.median(found), 2), "unit": _UNIT}


@contextmanager
def _broker(program: str, folder: Path) -> Iterator[int]:
    """A mosquitto of its own on loopback that never drops a message; its port."""
    port = free_port()
    settings = folder / "mosquitto.conf"
    settings.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        "max_queued_messages 0\nmax_inflight_messages 0\nlog_type error\n",
        encoding="utf-8",
    )
    child = Child("mosquitto", [program, "-c", str(settings)], folder)
    try:
        wait_for_port(child, port, 10.0)
        yield port
    finally:
        child.end()


def _load(port: int, count: int, rate: float, first: int = 0) -> dict[str, Any]:
    return {"port": port, "count": count, "devices": _DEVICES, "rate": rate, "first": first}


def _linetwin(
    load: Helper, folder: Path, port: int, counts: tuple[int, int]
) -> tuple[float, float]:
    """Processor time of a running line per message, µs: at full speed, then at the peers' load."""
    line = folder / "line.toml"
    broker = (
        f'\n[listener]\nenabled = false\n\n[[broker]]\nid = "bench"\nhost = "127.0.0.1"\n'
        f'port = {port}\ntopics = ["{_TOPIC}"]\n'
    )
    line.write_text(lines.BENCH_LINE + broker, encoding="utf-8")
    full, steady = counts
    with running(line, folder, "--no-simulator") as twin:
        twin.wait_connected(30.0)
        load.prepare(_load(port, full, 0.0))
        fast = _take(load, twin, full) / full
        load.prepare(_load(port, steady, _RATE, full))
        same = _take(load, twin, full + steady) / steady
        twin.stop()
    if twin.outcome["stored"] != full + steady:
        raise RuntimeError(f"{full + steady} sent: {twin.outcome}")
    return fast * 1e6, same * 1e6


def _take(load: Helper, twin: Twin, received: int) -> float:
    """Processor time until everything is judged, s."""
    before = twin.cpu_s()
    load.go()
    load.result(120.0)
    twin.wait_received(received, 120.0)
    return twin.cpu_s() - before


def _peer(load: Helper, folder: Path, name: str, port: int, count: int) -> float:
    """Processor time of a bare receiver per message, µs."""
    load.prepare(_load(port, count, _RATE))
    if name == "mosquitto_sub":
        return _wire(load, folder, port, count)
    with helper("receivers", folder) as receiver:
        receiver.prepare({"client": name, "port": port, "count": count, "topic": _TOPIC})
        load.go()
        load.result(120.0)
        told = receiver.result(120.0)
    if told["missing"]:
        raise RuntimeError(f"{name} missed {told['missing']} of {count} messages")
    return float(told["cpu_s"]) / count * 1e6


def _wire(load: Helper, folder: Path, port: int, count: int) -> float:
    """The command-line client: it subscribes once and leaves a session, so nothing is missed."""
    program = find_program("mosquitto_sub") or ""
    options = ["-h", "127.0.0.1", "-p", str(port), "-t", _TOPIC, "-q", "1", "-c", "-i", "bench-sub"]
    Child("mosquitto_sub", [program, *options, "-E"], folder).wait(10.0)
    child = Child("mosquitto_sub", [program, *options, "-C", str(count), "-F", "%p"], folder)
    try:
        load.go()
        load.result(120.0)
        cpu = child.wait(60.0)
    finally:
        child.end()
    received = len(child.lines())
    if received != count:
        raise RuntimeError(f"mosquitto_sub received {received} of {count} messages")
    return cpu / count * 1e6
