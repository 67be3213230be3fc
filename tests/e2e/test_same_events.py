"""One stream, every way in and every interruption: the same events to the byte."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from connectors.recording import write_samples
from tests.e2e.conftest import ROOT, T0, balanced, linetwin, publish, result, until
from tests.e2e.streams import bench, broker, stream
from twin.model.table import Samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Broker, Line, Process

pytestmark = [pytest.mark.slow]
MESSAGES = 3000
FORMATION = ROOT / "examples" / "formation" / "line.toml"


@pytest.mark.peer
@pytest.mark.timeout(400)  # nine starts of the command, on a machine that may be slow
def test_listener_broker_and_replays_agree(
    lines: Callable[..., Line], mosquitto: Broker, tmp_path: Path
) -> None:
    """A stream gives the same events through the listener, a broker, and replays of both."""
    direct = lines(bench(), "direct").start()
    behind = lines(bench(more=broker(mosquitto.port)), "broker").start()
    mosquitto.says("SUBACK to bench-line1-ingest")
    publish(direct.mqtt, stream(MESSAGES))
    publish(mosquitto.port, stream(MESSAGES))
    for line in (direct, behind):
        ledger = line.settled(MESSAGES)
        assert (ledger["stored"], ledger["rejected"]) == (MESSAGES, {})
        assert ledger["findings"] > 20
        assert ledger["alarms"] == len(range(500, MESSAGES, 997))
    live = direct.events()
    assert live.count(b"\n") > 40
    assert behind.events() == live
    assert direct.stop() == 0
    assert behind.stop() == 0
    assert direct.events() == live
    # The data folder, the journal exported from it, and the folder of the other line.
    exported = tmp_path / "journal.parquet"
    result("export", direct.data, exported)
    for number, (recording, more) in enumerate(
        [
            (behind.data, ("--line", direct.file)),
            (direct.data / "journal", ()),
            (exported, ("--line", direct.file, "--split", 7)),
        ]
    ):
        out = tmp_path / f"replay{number}"
        ledger = result("replay", recording, "--out", out, *more)
        assert (out / "events.jsonl").read_bytes() == live
        assert ledger["stored"] == MESSAGES
        assert balanced(ledger)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 000 samples of 20 sensors over two minutes with shifts, as Parquet."""
    rows, sensors = 30_000, 20
    rng = np.random.default_rng(11)
    code = np.tile(np.arange(sensors, dtype=np.int32), rows // sensors)
    step = np.repeat(np.arange(rows // sensors), sensors)
    value = 50 + rng.normal(size=rows) + 2.0 * ((step // 100 + code) % 5 == 4)
    value[rng.integers(0, rows, 40)] = 70.0
    value[rng.integers(0, rows, 40)] = 150.0
    path = tmp_path_factory.mktemp("recording") / "synthetic.parquet"
    samples = Samples(
        "synthetic",
        0,
        [f"calender/s{n}" for n in range(sensors)],
        code,
        T0 * 1_000_000_000 + step * 80_000_000,
        value,
        np.full(rows, 192, np.uint8),
        ["um"] * sensors,
    )
    assert write_samples(path, [samples]) == rows
    return path


@pytest.fixture(scope="module")
def line_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bench line with 20 sensors."""
    file = tmp_path_factory.mktemp("line") / "line.toml"
    file.write_text(bench(), "utf-8")
    return file


@pytest.fixture(scope="module")
def golden(
    synthetic: Path, line_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, dict[str, Any]]:
    """Events and ledger of the uninterrupted replay."""
    out = tmp_path_factory.mktemp("golden")
    ledger = result("replay", synthetic, "--line", line_file, "--out", out)
    assert balanced(ledger)
    assert ledger["received"] == 30_000
    assert ledger["rejected"]["RANGE"] > 0
    assert ledger["findings"] > 100
    return (out / "events.jsonl").read_bytes(), ledger


def same(ledger: dict[str, Any], golden: dict[str, Any]) -> bool:
    """Everything but the speed is the same."""
    speed = {"samples_per_second", "cpu_us_per_sample"}
    assert {k: v for k, v in ledger.items() if k not in speed} == {
        k: v for k, v in golden.items() if k not in speed
    }
    return True


@pytest.mark.parametrize(
    "how",
    [(), ("--split", 1), ("--split", 7), ("--split", 1000), ("--speed", 60)],
    ids=["again", "split 1", "split 7", "split 1000", "speed 60"],
)
def test_replay_is_the_same_to_the_byte(
    synthetic: Path,
    line_file: Path,
    golden: tuple[bytes, dict[str, Any]],
    tmp_path: Path,
    how: tuple[object, ...],
) -> None:
    """Twice, at another speed, cut in other pieces: events.jsonl and ledger are the same."""
    ledger = result("replay", synthetic, "--line", line_file, "--out", tmp_path, *how)
    assert (tmp_path / "events.jsonl").read_bytes() == golden[0]
    assert same(ledger, golden[1])
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["events_sha256"] == golden[1]["events_sha256"]


def checkpoints(state: Path) -> int:
    """How many checkpoints a replay at work has made."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM snapshot").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # not there yet


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_replay_goes_on(
    synthetic: Path,
    line_file: Path,
    golden: tuple[bytes, dict[str, Any]],
    tmp_path: Path,
    processes: Callable[..., Process],
    number: int,
) -> None:
    """Interrupted in the middle, the same command finishes with the same events."""
    out = tmp_path / "out"
    words = ("replay", synthetic, "--line", line_file, "--out", out)
    process = processes(*words, "--speed", 10)
    state = out / ".linetwin-replay" / "state.db"
    until(lambda: checkpoints(state), "the first checkpoint")
    code = process.end(number)
    assert code == (-9 if number == signal.SIGKILL else 130), process.text
    assert not (out / "events.jsonl").exists()
    assert ("goes on from here" in process.text) == (number == signal.SIGINT)
    done = linetwin(*words)
    assert done.returncode == 0, done.stderr
    assert re.search("going on after row [1-9]", done.stderr)
    assert (out / "events.jsonl").read_bytes() == golden[0]
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert same({key: summary[key] for key in golden[1]}, golden[1])
    assert sorted(p.name for p in out.iterdir()) == ["events.jsonl", "summary.json"]


def test_public_recording(recordings: Path, tmp_path: Path) -> None:
    """A cycler recording gives its formation cycles, the same in any cut."""
    file = recordings / "pyprobe" / "sample_data_maccor.csv"
    found = []
    for name, more in (("whole", ()), ("cut", ("--split", 5000))):
        out = tmp_path / name
        ledger = result("replay", file, "--line", FORMATION, "--out", out, *more)
        assert balanced(ledger)
        found.append((out / "events.jsonl").read_bytes())
        assert ledger["stored"] > 100
    assert found[0] == found[1]
    assert b'"type":"formation_step"' in found[0]
