"""Other processes: helpers that load or listen, linetwin itself, and what they cost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Child", "Helper", "cpu_s", "free_port", "helper", "memory_bytes", "wait_for_port"]

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_STOP_S = 30.0


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_s(pid: int) -> float:
    """User and system time of a process and all its threads so far, s."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def memory_bytes(pid: int) -> int:
    """Resident memory of a process, bytes."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has ended")


def wait_for_port(child: Child, port: int, timeout_s: float) -> None:
    """Wait until somebody listens on a loopback port.

    Raises:
        RuntimeError: Nobody did in time, or the process ended.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        child.check()
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError(f"{child.name} does not listen after {timeout_s:.0f} s")


class Child:
    """A process that is ended by its id, whatever happens.

    Args:
        name: What to call it in errors.
        command: Program and arguments.
        folder: Where its output is kept until it has ended.
    """

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        self.name = name
        self._out = folder / f"{name}.out"
        self._err = folder / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            # S603: our own interpreter, or a program found by a fixed name.
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, stdout=out, stderr=err
            )
        self.pid = self._process.pid

    def check(self) -> None:
        """Raise when it has ended.

        Raises:
            RuntimeError: With the end of what it wrote.
        """
        if self._process.poll() is not None:
            told = self._err.read_text("utf-8", "replace").strip()[-300:]
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}: {told}")

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        stdin = self._process.stdin
        if stdin is not None:
            stdin.write(line.encode() + b"\n")
            stdin.flush()

    def lines(self) -> list[str]:
        """The whole lines it has written so far."""
        return self._out.read_text("utf-8").split("\n")[:-1]

    def line(self, number: int, timeout_s: float) -> str:
        """A line of its output, waited for.

        Raises:
            RuntimeError: It did not come in time.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = self.lines()
            if len(found) > number:
                return found[number]
            self.check()
            time.sleep(0.005)
        raise RuntimeError(f"{self.name} said nothing for {timeout_s:.0f} s")

    def end(self, number: int = signal.SIGTERM) -> float:
        """Ask it to stop, insist if it does not; its whole processor time, s."""
        if self._process.returncode is None:
            self._process.send_signal(number)
        return self.wait(_STOP_S)

    def wait(self, timeout_s: float) -> float:
        """Wait until it has ended by itself, kill it when it does not; its processor time, s."""
        deadline = time.monotonic() + timeout_s
        if self._process.stdin is not None:
            self._process.stdin.close()
        while self._process.returncode is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                return usage.ru_utime + usage.ru_stime
            if time.monotonic() > deadline:
                self._process.kill()
            time.sleep(0.005)
        return 0.0

    @property
    def code(self) -> int | None:
        """Exit code; None while it runs."""
        return self._process.returncode

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None


class Helper(Child):
    """A module of this package in a process of its own, spoken to line by line."""

    _heard = 0

    def hear(self, timeout_s: float) -> str:
        """The next line it says."""
        line = self.line(self._heard, timeout_s)
        self._heard += 1
        return line

    def result(self, timeout_s: float) -> dict[str, Any]:
        """The next line it says, which is JSON."""
        found: dict[str, Any] = json.loads(self.hear(timeout_s))
        return found

    def prepare(self, settings: dict[str, Any], timeout_s: float = 60.0) -> None:
        """Give it something to do and wait until it can begin."""
        self.tell(json.dumps(settings))
        if (answer := self.hear(timeout_s)) != "ready":
            raise RuntimeError(f"{self.name} said {answer}")

    def go(self) -> None:
        """Let it begin."""
        self.tell("go")


@contextmanager
def helper(module: str, folder: Path) -> Iterator[Helper]:
    """Run a module of this package, and end it with the context.

    It reads settings as one line of JSON, answers ``ready``, waits for a line, does its work and
    answers with one line of JSON; then it reads the next settings.
    """
    # As a file, not as part of the package: whoever needs little of it starts at once. -P keeps
    # the names of this folder out of its imports.
    command = [sys.executable, "-P", str(Path(__file__).with_name(f"{module}.py"))]
    child = Helper(module, command, folder)
    try:
        yield child
    finally:
        child.end()
