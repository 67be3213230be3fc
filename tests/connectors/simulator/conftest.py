"""The pilot line, which the simulator has models for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twin.config import load

if TYPE_CHECKING:
    from pathlib import Path

    from twin.model.index import LineIndex


@pytest.fixture(scope="session")
def pilot(root: Path) -> LineIndex:
    """``examples/pilot-line``."""
    return load(root / "examples/pilot-line/line.toml")
