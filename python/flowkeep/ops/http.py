"""Undoes the codings of HTTP/1 bodies in a stream: chunks (RFC 9112 section 7.1) and content codings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..errors import UsageError
from ..stream import Data, Event, Gap, Stream
from .codings import CODINGS, Decoder

MOST = 64 << 20
"""Bytes that one body may become; what is behind is not decoded."""
_HEAD = 256 << 10
"""Bytes of a header section, at most."""
_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"TRACE ", b"CONNECT ", b"PATCH ")


class _Side:
    """The messages of one direction."""

    def __init__(self, methods: list[bytes], asks: bool) -> None:
        self._methods, self._asks = methods, asks
        self._held = bytearray()
        self._looked = 0
        """Bytes of what is held in which the end of a head or line was looked for in vain."""
        self._state = "head"
        self._left = 0
        self._decoders: list[Decoder] = []
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
                yield self.rest()

    def broken(self) -> Iterator[bytes | str]:
        """Bytes are missing here: what follows is shown as it is."""
        if self._state != "plain":
            self._state = "plain"
            if self._held:
                yield self.rest()
            yield "what follows is not decoded: bytes are missing"

    def rest(self) -> bytes:
        """What was held at the end."""
        return self._take(len(self._held))

    def _take(self, n: int) -> bytes:
        taken = bytes(self._held[:n])
        del self._held[:n]
        self._looked = 0
        return taken

    def _find(self, end: bytes) -> int:
        """Where it is, from where it was not yet looked for."""
        return self._held.find(end, max(0, self._looked - len(end)))

    def _step(self) -> Iterator[bytes | str]:
        if self._state == "head":
            yield from self._head()
        elif self._state == "length":
            part = self._take(self._left)
            self._left -= len(part)
            yield from self._body(part)
            if not self._left:
                yield from self._ended()
                self._state = "head"
        elif self._state == "size":
            end = self._find(b"\n")
            if end < 0:
                self._looked = len(self._held)
                if self._looked > 4096:
                    self._state = "plain"
                return
            line = bytes(self._held[:end])
            try:
                size = line.split(b";")[0].strip()
                if not size or size.strip(b"0123456789abcdefABCDEF"):
                    raise ValueError
                self._left = int(size[:17], 16)
            except ValueError:
                self._state = "plain"
                yield "what follows is not decoded: it is no chunk"
                return
            self._take(end + 1)
            if not self._left:
                yield from self._ended()
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
            end = self._find(b"\n")
            if end < 0:
                self._looked = len(self._held)
                if self._looked > _HEAD:
                    self._state = "plain"
                return
            line = self._take(end + 1)
            if line.strip():
                yield line
            else:
                self._state = "head"
        elif self._state == "close":
            yield from self._body(self._take(len(self._held)))

    def _head(self) -> Iterator[bytes | str]:
        begins = _METHODS if self._asks else (b"HTTP/1.",)
        if not any(self._held.startswith(b[: len(self._held)]) for b in begins):
            self._state = "plain"
            return
        end, size = self._find(b"\r\n\r\n"), 4
        if end < 0:
            end, size = self._find(b"\n\n"), 2
        if end < 0:
            self._looked = len(self._held)
            if self._looked > _HEAD:
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
        self._made, self._decoders = 0, []
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
            if coding in CODINGS and len(self._decoders) < 4:
                self._decoders.append(CODINGS[coding]())
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
        if not self._decoders:
            yield data
            return
        if self._made > MOST:
            return
        try:
            for part in _through(self._decoders, data):
                room = MOST - self._made
                self._made += len(part)
                yield part[:room]
                if self._made > MOST:
                    yield f"the body becomes more than {MOST} bytes; the rest is not shown"
                    return
        except UsageError:
            raise
        except Exception as error:  # each library has errors of its own
            self._made = MOST + 1
            yield f"the body cannot be decoded: {error}"

    def _ended(self) -> Iterator[str]:
        """The body is over; its codings should be as well."""
        if self._decoders and self._made <= MOST and not all(decoder.whole for decoder in self._decoders):
            yield "the coded body ends too early"


def _through(decoders: list[Decoder], data: bytes) -> Iterator[bytes]:
    """What the bytes become behind all decoders."""
    if not decoders:
        yield data
        return
    for part in decoders[0].feed(data):
        yield from _through(decoders[1:], part)


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
