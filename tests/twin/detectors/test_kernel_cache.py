"""Compiled kernels go when any kernel source changes, and never stop a start."""

import pytest

from twin.detectors.kernel_cache import drop_stale


@pytest.fixture
def package(tmp_path):
    """Two kernels in two folders, a plain module, and what was compiled."""
    inner = tmp_path / "spc"
    inner.mkdir()
    (tmp_path / "kernel.py").write_text("@njit\ndef a(): ...\n")
    (inner / "score.py").write_text("@njit\ndef b(): ...\n")
    (inner / "words.py").write_text("TEXT = 1\n")
    drop_stale(tmp_path)
    (inner / "__pycache__").mkdir()
    for folder in (tmp_path, inner):
        for name in ("kernel.a-1.py311.nbi", "kernel.a-1.py311.1.nbc", "kernel.cpython-311.pyc"):
            (folder / "__pycache__" / name).write_bytes(b"x")
    return tmp_path


def _left(package):
    return sorted(file.suffix for file in package.rglob("__pycache__/kernel.*.*"))


def test_unchanged_sources_keep_what_was_compiled(package):
    """A second start compiles nothing again."""
    assert drop_stale(package) is False
    assert _left(package) == [".nbc", ".nbc", ".nbi", ".nbi", ".pyc", ".pyc"]


def test_a_changed_kernel_removes_all_that_may_contain_it(package):
    """A kernel compiled into one of another folder takes that one with it, once."""
    (package / "spc" / "score.py").write_text("@njit\ndef b(): return 2\n")
    assert drop_stale(package) is True
    assert _left(package) == [".pyc", ".pyc"]
    assert drop_stale(package) is False


def test_other_modules_are_not_compiled(package):
    """A change of plain Python costs no compilation."""
    (package / "spc" / "words.py").write_text("TEXT = 2\n")
    assert drop_stale(package) is False
    assert len(_left(package)) == 6


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    """Where nothing can be kept, the start goes on."""
    (tmp_path / "kernel.py").write_text("@njit\ndef a(): ...\n")
    (tmp_path / "__pycache__").write_text("a file where the folder should be")
    assert drop_stale(tmp_path) is False
