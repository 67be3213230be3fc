"""The line description: read it, check it, say what it means and what changed.

``load`` reads files, ``parse`` reads texts; both give a :class:`~twin.model.index.LineIndex` or
raise one :class:`~twin.errors.ConfigError` with every problem, its file and its line.
"""

from twin.config.read import load, parse

__all__ = ["load", "parse"]
