"""Sixty kills at random moments: nothing acknowledged is lost, nothing is said twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.e2e.conftest import Sender, publish, result, until
from tests.e2e.streams import bench, stream
from tests.e2e.test_recovery import journalled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Line

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]

KILLS = 60
MESSAGES = 40_000


def test_sixty_kills(lines: Callable[..., Line], tmp_path: Path) -> None:
    """After every kill the ledger balances; at the end every message is there exactly once."""
    rng = np.random.default_rng(20261121)
    line = lines(bench())
    acked: set[int] = set()
    everything = [(json.loads(payload)["seq"], name, payload) for name, payload in stream(MESSAGES)]
    for _ in range(KILLS):
        rest = [row for row in everything if row[0] not in acked]
        line.start()
        sender = Sender(line.mqtt, "killed")
        kill_after = int(rng.integers(1, MESSAGES // KILLS))
        for _, name, payload in rest:
            sender.send(name, payload)
            if sender.confirmed >= kill_after:
                break
        until(lambda s=sender, k=kill_after: s.confirmed >= k, "acknowledgements")
        line.kill()
        until(sender.lost.is_set, "the lost connection")
        sender.close()
        acked |= {rest[n][0] for n in sender.acked()}
        facts = result("ledger", line.data)
        assert facts["balanced"]
    line.start()
    publish(line.mqtt, ((name, payload) for n, name, payload in everything if n not in acked))
    ledger = line.settled(MESSAGES)
    assert ledger["stored"] == MESSAGES
    assert line.stop() == 0
    found = journalled(line, tmp_path / "journal.parquet")
    assert set(found) == set(range(MESSAGES))
    result("replay", line.data, "--line", line.file, "--out", tmp_path / "golden")
    events = line.events()
    assert (tmp_path / "golden" / "events.jsonl").read_bytes() == events
    ids = [json.loads(row)["id"] for row in events.splitlines()]
    assert len(ids) == len(set(ids))
