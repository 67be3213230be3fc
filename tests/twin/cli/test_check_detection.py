"""``linetwin check`` refuses settings of detection that cannot work, with reason and proposal."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from twin.cli.main import app

SENSOR = """
[[station]]
id = "press"
product = "sheet"

[[station.sensor]]
key = "force"
unit = "kN"
period_s = 10
chart = { centre = 5, sigma = 1, rules = "shewhart" }

[[station.sensor]]
key = "gap"
unit = "um"
period_s = 10
"""
GROUP = """
[[group]]
id = "pair"
kind = "t2"
sensors = ["press/force", "press/gap"]
mean = [5, 60]
sigma = [1, 2]
correlation = [[1, 0.5], [0.5, 1]]
"""
OWN = '[[rule_set]]\nid = "own"\nrule = [{ id = "a", points = 3, k = 4 }]\n\n'
CHART = 'centre = 5, sigma = 1, rules = "shewhart"'
BROKEN = {
    "sigma of zero": ("sigma = 1,", "sigma = 0,", "chart.sigma", "greater than 0"),
    "negative sigma": ("sigma = 1,", "sigma = -1,", "chart.sigma", "greater than 0"),
    "limits the wrong way round": (
        "chart = {", "limits = { lsl = 9, usl = 1 }\nchart = {", "limits.lsl", "is above usl",
    ),
    "subgroup of one": (
        CHART, f'{CHART}, series = "piece", size = 1', "chart.size", "greater than or equal to 2",
    ),
    "lambda of zero": (CHART, f"{CHART}, ewma_lambda = 0", "chart.ewma_lambda", "greater than 0"),
    "lambda above one": (
        CHART, f"{CHART}, ewma_lambda = 1.2", "chart.ewma_lambda", "less than or equal to 1",
    ),
    "unknown rule set": ('"shewhart"', '"shewart"', "chart.rules", "western_electric"),
    "subgroup not formable": (
        CHART, f'{CHART}, series = "block", block_s = 15', "chart.block_s", "30 s or more",
    ),
    "singular covariance": ("0.5", "1", "group[0].correlation", "is singular"),
    "covariance of nothing real": ("0.5", "1.5", "group[0].correlation", "is not positive definite"),
    "group of an unknown sensor": ('"press/gap"', '"press/gab"', "group[0].sensors", "no such"),
    "run rule out of nothing": (
        "[[station]]", f"{OWN}[[station]]", "rule_set[0].rule[0].k", "1 to 3",
    ),
    "sample size missing": (CHART, 'type = "p", centre = 0.1', "chart.n", ""),
    "proportion above one": (CHART, 'type = "p", centre = 1.1, n = 50', "chart.centre", ""),
    "residuals without a model": (CHART, f'{CHART}, series = "residual"', "chart.ar", "tau_s"),
    "unknown detector": (
        "chart = {", "detect.anomly = { rate = 1e-4 }\nchart = {", "detect.anomly", "anomaly",
    ),
    "false-alarm rate of one": (
        "chart = {", "detect.anomaly = { rate = 1.0 }\nchart = {", "detect.anomaly.rate", "less than",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_refused_with_a_proposal(name, tmp_path):
    """The key, what is wrong and what is allowed are told, and the line does not pass."""
    old, new, key, words = BROKEN[name]
    text = SENSOR + GROUP
    assert old in text
    file = tmp_path / "line.toml"
    file.write_text(text.replace(old, new))
    result = CliRunner().invoke(app, ["check", str(file)])
    assert result.exit_code == 2
    told = " ".join(result.output.split())
    assert key in told
    assert words in told
    assert "allowed:" in told


def test_the_line_itself_is_fine(tmp_path):
    """Without the mistakes the same description passes, so it is they that are refused."""
    file = tmp_path / "line.toml"
    file.write_text(SENSOR + GROUP)
    result = CliRunner().invoke(app, ["check", str(file)])
    assert result.exit_code == 2  # one raw Shewhart chart at 0.1 Hz is over the budget of a shift
    assert "false findings" in result.output
    file.write_text('[detection]\naccept = "a trial"\n' + SENSOR + GROUP)
    result = CliRunner().invoke(app, ["check", str(file)])
    assert result.exit_code == 0
