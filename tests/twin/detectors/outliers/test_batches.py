"""Outlier tests of batches, against published examples and by simulation."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.detectors.outliers.dpat import dpat, static_pat
from twin.detectors.outliers.esd import generalised_esd
from twin.detectors.outliers.families import benjamini_hochberg, bonferroni
from twin.detectors.outliers.grubbs import grubbs, grubbs_critical
from twin.detectors.outliers.modified_z import modified_z
from twin.detectors.outliers.quantiles import NAMES, quantile
from twin.detectors.outliers.tukey import tukey_fences

URANIUM = [199.31, 199.53, 200.19, 200.82, 201.92, 201.95, 202.18, 245.57]
"""Mass spectrometer measurements on a uranium isotope, NIST 1.3.5.17.1."""
ROSNER = [
    -0.25, 0.68, 0.94, 1.15, 1.20, 1.26, 1.26, 1.34, 1.38, 1.43, 1.49, 1.49,
    1.55, 1.56, 1.58, 1.65, 1.69, 1.70, 1.76, 1.77, 1.81, 1.91, 1.94, 1.96,
    1.99, 2.06, 2.09, 2.10, 2.14, 2.15, 2.23, 2.24, 2.26, 2.35, 2.37, 2.40,
    2.47, 2.54, 2.62, 2.64, 2.90, 2.92, 2.92, 2.93, 3.21, 3.26, 3.30, 3.59,
    3.68, 4.30, 4.64, 5.34, 5.42, 6.01,
]  # fmt: skip
"""54 values of Rosner (1983), NIST 1.3.5.17.3."""
WAFER = [
    95.1772, 95.1567, 95.1937, 95.1959, 95.1442, 95.0610,
    95.1591, 95.1195, 95.1065, 95.0925, 95.1990, 95.1682,
]  # fmt: skip
"""Wafer gauge data, NIST 7.2.6.2."""


def test_grubbs_uranium():
    """G, critical value and largest possible deviation of the uranium data, one-sided at 0.05."""
    found = grubbs(URANIUM, side="high")
    assert found.statistic == pytest.approx(2.46876, abs=5e-6)
    assert found.critical == pytest.approx(2.03165, abs=5e-6)
    assert found.largest_possible == pytest.approx(2.4749, abs=5e-5)
    assert (found.suspect, found.outlier, found.note) == (7, True, "")
    assert found.p_value < 0.001
    assert not grubbs(URANIUM, side="low").outlier
    assert grubbs(URANIUM).critical == grubbs_critical(8) > found.critical


def test_grubbs_tells_of_masking():
    """Outliers of one size hide each other from Grubbs; the note names the test that finds them."""
    rng = np.random.default_rng(1)
    x = np.append(rng.standard_normal(28), [9.0, 9.2, 9.1, 9.3])
    found = grubbs(x)
    assert not found.outlier
    assert "masking: the generalised ESD test finds" in found.note
    assert set(generalised_esd(x, 8).outliers) >= {28, 29, 30, 31}


def test_grubbs_on_what_it_is_not_meant_for():
    """Few values are noted, equal ones are no outliers, two values are refused."""
    assert "few" in grubbs([1.0, 2.0, 9.0]).note
    same = grubbs([3.0] * 10)
    assert not same.outlier
    assert np.isnan(same.statistic)
    with pytest.raises(ValueError, match="2 values"):
        grubbs([1.0, 2.0, np.nan])


@pytest.mark.parametrize("side", ["both", "high", "low"])
def test_grubbs_false_flags(side):
    """Clean normal batches have an outlier as often as alpha says."""
    rng = np.random.default_rng(5)
    hits = [grubbs(rng.standard_normal(12), 0.05, side=side) for _ in range(4000)]
    assert np.mean([hit.outlier for hit in hits]) == pytest.approx(0.05, abs=0.011)
    assert all((hit.p_value < 0.05) == hit.outlier for hit in hits)


def test_rosner():
    """Three outliers, although the first two steps do not exceed: the largest i counts."""
    found = generalised_esd(ROSNER, 10)
    expected = [3.119, 2.943, 3.179, 2.810, 2.816, 2.848, 2.279, 2.310, 2.102, 2.067]
    critical = [3.159, 3.151, 3.144, 3.136, 3.128, 3.120, 3.112, 3.103, 3.094, 3.085]
    assert found.statistics == pytest.approx(expected, abs=1e-3)
    assert found.statistics[0] == pytest.approx(3.1189, abs=5e-5)
    assert found.critical == pytest.approx(critical, abs=1e-3)
    assert [ROSNER[i] for i in found.outliers] == [6.01, 5.42, 5.34]
    assert found.note == ""


def test_esd_notes():
    """Too few values, equal remainders and an exhausted bound are told; a wrong bound is refused."""
    assert "few" in generalised_esd(URANIUM, 2).note
    assert "equal" in generalised_esd([1.0] * 30 + [5.0], 3).note
    many = generalised_esd([*np.linspace(0, 1, 30), 50.0, 60.0], 2)
    assert "there may be more" in many.note
    with pytest.raises(ValueError, match="1 to 5"):
        generalised_esd(URANIUM, 6)


def test_modified_z_uranium():
    """The score of the uranium outlier, with the published factor 0.6745."""
    found = modified_z(URANIUM)
    assert found.scores[-1] == pytest.approx(29.963, abs=5e-4)
    assert found.outliers == (7,)
    assert found.scale_from == "MAD"


def test_modified_z_fallbacks():
    """MAD 0 takes the mean absolute deviation, equal values nothing, steps of the sensor no flag."""
    stuck = [5.0] * 9 + [5.1, 9.0]
    found = modified_z(stuck)
    assert found.scale_from == "mean absolute deviation"
    assert found.scores[-1] == pytest.approx(4.0 * np.sqrt(2 / np.pi) / (4.1 / 11))
    assert found.outliers == (10,)
    assert modified_z(stuck, resolution=5.0).outliers == ()
    same = modified_z([5.0] * 4 + [np.nan])
    assert (same.scale_from, same.outliers) == ("constant", ())
    assert np.isnan(same.scores[4])


def test_rounding_is_no_scatter():
    """Values that differ by what binary made of them are equal; a wild one does not make them so."""
    same = [0.1 + 0.2, *[0.3] * 9]
    assert modified_z(same).scale_from == "constant"
    assert np.isnan(grubbs(same).statistic)
    assert generalised_esd(same, 2).outliers == ()
    assert tukey_fences([*[0.1 + 0.2] * 4, *[0.3] * 4, 0.4]).outliers == ()
    assert dpat([*[0.1 + 0.2] * 20, *[0.3] * 20, 0.4]).parts[0].verdict == "cannot judge"
    wild = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1e20]
    assert modified_z(wild).outliers == (8,)
    assert tukey_fences(wild).outliers == (8,)
    assert dpat(wild).outliers == (8,)


def test_wafer_quantiles():
    """The 90 % quantile of the wafer data by three conventions."""
    assert quantile(WAFER, 0.9, 6) == pytest.approx(95.1981, abs=5e-5)
    assert quantile(WAFER, 0.9, 7) == pytest.approx(95.1957, abs=5e-5)
    assert quantile(WAFER, 0.9, 8) == pytest.approx(95.1972, abs=7e-5)


@given(
    values=st.lists(st.integers(-50, 50), min_size=1, max_size=30),
    percent=st.integers(0, 100),
    kind=st.sampled_from(sorted(NAMES)),
)
def test_quantiles_are_those_of_hyndman_and_fan(values, percent, kind):
    """All types agree with another implementation, but where rounding decides on a step."""
    methods = {
        1: "inverted_cdf", 2: "averaged_inverted_cdf", 3: "closest_observation",
        4: "interpolated_inverted_cdf", 5: "hazen", 6: "weibull", 7: "linear",
        8: "median_unbiased", 9: "normal_unbiased",
    }  # fmt: skip
    step = len(values) * percent / 100 - (0.5 if kind == 3 else 0.0)
    if kind <= 3 and abs(step - round(step)) < 1e-9:
        return
    expected = np.quantile(np.array(values, float), percent / 100, method=methods[kind])
    assert quantile(values, percent / 100, kind) == pytest.approx(expected, abs=1e-9)


def test_quantiles_on_steps():
    """On a whole number types 1 to 3 take the value below, the mean, and the even neighbour."""
    x = [10.0, 20.0, 30.0, 40.0]
    assert [quantile(x, 0.5, kind) for kind in (1, 2, 3)] == [20.0, 25.0, 20.0]
    assert quantile(x, 0.625, 3) == 20.0
    assert quantile(x, 0.875, 3) == 40.0
    with pytest.raises(ValueError, match="type 10"):
        quantile(x, 0.5, 10)
    with pytest.raises(ValueError, match="no values"):
        quantile([np.nan], 0.5)


def test_tukey_fences():
    """Fences from quartiles of the stated type; a value on the fence is inside."""
    x = [1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 11.0]
    found = tukey_fences(x)
    assert (found.q1, found.q3, found.inner) == (2.5, 6.5, (-3.5, 12.5))
    assert found.outliers == ()
    assert tukey_fences([*x, 40.0]).far == (7,)
    assert tukey_fences(x, quantile_type=6).q3 == 8.0
    edge = tukey_fences([0.0, 1.0, 2.0, 3.0, 4.0, 7.0])
    assert edge.inner[1] == 7.0 + 0.5
    assert "equal" in tukey_fences([1.0] * 8 + [9.0]).note
    with pytest.raises(ValueError, match="3 values"):
        tukey_fences([1.0, 2.0, 3.0])


def test_families():
    """Benjamini and Hochberg's own example: four findings of fifteen; Bonferroni keeps three."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
         0.5719, 0.6528, 0.7590, 1.0]  # fmt: skip
    found = benjamini_hochberg(p)
    assert found.rejected == (0, 1, 2, 3)
    assert bonferroni(p).rejected == (0, 1, 2)
    turned = benjamini_hochberg([*p[::-1], np.nan])
    assert turned.rejected == (11, 12, 13, 14)
    assert turned.size == 15
    assert np.isnan(turned.adjusted[-1])
    with pytest.raises(ValueError, match="outside"):
        bonferroni([1.5])


@pytest.mark.parametrize(
    ("n", "wide", "narrow"), [(16, 0.62, 6.2), (24, 0.26, 4.8), (32, 0.13, 3.9), (64, 0.008, 3.0)]
)
def test_false_flags_of_clean_trays(n, wide, narrow):
    """Percent of clean normal trays with at least one false flag, at 6 and 4 robust sigma."""
    rng = np.random.default_rng(n)
    x = rng.standard_normal((60_000, n))
    q1, middle, q3 = np.quantile(x, [0.25, 0.5, 0.75], axis=1)
    far = np.abs(x - middle[:, None]).max(axis=1) / ((q3 - q1) / 1.35)
    for k, percent in ((6.0, wide), (4.0, narrow)):
        rate, expected = np.mean(far > k), percent / 100
        error = np.sqrt(expected / len(x))
        assert abs(rate - expected) < 3 * error + 0.005 * expected + 0.0005 * (k == 4.0)
    for row, score in zip(x[:40], far[:40], strict=True):
        assert bool(dpat(row, k=3.0, least=n).outliers) == bool(score > 3.0)


def tray_of(n, seed, recipe="slow", tray="t1", centre=4.0):
    x = np.random.default_rng(seed).normal(centre, 0.01, n)
    return x.tolist(), [recipe] * n, [tray] * n


def test_dpat_finds_the_odd_cell():
    """A cell nine robust sigma low is named with the population it was judged in."""
    x, recipe, tray = tray_of(48, 1)
    x[7] -= 0.09
    found = dpat(x, recipe=recipe, tray=tray)
    assert found.outliers == (7,)
    part = found.parts[7]
    assert (part.verdict, part.population) == ("outlier", "slow t1")
    assert "below the median" in part.reason
    assert part.lower < 4.0 < part.upper


def test_dpat_never_mixes_recipes():
    """Two recipes in a tray are judged apart, so that the odd cell shows, or are refused."""
    slow, fast = tray_of(40, 1), tray_of(40, 2, recipe="fast", centre=3.5)
    x, recipe, tray = (a + b for a, b in zip(slow, fast, strict=True))
    x[50] = 4.0
    together = dpat(x)
    assert together.outliers == ()
    found = dpat(x, recipe=recipe, tray=tray)
    assert found.outliers == (50,)
    assert "holds 2 recipes (fast, slow)" in found.notes[0]
    with pytest.raises(ValueError, match="would hide outliers"):
        dpat(x, recipe=recipe, tray=tray, mixed="refuse")
    recipe[3] = ""
    with pytest.raises(ValueError, match="part 3 has no recipe"):
        dpat(x, recipe=recipe, tray=tray)


def test_dpat_pools_small_trays():
    """Trays of 16 of one recipe and rack are pooled after their medians were made equal."""
    parts = [tray_of(16, i, tray=f"t{i}", centre=4.0 + 0.2 * i) for i in range(3)]
    x, recipe, tray = (list(chain(*column)) for column in zip(*parts, strict=True))
    x[20] += 0.12
    found = dpat(x, recipe=recipe, tray=tray)
    (population,) = found.populations
    assert (population.pooled, population.parts, population.trays) == (True, 48, ("t0", "t1", "t2"))
    assert found.outliers == (20,)
    racks = dpat(x, recipe=recipe, tray=tray, rack=["a"] * 16 + ["b"] * 32)
    assert [population.parts for population in racks.populations] == [16, 32]
    assert "false outliers are more frequent" in racks.populations[0].note


def test_dpat_says_what_it_cannot_judge():
    """One cell of a recipe, equal cells and missing values are no verdict; specifications hold."""
    found = dpat([0.255, 0.395, np.nan], recipe=["c", "f", "f"], lsl=0.3)
    assert [part.verdict for part in found.parts] == [
        "out of specification",
        "cannot judge",
        "cannot judge",
    ]
    assert "nothing to compare with" in found.parts[1].reason
    stuck = dpat([1.0] * 40 + [2.0])
    assert stuck.outliers == ()
    assert "scatter is unknown" in stuck.parts[0].reason
    with pytest.raises(ValueError, match="2 entries for 3 values"):
        dpat([1.0, 2.0, 3.0], tray=["a", "b"])


def test_dpat_is_never_wider_than_the_specification():
    """A specification inside the dynamic limits decides."""
    x, _, _ = tray_of(64, 3)
    found = dpat(x, lsl=3.99, usl=4.5)
    assert found.parts[0].lower == 3.99
    assert found.parts[0].upper < 4.5
    low = [i for i, value in enumerate(x) if value < 3.99]
    assert found.outliers == tuple(low)


def test_static_pat():
    """Static limits need six lots of thirty parts and are never wider than the specification."""
    rng = np.random.default_rng(1)
    x, lot = rng.normal(10, 1, 240), np.repeat([f"l{i}" for i in range(8)], 30)
    found = static_pat(x, lot, usl=12.0)
    assert found.upper == 12.0
    assert found.lower == pytest.approx(4.0, abs=1.0)
    assert (found.lots, found.parts) == (8, 240)
    with pytest.raises(ValueError, match="5 lots"):
        static_pat(x[:150], lot[:150])


def hampel_rate(window, t, *, inside):
    rng = np.random.default_rng(window)
    x = np.lib.stride_tricks.sliding_window_view(rng.standard_normal(60_000 + window), window + 1)
    past = x[:, 1:] if inside else x[:, :-1]
    middle = np.median(past, axis=1)
    mad = np.median(np.abs(past - middle[:, None]), axis=1)
    return np.mean(np.abs(x[:, -1] - middle) > t * 1.4826 * mad) * 100


@pytest.mark.parametrize(
    ("window", "three", "four", "previous"),
    [(7, 4.7, 2.4, 9.4), (11, 2.8, 1.1, 5.0), (21, 1.4, 0.33, 2.1), (51, 0.65, 0.08, 0.8)],
)
def test_false_flags_of_the_hampel_rule(window, three, four, previous):
    """Percent of clean normal samples flagged: small windows are noise generators."""
    for rate, expected in (
        (hampel_rate(window, 3.0, inside=True), three),
        (hampel_rate(window, 4.0, inside=True), four),
        (hampel_rate(window, 3.0, inside=False), previous),
    ):
        assert rate == pytest.approx(expected, abs=0.06 + 0.05 * expected)
