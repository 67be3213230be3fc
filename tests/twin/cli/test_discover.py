"""Unknown topics become rows that can be pasted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from typer.testing import CliRunner

from twin import __version__
from twin.cli.main import app
from twin.config import parse
from twin.engine.pipeline import Pipeline
from twin.engine.store import Commit, Snapshot, StateStore
from twin.model.message import Entries, Kind

if TYPE_CHECKING:
    from pathlib import Path

LINE = '[line]\nname = "l1"\n\n[[station]]\nid = "oven"\n'


def test_rows_for_unknown_topics(tmp_path: Path) -> None:
    """The proposed row, pasted below its station, gives the topic a sensor."""
    index = parse({"line.toml": LINE})
    pipeline = Pipeline(index)
    message = Entries(1, Kind.MESSAGE, ["mqtt:x"], ["shop/oven/temp"], [b"21.5"], [10**18], [1])
    pipeline.feed(message)
    store = StateStore(tmp_path / "state.db", __version__)
    store.commit(Commit(1, snapshot=Snapshot(1, index.version, pipeline.snapshot())))
    store.close()
    answer = CliRunner().invoke(app, ["discover", str(tmp_path), "--json"])
    assert answer.exit_code == 0
    (found,) = msgspec.json.decode(answer.stdout)["topics"]
    assert found["topic"] == "shop/oven/temp"
    grown = parse({"line.toml": LINE + found["row"]})
    assert [row.spec.topic for row in grown.sensors] == ["shop/oven/temp"]
    shown = CliRunner().invoke(app, ["discover", str(tmp_path)])
    assert found["row"].strip() in shown.stdout
    assert "1 messages" in shown.stdout
