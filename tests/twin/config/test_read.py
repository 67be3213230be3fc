"""Loading from files and parsing from texts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from twin.config import load, parse
from twin.errors import ConfigError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def index(files):
    """The valid line."""
    return parse(files())


def test_sensors_are_expanded_in_order(index):
    """Every combination of ``each`` becomes one row, and the position is the dense index."""
    assert len(index) == 1 + 3 + 1 + 1 + 1 + 2 * 16 * 2 + 2 * 16
    assert [row.index for row in index.sensors] == list(range(len(index)))
    assert index.by_id == {row.id: row for row in index.sensors}
    names = [row.id for row in index.sensors]
    assert names[1:4] == [f"calender/thickness_l{lane}" for lane in (1, 2, 3)]
    assert names[7:10] == [
        "formation/r01c01_step",
        "formation/r01c01_cycle",
        "formation/r01c02_step",
    ]
    assert names[-1] == "formation/r02c16_u"


def test_names_are_filled_in(index):
    """Topics follow the line's pattern, and titles hold the values of ``each``."""
    row = index.by_id["calender/thickness_l2"]
    assert row.spec.topic == "twin/v1/pilot1/electrode/l1/calender/thickness_l2"
    assert row.spec.title == "Thickness, lane 2"
    assert row.spec.each == {}
    assert index.by_id["calender/gap"].spec.topic == "plant/calender/data"
    oil = index.by_id["calender/oil"].spec
    assert (oil.topic, oil.sparkplug) == ("", "pilot1-electrode/gw1/calender:oil")


def test_every_text_of_a_row_may_hold_names(changed, files):
    """Topic, path, column, Sparkplug metric and control plan row take names in braces."""
    text = changed(
        (
            'control = "CP17"\neach = { lane = "1..3" }',
            """\
topic = "{site}/{station}/x"
path = "lanes[{lane}].um"
column = "t_{lane}"
control = "CP{row}"
each = { lane = ["4"], row = ["17"] }""",
        ),
        ('thickness_l{1}" = "th', 'thickness_l4" = "th'),
        ('thickness_l{1}" = "mm', 'thickness_l4" = "mm'),
        ('"calender/thickness_l1"]', "]"),
    )
    spec = parse(files(text)).by_id["calender/thickness_l4"].spec
    assert spec.topic == "pilot1/calender/x"
    assert spec.path == "lanes[4].um"
    assert (spec.column, spec.control) == ("t_4", "CP17")
    assert spec.limits is not None
    assert spec.limits.usl == 79.0


def test_limits_come_from_the_control_plan(index):
    """Percent limits are taken of the target, in the unit of the sensor."""
    load_limits = index.by_id["calender/line_load"].spec.limits
    assert (load_limits.target, load_limits.lsl, load_limits.usl) == (300.0, 270.0, 330.0)
    thickness = index.by_id["calender/thickness_l3"].spec.limits
    assert (thickness.target, thickness.lsl, thickness.usl) == (77.0, 75.0, 79.0)


def test_own_limits_win(changed, files):
    """A row with limits of its own keeps them."""
    text = changed(('control = "CP13"', 'control = "CP13"\nlimits = { target = 250 }'))
    limits = parse(files(text)).by_id["calender/line_load"].spec.limits
    assert limits.model_dump(exclude_none=True) == {"target": 250.0}


def test_channels_hold_sensor_ids(index):
    """Channels are expanded and their keys are ids of sensors."""
    assert len(index.channels) == 32
    last = index.channels[-1]
    assert (last.id, last.voltage, last.step) == (
        "r02c16",
        "formation/r02c16_u",
        "formation/r02c16_step",
    )
    assert last.current == ""


def test_files_make_the_same_index_as_texts(tmp_path, files, index):
    """What was loaded from disk can be parsed again from ``files``, with the same version."""
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    loaded = load(tmp_path / "line.toml")
    assert loaded.files == files()
    assert loaded == index
    assert parse(loaded.files) == loaded


def test_the_version_names_the_content(files, index, plan_text):
    """The version has 16 hex digits and changes with any file, also with the control plan."""
    assert len(index.version) == 16
    int(index.version, 16)
    other = parse(files(plan=plan_text.replace("77,absolute", "77.0,absolute")))
    assert other.sensors == index.sensors
    assert other.version != index.version


def test_a_main_file_of_any_name(files):
    """The only TOML text is the main one, whatever it is called; of several it must be named."""
    texts = files()
    texts["my.toml"] = texts.pop("line.toml")
    assert len(parse(texts)) == len(parse(files()))
    texts["other.toml"] = "[line]"
    with pytest.raises(ConfigError, match=r"line\.toml: error: file: cannot be read"):
        parse(texts)
    assert len(parse(texts, "other.toml")) == 0


def test_an_empty_file_is_a_line_with_defaults():
    """Nothing is required."""
    index = parse({"line.toml": ""})
    assert len(index) == 0
    assert index.line.listener.enabled


def test_a_missing_file_is_said(tmp_path):
    """A file that is not there is one problem without a line number."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "line.toml")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("line.toml", 0)
    assert problem.message == "cannot be read: No such file or directory"


def test_a_missing_control_plan_is_said_where_it_is_named(tmp_path, files):
    """The line that names the control plan is shown, once, and nothing that follows from it."""
    (tmp_path / "line.toml").write_text(files()["line.toml"], encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "line.toml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.key, problem.value) == (5, "line.control_plan", '"plan.csv"')


def test_other_encodings_are_refused_with_their_line(tmp_path, files, plan_text):
    """Bytes that are no UTF-8 are named with file and line."""
    (tmp_path / "line.toml").write_bytes(b'[line]\ntitle = "K\xfchler"\n')
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "line.toml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.value, problem.message) == (2, "byte 0xfc", "is not UTF-8")

    (tmp_path / "line.toml").write_text(files()["line.toml"], encoding="utf-8")
    (tmp_path / "plan.csv").write_bytes(plan_text.encode() + b"CP99,\xe4\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "line.toml")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("plan.csv", plan_text.count("\n") + 1)


def test_files_from_windows(tmp_path, files, index):
    """A byte-order mark and CR LF change nothing."""
    for name, text in files().items():
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load(tmp_path / "line.toml") == index


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[line]\nsite = pilot\n", 2, "Invalid value"),
        ("[line\n", 1, "Expected ']'"),
        ("[line]\nsite = 'a'\n\n[line]\n", 4, "Cannot declare ('line',) twice"),
        ("[line]\nsite = 'a'\nsite = 'b'\n", 3, "Cannot overwrite a value"),
        ("[line]\nx = [1,\n2\n", 4, "Unclosed array"),
        ('a = """\n\n', 3, "Unterminated string"),
    ],
)
def test_broken_toml_is_shown_at_its_line(text, line, message):
    """Text that is no TOML gives the line where reading stopped."""
    with pytest.raises(ConfigError) as caught:
        parse({"line.toml": text})
    (problem,) = caught.value.problems
    assert problem.line == line
    assert message in problem.message
    assert "(at " not in problem.message


def test_every_example_loads():
    """The shipped line descriptions are valid."""
    examples = sorted((ROOT / "examples").rglob("line*.toml"))
    assert examples
    for path in examples:
        assert len(load(path)) > 0, path


def test_the_bench_line():
    """The benchmark line has 1000 charted sensors on the topics its load generator uses."""
    index = load(ROOT / "examples" / "bench" / "line.toml")
    assert len(index) == 1000
    assert [row.spec.topic for row in index.sensors[:2]] == [
        "bench/line1/calender/s0",
        "bench/line1/calender/s1",
    ]
    assert index.sensors[-1].spec.topic == "bench/line1/calender/s999"
    for row in index.sensors:
        chart = row.spec.chart
        assert chart is not None
        assert (chart.rules, chart.ewma_lambda, chart.ewma_l) == ("western_electric", 0.2, 2.962)
        assert (chart.centre, chart.sigma, row.spec.unit, row.spec.period_s) == (50, 1, "um", 1)
    assert all(alarm.when != "chart" for alarm in index.line.alarm)


def test_loading_needs_no_unit_library():
    """A line whose devices send the declared units starts without importing pint."""
    code = (
        "import sys; from pathlib import Path; from twin.config import load;"
        "load(Path('examples/bench/line.toml')); print('pint' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"
