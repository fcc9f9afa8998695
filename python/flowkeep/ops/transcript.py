"""The use case behind ``flowkeep transcript``: what two ends said to each other, as text that is harmless."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from .. import _native, units
from ..errors import UsageError
from ..flow import ReadOptions
from ..paths import Found
from ..select.query import FlowQuery
from ..sink.stream import naming, standard_output
from ..stream import (
    Anomaly,
    Data,
    Datagram,
    Direction,
    Event,
    Fin,
    Frame,
    Gap,
    Overlap,
    Reset,
    Segment,
    Stream,
)
from ..text import safe
from .http import decoded
from .meter import Progress
from .one_stream import one_stream

View = Literal["text", "hex", "raw", "json"]
GapsIn = Literal["split", "omit", "zero", "sparse"]
_LONGEST_LINE = 64 << 10
_ZEROS = bytes(1 << 16)


@dataclass(frozen=True)
class TranscriptPlan:
    """How a flow is shown."""

    view: View = "text"
    encoding: str = "utf-8"
    begin: int = 0
    """Bytes of both directions together to pass over."""
    size: int | None = None
    """Bytes to show; None: all."""
    decode: bool = False
    """Undo the codings of HTTP/1 bodies."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        try:
            info = codecs.lookup(self.encoding)
            text = info.name and getattr(info, "_is_text_encoding", True)
        except (LookupError, ValueError):
            text = False
        if not text:
            raise UsageError(
                f"there is no encoding {safe(self.encoding)!r}: utf-8, utf-16-le, latin-1, cp1252, "
                "cp037 (EBCDIC), shift_jis …, see the list of Python's standard encodings"
            )
        if self.begin < 0 or (self.size is not None and self.size < 0):
            raise UsageError("places and sizes are not negative")
        if self.decode and self.view in ("raw", "json"):
            raise UsageError(f"--decode goes with --view text or hex, not with {self.view}")


@dataclass(frozen=True)
class Line:
    """A line to be shown, made harmless already."""

    text: str
    direction: Direction | None
    """Who said it; None: a mark, which is no data."""


def lines(stream: Stream, plan: TranscriptPlan) -> Iterator[Line]:
    """A flow as lines. Marks, in brackets, say what is missing or uncertain."""
    row = stream.flow
    ends = [f"{row[f'{end}_ip']} port {row[f'{end}_port']}" for end in ("client", "server")]
    guessed = " (who is the client is a guess)" if row["client_guessed"] else ""
    yield Line(f"[flow {row['flow_id']}, {row['proto']}, client {ends[0]}, server {ends[1]}, from "
               f"{units.time(row['first_ts'])}{guessed}]", None)  # fmt: skip
    shown: Iterator[Event | str] = decoded(stream) if plan.decode else iter(stream)
    writer = _Hex() if plan.view == "hex" else _Text(plan.encoding)
    left, skip = plan.size, plan.begin
    for event in shown:
        if isinstance(event, str):
            yield from writer.end()
            yield Line(f"[{safe(event)}]", None)
            continue
        if not isinstance(event, Data | Datagram | Segment):
            yield from writer.end()
            yield Line(f"[{describe(event)}]", None)
            continue
        data, offset = event.data, event.offset
        passed = min(skip, len(data))
        skip -= passed
        data, offset = data[passed:], offset + passed
        if left is not None:
            data = data[:left]
            left -= len(data)
        if data:
            yield from writer.put(event.direction, offset, data)
        if isinstance(event, Datagram):
            yield from writer.end()
            missing = event.wire_length - len(event.data)
            if missing > 0:
                yield Line(f"[{event.direction}: {missing} bytes missing: snapped]", None)
        if left == 0:
            yield from writer.end()
            yield Line(f"[{plan.size} bytes shown; more: --from {plan.begin + (plan.size or 0)}]", None)
            return
    yield from writer.end()


def describe(event: Event) -> str:
    """What an event says, in words."""
    where = f"{event.direction}: "
    if isinstance(event, Gap):
        return f"{where}{event.length} bytes missing at {event.offset}: {event.reason}"
    if isinstance(event, Overlap):
        return (
            f"{where}two versions of {len(event.kept)} bytes at {event.offset}: shown is that of "
            f"{_named(event.frame)}, the other of {_named(event.other_frame)} is {_short(event.other)}"
        )
    if isinstance(event, Reset):
        return f"{where}reset, frame {event.frame.number}"
    if isinstance(event, Fin):
        return f"{where}end, {event.offset} bytes"
    assert isinstance(event, Anomaly)
    data = f", {len(event.data)} bytes not shown: {_short(event.data)}" if event.data else ""
    return f"{where}{event.name} at {event.offset}, frame {event.frame.number}{data}"


def _named(frame: Frame) -> str:
    return f"frame {frame.number} (ttl {frame.ttl}, ip id {frame.ip_id})"


def _short(data: bytes) -> str:
    text = ascii(data[:40])[1:]
    return text + (" …" if len(data) > 40 else "")


class _Text:
    """Text, line by line; a line that goes on in the next segment goes on."""

    def __init__(self, encoding: str) -> None:
        make = codecs.getincrementaldecoder(encoding)
        self._decoders = {end: make("backslashreplace") for end in ("client", "server")}
        self._open: Direction | None = None
        self._line = ""

    def put(self, direction: Direction, _: int, data: bytes) -> Iterator[Line]:
        if self._open not in (direction, None):
            yield from self.end()
        self._open = direction
        self._line += self._decoders[direction].decode(data)
        *whole, self._line = self._line.split("\n")
        for line in whole:
            yield Line(harmless(line.removesuffix("\r")), direction)
        while len(self._line) > _LONGEST_LINE:
            yield Line(harmless(self._line[:_LONGEST_LINE]), direction)
            self._line = self._line[_LONGEST_LINE:]

    def end(self) -> Iterator[Line]:
        if self._open is not None:
            self._line += self._decoders[self._open].decode(b"", True)
            self._decoders[self._open].reset()
        if self._line:
            yield Line(harmless(self._line), self._open)
        self._open, self._line = None, ""


class _Hex:
    """Sixteen bytes a line."""

    def put(self, direction: Direction, offset: int, data: bytes) -> Iterator[Line]:
        for at in range(0, len(data), 16):
            part = data[at : at + 16]
            text = "".join(chr(b) if 32 <= b < 127 else "." for b in part)
            yield Line(
                f"{offset + at:08x}  {part[:8].hex(' '):23}  {part[8:].hex(' '):23}  |{text}|", direction
            )

    def end(self) -> Iterator[Line]:
        return iter(())


def harmless(line: str) -> str:
    """A line with tabs as they are, and everything else a terminal might obey written as escapes."""
    if line.isascii() and line.isprintable():
        return line
    return "\t".join(safe(part) for part in line.split("\t"))


def as_json(stream: Stream) -> Iterator[str]:
    """A flow as JSON, one event a line; bytes in hexadecimal."""
    yield json.dumps({"event": "flow", **stream.flow})
    for event in stream:
        yield json.dumps(_plain(event))


def _plain(event: Event) -> dict[str, Any]:
    made: dict[str, Any] = {"event": type(event).__name__.lower()}
    for cls in type(event).__mro__:
        for name in getattr(cls, "__slots__", ()):
            value = getattr(event, name)
            if isinstance(value, bytes):
                value = value.hex()
            elif isinstance(value, Frame):
                value = {
                    "file": str(value.file), "frame": value.number, "time_ns": value.time_ns,
                    "ttl": value.ttl, "ip_id": value.ip_id,
                }  # fmt: skip
            made[name] = value
    return made


@dataclass
class Sent:
    """What :func:`one_direction` wrote."""

    bytes: int = 0
    notes: list[str] = field(default_factory=list)
    """What is missing or uncertain, in words."""
    scans: list[_native.FileScan] = field(default_factory=list)


def one_direction(
    found: Found,
    query: FlowQuery,
    direction: Direction,
    options: ReadOptions | None = None,
    *,
    overlap: str = "first",
    gaps: GapsIn = "omit",
    progress: Progress | None = None,
) -> Sent:
    """Write one end's stream of one flow to standard output.

    Raises UsageError, OutputError, BrokenPipeError.
    """
    if gaps not in ("omit", "zero"):
        raise UsageError(f"--gaps {gaps} makes files: to standard output go omit and zero")
    sent = Sent()
    with one_stream(found, query, options, overlap=overlap, scans=sent.scans, progress=progress) as stream:
        half = stream.client if direction == "client" else stream.server
        with naming("standard output"), standard_output() as out:
            for event in half:
                _send(event, out, gaps, sent)
    return sent


def _send(event: Event, out: IO[bytes], gaps: GapsIn, sent: Sent) -> None:
    if isinstance(event, Data | Datagram):
        out.write(event.data)
        sent.bytes += len(event.data)
        return
    if isinstance(event, Gap | Overlap | Anomaly) and len(sent.notes) < 100:
        sent.notes.append(describe(event))
    if isinstance(event, Gap) and gaps == "zero":
        left = event.length
        while left > 0:
            out.write(_ZEROS[: min(left, len(_ZEROS))])
            left -= len(_ZEROS)


def write_raw(stream: Stream, plan: TranscriptPlan) -> None:
    """Write the bytes of both directions as they were sent, and nothing else, to standard output."""
    left, skip = plan.size, plan.begin
    with naming("standard output"), standard_output() as out:
        for event in stream:
            if isinstance(event, Data | Datagram | Segment):
                data = event.data[skip:] if left is None else event.data[skip : skip + left]
                skip = max(skip - len(event.data), 0)
                left = None if left is None else left - len(data)
                out.write(data)
            if left == 0:
                return
