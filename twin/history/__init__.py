"""The embedded time-series store: what every sensor measured, for charts and for questions.

Rows are collected in memory and written as compressed chunks, one per sensor and flush, together
with the journal position they reach to. A chunk knows its smallest, largest and mean value, so a
month on a screen of a thousand pixels is drawn without reading a month of samples.
"""

from twin.history.store import Damage, History

__all__ = ["Damage", "History"]
