"""The use case behind ``Dataset.stream``: both streams of one flow."""

from __future__ import annotations

from .. import _native
from ..errors import UsageError
from ..flow import DETAILS, IDENTIFIED, Flows, ReadOptions
from ..paths import Found
from ..select.query import FlowQuery, refuse_beyond
from ..stream import Stream, spool_file
from .flows import list_flows
from .index import by_index_or_pass
from .meter import Meter, Progress
from .reading import check_filter
from .streams import OVERLAPS, feed, refuse_pipes


def one_stream(
    found: Found,
    query: FlowQuery,
    options: ReadOptions | None = None,
    *,
    overlap: str = "first",
    as_seen: bool = False,
    scans: list[_native.FileScan] | None = None,
    progress: Progress | None = None,
) -> Stream:
    """The streams of the one flow that a query wants; datagrams if it is UDP.

    By an index that fits, only the flow's own packets are read. ``as_seen``: segments as they were captured.
    ``scans`` takes what was found in each capture. Raises
    UsageError if the query wants no flow or several, or one that is neither TCP nor UDP.
    """
    options = options or ReadOptions()
    _check(found, overlap)
    meter = Meter(2 * found.bytes, progress)
    flows = list_flows(
        found, options, details=query.mentions(DETAILS), identify=query.mentions(IDENTIFIED),
        progress=meter.file(found.bytes),
    )  # fmt: skip
    ids = query.ids(flows)
    if len(ids) != 1:
        few = ", ".join(map(str, ids[:5])) + (" …" if len(ids) > 5 else "")
        what = f"{len(ids)} flows are meant ({few})" if ids else "no flow is meant"
        raise UsageError(f"{what}: name one with --flow ID; flowkeep flows lists them")
    return _rebuilt(found, flows, ids[0], options, overlap, as_seen, scans, meter)


def stream_of(
    found: Found,
    flows: Flows,
    flow_id: int,
    options: ReadOptions | None = None,
    *,
    overlap: str = "first",
    as_seen: bool = False,
    progress: Progress | None = None,
) -> Stream:
    """The same for a flow of a table that was listed from these captures with these options, which are
    read once, or by an index that fits. Raises UsageError."""
    _check(found, overlap)
    refuse_beyond([flow_id], len(flows))
    meter = Meter(found.bytes, progress)
    return _rebuilt(found, flows, flow_id, options or ReadOptions(), overlap, as_seen, None, meter)


def _check(found: Found, overlap: str) -> None:
    if overlap not in OVERLAPS:
        raise UsageError(f"there is no overlap policy {overlap!r}; there are {', '.join(OVERLAPS)}")
    refuse_pipes(found.captures)


def _rebuilt(
    found: Found, flows: Flows, flow_id: int, options: ReadOptions, overlap: str, as_seen: bool,
    scans: list[_native.FileScan] | None, meter: Meter,
) -> Stream:  # fmt: skip
    ids = [flow_id]
    row = flows.take(ids).to_dicts()[0]
    if row["proto"] not in ("tcp", "udp"):
        raise UsageError(f"flow {ids[0]} is {row['proto']}: streams are of TCP and UDP")

    def run(index: _native.Index | None) -> tuple[Stream, list[_native.FileScan]]:
        spool = spool_file()
        try:
            rebuilder = _native.Rebuilder(
                flows.native, ids, spool.name, spool=True, as_seen=as_seen, overlap=overlap, udp=True,
                index=index, **options.native(),
            )  # fmt: skip
            found_in = feed(rebuilder, found.captures, meter, index)
            check_filter(found_in)
            rebuilder.finish()
            client = rebuilder.next_client() or 0
            return Stream(row, spool, client, [c.path for c in found.captures]), found_in
        except BaseException:
            spool.close()
            raise

    stream, found_in = by_index_or_pass(found, flows, ids, options, run)
    if scans is not None:
        scans += found_in
    return stream
