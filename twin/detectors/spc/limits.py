"""Which limits a chart has: declared ones, or those of the approved baseline of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from twin.model.batch import recipe_code
from twin.model.line import Series

if TYPE_CHECKING:
    from twin.model.index import LineIndex, SensorRow
    from twin.model.line import Chart

__all__ = ["Limits", "chart_of", "limits_of", "rest_of", "unsaid_of"]


class Limits(NamedTuple):
    """Centre line and sigma of a chart while one recipe runs.

    Attributes:
        recipe: Recipe they hold for; empty for all that have none of their own.
        centre: Centre line, unit of the plotted point.
        sigma: Standard deviation of the plotted point, > 0.
        baseline: Where they are from, ``id@version``; empty when nobody said.
        level: Mean of the signal behind residuals, unit of the sensor; None for other points.
        series: How samples become points.
    """

    recipe: str
    centre: float
    sigma: float
    baseline: str
    level: float | None
    series: str

    @property
    def code(self) -> int:
        """Code of the recipe."""
        return recipe_code(self.recipe)


def chart_of(row: SensorRow) -> Chart:
    """The chart of a sensor that has one.

    Raises:
        ValueError: It has none.
    """
    chart = row.spec.chart
    if chart is None:
        raise ValueError(f"sensor {row.id!r} has no chart")
    return chart


def limits_of(row: SensorRow, index: LineIndex) -> list[Limits]:
    """Limits of a sensor's chart, one per recipe.

    A chart that declares centre and sigma has those and no others; else those of the approved
    baselines count.

    Returns:
        Empty for a sensor without a chart and for a chart nobody has limits for yet.
    """
    chart = row.spec.chart
    if chart is None:
        return []
    if chart.centre is not None and chart.sigma is not None:
        return [
            Limits(
                chart.recipe,
                chart.centre,
                chart.sigma,
                chart.baseline,
                chart.level if chart.series is Series.RESIDUAL else None,
                chart.series.value,
            )
        ]
    return [
        Limits(
            baseline.recipe,
            baseline.centre,
            baseline.sigma,
            baseline.name,
            baseline.level if baseline.series is Series.RESIDUAL else None,
            baseline.series.value,
        )
        for baseline in index.baselines.get(row.id, [])
    ]


def rest_of(found: list[Limits]) -> int:
    """Which limits count for a recipe without any of its own, -1 for none."""
    return next((v for v, limits in enumerate(found) if not limits.recipe), -1)


def unsaid_of(found: list[Limits], chart: Chart) -> int:
    """Which limits count when nobody says which recipe runs, -1 for none.

    Those for all recipes, else those the chart itself declares.
    """
    rest = rest_of(found)
    return (
        0 if rest < 0 and found and chart.centre is not None and chart.sigma is not None else rest
    )
