"""Sources that send only changes: found out, and rebuilt."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from twin.detectors.spc.sampling import exception_evidence, hold, reporting, resolution

S = 1_000_000_000
N = 40_000
CASES = [
    # phi, resolution, deadband, share sent, sigma from MR, s received, s rebuilt, error (in sigma)
    (0.0, 0.5, 0.0, 0.86, 1.16, 1.05, 1.01, None),
    (0.0, 1.0, 0.0, 0.73, 1.37, 1.13, 1.04, None),
    (0.0, 2.0, 0.0, 0.48, 1.97, 1.51, 1.14, None),
    (0.9, 0.0, 0.5, 0.31, 0.67, 1.04, 1.00, 0.22),
    (0.9, 0.0, 1.0, 0.11, 1.11, 1.12, 1.00, 0.46),
]


def signal(phi, step, seed=2):
    rng = np.random.default_rng(seed)
    e = rng.normal(size=N) * np.sqrt(1 - phi * phi)
    x = lfilter([1.0], [1.0, -phi], e)
    return x, np.round(x / step) * step if step else x


def sent(value, deadband):
    """What a gateway lets through: changes of at least the deadband against the last value sent."""
    kept = [0]
    for i in range(1, len(value)):
        away = abs(value[i] - value[kept[-1]])
        if away > 0 and away >= deadband:
            kept.append(i)
    return np.array(kept)


@pytest.mark.parametrize(
    ("phi", "step", "deadband", "share", "moving", "received", "rebuilt", "error"), CASES
)
def test_what_reporting_by_exception_does(
    phi, step, deadband, share, moving, received, rebuilt, error
):
    """Scatter of received and of rebuilt values, and that the source is found out."""
    true, value = signal(phi, step)
    kept = sent(value, deadband)
    time, x = kept * S, value[kept]
    held = hold(time, x, S, 10**15)
    assert len(kept) / N == pytest.approx(share, abs=0.01)
    assert np.abs(np.diff(x)).mean() / 1.128379 == pytest.approx(moving, rel=0.02)
    assert x.std() == pytest.approx(received, rel=0.02)
    assert held.value.std() == pytest.approx(rebuilt, rel=0.02)
    assert held.held.mean() == pytest.approx(1 - share, abs=0.01)
    if error is not None:
        assert np.std(held.value - true[: len(held.value)]) == pytest.approx(error, abs=0.01)
    assert reporting(time[:1000], x[:1000]).by_exception
    everything = reporting(np.arange(1000) * S, value[:1000])
    assert not everything.by_exception


def test_heartbeats_do_not_hide_it():
    """A value repeated every minute, changed or not, leaves the pattern visible."""
    _, value = signal(0.0, 1.0)
    kept = np.union1d(sent(value, 0.0), np.arange(0, N, 60))
    assert reporting(kept[:1500] * S, value[kept][:1500]).by_exception


@pytest.mark.parametrize("name", ["lost", "ramp", "triangle", "constant", "digital", "fast ramp"])
def test_periodic_sources_are_not_accused(name):
    """Lost messages, ramps, triangles and coarse digital sensors are no reports by exception."""
    rng = np.random.default_rng(3)
    time = np.sort(rng.choice(3000, 1500, replace=False))
    value = {
        "lost": rng.normal(size=3000),
        "ramp": np.arange(3000) * 0.1,
        "triangle": np.abs(np.arange(3000) % 200 - 100) * 0.5,
        "constant": np.full(3000, 5.0),
        "digital": np.round(rng.normal(size=3000)),
        "fast ramp": np.round(np.arange(3000) * 7.0 + rng.normal(size=3000)),
    }[name][time]
    assert not reporting(time * S, value).by_exception


def test_regular_steps_are_periodic():
    """No two equal neighbours at regular times: a strange signal, but every sample was sent."""
    value = np.tile([0.0, 1.0, 0.0, -1.0], 300)
    assert not reporting(np.arange(1200) * S, value).by_exception


def test_hold_ends_with_the_longest_silence():
    """A value stands for the present no longer than allowed; slots are multiples of the step."""
    held = hold(np.array([1, 9, 42]) * S // 10, np.array([1.0, 2.0, 3.0]), S // 2, 2 * S)
    assert (held.time_ns / S).tolist() == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    assert np.array_equal(held.value, [1, 2, 2, 2, 2, np.nan, np.nan, np.nan], equal_nan=True)
    assert held.held.tolist() == [False, False] + [True] * 6
    assert not len(hold(np.empty(0, np.int64), np.empty(0), S, S).value)


def test_resolution():
    """The smallest step between values; rounding of floats is no step."""
    assert resolution(np.array([1.0, 1.5, 1.25, 1.5, np.nan])) == 0.25
    assert resolution(np.array([0.1 + 0.2, 0.3, 0.5])) == pytest.approx(0.2)
    assert resolution(np.array([2.0, 2.0])) == 0.0


def test_evidence_is_a_binomial_tail():
    """No small change among 35 that turn: (2/3)^35; nothing seen proves nothing."""
    assert exception_evidence(0, 35) == pytest.approx((2 / 3) ** 35)
    assert exception_evidence(0, 0) == 1.0
