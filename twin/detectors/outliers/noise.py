"""Noise change: a sensor that became noisier or quieter than it was.

Sensors that die get noisy (contacts, supply) or quiet (frozen, filtered, disconnected) before they
fail, while their mean looks as always. The noise of a block of time is its mean squared successive
difference, which slow movement does not touch; its ratio to the blocks of a baseline is tested with
an F test.

* The first ``blocks`` whole blocks are learned. Until then it says ``not enough data yet``. Another
  recipe and a reset begin anew.
* Blocks are counted in event time, a block is judged by the first sample of the next. One with
  fewer than ``least`` values, or with a hole in it, is not judged and closes nothing.
* Where blocks of the baseline scatter more than normal values would, the test expects as much
  scatter: its degrees of freedom come from the logarithms of their variances.
* A finding opens with a block beyond the limit and closes with the first one inside, or after a
  hole.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import numpy as np
import scipy
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twin.detectors.finding import Row
from twin.detectors.logic import Logic, columns, max_gap_ns
from twin.detectors.outliers import noise_kernel as kernel
from twin.errors import ConfigError, Problem
from twin.model.event import Event, event_id, iso
from twin.model.line import Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.detectors.finding import NameOf
    from twin.model.batch import Batch
    from twin.model.index import LineIndex, SensorRow

__all__ = ["Noise"]

_CAUSES = {
    kernel.CAUSE_POINT: "inside",
    kernel.CAUSE_GAP: "gap",
    kernel.CAUSE_RECIPE: "recipe",
}
_RAW = {Role.COUNTER, Role.STATE}
_WORDS = {
    "high": ("noisier", "loose contact, supply, electromagnetic disturbance, wear"),
    "low": ("quieter", "frozen or filtered values, a broken wire, a sensor without contact"),
}


class Noise(Logic):
    """Noise of single sensors against their own baseline.

    Args:
        index: The line; settings come from ``Sensor.detect["noise"]``.

    Raises:
        ConfigError: The settings of a sensor are not :class:`Settings`.
    """

    name: ClassVar[str] = "noise"
    version: ClassVar[int] = 1

    class Settings(BaseModel):
        """What ``detect.noise`` may say.

        Attributes:
            block_s: Length of a block, s.
            blocks: Blocks of the baseline.
            least: Values a block needs to be judged.
            alpha: False-alarm probability per block, both sides together.
        """

        model_config = ConfigDict(extra="forbid", frozen=True)

        block_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
        blocks: Annotated[int, Field(ge=5, le=10_000)] = 20
        least: Annotated[int, Field(ge=5)] = 10
        alpha: Annotated[float, Field(ge=1e-9, le=0.1)] = 1e-4

    def __init__(self, index: LineIndex) -> None:
        rows = [
            row
            for row in index.sensors
            if self.name in row.spec.detect and row.spec.role not in _RAW
        ]
        self._set = [_settings(row) for row in rows]
        self._specs: NDArray[np.void] = np.zeros(len(rows), kernel.SETTINGS)
        for s, (row, own) in enumerate(zip(rows, self._set, strict=True)):
            self._specs[s] = (
                round(own.block_s * 1e9),
                own.blocks,
                own.least - 1,
                max_gap_ns(row.spec),
                (row.spec.resolution or 0.0) ** 2 / 12.0,
                float(-scipy.special.ndtri(own.alpha / 2)),
            )
        self._state: NDArray[np.void] = np.zeros(len(rows), kernel.STATE)
        self._state["recipe"] = -1
        self._out: NDArray[np.void] = np.zeros(1024, kernel.CHANGE)
        super().__init__(
            index, rows, [repr(spec) for spec in self._specs.tolist()], {"state": self._state}
        )

    def update(self, batch: Batch, name_of: NameOf | None = None) -> list[Event]:
        """Take the rows in order.

        Args:
            batch: Accepted samples, marked by the validity tests.
            name_of: Product index to product id, for the events.

        Returns:
            Findings opened and closed, in order of their samples.
        """
        if not self._rows:
            return []
        cols = columns(batch, self._sensors)
        recipe = np.array(batch.recipe, dtype=np.int32, order="C")
        events: list[Event] = []
        row = 0
        while row < len(batch):
            row, changes = kernel.noise_rows(
                row, *cols, recipe, self._row_of, self._specs, self._state, self._out
            )
            for change in self._out[:changes].tolist():
                events += self._say(_Change._make(change), batch, name_of)
        return events

    def reset(self, sensor: int, cause: str) -> list[Event]:
        """Learn a sensor anew: it was repaired or replaced.

        Returns:
            Closing events of what was open; empty for a sensor that is not judged here.
        """
        s = int(self._row_of[sensor])
        if s < 0:
            return []
        now = self._state[s]
        kernel.forget(now)
        held, last = int(now["held_time"]), int(now["held_n"])
        return self._close_findings(s, 1, held, last, None, cause)

    def state(self, sensor: int) -> dict[str, Any] | None:
        """One sensor for the board; None when nobody asked for its noise.

        ``verdict`` is ``cannot judge`` while it learns and while the newest samples cannot be
        judged, else ``signal`` or ``in control``. ``ratio`` is the variance of the last judged
        block over that of the baseline.
        """
        s = int(self._row_of[sensor])
        if s < 0:
            return None
        now, own = self._state[s], self._set[s]
        why = ""
        if now["learned"] < own.blocks:
            why = f"not enough data yet: {int(now['learned'])} of {own.blocks} blocks"
        elif not _baseline(now, self._specs[s]) > 0.0:
            why = "the sensor was constant while it learned; declare its resolution"
        elif not now["judged"]:
            why = "no whole block since it learned"
        elif now["skipped_in_row"]:
            why = "the newest samples are invalid"
        judged = bool(now["judged"])
        return {
            "sensor": self._rows[s].id,
            "verdict": "cannot judge" if why else ("signal" if now["side"] else "in control"),
            "why": why,
            "block_s": own.block_s,
            "alpha": own.alpha,
            "ratio": float(now["ratio"]) if judged else None,
            "p": _p(float(now["score"])) if judged else None,
            "sigma": sqrt(_baseline(now, self._specs[s])) if judged else None,
            "blocks": int(now["judged"]),
            "not_judged": int(now["short"]),
            "late": int(now["late"]),
            "cannot_judge": int(now["skipped"]),
        }

    def _say(self, change: _Change, batch: Batch, name_of: NameOf | None) -> list[Event]:
        at = Row.of(batch, change.row, name_of)
        events: list[Event] = []
        if change.old:
            cause, last = _CAUSES[change.cause], change.held_n
            events += self._close_findings(change.sensor, 1, change.held_time, last, at, cause)
        if change.new:
            number = self._number(change.sensor)
            event = self._finding(change, at, number)
            events.append(self._open_finding(change.sensor, event, number, change.first_n))
        return events

    def _finding(self, change: _Change, at: Row, number: int) -> Event:
        sensor, own = self._rows[change.sensor], self._set[change.sensor]
        ruleset = f"noise({own.block_s:g};{own.alpha:g})@{self.version}"
        side = "high" if change.new > 0 else "low"
        what, usual = _WORDS[side]
        sigma, usual_sigma = sqrt(change.variance), sqrt(change.baseline)
        return Event(
            id=event_id("noise", ruleset, sensor.id, "finding", change.first_time, number),
            type="finding",
            rule="noise",
            ruleset=ruleset,
            sensor=sensor.id,
            product=at.product,
            place=at.place,
            t_first=change.first_time,
            t_last=change.time_before,
            value=at.value,
            detail={
                "baseline": f"first {own.blocks} blocks",
                "centre": usual_sigma,
                "convention": "points",
                "freedom": change.freedom,
                "meaning": f"{what} than usual: standard deviation {sigma:.3g} instead of "
                f"{usual_sigma:.3g} in {own.block_s:g} s",
                "mode": "learned",
                "n_first": change.first_n,
                "n_last": change.n,
                "onset": iso(change.first_time),
                "p": _p(change.score),
                "rules": ["noise"],
                "side": side,
                "sigma": sigma,
                "statistic": change.score,
                "usual": usual,
            },
            row=at.i,
        )


class _Change(NamedTuple):
    """One entry of ``noise_kernel.CHANGE`` in plain Python, same order of fields."""

    row: int
    sensor: int
    cause: int
    old: int
    new: int
    n: int
    time_before: int
    held_n: int
    held_time: int
    first_n: int
    first_time: int
    variance: float
    baseline: float
    score: float
    freedom: float


def _settings(row: SensorRow) -> Noise.Settings:
    try:
        return Noise.Settings.model_validate(row.spec.detect[Noise.name])
    except ValidationError as error:
        raise ConfigError(
            [
                Problem(
                    row.id,
                    0,
                    ".".join(("detect.noise", *map(str, each["loc"]))),
                    str(each["input"]),
                    each["msg"],
                )
                for each in error.errors()
            ]
        ) from error


def _baseline(now: np.void, spec: np.void) -> float:
    pairs = int(now["base_pairs"])
    return max(float(now["base_squares"]) / (2 * pairs), float(spec["floor"])) if pairs else 0.0


def _p(score: float) -> float:
    """Two-sided probability of a normal score."""
    return 2.0 * float(scipy.special.ndtr(-abs(score)))
