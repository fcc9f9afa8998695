"""The use case behind ``flowkeep info``: describe captures, and what cutting them would save."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from .. import _native
from ..flow import ReadOptions
from ..paths import Found
from .index import note_state
from .meter import Meter, Progress
from .reading import check_filter

CUTOFFS = (10_000, 100_000, 1_000_000, 10_000_000)


@dataclass(frozen=True)
class InfoReport:
    """What a data set holds."""

    files: list[_native.FileScan]
    """One entry per capture, in time order."""
    flows: int
    """Flows of all files together."""
    histogram: list[tuple[int, int, int]]
    """Flows by size: (upper bound in bytes, flows, bytes)."""
    what_if: list[_native.WhatIf]
    """What each cutoff would leave."""
    skipped: list[tuple[str, str]]
    """Files that are no captures or cannot be read, and why."""

    @property
    def packets(self) -> int:
        """Packets of all files."""
        return sum(f["packets"] for f in self.files)

    @property
    def bytes(self) -> int:
        """Captured frame bytes of all files."""
        return sum(f["bytes"] for f in self.files)


def describe(
    found: Found,
    options: ReadOptions | None = None,
    *,
    cutoffs: Sequence[int] = CUTOFFS,
    progress: Progress | None = None,
) -> InfoReport:
    """Describe a data set. Raises OSError and FlowkeepError for a file that cannot be read."""
    scanner = _native.Scanner(what_if=list(cutoffs), **(options or ReadOptions()).native())
    meter = Meter(found.bytes, progress)
    files = []
    for capture in found.captures:
        ledger = capture.ledger
        beside = None if ledger is None else os.fspath(ledger)
        scan = scanner.file(os.fspath(capture.path), ledger=beside, progress=meter.file(capture.size))
        note_state(scan, capture, options or ReadOptions())
        files.append(scan)
    check_filter(files)
    bins = scanner.histogram()
    skipped = [(os.fspath(path), why) for path, why in found.skipped]
    return InfoReport(files, sum(b[1] for b in bins), bins, scanner.what_if(), skipped)
