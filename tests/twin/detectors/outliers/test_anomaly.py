"""The anomaly scorer: what it finds, what it lets pass, and that its chances are true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twin.detectors import Anomaly
from twin.errors import ConfigError
from twin.model.batch import Batch, recipe_code
from twin.model.index import LineIndex, SensorRow
from twin.model.line import Line, Sensor, Station

S = 1_000_000_000
MINUTE = 60 * S


def scorer(rate=1e-4, **sensor):
    """A scorer of one sensor."""
    spec = Sensor(key="x", detect={"anomaly": {"rate": rate}}, **sensor)
    station = Station(id="s", sensor=[spec])
    row = SensorRow(0, "s/x", station, spec)
    return Anomaly(LineIndex(Line(), "0" * 16, [row], {row.id: row}))


def stream(values, step_ns=MINUTE, start=0):
    n = len(values)
    return Batch.of(np.zeros(n), (start + np.arange(n)) * step_ns, values)


def noise(n=4000, seed=1):
    return np.random.default_rng(seed).normal(size=n)


def opened(events):
    return [event for event in events if event.type == "finding"]


def test_a_lonely_spike_is_one_finding():
    """It opens at the spike, says what spoke and since when, and closes when it is over."""
    values = noise()
    values[3000] = 30
    events = [e for e in scorer().update(stream(values)) if e.row is None or e.row >= 2990]
    (finding,) = opened(events)
    assert (finding.row, finding.value) == (3000, 30)
    assert finding.detail["side"] == "high"
    assert finding.detail["expert"] in {"forecast", "rarity", "season"}
    assert finding.detail["p"] < 1e-4
    assert finding.detail["onset"] == "1970-01-03T02:00:00.000000Z"
    (closed,) = [e for e in events if e.type == "finding_closed"]
    assert closed.detail["opened"] == finding.id
    assert closed.detail["cause"] == "inside"


def test_one_excursion_is_one_alarm():
    """A level that stays away is told once, not at every sample."""
    values = noise()
    values[3000:3200] += 8
    score, _ = scorer().scores(stream(values))
    assert np.sum(score[2995:3200] > 0.5) <= 3
    assert 3000 <= int(np.argmax(score)) <= 3005


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", ["noisier", "missing", "stuck"])
def test_what_is_no_outlier_is_found_too(case, seed):
    """More movement, a day that does not come, a value that stays: each is unusual."""
    rng = np.random.default_rng(seed)
    n, day = 12 * 288, 288
    at = np.arange(n) % day
    busy = np.where((at > 100) & (at < 220), 20.0, 0.0)
    if case == "missing":
        busy = 20 / (1 + np.exp(-np.minimum(at - 96, 216 - at) / 6))
    values = rng.normal(size=n) * 0.5 + busy
    part = slice(9 * day + 110, 9 * day + 210)
    if case == "noisier":
        values[part] += rng.normal(size=100) * 4
    elif case == "missing":
        values[part] -= busy[part]
    else:
        values[part] = 11.0
    score, _ = scorer().scores(stream(values, 5 * MINUTE))
    before = score[4 * day : 9 * day].max()
    assert score[part].max() > before


def test_a_value_beyond_all_others_is_a_record():
    """In heavy noise, where large values are common, the largest ever still stands out."""
    values = np.random.default_rng(6).standard_t(2, 6000)
    values[5000] = 3 * np.abs(values[:5000]).max()
    detector = scorer()
    events = opened(detector.update(stream(values[:5001])))
    assert events[-1].row == 5000
    score, _ = scorer().scores(stream(values))
    assert int(np.argmax(score[1000:])) == 4000


def test_repeated_excursions_become_less_of_an_event():
    """A spike after ten like it is told with less evidence than one after none."""
    first, again = noise(8000), noise(8000)
    first[7300] = again[7300] = 15
    again[300:7000:670] = 15
    alone, _ = scorer().scores(stream(first))
    usual, _ = scorer().scores(stream(again))
    assert 0.4 < usual[7300] < alone[7300] - 0.1


def test_a_constant_signal_is_usual_until_it_changes():
    """Nothing is said about a flat line; its first change is remarkable."""
    values = np.full(2000, 7.25)
    values[1500:] = 8.0
    score, chance = scorer().scores(stream(values))
    assert score[:1500].max() < 0.1
    assert score[1500] == score.max() > 0.5
    assert chance[1500] < 1e-3


def test_resolution_keeps_the_last_digit_quiet():
    """A flicker of one step of the sensor is less of a surprise when its resolution is known."""
    values = np.full(3000, 7.0)
    values[2000] = 7.1
    _, blind = scorer().scores(stream(values))
    _, told = scorer(resolution=0.1).scores(stream(values))
    assert told[2000] >= blind[2000]


@pytest.mark.parametrize("kind", ["normal", "ar", "counts", "heavy"])
def test_chances_are_true(kind):
    """On data without anomalies a chance of 1 % comes in 0.8 to 1.8 % of all samples."""
    rng = np.random.default_rng(4)
    n = 30_000
    values = {
        "normal": rng.normal(size=n),
        "counts": rng.poisson(3.0, n) * 1.0,
        "heavy": rng.standard_t(3, n),
        "ar": np.zeros(n),
    }[kind]
    if kind == "ar":
        for i, e in enumerate(rng.normal(size=n - 1), 1):
            values[i] = 0.9 * values[i - 1] + e
    _, chance = scorer().scores(stream(values))
    judged = chance[1000:]
    assert 0.8 < np.mean(judged < 1e-2) / 1e-2 < 1.8
    assert np.mean(judged < 1e-3) / 1e-3 < 2.0


def test_later_samples_change_nothing():
    """The scores of a stretch are the same with and without what follows."""
    values = noise()
    values[2500:] += 5
    whole, chances = scorer().scores(stream(values))
    part, some = scorer().scores(stream(values[:2600]))
    assert np.array_equal(whole[:2600], part)
    assert np.array_equal(chances[:2600], some)


def test_another_unit_changes_nothing():
    """Scores depend neither on the zero nor on the size of the unit."""
    values = np.round(noise() * 64) / 64
    score, _ = scorer().scores(stream(values))
    other, _ = scorer().scores(stream(values * 4 + 64))
    assert np.array_equal(score, other)


def test_scores_and_findings_come_from_the_same_walk():
    """Asking for scores leaves the same state as asking for findings."""
    values = noise()
    first, second = scorer(0.01), scorer(0.01)
    events = first.update(stream(values))
    _, chance = second.scores(stream(values))
    assert first.snapshot() == second.snapshot()
    assert opened(events)
    assert all(chance[event.row] < 0.01 for event in opened(events))


def test_a_gap_ends_a_finding_and_keeps_what_was_learned():
    """Behind a hole neighbours are forgotten; the verdict goes on at once."""
    detector = scorer(period_s=60.0)
    values = noise()
    values[-3:] = [30, 31, 32]
    assert opened(detector.update(stream(values)))
    assert detector.state(0)["verdict"] == "signal"
    events = detector.update(stream(noise(50, 9), start=5000))
    assert events[0].detail["cause"] == "gap"
    assert detector.state(0)["verdict"] == "in control"
    assert detector.state(0)["learned"] == 4050


def test_another_recipe_starts_anew():
    """What one recipe taught is not used for another; samples without one belong to the last."""
    detector = scorer()
    batch = stream(noise(1000))
    detector.update(replace(batch, recipe=np.full(1000, recipe_code("A"), np.int32)))
    detector.update(stream(noise(10), start=1000))
    assert detector.state(0)["learned"] == 1010
    other = stream(noise(100) + 50, start=1010)
    events = detector.update(replace(other, recipe=np.full(100, recipe_code("B"), np.int32)))
    assert not opened(events)
    assert detector.state(0)["learned"] == 100
    assert detector.state(0)["verdict"] == "cannot judge"
    fresh = scorer()
    fresh.update(replace(other, recipe=np.full(100, recipe_code("B"), np.int32)))
    ours, theirs = detector.snapshot()["arrays"], fresh.snapshot()["arrays"]
    for name in ("tails", "rare", "profile", "visits", "linear", "evidence_tail"):
        assert ours[name] == theirs[name]


def test_memory_is_bounded():
    """Less than 16 kB per sensor, whatever comes."""
    detector = scorer()
    size = sum(array.nbytes for array in detector._arrays.values())
    assert size < 16 * 1024
    detector.update(stream(noise(200)))
    assert size == sum(array.nbytes for array in detector._arrays.values())


def test_counts_are_halved_before_they_lose_digits():
    """Old values fade, so that a long history still can change its mind."""
    detector = scorer()
    detector.update(stream(noise(66_000)))
    assert detector._state["weight"][0] < 65_536
    assert detector._arrays["tails"].sum(axis=2)[0] == pytest.approx(detector._state["weight"][0])


@pytest.mark.parametrize("given", [{"rate": 0}, {"rate": 0.5}, {"speed": 1}])
def test_wrong_settings_are_refused(given):
    """A rate that is none, and a name nobody knows."""
    spec = Sensor(key="x", detect={"anomaly": given})
    row = SensorRow(0, "s/x", Station(id="s", sensor=[spec]), spec)
    with pytest.raises(ConfigError, match=f"detect.anomaly.{next(iter(given))}"):
        Anomaly(LineIndex(Line(), "0" * 16, [row], {row.id: row}))
