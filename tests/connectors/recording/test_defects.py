"""Every defect rule on a file built for it, and silence on a clean one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from connectors.recording import open_recording
from twin.model.table import Note, Table

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.recording import Recording

QUIET = {"TIME_RELATIVE", "CYCLE_CONSTANT"}
"""What any file without a clock and with one cycle says."""


def series(rows: int = 600, current: float = 1.25) -> dict[str, np.ndarray]:
    """A clean charge after a rest, a row every 10 s, in BDF columns."""
    time = np.arange(rows) * 10.0
    step = np.where(np.arange(rows) < 60, 1.0, 2.0)
    ampere = np.where(step == 1, 0.0, current + 0.001 * np.sin(np.arange(rows)))
    charge = np.r_[0, np.cumsum(np.diff(time) * (ampere[1:] + ampere[:-1]) / 7200)]
    volt = 3.3 + 0.3 * charge + 0.02 * ampere + 1e-5 * np.cos(np.arange(rows))
    return {
        "test_time_second": time,
        "voltage_volt": volt,
        "current_ampere": ampere,
        "step_index": step,
        "charging_capacity_ah": charge,
        "power_watt": volt * ampere,
    }


def written(path: Path, columns: dict[str, np.ndarray]) -> Recording:
    """The columns as a BDF file, opened."""
    lines = [",".join(columns)]
    lines += [",".join(repr(float(v)) for v in row) for row in zip(*columns.values(), strict=True)]
    file = path / "cell.bdf.csv"
    file.write_text("\n".join(lines) + "\n")
    return open_recording(file, timezone="UTC")


def codes(recording: Recording) -> set[str]:
    return {note.code for note in recording.notes} - QUIET


def note(recording: Recording, code: str) -> Note:
    return next(note for note in recording.notes if note.code == code)


def test_a_clean_file_has_no_findings(tmp_path):
    """Nothing is said about a file without defects."""
    assert codes(written(tmp_path, series())) == set()


def test_single_regression_is_repaired(tmp_path):
    """One row at time 0 between rows in order is repaired and kept."""
    data = series()
    data["test_time_second"][100] = 0.0
    recording = written(tmp_path, data)
    found = note(recording, "TIME_REGRESSION")
    assert (found.row, found.value, found.detail["repaired_s"]) == (100, 0.0, 1009.99)
    assert found.time_ns == 1_009_990_000_000
    tables = [piece for piece in recording.pieces() if isinstance(piece, Table)]
    time_ns = np.concatenate([table.time_ns for table in tables])
    assert len(time_ns) == 600
    assert time_ns[100] == 1_009_990_000_000
    assert np.all(np.diff(time_ns) > 0)


def test_lasting_regression_is_not_touched(tmp_path):
    """A clock that is set back and stays back is reported and left alone."""
    data = series()
    data["test_time_second"][300:] -= 1000.0
    recording = written(tmp_path, data)
    found = note(recording, "TIME_BACKWARD")
    assert found.row == 300
    assert "TIME_REGRESSION" not in codes(recording)


def test_time_in_the_wrong_unit(tmp_path):
    """Hours converted twice (times 3600) are found by the counter; nothing is applied."""
    data = series()
    data["test_time_second"] = data["test_time_second"] * 3600
    recording = written(tmp_path, data)
    found = note(recording, "TIME_FACTOR")
    assert found.value == 3600.0
    assert found.detail["proposed_factor"] == pytest.approx(1 / 3600)
    assert found.detail["median_step_s"] == 36_000.0
    tables = [piece for piece in recording.pieces() if isinstance(piece, Table)]
    assert tables[-1].time_ns[-1] == 5990 * 3600 * 1_000_000_000


def test_time_factor_by_nameplate(tmp_path):
    """Without counters the nameplate capacity gives the evidence."""
    data = series()
    data["test_time_second"] = data["test_time_second"] * 3600
    del data["charging_capacity_ah"]
    file = written(tmp_path, data).path
    recording = open_recording(file, timezone="UTC", mapping={"nominal_ah": 2.5})
    assert note(recording, "TIME_FACTOR").value == 3600.0


def test_counter_reset_inside_a_step(tmp_path):
    """A counter that starts again inside a step is found with the lost part."""
    data = series()
    counter = data["charging_capacity_ah"]
    lost = float(counter[299])
    counter[300:] -= counter[300]
    found = note(written(tmp_path, data), "COUNTER_RESET")
    assert (found.row, found.column) == (300, "charging_capacity_ah")
    assert found.detail["inside_step"]
    assert found.detail["lost"] == lost


def test_integer_columns_hold_integers(tmp_path):
    """2 pi is recognised, any other fraction is reported without an offer."""
    data = series()
    data["cycle_count"] = np.full(600, 2 * np.pi * 3)
    assert note(written(tmp_path, data), "NOT_INTEGER").detail["offered"] == 3.0
    data["cycle_count"] = np.full(600, 1.5)
    assert note(written(tmp_path, data), "NOT_INTEGER").detail["offered"] is None


def test_column_of_zeros_is_not_measured(tmp_path):
    """A missing value written as 0 for a whole column is 'not measured'."""
    data = series() | {"temperature_t1_celsius": np.zeros(600)}
    found = note(written(tmp_path, data), "NOT_MEASURED")
    assert (found.column, found.value, found.detail["count"]) == (
        "temperature_t1_celsius",
        0.0,
        600,
    )


def test_coarse_current(tmp_path):
    """A current in steps of a tenth at a median of 0.2 A makes the integral uncertain."""
    data = series(current=0.2)
    rows = np.arange(600)
    data["current_ampere"] = np.where(rows < 60, 0.0, np.round(0.2 + 0.1 * np.sin(rows), 1))
    del data["power_watt"]
    found = note(written(tmp_path, data), "COARSE_RESOLUTION")
    assert found.column == "current_ampere"
    assert found.detail["resolution"] == 0.1
    assert found.detail["finer"] == "charging_capacity_ah"


def test_drifting_clocks(tmp_path):
    """20 ppm between unix and test time are reported; the test time counts."""
    data = series(rows=6000)
    data["unix_time_second"] = 1_700_000_000.0 + data["test_time_second"] * (1 + 20e-6)
    recording = written(tmp_path, data)
    assert note(recording, "CLOCK_DRIFT").detail["ppm"] == pytest.approx(20, rel=1e-3)
    tables = [piece for piece in recording.pieces() if isinstance(piece, Table)]
    assert tables[-1].time_ns[-1] - recording.start_ns == 59_990 * 1_000_000_000


def test_repeated_rows_and_zero_steps(tmp_path):
    """A row written twice is both a repeated row and a zero step; both stay."""
    data = {name: np.insert(column, 300, column[300]) for name, column in series().items()}
    recording = written(tmp_path, data)
    assert note(recording, "REPEATED_ROW").row == 301
    assert note(recording, "TIME_ZERO_STEP").row == 301
    assert recording.rows == 601


def test_near_duplicates(tmp_path):
    """A step far shorter than usual is noted once for the file."""
    data = series()
    data["test_time_second"][100] = data["test_time_second"][99] + 0.004
    found = note(written(tmp_path, data), "TIME_NEAR_STEP")
    assert (found.row, found.detail["count"]) == (100, 1)


def test_thermocouples_that_disagree(tmp_path):
    """One thermocouple far from two others is named."""
    data = series()
    base = 25 + 0.1 * np.sin(np.arange(600))
    data |= {f"temperature_t{k}_celsius": base + 0.1 * k for k in (1, 2, 3)}
    data["temperature_t3_celsius"][200:230] += 6.5
    found = note(written(tmp_path, data), "TEMPERATURE_SPREAD")
    assert found.row == 200
    assert found.detail["rows"] == 30
    assert found.detail["stands_apart"] == "temperature_t3_celsius"


def test_power_that_is_not_v_times_i(tmp_path):
    """Power that disagrees with voltage times current is reported."""
    data = series()
    data["power_watt"][400] *= 1.1
    assert note(written(tmp_path, data), "POWER_MISMATCH").row == 400


def test_lost_sign_of_current(tmp_path):
    """A discharge with a positive current and no negative one is suspicious."""
    data = series()
    data["voltage_volt"] = 4.2 - 0.3 * data["charging_capacity_ah"]
    del data["power_watt"]
    assert note(written(tmp_path, data), "SIGN_SUSPECT").row == 60


def test_columns_and_cells_that_cannot_be_read(tmp_path):
    """Text among numbers, short lines and unknown columns are noted, never swallowed."""
    file = tmp_path / "odd.csv"
    rows = [f"{t},3.{t},0.1,x" for t in range(10, 40)]
    rows[5] = "15,n/a,0.1,x"
    rows[9] = "19,3.19"
    head = "test_time_second,voltage_volt,current_ampere,Remark of the operator\n"
    file.write_text(head + "\n".join(rows) + "\n")
    recording = open_recording(file, timezone="UTC")
    assert recording.rows == 29
    assert note(recording, "NOT_A_NUMBER").row == 5
    assert note(recording, "ROW_SHAPE").detail["line"] == 10
    assert note(recording, "COLUMN_NOT_USED").column == "Remark of the operator"


def test_many_notes_are_counted_not_listed(tmp_path):
    """Beyond the limit a defect is counted; every note carries the whole count."""
    data = {name: np.repeat(column, 2) for name, column in series().items()}
    found = [n for n in written(tmp_path, data).notes if n.code == "REPEATED_ROW"]
    assert len(found) == 51
    assert found[0].detail["count"] == 600
    assert found[-1].detail["not_listed"] == 550


def novonix(slopes: str, wall_step: float = 10.0, rows: int = 60) -> str:
    """A small Novonix file whose last columns are slopes of voltage and current."""
    head = "[Summary]\nNovonix UHPC data file\nCapacity (Ah): 1\n[End Summary]\n[Protocol]\n"
    head += "[End Protocol]\n[Data]\n"
    names = "Date and Time,Cycle Number,Run Time (h),Current (A),Potential (V),Capacity (Ah)"
    lines = [f"{names},{slopes}"]
    for row in range(rows):
        hours = row * 10 / 3600
        volt, ampere = 3.0 + 0.5 * hours, 0.1 + 0.02 * hours
        second = int(row * wall_step)
        clock = f"2025-03-01 {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        ah = 0.1 * hours + 0.01 * hours**2
        lines.append(f"{clock},1,{hours:.8f},{ampere:.8f},{volt:.8f},{ah:.8f},0.5,0.02")
    return head + "\n".join(lines) + "\n"


def test_slopes_under_the_wrong_name(tmp_path):
    """Numbers that are the slope of the other quantity are found, right ones are not."""
    file = tmp_path / "n.csv"
    file.write_text(novonix("dVdt (V/h),dIdt (A/h)"))
    assert "UNIT_INTERCHANGED" not in codes(open_recording(file, timezone="UTC"))
    file.write_text(novonix("dIdt (A/h),dVdt (V/h)"))
    assert "UNIT_INTERCHANGED" in codes(open_recording(file, timezone="UTC"))


def test_run_time_against_the_wall_clock(tmp_path):
    """A wall clock that runs 60 times slower than the run time gives a factor of 60."""
    file = tmp_path / "n.csv"
    file.write_text(novonix("dVdt (V/h),dIdt (A/h)", wall_step=10 / 60, rows=600))
    assert note(open_recording(file, timezone="UTC"), "TIME_FACTOR").value == 60.0
