"""What the detectors think of a sensor or a group now, as the board says it.

Every detector has ``state(subject)``; they differ in what they know, so the common part is taken
out here: a verdict, and for "cannot judge" a reason the board has words for in its languages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twin.detectors.outliers.anomaly_walk import LEARN

if TYPE_CHECKING:
    from twin.engine.detection import Detection

__all__ = ["chart_of", "judgement", "others", "overall", "states", "tile_state"]

_CHARTS = ("charts", "short_runs", "attributes")
"""Detectors that answer whether a sensor is in control; :func:`chart_of` says which one does."""

_SETTINGS = frozenset({"cadence"})
"""Detectors that judge how a sensor is set up, not what it measures."""

_COUNTED = re.compile(r"(\d+) of (\d+)")
_SELF_STARTING = 3
"""Pieces a self-starting chart must have seen before it can say anything."""


def states(detection: Detection, sensor: int) -> dict[str, dict[str, Any]]:
    """What every detector that judges a sensor says about it; name of the detector to its state."""
    found: dict[str, dict[str, Any]] = {}
    for judge in detection.judges:
        if judge.about != "sensor" or judge.name in _SETTINGS:
            continue
        tell = getattr(judge, "state", None)
        said = None if tell is None else tell(sensor)
        if said is not None:
            found[judge.name] = said
    return found


def judgement(name: str, said: dict[str, Any]) -> dict[str, Any]:
    """A ``Judgement``: the verdict of one detector and why it is what it is.

    Args:
        name: Name of the detector.
        said: Its state.
    """
    answer = {"detector": name, "verdict": said["verdict"], "code": "", "text": ""}
    learned = said.get("learned")
    if said.get("mode") == "self-starting":
        more = {"code": "self_starting", "have": learned}
        return answer | more | ({"need": _SELF_STARTING} if (learned or 0) < _SELF_STARTING else {})
    if said["verdict"] != "cannot judge":
        return answer
    why = str(said.get("why", ""))
    counted = _COUNTED.search(why)
    if counted:
        return answer | {"code": "learning", "have": int(counted[1]), "need": int(counted[2])}
    if name == "anomaly" and said["learned"] <= LEARN:
        return answer | {"code": "learning", "have": said["learned"], "need": LEARN}
    if name == "hampel" and said["filled"] < said["window"]:
        return answer | {"code": "learning", "have": said["filled"], "need": said["window"]}
    if name == "charts" and why:
        return answer | {"code": "no_limits", "text": why}
    if why:
        return answer | {"code": "text", "text": why}
    return answer | {"code": "invalid" if said.get("points", 1) else "no_points"}


def chart_of(found: dict[str, dict[str, Any]]) -> str:
    """Which detector is the chart of a sensor now; empty when none is.

    Limits in force go before a chart that still makes its own; one that was given nothing to learn
    from (samples that wait for a baseline) has no say.
    """
    there = [name for name in _CHARTS if name in found and not _idle(found[name])]
    there = there or [name for name in _CHARTS if name in found]
    limited = [name for name in there if found[name].get("centre") is not None]
    return (limited or there or [""])[0]


def _idle(said: dict[str, Any]) -> bool:
    return said.get("mode") == "self-starting" and not said["points"] and not said["learned"]


def overall(found: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The ``Judgement`` of a sensor; None when nobody judges it.

    A signal of any detector is a signal; otherwise the chart speaks, and without one whoever has an
    answer.
    """
    if not found:
        return None
    chart = chart_of(found)
    beside = [name for name in found if name not in _CHARTS]
    ranked = [chart, *beside] if chart else beside
    wanted = ("signal",) if chart else ("signal", "in control")
    for verdict in wanted:
        for name in ranked:
            if found[name]["verdict"] == verdict:
                return judgement(name, found[name])
    return judgement(ranked[0], found[ranked[0]])


def others(found: dict[str, dict[str, Any]], chart: str) -> list[dict[str, Any]]:
    """Judgements beside the chart's own, each with its one number (``ratio``, ``p``, ...)."""
    told = []
    for name, said in found.items():
        if name in _CHARTS and chart:
            continue
        number = next((key for key in ("ratio", "p", "value", "median") if key in said), "")
        entry = judgement(name, said)
        told.append(entry | {"number": number, "value": said.get(number) if number else None})
    return told


def tile_state(judged: dict[str, Any] | None) -> str:
    """State of a tile without alarm or finding: what nobody judged is never "in control"."""
    if judged is None:
        return "measured"
    if judged["verdict"] != "cannot judge":
        return "ok" if judged["verdict"] == "in control" else "warn"
    return "learning" if judged["code"] in {"learning", "self_starting"} else "unjudged"
