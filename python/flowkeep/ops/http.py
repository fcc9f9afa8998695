"""Undoes the codings of HTTP/1 bodies in a stream: chunks (RFC 9112 section 7.1), gzip, deflate, br and zstd
(RFC 9110 section 8.4)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

from ..errors import UsageError
from ..stream import Data, Event, Gap, Stream

MOST = 64 << 20
"""Bytes that one body may become; what is behind is not decoded."""
_HEAD = 256 << 10
"""Bytes of a header section, at most."""
_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"TRACE ", b"CONNECT ", b"PATCH ")


Feed = Callable[[bytes], bytes]


def _zlib(bits: int) -> Feed:
    decoder = zlib.decompressobj(bits)

    def feed(data: bytes) -> bytes:
        return decoder.decompress(data, MOST + 1)

    return feed


def _deflate() -> Feed:
    """RFC 9110 says zlib's format; some servers send it without its head."""
    tried: list[Feed] = []

    def feed(data: bytes) -> bytes:
        if not tried:
            try:
                first = _zlib(15)
                out = first(data)
                tried.append(first)
                return out
            except zlib.error:
                tried.append(_zlib(-15))
        return tried[0](data)

    return feed


def _library(name: str, coding: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise UsageError(
            f"the body is coded with {coding}: install the Python package {name} to decode it, "
            "or leave --decode away"
        ) from None


def _brotli() -> Feed:
    decoder = _library("brotli", "br").Decompressor()

    def feed(data: bytes) -> bytes:
        # In pieces, so that a few bytes cannot become gigabytes at once.
        out = bytearray()
        for at in range(0, len(data), 256):
            out += decoder.process(data[at : at + 256])
            if len(out) > MOST:
                break
        return bytes(out)

    return feed


def _zstd() -> Feed:
    library = _library("zstandard", "zstd")
    # RFC 9659: no window is larger.
    decoder = library.ZstdDecompressor(max_window_size=8 << 20).decompressobj()

    def feed(data: bytes) -> bytes:
        out = bytearray()
        for at in range(0, len(data), 64):
            out += decoder.decompress(data[at : at + 64])
            if len(out) > MOST:
                break
        return bytes(out)

    return feed


_CODINGS: dict[str, Callable[[], Feed]] = {
    "gzip": lambda: _zlib(31),
    "x-gzip": lambda: _zlib(31),
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}


class _Side:
    """The messages of one direction."""

    def __init__(self, methods: list[bytes], asks: bool) -> None:
        self._methods, self._asks = methods, asks
        self._held = b""
        self._state = "head"
        self._left = 0
        self._feeds: list[Feed] = []
        self._made = 0
        self._chunked = False

    def put(self, data: bytes) -> Iterator[bytes | str]:
        """What the bytes say, decoded; a str is a mark."""
        if self._state == "plain":
            yield data
            return
        self._held += data
        before = -1
        while self._held and before != len(self._held):
            before = len(self._held)
            yield from self._step()
            if self._state == "plain":
                yield self._held
                self._held = b""

    def broken(self) -> Iterator[bytes | str]:
        """Bytes are missing here: what follows is shown as it is."""
        if self._state != "plain":
            self._state = "plain"
            if self._held:
                yield self._held
            self._held = b""
            yield "what follows is not decoded: bytes are missing"

    def rest(self) -> bytes:
        """What was held at the end."""
        held, self._held = self._held, b""
        return held

    def _take(self, n: int) -> bytes:
        taken, self._held = self._held[:n], self._held[n:]
        return taken

    def _step(self) -> Iterator[bytes | str]:
        if self._state == "head":
            yield from self._head()
        elif self._state == "length":
            part = self._take(self._left)
            self._left -= len(part)
            yield from self._body(part)
            if not self._left:
                self._state = "head"
        elif self._state == "size":
            line, found, rest = self._held.partition(b"\n")
            if not found:
                if len(line) > 4096:
                    self._state = "plain"
                return
            try:
                size = line.split(b";")[0].strip()
                if not size or size.strip(b"0123456789abcdefABCDEF"):
                    raise ValueError
                self._left = int(size[:17], 16)
            except ValueError:
                self._state = "plain"
                yield "what follows is not decoded: it is no chunk"
                return
            self._held = rest
            self._state = "chunk" if self._left else "trailer"
        elif self._state == "chunk":
            part = self._take(self._left)
            self._left -= len(part)
            yield from self._body(part)
            if not self._left:
                self._state = "behind"
        elif self._state == "behind":
            if len(self._held) >= 2:
                self._take(2)
                self._state = "size"
        elif self._state == "trailer":
            line, found, rest = self._held.partition(b"\n")
            if found:
                self._held = rest
                if line.strip():
                    yield line + b"\n"
                else:
                    self._state = "head"
            elif len(line) > _HEAD:
                self._state = "plain"
        elif self._state == "close":
            yield from self._body(self._take(len(self._held)))

    def _head(self) -> Iterator[bytes | str]:
        begins = _METHODS if self._asks else (b"HTTP/1.",)
        if not any(self._held.startswith(b[: len(self._held)]) for b in begins):
            self._state = "plain"
            return
        end = self._held.find(b"\r\n\r\n")
        size = 4
        if end < 0:
            end, size = self._held.find(b"\n\n"), 2
        if end < 0:
            if len(self._held) > _HEAD:
                self._state = "plain"
            return
        head = self._take(end + size)
        yield head
        self._begin(head)

    def _begin(self, head: bytes) -> None:
        first, *rest = head.decode("latin-1").splitlines()
        fields: dict[str, str] = {}
        for line in rest:
            name, found, value = line.partition(":")
            if found:
                fields[name.strip().lower()] = value.strip()
        self._made, self._feeds = 0, []
        method = b""
        status = 200
        if self._asks:
            self._methods.append(first.split(" ")[0].encode("latin-1"))
        else:
            parts = first.split(" ")
            status = int(parts[1]) if len(parts) > 1 and parts[1].isascii() and parts[1].isdigit() else 200
            if status >= 200 and self._methods:
                method = self._methods.pop(0)
        self._chunked = "chunked" in fields.get("transfer-encoding", "").lower()
        for coding in reversed([c.strip().lower() for c in fields.get("content-encoding", "").split(",")]):
            if coding in _CODINGS and len(self._feeds) < 4:
                self._feeds.append(_CODINGS[coding]())
        length = fields.get("content-length", "")
        if status // 100 == 1 or status in (204, 304) or method == b"HEAD":
            self._state = "plain" if status == 101 else "head"
        elif method == b"CONNECT" and status // 100 == 2:
            self._state = "plain"
        elif self._chunked:
            self._state = "size"
        elif length.isascii() and length.isdigit() and len(length) < 19:
            self._left = int(length)
            self._state = "length" if self._left else "head"
        else:
            self._state = "head" if self._asks else "close"

    def _body(self, data: bytes) -> Iterator[bytes | str]:
        if not self._feeds:
            yield data
            return
        if self._made > MOST:
            return
        try:
            for feed in self._feeds:
                data = feed(data)
        except UsageError:
            raise
        except Exception as error:  # each library has errors of its own
            self._made = MOST + 1
            yield f"the body cannot be decoded: {error}"
            return
        room = MOST - self._made
        self._made += len(data)
        if data:
            yield data[:room]
        if self._made > MOST:
            self._made = MOST + 1
            yield f"the body becomes more than {MOST} bytes; the rest is not shown"


def decoded(stream: Stream) -> Iterator[Event | str]:
    """The events of a stream with the bodies decoded; a str is a mark. Offsets stay those of the coded bytes.

    Raises UsageError when a library is missing."""
    methods: list[bytes] = []
    sides = {"client": _Side(methods, True), "server": _Side(methods, False)}
    last: dict[str, Data] = {}
    for event in stream:
        side = sides[event.direction]
        if isinstance(event, Data):
            last[event.direction] = event
            for part in side.put(event.data):
                yield part if isinstance(part, str) else replace(event, data=part)
            continue
        if isinstance(event, Gap):
            for part in side.broken():
                yield part if isinstance(part, str) else replace(last[event.direction], data=part)
        yield event
    for direction, event in last.items():
        held = sides[direction].rest()
        if held:
            yield replace(event, data=held)
