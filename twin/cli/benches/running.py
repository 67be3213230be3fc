"""linetwin itself in a process of its own, as a user starts it."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from twin.cli.benches.children import Child, cpu_s, free_port, memory_bytes, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Twin", "running"]

_START_S = 120.0
_LONGEST_S = 300
"""It ends by itself after so long, even when nobody is left to end it."""


class Twin:
    """A running line.

    Args:
        line: Its line description.
        folder: Where data and output go.
        options: Further options of ``linetwin run``.
    """

    def __init__(self, line: Path, folder: Path, *options: str) -> None:
        self.board_port, self.mqtt_port = free_port(), free_port()
        command = [
            *(sys.executable, "-c", "from twin.cli import main; main()", "run", str(line)),
            *("--data", str(folder / "data"), "--json", "--seconds", str(_LONGEST_S)),
            *("--port", str(self.board_port), "--mqtt-port", str(self.mqtt_port), *options),
        ]
        self.child = Child("linetwin", command, folder)
        self.outcome: dict[str, Any] = {}

    def wait_ready(self) -> None:
        """Wait until the board answers: journal, engine and listener are there by then."""
        wait_for_port(self.child, self.board_port, _START_S)

    def get(self, path: str) -> Any:
        """The JSON answer of the board.

        Raises:
            RuntimeError: The board gave none.
        """
        connection = HTTPConnection("127.0.0.1", self.board_port, timeout=30.0)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (HTTPException, OSError) as error:
            self.child.check()
            raise RuntimeError(f"the board gave no answer to {path}: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"the board answered {path} with {answer.status}")
        return json.loads(body)

    def wait_received(self, count: int, timeout_s: float) -> None:
        """Wait until so many samples have been judged.

        Raises:
            RuntimeError: They were not in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            ledger = self.get("/api/ledger")
            if ledger["received"] - ledger["pending"] >= count:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {ledger['received']} of {count} samples were received")
            time.sleep(0.2)

    def wait_connected(self, timeout_s: float) -> None:
        """Wait until a broker took the connection.

        Raises:
            RuntimeError: None did in time.
        """
        deadline = time.monotonic() + timeout_s
        while not any(
            s["source"].startswith("broker:") for s in self.get("/api/ledger")["sources"]
        ):
            if time.monotonic() > deadline:
                raise RuntimeError("linetwin has no connection to the broker")
            time.sleep(0.1)

    def cpu_s(self) -> float:
        """Processor time so far, s."""
        return cpu_s(self.child.pid)

    def memory_bytes(self) -> int:
        """Resident memory now, bytes."""
        return memory_bytes(self.child.pid)

    def stop(self) -> None:
        """End it and keep its ledger in ``outcome``.

        Raises:
            RuntimeError: It left no ledger, or one that does not balance.
        """
        self.child.check()
        self.child.end()
        told = self.child.lines()
        if self.child.code or not told:
            raise RuntimeError(f"linetwin ended with {self.child.code} instead of a ledger")
        outcome = self.outcome = json.loads(told[-1])
        rejected = sum(outcome["rejected"].values())
        if outcome["pending"] or outcome["received"] != outcome["stored"] + rejected:
            raise RuntimeError(f"the ledger does not balance: {outcome}")


@contextmanager
def running(line: Path, folder: Path, *options: str) -> Iterator[Twin]:
    """A line that runs while the context is open; it is ended by its id at the latest then."""
    twin = Twin(line, folder, *options)
    try:
        twin.wait_ready()
        yield twin
    finally:
        twin.child.end()
