"""The documented settings are the real ones."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest

from twin.model.line import Broker, Device, Line, Listener

FOLDER = Path(__file__).parents[3] / "connectors" / "mqtt"
SAMPLE = (FOLDER / "sample.toml").read_text()
ALL = tomllib.loads(re.sub(r"(?m)^# (?=[a-z_]+ = )", "", SAMPLE))


def test_sample_loads_as_it_is():
    """The sample is a valid part of a line description, and everything left out is a default."""
    got = Line.model_validate(tomllib.loads(SAMPLE))
    assert got.listener == Listener(device=[Device(user="calender-gw")])
    assert got.broker == [Broker(host="broker.plant.example")]


def test_shown_defaults_are_the_defaults():
    """Every commented key has the value it has when left out."""
    got = Line.model_validate(ALL)
    assert got == Line.model_validate(tomllib.loads(SAMPLE))


@pytest.mark.parametrize(
    ("model", "table"),
    [
        (Listener, ALL["listener"]),
        (Device, ALL["listener"]["device"][0]),
        (Broker, ALL["broker"][0]),
    ],
)
def test_every_setting_is_shown(model, table):
    """The sample and the README name every key there is."""
    readme = (FOLDER / "README.md").read_text()
    assert set(table) == set(model.model_fields)
    assert [key for key in table if key != "device" and f"`{key}`" not in readme] == []


def test_every_key_has_a_sentence():
    """Above each key stands a full sentence."""
    lines = SAMPLE.splitlines()
    for above, key in itertools.pairwise(lines):
        if re.match(r"(# )?[a-z_]+ = ", key):
            assert re.match(r"# [A-Z].*\.$", above), key
