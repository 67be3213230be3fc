"""What ``linetwin arl`` prints."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from twin.cli.main import app


def run(*args: str):
    """The result of the command."""
    return CliRunner().invoke(app, ["arl", *args])


def numbers(*args: str) -> dict[str, list[float]]:
    """Run lengths by statistic."""
    result = run(*args, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    return {s["statistic"]: [r["arl"] for r in s["runs"]] for s in facts["statistics"]}


def test_rules_with_a_period():
    """Points, their origin, hours and false findings per day."""
    result = run("--rules", "western_electric", "--period", "1", "--shift", "0,1")
    assert result.exit_code == 0
    assert "91.75 (exact)  0.02549 h, 941.7 false findings per day" in result.stdout
    assert "9.222 (exact)" in result.stdout


def test_several_statistics_and_their_bounds():
    """False alarms add up at most; the fastest finds a shift."""
    found = numbers(
        "--ewma", "0.1,2.814", "--ewma-limits", "fixed", "--cusum", "0.5,5", "--fir", "--shift=0,1"
    )
    assert found == {
        "ewma(0.1; 2.814) with fixed limits": pytest.approx([499.58, 10.331], rel=1e-4),
        "cusum(0.5; 5) with head start": pytest.approx([430.39, 6.347], rel=1e-4),
        "together": pytest.approx([1 / (1 / 499.58 + 1 / 430.39), 6.347], rel=1e-4),
    }


def test_one_sided_and_several_variables():
    """A CUSUM that looks up only, and a MEWMA."""
    assert numbers("--cusum", "0.5,5", "--one-sided", "--shift", "0") == {
        "cusum(0.5; 5)": pytest.approx([930.887], abs=0.01)
    }
    assert numbers("--mewma", "2,0.1,8.634", "--shift", "0,1") == {
        "mewma(2; 0.1; 8.634)": pytest.approx([200.04, 10.122], abs=0.01)
    }


def test_designs():
    """Limits for an ARL0, those in common use or those asked for."""
    found = numbers("--design", "1000", "--ewma-limits", "fixed")
    assert list(found) == [
        "one point beyond 3.2905 sigma",
        "ewma(0.1; 3.0586) with fixed limits",
        "cusum(0.5; 5.7574)",
    ]
    assert [runs[0] for runs in found.values()] == pytest.approx([1000.0] * 3, rel=1e-4)
    assert list(numbers("--design", "200", "--mewma", "2,0.1")) == ["mewma(2; 0.1; 8.6336)"]


def test_correlated_points():
    """Rules are exact, a CUSUM is simulated and says how well."""
    assert numbers("--rules", "shewhart", "--phi", "0.5", "--shift", "0") == {
        "shewhart": pytest.approx([396.28], abs=0.01)
    }
    result = run("--cusum", "0.5,5", "--phi", "0.8", "--shift", "0")
    assert "(simulated +- " in result.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "say what judges"),
        (("--rules", "nelsen"), "allowed: shewhart"),
        (("--ewma", "0.1"), "2 number(s)"),
        (("--ewma", "a,b"), "numbers, comma between"),
        (("--ewma", "2,3"), "0 < lambda <= 1"),
        (("--cusum", "0.5,5", "--phi", "1"), "-0.99 to 0.99"),
        (("--cusum", "0.5,5", "--phi", "0.5", "--one-sided"), "both ways"),
        (("--rules", "nelson", "--design", "500"), "--design gives limits"),
        (("--rules", "nelson", "--one-sided"), "both ways"),
        (("--rules", "nelson", "--period", "0"), "more than 0 s"),
        (("--mewma", "2.5,0.1,8"), "a whole number"),
        (("--mewma", "2,0.1,8", "--phi", "0.5"), "--rules, --ewma and --cusum"),
        (("--rules", "nelson", "--ewma-limits", "wide"), "time-varying, fixed, fir"),
        (("--design", "1"), "1.5 to"),
    ],
)
def test_wrong_arguments(args, said):
    """What is wrong and what is allowed, in one sentence."""
    result = run(*args)
    assert result.exit_code == 2
    text = " ".join(result.output.replace("│", " ").split())
    assert said in text
