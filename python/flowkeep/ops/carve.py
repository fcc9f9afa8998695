"""The use case behind ``flowkeep carve``: find packets in files that are no captures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from .. import _native
from ..errors import UsageError
from ..paths import STANDARD
from ..places import Place, Url, place, same_file
from ..sink.anywhere import begin
from ..text import safe
from .export import check_target
from .meter import Meter, Progress

Level = Literal["strict", "normal", "loose"]


@dataclass
class CarveReport:
    """What was found."""

    output: Place
    files: list[_native.FileCarve] = field(default_factory=list)
    """One entry per file, in the order in which they were named."""
    out_bytes: int = 0
    """Bytes written."""

    @property
    def packets(self) -> int:
        """Packets of all files."""
        return sum(f["packets"] for f in self.files)

    @property
    def scanned(self) -> int:
        """Bytes that were looked at."""
        return sum(f["scanned"] for f in self.files)

    @property
    def classes(self) -> dict[str, int]:
        """Packets by what was checked of them."""
        total: Counter[str] = Counter()
        for file in self.files:
            total.update(file["classes"])
        return dict(total)


def carve(
    paths: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    level: Level = "normal",
    jobs: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> CarveReport:
    """Write every packet that is found in some files (``-``: standard input) into one pcapng capture.

    ``level``: how much must speak for a packet. ``force``: replace a capture that stands at ``output``.
    Raises UsageError before anything is written, OSError for a file that cannot be read, OutputError when the
    result cannot be written; nothing half-written is left.
    """
    report = CarveReport(place(output))
    inputs = [place(p) for p in paths]
    sizes = [_check(path, report.output) for path in inputs]
    if not inputs:
        raise UsageError("no files are named: give files, or - for standard input")
    if inputs.count(STANDARD) > 1:
        raise UsageError("standard input can be read only once")
    check_target(report.output, (), capture=True, force=force)
    meter = Meter(-1 if -1 in sizes else sum(sizes), progress)
    with _made(report.output) as target:
        carver = _native.Carver(os.fspath(target), level=level, jobs=jobs)
        for path, size in zip(inputs, sizes, strict=True):
            label = "stdin" if path == STANDARD else safe(path.name)
            report.files.append(carver.file(os.fspath(path), label=label, progress=meter.file(size)))
        report.out_bytes = carver.finish()
    return report


def _check(path: Place, output: Place) -> int:
    """Bytes of a file, -1 for a pipe or a device. Raises OSError, UsageError."""
    if path == STANDARD:
        return -1
    if not isinstance(path, Url) and path.is_dir():
        raise UsageError(f"{safe(path)} is a folder: name the files in it")
    if output != STANDARD and same_file(output, path):
        raise UsageError(f"{safe(output)} is one of the files: the result would take its place")
    if isinstance(path, Url):
        return -1
    info = path.stat()
    return info.st_size if path.is_file() else -1


@contextmanager
def _made(output: Place) -> Iterator[Place]:
    pipe = not isinstance(output, Url) and output.exists() and not output.is_file()
    if output == STANDARD or pipe:
        yield output
        return
    with begin(output) as part:
        yield part.part
        part.sync()
        part.commit()
