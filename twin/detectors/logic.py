"""What all detectors have in common: rows of state, snapshots, open findings.

A detector keeps its state in numpy arrays whose first axis is the *row*: one row per sensor it
works for. A compiled kernel walks a batch once and reports only changes; everything that happens
rarely (events, snapshots) is plain Python.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import msgspec
import numpy as np

from twin.detectors.finding import Opened, closing, plain
from twin.errors import StateError
from twin.model.line import Sampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from twin.detectors.finding import Row
    from twin.model.batch import Batch
    from twin.model.event import Event
    from twin.model.index import LineIndex
    from twin.model.line import Sensor

    Columns = tuple[
        NDArray[np.int32],
        NDArray[np.int64],
        NDArray[np.float64],
        NDArray[np.uint8],
        NDArray[np.uint8],
    ]

__all__ = ["NEVER", "Logic", "Subject", "columns", "max_gap_ns", "plain_column"]

NEVER = int(np.iinfo(np.int64).max)
"""A duration no hole ever reaches, ns."""

_PERIODS = 5
"""A hole longer than this many nominal periods is a gap when nothing else is declared."""


def max_gap_ns(spec: Sensor) -> int:
    """Longest hole between two samples that still leaves them neighbours, ns.

    The chart's ``max_gap_s`` if declared; otherwise five nominal periods of a periodic sensor, or
    ``max_silence_s`` of one that reports by exception. Without any of them, and for values that
    come per piece (``event``), no hole is too long and the answer is :data:`NEVER`.
    """
    seconds: float | None = None
    if spec.chart is not None and spec.chart.max_gap_s is not None:
        seconds = spec.chart.max_gap_s
    elif spec.sampling is Sampling.PERIODIC and spec.period_s is not None:
        seconds = _PERIODS * spec.period_s
    elif spec.sampling is Sampling.BY_EXCEPTION:
        seconds = spec.max_silence_s
    return NEVER if seconds is None else round(seconds * 1e9)


def columns(batch: Batch, sensors: int) -> Columns:
    """Sensor, time, value, quality and marks in the one form the kernels are compiled for.

    Args:
        batch: Accepted samples.
        sensors: Number of sensors of the line; kernels do not check array bounds.

    Raises:
        ValueError: A sensor index is outside the line.
    """
    if len(batch) and not 0 <= int(batch.sensor.min()) <= int(batch.sensor.max()) < sensors:
        raise ValueError(
            f"batch: sensor index {int(batch.sensor.min())} to {int(batch.sensor.max())}; "
            f"the line has sensors 0 to {sensors - 1}"
        )
    return (
        plain_column(batch.sensor, np.int32),
        plain_column(batch.time_ns, np.int64),
        plain_column(batch.value, np.float64),
        plain_column(batch.quality, np.uint8),
        plain_column(batch.marks, np.uint8),
    )


def plain_column(column: NDArray[Any], dtype: type) -> NDArray[Any]:
    """The column itself, or a copy where another form would compile a second kernel."""
    if column.dtype == dtype and column.flags.carray:
        return column
    return np.array(column, dtype=dtype, order="C")


class Subject(Protocol):
    """What a row of state is about: a sensor, or a group of sensors."""

    @property
    def index(self) -> int:
        """Place among the sensors (or groups) of the line."""
        ...

    @property
    def id(self) -> str:
        """Its id, the same in every version of the line."""
        ...


class Logic:
    """Arrays of state, one row per sensor (or group of sensors), with their packing.

    Args:
        index: The line.
        rows: Sensors (or groups) this detector works for, in row order.
        settings: Per row, everything that decides what the detector says; a changed text means
            that state must not be carried over.
        arrays: State by name; first axis = row.
        subjects: How many there are on the line; None means its sensors.
    """

    name: ClassVar[str]
    """Detector name in snapshots."""
    version: ClassVar[int]
    """Raised whenever the same samples would give another state or other events."""
    about: ClassVar[Literal["sensor", "group"]] = "sensor"
    """What a row of state is about."""
    order: ClassVar[int] = 100
    """Place among the detectors: lower ones see a batch first, equal ones in order of name."""
    judges: ClassVar[Literal["samples", "points"]] = "samples"
    """What it is given. ``points`` means that it has ``update_points(points, batch, name_of)``
    beside ``update(batch, name_of)`` and is given, after the batch, what a ``Series`` made of it."""

    def __init__(
        self,
        index: LineIndex,
        rows: Sequence[Subject],
        settings: Sequence[str],
        arrays: dict[str, NDArray[Any]],
        subjects: int | None = None,
    ) -> None:
        self._sensors = len(index)
        self._rows: list[Any] = list(rows)  # each detector knows what its rows are
        self._prints = [_print(text) for text in settings]
        self._row_of = np.full(self._sensors if subjects is None else subjects, -1, np.int32)
        for row, subject in enumerate(self._rows):
            self._row_of[subject.index] = row
        self._arrays = arrays
        self._numbers = np.zeros(len(self._rows), np.int64)
        self._arrays["numbers"] = self._numbers
        self._open: dict[int, list[Opened]] = {}

    def snapshot(self) -> dict[str, Any]:
        """State as msgpack-able values; shares no memory with the detector."""
        return {
            "detector": self.name,
            "version": self.version,
            "settings": self._settings(),
            "sensors": [row.id for row in self._rows],
            "prints": list(self._prints),
            "arrays": {name: _pack(array) for name, array in self._arrays.items()},
            "open": [
                [row, [plain(finding) for finding in self._open[row]]] for row in sorted(self._open)
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue exactly where the snapshot was taken.

        Raises:
            StateError: The snapshot is unreadable or belongs to another detector, version or
                settings.
        """
        self._check(state)
        if state.get("settings") != self._settings():
            raise StateError(
                f"snapshot of {self.name} has settings {state.get('settings')!r}; "
                f"expected {self._settings()!r}"
            )
        arrays, findings = self._read(state)
        for name, array in self._arrays.items():
            if arrays[name].shape != array.shape:
                raise StateError(f"snapshot of {self.name}: {name} has another shape")
        for name, array in self._arrays.items():
            array[...] = arrays[name]
        self._open = findings

    def carry_over(self, state: dict[str, Any]) -> list[Event]:
        """Take over a snapshot of another version of the line.

        Sensors whose id and settings are unchanged go on; the others start fresh, so that no run
        mixes two settings.

        Returns:
            Closing events of findings whose sensor is gone or has other settings now.

        Raises:
            StateError: The snapshot is unreadable or belongs to another detector or version.
        """
        self._check(state)
        arrays, findings = self._read(state)
        pairs = self._same(state)
        for name, array in self._arrays.items():
            old = arrays[name]
            for new_row, old_row in pairs:
                # A longer window of another sensor may have made the arrays wider.
                common = [min(a, b) for a, b in zip(array.shape[1:], old.shape[1:], strict=True)]
                array[_block(new_row, common)] = old[_block(old_row, common)]
        self._adopt(pairs, arrays)
        new_of = {old_row: new_row for new_row, old_row in pairs}
        self._open = {new_of[row]: kept for row, kept in findings.items() if row in new_of}
        return [
            closing(finding, finding.event.t_last, None, cause="settings")
            for row, gone in sorted(findings.items())
            if row not in new_of
            for finding in gone
        ]

    def follow(self, old: Self) -> list[Event]:
        """Take over from the detector of the version of the line before; see :meth:`carry_over`."""
        return self.carry_over(old.snapshot())

    def open_findings(self, sensor: int) -> list[Event]:
        """Findings of a sensor that are open now, oldest first."""
        row = int(self._row_of[sensor])
        return [finding.event for finding in self._open.get(row, [])]

    def _adopt(self, pairs: list[tuple[int, int]], old: dict[str, NDArray[Any]]) -> None:
        """Mend what copying row by row does not carry over; nothing unless a detector says so.

        Args:
            pairs: Row now and row then of every sensor that goes on.
            old: The arrays of the snapshot.
        """

    def _settings(self) -> str:
        return _print(
            "\x1f".join(f"{r.id}={p}" for r, p in zip(self._rows, self._prints, strict=True))
        )

    def _check(self, state: dict[str, Any]) -> None:
        found = (state.get("detector"), state.get("version"))
        if found != (self.name, self.version):
            raise StateError(
                f"snapshot is of detector {found[0]!r} version {found[1]!r}; "
                f"expected {self.name!r} version {self.version}"
            )

    def _read(
        self, state: dict[str, Any]
    ) -> tuple[dict[str, NDArray[Any]], dict[int, list[Opened]]]:
        try:
            arrays = {
                name: _unpack(state["arrays"][name], array) for name, array in self._arrays.items()
            }
            findings = {
                int(row): [msgspec.convert(finding, Opened) for finding in found]
                for row, found in state["open"]
            }
        except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
            raise StateError(f"snapshot of {self.name} is unreadable: {error}") from error
        return arrays, findings

    def _same(self, state: dict[str, Any]) -> list[tuple[int, int]]:
        """Pairs (row now, row then) of sensors whose settings did not change."""
        then = {
            (sensor, found): row
            for row, (sensor, found) in enumerate(
                zip(state["sensors"], state["prints"], strict=True)
            )
        }
        return [
            (row, then[sensor.id, found])
            for row, (sensor, found) in enumerate(zip(self._rows, self._prints, strict=True))
            if (sensor.id, found) in then
        ]

    def _number(self, row: int) -> int:
        """The next occurrence number of a sensor, counted from 1."""
        self._numbers[row] += 1
        return int(self._numbers[row])

    def _open_finding(self, row: int, event: Event, number: int, n: int, mask: int = 1) -> Event:
        self._open.setdefault(row, []).append(Opened(event, number, mask, n))
        return event

    def _close_findings(
        self,
        row: int,
        mask: int,
        t_last: int,
        n: int,
        at: Row | None,
        cause: str,
    ) -> list[Event]:
        """Take rule bits from the open findings of a row and close those that have none left.

        Args:
            row: Row of the detector.
            mask: Bits that are no longer true.
            t_last: Event time of the last sample for which they were, ns.
            n: Ordinal of that sample.
            at: The sample that closes, None when it is not a sample that closes.
            cause: ``inside``, ``gap``, ``reset`` or another short word.
        """
        found = self._open.pop(row, [])
        if len(found) == 1 and not found[0].mask & ~mask:  # nearly always
            one = found[0]
            return [closing(one, t_last, at, cause=cause, samples=n - one.n + 1)]
        events: list[Event] = []
        kept: list[Opened] = []
        for finding in found:
            finding.mask &= ~mask
            if finding.mask:
                kept.append(finding)
            else:
                events.append(closing(finding, t_last, at, cause=cause, samples=n - finding.n + 1))
        if kept:
            self._open[row] = kept
        return events


def _block(row: int, sizes: list[int]) -> tuple[slice, ...]:
    """One row, and of its further axes the first entries."""
    return (slice(row, row + 1), *(slice(size) for size in sizes))


def _print(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _form(dtype: np.dtype[Any]) -> str:
    """A dtype as text that is the same for the same memory layout."""
    return str(dtype.descr) if dtype.names else dtype.str


def _pack(array: NDArray[Any]) -> dict[str, Any]:
    return {"dtype": _form(array.dtype), "shape": list(array.shape), "data": array.tobytes()}


def _unpack(packed: dict[str, Any], like: NDArray[Any]) -> NDArray[Any]:
    if packed["dtype"] != _form(like.dtype):
        raise ValueError(f"dtype {packed['dtype']}, expected {_form(like.dtype)}")
    shape = tuple(packed["shape"])
    if len(shape) != like.ndim:
        raise ValueError(f"{len(shape)} dimensions, expected {like.ndim}")
    return np.frombuffer(packed["data"], dtype=like.dtype).reshape(shape)
