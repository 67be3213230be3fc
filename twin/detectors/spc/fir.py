"""Fast initial response of an EWMA: limits that start at half their width.

References:
    S. H. Steiner, EWMA control charts with time-varying control limits and fast initial response,
    Journal of Quality Technology 31 (1999) 75-86.
"""

from __future__ import annotations

from math import log10

__all__ = ["fir_factor"]

_SHARE = 0.5
_FADE = (-2.0 / log10(1.0 - _SHARE) - 1.0) / 19.0
"""So chosen that 1 % is left of the effect at the twentieth point."""


def fir_factor(t: int) -> float:
    """Share of their time-varying width that the limits have at point t, 0.5 to 1.

    Args:
        t: Points since the start, from 1.

    Examples:
        >>> fir_factor(1), round(fir_factor(20), 6)
        (0.5, 0.99)
    """
    return float(1.0 - (1.0 - _SHARE) ** (1.0 + _FADE * (t - 1)))
