"""Every kind of mistake: found, with its line, its key, what was found and what is allowed."""

from __future__ import annotations

import pytest

S = "station[0].sensor"
CASES = {
    # name: (pieces replaced, text on the line of the problem, key, message, allowed)
    "unknown key": (
        [("priority = ", "prioirty = ")],
        "prioirty",
        "alarm[0].prioirty",
        "unknown key",
        "priority (did you mean that?)",
    ),
    "unknown table": (
        [("[[gate]]", "[[gates]]")],
        "[[gates]]",
        "gates",
        "unknown key",
        "gate (did",
    ),
    "missing key": (
        [('host = "broker.example"\n', "")],
        "[[broker]]",
        "broker[0].host",
        "is missing",
    ),
    "text for a number": (
        [("limit = 40", 'limit = "40"')],
        'limit = "40"',
        "alarm[0].limit",
        "is no number",
        "without quotes",
    ),
    "number out of bounds": (
        [("sigma = 3", "sigma = -3")],
        "sigma = -3",
        f"{S}[0].chart.sigma",
        "has a wrong value",
        "greater than 0",
    ),
    "not a number": (
        [("sigma = 3", "sigma = nan")],
        "sigma = nan",
        f"{S}[0].chart.sigma",
        "is no number",
    ),
    "word out of a list": (
        [('when = "outside"', 'when = "beyond"')],
        "beyond",
        "alarm[0].when",
        "has a wrong value",
        "'above', 'below', 'outside', 'chart' or 'stale'",
    ),
    "bad id": (
        [('id = "dry"', 'id = "Dry Room"')],
        "Dry Room",
        "zone[0].id",
        "is no id",
        "lower case",
    ),
    "text for a list": (
        [('publish = ["twin/v1/#"]', 'publish = "twin/v1/#"')],
        "publish",
        "listener.device[0].publish",
        "is no list",
    ),
    "table for a row": (
        [("[[gate]]", "[gate]")],
        "[gate]",
        "gate",
        "is no list",
    ),
    "range of one": ([("[0, 1000]", "[0]")], "range", f"{S}[0].range", "is missing"),
    "each is a number": (
        [('lane = "1..3"', "lane = 3")],
        "lane = 3",
        f"{S}[1].each.lane",
        "has a wrong value",
        'a range like "0..999"',
    ),
    "each is no range": ([("1..3", "1-3")], "1-3", f"{S}[1].each", "no range"),
    "each runs backwards": ([("1..3", "3..1")], "3..1", f"{S}[1].each", "ends before it begins"),
    "each too long": ([("1..3", "1..9999999")], "9999999", f"{S}[1].each", "more than"),
    "each uses a taken name": (
        [
            ('key = "thickness_l{lane}"', 'key = "thickness_l{line}"'),
            ("lane {lane}", "lane"),
            ("lane = ", "line = "),
        ],
        "each = { line",
        f"{S}[1].each.line",
        "is taken",
    ),
    "name without each": (
        [('key = "gap"', 'key = "gap{n}"')],
        "gap{n}",
        f"{S}[3].key",
        "{n} names nothing",
    ),
    "title with unknown name": (
        [("lane {lane}", "lane {side}")],
        "{side}",
        f"{S}[1].title",
        "{side} names nothing",
        "lane",
    ),
    "key too long": (
        [('lane = "1..3"', f'lane = ["{"x" * 60}"]')],
        'key = "thickness',
        f"{S}[1].key",
        "is no id",
    ),
    "duplicate station": (
        [
            ('id = "formation"', 'id = "calender"'),
            ('station = "formation"', 'station = "calender"'),
        ],
        'id = "calender"',
        "station[1].id",
        "another station has this name",
    ),
    "duplicate sensor": (
        [('key = "gap"', 'key = "metre"')],
        'key = "metre"',
        f"{S}[3].key",
        "calender/metre is already there, in station[0].sensor[2]",
    ),
    "duplicate alarm": (
        [('id = "chart"', 'id = "load"')],
        'id = "load"',
        "alarm[1].id",
        "another alarm",
    ),
    "duplicate channel": (
        [('id = "r{rack}c{channel}"', 'id = "c{channel}"')],
        'id = "c{channel}"',
        "channel[0].id",
        "another channel",
    ),
    "duplicate topic": (
        [('key = "metre"', 'key = "metre"\ntopic = "plant/calender/data"\npath = "gap[0].value"')],
        'topic = "plant/calender/data"',
        f"{S}[3].topic",
        "calender/metre and calender/gap read the same place",
    ),
    "topic taken whole and in parts": (
        [('key = "metre"', 'key = "metre"\ntopic = "plant/calender/data"')],
        'path = "gap[0].value"',
        f"{S}[3].path",
        "takes the whole payload",
    ),
    "topic with wildcard": (
        [('topic = "plant/calender/data"', 'topic = "plant/+/x"')],
        "plant/+/x",
        f"{S}[3].topic",
        "wildcard",
    ),
    "topic not filled": (
        [('topic = "plant/calender/data"', 'topic = "plant/{lane}/x"')],
        "plant/{lane}/x",
        f"{S}[3].topic",
        "{lane} names nothing",
        "area, key, line, site, station",
    ),
    "topic of the broker": (
        [('topic = "plant/calender/data"', 'topic = "$SYS/x"')],
        "$SYS",
        f"{S}[3].topic",
        "belongs to the broker",
    ),
    "topic of products": (
        [('key = "metre"', 'key = "product"'), ('encoder = "metre"\n', "")],
        'key = "product"',
        f"{S}[2].key",
        "products are announced",
    ),
    "topic beside sparkplug": (
        [('key = "oil"', 'key = "oil"\ntopic = "a/b"')],
        'topic = "a/b"',
        f"{S}[4].topic",
        "stands beside sparkplug",
    ),
    "sparkplug without metric": (
        [("gw1/calender:oil", "gw1/calender/oil")],
        "gw1/calender/oil",
        f"{S}[4].sparkplug",
        "is no Sparkplug metric",
        "group/node:metric",
    ),
    "path": (
        [("gap[0].value", "gap[.value")],
        "gap[.value",
        f"{S}[3].path",
        "is no path into JSON",
    ),
    "pattern of topics": (
        [('name = "l1"', 'name = "l1"\ntopic = "{place}/{key}"')],
        "{place}",
        "line.topic",
        "is no pattern",
    ),
    "time zone": (
        [("Europe/Berlin", "Europe/Atlantis")],
        "Atlantis",
        "line.timezone",
        "is no time zone",
    ),
    "unknown zone": (
        [('zone = "dry"', 'zone = "wet"')],
        "wet",
        "station[0].zone",
        "no such zone",
        "dry",
    ),
    "unknown encoder": (
        [('encoder = "metre"', 'encoder = "meter"')],
        "meter",
        "station[0].encoder",
        "no such sensor",
        "line_load, thickness_l1",
    ),
    "encoder is no counter": (
        [('encoder = "metre"', 'encoder = "gap"')],
        "encoder",
        "station[0].encoder",
        "is not a counter",
    ),
    "unit": (
        [('unit = "Cel"', 'unit = "°C"')],
        "°C",
        f"{S}[4].unit",
        'did you mean "Cel"',
    ),
    "unit of the control plan": (
        [('unit = "kN/m"', 'unit = "kN"')],
        'unit = "kN"',
        f"{S}[0].unit",
        "control plan row CP13",
    ),
    "unknown control plan row": (
        [('control = "CP13"', 'control = "CP31"')],
        "CP31",
        f"{S}[0].control",
        "no such row",
        "CP13, CP17",
    ),
    "control plan absent": (
        [('"plan.csv"', '"other.csv"')],
        "other.csv",
        "line.control_plan",
        "cannot be read",
    ),
    "range backwards": ([("[0, 1000]", "[1000, 0]")], "[1000, 0]", f"{S}[0].range", "ends before"),
    "operating outside range": (
        [("[100, 500]", "[100, 1500]")],
        "1500",
        f"{S}[0].operating",
        "is not inside range",
        "within [0.0, 1000.0]",
    ),
    "limits backwards": (
        [("lsl = 30", "lsl = 60")],
        "lsl = 60",
        f"{S}[4].limits.lsl",
        "is above usl (50.0)",
    ),
    "rule set": (
        [("nelson_shift", "nelson8")],
        "nelson8",
        f"{S}[0].chart.rules",
        "unknown rule set",
        "shewhart, western_electric",
    ),
    "even window": (
        [("sigma = 3,", "sigma = 3, hampel_window = 8,")],
        "hampel_window",
        f"{S}[0].chart.hampel_window",
        "is even",
    ),
    "chart of a counter": (
        [('role = "counter"', 'role = "counter"\nchart = { centre = 0, sigma = 1 }')],
        "chart = { centre = 0",
        f"{S}[2].chart.series",
        "a counter only rises and is never charted itself",
        'series = "block"',
    ),
    "channel of an unknown station": (
        [('station = "formation"', 'station = "aging"')],
        "aging",
        "channel[0].station",
        "no such station",
        "calender, formation",
    ),
    "channel without its sensor": (
        [('step = "r{rack}c{channel}_step"', 'step = "r{rack}c{channel}_stp"')],
        "_stp",
        "channel[0].step",
        "no such sensor",
    ),
    "channel in other units": (
        [('unit = "mV"', 'unit = "mA"')],
        "voltage",
        "channel[0].voltage",
        "does not convert",
        "V",
    ),
    "mapping to an unknown sensor": (
        [
            ('values = { "calender/thickness_l{1}"', 'values = { "calender/thick_{1}"'),
            ('units = { "calender/thickness_l{1}" = "mm" }\n', ""),
        ],
        "thick_{1}",
        "mapping[0].values.calender/thick_{1}",
        "no such sensor",
    ),
    "mapping with too high a number": (
        [
            ('values = { "calender/thickness_l{1}"', 'values = { "calender/thickness_l{2}"'),
            ('units = { "calender/thickness_l{1}" = "mm" }\n', ""),
        ],
        "thickness_l{2}",
        "mapping[0].values.calender/thickness_l{2}",
        "the topic has 1 +",
    ),
    "mapping with a bad filter": (
        [("legacy/+/state", "legacy/+x/+/state")],
        "+x",
        "mapping[0].topic",
        "is no topic filter",
    ),
    "mapping with a wrong unit": (
        [('= "mm" }', '= "s" }')],
        'units = { "calender/thickness_l{1}" = "s"',
        "mapping[0].units.calender/thickness_l{1}",
        "different things",
    ),
    "unit of a value that is not mapped": (
        [('units = { "calender/thickness_l{1}"', 'units = { "calender/gap"')],
        'units = { "calender/gap"',
        "mapping[0].units.calender/gap",
        "is not among values",
    ),
    "bare #": (
        [('"plant/+/data", "twin/v1/#"', '"plant/+/data", "#"')],
        '"#"',
        "broker[0].topics[1]",
        "takes everything",
    ),
    "broker without a name": (
        [('host = "broker.example"', 'host = " "')],
        'host = " "',
        "broker[0].host",
        "is empty",
    ),
    "rights to write": (
        [('publish = ["twin/v1/#"]', 'publish = ["twin/v1/#/x"]')],
        "publish",
        "listener.device[0].publish[0]",
        "is no topic filter",
    ),
    "filter of a broker": (
        [("plant/+/data", "plant/#/data")],
        "plant/#/data",
        "broker[0].topics[0]",
        "is no topic filter",
    ),
    "port": (
        [("port = 0", "port = 70000")],
        "70000",
        "listener.port",
        "has a wrong value",
        "65535",
    ),
    "listener beyond loopback, anonymous": (
        [("port = 0", 'host = "0.0.0.0"'), ('user = "gw"', 'user = "gw"\npassword_file = "gw"')],
        "[listener]",
        "listener.anonymous",
        "0.0.0.0 is not loopback",
    ),
    "listener beyond loopback, no identities": (
        [
            ("port = 0", 'host = "10.0.0.1"\nanonymous = false'),
            ('[[listener.device]]\nuser = "gw"\npublish = ["twin/v1/#"]\n', ""),
        ],
        "[listener]",
        "listener.device",
        "is missing",
    ),
    "listener beyond loopback, no password": (
        [("port = 0", 'host = "10.0.0.1"\nanonymous = false')],
        "[[listener.device]]",
        "listener.device[0].password_file",
        "is missing",
    ),
    "key without certificate": (
        [("port = 0", 'key_file = "key.pem"')],
        "key.pem",
        "listener.key_file",
        "stands without cert_file",
    ),
    "rights to read": (
        [('user = "gw"', 'user = "gw"\nsubscribe = ["twin/#"]')],
        "subscribe",
        "listener.device[0].subscribe[0]",
        "is not below twin/…/alarm/",
    ),
    "alarm without cause": (
        [('cause = "Gap wrong"\n', "")],
        "[[alarm]]",
        "alarm[0].cause",
        "a P2 alarm needs one",
    ),
    "alarm with an empty action": (
        [('action = "Re-gap"', 'action = " "')],
        "action",
        "alarm[0].action",
        "a P2 alarm needs one",
    ),
    "alarm without limit": (
        [("limit = 40\n", "")],
        "[[alarm]]",
        "alarm[0].limit",
        'when = "outside" needs one',
    ),
    "alarm on an unknown sensor": (
        [('sensor = "calender/*"', 'sensor = "calander/*"')],
        "calander",
        "alarm[1].sensor",
        "no such sensor",
    ),
    "alarm on a chart that is not there": (
        [('sensor = "calender/*"', 'sensor = "calender/thick*"')],
        "thick*",
        "alarm[1].sensor",
        "has no chart that calls anybody",
        "a chart with anomaly, change, cusum",
    ),
    "alarm on a rule the chart does not have": (
        [('when = "chart"', 'when = "chart"\nrules = ["rule3", "hampel"]')],
        'sensor = "calender/*"',
        "alarm[1].sensor",
        "has no chart that calls anybody",
        "a chart with rule3, hampel",
    ),
    "alarm on an unknown rule": (
        [('when = "chart"', 'when = "chart"\nrules = ["rule1", "WE1"]')],
        "WE1",
        "alarm[1].rules[1]",
        "unknown rule",
        "rule1, rule2",
    ),
    "rules of a limit alarm": (
        [("limit = 40", 'limit = 40\nrules = ["rule1"]')],
        'rules = ["rule1"]',
        "alarm[0].rules",
        'counts only with when = "chart"',
    ),
    "deadband as wide as the limit": (
        [("limit = 40", "limit = 40\ndeadband = 40")],
        "deadband = 40",
        "alarm[0].deadband",
        "never lets the alarm clear",
        "less than 40",
    ),
    "deadband below the range": (
        [('when = "outside"\nlimit = 40', 'when = "above"\nlimit = 40\ndeadband = 41')],
        "deadband = 41",
        "alarm[0].deadband",
        "from the limit to the end of the range of calender/line_load there is only 40",
        "less than 40",
    ),
    "deadband above the range": (
        [('when = "outside"\nlimit = 40', 'when = "below"\nlimit = 990\ndeadband = 11')],
        "deadband = 11",
        "alarm[0].deadband",
        "there is only 10",
        "less than 10",
    ),
    "half width below nothing": (
        [("limit = 40", "limit = -40")],
        "limit = -40",
        "alarm[0].limit",
        "is no half width",
        "greater than 0",
    ),
    "alarm around a target that is not there": (
        [('sensor = "calender/line_load"', 'sensor = "calender/gap"')],
        "calender/gap",
        "alarm[0].sensor",
        "has no target",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_mistake_gives_one_problem(case, changed, problems_of):
    """A single mistake is reported once, at its line, and nothing follows from it."""
    pieces, needle, key, message, *allowed = CASES[case]
    text = changed(*pieces)
    problems = problems_of(text)
    assert [key] == [problem.key for problem in problems], problems
    (problem,) = problems
    assert needle in text.splitlines()[problem.line - 1]
    assert message in problem.message
    assert "".join(allowed) in problem.allowed
    assert problem.file == "line.toml"
    assert problem.severity == "error"


def test_many_mistakes_are_told_at_once(changed, problems_of):
    """Mistakes in keys, in what fits together and in the control plan come in one go."""
    text = changed(
        ("sigma = 3", "sigma = 0"),
        ("nelson_shift", "nelsn"),
        ('unit = "Cel"', 'unit = "degC"'),
        ('cause = "Gap wrong"', 'casue = "Gap wrong"'),
        ('zone = "dry"', 'zone = "wet"'),
        ('"twin/v1/#"]\n\n[[zone]]', '"#"]\n\n[[zone]]'),
    )
    found = [(problem.line, problem.key) for problem in problems_of(text)]
    assert sorted(found) == found
    assert {
        "broker[0].topics[1]",
        "station[0].zone",
        "station[0].sensor[0].chart.rules",
        "station[0].sensor[0].chart.sigma",
        "station[0].sensor[4].unit",
        "alarm[0].casue",
    } == {key for _, key in found}


def test_a_row_with_each_speaks_once(changed, problems_of):
    """A mistake in a row that stands for a thousand is one problem."""
    text = changed(('lane = "1..3" }', 'lane = "0..999" }\ntopic = "one/for/all"'))
    (problem,) = [p for p in problems_of(text) if p.key.endswith("topic")]
    assert "thickness_l0 and calender/thickness_l1 read the same place" in problem.message


def test_wrong_id_hides_no_other_mistake(changed, problems_of):
    """References to a row whose id is wrong are not reported, its own keys are."""
    text = changed(('id = "calender"', 'id = "Calender"'), ("[0, 1000]", "[1000, 0]"))
    assert [p.key for p in problems_of(text)] == ["station[0].id", "station[0].sensor[0].range"]


def test_every_required_key_has_a_stand_in():
    """A missing required key of any table can be bridged, so the rest is still read."""
    from pydantic import BaseModel

    from twin.config.shape import _STAND_INS
    from twin.model import line

    models = [
        model
        for model in vars(line).values()
        if isinstance(model, type) and issubclass(model, BaseModel)
    ]
    required = {
        name
        for model in models
        for name, field in model.model_fields.items()
        if field.is_required()
    }
    assert required <= _STAND_INS.keys()
