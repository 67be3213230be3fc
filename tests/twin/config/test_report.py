"""What ``check`` says about a valid line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twin.config import check_text, load, parse, report
from twin.config.rule_sets import RULE_SETS, RULES, rules_of
from twin.detectors.spc.rules import Kind, Rule, RuleSet
from twin.model.line import Chart

BENCH = Path(__file__).parents[3] / "examples" / "bench" / "line.toml"


@pytest.fixture
def facts(files):
    """The report of the valid line."""
    return report(parse(files()))


def test_counts(facts):
    """The numbers are those of the expanded line."""
    names = ("stations", "sensors", "charts", "alarms", "channels", "gates", "control_rows")
    assert [facts[name] for name in names] == [2, 103, 1, 2, 32, 1, 4]
    assert facts["line"] == "pilot1/l1"
    assert facts["sources"] == ["listener 127.0.0.1:0", "broker plant at broker.example:1883"]
    json.dumps(facts)


def test_false_alarms_follow_from_the_run_length(facts):
    """False alarms per day are points per day over ARL0, summed over charts."""
    (entry,) = facts["detectors"]
    assert entry["detector"] == "nelson_shift"
    assert entry["arl0"] == pytest.approx(109.0493, abs=1e-4)
    assert entry["method"] == "exact"
    assert entry["arl0_h"] == pytest.approx(109.0493 * 0.1 / 3600)
    assert entry["false_alarms_per_day"] == pytest.approx(864_000 / 109.0493)
    assert entry["false_alarms_per_shift"] == pytest.approx(288_000 / 109.0493)
    assert facts["false_alarms_per_day"] == entry["false_alarms_per_day"]
    assert any("false findings per shift are expected" in text for text in facts["warnings"])


def test_delays_are_told_in_points_and_time(facts, files):
    """A shift of 0.5, 1 and 2 sigma: points from Nelson's four tests, time at 0.1 s."""
    (entry,) = facts["detectors"]
    assert [d["shift"] for d in entry["delays"]] == [0.5, 1.0, 2.0]
    points = [d["points"] for d in entry["delays"]]
    assert points == pytest.approx([30.594, 9.698, 3.138], abs=0.01)
    assert [d["seconds"] for d in entry["delays"]] == pytest.approx([p / 10 for p in points])
    page = check_text(parse(files()))
    assert "30.6 / 9.7 / 3.13 points (3.06 s / 0.97 s / 0.313 s)" in page


def test_a_quiet_line_is_not_flagged(changed, files):
    """One chart with a point per hour stays within the budget."""
    text = changed(("period_s = 0.1", "period_s = 3600"))
    facts = report(parse(files(text)))
    assert facts["false_alarms_per_day"] == pytest.approx(24 / 109.0493)
    assert not any("false findings" in text for text in facts["warnings"])


def test_what_cannot_be_known_is_not_counted(changed, files):
    """Without a period there are points and no hours."""
    text = changed(
        ("period_s = 0.1\n", ""),
        ('rules = "nelson_shift"', 'rules = "shewhart", ewma_lambda = 0.3, cusum_k = 0.5'),
    )
    index = parse(files(text))
    entries = {entry["detector"]: entry for entry in report(index)["detectors"]}
    assert entries["shewhart"]["false_alarms_per_day"] is None
    assert entries["ewma(0.3; 2.962)"]["arl0"] == pytest.approx(411.36, abs=0.01)
    assert entries["cusum(0.5; 5)"]["arl0"] == pytest.approx(465.44, abs=0.01)
    assert "unknown" in check_text(index)


def test_the_smallest_shift_an_ewma_or_cusum_finds(changed, files):
    """A lasting shift must carry the EWMA past its limit, or be larger than the CUSUM's k."""
    more = "ewma_lambda = 0.2, ewma_l = 15, cusum_k = 0.75"
    text = changed(('rules = "nelson_shift"', f'rules = "nelson_shift", {more}'))
    index = parse(files(text))
    shifts = {entry["detector"]: entry["smallest_shift"] for entry in report(index)["detectors"]}
    assert shifts == {
        "nelson_shift": None,
        "ewma(0.2; 15)": pytest.approx(5.0),
        "cusum(0.75; 5)": 0.75,
    }
    page = check_text(index)
    row = next(row for row in page.splitlines() if "ewma(0.2; 15)" in row)
    assert ">1e+12" in row
    assert "never / never / never points" in row
    assert "independent" in page


@pytest.mark.parametrize(
    ("judges", "blind"),
    [
        ('rules = "none", ewma_lambda = 0.2, ewma_l = 15', True),
        ('rules = "none", ewma_lambda = 0.2, ewma_l = 9', False),
        ('rules = "none", ewma_lambda = 0.2, ewma_l = 9.01', True),
        ('rules = "none", ewma_lambda = 0.2, ewma_l = 15, cusum_k = 1', False),
        ('rules = "none", cusum_k = 3.5', True),
        ('rules = "shewhart", ewma_lambda = 0.2, ewma_l = 15', False),
        ('rules = "none"', False),
    ],
)
def test_a_chart_blind_to_three_sigma_is_named(changed, files, judges, blind):
    """A chart whose every judge needs a lasting shift of more than three sigma is pointed out."""
    text = changed(
        ('rules = "nelson_shift"', judges),
        ('sensor = "calender/*"\nwhen = "chart"', 'sensor = "calender/*"\nwhen = "stale"'),
    )
    warnings = report(parse(files(text)))["warnings"]
    assert any(w.startswith("calender/line_load: the chart is blind") for w in warnings) == blind


def test_warnings_name_what_nobody_watches(facts):
    """Characteristics without chart or limits and sensors without a period are named."""
    text = "\n".join(facts["warnings"])
    assert "calender/gap, formation/r01c01_u, formation/r01c02_u and 30 more: a characteris" in text
    assert "no period_s" in text
    assert "control plan rows without a sensor: CP12, CP16" in text


def test_warnings_about_limits_that_never_act(changed, files):
    """An alarm limit or a chart centre outside the physical range is named."""
    text = changed(
        ('when = "outside"\nlimit = 40', 'when = "above"\nlimit = 4000'),
        ("centre = 300", "centre = 3000"),
        ('CP13", "calender/thickness_l1', "first_cycle_efficiency"),
    )
    text = "\n".join(report(parse(files(text)))["warnings"])
    assert "calender/line_load: alarm load never comes or never goes" in text
    assert "calender/line_load: the chart's centre is outside range" in text
    assert "gate G4 needs first_cycle_efficiency" in text


def test_warnings_about_responses(changed, files):
    """Alarms that ask for the same, and alarms that come too late, are named."""
    text = changed(
        ('when = "chart"', 'when = "chart"\ncause = "Gap wrong"\naction = "Re-gap"'),
        ("limit = 40", "limit = 40\non_delay_s = 60\nrespond_s = 60"),
    )
    warnings = report(parse(files(text)))["warnings"]
    assert "alarms load and chart have the same cause and action" in warnings
    assert "alarm load: the time to respond is over before on_delay_s is" in warnings


def test_a_listener_others_can_reach(changed, files):
    """Identities proven by password or client certificate load; without TLS there is a warning."""
    open_host = 'host = "10.0.0.1"\nanonymous = false'
    by_password = changed(
        ("port = 0", open_host), ('user = "gw"', 'user = "gw"\npassword_file = "gw"')
    )
    by_certificate = changed(
        ("port = 0", open_host + '\ncert_file = "c.pem"\nclient_ca_file = "ca.pem"')
    )
    said = [
        "without TLS" in "".join(report(parse(files(text)))["warnings"])
        for text in (by_password, by_certificate)
    ]
    assert said == [True, False]


def test_a_plan_row_of_the_same_name_is_pointed_out(changed, files):
    """A row whose station and metric are those of a sensor without ``control`` is named."""
    text = changed(
        ('control = "CP13"\n', ""),
        (
            'sensor = "calender/line_load"\nwhen = "outside"',
            'sensor = "calender/oil"\nwhen = "outside"',
        ),
    )
    warnings = report(parse(files(text)))["warnings"]
    assert (
        'control plan row CP13 is about calender/line_load, which does not say control = "CP13"'
        in warnings
    )


def test_the_page_says_what_the_report_says(files):
    """The text for a terminal holds counts, detectors and warnings."""
    page = check_text(parse(files()))
    assert page.startswith("pilot1/l1, version ")
    assert "103 sensors" in page
    assert "nelson_shift" in page
    assert "warning: " in page


def test_the_bench_line_is_flagged():
    """A thousand charts at one point per second cry wolf, and the report says how often."""
    facts = report(load(BENCH))
    assert facts["detectors"][0]["false_alarms_per_day"] == pytest.approx(86_400_000 / 91.7508)
    assert any("false findings" in text for text in facts["warnings"])


def test_rules_that_can_speak_are_known():
    """Alarms may name any rule of a preset, and those of a chart include the line's own set."""
    known = {name: rules_of(Chart(centre=0, sigma=1, rules=name)) for name in RULE_SETS}
    assert set().union(*known.values()) < set(RULES)
    own = RuleSet(name="own", rules=(Rule(id="steep", kind=Kind.TREND, points=4),))
    assert rules_of(Chart(rules="own", cusum_k=0.5), {"own": own}) == {"steep", "cusum"}
