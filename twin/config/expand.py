"""``each``: one row of the line description that stands for many."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["MOST", "combinations", "fill", "names_in"]

MOST = 200_000
"""Rows one ``each`` may stand for: more is a typing mistake, not a pilot line."""

_NAME = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")


def names_in(text: str) -> set[str]:
    """Names in braces."""
    return set(_NAME.findall(text))


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of ``{name}``; names without a value stay as they are.

    Examples:
        >>> fill("r{rack}c{channel}", {"rack": "03", "channel": "17"})
        'r03c17'
    """
    if "{" not in text:
        return text
    return _NAME.sub(lambda match: values.get(match[1], match[0]), text)


def combinations(each: Mapping[str, str | list[str]]) -> Iterator[dict[str, str]]:
    """Every combination of the values, the last name running fastest.

    Args:
        each: Name to a range (``"0..999"``; ``"01..16"`` keeps its zeros) or a list.

    Raises:
        ValueError: A range is unreadable, or there are more than :data:`MOST` combinations.

    Examples:
        >>> list(combinations({"side": ["a", "b"], "n": "08..10"}))[2:4]
        [{'side': 'a', 'n': '10'}, {'side': 'b', 'n': '08'}]
    """
    values = {name: _values(name, what) for name, what in each.items()}
    count = 1
    for what in values.values():
        count *= len(what)
    if count > MOST:
        raise ValueError(f"stands for {count} rows, more than {MOST}")
    return (
        dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())
    )


def _values(name: str, what: str | list[str]) -> list[str]:
    if isinstance(what, list):
        if not what or len(set(what)) < len(what):
            raise ValueError(f"{name} is an empty list or names a value twice")
        return what
    match = _RANGE.fullmatch(what)
    if match is None:
        raise ValueError(f'{name} is no range like "0..999" or "01..16"')
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise ValueError(f"{name} ends before it begins")
    if last - first >= MOST:
        raise ValueError(f"{name} has more than {MOST} values")
    width = len(match[1]) if match[1].startswith("0") else 0
    return [str(number).zfill(width) for number in range(first, last + 1)]
