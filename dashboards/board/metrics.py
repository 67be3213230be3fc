"""The ledger and the state of the engine as Prometheus text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Rows = list[tuple[dict[str, str], Any]]


def exposition(overview: dict[str, Any], ledger: dict[str, Any], streams: int, version: str) -> str:
    """All metrics in the text format 0.0.4.

    Args:
        overview: ``View.overview()``.
        ledger: ``View.ledger()``.
        streams: Open live streams.
        version: Version of linetwin.
    """
    line = {"site": overview["line"]["site"], "line": overview["line"]["name"]}
    return "".join(
        _metric(name, kind, text, ((line | labels, value) for labels, value in rows))
        for name, kind, text, rows in _table(overview, ledger, streams, version)
    )


def _table(
    overview: dict[str, Any], ledger: dict[str, Any], streams: int, version: str
) -> list[tuple[str, str, str, Rows]]:
    engine, alarms, journal = overview["engine"], overview["alarms"], ledger["journal"]
    sources = ledger.get("sources", [])
    count, gauge = "counter", "gauge"

    def one(value: object) -> Rows:
        return [({}, value)]

    def each(key: str) -> Rows:
        return [({"source": s["source"]}, s.get(key)) for s in sources]

    return [
        ("samples_received_total", count, "Samples received.", one(ledger["received"])),
        ("samples_stored_total", count, "Samples accepted and stored.", one(ledger["stored"])),
        (
            "samples_rejected_total",
            count,
            "Samples refused, by reason code.",
            [({"reason": r}, n) for r, n in sorted(ledger["rejected"].items())],
        ),
        ("samples_pending", gauge, "Samples not processed yet.", one(ledger["pending"])),
        (
            "ledger_balanced",
            gauge,
            "1 when received = stored + rejected + pending.",
            one(ledger["balanced"]),
        ),
        (
            "messages_received_total",
            count,
            "Journal entries taken in.",
            one(ledger["messages"]["received"]),
        ),
        (
            "messages_processed_total",
            count,
            "Journal entries worked through.",
            one(ledger["messages"]["processed"]),
        ),
        ("duplicates_total", count, "Repeat deliveries.", one(ledger.get("duplicates", 0))),
        ("findings_total", count, "Findings.", one(ledger.get("findings", 0))),
        ("alarms_total", count, "Annunciations.", one(ledger.get("alarms", 0))),
        (
            "alarms_active",
            gauge,
            "Alarms that need somebody, by priority.",
            [({"priority": p}, alarms.get(p, 0)) for p in ("P1", "P2", "P3", "P4")],
        ),
        ("alarms_unacked", gauge, "Alarms nobody acknowledged.", one(alarms.get("unacked", 0))),
        ("engine_alive", gauge, "1 while the engine works.", one(engine["alive"])),
        ("engine_lag_seconds", gauge, "Age of the oldest unread entry.", one(engine["lag_s"])),
        ("engine_last_seq", gauge, "Last journal number processed.", one(engine["last_seq"])),
        ("source_messages_total", count, "Messages by source.", each("messages")),
        (
            "source_up",
            gauge,
            "1 while the source delivers.",
            [({"source": s["source"]}, s.get("state", "ok") == "ok") for s in sources],
        ),
        ("source_clock_skew_seconds", gauge, "Clock of the source minus ours.", each("skew_s")),
        ("journal_segments", gauge, "Journal files.", one(journal["segments"])),
        ("journal_bytes", gauge, "Journal size on disk.", one(journal["bytes"])),
        ("journal_last_seq", gauge, "Last number in the journal.", one(journal["last_seq"])),
        ("journal_cursor", gauge, "Last number whose results are kept.", one(journal["cursor"])),
        ("board_streams", gauge, "Open live streams.", one(streams)),
        ("build_info", gauge, "Version as a label.", [({"version": version}, 1)]),
    ]


def _metric(name: str, kind: str, text: str, rows: Iterable[tuple[dict[str, str], Any]]) -> str:
    known = [(labels, value) for labels, value in rows if value is not None]
    if not known:
        return ""
    lines = [f"# HELP linetwin_{name} {_help(text)}", f"# TYPE linetwin_{name} {kind}"]
    for labels, value in known:
        inside = ",".join(f'{key}="{_label(text)}"' for key, text in labels.items())
        lines.append(f"linetwin_{name}{{{inside}}} {float(value):.17g}")
    return "\n".join(lines) + "\n"


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _label(text: str) -> str:
    r"""A label value with the three characters the format reserves escaped.

    Examples:
        >>> _label('a"b')
        'a\\"b'
    """
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
