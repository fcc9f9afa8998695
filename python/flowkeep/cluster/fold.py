"""The first two rounds: files to summaries, and summaries, in order, to the carry of each file and the
whole."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .. import _native
from ..errors import BusyError, UsageError
from ..flow import Flows, ReadOptions
from ..ops.trim import FileResult
from ..paths import Capture
from ..places import Place, Url
from ..sink.anywhere import state
from ..sink.atomic import being_written
from ..text import safe
from .places import Where
from .run import Steps, Task, run
from .spool import Spool, digest, whole_name

if TYPE_CHECKING:
    from distributed import Client

_PART = 4_000_000_000
"""Bytes of captures for which a summary gets one more part: then a part of all flows fits into a worker."""
PARTS_AT_LEAST, _MOST_PARTS = 1, 256
_SMALL, _AT_ONCE = 64_000_000, 4
"""From so many bytes on summaries have so many parts at least, which are merged at once."""


@dataclass(frozen=True)
class Piece:
    """A capture and the names of what is known of it."""

    capture: Capture
    number: int
    name: str
    parts: int

    shown: Place
    """As the user named it; the path of ``capture`` is the whole one, where workers see the same files."""

    def part(self, n: int) -> str:
        """The name of a part of its summary."""
        return f"{self.name}.{n}.summary"

    @property
    def ledger(self) -> str:
        """The name of a copy of its ledger."""
        return f"{self.name}.ledger"

    def named(self, said: Any) -> Any:
        """What a worker says of it (an error, what was found or done), with the name that the user gave."""
        there, here = str(self.capture.path), str(self.shown)
        if there == here:
            return said
        if isinstance(said, Exception):
            said.args = tuple(
                a.replace(safe(there), safe(here)) if isinstance(a, str) else a for a in said.args
            )
            if isinstance(said, OSError) and said.filename == there:
                said.filename = here
        elif isinstance(said, FileResult):
            problem = said.problem and said.problem.replace(safe(there), safe(here))
            return replace(said, path=self.shown, problem=problem, trim=said.trim and self.named(said.trim))
        else:
            said["path"] = here
        return said


@dataclass
class Folded:
    """What the rounds found."""

    pieces: list[Piece]
    scans: list[_native.FileScan | None]
    """What was found in each capture; None: it could not be read."""
    problems: list[Exception | None]
    """Why not."""
    native: dict[str, Any]
    """Keyword arguments of the native classes, on the workers."""
    spool: Spool
    name: str
    parts: int
    """Parts in which summaries were merged."""

    def carry(self, number: int) -> tuple[str, ...]:
        """Names of the parts of a piece's carry."""
        return tuple(f"{self.name}.{number}.{part}.carry" for part in range(self.parts))

    @property
    def files(self) -> list[_native.FileScan]:
        """What was found in the captures that could be read."""
        return [scan for scan in self.scans if scan is not None]

    def whole(self) -> _native.Summary:
        """The summary of all pieces, at the end of the traffic; there is none where captures are trimmed."""
        whole = joined(self.spool, tuple(f"{self.name}.{part}.whole" for part in range(self.parts)))
        whole.end()
        return whole


def joined(spool: Spool, names: tuple[str, ...]) -> _native.Summary:
    """A summary whose parts have these names."""
    first, *others = names
    whole = _native.Summary.read(str(spool.path(first)))
    for name in others:
        whole.join(_native.Summary.read(str(spool.path(name))))
    return whole


def _scan(piece: Piece, native: dict[str, Any], spool: Spool, writable: bool) -> dict[str, Any]:
    """On a worker: read a capture."""
    note = f"{piece.name}.json"
    if spool.has(note):
        found: dict[str, Any] = spool.get_json(note)
        return found
    capture = piece.capture
    if writable and being_written(capture.path):
        raise BusyError(f"{safe(capture.path)}: another process is writing it; it was left alone")
    beside = capture.ledger
    ledger = None if beside is None else str(beside)
    summary, scan = _native.Summary.scan(str(capture.path), ledger=ledger, **native)
    if beside is not None:
        # A worker may be lost between the new ledger and the new capture.
        spool.put(piece.ledger, lambda part: _copy(beside, part))
        if scan["ledger"] == "used":
            _whole(str(spool.path(piece.ledger)), scan)
    for n in range(piece.parts):
        spool.put(piece.part(n), summary.part(n, piece.parts).write)
    found = {"scan": scan, "crosses": summary.crosses, "overflow": summary.fragments_overflow}
    spool.put_json(note, found)
    return found


def _whole(ledger: str, scan: _native.FileScan) -> None:
    """Raise UsageError for a ledger that does not tell of all packets with a flow.

    Its file, or the one before, was trimmed while fragments waited for a first one in the next: whose they
    are is decided where all files are read.
    """
    rows = Flows(_native.ledger_flows(ledger), []).to_polars()
    told = int(rows["client_packets"].sum()) + int(rows["server_packets"].sum())
    if (scan["original_packets"] or 0) != told + sum(scan["no_flow"].values()):
        raise UsageError(
            f"{safe(scan['path'])} was trimmed while fragments waited at the end of a file, and its ledger "
            "does not tell of the same packets as the file: do this work without --cluster"
        )


def _copy(source: Place, target: str) -> None:
    with source.open("rb") as old, open(target, "wb") as new:
        shutil.copyfileobj(old, new, 1 << 20)


def _fold(
    name: str, part: int, of: int, native: dict[str, Any], spool: Spool, cutting: bool
) -> dict[str, int]:
    """On a worker: merge a part of all pieces, in order."""
    note = f"{name}.{part}.json"
    if spool.has(note):
        found: dict[str, int] = spool.get_json(note)
        return found
    merged = _native.Summary.start(**{n: native[n] for n in ("idle_ns", "tcp_idle_ns", "max_flows")})
    for number, parts in spool.get_json(f"{name}.plan"):
        following = joined(spool, (parts[part],) if of > 1 else tuple(parts))
        met = merged.met_by(following)
        spool.put(f"{name}.{number}.{part}.carry", met.write)
        merged.merge(following, cutting=cutting)
    if not cutting:
        spool.put(f"{name}.{part}.whole", merged.write)
    found = {
        "flows": len(merged), "untracked": merged.untracked, "overflow": merged.fragments_overflow,
    }  # fmt: skip
    spool.put_json(note, found)
    return found


def cut_up(where: Where, options: ReadOptions) -> tuple[list[Piece], dict[str, Any]]:
    """A data set as pieces, and the keyword arguments of the native classes that read them."""
    native = options.native() | {"jobs": options.jobs or 1}
    captures = where.found.captures
    total = sum(capture.size for capture in captures)
    least = PARTS_AT_LEAST if total < _SMALL else max(PARTS_AT_LEAST, _AT_ONCE)
    parts = min(max(total // _PART, least), _MOST_PARTS)
    pieces = [
        Piece(
            capture if where.workers[k] else replace(capture, path=whole_name(capture.path)),
            k, digest(*_identity(capture, where.workers[k]), native, parts), parts, capture.path,
        )
        for k, capture in enumerate(captures)
    ]  # fmt: skip
    return pieces, native


def fold(
    client: Client, where: Where, options: ReadOptions, spool: Spool, steps: Steps, *, cutting: bool
) -> Folded:
    """Both rounds. ``cutting``: the files will be trimmed where they are, or elsewhere.

    Raises UsageError when the result could not be that of one machine: more flows or fragments than a
    machine would track.
    """
    pieces, native = cut_up(where, options)
    parts = pieces[0].parts
    tasks = [
        Task(
            f"scan-{piece.number}",
            _scan,
            (piece, native, spool, cutting),
            piece.capture.size,
            where.workers[k],
        )
        for k, piece in enumerate(pieces)
    ]
    notes: list[dict[str, Any] | None] = [None] * len(pieces)
    problems: list[Exception | None] = [None] * len(pieces)
    for done in run(client, tasks, steps):
        number = done.task.args[0].number
        notes[number] = done.value
        if done.value is not None:
            pieces[number].named(done.value["scan"])
        if done.error is not None:
            problems[number] = pieces[number].named(done.error)
    read = [piece for piece, note in zip(pieces, notes, strict=True) if note is not None]
    known = [note for note in notes if note is not None]
    of = 1 if any(note["crosses"] for note in known) else parts
    name = digest([piece.name for piece in read], of, cutting)
    # The scheduler is told a name, however many files there are.
    spool.put_json(f"{name}.plan", [[p.number, [p.part(n) for n in range(parts)]] for p in read])
    rounds = [Task(f"fold-{part}", _fold, (name, part, of, native, spool, cutting)) for part in range(of)]
    counts = []
    for done in run(client, rounds, steps):
        if done.error is not None:
            raise done.error
        counts.append(done.value)
    _check(counts, known, options)
    scans = [None if note is None else note["scan"] for note in notes]
    return Folded(pieces, scans, problems, native, spool, name, of)


def _identity(capture: Capture, workers: tuple[str, ...]) -> tuple[Any, ...]:
    """What tells a state of a capture from others. Where workers have disks of their own, they tell the
    rest."""
    if workers:
        return str(capture.path), capture.size, capture.first_ts, workers
    beside = capture.ledger
    own = os.fspath(whole_name(capture.path))
    return own, *_state(capture.path), None if beside is None else _state(beside)


def _state(path: Place) -> tuple[Any, ...]:
    if isinstance(path, Url):
        return state(path)[1:]
    info = path.stat()
    return info.st_size, info.st_mtime_ns, info.st_ino


def _check(counts: list[dict[str, int]], notes: list[dict[str, Any]], options: ReadOptions) -> None:
    flows = sum(count["flows"] for count in counts)
    if flows > options.max_flows or any(count["untracked"] for count in counts):
        raise UsageError(
            f"there are {flows:,} flows and --max-flows is {options.max_flows:,}: which of them one "
            f"machine would track "
            "depends on all of them; raise it"
        )
    if any(count["overflow"] for count in counts) or any(note["overflow"] for note in notes):
        raise UsageError(
            "there are more fragments at once than are followed: which of them are depends on all machines; "
            "do this work without --cluster"
        )
