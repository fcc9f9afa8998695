"""The use case behind ``flowkeep search``: find bytes in the payloads of flows."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from .. import _native
from ..errors import UsageError
from ..flow import DETAILS, IDENTIFIED, Flows, ReadOptions
from ..paths import Found
from ..places import Place
from ..select.query import FlowQuery
from ..text import safe
from .damage import damage
from .export import Writer, put
from .flows import list_flows
from .index import by_index_or_pass
from .meter import Meter, Progress
from .reading import check_filter

MOST = 1000
"""Hits that are listed when nothing else is asked for."""


@dataclass(frozen=True)
class Pattern:
    """What is looked for."""

    data: bytes
    """The bytes, or the expression in UTF-8."""
    regex: bool = False
    ignore_case: bool = False

    @classmethod
    def of(
        cls, text: str, kind: Literal["string", "regex", "hex"] = "string", *, ignore_case: bool = False
    ) -> Pattern:
        """The pattern that a user has written. Raises UsageError."""
        if kind != "hex":
            return cls(os.fsencode(text), kind == "regex", ignore_case)
        digits = re.sub(r"[\s:]|0x", "", text)
        if len(digits) > 2 * 4096:
            raise UsageError(f"the pattern has {len(digits) // 2} bytes, at most 4096 can be looked for")
        if ignore_case:
            raise UsageError("bytes in hex have no case: leave -i away")
        if not re.fullmatch(r"(?:[0-9a-fA-F]{2})+", digits):
            raise UsageError(
                f"{safe(text[:40])}: bytes in hex are pairs of 0-9 and a-f, such as 'de ad' or 'dead'"
            )
        return cls(bytes.fromhex(digits))


@dataclass(frozen=True)
class Hit:
    """A match."""

    flow_id: int
    sender: Literal["client", "server"]
    offset: int | None
    """Where it begins in what the sender sent over TCP, from 0; None where there is no such place."""
    path: Place
    packet: int
    """Number, from 1 in its capture, of the packet that holds its last byte."""
    ts: int
    """Time of that packet, nanoseconds."""
    length: int
    excerpt: tuple[bytes, bytes, bytes]
    """What stands before it, its first bytes, what stands behind it."""


@dataclass
class SearchReport:
    """What was found."""

    hits: list[Hit]
    """In the order of their packets."""
    matches: int
    """Matches, also those that are not listed."""
    found: dict[int, int]
    """``flow_id`` -> matches, of the flows that have any."""
    flows: Flows
    """All flows."""
    bytes: int
    """Payload bytes that were looked at."""
    unjoined: int
    """Segments whose border to the one before was not looked at: too much memory."""
    unlisted: int
    """Fragments that waited for their first one and held more matches than are listed of one."""
    scans: list[_native.FileScan] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether no capture was damaged."""
        return all(damage(scan) is None for scan in self.scans)


def search(
    found: Found,
    pattern: Pattern,
    query: FlowQuery | None = None,
    options: ReadOptions | None = None,
    *,
    max_hits: int = MOST,
    progress: Progress | None = None,
) -> SearchReport:
    """Look for a pattern in the payloads of the flows that a query wants.

    With a query the captures are read twice; an index that fits saves the first pass, and for few packets
    the second one. ``max_hits``: hits that are kept (0: all); all are counted.
    Raises UsageError, OSError and FlowkeepError.
    """
    options, query = options or ReadOptions(), query or FlowQuery()
    chosen = bool(query) or query.invert
    given: dict[str, Any] = {
        "regex": pattern.regex,
        "ignore_case": pattern.ignore_case,
        "most": max_hits or 1 << 62,
        **options.native(),
    }
    _native.Searcher(pattern.data, **given)  # A pattern that is wrong is said before anything is read.
    for capture in found.captures:
        if chosen and not capture.regular:
            raise UsageError(
                f"{safe(capture.path)} is a pipe: flows are chosen first and searched then, which reads "
                "everything twice; save it to a file first"
            )
    meter = Meter(found.bytes * (1 + chosen) if found.bytes >= 0 else -1, progress)
    if chosen:
        listed = list_flows(
            found, options, details=query.mentions(DETAILS), identify=query.mentions(IDENTIFIED),
            progress=meter.file(found.bytes),
        )  # fmt: skip
        ids = query.ids(listed)
        given |= {"flows": listed.native, "ids": ids}

        def run(index: _native.Index | None) -> tuple[SearchReport, list[_native.FileScan]]:
            report = _searched(found, pattern, {**given, "index": index}, meter)
            return report, report.scans

        return by_index_or_pass(found, listed, ids, options, run)[0]
    return _searched(found, pattern, given, meter)


def _searched(found: Found, pattern: Pattern, given: dict[str, Any], meter: Meter) -> SearchReport:
    searcher = _native.Searcher(pattern.data, **given)
    scans, firsts = [], []
    for capture in found.captures:
        scan, first = searcher.file(
            os.fspath(capture.path),
            ledger=None if capture.ledger is None else os.fspath(capture.ledger),
            progress=meter.file(capture.size),
        )
        if given.get("index") is not None:
            scan["index"] = "used"
        scans.append(scan)
        firsts.append(first)
    check_filter(scans)
    done = searcher.finish()
    hits = []
    for flow_id, sender, offset, packet, ts, length, excerpt in sorted(
        done["hits"], key=lambda hit: (hit[3], -1 if hit[2] is None else hit[2])
    ):
        # Captures without packets begin where the next one does.
        file = bisect_right(firsts, packet) - 1
        path = found.captures[file].path
        hits.append(Hit(flow_id, sender, offset, path, packet - firsts[file] + 1, ts, length, excerpt))
    return SearchReport(
        hits,
        done["matches"],
        dict(done["found"]),
        Flows(done["flows"], scans),
        done["bytes"],
        done["unjoined"],
        done["unlisted"],
        scans,
    )


def hit_rows(report: SearchReport) -> Iterator[dict[str, Any]]:
    """One dict a hit, as it is written: bytes are escaped, file names harmless."""
    from ..sink.hits import rows

    return rows(report)


def write_hits(report: SearchReport, form: str, output: str, *, writer: Writer | None = None) -> None:
    """Write the hits as ``csv``, ``json`` or ``ndjson``, or with a writer of the caller's own.

    ``output`` is a file, or ``-`` for standard output. Raises OutputError; what was there before is
    then untouched.
    """
    if writer is None:
        from ..sink.hits import WRITERS

        writer = WRITERS[form]
    put(output, lambda out: writer(report, out))
