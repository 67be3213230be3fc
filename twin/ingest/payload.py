"""Payload to raw rows: what a device said, taken at its word, in parallel lists."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from twin.errors import DecodeError
from twin.model.batch import BAD, GOOD, UNCERTAIN
from twin.model.message import Reason
from twin.units import meant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twin.ingest.route import PathStep, Route, Target

__all__ = ["MAX_BYTES", "Rows", "read_nested", "read_row", "read_single"]

MAX_BYTES: Final = 262_144
"""Largest payload that is looked into."""
_MAX_SAMPLES = 500
_MAX_NUMBER = 64

_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_FINER = re.compile(r"\.\d{6}(\d{1,3})")
"""Digits of a fraction behind the microseconds, which datetime drops."""

Scalar = float | bool | str | None


class _Sample(msgspec.Struct, forbid_unknown_fields=True):
    """One sample as JSON; short and long key names mean the same."""

    ts: int | float | str | None = None
    value: Scalar | msgspec.UnsetType = msgspec.UNSET
    v: Scalar | msgspec.UnsetType = msgspec.UNSET
    unit: str | None = None
    u: str | None = None
    q: int | None = None
    seq: int | None = None
    src: str | None = None
    pid: str | None = None
    x: float | None = None


_decode = msgspec.json.Decoder(_Sample | list[_Sample] | float | bool | None | str).decode
_decode_sample = msgspec.json.Decoder(_Sample).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder().decode
_KEYS = "ts, value (or v), unit (or u), q, seq, src, pid, x"


Row = tuple[int, Any, float, int, int, int]
"""Dense sensor index; event time as sent (number, ISO text or None); value in the declared unit;
quality code; the device's own sequence number, -1 for none; position of the message."""


@dataclass(slots=True)
class Rows:
    """Raw samples of many messages, in order.

    Attributes:
        items: One tuple per sample.
        time_unit: Unit of times per item where it is not found by size; sparse.
        columns: Messages that came in columns already: (position of the message, columns).
    """

    items: list[Row] = field(default_factory=list)
    time_unit: dict[int, str] = field(default_factory=dict)
    columns: list[tuple[int, Any]] = field(default_factory=list)


def read_single(
    payload: bytes, target: Target, rows: Rows, entry: int
) -> Sequence[tuple[str, str]]:
    """Append the samples of a payload that speaks about one sensor.

    Returns:
        (reason, detail) of each element of an array that was refused; the others were appended.

    Raises:
        DecodeError: Nothing of the payload was appended.
    """
    if len(payload) > MAX_BYTES:
        raise DecodeError(Reason.OVERSIZE, f"{len(payload)} bytes; at most {MAX_BYTES}")
    try:
        said = _decode(payload)
    except msgspec.ValidationError as error:
        if payload.lstrip()[:1] == b"[":
            return _elements(payload, target, rows, entry)
        raise DecodeError(*_explain(payload, str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = _plain_number(payload, str(error))
    except RecursionError as error:
        raise DecodeError(Reason.DEPTH, "the JSON is nested too deeply") from error
    if type(said) is _Sample:
        rows.items.append(_row(said, target, entry))
    elif type(said) is float:
        rows.items.append((target.index, None, said, GOOD, -1, entry))
    elif type(said) is list:
        return _elements(payload, target, rows, entry)
    elif type(said) is bool:
        rows.items.append((target.index, None, _truth(said, target), GOOD, -1, entry))
    else:
        shown = "null" if said is None else "text"
        raise DecodeError(
            Reason.SCHEMA, f'{shown} alone is no value; send a number or {{"value": number}}'
        )
    return ()


def _elements(payload: bytes, target: Target, rows: Rows, entry: int) -> Sequence[tuple[str, str]]:
    """Append the good elements of an array; a bad one does not spoil its neighbours."""
    try:
        elements = _decode_list(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(Reason.DECODE, f"no JSON ({error}): {_excerpt(payload)}") from error
    except RecursionError as error:
        raise DecodeError(Reason.DEPTH, "the JSON is nested too deeply") from error
    if not elements:
        raise DecodeError(Reason.SCHEMA, "the list is empty; send at least one sample")
    if len(elements) > _MAX_SAMPLES:
        raise DecodeError(
            Reason.OVERSIZE, f"{len(elements)} samples in one message; at most {_MAX_SAMPLES}"
        )
    refused: list[tuple[str, str]] = []
    for number, element in enumerate(elements, start=1):
        try:
            rows.items.append(_row(_decode_sample(element), target, entry))
        except DecodeError as error:
            refused.append((error.reason, f"sample {number} of {len(elements)}: {error.detail}"))
        except msgspec.ValidationError as error:
            reason, detail = _explain(bytes(element), str(error))
            refused.append((reason, f"sample {number} of {len(elements)}: {detail}"))
    return refused


def _row(sample: _Sample, target: Target, entry: int) -> Row:
    value = sample.value
    if value is msgspec.UNSET:
        value = sample.v
        if value is msgspec.UNSET:
            raise DecodeError(Reason.SCHEMA, f'key "value" is missing; allowed keys: {_KEYS}')
    quality = GOOD if sample.q is None or sample.q == GOOD else _quality(sample.q)
    number = value if type(value) is float else _number(value, quality, target)
    unit = sample.unit or sample.u
    if unit is not None and unit != target.unit:
        number = _convert(number, unit, target)
    seq = -1 if sample.seq is None else sample.seq
    if seq < -1:
        raise DecodeError(Reason.SCHEMA, f"seq {seq} is negative")
    return target.index, sample.ts, number, quality, seq, entry


def _quality(code: int) -> int:
    if code in {GOOD, UNCERTAIN, BAD}:
        return code
    if 0 <= code <= 255:
        return GOOD if code >= GOOD else UNCERTAIN if code >= UNCERTAIN else BAD
    raise DecodeError(Reason.SCHEMA, f"q is {code}; allowed: 192 good, 64 uncertain, 0 bad")


def _number(value: Any, quality: int, target: Target) -> float:
    if type(value) is float:
        return value
    if value is None:
        if quality == BAD:
            return float("nan")
        raise DecodeError(Reason.SCHEMA, "value is null; that is allowed only with q = 0 (bad)")
    if type(value) is bool:
        return _truth(value, target)
    if type(value) is int:
        return float(value)
    raise DecodeError(
        Reason.SCHEMA, f"value is the text {_excerpt(value)}; send a number without quotes"
    )


def _truth(value: bool, target: Target) -> float:
    """A truth value is 0 or 1, but only where a pure number is measured."""
    if target.unit != "1":
        raise DecodeError(
            Reason.SCHEMA, f"{str(value).lower()} is no value in {target.unit}; send a number"
        )
    return float(value)


def _convert(number: float, unit: str, target: Target) -> float:
    factor = target.factor(unit)
    if factor is None:
        usual = meant(unit, target.unit)
        hint = f'; did you mean "{usual}"?' if usual else ""
        raise DecodeError(
            Reason.UNIT,
            f'unit "{unit}" does not convert to "{target.unit}", the unit of {target.id}'
            f" in the line description{hint}; mend the device or the unit of the sensor",
        )
    return number * factor[0] + factor[1]


def _plain_number(payload: bytes, error: str) -> float:
    """A number as text that is not quite JSON (``+1.5``, ``1.``, surrounded by blanks)."""
    if not payload:
        raise DecodeError(Reason.DECODE, "the payload is empty")
    text = payload[:_MAX_NUMBER].strip()
    if len(payload) <= _MAX_NUMBER and _NUMBER.fullmatch(text):
        number = float(text)
        if number - number == 0.0:
            return number
        raise DecodeError(Reason.NONFINITE, f"{_excerpt(payload)} is too large a number")
    if b"," in text and not text.startswith((b"{", b"[")):
        raise DecodeError(
            Reason.DECODE, f"{_excerpt(payload)}: write the number with a decimal point"
        )
    if text.lower().lstrip(b"+-") in {b"nan", b"inf", b"infinity"}:
        raise DecodeError(Reason.NONFINITE, f"{_excerpt(payload)} is no finite number")
    if b"NaN" in payload or b"Infinity" in payload:
        raise DecodeError(
            Reason.NONFINITE, 'NaN and Infinity are no JSON; send null with "q": 0 instead'
        )
    raise DecodeError(Reason.DECODE, f"neither JSON nor a number ({error}): {_excerpt(payload)}")


def _explain(payload: bytes, error: str) -> tuple[str, str]:
    if "unknown field" in error:
        advice = "a foreign payload needs a [[mapping]] or a `path` in the line description"
        return Reason.SCHEMA, f"{error}; allowed keys: {_KEYS}; {advice}"
    if "out of range" in error:
        return Reason.NONFINITE, f"the number is out of range: {_excerpt(payload)}"
    words = error.replace("Expected `object`", 'expected a sample like {"value": 1.5}')
    return Reason.SCHEMA, f"{words}: {_excerpt(payload)}"


def _excerpt(text: bytes | str) -> str:
    cut = text[:80]
    shown = cut.decode("utf-8", "backslashreplace") if isinstance(cut, bytes) else cut
    return f"'{shown}'" + ("…" if len(text) > 80 else "")


def read_nested(payload: bytes, route: Route, rows: Rows, entry: int) -> None:
    """Append the values a mapping names; places that are absent are no samples.

    Raises:
        DecodeError: The document cannot be read, or holds none of the mapped values.
    """
    document = _document(payload)
    time = _look(document, route.time) if route.time else _usual_time(document)
    said = _look(document, route.seq) if route.seq else _usual_seq(document)
    seq = said if type(said) is int and said >= 0 else -1
    quality = GOOD
    if route.quality:
        code = _look(document, route.quality)
        if type(code) is int:
            quality = _quality(code)
        elif type(code) is bool:
            quality = GOOD if code else BAD
    found = [
        row
        for target in route.targets
        if (row := _nested(document, target, time, quality, seq, entry)) is not None
    ]
    if not found:
        wanted = ", ".join(".".join(map(str, t.path)) for t in route.targets[:5])
        raise DecodeError(
            Reason.SCHEMA, f"none of the mapped values is there ({wanted}): {_excerpt(payload)}"
        )
    before = len(rows.items)
    rows.items.extend(found)
    if route.time_unit != "auto":
        for place in range(before, len(rows.items)):
            rows.time_unit[place] = route.time_unit


def _document(payload: bytes) -> Any:
    if len(payload) > MAX_BYTES:
        raise DecodeError(Reason.OVERSIZE, f"{len(payload)} bytes; at most {MAX_BYTES}")
    try:
        return _decode_any(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(Reason.DECODE, f"no JSON ({error}): {_excerpt(payload)}") from error
    except RecursionError as error:
        raise DecodeError(Reason.DEPTH, "the JSON is nested too deeply") from error


def read_row(payload: bytes, route: Route, rows: Rows, entry: int) -> None:
    """Append a row of a recording that is played as messages: column name to value.

    Raises:
        DecodeError: No JSON object, or it holds none of the station's columns.
    """
    document = _document(payload)
    if not isinstance(document, dict):
        raise DecodeError(Reason.SCHEMA, "a row is one JSON object of column names and values")
    said = _usual_seq(document)
    seq = said if type(said) is int and said >= 0 else -1
    time = document.get("ts")
    found = [
        (target.index, time, float(value), GOOD, seq, entry)
        for name, value in document.items()
        if (target := route.columns.get(name)) is not None and type(value) in {float, int}
    ]
    if not found:
        raise DecodeError(
            Reason.SCHEMA,
            f"none of the station's columns is there ({', '.join(list(route.columns)[:8])} …)",
        )
    rows.items.extend(found)


def _nested(
    document: Any, target: Target, time: Any, quality: int, seq: int, entry: int
) -> Row | None:
    value = _look(document, target.path)
    if value is None:
        return None
    if isinstance(value, dict):
        unit = value.get("unit", value.get("u"))
        value = value.get("value", value.get("v"))
    else:
        unit = target.sent_unit
    number = _number(value, quality, target)
    if isinstance(unit, str) and unit and unit != target.unit:
        number = _convert(number, unit, target)
    return target.index, time, number, quality, seq, entry


def _look(document: Any, path: list[PathStep]) -> Any:
    for step in path:
        if isinstance(step, int):
            if not isinstance(document, list) or step >= len(document):
                return None
            document = document[step]
        elif isinstance(document, dict):
            document = document.get(step)
        else:
            return None
    return document


def _usual_time(document: Any) -> Any:
    if isinstance(document, dict):
        for key in ("ts", "timestamp", "time"):
            if key in document:
                return document[key]
    return None


def _usual_seq(document: Any) -> Any:
    return document.get("seq") if isinstance(document, dict) else None


def iso_to_ns(text: str) -> int:
    """Nanoseconds of an ISO 8601 time with a zone.

    Raises:
        ValueError: Not ISO 8601, or no zone.

    Examples:
        >>> iso_to_ns("2025-06-25T12:47:23.474Z")
        1750855643474000000
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; append Z or an offset")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    found = (delta.days * 86_400_000_000 + delta.seconds * 1_000_000 + delta.microseconds) * 1000
    finer = _FINER.search(text)
    return found + int(finer[1].ljust(3, "0")) if finer else found
