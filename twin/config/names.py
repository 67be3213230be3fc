"""Names with wildcards: what a pattern means, and what somebody may have meant by a wrong name."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache

__all__ = ["Doubts", "matcher"]

_OPEN = re.compile(r"\{[^{}]*\}|[^a-z0-9_/-]+")
_ODD = re.compile(r"[^a-z0-9_/*{}-]")


@lru_cache(maxsize=4096)
def matcher(pattern: str) -> re.Pattern[str]:
    """Expression for ids that an alarm's ``sensor`` means; ``*`` is any run of characters.

    Examples:
        >>> bool(matcher("calender/*").fullmatch("calender/line_load"))
        True
    """
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


class Doubts:
    """Names whose own rows are wrong: a reference to one of them proves nothing.

    A name is known as far as it was readable. Braces, and characters no id may hold, stand for
    anything: ``Line Load`` is what ``line_load`` may have meant, and so may names much like it.
    """

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def add(self, kind: str, name: str) -> None:
        """Doubt a name (``*`` is any run of characters) of a kind, for example ``sensor``."""
        self._names.setdefault(kind, set()).add(name.lower())

    def cover(self, kind: str, name: str) -> bool:
        """Whether a reference may mean a name in doubt.

        Examples:
            >>> doubts = Doubts()
            >>> doubts.add("sensor", "Calender/lane_{n}")
            >>> doubts.cover("sensor", "calender/lane_2"), doubts.cover("sensor", "oven/lane_2")
            (True, False)
        """
        return any(_alike(known, name.lower()) for known in self._names.get(kind, ()))


def _alike(known: str, meant: str) -> bool:
    parts = list(zip(known.split("/"), meant.split("/"), strict=False))
    return _match(known, meant) or (
        known.count("/") == meant.count("/")
        and all(_match(*pair) or _close(*pair) for pair in parts)
    )


def _match(known: str, meant: str) -> bool:
    first, second = _OPEN.sub("*", known), _OPEN.sub("*", meant)
    return bool(matcher(first).fullmatch(second) or matcher(second).fullmatch(first))


def _close(known: str, meant: str) -> bool:
    """Whether a name that could not stand in any reference is at least much like this one."""
    return bool(_ODD.search(known)) and SequenceMatcher(None, known, meant).ratio() >= 0.5
