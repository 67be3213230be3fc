"""Rows that stand for many."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.config.expand import combinations, fill, names_in


def test_zeros_in_front_are_kept():
    """A range that begins with a zero keeps its width; one that does not has none."""
    assert [each["n"] for each in combinations({"n": "08..11"})] == ["08", "09", "10", "11"]
    assert [each["n"] for each in combinations({"n": "8..11"})] == ["8", "9", "10", "11"]
    assert [each["n"] for each in combinations({"n": "0..2"})] == ["0", "1", "2"]


def test_several_names_give_all_combinations():
    """The last name runs fastest, and a list is taken in its order."""
    found = [(e["a"], e["b"]) for e in combinations({"a": ["x", "w"], "b": "1..2"})]
    assert found == [("x", "1"), ("x", "2"), ("w", "1"), ("w", "2")]


def test_no_names_give_one_row():
    """A row without ``each`` stands for itself."""
    assert list(combinations({})) == [{}]


@pytest.mark.parametrize(
    ("each", "message"),
    [
        ({"n": ""}, "no range"),
        ({"n": "1...3"}, "no range"),
        ({"n": "-1..3"}, "no range"),
        ({"n": "3..1"}, "ends before"),
        ({"n": []}, "empty list"),
        ({"n": ["a", "a"]}, "twice"),
        ({"n": "0..1000000"}, "more than"),
        ({"a": "0..9999", "b": "0..9999"}, "100000000 rows"),
    ],
)
def test_unreadable_ranges_are_refused(each, message):
    """A range or list that cannot be meant is refused before anything is expanded."""
    with pytest.raises(ValueError, match=message):
        combinations(each)


@settings(deadline=None)
@given(st.text(alphabet="{}ab ", max_size=12))
def test_what_has_no_value_stays(text):
    """Filling in nothing changes nothing, and what was filled in is no longer a name."""
    assert fill(text, {}) == text
    values = dict.fromkeys(names_in(text), "-")
    assert names_in(fill(text, values)) == set()
