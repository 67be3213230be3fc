"""What ``check`` says about a valid line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twin.config import check_text, load, parse, report
from twin.config.report import _arl0
from twin.config.rule_sets import RULE_SETS, RULES, rules_of
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


def test_false_alarms_follow_from_the_table(facts):
    """False alarms per day are points per day over ARL0, summed over charts."""
    (entry,) = facts["detectors"]
    assert (entry["detector"], entry["arl0"]) == ("nelson_shift", 109.05)
    assert entry["arl0_h"] == pytest.approx(109.05 * 0.1 / 3600)
    assert entry["false_alarms_per_day"] == pytest.approx(864_000 / 109.05)
    assert facts["false_alarms_per_day"] == entry["false_alarms_per_day"]
    assert any("false findings per day are expected" in text for text in facts["warnings"])


def test_a_quiet_line_is_not_flagged(changed, files):
    """One chart with a point per hour stays below the limit."""
    text = changed(("period_s = 0.1", "period_s = 3600"))
    facts = report(parse(files(text)))
    assert facts["false_alarms_per_day"] == pytest.approx(24 / 109.05)
    assert not any("false findings" in text for text in facts["warnings"])


def test_what_cannot_be_known_is_not_counted(changed, files):
    """Without a period, or outside the design table, there is no number."""
    text = changed(
        ("period_s = 0.1\n", ""),
        ('rules = "nelson_shift"', 'rules = "shewhart", ewma_lambda = 0.3, cusum_k = 0.5'),
    )
    entries = {entry["detector"]: entry for entry in report(parse(files(text)))["detectors"]}
    assert entries["shewhart"]["false_alarms_per_day"] is None
    assert entries["ewma(0.3; 2.962)"]["arl0"] is None
    assert entries["cusum(0.5; 5)"]["arl0"] == pytest.approx(465.4, abs=0.5)
    assert "unknown" in check_text(parse(files(text)))


def test_designs_between_those_of_the_table_are_counted_with_one_that_speaks_more(changed, files):
    """ARL0 of a smaller lambda or a larger k is at least that of its neighbour in the table."""
    more = "ewma_lambda = 0.15, ewma_l = 3.8344, cusum_k = 1, cusum_h = 8.053"
    text = changed(('rules = "nelson_shift"', f'rules = "none", {more}'))
    entries = report(parse(files(text)))["detectors"]
    assert [entry["arl0"] for entry in entries] == pytest.approx([10_000, 10_000])


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
    assert next(row for row in page.splitlines() if "ewma(0.2; 15)" in row).endswith(" 5.00")
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


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (2.8593, 370.4),
        (2.9622, 500.0),
        (3.1866, 1000.0),
        (4.3838, 100_000.0),
        (15, 1e12),
        (2.8, None),
    ],
)
def test_designs_of_the_table_give_its_arl0(limit, expected):
    """The published designs are met, and nothing is guessed outside them."""
    limits = (2.8593, 2.9622, 3.1866, 3.6521, 3.8344, 4.2261, 4.3838)
    found = _arl0(limits, limit)
    assert found == (None if expected is None else pytest.approx(expected))


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
    assert facts["detectors"][0]["false_alarms_per_day"] == pytest.approx(86_400_000 / 91.75)
    assert any("false findings" in text for text in facts["warnings"])


def test_rule_sets_are_those_of_the_charts():
    """Names, rules and ARL0 a line may use are those of the presets of the chart engine."""
    presets = pytest.importorskip("twin.detectors.spc.rules").PRESETS
    known = {
        name: (chosen.arl0, rules_of(Chart(centre=0, sigma=1, rules=name)))
        for name, chosen in RULE_SETS.items()
    }
    assert known == {
        name: (preset.arl0, {rule.id for rule in preset.rules}) for name, preset in presets.items()
    }
    assert set().union(*(rules for _, rules in known.values())) < set(RULES)
