"""False alarms on correlated data, after a fit, through the detectors themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

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
