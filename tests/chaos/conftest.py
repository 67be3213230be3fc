"""Long fault runs use the running lines of the end-to-end tests."""

from __future__ import annotations

from tests.e2e.conftest import lines

__all__ = ["lines"]
