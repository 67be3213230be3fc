"""What a person declares about a recording: the mapping, a small TOML file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from twin.errors import RecordingError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Column", "Mapping", "TimeColumn", "mapping_of"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TimeColumn(_Model):
    """Where the time stands.

    Attributes:
        column: Its name in the file.
        format: ``elapsed`` (since the start of the file), ``unix`` (since 1970), ``iso`` (ISO
            8601, with or without zone), or a strptime pattern such as ``%d.%m.%Y %H:%M:%S``.
        unit: Unit of ``elapsed`` and ``unix``.
    """

    column: str
    format: str = "iso"
    unit: Literal["s", "ms", "us", "ns", "min", "h"] = "s"


class Column(_Model):
    """What a column becomes: a sensor of the line, or a quantity under a BDF name.

    Attributes:
        sensor: Sensor id ``station/key``.
        name: BDF machine name, or any name a sensor of the line takes by its ``column``.
        unit: UCUM unit of the values in the file; for ``name`` empty means the BDF unit.
    """

    sensor: str = ""
    name: str = ""
    unit: str = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.sensor) == bool(self.name):
            raise ValueError("give either sensor or name")
        return self


class Mapping(_Model):
    """How to read a file that does not say it itself.

    Attributes:
        delimiter: One character between fields.
        decimal: Decimal mark.
        header_line: 1-based line with the column names.
        timezone: Zone of the file's local times; empty takes the one given on the command line.
        time: Time column; without one only the order of the rows is known.
        columns: Column of the file to what it becomes.
        sensor_column: For files with one sample per row: column with the sensor id or a key of
            ``columns``.
        value_column: For such files: column with the value.
        discharge_steps: For currents without sign: step numbers that discharge.
        nominal_ah: Nameplate capacity of the cell, for plausibility.
    """

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    header_line: int = Field(default=1, ge=1)
    timezone: str = ""
    time: TimeColumn | None = None
    columns: dict[str, Column] = {}
    sensor_column: str = ""
    value_column: str = ""
    discharge_steps: list[float] = []
    nominal_ah: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _long(self) -> Self:
        if bool(self.sensor_column) != bool(self.value_column):
            raise ValueError("sensor_column and value_column belong together")
        if self.decimal == self.delimiter:
            raise ValueError("delimiter and decimal are the same character")
        return self


def mapping_of(content: dict[str, Any] | None) -> Mapping:
    """The mapping of a parsed TOML file; defaults when there is none.

    Raises:
        RecordingError: Something in it is wrong; names every key.
    """
    try:
        return Mapping.model_validate(content or {})
    except ValidationError as problem:
        wrong = "; ".join(
            f"{'.'.join(map(str, error['loc'])) or 'mapping'}: {error['msg']}"
            for error in problem.errors()
        )
        raise RecordingError(f"the mapping is wrong: {wrong}") from problem
