"""Line numbers of key paths in TOML."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.config.positions import Positions, dotted

TEXT = '''\
# comment with [brackets] = and "quotes"
title = "a # no comment"
a.b."c.d" = 1

[line]
long = """
[not.a.table]
key = "not a key" \\""" still
"""
literal = \'\'\'
[[nor]]
this = 1\'\'\'
when = 1979-05-27 07:32:00
list = [ # why
  1,
  "]", # comment, with ] and [
  [2,
   3],
  { x = 1, y = "}" },
]
inline = { p = { q = [1, 2] }, "r s" = 'c:\\' }

[[row]]
id = 1
[[row.sub]]
v = 1
[[row.sub]]
v = 2
[row.sub.deep]
w = 3
[[row]]
id = 2
[row.only]
x = 1
[[row.sub]]
v = 3
'''


def leaves(value, path=()):
    """Every path of a parsed document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*path, index)
            yield from leaves(inner, (*path, index))


def test_every_path_has_its_line():
    """Each table, key and element is found on the line where it stands."""
    positions = Positions(TEXT)
    expected = {
        ("title",): 2,
        ("a", "b", "c.d"): 3,
        ("line",): 5,
        ("line", "long"): 6,
        ("line", "literal"): 10,
        ("line", "when"): 13,
        ("line", "list"): 14,
        ("line", "list", 0): 15,
        ("line", "list", 1): 16,
        ("line", "list", 2, 0): 17,
        ("line", "list", 2, 1): 18,
        ("line", "list", 3, "y"): 19,
        ("line", "inline", "p", "q", 1): 21,
        ("line", "inline", "r s"): 21,
        ("row",): 23,
        ("row", 0, "id"): 24,
        ("row", 0, "sub", 0, "v"): 26,
        ("row", 0, "sub", 1, "v"): 28,
        ("row", 0, "sub", 1, "deep", "w"): 30,
        ("row", 1): 31,
        ("row", 1, "only", "x"): 34,
        ("row", 1, "sub", 0): 35,
        ("row", 1, "sub", 0, "v"): 36,
    }
    assert expected == {path: positions.line(path) for path in expected}
    assert set(leaves(tomllib.loads(TEXT))) <= positions.lines.keys()


def test_a_missing_key_stands_at_its_table():
    """A path that is not in the text gets the line of the nearest thing around it."""
    positions = Positions(TEXT)
    assert positions.line(("row", 0, "sub", 1, "nothing", 3)) == 27
    assert positions.line(("nowhere", "x")) == 0


def test_line_ends_of_windows():
    """CR LF is one line end."""
    positions = Positions(TEXT.replace("\n", "\r\n"))
    assert positions.line(("row", 1, "sub", 0, "v")) == 36


def test_dotted():
    """Paths are shown as people write them."""
    assert dotted(("a", 0, "b", "c", 12)) == "a[0].b.c[12]"


KEYS = st.text(alphabet='ab1_- ."=#[\\', min_size=1, max_size=4)
VALUES = st.recursive(
    st.integers() | st.booleans() | st.text(alphabet="a\"'\\\n#[]{},=", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def written(value, draw):
    """A value as TOML, with the freedom TOML gives."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(k)} = {written(v, draw)}" for k, v in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        gap = draw(st.sampled_from(["", "\n", " # ] }\n\n"]))
        return "[" + "".join(f"{gap}{written(v, draw)}{gap}," for v in value) + gap + "]"
    if isinstance(value, str) and "'''" not in value and "\\" not in value and draw(st.booleans()):
        return f"'''\n{value}'''" if not value.endswith("'") else json.dumps(value)
    return json.dumps(value)


@settings(deadline=None)
@given(st.lists(st.tuples(KEYS, VALUES), max_size=6), st.data())
def test_any_document_is_walked_whole(pairs, data):
    """Every path tomllib sees has a position, and top keys stand on the line they were put."""
    text, starts, known = "", {}, set()
    for key, value in pairs:
        if key in known:
            continue
        known.add(key)
        form = data.draw(st.sampled_from(["pair", "table", "rows"]))
        text += data.draw(st.sampled_from(["", "\n", "# [x]\n"]))
        starts[key] = text.count("\n") + 1
        body = f"v = {written(value, data.draw)}\n"
        if form == "pair" and "[" not in "".join(line[:1] for line in text.splitlines()):
            text += f"{json.dumps(key)} = {written(value, data.draw)}\n"
        elif form == "table":
            text += f"[{json.dumps(key)}]\n{body}"
        else:
            text += f"[[{json.dumps(key)}]]\n{body}[[ {json.dumps(key)} . sub ]] # x\n{body}"
    positions = Positions(text)
    assert set(leaves(tomllib.loads(text))) <= positions.lines.keys()
    assert starts == {key: positions.line((key,)) for key in starts}


@pytest.mark.parametrize("text", ["[", "a", "a =", 'a = "', "[[a", "a = [1", "a = {", "'a", "= 1"])
def test_broken_text_does_not_hang(text):
    """What is no TOML gives some positions and ends."""
    assert Positions(text).line(()) == 0
