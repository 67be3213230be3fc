"""What is different between two versions."""

from __future__ import annotations

import json

import pytest

from twin.config import changes, parse


@pytest.fixture
def difference(files):
    """Changes from the valid line to another one."""

    def between(text, plan=None):
        other = files(text) if plan is None else files(text, plan)
        return changes(parse(files()), parse(other))

    return between


def test_nothing_changed(files):
    """Equal versions differ in nothing."""
    index = parse(files())
    assert changes(index, index) == {"from": index.version, "to": index.version}


def test_a_comment_changes_only_the_version(changed, difference):
    """Text that says the same gives another version and no change."""
    found = difference(changed(("# A calender and a rack.", "# Two stations.")))
    assert found.keys() == {"from", "to"}
    assert found["from"] != found["to"]


def test_sensors(changed, difference):
    """Added, removed and changed sensors are listed by id, expanded."""
    found = difference(
        changed(
            ('lane = "1..3"', 'lane = "2..4"'),
            ('key = "oil"\nunit = "Cel"', 'key = "oil"\nunit = "K"'),
            ('"calender/thickness_l1"]', "]"),
        )
    )
    assert found["sensors"] == {
        "added": ["calender/thickness_l4"],
        "removed": ["calender/thickness_l1"],
        "changed": ["calender/oil"],
    }
    assert found["tables"] == {"gate": {"changed": ["G4"]}}


def test_control_plan(changed, difference, plan_text):
    """A new limit in the control plan changes its row and the sensors that use it."""
    found = difference(changed(), plan_text.replace("75,79", "75,80"))
    assert found["control"] == {"changed": ["CP17"]}
    assert found["sensors"] == {"changed": [f"calender/thickness_l{lane}" for lane in (1, 2, 3)]}


def test_other_tables(changed, difference):
    """Keys of single tables and rows of lists are named; the result is JSON."""
    found = difference(
        changed(
            ("port = 0", "port = 1884"),
            ('zone = "dry"\n', ""),
            ('[[alarm]]\nid = "chart"', '[[alarm]]\nid = "spc"'),
            ('time = "when"', 'time = "at"'),
            ('channel = "01..16" }\n\n[[mapping]]', 'channel = "01..15" }\n\n[[mapping]]'),
        )
    )
    assert found["tables"] == {
        "listener": {"changed": ["port"]},
        "station": {"changed": ["calender"]},
        "alarm": {"added": ["spc"], "removed": ["chart"]},
        "mapping": {"changed": ["legacy/+/state"]},
        "channel": {"removed": ["formation/r01c16", "formation/r02c16"]},
    }
    json.dumps(found)


def test_two_mappings_of_one_topic(changed, files):
    """Rows of the same name are told apart."""
    more = '[[mapping]]\ntopic = "legacy/+/state"\nvalues = { "calender/gap" = "gap" }\n'
    before = changed(("[[gate]]", more + "[[gate]]"))
    after = before.replace('"gap" }', '"gaps" }')
    found = changes(parse(files(before)), parse(files(after)))
    assert found["tables"] == {"mapping": {"changed": ["legacy/+/state (2)"]}}
