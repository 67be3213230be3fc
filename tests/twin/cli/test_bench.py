"""Benchmarks: what they print, what they check, and that they are documented. No timing here."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import twin.cli.bench
from twin.cli import benches
from twin.cli.benches import lines, machine, session
from twin.cli.benches.children import Child
from twin.cli.benches.figure import Figure, Work, skipped
from twin.cli.benches.running import Twin
from twin.cli.main import app
from twin.errors import ConfigError

ROOT = Path(__file__).parents[3]
SMALL = 0.005
IN_PROCESS = ("pipeline", "detectors", "groups", "sparkplug", "journal", "replay", "history")
OTHER_PROCESS = ("latency", "start", "memory")


def measured(name, tmp_path):
    """Figures of a small run."""
    return benches.measure(name, Work(folder=tmp_path, runs=1, scale=SMALL))


def assert_is_figure(figure, name, runs):
    """A complete, printable figure of a benchmark that is documented."""
    assert figure.name.startswith(f"{name}.")
    assert not figure.skipped
    assert len(figure.runs) == runs
    assert all(run > 0 for run in figure.runs)
    assert figure.conditions
    json.dumps(figure.plain())
    assert f"`{figure.name}`" in (ROOT / "docs" / "benchmarks.md").read_text()


@pytest.mark.parametrize("name", IN_PROCESS)
def test_every_benchmark_in_this_process_gives_documented_figures(name, tmp_path):
    """A small run gives figures with conditions, and all of them are in the documentation."""
    figures = measured(name, tmp_path)

    assert figures
    for figure in figures:
        assert_is_figure(figure, name, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHER_PROCESS)
def test_every_benchmark_of_a_running_line_gives_documented_figures(name, tmp_path):
    """linetwin is started, loaded, stopped; its ledger balances or there is no figure."""
    figures = measured(name, tmp_path)

    assert figures
    for figure in figures:
        assert_is_figure(figure, name, 1)


@pytest.mark.slow
def test_everything_sent_to_the_listener_is_stored(tmp_path):
    """The conditions have the ledger: received is stored, nothing is pending."""
    figures = {figure.name: figure for figure in measured("listener", tmp_path)}

    for figure in figures.values():
        assert_is_figure(figure, "listener", 1)
        facts = figure.conditions
        assert facts["messages"] == facts["received"] == facts["stored"] > 0
        assert facts["pending"] == 0
    assert figures["listener.rate"].better == "higher"
    assert figures["listener.rate"].budget == 200_000


@pytest.mark.slow
@pytest.mark.peer
def test_clients_that_only_receive_are_measured_beside_linetwin(tmp_path):
    """All four receivers are compared in the same run, or it is said why one is not."""
    if machine.find_program("mosquitto") is None:
        pytest.skip("mosquitto is not installed")

    figures = measured("session", tmp_path)

    for figure in figures:
        assert_is_figure(figure, "session", 1)
    compared = figures[1].comparison
    assert len(compared) == 4
    assert all(
        other.get("value", 0) > 0 or "not installed" in other["skipped"] for other in compared
    )


def test_without_a_broker_the_session_says_why_it_is_not_measured(tmp_path, monkeypatch):
    """What cannot be measured has a reason and no value."""
    monkeypatch.setattr(session, "find_program", lambda _: None)

    (figure,) = measured("session", tmp_path)

    assert figure.skipped == "mosquitto is not installed"
    assert (figure.value, figure.met) == (None, None)


def test_all_benchmarks_are_known_here_and_documented():
    """The list, this file and the documentation name the same benchmarks."""
    in_lists = {*IN_PROCESS, *OTHER_PROCESS, "listener", "session"}
    assert set(benches.BENCHES) - set(benches.ON_DATA) == in_lists
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert all(f"| `{name}` |" in text for name in benches.BENCHES)


def test_json_has_machine_conditions_and_runs():
    """``--json`` prints one object on stdout, progress goes to stderr."""
    told = CliRunner().invoke(
        app, ["bench", "--json", "--quick", "--runs", "2", "--only", "history", "--only", "journal"]
    )

    assert told.exit_code == 0
    answer = json.loads(told.stdout)
    assert (answer["runs"], answer["quick"]) == (2, True)
    assert {"cpu", "cores", "python", "numpy", "numba", "sqlite", "mosquitto"} <= set(
        answer["machine"]
    )
    names = [figure["name"].partition(".")[0] for figure in answer["figures"]]
    assert sorted(set(names)) == ["history", "journal"]
    for figure in answer["figures"]:
        assert set(figure) == {
            *("name", "unit", "runs", "better", "budget", "conditions", "comparison", "skipped"),
            *("value", "min", "max", "met"),
        }
        assert figure["min"] <= figure["value"] <= figure["max"]
        assert len(figure["runs"]) == 2


def test_the_list_can_be_read_by_people_and_machines():
    """``--list`` measures nothing."""
    plain = CliRunner().invoke(app, ["bench", "--list"])
    machines = CliRunner().invoke(app, ["bench", "--list", "--json"])

    assert json.loads(machines.stdout) == benches.BENCHES
    assert [line.split()[0] for line in plain.stdout.splitlines()] == list(benches.BENCHES)


def test_an_unknown_name_is_refused_with_what_is_allowed():
    """A mistyped name measures nothing."""
    told = CliRunner().invoke(app, ["bench", "--only", "lstener"])

    assert isinstance(told.exception, ConfigError)
    assert "listener" in told.exception.problems[0].allowed


def test_a_benchmark_that_fails_is_told_and_the_others_go_on(monkeypatch):
    """The exit code says that something failed, the figures say what."""

    def measure(name, _work):
        if name == "journal":
            raise RuntimeError("the disk is on fire")
        return [Figure(name=f"{name}.x", unit="s", runs=[1.0], budget=0.5)]

    monkeypatch.setattr(twin.cli.bench, "measure", measure)
    told = CliRunner().invoke(app, ["bench", "--json", "--only", "journal", "--only", "history"])

    assert told.exit_code == 1
    failed, fine = json.loads(told.stdout)["figures"]
    assert failed["skipped"] == "failed: the disk is on fire"
    assert fine["met"] is False


def test_the_table_shows_aims_comparisons_and_reasons(monkeypatch):
    """People see what JSON says."""
    figures = [
        Figure(
            name="journal.a",
            unit="messages/s",
            runs=[1500.0, 1000.0, 3000.0],
            better="higher",
            budget=1000.0,
            comparison=[{"name": "another", "value": 2.5, "unit": "s"}],
        ),
        skipped("journal.b", "s", "it is not installed"),
    ]
    monkeypatch.setattr(twin.cli.bench, "measure", lambda *_: figures)

    told = CliRunner().invoke(app, ["bench", "--only", "journal"])

    assert told.exit_code == 0
    assert "1,500 messages/s" in told.stdout
    assert "1,000 - 3,000" in told.stdout
    assert "≥ 1,000, met" in told.stdout
    assert "2.5 s" in told.stdout
    assert "not measured: it is not installed" in told.stdout


@pytest.mark.parametrize(
    ("better", "met"), [("lower", [True, True, False]), ("higher", [False, True, True])]
)
def test_a_budget_is_kept_by_the_median(better, met):
    """Lower or higher as the figure says; the budget itself is still met."""
    values = [[1.0, 1.0, 9.0], [2.0], [3.0, 3.0, 0.0]]

    found = [Figure(name="a.b", unit="s", runs=v, better=better, budget=2.0).met for v in values]

    assert found == met


def test_messages_are_the_same_in_every_run():
    """Seeded values; a later load goes on in time where the earlier one ended."""
    assert lines.messages(50, 10) == lines.messages(50, 10)
    times = [json.loads(m.payload)["ts"] for m in lines.messages(20, 10, first=20)]
    assert times == [pytest.approx(1_700_000_002 + i / 10) for i in range(20)]


def test_a_ledger_that_does_not_balance_gives_no_figure(tmp_path):
    """A line that lost a message is a failed benchmark, not a fast one."""
    ledger = {"received": 5, "stored": 3, "rejected": {"RANGE": 1}, "pending": 0}
    twin = Twin.__new__(Twin)
    script = f"trap 'exit 0' TERM; echo '{json.dumps(ledger)}'; while :; do sleep 0.1; done"
    twin.child = Child("linetwin", [shutil.which("sh"), "-c", script], tmp_path)
    twin.child.line(0, 10.0)

    with pytest.raises(RuntimeError, match="does not balance"):
        twin.stop()


def test_a_process_that_does_not_end_is_killed_by_its_id(tmp_path, monkeypatch):
    """Nothing of a benchmark stays behind."""
    monkeypatch.setattr("twin.cli.benches.children._STOP_S", 0.2)
    shell = shutil.which("sh")
    child = Child(
        "deaf", [shell, "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"], tmp_path
    )
    assert child.line(0, 10.0) == "up"

    child.end()

    assert not child.running
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_a_process_that_dies_is_quoted(tmp_path):
    """Whoever waits for it learns what it said last."""
    child = Child("frail", [shutil.which("sh"), "-c", "echo no such device >&2; exit 3"], tmp_path)

    with pytest.raises(RuntimeError, match="frail ended with 3: no such device"):
        child.line(0, 10.0)
    child.end()

    assert child.code == 3
