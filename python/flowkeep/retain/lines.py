"""Where things stand in a TOML file. ``tomllib`` says what they are; a message has to say where.

The text has been read by ``tomllib`` before: only valid TOML comes here.
"""

from __future__ import annotations

import re
import tomllib

Path = tuple[str | int, ...]

_STRING = re.compile(r'"""(?:[^\\]|\\.)*?"""+|\'\'\'.*?\'\'\'+|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL)
_HEADER = re.compile(r"\[\[?(?P<name>(?:[^\]\"'#]|\"(?:[^\"\\]|\\.)*\"|'[^']*')*)\]")
_KEY = re.compile(r"(?:[A-Za-z0-9_\-. \t]|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')+?(?=[ \t]*=)")


def _parts(name: str) -> list[str]:
    """The parts of a dotted key, quotes taken off."""
    inner, found = tomllib.loads(f"{name.strip()} = 0"), []
    while isinstance(inner, dict):
        ((key, inner),) = inner.items()
        found.append(key)
    return found


def _after_value(text: str, at: int) -> int:
    """Where the value that begins at ``at`` ends: at the end of a line outside of brackets and strings."""
    depth = 0
    while at < len(text):
        if found := _STRING.match(text, at):
            at = found.end()
            continue
        c = text[at]
        if c == "#":
            at = text.find("\n", at)
            if at < 0:
                return len(text)
            continue
        if c == "\n" and depth <= 0:
            return at
        depth += (c in "[{") - (c in "]}")
        at += 1
    return at


def line_numbers(text: str) -> dict[Path, int]:
    """Lines, from 1, of all tables and keys.

    Elements of arrays of tables are numbered from 0; what stands within a value has no line of its own, see
    :func:`line_of`.
    """
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    at, line, counted = 0, 1, 0

    def resolved(parts: list[str]) -> Path:
        path: Path = ()
        for part in parts:
            path += (part,)
            if path in counts:
                path += (counts[path],)
        return path

    while at < len(text):
        if text[at] in " \t\r\n":
            at += 1
            continue
        line, counted = line + text.count("\n", counted, at), at
        if text[at] == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif text[at] == "[" and (header := _HEADER.match(text, at)):
            parts = _parts(header["name"])
            if text.startswith("[[", at):
                outer = (*resolved(parts[:-1]), parts[-1])
                counts[outer] = counts.get(outer, -1) + 1
                table = (*outer, counts[outer])
            else:
                table = resolved(parts)
            found.setdefault(table, line)
            at = header.end() + text.startswith("[[", at)
        elif key := _KEY.match(text, at):
            path = table
            for part in _parts(key[0]):
                path += (part,)
                found.setdefault(path, line)
            at = _after_value(text, text.index("=", key.end()) + 1)
        else:  # cannot be, after tomllib
            at += 1
    return found


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of what is nearest around ``path``."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)
