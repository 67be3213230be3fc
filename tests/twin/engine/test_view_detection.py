"""What the board sees of the detectors: kinds of charts, groups, and the budget of findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dashboards.board.shapes import check
from tests.twin.engine.test_view import T0, Twin
from twin.engine.chart_view import ewma_line
from twin.engine.judgement import judgement, overall, tile_state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LINE = """
[line]
site = "lab"
name = "one"
too_old_s = "none"
simulated = true

[detection]
accept = "tests"
shift_h = 8

[listener]
enabled = false

[[station]]
id = "oven"
title = "Oven"

[[station.sensor]]
key = "load"
title = "Load"
unit = "N"
period_s = 1
[station.sensor.chart]
centre = 50
sigma = 1
rules = "none"
ewma_lambda = 0.2
cusum_k = 0.5

[[station.sensor]]
key = "width"
title = "Width"
unit = "mm"
period_s = 1
[station.sensor.chart]
type = "q"

[[station.sensor]]
key = "block"
unit = "mm"
period_s = 1
[station.sensor.chart]
series = "block"
block_s = 5
centre = 10
sigma = 1

[[station.sensor]]
key = "bad"
sampling = "event"
[station.sensor.chart]
type = "np"
n = 100
centre = 2
rules = "shewhart"

[[station.sensor]]
key = "a"
title = "Inlet"
unit = "Cel"
period_s = 1
[station.sensor.detect.noise]
block_s = 10

[[station.sensor]]
key = "b"
unit = "Cel"
period_s = 1

[[group]]
id = "pair"
title = "Inlet and outlet"
kind = "t2"
sensors = ["oven/a", "oven/b"]
alpha = 0.001
mean = [20, 30]
sigma = [1, 1]
correlation = [[1, 0.8], [0.8, 1]]

[[group]]
id = "learner"
kind = "anomaly"
sensors = ["oven/load", "oven/b"]
baseline_rows = 50

[[alarm]]
id = "together"
title = "Inlet and outlet disagree"
sensor = "group/pair"
when = "chart"
cause = "heater"
consequence = "scrap"
action = "look"
"""

WIDE = """
[[rule_set]]
id = "wide"
[[rule_set.rule]]
id = "rule1"
kind = "beyond"
points = 1
sigma = 4.5
"""


@pytest.fixture
async def twin(tmp_path: Path) -> AsyncIterator[Twin]:
    """A running twin with every kind of chart, a group that signals and one that learns."""
    async with Twin(tmp_path, LINE).running() as made:
        rng = np.random.default_rng(3)
        for t in range(1, 13):
            common, own = rng.normal(size=2).tolist()
            await made.send(
                (t, "load", 50 + 0.1 * t),
                (t, "width", 5 + 0.01 * (-1) ** t * (t % 3)),
                (t, "bad", 2),
                (t, "a", 20 + common),
                (t, "b", 30 + 0.8 * common + 0.6 * own),
            )
        await made.send((13, "a", 24.0), (13, "b", 26.0), (13, "bad", 30), (13, "block", 10.5))
        yield made


def chart(twin: Twin, key: str) -> dict[str, Any]:
    """The chart of a sensor; its shape is right."""
    found = twin.view.chart(f"oven/{key}", 100)
    assert found is not None
    check("chart", found)
    return found


async def test_memory_charts_stand_against_their_limits(twin: Twin) -> None:
    """EWMA and CUSUM of the last point are there; the EWMA line is that of the points."""
    found = chart(twin, "load")
    assert found["verdict"]["verdict"] == "in control"
    values, line = found["v"], 50.0
    for value, shown in zip(values, found["ewma"]["v"], strict=True):
        line += 0.2 * (value - line)
        assert shown == pytest.approx(line)
    assert found["ewma_now"]["value"] == pytest.approx(line)
    assert found["ewma"]["ucl"][-1] == pytest.approx(found["ewma_now"]["ucl"])
    assert found["ewma"]["lcl"][0] == pytest.approx(50 - 2.962 * 0.2)
    assert found["cusum"]["h"] == 5.0
    assert found["cusum"]["high"] == pytest.approx(
        sum(max(0.0, 0.1 * t - 0.5) for t in range(6, 13))
    )


async def test_limits_nobody_watches_are_not_drawn(twin: Twin) -> None:
    """A chart without run rules has a centre and zones, and no three-sigma limits."""
    found = chart(twin, "load")
    assert (found["centre"], found["sigma"]) == (50, 1)
    assert (found["lcl"], found["ucl"], found["ruleset"]) == (None, None, "")


async def test_limits_are_where_a_single_point_is_a_finding(tmp_path: Path) -> None:
    """A rule set that waits for 4.5 sigma is drawn there, on the chart and beside the value."""
    wide = LINE.replace('rules = "none"', 'rules = "wide"') + WIDE
    async with Twin(tmp_path, wide).running() as twin:
        await twin.send((1, "load", 50.5), (2, "load", 49.5), (3, "load", 54.6))
        found = chart(twin, "load")
        assert (found["lcl"], found["ucl"]) == (45.5, 54.5)
        assert [bool(rules) for rules in found["rules"]] == [False, False, True]
        limits = twin.tile("oven/load")["limits"]
        assert (limits["lcl"], limits["ucl"]) == (45.5, 54.5)


async def test_self_starting_chart_says_so(twin: Twin) -> None:
    """Scores have no unit, their own limits, and the number of pieces behind them."""
    found = chart(twin, "width")
    assert (found["mode"], found["plotted_unit"], found["unit"]) == ("self-starting", "1", "mm")
    assert found["verdict"]["code"] == "self_starting"
    assert found["verdict"]["have"] == 12
    assert (found["lcl"], found["ucl"]) == (-3.0, 3.0)
    assert abs(found["v"][-1]) < 10


async def test_counts_have_limits_point_by_point(twin: Twin) -> None:
    """A chart of counts draws the limits of each point and marks the one beyond."""
    found = chart(twin, "bad")
    assert len(found["ucl"]) == len(found["t"]) == 13
    assert found["rules"][-1] == ["rule1"]
    assert found["texts"]["rule1"] == "1 point beyond 3 sigma"
    assert found["state"] == "warn"
    assert found["judged"]["verdict"] == "signal"


async def test_nothing_plotted_is_not_in_control(twin: Twin) -> None:
    """A block that is not full yet leaves nothing to judge; the samples stand without limits."""
    found = chart(twin, "block")
    assert found["verdict"] == {
        "detector": "charts",
        "verdict": "cannot judge",
        "code": "no_points",
        "text": "",
    }
    assert found["v"] == [10.5]
    assert (found["centre"], found["ucl"]) == (None, None)
    assert twin.tile("oven/block")["state"] == "unjudged"


async def test_learning_is_not_in_control(twin: Twin) -> None:
    """A tile says that its detector learns, and one that nobody judges is only measured."""
    tile = twin.tile("oven/a")
    assert (tile["state"], tile["judged"]["code"]) == ("learning", "learning")
    assert tile["judged"]["have"] < tile["judged"]["need"]
    assert twin.tile("oven/b")["state"] == "measured"
    assert twin.tile("oven/b")["judged"] is None
    learner = twin.tile("group/learner")
    assert (learner["state"], learner["judged"]["need"]) == ("learning", 50)
    check("overview", twin.view.overview())


async def test_group_tells_who_contributes(twin: Twin) -> None:
    """A group has verdict, statistic against limit, ranked members, points and findings."""
    check("groups", twin.view.groups())
    found = twin.view.group("pair", 100)
    assert found is not None
    check("group", found)
    assert (found["sensor"], found["title"]) == ("group/pair", "Inlet and outlet")
    assert found["judged"]["verdict"] == "signal"
    assert found["value"] > found["ucl"]
    assert {c["title"] for c in found["contributions"]} == {"Inlet", "b"}
    weights = [c["weight"] for c in found["contributions"]]
    assert weights == sorted(weights, reverse=True)
    assert found["v"][-1] == pytest.approx(found["value"])
    assert found["rules"][-1] == ["t2"]
    assert [f["rule"] for f in found["findings"]] == ["t2"]
    assert found["findings"][0]["open"]
    assert twin.view.group("nobody", 100) is None


async def test_alarm_of_a_group_stays_in_the_history(twin: Twin) -> None:
    """An alarm about a group is listed now and afterwards, and its tile is in alarm."""
    for history in (False, True):
        (alarm,) = twin.view.alarms(history=history)
        assert (alarm["sensor"], alarm["sensor_title"]) == ("group/pair", "Inlet and outlet")
    stations = twin.view.overview()["stations"]
    assert stations[-1]["id"] == "group"
    assert twin.tile("group/pair")["state"] == "alarm"
    assert twin.tile("group/pair")["spark"][-1] == pytest.approx(twin.tile("group/pair")["value"])


async def test_group_is_no_sensor(twin: Twin) -> None:
    """Asking for the sensor a group's findings name does no harm."""
    assert twin.view.sensor("group/pair") is None
    assert twin.view.chart("group/pair", 10) is None
    assert twin.view.series("group/pair", None, None, 10)["t"] == []
    assert twin.view.events(0, 10, "group/pair")[0]["type"] == "finding"


async def test_planned_and_seen_findings_stand_side_by_side(twin: Twin) -> None:
    """Each statistic has what it will say wrongly and what it said; new findings are counted."""
    found = await twin.view.budget()
    check("budget", found)
    assert found["simulated"]
    assert found["planned_per_shift"] > found["allowed_per_shift"] == 1.0
    rows = {(row["sensor"], row["statistic"].partition("(")[0]): row for row in found["rows"]}
    assert rows["group/pair", "t2"]["observed"] == 1
    assert rows["oven/bad", "shewhart"]["observed"] == 1
    assert rows["oven/load", "ewma"]["observed"] == 0
    assert sum(row["observed"] for row in found["rows"]) == found["observed"] == 2
    assert found["observed_per_shift"] is None
    await twin.send((14, "bad", 2), (15, "bad", 31))
    assert (await twin.view.budget())["observed"] == 3


async def test_findings_older_than_a_day_are_not_counted(twin: Twin) -> None:
    """What was seen counts for 24 hours, and the rate is per shift."""
    assert (await twin.view.budget())["observed"] == 2
    twin.clock.now = T0 + 90_000
    found = await twin.view.budget()
    assert (found["observed"], found["observed_per_shift"]) == (0, 0.0)
    assert found["observed_hours"] == 24


@pytest.mark.parametrize("weight", [0.005, 0.05, 0.2, 1.0])
def test_ewma_line_is_exact_or_missing(weight: float) -> None:
    """From the last points and the present value the line is what it was, or nothing."""
    values = np.random.default_rng(1).normal(size=900).tolist()
    truth, at = [], 0.0
    for value in values:
        at += weight * (value - at)
        truth.append(at)
    line = ewma_line(values[-200:], weight, 0.0, truth[-1], len(values))
    shown = [(a, b) for a, b in zip(line, truth[-200:], strict=True) if a is not None]
    assert len(shown) >= 150
    assert all(abs(a - b) < 1e-3 for a, b in shown)
    whole = ewma_line([9.0, *values[:30]], weight, 0.0, truth[29], 30)
    assert whole == pytest.approx([None, *truth[:30]])


def test_chart_that_waits_for_a_baseline_is_not_learning() -> None:
    """Where nothing is learned from the samples, the missing limits are the reason."""
    waiting: dict[str, dict[str, Any]] = {
        "charts": {"verdict": "cannot judge", "why": "no approved limits", "centre": None},
        "short_runs": {
            "verdict": "cannot judge",
            "mode": "self-starting",
            "points": 0,
            "learned": 0,
            "centre": 0.0,
        },
    }
    told = overall(waiting)
    assert told is not None
    assert (told["detector"], told["code"]) == ("charts", "no_limits")
    waiting["short_runs"]["learned"] = 2
    told = overall(waiting)
    assert told is not None
    assert (told["detector"], told["have"], told["need"]) == ("short_runs", 2, 3)


def test_every_reason_has_a_code() -> None:
    """Reasons in words become a code and numbers where the board has words of its own."""
    told = judgement(
        "noise", {"verdict": "cannot judge", "why": "not enough data yet: 3 of 20 blocks"}
    )
    assert (told["code"], told["have"], told["need"]) == ("learning", 3, 20)
    told = judgement("noise", {"verdict": "cannot judge", "why": "the sensor was constant"})
    assert (told["code"], told["text"]) == ("text", "the sensor was constant")
    told = judgement("spread", {"verdict": "cannot judge", "points": 4})
    assert (told["code"], tile_state(told)) == ("invalid", "unjudged")
    assert tile_state(judgement("charts", {"verdict": "in control"})) == "ok"
