"""The numbers of the page about run lengths."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from twin.detectors.spc.rules import PRESETS
from twin.detectors.spc.runlength import arl_rules, design_cusum, design_ewma, design_shewhart

PAGE = (Path(__file__).parents[5] / "docs" / "run-length.md").read_text("utf-8")


@pytest.mark.parametrize("name", list(PRESETS))
def test_rule_sets_of_the_page(name):
    """Every preset has a row with its run lengths, also on correlated values."""
    row = re.search(rf"^\| `{name}` \| (.*) \|$", PAGE, re.MULTILINE)
    assert row
    rules = PRESETS[name]
    found = [arl_rules(rules, shift).arl for shift in (0.0, 0.5, 1.0, 2.0)]
    found += [arl_rules(rules, phi=phi).arl for phi in (0.5, 0.9)]
    assert [float(text) for text in row[1].split(" | ")] == pytest.approx(found, abs=0.051)


def test_designs_of_the_page():
    """The design table is what the design functions give."""
    rows = re.findall(
        r"^\| ([\d. ]+) \| ([\d.]+) \(.*?\) \| ([\d.]+) \(.*?\) \| ([\d.]+) \(.*?\) \| ([\d.]+) ",
        PAGE,
        re.MULTILINE,
    )
    assert len(rows) == 7
    for arl0, *limits in rows:
        wanted = float(arl0.replace(" ", ""))
        found = (
            *(design_shewhart(wanted), design_ewma(0.1, wanted), design_ewma(0.2, wanted)),
            design_cusum(0.5, wanted),
        )
        assert [float(limit) for limit in limits] == pytest.approx(found, abs=0.0001)
