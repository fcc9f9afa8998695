"""What clients and the service say to each other; docs/formats/cache.md defines it.

A client sends one line of JSON, the request. The service answers with one line of JSON, the header. What
was asked for follows in frames: four bytes of length (big-endian), so many bytes, again and again; a length
of 0 ends them, and one more line of JSON, the trailer, says what they were. So a client knows whether it has
everything. Who asks for ``frames: false`` gets the bytes alone, until the service closes.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, fields
from typing import Any, Literal

from ..errors import BusyError, CacheError, FlowkeepError, UsageError
from ..text import safe
from ..units import Moment

VERSION = 1
MAX_REQUEST = 1 << 16
"""Bytes of the line that a client sends."""
REQUEST_SECONDS = 10.0
"""In which it has to be there."""
MAX_HEADER = 1 << 22
"""Bytes of a line that the service sends."""
MAX_FRAME = 1 << 24
NUMBER = 8
"""Bytes of a flow's number."""
MAX_FLOWS = 1 << 18
"""Flows that a request names."""
LENGTH = struct.Struct(">I")

Form = Literal["pcapng", "pcap"]

_VERSION_FIELD = "flowkeep_cache"
_LONGEST = (1 << 63) - 1


@dataclass(frozen=True)
class Request:
    """What a client wants to know."""

    ask: Literal["status", "flows", "read"]
    filter: str | None = None
    """read: packets that match, an expression of pcap-filter(7)."""
    since: int | Moment | None = None
    """read: packets of this time (nanoseconds since the epoch) or later."""
    until: int | Moment | None = None
    """read: packets of this time or earlier."""
    flows: int | None = None
    """read: only these flows; so many numbers, of eight bytes each (big-endian), follow."""
    follow: bool = False
    """read: go on with packets as they come."""
    format: Form = "pcapng"
    """read: what is written."""
    frames: bool = True
    community_seed: int = 0
    """flows: seed of the Community IDs."""
    networks: tuple[str, ...] = ()
    """flows: behind the table comes a byte a row, as :meth:`flowkeep.flow.Flows.inside` gives it."""
    flow_filter: str | None = None
    """flows: behind that comes a byte a row, as :meth:`flowkeep.flow.Flows.matching` gives it."""
    token: str | None = None
    """The secret, over a network."""

    def line(self) -> bytes:
        """As it is sent. Raises UsageError for one that is too long."""
        said: dict[str, Any] = {_VERSION_FIELD: VERSION}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                said[field.name] = {value.anchor: value.offset_ns} if isinstance(value, Moment) else value
        line = json.dumps(said).encode() + b"\n"
        if len(line) > MAX_REQUEST:
            raise UsageError(
                f"the question has {len(line):,} bytes, {MAX_REQUEST:,} are the most: ask for less"
            )
        return line


def parse_request(line: bytes) -> Request:
    """The request in a line. Raises UsageError for anything that is not understood in full."""
    said = _object(line, "request")
    if said.pop(_VERSION_FIELD, None) != VERSION:
        raise UsageError(
            f'this service speaks version {VERSION}: the request has to say "{_VERSION_FIELD}": {VERSION}; '
            "use flowkeep of the same version"
        )
    for name in ("since", "until"):
        if name in said:
            said[name] = _when(name, said[name])
    for name, value in said.items():
        if name not in _CHECKS:
            raise UsageError(f"request: there is no {safe(str(name)[:40])!r}; there are {', '.join(_CHECKS)}")
        if not _CHECKS[name](value):
            raise UsageError(f"request: {name} cannot be {safe(json.dumps(value)[:40])}")
    if "networks" in said:
        said["networks"] = tuple(said["networks"])
    if "ask" not in said:
        raise UsageError("request: ask is missing: status, flows or read")
    return Request(**said)


_SPACES = {ord(c): " " for c in "\n\t"}


def _text(value: object) -> bool:
    return isinstance(value, str) and value.translate(_SPACES).isprintable()


def _number(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


_CHECKS = {
    "ask": lambda v: v in ("status", "flows", "read"),
    "filter": _text,
    "since": lambda v: v is not None,
    "until": lambda v: v is not None,
    "flows": lambda v: _number(v, MAX_FLOWS),
    "follow": lambda v: isinstance(v, bool),
    "format": lambda v: v in ("pcapng", "pcap"),
    "frames": lambda v: isinstance(v, bool),
    "community_seed": lambda v: _number(v, 65535),
    "networks": lambda v: isinstance(v, list) and all(map(_text, v)),
    "flow_filter": _text,
    "token": _text,
}


def _when(name: str, value: object) -> int | Moment:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LONGEST:
        return value
    if isinstance(value, dict) and len(value) == 1:
        ((anchor, offset),) = value.items()
        if anchor in ("start", "end") and _number(offset, _LONGEST):
            return Moment(anchor, offset)
    raise UsageError(
        f"request: {name} cannot be {safe(json.dumps(value)[:40])}: nanoseconds since 1970, "
        'or {"end": nanoseconds}'
    )


def _object(line: bytes, what: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError(f"{what}: this is no line of JSON") from None
    if not isinstance(said, dict):
        raise UsageError(f"{what}: this is JSON, but no object")
    return said


_KINDS: dict[str, type[FlowkeepError]] = {"usage": UsageError, "busy": BusyError, "cache": CacheError}


def header(**said: Any) -> bytes:
    """The line with which an answer begins or ends."""
    return json.dumps({_VERSION_FIELD: VERSION, "ok": True, **said}).encode() + b"\n"


def refusal(error: FlowkeepError) -> bytes:
    """The line that says why there is no answer."""
    kind = next((name for name, class_ in _KINDS.items() if isinstance(error, class_)), "cache")
    return (
        json.dumps({_VERSION_FIELD: VERSION, "ok": False, "kind": kind, "error": str(error)}).encode() + b"\n"
    )


def parse_header(line: bytes, where: str) -> dict[str, Any]:
    """What a line of the service says. Raises the error it tells of, CacheError when it is none."""
    try:
        said = _object(line, "answer")
    except UsageError:
        said = {}
    if said.get(_VERSION_FIELD) != VERSION:
        raise CacheError(f"{where}: what answers there is no flowkeep cache, or one of another version")
    if not said.get("ok"):
        raise _KINDS.get(str(said.get("kind")), CacheError)(
            f"{where}: {safe(str(said.get('error', 'refused')))}"
        )
    return said
