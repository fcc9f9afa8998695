"""From what the user names to the captures of a data set."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import _native
from .errors import NotACaptureError, UsageError
from .text import safe

STANDARD = Path("-")
LEDGER = ".ledger.arrow"
INDEX = ".flowkeep-index"


@dataclass(frozen=True)
class Capture:
    """A capture of a data set."""

    path: Path
    relative: Path
    """Where it stands below the root that was given; the name alone for a file."""
    number: int = 0
    """In which place it was named or found."""
    first_ts: int | None = None
    """Time of the first packet it had before it was ever trimmed, nanoseconds."""
    size: int = -1
    """Bytes on disk; -1 for a pipe."""

    @property
    def regular(self) -> bool:
        """Whether it is a file, and no pipe."""
        return self.size >= 0

    @property
    def ledger(self) -> Path | None:
        """The ledger beside it, if there is one."""
        beside = ledger_path(self.path)
        return beside if self.regular and beside.is_file() else None

    @property
    def index(self) -> Path | None:
        """The index beside it, if there is one."""
        beside = index_path(self.path)
        return beside if self.regular and beside.is_file() else None


@dataclass
class Found:
    """The captures of a data set, in time order, and what was passed over."""

    captures: list[Capture] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    """Files that are no captures or cannot be read, and why."""
    roots: list[Path] = field(default_factory=list)
    """The folders that were given."""

    @property
    def bytes(self) -> int:
        """Bytes on disk; -1 when one is a pipe."""
        return -1 if any(c.size < 0 for c in self.captures) else sum(c.size for c in self.captures)


def ledger_path(path: Path) -> Path:
    """Where the ledger of a capture stands."""
    return path.with_name(path.name + LEDGER)


def index_path(path: Path) -> Path:
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


def _named(name: str) -> list[Path]:
    path = Path(name)
    if path == STANDARD or path.exists():
        return [path]
    matches = [Path(m) for m in sorted(glob.glob(name, recursive=True))] if glob.has_magic(name) else []
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
    """Look up files, folders (all below them) and globs; order them by their first packet's time.

    A file that was named must be a capture: NotACaptureError, OSError. What only lies in a folder
    and is none is listed in ``skipped``.
    """
    if not names:
        raise UsageError("no captures are named: give files, folders, globs, or - for standard input")
    found, seen = Found(), set[tuple[int, int]]()
    for name in names:
        for path in _named(os.fspath(name)):
            if path.is_dir():
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


def _add(found: Found, seen: set[tuple[int, int]], path: Path, relative: Path, *, named: bool) -> None:
    number = len(found.captures)
    if path == STANDARD:
        if STANDARD in (c.path for c in found.captures):
            raise UsageError("standard input can be read only once")
        found.captures.append(Capture(path, Path("stdin"), number))
        return
    try:
        info = path.stat()
        if (info.st_dev, info.st_ino) in seen:
            return
        if not stat.S_ISREG(info.st_mode):
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
    seen.add((info.st_dev, info.st_ino))
    capture = Capture(path, relative, number, probe["first_ts"], info.st_size)
    if (ledger := capture.ledger) is not None:
        # The first packet may be cut, or all of them: the order stays that of the whole captures.
        known, first_ts = _native.ledger_first_ts(os.fspath(ledger), info.st_size)
        if known:
            capture = replace(capture, first_ts=first_ts)
    found.captures.append(capture)
