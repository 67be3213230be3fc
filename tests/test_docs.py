"""The documentation says everything a person can type, and its links lead somewhere."""

from __future__ import annotations

import json
import re
import tomllib
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
import typer

from twin.alarms.state import State
from twin.cli.main import app
from twin.config import parse, refusals
from twin.config.rule_sets import RULE_SETS, RULES
from twin.errors import ConfigError
from twin.model.event import SYSTEM_TYPES
from twin.model.message import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import click

LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


BESIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
"""Pages outside docs."""


def commands(command: Any, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its name (typer brings a click of its own)."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for word, sub in below.items():
        yield from commands(sub, f"{name} {word}".strip())


MAIN = typer.main.get_command(app)
COMMANDS = dict(commands(MAIN))


@pytest.fixture(scope="module")
def pages(root: Path) -> dict[str, str]:
    """Every page by its path inside docs."""
    docs = root / "docs"
    return {str(p.relative_to(docs)): p.read_text("utf-8") for p in sorted(docs.rglob("*.md"))}


def section(page: str, title: str) -> str:
    """The text below a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found.group(1)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_documented(pages: dict[str, str], name: str) -> None:
    """Each command has a section with all its options and arguments, and none it does not have."""
    text = section(pages["commands.md"], name)
    assert f"linetwin {name}" in text
    params = COMMANDS[name].params
    known = set(chain.from_iterable([*p.opts, *p.secondary_opts] for p in params))
    options = {option for option in known if option.startswith("--")}
    said = set(re.findall(r"`(--[a-z-]+)`", text))
    assert said >= options
    rows = set(re.findall(r"^\| `(--[a-z-]+)`", text, re.MULTILINE))
    assert rows <= options


def test_every_section_of_commands_is_a_command(pages: dict[str, str]) -> None:
    """No page speaks about a command that is gone, and options of all commands are there."""
    titles = re.findall(r"^## (.+)$", pages["commands.md"], re.MULTILINE)
    assert titles == list(COMMANDS)
    head = pages["commands.md"].split("\n## ", 1)[0]
    for param in MAIN.params:
        for option in param.opts:
            assert option in head


def quoted(text: str) -> Iterator[str]:
    """Every call of linetwin in a console block or between backquotes."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]*linetwin [^`]*)`", FENCE.sub("", text))


def test_examples_use_commands_and_options_that_exist(root: Path, pages: dict[str, str]) -> None:
    """Whatever a page calls can be called, with the options it gives."""
    texts = {**pages, **{n: (root / n).read_text("utf-8") for n in BESIDE}}
    checked = 0
    for page, text in texts.items():
        for line in quoted(text):
            words = line.split("#")[0].split()
            if not words or words[0].removeprefix(".venv/bin/") != "linetwin":
                continue
            if len(words) == 1 or not re.match(r"[a-z]", words[1]):
                continue
            name = words[1] if words[1] in COMMANDS else " ".join(words[1:3])
            group = any(command.startswith(f"{words[1]} ") for command in COMMANDS)
            if group and len(words) == 2:
                continue
            assert name in COMMANDS, f"{page}: {line}"
            known = {o for p in COMMANDS[name].params for o in [*p.opts, *p.secondary_opts]}
            used = {word.split("=")[0] for word in words if word.startswith("--")}
            assert used <= known | {"--help"}, f"{page}: {line}"
            checked += 1
    assert checked > 80


@pytest.mark.parametrize("reason", list(Reason))
def test_reason_is_explained(pages: dict[str, str], reason: Reason) -> None:
    """Every code of a refused message stands in the table of reasons, with words."""
    row = re.search(rf"^\| `{reason}` \| (.{{10,}}) \|$", pages["mqtt.md"], re.MULTILINE)
    assert row, f"{reason} is not explained in mqtt.md"


def test_states_and_rules_are_explained(pages: dict[str, str]) -> None:
    """Every alarm state, rule and rule set has a row, with the ARL0 the code has."""
    for state in State:
        assert f"| `{state}` |" in pages["alarms.md"]
    for rule in RULES:
        assert f"`{rule}`" in pages["charts.md"] + pages["charts/run-rules.md"]
    for name, rules in RULE_SETS.items():
        row = re.search(rf"^\| `{name}` \|.*\| ([0-9.]+) \|$", pages["charts.md"], re.MULTILINE)
        assert row, name
        assert float(row.group(1)) == pytest.approx(rules.arl0, abs=0.005)


def test_events_about_the_journey_are_named(pages: dict[str, str]) -> None:
    """Whoever looks for a type in events.jsonl is told which ones are not there."""
    for kind in SYSTEM_TYPES:
        assert f"`{kind}`" in pages["replay.md"]


def test_examples_of_json_are_json(pages: dict[str, str]) -> None:
    """Every line of a JSON block can be read."""
    for page, text in pages.items():
        for block in re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            try:
                json.loads(block)
            except ValueError:
                for line in block.splitlines():
                    assert isinstance(json.loads(line), dict), page


def described(block: str) -> Iterator[str]:
    """Line descriptions around the rows of a block, so that these can be read as they stand.

    A sensor that is only named by a row is added; several values of one key are tried in turn.
    """
    rows = block.splitlines()
    if rows[0].startswith("chart = "):
        for row in rows:
            yield from described(f'[[station.sensor]]\nkey = "x"\nsampling = "event"\n{row}')
        return
    table = tomllib.loads(block)
    named = {name for key in ("group", "alarm") for row in table.get(key, ()) for name in _of(row)}
    if "station" not in table or isinstance(table["station"], dict):
        stations = sorted({name.partition("/")[0] for name in named}) or ["s"]
        for station in stations:
            block = f'[[station]]\nid = "{station}"\n{_sensors(named, station)}{block}'
    yield block


def _of(row: dict[str, Any]) -> list[str]:
    """Sensors a row names."""
    return row.get("sensors") or [row["sensor"]]


def _sensors(named: set[str], station: str) -> str:
    keys = sorted(name.partition("/")[2] for name in named if name.startswith(f"{station}/"))
    return "".join(f'[[station.sensor]]\nkey = "{key}"\nsampling = "event"\n' for key in keys)


def test_rows_of_line_descriptions_are_valid(root: Path, pages: dict[str, str]) -> None:
    """Whoever copies rows from a page gets what the page says, no error and no refusal to run."""
    plan = re.search(r"^```csv\n(.*?)^```", pages["line-description.md"], re.MULTILINE | re.DOTALL)
    assert plan
    beside = {"control_plan.csv": plan.group(1), "baselines.jsonl": ""}
    texts = {**pages, "README.md": (root / "README.md").read_text("utf-8")}
    checked = 0
    for page, text in texts.items():
        for block in TOML.findall(text):
            for line in described(block):
                try:
                    index = parse({"line.toml": line, **beside})
                except ConfigError as error:
                    pytest.fail(f"{page}: {error}")
                assert refusals(index) == [], page
                checked += 1
    assert checked > 15


def slugs(text: str) -> set[str]:
    """Anchors of the headings, as the site makes them."""
    found = set()
    for title in re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", title.lower()).strip()
        found.add(re.sub(r"[\s-]+", "-", plain))
    return found


def test_links_between_pages_resolve(root: Path, pages: dict[str, str]) -> None:
    """Every relative link leads to a file that is there, and every anchor to a heading."""
    files = {root / "docs" / page: text for page, text in pages.items()}
    readme = root / "README.md"
    files[readme] = readme.read_text("utf-8")
    checked = 0
    for file, text in files.items():
        bare = FENCE.sub("", text)
        for target in [*LINK.findall(bare), *IMAGE.findall(bare)]:
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            wanted = (file.parent / path).resolve() if path else file
            assert wanted.exists(), f"{file.name}: {target}"
            if anchor and wanted.suffix == ".md":
                assert anchor in slugs(wanted.read_text("utf-8")), f"{file.name}: {target}"
            checked += 1
    assert checked > 20


def test_every_page_is_in_the_navigation(root: Path, pages: dict[str, str]) -> None:
    """A page nobody can find is no documentation."""
    listed = set(re.findall(r": ([\w/-]+\.md)$", (root / "mkdocs.yml").read_text(), re.MULTILINE))
    assert listed == set(pages)
