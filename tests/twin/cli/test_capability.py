"""``linetwin capability``: indices with intervals and doubts, from a recording."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from twin.cli.main import app
from twin.errors import ConfigError

LINE = """\
[line]
recipe = "a"

[[station]]
id = "press"

[[station.sensor]]
key = "gap"
unit = "um"
sampling = "event"
limits = { lsl = 8, usl = 20, target = 14 }

[[station.sensor]]
key = "force"
unit = "kN"
sampling = "event"
limits = { usl = 9 }

[[station.sensor]]
key = "plain"
sampling = "event"
"""
MAPPING = """\
[time]
column = "time"

[columns]
gap = { sensor = "press/gap", unit = "um" }
force = { sensor = "press/force", unit = "kN" }
"""
START = np.datetime64("2026-03-01T06:00:00")


@pytest.fixture
def call(tmp_path):
    rng = np.random.default_rng(2)
    gap = 16 + 2 * rng.standard_normal(200)
    rows = [f"{START + i}Z,{g:.6f},{5 + (i > 100)}" for i, g in enumerate(gap)]
    (tmp_path / "line.toml").write_text(LINE)
    (tmp_path / "map.toml").write_text(MAPPING)
    (tmp_path / "rec.csv").write_text("time,gap,force\n" + "\n".join(rows) + "\n")

    def run(*words, code=0):
        files = [str(tmp_path / "line.toml"), str(tmp_path / "rec.csv")]
        mapping = ["--mapping", str(tmp_path / "map.toml")]
        result = CliRunner().invoke(app, ["capability", *files, *mapping, *words])
        if isinstance(result.exception, ConfigError):
            return result.exception.problems[0]
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if "--json" in words else result.stdout

    run.gap = gap
    return run


def test_indices_and_intervals(call):
    """Mean, sigmas and indices are those of the values; each has its interval."""
    told = call("--sensor", "press/gap", "--json")["press/gap"]
    gap = call.gap
    assert told["mean"] == pytest.approx(gap.mean(), abs=1e-5)
    assert told["overall"]["value"] == pytest.approx(gap.std(ddof=1), rel=1e-5)
    sigma = np.abs(np.diff(gap)).mean() / 1.128379
    indices = {index["name"]: index for index in told["indices"]}
    assert indices["cp"]["value"] == pytest.approx(12 / (6 * sigma), rel=1e-5)
    assert indices["cpk"]["value"] == pytest.approx((20 - gap.mean()) / (3 * sigma), rel=1e-5)
    assert indices["cpm"]["low"] < indices["cpm"]["value"] < indices["cpm"]["high"]
    assert told["warnings"] == []


def test_doubts_are_told(call):
    """A shifted, two-valued series is out of control, not normal, and has one side only."""
    text = call()
    force = text[text.index("press/force") :]
    assert "open to 9 kN" in force
    assert "Cpu" in force
    assert "Cpk  " not in force.split("Cpu")[0]
    assert "warning: the chart is not in control" in force
    assert "warning: the values do not look normal" in force


def test_subgroups(call):
    """Sigma within comes from the subgroups, with the degrees of freedom of the estimator."""
    told = call("--sensor", "press/gap", "--size", "5", "--estimator", "pooled", "--json")
    within = told["press/gap"]["within"]
    assert within["df"] == 160
    assert within["value"] == pytest.approx(2, rel=0.15)


def test_period_and_recipe(call):
    """Only values of the period and the recipe count; without any there is nothing to say."""
    part = call("--sensor", "press/gap", "--to", "2026-03-01T06:00:49Z", "--json")
    assert part["press/gap"]["n"] == 50
    none = call("--sensor", "press/gap", "--recipe", "b", "--json", code=1)
    assert none["press/gap"]["n"] == 0
    assert none["press/gap"]["error"]


def test_mistakes_are_told(call):
    """A sensor without limits, an unknown one, and an estimator that needs subgroups."""
    assert call("--sensor", "press/plain").message == "has no specification limits"
    assert call("--sensor", "press/nothing").message == "is no sensor"
    assert call("--estimator", "pooled").message == "needs --size"
    assert call("--size", "5").message == "takes no --size"
