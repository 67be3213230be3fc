"""The Skoltech Anomaly Benchmark: its scores, its files, and detectors that look at nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from twin.cli.benches import skab
from twin.cli.benches.figure import Work
from twin.cli.benches.published import published
from twin.cli.benches.skab_files import BASELINE, judge, read
from twin.cli.benches.skab_score import Counts, change_scores, edges, tally
from twin.cli.main import app
from twin.errors import ConfigError, RecordingError

ROOT = Path(__file__).parents[3]
REAL = Path(os.environ.get("LINETWIN_BENCHMARKS") or ROOT.parent / "shared" / "benchmarks") / "skab"


def flags(n, *at):
    found = np.zeros(n, bool)
    found[list(at)] = True
    return found


def rows(labels=True, seed=1, n=700, fault=(500, 600)):
    """A recording as text: three channels, the second one shifted by 4 sigma in the fault."""
    x = np.random.default_rng(seed).normal(size=(n, 3))
    x[fault[0] : fault[1], 1] += 4.0
    state = np.zeros(n, int)
    state[fault[0] : fault[1]] = 1
    change = flags(n, *fault).astype(int)
    head = "datetime;a;b;c" + (";anomaly;changepoint" if labels else "")
    lines = [head]
    for i in range(n):
        time = f"2020-03-09 {10 + i // 3600:02}:{i // 60 % 60:02}:{i % 60:02}"
        cells = [time, *(f"{value:.6f}" for value in x[i])]
        if labels:
            cells += [f"{state[i]}.0", f"{change[i]}.0"]
        lines.append(";".join(cells))
    return lines


def folder_of(tmp_path, **files):
    """A folder ``data`` with sub-folders; file names have ``__`` for ``/``."""
    for name, lines in files.items():
        file = tmp_path / "set" / "data" / (name.replace("__", "/") + ".csv")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "set"


def work(tmp_path, data, out=None):
    return Work(folder=tmp_path, runs=1, data=data, out=out)


def figures_of(tmp_path, data, out=None):
    return {figure.name: figure for figure in skab.measure(work(tmp_path, data, out))}


def test_outlier_counts():
    """F1, FAR = FP/(FP+TN) and MAR = FN/(FN+TP) over all rows together."""
    counts = tally(flags(10, 0, 1, 2, 3), flags(10, 2, 3, 4)) + Counts(tn=4)

    assert (counts.tp, counts.tn, counts.fp, counts.fn) == (2, 9, 1, 2)
    assert counts.f1 == pytest.approx(4 / 7)
    assert counts.far == pytest.approx(10.0)
    assert counts.mar == pytest.approx(50.0)
    assert Counts().f1 == 0.0


def test_change_points_at_the_left_edge_are_perfect_and_silence_is_zero():
    """The scale runs from no detection at all to the first row of every window."""
    time, truth = np.arange(300.0), flags(300, 50, 200)

    perfect = change_scores([(time, truth, truth)])
    silent = change_scores([(time, truth, flags(300))])

    assert list(perfect.values()) == pytest.approx([100.0] * 3)
    assert list(silent.values()) == [0.0] * 3


def test_late_detections_earn_less_and_false_ones_cost():
    """Half way through the 60 s window is (1 + price) / 2; only the first detection counts."""
    time, truth = np.arange(300.0), flags(300, 100)

    middle = change_scores([(time, truth, flags(300, 130, 131, 140))])
    late = change_scores([(time, truth, flags(300, 161))])
    early = change_scores([(time, truth, flags(300, 99, 100))])

    assert middle["standard"] == pytest.approx(100 * (1 + (1 - 0.11) / 2) / 2, abs=0.2)
    assert middle["low_fn"] == pytest.approx(100 * (2 + (1 - 0.11) / 2) / 3, abs=0.2)
    assert late["standard"] == pytest.approx(-5.5)
    assert early["low_fp"] == pytest.approx(100 * (2 - 0.22) / 2)


def test_overlapping_windows_share_no_time():
    """The later window begins where the earlier one ends."""
    time, truth = np.arange(300.0), flags(300, 100, 130)

    one = change_scores([(time, truth, flags(300, 130))])
    both = change_scores([(time, truth, flags(300, 100, 161))])

    assert one["standard"] < 40
    assert both["standard"] > 95


def test_edges_are_where_a_state_begins_and_ends():
    """A state that is on in the first row begins there."""
    assert np.flatnonzero(edges(np.array([1, 1, 0, 0, 1], bool))).tolist() == [0, 2, 4]


def test_verdicts_stand_beside_unchanged_lines(tmp_path):
    """Same sub-folders, same text, three columns more; scores lie between 0 and 1."""
    data = folder_of(tmp_path, valve1__0=rows(), other__1=rows(seed=2))
    out = tmp_path / "out"

    figures = figures_of(tmp_path, data, out)

    written = (out / "valve1" / "0.csv").read_text().splitlines()
    assert written[0].endswith(";anomaly_score;predicted_anomaly;predicted_changepoint")
    assert [line.rsplit(";", 3)[0] for line in written] == rows()
    said = np.array([line.split(";")[-3:] for line in written[1:]], float)
    assert said[:BASELINE].max() == 0
    assert 0 <= said[:, 0].min() <= said[:, 0].max() < 1
    assert said[515:600, 1].all()
    assert not said[BASELINE:495, 1].any()
    assert said[500:516, 2].any()
    assert (out / "other" / "1.csv").exists()
    assert figures["skab.f1"].value > 0.85
    assert figures["skab.far"].value < 13.5
    assert set(figures["skab.f1"].conditions["folders"]) == {"other", "valve1"}


def test_blind_detectors_and_the_classic_pair_stand_beside_every_figure(tmp_path):
    """Figures without them would mean nothing."""
    figures = figures_of(tmp_path, folder_of(tmp_path, valve1__0=rows()))

    for name in ("skab.f1", "skab.far", "skab.mar", "skab.change_points"):
        rows_beside = [each["name"] for each in figures[name].comparison]
        assert len(rows_beside) == 4
        assert sum(each.startswith("blind") for each in rows_beside) == 3
    always = next(e for e in figures["skab.f1"].comparison if e["name"] == "blind: always on")
    assert always["value"] == pytest.approx(0.5)  # 100 of 300 scored rows are anomalous


def test_files_without_labels_are_judged_and_not_scored(tmp_path):
    """It is said why there are no scores; the rows of the anomaly-free folder are counted."""
    data = folder_of(tmp_path, **{"anomaly-free__free": rows(labels=False, fault=(0, 0))})
    out = tmp_path / "out"

    figures = figures_of(tmp_path, data / "data", out)

    assert "no" in figures["skab.f1"].skipped
    assert figures["skab.anomaly_free"].value <= 2.0
    assert (out / "anomaly-free" / "free.csv").exists()


def test_what_is_said_about_a_row_does_not_depend_on_later_rows(tmp_path):
    """Causality, through the reader and the detector."""
    data = folder_of(tmp_path, a__whole=rows(), a__part=rows()[:561])
    root = data / "data"
    whole = judge(read(root, root / "a" / "whole.csv"))
    part = judge(read(root, root / "a" / "part.csv"))

    assert np.array_equal(whole.score[:560], part.score)
    assert np.array_equal(whole.anomaly[:560], part.anomaly)
    assert np.array_equal(whole.changepoint[:560], part.changepoint)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2020-03-09 10:00:01;1;2", r"0\.csv:3: 3 cells, the header has 6"),
        ("2020-03-09 10:00:01;1;x;3;0;0", r"0\.csv:3: could not convert"),
        ("yesterday;1;2;3;0;0", r"0\.csv:3: Invalid isoformat"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, said):
    """File, line and what is wrong."""
    lines = rows()
    lines[2] = line
    with pytest.raises(RecordingError, match=said):
        skab.measure(work(tmp_path, folder_of(tmp_path, valve1__0=lines)))


def test_files_that_cannot_be_judged_are_refused(tmp_path):
    """Too few rows to learn from, no channels, nothing at all."""
    for lines, said in (
        (rows()[:300], "the first 400 are for learning"),
        (["datetime,a,b", "2020-03-09 10:00:01,1,2"], "separated by"),
        (["datetime;a;b"], "no rows"),
    ):
        with pytest.raises(RecordingError, match=said):
            skab.measure(work(tmp_path, folder_of(tmp_path, valve1__0=lines)))


def test_wrong_folders_are_refused(tmp_path):
    """One that does not exist, one without files, and one that would be written over."""
    data = folder_of(tmp_path, valve1__0=rows())
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, out in ((tmp_path / "no", None), (empty, None), (data, data / "data")):
        with pytest.raises(ConfigError):
            skab.measure(work(tmp_path, folder, out))


def test_an_empty_cell_makes_a_row_that_cannot_be_judged(tmp_path):
    """The state before it stays, the row is written."""
    lines = rows()
    cells = lines[551].split(";")
    lines[551] = ";".join([*cells[:2], "", *cells[3:]])
    data = folder_of(tmp_path, valve1__0=lines)
    root = data / "data"

    verdict = judge(read(root, root / "valve1" / "0.csv"))

    assert verdict.anomaly[549:552].all()


def test_the_command_prints_one_object(tmp_path):
    """``linetwin bench --only skab --data DIR --out OUT --json``."""
    data = folder_of(tmp_path, valve1__0=rows())
    told = CliRunner().invoke(
        app,
        ["bench", "--only", "skab", "--data", str(data), "--out", str(tmp_path / "o"), "--json"],
    )

    assert told.exit_code == 0
    names = [figure["name"] for figure in json.loads(told.stdout)["figures"]]
    assert names[:4] == ["skab.f1", "skab.far", "skab.mar", "skab.change_points"]


def test_without_recordings_it_says_so(tmp_path, monkeypatch):
    """Nothing is measured, and nothing fails."""
    monkeypatch.setenv("LINETWIN_BENCHMARKS", str(tmp_path))
    (figure,) = skab.measure(work(tmp_path, None))

    assert "LINETWIN_BENCHMARKS" in figure.skipped


@pytest.mark.skipif(
    not REAL.is_dir(), reason=f"recordings not found at {REAL} (set LINETWIN_BENCHMARKS)"
)
def test_published_recordings_are_judged_better_than_by_a_blind_clock(tmp_path):
    """F1 above .78 with false alarms below 13.5 %, change points above 32.42."""
    figures = figures_of(tmp_path, REAL)

    assert figures["skab.f1"].met
    assert figures["skab.far"].met
    assert figures["skab.change_points"].met
    assert figures["skab.anomaly_free"].value < 10.0


def test_a_folder_of_several_sets_is_understood(tmp_path):
    """The folder above the set, as LINETWIN_BENCHMARKS names it, is as good as the set itself."""
    data = folder_of(tmp_path, valve1__0=rows())
    data.rename(tmp_path / "skab")
    other = tmp_path / "nab" / "data" / "one.csv"
    other.parent.mkdir(parents=True)
    other.write_text("timestamp,value\n2014-04-01 00:00:00,1.0\n", encoding="utf-8")

    assert published(work(tmp_path, tmp_path), "skab") == tmp_path / "skab"
    assert published(work(tmp_path, tmp_path / "skab"), "skab") == tmp_path / "skab"
    assert figures_of(tmp_path, tmp_path)["skab.f1"].value is not None
