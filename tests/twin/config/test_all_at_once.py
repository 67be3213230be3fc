"""A file with one mistake of every kind: each is told once, with its line, and nothing else."""

from __future__ import annotations

import pytest

# What stands behind ``#!`` is the key of the problem on that line.
LINE = """\
[line]
site = "pilot1"
titel = "Pilot" #! line.titel
timezone = "Europe/Atlantis" #! line.timezone
control_plan = "plan.csv"
future_s = "soon" #! line.future_s

[listener]
port = 99999 #! listener.port
key_file = "key.pem" #! listener.key_file

[[listener.device]]
user = "gw"
publish = [5, "a/#/b"] #! listener.device[0].publish[0] listener.device[0].publish[1]

[[broker]]
id = "plant"
host = " " #! broker[0].host
keepalive_s = 1 #! broker[0].keepalive_s
topics = ["#"] #! broker[0].topics[0]

[[broker]] #! broker[1].host
id = "plant" #! broker[1].id

[[zone]]
id = "Dry Room" #! zone[0].id

[[station]]
id = "calender"
zone = "dry_room"
encoder = "load" #! station[0].encoder

[[station.sensor]]
key = "load"
unit = "kN" #! station[0].sensor[0].unit
control = "CP13"
range = [1000, 0] #! station[0].sensor[0].range
operating = "low" #! station[0].sensor[0].operating

[[station.sensor]]
key = "oil"
unit = "degC" #! station[0].sensor[1].unit
control = "CP99" #! station[0].sensor[1].control
range = [0, 100]
operating = [0, 200] #! station[0].sensor[1].operating

[[station.sensor]]
key = "Lane One" #! station[0].sensor[2].key
limits = { lsl = 3, usl = 1 } #! station[0].sensor[2].limits.lsl
chart = { centre = 1, sigma = 0, rules = "nelsn" } #! station[0].sensor[2].chart.sigma station[0].sensor[2].chart.rules

[[station.sensor]]
key = "gap"
topic = "plant/gap"

[[station.sensor]]
key = "gap" #! station[0].sensor[4].key
spike = -1 #! station[0].sensor[4].spike

[[station.sensor]]
key = "second_gap"
topic = "plant/gap" #! station[0].sensor[5].topic

[[station.sensor]]
key = "width_{n}"
each = { n = "9..1" } #! station[0].sensor[6].each
period = 5 #! station[0].sensor[6].period

[[station.sensor]]
kye = "height" #! station[0].sensor[7].kye
role = "conter" #! station[0].sensor[7].role
chart = { sigma = 1, hampel_window = 6 } #! station[0].sensor[7].chart.centre station[0].sensor[7].chart.hampel_window

[[station]]
id = "Oven" #! station[1].id
zone = "wet" #! station[1].zone

[[station.sensor]]
key = "temp"
unit = "Cel"

[[station.sensor]]
key = "count"
role = "counter"
chart = { centre = 1, sigma = 1 } #! station[1].sensor[1].chart.series

[[station]]
id = "calender" #! station[2].id

[[station]]
id = "rack"

[[station.sensor]]
key = "u"
unit = "A"

[[channel]]
station = "rack"
id = "c1"
voltage = "u" #! channel[0].voltage
current = "i" #! channel[0].current
nominal_ah = 0 #! channel[0].nominal_ah

[[channel]]
station = "shelf" #! channel[1].station
id = "c1"

[[mapping]]
topic = "legacy/+/state"
time_unit = "sec" #! mapping[0].time_unit
values = { "calender/vibration" = "a", "oven/temp" = "b", "rack/u" = 5, "calender/oil" = "c" } #! mapping[0].values.calender/vibration mapping[0].values.rack/u
units = { "calender/oil" = "K", "rack/u" = "mA", "oven/temp" = "ppm" } #! mapping[0].units.oven/temp

[[alarm]]
id = "no-such"
sensor = "calender/missing" #! alarm[0].sensor
when = "stale"

[[alarm]]
id = "no-such" #! alarm[1].id
sensor = "oven/*"
when = "beyond" #! alarm[1].when
rules = ["rule1"]

[[alarm]]
id = "broken-rows"
sensor = "calender/lane_one"
when = "chart"

[[alarm]]
id = "broken-range"
sensor = "calender/width_3"
when = "stale"

[[alarm]]
id = "no-chart"
sensor = "calender/gap" #! alarm[4].sensor
when = "chart"
rules = []

[[alarm]]
id = "no-target"
sensor = "rack/u" #! alarm[5].sensor
when = "outside"
limit = 5
deadband = 6 #! alarm[5].deadband
priority = "P2"
casue = "Wear" #! alarm[5].casue
action = "Change"
consequence = " " #! alarm[5].consequence

[[alarm]]
id = "rules"
sensor = "calender/height"
when = "chart"
rules = ["rule99", "rule1", 7] #! alarm[6].rules[0] alarm[6].rules[2]

[[alarm]] #! alarm[7].limit
id = "no-limit"
sensor = "calender/load"
when = "above"

[[gates]] #! gates gates[0].needs
id = "G1"
product = 5 #! gates[0].product
"""

PLAN = """\
id,station,metric,unit,target,limit_mode,lsl,usl
CP13,calender,load,N/mm,300,percent,-10,10
CP14,calender,gap,parsec,1,absolute,0,2
CP15,calender,gap,um,one,sometimes,3,2
CP16,calender
"""
PLAN_WRONG = [
    (3, "CP14.unit"),
    (4, "CP15.lsl"),
    (4, "CP15.limit_mode"),
    (4, "CP15.target"),
    (5, "CP16.row"),
]


def expected() -> list[tuple[str, int, str]]:
    """File, line and key of every problem, as the file says it."""
    found = [
        ("line.toml", number, key)
        for number, text in enumerate(LINE.splitlines(), 1)
        if "#!" in text
        for key in text.partition("#!")[2].split()
    ]
    return found + [("plan.csv", number, key) for number, key in PLAN_WRONG]


def test_every_mistake_is_told_once_and_nothing_that_follows_from_it(problems_of):
    """Mistakes in values and in what fits together come in one go, with their lines."""
    found = [(p.file, p.line, p.key) for p in problems_of(LINE, PLAN)]
    assert sorted(found) == sorted(expected())


@pytest.mark.parametrize("column", [2, 3, 5])
def test_a_broken_plan_hides_nothing_else(problems_of, column):
    """A control plan whose rows nobody can know takes no other problem with it."""
    header, *rows = PLAN.splitlines()
    names = header.split(",")
    names[column] += "x"
    found = {
        (p.file, p.line, p.key) for p in problems_of(LINE, "\n".join([",".join(names), *rows]))
    }
    gone = {"station[0].sensor[0].unit", "station[0].sensor[1].control"}
    said = {row for row in expected() if row[0] == "line.toml" and row[2] not in gone}
    assert {row for row in found if row[0] == "line.toml"} == said
