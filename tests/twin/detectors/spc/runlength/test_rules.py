"""Run lengths of rule sets: published and independently computed numbers, and the real kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.detectors.spc.rules import PRESETS, Kind, Rule
from twin.detectors.spc.runlength import Method, arl_ar1, arl_rules, block_length, scale_of
from twin.detectors.spc.runlength.automaton import SIGNAL, automaton, borders
from twin.detectors.spc.runlength.trend import previous_arl

POINT = Rule(id="rule1", kind=Kind.BEYOND, points=1, sigma=3.0)
TWO = Rule(id="rule5", kind=Kind.BEYOND, points=3, k=2, sigma=2.0)
FOUR = Rule(id="rule6", kind=Kind.BEYOND, points=5, k=4, sigma=1.0)


def run(points: int) -> Rule:
    """A run on one side."""
    return Rule(id="rule2", kind=Kind.BEYOND, points=points)


def trend(points: int) -> Rule:
    """A steady rise or fall."""
    return Rule(id="rule3", kind=Kind.TREND, points=points)


def alternate(points: int) -> Rule:
    """Up and down in turn."""
    return Rule(id="rule4", kind=Kind.ALTERNATE, points=points)


def close(expected: float) -> object:
    """The tolerance of an exact method against a printed number."""
    return pytest.approx(expected, abs=0.01, rel=0.001)


CHAMP_WOODALL = {
    (POINT,): (
        "370.40 308.43 200.08 119.67 71.55 43.89 27.82 18.25 12.38 8.69 6.30 4.72 3.65 2.90 2.38 2.00"
    ),
    (POINT, TWO): (
        "225.44 177.56 104.46 57.92 33.12 20.01 12.81 8.69 6.21 4.66 3.65 2.96 2.48 2.13 1.87 1.68"
    ),
    (POINT, TWO, FOUR, run(8)): (
        "91.75 66.80 36.61 20.91 13.25 9.22 6.89 5.42 4.41 3.68 3.13 2.70 2.35 2.07 1.85 1.67"
    ),
    (POINT, run(8)): "152.73 110.52 59.76 33.64 21.07 14.58 10.90 8.60 7.03 5.85 4.89",
    (POINT, FOUR): "166.05 120.70 63.88 33.99 19.78 12.66 8.84 6.62 5.24 4.33 3.68",
}


@pytest.mark.parametrize(("rules", "printed"), CHAMP_WOODALL.items())
def test_champ_and_woodall(rules, printed):
    """Western Electric rules at shifts of 0, 0.2, 0.4 ... sigma (Technometrics 29, 1987)."""
    found = [arl_rules(rules, 0.2 * i).arl for i in range(len(printed.split()))]
    assert found == [close(float(text)) for text in printed.split()]


@pytest.mark.parametrize(
    ("name", "in_control", "at_one"),
    [
        ("shewhart", 370.40, 43.89),
        ("western_electric", 91.75, 9.22),
        ("western_electric_all", 84.18, 9.22),
        ("nelson_shift", 109.05, 9.70),
        ("westgard", 158.27, 12.97),
    ],
)
def test_presets_of_zone_rules(name, in_control, at_one):
    """Presets without trend and alternation are Markov chains."""
    zero = arl_rules(PRESETS[name])
    assert zero.method is Method.EXACT
    assert (zero.arl, arl_rules(PRESETS[name], 1.0).arl) == (close(in_control), close(at_one))


@pytest.mark.parametrize(
    ("name", "simulated", "error"),
    [
        ("nelson", 73.55, 0.1),
        ("minitab_all", 88.1, 0.1),
        ("aiag", 54.15, 0.1),
        ("aiag_short", 80.45, 0.1),
        ("westgard_7t", 150.8, 0.2),
        ("juran", 89.0, 0.1),
        ("montgomery", 65.7, 0.1),
        ("ihi", 115.1, 0.2),
    ],
)
def test_presets_with_trends(name, simulated, error):
    """Sets that mix zones with trends agree with long simulations (three standard errors)."""
    assert arl_rules(PRESETS[name]).arl == pytest.approx(simulated, abs=3 * error)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((trend(5),), 73.34),
        ((trend(6),), 421.60),
        ((trend(7),), 2881.9),
        ((alternate(13),), 382.4),
        ((alternate(14),), 601.0),
        ((alternate(15),), 944.5),
        ((POINT, run(9)), 216.70),
    ],
)
def test_rules_alone(rules, expected):
    """Trends and alternations count points."""
    assert arl_rules(rules).arl == close(expected)


def test_the_price_of_r4s():
    """Westgard's rules without the pair beyond two sigma."""
    assert arl_rules(PRESETS["westgard"].rules[:-1]).arl == close(183.00)


@pytest.mark.parametrize("name", ["western_electric_all", "westgard", "nelson_shift"])
@pytest.mark.parametrize("shift", [0.0, 0.7, 2.0])
def test_both_methods_agree(name, shift):
    """Following the last value changes nothing for rules that do not look at it."""
    rules = PRESETS[name].rules
    assert previous_arl(rules, shift) == pytest.approx(arl_rules(rules, shift).arl, rel=1e-9)


def test_mirrored_shifts():
    """All presets treat both sides alike."""
    for preset in PRESETS.values():
        assert arl_rules(preset, -1.0).arl == pytest.approx(arl_rules(preset, 1.0).arl, rel=1e-8)


@pytest.mark.parametrize(
    ("phi", "known", "moving_range", "shift_rules", "all_eight"),
    [
        (0.2, 375, 140, 65, 49),
        (0.5, 396, 35, 31, 25),
        (0.8, 555, 10.0, 16.6, 13.2),
        (0.9, 832, 6.3, 13.4, 10.5),
        (0.95, 1360, 4.5, 11.6, 9.3),
    ],
)
def test_autocorrelated_values(phi, known, moving_range, shift_rules, all_eight):
    """What AR(1) does to rule 1, with sigma known and from moving ranges, and to rule sets.

    The numbers are rounded simulations with an error of 1 to 2 %.
    """
    scale = scale_of("mean moving range", phi)
    rules = (PRESETS["nelson_shift"].rules, PRESETS["nelson"].rules)
    assert arl_ar1((POINT,), phi).arl == pytest.approx(known, rel=0.01)
    assert arl_ar1((POINT,), phi, scale=scale).arl == pytest.approx(moving_range, rel=0.03)
    assert arl_ar1(rules[0], phi).arl == pytest.approx(shift_rules, rel=0.02)
    assert arl_ar1(rules[1], phi).arl == pytest.approx(all_eight, rel=0.02)


@pytest.mark.parametrize(("phi", "expected"), [(0.5, 396.3), (0.9, 831.8)])
def test_rule_1_on_correlated_values(phi, expected):
    """The exact numbers of rule 1 on AR(1) values."""
    assert arl_ar1((POINT,), phi).arl == close(expected)


def test_hardly_any_correlation_is_none():
    """Both forms of the same equation meet where correlation ends."""
    rules = PRESETS["nelson"].rules
    assert arl_ar1(rules, 1e-9).arl == pytest.approx(arl_rules(rules).arl, rel=1e-6)


def test_a_correlation_of_one_is_refused():
    """A random walk has no mean to return to."""
    with pytest.raises(ValueError, match="phi is 1"):
        arl_ar1((POINT,), 1.0)


@pytest.mark.parametrize(("phi", "m"), [(0.0, 3), (0.5, 9), (0.9, 57), (0.95, 117)])
def test_blocks_that_are_nearly_independent(phi, m):
    """Three times (1 + phi) / (1 - phi) samples."""
    assert block_length(phi) == m


def test_sets_too_large_to_follow_are_simulated():
    """Half of sixty points has more pasts than can be followed; the answer says so."""
    rule = Rule(id="rule1", kind=Kind.BEYOND, points=40, k=20, sigma=1.0)
    found = arl_rules((rule,), 1.0)
    assert found.method is Method.SIMULATED
    assert 20.0 < found.arl < 60.0
    assert 0.0 < found.standard_error < 2.0


RULES = st.one_of(
    st.builds(
        lambda kind, m, k, sigma: Rule(
            # Points on both sides are two points; the line description refuses fewer.
            id=f"{kind}{m}{k}{sigma}",
            kind=kind,
            points=max(m, 2 if kind is Kind.MIXED else 1),
            k=min(k, m),
            sigma=sigma,
        ),
        st.sampled_from([Kind.BEYOND, Kind.EITHER, Kind.MIXED]),
        st.integers(1, 6),
        st.integers(1, 6),
        st.sampled_from([0.0, 0.7, 1.0, 2.0]),
    ),
    st.builds(
        lambda m, sigma: Rule(id=f"w{m}{sigma}", kind=Kind.WITHIN, points=m, sigma=sigma),
        st.integers(2, 8),
        st.sampled_from([0.7, 1.0]),
    ),
    st.builds(
        lambda kind, m: Rule(id=f"{kind}{m}", kind=kind, points=m),
        st.sampled_from([Kind.TREND, Kind.ALTERNATE]),
        st.integers(3, 7),
    ),
    st.just(Rule(id="pair", kind=Kind.PAIR, points=2, sigma=1.0)),
)


@settings(max_examples=40, deadline=None)
@given(
    rules=st.lists(RULES, min_size=1, max_size=4, unique_by=lambda rule: rule.id),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_automaton_signals_when_the_kernel_does(first_signal, rules, seed):
    """Any rules: the table and the compiled chart find the same first point."""
    values = np.random.default_rng(seed).normal(0.2, 1.2, 400)
    machine = automaton(tuple(rules), borders(tuple(rules)))
    state, found = 0, None
    for i, value in enumerate(values):
        cell = int(np.searchsorted(machine.edges, value))
        symbol = 2 * cell + int(i > 0 and value > values[i - 1]) if machine.steps else cell
        state = int(machine.table[state, symbol])
        if state == SIGNAL:
            found = i + 1
            break
    assert found == first_signal(tuple(rules), values)
