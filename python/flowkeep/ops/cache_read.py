"""The use case behind ``flowkeep cache read``: take packets out of a running cache."""

from __future__ import annotations

import signal
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from ..cache.client import Answer, Place
from ..cache.protocol import MAX_FLOWS, Request
from ..errors import CacheError, UsageError
from ..paths import STANDARD
from ..select.query import FlowQuery
from ..sink.atomic import Part
from ..sink.stream import naming, standard_output
from ..units import Moment
from .cache_flows import cache_flows
from .export import check_target
from .meter import Progress


@dataclass(frozen=True)
class CacheReadPlan:
    """Which packets, and where they go."""

    output: Path
    """The capture to write, ``-`` for standard output."""
    filter: str | None = None
    """Packets that match, an expression of pcap-filter(7)."""
    since: int | Moment | None = None
    """Packets of this time, nanoseconds since the epoch, or later."""
    until: int | Moment | None = None
    """Packets of this time or earlier."""
    follow: bool = False
    """Go on with packets as they come, until SIGINT or SIGTERM, or until ``stop`` is called."""
    format: Literal["pcapng", "pcap"] = "pcapng"
    force: bool = False
    """Replace a capture that stands at ``output``."""


@dataclass
class CacheReadReport:
    """What was taken out."""

    output: Path
    packets: int = 0
    bytes: int = 0
    """Bytes written."""
    lost: int = 0
    """Packets of the snapshot that were let go before they were read."""
    flows: int | None = None
    """Flows that were chosen, if any condition on flows was given."""
    of_flows: int | None = None
    cut_short: str | None = None
    """Why live packets ended early; what came before is whole."""
    unmatched: dict[str, list[int]] = field(default_factory=dict)
    """Of each list of flows: the lines that name no flow."""


def cache_read(
    place: Place,
    plan: CacheReadPlan,
    query: FlowQuery | None = None,
    *,
    progress: Progress | None = None,
) -> CacheReadReport:
    """Write what a cache holds at this moment, in the order of time, and with ``follow`` what comes.

    A file becomes visible only when whole. Raises CacheError when the cache cannot be reached or its answer
    is not whole, UsageError, OutputError; nothing half-written is left behind.
    """
    check_target(plan.output, (), capture=True, force=plan.force)
    report = CacheReadReport(plan.output)
    body, chosen = b"", None
    if query:
        body, chosen = _chosen(place, query, report)
    request = Request(
        "read", filter=plan.filter, since=plan.since, until=plan.until, follow=plan.follow,
        format=plan.format, flows=chosen,
    )  # fmt: skip
    with (
        Answer(place, request, body) as answer,
        _target(plan.output) as out,
        _ending(plan.follow, answer.enough),
    ):
        try:
            for block in answer.blocks():
                out.write(block)
                if plan.follow:
                    out.flush()
                report.bytes += len(block)
                if progress is not None:
                    progress(report.bytes, -1)
        except CacheError as error:
            if not plan.follow:
                raise
            # Blocks are whole, and what was seen live cannot be asked for again.
            report.cut_short = str(error)
        else:
            report.packets, report.lost = answer.trailer["matched"], answer.trailer["lost"]
    return report


def _chosen(place: Place, query: FlowQuery, report: CacheReadReport) -> tuple[bytes, int]:
    """The flows that a query wants, as the cache is told of them."""
    table = cache_flows(place, query)
    choice = query.choose(table)
    report.flows, report.of_flows, report.unmatched = len(choice.ids), len(table), choice.unmatched
    if len(choice.ids) > MAX_FLOWS:
        raise UsageError(
            f"{len(choice.ids):,} flows are chosen, {MAX_FLOWS:,} are the most: choose fewer, or take "
            "packets by --filter"
        )
    return struct.pack(f">{len(choice.ids)}Q", *choice.ids), len(choice.ids)


@contextmanager
def _target(output: Path) -> Iterator[IO[bytes]]:
    """Where the bytes go; a file becomes visible when all went well."""
    if output == STANDARD:
        with standard_output() as out:
            yield out
        return
    with naming(str(output)):
        if output.exists() and not output.is_file():
            with output.open("wb") as out:
                yield out
            return
        with Part(output.resolve()) as part:
            with part.part.open("wb") as out:
                yield out
            part.sync()
            part.commit()


@contextmanager
def _ending(follow: bool, enough: Callable[[], None]) -> Iterator[None]:
    """While live packets are followed, the first SIGINT or SIGTERM ends them, and the file is finished."""
    if not follow or threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}

    def end(*_: object) -> None:
        restore()
        enough()

    def restore() -> None:
        while before:
            number, handler = before.popitem()
            signal.signal(number, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        restore()
