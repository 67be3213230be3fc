"""The pilot line that comes with linetwin detects its faults and does not cry wolf."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from twin.cli.main import app
from twin.config import baselines, load, refusals
from twin.config.budget import allowed_per_shift, budget
from twin.model.line import ChartType

if TYPE_CHECKING:
    from pathlib import Path

    from twin.model.index import LineIndex

Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def line(root: Path) -> Path:
    """Its description."""
    return root / "examples/pilot-line/line.toml"


@pytest.fixture(scope="module")
def pilot(line: Path) -> LineIndex:
    """The line."""
    return load(line)


def test_it_may_run_without_an_excuse(pilot: LineIndex) -> None:
    """All charts and groups together spend less than the budget, and nothing had to be accepted."""
    assert pilot.line.detection.accept == ""
    assert refusals(pilot) == []
    planned = sum(row["expected_per_shift"] or 0.0 for row in budget(pilot))
    assert 0.3 < planned < allowed_per_shift(pilot)


def test_every_chart_has_a_baseline_two_people_stand_for(line: Path, pilot: LineIndex) -> None:
    """The chain is whole; what is in force was fitted to simulated data and approved by another."""
    path = line.parent / pilot.line.line.baselines
    entries, problems = baselines.decode(path.read_text("utf-8"), path.name)
    assert problems == []
    force = baselines.approved(entries)
    charted = {
        row.id
        for row in pilot.sensors
        if row.spec.chart is not None and row.spec.chart.type is ChartType.I
    }
    assert charted == set(force)
    for (record,) in force.values():
        assert record.approved_by not in {"", record.created_by}
        assert "simulated" in record.reason


def replayed(line: Path, folder: Path, *options: str) -> Events:
    """What twenty simulated minutes say."""
    recording, out = folder / "recording.parquet", folder / "out"
    runner = CliRunner()
    words = ["simulate", line, recording, "--seconds", 1200, *options]
    assert runner.invoke(app, [str(word) for word in words]).exit_code == 0
    words = ["replay", recording, "--line", line, "--out", out]
    assert runner.invoke(app, [str(word) for word in words]).exit_code == 0
    return [json.loads(text) for text in (out / "events.jsonl").read_text().splitlines()]


def test_in_control_nobody_is_called(line: Path, tmp_path: Path) -> None:
    """Twenty minutes of another seed without faults: no alarm and no finding."""
    events = replayed(line, tmp_path, "--clean", "--seed", "31")
    assert [e for e in events if e["type"] in {"alarm", "finding"}] == []


def test_every_fault_of_the_demo_is_found(line: Path, tmp_path: Path) -> None:
    """What is wrong with process or sensor is said, and what needs a person calls one."""
    events = replayed(line, tmp_path, "--seed", "1")
    said = {(e["type"], e["sensor"], e["rule"]) for e in events}
    alarms = {sensor for kind, sensor, _ in said if kind == "alarm"}
    assert ("finding", "calender/line_load", "rule1") in said
    assert ("finding", "calender/line_load", "cusum") in said
    assert ("finding", "group/thickness-lanes", "t2") in said
    assert ("validity", "dryroom/frost_point_z1", "stuck") in said
    assert ("validity", "calender/thickness_l2", "spike") in said
    assert ("validity", "se_film/film_thickness_l2", "gap") in said
    assert alarms >= {
        "calender/line_load",
        "calender/thickness_l1",
        "dryroom/frost_point_z2",
        "dryroom/frost_point_z2_b",
        "dryroom/h2s_z2",
        "coating/areal_mass",
        "formation/air_temperature_r2",
    }
