"""What every test may use: one Hypothesis profile, and the recordings where they are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# As the command does, and before anything imports numpy: small matrices, no threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent

# The first call of a kernel compiles it, which no deadline survives. What was found is kept by
# Hypothesis in its own folder; a failure prints how to get it again.
settings.register_profile(
    "linetwin",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("linetwin")


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of public recordings, which is not part of the project; skip without it."""
    folder = Path(os.environ.get("LINETWIN_RECORDINGS", ROOT / "../shared/recordings")).resolve()
    if not folder.is_dir():
        pytest.skip(f"recordings not found at {folder} (set LINETWIN_RECORDINGS)")
    return folder
