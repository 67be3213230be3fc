"""Fault scripts: when a fault acts, and what is known of it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.simulator import Fault, Script, Truth
from connectors.simulator.script import FaultKind
from twin.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

NS = 1_000_000_000


def test_a_repeated_fault_acts_again() -> None:
    """A fault of 5 s every 100 s acts from 60 to 65 s, from 160 to 165 s, and not between."""
    fault = Fault(at_s=60, for_s=5, every_s=100, kind="load_drop", target="calender/line_load")
    acting = [s for s in (0, 59.9, 60, 64.9, 65, 159.9, 160, 164.9, 165) if fault.active(s)]
    assert acting == [60, 64.9, 160, 164.9]


def test_truth_lists_what_has_begun() -> None:
    """Occurrences are listed with begin and end, in order, only when they have begun."""
    script = Script(
        fault=[
            Fault(at_s=50, every_s=100, kind="spike", target="b", size=2),
            Fault(at_s=10, for_s=5, kind="stuck", target="a"),
        ]
    )
    assert script.truth(7 * NS, 158 * NS) == [
        Truth(FaultKind.STUCK, "a", 0.0, 17 * NS, 22 * NS),
        Truth(FaultKind.SPIKE, "b", 2.0, 57 * NS, 57 * NS),
        Truth(FaultKind.SPIKE, "b", 2.0, 157 * NS, 157 * NS),
    ]


def test_the_script_of_the_demonstration_loads(root: Path) -> None:
    """The sample is valid, begins within two minutes, and every target is a sensor of the line."""
    from twin.config import load

    script = Script.load(root / "connectors/simulator/faults.toml")
    index = load(root / "examples/pilot-line/line.toml")
    assert min(fault.at_s for fault in script.fault) <= 60
    assert {fault.target for fault in script.fault} <= index.by_id.keys()
    assert all(fault.every_s for fault in script.fault)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[fault", "no TOML"),
        ('[[fault]]\nat_s = 1\nkind = "earthquake"\ntarget = "a"', "fault.0.kind"),
        ('[[fault]]\nat_s = -1\nkind = "gap"\ntarget = "a"', "fault.0.at_s"),
        ('[[fault]]\nat_s = 1\nkind = "gap"\ntarget = "a"\nsise = 3', "fault.0.sise"),
    ],
)
def test_a_wrong_script_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """What is wrong with a script is said with its place."""
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        Script.load(path)
