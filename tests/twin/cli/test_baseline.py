"""``linetwin baseline`` from a recording to limits in force."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from twin import config
from twin.cli.main import app
from twin.errors import ConfigError

PLAN = """\
id,station,characteristic,metric,unit,class,method,sampling,target,limit_mode,lsl,usl,warn,chart,series,subgroup,reaction,status,basis
CP13,calender,line load,load,N/mm,CC,load cells,0.1 s,300,percent,-10,10,,cusum(0.5;5),raw,web:0.1m,mark metres,proposed,none
"""
LINE = """\
[line]
control_plan = "plan.csv"
baselines = "baselines.jsonl"

[[station]]
id = "calender"

[[station.sensor]]
key = "load"
unit = "N/mm"
period_s = 1.0
control = "CP13"
chart = { rules = "shewhart", ewma_lambda = 0.2 }

[[station.sensor]]
key = "temperature"
unit = "Cel"
period_s = 1.0
chart = { rules = "shewhart" }
"""
MAPPING = """\
[time]
column = "time"

[columns]
load = { sensor = "calender/load", unit = "N/mm" }
temperature = { sensor = "calender/temperature", unit = "Cel" }
"""
START = np.datetime64("2026-03-01T06:00:00")
ROWS = 3000


@pytest.fixture
def folder(tmp_path):
    """A line, and a recording of a correlated load and an independent temperature."""
    rng = np.random.default_rng(1)
    load = np.zeros(ROWS + 300)
    for i, e in enumerate(rng.standard_normal(len(load)).tolist()):
        load[i] = 0.8 * load[i - 1] + e
    temperature = 100 + 0.2 * rng.standard_normal(ROWS)
    rows = [
        f"{START + i}Z,{300 + a:.5f},{b:.5f}"
        for i, (a, b) in enumerate(zip(load[300:], temperature, strict=True))
    ]
    (tmp_path / "line.toml").write_text(LINE)
    (tmp_path / "plan.csv").write_text(PLAN)
    (tmp_path / "map.toml").write_text(MAPPING)
    (tmp_path / "rec.csv").write_text("time,load,temperature\n" + "\n".join(rows) + "\n")
    return tmp_path


@pytest.fixture
def call(folder):
    """Run a command and take its JSON; an expected error comes back as it is."""

    def run(name, *words, recording=False, code=0):
        line = [str(folder / "line.toml")]
        if recording:
            line += [str(folder / "rec.csv"), "--mapping", str(folder / "map.toml")]
        result = CliRunner().invoke(app, ["baseline", name, *line, *words, "--json"])
        if isinstance(result.exception, ConfigError):
            return result.exception.problems
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    return run


WHO = ("--by", "anna", "--reason", "first week")


def test_from_a_recording_to_limits_in_force(folder, call):
    """Fit, look, rehearse, approve by another person: then the line has the limits."""
    found = call("fit", "--all", *WHO, recording=True)

    load = found["calender/load"]
    assert load["baseline"]["series"] == "residual"
    assert load["baseline"]["ar"][0] == pytest.approx(0.8, abs=0.05)
    assert load["failed"] == []
    assert load["outlook"]["arl0"] == pytest.approx(212, abs=3)
    assert load["outlook"]["false_per_shift"] == pytest.approx(28_800 / 212, rel=0.05)
    assert found["calender/temperature"]["baseline"]["series"] == "raw"
    assert found["calender/temperature"]["outlook"]["delay"]["1"] == pytest.approx(43.9, abs=0.1)
    assert config.load(folder / "line.toml").baselines == {}

    rehearsed = call("rehearse", "--baseline", "calender.load@1", recording=True)
    expected = sum(shift["by_chance"] for shift in rehearsed["shifts"])
    assert expected == pytest.approx(ROWS / 212, rel=0.05)
    assert 0.4 < len(rehearsed["findings"]) / expected < 2.2
    assert {f["baseline"] for f in rehearsed["findings"]} == {"calender.load@1"}

    (problem,) = call("approve", "calender.load@1", "--by", "anna", "--reason", "fine")
    assert problem.key == "record.approved_by"
    call("approve", "calender.load@1", "--by", "ben", "--reason", "rehearsed over a day")

    force = config.load(folder / "line.toml").baselines
    assert [b.name for b in force["calender/load"]] == ["calender.load@1"]
    listed = {row["name"]: row["state"] for row in call("list")["baselines"]}
    assert listed == {"calender.load@1": "in force", "calender.temperature@1": "candidate"}
    shown = call("show", "calender.load@1")
    assert (shown["state"], shown["record"]["approved_by"]) == ("in force", "ben")


def test_part_of_a_recording_with_a_cause(call):
    """A period is chosen by time, and what is left out carries its cause."""
    found = call(
        "fit",
        "--sensor",
        "calender/temperature",
        "--series",
        "raw",
        "--from",
        "2026-03-01T06:10:00Z",
        "--to",
        "2026-03-01T06:29:59Z",
        "--exclude",
        "2026-03-01T06:15:00Z/2026-03-01T06:15:09Z web break",
        *WHO,
        recording=True,
    )

    base = found["calender/temperature"]["baseline"]
    assert (base["n"], base["start"]) == (1190, "2026-03-01T06:10:00.000000Z")
    assert base["excluded"][0]["cause"] == "web break"
    assert base["excluded"][0]["points"] == 10


def test_not_enough_data_ends_with_1_and_writes_nothing(folder, call):
    """A period that is too short is an answer, not a baseline."""
    found = call(
        "fit",
        "--sensor",
        "calender/load",
        "--to",
        "2026-03-01T06:01:00Z",
        *WHO,
        recording=True,
        code=1,
    )

    assert found["calender/load"]["baseline"] is None
    assert "61 samples; 100 are the least" in found["calender/load"]["missing"]
    assert not (folder / "baselines.jsonl").read_text()


def test_small_candidate_is_refused_unless_somebody_says_why(call):
    """A failed test stands between a candidate and the line."""
    part = ("--sensor", "calender/temperature", "--to", "2026-03-01T06:02:29Z")
    call("fit", *part, *WHO, recording=True)

    (problem,) = call("approve", "calender.temperature@1", "--by", "ben", "--reason", "hurry")
    assert "failed enough" in problem.message
    told = call(
        "approve", "calender.temperature@1", "--by", "ben", "--reason", "trial", "--despite"
    )
    assert told["state"] == "in force"


def test_second_version_supersedes_and_is_compared(call):
    """A new fit becomes version 2; an older candidate can no longer be approved."""
    call("fit", "--sensor", "calender/temperature", *WHO, recording=True)
    found = call("fit", "--sensor", "calender/temperature", *WHO, recording=True)

    base = found["calender/temperature"]["baseline"]
    assert (base["version"], base["supersedes"]) == (2, "calender.temperature@1")
    told = call("compare", "calender.temperature@1", "calender.temperature@2")
    assert told["different"] is False
    (problem,) = call("approve", "calender.temperature@1", "--by", "ben", "--reason", "late")
    assert problem.allowed == "calender.temperature@2"


def test_drift_becomes_a_proposal(folder, call):
    """New data that differ are proposed as the next version; equal ones are not."""
    call("fit", "--sensor", "calender/temperature", *WHO, recording=True)
    call("approve", "calender.temperature@1", "--by", "ben", "--reason", "fine")
    (same,) = call("propose", "--by", "carl", recording=True)["proposals"]
    assert same["proposed"] is None

    text = (folder / "rec.csv").read_text().replace(",100.", ",101.").replace(",99.", ",100.")
    (folder / "rec.csv").write_text(text)
    (moved,) = call("propose", "--by", "carl", recording=True)["proposals"]

    assert moved["proposed"] == "calender.temperature@2"
    assert moved["compared"]["level"]["shift_sigma"] == pytest.approx(5.0, abs=0.4)
    assert [row["state"] for row in call("list")["baselines"]] == ["in force", "candidate"]


def test_declared_limits_that_win_are_pointed_out(folder, call):
    """An approved baseline that nothing will use is said to be one."""
    declared = LINE.replace(
        'rules = "shewhart" }', 'rules = "shewhart", centre = 100.0, sigma = 0.2 }'
    )
    (folder / "line.toml").write_text(declared)
    call("fit", "--sensor", "calender/temperature", *WHO, recording=True)

    told = call("approve", "calender.temperature@1", "--by", "ben", "--reason", "fine")

    assert "declares centre and sigma, and they win" in told["note"]


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("fit", "--sensor", "calender/none", *WHO), "--sensor"),
        (("fit", *WHO), "--sensor"),
        (("fit", "--all", "--series", "often", *WHO), "--series"),
        (("fit", "--all", "--from", "yesterday", *WHO), "--from"),
        (("fit", "--all", "--exclude", "2026-03-01T06:00Z web break", *WHO), "--exclude"),
        (("rehearse", "--baseline", "none@1"), "ID@V"),
    ],
)
def test_wrong_arguments_are_told(call, words, key):
    """Each error names the option and what is allowed."""
    (problem,) = call(*words, recording=True)

    assert problem.key == key
    assert problem.allowed


def test_a_line_without_a_file_is_told_what_to_write(folder, call):
    """The first thing a person needs is the name of the file in the line description."""
    text = LINE.replace('baselines = "baselines.jsonl"\n', "")
    (folder / "line.toml").write_text(text)

    (problem,) = call("list")

    assert (problem.key, problem.allowed) == ("line.baselines", '"baselines.jsonl"')


def test_for_people(folder):
    """Without --json the same is said in words."""
    words = [str(folder / "line.toml"), str(folder / "rec.csv"), "--all", *WHO]
    result = CliRunner().invoke(
        app, ["baseline", "fit", *words, "--mapping", str(folder / "map.toml")]
    )

    assert result.exit_code == 0
    for text in (
        "candidate calender.load@1: residual",
        "ARL0",
        "per shift",
        "after a lasting shift",
    ):
        assert text in result.stdout


def test_a_real_recording_is_told_what_it_fails(tmp_path, recordings):
    """Seventeen hours of a cycler's own temperature: a candidate, but its scatter changed."""
    (tmp_path / "line.toml").write_text(
        """\
[line]
timezone = "Europe/Berlin"
baselines = "baselines.jsonl"

[[station]]
id = "formation"

[[station.sensor]]
key = "circuit"
column = "circuit_temperature_celsius"
unit = "Cel"
chart = { rules = "shewhart" }
"""
    )
    line = str(tmp_path / "line.toml")
    file = str(recordings / "beep" / "test_Nova_Form-CH01-01_short.csv")

    result = CliRunner().invoke(app, ["baseline", "fit", line, file, "--all", *WHO, "--json"])

    assert result.exit_code == 0
    found = json.loads(result.stdout)["formation/circuit"]
    assert found["baseline"]["tests"]["level_is"] == "follows the signal"
    assert found["failed"] == ["scatter"]
    words = ["approve", line, "formation.circuit@1", "--by", "ben", "--reason", "fine"]
    refused = CliRunner().invoke(app, ["baseline", *words])
    assert "failed scatter" in str(refused.exception)


def test_a_baseline_of_the_lines_recipe_judges_no_other(folder, call):
    """What was fitted while the line's recipe ran is bound to it, also when nobody named it."""
    line = folder / "line.toml"
    line.write_text(LINE.replace("[line]", '[line]\nrecipe = "r0"'))
    told = call("fit", "--sensor", "calender/temperature", *WHO, recording=True)
    base = told["calender/temperature"]["baseline"]
    assert base["recipe"] == "r0"
    assert base["id"].endswith(":r0")
