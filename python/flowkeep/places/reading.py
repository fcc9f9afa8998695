"""Remote files for reading: in blocks, ahead of who reads, tried again when a store stumbles.

The native core asks for the block of an offset and gets it as it came, without a copy. What comes next is
fetched meanwhile by a few threads. At most :data:`AHEAD` blocks are held beside those in the core's hands.
"""

from __future__ import annotations

import errno
import io
import random
import threading
import time
from collections.abc import Callable
from typing import IO, TypeVar

from .source import Source, opened_source
from .store import About, RefusedError, Trouble, judge
from .url import Url

T = TypeVar("T")

HEAD = 256 << 10
"""Bytes of the first block: enough to tell what a file is, and when it begins."""
BLOCK = 8 << 20
"""Bytes of the others."""
AHEAD = 3
"""Blocks that are there or on their way."""
TRIES = 5
"""How often something is tried."""
PAUSE = 0.1
"""Seconds before the second time; then 4, 16 and 64 times as many, each less a random part."""


def tried(
    url: Url, call: Callable[[], T], *, what: str = "", wait: Callable[[float], bool] | None = None
) -> T:
    """Call until it works; OSError says what went wrong at last. ``wait`` ends the trying by True."""
    for n in range(TRIES):
        try:
            return call()
        except Exception as error:
            trouble = judge(error)
            pause = PAUSE * 4**n * random.uniform(0.5, 1)
            if not trouble.again or n + 1 == TRIES or (wait and wait(pause)):
                many = f" (tried {n + 1} times)" if n else ""
                text = f"{what}: {trouble.text}{many}" if what else trouble.text + many
                raise Trouble(trouble.number, text, False).error(url) from None
            if wait is None:
                time.sleep(pause)
    raise AssertionError


def span(offset: int) -> tuple[int, int]:
    """The block that a byte is in: where it begins and ends."""
    if offset < HEAD:
        return 0, HEAD
    begin = offset // BLOCK * BLOCK
    return max(begin, HEAD), begin + BLOCK


class Reader:
    """A remote file, opened by a thread of its own. All methods may be called from several threads."""

    def __init__(self, url: Url) -> None:
        """Begin to open it."""
        self.url = url
        self._source: Source | None = None
        self._error: OSError | None = None
        self._blocks: dict[int, bytes | OSError | None] = {}
        """By where they begin; None: on its way."""
        self._wanted: list[int] = []
        self._end: int | None = None
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._start(self._open)

    def _start(self, work: Callable[[], None]) -> None:
        # A daemon: a server that does not answer does not keep the process from ending.
        threading.Thread(target=work, name="flowkeep-fetch", daemon=True).start()

    def _open(self) -> None:
        source, error = None, None
        try:
            source = tried(self.url, lambda: opened_source(self.url, HEAD), wait=self._closed.wait)
        except OSError as failed:
            error = failed
        except Exception as failed:  # UsageError: something must be installed
            error = OSError(errno.EIO, str(failed), str(self.url))
        with self._changed:
            self._source, self._error = source, error
            if source is not None:
                self._end = source.size
                if source.first is not None:
                    self._blocks[0] = source.first
            self._changed.notify_all()
        if source is None:
            return
        for _ in range(source.parallel - 1):
            self._start(self._fetch)
        self._fetch()

    def _fetch(self) -> None:
        source = self._source
        assert source is not None
        while True:
            with self._changed:
                while not self._wanted and not self._closed.is_set():
                    self._changed.wait()
                if self._closed.is_set():
                    break
                begin = self._wanted.pop(0)
            block: bytes | OSError
            try:
                block = self._get(source, begin)
            except OSError as error:
                block = error
            with self._changed:
                if begin in self._blocks:
                    self._blocks[begin] = block
                if not source.ranged and isinstance(block, bytes) and len(block) < span(begin)[1] - begin:
                    self._end = (
                        begin + len(block) if self._end is None else min(self._end, begin + len(block))
                    )
                self._changed.notify_all()
        source.close()

    def _get(self, source: Source, begin: int) -> bytes:
        end = span(begin)[1] if source.size is None else min(span(begin)[1], source.size)
        what = f"bytes {begin} to {end}"
        if not source.ranged:
            # What has gone by does not come again.
            try:
                return source.read(begin, end)
            except Exception as error:
                raise Trouble(errno.EIO, f"{what}: {judge(error).text}; the server gives no ranges, so that "
                              "nobody can go on from here", False).error(self.url) from None  # fmt: skip

        def call() -> bytes:
            got = source.read(begin, end)
            if len(got) > end - begin:
                raise RefusedError(f"{end - begin} bytes were asked for, {len(got)} came")
            if len(got) < end - begin:
                raise EOFError(f"{end - begin} bytes were asked for, {len(got)} came")
            return got

        return tried(self.url, call, what=what, wait=self._closed.wait)

    def ready(self, wait: float) -> tuple[int | None, bool] | None:
        """Size, if it is known, and whether it can be read anywhere; None when it is not open yet.

        Raises OSError.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._source or self._error, wait)
            if self._error:
                raise self._error
            return None if self._source is None else (self._source.size, self._source.ranged)

    def block(self, offset: int, wait: float) -> tuple[int, bytes] | None:
        """The block that a byte is in, and where it begins; empty behind the end.

        None when it is not there yet. Raises OSError.
        """
        with self._changed:
            if self._end is not None and offset >= self._end:
                return offset, b""
            begin = span(offset)[0]
            self._want(begin)
            self._changed.wait_for(lambda: self._blocks.get(begin) is not None, wait)
            block = self._blocks.get(begin)
            if isinstance(block, OSError):
                raise block
            return None if block is None else (begin, block)

    def _want(self, begin: int) -> None:
        source = self._source
        assert source is not None, "it is not ready"
        window, at = [], begin
        # Who looks at the head alone is not made to wait for more.
        for _ in range(AHEAD if begin else 1):
            if self._end is not None and at >= self._end:
                break
            window.append(at)
            at = span(at)[1]
        for old in [b for b in self._blocks if b < begin - BLOCK or b > at]:
            if self._blocks[old] is not None or old in self._wanted:
                del self._blocks[old]
                if old in self._wanted:
                    self._wanted.remove(old)
        for each in window:
            if each not in self._blocks:
                if not source.ranged and each < source.at:
                    self._blocks[each] = OSError(
                        errno.ESPIPE, "the server gives no ranges: what has gone by cannot be read again",
                        str(self.url),
                    )  # fmt: skip
                    continue
                self._blocks[each] = None
                self._wanted.append(each)
        self._changed.notify_all()

    def close(self) -> None:
        """Stop fetching."""
        self._closed.set()
        with self._changed:
            self._blocks.clear()
            self._wanted.clear()
            self._changed.notify_all()


class _Raw(io.RawIOBase):
    """A reader as a file of Python."""

    def __init__(self, url: Url) -> None:
        self._reader, self._at = Reader(url), 0
        while (ready := self._reader.ready(1)) is None:
            pass
        self._size, self._ranged = ready

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._ranged

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END and self._size is None:
            raise io.UnsupportedOperation("its size is not known")
        self._at = offset + (0, self._at, self._size or 0)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while (found := self._reader.block(self._at, 1)) is None:
            pass
        begin, block = found
        part = block[self._at - begin : self._at - begin + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        self._reader.close()
        super().close()


def opened(url: Url) -> IO[bytes]:
    """Open a remote file for reading. Raises OSError."""
    return io.BufferedReader(_Raw(url))


def ask(url: Url) -> About | None:
    """What a web server says about a URL. Raises OSError."""
    try:
        source = tried(url, lambda: opened_source(url, 1))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES):
            return None
        raise
    source.close()
    return About(False, source.size if source.ranged else None, source.mark)
