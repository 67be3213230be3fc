"""Every command does what its help says, ends with the documented code, and says why in a sentence."""

from __future__ import annotations

import json
import re
import signal
import socket
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from tests.e2e.conftest import (
    ROOT,
    SMALL,
    balanced,
    free_port,
    linetwin,
    publish,
    result,
    sample,
    topic,
    until,
)
from tests.e2e.streams import bench, broker, stream
from twin.cli.main import app, main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Broker, Line, Process

    Here = Callable[..., tuple[object, str, str]]

pytestmark = [pytest.mark.slow]
PILOT = ROOT / "examples" / "pilot-line" / "line.toml"
FORMATION = ROOT / "examples" / "formation" / "line.toml"
KEYS = {
    "received",
    "stored",
    "rejected",
    "pending",
    "findings",
    "alarms",
    "events_sha256",
    "samples_per_second",
    "cpu_us_per_sample",
}


def commands() -> dict[str, Any]:
    """Every command by its words."""
    found: dict[str, Any] = {}
    for name, one in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(one, "commands", None)
        found |= {f"{name} {k}": v for k, v in inner.items()} if inner else {name: one}
    return found


@pytest.mark.parametrize("words", list(commands()))
def test_help_mentions_every_option(words: str) -> None:
    """``--help`` ends well, says what the command is for and names every option with its meaning."""
    runner = CliRunner(env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})
    answer = runner.invoke(app, [*words.split(), "--help"])
    assert answer.exit_code == 0
    wanted = commands()[words]
    assert wanted.help[:40] in answer.output
    for parameter in wanted.params:
        if parameter.param_type_name == "option":
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert option in answer.output
            assert parameter.help, f"{words}: {parameter.name} says nothing"


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    """Runs a command that starts nothing without a process of its own: exit code, stdout, stderr."""

    def run(*words: object) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["linetwin", *map(str, words)])
        with pytest.raises(SystemExit) as ending:
            main()
        return ending.value.code, *capsys.readouterr()

    return run


def one_sentence(text: str) -> bool:
    """One line, no trace."""
    assert "Traceback" not in text
    assert len(text.strip().splitlines()) == 1, text
    return True


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("run {tmp}/no.toml --data {tmp}/d", 2, "no.toml"),
        ("run {broken} --data {tmp}/d", 2, "broken.toml:\\d+: error: station.0..sensor.0..unit"),
        ("run {bench} --data {tmp}/d --port {taken}", 4, "{taken}"),
        ("run {bench} --data {tmp}/d --port 0 --mqtt-port {taken}", 4, "{taken}"),
        ("replay {tmp}/no.csv --line {bench} --out {tmp}/o", 3, "no.csv: no such file"),
        ("replay {notes} --line {bench} --out {tmp}/o", 3, "unknown format"),
        ("replay {notes} --line {tmp}/no.toml --out {tmp}/o", 2, "no.toml"),
        ("replay {notes} --speed fast --line {bench} --out {tmp}/o", 2, "--speed"),
        ("export {tmp} {tmp}/x.parquet", 3, "no journal entries"),
        ("export {tmp} {tmp}/x.jsonl --events", 3, "no state.db"),
        ("ledger {tmp}", 3, "no journal"),
        ("import {tmp}/no.csv --line {bench} --data {tmp}/d", 3, "no.csv: no such file"),
        ("user list --data {tmp}", 2, "no users yet"),
        ("user add bob --role king --data {tmp}/d", 2, "viewer, operator, engineer, admin"),
        ("check {broken}", 2, "unit"),
    ],
)
def test_what_cannot_work_says_why(
    words: str,
    code: int,
    says: str,
    tmp_path: Path,
    here: Here,
) -> None:
    """Wrong settings, unreadable input and taken ports: the documented code and one sentence."""
    broken = tmp_path / "broken.toml"
    broken.write_text(SMALL.replace('unit = "kN"', 'unit = "kilonewton"'), "utf-8")
    line_file = tmp_path / "bench.toml"
    line_file.write_text(bench(4), "utf-8")
    notes = tmp_path / "notes.txt"
    notes.write_text("Call the plumber.\n", "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {
            "tmp": tmp_path,
            "broken": broken,
            "bench": line_file,
            "notes": notes,
            "taken": taken.getsockname()[1],
        }
        given = words.format(**names).split()
        if given[0] == "run":
            done = linetwin(*given)
            found: tuple[object, str, str] = done.returncode, done.stdout, done.stderr
        else:
            found = here(*given)
    text = found[2]
    assert found[0] == code, text
    text = text.replace("1 problem(s)", "")
    assert one_sentence(text)
    assert re.search(says.format(**names), text), text
    assert not (tmp_path / "o").exists()
    assert not list(tmp_path.glob("x.*"))


def test_run_ends_by_itself(tmp_path: Path) -> None:
    """``run --seconds --json`` with the simulator: exit 0 and one object with the documented keys."""
    words = ("run", PILOT, "--seconds", 4, "--port", 0, "--mqtt-port", 0, "--json")
    done = linetwin(*words, "--data", tmp_path / "data", "--seed", 3)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    ledger = json.loads(done.stdout)
    assert set(ledger) == KEYS
    assert balanced(ledger)
    assert ledger["stored"] > 100
    assert (ledger["pending"], ledger["rejected"]) == (0, {})
    # Address and first password are told beside the result, not in it.
    assert re.search(r"board +http://127\.0\.0\.1:\d+", done.stderr)
    assert re.search(r"password \S{12,}", done.stderr)
    stored = result("ledger", tmp_path / "data")
    assert stored.pop("balanced")
    assert stored["received"] == ledger["received"]
    assert stored["events_sha256"] == ledger["events_sha256"]


def test_interrupted_run_prints_the_ledger(lines: Callable[..., Line]) -> None:
    """Ctrl-C ends a line with exit 0 and its balance; the data folder admits one process."""
    line = lines().start()
    publish(line.mqtt, [(topic("force"), sample(0, 300)), (topic("force"), sample(1, 700))])
    line.settled(2)
    second = linetwin("run", line.file, "--data", line.data, "--port", 0, "--mqtt-port", 0)
    assert second.returncode == 2
    assert one_sentence(second.stderr)
    assert "another linetwin works in this folder" in second.stderr
    assert line.process is not None
    assert line.stop() == 0
    for row in ("received +│ +2", "= stored +│ +1", "RANGE +│ +1", "balanced +│ +yes"):
        assert re.search(row, line.process.text), line.process.text
    # The next start goes on there.
    line.start()
    assert line.ledger()["received"] == 2
    assert line.stop() == 0


def test_record_then_ledger_export_doctor_and_run(
    lines: Callable[..., Line], processes: Callable[..., Process], here: Here, tmp_path: Path
) -> None:
    """What is recorded without judging is pending, and judged by the next run, replay or export."""
    line = lines(bench(4))
    recorder = processes("record", line.file, "--data", line.data, "--mqtt-port", line.mqtt)
    recorder.says("recording from")
    publish(line.mqtt, stream(200, sensors=4))
    assert recorder.end(signal.SIGINT) == 0
    assert re.search("20[0-9] entries", recorder.text)
    before = result("ledger", line.data)
    assert before["received"] == before["pending"] >= 200
    code, _, text = here("export", line.data, tmp_path / "s.parquet", "--samples")
    assert (code, "--line" in text) == (2, True)
    words = ("--samples", "--line", line.file, "--json")
    facts = json.loads(here("export", line.data, tmp_path / "s.parquet", *words)[1])
    table = pq.read_table(tmp_path / "s.parquet")
    assert facts["rows"] == table.num_rows == 200
    assert set(table["unit"].to_pylist()) == {"um"}
    ledger = result("run", line.file, "--data", line.data, "--port", 0, "--seconds", 2)
    assert (ledger["received"], ledger["stored"], ledger["pending"]) == (200, 200, 0)
    out = tmp_path / "replay"
    assert result("replay", line.data, "--line", line.file, "--out", out)["stored"] == 200
    assert (out / "events.jsonl").read_bytes() == line.events()
    # doctor: all is well, until somebody else may read the users.
    code, text, _ = here("doctor", "--data", line.data, "--line", line.file, "--disk", "--json")
    assert code == 0, text
    said = {row["what"]: row for row in json.loads(text)}
    assert said["ledger"]["text"].startswith("received 200 = stored 200")
    assert {"line", "journal", "users", "disk", "disk space"} <= set(said)
    (line.data / "users.json").chmod(0o644)
    assert here("doctor", "--data", line.data)[0] == 1


def test_simulate_and_import(here: Here, tmp_path: Path) -> None:
    """A simulated recording is the same for a seed, and importing it twice changes nothing."""
    made = []
    for name in ("a", "b"):
        file = tmp_path / f"{name}.parquet"
        words = ("simulate", PILOT, file, "--seconds", 20, "--seed", 5, "--json")
        facts = json.loads(here(*words)[1])
        assert facts["simulated"]
        assert facts["rows"] > 200
        assert json.loads((tmp_path / f"{name}.truth.json").read_text("utf-8")) is not None
        made.append(pq.read_table(file))
    assert made[0].equals(made[1])
    line_file = tmp_path / "line.toml"
    text = PILOT.read_text("utf-8").replace(
        "simulated = true", 'simulated = true\ntoo_old_s = "none"'
    )
    line_file.write_text(text, "utf-8")
    (tmp_path / "control_plan.csv").write_bytes((PILOT.parent / "control_plan.csv").read_bytes())
    data = tmp_path / "data"
    for _ in range(2):
        stored = result("import", tmp_path / "a.parquet", "--line", line_file, "--data", data)
        assert stored["stored"] == made[0].num_rows
    quiet = ("--port", 0, "--mqtt-port", 0, "--seconds", 3, "--no-simulator")
    ledger = result("run", line_file, "--data", data, *quiet)
    assert balanced(ledger)
    assert ledger["received"] == 2 * made[0].num_rows
    assert ledger["rejected"]["DUPLICATE"] > 0.9 * ledger["stored"]


def test_users(here: Here, tmp_path: Path) -> None:
    """Users are added with a password told once, listed, and locked out."""
    # A folder that is new gets its first user here, and says how to log in as them.
    code, out, _ = here("user", "add", "erna", "--role", "engineer", "--data", tmp_path)
    assert code == 0
    assert re.fullmatch(r"admin \(admin\): \S{12,}\nerna \(engineer\): \S{12,}\n", out)
    code, out, _ = here("user", "add", "otto", "--data", tmp_path)
    assert re.fullmatch(r"otto \(operator\): \S{12,}\n", out)
    assert here("user", "disable", "erna", "--data", tmp_path)[0] == 0
    listed = json.loads(here("user", "list", "--data", tmp_path, "--json")[1])
    assert listed == {"admin": "admin", "erna": "disabled", "otto": "operator"}
    code, _, text = here("user", "disable", "nobody", "--data", tmp_path)
    assert (code, one_sentence(text)) == (2, True)
    assert (tmp_path / "users.json").stat().st_mode & 0o077 == 0


@pytest.mark.peer
def test_replay_into_listener_and_broker(
    lines: Callable[..., Line], mosquitto: Broker, recordings: Path, tmp_path: Path
) -> None:
    """Played to a listener and to a broker, every row arrives with its own time: the same events."""
    file = recordings / "pyprobe" / "sample_data_basytec.txt"
    text = FORMATION.read_text("utf-8").replace("enabled = false", "enabled = true")
    assert "enabled = true" in text
    plant = broker(mosquitto.port).replace("bench/#", "#/".rstrip("/")).replace('"#"', '"twin/#"')
    direct = lines(text, "direct").start()
    behind = lines(text + plant, "behind").start()
    mosquitto.says("SUBACK to lab-formation-ingest")
    out = tmp_path / "replay"
    ledger = result("replay", file, "--line", direct.file, "--out", out)
    wanted = formation((out / "events.jsonl").read_bytes())
    assert wanted
    for line, port in ((direct, direct.mqtt), (behind, mosquitto.port)):
        facts = result("replay", file, "--line", line.file, "--to", f"mqtt://127.0.0.1:{port}")
        assert facts["published"] == facts["acknowledged"] > 0
        now = line.settled(ledger["received"])
        assert (now["received"], now["stored"]) == (ledger["received"], ledger["stored"])
        found = formation(line.events())
        # A recording ends, a line goes on: only what the end closed is missing.
        assert found
        assert found == wanted[: len(found)]
        assert not any(row["complete"] for row in wanted[len(found) :])
        assert line.stop() == 0
    series = {event["t_first"][:4] for event in wanted}
    assert series != {"2026"}


def formation(events: bytes) -> list[dict[str, Any]]:
    """What is said about steps and cycles."""
    rows = [json.loads(row) for row in events.splitlines()]
    return [row for row in rows if row["type"].startswith("formation")]


def test_replay_to_nobody(here: Here, tmp_path: Path) -> None:
    """A broker that is not there is said in a sentence, exit 4."""
    recording = tmp_path / "r.parquet"
    assert here("simulate", PILOT, recording, "--seconds", 1)[0] == 0
    code, _, text = here("replay", recording, "--to", f"mqtt://127.0.0.1:{free_port()}")
    assert code == 4, text
    assert one_sentence(text)


def test_interrupted_before_it_serves(lines: Callable[..., Line]) -> None:
    """Ctrl-C at any moment of the start ends it, and nothing stands in the way of the next one."""
    line = lines()
    line.start(wait=False)
    assert line.process is not None
    until((line.data / "lock").exists, "the start")
    assert line.process.end(signal.SIGINT) == 0, line.process.text
    line.start()
    assert line.stop() == 0
