"""``flowkeep extract`` on many machines."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .. import _native
from ..errors import OutputError, UsageError
from ..flow import DETAILS, IDENTIFIED, Flows, ReadOptions
from ..ops import extract as ops
from ..ops.export import check_target
from ..ops.extract import ExtractPlan, ExtractReport
from ..ops.meter import Progress
from ..ops.reading import check_filter
from ..paths import STANDARD
from ..places import Place
from ..select.query import FlowQuery
from .connect import is_local
from .flows import listed
from .fold import Piece, cut_up, joined
from .places import Where
from .run import Steps, Task, run
from .spool import Spool, digest, opened, work

if TYPE_CHECKING:
    from distributed import Client

_WORD = 8
_HEAD = 24
"""Bytes of the header of a pcap file."""


def _take(
    piece: Piece, native: dict[str, Any], spool: Spool, carry: tuple[str, ...], wanted: str | None, form: Any,
    out: str, last: bool,
) -> tuple[_native.FileScan, int, int]:  # fmt: skip
    """On a worker: the packets of the wanted flows of a capture, or all, in a file of the spool."""
    ledger = piece.capture.ledger
    found: list[tuple[_native.FileScan, int, int]] = []

    def write(part: str) -> None:
        if wanted is None:
            extractor = _native.Extractor(None, [], part, **native)
        else:
            behind = joined(spool, carry)
            extractor = _native.Extractor(
                *_chosen(piece, behind, spool, wanted, last), part, carry=behind, **native
            )
        scan = extractor.file(
            os.fspath(piece.capture.path),
            form=form,
            ledger=None if ledger is None else os.fspath(ledger),
            last=last,
        )
        packets, size, _ = extractor.finish()
        found.append((scan, packets, size))

    spool.put(out, write)
    return found[0]


def _chosen(
    piece: Piece, behind: _native.Summary, spool: Spool, wanted: str, last: bool
) -> tuple[_native.FlowTable, list[int]]:
    """The flows up to the end of a piece, and those wanted: they go by the number of their first packet."""
    whole = behind.copy()
    whole.merge(joined(spool, tuple(piece.part(n) for n in range(piece.parts))))
    if last:
        whole.end()
    begins, names = whole.begins(), spool.path(wanted).read_bytes()
    chosen = {names[at : at + _WORD] for at in range(0, len(names), _WORD)}
    ids = [n for n in range(len(begins) // _WORD) if begins[_WORD * n : _WORD * (n + 1)] in chosen]
    return whole.flows(), ids


def _probe(path: str) -> _native.Probe:
    """On a worker: how a capture begins."""
    return _native.probe(path)


def extract(
    client: Client,
    where: Where,
    query: FlowQuery,
    plan: ExtractPlan,
    options: ReadOptions | None = None,
    *,
    spool: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> ExtractReport:
    """Take flows out of captures, as :func:`flowkeep.ops.extract.extract` does.

    Raises what that raises, and ClusterError.
    """
    options = replace(options or ReadOptions(), index=False)
    if plan.split or plan.compression != "none":
        raise UsageError(
            "a cluster writes one capture, not compressed: leave --split and --compress away, or --cluster"
        )
    if query.mentions(DETAILS + IDENTIFIED):
        raise UsageError(
            "the condition asks for details or services, which only a pass over all packets of a flow "
            "knows: leave --cluster away"
        )
    found = where.found
    check_target(plan.output, found.captures, capture=True, force=plan.force)
    everything = not query and not query.invert
    steps = Steps((1 if everything else 2) * found.bytes, progress)
    forms, empty = ops.choose_forms(found.captures, plan.form, _probes(client, where))
    report = ExtractReport(plan.output, 0, 0, skipped=list(found.skipped))
    with opened(spool, work("extract", found, options), local=is_local(client)) as folder:
        wanted: str | None = None
        if everything:
            pieces, native = cut_up(where, options)
            carries: list[tuple[str, ...]] = [()] * len(pieces)
        else:
            folded = listed(client, where, options, folder, steps)
            whole = folded.whole()
            flows, begins = Flows(whole.flows(), folded.files), whole.begins()
            choice = query.choose(flows)
            names = b"".join(begins[_WORD * n : _WORD * (n + 1)] for n in choice.ids)
            wanted = f"{digest(folded.name, names.hex())}.flows"
            folder.put(wanted, lambda part: _save(part, names))
            report.flows, report.of_flows, report.unmatched = len(choice.ids), len(flows), choice.unmatched
            pieces, native = folded.pieces, folded.native
            carries = [folded.carry(piece.number) for piece in pieces]
        tasks = [
            Task(
                f"take-{piece.number}", _take,
                (piece, native, folder, carries[piece.number], wanted, form,
                 f"{piece.name}.{digest(wanted, form)}.part", piece is pieces[-1]),
                piece.capture.size, where.workers[piece.number],
            )
            for piece, form in zip(pieces, forms, strict=True)
        ]  # fmt: skip
        parts: dict[int, tuple[_native.FileScan, int, int]] = {}
        for done in run(client, tasks, steps):
            piece = done.task.args[0]
            if done.error is not None:
                raise piece.named(done.error)
            piece.named(done.value[0])
            parts[piece.number] = done.value
        for k in range(len(pieces)):
            scan, packets, size = parts[k]
            report.scans.append(scan)
            report.packets += packets
            report.bytes += size
        check_filter(report.scans)
        with ops.made(plan.output) as target, _open(target) as out:
            report.out_bytes = _join([folder.path(task.args[6]) for task in tasks], forms, out)
            if report.out_bytes == 0 and empty is not None:
                folder.put("empty.pcap", lambda part: _nothing(part, *empty))
                report.out_bytes = out.write(folder.path("empty.pcap").read_bytes())
                out.flush()
    return report


def _probes(client: Client, where: Where) -> list[_native.Probe] | None:
    """How the captures begin, when they are not here."""
    if not any(where.workers):
        return None
    captures = where.found.captures
    found: dict[int, _native.Probe] = {}
    tasks = [
        Task(f"probe-{n}", _probe, (os.fspath(capture.path),), 0, where.workers[n])
        for n, capture in enumerate(captures)
    ]
    places = {task.name: n for n, task in enumerate(tasks)}
    for done in run(client, tasks, Steps(0, None)):
        if done.error is not None:
            raise done.error
        found[places[done.task.name]] = done.value
    return [found[n] for n in range(len(captures))]


@contextmanager
def _open(target: Place) -> Iterator[IO[bytes]]:
    if target == STANDARD:
        yield sys.stdout.buffer
        return
    with target.open("wb") as out:
        yield out


def _join(parts: list[Path], forms: Sequence[str], out: IO[bytes]) -> int:
    """One capture of the parts, which stand in the order of time; bytes written.

    Raises OutputError when packets of two link types would come into one pcap file.
    """
    written, first = 0, b""
    for path, form in zip(parts, forms, strict=True):
        with open(path, "rb") as part:
            if form in ("pcap", "pcap-ns"):
                # Each part is a capture of its own: the first has the header of all.
                head = part.read(_HEAD)
                if head and first and head != first:
                    raise OutputError(
                        "a pcap file has one link type, these captures have several; --format pcapng "
                        "holds them all"
                    )
                if head and not first:
                    first = head
                    written += out.write(head)
            start = part.tell()
            shutil.copyfileobj(part, out, 1 << 22)
            written += part.tell() - start
    out.flush()
    return written


def _nothing(part: str, link: int, nanoseconds: bool) -> None:
    _native.Extractor(None, [], part).finish(empty_link=link, nanoseconds=nanoseconds)


def _save(part: str, data: bytes) -> None:
    with open(part, "wb") as out:
        out.write(data)
