"""Novonix recordings of two versions, and a summary that belongs to another run."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from connectors.recording import open_recording
from twin.errors import RecordingError

OLD = "beep/test_Nova_Form-CH01-01_short.csv"
NEW = "pyprobe/sample_data_novonix.csv"


def test_whole_lines_in_quotes(opened):
    """Each data line of the older version is one quoted string; all 3942 rows are read."""
    cell = opened(OLD)
    assert cell.recording.format == "novonix"
    assert cell.recording.rows == 3942
    assert "QUOTED_LINES" in cell.codes()
    assert "QUOTED_LINES" not in opened(NEW).codes()
    assert cell.recording.metadata["Version"] == "2.2.1.6"


def test_start_is_local_time(opened, file):
    """The file names no zone; the reader takes the declared one and says so."""
    start = datetime(2022, 4, 11, 10, 58, 7, tzinfo=UTC)
    cell = opened(OLD)
    assert cell.recording.start_ns == int(start.timestamp()) * 1_000_000_000
    assert cell.note("WALL_CLOCK_ZONE").detail["zone"] == "UTC"
    berlin = open_recording(file(OLD), timezone="Europe/Berlin")
    assert berlin.start_ns == cell.recording.start_ns - 7200 * 1_000_000_000
    end = datetime(2022, 4, 12, 4, 24, 11, tzinfo=UTC)
    assert abs(cell.time_ns[-1] / 1e9 - end.timestamp()) < 70


def test_steps_of_the_program(opened):
    """Rest, CC-CV to 1.5 V, charge at C/20; the file ends inside step 3."""
    cell = opened(OLD)
    step, hours = cell["step_index"], cell["test_time_second"] / 3600
    assert [int(np.count_nonzero(step == k)) for k in (1, 2, 3)] == [118, 947, 2877]
    last = [np.flatnonzero(step == k)[-1] for k in (1, 2, 3)]
    assert [round(hours[row], 4) for row in last] == [0.0334, 15.0346, 17.4346]
    voltage = cell["voltage_volt"]
    assert (round(voltage[0], 5), round(voltage[117], 5)) == (0.13736, 0.13710)
    assert round(voltage[-1], 5) == 3.42744
    assert round(cell["net_capacity_ah"][last[1]], 6) == 0.000669


def test_phases_of_the_cc_cv_step(opened):
    """Step type 7 is the current phase (28 rows, up to 1.5 V), type 8 the hold after it."""
    cell = opened(OLD)
    own = cell["step_index"] == 2
    kind, current = cell["step_type"][own], cell["current_ampere"][own]
    assert kind.tolist() == [7.0] * 28 + [8.0] * 919
    assert np.median(current[1:28]) == pytest.approx(0.048, abs=0.001)
    assert np.all(cell["voltage_volt"][own][30:] > 1.49)
    assert np.median(current[28:]) < 0.001


def test_wall_clock_is_coarse(opened):
    """The wall clock shows whole seconds, the run time is strictly increasing: it is used."""
    cell = opened(OLD)
    note = cell.note("WALL_CLOCK_COARSE")
    assert note.detail["equal_neighbours"] == 105
    assert (note.detail["step_min_s"], note.detail["step_max_s"]) == (0.0, 61.0)
    step = np.diff(cell.time_ns) / 1e9
    assert step.min() == pytest.approx(0.0702, abs=5e-5)
    assert step.max() == pytest.approx(60.07, abs=5e-3)
    assert np.median(step) == pytest.approx(3.12, abs=5e-3)


def test_capacity_agrees_with_the_integral(opened):
    """Counter and integral agree to 0.01 %."""
    cell = opened(OLD)
    current = cell["current_ampere"]
    integral = np.sum(np.diff(cell.time_ns) / 3.6e12 * (current[1:] + current[:-1]) / 2)
    assert round(cell["net_capacity_ah"][-1], 7) == 0.0294679
    assert round(integral, 7) == 0.0294707
    assert "TIME_FACTOR" not in cell.codes()


def test_interchanged_units(opened):
    """dVdt (I/h) and dIdt (V/h) have each other's units, and nothing but zeros."""
    note = opened(OLD).note("UNIT_INTERCHANGED")
    assert note.detail["columns"] == ["dVdt (I/h)", "dIdt (V/h)"]
    assert note.detail["all_zero"]
    assert "UNIT_INTERCHANGED" not in opened(NEW).codes()


def test_two_temperatures(opened):
    """The second temperature is the instrument, not the cell."""
    cell = opened(OLD)
    own, circuit = cell["temperature_t1_celsius"], cell["circuit_temperature_celsius"]
    assert (round(own.min(), 2), round(own.max(), 2)) == (38.93, 39.47)
    assert (round(circuit.min(), 2), round(circuit.max(), 2)) == (23.20, 23.63)
    assert "TEMPERATURE_SPREAD" not in cell.codes()


def test_summary_of_another_run(opened, file):
    """The summary beside the series is recomputed, found wrong, and never taken over."""
    file(f"{OLD.removesuffix('.csv')}_metadata.csv")
    differ = opened(OLD).note("SUMMARY_MISMATCH").detail["differ"]
    assert round(differ["Qc"]["stored"], 5) == 0.06648
    assert round(differ["Qd"]["stored"], 5) == 0.07663
    assert round(differ["CE"]["stored"], 4) == 1.1527
    assert round(differ["Qc"]["series"], 7) == 0.0294707
    note = opened(OLD).note("SUMMARY_IMPLAUSIBLE")
    assert round(note.value, 3) == 5.126
    assert note.detail["end_voltage"] == 4.4


def test_a_summary_is_no_series(file):
    """Opening the summary itself is refused with the way out."""
    with pytest.raises(RecordingError, match="open the series"):
        open_recording(file(f"{OLD.removesuffix('.csv')}_metadata.csv"), timezone="UTC")


def test_newer_version(opened):
    """The newer version has 24-hour dates, no quotes and a power column."""
    cell = opened(NEW)
    assert cell.recording.rows == 207
    assert "power_watt" in cell.recording.columns
    assert round(cell["test_time_second"][-1] / 3600, 7) == 3.4131889
    assert cell["voltage_volt"][-1] == 4.12864581
    assert cell["net_capacity_ah"][-1] == 1.70652976
    start = datetime(2025, 7, 19, 15, 26, 20, tzinfo=UTC)
    assert cell.recording.start_ns == int(start.timestamp()) * 1_000_000_000
