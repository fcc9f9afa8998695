"""Reads tables of a TOML file key by key; every message names file, line and key."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from ..errors import UsageError
from ..text import safe
from .lines import Path, line_numbers, line_of

T = TypeVar("T")


class Source:
    """A TOML file: its text, and what is in it."""

    def __init__(self, name: str, text: str) -> None:
        """Raises UsageError for what is no TOML."""
        self.name = name
        try:
            self.data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"line (\d+)", str(error))
            line = int(found[1]) if found else text.count("\n") + 1
            raise UsageError(f"{safe(name)}:{line}: this is no TOML: {safe(str(error))}") from None
        self.lines = line_numbers(text)

    def table(self) -> Table:
        """All of it."""
        return Table(self, (), self.data)

    def line(self, path: Path) -> int:
        """The line of a key or table."""
        return line_of(self.lines, path)

    def wrong(self, path: Path, why: str) -> NoReturn:
        """Raise UsageError about a key."""
        dotted = ".".join(
            str(p) if isinstance(p, int) or re.fullmatch(r"[\w-]+", p) else f'"{p}"' for p in path
        )
        raise UsageError(f"{safe(self.name)}:{self.line(path)}: {safe(dotted)}: {why}")


class Table:
    """A table whose keys are taken one by one. What is left over in the end is unknown."""

    def __init__(self, source: Source, path: Path, data: dict[str, Any]) -> None:
        """The table that stands at ``path``."""
        self.source, self.path, self.data = source, path, data
        self._known: list[str] = []

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.source.line(self.path)

    def wrong(self, why: str, key: str | None = None) -> NoReturn:
        """Raise UsageError about the table or one of its keys."""
        self.source.wrong(self.path if key is None else (*self.path, key), why)

    def raw(self, key: str, kinds: tuple[type, ...], what: str) -> Any:
        """The value of a key as TOML has it, None if there is none."""
        self._known.append(key)
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            self.wrong(f"{_said(value)} is not {what}", key)
        return value

    def read(self, key: str, parse: Callable[[Any], T], default: T, what: str) -> T:
        """The value of a key, read by a function that raises UsageError or ValueError."""
        value = self.raw(key, (str, int, float), what)
        if value is None:
            return default
        try:
            return parse(value)
        except UsageError as error:
            self.wrong(str(error), key)
        except ValueError:
            self.wrong(f"{_said(value)} is not {what}", key)

    def choice(self, key: str, choices: tuple[str, ...], default: str | None) -> str | None:
        """The value of a key that is one of a few words."""
        value: str | None = self.raw(key, (str,), "one of " + ", ".join(choices))
        if value is not None and value not in choices:
            self.wrong(f"{value!r} is none of: {', '.join(choices)}{nearest(value, choices)}", key)
        return default if value is None else value

    def texts(self, key: str) -> tuple[str, ...]:
        """A text or a list of texts."""
        value = self.raw(key, (str, list), "a text or a list of texts")
        if value is None:
            return ()
        found = [value] if isinstance(value, str) else value
        for one in found:
            if not isinstance(one, str):
                self.wrong(f"{_said(one)} is not a text", key)
        return tuple(found)

    def inner(self, key: str) -> Table | None:
        """A table within."""
        value = self.raw(key, (dict,), "a table")
        return None if value is None else Table(self.source, (*self.path, key), value)

    def several(self, key: str) -> Iterator[Table]:
        """An array of tables: ``[[key]]``."""
        value = self.raw(key, (list,), f"an array of tables: write [[{key}]]") or []
        for i, one in enumerate(value):
            if not isinstance(one, dict):
                self.wrong(f"{_said(one)} is not a table: write [[{key}]]", key)
            yield Table(self.source, (*self.path, key, i), one)

    def done(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self.data:
            if key not in self._known:
                near = nearest(key, self._known)
                self.wrong(f"there is no such key{near or '; there are ' + ', '.join(self._known)}", key)


def nearest(word: str, words: tuple[str, ...] | list[str]) -> str:
    """``; did you mean …?``, or nothing."""
    found = difflib.get_close_matches(word.lower(), words, 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _said(value: object) -> str:
    return safe(repr(value)[:60])
