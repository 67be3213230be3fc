"""BioLogic with header, Arbin, BaSyTec and Maccor, each with its habits."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from connectors.recording import open_recording

BIOLOGIC = "pyprobe/Sample_data_biologic_02_MB_CA1.txt"
ARBIN = "pyprobe/sample_data_arbin.csv"
BASYTEC = "pyprobe/sample_data_basytec.txt"
MACCOR = "pyprobe/sample_data_maccor.csv"


def test_biologic_is_read_whole(opened):
    """Latin-1, 103 header lines, a trailing tab: 1397 rows in BDF units."""
    cell = opened(BIOLOGIC)
    assert cell.recording.format == "biologic"
    assert cell.recording.rows == 1397
    assert {"LATIN1", "TRAILING_DELIMITER"} <= cell.codes()
    assert cell["test_time_second"][0] == pytest.approx(225_288.768, abs=1e-3)
    assert "temperature_t1_celsius" in cell.recording.columns
    assert "Thomas Holland" in cell.recording.attribution


def test_biologic_time_counts_from_the_acquisition(opened):
    """The second technique starts days after the acquisition; its own start time agrees."""
    technique = datetime(2024, 5, 16, 1, 54, 40, 370_000, tzinfo=UTC)
    assert opened(BIOLOGIC).recording.start_ns / 1e9 == pytest.approx(
        technique.timestamp(), abs=1e-3
    )


def test_biologic_steps(opened):
    """100 rest rows and 1297 of a 4.5 A charge; the change flag is one row late."""
    cell = opened(BIOLOGIC)
    step = cell["step_index"]
    assert [int(np.count_nonzero(step == k)) for k in (0, 1)] == [100, 1297]
    assert cell.rows("STEP_FLAG_LATE") == [100]
    assert cell["voltage_volt"][99] == 2.8127193
    assert np.median(cell["current_ampere"][100:]) == pytest.approx(4.5, abs=0.005)
    grid, counts = np.unique(np.round(np.diff(cell.time_ns) / 1e9, 4), return_counts=True)
    assert dict(zip(grid.tolist(), counts.tolist(), strict=True)) == {0.002: 1, 0.1: 1394, 0.142: 1}


def test_biologic_charge(opened):
    """Counter 161.910 mA.h, integral 161.996 mA.h."""
    cell = opened(BIOLOGIC)
    current = cell["current_ampere"]
    integral = np.sum(np.diff(cell.time_ns) / 3.6e9 * (current[1:] + current[:-1]) / 2)
    assert round(cell["charging_capacity_ah"][-1] * 1000, 3) == 161.910
    assert round(integral, 3) == 161.996


def test_biologic_step_time_is_not_one(opened):
    """The step time column counts from the acquisition: it is noted, not used."""
    assert opened(BIOLOGIC).rows("STEP_TIME") == [100]


def test_arbin(opened):
    """Byte-order mark, tabs in dates, empty cells and a US date."""
    cell = opened(ARBIN)
    assert cell.recording.format == "arbin"
    assert cell.recording.rows == 13
    assert {"BYTE_ORDER_MARK", "TAB_IN_VALUE", "NO_FINAL_NEWLINE"} <= cell.codes()
    assert cell.note("TAB_IN_VALUE").detail["count"] == 13
    assert np.all(np.isnan(cell["ac_internal_resistance_ohm"]))
    assert "EMPTY_COLUMN" in cell.codes()
    time, current = cell["test_time_second"], cell["current_ampere"]
    assert np.all(current[:10] == 0)
    assert time[9] == pytest.approx(300, abs=0.01)
    assert np.diff(time[:10]) == pytest.approx(np.full(9, 30.0), abs=0.01)
    assert current[-1] == pytest.approx(2.65, abs=0.001)
    first = datetime(2024, 9, 20, 8, 32, 34, 558_000, tzinfo=UTC)
    assert cell.recording.start_ns == int(first.timestamp() * 1000) * 1_000_000


def test_basytec(opened):
    """Comment header, a destroyed degree sign, a German date and a near-duplicate first row."""
    cell = opened(BASYTEC)
    assert cell.recording.format == "basytec"
    assert cell.recording.rows == 74
    assert cell.note("DESTROYED_CHARACTER").detail["count"] == 1
    assert cell["temperature_t1_celsius"][0] == 25.47953
    time, current = cell["test_time_second"], cell["current_ampere"]
    assert time[:2].round(5).tolist() == [0.0, 0.00401]
    assert cell.rows("TIME_NEAR_STEP") == [1]
    rest = np.flatnonzero(current == 0)
    assert time[rest[-1]] == pytest.approx(60, abs=0.5)
    assert np.median(current[current > 0]) == pytest.approx(0.449, abs=0.001)
    start = datetime(2023, 6, 19, 17, 56, 53, tzinfo=UTC)
    assert cell.recording.start_ns == int(start.timestamp()) * 1_000_000_000


def test_maccor_has_no_sign(opened):
    """The current is a magnitude: it is not handed out as a current."""
    cell = opened(MACCOR)
    assert cell.recording.format == "maccor"
    assert cell.recording.rows == 15
    assert "NO_SIGN" in cell.codes()
    assert "current_ampere" not in cell.recording.columns
    row = int(np.flatnonzero(cell["step_index"] == 2)[0])
    assert cell["test_time_second"][row] == 10.06
    assert cell["current_magnitude_ampere"][row] == 28.844
    assert cell["voltage_volt"][row] == 3.709
    start = datetime(2023, 11, 23, 15, 56, 11, tzinfo=UTC)
    assert cell.recording.start_ns == int(start.timestamp()) * 1_000_000_000
    assert "WALL_CLOCK_COARSE" in cell.codes()


def test_maccor_with_declared_direction(file):
    """When a person says which steps discharge, the current gets its sign."""
    recording = open_recording(file(MACCOR), timezone="UTC", mapping={"discharge_steps": [2]})
    table = list(recording.pieces())[-1]
    assert table.columns["current_ampere"][-1] == -28.798
    assert "NO_SIGN" not in {note.code for note in recording.notes}
