"""A baseline: what a characteristic looked like when the line was in control, frozen and signed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twin.model.line import Model, Series

__all__ = ["Baseline", "Exclusion"]


class Exclusion(Model):
    """Points that were left out, and why.

    Attributes:
        first: Event time of the first of them, ISO 8601 UTC.
        last: Event time of the last.
        points: How many.
        cause: The assignable cause somebody named.
        round: Round of the retrospective chart in which they were found, 1 or 2; 0 for points that
            the validity tests had marked.
    """

    first: str
    last: str
    points: Annotated[int, Field(ge=1)]
    cause: Annotated[str, Field(min_length=1)]
    round: Annotated[int, Field(ge=0, le=2)] = 0


class Baseline(Model):
    """One immutable record of the baseline file.

    ``centre`` and ``sigma`` are those of the *plotted* point of ``series``. A record without
    ``approved_by`` is a candidate: shown, rehearsed, never used for limits.

    Attributes:
        id: Name; with ``version`` unique in the file, ``id@version`` in findings.
        version: 1, 2, ...
        sensor: Sensor id (``station/key``).
        recipe: Recipe it holds for; empty for all.
        tool: Tool or head it holds for; empty for all.
        unit: Unit of the sensor.
        series: How samples became points.
        block_s: Block length of ``block``, s.
        size: Subgroup size of ``piece``.
        centre: Centre line.
        sigma: Standard deviation of the plotted point.
        sigma_within: Standard deviation of a single value within a subgroup; None without.
        level: Mean of the signal, for residuals.
        ar: Coefficients of the past 1, 2, ... samples, for residuals.
        step_s: Time step the coefficients belong to, s.
        shape: Pairs (residual in sigma, normal score), both rising: the map that makes the plotted
            points standard normal; empty for none. Linear between, continued beyond.
        estimator: How sigma was estimated, for example ``mean moving range``.
        phi: Lag-1 correlation of the raw samples, bias-corrected.
        n: Points used.
        excluded: Points left out.
        start: Event time of the first point, ISO 8601 UTC.
        end: Event time of the last.
        source: Recording or journal range they came from.
        rules: Rule set it was tested with.
        arl0: Mean run length in control of that set, points.
        tests: Named results of the tests it passed or failed, for example ``anderson_darling``.
        created_by: Who fitted it.
        created: When, ISO 8601 UTC.
        approved_by: Who approved it; empty for a candidate.
        approved: When; empty for a candidate.
        reason: Why it was made or approved.
        supersedes: Record it replaces, ``id@version``; empty for the first.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9_.:-]{1,80}$")]
    version: Annotated[int, Field(ge=1)]
    sensor: str
    recipe: str = ""
    tool: str = ""
    unit: str = "1"
    series: Series = Series.RAW
    block_s: float | None = None
    size: int | None = None
    centre: float
    sigma: Annotated[float, Field(gt=0)]
    sigma_within: Annotated[float, Field(gt=0)] | None = None
    level: float | None = None
    ar: list[float] = Field(default_factory=list)
    step_s: float | None = None
    shape: list[tuple[float, float]] = Field(default_factory=list)
    estimator: str = ""
    phi: float | None = None
    n: Annotated[int, Field(ge=1)]
    excluded: list[Exclusion] = Field(default_factory=list)
    start: str = ""
    end: str = ""
    source: str = ""
    rules: str = ""
    arl0: float | None = None
    tests: dict[str, float | str | bool] = Field(default_factory=dict)
    created_by: str = ""
    created: str = ""
    approved_by: str = ""
    approved: str = ""
    reason: str = ""
    supersedes: str = ""
    kind: Literal["baseline"] = "baseline"

    @property
    def name(self) -> str:
        """``id@version`` as charts and findings carry it."""
        return f"{self.id}@{self.version}"
