"""What a person may have got wrong in a chart of counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.detectors.spc.count_limits import KINDS
from twin.detectors.spc.rules import PRESETS

if TYPE_CHECKING:
    from twin.model.line import Chart, Sensor, Station

__all__ = ["problems_of"]


def problems_of(
    chart: Chart, sensor: Sensor, station: Station | None = None
) -> list[tuple[str, str, object, str]]:
    """What is wrong with a chart of counts.

    Args:
        chart: The chart.
        sensor: Its sensor.
        station: Station of the sensor, to look for ``size_of``; None skips that.

    Returns:
        Key within ``chart``, what is wrong, value found, what is allowed.
    """
    kind = str(chart.type)
    if kind not in KINDS:
        return []
    found: list[tuple[str, str, object, str]] = []
    share = kind in {"p", "laney_p"}
    if chart.centre is not None:
        if chart.centre < 0 or (share and chart.centre > 1):
            allowed = "a proportion from 0 to 1" if share else "0 or more"
            found.append(("centre", f"is no centre line of a {kind} chart", chart.centre, allowed))
        elif kind == "np" and chart.n is not None and chart.centre > chart.n:
            found.append(
                ("centre", "is more than the sample size", chart.centre, f"0 to {chart.n:g}")
            )
    found += _size_problems(chart, kind, sensor, station)
    if kind.startswith("laney") and chart.sigma_z is None:
        found.append(("sigma_z", "is missing", None, "sigma of z between samples, from phase I"))
    if kind not in {"laney_p", "laney_u"} and chart.sigma_z is not None:
        found.append(
            ("sigma_z", f"means nothing on a {kind} chart", chart.sigma_z, f"laney_{kind}")
        )
    if (
        "rules" in chart.model_fields_set
        and chart.rules in PRESETS
        and not chart.reason
        and len(PRESETS[chart.rules].rules) > 1
    ):
        found.append(
            (
                "rules",
                "has zone rules, which cry wolf on counts",
                chart.rules,
                "shewhart, or a reason",
            )
        )
    for key in ("ewma_lambda", "cusum_k"):
        value = getattr(chart, key)
        if value is not None:
            found.append((key, "is not for charts of counts", value, "a chart of type i"))
    return found


def _size_problems(
    chart: Chart, kind: str, sensor: Sensor, station: Station | None
) -> list[tuple[str, str, object, str]]:
    found: list[tuple[str, str, object, str]] = []
    if kind == "c":
        if chart.size_of:
            found.append(("size_of", "is not for equal units", chart.size_of, 'type = "u"'))
        return found
    if kind == "np" and chart.size_of:
        found.append(
            ("size_of", "changes the centre line of every point", chart.size_of, 'type = "p"')
        )
    elif chart.n is None and not chart.size_of:
        found.append(
            ("n", "is missing", None, "the sample size, or size_of = a sensor that sends it")
        )
    elif chart.n is not None and chart.size_of:
        found.append(("n", "stands beside size_of", chart.n, "one of the two"))
    if chart.n is not None and kind in {"p", "np", "laney_p"} and chart.n != int(chart.n):
        found.append(("n", "is no number of units", chart.n, "a whole number"))
    if chart.size_of and station is not None:
        keys = [other.key for other in station.sensor if other.key != sensor.key]
        if chart.size_of not in keys:
            found.append(("size_of", "no such sensor here", chart.size_of, ", ".join(keys)))
    return found
