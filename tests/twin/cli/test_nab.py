"""``bench --only nab``: a folder in the layout of the benchmark, with and without labels."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from twin.cli import benches
from twin.cli.benches.figure import Work
from twin.cli.main import app
from twin.errors import ConfigError

ROOT = Path(__file__).parents[3]
BEGIN = datetime(2024, 1, 1)  # noqa: DTZ001 - the benchmark's times have no zone
STEP = timedelta(minutes=5)


def stamp(i):
    return str(BEGIN + i * STEP)


def write(file, values):
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{stamp(i)},{x}" for i, x in enumerate(values)]
    file.write_text("timestamp,value\n" + "\n".join(rows) + "\n")


@pytest.fixture
def folder(tmp_path):
    """Two groups: a signal with a step, and noise alone."""
    rng = np.random.default_rng(3)
    step = rng.normal(size=1500).round(3)
    step[1000:1060] += 12
    write(tmp_path / "nab/data/real/step.csv", step)
    write(tmp_path / "nab/data/none/noise.csv", rng.normal(size=1200).round(3))
    labels = tmp_path / "nab/labels/combined_windows.json"
    labels.parent.mkdir()
    window = [f"{stamp(960)}.000000", f"{stamp(1109)}.000000"]
    labels.write_text(json.dumps({"real/step.csv": [window], "none/noise.csv": []}))
    return tmp_path / "nab"


def measured(tmp_path, data, out=None):
    work = Work(folder=tmp_path, runs=1, scale=0.01, data=data, out=out)
    return {figure.name: figure for figure in benches.measure("nab", work)}


def test_figures_are_documented_and_stand_beside_what_looks_at_nothing(folder, tmp_path):
    """Scores of three profiles, false alarms and cost, each with its conditions."""
    figures = measured(tmp_path, folder)

    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert all(f"`{name}`" in text for name in figures)
    standard = figures["nab.standard"]
    assert standard.value > 80
    assert standard.conditions["windows_found"] == standard.conditions["windows"] == 1
    assert "disputed" in standard.conditions["caveats"]
    rows = {row["name"]: row["value"] for row in standard.comparison}
    assert {"real", "none", "real, threshold of the other groups"} <= set(rows)
    assert rows["never on"] == 0
    assert rows["always on"] < rows["blind clock, 16 alarms a file"] < standard.value
    assert figures["nab.sample"].value > 0
    assert figures["nab.false_alarms_1e-2"].value < 3


def test_every_file_is_written_with_its_scores(folder, tmp_path):
    """The columns stay as they are, a score between 0 and 1 is added, the step is the peak."""
    measured(tmp_path, folder, tmp_path / "out")

    given = (folder / "data/real/step.csv").read_text().splitlines()
    told = (tmp_path / "out/real/step.csv").read_text().splitlines()
    assert told[0] == "timestamp,value,anomaly_score"
    assert [line.rpartition(",")[0] for line in told[1:]] == given[1:]
    scores = [float(line.rpartition(",")[2]) for line in told[1:]]
    assert 0 <= min(scores) <= max(scores) < 1
    assert 1000 <= int(np.argmax(scores)) < 1060
    assert (tmp_path / "out/none/noise.csv").is_file()


def test_scores_of_a_row_do_not_depend_on_later_rows(folder, tmp_path):
    """A truncated file gets the same scores."""
    measured(tmp_path, folder, tmp_path / "whole")
    file = folder / "data/real/step.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:1020]) + "\n")
    (folder / "labels/combined_windows.json").unlink()
    measured(tmp_path, folder, tmp_path / "part")

    whole = (tmp_path / "whole/real/step.csv").read_text().splitlines()
    assert (tmp_path / "part/real/step.csv").read_text().splitlines() == whole[:1020]


def test_without_labels_there_are_scores_but_no_points(folder, tmp_path):
    """The data folder alone is enough to be judged, and says what is missing."""
    (folder / "labels/combined_windows.json").unlink()
    figures = measured(tmp_path, folder / "data", tmp_path / "out")

    assert "no labels" in figures["nab.standard"].skipped
    assert figures["nab.sample"].value > 0
    assert (tmp_path / "out/real/step.csv").is_file()


def test_labels_beside_the_data_folder_are_found(folder, tmp_path):
    """Naming the data folder is as good as naming the benchmark."""
    assert measured(tmp_path, folder / "data")["nab.standard"].value > 80


def test_absent_recordings_are_skipped_with_a_reason(tmp_path, monkeypatch):
    """A run of all benchmarks goes on without them, on what is simulated."""
    monkeypatch.setenv("LINETWIN_BENCHMARKS", str(tmp_path / "nothing"))
    absent, simulated = benches.measure("nab", Work(folder=tmp_path, scale=0.01))
    assert simulated.name == "nab.simulated"
    assert absent.skipped.startswith(f"recordings not found at {tmp_path / 'nothing' / 'nab'}")


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "time,value", "timestamp: no such column"),
        (700, "2024-01-03 10:10:00,abc", "value: is no number"),
        (700, "yesterday,1.0", "timestamp: is no time"),
        (700, "2024-01-03 10:10:00", "has 1 of 2 columns"),
    ],
)
def test_a_broken_line_is_named(folder, tmp_path, line, text, message):
    """File, line and what is wrong with it."""
    file = folder / "data/real/step.csv"
    lines = file.read_text().splitlines()
    lines[line - 1] = text
    file.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=message) as error:
        measured(tmp_path, folder)
    assert f"real/step.csv:{line}:" in str(error.value)


def test_wrong_folders_are_refused(folder, tmp_path):
    """No folder, no files, and an output folder that is the input."""
    with pytest.raises(ConfigError, match="no folder"):
        measured(tmp_path, tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no CSV file"):
        measured(tmp_path, tmp_path / "empty")
    with pytest.raises(ConfigError, match="would overwrite"):
        measured(tmp_path, folder, folder / "data")


def test_folders_go_with_one_benchmark():
    """``--data`` without ``--only nab`` says what it belongs to."""
    told = CliRunner().invoke(app, ["bench", "--data", "somewhere"])
    assert isinstance(told.exception, ConfigError)
    assert "--only nab" in str(told.exception)


def test_published_recordings(tmp_path):
    """On the groups that are here the scorer beats a blind clock in every profile."""
    place = Path(os.environ.get("LINETWIN_BENCHMARKS", ROOT / "../shared/benchmarks")) / "nab"
    if not place.is_dir():
        pytest.skip(f"recordings not found at {place} (set LINETWIN_BENCHMARKS)")
    figures = measured(tmp_path, place)
    for name, least in (("standard", 60), ("low_fp", 50), ("low_fn", 65)):
        assert figures[f"nab.{name}"].value > least
    for rate in ("1e-2", "1e-3"):
        assert 0.5 < figures[f"nab.false_alarms_{rate}"].value < 1.5
