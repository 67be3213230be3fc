"""From publish to the alarm in an open board, while other messages keep coming."""

from __future__ import annotations

import json
import statistics
import threading
import time
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from twin.cli.benches import lines
from twin.cli.benches.children import helper
from twin.cli.benches.figure import Figure, Work
from twin.cli.benches.load import connect, publish_packet
from twin.cli.benches.running import running

if TYPE_CHECKING:
    from pathlib import Path

    from twin.cli.benches.children import Helper
    from twin.cli.benches.running import Twin

__all__ = ["measure"]

_RATES = (1000, 10_000)
_BUDGETS_MS = {10_000: 100.0}
_PROBES = 100
_EVERY_S = 0.053
"""Between two probes; no multiple of anything that runs in linetwin."""
_SETTLE_S = 1.0
_SENSORS = 1000
_TOO_THICK = 70.0


def measure(work: Work) -> list[Figure]:
    """Median and 99th percentile of the delay, per background load."""
    probes = work.count(_PROBES, 5)
    found: dict[int, list[list[float]]] = {rate: [] for rate in _RATES}
    with helper("load", work.folder) as load:
        for run in range(work.runs):
            work.say(f"run {run + 1}: {probes} alarms at {' and '.join(map(str, _RATES))}/s")
            for rate, delays in _delays(load, work.folder / f"latency-{run}", probes).items():
                found[rate].append(delays)
    figures = []
    for rate in _RATES:
        conditions = {
            "background_messages_per_second": rate,
            "alarms": probes,
            "path": "QoS 1 publish, listener, journal, engine, board, server-sent events",
            "line": f"{_SENSORS} charted sensors, one board open",
        }
        figures += [
            Figure(
                name=f"latency.p50_at_{rate}",
                unit="ms",
                runs=[statistics.median(delays) for delays in found[rate]],
                conditions=conditions,
            ),
            Figure(
                name=f"latency.p99_at_{rate}",
                unit="ms",
                runs=[_p99(delays) for delays in found[rate]],
                budget=_BUDGETS_MS.get(rate),
                conditions=conditions,
            ),
        ]
    return figures


def _p99(delays: list[float]) -> float:
    """The smallest delay that 99 % do not exceed."""
    ordered = sorted(delays)
    return ordered[-(-len(ordered) * 99 // 100) - 1]


def _delays(load: Helper, folder: Path, probes: int) -> dict[int, list[float]]:
    folder.mkdir()
    line = folder / "line.toml"
    sensors = _SENSORS + probes * len(_RATES)
    line.write_text(lines.line_text(sensors, period_s=60), encoding="utf-8")
    found = {}
    with running(line, folder, "--no-simulator") as twin:
        board = _Board(twin.board_port)
        first = 0
        for number, rate in enumerate(_RATES):
            count = int(rate * (probes * _EVERY_S + 2 * _SETTLE_S))
            load.prepare(
                {
                    "port": twin.mqtt_port,
                    "count": count,
                    "sensors": _SENSORS,
                    "devices": 4,
                    "rate": float(rate),
                    "first": first,
                }
            )
            load.go()
            time.sleep(_SETTLE_S)
            found[rate] = _probe(twin, board, _SENSORS + number * probes, probes)
            load.result(60.0)
            first += count
        twin.wait_received(first + probes * len(_RATES), 60.0)
        twin.stop()
    return found


def _probe(twin: Twin, board: _Board, first: int, probes: int) -> list[float]:
    """Raise one alarm after the other, each at another sensor; delays, ms."""
    sent: dict[str, float] = {}
    link = connect(twin.mqtt_port, f"bench-probe-{first}")
    try:
        for i in range(probes):
            key = f"s{first + i}"
            packet = publish_packet(lines.message(key, first + i, _TOO_THICK), i + 1)
            sent[f"{lines.STATION}/{key}"] = time.monotonic()
            link.sendall(packet)
            time.sleep(_EVERY_S)
        seen = board.wait_for(set(sent), 20.0)
    finally:
        link.close()
    return [(seen[sensor] - at) * 1000 for sensor, at in sent.items()]


class _Board:
    """A board as a browser has it: the stream of events, and when each alarm was there."""

    def __init__(self, port: int) -> None:
        self._seen: dict[str, float] = {}
        self._news = threading.Condition()
        self._port = port
        self._connected = threading.Event()
        threading.Thread(target=self._read, name="bench.board", daemon=True).start()
        if not self._connected.wait(10.0):
            raise RuntimeError("the board opened no stream")

    def _read(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60.0)
        try:
            connection.request("GET", "/api/stream")
            answer = connection.getresponse()
            for line in answer:
                self._connected.set()
                if line.startswith(b"data:") and b'"type":"alarm"' in line:
                    self._alarm(json.loads(line[5:]))
        except (HTTPException, OSError):
            return  # linetwin was stopped; whoever waits for an alarm runs into the time limit
        finally:
            connection.close()

    def _alarm(self, event: dict[str, Any]) -> None:
        with self._news:
            self._seen.setdefault(event["sensor"], time.monotonic())
            self._news.notify_all()

    def wait_for(self, sensors: set[str], timeout_s: float) -> dict[str, float]:
        """When each alarm came, in monotonic seconds.

        Raises:
            RuntimeError: Some did not come in time.
        """
        with self._news:
            if not self._news.wait_for(lambda: sensors <= set(self._seen), timeout_s):
                missing = len(sensors - set(self._seen))
                raise RuntimeError(f"{missing} of {len(sensors)} alarms did not reach the board")
            return {sensor: self._seen[sensor] for sensor in sensors}
