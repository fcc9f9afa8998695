"""The use case behind ``flowkeep streams``: the bytes of every connection, in files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .. import _native
from ..errors import OutputError, UsageError
from ..flow import DETAILS, IDENTIFIED, Flows, ReadOptions
from ..paths import Capture, Found
from ..places import Place, Url
from ..select.query import FlowQuery
from ..sink.folder import PartFolder
from ..text import safe
from .damage import damage
from .flows import list_flows
from .index import by_index_or_pass
from .meter import Meter, Progress
from .reading import check_filter

Gaps = Literal["split", "omit", "zero", "sparse"]
MANIFEST = "streams.json"
OVERLAPS = tuple(_native.overlap_policies())
"""Names of the rules for conflicting bytes, see docs/streams.md."""

_ROWS = 1024


@dataclass(frozen=True)
class StreamsPlan:
    """How streams are written."""

    output: Place
    """The folder to make; new or empty."""
    gaps: Gaps = "split"
    """What stands for missing bytes. ``split``: a new file begins behind them; ``omit``: nothing;
    ``zero``: zeros; ``sparse``: a hole, which reads as zeros."""
    overlap: str = "first"
    """Whose bytes stay where two segments differ."""
    frames: bool = False
    """Write a table of the frames that the bytes came from beside each file."""
    all_versions: bool = False
    """Write each version of conflicting ranges into files of their own."""
    min_bytes: int = 0
    """Flows with fewer bytes, of both directions together, get no files."""
    udp: bool = False
    """Write UDP payload, too: datagrams one after another, with a table of them."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        if self.overlap not in OVERLAPS:
            raise UsageError(f"there is no overlap policy {self.overlap!r}; there are {', '.join(OVERLAPS)}")
        if self.min_bytes < 0:
            raise UsageError("a number of bytes is not negative")
        if isinstance(self.output, Url):
            raise UsageError(
                f"{safe(self.output)}: streams are many files, which a store cannot show at once: "
                "name a folder of this machine, and copy it then"
            )


@dataclass
class StreamsReport:
    """What was written."""

    output: Place
    flows: int = 0
    """Flows with files."""
    files: int = 0
    """Files with stream bytes."""
    bytes: int = 0
    """Bytes in them."""
    gaps: int = 0
    missing: int = 0
    """Bytes in gaps."""
    overlaps: int = 0
    """Ranges of which there are two versions."""
    anomalies: int = 0
    bounds: int = 0
    """Holes that were given up because a bound on memory was hit."""
    peak_waiting: int = 0
    """The most bytes that waited for a hole to be filled."""
    scans: list[_native.FileScan] = field(default_factory=list)
    """What was found in each capture."""
    skipped: list[tuple[Place, str]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether no capture was damaged or passed over."""
        return not self.skipped and all(damage(scan) is None for scan in self.scans)


def streams(
    found: Found,
    query: FlowQuery,
    plan: StreamsPlan,
    options: ReadOptions | None = None,
    *,
    progress: Progress | None = None,
) -> StreamsReport:
    """Write the streams of the flows that a query wants; without a condition, of all.

    All flows of captures without ledgers take one pass; else the flows are listed first. An index that fits
    saves the listing, and for few packets the pass. Raises UsageError
    before anything is written, OutputError when the result cannot be; nothing half-written is left behind.
    """
    options = options or ReadOptions()
    captures = found.captures
    one_pass = not query and not query.invert and all(c.ledger is None for c in captures)
    if not one_pass:
        refuse_pipes(captures)
    assert isinstance(plan.output, Path), "the plan refuses others"
    with PartFolder(plan.output) as folder:
        meter = Meter(found.bytes if one_pass or found.bytes < 0 else 2 * found.bytes, progress)
        flows = None if one_pass else list_flows(
            found, options, details=query.mentions(DETAILS), identify=query.mentions(IDENTIFIED),
            progress=meter.file(found.bytes),
        )  # fmt: skip
        ids = [] if flows is None else query.ids(flows)

        def run(index: _native.Index | None) -> tuple[StreamsReport, list[_native.FileScan]]:
            folder.empty()
            report = _rebuilt(found, flows, ids, plan, options, meter, folder, index)
            return report, report.scans

        report, _ = run(None) if flows is None else by_index_or_pass(found, flows, ids, options, run)
        folder.commit()
    return report


def _rebuilt(
    found: Found, flows: Flows | None, ids: list[int], plan: StreamsPlan, options: ReadOptions,
    meter: Meter, folder: PartFolder, index: _native.Index | None,
) -> StreamsReport:  # fmt: skip
    captures = found.captures
    rebuilder = _native.Rebuilder(
        None if flows is None else flows.native, ids, os.fspath(folder.part),
        shown=os.fspath(plan.output),
        overlap=plan.overlap, gaps=plan.gaps, frames=plan.frames, versions=plan.all_versions,
        udp=plan.udp, index=index, **options.native(),
    )  # fmt: skip
    report = StreamsReport(plan.output, skipped=list(found.skipped))
    report.scans = feed(rebuilder, captures, meter, index)
    check_filter(report.scans)
    _, _, (report.peak_waiting, _) = rebuilder.finish(min_bytes=plan.min_bytes)
    try:
        _manifest(folder.part / MANIFEST, plan, report, captures, rebuilder)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{safe(plan.output)}: cannot be written: {error.strerror}") from error
    return report


def refuse_pipes(captures: Sequence[Capture]) -> None:
    """Raise UsageError for what cannot be read twice."""
    for capture in captures:
        if not capture.regular:
            raise UsageError(
                f"{safe(capture.path)} is a pipe: flows are listed first and rebuilt then, which reads "
                "everything twice; save it to a file first"
            )


def feed(
    rebuilder: _native.Rebuilder,
    captures: Sequence[Capture],
    meter: Meter,
    index: _native.Index | None = None,
) -> list[_native.FileScan]:
    """Let a rebuilder go over all captures; with ``index`` it picks its packets by that."""
    scans = [
        rebuilder.file(
            os.fspath(capture.path),
            number,
            ledger=None if capture.ledger is None else os.fspath(capture.ledger),
            last=number + 1 == len(captures),
            progress=meter.file(capture.size),
        )
        for number, capture in enumerate(captures)
    ]
    if index is not None:
        for scan in scans:
            scan["index"] = "used"
    return scans


def _manifest(
    path: Path,
    plan: StreamsPlan,
    report: StreamsReport,
    captures: Sequence[Capture],
    rebuilder: _native.Rebuilder,
) -> None:
    """Write the manifest, and the sums over it into the report."""
    head = {
        "format": "flowkeep streams 1",
        "gaps": plan.gaps,
        "overlap": plan.overlap,
        "min_bytes": plan.min_bytes,
        "captures": [
            {"path": os.fsdecode(c.path), "damage": scan["damage"]}
            for c, scan in zip(captures, report.scans, strict=True)
        ],
    }
    with open(path, "xb") as out:
        out.write(f'{json.dumps(head)[:-1]}, "flows": ['.encode())
        before = b"\n"
        while rows := rebuilder.next_rows(_ROWS):
            out.write(before + rows)
            before = b",\n"
        out.write(b"\n]}\n")
        out.flush()
        os.fsync(out.fileno())
    totals = rebuilder.totals()
    report.flows, report.files, report.bytes = totals["flows"], totals["files"], totals["bytes"]
    report.gaps, report.missing, report.bounds = totals["gaps"], totals["missing"], totals["bounds"]
    report.overlaps, report.anomalies = totals["overlaps"], totals["anomalies"]
