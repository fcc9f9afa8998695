"""One remote file: how a range of it is had from each kind of store."""

from __future__ import annotations

import re
import threading
from typing import Any, Protocol

from .store import RefusedError, filesystem
from .url import Url

_PIECE = 1 << 20
_PRINTABLE = re.compile(r"[!-~]+")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)$")


class Source(Protocol):
    """A file that was opened."""

    size: int | None
    """Bytes, when that is known."""
    ranged: bool
    """Whether any range can be read; else one byte after the other."""
    parallel: int
    """How many threads may read at once."""
    first: bytes | None
    """What came with the opening: the first block."""
    at: int
    """Without ranges: the byte that comes next."""
    mark: str
    """Another one when the content is another one."""

    def read(self, begin: int, end: int) -> bytes:
        """The bytes of a range; fewer only where the file ends."""

    def close(self) -> None:
        """Let go of it."""


def opened_source(url: Url, head: int) -> Source:
    """Open a file; of ``head`` bytes at most the first may come with it. Raises what the store raises."""
    fs, path = filesystem(url)
    if url.scheme in ("http", "https"):
        return _Web(fs, path, head)
    info = fs.info(path)
    if info.get("type") == "directory":
        raise IsADirectoryError(path)
    size = info.get("size")
    if url.scheme == "memory":
        return _Held(fs, path, int(size))
    file = fs.open(path, "rb", cache_type="none", block_size=_PIECE)
    if size is None:
        return _Passing(file)
    # Files of object stores ask for a range in one request, and do not mind threads.
    fetch = getattr(file, "_fetch_range", None) if url.scheme in ("s3", "s3a", "gs", "gcs") else None
    return _Ranges(fetch, file, int(size)) if fetch else _Seeking(file, int(size))


class _Known:
    """What all of known size have in common."""

    ranged = True
    parallel = 1
    first: bytes | None = None
    at = 0
    mark = ""

    def __init__(self, size: int) -> None:
        self.size: int | None = size


class _Held(_Known):
    """In the memory of this process."""

    def __init__(self, fs: Any, path: str, size: int) -> None:
        super().__init__(size)
        self._fs, self._path = fs, path

    def read(self, begin: int, end: int) -> bytes:
        return bytes(self._fs.cat_file(self._path, begin, end))

    def close(self) -> None:
        pass


class _Ranges(_Known):
    """In an object store."""

    parallel = 3

    def __init__(self, fetch: Any, file: Any, size: int) -> None:
        super().__init__(size)
        self._fetch, self._file = fetch, file

    def read(self, begin: int, end: int) -> bytes:
        return bytes(self._fetch(begin, end))

    def close(self) -> None:
        self._file.close()


class _Seeking(_Known):
    """Whatever can be sought in."""

    def __init__(self, file: Any, size: int) -> None:
        super().__init__(size)
        self._file, self._lock = file, threading.Lock()

    def read(self, begin: int, end: int) -> bytes:
        with self._lock:
            self._file.seek(begin)
            return _full(self._file.read, end - begin)

    def close(self) -> None:
        self._file.close()


class _Passing:
    """Whatever can only be read on."""

    ranged = False
    parallel = 1
    first: bytes | None = None
    mark = ""
    size: int | None = None

    def __init__(self, file: Any) -> None:
        self._file, self.at = file, 0

    def read(self, begin: int, end: int) -> bytes:
        got = _full(self._file.read, end - begin)
        self.at += len(got)
        return got

    def close(self) -> None:
        self._file.close()


def _full(read: Any, length: int) -> bytes:
    pieces: list[bytes] = []
    while length > 0 and (piece := read(length)):
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


class _Web:
    """A file of a web server. What fsspec does not look at is looked at here: that the range is the one
    that was asked for, that the file is the same all the time, that no more comes than was asked for.

    fsspec gives the session, with all that was set for it: proxies, headers, certificates.
    """

    parallel = 3

    def __init__(self, fs: Any, path: str, head: int) -> None:
        from fsspec.asyn import sync

        self._fs, self._path, self._sync = fs, path, sync
        self.size: int | None = None
        self.at, self.first, self.mark = 0, None, ""
        self._passing: Any = None
        self.ranged = True
        self.first = sync(fs.loop, self._open, head)

    async def _ask(self, begin: int, end: int) -> Any:
        session = await self._fs.set_session()
        kwargs = {**self._fs.kwargs}
        headers = {
            **kwargs.pop("headers", {}),
            "Accept-Encoding": "identity",
            "Range": f"bytes={begin}-{end - 1}",
        }
        return await session.get(self._address(), headers=headers, **kwargs)

    def _address(self) -> Any:
        from yarl import URL

        # What is a URL already is sent as it is: signatures are over its letters.
        return URL(self._path, encoded=_PRINTABLE.fullmatch(self._path) is not None)

    async def _open(self, head: int) -> bytes | None:
        answer = await self._ask(0, head)
        self.mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if answer.status == 416:
            answer.release()
            whole = answer.headers.get("Content-Range", "")
            if whole.strip() != "bytes */0":
                raise RefusedError(
                    f"the server has no first byte, and says {whole or 'nothing'!r} of the length"
                )
            self.size = 0
            return b""
        if answer.status != 206:
            answer.raise_for_status()
            _plain(answer)
            # No ranges: the file comes as one.
            self.ranged, self.parallel, self._passing = False, 1, answer
            return None
        begin, end, total = _range(answer)
        self.size = total
        if begin != 0 or (total is not None and end != min(head, total)):
            answer.close()
            raise RefusedError(f"bytes 0 to {head} were asked for, {begin} to {end} of {total} came")
        if total is None:
            answer.close()
            raise RefusedError("the server gives ranges, and does not say how long the file is")
        return await _body(answer, end)

    def read(self, begin: int, end: int) -> bytes:
        """The bytes of a range."""
        got: bytes = self._sync(self._fs.loop, self._range if self.ranged else self._next, begin, end)
        return got

    async def _range(self, begin: int, end: int) -> bytes:
        answer = await self._ask(begin, end)
        if answer.status == 416:
            answer.close()
            raise RefusedError(
                f"the server has no bytes {begin} to {end}, and said that the file has {self.size}"
            )
        if answer.status != 206:
            answer.raise_for_status()
            answer.close()
            raise RefusedError("the server gave a range before and gives none now")
        got = _range(answer)
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if got[2] not in (self.size, None) or mark != self.mark:
            answer.close()
            raise RefusedError("the file was changed while it was read")
        if got[:2] != (begin, end):
            answer.close()
            raise RefusedError(f"bytes {begin} to {end} were asked for, {got[0]} to {got[1]} came")
        return await _body(answer, end - begin)

    async def _next(self, begin: int, end: int) -> bytes:
        pieces, left = [], end - begin
        while left and (piece := await self._passing.content.read(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
        got = b"".join(pieces)
        self.at += len(got)
        return got

    def close(self) -> None:
        """Let go of the answer that is not read to its end."""
        if self._passing is not None:
            self._fs.loop.call_soon_threadsafe(self._passing.close)


def _plain(answer: Any) -> None:
    coding = answer.headers.get("Content-Encoding", "identity")
    if coding not in ("identity", ""):
        answer.close()
        raise RefusedError(f"the server gives the file only as {coding!r}, and no bytes of the file itself")


def _range(answer: Any) -> tuple[int, int, int | None]:
    _plain(answer)
    text = answer.headers.get("Content-Range", "")
    match = _RANGE.match(text.strip())
    if match is None:
        answer.close()
        raise RefusedError(f"the server gives a range and does not say which: {text!r}")
    total = None if match[3] == "*" else int(match[3])
    return int(match[1]), int(match[2]) + 1, total


async def _body(answer: Any, length: int) -> bytes:
    """The whole answer, and no more than it should have."""
    pieces: list[bytes] = []
    got = 0
    async with answer:
        while got <= length and (piece := await answer.content.read(_PIECE)):
            pieces.append(piece)
            got += len(piece)
        if got > length:
            answer.close()
            raise RefusedError(f"{length} bytes were to come, and more came")
    if got < length:
        raise EOFError(f"{length} bytes were to come, {got} came")
    return b"".join(pieces)
