"""How a source reports, found out from its first samples, and said once.

Two things make every chart of a sensor wrong and are seen in the data alone:

* It **reports by exception** although it is declared periodic: steps are irregular, and small
  changes (equal neighbours first of all) are missing although changes a little larger go back and
  forth all the time. See :func:`twin.detectors.spc.sampling.reporting` for the test; its chance of
  an error is one in a million.
* Its **resolution** is coarse against the sigma of its chart: zone rules miss much above 0.25
  sigma and are blind above 0.5.

Both are events ``data_quality`` with what to declare. The first 64 changes teach what is usual, the
next 600 are counted, then the verdict is final until the settings of the sensor change: memory does
not grow, and a sensor that has been looked at costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from twin.detectors import cadence_kernel as kernel
from twin.detectors.finding import Row
from twin.detectors.logic import Logic, columns, max_gap_ns
from twin.detectors.spc.sampling import exception_evidence
from twin.model.event import Event, event_id, iso
from twin.model.line import Role, Sampling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow

__all__ = ["Cadence"]

_IRREGULAR = 0.05
_SURE = 1e-6
_COARSE, _BLIND = 0.25, 0.5


class Cadence(Logic):
    """Says once that a periodic source sends only changes, or that a sensor is too coarse.

    Args:
        index: The line. Charted sensors that are declared periodic and have the role
            characteristic, slow covariate or follows set-point are looked at.
    """

    name: ClassVar[str] = "cadence"
    version: ClassVar[int] = 1

    def __init__(self, index: LineIndex) -> None:
        rows = [row for row in index.sensors if _watched(row)]
        self._max_gap = np.array([max_gap_ns(row.spec) for row in rows], np.int64)
        self._state: NDArray[np.void] = np.zeros(len(rows), kernel.STATE)
        self._sizes = np.zeros((len(rows), kernel.FIRST))
        self._steps = np.zeros((len(rows), kernel.FIRST))
        self._out = np.zeros((1024, 2), np.int64)
        super().__init__(
            index,
            rows,
            [f"{max_gap_ns(row.spec)} {_sigma(row)}" for row in rows],
            {"state": self._state, "sizes": self._sizes, "steps": self._steps},
        )

    def update(self, batch: Batch, name_of: NameOf | None = None) -> list[Event]:
        """Look at the rows in order.

        Args:
            batch: Accepted samples, marked by the validity tests.
            name_of: Product index to product id, for the events.

        Returns:
            Events ``data_quality``, in order of their samples.
        """
        if not self._rows:
            return []
        cols = columns(batch, self._sensors)
        events: list[Event] = []
        row = 0
        while row < len(batch):
            row, written = kernel.cadence_rows(
                row,
                *cols,
                self._row_of,
                self._max_gap,
                self._state,
                self._sizes,
                self._steps,
                self._out,
            )
            for i, r in self._out[:written].tolist():
                events += self._say(r, Row.of(batch, i, name_of))
        return events

    def state(self, sensor: int) -> dict[str, Any] | None:
        """One sensor for the board; None when it is not looked at.

        ``verdict`` is ``cannot judge`` until enough has been seen, then ``periodic`` or ``by
        exception``; ``resolution`` is the smallest change seen.
        """
        r = int(self._row_of[sensor])
        if r < 0:
            return None
        now = self._state[r]
        verdict = "cannot judge"
        if now["done"]:
            verdict = "by exception" if _by_exception(now) else "periodic"
        return {
            "sensor": self._rows[r].id,
            "verdict": verdict,
            "samples": int(now["n"]),
            "irregular": _share(now),
            "resolution": float(now["least"]) if now["done"] else None,
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
        }

    def _say(self, r: int, at: Row) -> list[Event]:
        now, row = self._state[r], self._rows[r]
        if _by_exception(now):
            return [self._event(r, "by_exception", at, _exception_words(row, now))]
        sigma = _sigma(row)
        if sigma is None or now["least"] <= _COARSE * sigma:
            return []
        return [self._event(r, "resolution", at, _resolution_words(now, sigma))]

    def _event(self, r: int, rule: str, at: Row, words: dict[str, Any]) -> Event:
        sensor, ruleset = self._rows[r].id, f"cadence@{self.version}"
        number = self._number(r)
        return Event(
            id=event_id(rule, ruleset, sensor, "data_quality", at.time_ns, number),
            type="data_quality",
            rule=rule,
            ruleset=ruleset,
            sensor=sensor,
            product=at.product,
            place=at.place,
            t_first=at.time_ns,
            t_last=at.time_ns,
            value=at.value,
            detail={**words, "onset": iso(at.time_ns), "rules": [rule]},
            row=at.i,
        )


def _watched(row: SensorRow) -> bool:
    spec = row.spec
    return (
        spec.chart is not None
        and spec.sampling is Sampling.PERIODIC
        and spec.role not in {Role.COUNTER, Role.STATE}
    )


def _sigma(row: SensorRow) -> float | None:
    """Sigma that zone rules on single samples use; None where points are something else."""
    chart = row.spec.chart
    if chart is None or chart.series.value != "raw":
        return None
    return chart.sigma


def _share(now: np.void) -> float:
    return float(now["long"]) / max(1, int(now["counted"]))


def _by_exception(now: np.void) -> bool:
    return (
        _share(now) >= _IRREGULAR
        and exception_evidence(int(now["small"]), int(now["turns"])) < _SURE
    )


def _exception_words(row: SensorRow, now: np.void) -> dict[str, Any]:
    unit = row.spec.unit
    deadband = float(now["smallest"])
    return {
        "advice": 'declare sampling = "by_exception" with max_silence_s, and chart blocks '
        '(series = "block"); or let the gateway send every sample',
        "deadband": deadband,
        "irregular": _share(now),
        "meaning": f"looks like report by exception: {100 * _share(now):.0f} % of the steps are "
        f"long, and changes below {deadband:.3g} {unit} are missing",
        "statistic": exception_evidence(int(now["small"]), int(now["turns"])),
        "usual": "a gateway or historian that sends only changes",
    }


def _resolution_words(now: np.void, sigma: float) -> dict[str, Any]:
    least = float(now["least"])
    coarse = "zone rules are blind" if least > _BLIND * sigma else "zone rules miss much"
    return {
        "advice": 'chart means (series = "block" or "piece") or rule 1 only (rules = "shewhart"); '
        "declare resolution",
        "meaning": f"smallest change is {least / sigma:.2g} sigma: {coarse}",
        "resolution": least,
        "sigma": sigma,
        "statistic": least / sigma,
        "usual": "a sensor or converter that is too coarse, or values rounded on the way",
    }
