"""The baseline file: one signed record per line, never changed, only added to.

Every line is ``{"record": {...}, "digest": "..."}``; the digest covers the record and the digest of
the line before, so that a line that was edited, left out or moved is found with its number. A
record without ``approved_by`` is a candidate. Approving adds the same record once more, with name
and date; limits come from the newest approved version of each sensor and recipe.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from pydantic import ValidationError

from twin.config.problems import found, some
from twin.errors import ConfigError, Problem
from twin.model.baseline import Baseline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from twin.model.index import SensorRow

__all__ = ["TWO_PERSONS", "Entry", "append", "approved", "check", "decode", "state_of"]

TWO_PERSONS = frozenset({"CC", "SAFETY"})
"""Classes of the control plan whose baselines a second person approves."""

_FIRST = "0" * 32
_SIGNATURE = {"approved_by", "approved", "reason"}
"""What an approval changes in a record."""

_encoder = msgspec.json.Encoder(order="sorted")


class Entry(NamedTuple):
    """A record and the line it stands in."""

    line: int
    baseline: Baseline
    digest: str


def decode(text: str, file: str) -> tuple[list[Entry], list[Problem]]:
    """Read the records and prove the chain.

    Args:
        text: Content of the file.
        file: Its name, for problems.

    Returns:
        Records as far as they can be read, and every problem. After a broken link the chain goes
        on from the digest that stands there, so that one edit is reported once.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    last = _FIRST
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
            record, digest = row["record"], str(row["digest"])
        except (msgspec.DecodeError, KeyError, TypeError):
            allowed = '{"record": {...}, "digest": "..."}'
            problems.append(Problem(file, number, "", line[:60], "is no record", allowed))
            continue
        if digest != _digest(last, record):
            message = "record or an earlier line was changed after it was written"
            problems.append(
                Problem(file, number, "digest", found(digest), message, _digest(last, record))
            )
        last = digest
        try:
            baseline = Baseline.model_validate_json(msgspec.json.encode(record), strict=True)
        except ValidationError as error:
            problems += [_wrong(file, number, details) for details in error.errors()]
        else:
            entries.append(Entry(number, baseline, digest))
    return entries, problems


def _wrong(file: str, line: int, details: Any) -> Problem:
    key = ".".join(("record", *map(str, details["loc"])))
    message = details["msg"][:1].lower() + details["msg"][1:]
    return Problem(file, line, key, found(details["input"]), message)


def check(
    entries: Sequence[Entry],
    file: str,
    sensors: Mapping[str, SensorRow],
    control: Mapping[str, Mapping[str, str]],
) -> list[Problem]:
    """What is wrong with the records as a whole and against the line.

    Args:
        entries: Records in order.
        file: Name of the file.
        sensors: Sensors of the line by id.
        control: Rows of the control plan by id.
    """
    problems: list[Problem] = []
    seen: dict[str, list[Baseline]] = {}
    for entry in entries:
        said = _History(entry, file, seen.setdefault(entry.baseline.id, [])).problems
        problems += said + _of_line(entry, file, sensors, control)
        seen[entry.baseline.id].append(entry.baseline)
    return problems


class _History:
    """One record against those of the same id before it."""

    def __init__(self, entry: Entry, file: str, before: list[Baseline]) -> None:
        self.problems: list[Problem] = []
        self._entry, self._file = entry, file
        now = entry.baseline
        newest = max((old.version for old in before), default=0)
        same = [old for old in before if old.version == now.version]
        if before and (before[0].sensor, before[0].recipe) != (now.sensor, now.recipe):
            first = before[0]
            owner = f"{first.sensor}, recipe {first.recipe!r}"
            self._add("id", now.id, "belongs to another sensor or recipe", owner)
        if same:
            self._second(now, same)
        else:
            self._first(now, newest)

    def _first(self, now: Baseline, newest: int) -> None:
        if now.version != newest + 1:
            message = "versions go up one by one"
            self._add("version", now.version, message, str(newest + 1))
        wanted = f"{now.id}@{newest}" if newest else ""
        if now.supersedes not in {"", wanted}:
            self._add("supersedes", now.supersedes, "is not the version before", wanted or "empty")

    def _second(self, now: Baseline, same: list[Baseline]) -> None:
        if not now.approved_by or same[-1].approved_by:
            self._add("version", now.version, "is there twice", "a candidate, then its approval")
            return
        before, after = (b.model_dump(exclude=_SIGNATURE) for b in (same[-1], now))
        for key in sorted(key for key in after if before[key] != after[key]):
            self._add(key, after[key], "is not what was approved", found(before[key]))

    def _add(self, key: str, value: Any, message: str, allowed: str) -> None:
        self.problems.append(
            Problem(self._file, self._entry.line, f"record.{key}", found(value), message, allowed)
        )


def _of_line(
    entry: Entry,
    file: str,
    sensors: Mapping[str, SensorRow],
    control: Mapping[str, Mapping[str, str]],
) -> list[Problem]:
    problems: list[Problem] = []
    now = entry.baseline

    def add(key: str, value: Any, message: str, allowed: str) -> None:
        problems.append(Problem(file, entry.line, f"record.{key}", found(value), message, allowed))

    row = sensors.get(now.sensor)
    if row is None:
        add("sensor", now.sensor, "no such sensor on this line", some(sensors))
        return problems
    if now.unit != row.spec.unit:
        add("unit", now.unit, "is not the unit of the sensor", row.spec.unit)
    kind = control.get(row.spec.control, {}).get("class", "")
    if kind == "SAFETY":
        add("sensor", now.sensor, "is of class SAFETY", "limits fixed by people")
    if now.approved_by and not now.approved:
        add("approved", "", "is missing", "the time of the approval")
    if now.approved_by and kind in TWO_PERSONS and _same(now.approved_by, now.created_by):
        message = f"made it too, and class {kind} needs two persons"
        add("approved_by", now.approved_by, message, "another person")
    return problems


def _same(first: str, second: str) -> bool:
    return first.strip().casefold() == second.strip().casefold()


def approved(entries: Iterable[Entry]) -> dict[str, list[Baseline]]:
    """Baselines in force: the newest approved version per sensor and recipe, by sensor id."""
    newest: dict[tuple[str, str], Baseline] = {}
    for _, baseline, _ in entries:
        if baseline.approved_by:
            newest[baseline.sensor, baseline.recipe] = baseline
    by_sensor: dict[str, list[Baseline]] = {}
    for (sensor, _), baseline in newest.items():
        by_sensor.setdefault(sensor, []).append(baseline)
    return by_sensor


def state_of(entries: Sequence[Entry]) -> dict[str, str]:
    """``id@version`` of every record to ``in force``, ``superseded``, ``candidate`` or ``old``.

    An old candidate is one that a newer version left behind.
    """
    force = {baseline.name for found in approved(entries).values() for baseline in found}
    newest: dict[str, int] = {}
    signed: set[str] = set()
    for _, baseline, _ in entries:
        newest[baseline.id] = max(baseline.version, newest.get(baseline.id, 0))
        if baseline.approved_by:
            signed.add(baseline.name)
    answer = {}
    for _, baseline, _ in entries:
        if baseline.name in force:
            answer[baseline.name] = "in force"
        elif baseline.name in signed:
            answer[baseline.name] = "superseded"
        else:
            new = baseline.version == newest[baseline.id]
            answer[baseline.name] = "candidate" if new else "old"
    return answer


def append(path: Path, baselines: Iterable[Baseline]) -> None:
    """Add records at the end, durable before this returns.

    Raises:
        ConfigError: The file was changed by hand; nothing was added.
    """
    text = path.read_text("utf-8") if path.exists() else ""
    entries, problems = decode(text, path.name)
    if problems:
        raise ConfigError(problems)
    last = entries[-1].digest if entries else _FIRST
    lines = []
    for baseline in baselines:
        record = baseline.model_dump(mode="json", exclude_defaults=True)
        last = _digest(last, record)
        lines.append(_encoder.encode({"record": record, "digest": last}))
    glue = b"" if not text or text.endswith("\n") else b"\n"
    with path.open("ab") as file:
        file.write(glue + b"".join(line + b"\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


def _digest(before: str, record: Any) -> str:
    data = before.encode() + _encoder.encode(record)
    return hashlib.blake2b(data, digest_size=16).hexdigest()
