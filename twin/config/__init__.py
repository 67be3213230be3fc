"""The line description: read it, check it, say what it means and what changed.

``load`` reads files, ``parse`` reads texts; both give a :class:`~twin.model.index.LineIndex` or
raise one :class:`~twin.errors.ConfigError` with every problem, its file and its line.
``report`` and ``check_text`` say what a valid description means, ``changes`` what is different
between two of them, and ``propose_row`` writes rows for topics nobody described. ``budget`` lists
what every chart costs in false findings; ``load_to_run`` refuses a line that costs too much.
"""

from twin.config.budget import budget
from twin.config.changes import changes
from twin.config.propose import propose_row
from twin.config.read import load, parse
from twin.config.refuse import load_to_run, refusals
from twin.config.report import check_text, report

__all__ = [
    "budget",
    "changes",
    "check_text",
    "load",
    "load_to_run",
    "parse",
    "propose_row",
    "refusals",
    "report",
]
