"""Wall clocks of recordings: local times without a zone, in the habits of four countries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from twin.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from connectors.recording.notebook import Notebook

__all__ = ["local_time", "nanoseconds", "since_first", "utc_ns", "zone_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def zone_of(name: str) -> ZoneInfo:
    """The zone a recording was made in.

    Raises:
        RecordingError: No such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as problem:
        message = f'unknown time zone "{name}"; expected an IANA name such as "Europe/Berlin"'
        raise RecordingError(message) from problem


def nanoseconds(moment: datetime) -> int:
    """Nanoseconds since 1970 UTC of an aware time, exact to the microsecond.

    Raises:
        RecordingError: The time has no zone.
    """
    if moment.tzinfo is None:
        raise RecordingError(f"{moment} has no time zone")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def local_time(text: str, formats: Sequence[str]) -> datetime:
    """A naive local time in one of several notations.

    Raises:
        RecordingError: None of the formats fits.
    """
    for form in formats:
        try:
            return datetime.strptime(text.strip(), form)  # noqa: DTZ007 - the zone comes from the settings
        except ValueError:
            continue
    raise RecordingError(f"{text.strip()!r} is no time in any of the forms {', '.join(formats)}")


def utc_ns(local: datetime, zone: ZoneInfo, notes: Notebook) -> int:
    """Absolute time of a local time without a zone; says so, and says when it is not unique."""
    early = local.replace(tzinfo=zone, fold=0)
    notes.add(
        "WALL_CLOCK_ZONE",
        f"The wall clock ({local.isoformat(sep=' ')}) has no zone; read as {zone.key}.",
        zone=zone.key,
    )
    if early.utcoffset() != early.replace(fold=1).utcoffset():
        notes.add(
            "WALL_CLOCK_AMBIGUOUS",
            f"{local} does not exist once in {zone.key} (clock change); the earlier offset was used.",
        )
    return nanoseconds(early.astimezone(UTC))


def since_first(texts: Sequence[str], formats: Sequence[str]) -> NDArray[np.float64]:
    """Seconds of each wall-clock text since the first one; NaN where a cell is empty."""
    moments = [local_time(text, formats) if text.strip() else None for text in texts]
    first = next((moment for moment in moments if moment is not None), None)
    if first is None:
        return np.full(len(texts), np.nan)
    return np.array(
        [(moment - first).total_seconds() if moment is not None else np.nan for moment in moments]
    )
