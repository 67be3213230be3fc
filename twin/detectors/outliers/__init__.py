"""Outlier detectors: single values that do not belong to their neighbours.

They find point outliers and nothing else; level shifts, drift and frozen values have their own
detectors.
"""

from twin.detectors.outliers.hampel import Hampel

__all__ = ["Hampel"]
