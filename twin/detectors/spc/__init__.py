"""Statistical process control: charts with frozen limits and the rules that read them.

``charts`` plots and judges, ``rules`` holds run rules as data with the named presets. A finding
says *this does not look like the approved baseline any more*; whether it is an alarm is decided
elsewhere.
"""

from twin.detectors.spc.charts import Charts
from twin.detectors.spc.rules import PRESETS, Kind, Rule, RuleSet

__all__ = ["PRESETS", "Charts", "Kind", "Rule", "RuleSet"]
