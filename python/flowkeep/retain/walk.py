"""From globs to files: links are not followed, and nothing outside of the data set is touched."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..paths import INDEX, LEDGER
from ..text import safe

_SIDE = (INDEX, ".parquet", ".jsonl")
"""What flowkeep itself puts beside a capture."""


@dataclass
class Listed:
    """What the globs of a data set name."""

    captures: dict[str, os.stat_result] = field(default_factory=dict)
    ledgers: dict[str, os.stat_result] = field(default_factory=dict)
    """By the path of their capture, whether that is still there or not."""
    problems: dict[str, str] = field(default_factory=dict)
    """Files that are left alone, and why."""
    warnings: list[str] = field(default_factory=list)


def pattern(glob: str) -> re.Pattern[str]:
    """A glob as an expression for whole paths: ``*`` and ``?`` stay within a name, ``**`` is any number of
    folders, ``[abc]`` one of some characters."""
    out, i = [], 0
    while i < len(glob):
        c = glob[i]
        if glob.startswith("**/", i) and (i == 0 or glob[i - 1] == "/"):
            out.append("(?:[^/]+/)*")
            i += 3
            continue
        if glob.startswith("**", i):
            out.append(".*")
            i += 2
            continue
        if c == "*":
            out.append("[^/]*")
        elif c == "?":
            out.append("[^/]")
        elif c == "[" and (end := glob.find("]", i + 2)) > 0:
            inner = glob[i + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[{'^' + inner[1:] if inner[0] in '!^' else inner}]")
            i = end
        else:
            out.append(re.escape(c))
        i += 1
    return re.compile("".join(out), re.DOTALL)


def root(glob: str) -> str:
    """The folder below which everything lies that a glob can name."""
    found = re.search(r"[*?[]", glob)
    plain = glob[: found.start()] if found else glob
    return os.path.dirname(plain) or "/"


def _entries(folder: str, deep: bool, listed: Listed) -> Iterator[os.DirEntry[str]]:
    """Files and links below a folder, hidden ones left out; links to folders are not entered."""
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                found = list(entries)
        except OSError as error:
            listed.warnings.append(f"{safe(place)}: the folder cannot be read: {error.strerror}")
            continue
        for entry in found:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if deep:
                    waiting.append(entry.path)
            else:
                yield entry


def walk(include: Iterable[str], exclude: Iterable[str] = ()) -> Listed:
    """The captures and ledgers that globs name. Nothing is opened.

    Symbolic links, devices and pipes are no files of the data set. A file with several names is one only when
    all of its names are in the data set: else no room would be won, for the other name goes on to hold it.
    """
    listed = Listed()
    without = [pattern(glob).fullmatch for glob in exclude]
    names: dict[tuple[int, int], list[str]] = {}
    for glob in include:
        matches = pattern(glob).fullmatch
        base = root(glob)
        deep = "/" in glob[len(base.rstrip("/")) + 1 :] or "**" in glob
        for entry in _entries(base, deep, listed):
            path = entry.path
            is_ledger = path.endswith(LEDGER)
            capture = path.removesuffix(LEDGER)
            if not matches(capture) or capture.endswith(_SIDE) or any(m(capture) for m in without):
                continue
            try:
                info = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # it went while the folder was read
            except OSError as error:
                listed.problems[path] = f"it cannot be looked at: {error.strerror}"
                continue
            if stat.S_ISLNK(info.st_mode):
                if not is_ledger:
                    listed.problems[path] = "it is a symbolic link, which is not followed"
            elif not stat.S_ISREG(info.st_mode):
                listed.problems[path] = "it is no regular file"
            elif is_ledger:
                listed.ledgers[capture] = info
            elif path not in listed.captures:
                listed.captures[path] = info
                if info.st_nlink > 1:
                    names.setdefault((info.st_dev, info.st_ino), []).append(path)
    for (_, _), paths in names.items():
        _one_of(listed, sorted(paths))
    return listed


def _one_of(listed: Listed, paths: list[str]) -> None:
    """Of a file with several names the first one counts, if all are here."""
    info = listed.captures[paths[0]]
    if len(paths) < info.st_nlink:
        for path in paths:
            listed.problems[path] = (
                f"it has {info.st_nlink} names (hard links), and only {len(paths)} of them here: the others "
                "would go on to hold all of it"
            )
            del listed.captures[path]
        return
    for path in paths[1:]:
        listed.problems[path] = f"it is another name (hard link) of {safe(paths[0])}"
        del listed.captures[path]
