"""Faults on purpose: what goes wrong, when, how much. Their truth is known."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twin.errors import ConfigError, Problem

__all__ = ["Fault", "FaultKind", "Script", "Truth", "default_faults"]

_NS = 1_000_000_000


class FaultKind(StrEnum):
    """What can go wrong: first in the process, then in a sensor, then on the way."""

    LOAD_DROP = "load_drop"
    """The calender loses ``size`` (a share, 0.1 is 10 %) of its line load."""
    SKEW = "skew"
    """The line load differs between the sides by ``size`` per cent more."""
    TENSION_DROP = "tension_drop"
    """The web tension at the calender falls by ``size`` (a share)."""
    MASS_SHIFT = "mass_shift"
    """The coater puts on ``size`` (a share) more areal mass."""
    FROST_EXCURSION = "frost_excursion"
    """The frost point of the target's zone rises by ``size`` K."""
    H2S_RELEASE = "h2s_release"
    """Hydrogen sulfide in the target's zone rises by ``size`` ppm."""
    HOT_RACK = "hot_rack"
    """The air of the target's formation rack is ``size`` K warmer."""
    STUCK = "stuck"
    """The sensor repeats its value."""
    SPIKE = "spike"
    """One sample is off by ``size``."""
    OFFSET = "offset"
    """The sensor shows ``size`` too much."""
    DRIFT = "drift"
    """The sensor shows ``size`` more with every hour."""
    GAP = "gap"
    """Messages are lost; their sequence numbers are missing."""
    DUPLICATE = "duplicate"
    """Every message is sent twice."""
    BAD_PAYLOAD = "bad_payload"
    """The payload is cut off in the middle."""
    WRONG_UNIT = "wrong_unit"
    """The payload names a unit that does not fit."""


_ONCE = frozenset({FaultKind.SPIKE})


class Fault(BaseModel):
    """One row of a fault script.

    Attributes:
        at_s: Begin, seconds after the start of the simulation.
        for_s: Duration; 0 means one sample.
        every_s: Happens again after this time; None for once.
        kind: What goes wrong.
        target: Sensor id (``station/key``).
        size: How much; its unit depends on the kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    at_s: Annotated[float, Field(ge=0)]
    for_s: Annotated[float, Field(ge=0)] = 0.0
    every_s: Annotated[float, Field(gt=0)] | None = None
    kind: FaultKind
    target: str
    size: float = 0.0

    def occurrence(self, time_s: float) -> int:
        """Number of the newest occurrence at a time, from 0; -1 before the first."""
        since = time_s - self.at_s
        if since < 0:
            return -1
        return int(since // self.every_s) if self.every_s else 0

    def onset_s(self, time_s: float) -> float:
        """Begin of the newest occurrence; of the first one before it came."""
        return self.at_s + max(0, self.occurrence(time_s)) * (self.every_s or 0.0)

    def active(self, time_s: float) -> bool:
        """Whether it lasts at a time; a fault of one sample never does."""
        return self.occurrence(time_s) >= 0 and time_s - self.onset_s(time_s) < self.for_s

    @property
    def once(self) -> bool:
        """Whether it hits a single sample."""
        return self.kind in _ONCE or self.for_s == 0


@dataclass(frozen=True, slots=True)
class Truth:
    """A fault that happened.

    Attributes:
        kind: What went wrong.
        target: Where.
        size: How much.
        start_ns: Begin, ns since 1970 UTC.
        end_ns: End; equal to the begin for a single sample.
    """

    kind: FaultKind
    target: str
    size: float
    start_ns: int
    end_ns: int


class Script(BaseModel):
    """Faults in any order; they may overlap.

    Examples:
        >>> Script(fault=[Fault(at_s=60, for_s=5, kind="load_drop", target="calender/line_load")])
        Script(fault=[Fault(at_s=60.0, ...)])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: list[Fault] = []

    @classmethod
    def load(cls, path: Path) -> Script:
        """Read a TOML file with ``[[fault]]`` rows.

        Raises:
            ConfigError: It is no TOML, or a row says something unknown.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text("utf-8")))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError([Problem(path.name, 0, "file", "", f"no TOML: {error}")]) from error
        except ValidationError as error:
            raise ConfigError(
                [
                    Problem(
                        path.name,
                        0,
                        ".".join(map(str, entry["loc"])),
                        repr(entry["input"]),
                        entry["msg"],
                    )
                    for entry in error.errors()
                ]
            ) from error

    def truth(self, start_ns: int, until_ns: int) -> list[Truth]:
        """Everything that began before ``until_ns``, in order of its begin."""
        found: list[Truth] = []
        for fault in self.fault:
            begin = start_ns + round(fault.at_s * _NS)
            last = 0 if fault.once else round(fault.for_s * _NS)
            step = round(fault.every_s * _NS) if fault.every_s else 0
            while begin < until_ns:
                found.append(Truth(fault.kind, fault.target, fault.size, begin, begin + last))
                if not step:
                    break
                begin += step
        return sorted(found, key=lambda truth: (truth.start_ns, truth.target, truth.kind))


def default_faults(line: Path) -> Path:
    """Script for a line: ``faults.toml`` beside its description, else the faults of the demo."""
    beside = line.parent / "faults.toml"
    return beside if beside.exists() else Path(__file__).with_name("faults.toml")
