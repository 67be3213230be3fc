"""Scoring of the Numenta Anomaly Benchmark: known answers and properties."""

from __future__ import annotations

from math import exp, inf

import numpy as np
import pytest

from twin.cli.benches.nab_score import PROFILES, best, probation, score_at, truth

N = 1000
TIMES = [str(i) for i in range(N)]
ONE = truth(TIMES, [("500", "599")])
TWO = truth(TIMES, [("300", "349"), ("700", "799")])
NONE = truth(TIMES, [])


def sigmoid(y):
    return 2 / (1 + exp(5 * y)) - 1


def alarms(*rows):
    """Scores of a file with alarms at these rows."""
    scores = np.zeros(N)
    scores[list(rows)] = 1.0
    return scores


def scored(rows, known, name="standard"):
    return score_at([alarms(*rows)], [known], PROFILES[name], 1.0).score


def test_weights_are_the_published_ones():
    """Gain, cost of a false alarm, cost of a miss."""
    told = {name: (p.tp, p.fp, p.fn) for name, p in PROFILES.items()}
    assert told == {"standard": (1, 0.11, 1), "low_fp": (1, 0.22, 1), "low_fn": (1, 0.11, 2)}


@pytest.mark.parametrize("name", PROFILES)
def test_silence_is_zero_and_perfection_a_hundred(name):
    """A detector that never speaks scores 0, one at every left edge 100, whatever the profile."""
    assert scored((), TWO, name) == 0
    assert scored((300, 700), TWO, name) == pytest.approx(100)


@pytest.mark.parametrize(("name", "weight", "miss"), [("standard", 0.11, 1), ("low_fn", 0.11, 2)])
def test_a_false_alarm_costs_its_weight(name, weight, miss):
    """Before the first window the whole weight is paid, in points of the span."""
    assert scored((500, 400), ONE, name) == pytest.approx(100 - 100 * weight / (1 + miss))


def test_late_detections_gain_less():
    """Half way into the window the sigmoid at -1/2 counts, scaled to 1 at the left edge."""
    half = sigmoid(-0.5) / sigmoid(-1.0)
    assert scored((550,), ONE) == pytest.approx(100 * (half + 1) / 2)


def test_only_the_earliest_detection_of_a_window_counts():
    """More alarms inside a window change nothing."""
    assert scored((520, 530, 599), ONE) == scored((520,), ONE)


def test_false_alarms_behind_a_window_cost_by_distance():
    """Right behind a window an alarm is nearly free, three widths on it costs its weight."""
    near = ONE.worth[[600, 650, 699, 599 + 3 * 99]]
    assert near == pytest.approx([sigmoid(1 / 99), sigmoid(51 / 99), sigmoid(100 / 99), -1])
    assert ONE.worth[499] == -1


def test_the_start_of_a_file_is_not_scored():
    """15 % of a file, at most 750 rows."""
    assert (probation(N), probation(4032), probation(22695)) == (150, 604, 750)
    assert scored((0, 100, 149), ONE) == 0
    assert scored((150,), ONE) < 0


def test_one_threshold_is_swept_over_all_files():
    """Each row above the threshold counts; the best threshold is found for all files together."""
    first, second = alarms(500), alarms(300, 700)
    first[200:220] = 0.5
    second[100:] *= 0.8
    found = best([first, second], [ONE, TWO], PROFILES["standard"])
    assert (found.threshold, found.found, found.windows, found.false_rows) == (0.8, 3, 3, 0)
    assert found.score == pytest.approx(100)
    brute = [
        score_at([first, second], [ONE, TWO], PROFILES["standard"], at).score
        for at in (inf, 1.0, 0.9, 0.8, 0.5, 0.0)
    ]
    assert found.score == max(brute)
    assert brute[0] == 0
    assert brute[1] == brute[2] == pytest.approx(100 / 3)


def test_always_on_and_the_blind_clock_lose():
    """An alarm in every row is far worse than silence, and the sweep then chooses silence."""
    on = np.ones(N)
    assert score_at([on], [ONE], PROFILES["standard"], 1.0).score < -1000
    assert best([on], [ONE], PROFILES["standard"]).threshold == inf


def test_a_file_without_windows_only_costs():
    """False alarms in a file without any window are paid by the others."""
    quiet = score_at([alarms(500), alarms()], [ONE, NONE], PROFILES["standard"], 1.0)
    loud = score_at([alarms(500), alarms(400, 600)], [ONE, NONE], PROFILES["standard"], 1.0)
    assert quiet.score == pytest.approx(100)
    assert loud.score == pytest.approx(100 - 2 * 11 / 2)
    assert score_at([alarms(400)], [NONE], PROFILES["standard"], 1.0).score == 0


def test_a_window_that_is_not_in_the_file_is_refused():
    """Labels of another file are no windows."""
    with pytest.raises(ValueError, match="not in the file"):
        truth(TIMES, [("500", "2000")])
