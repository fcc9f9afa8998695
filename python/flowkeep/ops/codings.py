"""Content codings undone piece by piece: gzip, deflate, br, zstd (RFC 9110 section 8.4, RFC 7932, RFC 8878).

A few coded bytes may stand for gigabytes, so what comes out comes in pieces of bounded size: whoever
has enough stops.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Protocol

from ..errors import UsageError

PIECE = 1 << 20
"""Bytes that come out at once, about."""


class Decoder(Protocol):
    """Undoes one coding."""

    @property
    def whole(self) -> bool:
        """Whether the coded bytes so far are complete."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the next coded bytes stand for. Raises an error of the library when they are none."""


class _Zlib:
    """gzip (RFC 1952), which may have several members, and zlib's format (RFC 1950)."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._decoder = zlib.decompressobj(bits)

    @property
    def whole(self) -> bool:
        return self._decoder.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._decoder.eof:
                self._decoder = zlib.decompressobj(self._bits)
            if out := self._decoder.decompress(data, PIECE):
                yield out
            data = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail


class _Deflate:
    """RFC 9110 says zlib's format; some servers send it without its head of two bytes (RFC 1951)."""

    def __init__(self) -> None:
        self._head = b""
        self._decoder: _Zlib | None = None

    @property
    def whole(self) -> bool:
        return self._decoder is not None and self._decoder.whole

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._decoder is None:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return
            # RFC 1950 section 2.2: method 8, and the two bytes are a multiple of 31.
            headed = data[0] & 15 == 8 and data[0] >> 4 <= 7 and int.from_bytes(data[:2]) % 31 == 0
            self._decoder = _Zlib(15 if headed else -15)
        yield from self._decoder.feed(data)


class _Brotli:
    def __init__(self) -> None:
        self._decoder = _library("brotli", "br").Decompressor()

    @property
    def whole(self) -> bool:
        return bool(self._decoder.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            out = self._decoder.process(data, output_buffer_limit=PIECE)
            if out:
                yield out
            elif self._decoder.can_accept_more_data():
                return
            data = b""


class _Zstd:
    def __init__(self) -> None:
        self._library = _library("zstandard", "zstd")
        self._decoder = self._begun()

    def _begun(self) -> Any:
        # RFC 9659: no window is larger.
        return self._library.ZstdDecompressor(max_window_size=8 << 20).decompressobj()

    @property
    def whole(self) -> bool:
        return bool(self._decoder.eof)

    def feed(self, data: bytes) -> Iterator[bytes]:
        # 32 bytes hold eight blocks of 128 KiB at most (RFC 8878 section 3.1.1.2).
        for at in range(0, len(data), 32):
            part = data[at : at + 32]
            while part:
                if self._decoder.eof:
                    self._decoder = self._begun()
                if out := self._decoder.decompress(part):
                    yield out
                part = self._decoder.unused_data if self._decoder.eof else b""


def _library(name: str, coding: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise UsageError(
            f"the body is coded with {coding}: install the Python package {name} to decode it "
            "(pip install 'flowkeep[decode]'), or leave --decode away"
        ) from None


CODINGS: dict[str, Callable[[], Decoder]] = {
    "gzip": lambda: _Zlib(31),
    "x-gzip": lambda: _Zlib(31),
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}
"""By the names that a Content-Encoding has."""
