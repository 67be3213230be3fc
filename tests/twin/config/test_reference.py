"""The page about the line description says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from twin.config import parse
from twin.config.reference import TABLES, _meanings, with_tables
from twin.config.rule_sets import RULE_SETS
from twin.errors import ConfigError
from twin.model import line

PAGE = (Path(__file__).parents[3] / "docs" / "line-description.md").read_text(encoding="utf-8")


def block(language, number=0):
    """A fenced block of the page."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[number]


def example(*pairs):
    """The complete example of the page, with pieces replaced."""
    text = block("toml")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return {"line.toml": text, "control_plan.csv": block("csv")}


def test_every_table_of_keys_is_up_to_date():
    """The tables on the page are those made from the model."""
    advice = "write the page again: python -m twin.config.reference docs/line-description.md"
    assert with_tables(PAGE) == PAGE, advice


@pytest.mark.parametrize("name", TABLES)
def test_every_key_is_on_the_page(name):
    """Each table has its place, and each of its keys a row with a meaning."""
    assert PAGE.count(f"<!-- keys: {name} -->\n") == 1
    section = PAGE.partition(f"<!-- keys: {name} -->\n")[2].partition("\n#")[0]
    for key in TABLES[name].model_fields:
        assert re.search(rf"^\| `{key}` \|.*\| \S.* \|$", section, re.MULTILINE), key


def test_every_model_has_a_table():
    """A new table of the line description cannot be forgotten on the page."""
    models = {
        model
        for model in vars(line).values()
        if isinstance(model, type) and issubclass(model, line.Model)
    }
    assert models - {line.Model, line.Line} == set(TABLES.values())
    assert all(_meanings(model).keys() == model.model_fields.keys() for model in TABLES.values())


def test_the_example_is_what_the_page_says():
    """The complete example loads, with the topics and limits the text names."""
    index = parse(example())
    topics = [index.by_id[f"calender/thickness_l{lane}"].spec.topic for lane in (1, 3)]
    assert topics == [f"twin/v1/pilot1/electrode/l1/calender/thickness_l{n}" for n in (1, 3)]
    assert topics[0] in PAGE
    limits = index.by_id["calender/line_load"].spec.limits
    assert limits is not None
    assert (limits.lsl, limits.usl) == (270, 330)


def test_the_row_with_each_loads():
    """The example of ``each`` stands for 32 sensors."""
    index = parse({"line.toml": '[[station]]\nid = "rack"\n' + block("toml", 1)})
    assert len(index) == 32


def test_the_mistakes_of_the_page_are_the_ones_told():
    """The messages on the page are those linetwin gives for the example with three mistakes."""
    with pytest.raises(ConfigError) as caught:
        parse(
            example(
                ('unit = "um"', 'unit = "µm"'),
                ("rules = ", "rulse = "),
                ('zone = "dry1"', 'zone = "dry"'),
            )
        )
    assert f"{caught.value}\n" == block("text")


def test_rule_sets_and_their_numbers_are_on_the_page():
    """Every rule set is listed with its number of points."""
    for name, chosen in RULE_SETS.items():
        assert f"| `{name}` | {chosen.arl0} |" in PAGE
