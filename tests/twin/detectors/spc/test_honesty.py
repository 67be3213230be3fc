"""False alarms on correlated data, after a fit, through the detectors themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import ndtr

from twin.detectors.series import Series
from twin.detectors.spc import PRESETS, Charts
from twin.detectors.spc.autocorrelation import correlation_time, fit_ar
from twin.model.batch import Batch
from twin.model.line import Chart, Sensor

S = 1_000_000_000
FITTED, JUDGED, SEEDS = 2000, 30_000, 7
REOPENED = 1.3
"""Findings per ARL0 of EWMA and CUSUM on independent data with known parameters: after a false
signal the statistic is near its limit and sometimes signals again, which ARL0 does not count."""
PHIS = [0.0, 0.2, 0.5, 0.8, 0.9, 0.95]


def ar1(phi, n, rng):
    e = rng.normal(size=n) * np.sqrt(1 - phi * phi)
    e[0] = rng.normal()
    return lfilter([1.0], [1.0, -phi], e)


def findings(line, sensor, batch):
    """Findings by rule, as the detection stage finds them."""
    index = line(sensor)
    charts = Charts(index)
    events = charts.update(batch)
    events += charts.update_points(Series(index).update(batch), batch)
    return [event.rule for event in events if event.type == "finding"]


def ratios(line, phi, *, real_time=False):
    """Observed over nominal false alarms of rule 1, EWMA and CUSUM, median over the seeds."""
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng([seed, int(100 * phi)])
        x = 20 + 4 * ar1(phi, FITTED + JUDGED, rng)
        fit = fit_ar(x[:FITTED], order=1)
        model = {"tau_s": correlation_time(fit.phi, 1.0)} if real_time else {"ar": list(fit.ar)}
        chart = Chart(
            series="residual", level=fit.level, centre=0.0, sigma=fit.sigma, rules="shewhart",
            ewma_lambda=0.1, ewma_l=2.814, ewma_limits="fixed", cusum_k=0.5, cusum_h=5.0, **model,
        )  # fmt: skip
        sensor = Sensor(key="k", period_s=1.0, chart=chart)
        batch = Batch.of(np.zeros(JUDGED), np.arange(JUDGED) * S, x[FITTED:])
        rules = findings(line, sensor, batch)
        nominal = {"rule1": PRESETS["shewhart"].arl0, "ewma": 499.58, "cusum": 465.44}
        found.append([rules.count(rule) * arl0 / JUDGED for rule, arl0 in nominal.items()])
    return np.median(found, axis=0)


@pytest.mark.parametrize("phi", PHIS)
def test_residuals_keep_the_nominal_false_alarm_rate(line, phi):
    """Fitted on 2000 samples, every chart of the residuals alarms as often as it says."""
    rule1, ewma, cusum = ratios(line, phi)
    assert 0.8 < rule1 < 1.5
    assert 0.8 < ewma / REOPENED < 1.5
    assert 0.8 < cusum / REOPENED < 1.5


@pytest.mark.parametrize("phi", [0.5, 0.95])
def test_residuals_by_correlation_time(line, phi):
    """The same with tau and the real time step instead of a coefficient."""
    assert 0.8 < ratios(line, phi, real_time=True)[0] < 1.5


def test_raw_samples_do_not(line):
    """The same rule on the raw samples, sigma from the mean moving range: an alarm every 6 points."""
    rng = np.random.default_rng(3)
    x = ar1(0.9, FITTED + JUDGED, rng)
    sigma = float(np.abs(np.diff(x[:FITTED])).mean()) / 1.128379
    chart = Chart(centre=float(x[:FITTED].mean()), sigma=sigma, rules="shewhart")
    batch = Batch.of(np.zeros(JUDGED), np.arange(JUDGED) * S, x[FITTED:])
    found = findings(line, Sensor(key="k", period_s=1.0, chart=chart), batch)
    assert len(found) * 370.4 / JUDGED > 15


@pytest.mark.parametrize(
    ("phi", "delta", "length", "rule1", "ewma", "cusum"),
    [
        (0.0, 2.0, 80, 6.3, 4.4, 4.0),
        (0.5, 1.0, 900, 124, 23, 28),
        (0.5, 2.0, 200, 24, 8, 7),
        (0.5, 3.0, 80, 4, 4, 3),
        (0.8, 3.0, 80, 2, 5, 3),
        (0.95, 2.0, 200, 1, 19, 8),
    ],
)
def test_points_to_a_signal(line, phi, delta, length, rule1, ewma, cusum):
    """Residuals cost power: points until a step of delta sigma of the signal is found (rounded)."""
    runs = 500
    rng = np.random.default_rng([1, int(100 * phi), int(10 * delta)])
    e = rng.normal(size=(runs, length)) * np.sqrt(1 - phi * phi)
    e[:, 0] = rng.normal(size=runs)
    x = lfilter([1.0], [1.0, -phi], e, axis=1)
    x[:, 1:] += delta
    far = length + 100  # between the runs there is a hole, so that each starts at zero state
    seconds = np.arange(runs)[:, None] * far + np.arange(length)
    chart = Chart(
        series="residual", ar=[phi], level=0.0, centre=0.0, sigma=float(np.sqrt(1 - phi * phi)),
        rules="shewhart", ewma_lambda=0.1, ewma_l=2.814, ewma_limits="fixed", cusum_k=0.5,
        cusum_h=5.0,
    )  # fmt: skip
    index = line(Sensor(key="k", period_s=1.0, chart=chart))
    batch = Batch.of(np.zeros(x.size), seconds.ravel() * S, x.ravel())
    events = Charts(index).update_points(Series(index).update(batch), batch)
    for rule, expected in {"rule1": rule1, "ewma": ewma, "cusum": cusum}.items():
        first: dict[int, int] = {}
        for event in events:
            if event.type == "finding" and event.rule == rule:
                run, point = divmod(event.t_last // S, far)
                first.setdefault(run, point)
        delays = np.array(list(first.values()))
        assert len(delays) > 0.97 * runs
        error = delays.std() / np.sqrt(len(delays))
        assert delays.mean() == pytest.approx(expected, abs=0.6 + 3 * error + 0.05 * expected)


@pytest.mark.parametrize(
    ("phi", "table"),
    [(0.5, [5.3, 3.7, 3.3, 2.9]), (0.9, [6.5, 4.2, 3.2, 2.9]), (0.95, [8.9, 4.3, 3.3, 2.9])],
)
def test_price_of_a_small_baseline(phi, table):
    """Mean false alarms per 1000 residuals (nominal 2.7), fitted on 50, 100, 200, 500 samples."""
    rng = np.random.default_rng(2)
    for n, expected in zip((50, 100, 200, 500), table, strict=True):
        rates = []
        for _ in range(600):
            fit = fit_ar(ar1(phi, n, rng), order=1)
            # The residual of a wrong model is normal with this mean and standard deviation.
            mean = -(1 - fit.ar[0]) * fit.level
            sd = np.sqrt(1 - phi**2 + (phi - fit.ar[0]) ** 2)
            rates.append(ndtr((-3 * fit.sigma - mean) / sd) + ndtr((mean - 3 * fit.sigma) / sd))
        error = 1000 * np.std(rates) / np.sqrt(600)
        assert 1000 * np.mean(rates) == pytest.approx(expected, abs=4 * error + 0.1)
