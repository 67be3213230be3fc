"""Compiled kernels beside the sources: none outlives the sources it was made from.

numba compiles a kernel again when the file of that kernel changes. It does not look at the other
files whose functions were compiled into it, so that an update could leave machine code of yesterday
in use. A digest of all kernel sources is kept with the compiled files; another digest removes them.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["drop_stale"]

_MARK = b"@njit"
_DIGEST = "kernels.digest"


def drop_stale(package: Path) -> bool:
    """Remove compiled kernels made from other sources than those that are here now.

    A folder that cannot be read or written is left alone: nothing is compiled into it either.

    Args:
        package: Folder with the sources; compiled files lie in its ``__pycache__`` folders.

    Returns:
        Whether the sources had changed.
    """
    with suppress(OSError):
        digest = _digest_of(package)
        kept = package / "__pycache__" / _DIGEST
        if kept.exists() and kept.read_text(encoding="ascii", errors="replace") == digest:
            return False
        # The digest comes last: who is interrupted begins again.
        for pattern in ("*.nbi", "*.nbc"):
            for file in package.rglob(f"__pycache__/{pattern}"):
                file.unlink(missing_ok=True)
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(digest, encoding="ascii")
        return True
    return False


def _digest_of(package: Path) -> str:
    digest = blake2b(digest_size=16)
    for file in sorted(package.rglob("*.py")):
        source = file.read_bytes()
        if _MARK in source:
            name = file.relative_to(package).as_posix()
            digest.update(f"{name}\0{len(source)}\0".encode() + source)
    return digest.hexdigest()
