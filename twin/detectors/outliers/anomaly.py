"""Anomaly scorer: what is unusual for this very signal, without limits, baseline or training.

Four experts look at each sample: a forecast, the rarity of the value, the activity, and the time of
day and week. What each of them sees is turned into a chance by comparing it with everything it has
seen before (:mod:`~twin.detectors.outliers.anomaly_tail`), and the chances are combined and
calibrated on the signal itself. The scorer learns all the time, also
while a finding is open: a new normal is accepted, which is why it replaces no chart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twin.detectors.finding import Row
from twin.detectors.logic import Logic, columns, max_gap_ns
from twin.detectors.outliers.anomaly_experts import (
    DAY_BINS,
    LAGS,
    RARE_BINS,
    STATE,
    WEEK_BINS,
)
from twin.detectors.outliers.anomaly_walk import (
    CHANGE,
    EVIDENCE_BINS,
    LEARN,
    PEAK_BINS,
    SETTINGS,
    STATISTICS,
    TAIL_BINS,
    anomaly_rows,
)
from twin.errors import ConfigError, Problem
from twin.model.event import Event, event_id, iso
from twin.model.line import Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.index import LineIndex

__all__ = ["Anomaly"]

_CAUSES = ("inside", "gap", "recipe")
_RAW = {Role.COUNTER, Role.STATE}
_SAID = (
    ("forecast", "the value is not what the last values let expect"),
    ("forecast", "the last values are not what the ones before let expect"),
    ("rarity", "values like this one were hardly ever seen"),
    ("rarity", "the value lies outside everything seen before"),
    ("activity", "the signal moves much more or much less than usual"),
    ("season", "the value is unusual for the time of day or week"),
    ("season", "the last values are unusual for the time of day or week"),
)
"""Expert and meaning of each statistic, in their order."""


class Anomaly(Logic):
    """Unusual samples of single signals, with one setting for all: how many false alarms.

    A finding opens when the chance of so much evidence is below ``rate`` and the evidence clearly
    exceeds what was already said lately; it closes when the evidence is among the usual nine
    tenths again. There is no verdict on the first 150 values. A gap makes the experts forget their
    neighbours in time, not what they learned. Another recipe starts a new history: what is unusual
    for one recipe is none of another one's business; a sample without a recipe belongs to the one
    before.

    Args:
        index: The line; settings come from ``Sensor.detect["anomaly"]``.

    Raises:
        ConfigError: The settings of a sensor are not :class:`Settings`.
    """

    name: ClassVar[str] = "anomaly"
    version: ClassVar[int] = 2

    class Settings(BaseModel):
        """What ``detect.anomaly`` may say.

        Attributes:
            rate: False alarms per sample on a signal without anomalies, 1e-12 to 0.1.
        """

        model_config = ConfigDict(extra="forbid", frozen=True)

        rate: Annotated[float, Field(ge=1e-12, le=0.1)] = 1e-4

    def __init__(self, index: LineIndex) -> None:
        rows = [
            row
            for row in index.sensors
            if "anomaly" in row.spec.detect and row.spec.role not in _RAW
        ]
        n = len(rows)
        self._specs: NDArray[np.void] = np.zeros(n, SETTINGS)
        self._rates = [self._read_settings(row.id, row.spec.detect["anomaly"]).rate for row in rows]
        for s, row in enumerate(rows):
            resolution = row.spec.resolution or 0.0
            self._specs[s] = (-np.log10(self._rates[s]), max_gap_ns(row.spec), resolution)
        self._state: NDArray[np.void] = np.zeros(n, STATE)
        self._state["recipe"] = -1
        self._memory: dict[str, NDArray[Any]] = {
            "linear": np.zeros((n, 2, LAGS)),
            "rare": np.zeros((n, RARE_BINS), np.float32),
            "profile": np.zeros((n, DAY_BINS + WEEK_BINS)),
            "visits": np.zeros((n, DAY_BINS + WEEK_BINS), np.uint16),
            "tails": np.zeros((n, STATISTICS, TAIL_BINS), np.float32),
            "evidence_tail": np.zeros((n, EVIDENCE_BINS), np.float32),
            "peaks": np.zeros((n, PEAK_BINS), np.float32),
        }
        self._scratch = np.zeros(STATISTICS)
        self._out: NDArray[np.void] = np.zeros(1024, CHANGE)
        super().__init__(
            index,
            rows,
            [repr(spec) for spec in self._specs.tolist()],
            {"state": self._state, **self._memory},
        )

    @classmethod
    def _read_settings(cls, sensor: str, given: dict[str, Any]) -> Settings:
        try:
            return cls.Settings.model_validate(given)
        except ValidationError as error:
            raise ConfigError(
                [
                    Problem(
                        sensor,
                        0,
                        ".".join(("detect.anomaly", *map(str, each["loc"]))),
                        str(each["input"]),
                        each["msg"],
                    )
                    for each in error.errors()
                ]
            ) from error

    def update(self, batch: Batch, name_of: NameOf | None = None) -> list[Event]:
        """Judge the rows in order.

        Args:
            batch: Accepted samples, marked by the validity tests.
            name_of: Product index to product id, for the events.

        Returns:
            Findings opened and closed, in order of their samples.
        """
        return self._walk(batch, name_of, np.empty(0), np.empty(0))

    def scores(self, batch: Batch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Judge the rows like :meth:`update`, and say what was thought of each of them.

        Returns:
            Anomaly score (0 to 1, low again while an excursion brings no news) and calibrated
            chance of each row; 0 and 1 for rows that are not judged.
        """
        score, chance = np.zeros(len(batch)), np.ones(len(batch))
        self._walk(batch, None, score, chance)
        return score, chance

    def _walk(
        self,
        batch: Batch,
        name_of: NameOf | None,
        score: NDArray[np.float64],
        chance: NDArray[np.float64],
    ) -> list[Event]:
        if not self._rows:
            return []
        cols = columns(batch, self._sensors)
        recipe = np.array(batch.recipe, dtype=np.int32, order="C")
        events: list[Event] = []
        row = 0
        while row < len(batch):
            row, changes = anomaly_rows(
                row,
                *cols,
                recipe,
                self._row_of,
                self._specs,
                self._state,
                self._memory["linear"],
                self._memory["rare"],
                self._memory["profile"],
                self._memory["visits"],
                self._memory["tails"],
                self._memory["evidence_tail"],
                self._memory["peaks"],
                self._scratch,
                score,
                chance,
                self._out,
            )
            for change in self._out[:changes].tolist():
                events += self._say(_Change._make(change), batch, name_of)
        return events

    def state(self, sensor: int) -> dict[str, Any] | None:
        """One sensor for the board; None when nobody asked for anomalies.

        ``verdict`` is ``cannot judge`` until enough is learned and while the newest samples
        cannot be judged, else ``signal`` or ``in control``.
        """
        s = int(self._row_of[sensor])
        if s < 0:
            return None
        now = self._state[s]
        judged = now["n"] > LEARN and not now["skipped_in_row"]
        verdict = "signal" if now["open"] else "in control"
        return {
            "sensor": self._rows[s].id,
            "verdict": verdict if judged else "cannot judge",
            "rate": self._rates[s],
            "learned": int(now["n"]),
            "p": 10.0 ** -float(now["surprise"]) if judged else None,
            "evidence": float(now["evidence"]) if judged else None,
            "expert": _SAID[int(now["expert"])][0] if judged else None,
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
        }

    def _say(self, change: _Change, batch: Batch, name_of: NameOf | None) -> list[Event]:
        at = Row.of(batch, change.row, name_of)
        if change.new:
            number = self._number(change.sensor)
            event = self._finding(change, at, number)
            return [self._open_finding(change.sensor, event, number, change.n)]
        # The last value for which it held is the one before the value that closes.
        cause = _CAUSES[change.cause]
        last = change.n if change.cause else change.n - 1
        return self._close_findings(change.sensor, 1, change.time_before, last, at, cause)

    def _finding(self, change: _Change, at: Row, number: int) -> Event:
        sensor, rate = self._rows[change.sensor], self._rates[change.sensor]
        ruleset = f"anomaly({rate:g})@{self.version}"
        expert, meaning = _SAID[change.expert]
        return Event(
            id=event_id("anomaly", ruleset, sensor.id, "finding", at.time_ns, number),
            type="finding",
            rule="anomaly",
            ruleset=ruleset,
            sensor=sensor.id,
            product=at.product,
            place=at.place,
            t_first=at.time_ns,
            t_last=at.time_ns,
            value=at.value,
            detail={
                "centre": change.level,
                "convention": "points",
                "expert": expert,
                "meaning": meaning,
                "n_first": change.n,
                "n_last": change.n,
                "onset": iso(change.onset),
                "p": 10.0**-change.surprise,
                "rate": rate,
                "rules": ["anomaly"],
                "side": "high" if at.value >= change.level else "low",
                "statistic": change.evidence,
                "usual": "anything this signal has not done before",
            },
            row=at.i,
        )


class _Change(NamedTuple):
    """One change in plain Python, same order of fields as the kernel writes."""

    row: int
    sensor: int
    cause: int
    new: int
    n: int
    time_before: int
    onset: int
    expert: int
    level: float
    evidence: float
    surprise: float
