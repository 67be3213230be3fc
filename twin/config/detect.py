"""Settings of detectors that stand in a sensor's ``detect`` table."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

import twin.detectors
from twin.config.shape import said
from twin.detectors.logic import Logic

if TYPE_CHECKING:
    from twin.config.positions import Path
    from twin.config.problems import Problems
    from twin.model.line import Sensor

__all__ = ["check_detect", "settings_of"]


@cache
def settings_of() -> dict[str, type[BaseModel]]:
    """Detector name to the model of its settings, for every exported detector that has one."""
    things = (getattr(twin.detectors, name) for name in twin.detectors.__all__)
    return {
        thing.name: thing.Settings
        for thing in things
        if isinstance(thing, type) and issubclass(thing, Logic) and hasattr(thing, "Settings")
    }


def check_detect(sensor: Sensor, path: Path, problems: Problems) -> None:
    """Note detectors nobody knows and settings they do not take."""
    known = settings_of()
    for name, given in sensor.detect.items():
        where: Path = (*path, "detect", name)
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"{near[0]} (did you mean that?)" if near else ", ".join(sorted(known))
            problems.add(where, "no such detector", given, hint)
            continue
        try:
            known[name].model_validate(given)
        except ValidationError as error:
            for details in error.errors():
                message, allowed = said(details)
                if details["type"] == "extra_forbidden":
                    message, allowed = "unknown key", ", ".join(known[name].model_fields)
                problems.add((*where, *details["loc"]), message, details["input"], allowed)
