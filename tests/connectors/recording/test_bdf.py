"""Battery Data Format recordings: what is in them, and every defect they are known for."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

TIME_BUG = "bdf/SINTEF__SLPBA842124HV__2024-10-23__Rate_25degC__Neware__Time_Bug.bdf.csv"
COUNTERS = "bdf/SINTEF__G20M7-202512-Gru6mV__20251228__C30__25degC__Neware.bdf.csv"

REGRESSIONS = [722, 1465, 1647, 5660, 5843, 7129, 7311, 7733, 7919, 9195]
REGRESSIONS += [9377, 9605, 9794, 11068, 11250, 11363, 11553, 12822, 13004]


def charges(time_s, current):
    """Positive and negative parts of the trapezoid, A.h."""
    part = np.diff(time_s) * (current[1:] + current[:-1]) / 7200
    return part[part > 0].sum(), part[part < 0].sum()


def test_time_bug_is_read_whole(opened):
    """All rows and columns of the file are there, in BDF names and units."""
    bug = opened(TIME_BUG)
    assert bug.recording.format == "bdf"
    assert bug.recording.rows == 13_086
    assert bug.recording.columns == [
        "test_time_second",
        "voltage_volt",
        "current_ampere",
        "cycle_count",
        "step_index",
        "power_watt",
        "temperature_t1_celsius",
        "temperature_t2_celsius",
        "temperature_t3_celsius",
    ]
    assert bug.recording.units["temperature_t2_celsius"] == "Cel"
    assert bug.recording.units["step_index"] == "1"
    assert "CC BY 4.0" in bug.recording.attribution
    assert "SINTEF" in bug.recording.attribution
    assert not any(np.isnan(column).any() for column in bug.columns.values())


def test_time_bug_has_no_absolute_time(opened):
    """Without a clock in the file, times count from 1970 and a note says so."""
    bug = opened(TIME_BUG)
    assert bug.recording.relative_time
    assert bug.recording.start_ns == 0
    assert bug.time_ns[0] == 0
    assert "TIME_RELATIVE" in bug.codes()


def test_time_regressions_are_found(opened):
    """Each of the 19 rows that go back in time gets one note, and the worst is known."""
    bug = opened(TIME_BUG)
    assert bug.rows("TIME_REGRESSION") == REGRESSIONS
    note = bug.note("TIME_REGRESSION")
    assert note.detail["count"] == 19
    assert note.detail["worst_s"] == pytest.approx(-125_192.65, abs=1e-6)
    assert note.value == 0.0
    assert "TIME_BACKWARD" not in bug.codes()


def test_the_pattern_is_one_row_at_zero_at_a_step_edge(opened):
    """The defect is one row with time 0 as the first of a new step; the next row returns."""
    bug = opened(TIME_BUG)
    time, step = bug["test_time_second"], bug["step_index"]
    assert all(time[row] == 0.0 for row in REGRESSIONS)
    assert [int(row) for row in np.flatnonzero(np.diff(step)) + 1] == REGRESSIONS
    assert np.allclose(time[np.array(REGRESSIONS) + 1] - time[np.array(REGRESSIONS) - 1], 0.01)
    running = np.maximum.accumulate(time)
    assert np.flatnonzero(time < running).tolist() == REGRESSIONS


def test_time_is_repaired_and_rows_are_kept(opened):
    """A repaired row stands 0.01 s before the next; afterwards nothing goes back."""
    bug = opened(TIME_BUG)
    rows = np.array(REGRESSIONS)
    assert np.all(bug.time_ns[rows] == bug.time_ns[rows + 1] - 10_000_000)
    assert bug.note("TIME_REGRESSION").detail["repaired_s"] == 7200.0
    step = np.diff(bug.time_ns)
    assert np.count_nonzero(step < 0) == 0
    # Counted in whole nanoseconds every one of the 19 repaired rows meets the row before it;
    # subtracting 0.01 from floating-point seconds leaves 6 of them 1.5e-11 s apart.
    assert bug.rows("TIME_ZERO_STEP") == REGRESSIONS
    seconds = bug["test_time_second"].copy()
    seconds[rows] = seconds[rows + 1] - 0.01
    assert np.count_nonzero(np.diff(seconds) == 0) == 13
    assert np.count_nonzero(np.diff(seconds) < 0) == 0


def test_integral_without_repair_is_nonsense(opened):
    """The raw axis gives thousands of A.h that no range check on V or I would catch."""
    bug = opened(TIME_BUG)
    up, down = charges(bug["test_time_second"], bug["current_ampere"])
    assert (round(up, 2), round(down, 2)) == (2747.39, -3700.74)


def test_integral_with_repair(opened):
    """The repaired axis gives the charges of the test."""
    bug = opened(TIME_BUG)
    up, down = charges(bug.time_ns / 1e9, bug["current_ampere"])
    assert (round(up, 4), round(down, 4)) == (33.0598, -36.1759)


def test_missing_step_number_and_constant_cycle(opened):
    """Step 18 is missing without loss of data; the cycle column cannot tell cycles."""
    bug = opened(TIME_BUG)
    assert np.unique(bug["step_index"]).tolist() == [*range(1, 18), 19, 20, 21]
    assert np.all(bug["cycle_count"] == 1)
    assert bug.note("CYCLE_CONSTANT").value == 1.0
    assert "NOT_INTEGER" not in bug.codes()


def test_large_currents_are_kept(opened):
    """82 rows below -50 A are real and stay."""
    bug = opened(TIME_BUG)
    current = bug["current_ampere"]
    assert np.count_nonzero(current < -50) == 82
    assert current.min() == -59.4593


def test_thermocouple_spread(opened):
    """The 5 K rule fires, with the worst row and the thermocouple that stands apart."""
    bug = opened(TIME_BUG)
    block = np.array([bug[f"temperature_t{k}_celsius"] for k in (1, 2, 3)])
    spread = block.max(axis=0) - block.min(axis=0)
    assert np.median(spread) == pytest.approx(0.2)
    assert np.count_nonzero(spread > 2 + 1e-9) == 183
    note = bug.note("TEMPERATURE_SPREAD")
    assert note.detail["rows"] == 31
    assert note.detail["max_k"] == 7.5
    assert note.detail["max_row"] == 13_081
    assert note.detail["stands_apart"] == "temperature_t2_celsius"
    assert bug["temperature_t2_celsius"].max() == 57.9


def test_power_agrees(opened):
    """Power is V times I within 0.0003 W, so there is no finding."""
    bug = opened(TIME_BUG)
    off = np.abs(bug["power_watt"] - bug["voltage_volt"] * bug["current_ampere"])
    assert off.max() < 0.0003
    assert "POWER_MISMATCH" not in bug.codes()


def test_start_comes_from_the_unix_column(opened):
    """The second file knows its start; its name says another day."""
    cell = opened(COUNTERS)
    start = datetime(2025, 12, 22, 8, 44, 24, 885_000, tzinfo=UTC)
    assert cell.recording.rows == 17_587
    assert not cell.recording.relative_time
    assert cell.recording.start_ns == int(start.timestamp() * 1000) * 1_000_000
    assert cell.time_ns[0] == cell.recording.start_ns
    assert cell.note("NAME_DATE").detail["named"] == "2025-12-28"


def test_cycle_count_in_radians(opened):
    """2 pi where 1 cycle was meant is found; 1 is offered and never used."""
    cell = opened(COUNTERS)
    note = cell.note("NOT_INTEGER")
    assert (note.column, note.value, note.detail["count"]) == ("cycle_count", 2 * np.pi, 17_587)
    assert note.detail["offered"] == 1.0
    assert np.all(cell["cycle_count"] == 6.283185307179586)


def test_steps_of_the_slow_cycle(opened):
    """Rest, charge, constant voltage, rest, discharge, rest with their rows."""
    step = opened(COUNTERS)["step_index"]
    assert [int(np.count_nonzero(step == k)) for k in range(1, 7)] == [3, 8298, 144, 362, 8418, 362]


def test_counter_resets(opened):
    """Resets at steps and inside step 5 are found with what they lose."""
    cell = opened(COUNTERS)
    assert cell.rows("COUNTER_RESET", "discharging_capacity_ah") == [9103, 9114, 17_225]
    assert cell.rows("COUNTER_RESET", "charging_capacity_ah") == [8301, 8445]
    inside = [
        (note.row, round(note.detail["lost"], 8))
        for note in cell.recording.notes
        if note.code == "COUNTER_RESET"
        and note.column == "discharging_capacity_ah"
        and note.detail["inside_step"]
    ]
    assert inside == [(9103, 0.13478397), (9114, 0.00435386)]
    assert (cell.time_ns[9103] - cell.time_ns[0]) / 1e9 == pytest.approx(90_941.94)
    assert (cell.time_ns[9114] - cell.time_ns[0]) / 1e9 == pytest.approx(91_036.95)


def test_zero_steps(opened):
    """Ten rows share the time of the row before; both rows stay in order."""
    cell = opened(COUNTERS)
    rows = [2, 3, 8301, 8445, 8806, 8807, 9103, 9114, 17_225, 17_586]
    assert cell.rows("TIME_ZERO_STEP") == rows
    assert cell.note("TIME_ZERO_STEP").detail["count"] == 10


def test_two_clocks_drift(opened):
    """Unix and test time drift by 0.45 s in 48.8 h, reported in ppm."""
    note = opened(COUNTERS).note("CLOCK_DRIFT")
    assert note.detail["drift_s"] == pytest.approx(0.45, abs=1e-3)
    assert note.detail["ppm"] == pytest.approx(0.45 / 175_734.14 * 1e6, rel=1e-3)
    assert round(note.detail["offset_min_s"], 3) == 1_766_393_064.884
    assert round(note.detail["offset_max_s"], 3) == 1_766_393_065.335
