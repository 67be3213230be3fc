"""What is different between two versions of a line: the words of the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.model.line import Line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twin.model.index import LineIndex

__all__ = ["changes"]

_NAME = {"mapping": "topic"}
"""Key that names a row, where it is not ``id``."""
_OWN = {"station": {"sensor"}}
"""Keys that are compared by themselves."""


def changes(old: LineIndex, new: LineIndex) -> dict[str, Any]:
    """Differences that take effect when ``new`` replaces ``old``, JSON-able.

    Returns:
        ``from`` and ``to`` (versions); ``sensors``, ``control`` and ``baselines`` in force (by
        ``id@version``) with sorted ``added``, ``removed`` and ``changed`` ids; ``tables`` with the same for the other tables that
        differ (a table that is no list is just ``{"changed": [keys]}``). Equal parts are absent.
    """
    tables = {
        name: difference
        for name in Line.model_fields
        if (difference := _compare(_rows(old, name), _rows(new, name)))
    }
    parts: dict[str, Any] = {
        "sensors": _compare(
            {name: row.spec for name, row in old.by_id.items()},
            {name: row.spec for name, row in new.by_id.items()},
        ),
        "control": _compare(old.control, new.control),
        "baselines": _compare(_in_force(old), _in_force(new)),
        "tables": tables,
    }
    differing = {name: part for name, part in parts.items() if part}
    return {"from": old.version, "to": new.version, **differing}


def _in_force(index: LineIndex) -> dict[str, Any]:
    return {one.name: one for found in index.baselines.values() for one in found}


def _rows(index: LineIndex, table: str) -> dict[str, Any]:
    """Rows of a table by name; a station without its sensors, which are compared by themselves."""
    if table == "channel":
        return {f"{channel.station}/{channel.id}": channel for channel in index.channels}
    content = getattr(index.line, table)
    if not isinstance(content, list):
        return dict(content)
    rows: dict[str, Any] = {}
    for row in content:
        name = getattr(row, _NAME.get(table, "id"))
        same = sum(known == name or known.startswith(f"{name} (") for known in rows)
        rows[f"{name} ({same + 1})" if same else name] = row.model_dump(exclude=_OWN.get(table))
    return rows


def _compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[str]]:
    sets = {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    }
    return {word: names for word, names in sets.items() if names}
