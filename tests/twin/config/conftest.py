"""A small valid line and ways to break it."""

from __future__ import annotations

import pytest

from twin.config import parse
from twin.errors import ConfigError

PLAN = """\
id,station,characteristic,metric,unit,class,method,sampling,target,limit_mode,lsl,usl,warn,chart,series,subgroup,reaction,status,basis
CP13,calender,line load,line_load,N/mm,CC,load cells,0.1 s,300,percent,-10,10,,cusum(0.5;5),raw,web:0.1m,"mark metres;
re-gap",proposed,"limits, proposed"
CP17,calender,thickness,thickness,um,CC,laser,10 ms,77,absolute,75,79,,xbar-s+t2,raw,web:0.1m:3,mark metres,proposed,none
CP12,calender,roller temperature,roll_temperature,Cel,CC,pyrometer,1 s,100,offset,-5,5,,ewma(0.2)+run-rules,raw,sample,stop,proposed,none
CP16,calender,web tension,web_tension,N,CC,load cell,0.05 s,recipe,percent,-10,10,,ewma(0.2),raw,sample,slow,proposed,none
"""

LINE = """\
# A calender and a rack.
[line]
site = "pilot1"
name = "l1"
control_plan = "plan.csv"
timezone = "Europe/Berlin"

[listener]
port = 0

[[listener.device]]
user = "gw"
publish = ["twin/v1/#"]

[[broker]]
id = "plant"
host = "broker.example"
topics = ["plant/+/data", "twin/v1/#"]

[[zone]]
id = "dry"

[[station]]
id = "calender"
area = "electrode"
zone = "dry"
encoder = "metre"

[[station.sensor]]
key = "line_load"
unit = "kN/m"
control = "CP13"
period_s = 0.1
range = [0, 1000]
operating = [100, 500]
chart = { centre = 300, sigma = 3, rules = "nelson_shift" }

[[station.sensor]]
key = "thickness_l{lane}"
title = "Thickness, lane {lane}"
unit = "um"
control = "CP17"
each = { lane = "1..3" }

[[station.sensor]]
key = "metre"
unit = "m"
role = "counter"

[[station.sensor]]
key = "gap"
unit = "um"
topic = "plant/calender/data"
path = "gap[0].value"

[[station.sensor]]
key = "oil"
unit = "Cel"
sparkplug = "pilot1-electrode/gw1/calender:oil"
limits = { target = 40, lsl = 30, usl = 50 }

[[station]]
id = "formation"
area = "formation"

[[station.sensor]]
key = "r{rack}c{channel}_{what}"
unit = "1"
role = "state"
each = { rack = ["01", "02"], channel = "01..16", what = ["step", "cycle"] }

[[station.sensor]]
key = "r{rack}c{channel}_u"
unit = "mV"
each = { rack = ["01", "02"], channel = "01..16" }

[[channel]]
station = "formation"
id = "r{rack}c{channel}"
voltage = "r{rack}c{channel}_u"
step = "r{rack}c{channel}_step"
each = { rack = ["01", "02"], channel = "01..16" }

[[mapping]]
topic = "legacy/+/state"
time = "when"
values = { "calender/thickness_l{1}" = "thickness" }
units = { "calender/thickness_l{1}" = "mm" }

[[alarm]]
id = "load"
sensor = "calender/line_load"
when = "outside"
limit = 40
priority = "P2"
cause = "Gap wrong"
consequence = "Coating too thick"
action = "Re-gap"

[[alarm]]
id = "chart"
sensor = "calender/*"
when = "chart"

[[gate]]
id = "G4"
product = "calendered_coil"
needs = ["CP13", "calender/thickness_l1"]
"""


@pytest.fixture
def files():
    """Makes the texts of one version."""

    def make(line=LINE, plan=PLAN):
        return {"line.toml": line, "plan.csv": plan}

    return make


@pytest.fixture
def changed():
    """Replaces pieces of a text (the valid line); each piece must be there exactly once."""

    def change(*pairs, text=LINE):
        for old, new in pairs:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
            text = text.replace(old, new)
        return text

    return change


@pytest.fixture
def plan_text():
    """The valid control plan."""
    return PLAN


@pytest.fixture
def problems_of(files):
    """Gives every problem of a line that must be wrong."""

    def read(line=LINE, plan=PLAN):
        with pytest.raises(ConfigError) as caught:
            parse(files(line, plan))
        return caught.value.problems

    return read
