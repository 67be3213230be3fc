"""The control plan: its mistakes, and the limits of its rows."""

from __future__ import annotations

import pytest

from twin.config.control_plan import limits, read

ROW = {"unit": "N/mm", "target": "300", "limit_mode": "percent", "lsl": "-10", "usl": "10"}


def test_rows_by_id(plan_text):
    """Columns are kept as text, also those with commas and line ends in quotes."""
    plan = read(plan_text, "plan.csv")
    assert plan.problems == []
    assert list(plan.rows) == ["CP13", "CP17", "CP12", "CP16"]
    assert plan.rows["CP13"]["reaction"] == "mark metres;\nre-gap"
    assert plan.rows["CP13"]["basis"] == "limits, proposed"


@pytest.mark.parametrize(
    ("row", "unit", "expected"),
    [
        ({}, "N/mm", (300.0, 270.0, 330.0, None)),
        ({}, "N/m", (300_000.0, 270_000.0, 330_000.0, None)),
        ({"target": "-60"}, "N/mm", (-60.0, -66.0, -54.0, None)),
        ({"usl": "15", "lsl": ""}, "N/mm", (300.0, None, 345.0, None)),
        ({"limit_mode": "offset"}, "N/mm", (300.0, 290.0, 310.0, None)),
        (
            {"unit": "Cel", "target": "100", "limit_mode": "offset", "lsl": "-5", "usl": "5"},
            "K",
            (373.15, 368.15, 378.15, None),
        ),
        (
            {"limit_mode": "absolute", "unit": "Cel", "target": "-60", "lsl": "", "usl": "-45"}
            | {"warn": "-50"},
            "Cel",
            (-60.0, None, -45.0, -50.0),
        ),
        (
            {"limit_mode": "absolute", "target": "recipe", "unit": "m/min", "lsl": "10"}
            | {"usl": "60"},
            "m/min",
            (None, 10.0, 60.0, None),
        ),
        ({"target": "recipe"}, "N/mm", None),
        ({"target": "recipe", "limit_mode": "offset"}, "N/mm", None),
        ({"target": "recipe", "limit_mode": "robust_z"}, "N/mm", None),
        ({"target": "recipe", "limit_mode": "recipe", "lsl": "", "usl": ""}, "N/mm", None),
        ({"target": "", "limit_mode": "absolute", "lsl": "", "usl": ""}, "N/mm", None),
    ],
)
def test_limits_of_a_row(row, unit, expected):
    """Every mode gives limits in the sensor's unit; what depends on the recipe stays open."""
    found = limits(ROW | row, unit)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found.target, found.lsl, found.usl, found.warn) == pytest.approx(expected)


def test_other_units_are_refused():
    """A row in a unit that measures something else has no limits for the sensor."""
    with pytest.raises(ValueError, match="different things"):
        limits(ROW, "um")


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "message"),
    [
        (",warn,", ",warm,", 1, "warm", "unknown column"),
        (",series,", ",chart,", 1, "chart", "column stands twice"),
        ("um,CC", "µm,CC", 4, "CP17.unit", 'did you mean "um"'),
        ("77,absolute", "77,absolut", 4, "CP17.limit_mode", "unknown value"),
        ("um,CC", "um,C", 4, "CP17.class", "unknown value"),
        ("77,absolute", ",percent", 4, "CP17.target", "is missing"),
        ("77,", "seventy,", 4, "CP17.target", "is no number"),
        ("77,absolute,75", "77,absolute,nan", 4, "CP17.lsl", "is no number"),
        ("75,79", "79,75", 4, "CP17.lsl", "is above usl (75)"),
        ("xbar-s+t2", "xbar-s+t3", 4, "CP17.chart", 'unknown chart "t3"'),
        ("cusum(0.5;5)", "cusum(0.5,5)", 2, "CP13.row", "has 20 cells"),
        ("ewma(0.2),raw,sample,slow", "ewma(),raw,sample,slow", 6, "CP16.chart", "unknown chart"),
        ("CP12,", "CP13,", 5, "CP13.id", "stands twice"),
        ("CP12,", ",", 5, "id", "is missing"),
        (",proposed,none\nCP12", ",maybe,none\nCP12", 4, "CP17.status", "unknown value"),
        ("\nCP12", '\n"CP"12', 5, "row", "not CSV"),
    ],
)
def test_mistakes_have_their_line(plan_text, problems_of, old, new, line, key, message):
    """A mistake in the control plan is named with file, line, row and column."""
    assert plan_text.count(old) == 1
    (problem,) = problems_of(plan=plan_text.replace(old, new))
    assert (problem.file, problem.line, problem.key) == ("plan.csv", line, key)
    assert message in problem.message


def test_an_empty_plan_lacks_its_columns(problems_of):
    """A file without a header names every column it needs."""
    keys = {problem.key for problem in problems_of(plan="")}
    assert keys == {"id", "station", "metric", "unit", "target", "limit_mode", "lsl", "usl"}
