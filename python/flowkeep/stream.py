"""The bytes of a TCP connection in order, and all that is not certain about them.

::

    stream = fk.open("day.pcap").stream(17)
    for event in stream:
        match event:
            case fk.stream.Data(data=data): ...
            case fk.stream.Gap(offset=offset, length=length, reason=reason): ...
    page = stream.server.bytes()

Offsets are bytes from the begin of a direction's stream, times nanoseconds since the epoch (UTC). What each
event means, and how it is decided, says ``docs/streams.md``.
"""

from __future__ import annotations

import io
import os
import struct
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Literal, cast

from . import _native
from .errors import UsageError
from .places import Place

_Bytes = bytes
Direction = Literal["client", "server"]
GapReason = Literal["not_captured", "cut_by_policy", "snapped"]

_HEAD = struct.Struct("<4BIqQ" + "QqBxHI" * 2)
_DATA, _GAP, _OVERLAP, _RESET, _FIN, _ANOMALY, _DATAGRAM, _SEEN = range(1, 9)
_REASONS: tuple[GapReason, ...] = ("not_captured", "cut_by_policy", "snapped")
_ANOMALIES = tuple(_native.anomaly_names())
_FRAME_BITS = 40


@dataclass(frozen=True, slots=True)
class Frame:
    """A packet: where bytes came from."""

    file: Place
    number: int
    """Counts the packets of the file from 1."""
    time_ns: int
    ttl: int
    """IP time to live, or hop limit."""
    ip_id: int
    """IPv4 identification; 0 in IPv6."""


@dataclass(frozen=True, slots=True)
class Event:
    """What all events have."""

    direction: Direction
    """Which end's stream."""
    offset: int
    """Place in the stream; below 0 before its begin."""
    frame: Frame
    """The packet that gave the data, or that made this known."""
    connection: int = field(default=0, kw_only=True)
    """Counts new connections on the same ports within the flow, from 0; offsets begin at 0 again."""


@dataclass(frozen=True, slots=True)
class Data(Event):
    """The next bytes, all from one frame."""

    data: bytes
    skip: int
    """Where they begin in that frame's payload."""


@dataclass(frozen=True, slots=True)
class Gap(Event):
    """Missing bytes."""

    length: int
    reason: GapReason


@dataclass(frozen=True, slots=True)
class Overlap(Event):
    """Two versions of one range; ``frame`` is that of the one that is kept."""

    kept: bytes
    other: bytes
    other_frame: Frame


@dataclass(frozen=True, slots=True)
class Reset(Event):
    """A RST that counts."""


@dataclass(frozen=True, slots=True)
class Fin(Event):
    """The end of the stream; ``offset`` is its length."""


@dataclass(frozen=True, slots=True)
class Anomaly(Event):
    """Something odd, by name; captured bytes that are not in the stream because of it."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Datagram(Event):
    """A UDP datagram; ``offset`` counts datagrams' bytes."""

    data: bytes
    wire_length: int
    """Its length on the wire, more than the bytes where the capture was snapped."""


@dataclass(frozen=True, slots=True)
class Segment(Event):
    """A TCP segment as it was captured; ``offset`` is its sequence number."""

    data: bytes


class Stream:
    """Both directions of one flow. Iterating gives the events of both as they were sent.

    The events lie in a temporary file that is gone with the object, or with ``close()``.
    """

    def __init__(self, flow: dict[str, Any], spool: IO[bytes], client: int, files: list[Place]) -> None:
        """See :meth:`flowkeep.Dataset.stream`."""
        self.flow = flow
        """The flow's row in the table of flows."""
        self._spool, self._client, self._files = spool, client, files
        self._size = os.fstat(spool.fileno()).st_size
        self._order, pieces = self._index()
        self.client = Half(self, "client", *pieces[client])
        """What the client sent."""
        self.server = Half(self, "server", *pieces[1 - client])
        """What the server sent."""

    def close(self) -> None:
        """Remove the temporary file."""
        self._spool.close()

    def __enter__(self) -> Stream:
        """The stream itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the temporary file."""
        self.close()

    def __iter__(self) -> Iterator[Event]:
        """All events, both directions as they were sent.

        A packet that came late stands where it filled the hole; a gap stands before the data behind it.
        """
        offsets = [0, 0]
        for at in self._order:
            yield self._event(at, offsets)

    def _index(self) -> tuple[array[int], list[tuple[array[int], array[int]]]]:
        """Where events lie, in the order to show them; and per direction the places of data and their
        offsets in the written bytes."""
        places, keys = array("q"), array("Q")
        pieces = [(array("q"), array("Q")), (array("q"), array("Q"))]
        sizes, latest = [0, 0], [0, 0]
        gaps: list[list[int]] = [[], []]  # those that wait for the data behind them
        at = 0
        while at < self._size:
            head = _HEAD.unpack(os.pread(self._spool.fileno(), _HEAD.size, at))
            kind, own, length, frame = head[0], head[1], head[6], head[7]
            key = frame
            if kind in (_DATA, _DATAGRAM, _SEEN):
                key = latest[own] = frame if kind == _SEEN else max(latest[own], frame)
                for i in gaps[own]:
                    keys[i] = key
                gaps[own].clear()
                pieces[own][0].append(at)
                pieces[own][1].append(sizes[own])
                sizes[own] += length
            elif kind == _GAP:
                gaps[own].append(len(places))
            elif kind == _OVERLAP:
                key = max(frame, head[12])
            elif kind == _FIN:
                key = max(latest[own], frame)
            places.append(at)
            keys.append(key)
            at += _HEAD.size + _body(kind, length)
        order = sorted(range(len(places)), key=keys.__getitem__)
        for own in (0, 1):
            pieces[own][1].append(sizes[own])
        return array("q", (places[i] for i in order)), pieces

    def _frame(self, raw: tuple[int, ...]) -> Frame:
        number, ts, ttl, ip_id = raw[:4]
        return Frame(self._files[number >> _FRAME_BITS], number & ((1 << _FRAME_BITS) - 1), ts, ttl, ip_id)

    def _event(self, at: int, offsets: list[int]) -> Event:
        fd = self._spool.fileno()
        head = _HEAD.unpack(os.pread(fd, _HEAD.size, at))
        kind, own, reason, name, epoch, offset, length = head[:7]
        frame, skip = self._frame(head[7:11]), head[11]
        body = os.pread(fd, _body(kind, length), at + _HEAD.size)
        direction: Direction = "client" if own == self._client else "server"
        if kind == _DATA:
            return Data(direction, offset, frame, body, skip, connection=epoch)
        if kind == _GAP:
            return Gap(direction, offset, frame, length, _REASONS[reason], connection=epoch)
        if kind == _OVERLAP:
            other = self._frame(head[12:16])
            return Overlap(direction, offset, frame, body[:length], body[length:], other, connection=epoch)
        if kind == _RESET:
            return Reset(direction, offset, frame, connection=epoch)
        if kind == _FIN:
            return Fin(direction, offset, frame, connection=epoch)
        if kind == _ANOMALY:
            return Anomaly(direction, offset, frame, _ANOMALIES[name], body, connection=epoch)
        if kind == _DATAGRAM:
            offsets[own] += len(body)
            return Datagram(direction, offsets[own] - len(body), frame, body, offset)
        return Segment(direction, offset, frame, body)

    def _read(self, at: int, begin: int, length: int) -> bytes:
        return os.pread(self._spool.fileno(), length, at + _HEAD.size + begin)


def _body(kind: int, length: int) -> int:
    """Bytes behind the head of an event."""
    if kind == _OVERLAP:
        return 2 * length
    return length if kind in (_DATA, _ANOMALY, _DATAGRAM, _SEEN) else 0


class Half:
    """One direction: the captured bytes, gaps left out."""

    def __init__(self, stream: Stream, direction: Direction, places: array[int], begins: array[int]) -> None:
        """See :attr:`Stream.client`."""
        self._stream, self.direction = stream, direction
        self._places, self._begins = places, begins

    def __len__(self) -> int:
        """Captured bytes."""
        return self._begins[-1]

    def __iter__(self) -> Iterator[Event]:
        """The events of this direction."""
        return (event for event in self._stream if event.direction == self.direction)

    def bytes(self, *, gaps: Literal["omit", "zero", "refuse"] = "omit") -> _Bytes:
        """All bytes at once.

        ``gaps``: ``omit`` joins what is before and behind a gap, ``zero`` fills it with zeros, ``refuse``
        raises UsageError where there is one. Zeros for more than 64 MiB raise UsageError.
        """
        if gaps == "omit":
            return self.open().read()
        parts: list[_Bytes] = []
        for event in self:
            if isinstance(event, Gap):
                if gaps == "refuse":
                    raise UsageError(
                        f"{event.length} bytes are missing at offset {event.offset} ({event.reason}): "
                        "say gaps='omit' or gaps='zero', or go over the events"
                    )
                if event.length > 64 << 20:
                    raise UsageError(f"a gap of {event.length} bytes is not filled with zeros")
                parts.append(bytes(event.length))
            elif isinstance(event, Data | Datagram | Segment):
                parts.append(event.data)
        return b"".join(parts)

    def open(self) -> io.BufferedReader:
        """The captured bytes as a file to read and seek in, gaps left out."""
        return io.BufferedReader(_Reader(self), 1 << 16)

    def _read(self, position: int, size: int) -> _Bytes:
        """Some bytes from here on, at least one unless it is the end."""
        if position >= len(self) or size <= 0:
            return b""
        i = bisect_right(self._begins, position) - 1
        begin = position - self._begins[i]
        length = min(size, self._begins[i + 1] - position)
        return self._stream._read(self._places[i], begin, length)


class _Reader(io.RawIOBase):
    def __init__(self, half: Half) -> None:
        self._half, self._position = half, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._half._read(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._half)}[whence]
        if base + offset < 0:
            raise ValueError("a place before the begin")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position


def spool_file(folder: str | None = None) -> IO[bytes]:
    """A temporary file that has no name any more once it is open in both worlds."""
    return cast(IO[bytes], tempfile.NamedTemporaryFile(prefix="flowkeep-", dir=folder))
