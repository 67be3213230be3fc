"""Whatever stands in the files: a line, or problems with places; never another error."""

from __future__ import annotations

import tomllib
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.config import parse
from twin.errors import ConfigError

SETTINGS = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PIECES = st.sampled_from(
    [
        *(
            "",
            "\n",
            "[",
            "]",
            "{",
            "}",
            "=",
            '"',
            "'",
            "#",
            ",",
            ".",
            "0",
            "-1",
            "1e400",
            "nan",
            "é",
        ),
        *(
            "true",
            "[]",
            "{}",
            "[1, 2]",
            '""',
            '"x"',
            "1979-05-27",
            "{n}",
            "{lane}",
            '"none"',
            "...",
        ),
        *("[[station]]", "[[alarm]]\n", "[line]\n", "each = 3\n", 'unit = "°C"\n', "key = 1\n"),
    ]
)


def outcome(texts):
    """The problems of the texts, empty when they load."""
    try:
        parse(texts)
    except ConfigError as error:
        return error.problems
    return []


@SETTINGS
@given(st.data())
def test_any_edit_of_the_line_loads_or_is_explained(files, data):
    """A piece put or taken anywhere gives an index or problems inside the file."""
    texts = files()
    text = texts["line.toml"]
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 12))
    texts["line.toml"] = text[:start] + data.draw(PIECES) + text[start + length :]
    for problem in outcome(texts):
        assert problem.message
        assert 0 <= problem.line <= texts["line.toml"].count("\n") + 1


@SETTINGS
@given(st.data())
def test_any_edit_of_the_plan_loads_or_is_explained(files, data):
    """The same for the control plan."""
    texts = files()
    text = texts["plan.csv"]
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 12))
    texts["plan.csv"] = text[:start] + data.draw(PIECES) + text[start + length :]
    for problem in outcome(texts):
        assert problem.message
        assert problem.file in texts


def replaced(value, path, new):
    """A copy of a document with another value at a path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def paths(value, path=()):
    """Every path of a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from paths(inner, (*path, key))


@pytest.mark.parametrize("new", ["wrong", -1, 1.5, True, [], {}, [{}], {"x": 1}, [["y"]]])
def test_any_value_of_any_key(files, monkeypatch, new):
    """Every key of the line with a value of every type: loaded, or explained."""
    texts = files()
    document = tomllib.loads(texts["line.toml"])
    for path in paths(document):
        changed = replaced(document, path, new)
        reader = SimpleNamespace(
            loads=lambda _, made=changed: made, TOMLDecodeError=tomllib.TOMLDecodeError
        )
        monkeypatch.setattr("twin.config.shape.tomllib", reader)
        for problem in outcome(texts):
            assert problem.message
            assert problem.key
