"""Topic filters (MQTT 5 section 4.7): whether one is well-formed, and what it covers."""

from __future__ import annotations

__all__ = ["covers", "valid_filter"]


def valid_filter(name: str) -> bool:
    """Whether ``+`` and ``#`` stand where they may: alone in a level, ``#`` only in the last.

    Examples:
        >>> [valid_filter(f) for f in ("a/+/#", "+", "a/b#", "#/a", "")]
        [True, True, False, False, False]
    """
    levels = name.split("/")
    return (
        0 < len(name.encode(errors="replace")) <= 65535
        and "\0" not in name
        and all(level in ("+", "#") or not {"+", "#"} & set(level) for level in levels)
        and "#" not in levels[:-1]
    )


def covers(outer: str, inner: str) -> bool:
    """Whether everything ``inner`` stands for also matches the filter ``outer``.

    ``inner`` is a filter or, being a filter without wildcards, a topic name: so this is the test
    for rights and for delivery alike. Names that begin with ``$`` are not covered by a filter
    that begins with a wildcard (MQTT-4.7.2-1).

    Args:
        outer: A valid filter.
        inner: A valid filter or topic name.

    Examples:
        >>> covers("twin/+/alarm/#", "twin/a/alarm/+"), covers("twin/+/x", "twin/#")
        (True, False)
    """
    if inner.startswith("$") and outer.startswith(("+", "#")):
        return False
    want, have = outer.split("/"), inner.split("/")
    for i, level in enumerate(want):
        if level == "#":
            return True
        if i >= len(have) or have[i] == "#" or (level not in ("+", have[i])):
            return False
    return len(want) == len(have)
