"""What a person may have got wrong in a chart for short runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.model.line import ChartType

if TYPE_CHECKING:
    from collections.abc import Collection

    from twin.model.line import Chart, Sensor

__all__ = ["problems_of"]


def problems_of(
    chart: Chart, sensor: Sensor, recipes: Collection[str] | None = None
) -> list[tuple[str, str, object, str]]:
    """What is wrong with a chart of type ``q``, ``dnom`` or ``z``.

    Args:
        chart: The chart.
        sensor: Its sensor.
        recipes: Recipes the line knows; None skips asking whether the nominal values are of any.

    Returns:
        Key within ``chart``, what is wrong, value found, what is allowed.
    """
    found: list[tuple[str, str, object, str]] = []
    if chart.type is ChartType.Q:
        found += [
            (key, "is not known beforehand on a self-starting chart", value, 'none, or type = "i"')
            for key, value in (("centre", chart.centre), ("sigma", chart.sigma))
            if value is not None
        ]
    elif chart.type in {ChartType.DNOM, ChartType.Z}:
        found += _by_recipe(chart, sensor, recipes)
    else:
        return []
    if chart.type is not ChartType.Z and chart.sigmas:
        found.append(
            ("sigmas", f"means nothing on a {chart.type} chart", chart.sigmas, 'type = "z"')
        )
    if chart.type is ChartType.Q and chart.nominal:
        found.append(("nominal", "means nothing on a q chart", chart.nominal, 'type = "dnom"'))
    return found


def _by_recipe(
    chart: Chart, sensor: Sensor, recipes: Collection[str] | None
) -> list[tuple[str, str, object, str]]:
    found: list[tuple[str, str, object, str]] = []
    target = sensor.limits.target if sensor.limits else None
    if not chart.nominal:
        proposal = "a value per recipe" if target is None else f'{{ "" = {target:g} }}'
        found.append(("nominal", "is missing", None, proposal))
    if recipes is not None:
        unknown = sorted(set(chart.nominal) - set(recipes) - {""})
        if unknown:
            known = ", ".join(sorted(recipes)) or "none is known"
            found.append(("nominal", "is for no recipe of the line", ", ".join(unknown), known))
    if chart.type is ChartType.DNOM:
        if chart.sigma is None:
            found.append(("sigma", "is missing", None, "one sigma for all recipes, above 0"))
        return found
    without = sorted(set(chart.nominal) - set(chart.sigmas))
    if without:
        found.append(("sigmas", "is missing for a recipe", None, ", ".join(map(repr, without))))
    beside = sorted(set(chart.sigmas) - set(chart.nominal))
    if beside:
        found.append(
            ("sigmas", "is for a recipe without nominal value", ", ".join(beside), "nominal")
        )
    for key, value in (("centre", chart.centre), ("sigma", chart.sigma)):
        if value is not None:
            found.append((key, "means nothing on a z chart", value, "nominal and sigmas by recipe"))
    return found
