"""What ``linetwin bench`` measures: one module per part, each with ``measure(work) -> figures``.

Figures are medians of several runs with the conditions they were taken under. What cannot be
measured on this machine says why instead of giving a number. Nothing listens beyond loopback, and
every process that is started is ended by its own id.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.cli.benches.figure import Figure, Work

__all__ = ["BENCHES", "ON_DATA", "measure"]

BENCHES = {
    "listener": "devices publish to a running line, durable",
    "session": "the same through mosquitto, beside clients that only receive",
    "pipeline": "journal entries to alarm decision, in one process",
    "detectors": "charts, run rules and outlier test alone",
    "groups": "several sensors judged as one vector",
    "sparkplug": "samples that arrive fifty in a payload",
    "journal": "messages to disk, nothing else",
    "replay": "a Parquet recording through all stages",
    "history": "samples into the embedded time-series store",
    "latency": "publish to alarm in an open board, under load",
    "memory": "a line with 100 000 sensors and the full rule set",
    "nab": "anomaly scores of the Numenta Anomaly Benchmark",
    "start": "command to first live value on the board",
    "honesty": "findings of default charts on data in control, over what chance gives",
    "skab": "findings in published recordings of a water circuit",
}
"""Name and what is measured, in the order they are run."""

ON_DATA = ("nab", "skab", "honesty")
"""Benchmarks that judge published recordings; ``--data`` and ``--out`` are for these."""


def measure(name: str, work: Work) -> list[Figure]:
    """Run one benchmark; its module is imported only now, the command line stays quick."""
    module = import_module(f"twin.cli.benches.{name}")
    return cast("Callable[[Work], list[Figure]]", module.measure)(work)
