# SPDX-License-Identifier: MIT
"""Finds the line of each key in a TOML text. tomllib says what a text means, not where. This module
reads a text that tomllib accepts and keeps the line of every key, by its path: ("steps", 3,
"spawn")."""
from __future__ import annotations

import re
from typing import Union

Path = tuple[Union[str, int], ...]
BARE = re.compile(r"[A-Za-z0-9_-]+")
SCALAR = re.compile(r"[^,\]}#\n]+")


class Places:
    def __init__(self, text: str):
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._counts: dict[Path, int] = {}
        self._document()

    def line(self, path: Path) -> int:
        """The line of a key, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    # ---- Reading. The text is known to be well-formed.

    def _mark(self, path: Path, at: int) -> None:
        self.lines.setdefault(path, self._text.count("\n", 0, at) + 1)

    def _peek(self, string: str) -> bool:
        return self._text.startswith(string, self._at)

    def _space(self, lines: bool) -> None:
        while self._at < len(self._text):
            c = self._text[self._at]
            if c == "#" and lines:
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif c in " \t" or (lines and c in "\r\n"):
                self._at += 1
            else:
                return

    def _string(self) -> str:
        for quote in ('"""', "'''", '"', "'"):
            if self._peek(quote):
                break
        start = self._at = self._at + len(quote)
        while not self._peek(quote):
            self._at += 2 if self._text[self._at] == "\\" and quote[0] == '"' else 1
        end = self._at
        self._at += len(quote)
        while len(quote) == 3 and self._peek(quote[0]):     # quotes that belong to the string's end
            self._at += 1
        return self._text[start:end]

    def _key(self) -> tuple[list[str], int]:
        """A dotted key and where it begins."""
        start = self._at
        parts = []
        while True:
            self._space(False)
            if self._text[self._at] in "\"'":
                parts.append(self._string())
            else:
                match = BARE.match(self._text, self._at)
                assert match
                parts.append(match.group())
                self._at = match.end()
            self._space(False)
            if not self._peek("."):
                return parts, start
            self._at += 1

    def _resolve(self, keys: list[str]) -> Path:
        """A header's path: an array of tables that is passed through means its last table."""
        path: Path = ()
        for key in keys:
            path += (key,)
            if path in self._counts:
                path += (self._counts[path] - 1,)
        return path

    def _pair(self, table: Path) -> None:
        keys, start = self._key()
        path: Path = table
        for key in keys:
            path += (key,)
            self._mark(path, start)
        self._at += 1       # =
        self._space(False)
        self._value(path)

    def _value(self, path: Path) -> None:
        c = self._text[self._at]
        if c in "\"'":
            self._string()
        elif c == "[":
            self._at += 1
            index = 0
            self._space(True)
            while not self._peek("]"):
                self._mark(path + (index,), self._at)
                self._value(path + (index,))
                index += 1
                self._space(True)
                if self._peek(","):
                    self._at += 1
                    self._space(True)
            self._at += 1
        elif c == "{":
            self._at += 1
            self._space(False)
            while not self._peek("}"):
                self._pair(path)
                self._space(False)
                if self._peek(","):
                    self._at += 1
                    self._space(False)
            self._at += 1
        else:
            match = SCALAR.match(self._text, self._at)
            assert match
            self._at = match.end()

    def _document(self) -> None:
        table: Path = ()
        self._space(True)
        while self._at < len(self._text):
            start = self._at
            if self._peek("[["):
                self._at += 2
                keys, _ = self._key()
                self._at += 2
                parent = self._resolve(keys[:-1]) + (keys[-1],)
                self._mark(parent, start)
                index = self._counts.get(parent, 0)
                self._counts[parent] = index + 1
                table = parent + (index,)
                self._mark(table, start)
            elif self._peek("["):
                self._at += 1
                keys, _ = self._key()
                self._at += 1
                for i in range(1, len(keys) + 1):
                    table = self._resolve(keys[:i])
                    self._mark(table, start)
            else:
                self._pair(table)
            self._space(True)
