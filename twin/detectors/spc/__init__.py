"""Statistical process control: charts with frozen limits and the rules that read them.

``charts`` plots and judges, ``attributes`` does so for counts and ``short_runs`` for what has no
baseline yet; ``rules`` holds run rules as data with the named presets. A finding
says *this does not look like the approved baseline any more*; whether it is an alarm is decided
elsewhere.
"""

from twin.detectors.spc.attributes import Attributes
from twin.detectors.spc.charts import Charts
from twin.detectors.spc.rules import PRESETS, Kind, Rule, RuleSet
from twin.detectors.spc.short_runs import ShortRuns

__all__ = ["PRESETS", "Attributes", "Charts", "Kind", "Rule", "RuleSet", "ShortRuns"]
