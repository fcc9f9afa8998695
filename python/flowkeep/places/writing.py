"""Files anywhere are written whole or not at all.

An object store shows an object when its upload is completed; elsewhere a file gets a hidden name first and is
renamed then. Whoever stops in between leaves nothing that can be seen.
"""

from __future__ import annotations

import io
import secrets
from contextlib import suppress
from types import TracebackType
from typing import IO, Any

from ..errors import OutputError, UsageError
from ..text import safe
from .store import filesystem, judge
from .url import Place, Url

COMMITS = ("s3", "s3a", "gs", "gcs", "memory")
"""Stores in which an object appears, or is replaced, in one step."""
RENAMES = ("sftp", "ssh")
"""Stores in which a rename replaces in one step (POSIX)."""
READ_ONLY = ("http", "https", "github", "git", "ghrelease", "data")
_PIECE = 16 << 20
_making: dict[str, Upload] = {}


def replaces(url: Url) -> bool:
    """Whether a store can put a whole file in the place of another in one step."""
    return url.scheme in COMMITS + RENAMES


def refuse_read_only(url: Url) -> None:
    """Raise UsageError where nothing can be written."""
    if url.scheme in READ_ONLY:
        raise UsageError(
            f"{safe(url)}: {url.scheme}:// takes no files: write to a folder, or to a store such as s3://"
        )
    if not url.name:
        raise UsageError(f"{safe(url)} names no file")


class Upload:
    """A remote file in the making. ``commit`` makes it visible; leaving without drops it.

    ``part`` is the name to write to: by ``part.open("wb")``, or handed to the native core.
    """

    def __init__(self, url: Url) -> None:
        """Begin to make ``url``. Raises UsageError where nothing can be written, OutputError."""
        refuse_read_only(url)
        self.path = url
        self.part = url.with_name(f".{url.name}.{secrets.token_hex(4)}.flowkeep-part")
        self._fs, self._target = filesystem(url)
        self._at_once = url.scheme in COMMITS
        self._hidden = filesystem(self.part)[1]
        self._file: Any = None
        self._size = 0
        self._done = self._closed = False
        _making[str(self.part)] = self

    def _failed(self, error: Exception) -> OutputError:
        return OutputError(f"{safe(self.path)}: cannot be written: {judge(error).text}")

    def create(self) -> None:
        """Begin with nothing."""
        try:
            if self._file is not None:
                self._drop()
            self._size = 0
            if self._at_once:
                self._file = self._begun()
            else:
                self._file = self._fs.open(self._hidden, "wb", block_size=_PIECE)
        except Exception as error:
            raise self._failed(error) from None

    def _begun(self) -> Any:
        if self.path.scheme == "memory":
            return _Held(self._fs, self._target)
        return self._fs.open(self._target, "wb", autocommit=False, block_size=_PIECE)

    def write(self, data: bytes) -> int:
        """Write some bytes. Raises OutputError."""
        try:
            self._file.write(data)
        except Exception as error:
            raise self._failed(error) from None
        self._size += len(data)
        return len(data)

    def sync(self, like: Place | None = None) -> None:
        """Send all that waits. Owner and mode of ``like`` are not known elsewhere."""
        try:
            if self._file is None:
                self.create()
            if not self._closed:
                self._closed = True
                self._file.close()
        except Exception as error:
            raise self._failed(error) from None

    def commit(self) -> None:
        """Make the file visible, in one step. Raises OutputError."""
        self.sync()
        try:
            if self._at_once:
                self._file.commit()
            else:
                self._fs.mv(self._hidden, self._target)
            self._done = True
            if hasattr(self._fs, "invalidate_cache"):
                self._fs.invalidate_cache()
            there = self._fs.info(self._target)["size"]
        except Exception as error:
            raise self._failed(error) from None
        if there != self._size:
            raise OutputError(f"{safe(self.path)}: {self._size} bytes were written, {there} are there")

    def _drop(self) -> None:
        with suppress(Exception):
            if self._at_once:
                self._file.discard()
                with suppress(AttributeError):
                    self._file.closed = True
            else:
                self._file.close()
                self._fs.rm_file(self._hidden)

    def __enter__(self) -> Upload:
        """The upload itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what was not made visible."""
        _making.pop(str(self.part), None)
        if not self._done and self._file is not None:
            self._drop()


class _Held:
    """For the store in the memory of this process, which would show a file from its first byte on."""

    def __init__(self, fs: Any, path: str) -> None:
        self._fs, self._path, self._data = fs, path, bytearray()

    def write(self, data: bytes) -> None:
        self._data += data

    def close(self) -> None:
        pass

    def commit(self) -> None:
        self._fs.pipe_file(self._path, bytes(self._data))

    def discard(self) -> None:
        self._data.clear()


class _Raw(io.RawIOBase):
    def __init__(self, upload: Upload) -> None:
        self._upload = upload

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._upload.write(bytes(data))


class Sink:
    """An upload as the native core writes to it. Errors have a number and the reason alone."""

    def __init__(self, upload: Upload) -> None:
        """Begin with nothing."""
        self._upload = upload
        upload.create()

    def write(self, data: bytes) -> None:
        """Write some bytes. Raises OSError."""
        try:
            self._upload.write(data)
        except OutputError as error:
            raise OSError(5, str(error), str(self._upload.path)) from None


def making(name: str) -> Upload:
    """The upload that writes to a hidden name. Raises OSError."""
    try:
        return _making[name]
    except KeyError:
        raise OSError(22, "it is not being made", name) from None


def opened(url: Url) -> IO[bytes]:
    """Open the hidden name of an :class:`Upload` for writing."""
    upload = making(str(url))
    upload.create()
    return io.BufferedWriter(_Raw(upload), 1 << 20)
