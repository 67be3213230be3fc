"""Every error linetwin raises on purpose.

::

    TwinError
    ├─ ConfigError            settings or line description wrong; refuse to start
    │  └─ MissingExtraError   an optional library is absent
    ├─ DecodeError            a payload is not what its topic promises
    ├─ JournalError           append or commit failed; confirming stops
    ├─ StateError             snapshot unreadable, or written by another version
    ├─ RecordingError         a recording cannot be read, or not without guessing
    ├─ SourceError            cannot connect, session lost; retried
    └─ SinkError              a sink did not take what it was given

On the hot path one bad row is data, not an exception: decode and check return the good rows and
a list of refusals. The exceptions are for configuration, tools and whole messages.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ConfigError",
    "DecodeError",
    "JournalError",
    "MissingExtraError",
    "Problem",
    "RecordingError",
    "SinkError",
    "SourceError",
    "StateError",
    "TwinError",
]


class TwinError(Exception):
    """Something linetwin expected could happen, said in one sentence."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file a person wrote.

    Attributes:
        file: File name as the person knows it.
        line: 1-based line number, 0 when the problem has no place (a missing table).
        key: Dotted path, for example ``station[2].sensor[0].unit``.
        value: The value found, as text; empty when something is missing.
        message: What is wrong.
        allowed: What would be right.
        severity: ``error`` refuses the file, ``warning`` does not.
    """

    file: str
    line: int
    key: str
    value: str
    message: str
    allowed: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        found = f" (found {self.value})" if self.value else ""
        hint = f"; allowed: {self.allowed}" if self.allowed else ""
        return f"{where}: {self.severity}: {self.key}: {self.message}{found}{hint}"


class ConfigError(TwinError):
    """Settings or a line description are wrong. Carries every problem found, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(p) for p in problems))


class MissingExtraError(ConfigError):
    """An optional library is absent."""

    def __init__(self, library: str, extra: str) -> None:
        self.library, self.extra = library, extra
        super().__init__(
            [
                Problem(
                    file="installation",
                    line=0,
                    key=library,
                    value="",
                    message="is not installed",
                    allowed=f'pip install "linetwin[{extra}]"',
                )
            ]
        )


class DecodeError(TwinError):
    """A payload is not what its topic promises.

    Attributes:
        reason: Code of the dead letter, see :class:`twin.model.message.Reason`.
        detail: What was wrong and how to mend it, for the person who reads the dead letter.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class JournalError(TwinError):
    """The journal could not take or give back an entry."""


class StateError(TwinError):
    """A snapshot is unreadable, or was written by another version or for other settings."""


class RecordingError(TwinError):
    """A recording cannot be read, or not without guessing something that must be declared."""


class SourceError(TwinError):
    """A source cannot be reached or ended the session."""


class SinkError(TwinError):
    """A sink did not take what it was given."""
