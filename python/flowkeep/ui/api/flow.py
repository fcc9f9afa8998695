"""One flow: transcript, streams, what is odd about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from ...errors import UsageError
from ...ops.one_stream import stream_of
from ...ops.transcript import TranscriptPlan, describe, lines
from ...stream import Anomaly, Data, Datagram, Gap, Overlap, Stream
from ...text import safe
from ..library import Library
from ..recent import Recent
from ..table import FlowTable
from .common import aside, library, table

router = APIRouter(prefix="/api/flows/{flow_id}", tags=["one flow"])
MOST_LINES = 100_000
"""More than a page of 64 KiB can have, marks beside."""
MOST_EVENTS = 1000
_KEPT = 4


class _Streams:
    """The flows that were rebuilt last: turning the pages of one does not read the capture again."""

    def __init__(self) -> None:
        self._kept = Recent(_KEPT)

    def of(self, open_: Library, loaded: FlowTable, flow_id: int, overlap: str) -> Stream:
        def make() -> Stream:
            return stream_of(loaded.found, loaded.flows, flow_id, open_.options, overlap=overlap)

        # A table that is gone may leave its address to the next one, its captures too: both are in the key.
        return self._kept.get((open_.version, id(loaded), flow_id, overlap), make)


streams = _Streams()
Overlapping = Annotated[str, Query(max_length=20, description="Whose bytes stay where two segments differ.")]


async def _stream(request: Request, flow_id: int, overlap: str) -> Stream:
    loaded, open_ = table(request), library(request)
    if flow_id < 0:
        raise UsageError(f"there is no flow {flow_id}: they are counted from 0")
    return await aside(lambda: streams.of(open_, loaded, flow_id, overlap))


@router.get("/transcript")
async def transcript(
    request: Request, flow_id: int, show: Literal["text", "hex"] = "text",
    encoding: Annotated[str, Query(max_length=40)] = "utf-8", decode: bool = False,
    begin: Annotated[int, Query(ge=0, description="Bytes of both directions to pass over.")] = 0,
    size: Annotated[int, Query(ge=1, le=1 << 20, description="Bytes wanted.")] = 1 << 16,
    find: Annotated[str, Query(max_length=200, description="Only lines with this text, in any case.")] = "",
    overlap: Overlapping = "first",
) -> dict[str, Any]:  # fmt: skip
    """What the two ends said, line by line; a line without ``who`` is a mark and no data."""
    plan = TranscriptPlan(view=show, encoding=encoding, begin=begin, size=size, decode=decode)
    stream = await _stream(request, flow_id, overlap)

    def work() -> dict[str, Any]:
        made: list[dict[str, Any]] = []
        cut = False
        for line in lines(stream, plan):
            if find and find.lower() not in line.text.lower():
                continue
            if len(made) == MOST_LINES:
                cut = True
                break
            made.append({"text": line.text, "who": line.direction})
        total = len(stream.client) + len(stream.server)
        return {
            "lines": made,
            "cut": cut,
            "bytes": total,
            "next": begin + size if begin + size < total else None,
        }

    return await aside(work)


def page_with(stream: Stream, plan: TranscriptPlan, text: str, by: int = 1) -> int | None:
    """The next page of a transcript, or with ``by=-1`` the one before, that has a line with this text, in any
    case: where it begins. Pages are those that :attr:`TranscriptPlan.size` makes of the bytes."""
    size = plan.size or 1
    total = len(stream.client) + len(stream.server)
    wanted = text.lower()
    begin = plan.begin + by * size
    while 0 <= begin < total or (by < 0 and -size < begin):
        begin = max(begin, 0)
        if any(wanted in line.text.lower() for line in lines(stream, replace(plan, begin=begin))):
            return begin
        begin += by * size
    return None


@router.get("/find")
async def find(
    request: Request, flow_id: int, text: Annotated[str, Query(min_length=1, max_length=200)],
    show: Literal["text", "hex"] = "text",
    encoding: Annotated[str, Query(max_length=40)] = "utf-8", decode: bool = False,
    begin: Annotated[int, Query(ge=0, description="Where the page begins behind which to look.")] = 0,
    size: Annotated[int, Query(ge=1024, le=1 << 20, description="Bytes of a page.")] = 1 << 16,
    overlap: Overlapping = "first",
) -> dict[str, Any]:  # fmt: skip
    """The next page of a transcript that has a line with this text, in any case."""
    plan = TranscriptPlan(view=show, encoding=encoding, begin=begin, size=size, decode=decode)
    stream = await _stream(request, flow_id, overlap)
    return {"begin": await aside(lambda: page_with(stream, plan, text))}


@router.get("/anomalies")
async def anomalies(request: Request, flow_id: int, overlap: Overlapping = "first") -> dict[str, Any]:
    """Gaps, conflicting overlaps and whatever else is odd about the streams of a flow."""
    stream = await _stream(request, flow_id, overlap)
    return await aside(lambda: odd(stream))


def odd(stream: Stream) -> dict[str, Any]:
    """All events but data; the first :data:`MOST_EVENTS` of them."""
    rows: list[dict[str, Any]] = []
    more = 0
    for event in stream:
        if isinstance(event, Data | Datagram):
            continue
        if len(rows) == MOST_EVENTS:
            more += 1
            continue
        name = event.name if isinstance(event, Anomaly) else type(event).__name__.lower()
        length = 0
        if isinstance(event, Gap | Overlap):
            length = event.length if isinstance(event, Gap) else len(event.kept)
        rows.append({
            "who": event.direction, "name": name, "offset": event.offset, "length": length,
            "frame": event.frame.number, "file": safe(event.frame.file.name), "text": describe(event),
        })  # fmt: skip
    return {
        "rows": rows, "more": more, "client_bytes": len(stream.client), "server_bytes": len(stream.server)
    }  # fmt: skip


@router.get("/stream/{direction}")
async def stream(
    request: Request, flow_id: int, direction: Literal["client", "server"], overlap: Overlapping = "first"
) -> StreamingResponse:
    """The bytes of one end, gaps left out, as a file to save."""
    whole = await _stream(request, flow_id, overlap)
    half = whole.client if direction == "client" else whole.server

    def parts() -> Iterator[bytes]:
        with half.open() as file:
            while part := file.read(1 << 18):
                yield part

    headers = {"content-disposition": f'attachment; filename="flow-{flow_id}.{direction}"',
               "content-length": str(len(half))}  # fmt: skip
    return StreamingResponse(parts(), media_type="application/octet-stream", headers=headers)
