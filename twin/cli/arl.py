"""``arl``: how often does a chart speak, in control and after a shift?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from twin.cli.out import console, print_json
from twin.detectors.spc.rules import PRESETS, Kind, Rule
from twin.detectors.spc.runlength import (
    RunLength,
    arl_cusum,
    arl_ewma,
    arl_mewma,
    arl_rules,
    design_cusum,
    design_ewma,
    design_mewma,
    design_shewhart,
    fastest,
    together,
)
from twin.detectors.spc.runlength.simulate import simulate
from twin.model.line import Chart

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.detectors.spc.rules import RuleSet
    from twin.detectors.spc.runlength.ewma import EwmaLimits

__all__ = ["add_to"]

_DAY_S = 86_400.0


_FORMS: dict[str, EwmaLimits] = {
    "time-varying": "time-varying",
    "fixed": "fixed",
    "fir": "fir",
}


class _How(NamedTuple):
    """What holds for all statistics.

    Attributes:
        form: Form of EWMA limits.
        fir: Whether CUSUMs start at h/2.
        one_sided: Whether only a rise is looked for.
        phi: Correlation of neighbouring points.
    """

    form: EwmaLimits
    fir: bool
    one_sided: bool
    phi: float

    @property
    def sided(self) -> Literal["two", "high"]:
        """Sides as run lengths call them."""
        return "high" if self.one_sided else "two"


class _Judge(NamedTuple):
    """Something that judges points.

    Attributes:
        name: What the table calls it.
        run: Run length after a shift.
    """

    name: str
    run: Callable[[float], RunLength]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(arl)


def arl(
    *,
    rules: Annotated[
        str, typer.Option(metavar="NAME", help=f"Rule set: {', '.join(PRESETS)}.")
    ] = "",
    ewma: Annotated[
        str,
        typer.Option(
            metavar="LAMBDA,L", help="EWMA, for example 0.1,2.814. With --design LAMBDA alone."
        ),
    ] = "",
    ewma_limits: Annotated[
        str,
        typer.Option(
            metavar="FORM",
            help="time-varying: narrow after a start, as charts have them; fixed: as in tables;"
            " fir: half as wide at first.",
        ),
    ] = "time-varying",
    cusum: Annotated[
        str,
        typer.Option(
            metavar="K,H", help="CUSUM in sigma, for example 0.5,5. With --design K alone."
        ),
    ] = "",
    fir: Annotated[bool, typer.Option("--fir", help="CUSUM with head start h/2.")] = False,
    mewma: Annotated[
        str,
        typer.Option(
            metavar="P,LAMBDA,H",
            help="MEWMA of P variables, for example 2,0.1,8.634. With --design P,LAMBDA. Shifts are"
            " Mahalanobis distances, not squared.",
        ),
    ] = "",
    shift: Annotated[
        str, typer.Option(metavar="SIGMAS", help="Lasting shifts of the mean, comma between.")
    ] = "0,0.5,1,2",
    phi: Annotated[
        float,
        typer.Option(
            help="Correlation of neighbouring points (AR(1)); sigma is that of the points."
        ),
    ] = 0.0,
    period: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Time between points: say everything in hours too."),
    ] = None,
    design: Annotated[
        float | None,
        typer.Option(metavar="ARL0", help="Give the limits that run so long in control."),
    ] = None,
    one_sided: Annotated[
        bool, typer.Option("--one-sided", help="EWMA and CUSUM look for a rise only.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say how many points a chart takes to speak: by mistake (ARL0), and after a shift.

    ARL is the mean number of points up to the first finding, from a fresh start, with the shift
    there from the first point on. A shift of 0 is a process in control: its ARL0 is the mean
    distance of false alarms. Long ARL0 and short delays are what a good chart has; an ARL0 of 370
    at one point per second is a false alarm every six minutes.

    Numbers come from Markov chains (exact) or integral equations; EWMA and CUSUM on autocorrelated
    values (`--phi`) are simulated through the real charts, with their standard error. Points are
    normal with known mean and sigma. Several statistics together: false alarms add up at most
    (lower bound), and the fastest finds a shift (upper bound).

    Examples: `linetwin arl --rules nelson --period 1`, `linetwin arl --ewma 0.1,2.814 --cusum
    0.5,5`, `linetwin arl --design 10000 --ewma 0.1 --cusum 0.5`, `linetwin arl --rules
    western_electric --phi 0.9`.
    """
    if ewma_limits not in _FORMS:
        raise typer.BadParameter(f"{ewma_limits!r}; allowed: {', '.join(_FORMS)}")
    shifts = _numbers("--shift", shift, None)
    if not -0.99 <= phi <= 0.99:
        raise typer.BadParameter(f"--phi {phi}; allowed: -0.99 to 0.99")
    if phi and one_sided:
        raise typer.BadParameter("--phi goes with charts that look both ways")
    if period is not None and period <= 0:
        raise typer.BadParameter(f"--period {period}; allowed: more than 0 s")
    how = _How(_FORMS[ewma_limits], fir, one_sided, phi)
    try:
        judges = (
            _asked(rules, ewma, cusum, mewma, how)
            if design is None
            else _designed(design, rules, ewma, cusum, mewma, how)
        )
        table = [(judge.name, [judge.run(s) for s in shifts]) for judge in judges]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if len(table) > 1 and design is None:
        table.append(("together", [_joined(table, i, s) for i, s in enumerate(shifts)]))
    if json:
        print_json(_object(table, shifts, phi, period))
    else:
        _print(table, shifts, phi, period)


def _numbers(option: str, text: str, count: int | None) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text!r}; allowed: numbers, comma between") from error
    if count is not None and len(found) != count:
        raise typer.BadParameter(f"{option} {text!r}; allowed: {count} number(s), comma between")
    return found


def _set(name: str) -> RuleSet:
    if name not in PRESETS:
        raise typer.BadParameter(f"--rules {name!r}; allowed: {', '.join(PRESETS)}")
    return PRESETS[name]


def _asked(rules: str, ewma: str, cusum: str, mewma: str, how: _How) -> list[_Judge]:
    """What the options name, with limits."""
    judges = []
    if rules:
        if how.one_sided:
            raise typer.BadParameter("--one-sided is about EWMA and CUSUM; rules look both ways")
        chosen = _set(rules)
        judges.append(_Judge(rules, lambda s: arl_rules(chosen, s, phi=how.phi)))
    if ewma:
        weight, limit = _numbers("--ewma", ewma, 2)
        judges.append(_ewma(weight, limit, how))
    if cusum:
        k, h = _numbers("--cusum", cusum, 2)
        judges.append(_cusum(k, h, how))
    if mewma:
        p, weight, h4 = _numbers("--mewma", mewma, 3)
        judges.append(_mewma(_whole(p), weight, h4, how))
    if not judges:
        raise typer.BadParameter("say what judges: --rules, --ewma, --cusum, --mewma or --design")
    return judges


def _designed(
    arl0: float, rules: str, ewma: str, cusum: str, mewma: str, how: _How
) -> list[_Judge]:
    """Limits for an ARL0; without a statistic, those in common use."""
    if rules or how.phi:
        raise typer.BadParameter("--design gives limits of statistics, for independent points")
    judges = []
    if not (ewma or cusum or mewma):
        ewma, cusum = "0.1", "0.5"
        limit = design_shewhart(arl0, sided=how.sided)
        point = (Rule(id="rule1", kind=Kind.BEYOND, points=1, sigma=limit),)
        if not how.one_sided:
            name = f"one point beyond {limit:.5g} sigma"
            judges.append(_Judge(name, lambda s: arl_rules(point, s)))
    if ewma:
        (weight,) = _numbers("--ewma", ewma, 1)
        limit = design_ewma(weight, arl0, limits=how.form, sided=how.sided)
        judges.append(_ewma(weight, limit, how))
    if cusum:
        (k,) = _numbers("--cusum", cusum, 1)
        judges.append(_cusum(k, design_cusum(k, arl0, fir=how.fir, sided=how.sided), how))
    if mewma:
        p, weight = _numbers("--mewma", mewma, 2)
        judges.append(_mewma(_whole(p), weight, design_mewma(_whole(p), weight, arl0), how))
    return judges


def _whole(p: float) -> int:
    if p != int(p):
        raise typer.BadParameter(f"--mewma: {p:g} variables; allowed: a whole number")
    return int(p)


def _ewma(weight: float, limit: float, how: _How) -> _Judge:
    def run(shift: float) -> RunLength:
        if how.phi:
            chart = Chart(rules=None, ewma_lambda=weight, ewma_l=limit, ewma_limits=how.form)
            return simulate(chart, shift, phi=how.phi)
        return arl_ewma(weight, limit, shift, limits=how.form, sided=how.sided)

    return _Judge(f"ewma({weight:g}; {limit:.5g}) with {how.form} limits", run)


def _cusum(k: float, h: float, how: _How) -> _Judge:
    def run(shift: float) -> RunLength:
        if how.phi:
            start: Literal["zero", "head-start"] = "head-start" if how.fir else "zero"
            chart = Chart(rules=None, cusum_k=k, cusum_h=h, cusum_start=start)
            return simulate(chart, shift, phi=how.phi)
        return arl_cusum(k, h, shift, head=h / 2 if how.fir else 0.0, sided=how.sided)

    return _Judge(f"cusum({k:g}; {h:.5g})" + (" with head start" if how.fir else ""), run)


def _mewma(p: int, weight: float, h4: float, how: _How) -> _Judge:
    if how.phi:
        raise typer.BadParameter("--phi goes with --rules, --ewma and --cusum")
    # Fixed limits, as groups have them.
    return _Judge(f"mewma({p}; {weight:g}; {h4:.5g})", lambda s: arl_mewma(p, weight, h4, abs(s)))


def _joined(table: list[tuple[str, list[RunLength]]], i: int, shift: float) -> RunLength:
    parts = [runs[i] for _, runs in table]
    return together(parts) if shift == 0 else fastest(parts)


def _object(
    table: list[tuple[str, list[RunLength]]],
    shifts: list[float],
    phi: float,
    period: float | None,
) -> dict[str, Any]:
    return {
        "phi": phi,
        "period_s": period,
        "statistics": [
            {
                "statistic": name,
                "runs": [
                    {
                        "shift": shift,
                        "arl": run.arl,
                        "method": str(run.method),
                        "standard_error": run.standard_error,
                        "hours": run.arl * period / 3600 if period else None,
                        "per_day": _DAY_S / period / run.arl if period else None,
                    }
                    for shift, run in zip(shifts, runs, strict=True)
                ],
            }
            for name, runs in table
        ],
    }


def _print(
    table: list[tuple[str, list[RunLength]]],
    shifts: list[float],
    phi: float,
    period: float | None,
) -> None:
    rows = [f"points to the first finding{f', correlation {phi:g}' if phi else ''}"]
    for name, runs in table:
        rows += ["", name]
        for shift, run in zip(shifts, runs, strict=True):
            what = "in control (ARL0)" if shift == 0 else f"shift of {shift:g} sigma"
            text = f"  {what:20}  {run.text}"
            if period:
                hours = run.arl * period / 3600
                text += f"  {hours:.4g} h"
                if shift == 0:
                    text += f", {24 / hours:.4g} false findings per day"
            rows.append(text)
    console.print("\n".join(rows), markup=False, highlight=False, soft_wrap=True)
