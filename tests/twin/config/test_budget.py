"""What a plan costs in false findings, and when it must not run."""

from __future__ import annotations

import json

import pytest
from scipy import stats

from twin.config import budget, load_to_run, parse, refusals, report
from twin.config.budget import entries
from twin.errors import ConfigError
from twin.model.baseline import Baseline

RULES = 'rules = "nelson_shift"'
RAW = (
    ("period_s = 0.1", "period_s = 600"),
    ('sensor = "calender/*"\nwhen = "chart"', 'sensor = "calender/*"\nwhen = "stale"'),
)
ACCEPTED = ("[listener]\nport = 0", '[detection]\naccept = "a trial"\n\n[listener]\nport = 0')


def test_rows_of_the_budget(changed, files):
    """The largest share comes first, shares add up, and the list can be sent as JSON."""
    text = changed((RULES, 'rules = "shewhart", ewma_lambda = 0.1, ewma_l = 2.814, cusum_k = 0.5'))
    rows = budget(parse(files(text)))
    assert [row["statistic"] for row in rows] == ["shewhart", "cusum(0.5; 5)", "ewma(0.1; 2.814)"]
    assert {row["sensor"] for row in rows} == {"calender/line_load"}
    assert rows[0]["arl0"] == pytest.approx(370.398, abs=0.001)
    assert rows[2]["arl0"] == pytest.approx(486.43, abs=0.01)
    assert rows[0]["points_per_day"] == 864_000
    assert rows[0]["expected_per_shift"] == pytest.approx(288_000 / 370.398)
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)
    json.dumps(rows)


@pytest.mark.parametrize(
    ("series", "per_day"),
    [
        ('series = "block", block_s = 60', 1440),
        ('series = "piece", size = 5', 172_800),
        ('series = "thin", every = 100', 8640),
    ],
)
def test_points_follow_the_series(changed, files, series, per_day):
    """Blocks, subgroups and thinned series plot fewer points than the sensor sends."""
    text = changed((RULES, f"{RULES}, {series}"))
    (row,) = budget(parse(files(text)))
    assert row["points_per_day"] == per_day
    assert row["expected_per_shift"] == pytest.approx(per_day / 3 / 109.0493)


def test_groups_and_other_detectors_count(changed, files):
    """A Hampel test, T2 and MEWMA of groups spend of the same budget."""
    text = (
        changed((RULES, 'rules = "none", hampel_window = 11'), RAW[1]).replace(
            'key = "gap"', 'key = "gap"\nperiod_s = 10'
        )
        + """
[[group]]
id = "both"
kind = "mewma"
sensors = ["calender/gap", "calender/oil"]
mean = [0, 0]
sigma = [1, 1]
correlation = [[1, 0], [0, 1]]
limit = 8.634
max_age_s = 60
"""
    )
    found = {entry.statistic: entry for entry in entries(parse(files(text)))}
    assert found["mewma(0.1; 8.634)"].arl0.arl == pytest.approx(200.04, abs=0.05)
    assert found["mewma(0.1; 8.634)"].points_per_day == 8640
    hampel = found["hampel(11; 3.5)"].arl0
    assert hampel.method == "simulated"
    assert 1 / hampel.arl == pytest.approx(0.017, abs=0.006)


def test_a_group_with_t2_says_how_soon_it_finds_a_shift(changed, files):
    """One over the noncentral chi-squared tail, where mean and covariance are known."""
    rows = """
[[group]]
id = "both"
kind = "t2"
sensors = ["calender/gap", "calender/oil"]
mean = [0, 0]
sigma = [1, 1]
correlation = [[1, 0], [0, 1]]
alpha = 0.005
max_age_s = 60
"""
    known = {e.statistic: e for e in entries(parse(files(changed(RAW[1]) + rows)))}
    rough = {e.statistic: e for e in entries(parse(files(changed(RAW[1]) + rows + "m = 50\n")))}
    tails = stats.ncx2.sf(stats.chi2.isf(0.005, 2), 2, [0.25, 1.0, 4.0])

    assert [run.arl for run in known["t2"].runs] == pytest.approx([200.0, *(1 / tails)], rel=1e-6)
    assert rough["t2"].arl0.arl == pytest.approx(200.0)
    assert rough["t2"].runs[1:] == (None, None, None)


def test_what_learns_is_never_called_exact(changed, files):
    """Its rate is the one it was asked for; whether it keeps it is up to the data."""
    text = changed(RAW[1]).replace(
        'key = "gap"', 'key = "gap"\nperiod_s = 10\ndetect.noise = {}\ndetect.anomaly = {}'
    ) + (
        '[[group]]\nid = "both"\nkind = "anomaly"\nmax_age_s = 60\n'
        'sensors = ["calender/gap", "calender/line_load"]\n'
    )
    found = [e for e in entries(parse(files(text))) if e.statistic in {"anomaly", "noise"}]

    assert len(found) == 3
    assert {str(entry.arl0.method) for entry in found} == {"as set"}


def test_the_slowest_member_of_a_group_makes_its_vectors(changed, files):
    """A group of a fast and a slow sensor has as many vectors as the slow one has values."""
    text = changed(RAW[1]).replace('key = "gap"', 'key = "gap"\nperiod_s = 10') + (
        '[[group]]\nid = "both"\nkind = "anomaly"\nmax_age_s = 60\nrate = 1e-5\n'
        'sensors = ["calender/gap", "calender/line_load"]\n'
    )
    found = {entry.sensor: entry for entry in entries(parse(files(text)))}
    assert found["both"].points_per_day == 8640


def test_detectors_spend_by_their_own_settings(changed, files):
    """Noise is judged per block with alpha, an anomaly score per sample with its rate or its default."""
    text = changed(RAW[1]).replace(
        'key = "gap"',
        'key = "gap"\nperiod_s = 10\n'
        "detect.noise = { block_s = 120, alpha = 1e-5 }\ndetect.anomaly = {}",
    )
    found = {entry.statistic: entry for entry in entries(parse(files(text)))}
    assert found["noise"].points_per_day == 720
    assert found["noise"].arl0.arl == pytest.approx(1e5)
    assert found["anomaly"].points_per_day == 8640
    assert found["anomaly"].arl0.arl == pytest.approx(1e4)


def test_a_self_starting_chart_spends_what_its_own_rules_spend(changed, files):
    """A q chart without rules has 4 of 5 and rule 1, and a CUSUM, as it is judged."""
    text = changed((RULES, 'type = "q"'), ("centre = 300, sigma = 3, ", ""))
    found = {entry.statistic: entry for entry in entries(parse(files(text)))}
    assert found["short_run"].arl0.arl == pytest.approx(166.05, abs=0.01)
    assert found["cusum(0.5; 5)"].arl0.arl == pytest.approx(465.44, abs=0.01)


def test_a_plan_over_the_budget_is_refused(changed, files):
    """The problem stands at its key, with the number, who spends most, and what would fit."""
    (problem,) = refusals(parse(files()))
    assert problem.key == "detection.budget_per_shift"
    assert problem.message.startswith("2.64e+03 false findings per shift of 8 h")
    assert "1 x nelson_shift" in problem.message
    assert "calender/line_load" in problem.message
    for way in ("ewma_l = ", "cusum_h = ", "sigma", "block_s", "fewer charts", "accept"):
        assert way in problem.allowed


def test_what_is_proposed_fits(changed, files):
    """A plan with the limit of the refusal is not refused."""
    (problem,) = refusals(parse(files()))
    limit = problem.allowed.split("ewma_l = ")[1].split()[0]
    h = problem.allowed.split("cusum_h = ")[1].split(",")[0]
    for cure in (f"ewma_lambda = 0.1, ewma_l = {limit}", f"cusum_k = 0.5, cusum_h = {h}"):
        text = changed((RULES, f'rules = "none", {cure}'), RAW[1])
        assert refusals(parse(files(text))) == []


def test_more_people_can_answer_more(changed, files):
    """The budget is per operator, and a reason on the record accepts any plan."""
    slow = changed(("period_s = 0.1", "period_s = 150"))
    assert len(refusals(parse(files(slow)))) == 1
    head = "[detection]\noperators = 2\n\n[listener]\nport = 0"
    two = changed(("[listener]\nport = 0", head), text=slow)
    assert refusals(parse(files(two))) == []
    accepted = parse(files(changed(ACCEPTED)))
    assert refusals(accepted) == []
    assert any("accepted: a trial" in text for text in report(accepted)["warnings"])


def test_running_asks_and_reading_does_not(changed, files, tmp_path):
    """The same files load for a replay and are refused for a run."""
    for name, text in files().items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match="false findings per shift"):
        load_to_run(tmp_path / "line.toml")
    (tmp_path / "line.toml").write_text(changed(ACCEPTED))
    assert load_to_run(tmp_path / "line.toml").line.detection.accept == "a trial"


@pytest.fixture
def with_phi(changed, files):
    """A line whose chart has an approved baseline of correlated samples."""

    def make(settings, phi, *more, estimator="standard deviation"):
        index = parse(files(changed((RULES, settings), *more)))
        index.baselines["calender/line_load"] = [
            Baseline(
                id="load",
                version=1,
                sensor="calender/line_load",
                centre=300,
                sigma=3,
                phi=phi,
                n=300,
                estimator=estimator,
            )
        ]
        return index

    return make


def test_a_raw_chart_of_correlated_samples_is_refused(with_phi):
    """Both ways out are named, with the length of a block."""
    index = with_phi(RULES, 0.9, *RAW)
    problem = refusals(index)[0]
    assert problem.key == "station[0].sensor[0].chart.rules"
    text = index.files["line.toml"].splitlines()
    assert RULES in text[problem.line - 1]
    assert "correlation 0.9" in problem.message
    assert "every 13.5 points" in problem.message
    assert "at least 57 samples" in problem.allowed
    assert "block_s = 34200" in problem.allowed
    assert "residual" in problem.allowed


@pytest.mark.parametrize(
    ("settings", "phi"),
    [
        (RULES, 0.1),
        (f'{RULES}, series = "residual", level = 300, ar = [0.9]', 0.9),
        (f'{RULES}, series = "block", block_s = 36000', 0.9),
        ('rules = "shewhart"', 0.9),
    ],
)
def test_charts_that_can_bear_their_correlation(with_phi, settings, phi):
    """A little correlation, residuals, blocks, and rule 1 with a known sigma are no problem."""
    index = with_phi(settings, phi, ("period_s = 0.1", "period_s = 3600"), RAW[1])
    assert refusals(index) == []


def test_moving_ranges_of_correlated_samples_hide_their_scatter(with_phi):
    """Sigma from moving ranges makes even rule 1 cry wolf."""
    index = with_phi('rules = "shewhart"', 0.8, *RAW, estimator="mean moving range")
    problem = refusals(index)[0]
    assert "every 10.1 points in control instead of every 370.4" in problem.message


def test_correlated_statistics_are_simulated(with_phi):
    """EWMA and CUSUM of correlated samples have a number of their own, with its error."""
    (row,) = budget(with_phi('rules = "none", cusum_k = 0.5', 0.8, *RAW))
    assert row["method"] == "simulated"
    assert row["standard_error"] > 0
    assert row["arl0"] < 60
