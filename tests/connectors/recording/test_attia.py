"""Bare BioLogic exports: no time, a counter per half cycle, a voltage sweep."""

from __future__ import annotations

import numpy as np
import pytest

from connectors.recording.companions import mass_mg
from connectors.recording.defects.counters import reset_rows

C10 = "attia/attia_cellC_10C_CF3.txt"
C3 = "attia/attia_cellF_3C_split_CF6.txt"
SWEEP = "attia/attia_LSV_cellI.txt"


def test_fast_cell_is_read_whole(opened):
    """All rows are there although the last line has no end and the header one tab too many."""
    cell = opened(C10)
    assert cell.recording.format == "biologic"
    assert cell.recording.rows == 8098
    assert cell.recording.columns == ["cycle_count", "voltage_volt", "half_cycle_capacity_ah"]
    assert {"TRAILING_DELIMITER", "NO_FINAL_NEWLINE"} <= cell.codes()
    voltage = cell["voltage_volt"]
    assert (round(voltage.min(), 4), round(voltage.max(), 4)) == (0.0099, 2.9882)
    assert "petermattia" in cell.recording.attribution


def test_without_time_only_the_order_is_known(opened):
    """Times are row numbers in seconds, and the recording says that they are no times."""
    cell = opened(C10)
    assert not cell.recording.has_time
    assert cell.recording.relative_time
    assert cell.time_ns.tolist() == [row * 1_000_000_000 for row in range(8098)]
    assert cell.recording.notes[0].row == 0
    assert "NO_TIME" in cell.codes()


def test_half_cycles_of_the_fast_cell(opened):
    """Half cycles end at the resets; 65 tiny steps back are none."""
    capacity = opened(C10)["half_cycle_capacity_ah"] * 1000
    ends = reset_rows(opened(C10)["half_cycle_capacity_ah"]) - 1
    assert ends.tolist() == [2445, 3339, 6521]
    assert capacity[ends] == pytest.approx([0.0975636, 0.0248873, 0.4464934], abs=5e-8)
    assert capacity[-1] == pytest.approx(0.2070258, abs=5e-8)
    assert capacity[3339] / capacity[2445] == pytest.approx(0.25509, abs=5e-6)
    note = opened(C10).note("COUNTER_JITTER")
    assert note.detail["count"] == 65
    assert note.detail["resets"] == 3


def test_mass_beside_the_file(opened, file):
    """The mass list is keyed by the cell name inside the file name."""
    file("attia/attia_masses.csv")
    assert opened(C10).recording.metadata["mass_mg"] == 0.872
    assert opened(C3).recording.metadata["mass_mg"] == 1.011
    assert mass_mg(file(SWEEP)) is None
    first = opened(C10)["half_cycle_capacity_ah"][2445] * 1000
    assert first / 0.872e-3 == pytest.approx(111.88, abs=0.005)
    slow = opened(C3)["half_cycle_capacity_ah"][3953] * 1000
    assert slow / 1.011e-3 == pytest.approx(518.74, abs=0.005)


def test_repeated_rows(opened):
    """Exactly repeated rows are noted and kept."""
    assert len(opened(C10).rows("REPEATED_ROW")) == 15
    assert opened(C10).note("REPEATED_ROW").detail["count"] == 15


def test_half_cycles_of_the_slower_cell(opened):
    """Eleven half-cycle ends, seven cycle numbers, and the known efficiencies."""
    cell = opened(C3)
    capacity = cell["half_cycle_capacity_ah"] * 1000
    ends = reset_rows(cell["half_cycle_capacity_ah"]) - 1
    assert cell.recording.rows == 20_820
    assert len(np.unique(cell["cycle_count"])) == 7
    assert ends.tolist() == [
        *(3953, 5421, 7116, 8605, 10_251, 11_748, 13_371, 14_873, 16_479, 17_988, 19_585)
    ]
    assert capacity[ends[0]] == pytest.approx(0.5244505, abs=5e-8)
    assert capacity[ends[1]] == pytest.approx(0.2073958, abs=5e-8)
    assert capacity[ends[1]] / capacity[ends[0]] == pytest.approx(0.39545, abs=5e-6)
    assert capacity[ends[3]] / capacity[ends[2]] == pytest.approx(0.87466, abs=5e-6)


def test_cycle_number_changes_at_the_wrong_half(opened):
    """The cycle number changes after a lithiation: it does not pair half cycles."""
    cell = opened(C10)
    changes = np.flatnonzero(np.diff(cell["cycle_count"])).tolist()
    assert changes == [2445, 6521]


def test_voltage_sweep(opened):
    """A sweep has time, voltage and current, but no clock."""
    sweep = opened(SWEEP)
    time = sweep["test_time_second"]
    assert sweep.recording.rows == 3089
    assert sweep.recording.relative_time
    assert sweep.recording.has_time
    assert (time[0], round(time[-1])) == (0.0, 91_910)
    step = np.diff(sweep.time_ns) / 1e9
    assert step.min() == pytest.approx(0.002, abs=1e-5)
    assert step.max() == pytest.approx(60.0, abs=1e-5)
    assert np.median(step) == pytest.approx(10.0, abs=1e-5)
    assert (round(sweep["voltage_volt"].min(), 4), round(sweep["voltage_volt"].max(), 4)) == (
        0.0101,
        2.56,
    )
    current = sweep["current_ampere"] * 1000
    assert (round(current.min(), 4), round(current.max(), 4)) == (-4.8799, 2.5505)
    assert sweep.note("COLUMN_NOT_USED").detail["columns"] == ["ox/red"]
