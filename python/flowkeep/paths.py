"""From what the user names to the captures of a data set."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from . import _native
from .errors import NotACaptureError, UsageError
from .places import Place, Url, place
from .text import safe

P = TypeVar("P", Path, Url, Place)

STANDARD = Path("-")
LEDGER = ".ledger.arrow"
INDEX = ".flowkeep-index"


@dataclass(frozen=True)
class Capture:
    """A capture of a data set."""

    path: Place
    relative: Path
    """Where it stands below the root that was given; the name alone for a file."""
    number: int = 0
    """In which place it was named or found."""
    first_ts: int | None = None
    """Time of the first packet it had before it was ever trimmed, nanoseconds."""
    size: int = -1
    """Bytes on disk; -1 for a pipe, and for a URL whose server does not tell."""

    @property
    def regular(self) -> bool:
        """Whether it can be read again: it is no pipe."""
        return self.size >= 0 or isinstance(self.path, Url)

    @property
    def ledger(self) -> Place | None:
        """The ledger beside it, if there is one. Raises OSError when a store does not answer."""
        beside = ledger_path(self.path)
        return beside if self.regular and beside.is_file() else None

    @property
    def index(self) -> Path | None:
        """The index beside it, if there is one. Elsewhere there is none that can be trusted: an index knows
        its capture by what only a file system tells.
        """
        if isinstance(self.path, Url):
            return None
        beside = index_path(self.path)
        return beside if self.regular and beside.is_file() else None


@dataclass
class Found:
    """The captures of a data set, in time order, and what was passed over."""

    captures: list[Capture] = field(default_factory=list)
    skipped: list[tuple[Place, str]] = field(default_factory=list)
    """Files that are no captures or cannot be read, and why."""
    roots: list[Place] = field(default_factory=list)
    """The folders that were given."""

    @property
    def bytes(self) -> int:
        """Bytes on disk; -1 when one is a pipe."""
        return -1 if any(c.size < 0 for c in self.captures) else sum(c.size for c in self.captures)


def ledger_path(path: P) -> P:
    """Where the ledger of a capture stands."""
    return path.with_name(path.name + LEDGER)


def index_path(path: P) -> P:
    """Where the index of a capture stands."""
    return path.with_name(path.name + INDEX)


def _walk(root: Path) -> Iterator[Path]:
    """Files below a folder; hidden ones, ledgers, indexes and linked folders are passed over."""
    with os.scandir(root) as entries:
        listed = sorted(entries, key=lambda e: e.name)
    for entry in listed:
        if entry.name.startswith(".") or entry.name.endswith((LEDGER, INDEX)):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)


def _elsewhere(root: Url) -> Iterator[tuple[Url, Path | str]]:
    """The same below a URL; each with its name below, or why it is passed over."""
    from .places import store

    for url, name in store.below(root):
        parts = name.split("/")
        if not parts[-1] or any(part.startswith(".") for part in parts if part not in (".", "..")):
            continue
        if parts[-1].endswith((LEDGER, INDEX)):
            continue
        if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
            yield url, "a name with such parts cannot be a file's"
        else:
            yield url, Path(*PurePosixPath(name).parts)


def _named_elsewhere(url: Url) -> list[Place]:
    from .places import store

    if not store.has_magic(url):
        return [url]
    matches = store.matches(url)
    if not matches:
        raise FileNotFoundError(2, "there is no match", str(url))
    return [m for m in matches if not m.name.endswith((LEDGER, INDEX))]


def _named(name: str) -> list[Place]:
    path = place(name)
    if isinstance(path, Url):
        return _named_elsewhere(path)
    if path == STANDARD or path.exists():
        return [path]
    matches: list[Place] = (
        [Path(m) for m in sorted(glob.glob(name, recursive=True))] if glob.has_magic(name) else []
    )
    if not matches:
        raise FileNotFoundError(2, "there is no such file, folder or match", name)
    return [m for m in matches if not m.name.endswith((LEDGER, INDEX))]


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def find(
    names: Sequence[str | os.PathLike[str]],
    *,
    check: Callable[[], None] | None = None,
) -> Found:
    """Look up files, folders (all below them), globs, URLs of such; order them by their first packet's time.

    A file that was named must be a capture: NotACaptureError, OSError. What only lies in a folder
    and is none is listed in ``skipped``.
    """
    if not names:
        raise UsageError("no captures are named: give files, folders, globs, or - for standard input")
    found, seen = Found(), set[object]()
    for name in names:
        for path in _named(os.fspath(name)):
            if isinstance(path, Url):
                _add_elsewhere(found, seen, path, check)
            elif path.is_dir():
                found.roots.append(path)
                for file in _walk(path):
                    if check:
                        check()
                    _add(found, seen, file, file.relative_to(path), named=False)
            else:
                _add(found, seen, path, Path(path.name), named=True)
    if not found.captures:
        places = ", ".join(safe(os.fspath(n)) for n in names)
        raise NotACaptureError(
            f"{places}: no captures here ({len(found.skipped)} other files were passed over)"
        )
    found.captures.sort(key=lambda c: (c.first_ts is None, c.first_ts or 0, c.number))
    return found


def _add_elsewhere(found: Found, seen: set[object], url: Url, check: Callable[[], None] | None) -> None:
    from .places import store

    # A web server has no folders, and is not asked twice whether it has a file.
    about = None if url.scheme in store.WEB and url.name else store.about(url)
    if about is None or not about.folder:
        name = url.name if url.name not in ("", ".", "..") and not set(url.name) & set("\\\0") else "capture"
        _add(found, seen, url, Path(name), named=True)
        return
    found.roots.append(url)
    for file, relative in _elsewhere(url):
        if check:
            check()
        if isinstance(relative, str):
            found.skipped.append((file, relative))
        else:
            _add(found, seen, file, relative, named=False)


def _add(found: Found, seen: set[object], path: Place, relative: Path, *, named: bool) -> None:
    number = len(found.captures)
    if path == STANDARD:
        if STANDARD in (c.path for c in found.captures):
            raise UsageError("standard input can be read only once")
        found.captures.append(Capture(path, Path("stdin"), number))
        return
    try:
        own, size, regular = _identity(path)
        if own in seen:
            return
        if not regular:
            found.captures.append(Capture(path, relative, number))
            return
        probe = _native.probe(os.fspath(path))
    except NotACaptureError as error:
        if named:
            raise
        found.skipped.append((path, str(error).removeprefix(f"{safe(path)}: ")))
        return
    except OSError as error:
        if named:
            raise
        found.skipped.append((path, _reason(error)))
        return
    seen.add(own)
    size = probe["size"] if size is None else size
    capture = Capture(path, relative, number, probe["first_ts"], size)
    if (ledger := capture.ledger) is not None:
        # The first packet may be cut, or all of them: the order stays that of the whole captures.
        known, first_ts = _native.ledger_first_ts(os.fspath(ledger), max(size, 0))
        if known:
            capture = replace(capture, first_ts=first_ts)
    found.captures.append(capture)


def _identity(path: Place) -> tuple[object, int | None, bool]:
    """By what a file is known again, its size, and whether it is no pipe."""
    if isinstance(path, Url):
        return path.resolve(), None, True
    info = path.stat()
    return (info.st_dev, info.st_ino), info.st_size, stat.S_ISREG(info.st_mode)
