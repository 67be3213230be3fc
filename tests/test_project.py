"""The project's own promises about its files, so that they cannot rot unseen."""

from __future__ import annotations

import ast
import configparser
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import twin
from twin.detectors.spc.rules import PRESETS
from twin.model.message import Reason

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("twin", "connectors", "dashboards")
LOCKS = ("run", "dev", "build", "uv")
MAX_FILE_BYTES = 1 << 20

# Put together from halves, so that this file does not hold what it forbids.
HOSTS = ("py" + "pi.org", "python" + "hosted", "npm" + "js.", "proxy.golang" + ".org")
MACHINE_PATH = re.compile(
    r"(?<![\w.~\-])/(?:wo" + "rk|ro" + "ot|ho" + r"me)/\w|/tm" + r"p/[a-z]\w*/"
)


def tracked() -> list[Path]:
    """Files under version control that are there now."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is no list of tracked files")
    # The checkout may belong to another user than the one who tests.
    command = [git, "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def tracked_texts() -> list[tuple[Path, str]]:
    """Tracked files that hold text, without what other people wrote."""
    texts = []
    for path in tracked():
        if "vendor" in path.parts:
            continue
        try:
            texts.append((path.relative_to(ROOT), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    assert texts
    return texts


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked(name: str) -> dict[str, list[Requirement]]:
    """Pins of a lock by distribution; one distribution may have several, by Python version."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    pins: dict[str, list[Requirement]] = {}
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            pin = Requirement(line.removesuffix("\\").strip())
            pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    return pins


def assert_locked(requirements: list[str], lock: str) -> None:
    pins = locked(lock)
    for text in requirements:
        wanted = Requirement(text)
        found = pins.get(canonicalize_name(wanted.name), [])
        assert found, f"{text} is not in requirements/{lock}.txt; call `make lock`"
        for pin in found:
            version = str(pin.specifier).removeprefix("==")
            assert wanted.specifier.contains(version), f"{pin} does not satisfy {text}"


def make(*arguments: str) -> str:
    program = shutil.which("make")
    if program is None:
        pytest.skip("make is not installed")
    inherited = ("MAKEFLAGS", "MFLAGS", "LINE", "SECONDS", "PORT", "MQTT_PORT", "DATA")
    environment = {key: value for key, value in os.environ.items() if key not in inherited}
    done = subprocess.run(
        [program, "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


class TestLayout:
    def test_every_package_says_what_it_is(self) -> None:
        """A folder with code is a package, and its docstring says what it holds."""
        folders = {file.parent for name in PACKAGES for file in (ROOT / name).rglob("*.py")}
        assert len(folders) > len(PACKAGES)
        for folder in sorted(folders):
            init = folder / "__init__.py"
            assert init.is_file(), f"{folder.relative_to(ROOT)} has code but no __init__.py"
            text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")))
            assert text, f"{init.relative_to(ROOT)} has no docstring"

    def test_arithmetic_is_under_its_contract(self) -> None:
        """Every folder of arithmetic that exists is named in the contract about clocks and I/O."""
        contracts = configparser.ConfigParser()
        contracts.read(ROOT / ".importlinter")
        named = contracts["importlinter:contract:arithmetic"]["source_modules"].split()
        folders = ("model", "physics", "products", "detectors", "gates", "alarms")
        exists = {f"twin.{name}" for name in folders if any((ROOT / "twin" / name).rglob("*.py"))}
        assert set(named) == exists

    def test_version_is_the_same_everywhere(self) -> None:
        """The package, the project file and the change log name one version."""
        version = pyproject()["project"]["version"]
        assert version == twin.__version__
        assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


class TestTrackedFiles:
    def test_no_large_files(self) -> None:
        """Recordings, screenshots and build results stay outside the repository."""
        large = [str(path) for path in tracked() if path.stat().st_size > MAX_FILE_BYTES]
        assert large == []

    def test_no_recording_is_committed(self, recordings: Path) -> None:
        """No tracked file is a copy of a public recording (licence texts may be equal)."""
        foreign = {
            hashlib.sha256(path.read_bytes()).digest()
            for path in recordings.rglob("*")
            if path.is_file() and not path.name.startswith("LICENSE")
        }
        copies = [
            str(path) for path in tracked() if hashlib.sha256(path.read_bytes()).digest() in foreign
        ]
        assert foreign
        assert copies == []

    def test_no_registry_host_is_named(self) -> None:
        """A package registry is the reader's choice; no file names one."""
        found = [
            f"{path}: {host}" for path, text in tracked_texts() for host in HOSTS if host in text
        ]
        assert found == []

    def test_no_path_of_one_machine(self) -> None:
        """No file holds a path that exists on one person's machine only."""
        found = [
            f"{path}: {match.group()}"
            for path, text in tracked_texts()
            for match in MACHINE_PATH.finditer(text)
        ]
        assert found == []


class TestLocks:
    @pytest.mark.parametrize("name", LOCKS)
    def test_every_pin_is_exact_and_hashed(self, name: str) -> None:
        """A lock holds exact versions with hashes, and no address of an index or a file."""
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        blocks = re.split(r"\n(?=\S)", text)
        pins = [block for block in blocks if not block.startswith("#")]
        assert pins
        for pin in pins:
            assert re.match(r"[\w.\-]+(\[[\w,\-]+\])?==\S+", pin), pin
            assert "--hash=sha256:" in pin, pin
        assert not re.search(r"://|--(?:extra-)?index-url|--find-links| @ ", text)

    def test_run_lock_holds_the_dependencies(self) -> None:
        """What the package needs is in the lock of `make run`."""
        assert_locked(pyproject()["project"]["dependencies"], "run")

    def test_dev_lock_holds_everything(self) -> None:
        """The development lock has the tools, and all that `make run` has in the same versions."""
        project = pyproject()
        assert_locked(project["dependency-groups"]["dev"], "dev")
        for extra in project["project"].get("optional-dependencies", {}).values():
            assert_locked(extra, "dev")
        run, dev = locked("run"), locked("dev")
        versions = {name: {str(pin.specifier) for pin in pins} for name, pins in run.items()}
        assert versions == {name: {str(pin.specifier) for pin in dev[name]} for name in run}

    def test_build_lock_holds_the_backend(self) -> None:
        """Building the package uses pinned tools, too."""
        assert_locked(pyproject()["build-system"]["requires"], "build")


class TestMake:
    def test_help_explains_every_target(self) -> None:
        """`make help` lists the targets people are told about."""
        listed = re.findall(r"^  make (\w+) +\S", make("help"), re.MULTILINE)
        assert {"run", "test", "check", "bench", "chaos", "docs", "clean", "help"} <= set(listed)

    def test_run_passes_what_is_set(self) -> None:
        """Variables of `make run` become options, and only those that were given."""
        last = make("-n", "run", "SECONDS=5", "PORT=1").splitlines()[-1]
        assert last.split() == [
            ".venv/bin/linetwin",
            "run",
            "'examples/pilot-line/line.toml'",
            "--seconds",
            "'5'",
            "--port",
            "'1'",
        ]

    def test_run_takes_a_line(self) -> None:
        """`LINE`, `DATA` and `MQTT_PORT` reach the command, spaces included."""
        last = make("-n", "run", "LINE=my line.toml", "DATA=my data", "MQTT_PORT=2").splitlines()[
            -1
        ]
        assert "run 'my line.toml'" in last
        assert last.rstrip().endswith("--mqtt-port '2' --data 'my data'")


class TestDocumentation:
    def test_rule_sets_are_listed_with_their_price(self) -> None:
        """The page about charts names every rule set that ships, with its run length."""
        page = (ROOT / "docs" / "charts.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d.]+) \|$", page, re.MULTILINE)
        assert {(name, str(preset.arl0)) for name, preset in PRESETS.items()} == set(rows)

    def test_exit_codes_are_explained(self) -> None:
        """The page about operations has a row for every exit code."""
        from twin.cli.out import (
            Exit,
        )  # brings the whole application, which no other test here needs

        page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| (\d+) \| \S", page, re.MULTILINE)
        assert [str(int(code)) for code in Exit] == rows

    def test_reasons_are_explained(self) -> None:
        """The page about MQTT explains every code of a refusal."""
        page = (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `([A-Z_]+)` \| \S", page, re.MULTILINE)
        assert [str(reason) for reason in Reason] == rows

    @pytest.mark.slow
    def test_documentation_loads_nothing_from_elsewhere(self, tmp_path: Path) -> None:
        """The built pages work on a network without internet: own fonts, scripts and styles."""
        command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
        environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        pages = sorted(tmp_path.rglob("*.html"))
        assert pages
        for page in pages:
            html = page.read_text(encoding="utf-8")
            loads = re.findall(r'<(?:script|img|iframe)[^>]+src="([^"]+)"', html)
            loads += re.findall(
                r'<link[^>]+rel="(?:stylesheet|preload|icon)"[^>]*href="([^"]+)"', html
            )
            loads += re.findall(r'<link[^>]+href="([^"]+)"[^>]*rel="(?:stylesheet|preload)"', html)
            assert [url for url in loads if "//" in url] == [], page.name


class TestTools:
    def test_hooks_use_only_local_tools(self) -> None:
        """pre-commit fetches nothing: every hook is ours and runs a locked tool."""
        config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
        hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
        assert {repo["repo"] for repo in config["repos"]} == {"local"}
        assert {hook["language"] for hook in hooks} == {"system"}
        assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks)
