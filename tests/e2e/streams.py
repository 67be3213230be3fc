"""Seeded streams for the bench line, and a small copy of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from tests.e2e.conftest import BENCH, T0

if TYPE_CHECKING:
    from collections.abc import Iterator

SENSORS = 20


def bench(sensors: int = SENSORS, more: str = "") -> str:
    """The bench line with fewer sensors; ``more`` is put at its end."""
    text = BENCH.read_text("utf-8")
    assert "0..999" in text
    return text.replace("0..999", f"0..{sensors - 1}") + more


def broker(port: int) -> str:
    """A broker the bench line subscribes to."""
    return f'\n[[broker]]\nid = "plant"\nhost = "127.0.0.1"\nport = {port}\ntopics = ["bench/#"]\n'


def stream(
    count: int, *, seed: int = 7, sensors: int = SENSORS, first: int = 0
) -> Iterator[tuple[str, bytes]]:
    """Messages ``first`` … ``count - 1``: noise, shifts of two sigma, and some values far too high.

    Message ``n`` is the same however many are asked for, and carries ``n`` as its ``seq``.
    """
    for n in range(first, count):
        sensor, step = n % sensors, n // sensors
        noise = np.random.default_rng([seed, n]).normal()
        shift = 2.0 if (step // 25 + sensor) % 4 == 3 else 0.0
        value = 65.0 if n % 997 == 500 else 50 + shift + noise
        body = {"ts": T0 + step, "value": round(float(value), 4), "unit": "um", "seq": n}
        yield f"bench/line1/calender/s{sensor}", json.dumps(body).encode()
