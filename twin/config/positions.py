"""Where things stand in a TOML text: key path to line number.

``tomllib`` says what a text means and nothing about where. This scanner walks a text that
``tomllib`` has accepted and notes the line of every table, key and array element; it does not
judge and does not interpret values.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

__all__ = ["Path", "Positions", "dotted"]

Path = tuple[str | int, ...]
"""Keys and array indices from the root: ``("station", 0, "sensor", 2, "unit")``."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}\n#]+")


def dotted(path: Path) -> str:
    """A path as people write it.

    Examples:
        >>> dotted(("station", 0, "sensor", 2, "unit"))
        'station[0].sensor[2].unit'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class Positions:
    """Line of every key path in a TOML text.

    Attributes:
        lines: Path to 1-based line, for every table, key and array element.
    """

    def __init__(self, text: str) -> None:
        """Scan a text.

        Args:
            text: TOML that ``tomllib`` accepts; anything else gives some positions or none.
        """
        # TOML also ends lines with CR LF; the lone CR that is left behind counts as a blank.
        self.lines: dict[Path, int] = {(): 1}
        self._text = text
        self._at = 0
        self._starts = [match.end() for match in re.finditer("\n", text)]
        self._rows: dict[Path, int] = {}
        self._scan()

    def line(self, path: Path) -> int:
        """Line of a path, or of the nearest table around it when it does not stand there itself."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines[path] if path else 0

    def _scan(self) -> None:
        table: Path = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        is_row = self._text.startswith("[[", self._at)
        line = self._line()
        self._at += 2 if is_row else 1
        keys = self._key()
        self._at += 2 if is_row else 1
        path: Path = ()
        for key in keys[:-1]:
            path = self._newest((*path, key))
            self.lines.setdefault(path, line)
        path = (*path, keys[-1])
        self.lines.setdefault(path, line)
        if is_row:
            self._rows[path] = self._rows.get(path, -1) + 1
            path = (*path, self._rows[path])
        self.lines[path] = line
        return path

    def _newest(self, path: Path) -> Path:
        """The row that is being written, when the path is an array of tables."""
        return (*path, self._rows[path]) if path in self._rows else path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._key():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._skip(_SPACE)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            match = _BARE.match(self._text, self._at)
            if match:
                keys.append(match[0])
                self._at = match.end()
            else:
                keys.append(self._quoted())
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return keys
            self._at += 1

    def _quoted(self) -> str:
        match = _STRING.match(self._text, self._at)
        if match is None:
            self._at = len(self._text)  # not TOML: stop here instead of looping
            return ""
        self._at = match.end()
        return str(tomllib.loads(f"k = {match[0]}")["k"])

    def _value(self, path: Path) -> None:
        first = self._text[self._at : self._at + 1]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            match = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            self._at = match.end() if match else len(self._text)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._more("]"):
            self.lines[*path, index] = self._line()
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._more("}"):
            self._pair(path)

    def _more(self, end: str) -> bool:
        """Step to the next element; False, and behind the bracket, when there is none."""
        self._skip(_BLANK)
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip(_BLANK)
        if self._at >= len(self._text):
            return False
        if self._text[self._at] == end:
            self._at += 1
            return False
        return True

    def _skip(self, what: re.Pattern[str]) -> None:
        match = what.match(self._text, self._at)
        if match:
            self._at = match.end()

    def _line(self) -> int:
        return bisect_right(self._starts, self._at) + 1
