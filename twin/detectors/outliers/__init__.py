"""Outlier detectors: single values that do not belong to their neighbours, and unusual stretches.

:class:`Hampel` finds point outliers and nothing else; :class:`Anomaly` scores whatever a signal has
not done before, :class:`GroupAnomaly` whatever several signals did not do in the baseline they
learned; :class:`Noise` tells sensors that become noisier or quieter. Level shifts, drift and frozen
values that have limits belong to the charts.
"""

from twin.detectors.outliers.anomaly import Anomaly
from twin.detectors.outliers.group_anomaly import GroupAnomaly
from twin.detectors.outliers.hampel import Hampel
from twin.detectors.outliers.noise import Noise

__all__ = ["Anomaly", "GroupAnomaly", "Hampel", "Noise"]
