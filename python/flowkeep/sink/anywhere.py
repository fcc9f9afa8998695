"""Files that become visible only when whole, under any name: paths and URLs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Protocol, Self

from ..places import Place, Url, place
from .atomic import Part


class Making(Protocol):
    """A file in the making."""

    path: Any
    part: Any
    """Where to write: a path or the like of one."""

    def sync(self, like: Place | None = None) -> None:
        """Bring everything to where it will be; take over what there is to say of ``like``."""

    def commit(self) -> None:
        """Make the file visible, in one step. Raises OutputError."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what was not made visible."""


def begin(target: Place) -> Making:
    """Begin to make a file: what is written to its ``part`` becomes visible with ``commit``.

    Leaving the ``with`` without drops it. Raises OutputError, BusyError, and UsageError for a place that
    takes no files.
    """
    if isinstance(target, Url):
        from ..places.writing import Upload

        return Upload(target)
    return Part(target)


@contextmanager
def whole(name: str | Place) -> Iterator[IO[bytes]]:
    """A binary file for any name: it becomes visible at the end of the ``with``, whole, or not at all.

    Raises UsageError for a place that takes no files, OutputError when it cannot be written.
    """
    with begin(place(name)) as making:
        with making.part.open("wb") as out:
            yield out
        making.sync()
        making.commit()


def state(path: Place) -> tuple[object, object]:
    """By what a file is known again, and what is another one when its content is. Raises OSError."""
    if isinstance(path, Url):
        from ..places import store

        about = store.about(path)
        if about is None:
            raise FileNotFoundError(2, "there is no such file any more", str(path))
        return path.resolve(), about.mark
    info = path.stat()
    return (info.st_dev, info.st_ino), (info.st_size, info.st_mtime_ns)
