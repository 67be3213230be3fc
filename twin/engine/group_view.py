"""Groups of sensors as the board shows them: verdict, statistic and who contributes how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.engine import present
from twin.engine.judgement import judgement, tile_state

if TYPE_CHECKING:
    from twin.engine.detection import Detection
    from twin.model.index import LineIndex, SensorRow

__all__ = ["group", "group_tile", "plotted"]


def _judge_of(detection: Detection, number: int) -> tuple[Any, dict[str, Any]] | None:
    """The detector that judges a group, and what it says; None when nobody does."""
    for judge in detection.judges:
        if judge.about == "group" and hasattr(judge, "state"):
            said = judge.state(number)
            if said is not None:
                return judge, said
    return None


def _values(judge: Any, values: list[float]) -> list[float | None]:
    """The statistic of each vector; those it only learned from have none."""
    learns = judge.name == "group_anomaly"
    return [None if learns and value == 0.0 else present.number(value) for value in values]


def _open(detection: Detection, number: int) -> dict[str, Any] | None:
    events = detection.group_findings(number)
    if not events:
        return None
    return present.finding(max(events, key=lambda event: event.t_last), is_open=True)


def group_tile(
    detection: Detection, row: SensorRow, number: int, *, sparks: bool
) -> dict[str, Any]:
    """The parts of a ``Tile`` that a group has of its own.

    Args:
        detection: All detectors.
        row: The group as a row beside the sensors.
        number: Its place among the groups of the line.
        sparks: Whether the last values are wanted.
    """
    found = _judge_of(detection, number)
    finding = _open(detection, number)
    if found is None:
        return {"value": None, "judged": None, "limits": None, "finding": finding, "time_ns": None}
    judge, said = found
    judged = judgement(judge.name, said)
    spark: list[float | None] = []
    if sparks:
        spark = _values(judge, (judge.plotted(number, 60) or {}).get("v", []))
    value = said["value"]
    return {
        "value": None if value is None else present.number(value),
        "limits": {"ucl": present.number(said["ucl"])},
        "judged": judged,
        "state": "warn" if finding else tile_state(judged),
        "finding": finding,
        "spark": spark,
        "time_ns": said["time_ns"],
        "title": row.spec.title or row.spec.key,
    }


def group(detection: Detection, index: LineIndex, number: int) -> dict[str, Any]:
    """A ``Group``."""
    spec = index.line.group[number]
    row = index.groups()[number]
    answer: dict[str, Any] = {
        "sensor": row.id,
        "id": spec.id,
        "title": spec.title or spec.id,
        "kind": spec.kind,
        "members": [{"sensor": name, "title": _title(index, name)} for name in spec.sensors],
        "finding": _open(detection, number),
        "judged": None,
        "state": "measured",
        "recipe": spec.recipe,
        "baseline": spec.baseline,
    }
    found = _judge_of(detection, number)
    if found is None:
        return answer
    judge, said = found
    judged = judgement(judge.name, said)
    kept = ("statistic", "ruleset", "points", "late", "cannot_judge", "incomplete", "other_recipe")
    spe = "spe" in said.get("rules", [])
    return answer | {
        "judged": judged,
        "state": "warn" if answer["finding"] else tile_state(judged),
        "value": None if said["value"] is None else present.number(said["value"]),
        "ucl": present.number(said["ucl"]),
        "spe": said.get("spe"),
        "spe_ucl": said.get("spe_ucl"),
        "limit_from": said.get("limit_from", ""),
        "contributions": [_share(item, index, residual=spe) for item in said["contributions"]],
        **{key: said[key] for key in kept},
    }


def _title(index: LineIndex, sensor: str) -> str:
    row = index.by_id.get(sensor)
    return sensor if row is None else row.spec.title or row.spec.key


def _share(item: dict[str, Any], index: LineIndex, *, residual: bool) -> dict[str, Any]:
    """A ``Contribution``: what is unusual about one member, and how much it weighs."""
    z = float(item["z"])
    answer = {
        "sensor": item["sensor"],
        "title": _title(index, item["sensor"]),
        "value": item.get("value"),
        "unit": item.get("unit", ""),
        "about": item.get("about", "level"),
        "z": z,
        "weight": z * z,
    }
    if residual:
        answer |= {"about": "residual", "weight": float(item["spe"])}
    elif "t2" in item:
        answer["weight"] = max(0.0, float(item["t2"]))
    elif item.get("conditional", 0.0) > item.get("unconditional", 0.0):
        answer |= {"about": "others", "z": float(item["off"]), "weight": float(item["conditional"])}
    elif "unconditional" in item:
        answer["weight"] = float(item["unconditional"])
    return answer


def plotted(detection: Detection, number: int, points: int) -> dict[str, Any]:
    """Columns of the statistic: ``t``, ``v``, ``ucl``, ``rules``, and of PCA ``second``."""
    found = _judge_of(detection, number)
    drawn = None if found is None else found[0].plotted(number, points)
    if found is None or not drawn:
        return {"t": [], "v": [], "rules": []}
    answer: dict[str, Any] = {
        "t": drawn["t"],
        "v": _values(found[0], drawn["v"]),
        "ucl": present.number(drawn["ucl"]),
        "rules": drawn.get("rules") or [[] for _ in drawn["t"]],
    }
    if "spe" in drawn:
        out = [["spe"] if "spe" in rules else [] for rules in answer["rules"]]
        answer["rules"] = [[r for r in rules if r != "spe"] for rules in answer["rules"]]
        answer["second"] = {
            "v": present.numbers(drawn["spe"]),
            "ucl": present.number(drawn["spe_ucl"]),
            "rules": out,
        }
    return answer
