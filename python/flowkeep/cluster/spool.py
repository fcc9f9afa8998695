"""The folder by which tasks hand on what they found. All workers see it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BusyError, OutputError, UsageError
from ..paths import Found
from ..places import Place, Url
from ..text import safe


def digest(*parts: Any) -> str:
    """A name for what is made from these."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=repr).encode()).hexdigest()[:24]


def work(kind: str, found: Found, *how: Any) -> str:
    """A name for what is done with captures, in whatever state they are."""
    return digest(kind, [os.fspath(whole_name(capture.path)) for capture in found.captures], *how)


@dataclass(frozen=True)
class Spool:
    """Files under names that say what is in them. One becomes visible only when it is whole; the same name
    means the same content, so that a task may be done twice, and what is there need not be done again."""

    folder: Path

    def path(self, name: str) -> Path:
        """Where a file of this name is."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return self.path(name).exists()

    def put(self, name: str, write: Callable[[str], None]) -> None:
        """Make a file: ``write`` gets a path."""
        handle, part = tempfile.mkstemp(prefix=".part-", dir=self.folder)
        os.close(handle)
        try:
            write(part)
            _sync(part)
            os.replace(part, self.path(name))
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise

    def put_json(self, name: str, value: Any) -> None:
        """Note something small."""
        self.put(name, lambda part: _write(part, value))

    def get_json(self, name: str) -> Any:
        """What was noted."""
        return json.loads(self.path(name).read_bytes())


def _sync(part: str) -> None:
    fd = os.open(part, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write(part: str, value: Any) -> None:
    Path(part).write_text(json.dumps(value, default=os.fspath), encoding="utf-8")


@contextmanager
def opened(folder: str | os.PathLike[str] | None, key: str, *, local: bool) -> Iterator[Spool]:
    """The spool of one work, told by ``key``, in a folder; without one, in a temporary folder, which only
    workers on this machine see.

    It is emptied at the end when all went well; else what is done stays for the next time. Raises
    UsageError, OutputError, and BusyError when the same work is being done already.
    """
    if folder is None:
        if not local:
            raise UsageError(
                "the workers hand on what they find by files: name a folder that all of them and this "
                "machine see, --spool DIR"
            )
        with tempfile.TemporaryDirectory(prefix="flowkeep-spool-") as made:
            yield Spool(Path(made))
        return
    root = Path(folder).resolve() / f"flowkeep-spool-{key}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(f"{safe(root)}: the folder cannot be made: {error.strerror}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{safe(root)}: another flowkeep does this work already; wait for it") from None
        yield Spool(root)
        shutil.rmtree(root, ignore_errors=True)
    finally:
        os.close(fd)


def whole_name(path: Place) -> Place:
    """A name that is the same in every working directory."""
    return path if isinstance(path, Url) else Path(os.path.abspath(path))
