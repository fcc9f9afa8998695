"""The use case behind ``flowkeep index``: write down where each flow's packets lie, so that they need not be
looked for again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from .. import _native
from ..errors import BusyError, IndexMisfitError, OutputError, UsageError
from ..flow import Flows, ReadOptions
from ..paths import Capture, Found, index_path
from ..places import Place, Url
from ..sink.atomic import Part
from ..text import safe
from .meter import Meter, Progress

_T = TypeVar("_T")
Outcome = Literal["made", "kept", "renewed", "verified", "misfit", "skipped"]

_TICK_NS = 20_000_000
"""Two changes of a file within this time may bear the same time stamp."""


@dataclass(frozen=True)
class IndexedFile:
    """What became of the index of one capture."""

    path: Place
    outcome: Outcome
    """``made``; ``kept``: there was one that fits; ``renewed``: the same capture under new time stamps;
    ``verified``: the whole capture is as it was; ``misfit``: it is not; ``skipped``: it gets none."""
    note: str | None = None
    """Why it is a misfit or was skipped; what the index lacks."""
    flows: int = 0
    bytes: int = 0
    """Bytes of the index."""
    scan: _native.FileScan | None = None
    """What was found in the capture, if it was read."""


@dataclass
class IndexReport:
    """What became of the indexes of a data set."""

    files: list[IndexedFile] = field(default_factory=list)
    skipped: list[tuple[Place, str]] = field(default_factory=list)


def fitting_index(found: Found, options: ReadOptions) -> tuple[_native.Index | None, str | None]:
    """The index to use for a data set, and why the one that is there is not used.

    Flows may go on from file to file, which indexes of single files do not know: they are used when the
    data set is one capture, and all its packets are wanted. The flows of a trimmed capture are in its ledger.
    """
    if not options.index or options.filter is not None or len(found.captures) != 1:
        return None, None
    (capture,) = found.captures
    beside = capture.index
    if beside is None or capture.ledger is not None:
        return None, None
    try:
        return _native.Index(os.fspath(beside), os.fspath(capture.path), **options.sessions()), None
    except IndexMisfitError as error:
        return None, str(error)


def by_index_or_pass(
    found: Found,
    flows: Flows,
    ids: list[int],
    options: ReadOptions,
    run: Callable[[_native.Index | None], tuple[_T, list[_native.FileScan]]],
) -> tuple[_T, list[_native.FileScan]]:
    """Do something with flows of a table that was listed from these captures with these options.

    ``run`` is called with an index by which these flows can be picked. If there is none, or it is found out
    meanwhile that it does not fit, ``run`` is called with None and makes a pass. It gives its result, and
    what was found in each capture.
    """
    index, note = fitting_index(found, options)
    if index is not None:
        try:
            if index.can_pick(flows.native, ids):
                return run(index)
        except IndexMisfitError as error:
            note = str(error)
    result, scans = run(None)
    note_misfit(scans, note)
    return result, scans


def note_misfit(scans: Sequence[_native.FileScan], note: str | None) -> None:
    """Note in what was found in a capture why its index was not used."""
    if note is not None and scans:
        scans[0]["index"], scans[0]["index_note"] = "misfit", note


def note_state(scan: _native.FileScan, capture: Capture, options: ReadOptions) -> None:
    """Note in what was found in a capture whether it has an index that fits."""
    state = index_state(capture, options)
    if state == "fits":
        scan["index"] = "fits"
    elif state is not None:
        scan["index"], scan["index_note"] = "misfit", state


def index_state(capture: Capture, options: ReadOptions) -> str | None:
    """Whether there is an index that fits: ``fits``, else why not; None without one."""
    beside = capture.index
    if beside is None:
        return None
    try:
        _native.Index(os.fspath(beside), os.fspath(capture.path), **options.sessions())
    except IndexMisfitError as error:
        return str(error)
    return "fits"


def index(
    found: Found,
    options: ReadOptions | None = None,
    *,
    verify: bool = False,
    remake: bool = False,
    progress: Progress | None = None,
) -> IndexReport:
    """Write an index beside each capture that has none that fits.

    ``verify``: write nothing, compare each whole capture with its index. ``remake``: also where one
    fits. Raises OSError, NotACaptureError, OutputError, BusyError; an index becomes visible only when whole.
    """
    options = options or ReadOptions()
    if options.filter is not None:
        raise UsageError("an index is of all packets: leave the filter away")
    report = IndexReport(skipped=list(found.skipped))
    meter = Meter(found.bytes, progress)
    for capture in found.captures:
        watch = meter.file(capture.size)
        report.files.append(_verify(capture, watch) if verify else _make(capture, options, remake, watch))
    return report


def _verify(capture: Capture, progress: Progress | None) -> IndexedFile:
    beside = capture.index
    if beside is None:
        return IndexedFile(capture.path, "misfit", "there is no index beside it")
    try:
        _native.verify_index(os.fspath(beside), os.fspath(capture.path), progress=progress)
    except IndexMisfitError as error:
        return IndexedFile(capture.path, "misfit", _bare(error, capture))
    return IndexedFile(capture.path, "verified", bytes=beside.stat().st_size)


def _make(capture: Capture, options: ReadOptions, remake: bool, progress: Progress | None) -> IndexedFile:
    if not capture.regular:
        return IndexedFile(capture.path, "skipped", "only a file can have an index beside it")
    if capture.ledger is not None:
        return IndexedFile(capture.path, "skipped", "it is trimmed: its flows are in the ledger beside it")
    if isinstance(capture.path, Url):
        return IndexedFile(capture.path, "skipped", "an index is kept beside files of this machine alone")
    target = index_path(capture.path)
    if target.is_file() and not remake:
        state = index_state(capture, options)
        if state == "fits":
            return IndexedFile(capture.path, "kept", bytes=target.stat().st_size)
    _settle(capture.path)
    with Part(target) as part:
        if target.is_file() and not remake and _renewed(capture, options, target, part.part, progress):
            part.sync()
            part.commit()
            return IndexedFile(capture.path, "renewed", bytes=target.stat().st_size)
        try:
            scan, flows, size, places = _native.build_index(
                os.fspath(capture.path), os.fspath(part.part), progress=progress, **options.sessions()
            )
        except IndexMisfitError as error:
            raise BusyError(
                f"{safe(capture.path)}: {_bare(error, capture)}; index it when it is whole"
            ) from None
        except OSError as error:
            if isinstance(error, OutputError):
                raise OutputError(str(error).replace(str(part.part), safe(target))) from error
            raise
        part.sync()
        part.commit()
    note = None if places else "single packets cannot be read from it; it saves the listing of the flows"
    return IndexedFile(capture.path, "made", note, flows, size, scan)


def _renewed(capture: Capture, options: ReadOptions, old: Path, new: Path, progress: Progress | None) -> bool:
    """Whether only the time stamps of a capture are others; its index is then written anew."""
    try:
        if not _native.verify_index(
            os.fspath(old), os.fspath(capture.path), out=os.fspath(new), progress=progress
        ):
            return False
        _native.Index(os.fspath(new), os.fspath(capture.path), **options.sessions())
    except IndexMisfitError:
        return False
    return True


def _settle(path: Path) -> None:
    """Wait until a later change of the file cannot bear the time stamp of the last one."""
    while 0 <= time.time_ns() - path.stat().st_ctime_ns < _TICK_NS:
        time.sleep(_TICK_NS / 1e9)


def _bare(error: Exception, capture: Capture) -> str:
    return str(error).removeprefix(f"{capture.path}: ")
