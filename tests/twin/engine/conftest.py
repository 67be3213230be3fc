"""A small line for the parts of the engine."""

from __future__ import annotations

import pytest

from twin.config import parse

S = 1_000_000_000

LINE = """
[line]
site = "lab"
name = "one"
too_old_s = "none"

[detection]
accept = "tests"

[listener]
enabled = false

[[station]]
id = "oven"
title = "Oven"
product = "coil"
encoder = "metre"

[[station.sensor]]
key = "metre"
unit = "m"
role = "counter"
period_s = 1

[[station.sensor]]
key = "temp"
title = "Temperature"
unit = "Cel"
period_s = 2
range = [0, 200]
[station.sensor.chart]
centre = 50
sigma = 2
rules = "western_electric"
baseline = "oven@1"
[station.sensor.limits]
target = 50
lsl = 30
usl = 70

[[station.sensor]]
key = "slow"
max_silence_s = 30

[[station.sensor]]
key = "door"
role = "state"
period_s = 1

[[alarm]]
id = "hot"
title = "Oven too hot"
sensor = "oven/temp"
when = "above"
limit = 70
deadband = 1
priority = "P2"
cause = "fan"
consequence = "scrap"
action = "stop the oven"

[[alarm]]
id = "spc"
sensor = "oven/temp"
when = "chart"

[[alarm]]
id = "silent"
sensor = "oven/*"
when = "stale"
priority = "P4"
"""


@pytest.fixture(scope="session")
def text() -> str:
    """The line description as text."""
    return LINE


@pytest.fixture(scope="session")
def index():
    """An oven with a chart, limits and three alarms."""
    return parse({"line.toml": LINE})
