"""The README of the readers tells every code, format and setting there is."""

from __future__ import annotations

import re

from connectors.recording import FORMATS
from connectors.recording.mapping import Column, Mapping, TimeColumn

CODE = re.compile(r"""(?:notes\.add|notes\.each|\.each|\.add)\(\s*"([A-Z0-9_]+)\"""")


def test_every_code_is_explained(root):
    """A code a reader can write stands in the table of defects, and no other does."""
    folder = root / "connectors/recording"
    used = {code for file in folder.rglob("*.py") for code in CODE.findall(file.read_text())}
    text = (folder / "README.md").read_text()
    told = set(re.findall(r"`([A-Z][A-Z0-9_]{3,})`", text))
    assert len(used) > 30
    assert told == used


def test_every_format_and_setting_is_explained(root):
    """Formats and keys of the mapping stand in the README."""
    text = (root / "connectors/recording/README.md").read_text()
    assert [name for name in FORMATS if f"`{name}`" not in text] == []
    keys = {*Mapping.model_fields, *TimeColumn.model_fields, *Column.model_fields}
    assert sorted(key for key in keys if not re.search(rf"\b{key}\b", text)) == []
