"""The baseline file: chained, signed, and read with the line."""

from __future__ import annotations

import json

import pytest

from twin.config import baselines, load, parse
from twin.config.changes import changes
from twin.errors import ConfigError
from twin.model.baseline import Baseline

PLAN = """\
id,station,characteristic,metric,unit,class,method,sampling,target,limit_mode,lsl,usl,warn,chart,series,subgroup,reaction,status,basis
CP13,calender,line load,line_load,N/mm,CC,load cells,0.1 s,300,percent,-10,10,,cusum(0.5;5),raw,web:0.1m,mark metres,proposed,none
CP28,calender,hydrogen sulfide,h2s,[ppm],SAFETY,cell,1 s,0,absolute,,5,1,limit,raw,zone,evacuate,proposed,none
"""
LINE = """\
[line]
control_plan = "plan.csv"
baselines = "baselines.jsonl"

[[station]]
id = "calender"

[[station.sensor]]
key = "line_load"
unit = "N/mm"
control = "CP13"

[[station.sensor]]
key = "temperature"
unit = "Cel"

[[station.sensor]]
key = "h2s"
unit = "[ppm]"
control = "CP28"
"""
FILE = "baselines.jsonl"


def record(**changes) -> Baseline:
    """A candidate for the temperature."""
    facts = {
        "id": "calender.temperature",
        "version": 1,
        "sensor": "calender/temperature",
        "unit": "Cel",
        "centre": 100.0,
        "sigma": 0.5,
        "n": 400,
        "shape": [(-3.0, -3.1), (3.0, 3.1)],
        "created_by": "anna",
        "created": "2026-03-01T06:00:00Z",
        "reason": "first week",
    }
    return Baseline(**(facts | changes))


def signed(base, by="ben"):
    """The same, approved."""
    return base.model_copy(update={"approved_by": by, "approved": "2026-03-02T06:00:00Z"})


@pytest.fixture
def folder(tmp_path):
    """A line with a baseline file to be."""
    (tmp_path / "line.toml").write_text(LINE)
    (tmp_path / "plan.csv").write_text(PLAN)
    return tmp_path


def problems(folder):
    """What is wrong with the line now."""
    with pytest.raises(ConfigError) as error:
        load(folder / "line.toml")
    return error.value.problems


def test_a_file_that_is_not_there_holds_none(folder):
    """A line can be read before its first baseline."""
    index = load(folder / "line.toml")

    assert index.baselines == {}
    assert FILE not in index.files


def test_candidates_are_not_in_force(folder):
    """Only an approved record gives limits."""
    baselines.append(folder / FILE, [record()])
    assert load(folder / "line.toml").baselines == {}

    baselines.append(folder / FILE, [signed(record())])
    (found,) = load(folder / "line.toml").baselines["calender/temperature"]
    assert (found.name, found.approved_by) == ("calender.temperature@1", "ben")
    assert found.shape == [(-3.0, -3.1), (3.0, 3.1)]


def test_newest_approved_version_per_recipe(folder):
    """A newer version takes over for its recipe, and leaves the other recipe alone."""
    first, other = record(), record(id="t:b", recipe="b")
    second = record(version=2, supersedes="calender.temperature@1", sigma=0.6)
    baselines.append(folder / FILE, [first, signed(first), other, signed(other)])
    baselines.append(folder / FILE, [second])
    assert {b.name for b in load(folder / "line.toml").baselines["calender/temperature"]} == {
        "calender.temperature@1",
        "t:b@1",
    }

    baselines.append(folder / FILE, [signed(second)])

    found = load(folder / "line.toml").baselines["calender/temperature"]
    assert {(b.recipe, b.name) for b in found} == {
        ("", "calender.temperature@2"),
        ("b", "t:b@1"),
    }
    entries, _ = baselines.decode((folder / FILE).read_text(), FILE)
    states = baselines.state_of(entries)
    assert states["calender.temperature@1"] == "superseded"
    assert states["calender.temperature@2"] == "in force"


def test_version_of_the_line_changes_with_the_file(folder):
    """The text is part of the line, so that a journal can rebuild it exactly."""
    before = load(folder / "line.toml")
    baselines.append(folder / FILE, [record(), signed(record())])

    after = load(folder / "line.toml")

    assert after.version != before.version
    again = parse(after.files)
    assert (again.version, again.baselines) == (after.version, after.baselines)


def test_audit_trail_names_what_came_into_force(folder):
    """A reload says which baselines came and went."""
    path = folder / FILE
    baselines.append(path, [record(), signed(record())])
    before = load(folder / "line.toml")
    second = record(version=2, sigma=0.6)
    baselines.append(path, [second, signed(second)])

    said = changes(before, load(folder / "line.toml"))

    assert said["baselines"] == {
        "added": ["calender.temperature@2"],
        "removed": ["calender.temperature@1"],
    }


@pytest.mark.parametrize(
    ("old", "new"), [('"sigma":0.5', '"sigma":0.9'), ('"created_by":"anna"', '"created_by":"eve"')]
)
def test_an_edited_record_is_found_with_its_line(folder, old, new):
    """The digest proves every record; the problem names file, line and key."""
    path = folder / FILE
    baselines.append(path, [record(), signed(record()), record(version=2)])
    lines = path.read_text().splitlines()
    assert old in lines[1]
    lines[1] = lines[1].replace(old, new)
    path.write_text("\n".join(lines) + "\n")

    found = problems(folder)

    assert (found[0].file, found[0].line, found[0].key) == (FILE, 2, "digest")
    assert [p.key for p in found].count("digest") == 1
    with pytest.raises(ConfigError):
        baselines.append(path, [record(version=3)])


def test_a_record_that_was_left_out_is_found(folder):
    """Taking a line out breaks the chain at the next one."""
    path = folder / FILE
    baselines.append(path, [record(), record(id="t:b", recipe="b"), record(id="t:c", recipe="c")])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[2]]) + "\n")

    assert [(p.line, p.key) for p in problems(folder)] == [(2, "digest")]


def test_other_text_is_no_record(folder):
    """A line that is no JSON is told as it stands."""
    (folder / FILE).write_text("sigma = 3\n")

    (problem,) = problems(folder)

    assert (problem.line, problem.message, problem.value) == (1, "is no record", "sigma = 3")


def forged(folder, **facts):
    """Append a record the model would refuse, with a right digest."""
    row = record().model_dump(mode="json", exclude_defaults=True) | facts
    digest = baselines._digest("0" * 32, row)
    (folder / FILE).write_text(json.dumps({"record": row, "digest": digest}) + "\n")


@pytest.mark.parametrize(
    ("facts", "key"),
    [
        ({"sigma": 0}, "record.sigma"),
        ({"sigma": -1.0}, "record.sigma"),
        ({"n": 0}, "record.n"),
        ({"id": "No Name"}, "record.id"),
        ({"colour": "red"}, "record.colour"),
        ({"series": "often"}, "record.series"),
    ],
)
def test_values_are_checked_with_their_key(folder, facts, key):
    """Every value outside its range is told with file, line and key."""
    forged(folder, **facts)

    (problem,) = problems(folder)

    assert (problem.file, problem.line, problem.key) == (FILE, 1, key)


@pytest.mark.parametrize(
    ("records", "key", "allowed"),
    [
        ([record(version=2)], "record.version", "1"),
        ([record(), record(version=3)], "record.version", "2"),
        ([record(), record()], "record.version", "a candidate, then its approval"),
        ([record(supersedes="other@4")], "record.supersedes", "empty"),
        ([record(unit="K")], "record.unit", "Cel"),
        ([record(sensor="calender/none")], "record.sensor", "calender/line_load"),
        ([record(), record(version=2, recipe="b")], "record.id", "calender/temperature"),
        ([record(), signed(record(sigma=0.7))], "record.sigma", "0.5"),
        (
            [record(id="h", sensor="calender/h2s", unit="[ppm]")],
            "record.sensor",
            "limits fixed by people",
        ),
        ([record(approved_by="ben")], "record.approved", "the time of the approval"),
    ],
)
def test_records_are_checked_as_a_whole(folder, records, key, allowed):
    """Order of versions, the sensor, its unit, its class, and that what was approved is the same."""
    baselines.append(folder / FILE, records)

    found = problems(folder)

    assert [p.key for p in found] == [key]
    assert allowed in found[0].allowed
    assert found[0].line == len(records)


def test_class_cc_needs_two_persons(folder):
    """Who made it cannot approve it, however the name is written."""
    made = record(id="load", sensor="calender/line_load", unit="N/mm")
    baselines.append(folder / FILE, [made, signed(made, by=" Anna")])

    (problem,) = problems(folder)

    assert problem.key == "record.approved_by"
    assert problem.allowed == "another person"


def test_a_chart_may_name_its_series_before_its_baseline_is_fitted(folder):
    """What a baseline will bring (coefficients, level) is missing only where no file is named."""
    chart = 'chart = { series = "residual", rules = "shewhart" }'
    text = LINE.replace('unit = "Cel"', f'unit = "Cel"\nperiod_s = 1\n{chart}')
    (folder / "line.toml").write_text(text)
    assert load(folder / "line.toml").by_id["calender/temperature"].spec.chart.ar == []

    (folder / "line.toml").write_text(text.replace('baselines = "baselines.jsonl"', ""))
    assert {p.key.rpartition(".")[2] for p in problems(folder)} == {"ar", "level"}
