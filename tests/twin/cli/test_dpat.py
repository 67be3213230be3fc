"""``linetwin dpat``: outliers among cells, and recipes that are not mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from typer.testing import CliRunner

from twin.cli.main import app
from twin.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: object) -> tuple[int, str, BaseException | None]:
    answer = CliRunner().invoke(app, ["dpat", *map(str, arguments)])
    return answer.exit_code, answer.stdout, answer.exception


def table(folder: Path) -> Path:
    """Forty slow and forty fast cells in one tray; slow5 is as small as a fast cell."""
    rng = np.random.default_rng(2)
    lines = ["cell,recipe,tray,capacity,dcir"]
    for recipe, centre in (("slow", 4.0), ("fast", 3.6)):
        for i in range(40):
            value = 3.6 if (recipe, i) == ("slow", 5) else rng.normal(centre, 0.01)
            lines.append(f"{recipe}{i},{recipe},t1,{value:.5f},{rng.normal(20, 0.1):.4f}")
    file = folder / "cells.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_table_of_cells(tmp_path: Path) -> None:
    """A slow cell with the capacity of a fast one is found, because recipes are judged apart."""
    file = table(tmp_path)
    code, out, _ = run(file, "--feature", "capacity", "--feature", "dcir", "--json")
    assert code == 0
    told = msgspec.json.decode(out)
    assert told["cells"] == 80
    assert told["features"]["capacity"]["outliers"] == ["slow5"]
    assert told["features"]["dcir"]["outliers"] == []
    part = told["features"]["capacity"]["parts"][5]
    assert (part["cell"], part["verdict"], part["population"]) == ("slow5", "outlier", "slow t1")
    assert "holds 2 recipes (fast, slow)" in told["features"]["capacity"]["notes"][0]
    code, out, _ = run(file)
    assert "1 outliers of 80 cells" in out
    assert "slow5: 3.6, outlier" in out


def test_recipes_are_not_mixed(tmp_path: Path) -> None:
    """Judging by tray alone, or asking for no strata, is refused with the reason."""
    file = table(tmp_path)
    for arguments in (("--by", "tray"), ("--mixed", "refuse")):
        _, _, error = run(file, *arguments)
        assert isinstance(error, ConfigError)
        assert "hide outliers" in str(error)
    _, _, error = run(file, "--by", "colour")
    assert isinstance(error, ConfigError)
    assert "recipe, tray, rack" in str(error)
    _, _, error = run(file, "--feature", "weight")
    assert isinstance(error, ConfigError)
    assert "no cell has weight" in str(error)


def test_recorded_cells_of_different_recipes(recordings: Path, root: Path) -> None:
    """Efficiencies of 0.26 and 0.40 by two protocols are no outliers, but not comparable."""
    files = sorted((recordings / "attia").glob("attia_cell*.txt"))
    line = root / "examples" / "formation" / "line.toml"
    code, out, _ = run(*files, "--line", line, "--feature", "efficiency", "--json")
    assert code == 0
    told = msgspec.json.decode(out)["features"]["efficiency"]
    assert told["outliers"] == []
    assert told["cannot_judge"] == 2
    assert [round(part["value"], 5) for part in told["parts"]] == [0.25509, 0.39545]
    assert len(told["populations"]) == 2
    _, _, error = run(*files, "--line", line, "--by", "tray", "--feature", "efficiency")
    assert isinstance(error, ConfigError)
    assert "2 recipes" in str(error)


def test_table_names_the_recipe(recordings: Path, root: Path, tmp_path: Path) -> None:
    """A table beside the recordings says recipe and tray of each cell."""
    file = tmp_path / "who.csv"
    file.write_text("cell,recipe,tray\nattia_cellC_10C_CF3,10C,a\nattia_cellF_3C_split_CF6,3C,b\n")
    files = sorted((recordings / "attia").glob("attia_cell*.txt"))
    line = root / "examples" / "formation" / "line.toml"
    _, out, _ = run(*files, "--line", line, "--cells", file, "--json")
    parts = msgspec.json.decode(out)["features"]["capacity"]["parts"]
    assert [(part["recipe"], part["tray"]) for part in parts] == [("10C", "a"), ("3C", "b")]


def test_recording_without_a_line_is_refused(recordings: Path) -> None:
    """Without a line description nobody knows the formation channels."""
    _, _, error = run(recordings / "attia" / "attia_cellC_10C_CF3.txt")
    assert isinstance(error, ConfigError)
    assert "--line" in str(error)
