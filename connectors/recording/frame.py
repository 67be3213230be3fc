"""A recording in memory: what every format reader makes of its file, before the checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.recording.notebook import Notebook

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from twin.model.table import Samples

__all__ = ["Frame"]


@dataclass(slots=True)
class Frame:
    """Columns of a whole file in BDF names and units.

    Attributes:
        rows: Number of data rows n.
        values: Machine name to float64[n]; NaN where the file has no value.
        time_s: float64[n], run time in seconds as the file has it; None without a time column.
        start_ns: Absolute time of run time 0, ns since 1970 UTC; None when the file does not say.
        wall_s: float64[n], wall clock of the file in seconds since its first row, for comparison.
        watched: Columns that are only checked, by the name they have in the file.
        units: UCUM units of columns whose unit is not part of the name.
        metadata: Facts of the header by their own names.
        notes: What was remarkable while reading.
        never_reset: Whether the capacity counters of this format are meant never to reset.
        samples: Long recordings (one sensor per row) come as samples instead of columns.
    """

    rows: int
    values: dict[str, NDArray[np.float64]]
    time_s: NDArray[np.float64] | None = None
    start_ns: int | None = None
    wall_s: NDArray[np.float64] | None = None
    watched: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: Notebook = field(default_factory=Notebook)
    never_reset: bool = True
    samples: Samples | None = None
