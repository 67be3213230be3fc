"""Which references may mean a row that is wrong itself."""

from __future__ import annotations

import pytest

from twin.config.names import Doubts, matcher


@pytest.mark.parametrize(
    ("doubted", "reference", "expected"),
    [
        ("calender/load", "calender/load", True),
        ("calender/load", "calender/lead", False),
        ("calender/load", "calender/*", True),
        ("calender/load", "*", True),
        ("calender/lane_{n}", "calender/lane_7", True),
        ("calender/lane_{n}", "calender/lane_{1}", True),
        ("calender/lane_{n}", "calender/gap", False),
        ("calender/*", "calender/gap", True),
        ("calender/*", "oven/gap", False),
        ("*", "oven/gap", True),
        ("Calender/Line Load", "calender/line_load", True),
        ("Dry Room", "dry", True),
        ("Dry Room", "wet", False),
    ],
)
def test_a_reference_may_mean_a_name_in_doubt(doubted, reference, expected):
    """What was readable of a wrong name decides; other kinds of names are never meant."""
    doubts = Doubts()
    doubts.add("sensor", doubted)
    assert doubts.cover("sensor", reference) == expected
    assert not doubts.cover("zone", reference)


def test_a_star_is_any_run_of_characters():
    """Everything but the star stands for itself."""
    assert matcher("a.b/*").fullmatch("a.b/c/d")
    assert not matcher("a.b/*").fullmatch("axb/c")
