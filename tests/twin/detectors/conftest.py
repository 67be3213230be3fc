"""One sensor with a chart, and a stream of single values for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from twin.model.batch import Batch
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Chart, Line, Sensor, Station

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

S = 1_000_000_000


def build_line(*sensors: Sensor) -> LineIndex:
    station = Station(id="s", sensor=list(sensors))
    rows = [SensorRow(i, f"s/{x.key}", station, x) for i, x in enumerate(sensors)]
    return LineIndex(Line(), "0" * 16, rows, {row.id: row for row in rows})


def build_charted(count: int = 1, **chart: object) -> LineIndex:
    spec = Chart(**{"centre": 0.0, "sigma": 1.0, "rules": None, **chart})
    return build_line(*(Sensor(key=f"k{i}", period_s=1.0, chart=spec) for i in range(count)))


def build_values(values: Sequence[float], times: Sequence[float] | None = None) -> Batch:
    seconds = np.arange(1, len(values) + 1) if times is None else np.asarray(times)
    return Batch.of(np.zeros(len(values)), (seconds * S).astype(np.int64), values)


@pytest.fixture(scope="session")
def line() -> Callable[..., LineIndex]:
    """A line of the given sensors."""
    return build_line


@pytest.fixture(scope="session")
def charted() -> Callable[..., LineIndex]:
    """A line with ``count`` equal charts, centre 0 and sigma 1 unless told otherwise."""
    return build_charted


@pytest.fixture(scope="session")
def values() -> Callable[..., Batch]:
    """Values of sensor 0, one per second from second 1 on unless times are given."""
    return build_values
