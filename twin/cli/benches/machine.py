"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from twin import __version__

__all__ = ["find_program", "machine"]

_PACKAGES = ("numpy", "numba", "pyarrow", "msgspec", "paho-mqtt", "gmqtt", "aiomqtt")


def machine() -> dict[str, Any]:
    """Processor, cores, memory, Python, and versions of what the figures depend on."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads_per_core": _threads_per_core(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "linetwin": __version__,
        "sqlite": sqlite3.sqlite_version,
        "mosquitto": _program_version("mosquitto", "-h"),
        **{name: _package(name) for name in _PACKAGES},
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _threads_per_core() -> int:
    """Logical processors that share a core with the first one: they slow each other down."""
    file = Path("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")
    if not file.exists():
        return 1
    first, _, last = file.read_text("ascii").strip().partition("-")
    return int(last) - int(first) + 1 if last else len(first.split(","))


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def find_program(name: str) -> str | None:
    """Path of an installed program; daemons may lie where only root looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def _program_version(name: str, option: str) -> str:
    """The first line a program prints about itself; empty when it is not there."""
    program = find_program(name)
    if program is None:
        return "not installed"
    # S603: the path is the one the system finds for a fixed name.
    told = subprocess.run([program, option], capture_output=True, text=True, check=False)  # noqa: S603
    return next(iter((told.stdout or told.stderr).splitlines()), "").rpartition(" ")[2]
