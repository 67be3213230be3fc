"""Models of the process with units, range and source: pure functions and plain classes.

Import from the modules: ``humidity`` (frost point, dew point, water content), ``compaction``
(density and porosity of a coating against line load), ``formation`` (steps and cycles of a cell).
"""
